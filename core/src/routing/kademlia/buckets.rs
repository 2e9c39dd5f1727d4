//! The array of contacts, sorted by distance to the own identifier, and the k-buckets as ranges of it.
//!
//! A contact's *depth* is the length of the prefix that it shares with the own identifier. A bucket is all contacts of
//! one depth; the deepest bucket comes first.

use core::marker::PhantomData;
use core::ops::Range;

use heapless::{Vec, VecView};

use super::xor::{compare, leading};
use crate::address::Address;
use crate::array;
use crate::contact::Contact;
use crate::id::Id;
use crate::routing::entry::TableEntry;
use crate::routing::limits::Limits;
use crate::routing::peer::ContactState;
use crate::routing::schedule::Schedule;
use crate::time::Instant;

/// Kademlia's table without its replacement cache. The array of contacts is the last field, so that a table of any size
/// can be used as the unsized type `Buckets<A>`: the code is compiled once for all sizes, as with heapless's `VecView`.
#[derive(Clone, Debug)]
pub(super) struct Buckets<A, V: ?Sized = VecView<TableEntry<A>>> {
    pub(super) own: Id,
    /// Zero until the table is started; at most the number of places.
    pub(super) k: usize,
    /// How many contacts of one address prefix a bucket takes, and the table.
    pub(super) per_prefix: (u8, u8),
    pub(super) schedule: Schedule,
    address: PhantomData<fn() -> A>,
    /// Sorted by distance to the own identifier.
    pub(super) contacts: V,
}

impl<A, const CONTACTS: usize> Buckets<A, Vec<TableEntry<A>, CONTACTS>> {
    pub(super) const EMPTY: Self = Self {
        own: Id::ZERO,
        k: 0,
        per_prefix: (0, 0),
        schedule: Schedule::EMPTY,
        address: PhantomData,
        contacts: Vec::new(),
    };
}

impl<A: Address> Buckets<A> {
    pub(super) fn start(&mut self, own: Id, limits: &Limits, random: u64) {
        self.own = own;
        self.k = usize::from(limits.k);
        self.per_prefix = limits.per_prefix();
        self.schedule.start(limits, random);
        self.contacts.clear();
    }

    /// Whether a contact with this identifier can be in the table.
    pub(super) fn accepts(&self, id: &Id) -> bool {
        self.k != 0 && *id != self.own
    }

    /// The place of the contact, or where it would be.
    pub(super) fn find(&self, id: &Id) -> Result<usize, usize> {
        self.contacts.binary_search_by(|entry| compare(&self.own, &entry.contact.id, id))
    }

    /// The length of the prefix that the identifier shares with the own one. The first 64 bits nearly always decide.
    pub(super) fn depth(&self, id: &Id) -> usize {
        let depth = match leading(&self.own) ^ leading(id) {
            0 => self.own.common_prefix_len(id),
            differs => differs.leading_zeros(),
        };
        depth as usize
    }

    /// The range of all contacts of this depth.
    pub(super) fn bucket(&self, depth: usize) -> Range<usize> {
        self.down_to(depth + 1)..self.down_to(depth)
    }

    /// How many contacts are of this depth or deeper.
    #[inline(never)]
    pub(super) fn down_to(&self, depth: usize) -> usize {
        let own = leading(&self.own);
        // The bits of the prefix, of the first 64.
        let prefix = !u64::MAX.checked_shr(depth as u32).unwrap_or(0);
        self.contacts.partition_point(|entry| {
            let id = &entry.contact.id;
            (leading(id) ^ own) & prefix == 0 && (prefix != u64::MAX || self.depth(id) >= depth)
        })
    }

    /// The contacts in `range`, with their places.
    pub(super) fn within(&self, range: Range<usize>) -> impl Iterator<Item = (usize, &TableEntry<A>)> {
        let end = range.end.min(self.contacts.len());
        self.contacts.get(range.start..end).unwrap_or(&[]).iter().zip(range.start..).map(|(entry, at)| (at, entry))
    }

    pub(super) fn all_verified(&self, range: Range<usize>) -> bool {
        self.within(range).all(|(_, entry)| entry.is_verified())
    }

    /// The place after the `count` closest verified contacts, and after all others between them; if fewer are verified,
    /// a place beyond the end.
    pub(super) fn after_verified(&self, count: usize) -> usize {
        let mut left = count;
        for (at, entry) in self.contacts.iter().enumerate() {
            if left == 0 {
                return at;
            }
            left -= usize::from(entry.is_verified());
        }
        if left == 0 { self.contacts.len() } else { usize::MAX }
    }

