//! Relay requests of a fuzzed node: what it is sent about them, and a model of what it may send then. The rules are
//! those of the modules `forwarding` and `node/relaying`.

use core::net::SocketAddrV4;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use kadlet::message::{Contacts, ErrorCode, RelayId, Request, Response, Target};
use kadlet::wire::{self, Body, Header, Kadlet, Message, Token, Transaction};
use kadlet::{Address, Dht, EncodedAddress, Geometry, Id, Instant, Key, Record, Routing, Serve};

use super::{About, Contact4, History, LAST, SHORTLIST};

/// The most nodes that forward one request.
const HOPS: u8 = 32;
/// The most next hops that a node tries for one request.
const TRIES: usize = 8;
/// How often a next hop is sent a request. With a fresh token it may be sent as often again.
const ATTEMPTS: u8 = 2;
/// The longest time that a relay request may take.
const TIME: Duration = Duration::from_secs(10);
/// The bytes of a `relayed` response without contacts. There is no response in a smaller buffer.
const SHORTEST: usize = 46;

/// A request that the node forwards.
pub(super) struct Relay {
    relay_id: RelayId,
    pub(super) target: Target,
    /// Where the request came from; `None` for one of the node's own lookups.
    previous: Option<PreviousHop>,
    /// How many more nodes may forward it.
    hops: u8,
    deadline: Instant,
    /// Whether the previous hop still waits for a response.
    open: bool,
    /// The next hops with the transactions, and how often each was sent.
    sent: BTreeMap<(SocketAddrV4, [u8; 8]), u8>,
}

/// The previous hop, and the last request that it sent.
#[derive(Clone, Copy)]
pub(super) struct PreviousHop {
    pub(super) contact: Contact4,
    pub(super) transaction: Transaction,
    pub(super) largest: u16,
    pub(super) len: usize,
}

