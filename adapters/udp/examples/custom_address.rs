//! A link of your own: sixteen nodes with radio addresses, connected in memory. There is no socket, and time is a
//! number.
//!
//! A node needs three things of a link: an address type, a way to send a datagram to an address, and the sender's
//! address of each datagram that it receives.

use std::collections::{BTreeMap, VecDeque};

use kadlet::wire::MAX_DATAGRAM;
use kadlet::{
    Address, Config, Dht, EncodedAddress, FixedStore, Instant, Kademlia, Node, Options, Outcome, QueryId, Record, Store,
};

type Error = Box<dyn core::error::Error>;
type MyNode = Node<Kademlia<Radio, 64>, FixedStore<32, 8192>>;

/// The 8-byte address of an IEEE 802.15.4 radio.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Radio([u8; 8]);

impl Radio {
    /// Families from 128 to 255 are for private links. All nodes of a network must use the same.
    const FAMILY: u8 = 128;
    const BROADCAST: Self = Self([0xFF; 8]);
}

impl Address for Radio {
    const EMPTY: Self = Self([0; 8]);

    fn encode(&self) -> EncodedAddress {
        EncodedAddress::new(Self::FAMILY, &self.0)
    }

    // What no datagram can be sent to is no address: otherwise other nodes would put it into their tables.
    fn decode(family: u8, bytes: &[u8]) -> Option<Self> {
        let address = Self(bytes.try_into().ok()?);
        (family == Self::FAMILY && address != Self::EMPTY && address != Self::BROADCAST).then_some(address)
    }
}

fn main() -> Result<(), Error> {
    let mut link = Link::new(16)?;
    let addresses: Vec<Radio> = link.nodes.keys().copied().collect();
    for address in &addresses[1..] {
        link.run(*address, |node, now| Ok(node.bootstrap(now, &addresses[..1])?.query))?;
    }
    let record = Record::immutable(b"hello world");
    link.run(addresses[0], |node, now| Ok(node.put(now, &record, &Options::default())?))?;

    let without = |(_, node): &(&Radio, &MyNode)| node.store().find(&record.key()).is_none();
    let reader = *link.nodes.iter().find(without).ok_or("every node holds the record")?.0;
    link.run(reader, |node, now| Ok(node.get(now, record.key(), &Options::default())?))
}

/// All nodes within reach of each other. Datagrams arrive at once, and none is lost.
struct Link {
    nodes: BTreeMap<Radio, MyNode>,
    now: Instant,
}

impl Link {
    fn new(count: u8) -> Result<Self, Error> {
        let mut nodes = BTreeMap::new();
        for number in 1..=count {
            let (id, seed) = (kadlet_udp::random_id()?, kadlet_udp::seed()?);
            let node = MyNode::new(Instant::ZERO, Config::default(), id, seed)?;
            nodes.insert(Radio([0x02, 0, 0, 0, 0, 0, 0, number]), node);
        }
        Ok(Self { nodes, now: Instant::ZERO })
    }

    /// Begins an operation at one node, and runs all nodes until it has ended.
    fn run(
        &mut self,
        at: Radio,
        begin: impl FnOnce(&mut MyNode, Instant) -> Result<QueryId, Error>,
    ) -> Result<(), Error> {
        let query = begin(self.nodes.get_mut(&at).ok_or("no such node")?, self.now)?;
        loop {
            if let Some(done) = self.nodes.get_mut(&at).and_then(|node| node.take_result(query)) {
                match done.outcome {
                    Outcome::Joined { neighbours } => println!("{at:?} joined: {} neighbours", neighbours.len()),
                    Outcome::Stored { holders, wanted, .. } => {
                        println!("stored at {} of {wanted} nodes", holders.len())
                    }
                    Outcome::Value { record, .. } => println!("{at:?} got {}", String::from_utf8_lossy(record.value)),
                    other => return Err(format!("{at:?}: {other:?}").into()),
                }
                return Ok(());
            }
            if !self.deliver() {
                self.wait()?;
            }
        }
    }

    /// Delivers what the nodes have to send, and the responses. Returns whether there was anything.
    fn deliver(&mut self) -> bool {
        let mut buf = [0; MAX_DATAGRAM];
        let mut datagrams = VecDeque::new();
        for (from, node) in &mut self.nodes {
            while let Some(out) = node.poll_transmit(self.now, &mut buf) {
                datagrams.push_back((*from, out.to, buf[..out.len].to_vec()));
            }
        }
        let any = !datagrams.is_empty();
        while let Some((from, to, datagram)) = datagrams.pop_front() {
            let Some(node) = self.nodes.get_mut(&to) else { continue };
            if let Some(response) = node.handle_datagram(self.now, from, &datagram, &mut buf) {
                datagrams.push_back((to, response.to, buf[..response.len].to_vec()));
            }
        }
        any
    }

    /// Moves time to the next timer of any node, and runs the timers.
    fn wait(&mut self) -> Result<(), Error> {
        let next = self.nodes.values().filter_map(Dht::poll_timeout).map(|(at, _)| at).min();
        self.now = next.ok_or("no node waits for anything")?.max(self.now);
        self.nodes.values_mut().for_each(|node| node.handle_timeout(self.now));
        Ok(())
    }
}
