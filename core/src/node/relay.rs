//! Recursive lookups: a question is passed on from node to node, and its answer carried back the way it came.
//!
//! ```text
//!          relay            relay            relay
//!  asker  ------->  hop 1  ------->  hop 2  ------->  hop 3: knows nobody nearer, or holds the record
//!         <-------         <-------         <-------
//!         accepted         accepted         relayed: the record, or the k closest
//!         <----------------<----------------
//!         relayed          relayed
//! ```
//!
//! Each node asks the best of those its table would pass the question on to, twice, and the next best if no acknowledgement comes
//! within the timeout that its round trips suggest; the first answer counts. With nobody left it answers for itself, without those who
//! were silent, or by `Busy` where one of them was: another way leads further. What an asker's own lookup keeps here is the same as what is kept for another, but for whom the answer is for.
//!
//! What bounds it: a question is taken only with a valid token, so only from whom receives what is sent to its address, and is
//! answered only there. It leaves as large as it came in, but for a token of 8 bytes, and to at most [`TRIES`] nodes. It is
//! passed on by [`MOST_HOPS`] nodes at most, each of them nearer to the target by its own table than the one before, within [`TIME`]. Questions
//! under way have a fixed table and take at most half of the request slots; more are answered by `Busy`. A question that comes
//! again from the same previous node is acknowledged again, from another it has gone in a circle.

use core::time::Duration;

use heapless::Vec;

use super::operation::{Recursion, Task};
use super::question::Owner;
use super::serve::Asked;
use super::{MAX_NAMED, Node, Transmit, seconds};
use crate::record::{Key, Kind, Record};
use crate::routing::Routing;
use crate::store::Store;
use crate::wire::{self, Answer, Body, Contacts, ErrorCode, Message, Question, Request, Target, Token, Transaction};
use crate::{Address, Contact, Geometry, Id, Instant, array};

/// How many nodes a question is passed on by at most.
const MOST_HOPS: u8 = 32;
/// How long a question may take at most, with all that come after it.
const TIME: Duration = Duration::from_secs(10);
/// How many are tried by one node, and how often each is asked.
const TRIES: usize = 8;
const ATTEMPTS: u8 = 2;
/// Tokens kept for each question that may be under way.
const WAYS: usize = 8;

/// Questions under way, and the tokens that others gave last, to pass questions on with.
#[derive(Debug)]
pub(super) struct Relays<A, const N: usize> {
    slots: [Relay<A>; N],
    /// By the end of the identifier, the latest first.
    tokens: [[Known; WAYS]; N],
}

#[derive(Debug)]
struct Relay<A> {
    stage: Stage,
    question: Question,
    key: Key,
    /// Whether nodes are looked for, not the record under the key.
    nodes: bool,
    previous: Previous<A>,
    /// How often it may be passed on from here.
    hops: u8,
    deadline: Instant,
    /// To whom it was passed on.
    tried: Vec<Id, TRIES, u8>,
    /// Which of them answered, even if they refused, a bit each.
    answered: u8,
    /// Whether one of them had it from elsewhere, or no room for it: who comes later may know better than this node.
    busy: bool,
    /// How many of them may answer yet.
    waiting: u8,
    /// How often one of them was asked again with a fresh token.
    renewed: u8,
    /// Whether the user is to be told that it was passed on.
    news: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Stage {
    Idle,
    /// Somebody is being asked, or passes it on.
    Passed,
    /// Nobody is left to ask: to be answered by this node itself.
    Last,
}

/// Who asked.
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
enum Previous<A> {
    /// The operation in this slot.
    Own { slot: u8 },
    /// Another node.
    Hop(Hop<A>),
}

/// A node that asked, and is to be answered.
#[derive(Clone, Copy, Debug)]
struct Hop<A> {
    contact: Contact<A>,
    transaction: Transaction,
    largest: u16,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    id: u32,
    token: Token,
}

/// A question as it came in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Passing {
    pub(super) question: Question,
    pub(super) target: Target,
    pub(super) hops: u8,
    pub(super) time: u16,
}

impl<A: Address> Relay<A> {
    const EMPTY: Self = Self {
        stage: Stage::Idle,
        question: Question([0; 8]),
        key: Key { kind: Kind::Plain, id: Id::ZERO },
        nodes: false,
        previous: Previous::Own { slot: 0 },
        hops: 0,
        deadline: Instant::ZERO,
        tried: Vec::new(),
        answered: 0,
        busy: false,
        waiting: 0,
        renewed: 0,
        news: false,
    };
}

