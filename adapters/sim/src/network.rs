//! The network: nodes, what is on its way between them, and time.

use core::fmt;
use std::collections::{BTreeMap, HashMap, VecDeque};

use kadlet::routing::ContactState;
use kadlet::wire::{self, Body, Contacts, MAX_DATAGRAM, Request, Response, SEAL, Token};
use kadlet::{Config, Dht, Event, Id, Instant, Mode, Outcome, Record, Routing, Transmit};

use crate::arena::{Arena, MAINTENANCE};
use crate::judge::Watch;
use crate::meddling::Letter;
use crate::operation::{Running, Task};
use crate::queue::{Queue, What};
use crate::{Application, Checks, Ended, Ending, Links, Make, Members, Operation, Random, Room};

/// Nodes at the addresses 0, 1, 2 .., and the links between them. One seed and the same calls are one history, on every machine.
pub struct Network<M: Dht> {
    pub(crate) now: Instant,
    /// The links, which may be changed at any time.
    pub links: Links,
    /// How nodes that are added from now on behave.
    pub config: Config,
    /// How much nodes that are added from now on hold.
    pub room: Room,
    /// How lookups and gets go: iteratively unless set.
    pub lookup: Mode,
    /// Whether nodes with ideal tables are as alert to churn as new ones; if not, they are long in calm.
    pub(crate) alert: bool,
    /// The one stream of random numbers. Who draws from it between calls changes the history.
    pub random: Random,
    pub(crate) places: Vec<Place<M>>,
    /// All whose join has ended, and who still live.
    pub(crate) members: Members,
    pub(crate) living: u64,
    pub(crate) queue: Queue,
    pub(crate) arena: Arena,
    /// What strangers got.
    pub(crate) mail: VecDeque<Letter>,
    pub(crate) checks: Checks,
    pub(crate) watches: BTreeMap<Operation, Watch>,
    /// Who began each operation, in order.
    pub(crate) requesters: Vec<u32>,
    /// Which operations the questions that are passed on are for.
    pub(crate) requests: HashMap<Id, u32>,
    pub(crate) ended: VecDeque<Ended>,
    pub(crate) counts: Counts,
    /// Since when the living are counted as they are now.
    counted: Instant,
}

/// What was sent since [`Network::count_from_now`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Datagrams that an operation of the network's caused, answers included.
    pub test_datagrams: u64,
    /// Bytes in them: UDP payload.
    pub test_bytes: u64,
    /// Those of them that whoever began the operation sent, or got.
    pub requester_datagrams: u64,
    /// Bytes in them.
    pub requester_bytes: u64,
    /// All others.
    pub maintenance_datagrams: u64,
    /// Bytes in them.
    pub maintenance_bytes: u64,
    /// Microseconds that all nodes lived, together.
    pub node_micros: u128,
}

/// What is at an address.
pub(crate) struct Place<M: Dht> {
    pub(crate) node: Option<Box<M>>,
    pub(crate) id: Id,
    /// Whom it was before it restarted without its state.
    pub(crate) former: Vec<Id>,
    pub(crate) incarnation: u32,
    /// It left politely: whoever sends to it is told.
    pub(crate) closed: bool,
    /// A [stranger](Network::add_stranger) is here.
    pub(crate) strange: bool,
    /// Through whom it joins.
    pub(crate) known: Vec<u32>,
    /// When it is called next.
    wake: Instant,
    pub(crate) running: Vec<Running>,
    pub(crate) application: Option<Box<dyn Application<M>>>,
    pub(crate) called: Instant,
    /// Requests that reached it since [`Network::count_from_now`].
    pub(crate) served: u32,
}

impl<M: Dht> Place<M> {
    pub(crate) const fn new(id: Id) -> Self {
        Self {
            node: None,
            id,
            former: Vec::new(),
            incarnation: 0,
            closed: false,
            strange: false,
            known: Vec::new(),
            wake: Instant::NEVER,
            running: Vec::new(),
            application: None,
            called: Instant::NEVER,
            served: 0,
        }
    }

    /// A node begins here.
    pub(crate) fn begin(&mut self, node: Box<M>) {
        self.node = Some(node);
        self.closed = false;
        self.wake = Instant::NEVER;
        self.called = Instant::NEVER;
    }
}

