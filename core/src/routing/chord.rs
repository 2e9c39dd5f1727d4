//! Chord: a ring of identifiers on which each node knows its successors, and fingers across.
//!
//! Stoica, Morris, Karger, Kaashoek and Balakrishnan ("Chord: A Scalable Peer-to-peer Lookup Service for Internet Applications",
//! 2001) order nodes by their identifiers around a ring. A key belongs to its *successor*, the first node whose identifier equals
//! or follows the key's. A node knows its *predecessor*, a *successor list*, and *fingers*: the i-th is the first node that follows
//! its own identifier by at least 2^i. A question goes to the finger that most closely precedes the key, which halves the way that
//! is left, until it meets the key's predecessor, whose successor is the answer: half of log2 N steps on average. Nodes *stabilise*
//! (a node asks its successor for that one's predecessor, and notifies it) and *fix fingers* (it looks their starts up), so that
//! the ring heals.
//!
//! | in the paper | here |
//! |---|---|
//! | `n.join(n')` | a lookup of the own identifier, which asks the predecessor and all successors for it |
//! | `n.stabilize()` | `find_node` for the own identifier, to the successor every minute, to the whole neighbourhood at each check of it |
//! | `n'.notify(n)` | being asked makes one heard of: who may be a neighbour is asked whether it is there, and taken in if it answers |
//! | `n.fix_fingers()` | a lookup of each finger's start, every hour |
//! | `check_predecessor` | the predecessor is asked as the successor is |
//! | replicas | the k nodes that follow the key: the successor and k - 1 of its successor list |
//!
//! Where this table departs from the paper:
//! - Fingers that would be equal are one, and those that the successor list covers aren't looked up. So a finger is the first
//!   node known of those that lie between 2^i and 2^(i+1) ahead; the others in between wait as spares.
//! - It knows k predecessors, not one. A holder then sees for itself which of its records it is still responsible for, and one who
//!   asks a node too far on is told whom it overlooked.
//! - An answer names several contacts, in the order of the way: for a target among the neighbours, whoever precedes it most closely
//!   if that is another, then those that follow it; for one farther off, those that precede it, the closest first.
//! - Fingers go by identifiers alone. Whoever can choose theirs can become anybody's finger (not with ids bound to addresses), which
//!   is why the limits on address groups apply to fingers too.
//!
//! # What is known to go wrong
//!
//! Zave ("Reasoning about Identifier Spaces: How to Make Chord Correct", 2017) shows that the ring of the paper's pseudocode may break for good, even
//! where no more fail at once than the successor list allows for. The causes she names, and what becomes of them here:
//! - *A node joins by pointing to a successor, and others may take it for a member before the ring leads to it.* Here a node has joined only
//!   when the one before it asked it something, and so knows it ([`contact_to_notify`](super::Routing::contact_to_notify)); a join asks for that, up to eight times. Nobody is named to others for having asked.
//! - *A node adopts a dead node's pointer unchecked* (a successor's predecessor, or a list). Here whoever is named is asked first: only one that
//!   answered gets into a list or is named on.
//! - *The successor list is replaced as a whole by that of a successor, and may skip members.* Here each member is kept for as long as it
//!   answers, and lists are only merged.
//! - *A node leaves a predecessor pointer at a dead node.* Here it is asked every minute, and the next one of the list takes its place at once.
//! - *Initially the ring needs as many nodes as the list is long, plus one, to be provably correct.* Not met: a ring begins with one node. A split of so small a
//!   ring is mended by the bootstrap addresses and the lost contacts, which are tried for ever.
//! - *Two rings, or one that winds twice, can be stable each for itself.* Not excluded; the same retries meet it, for a lost or bootstrap node
//!   of the other ring that answers is taken in where it belongs.

use super::entry::TableEntry;
use super::ring::{Cell, Named, Plan, Ring, View};
use crate::address::Address;
use crate::contact::Contact;
use crate::geometry::Geometry;
use crate::id::{Distance, Id};

/// Chord's table: `SUCCESSORS` of them, as many predecessors as a record has replicas, and fingers and spares in what is left of
/// `CONTACTS` (36 bytes each with IPv4 addresses).
///
/// 64 contacts serve a network of a million. `SUCCESSORS` should be no less than k: the ring stays whole if not all of them fail
/// between two checks.
///
/// ```
/// use kadlet::{Chord, Contact, Id, Instant, Routing, routing::Limits};
///
/// let mut table = Chord::<u16>::EMPTY;
/// let now = Instant::ZERO;
/// let node = |byte: u8| Contact::new(Id::from_bytes([byte; 20]), u16::from(byte));
/// table.start(now, node(0x40).id, &Limits::DEFAULT, 42);
/// for byte in [0x20, 0x50, 0x60, 0x90] {
///     table.responded(now, node(byte), None);
/// }
/// assert!(table.successors().eq([0x50, 0x60, 0x90, 0x20].map(node)));
/// assert_eq!(table.predecessor(), Some(node(0x20)));
/// assert_eq!(table.finger(158), Some(node(0x90)), "the first that is at least 0x4000.. ahead");
///
/// let mut hops = [Contact::EMPTY; 1];
/// table.next_hops(&node(0x70).id, &mut hops);
/// assert_eq!(hops, [node(0x90)], "the target's successor");
/// assert_eq!(table.next_hops(&node(0x30).id, &mut hops), 0, "which here is the own node");
/// ```
pub type Chord<A, const SUCCESSORS: usize = 16, const CONTACTS: usize = 64> = Ring<Clockwise, A, SUCCESSORS, CONTACTS>;

