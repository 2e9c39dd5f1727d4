//! The inlet: all datagrams of a node enter through [`NodeInner::receive`].

use super::bounds::{Parts, Slots};
use super::inner::NodeInner;
use super::purpose::Purpose;
use super::query::Transmit;
use super::responses::{Arrived, RelayEffect};
use super::server::Incoming;
use super::shared::Shared;
use super::stats::count_up;
use super::timeouts::fell_back;
use crate::contact::Contact;
use crate::geometry::Geometry;
use crate::id::Id;
use crate::message::Response;
use crate::routing::Routing;
use crate::rpc::Match;
use crate::time::Instant;
#[cfg(feature = "sealed")]
use crate::wire::sealed;
use crate::wire::{Body, Header, Wire};

impl<P: Parts> NodeInner<P> {
    /// Counts, opens and decodes a datagram, and drops it if it is not of this network. Writes the response to a
    /// request to `buf`. Passes a response to the operation that waits for it. Returns what must be sent, and whether
    /// operations may be able to proceed.
    pub(super) fn receive(
        &mut self,
        now: Instant,
        from: P::Address,
        datagram: &[u8],
        buf: &mut [u8],
    ) -> (Option<Transmit<P::Address>>, bool) {
        let (shared, len) = (&mut self.shared, datagram.len());
        count_up(&mut shared.stats.received);
        shared.stats.received_bytes += len as u64;
        if !shared.started {
            return (None, false);
        }
        #[cfg(feature = "sealed")]
        let datagram = match &shared.config.seal {
            Some(key) => match sealed::open::<P::Wire>(key, datagram, &mut self.opened) {
                Some(message) => message,
                None => {
                    count_up(&mut shared.stats.unopened);
                    return (None, false);
                }
            },
            None => datagram,
        };
        // By reference: to move a whole message from one result to another takes a tenth of all instructions of a
        // response on a microcontroller.
        let message = P::Wire::decode(datagram);
        let message = match &message {
            Ok(message) => message,
            Err(error) => {
                let counter = shared.undecodable(error);
                count_up(counter);
                return (None, false);
            }
        };
        if !shared.is_of_this_network(&message.header) {
            return (None, false);
        }
        let header = &message.header;
        match &message.body {
            Body::Request { largest, token, request, .. } => {
                let incoming = Incoming { now, from, header, largest: *largest, token: *token, len };
                (shared.serve(&incoming, request, buf), false)
            }
            Body::Response { token, response } => {
                let arrived = Arrived { from: Contact { id: header.sender, address: from }, token: *token, response };
                (shared.responded(now, &mut self.operations, &arrived, header, buf), true)
            }
        }
    }
}

impl<P: Parts> Shared<P> {
    /// Handles a response. If it is the result of a request that was forwarded for another node, writes the response to
    /// that node to `buf`.
    fn responded(
        &mut self,
        now: Instant,
        operations: &mut P::Operations,
        arrived: &Arrived<'_, P>,
        header: &Header<P::Wire>,
        buf: &mut [u8],
    ) -> Option<Transmit<P::Address>> {
        let Arrived { from: Contact { address: from, .. }, token, response } = *arrived;
        let sender = self.sender_of(header, response);
        // A request that expects no certain node is matched by any sender.
        let any = sender.unwrap_or(header.sender);
        let (purpose, rtt) = match self.match_response(now, from, &any, header.transaction, response) {
            Match::Response { owner, rtt } => (owner, rtt),
            Match::WrongId { owner, expected } => {
                if let Some(purpose) = owner {
                    self.request_failed(now, operations, purpose, Some(&expected));
                }
                return None;
            }
            Match::WrongAddress | Match::Unknown => return None,
        };
        let own = self.table.own();
        if sender == Some(own) {
            self.note_own_id(now, from);
            self.leave_seat(now, from);
        }
        let Some(sender) = sender.filter(|sender| *sender != own) else {
            // Only requests that expect no certain node get here, so no candidate of a lookup has failed.
            if let Some(purpose) = purpose {
                self.request_failed(now, operations, purpose, None);
            }
            return None;
        };
        let arrived = Arrived { from: Contact { id: sender, address: from }, token, response };
        if names_sender::<P>(response) {
            self.note_responder(now, &arrived, header.features, rtt);
        }
        match purpose? {
            Purpose::Table => self.table_responded(now, &arrived),
            Purpose::Check => {}
            Purpose::Survey => self.surveyed(now, &arrived.from, response),
            Purpose::Probe { passed } => {
                self.probe_responded(now, passed, &arrived.from, arrived.token(), response);
            }
            Purpose::Relay { relay } => match self.relay_responded(now, relay, arrived.from, response, buf) {
                RelayEffect::Nothing => {}
                RelayEffect::SentOn(transmit) => return Some(transmit),
                RelayEffect::FellBack(slot) => fell_back::<P>(operations, slot),
                RelayEffect::Arrived(slot, result) => {
                    if let Some(operation) = operations.get_mut(slot) {
                        self.relay_result_arrived(now, operation, &result);
                    }
                }
            },
            purpose => {
                if let Some(operation) = purpose.slot().and_then(|slot| operations.get_mut(slot)) {
                    self.operation_responded(now, operation, purpose, &arrived);
                }
            }
        }
        None
    }
}

/// Whether a response proves by its header that its sender is there.
fn names_sender<P: Parts>(response: &Response<'_, P::Address>) -> bool {
    P::Wire::RULES.errors_name_sender || !matches!(response, Response::Error { .. })
}

impl<P: Parts> Shared<P> {
    /// The node that a response is from. If the response names none, it is from the node that was asked: `None` if only
    /// that node's address is known.
    fn sender_of(&self, header: &Header<P::Wire>, response: &Response<'_, P::Address>) -> Option<Id> {
        if names_sender::<P>(response) { Some(header.sender) } else { self.requests.expected(header.transaction) }
    }

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
