//! Requests in flight: which of them wait to be sent, which for an answer, and until when.
//!
//! An answer counts only with the transaction of a request, from the address that was asked and by the node expected there.
//! A request is repeated with the same transaction after its timeout, waiting twice as long each time (RFC 6298, §5.5), and
//! no round trip is taken from a repeated one, for which of them was answered can't be told (Karn and Partridge 1987). A node
//! of which nothing is known is given the timeout that the answers of all nodes together suggest.
//!
//! ```
//! use core::time::Duration;
//! use kadlet::rpc::{Accepted, Due, RequestLimits, Requests};
//! use kadlet::{Id, Instant};
//!
//! let mut requests = Requests::<u16, &str, u64, 4>::EMPTY;
//! let (min, initial, max) = (Duration::from_millis(100), Duration::from_secs(1), Duration::from_secs(3));
//! requests.start(RequestLimits { min, initial, max, attempts: 3 });
//!
//! let (peer, transaction) = (Id::from_bytes([7; 20]), 0x8_BAD_CAFE);
//! requests.begin("my lookup", 4000, Some(peer), transaction, None, None)?;
//! let ready = requests.ready().unwrap();
//! assert_eq!((ready.to, ready.retransmit), (4000, false));
//! requests.sent(Instant::ZERO, ready.index);
//!
//! // Nobody answers within a second: the lookup may ask another, and the request is repeated.
//! let later = requests.deadline();
//! assert_eq!(later, Instant::from_secs(1));
//! assert_eq!(requests.due(later), Some(Due::Slow { owner: "my lookup", expect: Some(peer) }));
//! let ready = requests.ready().unwrap();
//! assert!(ready.retransmit);
//! requests.sent(later, ready.index);
//!
//! // An answer from elsewhere is none; the right one counts.
//! let soon = Instant::from_millis(1_020);
//! assert_eq!(requests.accept(soon, 4001, &peer, transaction), Accepted::WrongAddress);
//! assert_eq!(requests.accept(soon, 4000, &peer, transaction), Accepted::Response { owner: Some("my lookup"), rtt: None });
//! assert_eq!(requests.deadline(), Instant::NEVER);
//! # Ok::<(), kadlet::rpc::Full>(())
//! ```

#[cfg(test)]
mod tests;

use core::fmt;
use core::mem::size_of;
use core::net::SocketAddrV4;
use core::ops::{Deref, DerefMut};
use core::time::Duration;

use heapless::{Vec, VecView};

use crate::address::Address;
use crate::id::Id;
use crate::time::{self, Instant, RoundTrip};

/// How often the wait doubles: attempts after that are no answer to congestion, but to loss.
const DOUBLINGS: u8 = 2;

const _: () = assert!(size_of::<Pending<SocketAddrV4, u64, [u8; 8]>>() <= 72);

/// How long to wait and how often to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestLimits {
    /// The shortest time to wait for an answer.
    pub min: Duration,
    /// How long to wait while nobody has answered yet. Clamped to the other two.
    pub initial: Duration,
    /// The longest time to wait for an answer to one attempt. At most 71 minutes.
    pub max: Duration,
    /// How often a request is sent at most where nothing is lost: at least once. Up to three times as often where much is.
    pub attempts: u8,
}

/// All slots are taken by requests whose owners still wait. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// A request that is to be sent, for the first time or again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ready<A, O, T> {
    /// Its slot, until the next call that changes the table.
    pub index: usize,
    /// Whereto.
    pub to: A,
    /// Who is expected there.
    pub expect: Option<Id>,
    /// Its transaction, the same for each repeat.
    pub transaction: T,
    /// Whose it is.
    pub owner: O,
    /// Whether it was sent before.
    pub retransmit: bool,
}

/// What an answer is to the requests in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted<O> {
    /// The answer to a request, which is over.
    Response {
        /// Whose the request was; `None` if it was released.
        owner: Option<O>,
        /// The round trip; `None` if the request was repeated.
        rtt: Option<Duration>,
    },
    /// Another node than expected answers at that address: the one expected isn't there. The request is over.
    WrongId {
        /// Whose the request was; `None` if it was released.
        owner: Option<O>,
        /// Who was expected.
        expected: Id,
    },
    /// The transaction of a request that was sent elsewhere; the request waits on.
    WrongAddress,
    /// No request in flight has this transaction.
    Unknown,
}

/// What came of waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due<A, O> {
    /// The first attempt was not answered in time; there will be another. Told once for each request.
    Slow {
        /// Whose the request is.
        owner: O,
        /// Who was expected to answer.
        expect: Option<Id>,
    },
    /// No attempt was answered in time. The request is over.
    Failed {
        /// Whose the request was; `None` if it was released.
        owner: Option<O>,
        /// Who was expected to answer.
        expect: Option<Id>,
        /// Where.
        to: A,
        /// Whether it was [acknowledged](Requests::acknowledge), and only the rest of its answer never came.
        acknowledged: bool,
    },
}

