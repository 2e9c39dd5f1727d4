//! Chord: a ring of identifiers on which each node knows its successors, and fingers across.
//!
//! Stoica, Morris, Karger, Kaashoek and Balakrishnan ("Chord: A Scalable Peer-to-peer Lookup Service for Internet
//! Applications", 2001) order nodes by their identifiers around a ring. A key belongs to its *successor*, the first
//! node whose identifier equals or follows the key's. A node knows its *predecessor*, a *successor list*, and
//! *fingers*: the i-th is the first node that follows its own identifier by at least 2^i. A request goes to the finger
//! that most closely precedes the key, which halves the rest of the way, until it reaches the key's predecessor, whose
//! successor is the result: half of log2 N steps on average. Nodes *stabilise* (a node asks its successor for that
//! node's predecessor, and notifies it) and *fix fingers* (a node looks up their starts), so that the ring heals.
//!
//! | in the paper | here |
//! |---|---|
//! | `n.join(n')` | a lookup of the own identifier, which asks the predecessor and all successors for it |
//! | `n.stabilize()` | `find_node` for the own identifier, to the successor every minute, to the whole neighbourhood at each check of it |
//! | `n'.notify(n)` | a request makes its sender an unverified contact: if it can be a neighbour it is asked, and taken if it responds |
//! | `n.fix_fingers()` | a lookup of each finger's start, every hour |
//! | `check_predecessor` | the predecessor is asked as the successor is |
//! | holders | the k nodes that follow the key: the successor and k - 1 of its successor list |
//!
//! Where this table departs from the paper:
//! - Fingers that would be equal are one, and those that the successor list covers aren't looked up. So a finger is the
//!   first node known of those that lie between 2^i and 2^(i+1) ahead. The others of them are its replacements.
//! - A node knows k predecessors, not one. So a holder sees for itself which of its records it is still responsible
//!   for, and a requester that has passed the right node is told the nodes that it missed.
//! - A response names several contacts. For a target among the neighbours, the first is the contact that precedes it
//!   most closely, if that is not the own node, and those that follow it come next. For a farther target they are the
//!   contacts that precede it, the closest first.
//! - Fingers are chosen by identifiers alone. A node that chooses its identifier can become any node's finger (unless
//!   ids are bound to addresses). Therefore the limits on address prefixes apply to fingers too.
//!
//! # What is known to go wrong
//!
//! Zave ("Reasoning about Identifier Spaces: How to Make Chord Correct", 2017) shows that the ring of the paper's
//! pseudocode can break for good, even where no more nodes fail at once than the successor list allows for. These are
//! the causes that she names, and what this table does about them:
//! - *A node joins by pointing to a successor, and others can take it for a member before the ring leads to it.* Here a
//!   node has joined only when its predecessor has sent it a request, and so knows it
//!   ([`contact_to_notify`](super::Routing::contact_to_notify)); a join notifies the predecessor up to eight times. No
//!   node is named to others because it sent a request.
//! - *A node adopts a dead node's pointer unchecked* (a successor's predecessor, or a list). Here a named contact is
//!   asked first: only one that responded gets into a list or is named to others.
//! - *The successor list is replaced as a whole by that of a successor, and can skip members.* Here each member is kept
//!   while it responds, and lists are only merged.
//! - *A node leaves a predecessor pointer at a dead node.* Here the predecessor is asked every minute, and the next one
//!   of the list takes its place at once.
//! - *Initially the ring needs as many nodes as the list is long, plus one, to be provably correct.* Not met: a ring
//!   begins with one node. A split of a ring this small is mended by the bootstrap addresses and the lost contacts,
//!   which are tried for ever.
//! - *Two rings, or one that winds twice, can be stable each for itself.* Not excluded. The same retries mend it: a
//!   lost or bootstrap node of the other ring that responds gets the place where it belongs.

use crate::address::Address;
use crate::contact::Contact;
use crate::geometry::Geometry;
use crate::id::{Distance, Id};
use crate::routing::entry::TableEntry;
use crate::routing::ring::{Cell, Circle, NameList, Plan, Ring};

