//! A small deterministic network in memory for tests of whole nodes: one seed is one history.

#![allow(dead_code, missing_debug_implementations, reason = "each test binary uses a part")]

use core::net::SocketAddrV4;
use core::time::Duration;
use std::collections::BTreeMap;

use kadlet::wire::MAX_DATAGRAM;
use kadlet::{
    Address, Config, Dht, Event, FixedStore, Id, Instant, Kademlia, Network, Node, Outcome, QueryId, QueryResult,
    Routing, Serve, Store,
};

/// A node of a microcontroller's size with the table, or in the network, `N`. It forwards up to `RELAYS` requests at
/// once.
pub type MoteWith<N, const RELAYS: usize = 0> = Node<N, FixedStore<32, 8192>, 4, 24, 1, 16, 16, 4, RELAYS>;
/// A node of a microcontroller's size, with Kademlia's table.
pub type Mote = MoteWith<Kademlia<u16, 128>>;

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

/// A kind of address that numbers the nodes of a network.
pub trait Place: Address {
    /// The address of the `n`-th node, from 1 on.
    fn nth(n: u16) -> Self;

    /// The number of the node that has this address, or 0 if there is none.
    fn number(self) -> usize;

    /// The seat of that node in its address prefix, if it has one.
    fn seat(self) -> u16 {
        0
    }
}

impl Place for u16 {
    fn nth(n: u16) -> Self {
        n
    }

    fn number(self) -> usize {
        usize::from(self)
    }
}

/// Global addresses, each with an address prefix of its own.
impl Place for SocketAddrV4 {
    fn nth(n: u16) -> Self {
        let [high, low] = n.to_be_bytes();
        Self::new([11, high, low, 1].into(), 4000)
    }

    fn number(self) -> usize {
        match (self.ip().octets(), self.port()) {
            ([11, high, low, 1], 4000) => usize::from(u16::from_be_bytes([high, low])),
            _ => 0,
        }
    }
}

/// A datagram that was sent.
#[derive(Clone, Debug)]
pub struct Seen<A> {
    pub at: Instant,
    pub from: A,
    pub to: A,
    pub bytes: Vec<u8>,
}

/// What an attacker sends in place of a datagram. `None` if it sends that.
type Forge<A> = dyn Fn(A, A, &[u8]) -> Option<Vec<u8>>;

/// Nodes at addresses 1, 2, .. and the datagrams between them.
pub struct Net<M: Dht = Mote> {
    pub now: Instant,
    pub nodes: Vec<Option<Box<M>>>,
    pub random: Random,
    /// How many of a thousand datagrams are lost.
    pub loss: usize,
    /// A hash of all datagrams that were sent: equal histories have equal digests.
    pub digest: u64,
    pub datagrams: usize,
    /// Where the nodes are that have moved, by number.
    pub moved: BTreeMap<usize, M::Address>,
    /// All datagrams that were sent since this was set to `Some`.
    pub tap: Option<Vec<Seen<M::Address>>>,
    /// Sees each datagram before it is sent, with its source and its destination, and can send another in its place.
    pub forge: Option<Box<Forge<M::Address>>>,
    /// Datagrams on their way, by time of arrival and then by the order in which they were sent.
    queue: BTreeMap<(Instant, u64), Seen<M::Address>>,
    sent: u64,
    seed: u64,
}

impl<M: Dht> Drop for Net<M> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the network's seed was {}", self.seed);
        }
    }
}

/// Identifiers are not bound: the peers that a test plays by hand have those of its choice. Nodes don't find out
/// whether they can be reached.
pub fn config() -> Config {
    Config { plain: true, bind_ids: false, serve: Serve::Always, ..Config::default() }
}

impl<M: Dht<Address: Place>> Net<M> {
    pub fn new(seed: u64) -> Self {
        Self {
            now: Instant::from_secs(1),
            nodes: Vec::new(),
            random: Random::new(seed),
            loss: 0,
            digest: 0,
            datagrams: 0,
            moved: BTreeMap::new(),
            tap: None,
            forge: None,
            queue: BTreeMap::new(),
            sent: 0,
            seed,
        }
    }

    /// Adds a node made by `make`, and returns its address.
    pub fn add(&mut self, make: impl FnOnce(Instant, Id, [u8; 32]) -> Box<M>) -> M::Address {
        let (id, seed) = (Id::from_bytes(self.random.bytes()), self.random.bytes());
        let address = M::Address::nth(self.nodes.len() as u16 + 1);
        let id = address.prefix().map_or(id, |prefix| Id::bound(prefix, address.seat()));
        self.nodes.push(Some(make(self.now, id, seed)));
        address
    }

    pub fn node(&mut self, address: M::Address) -> &mut M {
        self.nodes[address.number() - 1].as_mut().expect("the node is alive")
    }

    pub fn is_alive(&self, address: M::Address) -> bool {
        self.nodes[address.number() - 1].is_some()
    }

    pub fn kill(&mut self, address: M::Address) {
        self.nodes[address.number() - 1] = None;
    }

    /// Replaces the node at an address, which may be dead.
    pub fn replace(&mut self, address: M::Address, node: Box<M>) {
        self.nodes[address.number() - 1] = Some(node);
    }

