//! What the nodes of one network have in common: their table, which sets the geometry, and their wire format.

use core::fmt;
use core::marker::PhantomData;

use crate::routing::Routing;
use crate::wire::{Kadlet, Wire};

/// What the nodes of one network have in common.
///
/// Every table alone is a network, with kadlet's wire format; [`On`] names another format. So a node's first parameter is either:
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

/// The network of the table `R` whose nodes speak the wire format `W`. A type without values.
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
