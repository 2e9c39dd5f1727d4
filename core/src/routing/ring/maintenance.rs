//! Which maintenance is due, and when.
//!
//! | request | when |
//! |---|---|
//! | `Neighbourhood` | at once when the first contact is known; 3 s after that; 30 s after a change; then 30 s, 90 s, 4.5 min .. 15 min apart |
//! | `Lookup` | every hour for each row, outermost first, down to where the neighbours are; 5 s apart for its empty cells |
//! | `Ask` an unverified contact | 2 s after it was discovered |
//! | `Ask` the first verified contact on either side | 60 s after it last responded |
//! | `Ask` another quiet contact | 30 minutes after it last responded |
//! | `Ask` a failing contact | 30 s after its first failure, then 1, 2, 4 .. 15 min apart, for ever |
//!
//! These are the times with the default [`Limits`](crate::routing::Limits). Where contacts come and go fast, the 30
//! minutes shrink to a 32nd, the hour and the 15 minutes between checks to a sixteenth: see
//! [`schedule`](crate::routing::schedule). One contact is asked at a time, a second apart.

use super::circle::Circle;
use super::plan::Plan;
use crate::address::Address;
use crate::id::Id;
use crate::routing::interface::Maintenance;
use crate::routing::schedule::DEPTHS;
use crate::routing::stamp::Stamp;
use crate::time::{Instant, Micros};

/// Between two lookups for empty cells of a row.
const FILL_PAUSE: Micros = Micros::from_secs(5);

impl<P: Plan, A: Address> Circle<P, A> {
    pub(super) fn looked_up(&mut self, now: Instant, target: &Id) {
        if self.k != 0 && *target == self.own {
            self.schedule.looked_up_own(now);
            self.reschedule();
        }
    }

    pub(super) fn check_neighbourhood_soon(&mut self, now: Instant) {
        if self.contacts.is_empty() {
            return;
        }
        self.schedule.check_soon(now);
        self.reschedule();
    }

    /// A contact has responded: when to ask it again, if it is in the table.
    pub(super) fn ask_later(&mut self, now: Instant, id: &Id) -> Option<Stamp> {
        let at = self.find(id).ok()?;
        let here = |&(place, _): &(usize, _)| place == at;
        let next = self.verified().next().is_some_and(|entry| here(&entry))
            || self.verified().next_back().is_some_and(|entry| here(&entry));
        let due = if next { self.schedule.after_response_of_next(now) } else { self.schedule.after_response(now) };
        self.contacts.get_mut(at)?.due = due;
        Some(due)
    }

    pub(super) fn maintenance(&mut self, now: Instant) -> Option<Maintenance<A>> {
        if self.k == 0 || !self.schedule.next.is_due(now) {
            return None;
        }
        let request = self.check(now).or_else(|| self.refresh(now)).or_else(|| self.ask(now));
        self.reschedule();
        request
    }

    /// Computes when the next request is due.
    pub(super) fn reschedule(&mut self) {
        let refresh = self.schedule.refresh.iter().take(self.rows()).min();
        let ask = self.contacts.iter().map(|entry| entry.due).min();
        self.schedule.set_next(refresh.map_or(Stamp::NEVER, |due| *due), ask.unwrap_or(Stamp::NEVER));
    }

    fn check(&mut self, now: Instant) -> Option<Maintenance<A>> {
        self.schedule.begin_check(now, self.contacts.is_empty()).then_some(Maintenance::Neighbourhood)
    }

    /// Looks up what belongs into each empty cell of a row; if no cell is empty, any identifier of the row.
    fn refresh(&mut self, now: Instant) -> Option<Maintenance<A>> {
        for (row, index) in (0..self.rows()).zip(0_u8..) {
            if !self.schedule.refresh.get(row).is_some_and(|due| due.has_come(now)) {
                continue;
            }
            let begun = self.columns.get(row).copied().unwrap_or(0);
            let empty = (begun..P::COLUMNS).find(|column| self.is_empty(index, *column));
            let due = match empty {
                Some(_) => self.schedule.after(now, FILL_PAUSE),
                None => self.schedule.after_refresh(now),
            };
            if let Some((refresh, next)) = self.schedule.refresh.get_mut(row).zip(self.columns.get_mut(row)) {
                (*refresh, *next) = (due, empty.map_or(0, |column| column.saturating_add(1)));
            }
            if empty.is_some() || begun == 0 {
                let (prefix, bits) = P::start(&self.own, index, empty);
                return Some(Maintenance::Lookup { target: self.schedule.random_id(&prefix, bits) });
            }
        }
        None
    }

    /// Whether no verified contact is known that belongs into this cell, and one can exist.
    fn is_empty(&self, row: u8, column: u8) -> bool {
        let (start, _) = P::start(&self.own, row, Some(column));
        let cell = P::cell(&self.own, &start);
        // The column of the own digit does not belong to this row.
        cell.row == row && self.contact_in(cell).is_none()
    }

    fn ask(&mut self, now: Instant) -> Option<Maintenance<A>> {
        if !self.schedule.can_ask(now) {
            return None;
        }
        let entry = self.contacts.iter_mut().min_by_key(|entry| entry.due)?;
        if !entry.due.has_come(now) {
            return None;
        }
        entry.due = self.schedule.after_ask(now);
        Some(Maintenance::Ask(entry.contact))
    }

    /// How many rows must be filled: none before the own identifier was looked up, or while all verified contacts
    /// are neighbours.
    fn rows(&self) -> usize {
        let outermost = self.outermost().filter(|_| self.schedule.joined);
        outermost.map_or(0, |(ahead, behind)| P::rows(&self.own, ahead, behind).min(DEPTHS))
    }
}