impl<A: Address, const N: usize> Relays<A, N> {
    pub(super) const EMPTY: Self = Self { slots: [const { Relay::EMPTY }; N], tokens: [[Known { id: 0, token: Token([0; 8]) }; WAYS]; N] };

    pub(super) fn clear(&mut self) {
        *self = Self::EMPTY;
    }

    /// Remembers the token that a node gave; the oldest of those that share its place is forgotten.
    pub(super) fn note_token(&mut self, id: &Id, token: Token) {
        let (place, id) = place::<N>(id);
        if let Some(known) = self.tokens.get_mut(place) {
            let at = known.iter().position(|known| known.id == id).unwrap_or(WAYS - 1);
            known[..=at].rotate_right(1);
            known[0] = Known { id, token };
        }
    }

    /// The token that a node gave last, if it is remembered.
    pub(super) fn token(&self, id: &Id) -> Option<Token> {
        let (place, id) = place::<N>(id);
        let known = self.tokens.get(place)?.iter().find(|known| known.id == id && known.token != Token::default())?;
        Some(known.token)
    }

    /// The question in this slot was sent.
    pub(super) fn passed_on(&mut self, index: u8) {
        if let Some(relay) = self.slots.get_mut(usize::from(index)) {
            relay.news = true;
        }
    }

    /// A question that was passed on since this was asked before: what it looks for, and to whom.
    pub(super) fn news(&mut self) -> Option<(Id, Id)> {
        let relay = self.slots.iter_mut().find(|relay| relay.news)?;
        relay.news = false;
        Some((relay.key.id, *relay.tried.last()?))
    }

    /// Where an operation's question is kept.
    pub(super) fn of_operation(&self, slot: u8) -> Option<u8> {
        let own = |relay: &Relay<A>| relay.stage != Stage::Idle && matches!(relay.previous, Previous::Own { slot: own } if own == slot);
        Some(self.slots.iter().position(own)? as u8)
    }

    pub(super) fn free(&mut self, index: u8) {
        if let Some(relay) = self.slots.get_mut(usize::from(index)) {
            relay.stage = Stage::Idle;
            relay.news = false;
        }
    }

    /// Whether an answer waits to be sent.
    pub(super) fn has_answer(&self) -> bool {
        self.slots.iter().any(|relay| relay.stage == Stage::Last)
    }

    fn get(&self, index: u8) -> Option<&Relay<A>> {
        self.slots.get(usize::from(index)).filter(|relay| relay.stage != Stage::Idle)
    }

    fn get_mut(&mut self, index: u8) -> Option<&mut Relay<A>> {
        self.slots.get_mut(usize::from(index)).filter(|relay| relay.stage != Stage::Idle)
    }

    /// Keeps a question. A quarter of the slots is kept for the own ones.
    fn keep(&mut self, passing: &Passing, previous: Previous<A>, deadline: Instant) -> Option<u8> {
        let kept = if matches!(previous, Previous::Own { .. }) { 0 } else { N / 4 };
        let index = self.slots.iter().enumerate().filter(|(_, relay)| relay.stage == Stage::Idle).nth(kept)?.0;
        let relay = self.slots.get_mut(index)?;
        relay.stage = Stage::Passed;
        relay.question = passing.question;
        (relay.key, relay.nodes) = match passing.target {
            Target::Nodes(id) => (Key { kind: Kind::Plain, id }, true),
            Target::Value(key) => (key, false),
        };
        relay.previous = previous;
        relay.hops = passing.hops.min(MOST_HOPS);
        relay.deadline = deadline;
        relay.tried.clear();
        relay.answered = 0;
        relay.busy = false;
        relay.waiting = 0;
        relay.renewed = 0;
        relay.news = false;
        Some(index as u8)
    }
}

impl<
    R: Routing,
    S: Store,
    const LOOKUPS: usize,
    const SHORTLIST: usize,
    const VALUES: usize,
    const REQUESTS: usize,
    const SOURCES: usize,
    const BOOTSTRAPS: usize,
    const RELAYS: usize,
