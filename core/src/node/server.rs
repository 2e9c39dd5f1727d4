//! Requests of other nodes. The response is sent at once. Nothing of the request is kept, except for a record that is
//! stored, or a relay request that is forwarded.

use core::cmp::Ordering;

use super::bounds::{Parts, TokenOf};
use super::query::Transmit;
use super::reachability::ProbeRequest;
use super::records::held_in;
use super::sending::{Outlet, Recipient, token_bound_to};
use super::shared::Shared;
use super::stats::count_up;
use crate::address::Address;
use crate::contact::Contact;
use crate::forwarding::{PreviousHop, RelayRequest};
use crate::guard::{amplification, quota};
use crate::id::Id;
use crate::message::{Contacts, ErrorCode, Features, Observed, Request, Response};
use crate::naming::{MAX_NAMED, Named, family_first, nearest};
use crate::record::{Key, Kind, MAX_VALUE, Record, Version};
use crate::routing::Routing;
use crate::store::{Metadata, Put, StoreError, StoredRecord};
use crate::time::{Instant, Micros};
use crate::wire::{AddressProof, Header, Wire};

/// A request that arrived.
pub(super) struct Incoming<'a, P: Parts> {
    pub(super) now: Instant,
    pub(super) from: P::Address,
    pub(super) header: &'a Header<P::Wire>,
    /// The largest response that the requester takes, in bytes.
    pub(super) largest: u16,
    pub(super) token: Option<TokenOf<P>>,
    /// The datagram's length in bytes.
    pub(super) len: usize,
}

/// A request that is served.
struct Served<P: Parts> {
    now: Instant,
    to: Recipient<P>,
    /// Whether the requester has proved its address.
    proved: bool,
    /// Whether its token is valid, as that of a store must be.
    token_holds: bool,
    /// A fresh token for the requester, if the response carries one.
    token: TokenOf<P>,
}

/// The content of a store request.
struct Offer<'a> {
    record: &'a Record<'a>,
    lifetime: u32,
    compare: Option<u64>,
    handover: bool,
}

impl<P: Parts> Incoming<'_, P> {
    const fn contact(&self) -> Contact<P::Address> {
        Contact { id: self.header.sender, address: self.from }
    }
}

