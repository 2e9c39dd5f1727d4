//! Which contacts to remember, which to name, and when maintenance is due: one table for one geometry.
//!
//! There are three tables, [`Kademlia`], [`Chord`] and [`Pastry`], and nothing above this module knows which one a node
//! has: a node's geometry is its table's type. A table of another geometry can be written outside of the crate, through
//! [`Routing`] and [`Geometry`](crate::Geometry) alone (`core/tests/mesh.rs` has one).
//!
//! | [`Routing`] | Kademlia | Chord | Pastry |
//! |---|---|---|---|
//! | what is kept | k-buckets | successor list, predecessors, fingers | leaf set, rows of the routing table |
//! | `discovered` by a request | worth a ping if there is a place | notify: the same, and a predecessor has shown that it knows the own node | as Kademlia |
//! | `responded` | the oldest contacts keep a bucket | the first contact of an interval is its finger | of two for a cell, the one with the shorter `rtt` |
//! | `closest` | by XOR | among the neighbours the successors of the target, else its closest predecessors | the cell of the next digit, and the numerically closest |
//! | `next_hops` | those nearer than the own node | the same, but none past the target's successor | among the leaves the nearest, else the cell of the next digit |
//! | `Maintenance::Ask` | ping of a quiet contact | stabilise and check_predecessor | exchange of leaves |
//! | `Maintenance::Lookup` | bucket refresh | fix_fingers | maintenance of a row |
//! | `contact_to_notify` | none | the predecessor | none |
//! | `expected_reach` | the distance of the k-th closest | the distance of the k-th successor | the distance of the k-th nearest leaf |
//! | exempt from limits on address prefixes | the k closest | successors and predecessors | the leaf set |
//!
//! From high to low:
//! - `chord` and `pastry`: the two geometries on a ring
//! - `kademlia`, and `ring`: the two kinds of tables
//! - `schedule`: when maintenance is due, in any table
//! - `entry`: one contact in any table, and what is known of it
//! - `interface`: the trait [`Routing`], and the requests of maintenance
//! - `peer`, `limits`, `stamp`: what a table tells of a contact, what it is told of the configuration, and its
//!   deadlines

mod chord;
mod entry;
mod interface;
mod kademlia;
mod limits;
mod pastry;
mod peer;
mod ring;
mod schedule;
mod stamp;

pub use chord::{Chord, Clockwise};
pub use interface::{Maintenance, Routing};
pub use kademlia::{Kademlia, Xor};
pub use limits::Limits;
pub use pastry::{Digits, Pastry};
pub use peer::{ContactState, Origin, Peer};
pub use ring::Ring;
