//! The node types of the simulator.

use kadlet::{Chord, Config, Dht, Geometry, HashStore, Id, Kademlia, Node, NodeInner, Parts, Pastry, Routing, Store};

use crate::address::HostAddress;
use crate::overlay::Overlay;

/// The usual node: 192 contacts, up to 4 operations and 16 relay requests at once, k up to 8, records as [`Capacity`]
/// says.
pub type Peer<R = Kademlia<HostAddress, 192>> = Node<R, HashStore, 4, 24, 1, 32, 16, 4, 16>;
/// The same with longer shortlists, for a k of up to 32.
pub type WidePeer<R = Kademlia<HostAddress, 192>> = Node<R, HashStore, 4, 96, 1, 32, 16, 4, 16>;
/// The smallest node, for networks of a million: one lookup at a time, no gets, and no part in recursive lookups.
pub type SmallPeer<R = Kademlia<HostAddress, 192, 8>> = Node<R, HashStore, 1, 24, 0, 8, 1, 2>;
/// The Chord table of the simulator: 8 successors.
pub type ChordTable = Chord<HostAddress, 8, 192>;
/// The Pastry table of the simulator: 16 leaves, digits of 4 bits.
pub type PastryTable = Pastry<HostAddress, 16, 4, 192>;

// A network of a million nodes must fit into 20 GiB with a margin. With the feature `sealed`, a node has 1.3 KiB more.
const _: () = assert!(size_of::<SmallPeer>() <= 15 * 1024);

/// The capacity of a node's store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// The most records.
    pub records: usize,
    /// The most bytes of all records together.
    pub bytes: usize,
}

impl Capacity {
    /// 128 records in 64 KiB.
    pub const DEFAULT: Self = Self { records: 128, bytes: 65_536 };
    /// No records at all.
    pub const NONE: Self = Self { records: 0, bytes: 0 };
}

impl Default for Capacity {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// A node that the simulator can run: any whose addresses are [`HostAddress`] and whose table is an [`Overlay`].
pub trait SimulatedNode: Dht<Address = HostAddress, Routing: Overlay> + Sized {
    /// Builds a node around a table that is started. The node is one allocation, its records are others.
    ///
    /// # Panics
    ///
    /// A value of the configuration is out of its range.
    fn build(config: Config, seed: [u8; 32], table: Self::Routing, capacity: Capacity) -> Box<Self>;
}

impl<P: Parts<Address = HostAddress, Store = HashStore, Routing: Overlay>> SimulatedNode for NodeInner<P> {
    fn build(config: Config, seed: [u8; 32], table: P::Routing, capacity: Capacity) -> Box<Self> {
        let mut store = HashStore::new(capacity.records, capacity.bytes);
        let own: Id = table.own();
        store.start(own, P::Geometry::rank, core::array::from_fn(|index| seed[index]));
        let node = Self::from_parts(config, seed, table, store);
        Box::new(node.unwrap_or_else(|error| panic!("the network's configuration: {error}")))
    }
}
