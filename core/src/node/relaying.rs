//! Recursive lookups: keeps relay requests, forwards them, and sends results back. The requests under way, and the
//! choice of the next hop, are in [`forwarding`](crate::forwarding).

use super::bounds::{Parts, TokenOf};
use super::operation::Recursion;
use super::purpose::Purpose;
use super::query::Transmit;
use super::records::held_in;
use super::sending::{Outlet, Recipient, token_bound_to};
use super::shared::{Op, Shared};
use super::stats::count_up;
use crate::address::Address;
use crate::contact::Contact;
use crate::forwarding::{
    ATTEMPTS, GET_TIME, HopState, MOST_HOPS, MOST_TIME, Previous, PreviousHop, RelayRequest, RelayedRequest, next_hop,
};
use crate::id::Id;
use crate::message::{Contacts, ErrorCode, RelayId, Request, Response, Target};
use crate::naming::{MAX_NAMED, SentOn, may_be_named, nearest_by_rank};
use crate::record::Record;
use crate::routing::Routing;
use crate::rpc::Attempts;
use crate::time::{Instant, Micros};
use crate::wire::{TokenSource, Wire};

/// The result of a relay request, as a next hop sent it.
pub(super) struct RelayResult<'a, A: Address> {
    pub(super) from: Contact<A>,
    pub(super) hops: u8,
    pub(super) found: Option<(Record<'a>, u32)>,
    pub(super) contacts: Contacts<'a, A>,
}

impl<P: Parts> Shared<P> {
    /// Keeps a relay request of another node, and forwards it. False if it ends at this node.
    pub(super) fn take_relay(
        &mut self,
        now: Instant,
        hop: &PreviousHop<P::Address, P::Wire>,
        proved: bool,
        relay: &RelayRequest,
    ) -> Result<bool, ErrorCode> {
        if !P::FORWARDS {
            return Err(ErrorCode::Unsupported);
        }
        if !proved {
            return Err(ErrorCode::Token);
        }
        if let Some(known) = self.forwarding.find(relay.relay_id) {
            if let Previous::Hop(previous) = &mut known.previous
                && previous.contact == hop.contact
            {
                *previous = *hop;
                return Ok(true);
            }
            count_up(&mut self.stats.busy);
            return Err(ErrorCode::Busy);
        }
        let holds = matches!(relay.target, Target::Value(key) if self.held(now, &key).is_some());
        let next = || next_hop(&self.table, relay.target.id(), &[], Some(&hop.contact.id), self.config.serve.serves());
        if holds || relay.hops == 0 || next().is_none() {
            return Ok(false);
        }
        let (hops, deadline) = (relay.hops.min(MOST_HOPS), relay.deadline.min(now + MOST_TIME));
        let room = self.requests.free() > self.requests.capacity() / 2;
        if room && self.keep_and_forward(now, &RelayRequest { hops, deadline, ..*relay }, Previous::Hop(*hop)) {
            count_up(&mut self.stats.forwarded);
            return Ok(true);
        }
        count_up(&mut self.stats.busy);
        Err(ErrorCode::Busy)
    }

    /// Begins the relay request of an operation, if it wants one and has not begun it yet.
    pub(super) fn begin_recursion(&mut self, now: Instant, operation: &mut Op<P>) {
        if operation.recursion != Recursion::Wanted {
            return;
        }
        let (target, most) = if operation.finds_record() {
            (Target::Value(operation.key), GET_TIME)
        } else {
            (Target::Nodes(operation.lookup.target()), MOST_TIME)
        };
        // The rest of the time is left for an iterative lookup.
        let deadline = now + most.min(operation.deadline.micros_since(now).divided(3));
        let relay_id = RelayId(self.random.next().to_be_bytes());
        let relay = RelayRequest { relay_id, target, hops: MOST_HOPS, deadline };
        let previous = Previous::Operation { slot: operation.slot };
        operation.recursion = if !P::FORWARDS {
            Recursion::FellBack
        } else if next_hop(&self.table, target.id(), &[], None, self.config.serve.serves()).is_none() {
            if self.has_verified_contact() { Recursion::Over } else { Recursion::FellBack }
        } else if self.keep_and_forward(now, &relay, previous) {
            Recursion::Forwarded
        } else {
            Recursion::FellBack
        };
    }

