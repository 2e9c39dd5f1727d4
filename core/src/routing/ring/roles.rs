//! Why each contact is in the table, and so which one is evicted if room is needed.

use super::circle::Circle;
use super::plan::{Cell, Plan};
use crate::address::Address;
use crate::routing::entry::{TableEntry, epoch};
use crate::routing::peer::ContactState;
use crate::time::Instant;

/// Replacements that wait for one cell, at most.
const REPLACEMENTS: usize = 2;
/// One place in this many is kept free of replacements, and as many lost contacts are kept.
const SHARE: usize = 8;

/// Why a contact is in the table. If room is needed, the contact with the least role is evicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    /// It has not responded yet.
    Unverified,
    /// It fails, and a verified contact has its part.
    Lost,
    /// It is verified, and waits for a cell that keeps another.
    Replacement,
    /// It fails, and no verified contact has its part.
    Failing,
    /// A cell keeps it, this many rows from the innermost.
    Cell(u8),
    /// It is a neighbour.
    Near,
}

impl<P: Plan, A: Address> Circle<P, A> {
    /// The verified contact that a cell keeps.
    pub(in crate::routing) fn contact_in(&self, cell: Cell) -> Option<(usize, &TableEntry<A>)> {
        let candidates = self.verified().filter(|(_, entry)| self.cell(entry) == cell);
        candidates.reduce(|best, other| if P::prefers(&self.own, other.1, best.1) { other } else { best })
    }

    /// The role of a new contact if it responds; `None` if there is no use for it.
    pub(super) fn role_of_new(&self, contact: &TableEntry<A>) -> Option<Role> {
        let (Ok(at) | Err(at)) = self.find(&contact.contact.id);
        if self.would_be_near(at) {
            return Some(Role::Near);
        }
        let cell = self.cell(contact);
        if !self.is_within_prefix_limits(contact, cell, 1) {
            return None;
        }
        match self.contact_in(cell) {
            Some((_, kept)) if !P::prefers(&self.own, contact, kept) => {
                let reserved = self.contacts.capacity() / SHARE;
                let room = self.contacts.len().saturating_add(reserved) < self.contacts.capacity();
                (room && self.replacements(cell) < REPLACEMENTS).then_some(Role::Replacement)
            }
            _ => Some(role_in(cell.row)),
        }
    }

    /// The contact with the least role; of several, the newest.
    pub(super) fn least(&self, now: Instant) -> Option<(usize, Role)> {
        let epoch = epoch(now);
        let roles = self.contacts.iter().enumerate().map(|(at, entry)| (self.role(at, entry), entry.age(epoch), at));
        roles.min().map(|(role, _, at)| (at, role))
    }

    /// A contact that must be removed because the role of another one changed.
    pub(super) fn superfluous(&self, now: Instant) -> Option<usize> {
        let epoch = epoch(now);
        // A contact that is no longer near is no longer exempt from the limits on its address prefix.
        let crowded = self.contacts.iter().enumerate().filter(|(at, entry)| {
            entry.contact.address.prefix().is_some()
                && !self.is_near(*at)
                && !self.is_within_prefix_limits(entry, self.cell(entry), 0)
        });
        if let Some((at, _)) = crowded.max_by_key(|(_, entry)| entry.eviction_rank(epoch)) {
            return Some(at);
        }
        let failing = || self.contacts.iter().enumerate().filter(|(_, entry)| entry.state() == ContactState::Failing);
        let lost = || failing().filter(|(at, entry)| self.role(*at, entry) == Role::Lost);
        if lost().count() > self.contacts.capacity() / SHARE {
            return lost().min_by_key(|(_, entry)| entry.age(epoch)).map(|(at, _)| at);
        }
        self.superfluous_replacement()
    }

    /// The least preferred of a cell's replacements, where there are too many. All contacts of a cell lie side by side.
    fn superfluous_replacement(&self) -> Option<usize> {
        let (ahead, behind) = self.edges()?;
        let prefers = |first, second| P::prefers(&self.own, first, second);
        let mut start = 0_usize;
        for cell in self.contacts.chunk_by(|a, b| self.cell(a) == self.cell(b)) {
            let verified = || cell.iter().zip(start..).filter(|(entry, _)| entry.is_verified());
            let far = |at: usize| at > ahead && at < behind;
            let kept = verified().reduce(|best, other| if prefers(other.0, best.0) { other } else { best });
            let replacements = || verified().filter(|(_, at)| far(*at) && kept.is_none_or(|(_, kept)| kept != *at));
            if replacements().count() > REPLACEMENTS {
                let worst = replacements().reduce(|worst, other| if prefers(worst.0, other.0) { other } else { worst });
                return worst.map(|(_, at)| at);
            }
            start = start.saturating_add(cell.len());
        }
        None
    }

    fn role(&self, at: usize, entry: &TableEntry<A>) -> Role {
        let cell = self.cell(entry);
        match entry.state() {
            ContactState::Unverified => Role::Unverified,
            ContactState::Failing => {
                let alone = self.edges().is_none() && self.is_near(at);
                if alone || self.contact_in(cell).is_none() { Role::Failing } else { Role::Lost }
            }
            ContactState::Verified if self.is_near(at) => Role::Near,
            ContactState::Verified if self.contact_in(cell).is_some_and(|(kept, _)| kept == at) => role_in(cell.row),
            ContactState::Verified => Role::Replacement,
        }
    }

    fn cell(&self, entry: &TableEntry<A>) -> Cell {
        P::cell(&self.own, &entry.contact.id)
    }

    /// Verified contacts of a cell that are not near, without the one that the cell keeps.
    fn replacements(&self, cell: Cell) -> usize {
        let others = self.verified().filter(|(at, entry)| self.cell(entry) == cell && !self.is_near(*at));
        let kept = self.contact_in(cell).map(|(at, _)| at);
        others.filter(|(at, _)| Some(*at) != kept).count()
    }

    /// Whether its address prefix keeps to the limits with `more` contacts of it. Neighbours are exempt, but count.
    fn is_within_prefix_limits(&self, entry: &TableEntry<A>, cell: Cell, more: usize) -> bool {
        let Some(prefix) = entry.contact.address.prefix().filter(|_| self.per_prefix.1 != u8::MAX) else {
            return true;
        };
        let same = || self.contacts.iter().filter(|other| other.has_prefix(prefix));
        let in_cell = same().filter(|other| self.cell(other) == cell).count().saturating_add(more);
        let in_table = same().count().saturating_add(more);
        in_cell <= usize::from(self.per_prefix.0) && in_table <= usize::from(self.per_prefix.1)
    }
}

/// The role of the contact that a cell in this row keeps. A table has many rows, and the innermost serve the fewest
/// targets.
fn role_in(row: u8) -> Role {
    Role::Cell(u8::MAX.saturating_sub(row))
}
