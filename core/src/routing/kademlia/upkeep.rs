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
//! hour and the 15 minutes between checks to a sixteenth, see [`clock`](crate::routing::clock).) One is asked at a time, a second apart.

use super::Table;
use super::buckets::depth;
use crate::routing::Upkeep;
use crate::routing::clock::{DEPTHS, at, reached};
use crate::routing::entry::Entry;
use crate::{Address, Id, Instant};

impl<A: Address> Table<'_, A> {
    pub(super) fn looked_up(&mut self, now: Instant, target: &Id) {
        if self.rules.k == 0 {
            return;
        }
        let touched = usize::try_from(depth(&self.rules.own, target)).unwrap_or(DEPTHS);
        let due = self.clock.after(now, self.clock.refresh_pause(&self.rules.limits));
        if let Some(refresh) = self.clock.refresh.get_mut(touched) {
            *refresh = due;
        }
        if *target == self.rules.own {
            self.clock.looked_up_own(now);
        }
        self.schedule();
    }

    pub(super) fn disturbed(&mut self, now: Instant) {
        if self.contacts.is_empty() {
            return;
        }
        self.clock.check_soon(now, &self.rules.limits);
        self.schedule();
    }

    pub(super) fn upkeep(&mut self, now: Instant) -> Option<Upkeep<A>> {
        if self.rules.k == 0 || !reached(self.clock.next, now) {
            return None;
        }
        let question = self.check(now).or_else(|| self.refresh(now)).or_else(|| self.ask(now));
        self.schedule();
        question
    }

    /// Finds out when the next question is due.
    pub(super) fn schedule(&mut self) {
        let refresh = self.refreshed().iter().min();
        let ask = self.contacts.iter().chain(self.spares.iter()).map(|entry| entry.due).min();
        let ask = ask.map_or(Instant::NEVER, at).max(self.clock.rest);
        self.clock.next = self.clock.check.min(refresh.map_or(Instant::NEVER, |due| at(*due))).min(ask);
    }

    fn check(&mut self, now: Instant) -> Option<Upkeep<A>> {
        self.clock.takes_check(now, &self.rules.limits, self.contacts.is_empty()).then_some(Upkeep::Neighbourhood)
    }

    fn refresh(&mut self, now: Instant) -> Option<Upkeep<A>> {
        let depth = self.refreshed().iter().position(|due| reached(at(*due), now))?;
        let due = self.clock.after(now, self.clock.refresh_pause(&self.rules.limits));
        if let Some(refresh) = self.clock.refresh.get_mut(depth) {
            *refresh = due;
        }
        // It shares exactly so many bits with the own identifier.
        let prefix = flipped(&self.rules.own, depth);
        Some(Upkeep::Lookup { target: self.clock.random_id(&prefix, depth.saturating_add(1)) })
    }

    fn ask(&mut self, now: Instant) -> Option<Upkeep<A>> {
        if !reached(self.clock.rest, now) {
            return None;
        }
        let entries = self.contacts.iter_mut().chain(self.spares.iter_mut());
        let entry: &mut Entry<A> = entries.min_by_key(|entry| entry.due).filter(|entry| reached(at(entry.due), now))?;
        entry.due = self.clock.asks(now, &self.rules.limits);
        Some(Upkeep::Ask(entry.contact))
    }

    /// When the buckets are due, from the farthest to the one where the k closest end; the neighbourhood's check covers what
    /// is deeper. None before the own identifier was looked up; the farthest alone while all there is are neighbours.
    fn refreshed(&self) -> &[u32] {
        let edge = match self.buckets().neighbour(self.rules.k) {
            _ if !self.clock.joined || self.contacts.is_empty() => return &[],
            edge => edge.map_or(0, |edge| usize::try_from(self.depth(edge)).unwrap_or(DEPTHS)),
        };
        self.clock.refresh.get(..edge.saturating_add(1).min(DEPTHS)).unwrap_or(&[])
    }
}

/// The identifier with one bit, counted from the most significant, the other way.
fn flipped(id: &Id, bit: usize) -> Id {
    let mut bytes = *id.as_bytes();
    if let Some(byte) = bytes.get_mut(bit / 8) {
        *byte ^= 0x80 >> (bit % 8);
    }
    Id::from_bytes(bytes)
}