impl<P: Parts> Shared<P> {
    /// Handles a request, and writes the response to `buf`.
    pub(super) fn serve(
        &mut self,
        incoming: &Incoming<'_, P>,
        request: &Request<'_>,
        buf: &mut [u8],
    ) -> Option<Transmit<P::Address>> {
        if matches!(request, Request::Ping) {
            self.note_ping(incoming.now, incoming.header);
        }
        // Others can find out that this node has become a client.
        let tells = self.reachability.automatic && matches!(request, Request::Ping);
        if !self.config.serve.serves() && !tells {
            count_up(&mut self.stats.not_serving);
            return None;
        }
        let now = incoming.now;
        let own_id = incoming.header.sender == self.table.own();
        if own_id && self.requests.came_back(incoming.header.transaction) {
            // An own request: it was sent to an address that leads here.
            return None;
        }
        let (token_holds, fresh) = self.renew_token(incoming);
        let proved = token_holds || self.is_proved_by_contact(incoming);
        let limited = self.limited(incoming.from);
        let within = self.limiter.allows(now, limited, proved);
        if !within {
            count_up(&mut self.stats.rate_limited);
            if proved || !P::Wire::RULES.asks_for_token(request) {
                return None;
            }
        }
        let token = if P::Wire::RULES.tokens.gives(request) { fresh } else { P::Wire::NO_TOKEN };
        let allowance = amplification::most_bytes_to(incoming.len, proved);
        let room = self.config.largest_message_in(buf).min(usize::from(incoming.largest));
        if room < P::Wire::LENGTHS.error {
            count_up(&mut self.stats.small_buffers);
            return None;
        }
        let (contact, transaction) = (incoming.contact(), incoming.header.transaction);
        let seal = self.config.seal_len();
        let most = room.min(allowance.saturating_sub(self.kept_for_ping(incoming, proved) + seal));
        let served = Served { now, to: Recipient { contact, transaction, most }, proved, token_holds, token };
        let sent = match request {
            _ if !within || own_id => self.reply(&served, Response::Error { code: ErrorCode::Token, detail: 0 }, buf),
            Request::Ping => self.reply(&served, Response::Pong { observed: Observed::new(incoming.from) }, buf),
            Request::FindNode { target } => self.respond_nodes(&served, target, buf),
            Request::FindValue { key, have } => self.respond_value(&served, key, *have, buf),
            Request::Store { record, lifetime, compare, handover } => {
                let offer = Offer { record, lifetime: *lifetime, compare: *compare, handover: *handover };
                let response = match self.take_record(&served, &offer) {
                    Ok(lifetime) => Response::Stored { lifetime },
                    Err((code, detail)) => {
                        count_up(&mut self.stats.refused_stores);
                        Response::Error { code, detail }
                    }
                };
                self.reply(&served, response, buf)
            }
            Request::Relay { relay_id, target, hops, time } => {
                let deadline = now + Micros::from_millis(u64::from(*time));
                let relay = RelayRequest { relay_id: *relay_id, target: *target, hops: *hops, deadline };
                self.respond_relay(&served, incoming.largest, &relay, buf)
            }
            Request::Probe { nonce, address } => {
                let probe = ProbeRequest { address, nonce: *nonce, len: incoming.len };
                let taken = match token_holds {
                    true => self.take_probe(now, incoming.from, &probe),
                    false => Err(ErrorCode::Token),
                };
                let response = taken.map_or_else(|code| Response::Error { code, detail: 0 }, |()| Response::Accepted);
                self.reply(&served, response, buf)
            }
            Request::Unknown { .. } => {
                self.reply(&served, Response::Error { code: ErrorCode::Unsupported, detail: 0 }, buf)
            }
        }?;
        count_up(&mut self.stats.responses_sent);
        if own_id {
            self.check_own_id(now, incoming.from);
        } else if within {
            let serves = incoming.header.features.contains(Features::SERVES);
            if token_holds && !serves {
                self.drop_client(now, &contact);
            }
            self.introduce(now, contact, serves, allowance - sent.len);
        }
        Some(sent)
    }

    /// Whether the token of the requester is valid, and a fresh token for it.
    fn renew_token(&mut self, incoming: &Incoming<'_, P>) -> (bool, TokenOf<P>) {
        let (now, (address, id)) = (incoming.now, token_bound_to::<P>(&incoming.contact()));
        let shown = incoming.token.as_ref().and_then(P::Wire::mac);
        let (holds, mac) = self.tokens.renew(now, &address, &id, shown);
        if incoming.token.is_some() && !holds {
            count_up(&mut self.stats.bad_tokens);
        }
        (holds, P::Wire::token(mac))
    }

    /// Whether the requester proves its address without a token, by the rule of the wire format.
    fn is_proved_by_contact(&self, incoming: &Incoming<'_, P>) -> bool {
        P::Wire::RULES.address_proof == AddressProof::TokenOrContact && self.has_responded(&incoming.contact())
    }

    /// How many of the bytes that may be sent to a requester are kept free for the ping that checks it. 0 if requests
    /// are padded: then the requester has made room.
    fn kept_for_ping(&self, incoming: &Incoming<'_, P>, proved: bool) -> usize {
        let pinged = !P::Wire::RULES.padding
            && !proved
            && incoming.header.features.contains(Features::SERVES)
            && !self.has_responded(&incoming.contact());
        if pinged { P::Wire::LENGTHS.ping + self.config.seal_len() } else { 0 }
    }

    fn reply(
        &mut self,
        served: &Served<P>,
        response: Response<'_, P::Address>,
        buf: &mut [u8],
    ) -> Option<Transmit<P::Address>> {
        self.outlet().respond(&served.to, served.token, response, buf)
    }

