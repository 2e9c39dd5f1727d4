//! The seam between meanings and bytes: what a wire format provides, and what the rest of kadlet knows of it.
//!
//! A format belongs to a network: see [`Network`](crate::Network). It says how a [`Message`] is encoded and decoded,
//! what names an exchange (its transaction and token types), how long messages are, and, in [`Rules`], where a node
//! behaves in another way because of it. Nothing else in the crate knows a format. `core/tests/text.rs` writes one
//! outside of the crate.

use core::error::Error;
use core::fmt::Debug;

use crate::address::Address;
use crate::id::Id;
use crate::message::{Features, Request, Response};
use crate::record::Record;

/// The largest datagram of any format, in bytes of UDP payload: what IPv6's minimum MTU of 1,280 leaves. A buffer of
/// this size always suffices.
pub const MAX_DATAGRAM: usize = 1_232;
/// The smallest bound on datagrams that still serves, in bytes: an IEEE 802.15.4 frame.
pub const MIN_DATAGRAM: usize = 127;
/// Bytes that every message leaves free in its datagram, whatever the bound on that, so that the datagram can be
/// sealed.
pub const SEAL: usize = 24;

/// A wire format: messages as datagrams.
///
/// It is a type without values, chosen by the node's [`Network`](crate::Network) type. [`Kadlet`](crate::wire::Kadlet)
/// is kadlet's own.
pub trait Wire: Copy + Eq + Debug + Send + Sync + 'static {
    /// Identifies one request, so that its response can be told from a forged one. Chosen by the requester, repeated in
    /// the response.
    type Transaction: Copy + Eq + Debug + Send + Sync + 'static;
    /// Proves that its sender receives what is sent to its address. Chosen by the responder, shown in the next request.
    type Token: Copy + Eq + Debug + Send + Sync + 'static;
    /// Why a datagram is not a message of this format.
    type DecodeError: Error;

    /// Stands for no token in memory: best all zeros, so that an empty node lies in `.bss`.
    const NO_TOKEN: Self::Token;
    /// What a node does in another way because of this format.
    const RULES: Rules;
    /// How many bytes messages take.
    const LENGTHS: Lengths;
    /// The largest datagram, in bytes: at most [`MAX_DATAGRAM`](const@MAX_DATAGRAM).
    const MAX_DATAGRAM: usize;
    /// The smallest bound on datagrams with which all but large records still fits, in bytes.
    const MIN_DATAGRAM: usize;

    /// The transaction made of these random bits.
    fn transaction(random: u64) -> Self::Transaction;

    /// The token made of the MAC that [`Tokens`](crate::guard::Tokens) computes.
    fn token(mac: u64) -> Self::Token;

    /// The MAC that a token was made of; `None` if this node can't have made it.
    fn mac(token: &Self::Token) -> Option<u64>;

    /// Decodes a datagram. The message borrows from it.
    ///
    /// # Errors
    ///
    /// [`DecodeError`](Wire::DecodeError), for any bytes that are not a message of this format.
    fn decode<A: Address>(datagram: &[u8]) -> Result<Message<'_, A, Self>, Self::DecodeError>;

    /// Whether a datagram that can't be decoded is of another version of the format. All others count as malformed.
    fn is_of_another_version(error: &Self::DecodeError) -> bool;

    /// Encodes a message to the beginning of `buf` and says how many bytes it takes: `None` if `buf` is too small, or
    /// no datagram may hold the message. A request is padded to `least` bytes, if the format pads and `buf` holds as
    /// many.
    fn encode<A: Address>(message: &Message<'_, A, Self>, least: usize, buf: &mut [u8]) -> Option<usize>;

    /// How many bytes a record takes in a message.
    fn record_len(record: &Record<'_>) -> usize;

    /// How many bytes a contact with an address of `address` bytes takes in a response.
    fn contact_len(address: usize) -> usize;
}

/// How many bytes messages take, so that they can be planned before they are encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lengths {
    /// A ping without a token.
    pub ping: usize,
    /// A store with a token, without its record and without compare-and-swap.
    pub store: usize,
    /// What compare-and-swap adds to a store.
    pub compare: usize,
    /// An error.
    pub error: usize,
    /// A `nodes` response without contacts.
    pub nodes: usize,
    /// A `value` response without its record and without contacts.
    pub value: usize,
    /// A `held` response without contacts.
    pub held: usize,
    /// A `relayed` response without a record and without contacts.
    pub relayed: usize,
    /// What a record adds to a `relayed` response, beside its own length.
    pub found: usize,
}

/// Where the behaviour of a node depends on the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Which responses carry a token.
    pub tokens: TokenSource,
    /// What a token is bound to.
    pub token_binding: TokenBinding,
    /// What proves that a requester receives what is sent to its address.
    pub address_proof: AddressProof,
    /// Whether requests are padded, so that three times their length holds the response.
    pub padding: bool,
    /// Whether there is a `held` response, in place of a record that is too large for a requester that has not proved
    /// its address.
    pub held: bool,
    /// Whether records have lifetimes, so that holders hand them to each other. Without, only their publisher keeps
    /// them alive.
    pub lifetimes: bool,
    /// Whether messages name the network and its geometry. Without, whatever can be decoded is of this network.
    pub names_network: bool,
    /// Whether a response tells its kind. Without, a [`Response::Pong`] also acknowledges a store.
    pub response_kinds: bool,
}

/// Which responses carry a token: see [`Rules::tokens`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenSource {
    /// Every response.
    EveryResponse,
    /// Only responses to requests for records, so that a put looks its key up by such requests.
    FindValue,
}

/// What a token is bound to: see [`Rules::token_binding`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenBinding {
    /// The requester's identifier and its address with the port.
    Sender,
    /// The requester's address without the port.
    Host,
}

/// What proves an address: see [`Rules::address_proof`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AddressProof {
    /// A valid token in the request.
    Token,
    /// A valid token, or that the table has a verified contact at this address.
    TokenOrContact,
}

/// One datagram, decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a, A: Address, W: Wire> {
    /// What all messages have.
    pub header: Header<W>,
    /// The request or the response.
    pub body: Body<'a, A, W>,
}

/// What all messages have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<W: Wire> {
    /// The geometry of the sender's network: [`Geometry::TAG`](crate::Geometry::TAG). 0 in a format that doesn't name
    /// it.
    pub geometry: u8,
    /// The number of the sender's network: nodes of different networks are strangers. 0 in a format that doesn't name
    /// it.
    pub network: u16,
    /// Identifies the request; its response repeats it.
    pub transaction: W::Transaction,
    /// The sender's identifier.
    pub sender: Id,
    /// What the sender can do.
    pub features: Features,
}

/// A request or a response, with what only its kind has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body<'a, A: Address, W: Wire> {
    /// A request, to be responded to in one datagram.
    Request {
        /// The largest response that the requester takes, in bytes of the message: [`SEAL`] less than its datagrams
        /// hold.
        largest: u16,
        /// The token that the responder gave last, if the requester has one.
        token: Option<W::Token>,
        /// The request.
        request: Request<'a>,
        /// How many bytes of padding follow, so that the response may be larger. Always 0 after [`Request::Unknown`].
        padding: u16,
    },
    /// A response.
    Response {
        /// A token to show with the next request. [`Wire::NO_TOKEN`] in a response of a format that gives none with it.
        token: W::Token,
        /// The response.
        response: Response<'a, A>,
    },
}