/// At most `N` requests on behalf of owners `O`, with transactions of type `T`.
pub type Requests<A, O, T, const N: usize> = RequestsInner<Vec<Pending<A, O, T>, N>>;

/// [`Requests`] whatever their bound, as `VecView` is any `Vec`: the methods are compiled once for all bounds.
pub type RequestsView<A, O, T> = RequestsInner<VecView<Pending<A, O, T>>>;

/// What [`Requests`] and [`RequestsView`] are: a table that ends in its slots.
#[derive(Clone, Debug)]
pub struct RequestsInner<S: ?Sized> {
    /// How many of them are to be sent.
    ready: usize,
    /// The least due time of those in flight.
    deadline: Option<Instant>,
    /// The limits, in microseconds.
    min: u32,
    initial: u32,
    max: u32,
    attempts: u8,
    /// Of all nodes together.
    trip: RoundTrip,
    loss: Loss,
    /// In the order in which they were begun.
    slots: S,
}

/// A request in the table.
#[derive(Clone, Copy, Debug)]
pub struct Pending<A, O, T> {
    owner: O,
    to: A,
    expect: Option<Id>,
    transaction: T,
    /// When it was sent last.
    sent: Instant,
    /// The timeout of the first attempt, in microseconds.
    timeout: u32,
    /// How long to wait since it was sent last, in microseconds.
    wait: u32,
    /// How many attempts have timed out.
    timeouts: u8,
    /// How many may; zero: as many as the loss asks for, at that time.
    attempts: u8,
    state: RequestState,
    /// Whether it was sent more than once.
    retransmitted: bool,
    /// Whether it was acknowledged, and waits for the rest of its answer.
    acknowledged: bool,
    /// Whether its owner is gone.
    released: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RequestState {
    Ready,
    InFlight,
}

impl<A: Address, O: Copy, T: Copy + Eq, const N: usize> Requests<A, O, T, N> {
    /// A table of zeros that lies in `.bss`, to be started before it is used.
    pub const EMPTY: Self = Self {
        ready: 0,
        deadline: None,
        min: 0,
        initial: 0,
        max: 0,
        attempts: 0,
        trip: RoundTrip::UNKNOWN,
        loss: Loss::NONE,
        slots: Vec::new(),
    };
}

impl<A, O, T, const N: usize> Deref for Requests<A, O, T, N> {
    type Target = RequestsView<A, O, T>;

    fn deref(&self) -> &RequestsView<A, O, T> {
        self
    }
}

impl<A, O, T, const N: usize> DerefMut for Requests<A, O, T, N> {
    fn deref_mut(&mut self) -> &mut RequestsView<A, O, T> {
        self
    }
}

impl<A: Address, O: Copy, T: Copy + Eq> RequestsView<A, O, T> {
    /// Forgets everything and begins with these limits.
    pub fn start(&mut self, limits: RequestLimits) {
        self.slots.clear();
        self.ready = 0;
        self.deadline = None;
        self.min = micros(limits.min);
        self.initial = micros(limits.initial);
        self.max = micros(limits.max);
        self.attempts = limits.attempts;
        self.trip = RoundTrip::UNKNOWN;
        self.loss = Loss::NONE;
    }

    /// A request to `to`, where `expect` is expected if anybody is, waits to be sent. Without a `timeout` for its first
    /// attempt, the time that all nodes' round trips suggest is taken; without `attempts`, as many as the loss seen asks for. In a full table, the
    /// oldest released request gives way.
    ///
    /// # Errors
    ///
    /// [`Full`]: all requests in the table have owners that wait.
    pub fn begin(
        &mut self,
        owner: O,
        to: A,
        expect: Option<Id>,
        transaction: T,
        timeout: Option<Duration>,
        attempts: Option<u8>,
    ) -> Result<(), Full> {
        if self.slots.is_full() {
            let index = self.slots.iter().position(|request| request.released).ok_or(Full)?;
            self.remove(index);
        }
        let request = Pending {
            owner,
            to,
            expect,
            transaction,
            sent: Instant::ZERO,
            timeout: self.first_timeout(timeout),
            wait: 0,
            timeouts: 0,
            attempts: attempts.map_or(0, |attempts| attempts.max(1)),
            state: RequestState::Ready,
            retransmitted: false,
            acknowledged: false,
            released: false,
        };
        self.slots.push(request).map_err(|_| Full)?;
        self.ready += 1;
        Ok(())
    }

    /// How long a node of which nothing is known is waited for at first.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        time::Micros(self.first_timeout(None).into()).duration()
    }