    /// The request that forwards the one in this place. The next hop gets the time that is left, less a round trip.
    pub(super) fn relay_request(&self, now: Instant, index: u8) -> Option<Request<'static>> {
        let relay = self.forwarding.get(index)?;
        let time = self.time_left(now, relay, &relay.next_hops.last()?.id)?;
        let (relay_id, target) = (relay.relay_id(), relay.target());
        Some(Request::Relay { relay_id, target, hops: relay.hops.checked_sub(1)?, time })
    }

    /// A next hop did not respond, or refused: forwards the request to another. If none is left and the request is an
    /// operation's, returns the operation's slot.
    #[must_use]
    pub(super) fn relay_failed(&mut self, now: Instant, index: u8, id: &Id, state: HopState) -> Option<u8> {
        if let Some(relay) = self.forwarding.get_mut(index) {
            relay.set_state(id, state);
        }
        self.relay_slow(now, index)
    }

    /// A next hop has not responded yet: forwards the request to another. If none is left and no response is awaited,
    /// the request ends; if it is an operation's, returns the operation's slot.
    #[must_use]
    pub(super) fn relay_slow(&mut self, now: Instant, index: u8) -> Option<u8> {
        if self.forward(now, index) {
            return None;
        }
        let relay = self.forwarding.get_mut(index).filter(|relay| !relay.any(HopState::Waiting))?;
        match relay.previous {
            Previous::Hop(_) => {
                relay.end();
                None
            }
            Previous::Operation { slot } => {
                self.forwarding.free(index);
                self.requests_freed = true;
                Some(slot)
            }
        }
    }

    /// Asks a next hop again with the token that came with its response. False if all request slots are taken.
    pub(super) fn forward_again(&mut self, index: u8, to: &Contact<P::Address>) -> bool {
        self.begin_request(Purpose::Relay { relay: index }, to.address, Some(&to.id), Attempts::Times(ATTEMPTS))
    }

    /// Responds to the next relay request for which no next hop is left.
    pub(super) fn respond_to_ending(&mut self, now: Instant, buf: &mut [u8]) -> Option<Transmit<P::Address>> {
        while let Some(index) = self.forwarding.ending() {
            if buf.len() < P::Wire::MIN_DATAGRAM {
                count_up(&mut self.stats.small_buffers);
                return None;
            }
            let relay = self.forwarding.get(index)?;
            let (previous, target, silent) = (relay.previous, *relay.target().id(), relay.silent());
            let busy = relay.any(HopState::Busy) || relay.has_untried_hops(&self.table, self.config.serve.serves());
            self.forwarding.free(index);
            let Previous::Hop(hop) = previous else {
                continue;
            };
            let sent = if busy {
                self.respond_to_hop(now, &hop, Response::Error { code: ErrorCode::Busy, detail: 0 }, buf)
            } else {
                self.respond_as_last_hop(now, &hop, &Target::Nodes(target), &silent, buf)
            };
            if sent.is_some() {
                return sent;
            }
        }
        None
    }

    /// Sends the result of a request that ends at this node: the record, if it is asked for and held, and the k closest
    /// nodes without those that were silent.
    pub(super) fn respond_as_last_hop(
        &mut self,
        now: Instant,
        hop: &PreviousHop<P::Address, P::Wire>,
        target: &Target,
        silent: &[Id],
        buf: &mut [u8],
    ) -> Option<Transmit<P::Address>> {
        let mut room = const { [Contact::EMPTY; MAX_NAMED] };
        let named = nearest_by_rank(&self.table, target.id(), &hop.contact, silent, self.k(), &mut room);
        let (to, token) = (self.recipient(hop, buf), self.token_for(now, &hop.contact));
        let held = match target {
            Target::Value(key) => held_in(&self.store, now, key),
            Target::Nodes(_) => None,
        };
        let found = held.map(|held| (held.record(now), held.metadata.expires.micros_since(now).secs()));
        let outlet = Outlet {
            stats: &mut self.stats,
            config: &self.config,
            table: &self.table,
            #[cfg(feature = "sealed")]
            next_seal: &mut self.next_seal,
        };
        let mut response = relayed::<P>(&to, 0, found, |room| to.fitting(named, room));
        // If the record doesn't fit, the requester must ask this node for it. The previous hop names this node. No
        // other is named, which the requester would ask before.
        if let Response::Relayed { found: None, contacts, .. } = &mut response
            && found.is_some()
        {
            *contacts = Contacts::EMPTY;
        }
        outlet.respond(&to, token, response, buf)
    }

    /// Sends a result on to the previous hop, with the next hop that it came from among its contacts.
    // Its stack frame is large.
    #[inline(never)]
    pub(super) fn send_result_on(
        &mut self,
        now: Instant,
        hop: &PreviousHop<P::Address, P::Wire>,
        target: &Id,
        result: &RelayResult<'_, P::Address>,
        buf: &mut [u8],
    ) -> Option<Transmit<P::Address>> {
        let from = result.from;
        let scope = hop.contact.address.scope();
        let next = Some(from).filter(|next| may_be_named(next, scope));
        let mut named = SentOn::EMPTY;
        named.take::<_, P::Geometry>(target, result.contacts, next, self.k(), |id, known| {
            // The address that the next hop's response came from counts, not one that is claimed for it.
            *id != hop.contact.id
                && *id != from.id
                && known.is_none_or(|contact| {
                    may_be_named(&contact, scope) && self.accepted(now, from.address, contact).is_some()
                })
        });
        let to = self.recipient(hop, buf);
        let contacts = |room| named.fitting(room, P::Wire::contact_len);
        let response = relayed::<P>(&to, result.hops, result.found, contacts);
        self.respond_to_hop(now, hop, response, buf)
    }

    fn respond_to_hop(
        &mut self,
        now: Instant,
        hop: &PreviousHop<P::Address, P::Wire>,
        response: Response<'_, P::Address>,
        buf: &mut [u8],
    ) -> Option<Transmit<P::Address>> {
        let (to, token) = (self.recipient(hop, buf), self.token_for(now, &hop.contact));
        self.outlet().respond(&to, token, response, buf)
    }

    fn recipient(&self, hop: &PreviousHop<P::Address, P::Wire>, buf: &[u8]) -> Recipient<P> {
        let most = self.config.largest_message_in(buf).min(usize::from(hop.largest));
        Recipient { contact: hop.contact, transaction: hop.transaction, most }
    }

    fn token_for(&self, now: Instant, contact: &Contact<P::Address>) -> TokenOf<P> {
        if P::Wire::RULES.tokens != TokenSource::EveryResponse {
            return P::Wire::NO_TOKEN;
        }
        let (address, id) = token_bound_to::<P>(contact);
        P::Wire::token(self.tokens.make(now, &address, &id))
    }

    /// Keeps a relay request and forwards it. False if no place is free for it, or no next hop can be asked.
    fn keep_and_forward(
        &mut self,
        now: Instant,
        relay: &RelayRequest,
        previous: Previous<P::Address, P::Wire>,
    ) -> bool {
        let Some(index) = self.forwarding.keep(relay, previous) else {
            return false;
        };
        let forwarded = self.forward(now, index);
        if !forwarded {
            self.forwarding.free(index);
        }
        forwarded
    }

    /// Forwards a request to the best next hop that is left. False if there is none, or no time is left.
    fn forward(&mut self, now: Instant, index: u8) -> bool {
        let Some(relay) = self.forwarding.get(index) else {
            return false;
        };
        let next = relay.next_hop(&self.table, self.config.serve.serves());
        let Some(next) = next.filter(|next| self.time_left(now, relay, &next.id).is_some()) else {
            return false;
        };
        let purpose = Purpose::Relay { relay: index };
        self.begin_request(purpose, next.address, Some(&next.id), Attempts::Times(ATTEMPTS))
            && self.forwarding.get_mut(index).is_some_and(|relay| relay.forwarded_to(next.id))
    }

    /// How many milliseconds a next hop can take. `None` if there is no point in asking it.
    fn time_left(&self, now: Instant, relay: &RelayedRequest<P::Address, P::Wire>, next: &Id) -> Option<u16> {
        let round_trip = self.table.get(next).and_then(|peer| peer.rtt).unwrap_or(self.config.timeout_min);
        relay.time_left(now, Micros::of(round_trip))
    }
}

/// A `relayed` response that fits the recipient: without the record if this doesn't fit, and with the
/// contacts that fit into the rest.
fn relayed<'a, P: Parts>(
    to: &Recipient<P>,
    hops: u8,
    found: Option<(Record<'a>, u32)>,
    contacts: impl FnOnce(usize) -> Contacts<'a, P::Address>,
) -> Response<'a, P::Address> {
    let room = to.most.saturating_sub(P::Wire::LENGTHS.relayed);
    let len = |(record, _): &(Record<'_>, u32)| P::Wire::LENGTHS.found + P::Wire::record_len(record);
    let found = found.filter(|found| len(found) <= room);
    let room = room - found.as_ref().map_or(0, len);
    Response::Relayed { hops, found, contacts: contacts(room) }
}
