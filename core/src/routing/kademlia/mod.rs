//! Kademlia: the XOR metric, and the table of contacts that belongs to it.
//!
//! Maymounkov and Mazières ("Kademlia: A Peer-to-peer Information System Based on the XOR Metric", 2002) keep up to k contacts
//! for each length of the prefix that an identifier may share with the own one: a k-bucket each. Who is there stays there, for
//! who was up for long will be up for longer; newcomers wait until one fails.
//!
//! Where this table departs from the paper:
//! - It is one array, sorted by distance to the own identifier, and a bucket is a range of it. Nothing is reserved for buckets
//!   that stay empty; when the array is full the largest bucket gives way, never the k closest.
//! - The k closest to the own identifier are always taken. The paper gets there by splitting buckets unevenly.
//! - Being named, or asking, makes nobody a contact to name to others: only an answer to our own question does. Who was only
//!   heard of takes room that nobody needs, is asked soon, and goes at the first failure.
//! - One that fails isn't named any more, but goes only when another that answers takes its place. A network that was out of
//!   reach for a while is found again.
//! - One replacement cache serves all buckets, and is asked only when there is a place to fill. A quarter of it remembers
//!   lost contacts, which are tried again now and then for ever, so that halves of a split network find each other.
//! - Contacts of one address group are limited, in a bucket and in the table, to make eclipse attacks dear. The k closest are
//!   exempt: who they are is what lookups agree on.
//!
//! - [`buckets`]: the array, and the order in which its buckets lie around a target
//! - [`places`]: who gets a place, and whom that turns out
//! - [`maintenance`]: what is due, and when

mod buckets;
mod maintenance;
mod places;
#[cfg(test)]
mod tests;

use core::time::Duration;

use heapless::Vec;

use super::entry::TableEntry;
use super::schedule::Schedule;
use super::{ContactState, Limits, Maintenance, Origin, Peer, Routing};
use crate::address::Address;
use crate::array;
use crate::contact::Contact;
use crate::geometry::Geometry;
use crate::id::{Distance, Id};
use crate::time::Instant;
use places::Place;

/// Kademlia's XOR metric: one order for converging and for responsibility.
///
/// ```
/// use kadlet::{Geometry, Id, Xor};
///
/// let [target, near, far] = [0x10, 0x11, 0x90].map(|byte| Id::from_bytes([byte; 20]));
/// assert!(Xor::rank(&target, &near) < Xor::rank(&target, &far));
/// assert_eq!(Xor::progress(&target, &near), target.xor(&near));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Xor;

impl Geometry for Xor {
    const TAG: u8 = 1;
    const ONE_ORDER: bool = true;

    fn progress(target: &Id, id: &Id) -> Distance {
        id.xor(target)
    }

    fn rank(target: &Id, id: &Id) -> Distance {
        id.xor(target)
    }
}

/// Kademlia's table of at most `CONTACTS` contacts (36 bytes each with IPv4 addresses), and `REPLACEMENTS` more that wait for a place.
///
/// 128 contacts serve a network of tens of thousands, 192 one of a million. k is at most `CONTACTS`.
///
/// ```
/// use core::time::Duration;
/// use kadlet::routing::{Limits, Maintenance};
/// use kadlet::{Contact, Id, Instant, Kademlia, Routing};
///
/// let mut table = Kademlia::<u16, 128>::EMPTY;
/// let mut now = Instant::ZERO;
/// table.start(now, Id::ZERO, &Limits::DEFAULT, 42);
/// let [near, far] = [0x01, 0x80].map(|byte| Contact::new(Id::from_bytes([byte; 20]), u16::from(byte)));
/// table.responded(now, near, Some(Duration::from_millis(20)));
/// table.responded(now, far, None);
///
/// let mut closest = [Contact::EMPTY; 8];
/// let count = table.closest(&Id::from_bytes([0xFF; 20]), &mut closest);
/// assert_eq!(closest[..count], [far, near]);
///
/// table.failed(now, &far.id);
/// let count = table.closest(&Id::from_bytes([0xFF; 20]), &mut closest);
/// assert_eq!(closest[..count], [near], "who fails is not named to others");
///
/// assert_eq!(table.maintenance(now), Some(Maintenance::Neighbourhood), "somebody is known: meet the neighbours");
/// assert_eq!(table.maintenance(now), None);
/// now = table.next_maintenance();
/// assert!(table.maintenance(now).is_some());
/// ```
#[derive(Clone, Debug)]
pub struct Kademlia<A, const CONTACTS: usize, const REPLACEMENTS: usize = 16> {
    own: Id,
    /// Zero until the table is started; no more than there is room for.
    k: usize,
    /// Contacts of one address group in a bucket, and in the table.
    per_prefix: (usize, usize),
    schedule: Schedule,
    /// Sorted by distance to the own identifier.
    contacts: Vec<TableEntry<A>, CONTACTS>,
    /// Those that answer, the most recent first, then those that are lost.
    replacements: Vec<TableEntry<A>, REPLACEMENTS>,
}

impl<A: Address, const CONTACTS: usize, const REPLACEMENTS: usize> Routing for Kademlia<A, CONTACTS, REPLACEMENTS> {
    type Address = A;
    type Geometry = Xor;

    const EMPTY: Self = Self {
        own: Id::ZERO,
        k: 0,
        per_prefix: (0, 0),
        schedule: Schedule::EMPTY,
        contacts: Vec::new(),
        replacements: Vec::new(),
    };

    fn start(&mut self, _: Instant, own: Id, limits: &Limits, random: u64) {
        self.own = own;
        self.k = limits.replicas(CONTACTS);
        self.per_prefix = limits.per_prefix();
        self.schedule.start(limits, random);
        self.contacts.clear();
        self.replacements.clear();
    }

