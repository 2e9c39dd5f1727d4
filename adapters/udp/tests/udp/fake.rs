//! A `Dht` that sends and reports what a test tells it to, echoes what it receives, and remembers which addresses were
//! unreachable.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::VecDeque;

use kadlet::{
    BeginError, Config, Contact, Dht, Event, FixedStore, GetError, Id, Instant, Joining, Kademlia, Key, Node, Options,
    Progress, PutError, QueryId, QueryResult, Record, RestoreError, Stats, Transmit, WakeReason,
};

pub(crate) type Mote = Node<Kademlia<SocketAddr, 128>, FixedStore<32, 8192>>;

pub(crate) fn mote() -> Mote {
    mote_with(Config::default())
}

pub(crate) fn mote_with(config: Config) -> Mote {
    Mote::new(Instant::ZERO, config, kadlet_udp::random_id().unwrap(), kadlet_udp::seed().unwrap()).unwrap()
}

pub(crate) struct Fake {
    /// Handles all calls that the fake doesn't implement itself.
    node: Mote,
    pub(crate) outgoing: VecDeque<(SocketAddr, Vec<u8>)>,
    pub(crate) events: VecDeque<Event<'static, SocketAddr>>,
    pub(crate) received: Vec<(SocketAddr, Vec<u8>)>,
    pub(crate) unreachable: Vec<SocketAddr>,
}

impl Fake {
    pub(crate) fn new() -> Self {
        Self {
            node: mote(),
            outgoing: VecDeque::new(),
            events: VecDeque::new(),
            received: Vec::new(),
            unreachable: Vec::new(),
        }
    }
}

impl Dht for Fake {
    type Address = SocketAddr;
    type Routing = <Mote as Dht>::Routing;
    type Store = <Mote as Dht>::Store;

    fn handle_datagram(
        &mut self,
        _: Instant,
        from: SocketAddr,
        datagram: &[u8],
        buf: &mut [u8],
    ) -> Option<Transmit<SocketAddr>> {
        self.received.push((from, datagram.to_vec()));
        buf[..datagram.len()].copy_from_slice(datagram);
        Some(Transmit { to: from, len: datagram.len() })
    }

    fn handle_unreachable(&mut self, _: Instant, to: SocketAddr) {
        self.unreachable.push(to);
    }

    fn poll_transmit(&mut self, _: Instant, buf: &mut [u8]) -> Option<Transmit<SocketAddr>> {
        let (to, datagram) = self.outgoing.pop_front()?;
        buf[..datagram.len()].copy_from_slice(&datagram);
        Some(Transmit { to, len: datagram.len() })
    }

    fn poll_timeout(&self) -> Option<(Instant, WakeReason)> {
        (!self.outgoing.is_empty()).then_some((Instant::ZERO, WakeReason::Transmit))
    }

    fn handle_timeout(&mut self, _: Instant) {}

    fn poll_event_except(&mut self, _: &dyn Fn(QueryId) -> bool) -> Option<Event<'_, SocketAddr>> {
        self.events.pop_front()
    }

    fn take_result(&mut self, query: QueryId) -> Option<QueryResult<'_, SocketAddr>> {
        self.node.take_result(query)
    }

    fn progress(&self, query: QueryId) -> Option<Progress<'_, SocketAddr>> {
        self.node.progress(query)
    }

    fn id(&self) -> Id {
        self.node.id()
    }

    fn bootstrap(&mut self, now: Instant, addresses: &[SocketAddr]) -> Result<Joining, BeginError> {
        self.node.bootstrap(now, addresses)
    }

    fn ping(&mut self, now: Instant, address: SocketAddr) -> Result<QueryId, BeginError> {
        self.node.ping(now, address)
    }

    fn find_node(&mut self, now: Instant, target: Id, options: &Options) -> Result<QueryId, BeginError> {
        self.node.find_node(now, target, options)
    }

    fn get(&mut self, now: Instant, key: Key, options: &Options) -> Result<QueryId, GetError> {
        self.node.get(now, key, options)
    }

    fn put(&mut self, now: Instant, record: &Record<'_>, options: &Options) -> Result<QueryId, PutError> {
        self.node.put(now, record, options)
    }

    fn unpublish(&mut self, key: &Key) -> bool {
        self.node.unpublish(key)
    }

    fn cancel(&mut self, query: QueryId) {
        self.node.cancel(query);
    }

    fn restore_contact(&mut self, now: Instant, contact: Contact<SocketAddr>) {
        self.node.restore_contact(now, contact);
    }

    fn restore_record(
        &mut self,
        now: Instant,
        record: &Record<'_>,
        lifetime: Duration,
        publish: bool,
    ) -> Result<(), RestoreError> {
        self.node.restore_record(now, record, lifetime, publish)
    }

    fn stats(&self) -> &Stats {
        self.node.stats()
    }

    fn operations(&self) -> usize {
        self.node.operations()
    }

    fn routing(&self) -> &Self::Routing {
        self.node.routing()
    }

    fn store(&self) -> &Self::Store {
        self.node.store()
    }
}
