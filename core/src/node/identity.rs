//! Identifiers: which count, and the one that belongs to the node's own external address.
//!
//! An identifier counts if it is bound to an address prefix, in a first-class seat where there are enough of these.

use super::bounds::{Parts, TokenOf};
use super::config::Serve;
use super::purpose::Purpose;
use super::query::Transmit;
use super::shared::Shared;
use crate::address::{Address, EncodedAddress};
use crate::contact::Contact;
use crate::guard::{admission, diversity};
use crate::id::Id;
use crate::message::{ErrorCode, Request, Response};
use crate::routing::{ContactState, Routing};
use crate::rpc::Attempts;
use crate::store::Store;
use crate::time::Instant;
use crate::wire::Wire;

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

    /// Whether the node serves, or will serve when others can reach it.
    pub(super) fn may_serve(&self) -> bool {
        self.serves() || self.identity.probes
    }

    /// Asks the next contact for the external address.
    pub(super) fn survey(&mut self, now: Instant) {
        if self.probe.take().is_some() {
            self.missed_probe(now);
        }
        if let Some((address, expect)) = self.next_voter() {
            self.identity.ask(now, address.prefix());
            self.begin_request(Purpose::Survey, address, expect.as_ref(), Attempts::Known);
        } else if self.identity.all_asked() {
            self.settle(now);
        }
    }

    /// A contact that can vote: a verified one near a random identifier, so that no node near the own one decides.
    /// While none is verified, a bootstrap address.
    fn next_voter(&mut self) -> Option<(P::Address, Option<Id>)> {
        let mut target = [0; Id::LEN];
        target[..8].copy_from_slice(&self.random.next().to_le_bytes());
        let mut near = [Contact::EMPTY; CONSIDERED];
        let count = self.table.closest(&Id::from_bytes(target), &mut near);
        if count == 0 {
            let mut addresses = (0..).map_while(|index| self.bootstraps.get(index));
            return Some((addresses.find(|address| self.identity.may_vote(address.prefix()))?, None));
        }
        let voter = near.into_iter().take(count).find(|contact| self.identity.may_vote(contact.address.prefix()))?;
        Some((voter.address, Some(voter.id)))
    }

    /// A contact responded that was asked for the external address. It is also asked to have a third node probe this
    /// one, if this one doesn't know whether others can reach it.
    #[inline(never)]
    pub(super) fn surveyed(
        &mut self,
        now: Instant,
        from: P::Address,
        token: Option<TokenOf<P>>,
        response: &Response<'_, P::Address>,
        buf: &mut [u8],
    ) -> Option<Transmit<P::Address>> {
        if let Response::Pong { observed } = response
            && let Some(observed) = observed.address()
            && self.identity.observe(now, observed)
        {
            self.settle(now);
            return None;
        }
        let token = token.filter(|_| self.identity.wants_probe())?;
        let transaction = P::Wire::transaction(self.random.next());
        self.probe = Some(transaction);
        let request = Request::Probe { address: self.identity.external().encode() };
        self.outlet().request_once(from, transaction, Some(token), request, buf)
    }

    /// The node that was asked for a probe refused.
    pub(super) fn probe_refused(&mut self, now: Instant) -> Option<Transmit<P::Address>> {
        self.probe = None;
        self.identity.wait(now);
        None
    }

    /// The probe arrived. So others can reach this node, unless it has sent to this one before.
    pub(super) fn probed(&mut self, now: Instant, by: &Id) {
        self.probe = None;
        self.identity.wait(now);
        if self.table.get(by).is_none() {
            self.identity.reached();
            self.config.serve = Serve::Automatic;
        }
    }

    /// The probe that was asked for didn't arrive, and no node refused it. If this shows that others can't reach this
    /// node, it becomes a client. Others learn this from its requests.
    fn missed_probe(&mut self, now: Instant) {
        if self.identity.missed_probe() && self.serves() {
            self.config.serve = Serve::Never;
            self.table.rekey(now, self.table.own());
        }
    }

    /// Helps the node at `address` to find out whether others can reach it: forwards its request to a third node, or
    /// probes it for the node that has forwarded it. Only what the node itself sent with a token is forwarded.
    pub(super) fn forward_probe(
        &mut self,
        now: Instant,
        from: P::Address,
        token_holds: bool,
        address: &EncodedAddress,
    ) -> Result<(P::Address, Request<'static>), ErrorCode> {
        let probed = P::Address::decode(address.family, address.as_bytes());
        let Some((probed, prefix)) = probed.and_then(|address| Some((address, address.prefix()?))) else {
            return Err(ErrorCode::Invalid);
        };
        let asks = probed == from;
        if asks && !token_holds {
            return Err(ErrorCode::Token);
        }
        if !self.probes.allows(now, prefix) {
            return Err(ErrorCode::Busy);
        }
        if !asks {
            return Ok((probed, Request::Ping));
        }
        match self.next_voter() {
            Some((third, _)) if third.prefix() != Some(prefix) => Ok((third, Request::Probe { address: *address })),
            _ => Err(ErrorCode::Busy),
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
