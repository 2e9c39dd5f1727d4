//! The body of the fuzz target `node`: any sequence of datagrams, forged and genuine responses, clock steps and
//! commands against one node. The input chooses the node's geometry and whether it forwards requests. All its bounds
//! are small, so that a history reaches each of them.

mod claims;
mod commands;
#[allow(clippy::duplicate_mod, reason = "each target's body brings what it uses")]
mod input;
mod liars;
mod messages;
mod peers;
#[allow(clippy::duplicate_mod, reason = "each target's body brings what it uses")]
mod record;
mod relaying;

use core::net::SocketAddrV4;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use claims::Claims;
use input::Input;
use kadlet::message::{ErrorCode, Request, Response, Target};
use kadlet::routing::ContactState;
use kadlet::wire::{self, Body, Header, Message, Token, Transaction};
use kadlet::{
    Chord, Config, Contact, Dht, Event, FixedStore, Geometry, Id, Instant, Kademlia, Key, Kind, Node, Outcome, Pastry,
    QueryResult,
};
use kadlet::{QueryId, Routing, Stats, Store};
use peers::{OWN, config, id_near, in_range, number, peer};
use record::{Parts, VERIFY};
use relaying::Relay;

const CONTACTS: usize = 16;
const RECORDS: usize = 4;
const BYTES: usize = 512;
const OPERATIONS: usize = 2;
const SHORTLIST: usize = 12;
const VALUES: usize = 1;
const REQUESTS: usize = 8;
const BOOTSTRAPS: usize = 2;

type Mote<R, const RELAYS: usize> =
    Node<R, FixedStore<RECORDS, BYTES>, OPERATIONS, SHORTLIST, VALUES, REQUESTS, 4, BOOTSTRAPS, RELAYS>;
type Contact4 = Contact<SocketAddrV4>;

/// The most steps of a history: a longer one finds nothing that a shorter one doesn't.
const STEPS: usize = 400;
/// Where the clock stops, far from [`Instant::NEVER`], at which nothing is ever due.
const LAST: Instant = Instant::from_micros(u64::MAX / 2);

/// Runs the history that `data` encodes against the node that its first byte chooses.
///
/// # Panics
///
/// If the node breaks a promise.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    match input.below(6) {
        0 => twice::<Kademlia<SocketAddrV4, CONTACTS, 4>, 0>(input),
        1 => twice::<Kademlia<SocketAddrV4, CONTACTS, 4>, 2>(input),
        2 => twice::<Chord<SocketAddrV4, 3, CONTACTS>, 0>(input),
        3 => twice::<Chord<SocketAddrV4, 3, CONTACTS>, 2>(input),
        4 => twice::<Pastry<SocketAddrV4, 4, 2, CONTACTS>, 0>(input),
        _ => twice::<Pastry<SocketAddrV4, 4, 2, CONTACTS>, 2>(input),
    }
}

fn twice<R: Routing<Address = SocketAddrV4>, const RELAYS: usize>(input: Input<'_>) {
    let run = || History::<R, RELAYS>::run(input.clone());
    assert_eq!(run(), run(), "the same calls give the same bytes");
}

/// A node, and all that it was seen to do.
struct History<'a, R: Routing<Address = SocketAddrV4>, const RELAYS: usize> {
    input: Input<'a>,
    node: Box<Mote<R, RELAYS>>,
    config: Config,
    now: Instant,
    /// The latest time that the clock ever showed.
    latest: Instant,
    /// Requests that the node sent, the newest last.
    requests: Vec<SentRequest>,
    /// All requests that the node ever sent, by destination and transaction, each with the index of the relay request
    /// that it forwarded, if any.
    asked: BTreeMap<(SocketAddrV4, [u8; 8]), Option<usize>>,
    relays: Vec<Relay>,
    /// How many recursive lookups began.
    recursive: usize,
    /// Operations that run.
    operations: Vec<Operation>,
    /// Operations that ended or were cancelled.
    ended: Vec<QueryId>,
    /// All tokens that the node gave, the newest of each contact last.
    tokens: Vec<(Contact4, Token)>,
    /// Senders of responses, each with the address that it responded from, to which the node had sent the request.
    responded: BTreeSet<(Id, SocketAddrV4)>,
    /// The addresses of all contacts that the table has had at the end of a step.
    ever_known: BTreeSet<SocketAddrV4>,
    accounts: BTreeMap<SocketAddrV4, Account>,
    claims: Claims,
    campaigns: liars::Campaigns,
    /// Records that were used before, the newest last. Later steps use them again.
    records: Vec<Parts>,
    /// The last datagram that was sent to the node.
    last: Vec<u8>,
    /// All identifiers that the node had, the newest last.
    ids: Vec<Id>,
    /// All bootstrap addresses that the user named.
    bootstraps: BTreeSet<SocketAddrV4>,
    /// A hash of all that the node sent.
    digest: u64,
}