    /// Whether fewer than k verified contacts are closer to the own identifier than this place.
    pub(super) fn is_near(&self, at: usize) -> bool {
        at < self.after_verified(self.k)
    }

    /// The k-th closest verified contact.
    pub(super) fn farthest_neighbour(&self) -> Option<&TableEntry<A>> {
        self.contacts.get(self.after_verified(self.k).checked_sub(1)?)
    }

    /// How many verified contacts are nearer to `target` than the own identifier; counts no further than `limit`.
    pub(super) fn rank_of_own(&self, target: &Id, limit: usize) -> usize {
        let nearer = |entry: &&TableEntry<A>| compare(target, &entry.contact.id, &self.own).is_lt();
        self.contacts.iter().filter(|entry| entry.is_verified() && nearer(entry)).take(limit).count()
    }

    /// Writes the contacts with which a lookup of `target` begins into `out`, and returns how many: the closest
    /// verified ones, then, up to k in all, the closest failing and the closest unverified ones.
    pub(super) fn initial_contacts(&self, target: &Id, out: &mut [Contact<A>]) -> usize {
        let (mut count, mut room) = (0, out.len());
        for state in [ContactState::Verified, ContactState::Failing, ContactState::Unverified] {
            count += out.get_mut(count..room).map_or(0, |rest| self.closest_in(state, target, rest));
            room = room.min(self.k);
        }
        count
    }

    /// Writes the contacts in `state` that are closest to `target` into `out`, best first, and returns how many.
    pub(super) fn closest_in(&self, state: ContactState, target: &Id, out: &mut [Contact<A>]) -> usize {
        let mut count = 0;
        let mut buckets = self.buckets_around(target);
        while count < out.len()
            && let Some(bucket) = buckets.next()
        {
            // A bucket is small enough to be sorted by insertion, and no more of it than fits.
            let room = out.len() - count;
            let mut sorted = Vec::<(u64, &TableEntry<A>), { Limits::MAX_K }>::new();
            for entry in bucket.iter().filter(|entry| entry.state() == state) {
                let mut next = (leading(target) ^ leading(&entry.contact.id), entry);
                for other in &mut sorted {
                    let nearer = next.0 < other.0
                        || next.0 == other.0 && compare(target, &next.1.contact.id, &other.1.contact.id).is_lt();
                    if nearer {
                        core::mem::swap(other, &mut next);
                    }
                }
                if sorted.len() < room {
                    let _ = sorted.push(next);
                }
            }
            for ((_, entry), place) in sorted.iter().zip(out.iter_mut().skip(count)) {
                *place = entry.contact;
            }
            count += sorted.len();
        }
        count
    }

    /// The buckets, nearest to `target` first.
    ///
    /// A contact of depth d first differs from the own identifier in bit d. Where `target` differs there too, the
    /// contact is the nearer of the two: so all contacts of a bucket are nearer than the own node, or none is. Of the
    /// buckets that are nearer, the shallowest come first, because a higher bit gains more; of the others, for the same
    /// reason, the deepest.
    fn buckets_around(&self, target: &Id) -> impl Iterator<Item = &[TableEntry<A>]> {
        let differs = Id::from_bytes(*self.own.xor(target).as_bytes());
        let contacts: &[TableEntry<A>] = &self.contacts;
        // Of the nearer buckets, those before `rest` are still to come; then, of all the others, those from `rest` on.
        let (mut nearer, mut rest) = (true, contacts.len());
        core::iter::from_fn(move || {
            loop {
                nearer = nearer && rest > 0;
                let depth = self.depth(&contacts.get(rest - usize::from(nearer))?.contact.id);
                if differs.bit(depth as u32) == nearer {
                    let edge = self.down_to(depth + usize::from(nearer));
                    let bucket = rest.min(edge)..rest.max(edge);
                    rest = edge;
                    return contacts.get(bucket);
                }
                // Straight to the next depth of this kind: there can be many buckets of the other kind, made by an
                // attacker who chooses identifiers.
                rest = if nearer {
                    (depth as u32..Id::BITS)
                        .find(|depth| differs.bit(*depth))
                        .map_or(0, |depth| self.down_to(depth as usize))
                } else {
                    self.down_to((0..=depth as u32).rev().find(|depth| !differs.bit(*depth))? as usize + 1)
                };
            }
        })
    }

    /// Inserts a contact, and returns its place.
    pub(super) fn insert(&mut self, now: Instant, entry: TableEntry<A>) -> usize {
        let (Ok(at) | Err(at)) = self.find(&entry.contact.id);
        array::insert(&mut self.contacts, at, entry);
        self.schedule.contact_added(now);
        at
    }
}
