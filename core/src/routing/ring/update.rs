//! What is learned about a contact, and how it changes the table: the contact was discovered, responded, failed, or is
//! gone.

use core::time::Duration;

use super::circle::Circle;
use super::plan::Plan;
use super::roles::Role;
use crate::address::Address;
use crate::array;
use crate::contact::Contact;
use crate::id::Id;
use crate::routing::entry::TableEntry;
use crate::routing::peer::{ContactState, Origin};
use crate::routing::stamp::Stamp;
use crate::time::Instant;

impl<P: Plan, A: Address> Circle<P, A> {
    pub(super) fn discovered(&mut self, now: Instant, contact: Contact<A>, how: Origin) -> bool {
        if !self.accepts(&contact.id) {
            return false;
        }
        if how == Origin::Requester {
            self.notified(&contact.id);
        }
        if let Some(entry) = self.get(&contact.id) {
            return !entry.is_verified();
        }
        let mut entry = TableEntry::unverified(contact, Stamp::ZERO);
        let Some(role) = self.role_of_new(&entry) else {
            return false;
        };
        if !self.contacts.is_full() {
            if how == Origin::Requester || (how == Origin::Named && role == Role::Replacement) {
                return true;
            }
            entry.due = self.schedule.after_discovery(now);
            self.insert(now, entry);
            self.reschedule();
            return true;
        }
        self.least(now).is_some_and(|(_, least)| least < role)
    }

    pub(super) fn responded(&mut self, now: Instant, contact: Contact<A>, rtt: Option<Duration>) {
        if !self.accepts(&contact.id) {
            return;
        }
        let known = self.get(&contact.id).copied();
        // A verified contact keeps its address: only one that stopped responding can have moved.
        if known.is_some_and(|old| old.is_verified() && old.contact.address != contact.address) {
            return;
        }
        let same =
            known.filter(|old| old.state() != ContactState::Unverified && old.contact.address == contact.address);
        let mut entry = same.unwrap_or_else(|| TableEntry::new(now, contact));
        let recovered = !entry.is_verified();
        entry.note_response(now, rtt);
        if known.is_some_and(|old| old.is_verified()) {
            self.schedule.contact_survived(now, entry.due);
        }
        match self.find(&contact.id) {
            Ok(at) if same.is_some() => {
                if let Some(old) = self.contacts.get_mut(at) {
                    *old = entry;
                }
                if recovered {
                    self.came(now, at);
                }
            }
            _ => {
                self.remove(&contact.id);
                self.admit(now, entry);
            }
        }
        let due = self.ask_later(now, &contact.id);
        let known = same.filter(TableEntry::is_verified).zip(due);
        if !known.is_some_and(|(old, due)| self.schedule.moved(old.due, due)) {
            self.reschedule();
        }
    }

    pub(super) fn failed(&mut self, now: Instant, id: &Id) {
        let Ok(at) = self.find(id) else {
            return;
        };
        let near = self.is_near(at);
        if self.contacts.get(at).is_some_and(|entry| entry.state() != ContactState::Failing) {
            self.schedule.contact_departed(now, &mut self.contacts);
        }
        match self.contacts.get_mut(at) {
            Some(entry) if entry.state() != ContactState::Unverified => {
                if entry.is_verified() && near {
                    self.schedule.neighbourhood_changed(now);
                }
                entry.note_failure(now);
                entry.due = self.schedule.after_failure(now, entry.failures);
                self.remove_superfluous(now);
            }
            _ => self.remove(id),
        }
        self.reschedule();
    }

    pub(super) fn evict(&mut self, now: Instant, id: &Id) {
        if let Ok(at) = self.find(id) {
            if self.is_near(at) && self.contacts.get(at).is_some_and(TableEntry::is_verified) {
                self.schedule.neighbourhood_changed(now);
            }
            array::remove(&mut self.contacts, at);
        }
        self.reschedule();
    }

    /// Continues with another own identifier.
    pub(super) fn rekey(&mut self, now: Instant, own: Id) {
        self.remove(&own);
        (self.own, self.known_to) = (own, own);
        array::sort(&mut self.contacts, |a, b| own.clockwise(&a.contact.id) < own.clockwise(&b.contact.id));
        self.schedule.own_changed(now);
        self.reschedule();
    }

    /// A node sent a request (Chord's notify). If no verified contact lies between it and the own node, it knows the
    /// own node as its successor.
    fn notified(&mut self, id: &Id) {
        let (Ok(at) | Err(at)) = self.find(id);
        let between = self.contacts.iter().skip(at).any(|entry| entry.is_verified() && entry.contact.id != *id);
        if !between {
            self.known_to = *id;
        }
    }

    /// Gives a contact that has just responded a place, if there is one for it.
    fn admit(&mut self, now: Instant, entry: TableEntry<A>) {
        let Some(role) = self.role_of_new(&entry) else {
            return;
        };
        if self.contacts.is_full() {
            match self.least(now) {
                Some((at, least)) if least < role => array::remove(&mut self.contacts, at),
                _ => return,
            };
        }
        let at = self.insert(now, entry);
        self.came(now, at);
    }

    /// The contact at this place has begun to respond.
    fn came(&mut self, now: Instant, at: usize) {
        if self.is_near(at) {
            self.schedule.neighbourhood_changed(now);
        }
        self.remove_superfluous(now);
    }

    /// The role of a contact changed: removes the contacts that are left without a use.
    fn remove_superfluous(&mut self, now: Instant) {
        while let Some(at) = self.superfluous(now) {
            array::remove(&mut self.contacts, at);
        }
    }
}
