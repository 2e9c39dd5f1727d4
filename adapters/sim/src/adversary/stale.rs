//! Old versions: served by holders, and planted at honest nodes.

use std::collections::HashMap;

use kadlet::message::{Contacts, Request, Response, Target};
use kadlet::wire::{Header, Kadlet};
use kadlet::{Id, Key, Kind, Record};

use super::policy::{Adversary, Arrival, Outgoing, Reaction, ask, request_in, respond, response_in};
use crate::signed::SignedRecord;

/// The lifetime of planted records, in seconds.
const LIFETIME: u32 = 3_600;

/// Keeps the first version of each signed record that it is given, and serves it for good. It is honest otherwise.
#[derive(Clone, Debug, Default)]
pub struct Stale {
    /// The datagrams in which the records came.
    first: HashMap<Key, Vec<u8>>,
}

impl Adversary for Stale {
    fn handle(&mut self, arrival: &Arrival<'_>) -> Reaction {
        let response = |header, response| respond(arrival, header, arrival.own.id, response);
        match request_in(arrival.datagram) {
            Some((header, Request::Store { record, lifetime, .. })) if record.kind() == Kind::Signed => {
                self.first.entry(record.key()).or_insert_with(|| arrival.datagram.to_vec());
                response(&header, Response::Stored { lifetime })
            }
            Some((header, Request::FindValue { key, .. })) => match self.first(&key) {
                Some((record, lifetime)) => {
                    response(&header, Response::Value { record, lifetime, contacts: Contacts::EMPTY })
                }
                None => Reaction::Honest,
            },
            Some((header, Request::Relay { target: Target::Value(key), .. })) => match self.first(&key) {
                Some(found) => {
                    response(&header, Response::Relayed { hops: 0, found: Some(found), contacts: Contacts::EMPTY })
                }
                None => Reaction::Honest,
            },
            _ => Reaction::Honest,
        }
    }
}

impl Stale {
    /// The record that is served under a key, and its lifetime in seconds.
    fn first(&self, key: &Key) -> Option<(Record<'_>, u32)> {
        match request_in(self.first.get(key)?)? {
            (_, Request::Store { record, lifetime, .. }) => Some((record, lifetime)),
            _ => None,
        }
    }
}

/// A client that stores a record at every node that gives it a token: it sends each [a request](Plant::probe), and the
/// record in response.
#[derive(Clone, Debug)]
pub struct Plant {
    /// The header of its requests.
    pub header: Header<Kadlet>,
    /// The record.
    pub record: SignedRecord,
}

impl Plant {
    /// A request whose response has a token.
    #[must_use]
    pub fn probe(&self, target: Id) -> Vec<u8> {
        ask(&self.header, None, Request::FindNode { target })
    }
}

impl Adversary for Plant {
    fn handle(&mut self, arrival: &Arrival<'_>) -> Reaction {
        match response_in(arrival.datagram) {
            Some((token, Response::Nodes { .. })) => {
                let record = self.record.record();
                let store = Request::Store { record, lifetime: LIFETIME, compare: None, handover: false };
                Reaction::Send(vec![Outgoing { to: arrival.from, bytes: ask(&self.header, Some(token), store) }])
            }
            _ => Reaction::Send(Vec::new()),
        }
    }
}
