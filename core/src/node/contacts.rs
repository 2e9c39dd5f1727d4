//! Contacts: which the node accepts, and how it checks that nodes are there.

use core::num::NonZeroU8;

use super::bounds::Parts;
use super::purpose::Purpose;
use super::shared::Shared;
use super::stats::count_up;
use crate::address::{Address, Prefix};
use crate::contact::Contact;
use crate::guard::admission;
use crate::id::Id;
use crate::routing::{ContactState, Origin, Routing};
use crate::rpc::Attempts;
use crate::time::{Instant, Micros};
use crate::wire::Wire;

/// At most one in this many request slots checks that requesters are there.
const INTRODUCTIONS: usize = 4;

/// The time from one report that another node has the own identifier to the next, and from one check to the next.
const OWN_ID_PAUSE: Micros = Micros::from_secs(60);

impl<P: Parts> Shared<P> {
    /// The contact that the node at `namer` names, if this node accepts it. Counts those that it doesn't. The address
    /// of a verified contact wins over any other address that is named for it.
    pub(super) fn accepted(
        &mut self,
        now: Instant,
        namer: P::Address,
        named: Contact<P::Address>,
    ) -> Option<Contact<P::Address>> {
        let own = self.table.own();
        if named.id == own {
            // Another node may have the same identifier. If it is an address of this node, the ping comes back.
            if named.address.scope() >= namer.scope() {
                self.check_own_id(now, named.address);
            }
            return None;
        }
        let verified = self.table.get(&named.id).filter(|peer| peer.state == ContactState::Verified);
        if let Some(peer) = verified {
            return Some(peer.contact);
        }
        let named = Contact { address: named.address.on_link_of(namer), ..named };
        let accepted = admission::may_name(&own, namer, &named) && self.fits(&named);
        if !accepted {
            count_up(&mut self.stats.bad_contacts);
        }
        accepted.then_some(named)
    }

    /// Whether the table knows a contact at this address. Other nodes may name it with another address, and what
    /// happens there doesn't count.
    pub(super) fn knows_at(&self, id: &Id, address: P::Address) -> bool {
        self.table.get(id).is_some_and(|peer| peer.contact.address.canonical() == address.canonical())
    }

    /// The prefix that the rate of an address is limited by. Addresses without one share a rate if this node is also in
    /// a global network, and are exempt otherwise.
    pub(super) fn limited(&self, address: P::Address) -> Option<Prefix> {
        address.prefix().or_else(|| Prefix::new(u64::MAX).filter(|_| self.is_global))
    }

    /// Pings a requester that serves, if the table would take it, and one that says that it is a client, if the table
    /// has it: this is only a hint. `left` is how many bytes can still be sent to it by the amplification limit.
    pub(super) fn introduce(&mut self, now: Instant, contact: Contact<P::Address>, serves: bool, left: usize) {
        if left < P::Wire::LENGTHS.ping + self.config.seal_len() || !self.can_check() {
            return;
        }
        let asks = if serves {
            self.table.discovered(now, contact, Origin::Requester) && self.fits(&contact)
        } else {
            self.has_responded(&contact)
        };
        if asks {
            // Sent only once: a retransmission would exceed the limit.
            self.begin_request(Purpose::Check, contact.address, Some(&contact.id), Attempts::Times(NonZeroU8::MIN));
        }
    }

    /// Whether enough request slots are free to check that a node is there.
    fn can_check(&self) -> bool {
        let slots = self.requests.capacity();
        self.requests.free() > slots - slots.div_ceil(INTRODUCTIONS)
    }

    /// A node has proved that it does not serve: the table drops it. Others may have become clients too, so this counts
    /// as a failure.
    pub(super) fn drop_client(&mut self, now: Instant, contact: &Contact<P::Address>) {
        if self.knows_at(&contact.id, contact.address) {
            self.table.failed(now, &contact.id);
            self.table.evict(now, &contact.id);
        }
    }

    /// Whether a requester is a verified contact at this address. Then it may hold the same records.
    pub(super) fn has_responded(&self, contact: &Contact<P::Address>) -> bool {
        let known = self.table.get(&contact.id);
        known.is_some_and(|peer| peer.state == ContactState::Verified && peer.contact.address == contact.address)
    }

    /// Checks that a node is there after it did not respond to a relay request: a datagram may have been lost.
    pub(super) fn check_silent(&mut self, address: P::Address, id: Id) {
        if self.requests.free() > self.requests.capacity() / 2 {
            self.begin_request(Purpose::Check, address, Some(&id), Attempts::Known);
        }
    }

    /// A requester claims this node's identifier, or another node names it with this address, which may be forged. So
    /// the address is pinged, at most once a minute: only a response from there shows that another node has it.
    pub(super) fn check_own_id(&mut self, now: Instant, address: P::Address) {
        if self.own_id_checked.is_due(now) {
            self.own_id_checked = now + OWN_ID_PAUSE;
            self.begin_request(Purpose::Check, address, None, Attempts::Times(NonZeroU8::MIN));
        }
    }

    /// A node at this address has responded with this node's identifier: reports this to the user, at most once a
    /// minute.
    pub(super) fn note_own_id(&mut self, now: Instant, address: P::Address) {
        if self.own_id_reported.is_due(now) {
            self.own_id_reported = now + OWN_ID_PAUSE;
            self.own_id_seen = [address].into();
        }
    }
}
