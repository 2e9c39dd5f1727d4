//! What Chord's and Pastry's tables have in common: contacts around a ring of identifiers.
//!
//! It is one array, sorted clockwise from the own identifier on, and no part of it is reserved. What a contact is there for
//! follows from where it lies:
//!
//! - It is *near* if few others lie between it and the own node: Chord's successor list, Pastry's leaf set. Those are always
//!   taken, and exempt from the limits on address groups: who they are is what lookups agree on.
//! - Or it *holds a cell*: one of Chord's fingers, an entry of Pastry's routing table. Of those that could, the plan prefers one.
//! - Or it is a *spare*: it answers, another holds its cell, and there is room. Two wait for a cell at most.
//! - Or it is *lost*: it stopped answering, and others do what it was there for. Some are tried again for ever, so that halves
//!   of a split ring find each other.
//!
//! As in Kademlia's table, being named, or asking, makes nobody a contact to name to others: only an answer to our own question
//! does. Who was only heard of takes room that nobody needs, is asked soon, and goes at the first failure. One that stops
//! answering isn't named any more, but keeps its place until one that answers can take it.
//!
//! - [`Plan`]: all that the two geometries differ in; [`chord`](super::chord) and [`pastry`](super::pastry) are the two there are
//! - [`view`]: the array, and the ways around it
//! - [`places`]: who gets a place, and whom that turns out
//! - [`maintenance`]: what is due, and when

mod maintenance;
mod places;
mod view;

use core::fmt;
use core::marker::PhantomData;
use core::time::Duration;

use heapless::{Vec, VecView};

use super::entry::TableEntry;
use super::schedule::{DEPTHS, Schedule};
use super::{ContactState, Limits, Maintenance, Origin, Peer, Routing};
use crate::address::Address;
use crate::contact::Contact;
use crate::geometry::Geometry;
use crate::id::{Distance, Id};
use crate::time::Instant;

pub(super) use view::{Named, View};

/// A table of at most `CONTACTS` contacts around a ring (36 bytes each with IPv4 addresses), `NEAR` of them the own node's
/// neighbours: see [`Chord`](super::Chord) and [`Pastry`](super::Pastry), which are this with a plan.
pub struct Ring<P, A, const NEAR: usize, const CONTACTS: usize> {
    rules: Rules,
    schedule: Schedule,
    /// Of each row, the column that is looked at next for an empty cell.
    columns: [u8; DEPTHS],
    /// Who asked the own node something, and seemed then to be the one before it; the own id while nobody did.
    met: Id,
    contacts: Vec<TableEntry<A>, CONTACTS>,
    plan: PhantomData<fn() -> P>,
}

/// What a geometry does with a ring.
pub trait Plan: Geometry {
    /// Cells in a row, at most.
    const COLUMNS: u8;

    /// Whether a node has joined only once the one before it asks it something.
    const MEETS: bool;

    /// How many neighbours to keep clockwise and counter-clockwise, where `near` are configured and a record has `k` replicas.
    fn sides(near: usize, k: usize) -> (usize, usize);

    /// Where in the table of `own` the identifier belongs.
    fn cell(own: &Id, id: &Id) -> Cell;

    /// What to look up for this column of a row, or for any: an identifier, and how many of its bits matter.
    fn start(own: &Id, row: u8, column: Option<u8>) -> (Id, usize);

    /// How many rows there are to fill, the outermost first, where these are the farthest neighbours of either side.
    fn rows(own: &Id, ahead: &Id, behind: &Id) -> usize;

    /// Whether the first should hold a cell rather than the second.
    fn prefers<A: Address>(own: &Id, first: &TableEntry<A>, second: &TableEntry<A>) -> bool;

    /// Names those whom a search for `target` should ask.
    fn closest<A: Address>(view: View<'_, A>, target: &Id, named: &mut Named<'_, A>);

    /// Names those to whom a question about `target` should be passed on.
    fn next_hops<A: Address>(view: View<'_, A>, target: &Id, named: &mut Named<'_, A>);

