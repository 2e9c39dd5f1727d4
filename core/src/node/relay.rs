//! Recursive lookups: a question is passed on from node to node, and its answer carried back the way it came.
//!
//! ```text
//!          relay            relay            relay
//!  requester  ------->  hop 1  ------->  hop 2  ------->  hop 3: knows nobody nearer, or holds the record
//!         <-------         <-------         <-------
//!         accepted         accepted         relayed: the record, or the k closest
//!         <----------------<----------------
//!         relayed          relayed
//! ```
//!
//! Each node asks the best of those its table would pass the question on to, twice, and the next best if no acknowledgement comes
//! within the timeout that its round trips suggest; the first answer counts. With nobody left it answers for itself, without those who
//! were silent; or by `Busy` where one of them was, or where it could not ask all: another way leads further. What an asker's own lookup keeps is the same as what is
//! kept for another (`relays`), but for whom the answer is for.
//!
//! What bounds it: a question is taken only with a valid token, so only from whom receives what is sent to its address, and is
//! answered only there. It leaves as large as it came in, but for a token of 8 bytes, and to at most [`TRIES`] nodes. It is
//! passed on by [`MOST_HOPS`] nodes at most, each of them nearer to the target by its own table than the one before, within
//! [`TIME`]. Questions under way have a fixed table and take at most half of the request slots; more are answered by `Busy`. A question that comes
//! again from the same previous node is acknowledged again, from another it has gone in a circle.

use heapless::Vec;

use super::operation::{Recursion, Task};
use super::relays::{Hop, Passing, Previous, Relay, Said, TRIES, Tried};
use super::request::Purpose;
use super::serve::Asked;
use super::stats::count_up;
use super::{MAX_NAMED, Node, Transmit};
use crate::record::Record;
use crate::routing::Routing;
use crate::store::Store;
use crate::time::Micros;
use crate::wire::{self, Body, Contacts, ErrorCode, Message, RelayId, Request, Response, Target, Token};
use crate::{Address, Contact, Geometry, Id, Instant, array};

/// How many nodes a question is passed on by at most.
const MOST_HOPS: u8 = 32;
/// How long a question may take at most, with all that come after it.
const TIME: Micros = Micros::from_secs(10);
/// How often each next hop is asked.
const ATTEMPTS: u8 = 2;

