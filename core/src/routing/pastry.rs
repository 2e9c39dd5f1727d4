//! Pastry: prefixes resolved digit by digit, and a leaf set where they end.
//!
//! Rowstron and Druschel ("Pastry: Scalable, Decentralized Object Location and Routing for Large-Scale Peer-to-Peer
//! Systems", 2001) read identifiers as numbers with digits of b bits. A key belongs to the node whose identifier is
//! numerically closest, around a ring. A node knows its *leaf set*, the nodes next to it on either side, and a *routing
//! table*: row r has a cell for each digit, with a node that shares r digits with the own identifier and has that digit
//! next. A request goes to the cell of the key's next digit, each step resolving one, and ends in the leaf set: log N
//! to the base 2^b steps.
//!
//! Of the many nodes that can hold a cell of the first rows, Pastry takes one that is near in the network, which makes
//! the first, arbitrary steps short (proximity neighbour selection). Here nearness is a measured round trip: of the
//! contacts that responded, the one with the shortest holds the cell, and the next ones wait as its replacements.
//!
//! | in the paper | here |
//! |---|---|
//! | join | a lookup of the own identifier, then of the cells that are empty |
//! | exchange of leaf sets | `find_node` for the own identifier: to both next leaves every minute, to all at each check of the neighbourhood |
//! | row maintenance | a lookup of an identifier in each row, every hour |
//! | holders | the k numerically closest nodes: a node and its closest leaves |
//!
//! Where this table departs from the paper:
//! - There is no neighbourhood set. The paper keeps nodes that are near in the network so that new nodes can ask them
//!   for rows of near nodes. Here every response is measured: lookups pass through the first rows all the time, and so
//!   compare many candidates for the same few cells. The set would take room, and requests, that the replacements use
//!   better.
//! - A joining node doesn't copy rows from the nodes on its way. Messages name contacts for a target, not rows, and a
//!   copied contact would have to be asked before it is trusted anyway.
//! - Several contacts are named in a response, since iterative lookups ask several at once. They sort by numerical
//!   distance. A step by the routing table makes it smaller too, except across the few borders between digits.
//! - The paper leaves open which node holds a key that is as far from one node as from another. Here both do, as far as
//!   there are holders.
//! - A request is forwarded only to a node that shares a longer prefix with the key, or an equally long one and is
//!   numerically closer. So it never returns.

use crate::address::Address;
use crate::contact::Contact;
use crate::geometry::Geometry;
use crate::id::{Distance, Id};
use crate::routing::entry::TableEntry;
use crate::routing::ring::{Cell, Circle, NameList, Plan, Ring};

/// Pastry's table: `LEAVES` leaves, half on either side, and in the rest of `CONTACTS` the routing table by digits of
/// `BITS` bits, 1 to 4, and its replacements. A contact takes 36 bytes with an IPv4 address.
///
/// With 4 bits in a digit 128 contacts serve a network of a hundred thousand nodes. Fewer bits take fewer contacts and
/// more steps. `LEAVES` should be no less than twice k.
///
/// ```
/// use core::time::Duration;
/// use kadlet::{Contact, Id, Instant, Pastry, Routing, routing::Limits};
///
/// let mut table = Pastry::<u16, 2>::EMPTY;
/// let now = Instant::ZERO;
/// let node = |byte: u8| Contact::new(Id::from_bytes([byte; 20]), u16::from(byte));
/// table.start(now, node(0x40).id, &Limits::DEFAULT, 42)?;
/// for (byte, millis) in [(0x3F, 20), (0x41, 20), (0x90, 50), (0x98, 30), (0x9A, 70), (0xB0, 10)] {
///     table.responded(now, node(byte), Some(Duration::from_millis(millis)));
/// }
/// assert!(table.leaves().eq([0x41, 0x3F].map(node)));
/// assert_eq!(table.cell(0, 0x9), Some(node(0x98)), "the nearest in the network");
///
/// let mut hops = [Contact::EMPTY; 1];
/// table.next_hops(&node(0x9F).id, &mut hops);
/// assert_eq!(hops, [node(0x98)]);
/// # Ok::<(), kadlet::ConfigError>(())
/// ```
pub type Pastry<A, const LEAVES: usize = 16, const BITS: usize = 4, const CONTACTS: usize = 128> =
    Ring<Digits<BITS>, A, LEAVES, CONTACTS>;

/// Pastry's geometry: one order, by the shorter way around the ring, independent of the digits.
///
/// ```
/// use kadlet::{Digits, Geometry, Id};
///
/// let [target, near, far] = [0x10, 0x0F, 0x20].map(|byte| Id::from_bytes([byte; 20]));
/// assert!(Digits::<4>::rank(&target, &near) < Digits::<4>::rank(&target, &far));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Digits<const BITS: usize = 4>;

impl<const BITS: usize> Digits<BITS> {
    /// Bits in a digit, and the mask of one.
    const DIGIT: (usize, u8) = {
        assert!(BITS >= 1 && BITS <= 4, "a digit has 1 to 4 bits");
        (BITS, (1 << BITS) - 1)
    };

