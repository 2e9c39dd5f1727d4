//! Geometries: which identifiers are nearer to a target. This part of a DHT's design has no state.
//!
//! ```
//! use kadlet::{Clockwise, Geometry, Id, Xor};
//!
//! let (target, before, after) = (Id::from_bytes([8; 20]), Id::from_bytes([7; 20]), Id::from_bytes([12; 20]));
//! assert!(Xor::rank(&target, &after) < Xor::rank(&target, &before));
//! // On Chord's ring, a lookup converges on the node before the target and ends at the nodes after it.
//! assert!(Clockwise::progress(&target, &before) < Clockwise::progress(&target, &after));
//! assert!(Clockwise::rank(&target, &after) < Clockwise::rank(&target, &before));
//! ```

use crate::id::{Distance, Id};

/// The two orders of a geometry.
///
/// A lookup *converges* by [`progress`](Geometry::progress), and ends at the nodes that are first by
/// [`rank`](Geometry::rank). In Kademlia and Pastry, both are one order. On Chord's ring they differ: a lookup
/// converges on the node that precedes the target clockwise. The successors of that node follow the target, and are
/// responsible for it.
///
/// | geometry | `progress(target, id)` | `rank(target, id)` |
/// |---|---|---|
/// | Kademlia | `id XOR target` | the same |
/// | Chord | clockwise from `id` to `target` | clockwise from `target` to `id` |
/// | Pastry | the shorter way around the ring | the same |
///
/// Two orders must be opposite: of two identifiers other than the target, the nearer by progress is farther by rank.
///
/// Lookups, eviction from a full store and handovers need only this.
pub trait Geometry: 'static {
    /// The tag in the header of each datagram: 1 is Kademlia, 2 Chord, 3 Pastry. 128 to 255 are for geometries of other
    /// crates.
    const TAG: u8;

    /// Whether `progress` and `rank` are one order. If so, a lookup can ask the responsible nodes before it has
    /// converged.
    const ONE_ORDER: bool;

    /// The distance by which a lookup converges on `target`. Less is nearer.
    fn progress(target: &Id, id: &Id) -> Distance;

    /// The distance by which nodes are responsible for `target`. Less is nearer.
    fn rank(target: &Id, id: &Id) -> Distance;
}
