//! Identifiers: which count, and the one that belongs to the node's own external address.
//!
//! An identifier counts if it is bound to an address prefix, in a first-class seat where there are enough of these.

use super::bounds::Parts;
use super::purpose::Purpose;
use super::shared::Shared;
use crate::address::{Address, Prefix};
use crate::contact::Contact;
use crate::guard::{admission, diversity};
use crate::id::Id;
use crate::message::Response;
use crate::routing::{ContactState, Routing};
use crate::rpc::Attempts;
use crate::store::Store;
use crate::time::Instant;

impl<P: Parts> Shared<P> {
    /// Whether a contact counts here: its identifier fits its address.
    pub(super) fn fits(&self, contact: &Contact<P::Address>) -> bool {
        !self.config.bind_ids || admission::fits(contact, !self.identity.is_crowded)
    }

    /// The table may have changed: finds out whether second-class seats count, at most once a second. When they no
    /// longer do, the contacts in such seats lose their places.
    pub(super) fn note_diversity(&mut self, now: Instant) {
        let counted = now.stamp().wrapping_add(1);
        if !self.config.bind_ids || self.identity.counted == counted {
            return;
        }
        self.identity.counted = counted;
        let crowded = !diversity::is_diverse(self.table.peers(), self.k());
        if crowded == self.identity.is_crowded {
            return;
        }
        self.set_crowded(crowded);
        let is_excess = |contact: &Contact<P::Address>| {
            !crowded && !contact.id.is_first_class() && contact.address.prefix().is_some()
        };
        loop {
            let excess = self.table.peers().map(|peer| peer.contact).find(is_excess);
            let Some(excess) = excess else { return };
            self.table.evict(now, &excess.id);
        }
    }

    /// Whether the node must know its external address.
    pub(super) fn surveys(&self) -> bool {
        self.config.serve && self.config.bind_ids
    }

    /// Takes the next step to find out the external address.
    pub(super) fn survey(&mut self, now: Instant) {
        match self.identity.step(now).and_then(|number| self.next_voter(number)) {
            Some((address, expect)) => {
                _ = self.begin_request(Purpose::Survey, address, expect.as_ref(), Attempts::Known)
            }
            None if self.identity.end_round(now) => self.settle(now),
            None => {}
        }
    }

    /// A contact responded that was asked for the external address.
    pub(super) fn surveyed(&mut self, now: Instant, from: &Contact<P::Address>, response: &Response<'_, P::Address>) {
        if let Response::Pong { observed } = response
            && let Some((voter, observed)) = from.address.prefix().zip(observed.address())
        {
            self.identity.observe(now, voter, observed);
        }
    }

    /// A contact to ask, of a prefix that has not voted: a random one, so that no node near the own one decides. While
    /// no contact is verified, a bootstrap address.
    fn next_voter(&mut self, number: u8) -> Option<(P::Address, Option<Id>)> {
        let random = self.random.next().to_le_bytes()[0];
        if self.has_verified_contact() {
            let verified = self.table.peers().filter(|peer| peer.state == ContactState::Verified);
            let may_vote = |contact: &Contact<P::Address>| {
                contact.address.prefix().is_some_and(|prefix| !self.identity.has_voted(prefix))
            };
            let voters = verified.map(|peer| peer.contact).filter(may_vote);
            let voter = voters.min_by_key(|contact| contact.id.as_bytes()[0] ^ random);
            return voter.map(|contact| (contact.address, Some(contact.id)));
        }
        self.identity.cut_off();
        let address = self.bootstraps.get(number.into()).filter(|address| address.prefix().is_some());
        address.map(|address| (address, None))
    }

    /// The external address is known, or changed: takes an identifier that is bound to it.
    fn settle(&mut self, now: Instant) {
        let address = self.identity.external();
        if let Some(prefix) = address.prefix()
            && self.config.bind_ids
            && !self.table.own().is_bound(&address)
        {
            self.identity.take_seat(now, false);
            let own = self.table.own();
            let first = if own.is_first_class() { own.seat() } else { 0 };
            self.take_free_seat(now, prefix, first);
        }
    }

    /// The node at this address responded with the own identifier, so it has the same seat. This node takes another one
    /// if it is new in its own: 0 or 1 by chance, because the other node may do the same; after some tries any.
    pub(super) fn leave_seat(&mut self, now: Instant, other: P::Address) {
        if let Some(prefix) = other.prefix().filter(|_| self.config.bind_ids && self.identity.leaves_seat(now, other)) {
            self.identity.take_seat(now, true);
            let random = (self.random.next() >> 48) as u16;
            self.take_free_seat(now, prefix, random & 1);
        }
    }

    /// Takes a seat in which no node is known: `first` or the other first-class one, else a random one.
    fn take_free_seat(&mut self, now: Instant, prefix: Prefix, first: u16) {
        let taken = |seat| self.table.get(&Id::bound(prefix, seat)).is_some();
        let mut seat = if taken(first) { first ^ 1 } else { first };
        if self.identity.gives_up_first_class() || taken(seat) {
            seat = (self.random.next() >> 48) as u16 | 2;
        }
        self.take_id(now, Id::bound(prefix, seat));
    }

    /// Continues as the node `own`: with the same contacts and records. The nodes near the new identifier are found,
    /// and own records are published again.
    fn take_id(&mut self, now: Instant, own: Id) {
        self.table.rekey(now, own);
        self.store.rekey(own);
        self.bootstraps.try_now(now);
        self.publish_all_again(now);
    }

    /// Publishes all own records again: other nodes are responsible for them than was known.
    pub(super) fn publish_all_again(&mut self, now: Instant) {
        for slot in 0..self.store.len() {
            if let Some(metadata) = self.store.metadata_mut(slot).filter(|metadata| metadata.pinned) {
                metadata.last_replicated = Instant::ZERO;
            }
        }
        self.replication.publish_by(now);
    }
}
