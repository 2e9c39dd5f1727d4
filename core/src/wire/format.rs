//! The trait of a wire format: what a format provides, and all that the rest of kadlet knows of it.
//!
//! A format belongs to a network: see [`Network`](crate::Network). It encodes and decodes a [`Message`]. It has its own
//! transaction and token types, which identify an exchange. It has the lengths of messages. And where the behaviour of
//! a node depends on the format, it has a named rule in [`Rules`]. Nothing else in the crate knows a format.
//! `core/tests/text.rs` implements one outside of the crate.

use core::error::Error;
use core::fmt::Debug;

use crate::address::Address;
use crate::id::Id;
use crate::message::{Features, Request, Response};
use crate::record::Record;

/// The largest datagram of any format, in bytes of UDP payload: the minimum MTU of IPv6 (1,280) less the headers of
/// IPv6 and UDP. A buffer of this size is always large enough.
pub const MAX_DATAGRAM: usize = 1_232;
/// The smallest value that the largest datagram can be set to, in bytes: an IEEE 802.15.4 frame.
pub const MIN_DATAGRAM: usize = 127;
/// The bytes that every message leaves free in its datagram, so that the datagram can be sealed: a number of 8 bytes
/// and a tag of 16.
pub const SEAL: usize = 24;

/// A wire format: messages as datagrams.
///
/// The type that implements it is only a name. The node's [`Network`](crate::Network) type chooses it.
/// [`Kadlet`](crate::wire::Kadlet) is kadlet's own format.
///
/// A format needn't have everything that kadlet's has. The [`RULES`](Wire::RULES) name what changes the behaviour of a
/// node. For everything else:
///
/// - [`decode`](Wire::decode) fills in what the format leaves out: 0 for a network, [`MAX_DATAGRAM`](Wire::MAX_DATAGRAM)
///   less [`SEAL`] for the largest response, the lifetime that all records have, `false` for a handover,
///   [`Observed::UNKNOWN`](crate::message::Observed::UNKNOWN) for an observed address, [`Features::SERVES`] in a
///   response if only servers respond.
/// - [`encode`](Wire::encode) leaves the same out. It returns `None` for a kind of message that the format lacks.
/// - A message borrows from its datagram. So the value, the public key, the salt and the signature of a record must be
///   in the datagram as they are. Everything else can have another form there, such as digits.
/// - The transactions and tokens of other nodes can have any length that fits the types. A node keeps a transaction for
///   each request in flight, and a token for each contact in each shortlist, so both types should be small.
pub trait Wire: Copy + Eq + Debug + Send + Sync + 'static {
    /// Identifies one request. The requester chooses it, and the response repeats it. A forged response can't, because
    /// its sender doesn't know it.
    type Transaction: Copy + Eq + Debug + Send + Sync + 'static;
    /// Proves that a requester receives what is sent to its address. The responder chooses it, and the requester shows
    /// it in its next request.
    type Token: Copy + Eq + Debug + Send + Sync + 'static;
    /// Why a datagram is not a message of this format.
    type DecodeError: Error;

    /// Stands for no token. It should be all zeros, so that an empty node lies in `.bss`.
    const NO_TOKEN: Self::Token;
    /// How the behaviour of a node depends on this format.
    const RULES: Rules;
    /// How many bytes messages take, at most.
    const LENGTHS: Lengths;
    /// The largest value that [`Config::max_datagram`](crate::Config::max_datagram) can have, in bytes. All buffers have
    /// room for [`MAX_DATAGRAM`](const@MAX_DATAGRAM), so a node with a larger value here does not compile.
    const MAX_DATAGRAM: usize;
    /// The smallest value that it can have, in bytes. All messages but those with large records fit.
    const MIN_DATAGRAM: usize;
    /// Where the sender's identifier is in every message, as its 20 bytes: how many bytes come before it. `None`, the
    /// default, if the format has no such place. Then its datagrams can't be sealed.
    const SENDER: Option<usize> = None;

    /// Makes a transaction of random bits. It needn't use all of them.
    fn transaction(random: u64) -> Self::Transaction;

    /// Makes a token from a MAC of [`Tokens`](crate::guard::Tokens). The token contains all 64 bits.
    fn token(mac: u64) -> Self::Token;

    /// The MAC that a token was made from. `None` if no MAC of this node gives such a token.
    fn mac(token: &Self::Token) -> Option<u64>;

    /// Decodes a datagram. The message borrows from it.
    ///
    /// # Errors
    ///
    /// [`DecodeError`](Wire::DecodeError), for any bytes that are not a message of this format.
    fn decode<A: Address>(datagram: &[u8]) -> Result<Message<'_, A, Self>, Self::DecodeError>;

    /// Whether the error means that the datagram is of another version of the format. With any other error, the
    /// datagram counts as malformed.
    fn is_of_another_version(error: &Self::DecodeError) -> bool;

    /// Encodes a message to the beginning of `buf`, and returns its length in bytes. `None` if `buf` is too small, or
    /// if the message can't be encoded. A request is padded to `least` bytes if the format pads requests and `buf` is
    /// large enough.
    fn encode<A: Address>(message: &Message<'_, A, Self>, least: usize, buf: &mut [u8]) -> Option<usize>;

    /// How many bytes a record takes in a message, at most.
    fn record_len(record: &Record<'_>) -> usize;

    /// How many bytes a contact takes in a response, at most, if its address has `address` bytes.
    fn contact_len(address: usize) -> usize;
}

/// The largest lengths of messages in bytes, so that a node can plan a message before it encodes it.
///
/// A message can be shorter, for example if numbers are written in digits. A response counts with the longest
/// transaction of another node, and a store with the longest token of another node. Tight lengths are better: the bytes
/// that are counted and not needed are missing for contacts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lengths {
    /// A ping without a token.
    pub ping: usize,
    /// A request for a probe of the longest address, with a token. 0 if the format has none.
    pub probe: usize,
    /// A store with a token, without its record and without compare-and-swap.
    pub store: usize,
    /// The bytes that compare-and-swap adds to a store.
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
    /// The bytes that a record adds to a `relayed` response, in addition to its own length.
    pub found: usize,
}

