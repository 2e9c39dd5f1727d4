//! Kademlia: the XOR metric, and the table of contacts that belongs to it.
//!
//! Maymounkov and Mazières ("Kademlia: A Peer-to-peer Information System Based on the XOR Metric", 2002) keep up to k
//! contacts for each length of the prefix that an identifier can share with the own one: a k-bucket each. A contact
//! stays in its bucket while it responds, because a node that has been up for long is likely to stay up. A new contact
//! waits in a replacement cache until one fails.
//!
//! Where this table departs from the paper:
//! - It is one array, sorted by distance to the own identifier, and a bucket is a range of it. Nothing is reserved for
//!   buckets that stay empty. When the array is full, the largest bucket evicts a contact, never one of the k closest.
//! - The k closest to the own identifier are always taken. The paper gets there by splitting buckets unevenly.
//! - A contact that was only named, or that sent a request, is not named to others. It must first respond to a request
//!   of the own node. An unverified contact takes only a free place, is asked soon, and is removed at its first
//!   failure.
//! - A failing contact is no longer named, but keeps its place until a contact that responds takes it. So a network
//!   that was out of reach for a while is found again.
//! - One replacement cache serves all buckets, and is asked only when there is a place to fill. A quarter of it holds
//!   lost contacts, which are tried now and then for ever, so that halves of a split network find each other.
//! - Contacts of one address prefix are limited, in a bucket and in the table, to make eclipse attacks expensive. The k
//!   closest are exempt, because lookups must agree on them.
//!
//! From high to low:
//! - [`update`]: what is learned about a contact, and how it changes the table
//! - [`maintenance`]: which requests are due, and when
//! - [`full_bucket`]: which contact gets a place, and which one is evicted for it
//! - [`replacements`]: the replacement cache
//! - [`buckets`]: the array, and the order in which its buckets lie around a target
//! - [`xor`]: the metric

mod buckets;
mod full_bucket;
mod maintenance;
mod replacements;
#[cfg(test)]
mod tests;
mod update;
mod xor;

use core::time::Duration;

use heapless::Vec;

use crate::address::Address;
use crate::config_error::ConfigError;
use crate::contact::Contact;
use crate::id::{Distance, Id};
use crate::routing::entry::TableEntry;
use crate::routing::interface::{Maintenance, Routing};
use crate::routing::limits::Limits;
use crate::routing::peer::{ContactState, Origin, Peer};
use crate::time::Instant;
use buckets::Buckets;
use replacements::Replacements;

pub use xor::Xor;

/// Kademlia's table of at most `CONTACTS` contacts (36 bytes each with IPv4 addresses), and `REPLACEMENTS` more that
/// wait for a place.
///
/// 128 contacts serve a network of tens of thousands of nodes, 192 one of a million. k is at most `CONTACTS`.
///
/// ```
/// use core::time::Duration;
/// use kadlet::routing::{Limits, Maintenance};
/// use kadlet::{Contact, Id, Instant, Kademlia, Routing};
///
/// let mut table = Kademlia::<u16, 128>::EMPTY;
/// let mut now = Instant::ZERO;
/// table.start(now, Id::ZERO, &Limits::DEFAULT, 42)?;
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
/// assert_eq!(closest[..count], [near], "a failing contact is not named to others");
///
/// assert_eq!(table.maintenance(now), Some(Maintenance::Neighbourhood), "a contact is known");
/// assert_eq!(table.maintenance(now), None);
/// now = table.next_maintenance();
/// assert!(table.maintenance(now).is_some());
/// # Ok::<(), kadlet::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Kademlia<A, const CONTACTS: usize, const REPLACEMENTS: usize = 16> {
    replacements: Replacements<A, Vec<TableEntry<A>, REPLACEMENTS>>,
    buckets: Buckets<A, Vec<TableEntry<A>, CONTACTS>>,
}

impl<A: Address, const CONTACTS: usize, const REPLACEMENTS: usize> Kademlia<A, CONTACTS, REPLACEMENTS> {
    fn buckets(&self) -> &Buckets<A> {
        &self.buckets
    }

