//! The replacement cache: contacts for which the table has no place.
//!
//! One cache serves all buckets. It keeps two kinds of contacts:
//! - *Waiting* contacts are verified. They take up to three quarters of the cache, the most recent first. One bucket
//!   has at most a quarter of these places. If it has them all, its oldest contact is evicted for a new one; if all
//!   places are taken, the oldest of all is. A contact is not kept if as many contacts of its address prefix wait as a
//!   bucket takes.
//! - *Lost* contacts responded before. Others have their places, or they failed three times in a row. They take the
//!   other quarter, and are asked now and then for ever, so that halves of a split network find each other. The one
//!   that was known for the shortest time is evicted first.

use core::marker::PhantomData;

use heapless::{Vec, VecView};

use super::buckets::Buckets;
use crate::address::Address;
use crate::array;
use crate::id::Id;
use crate::routing::entry::TableEntry;
use crate::routing::peer::ContactState;
use crate::routing::stamp::Stamp;

/// The cache. The array is its last field, as in [`Buckets`].
#[derive(Clone, Debug)]
pub(super) struct Replacements<A, V: ?Sized = VecView<TableEntry<A>>> {
    address: PhantomData<fn() -> A>,
    /// The waiting contacts, the most recent first, then the lost ones.
    pub(super) entries: V,
}

impl<A, const REPLACEMENTS: usize> Replacements<A, Vec<TableEntry<A>, REPLACEMENTS>> {
    pub(super) const EMPTY: Self = Self { address: PhantomData, entries: Vec::new() };
}

impl<A: Address> Replacements<A> {
    pub(super) fn get(&self, id: &Id) -> Option<&TableEntry<A>> {
        self.entries.iter().find(|entry| entry.contact.id == *id)
    }

    pub(super) fn take_out(&mut self, id: &Id) -> Option<TableEntry<A>> {
        let at = self.entries.iter().position(|entry| entry.contact.id == *id)?;
        array::remove(&mut self.entries, at)
    }

    /// Whether there is room for this contact, which has no place in these buckets; evicts another for it if necessary.
    pub(super) fn make_room(&mut self, buckets: &Buckets<A>, epoch: u8, entry: &TableEntry<A>) -> bool {
        match entry.state() {
            ContactState::Verified => self.make_room_for_waiting(buckets, entry),
            ContactState::Failing => self.make_room_for_lost(epoch, entry),
            ContactState::Unverified => false,
        }
    }

    /// Inserts a contact for which there is room.
    pub(super) fn insert(&mut self, entry: TableEntry<A>) {
        let at = if entry.is_verified() { 0 } else { self.entries.len() };
        array::insert(&mut self.entries, at, entry);
    }

    /// The most recent waiting contact of this bucket that is not being asked yet.
    pub(super) fn most_recent(&mut self, buckets: &Buckets<A>, depth: usize) -> Option<&mut TableEntry<A>> {
        let waits = |entry: &TableEntry<A>| entry.is_verified() && entry.due == Stamp::NEVER;
        self.entries.iter_mut().find(|entry| waits(entry) && buckets.depth(&entry.contact.id) == depth)
    }

    /// Lost contacts, at most.
    fn max_lost(&self) -> usize {
        self.entries.capacity() / 4
    }

    /// Waiting contacts, at most.
    fn max_waiting(&self) -> usize {
        self.entries.capacity() - self.max_lost()
    }

    fn make_room_for_waiting(&mut self, buckets: &Buckets<A>, entry: &TableEntry<A>) -> bool {
        let depth = buckets.depth(&entry.contact.id);
        let prefix = entry.contact.address.prefix();
        let (mut of_prefix, mut of_bucket, mut all) = (0, 0, 0);
        let (mut oldest_of_bucket, mut oldest) = (0, 0);
        for (at, waiting) in self.entries.iter().enumerate().filter(|(_, waiting)| waiting.is_verified()) {
            (all, oldest) = (all + 1, at);
            if buckets.depth(&waiting.contact.id) == depth {
                (of_bucket, oldest_of_bucket) = (of_bucket + 1, at);
            }
            of_prefix += usize::from(prefix.is_some_and(|prefix| waiting.has_prefix(prefix)));
        }
        if of_prefix >= usize::from(buckets.per_prefix.0) && buckets.per_prefix.0 != u8::MAX {
            return false;
        }
        if of_bucket >= self.max_waiting().div_ceil(4) {
            array::remove(&mut self.entries, oldest_of_bucket);
        } else if all >= self.max_waiting() {
            array::remove(&mut self.entries, oldest);
        }
        true
    }

    fn make_room_for_lost(&mut self, epoch: u8, entry: &TableEntry<A>) -> bool {
        let (mut count, mut youngest) = (0, (u8::MAX, 0));
        for (at, lost) in self.entries.iter().enumerate().filter(|(_, lost)| !lost.is_verified()) {
            count += 1;
            if lost.age(epoch) < youngest.0 {
                youngest = (lost.age(epoch), at);
            }
        }
        let (age, at) = youngest;
        let room = count < self.max_lost();
        if !room && age <= entry.age(epoch) {
            return array::remove(&mut self.entries, at).is_some();
        }
        room
    }
}

#[cfg(test)]
mod tests;