    /// The digit at this place; bits beyond the last are zeros.
    fn digit(id: &Id, place: usize) -> u8 {
        let (bits, mask) = Self::DIGIT;
        let end = place.saturating_add(1).saturating_mul(bits);
        let byte = |at: usize| id.as_bytes().get(at).map_or(0, |byte| u16::from(*byte));
        let last = end.saturating_sub(1) / 8;
        let pair = byte(last.wrapping_sub(1)) << 8 | byte(last);
        let below = last.saturating_add(1).saturating_mul(8).saturating_sub(end);
        (pair >> below).to_le_bytes()[0] & mask
    }

    fn shared(a: &Id, b: &Id) -> usize {
        usize::try_from(a.common_prefix_len(b)).unwrap_or(0) / Self::DIGIT.0
    }
}

impl<const BITS: usize> Geometry for Digits<BITS> {
    const TAG: u8 = 3;
    const ONE_ORDER: bool = true;

    fn progress(target: &Id, id: &Id) -> Distance {
        id.ring(target)
    }

    fn rank(target: &Id, id: &Id) -> Distance {
        id.ring(target)
    }
}

impl<A: Address, const LEAVES: usize, const BITS: usize, const CONTACTS: usize> Pastry<A, LEAVES, BITS, CONTACTS> {
    /// The leaf set, clockwise from the own node on. All are verified.
    pub fn leaves(&self) -> impl Iterator<Item = Contact<A>> {
        let circle = self.circle();
        let edges = circle.edges();
        let leaves =
            circle.verified().filter(move |(at, _)| edges.is_none_or(|(ahead, behind)| *at <= ahead || *at >= behind));
        leaves.map(|(_, entry)| entry.contact)
    }

    /// The verified contact that a cell keeps: it shares `row` digits with the own identifier and has `digit` next.
    #[must_use]
    pub fn cell(&self, row: u8, digit: u8) -> Option<Contact<A>> {
        self.contact_in(row, digit)
    }
}

impl<const BITS: usize> Plan for Digits<BITS> {
    const COLUMNS: u8 = 1 << Self::DIGIT.0;
    const PREDECESSOR_ADMITS: bool = false;

    fn sides(near: usize, _: usize) -> (usize, usize) {
        (near.div_ceil(2), near / 2)
    }

    fn cell(own: &Id, id: &Id) -> Cell {
        let row = Self::shared(own, id);
        Cell { row: u8::try_from(row).unwrap_or(u8::MAX), column: Self::digit(id, row) }
    }

    /// The own identifier with another digit in that place, or up to it.
    fn start(own: &Id, row: u8, column: Option<u8>) -> (Id, usize) {
        let (bits, mask) = Self::DIGIT;
        let row = usize::from(row);
        let Some(column) = column else {
            return (*own, row.saturating_mul(bits));
        };
        let end = row.saturating_add(1).saturating_mul(bits);
        let mut bytes = *own.as_bytes();
        let differs = (Self::digit(own, row) ^ column) & mask;
        for bit in (0..bits).filter(|bit| differs >> bit & 1 == 1) {
            let at = end.saturating_sub(bit.saturating_add(1));
            if let Some(byte) = bytes.get_mut(at / 8) {
                *byte ^= 0x80 >> (at % 8);
            }
        }
        (Id::from_bytes(bytes), end)
    }

    /// Down to the row in which the leaf set may leave a cell uncovered.
    fn rows(_: &Id, ahead: &Id, behind: &Id) -> usize {
        let zeros = usize::try_from(behind.clockwise(ahead).leading_zeros()).unwrap_or(0);
        (zeros / Self::DIGIT.0).saturating_add(1)
    }

    fn prefers<A: Address>(_: &Id, first: &TableEntry<A>, second: &TableEntry<A>) -> bool {
        match (first.rtt.smoothed(), second.rtt.smoothed()) {
            (Some(first), Some(second)) => first < second,
            (first, second) => first.is_some() && second.is_none(),
        }
    }

    fn closest<A: Address>(circle: &Circle<Self, A>, target: &Id, named: &mut NameList<'_, A>) {
        if !circle.covers(target) {
            named.add_verified(circle.contact_in(Self::cell(&circle.own, target)).into_iter());
        }
        named.add_verified(circle.around(target));
    }

    fn next_hops<A: Address>(circle: &Circle<Self, A>, target: &Id, named: &mut NameList<'_, A>) {
        let own = circle.own.ring(target);
        let nearer = circle.around(target).filter(|(_, entry)| entry.contact.id.ring(target) < own);
        if circle.covers(target) {
            return named.add_verified(nearer);
        }
        let cell = Self::cell(&circle.own, target);
        named.add_verified(circle.contact_in(cell).into_iter());
        named.add_verified(circle.verified().filter(|(_, entry)| Self::cell(&circle.own, &entry.contact.id) == cell));
        named
            .add_verified(nearer.filter(|(_, entry)| Self::shared(&entry.contact.id, target) >= usize::from(cell.row)));
    }

    fn reach<A: Address>(circle: &Circle<Self, A>, k: usize) -> Option<Distance> {
        let mut verified = circle.around(&circle.own).filter(|(_, entry)| entry.is_verified());
        verified.nth(k.checked_sub(1)?).map(|(_, entry)| entry.contact.id.ring(&circle.own))
    }
}
