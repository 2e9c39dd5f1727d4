//! The array of contacts, sorted clockwise from the own identifier on, and the ways around it.

use core::iter;
use core::marker::PhantomData;

use heapless::{Vec, VecView};

use crate::address::Address;
use crate::array;
use crate::contact::Contact;
use crate::id::Id;
use crate::routing::entry::TableEntry;
use crate::routing::limits::Limits;
use crate::routing::peer::ContactState;
use crate::routing::schedule::{DEPTHS, Schedule};
use crate::time::Instant;

/// A ring's table. The array of contacts is the last field, so that a table of any size can be used as the unsized type
/// `Circle<P, A>`: the code is compiled once for all sizes, as with heapless's `VecView`.
#[derive(Clone, Debug)]
pub struct Circle<P, A, V: ?Sized = VecView<TableEntry<A>>> {
    pub(in crate::routing) own: Id,
    /// Zero until the table is started; at most the number of places.
    pub(super) k: usize,
    /// How many verified contacts are near on either side; together fewer than there are places.
    pub(super) ahead: usize,
    pub(super) behind: usize,
    /// How many contacts of one address prefix a cell takes, and the table.
    pub(super) per_prefix: (u8, u8),
    pub(super) schedule: Schedule,
    /// Of each row, the column in which maintenance looks next for an empty cell.
    pub(super) columns: [u8; DEPTHS],
    /// The last node that sent a request while no verified contact lay between it and the own node, so that it knows
    /// the own node as its successor; the own identifier while there is none.
    pub(super) known_to: Id,
    plan: PhantomData<fn() -> (P, A)>,
    /// Sorted clockwise from the own identifier on.
    pub(super) contacts: V,
}

impl<P, A, const CONTACTS: usize> Circle<P, A, Vec<TableEntry<A>, CONTACTS>> {
    pub(super) const EMPTY: Self = Self {
        own: Id::ZERO,
        k: 0,
        ahead: 0,
        behind: 0,
        per_prefix: (0, 0),
        schedule: Schedule::EMPTY,
        columns: [0; DEPTHS],
        known_to: Id::ZERO,
        plan: PhantomData,
        contacts: Vec::new(),
    };
}

impl<P, A: Address> Circle<P, A> {
    /// Begins with `ahead` and `behind` neighbours on the two sides, or as many as there are places for.
    pub(super) fn start(&mut self, own: Id, limits: &Limits, random: u64, (ahead, behind): (usize, usize)) {
        let room = self.contacts.capacity().saturating_sub(1);
        self.own = own;
        self.k = usize::from(limits.k);
        self.ahead = ahead.min(room.div_ceil(2));
        self.behind = behind.min(room.saturating_sub(self.ahead));
        self.per_prefix = limits.per_prefix();
        self.schedule.start(limits, random);
        self.columns = [0; DEPTHS];
        self.known_to = own;
        self.contacts.clear();
    }

    /// Whether a contact with this identifier can be in the table.
    pub(super) fn accepts(&self, id: &Id) -> bool {
        self.k != 0 && *id != self.own
    }

    /// The place of the contact, or where it would be.
    pub(super) fn find(&self, id: &Id) -> Result<usize, usize> {
        let distance = self.own.clockwise(id);
        self.contacts.binary_search_by(|entry| self.own.clockwise(&entry.contact.id).cmp(&distance))
    }

    pub(super) fn get(&self, id: &Id) -> Option<&TableEntry<A>> {
        self.contacts.get(self.find(id).ok()?)
    }

    /// The verified contacts with their places, clockwise.
    pub(in crate::routing) fn verified(&self) -> impl DoubleEndedIterator<Item = (usize, &TableEntry<A>)> {
        self.contacts.iter().enumerate().filter(|(_, entry)| entry.is_verified())
    }

    /// Whether fewer than `ahead` or fewer than `behind` verified contacts lie between this place and the own node.
    pub(super) fn is_near(&self, at: usize) -> bool {
        let verified = |entry: &&TableEntry<A>| entry.is_verified();
        let before = self.contacts.iter().take(at).filter(verified).take(self.ahead).count();
        before < self.ahead || {
            let after = self.contacts.iter().skip(at.saturating_add(1)).filter(verified).take(self.behind).count();
            after < self.behind
        }
    }

