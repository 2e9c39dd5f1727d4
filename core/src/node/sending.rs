//! The outlet: all datagrams of a node leave through [`Outlet::send`], and all its requests begin in
//! [`Shared::begin_request`].

use core::num::NonZeroU8;

use super::bounds::{Parts, TokenOf, TransactionOf};
use super::config::Config;
use super::purpose::Purpose;
use super::query::Transmit;
use super::shared::Shared;
use super::stats::{Stats, count_up};
use crate::address::Address;
use crate::contact::Contact;
use crate::geometry::Geometry;
use crate::id::Id;
use crate::message::{Contacts, Features, Response};
use crate::routing::{ContactState, Routing};
use crate::rpc::Attempts;
#[cfg(feature = "sealed")]
use crate::wire::sealed;
use crate::wire::{Body, Header, Message, TokenBinding, Wire};

/// The parts of a node that are needed to send. The message can borrow all others meanwhile.
pub(super) struct Outlet<'a, P: Parts> {
    pub(super) stats: &'a mut Stats,
    pub(super) config: &'a Config,
    pub(super) table: &'a P::Routing,
    #[cfg(feature = "sealed")]
    pub(super) next_seal: &'a mut u64,
}

/// The node that a response goes to.
#[derive(Debug)]
pub(super) struct Recipient<P: Parts> {
    pub(super) contact: Contact<P::Address>,
    pub(super) transaction: TransactionOf<P>,
    /// The length of the longest response that can be sent to it, in bytes.
    pub(super) most: usize,
}

impl<P: Parts> Outlet<'_, P> {
    /// Encodes a message of at most `most` bytes to `buf`, seals it if this is configured, and counts it. A request is
    /// padded to `least` bytes if this fits.
    fn send(
        self,
        to: P::Address,
        message: &Message<'_, P::Address, P::Wire>,
        least: usize,
        most: usize,
        buf: &mut [u8],
    ) -> Option<Transmit<P::Address>> {
        let room = most.min(self.config.largest_message_in(buf));
        let len = P::Wire::encode(message, least.min(room), buf.get_mut(..room)?)?;
        #[cfg(feature = "sealed")]
        let len = match &self.config.seal {
            Some(key) => {
                let number = *self.next_seal;
                *self.next_seal = number.wrapping_add(1);
                sealed::seal::<P::Wire>(key, number, len, buf)?
            }
            None => len,
        };
        count_up(&mut self.stats.sent);
        self.stats.sent_bytes += len as u64;
        Some(Transmit { to, len })
    }

    /// Sends a response.
    pub(super) fn respond(
        self,
        to: &Recipient<P>,
        token: TokenOf<P>,
        response: Response<'_, P::Address>,
        buf: &mut [u8],
    ) -> Option<Transmit<P::Address>> {
        let message = Message { header: self.header(to.transaction), body: Body::Response { token, response } };
        self.send(to.contact.address, &message, 0, to.most, buf)
    }

    /// Sends a request of at least `least` bytes. Its body says how large a response can be taken; the own largest
    /// message is a bound too.
    pub(super) fn request(
        self,
        to: P::Address,
        transaction: TransactionOf<P>,
        body: Body<'_, P::Address, P::Wire>,
        least: usize,
        buf: &mut [u8],
    ) -> Option<Transmit<P::Address>> {
        let message = Message { header: self.header(transaction), body };
        self.send(to, &message, least, usize::MAX, buf)
    }

    fn header(&self, transaction: TransactionOf<P>) -> Header<P::Wire> {
        Header {
            geometry: P::Geometry::TAG,
            network: self.config.network,
            transaction,
            sender: self.table.own(),
            features: if self.config.serve.serves() { Features::SERVES } else { Features::default() },
        }
    }
}

impl<P: Parts> Recipient<P> {
    /// As many of these contacts as fit into `room` bytes.
    pub(super) fn fitting<'a>(&self, named: &'a [Contact<P::Address>], room: usize) -> Contacts<'a, P::Address> {
        Contacts::fitting(named, room, |address| P::Wire::contact_len(address.encode().as_bytes().len()))
    }
}

impl<P: Parts> Shared<P> {
    /// The outlet, while nothing else of the node is borrowed.
    pub(super) fn outlet(&mut self) -> Outlet<'_, P> {
        Outlet {
            stats: &mut self.stats,
            config: &self.config,
            table: &self.table,
            #[cfg(feature = "sealed")]
            next_seal: &mut self.next_seal,
        }
    }

    /// Begins a request, which [`poll_transmit`](crate::Dht::poll_transmit) sends. A node that the table knows at this
    /// address is no stranger. False if all request slots are taken.
    pub(super) fn begin_request(
        &mut self,
        purpose: Purpose,
        to: P::Address,
        expect: Option<&Id>,
        attempts: Attempts,
    ) -> bool {
        let known = expect.and_then(|id| self.table.get(id)).filter(|peer| {
            peer.state != ContactState::Unverified && peer.contact.address.canonical() == to.canonical()
        });
        let attempts = match attempts {
            _ if purpose == Purpose::Table && self.silence.is_long() => Attempts::Times(NonZeroU8::MIN),
            Attempts::Stranger if known.is_some() => Attempts::Known,
            attempts => attempts,
        };
        let timeout = known.and_then(|peer| peer.timeout);
        let transaction = P::Wire::transaction(self.random.next());
        let begun = self.requests.begin(purpose, to, expect.copied(), transaction, timeout, attempts).is_ok();
        if begun
            && timeout.is_none()
            && matches!(purpose, Purpose::Bootstrap { .. } | Purpose::Ping { .. } | Purpose::Check)
        {
            // The round trips of other nodes say little about a stranger, and no other node is asked in its place.
            self.requests.wait_initial();
        }
        begun
    }

    /// The least length of a request, in bytes, so that three times this length suffice for its `nodes` response. With
    /// `wants_ping`, also for the ping by which the responder checks that this node is there. 0 if the wire format
    /// doesn't pad requests.
    pub(super) fn padded_len(&self, to: P::Address, wants_ping: bool) -> usize {
        if !P::Wire::RULES.padding {
            return 0;
        }
        let contacts = self.k() * P::Wire::contact_len(to.encode().as_bytes().len());
        let seal = self.config.seal_len();
        let ping = if wants_ping { P::Wire::LENGTHS.ping + seal } else { 0 };
        let nodes = (P::Wire::LENGTHS.nodes + contacts).min(self.config.largest_message()) + seal;
        (nodes + ping).div_ceil(3).saturating_sub(seal)
    }
}

/// The address and the identifier that a token for this contact is bound to.
pub(super) fn token_bound_to<P: Parts>(contact: &Contact<P::Address>) -> (P::Address, Id) {
    match P::Wire::RULES.token_binding {
        TokenBinding::Sender => (contact.address, contact.id),
        TokenBinding::Host => (contact.address.without_port(), Id::ZERO),
    }
}
