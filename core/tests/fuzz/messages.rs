//! The datagrams that a fuzzed node is sent: requests, correct responses, forged or wrong responses, and garbage.

use core::net::SocketAddrV4;

use kadlet::message::{Contacts, ErrorCode, Features, Observed, Request, Response, Target};
use kadlet::wire::{self, Body, Header, Kadlet, Message, Token, Transaction};
use kadlet::{Address, Contact, EncodedAddress, Geometry, Id, Routing};

use super::peers::{OWN, PEERS, number, peer, peer_at};
use super::{About, Contact4, History, REQUESTS};

impl<R: Routing<Address = SocketAddrV4>, const RELAYS: usize> History<'_, R, RELAYS> {
    /// Sends a request from one of the peers, which may forge its address or its identifier.
    pub(super) fn ask(&mut self) {
        let peer = self.peer();
        let from = if self.input.once_in(8) { self.peer().address } else { peer.address };
        let requester = Contact::new(if self.input.once_in(16) { OWN } else { peer.id }, from);
        let given = self.given_token(&requester);
        let mut token = match self.input.below(4) {
            0 | 1 => None,
            2 => given,
            _ => Some(Token([self.input.byte(); 8])),
        };
        let parts = self.record();
        let record = parts.record();
        let request = match self.input.below(if RELAYS == 0 { 8 } else { 12 }) {
            0 => Request::Ping,
            1 | 2 => Request::FindNode { target: self.target() },
            3 | 4 => {
                let have = self.input.once_in(2).then(|| record.version());
                Request::FindValue { key: record.key(), have }
            }
            5 | 6 => Request::Store {
                record,
                lifetime: self.input.pick(&[60, 1, 0, u32::MAX]),
                compare: self.input.once_in(8).then(|| number(&mut self.input)),
                handover: self.input.once_in(4),
            },
            8.. => {
                if !self.input.once_in(4) {
                    token = self.token(&requester);
                }
                self.relay(record.key())
            }
            _ => match self.input.byte() % 100 {
                // Of the node itself, or of another one, to which tests can respond.
                kind @ 0..25 => {
                    let named = if kind % 2 == 0 { EncodedAddress::NONE } else { self.peer().address.encode() };
                    Request::Probe { nonce: kind.into(), address: named }
                }
                kind => Request::Unknown { kind: 6 + kind, payload: self.input.bytes(5) },
            },
        };
        let unknown = matches!(request, Request::Unknown { .. });
        let padding = if unknown { 0 } else { self.input.pick(&[0, 60, 122, 1_000]) };
        let largest = self.input.pick(&[1_208, 524, 103, 52, 51, 0, u16::MAX]);
        let mut transaction = Transaction([self.input.byte(); 8]);
        if let Request::Relay { relay_id, .. } = request {
            // A transaction for each relay id, so that their responses can be told apart.
            transaction.0[..7].copy_from_slice(&relay_id.0[..7]);
        }
        let header = Header { transaction, ..self.header(requester.id) };
        self.send(from, &Message { header, body: Body::Request { largest, token, request, padding } });
        self.records.push(parts);
    }

    /// Responds to one of the node's requests, perhaps with a flaw.
    pub(super) fn respond_to_one(&mut self) {
        let (newest, flaw) = (self.input.below(16), self.input.below(16));
        let Some(request) = self.requests.iter().rev().nth(newest).copied() else {
            return;
        };
        let peer = peer_at(request.to, &self.config);
        let mut header = Header { transaction: request.transaction, ..self.header(peer.id) };
        let mut from = request.to;
        match flaw {
            0 => header.transaction.0[7] ^= 1,
            1 => from = self.peer().address,
            2 => header.sender = self.peer().id,
            3 => header.sender = OWN,
            _ => {}
        }
        let parts = self.record();
        let mut contacts = Vec::new();
        for _ in 0..self.input.below(6) {
            let (named, place) = (self.peer(), self.peer());
            contacts.push(if self.input.once_in(4) { Contact::new(named.id, place.address) } else { named });
        }
        let contacts = Contacts::new(&contacts);
        let fits = match request.about {
            About::Presence => 0,
            About::Nodes(_) => 1,
            About::Value(_) => self.input.below(3) + 1,
            About::Store => 4,
            About::Relay(..) => 6,
            // Errors tell for a token.
            About::Probe => 5,
        };
        let kinds = if RELAYS == 0 { 6 } else { 7 };
        let response = match if self.input.once_in(4) { self.input.below(kinds) } else { fits } {
            0 => Response::Pong { observed: Observed::new(self.peer().address) },
            1 => Response::Nodes { contacts },
            2 => Response::Value { record: parts.record(), lifetime: self.input.pick(&[60, 1, 0, u32::MAX]), contacts },
            3 => Response::Held {
                version: parts.record().version(),
                size: self.input.pick(&[200, 0, 1_208, u16::MAX]),
                contacts,
            },
            4 => Response::Stored { lifetime: 60 },
            6 => self.relayed(parts.record(), contacts),
            _ => {
                let codes = [
                    ErrorCode::Token,
                    ErrorCode::Unsupported,
                    ErrorCode::Full,
                    ErrorCode::Outdated,
                    ErrorCode::Conflict,
                ];
                Response::Error { code: self.input.pick(&codes), detail: number(&mut self.input) }
            }
        };
        let token = Token([self.input.byte(); 8]);
        self.send(from, &Message { header, body: Body::Response { token, response } });
        self.records.push(parts);
    }

    /// Responds to the newest requests of the node as honest nodes do.
    pub(super) fn respond_to_all(&mut self) {
        let holds = self.input.once_in(2);
        let older = self.requests.len().saturating_sub(REQUESTS);
        for request in self.requests.split_off(older) {
            let responder = peer_at(request.to, &self.config);
            let mut contacts: Vec<Contact4> = (0..PEERS).map(|number| peer(number, &self.config)).collect();
            let target = match request.about {
                About::Nodes(target) => target,
                About::Value(key) => key.id,
                About::Relay(_, target) => *target.id(),
                _ => OWN,
            };
            contacts.sort_by_key(|contact| R::Geometry::rank(&target, &contact.id));
            let contacts = Contacts::new(&contacts[..4]);
            let held = |key| self.records.iter().rposition(|parts| holds && parts.record().key() == key);
            let parts = match request.about {
                About::Value(key) | About::Relay(_, Target::Value(key)) => {
                    held(key).map(|index| self.records.remove(index))
                }
                _ => None,
            };
            let response = match (request.about, &parts) {
                (About::Presence, _) => Response::Pong { observed: Observed::new(responder.address) },
                (About::Store, _) => Response::Stored { lifetime: 60 },
                (About::Probe, _) => Response::Accepted,
                (About::Relay(..), _) => {
                    Response::Relayed { hops: 1, found: parts.as_ref().map(|parts| (parts.record(), 60)), contacts }
                }
                (_, Some(parts)) => Response::Value { record: parts.record(), lifetime: 60, contacts },
                _ => Response::Nodes { contacts },
            };
            let header = Header { transaction: request.transaction, ..self.header(responder.id) };
            self.send(request.to, &Message { header, body: Body::Response { token: Token([9; 8]), response } });
            self.records.extend(parts);
        }
    }

    /// Sends bytes from the fuzzer, or the last datagram with a flaw.
    pub(super) fn garbage(&mut self) {
        let from = self.peer().address;
        let mut datagram = self.last.clone();
        match self.input.below(4) {
            0 => datagram.truncate(self.input.below(128)),
            1 => datagram.extend_from_slice(self.input.bytes(2)),
            2 => {
                let (at, flaw) = (self.input.below(128), self.input.byte());
                if let Some(byte) = datagram.get_mut(at) {
                    *byte ^= flaw;
                }
            }
            _ => {
                let len = self.input.below(128);
                datagram = self.input.bytes(len).to_vec();
            }
        }
        self.deliver(from, &datagram);
    }

    pub(super) fn send(&mut self, from: SocketAddrV4, message: &Message<'_, SocketAddrV4, Kadlet>) {
        let mut buf = [0; wire::MAX_DATAGRAM];
        // A message too large for any datagram can't be sent.
        if let Ok(len) = wire::encode(message, &mut buf) {
            self.deliver(from, &buf[..len]);
            self.last = buf[..len].to_vec();
        }
    }

    pub(super) fn header(&mut self, sender: Id) -> Header<Kadlet> {
        let own = R::Geometry::TAG;
        let (geometry, network) = match self.input.byte() {
            0xFF => (own % 3 + 1, 0),
            0xFE => (own, 9),
            _ => (own, self.config.network),
        };
        let features = if self.input.once_in(8) { Features::default() } else { Features::SERVES };
        Header { geometry, network, transaction: Transaction([0; 8]), sender, features }
    }
}
