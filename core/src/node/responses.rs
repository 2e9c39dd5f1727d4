//! Responses to the node's own requests.

use super::bounds::{Parts, TokenOf, TransactionOf};
use super::claims::note_refusal;
use super::operation::{Recursion, count_one};
use super::purpose::Purpose;
use super::query::Transmit;
use super::relaying::RelayResult;
use super::shared::{Op, Shared};
use super::stats::count_up;
use super::task::{Ending, Task};
use crate::address::Address;
use crate::contact::Contact;
use crate::forwarding::{HopState, MOST_HOPS, Previous};
use crate::id::Id;
use crate::message::{Contacts, ErrorCode, Features, Response};
use crate::record::{Kind, Record};
use crate::routing::{Origin, Routing};
use crate::rpc::Match;
use crate::time::Instant;
use crate::wire::{TokenSource, Wire};

/// How many contacts the table takes from one response, as all of them will be asked. If it was a lie, they are a third
/// party that gets these requests.
const MOST_DISCOVERED: usize = 2;

/// A response, and the node that it came from.
pub(super) struct Arrived<'a, P: Parts> {
    pub(super) from: Contact<P::Address>,
    pub(super) token: TokenOf<P>,
    pub(super) response: &'a Response<'a, P::Address>,
}

impl<P: Parts> Arrived<'_, P> {
    /// The token that came with the response. `None` if it came with none.
    fn token(&self) -> Option<TokenOf<P>> {
        let given = P::Wire::RULES.tokens == TokenSource::EveryResponse || self.token != P::Wire::NO_TOKEN;
        given.then_some(self.token)
    }
}

/// What must be done after a response to a relay request.
pub(super) enum RelayEffect<'a, A: Address> {
    /// Nothing.
    Nothing,
    /// This datagram takes the result to the previous hop.
    SentOn(Transmit<A>),
    /// The result is for the operation in this slot.
    Arrived(u8, RelayResult<'a, A>),
    /// The lookup of the operation in this slot must continue iteratively.
    FellBack(u8),
}

impl<P: Parts> Shared<P> {
    /// Matches a response with its request. It counts only with the right transaction, from the right address and from
    /// the expected node.
    pub(super) fn match_response(
        &mut self,
        now: Instant,
        from: P::Address,
        sender: &Id,
        transaction: TransactionOf<P>,
        response: &Response<'_, P::Address>,
    ) -> Match<Purpose> {
        // A relay request that was accepted waits for its result.
        let until = match (response, self.requests.owner(transaction)) {
            (Response::Accepted, Some(Purpose::Relay { relay })) => {
                self.forwarding.get(relay).map(|relay| relay.deadline)
            }
            _ => None,
        };
        let accepted = match until {
            Some(until) => self.requests.acknowledge(now, from, sender, transaction, until),
            None => self.requests.accept(now, from, sender, transaction),
        };
        match &accepted {
            Match::Response { .. } => {
                count_up(&mut self.stats.responses_received);
                if self.silence.end() {
                    self.replication.publish_by(now);
                }
            }
            Match::WrongId { expected, .. } => {
                count_up(&mut self.stats.spoofed);
                if self.knows_at(expected, from) {
                    self.table.evict(now, expected);
                }
            }
            Match::WrongAddress => count_up(&mut self.stats.spoofed),
            Match::Unknown => count_up(&mut self.stats.unsolicited),
        }
        accepted
    }

    /// Remembers what a response shows about its sender: that it is there, and its token.
    pub(super) fn note_responder(
        &mut self,
        now: Instant,
        arrived: &Arrived<'_, P>,
        features: Features,
        rtt: Option<core::time::Duration>,
    ) {
        if let Some(token) = arrived.token() {
            self.forwarding.note_token(&arrived.from.id, token);
        }
        if self.surveys() && arrived.from.address.prefix().is_some() {
            self.identity.begin(now);
        }
        self.note_diversity(now);
        if !self.fits(&arrived.from) {
            // It was let in when all seats counted.
            if self.knows_at(&arrived.from.id, arrived.from.address) {
                self.table.evict(now, &arrived.from.id);
            }
        } else if features.contains(Features::SERVES) {
            self.is_global |= arrived.from.address.prefix().is_some();
            if self.is_table_empty() {
                // The first contact: own records can be published now.
                self.replication.publish_by(now);
            }
            self.table.responded(now, arrived.from, rtt);
            self.bootstraps.responded(now, arrived.from.address);
        }
    }

    /// The response to a request of the table's maintenance: the table discovers the contacts that it names.
    pub(super) fn table_responded(&mut self, now: Instant, arrived: &Arrived<'_, P>) {
        let mut discovered = 0;
        for named in contacts_of(arrived.response).iter().take(self.k()) {
            if let Some(named) = self.accepted(now, arrived.from.address, named)
                && self.table.discovered(now, named, Origin::Named)
            {
                discovered += 1;
                if discovered == MOST_DISCOVERED {
                    return;
                }
            }
        }
    }

