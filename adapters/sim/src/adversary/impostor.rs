//! Minimal nodes of attackers, and what they do in addition.

use core::time::Duration;
use std::collections::HashMap;
use std::rc::Rc;

use kadlet::message::{Contacts, Request, Response};
use kadlet::wire::{Header, Kadlet, Token};
use kadlet::{Contact, Instant, Record};

use super::policy::{
    Adversary, Arrival, Outgoing, Reaction, ask, name_only, nearest, request_in, respond, response_in,
};
use crate::address::HostAddress;

/// A minimal node with any identifier. It names honest nodes, stores nothing, and announces itself again and again.
#[derive(Clone, Debug)]
pub struct Impostor {
    /// The header of its requests: with the identifier that it claims, and as a node that serves.
    pub header: Header<Kadlet>,
    /// The nodes that it names.
    pub known: Rc<[Contact<HostAddress>]>,
    /// How many contacts a response names.
    pub count: usize,
    /// The nodes that it announces itself to, all at once.
    pub told: Rc<[HostAddress]>,
    /// How often.
    pub every: Duration,
}

impl Adversary for Impostor {
    fn handle(&mut self, arrival: &Arrival<'_>) -> Reaction {
        let named = |target: &_| nearest(self.known.iter().copied(), target, self.count);
        match name_only(arrival, self.header.sender, named) {
            Reaction::Honest => Reaction::Send(Vec::new()),
            sent => sent,
        }
    }

    fn act(&mut self, now: Instant, _: Contact<HostAddress>) -> (Vec<Outgoing>, Instant) {
        // The response to a ping is so small that the other node may send a ping as well.
        let bytes = ask(&self.header, None, Request::Ping);
        let announce = |to: &HostAddress| Outgoing { to: *to, bytes: bytes.clone() };
        (self.told.iter().map(announce).collect(), now + self.every)
    }
}

/// Any adversary that is there for a while, then silent for a while, and so on.
#[derive(Clone, Debug)]
pub struct Flap<A> {
    /// What it is while it is there.
    pub inner: A,
    /// When it is there for the first time.
    pub first: Instant,
    /// For how long.
    pub present: Duration,
    /// For how long it is silent after that.
    pub absent: Duration,
}

impl<A> Flap<A> {
    /// Whether it is there, and when that changes.
    fn is_present(&self, now: Instant) -> (bool, Instant) {
        if now < self.first {
            return (false, self.first);
        }
        let period = (self.present + self.absent).as_micros().max(1);
        let into = now.since(self.first).as_micros() % period;
        let is_present = into < self.present.as_micros();
        let ends = if is_present { self.present.as_micros() } else { period };
        (is_present, now + Duration::from_micros((ends - into) as u64))
    }
}

impl<A: Adversary> Adversary for Flap<A> {
    fn handle(&mut self, arrival: &Arrival<'_>) -> Reaction {
        if self.is_present(arrival.now).0 { self.inner.handle(arrival) } else { Reaction::Send(Vec::new()) }
    }

    fn act(&mut self, now: Instant, own: Contact<HostAddress>) -> (Vec<Outgoing>, Instant) {
        let (is_present, until) = self.is_present(now);
        let (sent, next) = if is_present { self.inner.act(now, own) } else { (Vec::new(), until) };
        (sent, next.min(until))
    }
}

/// A holder that tells the other holders of a record, again and again, that it has replicated the record, and does
/// nothing for it.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The node that it is otherwise.
    pub node: Impostor,
    /// The value of the record, which is immutable.
    pub value: Rc<[u8]>,
    /// The other nodes that may hold it.
    pub holders: Rc<[HostAddress]>,
    /// The last token of each of them that does hold it. No other gets it from this one.
    pub tokens: HashMap<HostAddress, Token>,
}

impl Adversary for Claim {
    fn handle(&mut self, arrival: &Arrival<'_>) -> Reaction {
        if let Some((token, response)) = response_in(arrival.datagram) {
            if matches!(response, Response::Held { .. } | Response::Stored { .. }) {
                self.tokens.insert(arrival.from, token);
            }
            return Reaction::Send(Vec::new());
        }
        let record = Record::immutable(&self.value);
        match request_in(arrival.datagram) {
            Some((header, Request::FindValue { key, .. })) if key == record.key() => {
                let held = Response::Held { version: record.version(), size: 300, contacts: Contacts::EMPTY };
                respond(arrival, &header, self.node.header.sender, held)
            }
            _ => self.node.handle(arrival),
        }
    }

    fn act(&mut self, now: Instant, own: Contact<HostAddress>) -> (Vec<Outgoing>, Instant) {
        let (mut sent, next) = self.node.act(now, own);
        let record = Record::immutable(&self.value);
        let find = Request::FindValue { key: record.key(), have: Some(record.version()) };
        let store = Request::Store { record, lifetime: 3_600, compare: None, handover: true };
        for holder in self.holders.iter() {
            let token = self.tokens.get(holder).copied();
            // A record that is stored once more is the same claim.
            for claim in [find].into_iter().chain(token.map(|_| store)) {
                sent.push(Outgoing { to: *holder, bytes: ask(&self.node.header, token, claim) });
            }
        }
        (sent, next)
    }
}
