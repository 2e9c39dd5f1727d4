//! Whom to remember, whom to name, what upkeep is due: one table for one geometry.
//!
//! There are three tables, [`Kademlia`], [`Chord`] and [`Pastry`], and nothing above this room knows which it has: a node's geometry is
//! its table's type. Another can be written outside of the crate, through [`Routing`] and [`Geometry`] alone (`core/tests/mesh.rs`
//! has one).
//!
//! | of the trait | Kademlia | Chord | Pastry |
//! |---|---|---|---|
//! | what is kept | k-buckets | successor list, predecessors, fingers | leaf set, rows of the prefix table |
//! | `discovered(Asked)` | worth a ping if there is a place | notify: likewise, and the one before has shown that it knows the own node | as Kademlia |
//! | `responded` | the longest known keep a bucket | the first of an interval is its finger | of two for a cell, the shorter `rtt` |
//! | `closest` | by XOR | among the neighbours who follows the target, else who precedes it most closely | the cell of the next digit, and the numerically closest |
//! | `next_hops` | those nearer than the own node | the same, but never past the target's successor | among the leaves the nearest, else the cell of the next digit |
//! | `Maintenance::Ask` | ping of a quiet contact | stabilise and check_predecessor | exchange of leaves |
//! | `Maintenance::Lookup` | bucket refresh | fix_fingers | maintenance of a row |
//! | `contact_to_notify` | nobody | the predecessor | nobody |
//! | `expected_reach` | how far the k-th closest is | how far the k-th successor is | how far the k-th nearest leaf is |
//! | exempt from group limits | the k closest | successors and predecessors | the leaf set |
//!
//! Chord and Pastry share [`Ring`]: one array around the ring.

mod chord;
mod clock;
mod entry;
mod kademlia;
mod pastry;
mod ring;

use core::time::Duration;

use crate::{Address, Contact, Geometry, Id, Instant};

pub use chord::{Chord, Clockwise};
pub use kademlia::{Kademlia, Xor};
pub use pastry::{Digits, Pastry};
pub use ring::Ring;

/// A table of contacts for one geometry.
///
/// It is told who answered and how fast, who failed and who was heard of; it names the closest, and the next question of
/// upkeep and when. It does no I/O, and [`Node`](crate::Node) knows nothing of its geometry. Every call is harmless at any time.
pub trait Routing {
    /// What contacts are reached by.
    type Address: Address;
    /// Its two orders.
    type Geometry: Geometry;

    /// A table of zeros that lies in `.bss`. It knows nobody and takes nobody until it is started.
    const EMPTY: Self;

    /// Forgets everything and begins as the table of `own`. `random` is used for the ids that refreshes look up.
    fn start(&mut self, now: Instant, own: Id, limits: &Limits, random: u64);

    /// The node's own identifier.
    fn own(&self) -> Id;

    /// What is known of one contact.
    fn get(&self, id: &Id) -> Option<Peer<Self::Address>>;

    /// All contacts in the table, in an order that depends on nothing but the calls made.
    fn peers(&self) -> impl Iterator<Item = Peer<Self::Address>>;

    /// A contact was heard of but has not answered us. Says whether the table would take it if it did, so that asking it is worth while.
    fn discovered(&mut self, now: Instant, contact: Contact<Self::Address>, how: Origin) -> bool;

    /// A contact answered our own question. `rtt` is the round trip, `None` if it can't be told (the question was repeated: Karn's rule).
    fn responded(&mut self, now: Instant, contact: Contact<Self::Address>, rtt: Option<Duration>);

    /// A contact did not answer a question, with all its repeats. Only for a question that went to the address by which the table
    /// knows it: others may name it with any.
    fn failed(&mut self, now: Instant, id: &Id);

    /// Another node answered at this contact's address, the one by which the table knows it: the contact is no more.
    fn evict(&mut self, now: Instant, id: &Id);

    /// Writes the contacts to name to others for `target` into `out`, best first, as many as there are and fit, and says how many:
    /// verified ones only.
    fn closest(&self, target: &Id, out: &mut [Contact<Self::Address>]) -> usize;

    /// Writes those to whom a question about `target` should be passed on into `out`, best first, as many as there are and fit, and
    /// says how many: verified ones who are nearer to where it ends than the own node. None if that is the own node.
    fn next_hops(&self, target: &Id, out: &mut [Contact<Self::Address>]) -> usize {
        let count = self.closest(target, out);
        let own = Self::Geometry::progress(target, &self.own());
        let named = out.get(..count).unwrap_or(&[]);
        named.iter().take_while(|contact| Self::Geometry::progress(target, &contact.id) < own).count()
    }

    /// The contacts to begin an own lookup of `target` with: as [`closest`](Routing::closest), and where fewer than k are
    /// verified, failing ones and those only heard of after them, up to k in all.
    fn initial_contacts(&self, target: &Id, out: &mut [Contact<Self::Address>]) -> usize;

    /// How many verified contacts come before the own node in the order of responsibility for `key`; counts no further than `limit`.
    fn rank_of_own(&self, key: &Id, limit: usize) -> usize;