    /// Whether any request is to be sent.
    #[must_use]
    pub const fn has_ready(&self) -> bool {
        self.ready != 0
    }

    /// The oldest request that is to be sent.
    #[must_use]
    pub fn ready(&self) -> Option<Ready<A, O, T>> {
        if self.ready == 0 {
            return None;
        }
        let (index, request) =
            self.slots.iter().enumerate().find(|(_, request)| request.state == RequestState::Ready)?;
        let Pending { to, expect, transaction, owner, .. } = *request;
        Some(Ready { index, to, expect, transaction, owner, retransmit: request.timeouts != 0 })
    }

    /// The request that was [`ready`](Requests::ready) goes out: its clock starts. An index that isn't ready is ignored.
    pub fn sent(&mut self, now: Instant, index: usize) {
        let Some(request) = self.slots.get_mut(index).filter(|request| request.state == RequestState::Ready) else {
            return;
        };
        request.state = RequestState::InFlight;
        request.sent = now;
        request.wait = request.wait_of_attempt(self.max);
        request.retransmitted = request.timeouts != 0;
        self.settle();
    }

    /// The request that was [`ready`](Requests::ready) can't be sent, and is forgotten without a word to its owner.
    pub fn drop(&mut self, index: usize) {
        self.remove(index);
    }

    /// Takes an answer in.
    pub fn accept(&mut self, now: Instant, from: A, sender: &Id, transaction: T) -> Accepted<O> {
        self.take(now, from, sender, transaction, None)
    }

    /// Takes an answer in that is followed by another: the request isn't over, isn't repeated, and waits until then.
    pub fn acknowledge(&mut self, now: Instant, from: A, sender: &Id, transaction: T, until: Instant) -> Accepted<O> {
        self.take(now, from, sender, transaction, Some(until))
    }

    /// Whose a request in flight is; `None` if none has this transaction, or its owner is gone.
    #[must_use]
    pub fn owner(&self, transaction: T) -> Option<O> {
        self.slots.get(self.place(transaction)?)?.owner()
    }

    fn take(&mut self, now: Instant, from: A, sender: &Id, transaction: T, until: Option<Instant>) -> Accepted<O> {
        let place = self.place(transaction);
        let Some((index, request)) = place.and_then(|index| Some((index, self.slots.get_mut(index)?))) else {
            return Accepted::Unknown;
        };
        if request.to.canonical() != from.canonical() {
            return Accepted::WrongAddress;
        }
        if !request.acknowledged {
            self.loss.responded(request.timeouts);
        }
        let owner = request.owner();
        if let Some(expected) = request.expect.filter(|expected| expected != sender) {
            self.remove(index);
            return Accepted::WrongId { owner, expected };
        }
        let rtt = (!request.retransmitted && !request.acknowledged).then(|| now.since(request.sent));
        if let Some(rtt) = rtt {
            self.trip.sample(rtt);
        }
        if let Some(until) = until {
            request.state = RequestState::InFlight;
            request.acknowledged = true;
            request.attempts = 1;
            request.wait = micros_since(until, request.sent);
            self.settle();
        } else {
            self.remove(index);
        }
        Accepted::Response { owner, rtt }
    }

    /// A datagram to `to` was not delivered: what is in flight there counts as timed out now.
    pub fn unreachable(&mut self, now: Instant, to: A) {
        for request in &mut self.slots {
            if request.state == RequestState::InFlight && request.to.canonical() == to.canonical() {
                request.wait = request.wait.min(micros_since(now, request.sent));
            }
        }
        self.settle();
    }

    /// What is due by now: to be called until `None`. Repeats become [`ready`](Requests::ready) by themselves.
    pub fn due(&mut self, now: Instant) -> Option<Due<A, O>> {
        while self.deadline.is_some_and(|deadline| deadline <= now) {
            let late = |request: &Pending<A, O, T>| request.state == RequestState::InFlight && request.due() <= now;
            let (index, request) = self.slots.iter_mut().enumerate().find(|(_, request)| late(request))?;
            request.timeouts = request.timeouts.saturating_add(1);
            let most = if request.attempts == 0 { self.loss.attempts(self.attempts) } else { request.attempts };
            if request.timeouts >= most {
                let (owner, expect, to, acknowledged) =
                    (request.owner(), request.expect, request.to, request.acknowledged);
                self.remove(index);
                return Some(Due::Failed { owner, expect, to, acknowledged });
            }
            if request.released {
                request.linger(self.max);
            } else {
                request.state = RequestState::Ready;
            }
            let slow = Due::Slow { owner: request.owner, expect: request.expect };
            let told = request.released || request.timeouts > 1;
            self.settle();
            if !told {
                return Some(slow);
            }
        }
        None
    }

