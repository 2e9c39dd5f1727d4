//! Datagrams on their way out: what caused them, how they are counted and checked, and when they arrive.

use std::collections::HashMap;

use kadlet::message::{Contacts, Request, Response};
use kadlet::routing::ContactState;
use kadlet::wire::{self, Body, SEAL, Token};
use kadlet::{Id, Record, Routing, Transmit};

use super::datagrams::MAINTENANCE;
use super::host::RunningOperation;
use super::queue::Scheduled;
use super::state::Network;
use crate::address::HostAddress;
use crate::node::SimulatedNode;

/// Stands for the host at an address at which there is none.
const NOBODY: u32 = u32::MAX;

impl<M: SimulatedNode> Network<M> {
    /// Sends a datagram that a node polled, and finds out which operation caused it.
    pub(super) fn send(&mut self, from: u32, out: &Transmit<HostAddress>, buf: &[u8]) {
        let datagram = &buf[..out.len];
        let running = &self.hosts[from as usize].running;
        let idle = self.relayed.is_empty() && running.iter().all(|running| running.task.target().is_none());
        let cause = if idle { MAINTENANCE } else { cause(running, &self.relayed, datagram) };
        self.transmit(from, self.address(from), out.to, cause, datagram);
    }

    /// Counts a datagram of a host, and schedules its arrival unless the links lose it. `source` is the address that it
    /// seems to come from.
    pub(super) fn transmit(&mut self, from: u32, source: HostAddress, to: HostAddress, cause: u32, datagram: &[u8]) {
        let largest = self.config.max_datagram - SEAL;
        self.checks.require(datagram.len() <= largest, || {
            format!("{from} sent {} bytes; {largest} is the most", datagram.len())
        });
        if cause == MAINTENANCE {
            self.counts.maintenance_datagrams += 1;
            self.counts.maintenance_bytes += datagram.len() as u64;
        } else {
            self.counts.test_datagrams += 1;
            self.counts.test_bytes += datagram.len() as u64;
        }
        self.count_requester(from, cause, datagram.len());
        if let Some(state) = self.hosts.get_mut(from as usize) {
            state.bytes.0 += datagram.len() as u64;
        }
        let receiver = self.directory.host_at(to);
        self.links.note_sent(self.now, from, to);
        let far = receiver.unwrap_or(NOBODY);
        let arrivals = self.links.send(self.now, from, far, datagram.len(), &mut self.random);
        if receiver.is_none_or(|receiver| !self.links.connects(self.now, (from, source), receiver)) {
            return;
        }
        for at in arrivals.into_iter().flatten() {
            let slot = self.datagrams.put(source, to, cause, datagram);
            self.queue.push(at, Scheduled::Arrival(slot));
        }
    }

    /// Counts a datagram that a node sent or received, if that node began the operation that caused it.
    pub(super) fn count_requester(&mut self, host: u32, cause: u32, len: usize) {
        if self.requesters.get(cause as usize) == Some(&host) {
            self.counts.requester_datagrams += 1;
            self.counts.requester_bytes += len as u64;
        }
    }

    /// Checks a response that a node gave to a request at once.
    pub(super) fn check_response(
        &mut self,
        responder: u32,
        requester: HostAddress,
        node: &M,
        request: &[u8],
        response: &[u8],
    ) {
        let decoded = wire::decode::<HostAddress>(response);
        let Ok(wire::Message { body: Body::Response { token, response }, header }) = decoded else {
            self.checks.require(false, || format!("{responder} responded with what is no response: {decoded:?}"));
            return;
        };
        self.checks.require(header.sender == self.hosts[responder as usize].id, || {
            format!("{responder} responded with an identifier that is not its own")
        });
        self.checks.token_given(self.now, responder, requester, token);
        match response {
            Response::Nodes { contacts } | Response::Value { contacts, .. } | Response::Held { contacts, .. } => {
                self.check_contacts(responder, node, contacts);
            }
            Response::Stored { .. } => self.checks.stored(self.now, responder, requester, token_shown(request)),
            // A relayed response names contacts of another node.
            Response::Pong { .. } | Response::Accepted | Response::Relayed { .. } | Response::Error { .. } => {}
        }
    }

    fn check_contacts(&mut self, responder: u32, node: &M, contacts: Contacts<'_, HostAddress>) {
        for contact in contacts.iter() {
            let verified = node.routing().get(&contact.id).is_some_and(|peer| peer.state == ContactState::Verified);
            self.checks.require(verified, || format!("{responder} named {contact:?}, which it has not verified"));
            let host = self.directory.host_at(contact.address);
            let exists = host.is_some_and(|host| {
                let state = &self.hosts[host as usize];
                // A hostile host claims any identifier.
                state.id == contact.id || state.adversary.is_some()
            });
            self.checks.require(exists || self.directory.was_there(&contact), || {
                format!("{responder} named {contact:?}, which never existed")
            });
        }
    }
}

/// The number of the operation that sends this datagram as a request; [`MAINTENANCE`] if none does.
fn cause(running: &[RunningOperation], relayed: &HashMap<Id, u32>, datagram: &[u8]) -> u32 {
    let Ok(wire::Message { body: Body::Request { request, .. }, .. }) = wire::decode::<HostAddress>(datagram) else {
        return MAINTENANCE;
    };
    let target = match request {
        Request::FindNode { target } => target,
        Request::FindValue { key, .. } => key.id,
        Request::Store { record, .. } => Record::key(&record).id,
        Request::Relay { target, .. } => return relayed.get(target.id()).copied().unwrap_or(MAINTENANCE),
        Request::Ping | Request::Probe { .. } | Request::Unknown { .. } => return MAINTENANCE,
    };
    let found = running.iter().find(|running| running.task.target() == Some(target));
    found.map_or(MAINTENANCE, |running| running.operation.0)
}

/// The token that a request shows.
fn token_shown(request: &[u8]) -> Option<Token> {
    match wire::decode::<HostAddress>(request).ok()?.body {
        Body::Request { token, .. } => token,
        Body::Response { .. } => None,
    }
}
