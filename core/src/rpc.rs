//! Requests in flight: which of them wait to be sent, which wait for a response, and until when.
//!
//! A response counts only with the transaction of a request, from the address that the request went to, and from the
//! node expected there. After its timeout a request is retransmitted with the same transaction. The second wait is
//! twice as long as the first, all further ones four times (RFC 6298, §5.5, doubles without end). No round trip is
//! taken from a request that was retransmitted: the response can belong to any attempt (Karn and Partridge
//! 1987). For a node whose round trip was never measured, the timeout follows from the responses of all nodes together.
//!
//! ```
//! use core::time::Duration;
//! use kadlet::rpc::{Attempts, Match, Due, RequestLimits, Requests};
//! use kadlet::{Id, Instant};
//!
//! let mut requests = Requests::<u16, &str, u64, 4>::EMPTY;
//! let (min, initial, max) = (Duration::from_millis(100), Duration::from_secs(1), Duration::from_secs(3));
//! requests.start(RequestLimits { min, initial, max, attempts: 3 })?;
//!
//! let (peer, transaction) = (Id::from_bytes([7; 20]), 0x8_BAD_CAFE);
//! requests.begin("my lookup", 4000, Some(peer), transaction, None, Attempts::Known)?;
//! let ready = requests.ready().unwrap();
//! assert_eq!((ready.to, ready.retransmit), (4000, false));
//! requests.sent(Instant::ZERO, ready.index);
//!
//! // No response comes within a second: the lookup can ask another node, and the request is retransmitted.
//! let later = requests.deadline();
//! assert_eq!(later, Instant::from_secs(1));
//! assert_eq!(requests.due(later), Some(Due::Slow { owner: "my lookup", expect: Some(peer) }));
//! let ready = requests.ready().unwrap();
//! assert!(ready.retransmit);
//! requests.sent(later, ready.index);
//!
//! // A response from another address doesn't count; the right one does.
//! let soon = Instant::from_millis(1_020);
//! assert_eq!(requests.accept(soon, 4001, &peer, transaction), Match::WrongAddress);
//! let response = requests.accept(soon, 4000, &peer, transaction);
//! assert_eq!(response, Match::Response { owner: Some("my lookup"), rtt: None });
//! assert_eq!(requests.deadline(), Instant::NEVER);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod loss;
mod pending;
#[cfg(test)]
mod tests;

use core::fmt;
use core::num::NonZeroU8;
use core::ops::{Deref, DerefMut};
use core::time::Duration;

use heapless::{Vec, VecView};

use crate::address::Address;
use crate::config_error::{ConfigError, Unit};
use crate::id::Id;
use crate::round_trip::RoundTrip;
use crate::time::{self, Instant};

use loss::{Loss, MOST_TIMES};
pub use pending::{Attempts, Pending};
use pending::{RequestState, micros, micros_since};

/// How many attempts fewer a request to a stranger gets: 1 instead of 3 where nothing is lost.
const FEWER_FOR_STRANGERS: u8 = 2;

/// How long to wait for a response, and how often to send a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestLimits {
    /// The shortest time to wait for a response: 0 to `max`.
    pub min: Duration,
    /// How long to wait while no round trip was measured: `min` to `max`.
    pub initial: Duration,
    /// The longest time to wait for a response to one attempt: `min` to 71 minutes.
    pub max: Duration,
    /// How often a request to a known node is sent at most while nothing is lost: 1 to 85. While much is lost, it is
    /// sent up to three times as often.
    pub attempts: u8,
}

/// All slots are taken by requests whose owners still wait. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Full;

/// A request that must be sent, for the first time or again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ready<A, O, T> {
    /// The index of the slot, valid until the next call that changes the table.
    pub index: usize,
    /// The address to send it to.
    pub to: A,
    /// The node that is expected there, if it is known.
    pub expect: Option<Id>,
    /// The transaction, which is the same for every attempt.
    pub transaction: T,
    /// The owner of the request.
    pub owner: O,
    /// Whether the request was sent before.
    pub retransmit: bool,
}

