//! Claims: what a fuzzed node is only told, and a model of what that may change, which is nothing that matters.
//!
//! After each call, the model compares the node's records, verified contacts and identifier with those before it. Each
//! difference needs a command of the user or a proof: a valid record, a valid token, or a response to the node's own
//! request. What liars say is in the module `liars`.

use core::net::SocketAddrV4;
use std::collections::{BTreeMap, BTreeSet};

use kadlet::message::Response;
use kadlet::routing::ContactState;
use kadlet::store::Metadata;
use kadlet::wire::{self, Body, Message};
use kadlet::{
    Address, Dht, Event, Id, Instant, Key, Kind, Options, Outcome, QueryId, QueryResult, Record, Routing, Store,
};

use super::peers::OWN;
use super::record::VERIFY;
use super::{Contact4, History, Mote};

/// How many voters of different address prefixes must agree to change the external address, and in how many rounds.
const QUORUM: usize = 3;
const ROUNDS: usize = 3;

/// A version of a record: its value, and the sequence number if it is signed. An age changes, and is none.
type Edition = (Key, u64, u64);

fn edition(key: Key, version: kadlet::record::Version) -> Edition {
    (key, version.digest, if key.kind == Kind::Signed { version.number } else { 0 })
}

/// Proofs and commands, and what the node was like when it was seen last.
#[derive(Default)]
pub(super) struct Claims {
    seen: Seen,
    /// Valid records that came with a valid token or in a response to the node's own request.
    proofs: BTreeSet<Edition>,
    /// Keys of records that the user put, restored or withdrew since the node was seen last.
    commanded: BTreeSet<Key>,
    /// Keys whose last put was not to be published, or had a compare-and-swap: the node may remove its own copy.
    passing: BTreeSet<Key>,
    puts: Vec<(QueryId, Key)>,
    /// The responses since voters decided last that told the node's address: the responder's prefix and that address.
    votes: Vec<(u64, SocketAddrV4)>,
    /// Whether the table has had no verified contact since then.
    cut_off: bool,
}

/// What a node holds, knows and is called.
#[derive(Clone, Default)]
struct Seen {
    id: Option<Id>,
    records: BTreeMap<Key, Kept>,
    contacts: BTreeMap<Id, (SocketAddrV4, bool)>,
}

#[derive(Clone, Copy, PartialEq, Debug)]
struct Kept {
    edition: Edition,
    metadata: Metadata,
}

/// What happened since the node was seen last.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Cause {
    /// Commands, or the passage of time.
    Call,
    /// A request, perhaps with a token that the node gave to the requester.
    Request { proved: bool },
    /// A response to the node's own request.
    Response(Contact4),
    /// A response that the node did not accept.
    Unexpected(Contact4),
    /// A datagram that is no message.
    Malformed,
}

