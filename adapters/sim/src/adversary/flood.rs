//! Clients that send more than one node can take: records, or requests.

use core::cell::Cell;
use core::time::Duration;
use std::rc::Rc;

use kadlet::message::{ErrorCode, Request, Response};
use kadlet::record::Proof;
use kadlet::wire::{Header, Kadlet, Token};
use kadlet::{Contact, Instant, Record};

use super::policy::{Adversary, Arrival, Outgoing, Reaction, ask, response_in};
use crate::address::HostAddress;

/// Stores immutable records at one node, one after another.
#[derive(Clone, Debug)]
pub struct Stuff {
    /// The header of its requests.
    pub header: Header<Kadlet>,
    /// The node.
    pub victim: HostAddress,
    /// The values.
    pub values: Vec<Vec<u8>>,
    /// Whether it hands them over, as a holder does.
    pub handover: bool,
    /// The time from one to the next.
    pub pause: Duration,
    /// How many were stored. Accomplices can share it.
    pub stored: Rc<Cell<u32>>,
    /// The last token of the node.
    pub token: Option<Token>,
}

impl Adversary for Stuff {
    fn handle(&mut self, arrival: &Arrival<'_>) -> Reaction {
        if let Some((token, response)) = response_in(arrival.datagram) {
            self.token = Some(token);
            self.stored.set(self.stored.get() + u32::from(matches!(response, Response::Stored { .. })));
        }
        Reaction::Send(Vec::new())
    }

    fn act(&mut self, now: Instant, own: Contact<HostAddress>) -> (Vec<Outgoing>, Instant) {
        let probe = Request::FindNode { target: own.id };
        let (bytes, next) = match self.token.and_then(|token| Some((token, self.values.pop()?))) {
            Some((token, value)) => {
                let record = Record::immutable(&value);
                let store = Request::Store { record, lifetime: 86_400, compare: None, handover: self.handover };
                (ask(&self.header, Some(token), store), now + self.pause)
            }
            None if self.values.is_empty() => return (Vec::new(), Instant::NEVER),
            None => (ask(&self.header, None, probe), now + Duration::from_secs(1)),
        };
        (vec![Outgoing { to: self.victim, bytes }], next)
    }
}

/// What a [`Flood`] consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flooding {
    /// Pings without a token.
    Unproved,
    /// Pings that show a token.
    Proved,
    /// Stores of a record of this public key, whose signature is wrong.
    Signatures([u8; 32]),
}

/// Sends requests to one node as fast as it is told to, and counts those that are served.
#[derive(Clone, Debug)]
pub struct Flood {
    /// The header of its requests.
    pub header: Header<Kadlet>,
    /// The node.
    pub victim: HostAddress,
    /// The requests.
    pub flooding: Flooding,
    /// The time from one to the next.
    pub pause: Duration,
    /// How many were served. Accomplices can share it.
    pub served: Rc<Cell<u64>>,
    /// The last token of the node.
    pub token: Option<Token>,
}

impl Adversary for Flood {
    fn handle(&mut self, arrival: &Arrival<'_>) -> Reaction {
        if let Some((token, response)) = response_in(arrival.datagram) {
            let served = matches!(response, Response::Pong { .. } | Response::Error { code: ErrorCode::Invalid, .. });
            self.served.set(self.served.get() + u64::from(served));
            self.token = Some(token);
        }
        Reaction::Send(Vec::new())
    }

    fn act(&mut self, now: Instant, own: Contact<HostAddress>) -> (Vec<Outgoing>, Instant) {
        let token = self.token.filter(|_| self.flooding != Flooding::Unproved);
        let bytes = match self.flooding {
            Flooding::Unproved => ask(&self.header, None, Request::Ping),
            _ if token.is_none() => ask(&self.header, None, Request::FindNode { target: own.id }),
            Flooding::Proved => ask(&self.header, token, Request::Ping),
            Flooding::Signatures(public_key) => {
                let proof = Proof::Signed { public_key: &public_key, salt: &[], sequence: 1, signature: &[0; 64] };
                let record = Record { value: b"forged", proof };
                let store = Request::Store { record, lifetime: 3_600, compare: None, handover: false };
                ask(&self.header, token, store)
            }
        };
        (vec![Outgoing { to: self.victim, bytes }], now + self.pause)
    }
}
