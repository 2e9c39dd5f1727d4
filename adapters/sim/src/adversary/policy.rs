//! The trait of a policy, and what all policies use.

use core::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use kadlet::message::{Contacts, Features, Observed, Request, Response};
use kadlet::wire::{self, Body, Header, Kadlet, MAX_DATAGRAM, Message, Token};
use kadlet::{Contact, Id, Instant};

use crate::address::HostAddress;
use crate::random::Random;

/// The token in all responses of attackers: they check none.
const TOKEN: Token = Token([0xA5; 8]);
/// The largest response that attackers take, in bytes.
const LARGEST: u16 = 1_208;

/// What a hostile host does. The [module](crate::adversary) has an example.
pub trait Adversary {
    /// Handles a datagram that reached the host.
    fn handle(&mut self, arrival: &Arrival<'_>) -> Reaction;

    /// Sends datagrams unasked, from the host's own address, where the node has the identifier of `own`. Returns them,
    /// and when to be called again; [`Instant::NEVER`], as by default, for never. It is called first when the adversary
    /// is attached.
    fn act(&mut self, _now: Instant, _own: Contact<HostAddress>) -> (Vec<Outgoing>, Instant) {
        (Vec::new(), Instant::NEVER)
    }
}

/// A datagram that reached a hostile host.
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'a> {
    /// The time.
    pub now: Instant,
    /// The address that it was sent to: the host's own, or another one in a prefix that it
    /// [owns](crate::Network::own_prefix).
    pub at: HostAddress,
    /// The host's own address, and the identifier of the node there.
    pub own: Contact<HostAddress>,
    /// The sender's address.
    pub from: HostAddress,
    /// The UDP payload.
    pub datagram: &'a [u8],
}

/// What comes of a datagram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reaction {
    /// The node on the host handles it, honestly. The same as sending nothing if none lives there.
    Honest,
    /// The node never sees it. These datagrams are sent from the address that it reached.
    Send(Vec<Outgoing>),
}

/// A datagram of an attacker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// Where it is sent.
    pub to: HostAddress,
    /// The UDP payload.
    pub bytes: Vec<u8>,
}

/// Which identifier attackers claim at each of their addresses. Accomplices share one.
#[derive(Clone, Debug, Default)]
pub struct Seats(Rc<RefCell<HashMap<HostAddress, Id>>>);

impl Seats {
    /// From now on, this identifier is claimed at this address.
    pub fn take(&self, contact: Contact<HostAddress>) {
        self.0.borrow_mut().insert(contact.address, contact.id);
    }

    /// The identifier to claim in a response. At the host's own address, it is that of the node there.
    #[must_use]
    pub fn claimed(&self, arrival: &Arrival<'_>) -> Id {
        if arrival.at == arrival.own.address {
            return arrival.own.id;
        }
        self.0.borrow().get(&arrival.at).copied().unwrap_or(arrival.own.id)
    }
}

/// The request in a datagram, and its header. `None` if it is none.
#[must_use]
pub fn request_in(datagram: &[u8]) -> Option<(Header<Kadlet>, Request<'_>)> {
    match wire::decode::<HostAddress>(datagram).ok()? {
        Message { header, body: Body::Request { request, .. } } => Some((header, request)),
        Message { body: Body::Response { .. }, .. } => None,
    }
}

/// Responds to the request with this header, as a node with the identifier `sender`.
///
/// # Panics
///
/// If the response is larger than a datagram.
#[must_use]
pub fn respond(
    arrival: &Arrival<'_>,
    header: &Header<Kadlet>,
    sender: Id,
    response: Response<'_, HostAddress>,
) -> Reaction {
    let header = Header { sender, features: Features::SERVES, ..*header };
    let message = Message { header, body: Body::Response { token: TOKEN, response } };
    Reaction::Send(vec![Outgoing { to: arrival.from, bytes: encoded(&message) }])
}

/// A request of an attacker as a datagram. It is not padded.
///
/// # Panics
///
/// If it is larger than a datagram.
#[must_use]
pub fn ask(header: &Header<Kadlet>, token: Option<Token>, request: Request<'_>) -> Vec<u8> {
    encoded(&Message { header: *header, body: Body::Request { largest: LARGEST, token, request, padding: 0 } })
}

/// The response in a datagram, and the token that comes with it. `None` if it is none.
#[must_use]
pub fn response_in(datagram: &[u8]) -> Option<(Token, Response<'_, HostAddress>)> {
    match wire::decode(datagram).ok()?.body {
        Body::Response { token, response } => Some((token, response)),
        Body::Request { .. } => None,
    }
}

/// A message as a datagram.
fn encoded(message: &Message<'_, HostAddress, Kadlet>) -> Vec<u8> {
    let mut buf = [0; MAX_DATAGRAM];
    let len = wire::encode(message, &mut buf).expect("it fits into a datagram");
    buf[..len].to_vec()
}

/// The response of an attacker that only names contacts: it pretends to store what it is given, and finds nothing.
/// `name` has the contacts for a target. Responses to the node on the host are left to that node.
pub(super) fn name_only(
    arrival: &Arrival<'_>,
    sender: Id,
    name: impl FnOnce(&Id) -> Vec<Contact<HostAddress>>,
) -> Reaction {
    let Some((header, request)) = request_in(arrival.datagram) else {
        return Reaction::Honest;
    };
    let named;
    let response = match request {
        Request::Ping => Response::Pong { observed: Observed::new(arrival.from) },
        Request::FindNode { target } => {
            named = name(&target);
            Response::Nodes { contacts: Contacts::new(&named) }
        }
        Request::FindValue { key, .. } => {
            named = name(&key.id);
            Response::Nodes { contacts: Contacts::new(&named) }
        }
        Request::Store { lifetime, .. } => Response::Stored { lifetime },
        Request::Relay { target, .. } => {
            named = name(target.id());
            Response::Relayed { hops: 0, found: None, contacts: Contacts::new(&named) }
        }
        Request::Probe { .. } => Response::Accepted,
        Request::Unknown { .. } => return Reaction::Honest,
    };
    respond(arrival, &header, sender, response)
}

/// The `count` of these contacts that are nearest to a target by the XOR metric, nearest first.
#[must_use]
pub fn nearest(
    contacts: impl IntoIterator<Item = Contact<HostAddress>>,
    target: &Id,
    count: usize,
) -> Vec<Contact<HostAddress>> {
    let mut nearest: Vec<_> = contacts.into_iter().collect();
    let distance = |contact: &Contact<HostAddress>| contact.id.xor(target);
    if nearest.len() > count {
        nearest.select_nth_unstable_by_key(count, distance);
        nearest.truncate(count);
    }
    nearest.sort_unstable_by_key(distance);
    nearest
}

/// `count` of these contacts, drawn at random and in the same order; all, if there are no more than that.
#[must_use]
pub fn draw(mut contacts: Vec<Contact<HostAddress>>, count: usize, random: &mut Random) -> Vec<Contact<HostAddress>> {
    while contacts.len() > count {
        contacts.remove(random.below(contacts.len()));
    }
    contacts
}