    fn respond_nodes(&mut self, served: &Served<P>, target: &Id, buf: &mut [u8]) -> Option<Transmit<P::Address>> {
        let mut room = const { [Contact::EMPTY; MAX_NAMED] };
        let named = self.nearest(served, target, &mut room);
        let contacts = fitting(served, named, P::Wire::LENGTHS.nodes);
        self.reply(served, Response::Nodes { contacts }, buf)
    }

    // Its stack frame is large. Inlined, it would make the caller's accesses to its own frame longer.
    #[inline(never)]
    fn respond_value(
        &mut self,
        served: &Served<P>,
        key: &Key,
        have: Option<Version>,
        buf: &mut [u8],
    ) -> Option<Transmit<P::Address>> {
        let now = served.now;
        let Some(held) = held_in(&self.store, now, key) else {
            return self.respond_nodes(served, &key.id, buf);
        };
        let (version, lifetime) = (held.version(now), held.metadata.expires.micros_since(now).secs());
        // What the requester has is the version held there, and the own one is offered to it.
        let compared = have.map(|have| key.kind.contest(have, version).offered);
        let size = P::Wire::LENGTHS.value + P::Wire::record_len(&held.stored);
        let wanted = compared.is_none_or(Ordering::is_gt);
        let sends_value = wanted && size <= served.to.most;
        let beside = match P::Wire::RULES.held {
            _ if sends_value => size,
            true => P::Wire::LENGTHS.held,
            false => P::Wire::LENGTHS.nodes,
        };
        let mut room = const { [Contact::EMPTY; MAX_NAMED] };
        let contacts = fitting(served, self.nearest(served, &key.id, &mut room), beside);
        let response = if sends_value {
            Response::Value { record: held.record(now), lifetime, contacts }
        } else if P::Wire::RULES.held {
            Response::Held { version, size: u16::try_from(size).unwrap_or(u16::MAX), contacts }
        } else if wanted && !served.proved && P::Wire::RULES.address_proof == AddressProof::Token {
            Response::Error { code: ErrorCode::Token, detail: 0 }
        } else {
            Response::Nodes { contacts }
        };
        let outlet = Outlet {
            stats: &mut self.stats,
            config: &self.config,
            table: &self.table,
            #[cfg(feature = "sealed")]
            next_seal: &mut self.next_seal,
        };
        let sent = outlet.respond(&served.to, served.token, response, buf);
        // A co-holder that has the same version claims that it has replicated it. This is never believed by the most
        // responsible holder.
        if compared == Some(Ordering::Equal)
            && served.token_holds
            && self.has_responded(&served.to.contact)
            && self.table.rank_of_own(&key.id, 1) > 0
        {
            self.note_claim(now, key);
        }
        sent
    }

    fn respond_relay(
        &mut self,
        served: &Served<P>,
        largest: u16,
        relay: &RelayRequest,
        buf: &mut [u8],
    ) -> Option<Transmit<P::Address>> {
        let Recipient { contact, transaction, .. } = served.to;
        let hop = PreviousHop { contact, transaction, largest };
        let response = match self.take_relay(served.now, &hop, served.proved, relay) {
            Ok(true) => Response::Accepted,
            Ok(false) => return self.respond_as_last_hop(served.now, &hop, &relay.target, &[], buf),
            Err(code) => Response::Error { code, detail: 0 },
        };
        self.reply(served, response, buf)
    }

