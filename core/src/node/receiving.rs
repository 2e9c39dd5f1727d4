//! The inlet: all datagrams of a node enter through [`NodeInner::receive`].

use super::inner::NodeInner;
use super::operation::Recursion;
use super::parts::{Parts, Slots, TokenOf};
use super::purpose::Purpose;
use super::query::Transmit;
use super::responses::{Arrived, RelayEffect};
use super::server::Incoming;
use super::shared::Shared;
use super::stats::count_up;
use crate::contact::Contact;
use crate::forwarding::HopState;
use crate::geometry::Geometry;
use crate::id::Id;
use crate::message::Response;
use crate::routing::Routing;
use crate::rpc::{Accepted, Due};
use crate::time::Instant;
use crate::wire::{Body, Header, Wire};

impl<P: Parts> NodeInner<P> {
    /// Decodes and counts a datagram, and drops it if it is not of this network. Writes the response to a request to
    /// `buf`. Passes a response to the operation that waits for it. Returns what must be sent, and whether operations
    /// may be able to proceed.
    pub(super) fn receive(
        &mut self,
        now: Instant,
        from: P::Address,
        datagram: &[u8],
        buf: &mut [u8],
    ) -> (Option<Transmit<P::Address>>, bool) {
        count_up(&mut self.shared.stats.received);
        self.shared.stats.received_bytes += datagram.len() as u64;
        if !self.shared.started {
            return (None, false);
        }
        // By reference: to move a whole message from one result to another takes a tenth of all instructions of a
        // response on a microcontroller.
        let message = P::Wire::decode(datagram);
        let message = match &message {
            Ok(message) => message,
            Err(error) => {
                let counter = self.shared.undecodable(error);
                count_up(counter);
                return (None, false);
            }
        };
        if !self.shared.is_of_this_network(&message.header) {
            return (None, false);
        }
        let header = &message.header;
        match &message.body {
            Body::Request { largest, token, request, .. } => {
                let incoming = Incoming { now, from, header, largest: *largest, token: *token, len: datagram.len() };
                (self.shared.serve(&incoming, request, buf), false)
            }
            Body::Response { token, response } => (self.responded(now, from, header, *token, response, buf), true),
        }
    }

    /// Handles a response. If it is the result of a request that was forwarded for another node, writes the response to
    /// that node to `buf`.
    fn responded(
        &mut self,
        now: Instant,
        from: P::Address,
        header: &Header<P::Wire>,
        token: TokenOf<P>,
        response: &Response<'_, P::Address>,
        buf: &mut [u8],
    ) -> Option<Transmit<P::Address>> {
        // An error that names no sender counts as one from the node that was asked, but doesn't verify that node.
        let unnamed = !P::Wire::RULES.errors_name_sender && matches!(response, Response::Error { .. });
        let expected = if unnamed { self.shared.requests.expected(header.transaction) } else { None };
        let sender = expected.as_ref().unwrap_or(&header.sender);
        let (purpose, rtt) = match self.shared.accept(now, from, sender, header.transaction, response) {
            Accepted::Response { owner, rtt } => (owner, rtt),
            Accepted::WrongId { owner, expected } => {
                if let Some(purpose) = owner {
                    self.request_failed(now, purpose, Some(&expected));
                }
                return None;
            }
            Accepted::WrongAddress | Accepted::Unknown => return None,
        };
        let by_nobody = unnamed && expected.is_none();
        let is_own = !by_nobody && *sender == self.shared.table.own();
        if is_own {
            self.shared.note_own_id(from);
        }
        if is_own || by_nobody {
            if let Some(purpose) = purpose {
                self.request_failed(now, purpose, None);
            }
            return None;
        }
        let arrived = Arrived { from: Contact { id: *sender, address: from }, token, response };
        if !unnamed {
            self.shared.note_responder(now, &arrived, header.features, rtt);
        }
        match purpose? {
            Purpose::Table => self.shared.table_responded(now, &arrived),
            Purpose::Introduction => {}
            Purpose::Relay { relay } => match self.shared.relay_responded(now, relay, arrived.from, response, buf) {
                RelayEffect::Nothing => {}
                RelayEffect::SentOn(transmit) => return Some(transmit),
                RelayEffect::FellBack(slot) => self.fell_back(slot),
                RelayEffect::Arrived(slot, result) => {
                    if let Some(operation) = self.operations.get_mut(slot) {
                        self.shared.relay_result_arrived(now, operation, &result);
                    }
                }
            },
            purpose => {
                if let Some(operation) = purpose.slot().and_then(|slot| self.operations.get_mut(slot)) {
                    self.shared.operation_responded(now, operation, purpose, &arrived);
                }
            }
        }
        None
    }

    /// Handles a request that got no response within its first wait, or none at all.
    pub(super) fn time_out(&mut self, now: Instant, due: Due<P::Address, Purpose>) {
        match due {
            Due::Slow { owner: Purpose::Relay { relay }, .. } => {
                if let Some(slot) = self.shared.relay_slow(now, relay) {
                    self.fell_back(slot);
                }
            }
            Due::Slow { owner, expect } => {
                let operation = owner.slot().and_then(|slot| self.operations.get_mut(slot));
                if let Some((operation, id)) = operation.zip(expect) {
                    operation.lookup.slow(&id);
                    operation.stop_fetching(&id);
                }
            }
            Due::Failed { owner, expect, to, acknowledged } => {
                count_up(&mut self.shared.stats.timeouts);
                if let Some(id) = expect.filter(|id| !acknowledged && self.shared.knows_at(id, to)) {
                    match owner {
                        // It was asked only twice, which is too little to count as failed.
                        Some(Purpose::Relay { .. }) => self.shared.check_silent(to, id),
                        _ => self.shared.table.failed(now, &id),
                    }
                }
                if let Some(purpose) = owner {
                    self.request_failed(now, purpose, expect.as_ref());
                }
            }
        }
    }

    /// Handles a request that will get no response.
    pub(super) fn request_failed(&mut self, now: Instant, purpose: Purpose, id: Option<&Id>) {
        if let Purpose::Relay { relay } = purpose {
            let ended = id.and_then(|id| self.shared.relay_failed(now, relay, id, HopState::Silent));
            if let Some(slot) = ended {
                self.fell_back(slot);
            }
        } else if let Some(operation) = purpose.slot().and_then(|slot| self.operations.get_mut(slot)) {
            self.shared.request_failed(now, operation, purpose, id);
        }
    }

    /// The relay request of the operation in this slot got no result: its lookup continues iteratively.
    fn fell_back(&mut self, slot: u8) {
        if let Some(operation) = self.operations.get_mut(slot) {
            operation.recursion = Recursion::FellBack;
        }
    }
}

impl<P: Parts> Shared<P> {
    /// The counter for datagrams that can't be decoded for this reason.
    fn undecodable(&mut self, error: &<P::Wire as Wire>::DecodeError) -> &mut u64 {
        if P::Wire::is_of_another_version(error) { &mut self.stats.wrong_version } else { &mut self.stats.malformed }
    }

    /// Whether a message is of this network. Counts it if not.
    fn is_of_this_network(&mut self, header: &Header<P::Wire>) -> bool {
        if !P::Wire::RULES.names_network {
            return true;
        }
        if header.geometry != P::Geometry::TAG {
            count_up(&mut self.stats.wrong_geometry);
            return false;
        }
        if header.network != self.config.network {
            count_up(&mut self.stats.wrong_network);
            return false;
        }
        true
    }
}