    pub fn living(&self) -> Vec<M::Address> {
        (1..=self.nodes.len() as u16).map(M::Address::nth).filter(|address| self.is_alive(*address)).collect()
    }

    /// The address of the node with this number.
    pub fn place(&self, number: usize) -> M::Address {
        self.moved.get(&number).copied().unwrap_or(M::Address::nth(number as u16))
    }

    /// Sends a datagram, which arrives later or is lost.
    pub fn send(&mut self, from: M::Address, to: M::Address, datagram: &[u8]) {
        self.datagrams += 1;
        let forged = self.forge.as_ref().and_then(|forge| forge(from, to, datagram));
        let datagram = forged.as_deref().unwrap_or(datagram);
        for byte in datagram.iter().chain(from.encode().as_bytes()).chain(to.encode().as_bytes()) {
            self.digest = (self.digest ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01B3);
        }
        let seen = Seen { at: self.now, from, to, bytes: datagram.to_vec() };
        if let Some(tap) = &mut self.tap {
            tap.push(seen.clone());
        }
        if self.random.below(1_000) < self.loss {
            return;
        }
        let latency = Duration::from_micros(5_000 + self.random.below(20_000) as u64);
        self.sent += 1;
        self.queue.insert((self.now + latency, self.sent), seen);
    }

    /// Sends all datagrams that the nodes have to send.
    pub fn flush(&mut self) {
        let mut buf = [0; MAX_DATAGRAM];
        for index in 0..self.nodes.len() {
            let now = self.now;
            while let Some(out) = self.nodes[index].as_mut().and_then(|node| node.poll_transmit(now, &mut buf)) {
                self.send(self.place(index + 1), out.to, &buf[..out.len]);
            }
        }
    }

    /// Moves the clock to the next arrival or deadline and handles it. Returns false if `end` comes first.
    pub fn step(&mut self, end: Instant) -> bool {
        self.flush();
        let arrival = self.queue.first_key_value().map_or(Instant::NEVER, |((at, _), _)| *at);
        let timers = self.nodes.iter().flatten().filter_map(|node| node.poll_timeout()).map(|(at, _)| at).min();
        let next = arrival.min(timers.unwrap_or(Instant::NEVER)).max(self.now);
        if next > end {
            self.now = end;
            return false;
        }
        self.now = next;
        let mut buf = [0; MAX_DATAGRAM];
        while let Some(first) = self.queue.first_entry().filter(|first| first.key().0 <= next) {
            let (at, Seen { from, to, bytes, .. }) = (first.key().0, first.remove());
            let here = self.place(to.number()) == to;
            let node = self.nodes.get_mut(to.number().wrapping_sub(1)).and_then(Option::as_mut).filter(|_| here);
            if let Some(out) = node.and_then(|node| node.handle_datagram(at, from, &bytes, &mut buf)) {
                self.send(to, out.to, &buf[..out.len]);
            }
        }
        for node in self.nodes.iter_mut().flatten() {
            if node.poll_timeout().is_some_and(|(at, _)| at <= next) {
                node.handle_timeout(next);
            }
        }
        true
    }

    pub fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.step(end) {}
    }

    /// Runs until an operation ends, and returns what `read` makes of its result. Panics after two minutes.
    pub fn wait<T>(
        &mut self,
        address: M::Address,
        query: QueryId,
        read: impl Fn(&QueryResult<'_, M::Address>) -> T,
    ) -> T {
        let end = self.now + Duration::from_secs(120);
        loop {
            if let Some(result) = self.node(address).take_result(query) {
                return read(&result);
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

impl<
    N: Network<Routing: Routing<Address: Place>>,
    S: Store,
    const OPERATIONS: usize,
    const SHORTLIST: usize,
    const VALUES: usize,
    const REQUESTS: usize,
    const SOURCES: usize,
    const BOOTSTRAPS: usize,
    const RELAYS: usize,
> Net<Node<N, S, OPERATIONS, SHORTLIST, VALUES, REQUESTS, SOURCES, BOOTSTRAPS, RELAYS>>
{
    /// A network of nodes, one for each configuration, that joined one after another through the first.
    pub fn grown(seed: u64, configs: impl IntoIterator<Item = Config>) -> Self {
        let mut net = Self::new(seed);
        for config in configs {
            net.join(config);
        }
        net.run(Duration::from_secs(5));
        net.drain_events();
        net
    }

    /// Adds one node, which joins through the first living node, if there is one.
    pub fn join(&mut self, config: Config) -> <N::Routing as Routing>::Address {
        let known = self.living().first().copied();
        let address = self.add(|now, id, seed| Box::new(Node::new(now, config, id, seed).unwrap()));
        if let Some(known) = known {
            let now = self.now;
            let query = self.node(address).bootstrap(now, &[known]).unwrap().query;
            self.wait(address, query, |result| {
                assert!(matches!(result.outcome, Outcome::Joined { .. }), "{:?}", result.outcome)
            });
        }
        address
    }
}

impl Net<Mote> {
    /// A network of motes of one configuration.
    pub fn joined(seed: u64, count: usize, config: Config) -> Self {
        Self::grown(seed, core::iter::repeat_n(config, count))
    }
}
