//! Peers that the test plays by hand, datagram by datagram, beside a real node, and helpers that drive such a node.

use core::fmt::Debug;
use core::net::SocketAddrV4;
use core::time::Duration;

use kadlet::message::{Contacts, Features, Observed, Request, Response};
use kadlet::wire::{self, Body, Header, Kadlet, MAX_DATAGRAM, Message, Token, Transaction};
use kadlet::{Address, Config, Contact, Dht, FixedStore, Id, Instant, Kademlia, Node, Outcome, Routing, Store};

/// A node of a microcontroller's size with IPv4 addresses.
pub(crate) type Node4 = Node<Kademlia<SocketAddrV4, 128>, FixedStore<32, 8192>, 4>;

/// Datagrams in the order in which a node sent them, each with its destination.
pub(crate) type Sent<A> = Vec<(A, Vec<u8>)>;

pub(crate) const NOW: Instant = Instant::from_secs(1_000);

pub(crate) fn node4(config: Config) -> Box<Node4> {
    Box::new(Node4::new(NOW, config, Id::from_bytes([7; 20]), [42; 32]).unwrap())
}

pub(crate) fn at(text: &str) -> SocketAddrV4 {
    text.parse().unwrap()
}

/// The identifier that begins with these bytes.
pub(crate) fn id(start: &[u8]) -> Id {
    let mut bytes = [0; 20];
    bytes[..start.len()].copy_from_slice(start);
    Id::from_bytes(bytes)
}

/// A peer that the test plays: it encodes whatever messages the test wants to send.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer<A> {
    pub(crate) contact: Contact<A>,
    pub(crate) features: Features,
    pub(crate) network: u16,
    pub(crate) geometry: u8,
}

impl<A: Address> Peer<A> {
    /// A server of the default network.
    pub(crate) fn new(id: Id, address: A) -> Self {
        Self { contact: Contact::new(id, address), features: Features::SERVES, network: 0, geometry: 1 }
    }

    fn header(&self, transaction: Transaction) -> Header<Kadlet> {
        Header {
            geometry: self.geometry,
            network: self.network,
            transaction,
            sender: self.contact.id,
            features: self.features,
        }
    }

    pub(crate) fn request(&self, request: Request<'_>, token: Option<Token>) -> Vec<u8> {
        self.padded(request, token, 0)
    }

    pub(crate) fn padded(&self, request: Request<'_>, token: Option<Token>, padding: u16) -> Vec<u8> {
        let body = Body::Request { largest: (MAX_DATAGRAM - wire::SEAL) as u16, token, request, padding };
        encode::<A>(&Message { header: self.header(Transaction([9; 8])), body })
    }

    pub(crate) fn response(&self, transaction: Transaction, response: Response<'_, A>) -> Vec<u8> {
        encode(&Message { header: self.header(transaction), body: Body::Response { token: Token([5; 8]), response } })
    }

    /// Sends a node a request and returns the response. Panics if there is none.
    pub(crate) fn ask<M: Dht<Address = A>>(
        &self,
        node: &mut M,
        now: Instant,
        request: Request<'_>,
        token: Option<Token>,
    ) -> Vec<u8> {
        deliver(node, now, self.contact.address, &self.request(request, token)).expect("a response").1
    }

    /// Asks a node for a token.
    pub(crate) fn token<M: Dht<Address = A>>(&self, node: &mut M, now: Instant) -> Token {
        token_of::<A>(&self.ask(node, now, Request::Ping, None))
    }

    /// Becomes a verified contact of a node.
    pub(crate) fn meet<M: Dht<Address = A>>(&self, node: &mut M, now: Instant) {
        let query = node.ping(now, self.contact.address).unwrap();
        for (to, bytes) in sent(node, now) {
            if to == self.contact.address {
                let pong = Response::Pong { observed: Observed::new(to) };
                deliver(node, now, to, &self.response(transaction_of::<A>(&bytes), pong));
            }
        }
        assert!(matches!(node.take_result(query).unwrap().outcome, Outcome::Pong { .. }));
    }

