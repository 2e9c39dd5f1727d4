//! Who gets a place in the table, and whom that turns out.

use core::time::Duration;

use super::{Cell, Plan, Table, View};
use crate::address::Address;
use crate::contact::Contact;
use crate::id::Id;
use crate::routing::entry::{TableEntry, epoch};
use crate::routing::stamp::Stamp;
use crate::routing::{ContactState, Origin};
use crate::time::Instant;

/// Spares that wait for one cell, at most.
const REPLACEMENTS: usize = 2;
/// One place in so many is kept free of spares, and as many lost ones are remembered.
const SHARE: usize = 8;

/// What a contact is there for. Where room is needed, the least goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Role {
    /// It was only heard of.
    Origin,
    /// It fails, and isn't missed.
    Lost,
    /// It answers, and isn't needed.
    Replacement,
    /// It fails, and nobody that answers has its place.
    Missed,
    /// It holds a cell, so many rows from the innermost.
    Holder(u8),
    /// It is a neighbour.
    Near,
}

impl<P: Plan, A: Address> Table<'_, P, A> {
    pub(super) fn discovered(&mut self, now: Instant, contact: Contact<A>, how: Origin) -> bool {
        if !self.takes(&contact.id) {
            return false;
        }
        if how == Origin::Requester {
            self.meet(&contact.id);
        }
        if let Some(entry) = self.view().known(&contact.id) {
            return !entry.is_verified();
        }
        let mut newcomer = TableEntry::unverified(contact, Stamp::ZERO);
        let Some(role) = self.role_of_newcomer(&newcomer) else {
            return false;
        };
        if !self.contacts.is_full() {
            if how == Origin::Requester || (how == Origin::Named && role == Role::Replacement) {
                return true;
            }
            newcomer.due = self.schedule.after_discovery(now);
            self.insert(now, newcomer);
            self.schedule();
            return true;
        }
        self.least(now).is_some_and(|(_, least)| least < role)
    }

    pub(super) fn responded(&mut self, now: Instant, contact: Contact<A>, rtt: Option<Duration>) {
        if !self.takes(&contact.id) {
            return;
        }
        let known = self.view().known(&contact.id).copied();
        // Only one that stopped answering can have moved.
        if known.is_some_and(|old| old.is_verified() && old.contact.address != contact.address) {
            return;
        }
        let same =
            known.filter(|old| old.state() != ContactState::Unverified && old.contact.address == contact.address);
        let mut entry = same.unwrap_or_else(|| TableEntry::new(now, contact));
        let recovered = !entry.is_verified();
        entry.responded(now, rtt);
        if known.is_some_and(|old| old.is_verified()) {
            self.schedule.contact_survived(now, entry.due);
        }
        match self.view().find(&contact.id) {
            Ok(at) if same.is_some() => {
                if let Some(old) = self.contacts.get_mut(at) {
                    *old = entry;
                }
                if recovered {
                    self.came(now, at);
                }
            }
            _ => {
                self.forget(&contact.id);
                self.admit(now, entry);
            }
        }
        let due = self.ask_later(now, &contact.id);
        let known = same.filter(TableEntry::is_verified).zip(due);
        if !known.is_some_and(|(old, due)| self.schedule.moved(old.due, due)) {
            self.schedule();
        }
    }

    pub(super) fn failed(&mut self, now: Instant, id: &Id) {
        let Ok(at) = self.view().find(id) else {
            return;
        };
        let near = self.view().is_near(at);
        if self.contacts.get(at).is_some_and(|entry| entry.state() != ContactState::Failing) {
            self.schedule.contact_departed(now, self.contacts);
        }
        match self.contacts.get_mut(at) {
            Some(entry) if entry.state() != ContactState::Unverified => {
                if entry.is_verified() && near {
                    self.schedule.neighbourhood_changed(now);
                }
                entry.failed(now);
                entry.due = self.schedule.after_failure(now, entry.failures);
                self.settle(now);
            }
            _ => self.forget(id),
        }
        self.schedule();
    }

    pub(super) fn evict(&mut self, now: Instant, id: &Id) {
        if let Ok(at) = self.view().find(id) {
            if self.view().is_near(at) && self.contacts.get(at).is_some_and(TableEntry::is_verified) {
                self.schedule.neighbourhood_changed(now);
            }
            self.contacts.remove(at);
        }
        self.schedule();
    }

    pub(super) fn view(&self) -> View<'_, A> {
        self.rules.view(self.contacts)
    }

    fn takes(&self, id: &Id) -> bool {
        self.rules.k != 0 && *id != self.rules.own
    }

    fn cell(&self, entry: &TableEntry<A>) -> Cell {
        P::cell(&self.rules.own, &entry.contact.id)
    }

    /// Somebody asked. If nobody that answers lies between it and the own node, it knows who follows it.
    fn meet(&mut self, id: &Id) {
        let (Ok(at) | Err(at)) = self.view().find(id);
        let between = self.contacts.iter().skip(at).any(|entry| entry.is_verified() && entry.contact.id != *id);
        if !between {
            *self.met = *id;
        }
    }

    /// Gives a contact that has just answered a place, if there is one for it.
    fn admit(&mut self, now: Instant, entry: TableEntry<A>) {
        let Some(role) = self.role_of_newcomer(&entry) else {
            return;
        };
        if self.contacts.is_full() {
            match self.least(now) {
                Some((at, least)) if least < role => self.contacts.remove(at),
                _ => return,
            };
        }
        let at = self.insert(now, entry);
        self.came(now, at);
    }

    /// The contact at this place has begun to answer.
    fn came(&mut self, now: Instant, at: usize) {
        if self.view().is_near(at) {
            self.schedule.neighbourhood_changed(now);
        }
        self.settle(now);
    }

    fn insert(&mut self, now: Instant, entry: TableEntry<A>) -> usize {
        let (Ok(at) | Err(at)) = self.view().find(&entry.contact.id);
        let _ = self.contacts.insert(at, entry);
        self.schedule.contact_added(now);
        at
    }

    fn forget(&mut self, id: &Id) {
        if let Ok(at) = self.view().find(id) {
            self.contacts.remove(at);
        }
    }

    /// What a newcomer would be there for if it answers; `None` if there is no use for it.
    fn role_of_newcomer(&self, newcomer: &TableEntry<A>) -> Option<Role> {
        let (Ok(at) | Err(at)) = self.view().find(&newcomer.contact.id);
        if self.would_be_near(at) {
            return Some(Role::Near);
        }
        let cell = self.cell(newcomer);
        if !self.is_within_limits(newcomer, cell, 1) {
            return None;
        }
        match self.view().holder::<P>(cell) {
            Some((_, holder)) if !P::prefers(&self.rules.own, newcomer, holder) => {
                let reserved = self.contacts.capacity() / SHARE;
                let room = self.contacts.len().saturating_add(reserved) < self.contacts.capacity();
                (room && self.replacements(cell) < REPLACEMENTS).then_some(Role::Replacement)
            }
            _ => Some(inner(Role::Holder(cell.row))),
        }
    }

    /// Whether one that would lie before whoever is at this place would be near.
    fn would_be_near(&self, at: usize) -> bool {
        let verified = |entry: &&TableEntry<A>| entry.is_verified();
        let before = self.contacts.iter().take(at).filter(verified).count();
        let after = self.contacts.iter().skip(at).filter(verified).count();
        before < self.rules.ahead || after < self.rules.behind
    }

    fn role(&self, at: usize, entry: &TableEntry<A>) -> Role {
        let view = self.view();
        let cell = self.cell(entry);
        match entry.state() {
            ContactState::Unverified => Role::Origin,
            ContactState::Failing => {
                let alone = view.edges().is_none() && view.is_near(at);
                if alone || view.holder::<P>(cell).is_none() { Role::Missed } else { Role::Lost }
            }
            ContactState::Verified if view.is_near(at) => Role::Near,
            ContactState::Verified if view.holder::<P>(cell).is_some_and(|(holder, _)| holder == at) => {
                inner(Role::Holder(cell.row))
            }
            ContactState::Verified => Role::Replacement,
        }
    }

    /// The contact that is needed least; of several, the newest.
    fn least(&self, now: Instant) -> Option<(usize, Role)> {
        let epoch = epoch(now);
        let roles = self.contacts.iter().enumerate().map(|(at, entry)| (self.role(at, entry), entry.age(epoch), at));
        roles.min().map(|(role, _, at)| (at, role))
    }

    /// Verified contacts of a cell that are neither near nor hold it.
    fn replacements(&self, cell: Cell) -> usize {
        let view = self.view();
        let others = view.verified().filter(|(at, entry)| self.cell(entry) == cell && !view.is_near(*at));
        let holder = view.holder::<P>(cell).map(|(at, _)| at);
        others.filter(|(at, _)| Some(*at) != holder).count()
    }

    /// Whether its address group keeps to the limits with `more` of it; neighbours are exempt, but count.
    fn is_within_limits(&self, entry: &TableEntry<A>, cell: Cell, more: usize) -> bool {
        let Some(prefix) = entry.contact.address.prefix() else {
            return true;
        };
        let same = || self.contacts.iter().filter(|other| other.has_prefix(prefix));
        let in_cell = same().filter(|other| self.cell(other) == cell).count().saturating_add(more);
        let in_table = same().count().saturating_add(more);
        in_cell <= usize::from(self.rules.per_prefix.0) && in_table <= usize::from(self.rules.per_prefix.1)
    }

    /// Somebody's role changed: lets go whom that left without a place.
    fn settle(&mut self, now: Instant) {
        while let Some(at) = self.superfluous(now) {
            self.contacts.remove(at);
        }
    }

    fn superfluous(&self, now: Instant) -> Option<usize> {
        let view = self.view();
        let epoch = epoch(now);
        // Whoever isn't near any more is no longer exempt.
        let crowded = self.contacts.iter().enumerate().filter(|(at, entry)| {
            entry.contact.address.prefix().is_some()
                && !view.is_near(*at)
                && !self.is_within_limits(entry, self.cell(entry), 0)
        });
        if let Some((at, _)) = crowded.max_by_key(|(_, entry)| entry.eviction_rank(epoch)) {
            return Some(at);
        }
        let failing = || self.contacts.iter().enumerate().filter(|(_, entry)| entry.state() == ContactState::Failing);
        let lost = || failing().filter(|(at, entry)| self.role(*at, entry) == Role::Lost);
        if lost().count() > self.contacts.capacity() / SHARE {
            return lost().min_by_key(|(_, entry)| entry.age(epoch)).map(|(at, _)| at);
        }
        self.worst_of_many_replacements()
    }

    /// The least preferred of a cell's spares, where they are too many. All contacts of a cell lie side by side.
    fn worst_of_many_replacements(&self) -> Option<usize> {
        let (ahead, behind) = self.view().edges()?;
        let prefers = |first, second| P::prefers(&self.rules.own, first, second);
        let mut start = 0_usize;
        for cell in self.contacts.chunk_by(|a, b| self.cell(a) == self.cell(b)) {
            let verified = || cell.iter().zip(start..).filter(|(entry, _)| entry.is_verified());
            let far = |at: usize| at > ahead && at < behind;
            let holder = verified().reduce(|best, other| if prefers(other.0, best.0) { other } else { best });
            let replacements =
                || verified().filter(|(_, at)| far(*at) && holder.is_none_or(|(_, holder)| holder != *at));
            if replacements().count() > REPLACEMENTS {
                let worst = replacements().reduce(|worst, other| if prefers(worst.0, other.0) { other } else { worst });
                return worst.map(|(_, at)| at);
            }
            start = start.saturating_add(cell.len());
        }
        None
    }
}

/// The rows of a table are many, and the innermost serve the fewest targets.
fn inner(role: Role) -> Role {
    match role {
        Role::Holder(row) => Role::Holder(u8::MAX.saturating_sub(row)),
        other => other,
    }
}
