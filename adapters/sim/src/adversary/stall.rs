//! Attackers that keep requesters waiting.

use kadlet::message::{Contacts, Request, Response};
use kadlet::record::Version;
use kadlet::wire::{self, Body};

use super::policy::{Adversary, Arrival, Reaction, request_in, respond};
use crate::address::HostAddress;

/// Claims to hold every record, newer than any other, and never delivers it. Accepts relay requests and drops them.
/// It is honest otherwise.
#[derive(Clone, Copy, Debug)]
pub struct Stall;

impl Adversary for Stall {
    fn handle(&mut self, arrival: &Arrival<'_>) -> Reaction {
        let Some((header, request)) = request_in(arrival.datagram) else {
            return Reaction::Honest;
        };
        let response = match request {
            Request::FindValue { have: None, .. } if !shows_token(arrival.datagram) => {
                let version = Version { number: u64::MAX, digest: u64::MAX };
                Response::Held { version, size: 300, contacts: Contacts::EMPTY }
            }
            Request::FindValue { .. } => return Reaction::Send(Vec::new()),
            Request::Relay { .. } => Response::Accepted,
            _ => return Reaction::Honest,
        };
        respond(arrival, &header, arrival.own.id, response)
    }
}

/// Whether a request shows a token: it is the second one of a get, which fetches the record.
fn shows_token(datagram: &[u8]) -> bool {
    let decoded = wire::decode::<HostAddress>(datagram).map(|message| message.body);
    matches!(decoded, Ok(Body::Request { token: Some(_), .. }))
}