/// The rules by which the behaviour of a node depends on the format.
///
/// A format should name only the rules that differ from kadlet's. Then it still compiles when a rule is added:
///
/// ```
/// use kadlet::wire::{Kadlet, Rules, Wire};
///
/// const RULES: Rules = Rules { padding: false, held: false, ..Kadlet::RULES };
/// assert!(RULES.lifetimes);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Which responses carry a token.
    pub tokens: TokenSource,
    /// What a token is bound to.
    pub token_binding: TokenBinding,
    /// What proves that a requester receives what is sent to its address.
    pub address_proof: AddressProof,
    /// Whether requests are padded, so that three times their length is enough for the response and for the ping that
    /// checks the requester. If not, a response to a requester that has not proved its address leaves room for that
    /// ping, and has fewer contacts.
    pub padding: bool,
    /// Whether the format has the `held` response. It replaces a record that the requester has already, and a record
    /// that is too large for a requester that has not proved its address. If not, `nodes` is sent instead of a record
    /// that the requester has. A record that is too large is replaced by error
    /// [`Token`](crate::message::ErrorCode::Token) if only a token proves an address. Otherwise it is replaced by
    /// `nodes` too, and the requester does not find it.
    pub held: bool,
    /// Whether records have lifetimes. If so, holders replicate them, and a get writes its record back to nodes that
    /// lack it. If not, only their publisher keeps them alive, and `decode` gives each the lifetime that all nodes of
    /// the format agree on.
    pub lifetimes: bool,
    /// Whether the format has relay requests, and the responses `accepted` and `relayed`. If not, a node whose `RELAYS`
    /// is not 0 does not compile. So recursive lookups are refused.
    pub relays: bool,
    /// Whether the format has requests for probes. If not, a node can't find out whether it can be reached, and serves
    /// if it is to serve [automatically](crate::Serve::Automatic).
    pub probes: bool,
    /// Whether messages name their network and its geometry. If not, every message that can be decoded counts as one of
    /// this network.
    pub names_network: bool,
    /// Whether a response names its kind. If not, a [`Response::Pong`] also acknowledges a store.
    pub response_kinds: bool,
    /// Whether an error names its sender. If not, it counts as an error from the node that was asked, and does not
    /// verify that node. If only the address of that node is known, as in a ping or a bootstrap, it counts as no
    /// response.
    pub errors_name_sender: bool,
}