/// Chord's table: `SUCCESSORS` successors, as many predecessors as a record has holders, and in the rest of `CONTACTS`
/// fingers and their replacements. A contact takes 36 bytes with an IPv4 address.
///
/// 64 contacts serve a network of a million nodes. `SUCCESSORS` should be no less than k: the ring stays whole unless
/// all of them fail between two checks.
///
/// ```
/// use kadlet::{Chord, Contact, Id, Instant, Routing, routing::Limits};
///
/// let mut table = Chord::<u16>::EMPTY;
/// let now = Instant::ZERO;
/// let node = |byte: u8| Contact::new(Id::from_bytes([byte; 20]), u16::from(byte));
/// table.start(now, node(0x40).id, &Limits::DEFAULT, 42)?;
/// for byte in [0x20, 0x50, 0x60, 0x90] {
///     table.responded(now, node(byte), None);
/// }
/// assert!(table.successors().eq([0x50, 0x60, 0x90, 0x20].map(node)));
/// assert_eq!(table.predecessor(), Some(node(0x20)));
/// assert_eq!(table.finger(158), Some(node(0x90)), "the first contact that is at least 0x4000.. ahead");
///
/// let mut hops = [Contact::EMPTY; 1];
/// table.next_hops(&node(0x70).id, &mut hops);
/// assert_eq!(hops, [node(0x90)], "the target's successor");
/// assert_eq!(table.next_hops(&node(0x30).id, &mut hops), 0, "here the successor is the own node");
/// # Ok::<(), kadlet::ConfigError>(())
/// ```
pub type Chord<A, const SUCCESSORS: usize = 16, const CONTACTS: usize = 64> = Ring<Clockwise, A, SUCCESSORS, CONTACTS>;

/// Chord's geometry: a lookup converges on the node that precedes the target, and the nodes that follow it are
/// responsible.
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
    /// The successor list, nearest first. All are verified.
    pub fn successors(&self) -> impl Iterator<Item = Contact<A>> {
        self.circle().verified().map(|(_, entry)| entry.contact).take(SUCCESSORS)
    }

    /// The verified contact that precedes the own node most closely.
    #[must_use]
    pub fn predecessor(&self) -> Option<Contact<A>> {
        self.circle().verified().next_back().map(|(_, entry)| entry.contact)
    }

    /// The finger of this number, 0 to 159: the first contact known that is at least 2^`number` ahead; `None` where
    /// that would be the own node.
    #[must_use]
    pub fn finger(&self, number: u8) -> Option<Contact<A>> {
        let row = 159_u8.checked_sub(number)?;
        (0..=row).rev().find_map(|row| self.contact_in(row, 0))
    }
}

/// One finger in each row. Row 0 is for contacts at least half of the ring ahead.
impl Plan for Clockwise {
    const COLUMNS: u8 = 1;
    const PREDECESSOR_ADMITS: bool = true;

    fn sides(near: usize, k: usize) -> (usize, usize) {
        (near, k)
    }

    fn cell(own: &Id, id: &Id) -> Cell {
        let row = own.clockwise(id).leading_zeros();
        Cell { row: u8::try_from(row).unwrap_or(u8::MAX), column: 0 }
    }

    /// The finger's start itself: the own identifier plus 2^(159 - row).
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

    fn closest<A: Address>(circle: &Circle<Self, A>, target: &Id, named: &mut NameList<'_, A>) {
        if circle.covers(target) {
            // A contact between the own node and the target precedes it more closely than the own node does.
            let reach = circle.own.clockwise(target);
            let closer = circle.verified().rev().find(|(_, entry)| circle.own.clockwise(&entry.contact.id) < reach);
            named.add_verified(closer.into_iter());
            let end = circle.span().map_or(usize::MAX, |(ahead, _)| ahead);
            // Beyond the successor list there are gaps.
            let mut past = false;
            let followers = circle.following(target).take_while(|(at, _)| !core::mem::replace(&mut past, *at == end));
            named.add_verified(followers);
        }
        named.add_verified(circle.preceding(target));
    }

    fn next_hops<A: Address>(circle: &Circle<Self, A>, target: &Id, named: &mut NameList<'_, A>) {
        let distance = |id: &Id| circle.own.clockwise(id);
        let reach = distance(target);
        let followers = || circle.verified().filter(|(_, entry)| distance(&entry.contact.id) >= reach);
        if *target == circle.own || followers().next().is_none() {
            return;
        }
        if circle.covers(target) {
            // Beyond the successor list there are gaps.
            let end = circle.span().map_or(usize::MAX, |(ahead, _)| ahead);
            let within = followers().next().is_some_and(|(first, _)| first <= end);
            named.add_verified(followers().take_while(|(at, _)| !within || *at <= end));
        }
        named.add_verified(circle.verified().rev().filter(|(_, entry)| distance(&entry.contact.id) < reach));
    }

    fn reach<A: Address>(circle: &Circle<Self, A>, k: usize) -> Option<Distance> {
        let (_, last) = circle.verified().nth(k.checked_sub(1)?)?;
        Some(circle.own.clockwise(&last.contact.id))
    }
}