    fn replacements(&self) -> &Replacements<A> {
        &self.replacements
    }

    /// Both parts, whatever their sizes.
    fn both(&mut self) -> (&mut Buckets<A>, &mut Replacements<A>) {
        (&mut self.buckets, &mut self.replacements)
    }
}

impl<A: Address, const CONTACTS: usize, const REPLACEMENTS: usize> Routing for Kademlia<A, CONTACTS, REPLACEMENTS> {
    type Address = A;
    type Geometry = Xor;

    const EMPTY: Self = Self { replacements: Replacements::EMPTY, buckets: Buckets::EMPTY };

    fn start(&mut self, _: Instant, own: Id, limits: &Limits, random: u64) -> Result<(), ConfigError> {
        limits.check(CONTACTS)?;
        let (buckets, replacements) = self.both();
        buckets.start(own, limits, random);
        replacements.entries.clear();
        Ok(())
    }

    fn own(&self) -> Id {
        self.buckets.own
    }

    fn rekey(&mut self, now: Instant, own: Id) {
        let (buckets, replacements) = self.both();
        buckets.rekey(replacements, now, own);
    }

    fn limit_prefixes(&mut self, in_bucket: u8, in_table: u8) {
        self.buckets.per_prefix = (in_bucket, in_table);
    }

    /// A contact in the replacement cache is known too.
    fn get(&self, id: &Id) -> Option<Peer<A>> {
        let contact = self.buckets().find(id).ok().and_then(|at| self.buckets.contacts.get(at));
        contact.or_else(|| self.replacements().get(id)).map(TableEntry::peer)
    }

    /// Nearest to the own identifier first, without the replacement cache.
    fn peers(&self) -> impl Iterator<Item = Peer<A>> {
        self.buckets.contacts.iter().map(TableEntry::peer)
    }

    fn discovered(&mut self, now: Instant, contact: Contact<A>, how: Origin) -> bool {
        let (buckets, replacements) = self.both();
        buckets.discovered(replacements, now, contact, how)
    }

    fn responded(&mut self, now: Instant, contact: Contact<A>, rtt: Option<Duration>) {
        let (buckets, replacements) = self.both();
        buckets.responded(replacements, now, contact, rtt);
    }

    fn failed(&mut self, now: Instant, id: &Id) {
        let (buckets, replacements) = self.both();
        buckets.failed(replacements, now, id);
    }

    fn evict(&mut self, now: Instant, id: &Id) {
        let (buckets, replacements) = self.both();
        buckets.evict(replacements, now, id);
    }

    fn closest(&self, target: &Id, out: &mut [Contact<A>]) -> usize {
        self.buckets().closest_in(ContactState::Verified, target, out)
    }

    fn initial_contacts(&self, target: &Id, out: &mut [Contact<A>]) -> usize {
        self.buckets().initial_contacts(target, out)
    }

    fn rank_of_own(&self, key: &Id, limit: usize) -> usize {
        self.buckets().rank_of_own(key, limit)
    }

    /// The distance from the own identifier to its k-th closest verified neighbour.
    fn expected_reach(&self) -> Option<Distance> {
        self.buckets().farthest_neighbour().map(|neighbour| neighbour.contact.id.xor(&self.buckets.own))
    }

    fn looked_up(&mut self, now: Instant, target: &Id) {
        let (buckets, replacements) = self.both();
        buckets.looked_up(replacements, now, target);
    }

    fn changed(&self) -> Instant {
        self.buckets.schedule.changed
    }

    fn check_neighbourhood_soon(&mut self, now: Instant) {
        let (buckets, replacements) = self.both();
        buckets.check_neighbourhood_soon(replacements, now);
    }

    fn maintenance(&mut self, now: Instant) -> Option<Maintenance<A>> {
        let (buckets, replacements) = self.both();
        buckets.maintenance(replacements, now)
    }

    fn next_maintenance(&self) -> Instant {
        if self.buckets.k == 0 { Instant::NEVER } else { self.buckets.schedule.next }
    }
}