    /// Responds to a request as a node without contacts and records does.
    pub(crate) fn empty_response(&self, request: &[u8]) -> Vec<u8> {
        let message = decode::<A>(request);
        let response = match message.body {
            Body::Request { request: Request::Ping, .. } => {
                Response::Pong { observed: Observed::new(self.contact.address) }
            }
            Body::Request { request: Request::Store { lifetime, .. }, .. } => Response::Stored { lifetime },
            _ => Response::Nodes { contacts: Contacts::EMPTY },
        };
        self.response(message.header.transaction, response)
    }
}

pub(crate) fn encode<A: Address>(message: &Message<'_, A, Kadlet>) -> Vec<u8> {
    let mut buf = [0; MAX_DATAGRAM];
    let len = wire::encode(message, &mut buf).unwrap();
    buf[..len].to_vec()
}

pub(crate) fn decode<A: Address>(bytes: &[u8]) -> Message<'_, A, Kadlet> {
    wire::decode(bytes).unwrap()
}

pub(crate) fn transaction_of<A: Address>(bytes: &[u8]) -> Transaction {
    decode::<A>(bytes).header.transaction
}

pub(crate) fn request_of<A: Address>(bytes: &[u8]) -> Request<'_> {
    match decode::<A>(bytes).body {
        Body::Request { request, .. } => request,
        Body::Response { .. } => panic!("a response"),
    }
}

pub(crate) fn response_of<A: Address>(bytes: &[u8]) -> Response<'_, A> {
    match decode::<A>(bytes).body {
        Body::Response { response, .. } => response,
        Body::Request { .. } => panic!("a request"),
    }
}

pub(crate) fn token_of<A: Address>(bytes: &[u8]) -> Token {
    match decode::<A>(bytes).body {
        Body::Response { token, .. } => token,
        Body::Request { .. } => panic!("a request"),
    }
}

/// Gives a node a datagram. Returns the datagram that it sends in reply, if any, and its destination.
pub(crate) fn deliver<M: Dht>(
    node: &mut M,
    now: Instant,
    from: M::Address,
    bytes: &[u8],
) -> Option<(M::Address, Vec<u8>)> {
    let mut buf = [0; MAX_DATAGRAM];
    let out = node.handle_datagram(now, from, bytes, &mut buf)?;
    Some((out.to, buf[..out.len].to_vec()))
}

/// Takes all datagrams that a node has to send.
pub(crate) fn sent<M: Dht>(node: &mut M, now: Instant) -> Sent<M::Address> {
    let mut buf = [0; MAX_DATAGRAM];
    core::iter::from_fn(|| node.poll_transmit(now, &mut buf).map(|out| (out.to, buf[..out.len].to_vec()))).collect()
}

/// Calls a node at its deadlines for some time, and returns what it sent meanwhile. Nothing responds.
pub(crate) fn idle<M: Dht>(node: &mut M, now: &mut Instant, time: Duration) -> Vec<(Instant, M::Address, Vec<u8>)> {
    let end = *now + time;
    let mut all = Vec::new();
    loop {
        all.extend(sent(node, *now).into_iter().map(|(to, bytes)| (*now, to, bytes)));
        match node.poll_timeout() {
            Some((due, _)) if due <= end => *now = due.max(*now),
            _ => break,
        }
        node.handle_timeout(*now);
    }
    *now = end;
    all
}

/// All of a node's state that its user can see, as text that can be compared.
pub(crate) fn picture<M: Dht<Address: Debug>>(node: &M) -> String {
    let peers: Vec<_> = node.routing().peers().collect();
    let records: Vec<_> = (0..node.store().len()).map(|slot| format!("{:?}", node.store().get(slot))).collect();
    format!("{:?} {peers:?} {records:?} {:?}", node.stats(), node.poll_timeout())
}

/// Whether a node has another as a verified contact.
pub(crate) fn knows<M: Dht>(node: &M, id: &Id) -> bool {
    node.routing().get(id).is_some_and(|peer| peer.state == kadlet::routing::ContactState::Verified)
}