    /// The response to a request of an operation.
    pub(super) fn operation_responded(
        &mut self,
        now: Instant,
        operation: &mut Op<P>,
        purpose: Purpose,
        arrived: &Arrived<'_, P>,
    ) {
        match purpose {
            Purpose::Search { .. } => self.search_responded(now, operation, arrived),
            Purpose::Store { .. } => {
                if !self.note_refused_offer(operation, &arrived.from, arrived.response) {
                    store_responded(operation, arrived);
                }
            }
            Purpose::Verify { .. } => self.claim_responded(now, operation, &arrived.from.id, arrived.response),
            Purpose::Bootstrap { .. } => self.bootstrap_responded(now, operation, arrived),
            Purpose::Ping { .. } => {
                operation.lookup.insert(arrived.from);
                operation.lookup.responded(&arrived.from.id, None);
                operation.tally.responded = 1;
                self.finish(now, operation, Ending::Pong);
            }
            Purpose::Table | Purpose::Check | Purpose::Survey | Purpose::Relay { .. } => {}
        }
    }

    fn search_responded(&mut self, now: Instant, operation: &mut Op<P>, arrived: &Arrived<'_, P>) {
        let (from, token) = (arrived.from, arrived.token());
        self.take_named(now, operation, arrived);
        let asked_with_token = operation.lookup.token(&from.id).is_some();
        operation.stop_fetching(&from.id);
        match *arrived.response {
            Response::Error { code: ErrorCode::Token, .. } if token.is_some() && !asked_with_token => {
                set_token(operation, arrived);
                operation.lookup.unasked(&from.id);
                operation.tally.asked = operation.tally.asked.saturating_sub(1);
                return;
            }
            Response::Error { code, detail } => {
                operation.tally.note_refusal(code, detail);
                operation.lookup.failed(&from.id);
                return;
            }
            Response::Held { version, size, .. } if operation.finds_record() => {
                let can_fetch = token.is_some() && !asked_with_token;
                if self.held_found(now, operation, from.id, version, size) && can_fetch {
                    set_token(operation, arrived);
                    return self.fetch(operation, from);
                }
            }
            Response::Value { ref record, lifetime, .. } if operation.finds_record() => {
                self.value_found(now, operation, &from.id, record, lifetime);
            }
            _ => {}
        }
        count_one(&mut operation.tally.responded);
        operation.lookup.responded(&from.id, token);
    }

    fn bootstrap_responded(&mut self, now: Instant, operation: &mut Op<P>, arrived: &Arrived<'_, P>) {
        let (from, token) = (arrived.from, arrived.token());
        operation.bootstraps_asked = operation.bootstraps_asked.saturating_sub(1);
        if operation.task == Task::Compare && self.bootstraps.comparison.adopts() {
            self.adopt(now, from);
        }
        operation.lookup.insert(from);
        match *arrived.response {
            // Its rate limit for requests without a token is reached: the lookup asks it again with the token.
            Response::Error { code: ErrorCode::Token, .. } if token.is_some() => set_token(operation, arrived),
            Response::Error { code, detail } => {
                operation.tally.note_refusal(code, detail);
                operation.lookup.failed(&from.id);
            }
            _ => {
                count_one(&mut operation.tally.responded);
                operation.lookup.responded(&from.id, token);
                self.take_named(now, operation, arrived);
            }
        }
    }

    /// Inserts the contacts that a response names into the shortlist.
    fn take_named(&mut self, now: Instant, operation: &mut Op<P>, arrived: &Arrived<'_, P>) {
        let from = arrived.from;
        for named in contacts_of(arrived.response).iter().take(self.k()) {
            if let Some(named) = self.accepted(now, from.address, named) {
                operation.lookup.named(&from.id, named);
            }
        }
    }

