//! Networks: the table (and with it the geometry) and the wire format that all nodes of a network have in common.

use core::fmt;
use core::marker::PhantomData;

use crate::routing::Routing;
use crate::wire::{Kadlet, Wire};

/// The types that all nodes of one network have in common.
///
/// Every table is also a network, with kadlet's own wire format. [`On`] names another format. So the first parameter of
/// a node can be either:
///
/// ```
/// use core::net::SocketAddrV4;
/// use kadlet::wire::Kadlet;
/// use kadlet::{FixedStore, Kademlia, Node, On};
///
/// type Table = Kademlia<SocketAddrV4, 128>;
/// type Mote = Node<Table, FixedStore<32, 8192>>;
/// type Same = Node<On<Table, Kadlet>, FixedStore<32, 8192>>;
/// assert_eq!(size_of::<Mote>(), size_of::<Same>());
/// ```
pub trait Network {
    /// The table of contacts.
    type Routing: Routing;
    /// The wire format.
    type Wire: Wire;
}

impl<R: Routing> Network for R {
    type Routing = R;
    type Wire = Kadlet;
}

/// The network with the table `R` and the wire format `W`. The type is only a name: it has no values.
pub struct On<R, W>(PhantomData<fn() -> (R, W)>);

impl<R: Routing, W: Wire> Network for On<R, W> {
    type Routing = R;
    type Wire = W;
}

impl<R, W> fmt::Debug for On<R, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("On")
    }
}