> Node<R, S, LOOKUPS, SHORTLIST, VALUES, REQUESTS, SOURCES, BOOTSTRAPS, RELAYS>
{
    /// Answers a question that is to be passed on, and passes it on, unless it ends here.
    pub(super) fn answer_relay(
        &mut self,
        asked: &Asked<'_, R::Address>,
        proved: bool,
        token: Token,
        passing: &Passing,
        buf: &mut [u8],
    ) -> Option<usize> {
        let answer = match self.take_question(asked, proved, passing) {
            Ok(true) => Answer::Accepted,
            Ok(false) => {
                let hop = hop(asked);
                return self.encode_last(asked.now, &hop, passing.target, &[], buf);
            }
            Err(code) => Answer::Error { code, detail: 0 },
        };
        self.reply(asked, token, answer, buf)
    }

    /// Takes a question in to pass it on; false if it ends here.
    fn take_question(&mut self, asked: &Asked<'_, R::Address>, proved: bool, passing: &Passing) -> Result<bool, ErrorCode> {
        if RELAYS == 0 {
            return Err(ErrorCode::Unsupported);
        }
        if !proved {
            return Err(ErrorCode::Token);
        }
        let hop = hop(asked);
        if let Some(relay) = self.relays.slots.iter_mut().find(|relay| relay.stage != Stage::Idle && relay.question == passing.question) {
            match &mut relay.previous {
                Previous::Hop(previous) if previous.contact == hop.contact => *previous = hop,
                _ => {
                    self.stats.busy += 1;
                    return Err(ErrorCode::Busy);
                }
            }
            return Ok(true);
        }
        let ends_here = matches!(passing.target, Target::Value(key) if self.holds(asked.now, &key));
        if ends_here || self.next_hop(&passing.target, passing.hops, &[], &hop.contact.id).is_none() {
            return Ok(false);
        }
        let deadline = asked.now + Duration::from_millis(u64::from(passing.time)).min(TIME);
        let begun = match self.requests.free() > REQUESTS / 2 {
            true => self.relays.keep(passing, Previous::Hop(hop), deadline),
            false => None,
        };
        let Some(index) = begun else {
            self.stats.busy += 1;
            return Err(ErrorCode::Busy);
        };
        self.stats.passed_on += 1;
        if !self.pass_on(asked.now, index) {
            self.relays.free(index);
            return Ok(false);
        }
        Ok(true)
    }

    /// Asks a lookup's question recursively, if it is to and hasn't yet.
    pub(super) fn begin_recursion(&mut self, now: Instant, slot: u8) {
        let Some(operation) = self.operations.get_mut(usize::from(slot)).filter(|operation| operation.tally.recursion == Recursion::Wanted)
        else {
            return;
        };
        operation.tally.recursion = Recursion::FellBack;
        let target = match operation.task {
            Task::Get => Target::Value(operation.key),
            _ => Target::Nodes(operation.lookup.target()),
        };
        // What is left must do for an iterative lookup.
        let time = TIME.min(operation.deadline.since(now) / 3);
        let question = Question(self.random.next().to_be_bytes());
        let passing = Passing { question, target, hops: MOST_HOPS, time: 0 };
        let Some(index) = self.relays.keep(&passing, Previous::Own { slot }, now + time) else {
            return;
        };
        let ends_here = self.next_hop(&target, MOST_HOPS, &[], &Id::ZERO).is_none();
        let asked = !ends_here && self.pass_on(now, index);
        if !asked {
            self.relays.free(index);
        }
        if let Some(operation) = self.operations.get_mut(usize::from(slot)) {
            operation.tally.recursion = match (asked, ends_here) {
                (true, _) => Recursion::Asking,
                (false, true) => Recursion::Over,
                (false, false) => Recursion::FellBack,
            };
        }
    }

    /// Until when a question waits for the rest of its answer, once it was acknowledged; `None` if nothing follows an answer to it.
    pub(super) fn waits_until(&self, owner: Owner) -> Option<Instant> {
        match owner {
            Owner::Relay { relay } => Some(self.relays.get(relay)?.deadline),
            _ => None,
        }
    }

    /// What a question that is passed on says. It leaves the next node a round trip less than there is.
    pub(super) fn relay_request(&self, now: Instant, index: u8) -> Option<Request<'static>> {
        let relay = self.relays.get(index)?;
        let trip = self.table.get(relay.tried.last()?).and_then(|peer| peer.rtt).unwrap_or(self.config.timeout_min);
        let left = relay.deadline.since(now).checked_sub(trip).filter(|left| left.as_millis() > 0)?;
        let target = if relay.nodes { Target::Nodes(relay.key.id) } else { Target::Value(relay.key) };
        let time = u16::try_from(left.as_millis()).unwrap_or(u16::MAX);
        Some(Request::Relay { question: relay.question, target, hops: relay.hops.checked_sub(1)?, time })
    }

    /// The next hop answered: its acknowledgement, what the question came to, or a refusal. Says what to send to the previous one.
    pub(super) fn relay_answered(
        &mut self,
        now: Instant,
        index: u8,
        from: Contact<R::Address>,
        answer: &Answer<'_, R::Address>,
        buf: &mut [u8],
    ) -> Option<Transmit<R::Address>> {
        let relay = self.relays.get_mut(index)?;
        match *answer {
            Answer::Accepted => {}
            Answer::Relayed { hops, found, contacts } => {
                let (previous, key) = (relay.previous, relay.key);
                self.relays.free(index);
                self.requests.release(|owner| *owner == Owner::Relay { relay: index });
                let hops = hops.saturating_add(1);
                match previous {
                    Previous::Own { slot } => self.recursed(now, slot, from, hops, found, contacts),
                    Previous::Hop(hop) => {
                        let len = self.encode_passed(now, &hop, &key.id, from, hops, found, contacts, buf)?;
                        self.stats.sent += 1;
                        self.stats.sent_bytes += len as u64;
                        return Some(Transmit { to: hop.contact.address, len });
                    }
                }
            }
            Answer::Error { code: ErrorCode::Token, .. } if usize::from(relay.renewed) < relay.tried.len() => {
                relay.renewed += 1;
                if !self.ask(Owner::Relay { relay: index }, from.address, Some(from.id), Some(ATTEMPTS)) {
                    self.relay_failed(now, index);
                }
            }
            _ => {
                let place = relay.tried.iter().position(|tried| *tried == from.id);
                relay.answered |= place.map_or(0, |place| 1 << place);
                relay.busy |= matches!(answer, Answer::Error { code: ErrorCode::Busy, .. });
                self.relay_failed(now, index);
            }
        }
        None
    }

    /// The next hop does not answer, or refuses: another may.
    pub(super) fn relay_failed(&mut self, now: Instant, index: u8) {
        if let Some(relay) = self.relays.get_mut(index) {
            relay.waiting = relay.waiting.saturating_sub(1);
        }
        self.relay_slow(now, index);
    }

    /// The next hop has not answered yet: passes the question on to another. If nobody is left or waited for, answers it.
    pub(super) fn relay_slow(&mut self, now: Instant, index: u8) {
        if self.pass_on(now, index) {
            return;
        }
        let Some(relay) = self.relays.get_mut(index).filter(|relay| relay.waiting == 0) else {
            return;
        };
        relay.stage = Stage::Last;
        if let Previous::Own { slot } = relay.previous {
            self.relays.free(index);
            if let Some(operation) = self.operations.get_mut(usize::from(slot)) {
                operation.tally.recursion = Recursion::FellBack;
            }
            self.requests_freed = true;
        }
    }

    /// Answers the next question that nobody else is left to answer.
    pub(super) fn answer_relayed(&mut self, now: Instant, buf: &mut [u8]) -> Option<Transmit<R::Address>> {
        while let Some(index) = self.relays.slots.iter().position(|relay| relay.stage == Stage::Last) {
            if buf.len() < wire::MIN_DATAGRAM {
                self.stats.small_buffers += 1;
                return None;
            }
            let relay = self.relays.slots.get(index)?;
            let len = match relay.previous {
                Previous::Own { .. } => None,
                Previous::Hop(hop) if relay.busy => {
                    let answer = Answer::Error { code: ErrorCode::Busy, detail: 0 };
                    self.encode_to(now, &hop, answer, buf).map(|len| Transmit { to: hop.contact.address, len })
                }
                Previous::Hop(hop) => {
                    let answered = |place: usize| relay.answered >> place & 1 == 1;
                    let silent = relay.tried.iter().enumerate().filter(|(place, _)| !answered(*place)).map(|(_, id)| *id);
                    let silent: Vec<Id, TRIES> = silent.collect();
                    let len = self.encode_last(now, &hop, Target::Nodes(relay.key.id), &silent, buf);
                    len.map(|len| Transmit { to: hop.contact.address, len })
                }
            };
            self.relays.free(index as u8);
            if let Some(transmit) = len {
                self.stats.sent += 1;
                self.stats.sent_bytes += transmit.len as u64;
                return Some(transmit);
            }
        }
        None
    }

    /// One to whom a question couldn't be passed on is asked whether it is there: one datagram may have been lost.
    pub(super) fn check_silent(&mut self, address: R::Address, id: Id) {
        if self.requests.free() > REQUESTS / 2 {
            self.ask(Owner::Introduction, address, Some(id), None);
        }
    }

    /// Passes a question on to the best that is left; false if nobody is, or its time is over.
    fn pass_on(&mut self, now: Instant, index: u8) -> bool {
        let Some(relay) = self.relays.get(index).filter(|relay| relay.deadline > now) else {
            return false;
        };
        let previous = match relay.previous {
            Previous::Own { .. } => Id::ZERO,
            Previous::Hop(hop) => hop.contact.id,
        };
        let Some(next) = self.next_hop(&Target::Nodes(relay.key.id), relay.hops, &relay.tried, &previous) else {
            return false;
        };
        let Some(relay) = self.relays.get_mut(index) else {
            return false;
        };
        if relay.tried.push(next.id).is_err() {
            return false;
        }
        relay.waiting += 1;
        let asked = self.ask(Owner::Relay { relay: index }, next.address, Some(next.id), Some(ATTEMPTS));
        if let Some(relay) = self.relays.get_mut(index).filter(|_| !asked) {
            relay.waiting -= 1;
        }
        asked
    }

    /// The best to pass a question on to.
    fn next_hop(&self, target: &Target, hops: u8, tried: &[Id], previous: &Id) -> Option<Contact<R::Address>> {
        let mut named = const { [Contact::EMPTY; MAX_NAMED] };
        let count = self.table.toward(target.id(), &mut named);
        let fresh = |contact: &&Contact<R::Address>| contact.id != *previous && !tried.contains(&contact.id);
        named.get(..count)?.iter().find(fresh).copied().filter(|_| hops > 0)
    }

    fn holds(&self, now: Instant, key: &Key) -> bool {
        self.store.find(key).and_then(|slot| self.store.get(slot)).is_some_and(|held| held.notes.expires > now)
    }

    /// An answer to a question that ends here: the record, if it is asked for and held, and the k closest but those who were silent.
    fn encode_last(&self, now: Instant, hop: &Hop<R::Address>, target: Target, silent: &[Id], buf: &mut [u8]) -> Option<usize> {
        let held = match target {
            Target::Value(key) => self.store.find(&key).and_then(|slot| self.store.get(slot)).filter(|held| held.notes.expires > now),
            Target::Nodes(_) => None,
        };
        let record = held.map(|held| (held.record(now), seconds(held.notes.expires.since(now))));
        let mut named = const { [Contact::EMPTY; MAX_NAMED] };
        let count = self.table.closest(target.id(), &mut named);
        let named = named.get(..count)?.iter().filter(|contact| contact.id != hop.contact.id && !silent.contains(&contact.id));
        let contacts: Vec<_, MAX_NAMED> = named.take(usize::from(self.config.table.k)).copied().collect();
        self.encode_relayed(now, hop, 0, record, &contacts, buf)
    }

    /// An answer to a question that was passed on: what came back, and whom it came from.
    #[allow(clippy::too_many_arguments, reason = "the parts of one answer")]
    fn encode_passed(
        &mut self,
        now: Instant,
        hop: &Hop<R::Address>,
        target: &Id,
        from: Contact<R::Address>,
        hops: u8,
        found: Option<(Record<'_>, u32)>,
        named: Contacts<'_, R::Address>,
        buf: &mut [u8],
    ) -> Option<usize> {
        let k = usize::from(self.config.table.k);
        let mut contacts = Vec::<Contact<R::Address>, MAX_NAMED>::new();
        for named in named.iter().take(k) {
            if named.id != hop.contact.id && self.is_acceptable(from.address, &named) {
                let _ = contacts.push(named);
            }
        }
        // The last hop doesn't know its own address.
        if !contacts.iter().any(|contact| contact.id == from.id) {
            let rank = R::Geometry::rank(target, &from.id);
            let at = contacts.iter().position(|contact| R::Geometry::rank(target, &contact.id) > rank).unwrap_or(contacts.len());
            contacts.truncate(k.saturating_sub(1).max(at));
            array::insert(&mut contacts, at, from);
            contacts.truncate(k);
        }
        self.encode_relayed(now, hop, hops, found, &contacts, buf)
    }

    fn encode_relayed(
        &self,
        now: Instant,
        hop: &Hop<R::Address>,
        hops: u8,
        found: Option<(Record<'_>, u32)>,
        contacts: &[Contact<R::Address>],
        buf: &mut [u8],
    ) -> Option<usize> {
        let room = usize::from(hop.largest).min(self.config.largest_message()).min(buf.len());
        let found = found.filter(|(record, _)| wire::relayed_len(Some(record)) <= room);
        let beside = wire::relayed_len(found.as_ref().map(|(record, _)| record));
        let contacts = Contacts::fitting(contacts, (room + 1).saturating_sub(beside));
        self.encode_to(now, hop, Answer::Relayed { hops, found, contacts }, buf.get_mut(..room)?)
    }

    fn encode_to(&self, now: Instant, hop: &Hop<R::Address>, answer: Answer<'_, R::Address>, buf: &mut [u8]) -> Option<usize> {
        let token = self.tokens.make(now, &hop.contact.address, &hop.contact.id);
        wire::encode(&Message { header: self.header(hop.transaction), body: Body::Answer { token, answer } }, buf).ok()
    }

    /// The answer to an operation's question came back: a record that holds ends it, and so do nodes where nodes were looked for; otherwise those
    /// named are asked themselves.
    fn recursed(
        &mut self,
        now: Instant,
        slot: u8,
        from: Contact<R::Address>,
        hops: u8,
        found: Option<(Record<'_>, u32)>,
        contacts: Contacts<'_, R::Address>,
    ) {
        let Some(operation) = self.operations.get_mut(usize::from(slot)) else {
            return;
        };
        operation.tally.hops = hops;
        operation.tally.asked = operation.tally.asked.saturating_add(1);
        operation.tally.answered = operation.tally.answered.saturating_add(1);
        let finds_nodes = operation.task == Task::FindNode;
        operation.tally.recursion = if finds_nodes { Recursion::Relayed } else { Recursion::Over };
        operation.lookup.insert(from);
        if finds_nodes {
            operation.lookup.answered(&from.id, None);
        }
        for named in contacts.iter().take(usize::from(self.config.table.k)) {
            if !self.is_acceptable(from.address, &named) {
                continue;
            }
            if let Some(operation) = self.operations.get_mut(usize::from(slot)) {
                operation.lookup.relayed(named, hops);
                if finds_nodes {
                    operation.lookup.answered(&named.id, None);
                }
            }
        }
        if let Some((record, lifetime)) = found {
            self.relayed_value_found(now, slot, &record, lifetime);
        }
    }

    /// A record came back: of the same worth as one from a single holder, who isn't known.
    fn relayed_value_found(&mut self, now: Instant, slot: u8, record: &Record<'_>, lifetime: u32) {
        let before = self.operations.get(usize::from(slot)).and_then(|operation| operation.best(now));
        let nobody = self.table.own();
        self.value_found(now, slot, &nobody, record, lifetime);
        let Some(operation) = self.operations.get_mut(usize::from(slot)).filter(|operation| operation.task == Task::Get) else {
            return;
        };
        if operation.best(now).map(|best| best.digest) != before.map(|best| best.digest) {
            operation.tally.recursion = Recursion::Relayed;
        }
    }
}

const fn hop<A: Address>(asked: &Asked<'_, A>) -> Hop<A> {
    Hop { contact: Contact { id: asked.header.sender, address: asked.from }, transaction: asked.header.transaction, largest: asked.largest }
}

/// Where the token of a node is kept, and as what.
fn place<const N: usize>(id: &Id) -> (usize, u32) {
    let [.., a, b, c, d, e, f, g, h] = *id.as_bytes();
    let (place, id) = (u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h]));
    ((place as usize).checked_rem(N).unwrap_or(0), id)
}
