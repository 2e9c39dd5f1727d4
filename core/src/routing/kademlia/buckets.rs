//! The array of contacts, sorted by distance to the own identifier, and the k-buckets as ranges of it.

use core::cmp::Ordering;
use core::ops::Range;

use heapless::Vec;

use super::State;
use crate::routing::Limits;
use crate::routing::entry::Entry;
use crate::{Address, Contact, Id};

/// The sorted array, to be read. A contact's *depth* is the length of the prefix it shares with the own identifier, and a
/// bucket is all contacts of one depth; the deepest come first.
#[derive(Debug)]
pub(super) struct Buckets<'a, A> {
    pub(super) own: &'a Id,
    pub(super) contacts: &'a [Entry<A>],
}

impl<A> Clone for Buckets<'_, A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A> Copy for Buckets<'_, A> {}

impl<'a, A: Address> Buckets<'a, A> {
    /// Where the contact is, or where it would be.
    pub(super) fn find(self, id: &Id) -> Result<usize, usize> {
        self.contacts.binary_search_by(|entry| compare(self.own, &entry.contact.id, id))
    }

    /// The range of all contacts of this depth.
    pub(super) fn bucket(self, depth: u32) -> Range<usize> {
        let start = self.contacts.partition_point(|entry| self.depth(entry) > depth);
        self.bucket_around(start, depth)
    }

    /// The same, where `at` is known to be the place of one of them, or where one would be.
    pub(super) fn bucket_around(self, at: usize, depth: u32) -> Range<usize> {
        let same = |entry: &&Entry<A>| self.depth(entry) == depth;
        let (before, after) = self.contacts.split_at(at.min(self.contacts.len()));
        let start = at.saturating_sub(before.iter().rev().take_while(same).count());
        start..at.saturating_add(after.iter().take_while(same).count())
    }

    /// The contacts in `range`, with their places.
    pub(super) fn within(self, range: Range<usize>) -> impl Iterator<Item = (usize, &'a Entry<A>)> {
        range.clone().zip(self.contacts.get(range).unwrap_or(&[]))
    }

    /// The place after the `count` closest verified contacts, and after all others between them; the end if there are fewer.
    pub(super) fn after_verified(self, count: usize) -> usize {
        let Some(last) = count.checked_sub(1) else {
            return 0;
        };
        let mut verified = self.contacts.iter().enumerate().filter(|(_, entry)| entry.is_verified());
        verified.nth(last).map_or(self.contacts.len(), |(at, _)| at.saturating_add(1))
    }

    /// The `count`-th closest verified contact.
    pub(super) fn neighbour(self, count: usize) -> Option<&'a Entry<A>> {
        self.contacts.iter().filter(|entry| entry.is_verified()).nth(count.checked_sub(1)?)
    }

    /// Writes the contacts in `state` that are closest to `target` into `out`, best first, and says how many.
    pub(super) fn closest(self, target: &Id, state: State, out: &mut [Contact<A>]) -> usize {
        let mut count = 0;
        let mut buckets = self.toward(target).chain(self.away_from(target));
        while count < out.len()
            && let Some(bucket) = buckets.next()
        {
            // A bucket is small enough to be sorted by insertion, and no more of it than there is room for.
            let mut sorted = Vec::<(u64, &Entry<A>), { Limits::MAX_K }>::new();
            for entry in bucket.iter().filter(|entry| entry.state() == state) {
                let mut next = (leading(target) ^ leading(&entry.contact.id), entry);
                let full = sorted.len() >= out.len().saturating_sub(count);
                if full && sorted.last().is_some_and(|last| last.0 < next.0) {
                    continue;
                }
                for other in &mut sorted {
                    let nearer = next.0 < other.0 || next.0 == other.0 && compare(target, &next.1.contact.id, &other.1.contact.id).is_lt();
                    if nearer {
                        core::mem::swap(other, &mut next);
                    }
                }
                if !full {
                    let _ = sorted.push(next);
                }
            }
            for ((_, entry), place) in sorted.iter().zip(out.iter_mut().skip(count)) {
                *place = entry.contact;
            }
            count = count.saturating_add(sorted.len()).min(out.len());
        }
        count
    }

    /// How many verified contacts are nearer to `key` than the own identifier; counts no further than `limit`.
    pub(super) fn rank_of_own(self, key: &Id, limit: usize) -> usize {
        self.toward(key).flatten().filter(|entry| entry.is_verified()).take(limit).count()
    }

    /// The buckets whose contacts are nearer to `target` than the own identifier, nearest first.
    ///
    /// A contact of some depth differs from the own identifier first in the bit of that number. Where `target` differs there
    /// too, the contact is the nearer of the two, and the more so the higher the bit: that is, the shallower the bucket.
    fn toward(self, target: &Id) -> impl Iterator<Item = &'a [Entry<A>]> {
        let differs = difference(self.own, target);
        let depth = depth(self.own, target);
        let end = self.contacts.partition_point(|entry| self.depth(entry) >= depth);
        let mut rest = self.contacts.get(..end).unwrap_or(&[]);
        let buckets = core::iter::from_fn(move || {
            let depth = self.depth(rest.last()?);
            let len = rest.iter().rev().take_while(|entry| self.depth(entry) == depth).count();
            let (deeper, bucket) = rest.split_at_checked(rest.len().saturating_sub(len))?;
            rest = deeper;
            Some((depth, bucket))
        });
        buckets.filter(move |(depth, _)| differs.bit(*depth)).map(|(_, bucket)| bucket)
    }

    /// The buckets whose contacts are farther from `target` than the own identifier, nearest first: by the same reasoning, the
    /// deepest first.
    fn away_from(self, target: &Id) -> impl Iterator<Item = &'a [Entry<A>]> {
        let differs = difference(self.own, target);
        let mut rest = self.contacts;
        let buckets = core::iter::from_fn(move || {
            let depth = self.depth(rest.first()?);
            let len = rest.iter().take_while(|entry| self.depth(entry) == depth).count();
            let (bucket, shallower) = rest.split_at_checked(len)?;
            rest = shallower;
            Some((depth, bucket))
        });
        buckets.filter(move |(depth, _)| !differs.bit(*depth)).map(|(_, bucket)| bucket)
    }

    fn depth(self, entry: &Entry<A>) -> u32 {
        depth(self.own, &entry.contact.id)
    }
}

/// The length of the prefix that two identifiers share, which is nearly always settled by the first 64 bits.
pub(super) fn depth(own: &Id, id: &Id) -> u32 {
    match leading(own) ^ leading(id) {
        0 => own.common_prefix_len(id),
        differs => differs.leading_zeros(),
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

fn difference(a: &Id, b: &Id) -> Id {
    Id::from_bytes(*a.xor(b).as_bytes())
}