    /// The owners that match are gone. What they never sent is forgotten; what they sent waits for its answer, so that it is known
    /// who answers, but is not repeated, and gives way when the table is full.
    pub fn release(&mut self, matches: impl Fn(&O) -> bool) {
        self.slots.retain_mut(|request| {
            if request.released || !matches(&request.owner) {
                return true;
            }
            request.released = true;
            if request.state == RequestState::Ready && request.was_sent() {
                request.linger(self.max);
            }
            request.was_sent()
        });
        self.settle();
    }

    /// When [`due`](Requests::due) has something to tell next; [`Instant::NEVER`] while nothing is in flight. Costs constant time.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.deadline.unwrap_or(Instant::NEVER)
    }

    /// How many requests may begin: slots that are free or whose request was released.
    #[must_use]
    pub fn free(&self) -> usize {
        self.slots.capacity().saturating_sub(self.slots.iter().filter(|request| !request.released).count())
    }

    /// How many requests there is room for.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.slots.capacity()
    }

    /// How many requests there are, those that wait to be sent and those that were released included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// The request that was sent with this transaction.
    fn place(&self, transaction: T) -> Option<usize> {
        self.slots.iter().position(|request| request.transaction == transaction && request.was_sent())
    }

    fn remove(&mut self, index: usize) {
        if index < self.slots.len() {
            self.slots.remove(index);
            self.settle();
        }
    }

    /// What is to be sent, and what is due first, once any of them changed.
    fn settle(&mut self) {
        (self.ready, self.deadline) = (0, None);
        for request in &self.slots {
            match request.state {
                RequestState::Ready => self.ready += 1,
                RequestState::InFlight => self.deadline = Some(self.deadline().min(request.due())),
            }
        }
    }

    /// The first timeout of a node whose own is `known` or not, in microseconds.
    fn first_timeout(&self, known: Option<Duration>) -> u32 {
        known.or_else(|| self.trip.timeout()).map_or(self.initial, micros).max(self.min).min(self.max)
    }
}

impl<A, O: Copy, T> Pending<A, O, T> {
    fn owner(&self) -> Option<O> {
        (!self.released).then_some(self.owner)
    }

    fn was_sent(&self) -> bool {
        self.state == RequestState::InFlight || self.timeouts != 0
    }

    fn due(&self) -> Instant {
        self.sent + time::Micros(self.wait.into())
    }

    /// Nobody asks again, but an answer may come as long as it might have if somebody had.
    fn linger(&mut self, max: u32) {
        self.state = RequestState::InFlight;
        self.wait = self.wait.saturating_add(self.wait_of_attempt(max));
    }

    /// How long the attempt after so many timeouts is waited for, in microseconds.
    fn wait_of_attempt(&self, max: u32) -> u32 {
        self.timeout.saturating_mul(1 << self.timeouts.min(DOUBLINGS)).min(max)
    }
}

/// How much is lost: of the nodes that answered in the end, how many attempts were answered and how many were not. Nodes that never
/// answered don't count, for they may be dead.
#[derive(Clone, Copy, Debug)]
struct Loss {
    responded: u16,
    lost: u16,
}

impl Loss {
    const NONE: Self = Self { responded: 0, lost: 0 };
    /// So many attempts are remembered; older ones count for less and less.
    const MEMORY: u16 = 128;
    /// How often a living node may fail: less than once in 2^17, some 100,000, questions.
    const RARE: u32 = 17;

    const fn responded(&mut self, timeouts: u8) {
        self.responded = self.responded.saturating_add(1);
        self.lost = self.lost.saturating_add(timeouts as u16);
        if self.responded.saturating_add(self.lost) > Self::MEMORY {
            *self = Self { responded: self.responded / 2, lost: self.lost / 2 };
        }
    }

    /// How many attempts it takes until the loss of all of them is rare: at least so many, at most three times as many.
    fn attempts(self, least: u8) -> u8 {
        let least = least.max(1);
        // As a part of 2^16.
        let lost =
            (u32::from(self.lost) << 16).checked_div(self.responded.saturating_add(self.lost).into()).unwrap_or(0);
        let (mut attempts, mut all) = (0_u8, 1_u64 << 32);
        while attempts < least || (all > 1 << (32 - Self::RARE) && attempts < least.saturating_mul(3)) {
            all = (all * u64::from(lost)) >> 16;
            attempts += 1;
        }
        attempts
    }
}

fn micros(duration: Duration) -> u32 {
    saturated(time::Micros::of(duration))
}

fn micros_since(now: Instant, earlier: Instant) -> u32 {
    saturated(now.micros_since(earlier))
}

fn saturated(span: time::Micros) -> u32 {
    u32::try_from(span.0).unwrap_or(u32::MAX)
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("all slots for requests are taken")
    }
}

impl core::error::Error for Full {}