/// A request that the node sent.
#[derive(Clone, Copy)]
struct SentRequest {
    to: SocketAddrV4,
    transaction: Transaction,
    about: About,
}

/// What a request of the node asks for.
#[derive(Clone, Copy)]
enum About {
    Presence,
    Nodes(Id),
    Value(Key),
    Store,
    Relay(kadlet::message::RelayId, Target),
}

struct Operation {
    query: QueryId,
    deadline: Instant,
    /// What it looks for: a value if it is a get.
    seeks: Target,
    /// Whether it may send relay requests.
    recursive: bool,
}

impl Operation {
    const fn gets(&self) -> bool {
        matches!(self.seeks, Target::Value(_))
    }
}

/// What came from an address without a valid token, and what the node sent there because of it.
#[derive(Debug, Default)]
struct Account {
    bytes_in: usize,
    bytes_out: usize,
    /// Requests that showed a token which the node gave to their sender, even an expired one. Each may cause a ping,
    /// which does not count as amplification.
    proved: usize,
    /// Pings that the user commanded.
    commanded: usize,
    /// How often a response named the node's own identifier with this address. Each may cause a ping, once a minute.
    named_as_own: usize,
    /// Requests that were forwarded to it. If it is silent, the node pings it.
    forwarded: usize,
    /// All pings that the node sent to it before it responded to anything, unless the user named its address.
    pings: usize,
}

impl<'a, R: Routing<Address = SocketAddrV4>, const RELAYS: usize> History<'a, R, RELAYS> {
    fn run(mut input: Input<'a>) -> u64 {
        let asked_for = config(&mut input);
        let config = in_range(asked_for, SHORTLIST);
        let now = Instant::from_micros(number(&mut input)).min(LAST);
        let start = |config| Mote::<R, RELAYS>::new(now, config, OWN, [7; 32]);
        let is_in_range = format!("{asked_for:?}") == format!("{config:?}");
        assert_eq!(start(asked_for).is_ok(), is_in_range, "a value is obeyed or refused");
        let mut history = Self {
            input,
            node: Box::new(start(config).unwrap()),
            config,
            now,
            latest: now,
            requests: Vec::new(),
            asked: BTreeMap::new(),
            relays: Vec::new(),
            recursive: 0,
            operations: Vec::new(),
            ended: Vec::new(),
            tokens: Vec::new(),
            responded: BTreeSet::new(),
            ever_known: BTreeSet::new(),
            accounts: BTreeMap::new(),
            claims: Claims::default(),
            campaigns: liars::Campaigns::default(),
            records: Vec::new(),
            last: Vec::new(),
            ids: vec![OWN],
            bootstraps: BTreeSet::new(),
            digest: 0xCBF2_9CE4_8422_2325,
        };
        history.play();
        history.digest
    }

    fn play(&mut self) {
        for _ in 0..STEPS {
            if self.input.is_empty() {
                break;
            }
            let step = self.input.byte();
            self.step(step);
            if step & 0x80 == 0 {
                self.drain();
            }
            if step & 0x40 == 0 {
                self.events();
            }
            self.check();
        }
        self.end();
    }

    fn step(&mut self, step: u8) {
        match step % 16 {
            _ if step & 0x38 == 0x38 => self.lie(step % 8),
            0 => self.wait(),
            1 | 2 => self.ask(),
            3..=5 => self.respond_to_one(),
            6 | 7 => self.respond_to_all(),
            8 => self.bootstrap(),
            9 => self.find(),
            10 => self.get(),
            11 => self.put(),
            12 => self.end_operation(),
            13 => self.restore(),
            14 => self.garbage(),
            _ => self.odd_call(),
        }
    }

    fn wait(&mut self) {
        let due = self.node.poll_timeout().map_or(self.now, |(at, _)| at);
        let now = match self.input.below(8) {
            0 | 1 => self.now.max(due),
            2 => self.now + Duration::from_micros(number(&mut self.input)),
            3 => Instant::from_micros(self.now.as_micros().saturating_sub(number(&mut self.input))),
            4 => Instant::from_micros(due.as_micros().saturating_sub(1)),
            5 => self.now + Duration::from_secs(5 * 60),
            6 => self.now + Duration::from_secs(60 * 60),
            _ => self.now + Duration::from_millis(100),
        };
        self.now = now.min(LAST);
        self.latest = self.latest.max(self.now);
        if self.input.once_in(4) {
            return;
        }
        self.node.handle_timeout(self.now);
    }