    /// The k contacts nearest to `target`, without the requester.
    fn nearest<'a>(
        &self,
        served: &Served<P>,
        target: &Id,
        room: &'a mut Named<P::Address>,
    ) -> &'a mut [Contact<P::Address>] {
        nearest(&self.table, target, &served.to.contact, self.k(), room)
    }

    /// Stores a record. Checks the token first, then the bounds, then which record wins, and the signature last,
    /// because it costs most. Returns for how many seconds the record is held from now on.
    fn take_record(&mut self, served: &Served<P>, offer: &Offer<'_>) -> Result<u32, (ErrorCode, u64)> {
        let (now, record) = (served.now, offer.record);
        if !served.token_holds {
            return Err((ErrorCode::Token, 0));
        }
        if !self.supports(record.kind()) {
            return Err((ErrorCode::Unsupported, 0));
        }
        if record.check().is_err() {
            return Err((ErrorCode::TooLarge, MAX_VALUE as u64));
        }
        let size = P::Wire::LENGTHS.value + P::Wire::record_len(record);
        let excess = size.saturating_sub(self.config.largest_message());
        if excess > 0 {
            return Err((ErrorCode::TooLarge, record.value.len().saturating_sub(excess) as u64));
        }
        let lifetime = Micros::from_secs(u64::from(offer.lifetime)).min(Micros::of(self.config.max_lifetime));
        if lifetime == Micros::ZERO {
            return Err((ErrorCode::Invalid, 0));
        }
        let address = served.to.contact.address;
        let source = address.prefix();
        let mut expires = now + lifetime;
        let key = record.key();
        let responsible = self.table.rank_of_own(&key.id, self.k()) < self.k();
        let held = self.held(now, &key);
        if let Some(held) = &held {
            let same = check_against(now, held, offer)?;
            if offer.handover && same {
                expires = expires.min(held.metadata.expires);
            }
        } else if offer.compare.is_some_and(|compare| compare != 0) {
            return Err((ErrorCode::Conflict, 0));
        }
        let far = held.is_none() && !responsible && self.is_far_from(&key.id);
        if far || quota::exceeds(&self.store, self.config.quota, record, source, held.as_ref()) {
            return Err((ErrorCode::Full, 0));
        }
        let limited = self.limited(address);
        if record.kind() == Kind::Signed && !self.limiter.allows_check(now, limited) {
            count_up(&mut self.stats.rate_limited);
            return Err((ErrorCode::Busy, 0));
        }
        if !self.is_valid(record) {
            return Err((ErrorCode::Invalid, 0));
        }
        let metadata = Metadata { source, responsible, last_replicated: now, ..Metadata::until(expires) };
        match self.keep(now, &key, record, metadata) {
            Ok(Put::New | Put::Replaced) => self.table.check_neighbourhood_soon(now),
            // To store a record that is held already claims no more than a find_value with its version.
            Ok(Put::Renewed) => self.note_claim(now, &key),
            Err(StoreError::TooLarge(limit)) => return Err((ErrorCode::TooLarge, limit as u64)),
            Err(StoreError::Full) => return Err((ErrorCode::Full, 0)),
            Err(StoreError::Outdated(version)) => return Err((ErrorCode::Outdated, version.number)),
        }
        count_up(&mut self.stats.records_stored);
        let until = self.stored(&key).map_or(expires, |held| held.metadata.expires);
        Ok(until.micros_since(now).secs())
    }
}

/// Checks that the record offered can replace the one held. Returns whether both have the same value.
fn check_against(now: Instant, held: &StoredRecord<'_>, offer: &Offer<'_>) -> Result<bool, (ErrorCode, u64)> {
    let (version, offered) = (held.version(now), offer.record.version());
    match held.key.kind.contest(version, offered).offered {
        // Also with a compare-and-swap: the request was sent again, because its response was lost.
        Ordering::Equal => {}
        _ if offer.compare.is_some_and(|compare| compare != version.number) => {
            return Err((ErrorCode::Conflict, version.number));
        }
        Ordering::Less => return Err((ErrorCode::Outdated, version.number)),
        Ordering::Greater => {}
    }
    Ok(version.digest == offered.digest)
}

/// As many of the contacts as fit into a response that has `beside` other bytes. If not all fit, those of the
/// requester's address family come first.
fn fitting<'a, P: Parts>(
    served: &Served<P>,
    named: &'a mut [Contact<P::Address>],
    beside: usize,
) -> Contacts<'a, P::Address> {
    let room = served.to.most.saturating_sub(beside);
    if served.to.fitting(named, room).count() == named.len() {
        return Contacts::new(named);
    }
    family_first(named, served.to.contact.address.encode().family);
    served.to.fitting(named, room)
}
