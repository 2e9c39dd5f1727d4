//! What is learned about a contact, and how it changes the table: the contact was discovered, responded, failed, or is
//! gone.

use core::time::Duration;

use super::buckets::Buckets;
use super::full_bucket::Place;
use super::replacements::Replacements;
use super::xor::compare;
use crate::address::Address;
use crate::array;
use crate::contact::Contact;
use crate::id::Id;
use crate::routing::entry::{TableEntry, epoch};
use crate::routing::peer::{ContactState, Origin};
use crate::routing::stamp::Stamp;
use crate::time::Instant;

impl<A: Address> Buckets<A> {
    pub(super) fn discovered(
        &mut self,
        replacements: &mut Replacements<A>,
        now: Instant,
        contact: Contact<A>,
        how: Origin,
    ) -> bool {
        if !self.accepts(&contact.id) {
            return false;
        }
        let at = match self.find(&contact.id) {
            Ok(at) => return self.contacts.get(at).is_some_and(|entry| !entry.is_verified()),
            Err(at) => at,
        };
        match self.place(now, &contact, at) {
            Place::Free if how != Origin::Requester && replacements.get(&contact.id).is_none() => {}
            Place::Free | Place::InsteadOf(_) => return true,
            Place::Replacement | Place::Refused => return false,
        }
        // One of the k closest would be exempt from the limits, but it is not one of them until it responds.
        if self.prefix_has_room(&contact) {
            let due = self.schedule.after_discovery(now);
            self.insert(now, TableEntry::unverified(contact, due));
            self.reschedule(replacements);
        }
        true
    }

    pub(super) fn responded(
        &mut self,
        replacements: &mut Replacements<A>,
        now: Instant,
        contact: Contact<A>,
        rtt: Option<Duration>,
    ) {
        if !self.accepts(&contact.id) {
            return;
        }
        let place = self.find(&contact.id);
        if let Ok(at) = place
            && let Some(entry) = self.contacts.get_mut(at)
        {
            let (state, was) = (entry.state(), entry.due);
            if entry.contact.address == contact.address && state != ContactState::Unverified {
                self.schedule.note_response(now, entry, rtt);
                let due = entry.due;
                if state == ContactState::Verified {
                    if self.schedule.moved(was, due) {
                        return;
                    }
                } else if self.is_near(at) {
                    self.neighbour_came(replacements, now);
                }
                return self.reschedule(replacements);
            }
            // A verified contact keeps its address: only one that stopped responding can have moved.
            if state == ContactState::Verified {
                return;
            }
            array::remove(&mut self.contacts, at);
        }
        let replacement =
            replacements.take_out(&contact.id).filter(|replacement| replacement.contact.address == contact.address);
        let mut entry = replacement.unwrap_or_else(|| TableEntry::new(now, contact));
        self.schedule.note_response(now, &mut entry, rtt);
        self.admit(replacements, now, entry);
        self.reschedule(replacements);
    }

    pub(super) fn failed(&mut self, replacements: &mut Replacements<A>, now: Instant, id: &Id) {
        if let Ok(at) = self.find(id)
            && let Some(state) = self.contacts.get(at).map(TableEntry::state)
        {
            if state != ContactState::Failing {
                self.schedule.contact_departed(now, &mut self.contacts);
            }
            if state == ContactState::Verified && self.is_near(at) {
                self.schedule.neighbourhood_changed(now);
            }
            match self.contacts.get_mut(at) {
                Some(entry) if state != ContactState::Unverified => {
                    entry.note_failure(now);
                    entry.due = self.schedule.after_failure(now, entry.failures);
                    if entry.failures >= 3 && self.after_verified(self.k) != usize::MAX {
                        self.replace(replacements, now, at);
                    }
                }
                _ => _ = array::remove(&mut self.contacts, at),
            }
        } else if let Some(mut replacement) = replacements.take_out(id)
            && !replacement.is_verified()
        {
            replacement.note_failure(now);
            self.keep(replacements, now, replacement);
        }
        self.ask_replacement(replacements, now, id);
        self.reschedule(replacements);
    }

    pub(super) fn evict(&mut self, replacements: &mut Replacements<A>, now: Instant, id: &Id) {
        if let Ok(at) = self.find(id) {
            let near = self.is_near(at);
            if array::remove(&mut self.contacts, at).is_some_and(|entry| entry.is_verified()) && near {
                self.schedule.neighbourhood_changed(now);
            }
        }
        replacements.take_out(id);
        self.ask_replacement(replacements, now, id);
        self.reschedule(replacements);
    }

    /// Continues with another own identifier. Buckets can have too many contacts after that, until these fail or others
    /// need their places.
    pub(super) fn rekey(&mut self, replacements: &mut Replacements<A>, now: Instant, own: Id) {
        if let Ok(at) = self.find(&own) {
            array::remove(&mut self.contacts, at);
        }
        replacements.take_out(&own);
        self.own = own;
        array::sort(&mut self.contacts, |a, b| compare(&own, &a.contact.id, &b.contact.id).is_lt());
        self.schedule.own_changed(now);
        self.reschedule(replacements);
    }

    /// Gives a contact that has just responded a place, or lets it wait for one.
    fn admit(&mut self, replacements: &mut Replacements<A>, now: Instant, entry: TableEntry<A>) {
        let (Ok(at) | Err(at)) = self.find(&entry.contact.id);
        match self.place(now, &entry.contact, at) {
            Place::Free => {}
            Place::InsteadOf(at) => self.replace(replacements, now, at),
            Place::Replacement => return self.keep(replacements, now, entry),
            Place::Refused => return,
        }
        let at = self.insert(now, entry);
        if self.is_near(at) {
            self.neighbour_came(replacements, now);
        }
    }

    /// One of the k closest is new. The contact that is no longer one of them is no longer exempt from the limits on
    /// its address prefix.
    fn neighbour_came(&mut self, replacements: &mut Replacements<A>, now: Instant) {
        self.schedule.neighbourhood_changed(now);
        let start = self.after_verified(self.k);
        let mut end = self.after_verified(self.k + 1);
        while let Some(at) = self.over_prefix_limits(start..end) {
            self.replace(replacements, now, at);
            end = end.saturating_sub(1);
        }
    }

    /// Moves a contact from its place to the replacement cache.
    fn replace(&mut self, replacements: &mut Replacements<A>, now: Instant, at: usize) {
        if let Some(entry) = array::remove(&mut self.contacts, at) {
            self.keep(replacements, now, entry);
        }
    }

    /// Keeps a contact that has no place in the buckets: moves it to the replacement cache, if that has room.
    fn keep(&mut self, replacements: &mut Replacements<A>, now: Instant, mut entry: TableEntry<A>) {
        if replacements.make_room(self, epoch(now), &entry) {
            entry.due = if entry.is_verified() { Stamp::NEVER } else { self.schedule.after_loss(now) };
            replacements.insert(entry);
        }
    }
}
