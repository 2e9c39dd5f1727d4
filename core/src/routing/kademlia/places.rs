//! Who gets a place in the table, and whom that turns out.

use core::ops::Range;
use core::time::Duration;

use super::buckets::{Buckets, depth};
use super::{State, Table};
use crate::routing::Heard;
use crate::routing::clock::{NEVER, RETRY_MAX};
use crate::routing::entry::Entry;
use crate::{Address, Contact, Id, Instant, array};

/// What a newcomer that has answered may get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// There is room.
    Free,
    /// The place of this one.
    InsteadOf(usize),
    /// It may wait for a place.
    Spare,
    /// The limits of its address group, or a table without room for anybody.
    Refused,
}

impl<A: Address> Table<'_, A> {
    pub(super) fn heard(&mut self, now: Instant, contact: Contact<A>, how: Heard) -> bool {
        if !self.takes(&contact.id) {
            return false;
        }
        let at = match self.buckets().find(&contact.id) {
            Ok(at) => return self.contacts.get(at).is_some_and(|entry| !entry.is_verified()),
            Err(at) => at,
        };
        let waits = self.spares.iter().any(|spare| spare.contact.id == contact.id);
        match self.place(now, &contact, at) {
            Place::Free if !waits && how != Heard::Asked => {}
            Place::Free | Place::InsteadOf(_) => return true,
            Place::Spare | Place::Refused => return false,
        }
        let bucket = self.buckets().bucket(depth(&self.rules.own, &contact.id));
        if self.within_group_limits(&contact.address, &bucket) {
            let due = self.clock.after_heard(now);
            self.insert(now, Entry::heard(contact, due));
            self.schedule();
        }
        true
    }

    pub(super) fn answered(&mut self, now: Instant, contact: Contact<A>, rtt: Option<Duration>) {
        if !self.takes(&contact.id) {
            return;
        }
        let in_table = self.known(&contact.id).copied();
        // In the table, only one that stopped answering can have moved.
        if in_table.is_some_and(|old| old.is_verified() && old.contact.address != contact.address) {
            return;
        }
        let known = in_table.or_else(|| self.take_spare(&contact.id));
        let same = known.filter(|old| old.state() != State::Heard && old.contact.address == contact.address);
        let mut entry = same.unwrap_or_else(|| Entry::new(now, contact));
        let recovered = !entry.is_verified();
        entry.answer(now, rtt);
        if !recovered {
            self.clock.reassured(now, entry.due, &self.rules.limits);
        }
        entry.due = self.clock.after(now, self.clock.quiet(&self.rules.limits));
        match self.buckets().find(&contact.id) {
            Ok(at) if same.is_some() => {
                if let Some(old) = self.contacts.get_mut(at) {
                    *old = entry;
                }
                if recovered && self.is_near(at) {
                    self.neighbour_came(now);
                }
                if !recovered && known.is_some_and(|old| self.clock.moved(old.due, entry.due)) {
                    return;
                }
            }
            _ => {
                self.forget(&contact.id);
                self.admit(now, entry);
            }
        }
        self.schedule();
    }

    pub(super) fn failed(&mut self, now: Instant, id: &Id) {
        if let Ok(at) = self.buckets().find(id) {
            let near = self.is_near(at);
            if self.contacts.get(at).is_some_and(|entry| entry.state() != State::Failing) {
                self.clock.alarm(now, &self.rules.limits, self.contacts);
            }
            match self.contacts.get_mut(at) {
                Some(entry) if entry.state() != State::Heard => {
                    if entry.is_verified() && near {
                        self.clock.neighbourhood_changed(now, &self.rules.limits);
                    }
                    entry.fail(now);
                    entry.due = self.clock.after_failure(now, entry.failures, &self.rules.limits);
                }
                _ => self.forget(id),
            }
        } else if let Some(mut spare) = self.take_spare(id)
            && !spare.is_verified()
        {
            spare.fail(now);
            self.keep_lost(now, spare);
        }
        self.call_spare(now, id);
        self.schedule();
    }

    pub(super) fn evict(&mut self, now: Instant, id: &Id) {
        if let Ok(at) = self.buckets().find(id) {
            if self.is_near(at) && self.contacts.get(at).is_some_and(Entry::is_verified) {
                self.clock.neighbourhood_changed(now, &self.rules.limits);
            }
            self.forget(id);
        }
        self.take_spare(id);
        self.call_spare(now, id);
        self.schedule();
    }

    pub(super) fn buckets(&self) -> Buckets<'_, A> {
        Buckets { own: &self.rules.own, contacts: self.contacts }
    }

    fn takes(&self, id: &Id) -> bool {
        self.rules.k != 0 && *id != self.rules.own
    }

    fn known(&self, id: &Id) -> Option<&Entry<A>> {
        self.contacts.get(self.buckets().find(id).ok()?)
    }

    /// Whether fewer than k verified contacts are closer to the own identifier than this place.
    fn is_near(&self, at: usize) -> bool {
        let closer = self.contacts.iter().take(at).filter(|entry| entry.is_verified());
        closer.take(self.rules.k).count() < self.rules.k
    }

    /// Gives a contact that has just answered a place, or lets it wait for one.
    fn admit(&mut self, now: Instant, entry: Entry<A>) {
        let (Ok(at) | Err(at)) = self.buckets().find(&entry.contact.id);
        match self.place(now, &entry.contact, at) {
            Place::Free => {}
            Place::InsteadOf(at) => self.turn_out(now, at),
            Place::Spare => return self.keep_spare(entry),
            Place::Refused => return,
        }
        let at = self.insert(now, entry);
        if self.is_near(at) {
            self.neighbour_came(now);
        }
    }

    /// What a newcomer gets whose place in the order is `at`.
    fn place(&self, now: Instant, contact: &Contact<A>, at: usize) -> Place {
        let buckets = self.buckets();
        let near = self.is_near(at);
        let bucket = buckets.bucket_around(at, depth(&self.rules.own, &contact.id));
        let full = bucket.len() >= self.rules.k;
        if full && !near && buckets.within(bucket.clone()).all(|(_, entry)| entry.is_verified()) {
            return Place::Spare;
        }
        if !near && !self.within_group_limits(&contact.address, &bucket) {
            return self.place_in_group(&contact.address, &bucket);
        }
        if !full && !self.contacts.is_full() {
            return Place::Free;
        }
        // The newcomer may be one of the k closest itself.
        let protected = buckets.after_verified(self.rules.k.saturating_sub(usize::from(near)));
        let dispensable = |range: Range<usize>| {
            let others = buckets.within(range).filter(|(at, entry)| *at >= protected || !entry.is_verified());
            others.max_by_key(|(_, entry)| entry.dispensability(now))
        };
        if full {
            return dispensable(bucket).map_or(Place::Refused, |(at, _)| Place::InsteadOf(at));
        }
        let silent = buckets.within(0..self.contacts.len()).filter(|(_, entry)| !entry.is_verified());
        if let Some((at, _)) = silent.max_by_key(|(_, entry)| entry.dispensability(now)) {
            return Place::InsteadOf(at);
        }
        // The largest bucket gives way; of several, the deepest, for it serves the fewest targets.
        let mut largest = None;
        let mut start = 0_usize;
        while let Some(first) = self.contacts.get(start) {
            let depth = self.depth(first);
            let len = self.contacts.iter().skip(start).take_while(|entry| self.depth(entry) == depth).count();
            let range = start..start.saturating_add(len);
            start = range.end;
            if largest.is_none_or(|(size, _)| len > size)
                && let Some((at, _)) = dispensable(range)
            {
                largest = Some((len, at));
            }
        }
        match largest {
            Some((size, at)) if near || size > bucket.len().saturating_add(1) => Place::InsteadOf(at),
            Some(_) => Place::Spare,
            None => Place::Refused,
        }
    }

    /// A place for a newcomer whose address group is at a limit: that of one of the same group that doesn't answer.
    fn place_in_group(&self, address: &A, bucket: &Range<usize>) -> Place {
        let (in_bucket, in_table) = self.group_sizes(address, bucket);
        let limits = self.group_limits();
        if in_bucket > limits.0 || in_table > limits.1 {
            return Place::Refused;
        }
        // It must make room in all that is full.
        let tight = in_bucket == limits.0 || bucket.len() >= self.rules.k;
        let range = if tight { bucket.clone() } else { 0..self.contacts.len() };
        let silent = self.buckets().within(range).filter(|(_, entry)| !entry.is_verified());
        let same = silent.filter(|(_, entry)| entry.contact.address.group() == address.group());
        same.max_by_key(|(_, entry)| entry.failures).map_or(Place::Refused, |(at, _)| Place::InsteadOf(at))
    }

    /// Whether one more of its group is within the limits.
    fn within_group_limits(&self, address: &A, bucket: &Range<usize>) -> bool {
        let (in_bucket, in_table) = self.group_sizes(address, bucket);
        in_bucket < self.group_limits().0 && in_table < self.group_limits().1
    }

    /// How many of its group are in the bucket and in the table: of an address without a group, none.
    fn group_sizes(&self, address: &A, bucket: &Range<usize>) -> (usize, usize) {
        let Some(group) = address.group() else {
            return (0, 0);
        };
        let same = |entry: &&Entry<A>| entry.is_of(group);
        let in_bucket = self.contacts.get(bucket.clone()).unwrap_or(&[]).iter().filter(same).count();
        (in_bucket, self.contacts.iter().filter(same).count())
    }

    fn group_limits(&self) -> (usize, usize) {
        (usize::from(self.rules.limits.group_in_bucket), usize::from(self.rules.limits.group_in_table))
    }

    /// There is a new one among the k closest. Those it pushed out are no longer exempt from the limits of their group.
    fn neighbour_came(&mut self, now: Instant) {
        self.clock.neighbourhood_changed(now, &self.rules.limits);
        let start = self.buckets().after_verified(self.rules.k);
        let mut end = self.buckets().after_verified(self.rules.k.saturating_add(1));
        loop {
            let crowded = self.buckets().within(start..end).filter(|(_, entry)| {
                let bucket = self.buckets().bucket(self.depth(entry));
                let (in_bucket, in_table) = self.group_sizes(&entry.contact.address, &bucket);
                in_bucket > self.group_limits().0 || in_table > self.group_limits().1
            });
            let Some((at, _)) = crowded.max_by_key(|(_, entry)| entry.failures) else {
                return;
            };
            self.turn_out(now, at);
            end = end.saturating_sub(1);
        }
    }

    fn insert(&mut self, now: Instant, entry: Entry<A>) -> usize {
        let (Ok(at) | Err(at)) = self.buckets().find(&entry.contact.id);
        array::insert(self.contacts, at, entry);
        self.clock.somebody_known(now);
        at
    }

    fn forget(&mut self, id: &Id) {
        if let Ok(at) = self.buckets().find(id) {
            array::remove(self.contacts, at);
        }
    }

    /// Takes a contact out for another, and remembers it as a spare or as lost.
    fn turn_out(&mut self, now: Instant, at: usize) {
        let Some(entry) = array::remove(self.contacts, at) else {
            return;
        };
        match entry.state() {
            State::Heard => {}
            State::Verified => self.keep_spare(entry),
            State::Failing => self.keep_lost(now, entry),
        }
    }

    fn take_spare(&mut self, id: &Id) -> Option<Entry<A>> {
        let at = self.spares.iter().position(|spare| spare.contact.id == *id)?;
        array::remove(self.spares, at)
    }

    /// Keeps a contact that answers but has no place, as the most recent of the spares. The oldest gives way: of its bucket, if
    /// that has a quarter of them already.
    fn keep_spare(&mut self, mut entry: Entry<A>) {
        let room = self.spares.capacity().saturating_sub(self.lost_room());
        let waiting = || self.spares.iter().enumerate().filter(|(_, spare)| spare.is_verified());
        if let Some(group) = entry.contact.address.group()
            && waiting().filter(|(_, spare)| spare.is_of(group)).count() >= self.group_limits().0
        {
            return;
        }
        let depth = self.depth(&entry);
        let same_bucket = || waiting().filter(|(_, spare)| self.depth(spare) == depth);
        let oldest = if same_bucket().count() >= room.div_ceil(4) {
            same_bucket().last()
        } else if waiting().count() >= room {
            waiting().last()
        } else {
            None
        };
        if let Some(oldest) = oldest.map(|(at, _)| at) {
            array::remove(self.spares, oldest);
        }
        entry.due = NEVER;
        array::insert(self.spares, 0, entry);
    }

    /// Remembers a contact that was turned out while failing. The one that was known for the shortest time gives way.
    fn keep_lost(&mut self, now: Instant, mut entry: Entry<A>) {
        let lost = || self.spares.iter().enumerate().filter(|(_, spare)| !spare.is_verified());
        if lost().count() >= self.lost_room() {
            match lost().min_by_key(|(_, spare)| spare.age(now)) {
                Some((at, youngest)) if youngest.age(now) <= entry.age(now) => array::remove(self.spares, at),
                _ => return,
            };
        }
        entry.due = self.clock.after(now, RETRY_MAX.min(self.rules.limits.quiet));
        let _ = self.spares.push(entry);
    }

    fn lost_room(&self) -> usize {
        self.spares.capacity() / 4
    }

    /// Has the most recent spare of the bucket of `id` asked, if there is a place for it. It gets that when it answers.
    fn call_spare(&mut self, now: Instant, id: &Id) {
        let own = self.rules.own;
        let same_bucket = |spare: &Entry<A>| depth(&own, &spare.contact.id) == depth(&own, id);
        let bucket = self.buckets().bucket(depth(&own, id));
        let room = bucket.len() < self.rules.k && !self.contacts.is_full();
        if !room && self.buckets().within(bucket).all(|(_, entry)| entry.is_verified()) {
            return;
        }
        // Those that were called before are on their way.
        if let Some(spare) = self.spares.iter_mut().find(|spare| spare.is_verified() && spare.due == NEVER && same_bucket(spare)) {
            spare.due = now.stamp();
        }
    }

    pub(super) fn depth(&self, entry: &Entry<A>) -> u32 {
        depth(&self.rules.own, &entry.contact.id)
    }
}