impl<R: Routing<Address = SocketAddrV4>, const RELAYS: usize> History<'_, R, RELAYS> {
    /// Gives the node a datagram, and checks what it changes.
    pub(super) fn deliver(&mut self, from: SocketAddrV4, datagram: &[u8]) {
        self.check_claims(Cause::Call);
        let responses = self.node.stats().responses_received;
        let message = wire::decode::<SocketAddrV4>(datagram);
        let cause = match &message {
            Ok(Message { header, body: Body::Request { token, request, .. } }) => {
                let requester = Contact4::new(header.sender, from);
                let proved = token.is_some_and(|token| self.tokens.contains(&(requester, token)));
                if let kadlet::message::Request::Store { record, .. } = request
                    && proved
                {
                    self.claims.note_proof(record);
                }
                Cause::Request { proved }
            }
            Ok(Message { header, body: Body::Response { .. } }) => Cause::Response(Contact4::new(header.sender, from)),
            Err(_) => Cause::Malformed,
        };
        self.receive(from, datagram);
        let accepted = self.node.stats().responses_received > responses;
        if let Ok(Message { body: Body::Response { response, .. }, .. }) = &message
            && accepted
        {
            self.claims.note_response(from, response);
        }
        self.check_claims(match cause {
            Cause::Response(from) if !accepted => Cause::Unexpected(from),
            cause => cause,
        });
    }

    /// Checks what commands and the passage of time have changed.
    pub(super) fn check_calls(&mut self) {
        self.check_claims(Cause::Call);
    }

    fn check_claims(&mut self, cause: Cause) {
        let after = Seen::of(&self.node);
        let before = core::mem::replace(&mut self.claims.seen, after.clone());
        self.claims.cut_off |= !after.contacts.values().any(|(_, verified)| *verified);
        self.claims.check_records(self.now, cause, &before, &after);
        self.check_contacts(cause, &before, &after);
        if before.id.is_some_and(|id| after.id != Some(id)) {
            self.check_identity(before.id.unwrap_or(Id::ZERO), self.node.id());
        }
        self.claims.commanded.clear();
    }

    /// A verified contact keeps its address, and no request and no foreign response takes its place away.
    fn check_contacts(&self, cause: Cause, before: &Seen, after: &Seen) {
        let known = |id: &Id, address| before.contacts.get(id) == Some(&(address, true));
        for (id, (address, _)) in before.contacts.iter().filter(|(_, (_, verified))| *verified) {
            let now = after.contacts.get(id).map(|(address, _)| address);
            assert!(now.is_none_or(|now| now == address), "{id:?} was moved from {address} to {now:?}: {cause:?}");
            let may_go = match cause {
                Cause::Call => true,
                // A new contact can take a place. When identifiers are bound, some seats may count no more.
                Cause::Response(from) => {
                    from.address == *address || !known(&from.id, from.address) || self.config.bind_ids
                }
                // The node at this address has another identifier now.
                Cause::Unexpected(from) => from.address == *address,
                Cause::Request { .. } | Cause::Malformed => false,
            };
            assert!(now.is_some() || may_go, "{id:?} at {address} was forgotten: {cause:?}");
        }
    }

    /// The identifier changes only for an address that enough voters see, or for a node that shows that it has the same
    /// identifier.
    fn check_identity(&mut self, before: Id, id: Id) {
        let bound = |address: &SocketAddrV4| address.prefix().is_some_and(|_| id.is_bound(address));
        let for_it: Vec<u64> =
            self.claims.votes.iter().filter(|(_, observed)| bound(observed)).map(|(voter, _)| *voter).collect();
        let voters = for_it.iter().collect::<BTreeSet<_>>().len();
        let first = self.claims.cut_off || before == OWN;
        let voted = if first { voters > 0 } else { voters >= QUORUM && for_it.len() >= QUORUM * ROUNDS };
        let shared = self.responded.iter().any(|(other, address)| *other == before && bound(address));
        assert!(voted || shared, "{before:?} became {id:?} for {:?}", self.claims.votes);
        if !shared {
            (self.claims.cut_off, self.claims.votes) = (false, Vec::new());
        }
    }

    /// Checks the contacts that a response of the node names: they have responded there.
    pub(super) fn check_naming(&self, to: SocketAddrV4, response: &Response<'_, SocketAddrV4>) {
        if let Response::Nodes { contacts }
        | Response::Held { contacts, .. }
        | Response::Value { contacts, .. }
        | Response::Relayed { hops: 0, contacts, .. } = response
        {
            for named in contacts.iter() {
                assert!(self.responded.contains(&(named.id, named.address)), "{named:?} never responded");
                assert!(named.address.scope() >= to.scope(), "{named:?} is named to {to}");
            }
        }
    }
}

impl Claims {
    /// The user puts a record, which the own store takes at once.
    pub(super) fn put(&mut self, record: &Record<'_>, options: &Options, query: Option<QueryId>) {
        let key = record.key();
        self.commanded.insert(key);
        if let Some(query) = query {
            self.puts.push((query, key));
            if options.publish && options.compare.is_none() {
                self.passing.remove(&key);
            } else {
                self.passing.insert(key);
            }
        }
    }

    /// The user restores a record, or withdraws one.
    pub(super) fn command(&mut self, key: Key) {
        self.commanded.insert(key);
    }

    /// A put that ends with a conflict has the proof of the other record, and nodes that it names have responded.
    pub(super) fn check_outcome(
        &self,
        result: &QueryResult<'_, SocketAddrV4>,
        responded: &BTreeSet<(Id, SocketAddrV4)>,
    ) {
        let named = match &result.outcome {
            Outcome::Conflict { holders, held } => {
                let put = self.puts.iter().rfind(|(query, _)| *query == result.query);
                let (_, key) = put.expect("only a put can conflict");
                assert!(
                    self.proofs.iter().any(|(of, _, number)| of == key && (key.kind != Kind::Signed || number == held)),
                    "no proof of {held} under {key:?}"
                );
                holders
            }
            Outcome::NotFound { closest } => closest,
            Outcome::Nodes(found)
            | Outcome::Joined { neighbours: found }
            | Outcome::Stored { holders: found, .. }
            | Outcome::Value { holders: found, .. } => found,
            _ => return,
        };
        assert!(
            result.stats.relayed || named.iter().all(|contact| responded.contains(&(contact.id, contact.address))),
            "a node is named that never responded there"
        );
    }

