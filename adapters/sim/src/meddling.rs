//! What a test may do to single datagrams, and what it may say itself: for small networks, whose every datagram matters.

use core::time::Duration;

use kadlet::wire::{self, Body, MAX_DATAGRAM, Message, Request};
use kadlet::{Id, Record};

use crate::arena::MAINTENANCE;
use crate::network::Place;
use crate::queue::What;
use crate::{Make, Network};

/// A datagram that reached a stranger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// Who sent it.
    pub from: u32,
    /// The stranger.
    pub to: u32,
    /// What it says.
    pub datagram: Vec<u8>,
}

/// Single datagrams. Those on their way are numbered by when they arrive; a number beyond the last means none. Each call looks at
/// all that is to happen in the network.
impl<M: Make> Network<M> {
    /// How many datagrams are on their way.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.queue.arrivals().len()
    }

    /// A datagram arrives now, before those that were sent earlier.
    pub fn hasten(&mut self, number: usize) {
        if let Some(place) = self.take_flight(number) {
            self.arrive(place);
        }
    }

    /// A datagram gets lost.
    pub fn lose(&mut self, number: usize) {
        if let Some(place) = self.take_flight(number) {
            self.arena.take(place, &mut [0; MAX_DATAGRAM]);
        }
    }

    /// A datagram arrives once more, so long after now.
    pub fn repeat(&mut self, number: usize, after: Duration) {
        if let Some(place) = self.queue.arrivals().get(number) {
            let (flight, datagram) = self.arena.get_mut(*place);
            let datagram = datagram.to_vec();
            let copy = self.arena.put(flight.from, flight.to, flight.cause, &datagram);
            self.queue.push(self.now + after, What::Arrival(copy));
        }
    }

    /// The bytes of a datagram on its way, to be spoiled. Who does so has no right to what [`Checks`](crate::Checks) hold any more:
    /// nothing here is sealed against whoever sits on the wire.
    pub fn flight_mut(&mut self, number: usize) -> &mut [u8] {
        self.queue.arrivals().get(number).map_or(&mut [], |place| self.arena.get_mut(*place).1)
    }

    /// Adds an address at which no node is: what it says is the test's to [send](Network::send_as), and what reaches it comes by
    /// [`next_letter`](Network::next_letter). `id` is who it says to be.
    pub fn add_stranger(&mut self, id: Id) -> u32 {
        let mut place = Place::new(id);
        place.strange = true;
        self.places.push(place);
        self.places.len() as u32 - 1
    }

    /// Sends a datagram of at most [`MAX_DATAGRAM`] bytes from any address, as a stranger does who forges it. What it has others store
    /// counts as put.
    pub fn send_as(&mut self, from: u32, to: u32, datagram: &[u8]) {
        if let Ok(Message { body: Body::Request { request: Request::Store { record, .. }, .. }, .. }) =
            wire::decode::<u32>(datagram)
        {
            self.checks.put(Record::key(&record), record.version());
        }
        self.transmit(from, to, MAINTENANCE, datagram);
    }

    /// The next datagram that reached a stranger, in the order in which they did.
    pub fn next_letter(&mut self) -> Option<Letter> {
        self.mail.pop_front()
    }

    fn take_flight(&mut self, number: usize) -> Option<u32> {
        let place = *self.queue.arrivals().get(number)?;
        self.queue.cancel(What::Arrival(place));
        Some(place)
    }
}

#[cfg(test)]
mod tests {
    use kadlet::wire::{Features, Header, Response, Transaction};
    use kadlet::{Config, Instant};

    use super::*;
    use crate::{Ending, Latency, Links, Peer};

    const TRIP: Duration = Duration::from_millis(10);

    fn two() -> Network<Peer> {
        let mut network = Network::new(3, Links::new(Latency::Constant(TRIP)), Config::DEFAULT);
        network.add_ideal(2, || ());
        network
    }

    fn ended(network: &mut Network<Peer>, within: Duration) -> Option<Ending> {
        network.run_until(network.now() + within);
        network.next_ended().map(|ended| ended.ending)
    }

    #[test]
    fn one_datagram_is_lost_and_another_arrives_at_once() {
        let mut network = two();
        network.ping(0, 1).expect("it is idle");
        network.lose(network.in_flight() - 1);
        assert_eq!((network.in_flight(), ended(&mut network, 10 * TRIP)), (0, None));
        network.ping(0, 1).expect("it has room");
        network.hasten(0);
        assert_eq!(ended(&mut network, TRIP), Some(Ending::Pong), "only the answer took its time");
    }

    #[test]
    fn a_repeated_request_is_responded_twice_and_a_spoiled_one_never() {
        let mut network = two();
        network.ping(0, 1).expect("it is idle");
        network.repeat(0, TRIP / 2);
        assert_eq!(ended(&mut network, 3 * TRIP), Some(Ending::Pong));
        assert_eq!(kadlet::Dht::stats(network.node(1).expect("it lives")).responded, 2);
        network.ping(0, 1).expect("it is idle");
        network.flight_mut(0)[0] ^= 1;
        assert_eq!(ended(&mut network, 3 * TRIP), None);
    }

    #[test]
    fn a_stranger_asks_and_is_responded() {
        let mut network = two();
        let id = Id::from_bytes([9; 20]);
        let stranger = network.add_stranger(id);
        let header =
            Header { geometry: 1, network: 0, transaction: Transaction::default(), sender: id, features: Features(0) };
        let body = Body::Request { largest: 1_208, token: None, request: Request::Ping, padding: 0 };
        let mut buf = [0; MAX_DATAGRAM];
        let len = wire::encode::<u32>(&Message { header, body }, &mut buf).expect("it fits");
        network.send_as(stranger, 1, &buf[..len]);
        network.run_until(network.now() + 2 * TRIP);
        let letter = network.next_letter().expect("it was answered");
        assert_eq!((letter.from, letter.to), (1, stranger));
        let response = wire::decode::<u32>(&letter.datagram).expect("it is a message").body;
        assert!(matches!(response, Body::Response { response: Response::Pong { .. }, .. }));
        assert!(network.now() > Instant::ZERO && network.next_letter().is_none());
    }
}