    /// Makes a call at an odd moment.
    fn odd_call(&mut self) {
        match self.input.below(4) {
            0 => {
                let to = self.peer().address;
                self.node.handle_unreachable(self.now, to);
            }
            1 => {
                let mut buf = [0; wire::MAX_DATAGRAM];
                let len = self.input.pick(&[0, 60, 126, 127, 200]);
                if let Some(out) = self.node.poll_transmit(self.now, &mut buf[..len]) {
                    assert!(len >= wire::MIN_DATAGRAM && out.len <= len);
                    self.sent(out.to, &buf[..out.len]);
                }
            }
            2 => {
                for query in &self.ended {
                    self.node.cancel(*query);
                    assert!(
                        self.node.take_result(*query).is_none() && self.node.progress(*query).is_none(),
                        "the operation had ended"
                    );
                }
            }
            _ => self.node.handle_timeout(self.now),
        }
    }

    /// Gives the node a datagram, and checks that it does only what it may do.
    fn receive(&mut self, from: SocketAddrV4, datagram: &[u8]) {
        let message = wire::decode::<SocketAddrV4>(datagram);
        if let Ok(Message { header, body: Body::Response { .. } }) = message
            && self.asked.contains_key(&(from, header.transaction.0))
        {
            self.responded.insert((header.sender, from));
        }
        if message.is_ok_and(|message| self.is_ambiguous(from, &message)) {
            return;
        }
        let mut buf = [0; wire::MAX_DATAGRAM];
        let room = if !self.campaigns.under_way && self.input.once_in(16) { self.input.below(160) } else { buf.len() };
        let (before, id) = (*self.node.stats(), self.node.id());
        let out = self.node.handle_datagram(self.now, from, datagram, &mut buf[..room]);
        let response = out.map(|out| &buf[..out.len]);
        match message {
            Ok(Message { header, .. })
                if header.geometry != R::Geometry::TAG || header.network != self.config.network =>
            {
                let wrong_geometry = header.geometry != R::Geometry::TAG;
                self.dropped(datagram, response, before, |stats| {
                    *(if wrong_geometry { &mut stats.wrong_geometry } else { &mut stats.wrong_network }) += 1;
                });
            }
            Ok(Message { header, body: Body::Request { largest, token, ref request, .. } }) => {
                let requester = Contact::new(header.sender, from);
                let proved = token.is_some_and(|token| self.tokens.contains(&(requester, token)));
                let account = self.accounts.entry(from).or_default();
                if proved {
                    account.proved += 1;
                } else {
                    account.bytes_in += datagram.len();
                }
                let Some(response) = response else {
                    return;
                };
                assert_eq!(out.map(|out| out.to), Some(from), "a response goes to the requester only");
                if !proved {
                    assert!(
                        response.len() <= 3 * datagram.len(),
                        "{} bytes for {}: {request:?}",
                        response.len(),
                        datagram.len()
                    );
                    account.bytes_out += response.len();
                }
                assert!(self.config.serve);
                assert!(
                    response.len() <= room
                        && response.len() <= usize::from(largest)
                        && response.len() + wire::SEAL <= self.config.max_datagram
                );
                let Ok(Message {
                    header: Header { sender, transaction, .. },
                    body: Body::Response { token, response: decoded },
                }) = wire::decode::<SocketAddrV4>(response)
                else {
                    panic!("the reply to a request must be a response");
                };
                assert_eq!((sender, transaction), (id, header.transaction));
                assert!(proved || !matches!(decoded, Response::Stored { .. }), "a store needs a valid token");
                if header.sender == id {
                    assert!(matches!(decoded, Response::Error { code: ErrorCode::Token, .. }));
                    return;
                }
                self.tokens.push((requester, token));
                let previous = relaying::PreviousHop { contact: requester, transaction, largest, len: datagram.len() };
                self.check_response(&previous, proved, request, &decoded);
                self.check_naming(from, &decoded);
                self.add_to_digest(response);
            }
            Ok(Message { header, body: Body::Response { response: ref arrived, .. } }) => {
                let accepted = self.node.stats().responses_received > before.responses_received;
                if let Response::Nodes { contacts }
                | Response::Held { contacts, .. }
                | Response::Value { contacts, .. }
                | Response::Relayed { contacts, .. } = arrived
                {
                    for contact in contacts.iter().filter(|contact| contact.id == id) {
                        self.accounts.entry(contact.address).or_default().named_as_own += 1;
                    }
                }
                self.check_arrived_response(
                    from,
                    header.transaction,
                    accepted.then_some(arrived),
                    room,
                    out.map(|out| out.to).zip(response),
                );
            }
            Err(wire::DecodeError::Version(_)) => {
                self.dropped(datagram, response, before, |stats| stats.wrong_version += 1)
            }
            Err(_) => self.dropped(datagram, response, before, |stats| stats.malformed += 1),
        }
    }