/// What came back, and from whom.
struct Came<'a, A: Address> {
    from: Contact<A>,
    hops: u8,
    found: Option<(Record<'a>, u32)>,
    contacts: Contacts<'a, A>,
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
    pub(super) fn response_relay(
        &mut self,
        asked: &Asked<'_, R::Address>,
        proved: bool,
        token: Token,
        passing: &Passing,
        buf: &mut [u8],
    ) -> Option<usize> {
        let response = match self.take_request(asked, proved, passing) {
            Ok(true) => Response::Accepted,
            Ok(false) => {
                return self.encode_last(asked.now, &Hop::of(asked), passing.target, &[], buf);
            }
            Err(code) => Response::Error { code, detail: 0 },
        };
        self.reply(asked, token, response, buf)
    }

    /// Takes a question in to pass it on; false if it ends here.
    fn take_request(
        &mut self,
        asked: &Asked<'_, R::Address>,
        proved: bool,
        passing: &Passing,
    ) -> Result<bool, ErrorCode> {
        if RELAYS == 0 {
            return Err(ErrorCode::Unsupported);
        }
        if !proved {
            return Err(ErrorCode::Token);
        }
        let hop = Hop::of(asked);
        if let Some(relay) = self.relays.find(passing.relay_id) {
            if let Previous::Hop(previous) = &mut relay.previous
                && previous.contact == hop.contact
            {
                *previous = hop;
                return Ok(true);
            }
            count_up(&mut self.stats.busy);
            return Err(ErrorCode::Busy);
        }
        let holds = matches!(passing.target, Target::Value(key) if self.held(asked.now, &key).is_some());
        if holds || passing.hops == 0 || self.next_hop(passing.target.id(), &[], Some(&hop.contact.id)).is_none() {
            return Ok(false);
        }
        let passing =
            Passing { hops: passing.hops.min(MOST_HOPS), deadline: passing.deadline.min(asked.now + TIME), ..*passing };
        let room = self.requests.free() > REQUESTS / 2;
        let Some(index) = room.then(|| self.relays.keep(&passing, Previous::Hop(hop))).flatten() else {
            count_up(&mut self.stats.busy);
            return Err(ErrorCode::Busy);
        };
        if !self.pass_on(asked.now, index) {
            self.relays.free(index);
            count_up(&mut self.stats.busy);
            return Err(ErrorCode::Busy);
        }
        count_up(&mut self.stats.forwarded);
        Ok(true)
    }

    /// Asks a lookup's question recursively, if it is to and hasn't yet.
    pub(super) fn begin_recursion(&mut self, now: Instant, slot: u8) {
        let Some(operation) = self.operation(slot).filter(|operation| operation.tally.recursion == Recursion::Wanted)
        else {
            return;
        };
        let target = match operation.task {
            Task::Get => Target::Value(operation.key),
            _ => Target::Nodes(operation.lookup.target()),
        };
        // What is left must do for an iterative lookup.
        let deadline = now + TIME.min(Micros(operation.deadline.micros_since(now).0 / 3));
        let passing =
            Passing { relay_id: RelayId(self.random.next().to_be_bytes()), target, hops: MOST_HOPS, deadline };
        let recursion = if RELAYS == 0 {
            Recursion::FellBack
        } else if self.next_hop(target.id(), &[], None).is_none() {
            Recursion::Over
        } else if let Some(index) = self.relays.keep(&passing, Previous::Own { slot }) {
            let asked = self.pass_on(now, index);
            if !asked {
                self.relays.free(index);
            }
            if asked { Recursion::Asking } else { Recursion::FellBack }
        } else {
            Recursion::FellBack
        };
        if let Some(operation) = self.operation(slot) {
            operation.tally.recursion = recursion;
        }
    }

    /// Until when a question waits for the rest of its answer, once it was acknowledged; `None` if nothing follows an answer to it.
    pub(super) fn waits_until(&self, owner: Purpose) -> Option<Instant> {
        match owner {
            Purpose::Relay { relay } => Some(self.relays.get(relay)?.deadline),
            _ => None,
        }
    }

    /// What a question that is passed on says. It leaves the next node a round trip less than there is.
    pub(super) fn relay_request(&self, now: Instant, index: u8) -> Option<Request<'static>> {
        let relay = self.relays.get(index)?;
        let time = self.left_to(now, relay, &relay.tried.last()?.id)?;
        Some(Request::Relay {
            relay_id: relay.relay_id(),
            target: relay.target(),
            hops: relay.hops.checked_sub(1)?,
            time,
        })
    }

    /// How many milliseconds a next hop may take: a round trip less than there are. `None` if there is no point in asking it.
    fn left_to(&self, now: Instant, relay: &Relay<R::Address>, next: &Id) -> Option<u16> {
        let trip = self.table.get(next).and_then(|peer| peer.rtt).unwrap_or(self.config.timeout_min);
        let millis = relay.deadline.micros_since(now + trip).0 / 1_000;
        Some(u16::try_from(millis).unwrap_or(u16::MAX)).filter(|millis| *millis != 0)
    }

    /// The next hop answered: its acknowledgement, what the question came to, or a refusal. Says what to send to the previous one.
    pub(super) fn relay_responded(
        &mut self,
        now: Instant,
        index: u8,
        from: Contact<R::Address>,
        response: &Response<'_, R::Address>,
        buf: &mut [u8],
    ) -> Option<Transmit<R::Address>> {
        let relay = self.relays.get_mut(index)?;
        match *response {
            Response::Accepted => {}
            Response::Relayed { hops, found, contacts } => {
                let (previous, target) = (relay.previous, relay.target());
                self.relays.free(index);
                self.requests.release(|owner| *owner == Purpose::Relay { relay: index });
                let came = Came { from, hops: hops.saturating_add(1), found, contacts };
                match previous {
                    Previous::Own { slot } => self.recursed(now, slot, &came),
                    Previous::Hop(hop) => {
                        let len = self.encode_passed(now, &hop, target.id(), &came, buf)?;
                        return Some(self.count_sent(hop.contact.address, len));
                    }
                }
            }
            Response::Error { code: ErrorCode::Token, .. } if relay.renews(&from.id) => {
                if !self.ask(Purpose::Relay { relay: index }, from.address, Some(from.id), Some(ATTEMPTS)) {
                    self.relay_failed(now, index, &from.id, Said::Refused);
                }
            }
            Response::Error { code: ErrorCode::Busy, .. } => self.relay_failed(now, index, &from.id, Said::Busy),
            _ => self.relay_failed(now, index, &from.id, Said::Refused),
        }
        None
    }

    /// A next hop does not answer, or refuses: another may.
    pub(super) fn relay_failed(&mut self, now: Instant, index: u8, id: &Id, said: Said) {
        if let Some(relay) = self.relays.get_mut(index) {
            relay.says(id, said);
        }
        self.relay_slow(now, index);
    }

    /// A next hop has not answered yet: passes the question on to another. If nobody is left or waited for, answers it.
    pub(super) fn relay_slow(&mut self, now: Instant, index: u8) {
        if self.pass_on(now, index) {
            return;
        }
        let Some(relay) = self.relays.get_mut(index).filter(|relay| !relay.any(Said::Waiting)) else {
            return;
        };
        match relay.previous {
            Previous::Hop(_) => relay.end(),
            Previous::Own { slot } => {
                self.relays.free(index);
                if let Some(operation) = self.operation(slot) {
                    operation.tally.recursion = Recursion::FellBack;
                }
                self.requests_freed = true;
            }
        }
    }

    /// Answers the next question that nobody else is left to answer.
    pub(super) fn response_relayed(&mut self, now: Instant, buf: &mut [u8]) -> Option<Transmit<R::Address>> {
        while let Some(index) = self.relays.last() {
            if buf.len() < wire::MIN_DATAGRAM {
                count_up(&mut self.stats.small_buffers);
                return None;
            }
            let relay = self.relays.get(index)?;
            let responded = match relay.previous {
                Previous::Own { .. } => None,
                Previous::Hop(hop) if relay.any(Said::Busy) || self.may_go_on(relay) => {
                    let response = Response::Error { code: ErrorCode::Busy, detail: 0 };
                    self.encode_to(now, &hop, response, buf).map(|len| (hop.contact.address, len))
                }
                Previous::Hop(hop) => {
                    let silent = relay.tried.iter().filter(|tried| tried.said == Said::Silent).map(|tried| tried.id);
                    let silent: Vec<Id, TRIES> = silent.collect();
                    let nodes = Target::Nodes(*relay.target().id());
                    self.encode_last(now, &hop, nodes, &silent, buf).map(|len| (hop.contact.address, len))
                }
            };
            self.relays.free(index);
            if let Some((to, len)) = responded {
                return Some(self.count_sent(to, len));
            }
        }
        None
    }

    /// Whether there are more to pass a question on to than could be tried: then what this node knows is not where it ends.
    fn may_go_on(&self, relay: &Relay<R::Address>) -> bool {
        relay.tried.is_full() || self.next_hop(relay.target().id(), &relay.tried, relay.previous_id()).is_some()
    }

    /// One to whom a question couldn't be passed on is asked whether it is there: one datagram may have been lost.
    pub(super) fn check_silent(&mut self, address: R::Address, id: Id) {
        if self.requests.free() > REQUESTS / 2 {
            self.ask(Purpose::Introduction, address, Some(id), None);
        }
    }

    /// Passes a question on to the best that is left; false if nobody is, or its time is over.
    fn pass_on(&mut self, now: Instant, index: u8) -> bool {
        let Some(relay) = self.relays.get(index) else {
            return false;
        };
        let next = self.next_hop(relay.target().id(), &relay.tried, relay.previous_id());
        let Some(next) = next.filter(|next| self.left_to(now, relay, &next.id).is_some()) else {
            return false;
        };
        if !self.ask(Purpose::Relay { relay: index }, next.address, Some(next.id), Some(ATTEMPTS)) {
            return false;
        }
        let tried = Tried { id: next.id, said: Said::Waiting, renewed: false };
        self.relays.get_mut(index).is_some_and(|relay| relay.tried.push(tried).is_ok())
    }

    /// The best to pass a question on to: of those not tried yet, and not the one who asked.
    fn next_hop(&self, target: &Id, tried: &[Tried], previous: Option<&Id>) -> Option<Contact<R::Address>> {
        if tried.len() >= TRIES {
            return None;
        }
        let mut named = const { [Contact::EMPTY; MAX_NAMED] };
        let mut count = self.table.toward(target, &mut named);
        if count == 0 && previous.is_none() && !self.config.serve {
            // A client is responsible for nothing, however near its identifier is: its question leaves it.
            count = self.table.closest(target, &mut named);
        }
        let fresh = |contact: &&Contact<R::Address>| {
            previous != Some(&contact.id) && !tried.iter().any(|tried| tried.id == contact.id)
        };
        named.get(..count)?.iter().find(fresh).copied()
    }

    /// An answer to a question that ends here: the record, if it is asked for and held, and the k closest but those who were silent.
    fn encode_last(
        &self,
        now: Instant,
        hop: &Hop<R::Address>,
        target: Target,
        silent: &[Id],
        buf: &mut [u8],
    ) -> Option<usize> {
        let held = match target {
            Target::Value(key) => self.held(now, &key),
            Target::Nodes(_) => None,
        };
        let record = held.map(|held| (held.record(now), held.metadata.expires.micros_since(now).secs()));
        let mut contacts = Vec::<Contact<R::Address>, MAX_NAMED>::new();
        contacts.resize(MAX_NAMED, Contact::EMPTY).ok()?;
        let count = self.table.closest(target.id(), &mut contacts);
        contacts.truncate(count);
        contacts.retain(|contact| contact.id != hop.contact.id && !silent.contains(&contact.id));
        by_rank::<R::Geometry, _>(target.id(), &mut contacts);
        contacts.truncate(usize::from(self.config.table.k));
        self.encode_relayed(now, hop, 0, record, &contacts, buf)
    }

    /// An answer to a question that was passed on: what came back, and whom it came from.
    fn encode_passed(
        &mut self,
        now: Instant,
        hop: &Hop<R::Address>,
        target: &Id,
        came: &Came<'_, R::Address>,
        buf: &mut [u8],
    ) -> Option<usize> {
        let (k, from) = (usize::from(self.config.table.k), came.from);
        let mut contacts = Vec::<Contact<R::Address>, MAX_NAMED>::new();
        for named in came.contacts.iter().take(k) {
            if named.id != hop.contact.id && self.is_acceptable(from.address, &named) {
                // There is room for the k of them.
                let _ = contacts.push(named);
            }
        }
        // The last hop doesn't know its own address.
        if !contacts.iter().any(|contact| contact.id == from.id) {
            let rank = R::Geometry::rank(target, &from.id);
            let at = contacts
                .iter()
                .position(|contact| R::Geometry::rank(target, &contact.id) > rank)
                .unwrap_or(contacts.len());
            contacts.truncate(MAX_NAMED - 1);
            array::insert(&mut contacts, at, from);
            contacts.truncate(k);
        }
        self.encode_relayed(now, hop, came.hops, came.found, &contacts, buf)
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
        self.encode_to(now, hop, Response::Relayed { hops, found, contacts }, buf.get_mut(..room)?)
    }

    fn encode_to(
        &self,
        now: Instant,
        hop: &Hop<R::Address>,
        response: Response<'_, R::Address>,
        buf: &mut [u8],
    ) -> Option<usize> {
        let token = self.tokens.make(now, &hop.contact.address, &hop.contact.id);
        wire::encode(&Message { header: self.header(hop.transaction), body: Body::Response { token, response } }, buf)
            .ok()
    }

    /// The answer to an operation's question came back: a record that holds ends it, and so do nodes where nodes were looked for;
    /// otherwise those named are asked themselves.
    fn recursed(&mut self, now: Instant, slot: u8, came: &Came<'_, R::Address>) {
        let (from, hops) = (came.from, came.hops);
        let Some(operation) = self.operation(slot) else {
            return;
        };
        operation.tally.hops = hops;
        operation.tally.asked = operation.tally.asked.saturating_add(1);
        operation.tally.responded = operation.tally.responded.saturating_add(1);
        // Where it was passed on as often as it may be, others may be nearer: the lookup goes on from there.
        let ended = hops < MOST_HOPS;
        let finds_nodes = operation.task == Task::FindNode && ended;
        operation.tally.recursion = match (ended, finds_nodes) {
            (false, _) => Recursion::FellBack,
            (true, true) => Recursion::Relayed,
            (true, false) => Recursion::Over,
        };
        operation.lookup.insert(from);
        if finds_nodes {
            operation.lookup.responded(&from.id, None);
        }
        for named in came.contacts.iter().take(usize::from(self.config.table.k)) {
            if !self.is_acceptable(from.address, &named) {
                continue;
            }
            if let Some(operation) = self.operation(slot) {
                operation.lookup.relayed(named, hops);
                if finds_nodes {
                    operation.lookup.responded(&named.id, None);
                }
            }
        }
        if let Some((record, lifetime)) = &came.found {
            self.relayed_value_found(now, slot, record, *lifetime);
        }
    }

    /// A record came back: of the same worth as one from a single holder, who isn't known.
    fn relayed_value_found(&mut self, now: Instant, slot: u8, record: &Record<'_>, lifetime: u32) {
        let before = self.operations.get(usize::from(slot)).and_then(|operation| operation.best(now));
        let nobody = self.table.own();
        self.value_found(now, slot, &nobody, record, lifetime);
        let Some(operation) = self.operation(slot).filter(|operation| operation.task == Task::Get) else {
            return;
        };
        if operation.best(now).map(|best| best.digest) != before.map(|best| best.digest) {
            operation.tally.recursion = Recursion::Relayed;
        }
    }
}

/// Sorts them by insertion, for in most geometries they are in that order already. In Chord who precedes the target comes first, and
/// would take the place of one who is responsible.
fn by_rank<G: Geometry, A>(target: &Id, contacts: &mut [Contact<A>]) {
    for end in 1..contacts.len() {
        for at in (0..end).rev() {
            match contacts.get_mut(at..at + 2) {
                Some([before, after]) if G::rank(target, &before.id) > G::rank(target, &after.id) => {
                    core::mem::swap(before, after)
                }
                _ => break,
            }
        }
    }
}
