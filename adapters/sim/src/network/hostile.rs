//! Hostile hosts.

use kadlet::message::Request;
use kadlet::{Contact, Instant};

use super::datagrams::{InFlight, MAINTENANCE};
use super::queue::Scheduled;
use super::state::Network;
use crate::address::HostAddress;
use crate::adversary::{Adversary, Arrival, Outgoing, Reaction, request_in};
use crate::node::SimulatedNode;

/// Hostile hosts.
impl<M: SimulatedNode> Network<M> {
    /// From now on, an adversary handles what arrives at a host, before the node there does. What the node sends by
    /// itself stays honest. Without a node there, the adversary is a minimal one. It replaces another one.
    ///
    /// # Panics
    ///
    /// If there is no such host.
    pub fn turn_hostile(&mut self, host: u32, adversary: Box<dyn Adversary>) {
        self.hosts[host as usize].adversary = Some(adversary);
        self.schedule_adversary(host, self.now);
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

    /// The adversary at this host may be due.
    pub(super) fn call_adversary(&mut self, host: u32) {
        let own = Contact::new(self.hosts[host as usize].id, self.directory.address(host));
        let state = &mut self.hosts[host as usize];
        if state.adversary_at > self.now {
            return;
        }
        state.adversary_at = Instant::NEVER;
        if let Some(adversary) = &mut state.adversary {
            let (sent, next) = adversary.act(self.now, own);
            self.send_all(host, own.address, MAINTENANCE, sent);
            self.schedule_adversary(host, next);
        }
    }

    fn schedule_adversary(&mut self, host: u32, at: Instant) {
        let at = at.max(self.now);
        self.hosts[host as usize].adversary_at = at;
        if at != Instant::NEVER {
            self.queue.push(at, Scheduled::Adversary(host));
        }
    }

    fn send_all(&mut self, host: u32, source: HostAddress, cause: u32, sent: Vec<Outgoing>) {
        for out in sent {
            self.note_put(&out.bytes);
            self.transmit(host, source, out.to, cause, &out.bytes);
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
                self.send_all(host, in_flight.to, in_flight.cause, sent);
                true
            }
        }
    }
}
