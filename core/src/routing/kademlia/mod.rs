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
//! - [`upkeep`]: what is due, and when

mod buckets;
mod places;
#[cfg(test)]
mod tests;
mod upkeep;

use core::time::Duration;

use heapless::{Vec, VecView};

use super::clock::Clock;
use super::entry::Entry;
use super::{Heard, Limits, Peer, Routing, State, Upkeep};
use crate::{Address, Contact, Distance, Geometry, Id, Instant};
use buckets::Buckets;

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

/// Kademlia's table of at most `CONTACTS` contacts (36 bytes each with IPv4 addresses), and `SPARES` more that wait for a place.
///
/// 128 contacts serve a network of tens of thousands, 192 one of a million. k is at most `CONTACTS`.
///
/// ```
/// use core::time::Duration;
/// use kadlet::routing::{Limits, Upkeep};
/// use kadlet::{Contact, Id, Instant, Kademlia, Routing};
///
/// let mut table = Kademlia::<u16, 128>::EMPTY;
/// let mut now = Instant::ZERO;
/// table.start(now, Id::ZERO, &Limits::DEFAULT, 42);
/// let [near, far] = [0x01, 0x80].map(|byte| Contact::new(Id::from_bytes([byte; 20]), u16::from(byte)));
/// table.answered(now, near, Some(Duration::from_millis(20)));
/// table.answered(now, far, None);
///
/// let mut closest = [Contact::EMPTY; 8];
/// let count = table.closest(&Id::from_bytes([0xFF; 20]), &mut closest);
/// assert_eq!(closest[..count], [far, near]);
///
/// table.failed(now, &far.id);
/// let count = table.closest(&Id::from_bytes([0xFF; 20]), &mut closest);
/// assert_eq!(closest[..count], [near], "who fails is not named to others");
///
/// assert_eq!(table.upkeep(now), Some(Upkeep::Neighbourhood), "somebody is known: meet the neighbours");
/// assert_eq!(table.upkeep(now), None);
/// now = table.next_upkeep();
/// assert!(table.upkeep(now).is_some());
/// ```
#[derive(Clone, Debug)]
pub struct Kademlia<A, const CONTACTS: usize, const SPARES: usize = 16> {
    rules: Rules,
    clock: Clock,
    contacts: Vec<Entry<A>, CONTACTS>,
    spares: Vec<Entry<A>, SPARES>,
}

/// What holds from start to start.
#[derive(Clone, Copy, Debug)]
struct Rules {
    own: Id,
    /// Zero until the table is started.
    k: usize,
    limits: Limits,
}

/// A table whatever its bounds, to be changed.
struct Table<'a, A> {
    rules: &'a Rules,
    clock: &'a mut Clock,
    contacts: &'a mut VecView<Entry<A>>,
    spares: &'a mut VecView<Entry<A>>,
}

impl<A: Address, const CONTACTS: usize, const SPARES: usize> Kademlia<A, CONTACTS, SPARES> {
    fn table(&mut self) -> Table<'_, A> {
        Table { rules: &self.rules, clock: &mut self.clock, contacts: &mut self.contacts, spares: &mut self.spares }
    }

    fn buckets(&self) -> Buckets<'_, A> {
        Buckets { own: &self.rules.own, contacts: &self.contacts }
    }
}

impl<A: Address, const CONTACTS: usize, const SPARES: usize> Routing for Kademlia<A, CONTACTS, SPARES> {
    type Address = A;
    type Geometry = Xor;

    const EMPTY: Self = Self { rules: Rules::EMPTY, clock: Clock::EMPTY, contacts: Vec::new(), spares: Vec::new() };

    fn start(&mut self, _: Instant, own: Id, limits: &Limits, random: u64) {
        self.rules = Rules::new(own, limits, CONTACTS);
        self.clock.start(self.rules.limits.neighbourhood_min, random);
        self.contacts.clear();
        self.spares.clear();
    }

    fn own(&self) -> Id {
        self.rules.own
    }

    /// A spare is known too, and says so.
    fn get(&self, id: &Id) -> Option<Peer<A>> {
        let contact = self.buckets().find(id).ok().and_then(|at| self.contacts.get(at));
        contact.or_else(|| self.spares.iter().find(|spare| spare.contact.id == *id)).map(Entry::peer)
    }

    /// Nearest to the own identifier first; no spares.
    fn peers(&self) -> impl Iterator<Item = Peer<A>> {
        self.contacts.iter().map(Entry::peer)
    }

    fn heard(&mut self, now: Instant, contact: Contact<A>, how: Heard) -> bool {
        self.table().heard(now, contact, how)
    }

    fn answered(&mut self, now: Instant, contact: Contact<A>, rtt: Option<Duration>) {
        self.table().answered(now, contact, rtt);
    }

    fn failed(&mut self, now: Instant, id: &Id) {
        self.table().failed(now, id);
    }

    fn evict(&mut self, now: Instant, id: &Id) {
        self.table().evict(now, id);
    }

    fn closest(&self, target: &Id, out: &mut [Contact<A>]) -> usize {
        self.buckets().closest(target, State::Verified, out)
    }

    fn first_asked(&self, target: &Id, out: &mut [Contact<A>]) -> usize {
        let mut count = self.closest(target, out);
        for state in [State::Failing, State::Heard] {
            let few = self.rules.k.min(out.len());
            count += out.get_mut(count..few).map_or(0, |rest| self.buckets().closest(target, state, rest));
        }
        count
    }

    fn rank_of_own(&self, key: &Id, limit: usize) -> usize {
        self.buckets().rank_of_own(key, limit)
    }

    /// The distance from the own identifier to its k-th closest verified neighbour.
    fn expected_reach(&self) -> Option<Distance> {
        self.buckets().neighbour(self.rules.k).map(|neighbour| neighbour.contact.id.xor(&self.rules.own))
    }

    fn looked_up(&mut self, now: Instant, target: &Id) {
        self.table().looked_up(now, target);
    }

    fn changed(&self) -> Instant {
        self.clock.changed
    }

    fn disturbed(&mut self, now: Instant) {
        self.table().disturbed(now);
    }

    fn upkeep(&mut self, now: Instant) -> Option<Upkeep<A>> {
        self.table().upkeep(now)
    }

    fn next_upkeep(&self) -> Instant {
        if self.rules.k == 0 { Instant::NEVER } else { self.clock.next }
    }
}

impl Rules {
    const EMPTY: Self = Self { own: Id::ZERO, k: 0, limits: Limits::ZERO };

    /// k is no more than there is room for.
    fn new(own: Id, limits: &Limits, contacts: usize) -> Self {
        let limits = limits.clamped();
        Self { own, k: usize::from(limits.k).min(contacts), limits }
    }
}
