//! Which identifiers are nearer: the part of a DHT's design that has no state.
//!
//! ```
//! use kadlet::{Clockwise, Geometry, Id, Xor};
//!
//! let (target, before, after) = (Id::from_bytes([8; 20]), Id::from_bytes([7; 20]), Id::from_bytes([12; 20]));
//! assert!(Xor::rank(&target, &after) < Xor::rank(&target, &before));
//! // On Chord's ring a lookup goes by what precedes the target, and ends at what follows it.
//! assert!(Clockwise::progress(&target, &before) < Clockwise::progress(&target, &after));
//! assert!(Clockwise::rank(&target, &after) < Clockwise::rank(&target, &before));
//! ```

use crate::{Distance, Id};

/// The two orders of a geometry.
///
/// A lookup *converges* by [`progress`](Geometry::progress) and ends at the nodes that come first by
/// [`rank`](Geometry::rank). In Kademlia and Pastry they are one order. On Chord's ring they differ: a lookup converges on
/// whom precedes the target clockwise, and that node's successors, which follow the target, are responsible:
///
/// | geometry | `progress(target, id)` | `rank(target, id)` |
/// |---|---|---|
/// | Kademlia | `id XOR target` | the same |
/// | Chord | clockwise from `id` to `target` | clockwise from `target` to `id` |
/// | Pastry | the shorter way around the ring | the same |
///
/// Lookups, the eviction from a full store, and handovers need only this.
pub trait Geometry: 'static {
    /// The tag in each datagram's header: 1 is Kademlia, 2 Chord, 3 Pastry; 128 to 255 are for geometries from outside.
    const TAG: u8;

    /// Whether `progress` and `rank` are one order, so that a lookup may ask the responsible nodes while it still converges.
    const ONE_ORDER: bool;

    /// The order by which a lookup converges on `target`: less is nearer.
    fn progress(target: &Id, id: &Id) -> Distance;

    /// The order by which nodes are responsible for `target`: less is nearer.
    fn rank(target: &Id, id: &Id) -> Distance;
}