/// How a response matches the requests in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Match<O> {
    /// It is the response to a request, which is over.
    Response {
        /// The owner of the request. `None` if the request was released.
        owner: Option<O>,
        /// The round trip. `None` if the request was retransmitted.
        rtt: Option<Duration>,
    },
    /// It has the right transaction and address, but is from another node: the expected one isn't there. The request is
    /// over.
    WrongId {
        /// The owner of the request. `None` if the request was released.
        owner: Option<O>,
        /// The node that was expected.
        expected: Id,
    },
    /// It has the transaction of a request that was sent to another address. That request still waits.
    WrongAddress,
    /// No request in flight has this transaction.
    Unknown,
}

/// A request whose wait is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Due<A, O> {
    /// The first attempt got no response in time. There will be another attempt. Returned once for each request.
    Slow {
        /// The owner of the request.
        owner: O,
        /// The node that was expected to respond, if it is known.
        expect: Option<Id>,
    },
    /// No attempt got a response in time. The request is over.
    Failed {
        /// The owner of the request. `None` if the request was released.
        owner: Option<O>,
        /// The node that was expected to respond, if it is known.
        expect: Option<Id>,
        /// The address that the request was sent to.
        to: A,
        /// Whether the request was [acknowledged](Requests::acknowledge), and only the second response never came.
        acknowledged: bool,
    },
}

/// At most `N` requests of owners `O`, with transactions of type `T`.
pub type Requests<A, O, T, const N: usize> = RequestsInner<Vec<Pending<A, O, T>, N>>;

/// [`Requests`] with any bound, as heapless's `VecView` is a `Vec` with any bound. The methods are compiled once for
/// all bounds.
pub type RequestsView<A, O, T> = RequestsInner<VecView<Pending<A, O, T>>>;

/// The type behind [`Requests`] and [`RequestsView`]. The slots are its last field, so that they can be unsized.
#[derive(Clone, Debug)]
pub struct RequestsInner<S: ?Sized> {
    /// How many requests must be sent.
    ready: usize,
    /// When the first of those in flight is due; never, while none is.
    deadline: Instant,
    /// The limits; times are in microseconds.
    min: u32,
    initial: u32,
    max: u32,
    attempts: u8,
    /// The round trip of all nodes together.
    trip: RoundTrip,
    loss: Loss,
    /// In the order in which the requests were begun.
    slots: S,
}

impl<A: Address, O: Copy, T: Copy + Eq, const N: usize> Requests<A, O, T, N> {
    /// A table of zeros, which lies in `.bss`. Start it before use.
    pub const EMPTY: Self = Self {
        ready: 0,
        deadline: Instant::ZERO,
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
    ///
    /// # Errors
    ///
    /// [`ConfigError`]: a limit is out of its range. The table is as it was.
    pub fn start(&mut self, limits: RequestLimits) -> Result<(), ConfigError> {
        let [min, initial, max] = [limits.min, limits.initial, limits.max].map(micros);
        ConfigError::check("max", max, min, u32::MAX - 1, Unit::Microseconds)?;
        ConfigError::check("initial", initial, min, max, Unit::Microseconds)?;
        ConfigError::check("attempts", limits.attempts.into(), 1, (u8::MAX / MOST_TIMES).into(), Unit::One)?;
        self.restart(limits);
        Ok(())
    }

    /// The same, with limits that the caller has checked.
    pub(crate) fn restart(&mut self, limits: RequestLimits) {
        self.slots.clear();
        self.ready = 0;
        self.deadline = Instant::NEVER;
        self.min = micros(limits.min);
        self.initial = micros(limits.initial);
        self.max = micros(limits.max);
        self.attempts = limits.attempts;
        self.trip = RoundTrip::UNKNOWN;
        self.loss = Loss::NONE;
    }

    /// Begins a request to the node `expect` at `to`. [`ready`](Requests::ready) returns it, and
    /// [`sent`](Requests::sent) begins its wait. Without `expect`, any node can respond.
    ///
    /// `timeout` is the first wait, for a node whose round trip is known. It is kept between the limits' `min` and
    /// `max`. Without it, the wait follows from the round trips of all nodes. If the table is full, the oldest released
    /// request is dropped.
    ///
    /// # Errors
    ///
    /// [`Full`]: all slots are taken by requests whose owners still wait.
    pub fn begin(
        &mut self,
        owner: O,
        to: A,
        expect: Option<Id>,
        transaction: T,
        timeout: Option<Duration>,
        attempts: Attempts,
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
            attempts,
            state: RequestState::Ready,
            retransmitted: false,
            acknowledged: false,
            released: false,
        };
        self.slots.push(request).map_err(|_| Full)?;
        self.ready += 1;
        Ok(())
    }