impl<M: Make> Network<M> {
    /// A network without nodes.
    #[must_use]
    pub fn new(seed: u64, links: Links, config: Config) -> Self {
        // There is a past, in which ideal tables came about.
        let now = Instant::from_secs(12 * 3_600);
        Self {
            now,
            links,
            config,
            room: Room::DEFAULT,
            lookup: Mode::Iterative,
            alert: false,
            requests: HashMap::new(),
            random: Random::new(seed),
            places: Vec::new(),
            members: Members::new(),
            living: 0,
            queue: Queue::default(),
            arena: Arena::default(),
            mail: VecDeque::new(),
            checks: Checks::default(),
            watches: BTreeMap::new(),
            requesters: Vec::new(),
            ended: VecDeque::new(),
            counts: Counts::default(),
            counted: now,
        }
    }

    /// The time.
    #[must_use]
    pub const fn now(&self) -> Instant {
        self.now
    }

    /// What the checks found.
    #[must_use]
    pub const fn checks(&self) -> &Checks {
        &self.checks
    }

    /// Lets everything happen that is due by `end`, which it then is.
    pub fn run_until(&mut self, end: Instant) {
        while self.step(end) {}
    }

    /// Lets the next thing happen, if it is due by `end`; otherwise it is `end`, and nothing is left to do until then.
    pub fn step(&mut self, end: Instant) -> bool {
        let Some((at, what)) = self.queue.pop(end) else {
            self.now = self.now.max(end);
            return false;
        };
        self.now = at;
        match what {
            What::Arrival(place) => self.arrive(place),
            What::Wake(address) => self.wake(address),
            What::Unreachable(from, to) => drop(self.with(from, |node, now| node.handle_unreachable(now, to))),
            What::Call(address) => self.call(address),
            What::Join(address, incarnation) => self.join_again(address, incarnation),
        }
        true
    }

    /// The next operation that ended, in the order in which they did.
    pub fn next_ended(&mut self) -> Option<Ended> {
        self.ended.pop_front()
    }

    /// Begins to count from zero: traffic, and what each node serves.
    pub fn count_from_now(&mut self) {
        self.counts = Counts::default();
        self.counted = self.now;
        for place in &mut self.places {
            place.served = 0;
        }
    }

    /// What was counted.
    pub fn counts(&mut self) -> Counts {
        self.count_living();
        self.counts
    }

    /// The requests that the busiest living node got, over the mean of the living; 0 if there were none.
    #[must_use]
    pub fn load_max_over_mean(&self) -> f64 {
        let served = self.places.iter().filter(|place| place.node.is_some()).map(|place| u64::from(place.served));
        let (max, sum) = served.fold((0, 0), |(max, sum), served| (served.max(max), sum + served));
        if sum == 0 { 0.0 } else { max as f64 * self.living as f64 / sum as f64 }
    }

    /// Calls a node that lives, then sends and tells what comes of it.
    pub(crate) fn with<T>(&mut self, address: u32, call: impl FnOnce(&mut M, Instant) -> T) -> Option<T> {
        let mut node = self.places.get_mut(address as usize)?.node.take()?;
        let result = call(&mut node, self.now);
        self.settle(address, &mut node);
        self.places[address as usize].node = Some(node);
        Some(result)
    }

    /// How many live is about to change.
    pub(crate) fn count_living(&mut self) {
        self.counts.node_micros += self.now.since(self.counted).as_micros() * u128::from(self.living);
        self.counted = self.now;
    }

    pub(crate) fn arrive(&mut self, place: u32) {
        let (mut datagram, mut response) = ([0; MAX_DATAGRAM], [0; MAX_DATAGRAM]);
        let (flight, len) = self.arena.take(place, &mut datagram);
        let datagram = &datagram[..len];
        let at = &mut self.places[flight.to as usize];
        let Some(mut node) = at.node.take() else {
            if at.strange {
                self.mail.push_back(Letter { from: flight.from, to: flight.to, datagram: datagram.to_vec() });
            } else if at.closed {
                let back = self.now + self.links.latency.round_trip(flight.from, flight.to) / 2;
                self.queue.push(back, What::Unreachable(flight.from, flight.to));
            }
            return;
        };
        if let Some(out) = node.handle_datagram(self.now, flight.from, datagram, &mut response) {
            at.served += 1;
            let response = &response[..out.len];
            self.check_response(flight.to, out.to, &node, datagram, response);
            self.transmit(flight.to, out.to, flight.cause, response);
        }
        self.count_requester(flight.to, flight.cause, len);
        self.settle(flight.to, &mut node);
        self.places[flight.to as usize].node = Some(node);
    }

