//! Hostile hosts.

use kadlet::Contact;
use kadlet::message::Request;

use super::datagrams::InFlight;
use super::state::Network;
use crate::adversary::{Adversary, Arrival, Reaction, request_in};
use crate::node::SimulatedNode;

/// Hostile hosts.
impl<M: SimulatedNode> Network<M> {
    /// From now on, an adversary handles what arrives at a host, before the node there does. What the node sends by
    /// itself stays honest. Another adversary replaces the one that was there.
    ///
    /// # Panics
    ///
    /// If there is no such host.
    pub fn turn_hostile(&mut self, host: u32, adversary: Box<dyn Adversary>) {
        self.hosts[host as usize].adversary = Some(adversary);
    }

    /// Whether an adversary is at this host.
    #[must_use]
    pub fn is_hostile(&self, host: u32) -> bool {
        self.hosts.get(host as usize).is_some_and(|state| state.adversary.is_some())
    }

    /// From now on, a host receives what is sent to any address in its /24 at which no other host is. Without a prefix,
    /// as in a private network, nothing changes.
    ///
    /// # Panics
    ///
    /// If there is no such host.
    pub fn own_prefix(&mut self, host: u32) {
        self.directory.own_prefix(host);
    }

    /// An attacker sends this datagram: the checks take a record that it stores for one that was put.
    pub(super) fn note_put(&mut self, datagram: &[u8]) {
        if let Some((_, Request::Store { record, .. })) = request_in(datagram) {
            self.checks.put(record.key(), record.version());
        }
    }

    /// Lets the adversary at a host handle a datagram; false if the node there must handle it.
    pub(super) fn react(&mut self, host: u32, in_flight: &InFlight, datagram: &[u8]) -> bool {
        let own = self.directory.address(host);
        let state = &mut self.hosts[host as usize];
        let Some(adversary) = &mut state.adversary else {
            return false;
        };
        let own = Contact::new(state.id, own);
        let arrival = Arrival { now: self.now, at: in_flight.to, own, from: in_flight.from, datagram };
        match adversary.handle(&arrival) {
            Reaction::Honest => false,
            Reaction::Send(sent) => {
                for out in sent {
                    self.note_put(&out.bytes);
                    self.transmit(host, in_flight.to, out.to, in_flight.cause, &out.bytes);
                }
                true
            }
        }
    }
}