    /// The request that was begun last waits for the limits' `initial` at least.
    pub(crate) fn wait_initial(&mut self) {
        if let Some(request) = self.slots.last_mut() {
            request.timeout = request.timeout.max(self.initial);
        }
    }

    /// How long to wait at first for a node whose round trip was never measured.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        time::Micros(self.first_timeout(None).into()).duration()
    }

    /// Whether any request must be sent.
    #[must_use]
    pub const fn has_ready(&self) -> bool {
        self.ready != 0
    }

    /// The oldest request that must be sent.
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

    /// The request that was [`ready`](Requests::ready) has been sent: its wait begins. An index that isn't ready is
    /// ignored.
    pub fn sent(&mut self, now: Instant, index: usize) {
        let Some(request) = self.slots.get_mut(index).filter(|request| request.state == RequestState::Ready) else {
            return;
        };
        request.state = RequestState::InFlight;
        request.sent = now;
        request.wait = request.wait_of_attempt(self.max);
        request.retransmitted = request.timeouts != 0;
        self.recount();
    }

    /// Forgets the request that was [`ready`](Requests::ready) and can't be sent. [`due`](Requests::due) doesn't report
    /// it.
    pub fn drop(&mut self, index: usize) {
        self.remove(index);
    }

    /// Matches a response with its request. If they match, the request is over.
    pub fn accept(&mut self, now: Instant, from: A, sender: &Id, transaction: T) -> Match<O> {
        self.match_response(now, from, sender, transaction, None)
    }

    /// Matches the first of two responses with its request. The request isn't over, is not retransmitted, and waits
    /// until `until` for the second response.
    pub fn acknowledge(&mut self, now: Instant, from: A, sender: &Id, transaction: T, until: Instant) -> Match<O> {
        self.match_response(now, from, sender, transaction, Some(until))
    }

    /// The owner of the request in flight with this transaction. `None` if there is no such request, or its owner is
    /// gone.
    #[must_use]
    pub fn owner(&self, transaction: T) -> Option<O> {
        self.slots.get(self.index(transaction)?)?.owner()
    }

    /// The request with this transaction came back to its sender: it fails now. False if no request in flight has this
    /// transaction.
    pub fn came_back(&mut self, transaction: T) -> bool {
        let Some(request) = self.index(transaction).and_then(|index| self.slots.get_mut(index)) else {
            return false;
        };
        (request.state, request.wait, request.attempts) = (RequestState::InFlight, 0, Attempts::Times(NonZeroU8::MIN));
        self.recount();
        true
    }

    /// The node that must respond to the request in flight with this transaction. `None` if there is no such request,
    /// or any node can respond to it.
    #[must_use]
    pub fn expected(&self, transaction: T) -> Option<Id> {
        self.slots.get(self.index(transaction)?)?.expect
    }

    fn match_response(
        &mut self,
        now: Instant,
        from: A,
        sender: &Id,
        transaction: T,
        until: Option<Instant>,
    ) -> Match<O> {
        let index = self.index(transaction);
        let Some((index, request)) = index.and_then(|index| Some((index, self.slots.get_mut(index)?))) else {
            return Match::Unknown;
        };
        if request.to.canonical() != from.canonical() {
            return Match::WrongAddress;
        }
        if !request.acknowledged && request.attempts == Attempts::Known {
            self.loss.responded(request.timeouts);
        }
        let owner = request.owner();
        if let Some(expected) = request.expect.filter(|expected| expected != sender) {
            self.remove(index);
            return Match::WrongId { owner, expected };
        }
        let rtt = (!request.retransmitted && !request.acknowledged).then(|| now.since(request.sent));
        if let Some(rtt) = rtt {
            self.trip.sample(rtt);
        }
        if let Some(until) = until {
            request.state = RequestState::InFlight;
            request.acknowledged = true;
            request.attempts = Attempts::Times(NonZeroU8::MIN);
            request.wait = micros_since(until, request.sent);
            self.recount();
        } else {
            self.remove(index);
        }
        Match::Response { owner, rtt }
    }

    /// A datagram to `to` was not delivered: all attempts in flight to this address time out now.
    pub fn unreachable(&mut self, now: Instant, to: A) {
        for request in &mut self.slots {
            if request.state == RequestState::InFlight && request.to.canonical() == to.canonical() {
                request.wait = request.wait.min(micros_since(now, request.sent));
            }
        }
        self.recount();
    }

    /// The next request whose wait is over. Call it until it returns `None`. Requests to be retransmitted become
    /// [`ready`](Requests::ready) meanwhile.
    pub fn due(&mut self, now: Instant) -> Option<Due<A, O>> {
        while self.deadline <= now {
            let late = |request: &Pending<A, O, T>| request.state == RequestState::InFlight && request.due() <= now;
            let (index, request) = self.slots.iter_mut().enumerate().find(|(_, request)| late(request))?;
            request.timeouts = request.timeouts.saturating_add(1);
            let (sends, attempts) = match request.attempts {
                Attempts::Known => (u8::MAX, self.loss.attempts(self.attempts)),
                Attempts::Stranger => {
                    let sends = self.loss.attempts(self.attempts).saturating_sub(FEWER_FOR_STRANGERS).max(1);
                    (sends, sends + 1)
                }
                Attempts::Times(times) => (u8::MAX, times.get()),
            };
            if request.timeouts >= attempts {
                let (owner, expect, to, acknowledged) =
                    (request.owner(), request.expect, request.to, request.acknowledged);
                self.remove(index);
                return Some(Due::Failed { owner, expect, to, acknowledged });
            }
            if request.released || request.timeouts >= sends {
                request.linger(self.max);
            } else {
                request.state = RequestState::Ready;
            }
            let slow = Due::Slow { owner: request.owner, expect: request.expect };
            let is_news = !request.released && request.timeouts == 1;
            self.recount();
            if is_news {
                return Some(slow);
            }
        }
        None
    }

    /// Releases the requests of all owners that match. Requests that were not sent are forgotten. Those in flight still
    /// wait for their responses, which show that a node is there; but they are not retransmitted, and are dropped when
    /// the table is full.
    pub fn release(&mut self, matches: impl Fn(&O) -> bool) {
        for request in &mut self.slots {
            if !request.released && matches(&request.owner) {
                request.released = true;
                if request.state == RequestState::Ready && request.was_sent() {
                    request.linger(self.max);
                }
            }
        }
        while let Some(index) = self.slots.iter().position(|request| request.released && !request.was_sent()) {
            self.remove(index);
        }
        self.recount();
    }

    /// When [`due`](Requests::due) may return something next. [`Instant::NEVER`] while nothing is in flight. Costs
    /// constant time.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// How many requests can begin: the number of slots that are free or whose request was released.
    #[must_use]
    pub fn free(&self) -> usize {
        self.slots.capacity().saturating_sub(self.slots.iter().filter(|request| !request.released).count())
    }

    /// The number of slots.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.slots.capacity()
    }

    /// The number of requests, including those that wait to be sent and those that were released.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there is no request.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// The index of the request that was sent with this transaction.
    fn index(&self, transaction: T) -> Option<usize> {
        self.slots.iter().position(|request| request.transaction == transaction && request.was_sent())
    }

    fn remove(&mut self, index: usize) {
        if index < self.slots.len() {
            self.slots.remove(index);
            self.recount();
        }
    }

    /// Counts what must be sent, and finds what is due first, after any request changed.
    fn recount(&mut self) {
        (self.ready, self.deadline) = (0, Instant::NEVER);
        for request in &self.slots {
            match request.state {
                RequestState::Ready => self.ready += 1,
                RequestState::InFlight => self.deadline = self.deadline.min(request.due()),
            }
        }
    }

    /// The first timeout for a node, in microseconds. `known` is what follows from the node's own round trip.
    fn first_timeout(&self, known: Option<Duration>) -> u32 {
        known.or_else(|| self.trip.timeout()).map_or(self.initial, micros).max(self.min).min(self.max)
    }
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("all slots for requests are taken")
    }
}

impl core::error::Error for Full {}