/// Chord's geometry: a lookup converges on the node that precedes the target, and those that follow it are responsible.
///
/// ```
/// use kadlet::{Clockwise, Geometry, Id};
///
/// let [before, target, after] = [0x10, 0x20, 0x30].map(|byte| Id::from_bytes([byte; 20]));
/// assert!(Clockwise::progress(&target, &before) < Clockwise::progress(&target, &after));
/// assert!(Clockwise::rank(&target, &after) < Clockwise::rank(&target, &before));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Clockwise;

impl Geometry for Clockwise {
    const TAG: u8 = 2;
    const ONE_ORDER: bool = false;

    fn progress(target: &Id, id: &Id) -> Distance {
        id.clockwise(target)
    }

    fn rank(target: &Id, id: &Id) -> Distance {
        target.clockwise(id)
    }
}

impl<A: Address, const SUCCESSORS: usize, const CONTACTS: usize> Chord<A, SUCCESSORS, CONTACTS> {
    /// The successor list, nearest first: verified ones only.
    pub fn successors(&self) -> impl Iterator<Item = Contact<A>> {
        self.view().verified().map(|(_, entry)| entry.contact).take(SUCCESSORS)
    }

    /// The verified contact that precedes the own node most closely.
    #[must_use]
    pub fn predecessor(&self) -> Option<Contact<A>> {
        self.view().verified().next_back().map(|(_, entry)| entry.contact)
    }

    /// The finger of this number, 0 to 159: the first contact known that is at least 2^`number` ahead; `None` where that would be the own node.
    #[must_use]
    pub fn finger(&self, number: u8) -> Option<Contact<A>> {
        let row = 159_u8.checked_sub(number)?;
        (0..=row).rev().find_map(|row| self.holder(row, 0))
    }
}

/// A finger a row: row 0 is for those at least half of the ring ahead.
impl Plan for Clockwise {
    const COLUMNS: u8 = 1;
    const MEETS: bool = true;

    fn sides(near: usize, k: usize) -> (usize, usize) {
        (near, k)
    }

    fn cell(own: &Id, id: &Id) -> Cell {
        let row = own.clockwise(id).leading_zeros();
        Cell { row: u8::try_from(row).unwrap_or(u8::MAX), column: 0 }
    }

    /// The finger's start itself: the own identifier and 2^(159 - row).
    fn start(own: &Id, row: u8, _: Option<u8>) -> (Id, usize) {
        let mut bytes = *own.as_bytes();
        let mut carry = 0x80_u8 >> (row % 8);
        for byte in bytes.iter_mut().take(usize::from(row / 8).saturating_add(1)).rev() {
            let (sum, over) = byte.overflowing_add(carry);
            (*byte, carry) = (sum, u8::from(over));
        }
        (Id::from_bytes(bytes), Id::LEN.saturating_mul(8))
    }

    /// Down to the successor list.
    fn rows(own: &Id, ahead: &Id, _: &Id) -> usize {
        usize::from(Self::cell(own, ahead).row)
    }

    fn prefers<A: Address>(own: &Id, first: &TableEntry<A>, second: &TableEntry<A>) -> bool {
        own.clockwise(&first.contact.id) < own.clockwise(&second.contact.id)
    }

    fn closest<A: Address>(view: View<'_, A>, target: &Id, named: &mut Named<'_, A>) {
        if view.covers(target) {
            // Whoever lies between the own node and the target precedes it more closely than the own node does.
            let reach = view.own().clockwise(target);
            let closer = view.verified().rev().find(|(_, entry)| view.own().clockwise(&entry.contact.id) < reach);
            named.add_verified(closer.into_iter());
            let end = view.span().map_or(usize::MAX, |(ahead, _)| ahead);
            // Beyond the successor list there are gaps.
            let mut past = false;
            let followers = view.following(target).take_while(|(at, _)| !core::mem::replace(&mut past, *at == end));
            named.add_verified(followers);
        }
        named.add_verified(view.preceding(target));
    }

    fn next_hops<A: Address>(view: View<'_, A>, target: &Id, named: &mut Named<'_, A>) {
        let distance = |id: &Id| view.own().clockwise(id);
        let reach = distance(target);
        let followers = || view.verified().filter(|(_, entry)| distance(&entry.contact.id) >= reach);
        if target == view.own() || followers().next().is_none() {
            return;
        }
        if view.covers(target) {
            // Beyond the successor list there are gaps.
            let end = view.span().map_or(usize::MAX, |(ahead, _)| ahead);
            let within = followers().next().is_some_and(|(first, _)| first <= end);
            named.add_verified(followers().take_while(|(at, _)| !within || *at <= end));
        }
        named.add_verified(view.verified().rev().filter(|(_, entry)| distance(&entry.contact.id) < reach));
    }

    fn reach<A: Address>(view: View<'_, A>, k: usize) -> Option<Distance> {
        let (_, last) = view.verified().nth(k.checked_sub(1)?)?;
        Some(view.own().clockwise(&last.contact.id))
    }
}