    fn own(&self) -> Id {
        self.own
    }

    /// A spare is known too, and says so.
    fn get(&self, id: &Id) -> Option<Peer<A>> {
        let contact = self.find(id).ok().and_then(|at| self.contacts.get(at));
        contact.or_else(|| self.replacements.get(self.replacement(id)?)).map(TableEntry::peer)
    }

    /// Nearest to the own identifier first; no spares.
    fn peers(&self) -> impl Iterator<Item = Peer<A>> {
        self.contacts.iter().map(TableEntry::peer)
    }

    fn discovered(&mut self, now: Instant, contact: Contact<A>, how: Origin) -> bool {
        if !self.takes(&contact.id) {
            return false;
        }
        let at = match self.find(&contact.id) {
            Ok(at) => return self.contacts.get(at).is_some_and(|entry| !entry.is_verified()),
            Err(at) => at,
        };
        match self.place(now, &contact, at) {
            Place::Free if how != Origin::Requester && self.replacement(&contact.id).is_none() => {}
            Place::Free | Place::InsteadOf(_) => return true,
            Place::Replacement | Place::Refused => return false,
        }
        // One of the k closest would be exempt, but isn't one of them yet.
        let bucket = self.bucket(self.depth(&contact.id));
        let (in_bucket, in_table) = self.crowding(&contact, &bucket);
        if in_bucket.max(in_table).is_lt() {
            let due = self.schedule.after_discovery(now);
            self.insert(now, TableEntry::unverified(contact, due));
            self.schedule();
        }
        true
    }

    fn responded(&mut self, now: Instant, contact: Contact<A>, rtt: Option<Duration>) {
        if !self.takes(&contact.id) {
            return;
        }
        let place = self.find(&contact.id);
        if let Ok(at) = place
            && let Some(entry) = self.contacts.get_mut(at)
        {
            let (state, was) = (entry.state(), entry.due);
            if entry.contact.address == contact.address && state != ContactState::Unverified {
                self.schedule.responded(now, entry, rtt);
                let due = entry.due;
                if state == ContactState::Verified {
                    if self.schedule.moved(was, due) {
                        return;
                    }
                } else if self.is_near(at) {
                    self.neighbour_came(now);
                }
                return self.schedule();
            }
            // In the table, only one that stopped answering can have moved.
            if state == ContactState::Verified {
                return;
            }
            array::remove(&mut self.contacts, at);
        }
        let replacement =
            self.take_replacement(&contact.id).filter(|replacement| replacement.contact.address == contact.address);
        let mut entry = replacement.unwrap_or_else(|| TableEntry::new(now, contact));
        self.schedule.responded(now, &mut entry, rtt);
        self.admit(now, entry);
        self.schedule();
    }

    fn failed(&mut self, now: Instant, id: &Id) {
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
                    entry.failed(now);
                    entry.due = self.schedule.after_failure(now, entry.failures);
                }
                _ => _ = array::remove(&mut self.contacts, at),
            }
        } else if let Some(mut replacement) = self.take_replacement(id)
            && !replacement.is_verified()
        {
            replacement.failed(now);
            self.keep(now, replacement);
        }
        self.call_replacement(now, id);
        self.schedule();
    }

    fn evict(&mut self, now: Instant, id: &Id) {
        if let Ok(at) = self.find(id) {
            let near = self.is_near(at);
            if array::remove(&mut self.contacts, at).is_some_and(|entry| entry.is_verified()) && near {
                self.schedule.neighbourhood_changed(now);
            }
        }
        self.take_replacement(id);
        self.call_replacement(now, id);
        self.schedule();
    }

    fn closest(&self, target: &Id, out: &mut [Contact<A>]) -> usize {
        self.closest_in(ContactState::Verified, target, out)
    }

    fn initial_contacts(&self, target: &Id, out: &mut [Contact<A>]) -> usize {
        let (mut count, mut room) = (0, out.len());
        for state in [ContactState::Verified, ContactState::Failing, ContactState::Unverified] {
            count += out.get_mut(count..room).map_or(0, |rest| self.closest_in(state, target, rest));
            room = room.min(self.k);
        }
        count
    }

    fn rank_of_own(&self, key: &Id, limit: usize) -> usize {
        self.contacts.iter().filter(|entry| entry.is_verified() && self.is_nearer(entry, key)).take(limit).count()
    }

    /// The distance from the own identifier to its k-th closest verified neighbour.
    fn expected_reach(&self) -> Option<Distance> {
        self.neighbour().map(|neighbour| neighbour.contact.id.xor(&self.own))
    }

    fn looked_up(&mut self, now: Instant, target: &Id) {
        if self.k == 0 {
            return;
        }
        self.refreshed(now, self.depth(target));
        if *target == self.own {
            self.schedule.looked_up_own(now);
        }
        self.schedule();
    }

    fn changed(&self) -> Instant {
        self.schedule.changed
    }

    fn check_neighbourhood_soon(&mut self, now: Instant) {
        if !self.contacts.is_empty() {
            self.schedule.check_soon(now);
            self.schedule();
        }
    }

    fn maintenance(&mut self, now: Instant) -> Option<Maintenance<A>> {
        if self.k == 0 || !self.schedule.next.is_due(now) {
            return None;
        }
        let request = self.check(now).or_else(|| self.refresh(now)).or_else(|| self.ask(now));
        self.schedule();
        request
    }

    fn next_maintenance(&self) -> Instant {
        if self.k == 0 { Instant::NEVER } else { self.schedule.next }
    }
}