    /// Checks what an event claims: an own record lost only to one that is proved, never if it is immutable. A node
    /// that has the own identifier has responded.
    pub(super) fn check_event(
        &self,
        event: &Event<'_, SocketAddrV4>,
        responded: &BTreeSet<(Id, SocketAddrV4)>,
        ids: &[Id],
    ) {
        match event {
            Event::Superseded { key } => {
                assert!(
                    key.kind != Kind::Immutable && self.proofs.iter().any(|(of, ..)| of == key),
                    "no proof under {key:?}"
                );
            }
            Event::OwnIdSeen { address: of } => assert!(responded.iter().any(|(id, at)| at == of && ids.contains(id))),
            _ => {}
        }
    }

    fn note_proof(&mut self, record: &Record<'_>) {
        if record.check().is_ok() && record.verify(0, VERIFY) {
            self.proofs.insert(edition(record.key(), record.version()));
        }
    }

    fn note_response(&mut self, from: SocketAddrV4, response: &Response<'_, SocketAddrV4>) {
        match response {
            Response::Value { record, .. } | Response::Relayed { found: Some((record, _)), .. } => {
                self.note_proof(record);
            }
            Response::Pong { observed } => {
                self.votes.extend(from.prefix().map(|prefix| prefix.number()).zip(observed.address()));
            }
            _ => {}
        }
    }

    fn check_records(&self, now: Instant, cause: Cause, before: &Seen, after: &Seen) {
        if matches!(cause, Cause::Request { proved: false }) {
            return assert!(before.records == after.records, "a request without a token changed records");
        }
        let is_new = |held: &Kept| before.records.get(&held.edition.0).is_none_or(|old| old.edition != held.edition);
        for (key, held) in after.records.iter().filter(|(_, held)| is_new(held)) {
            assert!(
                self.commanded.contains(key) || self.proofs.contains(&held.edition),
                "nobody gave {held:?}: {cause:?}"
            );
        }
        let has_new = after.records.values().any(is_new);
        for (key, old) in before.records.iter().filter(|(key, _)| !self.commanded.contains(key)) {
            let same = after.records.get(key).filter(|held| held.edition == old.edition);
            let lost = self.proofs.iter().any(|proof| beats(proof, &old.edition));
            if let Some(held) = same {
                self.check_held(cause, old, held, lost);
                continue;
            }
            let expired = old.metadata.expires <= now;
            let evicted = has_new && !old.metadata.pinned;
            assert!(expired || lost || evicted || self.passing.contains(key), "{old:?} is gone for a claim: {cause:?}");
        }
    }

    /// Checks what changed about a record that is still held.
    fn check_held(&self, cause: Cause, old: &Kept, held: &Kept, lost: bool) {
        let (key, before, after) = (&held.edition.0, &old.metadata, &held.metadata);
        assert!(!before.pinned || after.pinned || lost || self.passing.contains(key), "{key:?} is published no more");
        assert!(before.pinned || !after.pinned, "{key:?} is published by nobody's command");
        if key.kind == Kind::Plain {
            // The same value with another age is another version.
            return;
        }
        assert!(before.expires <= after.expires, "the lifetime of {key:?} became shorter: {cause:?}");
        assert_eq!(before.source, after.source);
        let news = (before.last_replicated, before.claimed) != (after.last_replicated, after.claimed);
        let believed = after.claimed && !before.claimed && !before.pinned;
        match cause {
            Cause::Request { .. } => assert!(!news || believed, "{before:?}, then {after:?}: believed twice"),
            _ => assert!(!after.claimed || !news, "{before:?}, then {after:?}: nobody with a token said so"),
        }
    }
}

/// Whether a record of this edition can win over the other one. Of plain records, any can that has another value.
fn beats(proof: &Edition, held: &Edition) -> bool {
    let ((key, digest, number), (_, held_digest, held_number)) = (proof, held);
    *key == held.0
        && match key.kind {
            Kind::Plain => digest != held_digest,
            Kind::Immutable => false,
            Kind::Signed => (number, digest) > (held_number, held_digest),
        }
}

impl Seen {
    fn of<R: Routing<Address = SocketAddrV4>, const RELAYS: usize>(node: &Mote<R, RELAYS>) -> Self {
        let store = node.store();
        let held = (0..store.len()).filter_map(|slot| store.get(slot));
        let records = held.map(|held| {
            let edition = edition(held.key, held.stored_version);
            (held.key, Kept { edition, metadata: *held.metadata })
        });
        let contacts = node
            .routing()
            .peers()
            .map(|peer| (peer.contact.id, (peer.contact.address, peer.state == ContactState::Verified)));
        Self { id: Some(node.id()), records: records.collect(), contacts: contacts.collect() }
    }
}
