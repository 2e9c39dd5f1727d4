//! Peers that a test plays by hand beside a real node, in any variant of the format.

use core::marker::PhantomData;
use core::net::SocketAddrV4;

use kadlet::message::{Features, Observed, Request, Response};
use kadlet::wire::{Body, Header, MAX_DATAGRAM, Message, Wire};
use kadlet::{Config, Contact, Dht, Id, Instant, Routing};

use crate::network::Node;

pub const NOW: Instant = Instant::from_secs(1_000);
/// The transaction of all requests of peers.
const RANDOM: u64 = 0x0BAD_CAFE;

/// Datagrams, each with its destination.
pub type Sent = Vec<(SocketAddrV4, Vec<u8>)>;

/// A node with the identifier zero.
pub fn alone<W: Wire>(config: Config) -> Box<Node<W>> {
    Box::new(Node::new(NOW, config, Id::ZERO, [42; 32]).unwrap())
}

/// Gives a node a datagram, and returns what it sends in response.
pub fn deliver<W: Wire>(node: &mut Node<W>, from: SocketAddrV4, datagram: &[u8]) -> Option<Vec<u8>> {
    let mut buf = [0; MAX_DATAGRAM];
    let out = node.handle_datagram(NOW, from, datagram, &mut buf)?;
    Some(buf[..out.len].to_vec())
}

/// Takes all datagrams that a node has to send.
pub fn sent<W: Wire>(node: &mut Node<W>) -> Sent {
    let mut buf = [0; MAX_DATAGRAM];
    core::iter::from_fn(|| node.poll_transmit(NOW, &mut buf).map(|out| (out.to, buf[..out.len].to_vec()))).collect()
}

pub fn decode<W: Wire>(datagram: &[u8]) -> Message<'_, SocketAddrV4, W> {
    W::decode(datagram).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(datagram)))
}

pub fn request_of<W: Wire>(datagram: &[u8]) -> (Option<W::Token>, Request<'_>) {
    match decode::<W>(datagram).body {
        Body::Request { token, request, .. } => (token, request),
        Body::Response { response, .. } => panic!("{response:?}"),
    }
}

pub fn response_of<W: Wire>(datagram: &[u8]) -> (W::Token, Response<'_, SocketAddrV4>) {
    match decode::<W>(datagram).body {
        Body::Response { token, response } => (token, response),
        Body::Request { request, .. } => panic!("{request:?}"),
    }
}

/// A peer that the test plays.
#[derive(Clone, Copy, Debug)]
pub struct Peer<W> {
    pub contact: Contact<SocketAddrV4>,
    pub features: Features,
    wire: PhantomData<W>,
}

impl<W: Wire> Peer<W> {
    /// A server whose identifier begins with `number`, on the host of that number.
    pub fn new(number: u8, port: u16) -> Self {
        let mut id = [0; 20];
        id[0] = number;
        let contact = Contact::new(Id::from_bytes(id), SocketAddrV4::new([12, 0, number, 1].into(), port));
        Self { contact, features: Features::SERVES, wire: PhantomData }
    }

    /// The same as a client, which is never pinged.
    pub fn client(number: u8) -> Self {
        Self { features: Features::default(), ..Self::new(number, 4_000) }
    }

    pub fn request(&self, request: Request<'_>, token: Option<W::Token>) -> Vec<u8> {
        let body = Body::Request { largest: 1_176, token, request, padding: 0 };
        self.encode(W::transaction(RANDOM), body)
    }

    /// Sends a node a request, and returns the datagram that it responds with.
    pub fn ask(&self, node: &mut Node<W>, request: Request<'_>, token: Option<W::Token>) -> Option<Vec<u8>> {
        let response = deliver(node, self.contact.address, &self.request(request, token))?;
        assert_eq!(decode::<W>(&response).header.transaction, W::transaction(RANDOM));
        Some(response)
    }

    /// Responds to a node's request.
    pub fn respond(
        &self,
        node: &mut Node<W>,
        request: &[u8],
        token: W::Token,
        response: Response<'_, SocketAddrV4>,
    ) -> Option<Vec<u8>> {
        let transaction = decode::<W>(request).header.transaction;
        let datagram = self.encode(transaction, Body::Response { token, response });
        deliver(node, self.contact.address, &datagram)
    }

    /// Becomes a verified contact of a node.
    pub fn meet(&self, node: &mut Node<W>) {
        let query = node.ping(NOW, self.contact.address).unwrap();
        for (to, request) in sent(node) {
            if to == self.contact.address {
                self.respond(node, &request, W::NO_TOKEN, Response::Pong { observed: Observed::UNKNOWN });
            }
        }
        assert!(node.take_result(query).is_some() && node.routing().get(&self.contact.id).is_some());
    }

    pub fn encode(&self, transaction: W::Transaction, body: Body<'_, SocketAddrV4, W>) -> Vec<u8> {
        let header = Header { geometry: 1, network: 0, transaction, sender: self.contact.id, features: self.features };
        let mut buf = [0; MAX_DATAGRAM];
        let len = W::encode(&Message { header, body }, 0, &mut buf).expect("it can be encoded");
        buf[..len].to_vec()
    }
}
