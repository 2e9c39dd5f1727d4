//! Identifiers: which count, and the one that belongs to the node's own external address.
//!
//! An identifier counts if it is bound to an address prefix, in a first-class seat where there are enough of these.

use super::bounds::Parts;
use super::purpose::Purpose;
use super::shared::Shared;
use crate::address::Address;
use crate::contact::Contact;
use crate::guard::{admission, diversity};
use crate::id::Id;
use crate::message::Response;
use crate::routing::{ContactState, Routing};
use crate::rpc::Attempts;
use crate::store::Store;
use crate::time::Instant;

/// How many contacts near a random identifier are considered to find one of another address prefix.
const CONSIDERED: usize = 8;

impl<P: Parts> Shared<P> {
    /// Whether a contact counts here: its identifier fits its address.
    pub(super) fn fits(&self, contact: &Contact<P::Address>) -> bool {
        !self.config.bind_ids || admission::fits(contact, !self.identity.is_crowded)
    }

    /// The table may have changed: finds out whether second-class seats count, at most once a second. When they no
    /// longer do, the contacts in such seats lose their places. Inlined, it takes a hundred
    /// bytes of flash more on a microcontroller.
    #[inline(never)]
    pub(super) fn note_diversity(&mut self, now: Instant) {
        let counted = now.stamp().wrapping_add(1);
        if self.identity.counted == counted {
            return;
        }
        self.identity.counted = counted;
        let verified = self.table.peers().filter(|peer| peer.state == ContactState::Verified);
        let with_prefix = verified.filter_map(|peer| Some((peer.contact.id, peer.contact.address.prefix()?)));
        let counted =
            with_prefix.map(|(id, prefix)| Some(prefix).filter(|_| !self.config.bind_ids || id.is_first_class()));
        self.identity.is_crowded = !diversity::is_diverse(counted, self.k());
        while self.config.bind_ids && !self.identity.is_crowded {
            let excess = self.table.peers().map(|peer| peer.contact).find(is_second_class);
            let Some(excess) = excess else { return };
            self.table.evict(now, &excess.id);
        }
    }

    /// Whether the node must know its external address.
    pub(super) fn surveys(&self) -> bool {
        self.config.serve && self.config.bind_ids
    }

    /// Asks the next contact for the external address.
    pub(super) fn survey(&mut self, now: Instant) {
        if let Some((address, expect)) = self.next_voter() {
            self.identity.ask(now, address.prefix());
            self.begin_request(Purpose::Survey, address, expect, Attempts::Known);
        } else if self.identity.all_asked() {
            self.settle(now);
        }
    }

    /// A contact that can vote: a verified one near a random identifier, so that no node near the own one decides.
    /// While there is none, a bootstrap address.
    fn next_voter(&mut self) -> Option<(P::Address, Option<Id>)> {
        let mut target = [0; Id::LEN];
        target[..8].copy_from_slice(&self.random.next().to_le_bytes());
        let mut near = [Contact::EMPTY; CONSIDERED];
        let count = self.table.closest(&Id::from_bytes(target), &mut near);
        if count == 0 {
            let addresses = (0..).map_while(|index| self.bootstraps.get(index));
            return addresses
                .filter(|address| self.identity.may_vote(address.prefix()))
                .map(|address| (address, None))
                .next();
        }
        let voter = near.into_iter().take(count).find(|contact| self.identity.may_vote(contact.address.prefix()));
        voter.map(|contact| (contact.address, Some(contact.id)))
    }

    /// A contact responded that was asked for the external address.
    pub(super) fn surveyed(&mut self, now: Instant, response: &Response<'_, P::Address>) {
        if let Response::Pong { observed } = response
            && let Some(observed) = observed.address()
            && self.identity.observe(now, observed)
        {
            self.settle(now);
        }
    }

    /// The external address is known, or changed: takes an identifier that is bound to it.
    fn settle(&mut self, now: Instant) {
        let external = self.identity.external();
        if self.config.bind_ids && !self.table.own().is_bound(&external) {
            self.take_seat(now, external);
        }
    }

    /// The node at this address responded with the own identifier, so it has the same seat. This node takes another one
    /// if it is new in its own.
    pub(super) fn leave_seat(&mut self, now: Instant, other: P::Address) {
        if self.config.bind_ids && self.identity.leaves_seat(now, other) {
            self.take_seat(now, other);
        }
    }

    /// Takes a seat of this address's prefix in which no node is known, and continues as the node with that identifier:
    /// with the same contacts and records. The nodes near it are found, and own records are published again.
    fn take_seat(&mut self, now: Instant, address: P::Address) {
        let Some(prefix) = address.prefix() else { return };
        let own = loop {
            let random = (self.random.next() >> 48) as u16;
            let id = Id::bound(prefix, self.identity.try_seat(now, random));
            if self.table.get(&id).is_none() {
                break id;
            }
        };
        self.table.rekey(now, own);
        self.store.rekey(own);
        self.bootstraps.try_now(now);
        for slot in 0..self.store.len() {
            if let Some(metadata) = self.store.metadata_mut(slot).filter(|metadata| metadata.pinned) {
                metadata.last_replicated = Instant::ZERO;
            }
        }
        self.replication.publish_by(now);
    }
}

fn is_second_class<A: Address>(contact: &Contact<A>) -> bool {
    !contact.id.is_first_class() && contact.address.prefix().is_some()
}