    fn wake(&mut self, address: u32) {
        let place = &mut self.places[address as usize];
        if place.wake > self.now || place.wake == Instant::NEVER {
            return;
        }
        place.wake = Instant::NEVER;
        // Upkeep may have been put off meanwhile.
        self.with(address, |node, now| {
            if node.poll_timeout().is_some_and(|(at, _)| at <= now) {
                node.handle_timeout(now);
            }
        });
    }

    fn call(&mut self, address: u32) {
        let place = &mut self.places[address as usize];
        if place.called > self.now {
            return;
        }
        place.called = Instant::NEVER;
        if let Some(mut node) = place.node.take() {
            self.act(address, &mut node);
            self.settle(address, &mut node);
            self.places[address as usize].node = Some(node);
        }
    }

    /// Sends all that a node has to send, tells what happened at it, and finds out when to call it next.
    fn settle(&mut self, address: u32, node: &mut M) {
        let mut buf = [0; MAX_DATAGRAM];
        loop {
            while let Some(out) = node.poll_transmit(self.now, &mut buf) {
                self.send(address, &out, &buf);
            }
            if !self.tell(address, node) {
                break;
            }
        }
        let Some((at, _)) = node.poll_timeout() else {
            return;
        };
        let place = &mut self.places[address as usize];
        if at < place.wake {
            // Nothing is left to send, so what is due at once is due by time alone, and may only become due by it.
            place.wake = at.max(self.now);
            self.queue.push(place.wake, What::Wake(address));
        }
    }

    /// Tells the next event of a node to whom it concerns; false if there was none.
    fn tell(&mut self, address: u32, node: &mut M) -> bool {
        let Some(event) = node.poll_event() else {
            return false;
        };
        let place = &mut self.places[address as usize];
        if let Some(application) = &mut place.application {
            application.event(self.now, &event);
        }
        if let Event::QueryResult(done) = &event {
            self.checks.ended(self.now, address, place.incarnation, done.query);
            if let Some(index) = place.running.iter().position(|running| running.query == done.query) {
                let running = place.running.swap_remove(index);
                let ending = self.ending(address, &running, &done.outcome);
                self.end(address, &running, ending, done.stats);
            }
        }
        if self.places[address as usize].application.is_some() {
            self.act(address, node);
        }
        true
    }

    /// Lets the application at a node act.
    fn act(&mut self, address: u32, node: &mut M) {
        let place = &mut self.places[address as usize];
        let Some(at) = place.application.as_mut().and_then(|application| application.act(self.now, node)) else {
            return;
        };
        let at = at.max(self.now);
        if place.called != at {
            place.called = at;
            self.queue.push(at, What::Call(address));
        }
    }

    fn ending(&mut self, address: u32, running: &Running, outcome: &Outcome<'_, u32>) -> Ending {
        match outcome {
            Outcome::Pong { .. } => Ending::Pong,
            Outcome::Joined { .. } => Ending::Joined,
            Outcome::Nodes(found) => {
                // One that is still joining is no member yet: finding it first as well is no error.
                let joins = |address: &u32| self.places[*address as usize].node.is_some() && !self.is_member(*address);
                let closest = found.iter().map(|contact| contact.address).find(|address| !joins(address));
                let watch = self.watches.get(&running.operation);
                Ending::Found {
                    closest,
                    right: closest.is_some_and(|closest| watch.is_some_and(|watch| watch.holds(closest))),
                }
            }
            Outcome::Value { record, holders, .. } => {
                if let Task::Get(key) = running.task {
                    self.checks.got(self.now, address, key, record.key(), record.version());
                }
                Ending::Value { value: record.value.to_vec(), version: record.version(), holders: holders.len() }
            }
            Outcome::NotFound { .. } => Ending::NotFound,
            Outcome::Stored { holders, wanted } => Ending::Stored { holders: holders.len(), wanted: *wanted },
            Outcome::Conflict { .. } => Ending::Conflict,
            Outcome::Failed(_) if matches!(running.task, Task::Find(_)) => {
                Ending::Found { closest: None, right: false }
            }
            Outcome::Failed(failure) => Ending::Failed(*failure),
        }
    }