/// Which responses carry a token: see [`Rules::tokens`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenSource {
    /// Every response, errors too.
    EveryResponse,
    /// Only responses to requests for records, including errors. So the lookup of a put must send such requests.
    FindValue,
}

impl Rules {
    /// Whether error [`Token`](crate::message::ErrorCode::Token) is of use to a requester that has not proved its address:
    /// it comes with a token, and the requester asks again with that token.
    pub(crate) const fn asks_for_token(&self, request: &Request<'_>) -> bool {
        self.tokens.gives(request) && matches!(self.address_proof, AddressProof::Token)
    }
}

impl TokenSource {
    /// Whether the response to this request carries a token.
    pub(crate) const fn gives(self, request: &Request<'_>) -> bool {
        match self {
            Self::EveryResponse => true,
            Self::FindValue => matches!(request, Request::FindValue { .. }),
        }
    }
}

/// What a token is bound to: see [`Rules::token_binding`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenBinding {
    /// The identifier of the requester, and its address with the port.
    Sender,
    /// The address of the requester [without the port](Address::without_port).
    Host,
}

/// What proves an address: see [`Rules::address_proof`]. A store needs a valid token in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AddressProof {
    /// A valid token in the request. Without one, a request over the rate limit gets error
    /// [`Token`](crate::message::ErrorCode::Token), if the response carries a token.
    Token,
    /// A valid token; or that the requester is a verified contact in the table, at this address. It is for formats
    /// whose searches show no token, so no search gets error [`Token`](crate::message::ErrorCode::Token). An attacker
    /// that forges the source of its requests can have large responses sent to the contacts of a node.
    TokenOrContact,
}

/// One datagram, decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a, A: Address, W: Wire> {
    /// The header.
    pub header: Header<W>,
    /// The request or the response.
    pub body: Body<'a, A, W>,
}

/// The fields that all messages have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<W: Wire> {
    /// The geometry of the sender's network: [`Geometry::TAG`](crate::Geometry::TAG). 0 if the format doesn't name it.
    pub geometry: u8,
    /// The number of the sender's network. A node ignores messages of other networks. 0 if the format doesn't name it.
    pub network: u16,
    /// Identifies the request. Its response repeats it.
    pub transaction: W::Transaction,
    /// The sender's identifier. Ignored in an error if the errors of the format don't name their sender.
    pub sender: Id,
    /// What the sender can do.
    pub features: Features,
}

/// A request or a response, with the fields that only requests or only responses have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body<'a, A: Address, W: Wire> {
    /// A request.
    Request {
        /// The largest response that the requester takes, in bytes: [`SEAL`] less than its largest datagram.
        largest: u16,
        /// The token that the responder gave last, if the requester has one.
        token: Option<W::Token>,
        /// The request.
        request: Request<'a>,
        /// The bytes of padding that follow, so that the response can be longer. In kadlet's format always 0 after
        /// [`Request::Unknown`].
        padding: u16,
    },
    /// A response.
    Response {
        /// A token for the next request. [`Wire::NO_TOKEN`] if this response carries none in the format.
        token: W::Token,
        /// The response.
        response: Response<'a, A>,
    },
}
