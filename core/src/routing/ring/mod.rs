//! What Chord's and Pastry's tables have in common: contacts around a ring of identifiers.
//!
//! It is one array, sorted clockwise from the own identifier on, and no part of it is reserved. Why a contact is in the
//! table follows from its place:
//!
//! - It is *near* if few others lie between it and the own node: Chord's successor list, Pastry's leaf set. Near
//!   contacts are always taken, and exempt from the limits on address prefixes, because lookups must agree on them.
//! - Or it *holds a cell*: one of Chord's fingers, an entry of Pastry's routing table. Of the contacts of a cell, the
//!   plan prefers one.
//! - Or it is a *replacement*: it is verified, another holds its cell, and there is room. At most two wait for a cell.
//! - Or it is *lost*: it stopped responding, and others have its part. Some lost contacts are tried for ever, so that
//!   halves of a split ring find each other.
//!
//! As in Kademlia's table, a contact that was only named, or that sent a request, is not named to others. It must first
//! respond to a request of the own node. An unverified contact takes only a free place, is asked soon, and is removed
//! at its first failure. A failing contact is no longer named, but keeps its place until a contact that responds takes
//! it.
//!
//! From high to low:
//! - [`chord`](super::chord) and [`pastry`](super::pastry): the two plans there are
//! - [`update`]: what is learned about a contact, and how it changes the table
//! - [`maintenance`]: which requests are due, and when
//! - [`roles`]: why a contact is in the table, and so which one is evicted
//! - [`plan`]: what the two geometries differ in
//! - [`circle`]: the array, and the ways around it

mod circle;
mod maintenance;
mod plan;
mod roles;
#[cfg(test)]
mod tests;
mod update;

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

pub(super) use circle::{Circle, NameList};
pub(super) use plan::{Cell, Plan};

/// A table of at most `CONTACTS` contacts around a ring (36 bytes each with IPv4 addresses), `NEAR` of them the own
/// node's neighbours. [`Chord`](super::Chord) and [`Pastry`](super::Pastry) are rings, each with its plan.
#[derive(Clone, Debug)]
pub struct Ring<P, A, const NEAR: usize, const CONTACTS: usize> {
    circle: Circle<P, A, Vec<TableEntry<A>, CONTACTS>>,
}

impl<P: Plan, A: Address, const NEAR: usize, const CONTACTS: usize> Ring<P, A, NEAR, CONTACTS> {
    /// The table, whatever its size.
    pub(super) fn circle(&self) -> &Circle<P, A> {
        &self.circle
    }

    fn circle_mut(&mut self) -> &mut Circle<P, A> {
        &mut self.circle
    }

    /// The verified contact that a cell keeps.
    pub(super) fn contact_in(&self, row: u8, column: u8) -> Option<Contact<A>> {
        let (_, entry) = self.circle().contact_in(Cell { row, column })?;
        Some(entry.contact)
    }
}

impl<P: Plan, A: Address, const NEAR: usize, const CONTACTS: usize> Routing for Ring<P, A, NEAR, CONTACTS> {
    type Address = A;
    type Geometry = P;

    const EMPTY: Self = Self { circle: Circle::EMPTY };

    fn start(&mut self, _: Instant, own: Id, limits: &Limits, random: u64) -> Result<(), ConfigError> {
        limits.check(CONTACTS)?;
        let sides = P::sides(NEAR, limits.k.into());
        self.circle_mut().start(own, limits, random, sides);
        Ok(())
    }

    fn own(&self) -> Id {
        self.circle.own
    }

    fn rekey(&mut self, now: Instant, own: Id) {
        self.circle_mut().rekey(now, own);
    }

    fn limit_prefixes(&mut self, in_bucket: u8, in_table: u8) {
        self.circle.per_prefix = (in_bucket, in_table);
    }

    fn get(&self, id: &Id) -> Option<Peer<A>> {
        self.circle().get(id).map(TableEntry::peer)
    }

    /// Clockwise from the own identifier on.
    fn peers(&self) -> impl Iterator<Item = Peer<A>> {
        self.circle.contacts.iter().map(TableEntry::peer)
    }

    fn discovered(&mut self, now: Instant, contact: Contact<A>, how: Origin) -> bool {
        self.circle_mut().discovered(now, contact, how)
    }

    fn responded(&mut self, now: Instant, contact: Contact<A>, rtt: Option<Duration>) {
        self.circle_mut().responded(now, contact, rtt);
    }

    fn failed(&mut self, now: Instant, id: &Id) {
        self.circle_mut().failed(now, id);
    }

    fn evict(&mut self, now: Instant, id: &Id) {
        self.circle_mut().evict(now, id);
    }

    fn closest(&self, target: &Id, out: &mut [Contact<A>]) -> usize {
        let mut named = NameList::new(out);
        P::closest(self.circle(), target, &mut named);
        named.len()
    }

    fn next_hops(&self, target: &Id, out: &mut [Contact<A>]) -> usize {
        let mut named = NameList::new(out);
        P::next_hops(self.circle(), target, &mut named);
        named.len()
    }

    fn initial_contacts(&self, target: &Id, out: &mut [Contact<A>]) -> usize {
        let verified = self.closest(target, out);
        let few = self.circle.k.min(out.len());
        let Some(rest) = out.get_mut(verified..few) else {
            return verified;
        };
        let mut named = NameList::new(rest);
        for state in [ContactState::Failing, ContactState::Unverified] {
            self.circle().around(target).filter(|(_, entry)| entry.state() == state).all(|(_, entry)| named.add(entry));
        }
        verified.saturating_add(named.len())
    }

    fn rank_of_own(&self, key: &Id, limit: usize) -> usize {
        let own = P::rank(key, &self.circle.own);
        self.circle().verified().filter(|(_, entry)| P::rank(key, &entry.contact.id) < own).take(limit).count()
    }

    fn expected_reach(&self) -> Option<Distance> {
        P::reach(self.circle(), self.circle.k)
    }

    fn contact_to_notify(&self) -> Option<Contact<A>> {
        let (_, predecessor) = self.circle().verified().next_back().filter(|_| P::PREDECESSOR_ADMITS)?;
        Some(predecessor.contact).filter(|predecessor| predecessor.id != self.circle.known_to)
    }

    fn looked_up(&mut self, now: Instant, target: &Id) {
        self.circle_mut().looked_up(now, target);
    }

    fn changed(&self) -> Instant {
        self.circle.schedule.changed
    }

    fn check_neighbourhood_soon(&mut self, now: Instant) {
        self.circle_mut().check_neighbourhood_soon(now);
    }

    fn maintenance(&mut self, now: Instant) -> Option<Maintenance<A>> {
        self.circle_mut().maintenance(now)
    }

    fn next_maintenance(&self) -> Instant {
        if self.circle.k == 0 { Instant::NEVER } else { self.circle.schedule.next }
    }
}
