//! What a fuzzed node that passes questions on is asked and told about them, and what it may send then: what `relay` in the core's
//! node promises.

use core::net::SocketAddrV4;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use kadlet::wire::{
    self, Body, Contacts, ErrorCode, Header, Message, RelayId, Request, Response, Target, Token, Transaction,
};
use kadlet::{Dht, Geometry, Id, Instant, Key, Record, Routing};

use super::peers::OWN;
use super::{About, History, LAST, SHORTLIST, Who};

/// How many nodes a question is passed on by at most, and how many one of them asks. Each of these is asked twice, and twice again with
/// a fresh token.
const HOPS: u8 = 32;
const TRIES: usize = 8;
const ATTEMPTS: u8 = 2;
const TIME: Duration = Duration::from_secs(10);
/// Bytes of an answer that names nobody: in less room there is none.
const SHORTEST: usize = 46;

/// A question that the node passes on.
pub(super) struct Passed {
    relay_id: RelayId,
    pub(super) target: Target,
    /// Who asked; `None` for one of the node's own lookups.
    previous: Option<Previous>,
    /// How often and until when it may be passed on.
    hops: u8,
    deadline: Instant,
    /// Whether an answer is owed.
    open: bool,
    /// To whom it was passed on, with which transaction, and how often.
    sent: BTreeMap<(SocketAddrV4, [u8; 8]), u8>,
}

/// Who asked last, and how.
#[derive(Clone, Copy)]
pub(super) struct Previous {
    pub(super) who: Who,
    pub(super) transaction: Transaction,
    pub(super) largest: u16,
    pub(super) len: usize,
}