    /// Checks that a datagram caused no response and changed only the counters that `count` names.
    fn dropped(&self, datagram: &[u8], response: Option<&[u8]>, before: Stats, count: impl Fn(&mut Stats)) {
        let mut expected = before;
        expected.received += 1;
        expected.received_bytes += datagram.len() as u64;
        count(&mut expected);
        assert_eq!((response, *self.node.stats()), (None, expected));
    }

    /// Checks the node's identifier: it changes only to one that is bound to an address.
    fn note_id(&mut self) {
        let id = self.node.id();
        if self.ids.last() != Some(&id) {
            assert!(
                self.config.bind_ids
                    && self.config.serve
                    && (0..peers::PEERS).any(|n| id.is_bound(&peer(n, &self.config).address))
            );
            self.ids.push(id);
        }
    }

    /// Does what an event loop does, until nothing is due.
    fn drain(&mut self) {
        let mut buf = [0; wire::MAX_DATAGRAM];
        for _ in 0..8 {
            let mut datagrams = 0;
            while let Some(out) = self.node.poll_transmit(self.now, &mut buf) {
                datagrams += 1;
                assert!(
                    datagrams <= REQUESTS + RELAYS,
                    "more datagrams than requests in flight and relay requests without a response"
                );
                self.sent(out.to, &buf[..out.len]);
            }
            if self.node.poll_timeout().is_none_or(|(at, _)| at > self.now) {
                self.node.handle_timeout(self.now);
                assert!(
                    self.node.poll_transmit(self.now, &mut buf).is_none(),
                    "a datagram waited, but poll_timeout did not say so"
                );
                return;
            }
            self.node.handle_timeout(self.now);
        }
        panic!("the loop never ends at {:?}: {:?}", self.now, self.node.poll_timeout());
    }

    /// Checks a datagram that the node sends: a request, or a response to one that it forwarded.
    fn sent(&mut self, to: SocketAddrV4, datagram: &[u8]) {
        self.note_id();
        assert!(datagram.len() + wire::SEAL <= self.config.max_datagram);
        let Ok(Message { header, body }) = wire::decode::<SocketAddrV4>(datagram) else {
            panic!("poll_transmit must give a message");
        };
        assert_eq!((header.sender, header.geometry), (self.node.id(), R::Geometry::TAG));
        let Body::Request { request, .. } = body else {
            return self.check_sent_back(to, datagram);
        };
        let (first, mut relay) = (!self.asked.contains_key(&(to, header.transaction.0)), None);
        let about = match request {
            Request::Ping => About::Presence,
            Request::FindNode { target } => About::Nodes(target),
            Request::FindValue { key, .. } => About::Value(key),
            Request::Store { record, .. } => {
                assert!(record.check().is_ok() && record.verify(0, VERIFY) && self.supports(record.kind()));
                About::Store
            }
            Request::Relay { relay_id, target, .. } => {
                relay = Some(self.check_forwarded(to, header.transaction, &request, datagram.len()));
                About::Relay(relay_id, target)
            }
            Request::Unknown { .. } => panic!("a node sends no request of an unknown kind"),
        };
        if first {
            let account = self.accounts.entry(to).or_default();
            let proved = self.responded.iter().any(|(_, address)| *address == to);
            account.pings += usize::from(matches!(about, About::Presence) && !proved && !self.bootstraps.contains(&to));
            account.forwarded += usize::from(relay.is_some());
        }
        self.asked.insert((to, header.transaction.0), relay);
        self.requests.push(SentRequest { to, transaction: header.transaction, about });
        self.add_to_digest(datagram);
    }