    fn send(&mut self, from: u32, out: &Transmit<u32>, buf: &[u8]) {
        let datagram = &buf[..out.len];
        let running = &self.places[from as usize].running;
        let idle = self.requests.is_empty() && running.iter().all(|running| running.task.target().is_none());
        let cause = if idle { MAINTENANCE } else { cause(running, &self.requests, datagram) };
        self.transmit(from, out.to, cause, datagram);
    }

    pub(crate) fn transmit(&mut self, from: u32, to: u32, cause: u32, datagram: &[u8]) {
        let largest = self.config.max_datagram - SEAL;
        self.checks.require(datagram.len() <= largest, || {
            format!("{from} sent {} bytes; {largest} is the most", datagram.len())
        });
        if cause == MAINTENANCE {
            self.counts.maintenance_datagrams += 1;
            self.counts.maintenance_bytes += datagram.len() as u64;
        } else {
            self.counts.test_datagrams += 1;
            self.counts.test_bytes += datagram.len() as u64;
        }
        self.count_requester(from, cause, datagram.len());
        let exists = (to as usize) < self.places.len();
        let arrivals = self.links.send(self.now, from, to, datagram.len(), &mut self.random);
        if !exists || !self.links.connects(self.now, from, to) {
            return;
        }
        for at in arrivals.into_iter().flatten() {
            let place = self.arena.put(from, to, cause, datagram);
            self.queue.push(at, What::Arrival(place));
        }
    }

    /// A node sent or got a datagram: counts it if the node began the operation that caused it.
    fn count_requester(&mut self, address: u32, cause: u32, len: usize) {
        if self.requesters.get(cause as usize) == Some(&address) {
            self.counts.requester_datagrams += 1;
            self.counts.requester_bytes += len as u64;
        }
    }

    fn check_response(&mut self, holder: u32, requester: u32, node: &M, request: &[u8], response: &[u8]) {
        let decoded = wire::decode::<u32>(response);
        let Ok(wire::Message { body: Body::Response { token, response }, header }) = decoded else {
            self.checks.require(false, || format!("{holder} answered what is no answer: {decoded:?}"));
            return;
        };
        self.checks
            .require(header.sender == self.places[holder as usize].id, || format!("{holder} answered as another"));
        self.checks.token_given(self.now, holder, requester, token);
        match response {
            Response::Nodes { contacts }
            | Response::Value { contacts, .. }
            | Response::StoredRecord { contacts, .. } => {
                self.check_contacts(holder, node, contacts);
            }
            Response::Stored { .. } => self.checks.stored(self.now, holder, requester, token_shown(request)),
            // What others named is passed on as it came.
            Response::Pong { .. } | Response::Accepted | Response::Relayed { .. } | Response::Error { .. } => {}
        }
    }

    fn check_contacts(&mut self, holder: u32, node: &M, contacts: Contacts<'_, u32>) {
        for contact in contacts.iter() {
            let verified = node.routing().get(&contact.id).is_some_and(|peer| peer.state == ContactState::Verified);
            self.checks.require(verified, || format!("{holder} named {contact:?}, which it has not verified"));
            let place = self.places.get(contact.address as usize);
            let real = place.is_some_and(|place| place.id == contact.id || place.former.contains(&contact.id));
            self.checks.require(real, || format!("{holder} named {contact:?}, who never was"));
        }
    }
}

/// The operation that a question is for, if it is for one of these.
fn cause(running: &[Running], requests: &HashMap<Id, u32>, datagram: &[u8]) -> u32 {
    let Ok(wire::Message { body: Body::Request { request, .. }, .. }) = wire::decode::<u32>(datagram) else {
        return MAINTENANCE;
    };
    let target = match request {
        Request::FindNode { target } => target,
        Request::FindValue { key, .. } => key.id,
        Request::Store { record, .. } => Record::key(&record).id,
        Request::Relay { target, .. } => return requests.get(target.id()).copied().unwrap_or(MAINTENANCE),
        Request::Ping | Request::Unknown { .. } => return MAINTENANCE,
    };
    let found = running.iter().find(|running| running.task.target() == Some(target));
    found.map_or(MAINTENANCE, |running| running.operation.0)
}

fn token_shown(request: &[u8]) -> Option<Token> {
    match wire::decode::<u32>(request).ok()?.body {
        Body::Request { token, .. } => token,
        Body::Response { .. } => None,
    }
}

impl<M: Dht> fmt::Debug for Network<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network").field("now", &self.now).field("living", &self.living).finish_non_exhaustive()
    }
}
