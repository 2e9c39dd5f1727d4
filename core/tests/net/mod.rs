//! A small deterministic network in memory for tests of whole nodes: one seed is one history.

#![allow(dead_code, missing_debug_implementations, reason = "each test binary uses a part")]

use core::cmp::Reverse;
use core::time::Duration;
use std::collections::BinaryHeap;

use kadlet::wire::MAX_DATAGRAM;
use kadlet::{Address, Config, Done, Event, FixedStore, Id, Instant, Kademlia, Machine, Node, Query};

/// A node like a microcontroller's.
pub type Mote = Node<Kademlia<u16, 128>, FixedStore<32, 8192>, 4>;

/// A stream of numbers from a seed: xorshift64*.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() >> 33) as usize % bound.max(1)
    }

    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        core::array::from_fn(|_| (self.next() >> 56) as u8)
    }
}

/// When it arrives, in which order it was sent, from, to, and what.
type Flight = (Instant, u64, u16, u16, Vec<u8>);

/// Nodes at addresses 1, 2, .. and the datagrams between them.
pub struct Net<M = Mote> {
    pub now: Instant,
    pub nodes: Vec<Option<Box<M>>>,
    pub random: Random,
    /// Of a thousand datagrams, so many are lost.
    pub loss: usize,
    /// All that was sent, hashed: equal histories have equal digests.
    pub digest: u64,
    pub datagrams: usize,
    queue: BinaryHeap<Reverse<Flight>>,
    sent: u64,
    seed: u64,
}

impl<M> Drop for Net<M> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the network's seed was {}", self.seed);
        }
    }
}

pub fn config() -> Config {
    Config { plain: true, ..Config::default() }
}

impl<M: Machine<Address = u16>> Net<M> {
    pub fn new(seed: u64) -> Self {
        Self {
            now: Instant::from_secs(1),
            nodes: Vec::new(),
            random: Random::new(seed),
            loss: 0,
            digest: 0,
            datagrams: 0,
            queue: BinaryHeap::new(),
            sent: 0,
            seed,
        }
    }

    /// Adds a node made by `make`, and tells its address.
    pub fn add(&mut self, make: impl FnOnce(Instant, Id, [u8; 32]) -> Box<M>) -> u16 {
        let (id, seed) = (Id::from_bytes(self.random.bytes()), self.random.bytes());
        self.nodes.push(Some(make(self.now, id, seed)));
        self.nodes.len() as u16
    }

    pub fn node(&mut self, address: u16) -> &mut M {
        self.nodes[usize::from(address) - 1].as_mut().expect("the node lives")
    }

    pub fn is_alive(&self, address: u16) -> bool {
        self.nodes[usize::from(address) - 1].is_some()
    }

    pub fn kill(&mut self, address: u16) {
        self.nodes[usize::from(address) - 1] = None;
    }

    pub fn living(&self) -> Vec<u16> {
        (1..=self.nodes.len() as u16).filter(|address| self.is_alive(*address)).collect()
    }

    /// Puts a datagram on its way.
    pub fn send(&mut self, from: u16, to: u16, datagram: &[u8]) {
        self.datagrams += 1;
        for byte in datagram.iter().chain(&from.to_be_bytes()).chain(&to.to_be_bytes()) {
            self.digest = (self.digest ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01B3);
        }
        if self.random.below(1_000) < self.loss {
            return;
        }
        let latency = Duration::from_micros(5_000 + self.random.below(20_000) as u64);
        self.sent += 1;
        self.queue.push(Reverse((self.now + latency, self.sent, from, to, datagram.to_vec())));
    }

    /// Sends all that nodes have to send.
    pub fn flush(&mut self) {
        let mut buf = [0; MAX_DATAGRAM];
        for index in 0..self.nodes.len() {
            let now = self.now;
            while let Some(out) = self.nodes[index].as_mut().and_then(|node| node.poll_transmit(now, &mut buf)) {
                self.send(index as u16 + 1, out.to, &buf[..out.len]);
            }
        }
    }

    /// Goes to the next thing that happens, but no further than `end`; false if that is reached.
    pub fn step(&mut self, end: Instant) -> bool {
        self.flush();
        let arrival = self.queue.peek().map_or(Instant::NEVER, |Reverse((at, ..))| *at);
        let timers = self.nodes.iter().flatten().filter_map(|node| node.poll_timeout()).map(|(at, _)| at).min();
        let next = arrival.min(timers.unwrap_or(Instant::NEVER)).max(self.now);
        if next > end {
            self.now = end;
            return false;
        }
        self.now = next;
        let mut buf = [0; MAX_DATAGRAM];
        while self.queue.peek().is_some_and(|Reverse((at, ..))| *at <= self.now) {
            let Some(Reverse((at, _, from, to, datagram))) = self.queue.pop() else {
                break;
            };
            let node = self.nodes.get_mut(usize::from(to).wrapping_sub(1)).and_then(Option::as_mut);
            if let Some(out) = node.and_then(|node| node.handle_datagram(at, from, &datagram, &mut buf)) {
                self.send(to, out.to, &buf[..out.len]);
            }
        }
        let now = self.now;
        for node in self.nodes.iter_mut().flatten() {
            if node.poll_timeout().is_some_and(|(at, _)| at <= now) {
                node.handle_timeout(now);
            }
        }
        true
    }

    pub fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.step(end) {}
    }

    /// Runs until an operation ends, and tells how through `read`. Other events of its node are dropped.
    pub fn wait<T>(&mut self, address: u16, query: Query, read: impl Fn(&Done<'_, u16>) -> T) -> T {
        let end = self.now + Duration::from_secs(120);
        loop {
            if let Some(done) = self.node(address).take(query) {
                return read(&done);
            }
            assert!(self.step(end), "the operation never ended");
        }
    }

    pub fn drain_events(&mut self) {
        for node in self.nodes.iter_mut().flatten() {
            while let Some(event) = node.poll_event() {
                assert!(!matches!(event, Event::OwnIdSeen { .. }));
            }
        }
    }
}

impl Net<Mote> {
    /// A network of motes that have joined one after another through the first.
    pub fn joined(seed: u64, count: usize, config: Config) -> Self {
        let mut net = Self::new(seed);
        for _ in 0..count {
            net.join(config);
        }
        net.run(Duration::from_secs(5));
        net.drain_events();
        net
    }

    /// Adds one node, which joins through a living one, if any.
    pub fn join(&mut self, config: Config) -> u16 {
        let known = self.living().first().copied();
        let address = self.add(|now, id, seed| Box::new(Mote::new(now, config, id, seed)));
        if let Some(known) = known {
            let now = self.now;
            let query = self.node(address).bootstrap(now, &[known]).unwrap();
            self.wait(address, query, |done| assert!(matches!(done.outcome, kadlet::Outcome::Joined { .. }), "{:?}", done.outcome));
        }
        address
    }
}

/// What is sent to no address.
pub fn nowhere() -> u16 {
    u16::EMPTY
}