    fn events(&mut self) {
        for _ in 0..OPERATIONS + RELAYS + 3 {
            match self.node.poll_event() {
                None => return,
                Some(Event::Finished(result)) => {
                    check_result(&result, &mut self.operations, &self.config);
                    self.claims.check_outcome(&result, &self.responded);
                    self.ended.push(result.query);
                }
                Some(Event::Forwarded { target, .. }) => {
                    assert!(self.relays.iter().any(|relay| *relay.target.id() == target))
                }
                Some(event) => self.claims.check_event(&event, &self.responded, &self.ids),
            }
        }
        panic!("events without end");
    }

    fn check(&mut self) {
        self.check_calls();
        self.note_id();
        let peers = || self.node.routing().peers();
        assert!(peers().count() <= CONTACTS);
        self.ever_known.extend(peers().map(|peer| peer.contact.address));
        for peer in peers().filter(|peer| peer.state == ContactState::Verified) {
            assert!(
                self.responded.contains(&(peer.contact.id, peer.contact.address)),
                "{:?} is verified, but never responded",
                peer.contact
            );
        }
        let store = self.node.store();
        assert!(store.len() <= RECORDS && store.bytes() <= BYTES);
        for slot in 0..store.len() {
            let held = store.get(slot).expect("slots have no gaps");
            assert!(held.stored.check().is_ok() && held.key == held.stored.key());
        }
        for (to, account) in &self.accounts {
            let caused = account.commanded + account.proved + account.forwarded + account.named_as_own;
            let asked_back = account.pings.saturating_sub(caused);
            assert!(
                account.bytes_out + 38 * asked_back <= 3 * account.bytes_in,
                "amplification toward {to}: {account:?}"
            );
        }
        self.check_relays();
    }

    /// Lets all operations end, then handles what is due in ever later steps.
    fn end(&mut self) {
        self.drain();
        for endless in self.operations.extract_if(.., |running| running.deadline > LAST) {
            self.node.cancel(endless.query);
        }
        let last = self.operations.iter().map(|running| running.deadline).max();
        self.now = self.now.max(last.unwrap_or(self.now));
        self.node.handle_timeout(self.now);
        self.drain();
        self.events();
        assert!(self.operations.is_empty(), "every operation ends by its time limit");
        if RELAYS > 0 {
            self.now = self.latest.max(self.now) + Duration::from_secs(5 * 60);
            self.node.handle_timeout(self.now);
            self.drain();
            self.check_relays_ended();
        }
        for _ in 0..16 {
            let Some((at, _)) = self.node.poll_timeout() else {
                return;
            };
            self.now = self.now.max(at);
            self.drain();
            self.events();
            self.check();
        }
    }

    fn add_to_digest(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.digest = (self.digest ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01B3);
        }
    }

    fn peer(&mut self) -> Contact4 {
        peer(self.input.byte(), &self.config)
    }

    fn target(&mut self) -> Id {
        match self.input.byte() {
            0xFF => OWN,
            number => id_near(number),
        }
    }

    /// A record that was used before, or a new one.
    fn record(&mut self) -> Parts {
        let index = self.input.below(16);
        let known = self.records.len();
        match index < known.min(8) {
            true => self.records.remove(known - 1 - index),
            false => peers::record(&mut self.input),
        }
    }

    fn supports(&self, kind: Kind) -> bool {
        match kind {
            Kind::Plain => self.config.plain,
            Kind::Immutable => true,
            Kind::Signed => self.config.verify.is_some(),
        }
    }
}

/// Checks an operation's result, and takes the operation off the list of those that run.
fn check_result(result: &QueryResult<'_, SocketAddrV4>, operations: &mut Vec<Operation>, config: &Config) {
    let index = operations.iter().position(|running| running.query == result.query);
    let ended = operations.remove(index.expect("an operation ends once"));
    match &result.outcome {
        Outcome::Value { record, holders, .. } => {
            assert_eq!(Target::Value(record.key()), ended.seeks);
            assert!(record.check().is_ok() && record.verify(0, config.verify.unwrap_or(VERIFY)));
            assert!(holders.len() <= SHORTLIST);
        }
        Outcome::NotFound { closest } => assert!(ended.gets() && closest.len() <= SHORTLIST),
        Outcome::Nodes(found) | Outcome::Joined { neighbours: found } | Outcome::Stored { holders: found, .. } => {
            assert!(!ended.gets() && found.len() <= SHORTLIST);
            // Its identifier may have been another one meanwhile.
            assert!(config.bind_ids || found.iter().all(|contact| contact.id != OWN));
        }
        _ => {}
    }
}
