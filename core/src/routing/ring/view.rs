//! The array of contacts, sorted clockwise from the own identifier on, and the ways around it.

use super::{Cell, Plan};
use crate::address::Address;
use crate::contact::Contact;
use crate::id::Id;
use crate::routing::ContactState;
use crate::routing::entry::TableEntry;

/// The sorted array, to be read.
#[derive(Debug)]
pub struct View<'a, A> {
    pub(super) own: &'a Id,
    pub(super) contacts: &'a [TableEntry<A>],
    /// How many verified contacts of either side are near.
    pub(super) ahead: usize,
    pub(super) behind: usize,
}

impl<A> Clone for View<'_, A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A> Copy for View<'_, A> {}

impl<'a, A: Address> View<'a, A> {
    /// The own identifier.
    pub(in crate::routing) const fn own(self) -> &'a Id {
        self.own
    }

    /// Where the contact is, or where it would be.
    pub(super) fn find(self, id: &Id) -> Result<usize, usize> {
        let distance = self.own.clockwise(id);
        self.contacts.binary_search_by(|entry| self.own.clockwise(&entry.contact.id).cmp(&distance))
    }

    pub(super) fn known(self, id: &Id) -> Option<&'a TableEntry<A>> {
        self.contacts.get(self.find(id).ok()?)
    }

    /// The verified contacts, clockwise.
    pub(in crate::routing) fn verified(self) -> impl DoubleEndedIterator<Item = (usize, &'a TableEntry<A>)> {
        self.contacts.iter().enumerate().filter(|(_, entry)| entry.is_verified())
    }

    /// Whether few verified contacts lie between this place and the own node, on either side.
    pub(super) fn is_near(self, at: usize) -> bool {
        let verified = |entry: &&TableEntry<A>| entry.is_verified();
        let before = self.contacts.iter().take(at).filter(verified).take(self.ahead).count();
        before < self.ahead || {
            let after = self.contacts.iter().skip(at.saturating_add(1)).filter(verified).take(self.behind).count();
            after < self.behind
        }
    }

    /// The places of the farthest neighbours, clockwise and counter-clockwise; `None` if all verified contacts are neighbours.
    pub(in crate::routing) fn edges(self) -> Option<(usize, usize)> {
        self.edges_among(TableEntry::is_verified)
    }

    /// The same, but where too few answer, those who did count too: what lies beyond the gaps that they left is no neighbourhood.
    pub(in crate::routing) fn span(self) -> Option<(usize, usize)> {
        self.edges().or_else(|| self.edges_among(|entry| entry.state() != ContactState::Unverified))
    }

    fn edges_among(self, counts: impl Fn(&TableEntry<A>) -> bool) -> Option<(usize, usize)> {
        let mut neighbours = self.contacts.iter().enumerate().filter(|(_, entry)| counts(entry));
        let (ahead, _) = neighbours.clone().nth(self.ahead.checked_sub(1)?)?;
        let (behind, _) = neighbours.nth_back(self.behind.checked_sub(1)?)?;
        (ahead < behind).then_some((ahead, behind))
    }

    /// The farthest neighbours.
    pub(super) fn outermost(self) -> Option<(&'a Id, &'a Id)> {
        let (ahead, behind) = self.span()?;
        Some((&self.contacts.get(ahead)?.contact.id, &self.contacts.get(behind)?.contact.id))
    }

    /// Whether `target` lies among the neighbours.
    pub(in crate::routing) fn covers(self, target: &Id) -> bool {
        let distance = |id: &Id| self.own.clockwise(id);
        self.outermost()
            .is_none_or(|(ahead, behind)| distance(target) <= distance(ahead) || distance(target) >= distance(behind))
    }

    /// All contacts from `target` on clockwise, once around.
    pub(in crate::routing) fn following(self, target: &Id) -> impl Iterator<Item = (usize, &'a TableEntry<A>)> {
        let (Ok(at) | Err(at)) = self.find(target);
        let contacts = self.contacts.iter().enumerate();
        contacts.clone().skip(at).chain(contacts.take(at))
    }

    /// All contacts that precede `target`, the last of them first, once around.
    pub(in crate::routing) fn preceding(self, target: &Id) -> impl Iterator<Item = (usize, &'a TableEntry<A>)> {
        let (Ok(at) | Err(at)) = self.find(target);
        let contacts = self.contacts.iter().enumerate();
        contacts.clone().take(at).rev().chain(contacts.skip(at).rev())
    }

    /// All contacts, those nearest to `target` on either side first.
    pub(in crate::routing) fn around(self, target: &Id) -> impl Iterator<Item = (usize, &'a TableEntry<A>)> {
        let (mut after, mut before) = (self.following(target).peekable(), self.preceding(target).peekable());
        let target = *target;
        let nearest = core::iter::from_fn(move || {
            let (next, last) = (after.peek()?, before.peek()?);
            if next.1.contact.id.ring(&target) <= last.1.contact.id.ring(&target) {
                after.next()
            } else {
                before.next()
            }
        });
        nearest.take(self.contacts.len())
    }

    /// The verified contact that holds a cell.
    pub(in crate::routing) fn holder<P: Plan>(self, cell: Cell) -> Option<(usize, &'a TableEntry<A>)> {
        let others = self.verified().filter(|(_, entry)| P::cell(self.own, &entry.contact.id) == cell);
        others.reduce(|best, other| if P::prefers(self.own, other.1, best.1) { other } else { best })
    }
}

/// Contacts that are being named, each once, until there is no more room.
#[derive(Debug)]
pub struct Named<'a, A> {
    out: &'a mut [Contact<A>],
    len: usize,
}

impl<'a, A: Address> Named<'a, A> {
    pub(super) const fn new(out: &'a mut [Contact<A>]) -> Self {
        Self { out, len: 0 }
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// Names one. False if there is no room for another.
    pub(in crate::routing) fn add(&mut self, entry: &TableEntry<A>) -> bool {
        let named = self.out.get(..self.len).unwrap_or(&[]);
        if named.iter().any(|contact| contact.id == entry.contact.id) {
            return true;
        }
        let Some(place) = self.out.get_mut(self.len) else {
            return false;
        };
        *place = entry.contact;
        self.len = self.len.saturating_add(1);
        true
    }

    /// Names those that answer.
    pub(in crate::routing) fn add_verified<'e>(&mut self, entries: impl Iterator<Item = (usize, &'e TableEntry<A>)>)
    where
        A: 'e,
    {
        for (_, entry) in entries.filter(|(_, entry)| entry.is_verified()) {
            if !self.add(entry) {
                return;
            }
        }
    }
}