    /// Whether a contact that is inserted at this place would be near.
    pub(super) fn would_be_near(&self, at: usize) -> bool {
        let verified = |entry: &&TableEntry<A>| entry.is_verified();
        let before = self.contacts.iter().take(at).filter(verified).count();
        let after = self.contacts.iter().skip(at).filter(verified).count();
        before < self.ahead || after < self.behind
    }

    /// The places of the farthest neighbours, clockwise and counter-clockwise; `None` if all verified contacts are
    /// neighbours.
    pub(in crate::routing) fn edges(&self) -> Option<(usize, usize)> {
        self.edges_among(TableEntry::is_verified)
    }

    /// The same, but where too few contacts are verified, failing ones count too: what lies beyond the gaps that they
    /// left is no neighbourhood.
    pub(in crate::routing) fn span(&self) -> Option<(usize, usize)> {
        self.edges().or_else(|| self.edges_among(|entry| entry.state() != ContactState::Unverified))
    }

    fn edges_among(&self, counts: impl Fn(&TableEntry<A>) -> bool) -> Option<(usize, usize)> {
        let mut neighbours = self.contacts.iter().enumerate().filter(|(_, entry)| counts(entry));
        let (ahead, _) = neighbours.clone().nth(self.ahead.checked_sub(1)?)?;
        let (behind, _) = neighbours.nth_back(self.behind.checked_sub(1)?)?;
        (ahead < behind).then_some((ahead, behind))
    }

    /// The farthest neighbours.
    pub(super) fn outermost(&self) -> Option<(&Id, &Id)> {
        let (ahead, behind) = self.span()?;
        Some((&self.contacts.get(ahead)?.contact.id, &self.contacts.get(behind)?.contact.id))
    }

    /// Whether `target` lies among the neighbours.
    pub(in crate::routing) fn covers(&self, target: &Id) -> bool {
        let distance = |id: &Id| self.own.clockwise(id);
        self.outermost()
            .is_none_or(|(ahead, behind)| distance(target) <= distance(ahead) || distance(target) >= distance(behind))
    }

    /// All contacts from `target` on clockwise, once around.
    pub(in crate::routing) fn following(&self, target: &Id) -> impl Iterator<Item = (usize, &TableEntry<A>)> {
        let (Ok(at) | Err(at)) = self.find(target);
        let contacts = self.contacts.iter().enumerate();
        contacts.clone().skip(at).chain(contacts.take(at))
    }

    /// All contacts that precede `target`, the closest first, once around.
    pub(in crate::routing) fn preceding(&self, target: &Id) -> impl Iterator<Item = (usize, &TableEntry<A>)> {
        let (Ok(at) | Err(at)) = self.find(target);
        let contacts = self.contacts.iter().enumerate();
        contacts.clone().take(at).rev().chain(contacts.skip(at).rev())
    }

    /// All contacts, those nearest to `target` on either side first.
    pub(in crate::routing) fn around(&self, target: &Id) -> impl Iterator<Item = (usize, &TableEntry<A>)> {
        let (mut after, mut before) = (self.following(target).peekable(), self.preceding(target).peekable());
        let target = *target;
        let nearest = iter::from_fn(move || {
            let (next, last) = (after.peek()?, before.peek()?);
            if next.1.contact.id.ring(&target) <= last.1.contact.id.ring(&target) {
                after.next()
            } else {
                before.next()
            }
        });
        nearest.take(self.contacts.len())
    }

    /// Inserts a contact, and returns its place.
    pub(super) fn insert(&mut self, now: Instant, entry: TableEntry<A>) -> usize {
        let (Ok(at) | Err(at)) = self.find(&entry.contact.id);
        array::insert(&mut self.contacts, at, entry);
        self.schedule.contact_added(now);
        at
    }

    pub(super) fn remove(&mut self, id: &Id) {
        if let Ok(at) = self.find(id) {
            array::remove(&mut self.contacts, at);
        }
    }
}

/// A list of contacts to name, each once, in the space that the caller gave.
#[derive(Debug)]
pub struct NameList<'a, A> {
    out: &'a mut [Contact<A>],
    len: usize,
}

impl<'a, A: Address> NameList<'a, A> {
    pub(super) const fn new(out: &'a mut [Contact<A>]) -> Self {
        Self { out, len: 0 }
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// Names a contact. False if there is no room for another.
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

    /// Names the verified ones of these contacts.
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