    /// How far from `key` its `k`-th responsible node would be in a network as dense as the own neighbourhood is; `None` while
    /// fewer than `k` neighbours are verified.
    fn expected_reach(&self) -> Option<crate::Distance>;

    /// Who has to know the own node before it has joined, and hasn't asked it anything yet: in Chord the one before it, whose word
    /// leads others to it. A join asks that contact again, so that it gets to know the own node. Nobody where there is no such rule.
    fn contact_to_notify(&self) -> Option<Contact<Self::Address>> {
        None
    }

    /// A lookup of `target` has ended: what it covers needs no refresh for a while.
    fn looked_up(&mut self, now: Instant, target: &Id);

    /// When the neighbourhood last changed: somebody near came, failed or was lost. Records tended since are where they belong.
    fn changed(&self) -> Instant;

    /// Something near the own node changed that the table can't see, such as a new record: check the neighbourhood soon.
    fn check_neighbourhood_soon(&mut self, now: Instant);

    /// The next question of upkeep, if one is due; asked once for each idle slot. It counts as being asked.
    fn maintenance(&mut self, now: Instant) -> Option<Maintenance<Self::Address>>;

    /// When the next question of upkeep is due. Costs constant time.
    fn next_maintenance(&self) -> Instant;
}

/// A contact in a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer<A> {
    /// Who.
    pub contact: Contact<A>,
    /// How much it is trusted to be there.
    pub state: ContactState,
    /// Its smoothed round trip, if one was measured.
    pub rtt: Option<Duration>,
    /// When to give up waiting for its answer and try another way (RFC 6298), if a round trip was measured.
    pub timeout: Option<Duration>,
}

/// How much a contact is trusted to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContactState {
    /// Somebody named it, or it asked us; it has not answered us.
    Unverified,
    /// It answered us.
    Verified,
    /// It answered us once, but not the last time.
    Failing,
}

/// How a contact was heard of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It asked us something. Whoever asks may have forged its address: it is not remembered for that, only told to be worth a question.
    Requester,
    /// Another named it in an answer to a question of upkeep.
    Named,
    /// The caller restored it from an earlier run.
    Restored,
}

/// A question of upkeep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Maintenance<A> {
    /// Ask one contact what is near the own identifier: is it alive, and whom does it name? (Kademlia's ping of a quiet contact,
    /// Chord's stabilise and check_predecessor, Pastry's leaf exchange.)
    Ask(Contact<A>),
    /// Look `target` up. (Kademlia's bucket refresh, Chord's fix_fingers, Pastry's row maintenance.)
    Lookup {
        /// What.
        target: Id,
    },
    /// Check the neighbourhood: look the own identifier up, then look after the records that are held.
    Neighbourhood,
}

/// What a table is told of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Contacts in a k-bucket, and replicas of a record: 1 to 32; 8 by default.
    pub k: u8,
    /// The neighbourhood is checked so long after a change: 30 s by default.
    pub neighbourhood_min: Duration,
    /// In calm it is checked in steps that triple, up to this: 15 minutes by default.
    pub neighbourhood_max: Duration,
    /// A part of the table that no lookup touched for so long is refreshed: 1 hour by default (the Kademlia paper's tRefresh).
    pub refresh: Duration,
    /// A contact that was silent for so long is asked whether it is there: 30 minutes by default.
    pub quiet: Duration,
    /// Contacts of one address group in a bucket: 2 by default.
    pub per_prefix_in_bucket: u8,
    /// Contacts of one address group in the table: 10 by default.
    pub per_prefix_in_table: u8,
}

impl Limits {
    /// The defaults above.
    pub const DEFAULT: Self = Self {
        k: 8,
        neighbourhood_min: Duration::from_secs(30),
        neighbourhood_max: Duration::from_secs(15 * 60),
        refresh: Duration::from_secs(60 * 60),
        quiet: Duration::from_secs(30 * 60),
        per_prefix_in_bucket: 2,
        per_prefix_in_table: 10,
    };
}

impl Limits {
    /// All zeros, for what isn't started.
    pub(crate) const ZERO: Self = Self {
        k: 0,
        neighbourhood_min: Duration::ZERO,
        neighbourhood_max: Duration::ZERO,
        refresh: Duration::ZERO,
        quiet: Duration::ZERO,
        per_prefix_in_bucket: 0,
        per_prefix_in_table: 0,
    };

    /// The largest k, which bounds a bucket.
    pub(super) const MAX_K: usize = 32;

    /// What was configured for k, clamped, where there is room for so many contacts.
    pub(super) fn replicas(&self, contacts: usize) -> usize {
        usize::from(self.k).clamp(1, Self::MAX_K).min(contacts)
    }

    /// How many contacts of one address group are taken in a bucket and in the table.
    pub(super) fn per_prefix(&self) -> (usize, usize) {
        (usize::from(self.per_prefix_in_bucket.max(1)), usize::from(self.per_prefix_in_table.max(1)))
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}
