//! Who gets a place in the table, and whom that turns out.

use core::cmp::Ordering;
use core::ops::Range;

use super::{ContactState, Kademlia};
use crate::address::Address;
use crate::array;
use crate::contact::Contact;
use crate::id::Id;
use crate::routing::entry::{TableEntry, epoch};
use crate::routing::stamp::Stamp;
use crate::time::Instant;

/// What a newcomer that has answered may get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// There is room.
    Free,
    /// The place of this one.
    InsteadOf(usize),
    /// It may wait for a place.
    Replacement,
    /// The limits of its address group, or a table without room for anybody.
    Refused,
}

impl<A: Address, const CONTACTS: usize, const REPLACEMENTS: usize> Kademlia<A, CONTACTS, REPLACEMENTS> {
    /// Spares that are lost, at most.
    const LOST: usize = REPLACEMENTS / 4;
    /// Spares that answer, at most.
    const WAITING: usize = REPLACEMENTS - Self::LOST;

    pub(super) fn takes(&self, id: &Id) -> bool {
        self.k != 0 && *id != self.own
    }

    /// Whether fewer than k verified contacts are closer to the own identifier than this place.
    pub(super) fn is_near(&self, at: usize) -> bool {
        at < self.after_verified(self.k)
    }

    /// Gives a contact that has just answered a place, or lets it wait for one.
    pub(super) fn admit(&mut self, now: Instant, entry: TableEntry<A>) {
        let (Ok(at) | Err(at)) = self.find(&entry.contact.id);
        match self.place(now, &entry.contact, at) {
            Place::Free => {}
            Place::InsteadOf(at) => self.turn_out(now, at),
            Place::Replacement => return self.keep(now, entry),
            Place::Refused => return,
        }
        let at = self.insert(now, entry);
        if self.is_near(at) {
            self.neighbour_came(now);
        }
    }