    /// The response of a next hop: an acknowledgement, a result, or a refusal.
    pub(super) fn relay_responded<'a>(
        &mut self,
        now: Instant,
        index: u8,
        from: Contact<P::Address>,
        response: &Response<'a, P::Address>,
        buf: &mut [u8],
    ) -> RelayEffect<'a, P::Address> {
        let Some(relay) = self.forwarding.get_mut(index) else {
            return RelayEffect::Nothing;
        };
        let failed = match *response {
            Response::Accepted => None,
            Response::Relayed { hops, found, contacts } => {
                let (previous, target) = (relay.previous, relay.target());
                self.forwarding.free(index);
                self.requests.release(|purpose| *purpose == Purpose::Relay { relay: index });
                let result = RelayResult { from, hops: hops.saturating_add(1), found, contacts };
                return match previous {
                    Previous::Operation { slot } => RelayEffect::Arrived(slot, result),
                    Previous::Hop(hop) => self
                        .send_result_on(now, &hop, target.id(), &result, buf)
                        .map_or(RelayEffect::Nothing, RelayEffect::SentOn),
                };
            }
            Response::Error { code: ErrorCode::Token, .. } if relay.may_renew_token(&from.id) => {
                let asked = self.forward_again(index, &from);
                (!asked).then_some(HopState::Refused)
            }
            Response::Error { code: ErrorCode::Busy, .. } => Some(HopState::Busy),
            _ => Some(HopState::Refused),
        };
        let ended = failed.and_then(|state| self.relay_failed(now, index, &from.id, state));
        ended.map_or(RelayEffect::Nothing, RelayEffect::FellBack)
    }

    /// The result of an operation's relay request. A valid record ends the lookup, and so do nodes if the lookup is for
    /// nodes. Otherwise the lookup asks the nodes that the result names.
    pub(super) fn relay_result_arrived(
        &mut self,
        now: Instant,
        operation: &mut Op<P>,
        result: &RelayResult<'_, P::Address>,
    ) {
        let (from, hops) = (result.from, result.hops);
        operation.hops = hops;
        count_one(&mut operation.tally.asked);
        count_one(&mut operation.tally.responded);
        // If the request was forwarded as often as possible, there may be nearer nodes: the lookup continues from
        // there.
        let ended = hops < MOST_HOPS;
        let finds_nodes = operation.task == Task::FindNode && ended;
        operation.recursion = match (ended, finds_nodes) {
            (false, _) => Recursion::FellBack,
            (true, true) => Recursion::Relayed,
            (true, false) => Recursion::Over,
        };
        if finds_nodes {
            // They are the result, so nothing of the own table can be among them.
            operation.lookup.restart(operation.lookup.target(), self.lookup_limits());
        }
        operation.lookup.insert(from);
        if finds_nodes {
            operation.lookup.responded(&from.id, None);
        }
        for named in result.contacts.iter().take(self.k()) {
            let Some(named) = self.accepted(now, from.address, named) else {
                continue;
            };
            operation.lookup.relayed(&from.id, named, hops);
            if finds_nodes {
                operation.lookup.responded(&named.id, None);
            }
        }
        if let Some((record, lifetime)) = &result.found {
            self.relayed_value_found(now, operation, record, *lifetime);
        }
    }

    /// A record came back through other nodes. It counts as much as one from a single holder, which isn't known.
    fn relayed_value_found(&mut self, now: Instant, operation: &mut Op<P>, record: &Record<'_>, lifetime: u32) {
        let digest = |operation: &Op<P>| operation.best(now).map(|best| best.digest);
        let before = digest(operation);
        let unknown = self.table.own();
        self.value_found(now, operation, &unknown, record, lifetime);
        if operation.task == Task::Get && digest(operation) != before {
            let signed = operation.key.kind == Kind::Signed;
            operation.recursion = if signed { Recursion::Checked } else { Recursion::Relayed };
        }
    }
}

fn store_responded<P: Parts>(operation: &mut Op<P>, arrived: &Arrived<'_, P>) {
    let from = &arrived.from.id;
    match *arrived.response {
        Response::Stored { lifetime } => {
            operation.tally.note_stored(lifetime);
            operation.lookup.stored(from);
        }
        Response::Pong { .. } if !P::Wire::RULES.response_kinds => {
            operation.tally.note_stored(0);
            operation.lookup.stored(from);
        }
        Response::Held { .. } if operation.tells(from) => operation.lookup.stored(from),
        // The token became too old since the search, or the node that made it was started again.
        Response::Error { code: ErrorCode::Token, .. }
            if arrived.token().is_some_and(|token| operation.lookup.renewed(from, token)) => {}
        Response::Error { code, detail } => {
            operation.tally.note_refusal(code, detail);
            note_refusal(operation, from, code);
        }
        _ => operation.lookup.refused(from),
    }
}

/// Keeps the token that came with a response, if one did, for the next request to the same node.
fn set_token<P: Parts>(operation: &mut Op<P>, arrived: &Arrived<'_, P>) {
    if let Some(token) = arrived.token() {
        operation.lookup.set_token(&arrived.from.id, token);
    }
}

fn contacts_of<'a, A: Address>(response: &Response<'a, A>) -> Contacts<'a, A> {
    match *response {
        Response::Nodes { contacts } | Response::Value { contacts, .. } | Response::Held { contacts, .. } => contacts,
        // The result of a relay request is handled on its own.
        Response::Pong { .. }
        | Response::Stored { .. }
        | Response::Accepted
        | Response::Relayed { .. }
        | Response::Error { .. } => Contacts::EMPTY,
    }
}