    /// How far the `k`-th responsible node for the own identifier is.
    fn reach<A: Address>(view: View<'_, A>, k: usize) -> Option<Distance>;
}

/// A place in a table: row 0 is for the contacts that have least to do with the own identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    /// Which row.
    pub row: u8,
    /// Which place in it.
    pub column: u8,
}

/// What holds from start to start.
#[derive(Clone, Copy, Debug)]
struct Rules {
    own: Id,
    /// Zero until the table is started.
    k: usize,
    /// How many neighbours are kept on either side; together fewer than there is room for.
    ahead: usize,
    behind: usize,
    /// Contacts of one address group in a cell, and in the table.
    per_prefix: (u8, u8),
}

/// A table whatever its bounds, to be changed.
struct Table<'a, P, A> {
    rules: &'a Rules,
    schedule: &'a mut Schedule,
    columns: &'a mut [u8; DEPTHS],
    met: &'a mut Id,
    contacts: &'a mut VecView<TableEntry<A>>,
    plan: PhantomData<P>,
}

impl<P: Plan, A: Address, const NEAR: usize, const CONTACTS: usize> Ring<P, A, NEAR, CONTACTS> {
    fn table(&mut self) -> Table<'_, P, A> {
        let Self { rules, schedule, columns, met, contacts, .. } = self;
        Table { rules, schedule, columns, met, contacts, plan: PhantomData }
    }

    pub(super) fn view(&self) -> View<'_, A> {
        self.rules.view(&self.contacts)
    }

    /// The verified contact that holds a cell.
    pub(super) fn holder(&self, row: u8, column: u8) -> Option<Contact<A>> {
        let (_, entry) = self.view().holder::<P>(Cell { row, column })?;
        Some(entry.contact)
    }
}

impl<P: Plan, A: Address, const NEAR: usize, const CONTACTS: usize> Routing for Ring<P, A, NEAR, CONTACTS> {
    type Address = A;
    type Geometry = P;

    const EMPTY: Self = Self {
        rules: Rules { own: Id::ZERO, k: 0, ahead: 0, behind: 0, per_prefix: (0, 0) },
        schedule: Schedule::EMPTY,
        columns: [0; DEPTHS],
        met: Id::ZERO,
        contacts: Vec::new(),
        plan: PhantomData,
    };

    fn start(&mut self, _: Instant, own: Id, limits: &Limits, random: u64) {
        let k = limits.replicas(CONTACTS);
        let (ahead, behind) = P::sides(NEAR, k);
        let room = CONTACTS.saturating_sub(1);
        let ahead = ahead.min(room.div_ceil(2));
        let behind = behind.min(room.saturating_sub(ahead));
        self.rules = Rules { own, k, ahead, behind, per_prefix: limits.per_prefix() };
        self.schedule.start(limits, random);
        self.columns = [0; DEPTHS];
        self.met = own;
        self.contacts.clear();
    }

    fn own(&self) -> Id {
        self.rules.own
    }

    fn get(&self, id: &Id) -> Option<Peer<A>> {
        self.view().known(id).map(TableEntry::peer)
    }

    /// Clockwise from the own identifier on.
    fn peers(&self) -> impl Iterator<Item = Peer<A>> {
        self.contacts.iter().map(TableEntry::peer)
    }

    fn discovered(&mut self, now: Instant, contact: Contact<A>, how: Origin) -> bool {
        self.table().discovered(now, contact, how)
    }

    fn responded(&mut self, now: Instant, contact: Contact<A>, rtt: Option<Duration>) {
        self.table().responded(now, contact, rtt);
    }

    fn failed(&mut self, now: Instant, id: &Id) {
        self.table().failed(now, id);
    }

    fn evict(&mut self, now: Instant, id: &Id) {
        self.table().evict(now, id);
    }

    fn closest(&self, target: &Id, out: &mut [Contact<A>]) -> usize {
        let mut named = Named::new(out);
        P::closest(self.view(), target, &mut named);
        named.len()
    }

