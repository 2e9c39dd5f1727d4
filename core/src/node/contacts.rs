//! Which contacts the node takes up, and what it learns of their addresses.

use core::num::NonZeroU8;

use super::parts::Parts;
use super::purpose::Purpose;
use super::shared::Shared;
use super::stats::count_up;
use crate::address::Address;
use crate::contact::Contact;
use crate::guard::admission;
use crate::id::Id;
use crate::routing::{Origin, Routing};
use crate::time::Instant;
use crate::wire::Wire;

/// Of the request slots, at most one in this many may be checking that requesters are there.
const INTRODUCTIONS: usize = 4;

impl<P: Parts> Shared<P> {
    /// Whether a contact that the node at `namer` names is taken up. Counts those that are not.
    pub(super) fn accepts(&mut self, namer: P::Address, named: &Contact<P::Address>) -> bool {
        let own = self.table.own();
        if named.id == own {
            return false;
        }
        let accepted = admission::may_name(&own, namer, named) && self.fits(named);
        if !accepted {
            count_up(&mut self.stats.bad_contacts);
        }
        accepted
    }

    /// Whether an identifier may stand at an address.
    pub(super) fn fits(&self, contact: &Contact<P::Address>) -> bool {
        admission::fits(self.config.bind_ids, contact)
    }

    /// Whether the table knows a contact at this address. What happens at another address, by which others named it,
    /// tells nothing of it.
    pub(super) fn knows_at(&self, id: &Id, address: P::Address) -> bool {
        self.table.get(id).is_some_and(|peer| peer.contact.address.canonical() == address.canonical())
    }

    /// Pings a requester that serves, if the table would take it: only once it has proved its address, or within the
    /// `left` bytes that the response to it left of the amplification limit.
    pub(super) fn introduce(&mut self, now: Instant, contact: Contact<P::Address>, left: usize) {
        if left < P::Wire::LENGTHS.ping || !self.fits(&contact) {
            return;
        }
        let slots = self.requests.capacity();
        if self.requests.free() <= slots - slots.div_ceil(INTRODUCTIONS) {
            return;
        }
        if self.table.discovered(now, contact, Origin::Requester) {
            // Never retransmitted: that would exceed the limit.
            self.begin_request(Purpose::Introduction, contact.address, Some(contact.id), Some(NonZeroU8::MIN));
        }
    }

    /// Checks that a node is there to which a request could not be forwarded: one datagram may have been lost.
    pub(super) fn check_silent(&mut self, address: P::Address, id: Id) {
        if self.requests.free() > self.requests.capacity() / 2 {
            self.begin_request(Purpose::Introduction, address, Some(id), None);
        }
    }

    /// Another node uses this node's identifier: the user is told once.
    pub(super) fn note_own_id(&mut self, address: P::Address) {
        if self.own_id_seen.first() != Some(&address) {
            self.own_id_seen = [address].into();
            self.own_id_news = true;
        }
    }
}
