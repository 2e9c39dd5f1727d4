//! The array of contacts, sorted by distance to the own identifier, and the k-buckets as ranges of it.
//!
//! A contact's *depth* is the length of the prefix it shares with the own identifier, and a bucket is all contacts of one depth; the
//! deepest come first.

use core::cmp::Ordering;
use core::ops::Range;

use heapless::Vec;

use super::{ContactState, Kademlia};
use crate::address::Address;
use crate::contact::Contact;
use crate::id::Id;
use crate::routing::Limits;
use crate::routing::entry::TableEntry;

impl<A: Address, const CONTACTS: usize, const REPLACEMENTS: usize> Kademlia<A, CONTACTS, REPLACEMENTS> {
    /// Where the contact is, or where it would be.
    pub(super) fn find(&self, id: &Id) -> Result<usize, usize> {
        self.contacts.binary_search_by(|entry| compare(&self.own, &entry.contact.id, id))
    }

    /// The length of the prefix that it shares with the own identifier, which is nearly always settled by the first 64 bits.
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
    pub(super) fn down_to(&self, depth: usize) -> usize {
        self.contacts.partition_point(|entry| self.depth(&entry.contact.id) >= depth)
    }

    /// The place after the `count` closest verified contacts, and after all others between them; if there are fewer, one that is
    /// beyond the end.
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

    /// The k-th closest verified contact.
    pub(super) fn neighbour(&self) -> Option<&TableEntry<A>> {
        self.contacts.get(self.after_verified(self.k).checked_sub(1)?)
    }

    /// Whether a contact is nearer to `target` than the own identifier.
    pub(super) fn is_nearer(&self, entry: &TableEntry<A>, target: &Id) -> bool {
        compare(target, &entry.contact.id, &self.own).is_lt()
    }

    /// Writes the contacts in `state` that are closest to `target` into `out`, best first, and says how many.
    pub(super) fn closest_in(&self, state: ContactState, target: &Id, out: &mut [Contact<A>]) -> usize {
        let mut count = 0;
        let mut buckets = self.buckets_around(target);
        while count < out.len()
            && let Some(bucket) = buckets.next()
        {
            // A bucket is small enough to be sorted by insertion, and no more of it than there is room for.
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
    /// A contact of some depth differs from the own identifier first in the bit of that number. Where `target` differs there too, the
    /// contact is the nearer of the two: so all of a bucket are, or none is. Of those that are, the shallowest come first, for the
    /// higher the bit the more they gain by it; of the others, by the same reasoning, the deepest.
    fn buckets_around(&self, target: &Id) -> impl Iterator<Item = &[TableEntry<A>]> {
        let differs = Id::from_bytes(*self.own.xor(target).as_bytes());
        // Of those nearer, what is before `rest` is still to come; then, of all the others, what is from there on.
        let (mut nearer, mut rest) = (true, self.contacts.len());
        core::iter::from_fn(move || {
            loop {
                nearer = nearer && rest > 0;
                let depth = self.depth(&self.contacts.get(rest - usize::from(nearer))?.contact.id);
                if differs.bit(depth as u32) == nearer {
                    let edge = self.down_to(depth + usize::from(nearer));
                    let bucket = rest.min(edge)..rest.max(edge);
                    rest = edge;
                    return self.contacts.get(bucket);
                }
                // Straight to the next depth of this kind: there may be many of the other, and somebody may have chosen them.
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
}

/// Which of two identifiers is nearer to `target`.
fn compare(target: &Id, a: &Id, b: &Id) -> Ordering {
    let from = leading(target);
    (leading(a) ^ from).cmp(&(leading(b) ^ from)).then_with(|| compare_rest(target, a, b))
}

/// For identifiers that begin alike, as only the same or forged ones do.
#[cold]
#[inline(never)]
fn compare_rest(target: &Id, a: &Id, b: &Id) -> Ordering {
    a.xor(target).cmp(&b.xor(target))
}

fn leading(id: &Id) -> u64 {
    id.as_bytes().first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}
