//! What is due, and when.
//!
//! | question | when |
//! |---|---|
//! | `Neighbourhood` | at once when the first contact is known; 3 s after that; 30 s after a change; then 30 s, 90 s, 4.5 min .. 15 min apart |
//! | `Lookup` | when no lookup touched a bucket for an hour, or ever; for buckets no deeper than the neighbourhood's edge |
//! | `Ask` one heard of | after 2 s |
//! | `Ask` a quiet one | 30 minutes after it last answered |
//! | `Ask` a failing one | 30 s after its first failure, then 1, 2, 4 .. 15 min apart |
//! | `Ask` a spare | when there is a place for it: one of its bucket failed, or went |
//! | `Ask` a lost one | every 15 minutes |
//!
//! (With the default [`Limits`](crate::routing::Limits), in calm; where contacts come and go fast, the 30 minutes shrink to a 32nd, the
//! hour and the 15 minutes between checks to a sixteenth, see [`schedule`](crate::routing::schedule).) One is asked at a time, a second apart.

use super::Kademlia;
use crate::address::Address;
use crate::id::Id;
use crate::routing::Maintenance;
use crate::routing::entry::TableEntry;
use crate::routing::schedule::DEPTHS;
use crate::routing::stamp::Stamp;
use crate::time::Instant;

impl<A: Address, const CONTACTS: usize, const REPLACEMENTS: usize> Kademlia<A, CONTACTS, REPLACEMENTS> {
    /// Finds out when the next question is due.
    pub(super) fn schedule(&mut self) {
        let refresh = self.refreshes().iter().min().map_or(Stamp::NEVER, |due| *due);
        let ask = next_asked(&mut self.contacts, &mut self.replacements).map_or(Stamp::NEVER, |entry| entry.due);
        self.schedule.set_next(refresh, ask);
    }

    pub(super) fn check(&mut self, now: Instant) -> Option<Maintenance<A>> {
        self.schedule.begin_check(now, self.contacts.is_empty()).then_some(Maintenance::Neighbourhood)
    }

    pub(super) fn refresh(&mut self, now: Instant) -> Option<Maintenance<A>> {
        let depth = self.refreshes().iter().position(|due| due.has_come(now))?;
        self.refreshed(now, depth);
        // It shares exactly so many bits with the own identifier.
        let prefix = flipped(&self.own, depth);
        Some(Maintenance::Lookup { target: self.schedule.random_id(&prefix, depth + 1) })
    }

    /// A bucket of this depth is looked up.
    pub(super) fn refreshed(&mut self, now: Instant, depth: usize) {
        let due = self.schedule.after_refresh(now);
        if let Some(refresh) = self.schedule.refresh.get_mut(depth) {
            *refresh = due;
        }
    }

    pub(super) fn ask(&mut self, now: Instant) -> Option<Maintenance<A>> {
        if !self.schedule.can_ask(now) {
            return None;
        }
        let entry = next_asked(&mut self.contacts, &mut self.replacements).filter(|entry| entry.due.has_come(now))?;
        entry.due = self.schedule.after_ask(now);
        Some(Maintenance::Ask(entry.contact))
    }

    /// When the buckets are due, from the farthest to the one where the k closest end; the neighbourhood's check covers what
    /// is deeper. None before the own identifier was looked up; the farthest alone while all there is are neighbours.
    fn refreshes(&self) -> &[Stamp] {
        if !self.schedule.joined || self.contacts.is_empty() {
            return &[];
        }
        let edge = self.neighbour().map_or(0, |edge| self.depth(&edge.contact.id));
        self.schedule.refresh.get(..(edge + 1).min(DEPTHS)).unwrap_or(&[])
    }
}

/// Whoever is to be asked next.
fn next_asked<'a, A>(
    contacts: &'a mut [TableEntry<A>],
    replacements: &'a mut [TableEntry<A>],
) -> Option<&'a mut TableEntry<A>> {
    contacts.iter_mut().chain(replacements).min_by_key(|entry| entry.due)
}

/// The identifier with one bit, counted from the most significant, the other way.
fn flipped(id: &Id, bit: usize) -> Id {
    let mut bytes = *id.as_bytes();
    if let Some(byte) = bytes.get_mut(bit / 8) {
        *byte ^= 0x80 >> (bit % 8);
    }
    Id::from_bytes(bytes)
}