impl<R: Routing<Address = SocketAddrV4>, const RELAYS: usize> History<'_, R, RELAYS> {
    /// A request to forward: a new one, one that was sent before, perhaps by another node, or one that the node itself
    /// sent.
    pub(super) fn relay(&mut self, key: Key) -> Request<'static> {
        let of = |about| if let About::Relay(relay_id, _) = about { Some(relay_id) } else { None };
        let circular =
            self.input.once_in(2).then(|| self.requests.iter().rev().find_map(|sent| of(sent.about))).flatten();
        let relay_id = circular.unwrap_or_else(|| RelayId([self.input.byte() % 4; 8]));
        let target = if self.input.once_in(2) { Target::Value(key) } else { Target::Nodes(self.target()) };
        Request::Relay {
            relay_id,
            target,
            hops: self.input.pick(&[32, 255, 1, 0]),
            time: self.input.pick(&[9_000, u16::MAX, 100, 1, 0]),
        }
    }

    /// The newest token that the node gave to a contact.
    pub(super) fn given_token(&self, contact: &Contact4) -> Option<Token> {
        self.tokens.iter().rev().find(|(owner, _)| owner == contact).map(|(_, token)| *token)
    }

    /// The newest token that the node gave to a contact. If there is none, the contact pings the node for one.
    pub(super) fn token(&mut self, contact: &Contact4) -> Option<Token> {
        if self.given_token(contact).is_none() {
            let header = Header { transaction: Transaction([0xFF; 8]), ..self.header(contact.id) };
            let body = Body::Request { largest: 1_208, token: None, request: Request::Ping, padding: 0 };
            self.send(contact.address, &Message { header, body });
        }
        self.given_token(contact)
    }

    /// A next hop's response to a relay request.
    pub(super) fn relayed<'a>(
        &mut self,
        record: Record<'a>,
        contacts: Contacts<'a, SocketAddrV4>,
    ) -> Response<'a, SocketAddrV4> {
        let hops = self.input.pick(&[0, 1, 31, 255]);
        match self.input.below(8) {
            0..=2 => Response::Accepted,
            3 | 4 => Response::Relayed { hops, found: None, contacts },
            5 => Response::Relayed { hops, found: Some((record, self.input.pick(&[60, 1, 0, u32::MAX]))), contacts },
            _ => Response::Error {
                code: self.input.pick(&[ErrorCode::Busy, ErrorCode::Token, ErrorCode::Unsupported]),
                detail: 0,
            },
        }
    }

    /// Whether a relay request has the same sender and transaction as another open one. Their responses could not be
    /// told apart, so such a request is not sent.
    pub(super) fn is_ambiguous(&self, from: SocketAddrV4, message: &Message<'_, SocketAddrV4, Kadlet>) -> bool {
        let Body::Request { request: Request::Relay { relay_id, .. }, .. } = message.body else {
            return false;
        };
        self.relays
            .iter()
            .any(|relay| relay.open && relay.relay_id != relay_id && relay.is_from(from, message.header.transaction))
    }

    /// Checks the response that the node gives to a request at once.
    pub(super) fn check_response(
        &mut self,
        previous: &PreviousHop,
        proved: bool,
        request: &Request<'_>,
        response: &Response<'_, SocketAddrV4>,
    ) {
        if let Request::Probe { address, .. } = request
            && *response == Response::Accepted
        {
            assert!(proved, "a probe needs a valid token");
            if let Some(probed) = SocketAddrV4::decode(address.family, address.as_bytes()) {
                assert!(probed.prefix().is_some(), "{probed} is not global");
                self.accounts.entry(probed).or_default().probed += 1;
            }
            return;
        }
        let Request::Relay { relay_id, target, hops, time } = *request else {
            return assert!(
                !matches!(response, Response::Accepted | Response::Relayed { .. }),
                "{response:?} to {request:?}"
            );
        };
        let known = self.relays.iter_mut().find(|relay| relay.open && relay.relay_id == relay_id);
        let circular =
            known.as_ref().is_some_and(|known| known.previous.is_some_and(|before| before.contact != previous.contact));
        match response {
            Response::Error { code: ErrorCode::Token, .. } => return,
            Response::Error { code: ErrorCode::Unsupported, .. } => return assert_eq!(RELAYS, 0),
            _ => assert!(proved && RELAYS > 0, "{response:?} to a requester without a valid token"),
        }
        match (response, known) {
            (Response::Accepted, Some(known)) => {
                assert!(!circular, "another previous hop sent this request before");
                known.previous = Some(*previous);
            }
            (Response::Accepted, None) => {
                assert!(hops > 0 && time > 0, "it can't be forwarded");
                let deadline = (self.now + Duration::from_millis(time.into())).min(self.now + TIME);
                let (previous, sent) = (Some(*previous), BTreeMap::new());
                self.relays.push(Relay {
                    relay_id,
                    target,
                    previous,
                    hops: hops.min(HOPS),
                    deadline,
                    open: true,
                    sent,
                });
            }
            (Response::Relayed { hops: 0, found, contacts }, None) => {
                assert!(found.is_none_or(|(record, _)| target == Target::Value(record.key())));
                self.check_named(previous, contacts);
            }
            (Response::Error { code: ErrorCode::Busy, .. }, known) => {
                assert!(known.is_none() || circular, "a retransmission must be acknowledged again")
            }
            (response, _) => panic!("{response:?} to a request that the node forwards"),
        }
    }

    /// Checks a request for a probe that the node sends: of its own address, or of one that has shown a token.
    pub(super) fn check_asked_probe(&self, to: SocketAddrV4, address: &EncodedAddress) {
        assert!(self.responded.iter().any(|(_, responder)| *responder == to), "{to} never responded");
        let Some(address) = SocketAddrV4::decode(address.family, address.as_bytes()) else {
            assert!(self.config.serve == Serve::Automatic && *address == EncodedAddress::NONE);
            return;
        };
        assert!(self.tokens.iter().any(|(requester, _)| requester.address == address), "{address} has no token");
        assert_ne!(address.prefix(), to.prefix());
    }

    /// Checks a request that the node forwards, and returns its index in `relays`.
    pub(super) fn check_forwarded(
        &mut self,
        to: SocketAddrV4,
        transaction: Transaction,
        request: &Request<'_>,
        len: usize,
    ) -> usize {
        let Request::Relay { relay_id, target, hops, time } = *request else {
            panic!("{request:?} is not a relay request");
        };
        assert!(RELAYS > 0, "a node without relays takes no part in recursive lookups");
        let foreign = self.relays.iter().position(|relay| relay.open && relay.relay_id == relay_id);
        let own = || self.relays.iter().position(|relay| relay.previous.is_none() && relay.relay_id == relay_id);
        let index = foreign.or_else(own).unwrap_or_else(|| {
            let own = self.relays.iter().filter(|relay| relay.previous.is_none()).count();
            assert!(own < self.recursive, "no requester and no own lookup asked for it");
            let relay = Relay {
                relay_id,
                target,
                previous: None,
                hops: HOPS,
                deadline: LAST,
                open: false,
                sent: BTreeMap::new(),
            };
            self.relays.push(relay);
            self.relays.len() - 1
        });
        let relay = &mut self.relays[index];
        let attempts = relay.sent.entry((to, transaction.0)).or_default();
        *attempts += 1;
        assert!(*attempts <= ATTEMPTS, "sent {attempts} times");
        assert!(
            relay.sent.len() <= 2 * TRIES
                && relay.sent.keys().map(|(to, _)| to).collect::<BTreeSet<_>>().len() <= TRIES
        );
        assert!(relay.target == target && hops < relay.hops, "{hops} hops");
        let previous = relay.previous.map(|previous| previous.contact.id);
        let mut known = self.responded.iter().filter(|(id, address)| *address == to && Some(*id) != previous);
        // The next hop may have been chosen before the identifier changed.
        let ids = &self.ids;
        // A client sends its own request to any contact, because it is responsible for nothing itself.
        let any = previous.is_none() && self.was_client;
        // A node without verified contacts begins with those that it has. One may be gone when its turn comes, or when
        // it is asked again.
        let begins = previous.is_none()
            && (self.ever_known.contains(&to) || self.node.routing().peers().any(|peer| peer.contact.address == to));
        assert!(
            begins
                || known.any(|(id, _)| any || ids.iter().any(|own| may_be_nearer::<R::Geometry>(own, target.id(), id))),
            "{to} is not a possible next hop"
        );
        if let Some(previous) = relay.previous {
            assert!(len <= previous.len, "{len} bytes for {}", previous.len);
            assert!(Duration::from_millis(time.into()) <= relay.deadline.since(self.now) && time > 0, "{time} ms");
        } else {
            assert!(
                self.operations.iter().any(|running| running.recursive && running.seeks == target),
                "its lookup has ended"
            );
        }
        index
    }

    /// Checks what the node sends at once because of a response that arrived. `accepted` is the response if the node
    /// accepted it as one to its own request.
    pub(super) fn check_arrived_response(
        &mut self,
        from: SocketAddrV4,
        transaction: Transaction,
        accepted: Option<&Response<'_, SocketAddrV4>>,
        room: usize,
        out: Option<(SocketAddrV4, &[u8])>,
    ) {
        let relay = self.asked.get(&(from, transaction.0)).copied().flatten();
        let relay =
            relay.filter(|index| self.relays[*index].open && matches!(accepted, Some(Response::Relayed { .. })));
        let Some(index) = relay else {
            return assert!(out.is_none(), "a response causes no datagram, except a response to a previous hop");
        };
        if let Some((to, datagram)) = out {
            assert!(datagram.len() <= room);
            self.check_sent_back(to, datagram);
            assert!(matches!(
                wire::decode(datagram),
                Ok(Message::<SocketAddrV4, Kadlet> {
                    body: Body::Response { response: Response::Relayed { .. }, .. },
                    ..
                })
            ));
        }
        assert_eq!(
            (out.is_some(), self.relays[index].open),
            (room >= SHORTEST, room < SHORTEST),
            "the response must go to the previous hop"
        );
        self.relays[index].open = false;
    }

    /// Checks a response that the node sends to the previous hop of a request that it forwarded.
    pub(super) fn check_sent_back(&mut self, to: SocketAddrV4, datagram: &[u8]) {
        let Ok(Message { header, body: Body::Response { token, response } }) = wire::decode::<SocketAddrV4>(datagram)
        else {
            panic!("a previous hop must get a response");
        };
        let relay = self.relays.iter_mut().find(|relay| relay.open && relay.is_from(to, header.transaction));
        let relay = relay.unwrap_or_else(|| panic!("{to} waits for no response: {response:?}"));
        let previous = relay.previous.expect("the node's own requests are never open");
        relay.open = false;
        assert!(header.sender == self.node.id() && datagram.len() <= usize::from(previous.largest));
        match response {
            Response::Relayed { contacts, .. } => self.check_named(&previous, &contacts),
            response => assert!(matches!(response, Response::Error { code: ErrorCode::Busy, .. }), "{response:?}"),
        }
        self.tokens.push((previous.contact, token));
        self.add_to_digest(datagram);
    }

    /// Checks the contacts that a response to a previous hop names.
    fn check_named(&self, previous: &PreviousHop, contacts: &Contacts<'_, SocketAddrV4>) {
        let most = usize::from(self.config.table.k).clamp(1, SHORTLIST / 3);
        assert!(
            contacts.count() <= most
                && contacts.iter().all(|named| named.id != self.node.id() && named.id != previous.contact.id),
            "{contacts:?}"
        );
    }

    pub(super) fn check_relays(&self) {
        let foreign = || self.relays.iter().filter(|relay| relay.previous.is_some());
        assert!(foreign().filter(|relay| relay.open).count() <= RELAYS);
        assert_eq!(self.node.stats().forwarded, foreign().count() as u64);
    }

    /// Checks that every relay request got its response. This must hold long after the last request.
    pub(super) fn check_relays_ended(&self) {
        assert!(self.relays.iter().all(|relay| !relay.open), "a relay request never got a response");
    }
}

impl Relay {
    fn is_from(&self, address: SocketAddrV4, transaction: Transaction) -> bool {
        self.previous.is_some_and(|previous| previous.contact.address == address && previous.transaction == transaction)
    }
}

/// Whether this node can be a next hop toward the target, whatever other contacts the table has. On Chord's ring every
/// node but the own one can be the target's successor.
fn may_be_nearer<G: Geometry>(own: &Id, target: &Id, id: &Id) -> bool {
    let digits = |id: &Id| id.common_prefix_len(target) / 2;
    let nearer = G::progress(target, id) < G::progress(target, own);
    match G::TAG {
        1 => nearer,
        3 => nearer || digits(id) > digits(own),
        _ => id != own,
    }
}