    fn next_hops(&self, target: &Id, out: &mut [Contact<A>]) -> usize {
        let mut named = Named::new(out);
        P::next_hops(self.view(), target, &mut named);
        named.len()
    }

    fn initial_contacts(&self, target: &Id, out: &mut [Contact<A>]) -> usize {
        let verified = self.closest(target, out);
        let few = self.rules.k.min(out.len());
        let Some(rest) = out.get_mut(verified..few) else {
            return verified;
        };
        let mut named = Named::new(rest);
        for state in [ContactState::Failing, ContactState::Unverified] {
            self.view().around(target).filter(|(_, entry)| entry.state() == state).all(|(_, entry)| named.add(entry));
        }
        verified.saturating_add(named.len())
    }

    fn rank_of_own(&self, key: &Id, limit: usize) -> usize {
        let own = P::rank(key, &self.rules.own);
        self.view().verified().filter(|(_, entry)| P::rank(key, &entry.contact.id) < own).take(limit).count()
    }

    fn expected_reach(&self) -> Option<Distance> {
        P::reach(self.view(), self.rules.k)
    }

    fn contact_to_notify(&self) -> Option<Contact<A>> {
        let (_, before) = self.view().verified().last().filter(|_| P::MEETS)?;
        Some(before.contact).filter(|before| before.id != self.met)
    }

    fn looked_up(&mut self, now: Instant, target: &Id) {
        self.table().looked_up(now, target);
    }

    fn changed(&self) -> Instant {
        self.schedule.changed
    }

    fn check_neighbourhood_soon(&mut self, now: Instant) {
        self.table().check_neighbourhood_soon(now);
    }

    fn maintenance(&mut self, now: Instant) -> Option<Maintenance<A>> {
        self.table().maintenance(now)
    }

    fn next_maintenance(&self) -> Instant {
        if self.rules.k == 0 { Instant::NEVER } else { self.schedule.next }
    }
}

impl Rules {
    const fn view<'a, A>(&'a self, contacts: &'a [TableEntry<A>]) -> View<'a, A> {
        View { own: &self.own, contacts, ahead: self.ahead, behind: self.behind }
    }
}

impl<P, A: Clone, const NEAR: usize, const CONTACTS: usize> Clone for Ring<P, A, NEAR, CONTACTS> {
    fn clone(&self) -> Self {
        let (schedule, contacts) = (self.schedule.clone(), self.contacts.clone());
        Self { rules: self.rules, schedule, columns: self.columns, met: self.met, contacts, plan: PhantomData }
    }
}

impl<P, A: fmt::Debug, const NEAR: usize, const CONTACTS: usize> fmt::Debug for Ring<P, A, NEAR, CONTACTS> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ring").field("own", &self.rules.own).field("contacts", &self.contacts).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::{Chord, Pastry};

    fn deadlines_are_right<P: Plan, const NEAR: usize, const CONTACTS: usize>(mut table: Ring<P, u16, NEAR, CONTACTS>) {
        let contact = |number: u16| {
            Contact::new(Id::from_bytes(core::array::from_fn(|at| (usize::from(number) * 37 * (at + 1)) as u8)), number)
        };
        let mut now = Instant::from_secs(1_000);
        table.start(now, Id::ZERO, &Limits::DEFAULT, 7);
        for step in 0..2_000 {
            now = now + Duration::from_millis(700);
            let who = contact(step * 13 % 40 + 1);
            match step % 17 {
                0 => table.failed(now, &who.id),
                _ => table.responded(now, who, None),
            }
            let next = table.next_maintenance();
            table.table().schedule();
            assert_eq!(table.next_maintenance(), next, "step {step}");
            table.maintenance(now);
        }
    }

    #[test]
    fn after_a_response_the_next_deadline_is_what_a_look_at_all_contacts_finds() {
        deadlines_are_right(Chord::<u16>::EMPTY);
        deadlines_are_right(Pastry::<u16>::EMPTY);
    }
}