    /// What a newcomer gets whose place in the order is `at`.
    pub(super) fn place(&self, now: Instant, contact: &Contact<A>, at: usize) -> Place {
        let near = self.is_near(at);
        let bucket = self.bucket(self.depth(&contact.id));
        let full = bucket.len() >= self.k;
        if full && !near && self.all_response(bucket.clone()) {
            return Place::Replacement;
        }
        if !near {
            let (in_bucket, in_table) = self.crowding(contact, &bucket);
            match in_bucket.max(in_table) {
                Ordering::Less => {}
                Ordering::Equal => {
                    // It must make room in all that is full.
                    let tight = full || in_bucket.is_eq();
                    return self.place_in_prefix(contact, if tight { bucket } else { 0..CONTACTS });
                }
                Ordering::Greater => return Place::Refused,
            }
        }
        if !full && !self.contacts.is_full() {
            return Place::Free;
        }
        // The newcomer may be one of the k closest itself.
        let protected = self.after_verified(self.k - usize::from(near));
        let epoch = epoch(now);
        let dispensability = |entry: &TableEntry<A>| Some(entry.eviction_rank(epoch));
        let dispensable = |range, protected| self.worst(range, protected, &dispensability);
        if full {
            return dispensable(bucket, protected).map_or(Place::Refused, Place::InsteadOf);
        }
        if let Some(at) = dispensable(0..CONTACTS, CONTACTS) {
            return Place::InsteadOf(at);
        }
        // The largest bucket gives way; of several, the deepest, for it serves the fewest targets.
        let mut largest = None;
        let mut start = 0;
        while let Some(first) = self.contacts.get(start) {
            let range = start..self.down_to(self.depth(&first.contact.id));
            let len = range.len();
            start = range.end;
            if largest.is_none_or(|(size, _)| len > size)
                && let Some(at) = dispensable(range, protected)
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

    /// A place for a newcomer whose address group is at a limit: that of one of the same group that doesn't answer.
    fn place_in_prefix(&self, contact: &Contact<A>, range: Range<usize>) -> Place {
        let prefix = contact.address.prefix();
        let silent = self.worst(range, CONTACTS, &|entry| {
            (entry.contact.address.prefix() == prefix).then_some(u16::from(entry.failures))
        });
        silent.map_or(Place::Refused, Place::InsteadOf)
    }

    /// How many of its address group there are in its bucket, and in the table, compared with the limits.
    pub(super) fn crowding(&self, contact: &Contact<A>, bucket: &Range<usize>) -> (Ordering, Ordering) {
        let Some(prefix) = contact.address.prefix() else {
            return (Ordering::Less, Ordering::Less);
        };
        let (mut in_bucket, mut in_table) = (0, 0);
        for (at, _) in self.contacts.iter().enumerate().filter(|(_, entry)| entry.has_prefix(prefix)) {
            in_table += 1;
            in_bucket += usize::from(bucket.contains(&at));
        }
        (in_bucket.cmp(&self.per_prefix.0), in_table.cmp(&self.per_prefix.1))
    }

    /// There is a new one among the k closest. Those it pushed out are no longer exempt from the limits of their group.
    pub(super) fn neighbour_came(&mut self, now: Instant) {
        self.schedule.neighbourhood_changed(now);
        let start = self.after_verified(self.k);
        let mut end = self.after_verified(self.k + 1);
        loop {
            let crowded = self.worst(start..end, start, &|entry| {
                let bucket = self.bucket(self.depth(&entry.contact.id));
                let (in_bucket, in_table) = self.crowding(&entry.contact, &bucket);
                in_bucket.max(in_table).is_gt().then_some(u16::from(entry.failures))
            });
            let Some(at) = crowded else {
                return;
            };
            self.turn_out(now, at);
            end = end.saturating_sub(1);
        }
    }

    /// Of those in `range` that have a score, the last with the highest; no verified one whose place is before `protected`, which
    /// is `CONTACTS` where no verified one is meant at all.
    fn worst(
        &self,
        range: Range<usize>,
        protected: usize,
        score: &dyn Fn(&TableEntry<A>) -> Option<u16>,
    ) -> Option<usize> {
        let mut worst = None;
        for (at, entry) in self.within(range) {
            if at >= protected || !entry.is_verified() {
                worst = worst.max(score(entry).map(|score| (score, at)));
            }
        }
        worst.map(|(_, at)| at)
    }

    /// The contacts in `range`, with their places.
    fn within(&self, range: Range<usize>) -> impl Iterator<Item = (usize, &TableEntry<A>)> {
        let end = range.end.min(self.contacts.len());
        self.contacts.get(range.start..end).unwrap_or(&[]).iter().zip(range.start..).map(|(entry, at)| (at, entry))
    }

    fn all_response(&self, range: Range<usize>) -> bool {
        self.within(range).all(|(_, entry)| entry.is_verified())
    }

    pub(super) fn insert(&mut self, now: Instant, entry: TableEntry<A>) -> usize {
        let (Ok(at) | Err(at)) = self.find(&entry.contact.id);
        array::insert(&mut self.contacts, at, entry);
        self.schedule.contact_added(now);
        at
    }

    /// Takes a contact out for another, and remembers it as a spare or as lost.
    fn turn_out(&mut self, now: Instant, at: usize) {
        if let Some(entry) = array::remove(&mut self.contacts, at) {
            self.keep(now, entry);
        }
    }

    pub(super) fn replacement(&self, id: &Id) -> Option<usize> {
        self.replacements.iter().position(|replacement| replacement.contact.id == *id)
    }

    pub(super) fn take_replacement(&mut self, id: &Id) -> Option<TableEntry<A>> {
        let at = self.replacement(id)?;
        array::remove(&mut self.replacements, at)
    }

    /// Keeps a contact that has no place, as the most recent of the spares if it answers, as lost if it fails.
    pub(super) fn keep(&mut self, now: Instant, mut entry: TableEntry<A>) {
        let at = match entry.state() {
            ContactState::Verified if self.makes_room_for_replacement(&entry) => {
                entry.due = Stamp::NEVER;
                0
            }
            ContactState::Failing if self.makes_room_for_lost(now, &entry) => {
                entry.due = self.schedule.after_loss(now);
                self.replacements.len()
            }
            _ => return,
        };
        array::insert(&mut self.replacements, at, entry);
    }

    /// The oldest of the spares that answer gives way: of its bucket, if that has a quarter of them already.
    fn makes_room_for_replacement(&mut self, entry: &TableEntry<A>) -> bool {
        let depth = self.depth(&entry.contact.id);
        let prefix = entry.contact.address.prefix();
        let (mut of_prefix, mut of_bucket, mut all) = (0, 0, 0);
        let (mut oldest_of_bucket, mut oldest) = (0, 0);
        for (at, replacement) in
            self.replacements.iter().enumerate().filter(|(_, replacement)| replacement.is_verified())
        {
            (all, oldest) = (all + 1, at);
            if self.depth(&replacement.contact.id) == depth {
                (of_bucket, oldest_of_bucket) = (of_bucket + 1, at);
            }
            of_prefix += usize::from(prefix.is_some_and(|prefix| replacement.has_prefix(prefix)));
        }
        if of_prefix >= self.per_prefix.0 {
            return false;
        }
        if of_bucket >= Self::WAITING.div_ceil(4) {
            array::remove(&mut self.replacements, oldest_of_bucket);
        } else if all >= Self::WAITING {
            array::remove(&mut self.replacements, oldest);
        }
        true
    }

    /// Of those that are lost, the one that was known for the shortest time gives way.
    fn makes_room_for_lost(&mut self, now: Instant, entry: &TableEntry<A>) -> bool {
        let epoch = epoch(now);
        let (mut lost, mut youngest) = (0, (u8::MAX, 0));
        for (at, replacement) in
            self.replacements.iter().enumerate().filter(|(_, replacement)| !replacement.is_verified())
        {
            (lost, youngest) = (lost + 1, youngest.min((replacement.age(epoch), at)));
        }
        let (age, at) = youngest;
        let room = lost < Self::LOST;
        if !room && age <= entry.age(epoch) {
            return array::remove(&mut self.replacements, at).is_some();
        }
        room
    }

    /// Has the most recent spare of the bucket of `id` asked, if there is a place for it. It gets that when it answers.
    pub(super) fn call_replacement(&mut self, now: Instant, id: &Id) {
        let depth = self.depth(id);
        let bucket = self.bucket(depth);
        let room = bucket.len() < self.k && !self.contacts.is_full();
        if !room && self.all_response(bucket) {
            return;
        }
        // Those that were called before are on their way.
        let waits = |replacement: &TableEntry<A>| {
            replacement.is_verified() && replacement.due == Stamp::NEVER && self.depth(&replacement.contact.id) == depth
        };
        let called = self.replacements.iter().position(waits);
        if let Some(replacement) = called.and_then(|at| self.replacements.get_mut(at)) {
            replacement.due = Stamp::of(now);
        }
    }
}
