//! Nodes of the simulator's making.

use kadlet::{Chord, Config, Dht, Geometry, HashStore, Id, Kademlia, Node, Pastry, Store};

use crate::Overlay;

/// A node of the simulator: 192 contacts, up to 4 operations and 16 questions passed on at once, records as [`Room`] says.
pub type Peer<R = Kademlia<u32, 192>> = Node<R, HashStore, 4, 24, 1, 32, 16, 4, 16>;
/// The same with shortlists for a k of up to 32.
pub type WidePeer<R = Kademlia<u32, 192>> = Node<R, HashStore, 4, 96, 1, 32, 16, 4, 16>;
/// The smallest, for networks of a million: one lookup at once, no gets, and no part in recursive lookups.
pub type SmallPeer<R = Kademlia<u32, 192, 8>> = Node<R, HashStore, 1, 24, 0, 8, 1, 2>;
/// Chord's table in the simulator: 8 successors.
pub type ChordTable = Chord<u32, 8, 192>;
/// Pastry's: 16 leaves, digits of 4 bits.
pub type PastryTable = Pastry<u32, 16, 4, 192>;

/// How much a node holds: records, and bytes of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Records.
    pub records: usize,
    /// Bytes of them all.
    pub bytes: usize,
}

impl Room {
    /// 128 records in 64 KiB.
    pub const DEFAULT: Self = Self { records: 128, bytes: 65_536 };
    /// No records at all.
    pub const NONE: Self = Self { records: 0, bytes: 0 };
}

impl Default for Room {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// A node that the simulator can make: any whose addresses are `u32` and whose table is an [`Overlay`]. The whole node is one
/// piece of the heap, with its records beside it.
pub trait Make: Dht<Address = u32, Routing: Overlay> + Sized {
    /// A node around a table that is started.
    fn make(config: Config, seed: [u8; 32], table: Self::Routing, room: Room) -> Box<Self>;
}

impl<
    R: Overlay,
    const LOOKUPS: usize,
    const SHORTLIST: usize,
    const VALUES: usize,
    const REQUESTS: usize,
    const SOURCES: usize,
    const BOOTSTRAPS: usize,
    const RELAYS: usize,
> Make for Node<R, HashStore, LOOKUPS, SHORTLIST, VALUES, REQUESTS, SOURCES, BOOTSTRAPS, RELAYS>
{
    fn make(config: Config, seed: [u8; 32], table: R, room: Room) -> Box<Self> {
        let mut store = HashStore::new(room.records, room.bytes);
        let own: Id = table.own();
        store.start(own, <R::Geometry as Geometry>::rank, core::array::from_fn(|index| seed[index]));
        Box::new(Self::from_parts(config, seed, table, store))
    }
}

// What a network of a million needs must fit into 20 GiB with room to spare.
const _: () = assert!(size_of::<SmallPeer>() <= 13 * 1024);
