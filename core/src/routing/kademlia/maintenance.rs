//! Which maintenance is due, and when.
//!
//! | request | when |
//! |---|---|
//! | `Neighbourhood` | at once when the first contact is known; 3 s after that; 30 s after a change; then 30 s, 90 s, 4.5 min .. 15 min apart |
//! | `Lookup` | when the last lookup that touched a bucket is an hour ago, or there was none; for buckets no deeper than the farthest of the k closest |
//! | `Ask` an unverified contact | 2 s after it was discovered |
//! | `Ask` a quiet contact | 30 minutes after it last responded |
//! | `Ask` a failing contact | 30 s after its first failure, then 1, 2, 4 .. 15 min apart |
//! | `Ask` a replacement | when there is a place for it: a contact of its bucket failed, or was removed |
//! | `Ask` a lost contact: one that failed while its place was needed, or three times in a row | every 15 minutes |
//!
//! These are the times with the default [`Limits`](crate::routing::Limits). Where contacts come and go fast, the 30
//! minutes shrink to a 32nd, the hour and the 15 minutes between checks to a sixteenth: see
//! [`schedule`](crate::routing::schedule). One contact is asked at a time, a second apart.

use super::buckets::Buckets;
use super::replacements::Replacements;
use crate::address::Address;
use crate::id::Id;
use crate::routing::entry::TableEntry;
use crate::routing::interface::Maintenance;
use crate::routing::schedule::DEPTHS;
use crate::routing::stamp::Stamp;
use crate::time::Instant;

impl<A: Address> Buckets<A> {
    pub(super) fn looked_up(&mut self, replacements: &mut Replacements<A>, now: Instant, target: &Id) {
        if self.k == 0 {
            return;
        }
        self.refreshed(now, self.depth(target));
        if *target == self.own {
            self.schedule.looked_up_own(now);
        }
        self.reschedule(replacements);
    }

    pub(super) fn check_neighbourhood_soon(&mut self, replacements: &mut Replacements<A>, now: Instant) {
        if !self.contacts.is_empty() {
            self.schedule.check_soon(now);
            self.reschedule(replacements);
        }
    }

    pub(super) fn maintenance(&mut self, replacements: &mut Replacements<A>, now: Instant) -> Option<Maintenance<A>> {
        if self.k == 0 || !self.schedule.next.is_due(now) {
            return None;
        }
        let request = self.check(now).or_else(|| self.refresh(now)).or_else(|| self.ask(replacements, now));
        self.reschedule(replacements);
        request
    }

    /// Computes when the next request is due.
    pub(super) fn reschedule(&mut self, replacements: &mut Replacements<A>) {
        let refresh = self.refreshes().iter().min().map_or(Stamp::NEVER, |due| *due);
        let ask = next_to_ask(&mut self.contacts, &mut replacements.entries).map_or(Stamp::NEVER, |entry| entry.due);
        self.schedule.set_next(refresh, ask);
    }

    /// Makes the most recent replacement of the bucket of `id` due to be asked, if there is a place for it. It gets
    /// that place when it responds.
    pub(super) fn ask_replacement(&mut self, replacements: &mut Replacements<A>, now: Instant, id: &Id) {
        let depth = self.depth(id);
        let bucket = self.bucket(depth);
        let room = bucket.len() < self.k && !self.contacts.is_full();
        if !room && self.all_verified(bucket) {
            return;
        }
        if let Some(replacement) = replacements.most_recent(self, depth) {
            replacement.due = Stamp::of(now);
        }
    }

    fn check(&mut self, now: Instant) -> Option<Maintenance<A>> {
        self.schedule.begin_check(now, self.contacts.is_empty()).then_some(Maintenance::Neighbourhood)
    }

    fn refresh(&mut self, now: Instant) -> Option<Maintenance<A>> {
        let depth = self.refreshes().iter().position(|due| due.has_come(now))?;
        self.refreshed(now, depth);
        // It shares exactly `depth` bits with the own identifier.
        let prefix = flipped(&self.own, depth);
        Some(Maintenance::Lookup { target: self.schedule.random_id(&prefix, depth + 1) })
    }

    /// A lookup touches the bucket of this depth.
    fn refreshed(&mut self, now: Instant, depth: usize) {
        let due = self.schedule.after_refresh(now);
        if let Some(refresh) = self.schedule.refresh.get_mut(depth) {
            *refresh = due;
        }
    }

    fn ask(&mut self, replacements: &mut Replacements<A>, now: Instant) -> Option<Maintenance<A>> {
        if !self.schedule.can_ask(now) {
            return None;
        }
        let entry = next_to_ask(&mut self.contacts, &mut replacements.entries)?;
        if !entry.due.has_come(now) {
            return None;
        }
        entry.due = self.schedule.after_ask(now);
        Some(Maintenance::Ask(entry.contact))
    }

    /// When the buckets are due, from the shallowest to that of the farthest of the k closest; deeper ones are covered
    /// by the check of the neighbourhood. None before the own identifier was looked up.
    fn refreshes(&self) -> &[Stamp] {
        if !self.schedule.joined || self.contacts.is_empty() {
            return &[];
        }
        // While fewer than k contacts are verified, the shallowest bucket alone.
        let edge = self.farthest_neighbour().map_or(0, |edge| self.depth(&edge.contact.id));
        self.schedule.refresh.get(..(edge + 1).min(DEPTHS)).unwrap_or(&[])
    }
}

/// The contact that is due first.
fn next_to_ask<'a, A>(
    contacts: &'a mut [TableEntry<A>],
    replacements: &'a mut [TableEntry<A>],
) -> Option<&'a mut TableEntry<A>> {
    let mut first: Option<&mut TableEntry<A>> = None;
    for entry in contacts.iter_mut().chain(replacements) {
        if first.as_ref().is_none_or(|first| entry.due < first.due) {
            first = Some(entry);
        }
    }
    first
}

/// The identifier with one bit, counted from the most significant, inverted.
fn flipped(id: &Id, bit: usize) -> Id {
    let mut bytes = *id.as_bytes();
    if let Some(byte) = bytes.get_mut(bit / 8) {
        *byte ^= 0x80 >> (bit % 8);
    }
    Id::from_bytes(bytes)
}
