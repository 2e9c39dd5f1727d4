//! What the two geometries on a ring differ in.

use super::circle::{Circle, NameList};
use crate::address::Address;
use crate::geometry::Geometry;
use crate::id::{Distance, Id};
use crate::routing::entry::TableEntry;

/// What a geometry does with a ring.
pub trait Plan: Geometry + Sized {
    /// Cells in a row, at most.
    const COLUMNS: u8;

    /// Whether a node has joined only when its predecessor has sent it a request, and so knows it.
    const PREDECESSOR_ADMITS: bool;

    /// How many neighbours to keep clockwise and counter-clockwise, where `near` are configured and a record has `k`
    /// holders.
    fn sides(near: usize, k: usize) -> (usize, usize);

    /// The cell of an identifier in the table of `own`.
    fn cell(own: &Id, id: &Id) -> Cell;

    /// What to look up for this column of a row, or for any column: an identifier, and how many of its bits matter.
    fn start(own: &Id, row: u8, column: Option<u8>) -> (Id, usize);

    /// How many rows must be filled, the outermost first, where `ahead` and `behind` are the farthest neighbours of
    /// the two sides.
    fn rows(own: &Id, ahead: &Id, behind: &Id) -> usize;

    /// Whether the first contact should hold a cell rather than the second.
    fn prefers<A: Address>(own: &Id, first: &TableEntry<A>, second: &TableEntry<A>) -> bool;

    /// Names the contacts that a lookup of `target` should ask.
    fn closest<A: Address>(circle: &Circle<Self, A>, target: &Id, named: &mut NameList<'_, A>);

    /// Names the contacts to which a request about `target` should be forwarded.
    fn next_hops<A: Address>(circle: &Circle<Self, A>, target: &Id, named: &mut NameList<'_, A>);

    /// How far the `k`-th node responsible for the own identifier is.
    fn reach<A: Address>(circle: &Circle<Self, A>, k: usize) -> Option<Distance>;
}

/// A place in the routing table of a geometry. Row 0 is for the contacts that have least to do with the own identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    /// The row.
    pub row: u8,
    /// The place in the row.
    pub column: u8,
}