impl<R: Routing<Address = SocketAddrV4>, const RELAYS: usize> History<'_, R, RELAYS> {
    /// A question to pass on: a new one, one that came before, perhaps from another, or one that the node asks itself.
    pub(super) fn relay(&mut self, key: Key) -> Request<'static> {
        let of = |about| if let About::Relay(relay_id, _) = about { Some(relay_id) } else { None };
        let circles =
            self.input.once_in(2).then(|| self.requests.iter().rev().find_map(|asked| of(asked.about))).flatten();
        let relay_id = circles.unwrap_or_else(|| RelayId([self.input.byte() % 4; 8]));
        let target = if self.input.once_in(2) { Target::Value(key) } else { Target::Nodes(self.target()) };
        Request::Relay {
            relay_id,
            target,
            hops: self.input.pick(&[32, 255, 1, 0]),
            time: self.input.pick(&[9_000, u16::MAX, 100, 1, 0]),
        }
    }

    /// The newest token that the node gave to somebody.
    pub(super) fn given(&self, who: &Who) -> Option<Token> {
        self.tokens.iter().rev().find(|(whose, _)| whose == who).map(|(_, token)| *token)
    }

    /// The same, but whoever has none asks for it.
    pub(super) fn token(&mut self, who: &Who) -> Option<Token> {
        if self.given(who).is_none() {
            let header = Header { transaction: Transaction([0xFF; 8]), ..self.header(who.id) };
            let body = Body::Request { largest: 1_208, token: None, request: Request::Ping, padding: 0 };
            self.send(who.address, &Message { header, body });
        }
        self.given(who)
    }

    /// An answer to a question that was passed on.
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

    /// Whether a question has the transaction of another of the same node: their answers couldn't be told apart, so it isn't asked.
    pub(super) fn would_confuse(&self, from: SocketAddrV4, message: &Message<'_, SocketAddrV4>) -> bool {
        let Body::Request { request: Request::Relay { relay_id, .. }, .. } = message.body else {
            return false;
        };
        self.passed.iter().any(|passed| {
            passed.open && passed.relay_id != relay_id && passed.is_from(from, message.header.transaction)
        })
    }

    /// A request is answered at once.
    pub(super) fn told(
        &mut self,
        asked: &Previous,
        proved: bool,
        request: &Request<'_>,
        told: &Response<'_, SocketAddrV4>,
    ) {
        let Request::Relay { relay_id, target, hops, time } = *request else {
            return assert!(!matches!(told, Response::Accepted | Response::Relayed { .. }), "{told:?} to {request:?}");
        };
        let known = self.passed.iter_mut().find(|passed| passed.open && passed.relay_id == relay_id);
        let circles =
            known.as_ref().is_some_and(|known| known.previous.is_some_and(|previous| previous.who != asked.who));
        match told {
            Response::Error { code: ErrorCode::Token, .. } => return,
            Response::Error { code: ErrorCode::Unsupported, .. } => return assert_eq!(RELAYS, 0),
            _ => assert!(proved && RELAYS > 0, "{told:?} to one who didn't prove its address"),
        }
        match (told, known) {
            (Response::Accepted, Some(known)) => {
                assert!(!circles, "it was asked by another before");
                known.previous = Some(*asked);
            }
            (Response::Accepted, None) => {
                assert!(hops > 0 && time > 0, "it can't be passed on");
                let deadline = (self.now + Duration::from_millis(time.into())).min(self.now + TIME);
                let (previous, sent) = (Some(*asked), BTreeMap::new());
                self.passed.push(Passed {
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
                self.check_named(asked, contacts);
            }
            (Response::Error { code: ErrorCode::Busy, .. }, known) => {
                assert!(known.is_none() || circles, "a repeat is acknowledged again")
            }
            (told, _) => panic!("{told:?} to a relay_id that it passes on"),
        }
    }

    /// The node passes a question on. Tells which.
    pub(super) fn goes_on(
        &mut self,
        to: SocketAddrV4,
        transaction: Transaction,
        request: &Request<'_>,
        len: usize,
    ) -> usize {
        let Request::Relay { relay_id, target, hops, time } = *request else {
            panic!("{request:?} is not passed on");
        };
        assert!(RELAYS > 0, "it takes no part in recursive lookups");
        let others = self.passed.iter().position(|passed| passed.open && passed.relay_id == relay_id);
        let own = || self.passed.iter().position(|passed| passed.previous.is_none() && passed.relay_id == relay_id);
        let index = others.or_else(own).unwrap_or_else(|| {
            let own = self.passed.iter().filter(|passed| passed.previous.is_none()).count();
            assert!(own < self.recursive, "nobody asked for it");
            let passed = Passed {
                relay_id,
                target,
                previous: None,
                hops: HOPS,
                deadline: LAST,
                open: false,
                sent: BTreeMap::new(),
            };
            self.passed.push(passed);
            self.passed.len() - 1
        });
        let passed = &mut self.passed[index];
        let attempts = passed.sent.entry((to, transaction.0)).or_default();
        *attempts += 1;
        assert!(*attempts <= ATTEMPTS, "asked {attempts} times");
        assert!(
            passed.sent.len() <= 2 * TRIES
                && passed.sent.keys().map(|(to, _)| to).collect::<BTreeSet<_>>().len() <= TRIES
        );
        assert!(passed.target == target && hops < passed.hops, "{hops} hops");
        let previous = passed.previous.map(|previous| previous.who.id);
        let mut known = self.responded.iter().filter(|(id, address)| *address == to && Some(*id) != previous);
        // A client's own question leaves it, whoever it knows.
        let any = previous.is_none() && !self.config.serve;
        assert!(
            known.any(|(id, _)| any || may_be_nearer::<R::Geometry>(target.id(), id)),
            "{to} is not one to pass it on to"
        );
        if let Some(previous) = passed.previous {
            assert!(len <= previous.len, "{len} bytes for {}", previous.len);
            assert!(Duration::from_millis(time.into()) <= passed.deadline.since(self.now) && time > 0, "{time} ms");
        } else {
            assert!(
                self.operations.iter().any(|running| running.recursive && running.seeks == target),
                "its lookup is over"
            );
        }
        index
    }

    /// An answer came in, and was taken for one to a question of the node's if it is `told`: what it does with it at once.
    pub(super) fn carried(
        &mut self,
        from: SocketAddrV4,
        transaction: Transaction,
        told: Option<&Response<'_, SocketAddrV4>>,
        room: usize,
        out: Option<(SocketAddrV4, &[u8])>,
    ) {
        let passed = self.asked.get(&(from, transaction.0)).copied().flatten();
        let passed = passed.filter(|index| self.passed[*index].open && matches!(told, Some(Response::Relayed { .. })));
        let Some(index) = passed else {
            return assert!(out.is_none(), "an answer never causes an answer, but to who asked for it");
        };
        if let Some((to, datagram)) = out {
            assert!(datagram.len() <= room);
            self.goes_back(to, datagram);
            assert!(matches!(
                wire::decode(datagram),
                Ok(Message::<SocketAddrV4> { body: Body::Response { response: Response::Relayed { .. }, .. }, .. })
            ));
        }
        assert_eq!(
            (out.is_some(), self.passed[index].open),
            (room >= SHORTEST, room < SHORTEST),
            "what came is carried back"
        );
        self.passed[index].open = false;
    }

    /// The node answers a question that it passed on.
    pub(super) fn goes_back(&mut self, to: SocketAddrV4, datagram: &[u8]) {
        let Ok(Message { header, body: Body::Response { token, response } }) = wire::decode::<SocketAddrV4>(datagram)
        else {
            panic!("a relay_id is owed an answer");
        };
        let passed = self.passed.iter_mut().find(|passed| passed.open && passed.is_from(to, header.transaction));
        let passed = passed.unwrap_or_else(|| panic!("{to} is owed no answer: {response:?}"));
        let previous = passed.previous.expect("the node's own are never open");
        passed.open = false;
        assert!(header.sender == OWN && datagram.len() <= usize::from(previous.largest));
        match response {
            Response::Relayed { contacts, .. } => self.check_named(&previous, &contacts),
            response => assert!(matches!(response, Response::Error { code: ErrorCode::Busy, .. }), "{response:?}"),
        }
        self.tokens.push((previous.who, token));
        self.note(datagram);
    }

    fn check_named(&self, asked: &Previous, contacts: &Contacts<'_, SocketAddrV4>) {
        let most = usize::from(self.config.table.k).clamp(1, SHORTLIST / 3);
        assert!(
            contacts.count() <= most && contacts.iter().all(|named| named.id != OWN && named.id != asked.who.id),
            "{contacts:?}"
        );
    }

    pub(super) fn check_passed(&self) {
        let others = || self.passed.iter().filter(|passed| passed.previous.is_some());
        assert!(others().filter(|passed| passed.open).count() <= RELAYS);
        assert_eq!(self.node.stats().forwarded, others().count() as u64);
    }

    /// Long after the last was asked all have been answered.
    pub(super) fn check_responded(&self) {
        assert!(self.passed.iter().all(|passed| !passed.open), "a relay_id was never answered");
    }
}

impl Passed {
    fn is_from(&self, address: SocketAddrV4, transaction: Transaction) -> bool {
        self.previous.is_some_and(|previous| previous.who.address == address && previous.transaction == transaction)
    }
}

/// Whether a question may be passed on to this node, whomever else the table has. On Chord's ring anybody may be the target's
/// successor.
fn may_be_nearer<G: Geometry>(target: &Id, id: &Id) -> bool {
    let digits = |id: &Id| id.common_prefix_len(target) / 2;
    let nearer = G::progress(target, id) < G::progress(target, &OWN);
    match G::TAG {
        1 => nearer,
        3 => nearer || digits(id) > digits(&OWN),
        _ => *id != OWN,
    }
}
