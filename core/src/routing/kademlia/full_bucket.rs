//! What happens when a bucket is full: which contact gets a place, and which one is evicted for it.
//!
//! A new contact is one that has just responded. The first rule that applies decides. Rules 1 and 2 don't apply to one
//! of the k closest to the own identifier, which always gets a place:
//!
//! 1. A full bucket of verified contacts takes no other contact. The new one waits in the replacement cache.
//! 2. If its address prefix has reached a limit, it gets the place of a contact of the same prefix that does not
//!    respond, or none.
//! 3. While its bucket and the array have room, it gets a free place.
//! 4. In a full bucket it gets the place of the contact with the highest [eviction rank](TableEntry::eviction_rank): an
//!    unverified one, else the one that failed most often, else (for one of the k closest) the newest.
//! 5. In a full array it gets the place of any unverified or failing contact. If there is none, the largest bucket
//!    evicts its newest contact, but only if it is larger by at least two, or if the new contact is one of the k
//!    closest.
//!
//! The k closest are never evicted while they are verified.

use core::cmp::Ordering;
use core::ops::Range;

use super::buckets::Buckets;
use crate::address::Address;
use crate::contact::Contact;
use crate::routing::entry::{TableEntry, epoch};
use crate::time::Instant;

/// What a new contact gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// A free place.
    Free,
    /// The place of this contact, which is evicted.
    InsteadOf(usize),
    /// No place, but it can wait in the replacement cache.
    Replacement,
    /// Nothing: its address prefix has reached a limit, or the table has no place that it could get.
    Refused,
}

impl<A: Address> Buckets<A> {
    /// What a new contact gets that belongs at `at` in the array.
    pub(super) fn place(&self, now: Instant, contact: &Contact<A>, at: usize) -> Place {
        let near = self.is_near(at);
        let bucket = self.bucket(self.depth(&contact.id));
        let full = bucket.len() >= self.k;
        if full && !near && self.all_verified(bucket.clone()) {
            return Place::Replacement;
        }
        if !near {
            let (in_bucket, in_table) = self.prefix_counts(contact, &bucket);
            match in_bucket.max(in_table) {
                Ordering::Less => {}
                Ordering::Equal => {
                    // The evicted contact must be in the bucket if that is full or its limit is reached.
                    let in_own_bucket = full || in_bucket.is_eq();
                    return self.place_in_prefix(contact, if in_own_bucket { bucket } else { self.everywhere() });
                }
                Ordering::Greater => return Place::Refused,
            }
        }
        if !full && !self.contacts.is_full() {
            return Place::Free;
        }
        // The new contact can be one of the k closest itself.
        let protected = self.after_verified(self.k - usize::from(near));
        let epoch = epoch(now);
        let rank = |entry: &TableEntry<A>| Some(entry.eviction_rank(epoch));
        let evicted = |range, protected| self.highest(range, protected, &rank);
        if full {
            return evicted(bucket, protected).map_or(Place::Refused, Place::InsteadOf);
        }
        if let Some(at) = evicted(self.everywhere(), self.contacts.capacity()) {
            return Place::InsteadOf(at);
        }
        // Of several largest buckets, the deepest: it serves the fewest targets.
        let mut largest = None;
        let mut start = 0;
        while let Some(first) = self.contacts.get(start) {
            let range = start..self.down_to(self.depth(&first.contact.id));
            let len = range.len();
            start = range.end;
            if largest.is_none_or(|(size, _)| len > size)
                && let Some(at) = evicted(range, protected)
            {
                largest = Some((len, at));
            }
        }
        match largest {
            Some((size, at)) if near || size > bucket.len() + 1 => Place::InsteadOf(at),
            Some(_) => Place::Replacement,
            None => Place::Refused,
        }
    }

    /// Whether the limits of its address prefix leave room for another contact, in its bucket and in the table.
    pub(super) fn prefix_has_room(&self, contact: &Contact<A>) -> bool {
        let bucket = self.bucket(self.depth(&contact.id));
        let (in_bucket, in_table) = self.prefix_counts(contact, &bucket);
        in_bucket.max(in_table).is_lt()
    }

    /// Of the contacts in `range`, which are not among the k closest, one whose address prefix exceeds its limits.
    pub(super) fn over_prefix_limits(&self, range: Range<usize>) -> Option<usize> {
        let start = range.start;
        self.highest(range, start, &|entry| {
            let bucket = self.bucket(self.depth(&entry.contact.id));
            let (in_bucket, in_table) = self.prefix_counts(&entry.contact, &bucket);
            in_bucket.max(in_table).is_gt().then_some(u16::from(entry.failures))
        })
    }

    /// A place for a contact whose address prefix has reached a limit.
    fn place_in_prefix(&self, contact: &Contact<A>, range: Range<usize>) -> Place {
        let prefix = contact.address.prefix();
        let silent = self.highest(range, self.contacts.capacity(), &|entry| {
            (entry.contact.address.prefix() == prefix).then_some(u16::from(entry.failures))
        });
        silent.map_or(Place::Refused, Place::InsteadOf)
    }

    /// How the numbers of contacts of its address prefix in its bucket and in the table compare with the limits.
    fn prefix_counts(&self, contact: &Contact<A>, bucket: &Range<usize>) -> (Ordering, Ordering) {
        let Some(prefix) = contact.address.prefix().filter(|_| self.per_prefix.1 != u8::MAX) else {
            return (Ordering::Less, Ordering::Less);
        };
        let (mut in_bucket, mut in_table) = (0, 0);
        for (at, _) in self.contacts.iter().enumerate().filter(|(_, entry)| entry.has_prefix(prefix)) {
            in_table += 1;
            in_bucket += usize::from(bucket.contains(&at));
        }
        (in_bucket.cmp(&usize::from(self.per_prefix.0)), in_table.cmp(&usize::from(self.per_prefix.1)))
    }

    /// Of the contacts in `range` that have a score, the last one with the highest. Verified ones count only from the
    /// place `protected` on: if that is the capacity of the array, none does.
    fn highest(
        &self,
        range: Range<usize>,
        protected: usize,
        score: &dyn Fn(&TableEntry<A>) -> Option<u16>,
    ) -> Option<usize> {
        let mut highest = None;
        for (at, entry) in self.within(range) {
            if (at >= protected || !entry.is_verified())
                && let Some(score) = score(entry)
                && highest.is_none_or(|(highest, _)| score >= highest)
            {
                highest = Some((score, at));
            }
        }
        highest.map(|(_, at)| at)
    }

    fn everywhere(&self) -> Range<usize> {
        0..self.contacts.capacity()
    }
}
