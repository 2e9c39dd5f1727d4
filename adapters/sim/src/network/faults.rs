//! Faults of single datagrams, and datagrams that the test writes itself: for small networks, where each datagram
//! matters. Faults of whole links are in [`Links`](crate::Links).

use core::time::Duration;

use kadlet::wire::MAX_DATAGRAM;
use kadlet::{Contact, Id};

use super::datagrams::{Datagram, MAINTENANCE};
use super::host::Host;
use super::queue::Scheduled;
use super::state::Network;
use crate::address::HostAddress;
use crate::node::SimulatedNode;

/// Faults. Datagrams in flight are numbered from 0 in the order in which they will arrive; a number beyond the last
/// names none, and the call does nothing. Each call walks all scheduled events.
impl<M: SimulatedNode> Network<M> {
    /// How many datagrams are in flight.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.queue.arrivals().len()
    }

    /// Delivers a datagram now, before those that would have arrived earlier.
    pub fn deliver_now(&mut self, number: usize) {
        if let Some(slot) = self.take_in_flight(number) {
            self.arrive(slot);
        }
    }

    /// Drops a datagram.
    pub fn drop_datagram(&mut self, number: usize) {
        if let Some(slot) = self.take_in_flight(number) {
            self.datagrams.take(slot, &mut [0; MAX_DATAGRAM]);
        }
    }

    /// Duplicates a datagram: the copy arrives `after` from now.
    pub fn duplicate(&mut self, number: usize, after: Duration) {
        if let Some(slot) = self.queue.arrivals().get(number) {
            let (original, bytes) = self.datagrams.get_mut(*slot);
            let bytes = bytes.to_vec();
            let copy = self.datagrams.put(original.from, original.to, original.cause, &bytes);
            self.queue.push(self.now + after, Scheduled::Arrival(copy));
        }
    }

    /// The bytes of a datagram in flight, to corrupt them. From then on [`Checks`](crate::Checks) can be violated
    /// without a fault of kadlet: nothing here is sealed against an attacker on the path.
    pub fn datagram_mut(&mut self, number: usize) -> &mut [u8] {
        self.queue.arrivals().get(number).map_or(&mut [], |slot| self.datagrams.get_mut(*slot).1)
    }

    /// Adds an address without a node, and returns it. The test itself [sends](Network::send_as) from there, and
    /// [receives](Network::next_received) what arrives there. `id` is the identifier that it will claim.
    ///
    /// ```
    /// use core::time::Duration;
    /// use kadlet::{Config, Dht, Id};
    /// use kadlet_sim::{Latency, Links, Network, Peer};
    ///
    /// let mut network = Network::<Peer>::new(1, Links::new(Latency::INTERNET), Config::DEFAULT);
    /// network.add_ideal(2, || ());
    /// let attacker = network.add_attacker(Id::from_bytes([9; 20]));
    /// network.send_as(network.address(attacker), network.address(0), b"not a message");
    /// network.run_until(network.now() + Duration::from_secs(1));
    /// assert_eq!(network.next_received(), None);
    /// assert_eq!(network.node(0).expect("it lives").stats().wrong_version, 1);
    /// ```
    pub fn add_attacker(&mut self, id: Id) -> u32 {
        self.add_attacker_at(Contact::new(id, HostAddress::spread(self.hosts.len() as u32)))
    }

    /// The same with this address. An adversary that is attached there is a minimal node.
    ///
    /// # Panics
    ///
    /// If another host has the address.
    pub fn add_attacker_at(&mut self, own: Contact<HostAddress>) -> u32 {
        let mut host = Host::new(own.id);
        host.is_attacker = true;
        self.hosts.push(host);
        self.directory.add(own.address)
    }

    /// Sends a datagram of at most [`MAX_DATAGRAM`] bytes from any address, forged or not. The checks take a record
    /// that it stores for one that was put.
    pub fn send_as(&mut self, from: HostAddress, to: HostAddress, datagram: &[u8]) {
        self.note_put(datagram);
        let host = self.host_at(from).unwrap_or(0);
        self.transmit(host, from, to, MAINTENANCE, datagram);
    }

    /// The next datagram that reached an attacker, in the order of arrival; `None` if there is none.
    pub fn next_received(&mut self) -> Option<Datagram> {
        self.received.pop_front()
    }

    fn take_in_flight(&mut self, number: usize) -> Option<u32> {
        let slot = *self.queue.arrivals().get(number)?;
        self.queue.cancel(Scheduled::Arrival(slot));
        Some(slot)
    }
}

#[cfg(test)]
mod tests {
    use kadlet::message::{Features, Request, Response};
    use kadlet::wire::{self, Body, Header, Message, Transaction};
    use kadlet::{Config, Dht, Instant};

    use super::*;
    use crate::links::{Latency, Links};
    use crate::network::OperationOutcome;
    use crate::node::Peer;

    const TRIP: Duration = Duration::from_millis(10);

    fn two_nodes() -> Network<Peer> {
        let mut network = Network::new(3, Links::new(Latency::Constant(TRIP)), Config::DEFAULT);
        network.add_ideal(2, || ());
        network
    }

    fn outcome(network: &mut Network<Peer>, within: Duration) -> Option<OperationOutcome> {
        network.run_until(network.now() + within);
        network.next_result().map(|result| result.outcome)
    }

    #[test]
    fn a_dropped_datagram_never_arrives_and_another_can_be_delivered_at_once() {
        let mut network = two_nodes();
        network.ping(0, 1).expect("it is idle");
        network.drop_datagram(network.in_flight() - 1);
        assert_eq!((network.in_flight(), outcome(&mut network, 10 * TRIP)), (0, None));
        network.ping(0, 1).expect("it has a free slot");
        network.deliver_now(0);
        assert_eq!(outcome(&mut network, TRIP), Some(OperationOutcome::Pong), "only the response took its time");
    }

    #[test]
    fn a_duplicated_request_gets_two_responses_and_a_corrupted_one_none() {
        let mut network = two_nodes();
        network.ping(0, 1).expect("it is idle");
        network.duplicate(0, TRIP / 2);
        assert_eq!(outcome(&mut network, 3 * TRIP), Some(OperationOutcome::Pong));
        assert_eq!(network.node(1).expect("it lives").stats().responses_sent, 2);
        network.ping(0, 1).expect("it is idle");
        network.datagram_mut(0)[0] ^= 1;
        assert_eq!(outcome(&mut network, 3 * TRIP), None);
    }

    #[test]
    fn a_request_of_an_attacker_gets_a_response() {
        let mut network = two_nodes();
        let id = Id::from_bytes([9; 20]);
        let attacker = network.add_attacker(id);
        let header =
            Header { geometry: 1, network: 0, transaction: Transaction::default(), sender: id, features: Features(0) };
        let body = Body::Request { largest: 1_208, token: None, request: Request::Ping, padding: 0 };
        let mut buf = [0; MAX_DATAGRAM];
        let len = wire::encode::<HostAddress>(&Message { header, body }, &mut buf).expect("it fits");
        network.send_as(network.address(attacker), network.address(1), &buf[..len]);
        network.run_until(network.now() + 2 * TRIP);
        let received = network.next_received().expect("node 1 responded");
        assert_eq!((network.host_at(received.from), network.host_at(received.to)), (Some(1), Some(attacker)));
        let response = wire::decode::<HostAddress>(&received.bytes).expect("it is a message").body;
        assert!(matches!(response, Body::Response { response: Response::Pong { .. }, .. }));
        assert!(network.now() > Instant::ZERO && network.next_received().is_none());
    }
}
