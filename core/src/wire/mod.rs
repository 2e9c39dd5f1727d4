//! Messages as bytes: the only room that knows the encoding.
//!
//! `core/SPEC.md` is the format, byte by byte. [`decode`] borrows from the datagram, checks every length first and refuses by
//! name; [`encode`] writes into the caller's buffer. Two different datagrams never decode to the same message, and what
//! decodes encodes to the same bytes.
//!
//! All numbers have a fixed width. postcard reads and writes how every message begins (`fixed`, with serde's derive) and all
//! flags. Identifiers, keys, values, a body's numbers and whatever else is only bytes are borrowed and copied as they are: serde
//! would take them one by one. Of postcard's variable parts (varints, its own strings and enums) the format uses none, so that
//! there is one way to write each message.
//!
//! ```
//! use core::net::SocketAddrV4;
//! use kadlet::wire::{self, Response, Body, Contacts, Features, Header, Message, Token, Transaction};
//! use kadlet::{Contact, Id};
//!
//! let header =
//!     Header { geometry: 1, network: 0, transaction: Transaction([7; 8]), sender: Id::ZERO, features: Features::SERVES };
//! let known = [Contact::new(Id::from_bytes([1; 20]), SocketAddrV4::new([192, 0, 2, 1].into(), 4000))];
//! let response = Response::Nodes { contacts: Contacts::new(&known) };
//! let message = Message { header, body: Body::Response { token: Token([9; 8]), response } };
//!
//! let mut buf = [0; wire::MAX_DATAGRAM];
//! let len = wire::encode(&message, &mut buf)?;
//! assert_eq!(len, wire::encoded_len(&message));
//! assert_eq!(wire::decode(&buf[..len]), Ok(message));
//! # Ok::<(), wire::EncodeError>(())
//! ```

#![deny(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation
)]

mod contacts;
mod decode;
mod encode;
mod fixed;

use crate::record::{Key, Kind, MAX_VALUE, Proof, Record, Version};
use crate::{Address, Id, MAX_ADDRESS};

pub use contacts::{Contacts, Observed};
pub use decode::{DecodeError, decode};
pub(crate) use encode::encode_padded;
pub use encode::{EncodeError, encode, encoded_len};

/// The version of the format.
pub const VERSION: u8 = 1;
/// The largest datagram, in bytes of UDP payload: what IPv6's minimum MTU of 1,280 leaves.
pub const MAX_DATAGRAM: usize = 1_232;
/// The smallest bound on datagrams that still serves: an IEEE 802.15.4 frame.
pub const MIN_DATAGRAM: usize = 127;
/// Bytes that a message leaves free in its datagram, whatever the bound on that, for sealing datagrams later.
pub const SEAL: usize = 24;

/// Names one request, so that its answer can be told from a forged one: 8 random bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Transaction(pub [u8; 8]);

/// Proof that its bearer receives what is sent to its address; see [`crate::token`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Token(pub [u8; 8]);

/// Names a question that is passed on from node to node: 8 random bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct RelayId(pub [u8; 8]);

/// What a question that is passed on looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The nodes nearest to this.
    Nodes(Id),
    /// The record under this key, or the nodes nearest to it.
    Value(Key),
}

impl Target {
    /// What the nodes asked get nearer to.
    #[must_use]
    pub const fn id(&self) -> &Id {
        match self {
            Self::Nodes(id) | Self::Value(Key { id, .. }) => id,
        }
    }
}

/// What a sender can do, a bit each. Unknown bits are carried and ignored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Features(pub u16);

impl Features {
    /// The sender answers requests. A client, which lacks this, asks and is never put into a table.
    pub const SERVES: Self = Self(1);

    /// Whether all of these are set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// One datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a, A: Address> {
    /// What all messages have.
    pub header: Header,
    /// What it asks or answers.
    pub body: Body<'a, A>,
}

/// What all messages have, in the layout that all versions share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The geometry of the sender's network: [`Geometry::TAG`](crate::Geometry::TAG).
    pub geometry: u8,
    /// The sender's network: nodes of different networks are strangers.
    pub network: u16,
    /// An answer repeats its request's.
    pub transaction: Transaction,
    /// The sender's identifier.
    pub sender: Id,
    /// What the sender can do.
    pub features: Features,
}

/// A request or an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body<'a, A: Address> {
    /// A question, to be answered in one datagram.
    Request {
        /// The largest answer the asker takes, in bytes of the message: [`SEAL`] less than its datagrams hold.
        largest: u16,
        /// The token that the asked node gave last, if the asker has one.
        token: Option<Token>,
        /// The question.
        request: Request<'a>,
        /// How many zero bytes follow, so that the answer may be larger (at most three times the request). Always 0 after [`Request::Unknown`].
        padding: u16,
    },
    /// An answer.
    Response {
        /// To be shown with the next request.
        token: Token,
        /// The answer.
        response: Response<'a, A>,
    },
}

/// A question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request<'a> {
    /// Are you there? Answered by [`Response::Pong`].
    Ping,
    /// Whom do you know near this? Answered by [`Response::Nodes`].
    FindNode {
        /// This.
        target: Id,
    },
    /// What do you hold under this key? Answered by [`Response::Value`], [`Response::StoredRecord`] or [`Response::Nodes`].
    FindValue {
        /// The key.
        key: Key,
        /// What the asker has already, so that it needn't travel. Always `None` or a `number` of 0 for an immutable key.
        have: Option<Version>,
    },
    /// Hold this. Answered by [`Response::Stored`].
    Store {
        /// The record.
        record: Record<'a>,
        /// Seconds until its time ends.
        lifetime: u32,
        /// Only if the sequence number held is this one (a record that isn't held has 0).
        compare: Option<u64>,
        /// A holder hands it to a co-holder: never extends its time.
        handover: bool,
    },
    /// Find this, and pass the question on to whom you know nearer: acknowledged by [`Response::Accepted`] and answered in time by
    /// [`Response::Relayed`], both with this request's transaction.
    Relay {
        /// The question's own name, the same from hop to hop.
        relay_id: RelayId,
        /// What is looked for.
        target: Target,
        /// How often it may still be passed on.
        hops: u8,
        /// Milliseconds until its answer must have come.
        time: u16,
    },
    /// A kind of request that this version doesn't know, or a known one about a kind of record that it doesn't know: to be
    /// answered by [`ErrorCode::Unsupported`].
    Unknown {
        /// Its kind, below 128.
        kind: u8,
        /// All the rest of it.
        payload: &'a [u8],
    },
}

/// An answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Response<'a, A: Address> {
    /// I am here, and saw you at this address.
    Pong {
        /// Where the request came from.
        observed: Observed<A>,
    },
    /// The nodes nearest, best first.
    Nodes {
        /// They.
        contacts: Contacts<'a, A>,
    },
    /// The record asked for.
    Value {
        /// The record.
        record: Record<'a>,
        /// Seconds until its time ends.
        lifetime: u32,
        /// The nodes nearest, as many as there was room for.
        contacts: Contacts<'a, A>,
    },
    /// A record is held that the asker has, or that is too large to answer with now: ask again with the token.
    StoredRecord {
        /// Its version.
        version: Version,
        /// How large the answer with the record is, in bytes.
        size: u16,
        /// The nodes nearest, as many as there was room for.
        contacts: Contacts<'a, A>,
    },
    /// The record is held now.
    Stored {
        /// For so many seconds.
        lifetime: u32,
    },
    /// The question is passed on: wait for its answer, and don't repeat it.
    Accepted,
    /// What a question that was passed on came to.
    Relayed {
        /// How many nodes it was passed on to after the one that answers this.
        hops: u8,
        /// The record asked for, and seconds until its time ends, if somebody on the way held it.
        found: Option<(Record<'a>, u32)>,
        /// The nodes nearest to the target that the last of them knew, and that one, as many as there was room for.
        contacts: Contacts<'a, A>,
    },
    /// The request can't be met.
    Error {
        /// Why.
        code: ErrorCode,
        /// A limit or a sequence number, by the code.
        detail: u64,
    },
}

/// Why a request can't be met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// The token is missing or too old: ask again with the one beside this error.
    Token,
    /// A kind of request or of record that is not taken here.
    Unsupported,
    /// Not now.
    Busy,
    /// The record doesn't fit; `detail` is the limit in bytes.
    TooLarge,
    /// There is no room for the record.
    Full,
    /// A newer record is held; `detail` is its sequence number (signed) or its age in milliseconds (plain).
    Outdated,
    /// The record held is not the one that the compare-and-swap named; `detail` is the sequence number held.
    Conflict,
    /// The record's proof doesn't hold.
    Invalid,
    /// A code that this version doesn't know: 0, or above 8.
    Other(u8),
}

/// The tags of requests and answers. Those below [`kind::RESPONSES`] are requests.
mod kind {
    pub(super) const PING: u8 = 1;
    pub(super) const FIND_NODE: u8 = 2;
    pub(super) const FIND_VALUE: u8 = 3;
    pub(super) const STORE: u8 = 4;
    pub(super) const RELAY: u8 = 5;
    // 6 is reserved for asking a peer to have a third one probe an address.
    pub(super) const RESPONSES: u8 = 0x80;
    pub(super) const PONG: u8 = 0x81;
    pub(super) const NODES: u8 = 0x82;
    pub(super) const VALUE: u8 = 0x83;
    pub(super) const HELD: u8 = 0x84;
    pub(super) const STORED: u8 = 0x85;
    pub(super) const ACCEPTED: u8 = 0x86;
    pub(super) const RELAYED: u8 = 0x87;
    pub(super) const ERROR: u8 = 0xFF;
}

/// Whether a request of this kind, with these bytes after the token, is a [`Request::Unknown`]. Peers that know more can so
/// tell a node that doesn't understand from one that isn't there.
fn is_unknown(kind: u8, payload: &[u8]) -> bool {
    match kind {
        kind::PING | kind::FIND_NODE => false,
        kind::FIND_VALUE | kind::STORE => payload.first().is_some_and(|tag| record_kind(*tag).is_none()),
        kind::RELAY => payload.first().is_some_and(|tag| *tag != NODES && record_kind(*tag).is_none()),
        _ => kind < kind::RESPONSES,
    }
}

/// Stands for nodes where a relayed question names a kind of record.
const NODES: u8 = 0xFF;

fn record_kind(tag: u8) -> Option<Kind> {
    match tag {
        0 => Some(Kind::Plain),
        1 => Some(Kind::Immutable),
        2 => Some(Kind::Signed),
        _ => None,
    }
}

impl ErrorCode {
    pub(crate) fn from_tag(tag: u8) -> Self {
        match tag {
            1 => Self::Token,
            2 => Self::Unsupported,
            3 => Self::Busy,
            4 => Self::TooLarge,
            5 => Self::Full,
            6 => Self::Outdated,
            7 => Self::Conflict,
            8 => Self::Invalid,
            _ => Self::Other(tag),
        }
    }

    pub(crate) fn tag(self) -> u8 {
        match self {
            Self::Token => 1,
            Self::Unsupported => 2,
            Self::Busy => 3,
            Self::TooLarge => 4,
            Self::Full => 5,
            Self::Outdated => 6,
            Self::Conflict => 7,
            Self::Invalid => 8,
            Self::Other(tag) => tag,
        }
    }
}

/// Whether a version that an asker says to have can be: an immutable record's number is always 0.
fn can_be(kind: Kind, version: Version) -> bool {
    kind != Kind::Immutable || version.number == 0
}

// What fits. `SPEC.md` has the same numbers, and a test compares them with what `encode` writes.
const REQUEST: usize = 35 + 2 + 9;
const RESPONSE: usize = 35 + 8;
/// Bytes of a ping without a token.
pub(crate) const PING_LEN: usize = 35 + 2 + 1;
/// Bytes of an error.
pub(crate) const ERROR_LEN: usize = RESPONSE + 1 + 8;
/// Bytes of a `held` answer without contacts.
pub(crate) const HELD_LEN: usize = RESPONSE + 16 + 2 + 1;
const LARGEST_RECORD: usize = 1 + 32 + 8 + 64 + 1 + 2 + MAX_VALUE;
const LARGEST_STORE: usize = REQUEST + LARGEST_RECORD + 4 + 9 + 1;
const LARGEST_VALUE: usize = RESPONSE + LARGEST_RECORD + 4 + 1;
const LARGEST_FIND_VALUE: usize = REQUEST + 21 + 17;
const RELAY: usize = REQUEST + 21 + 8 + 1 + 2;
const LARGEST_RELAYED: usize = RESPONSE + 1 + 1 + LARGEST_RECORD + 4 + 1;
const HELD_AND_CONTACT: usize = RESPONSE + 16 + 2 + 1 + 20 + 2 + MAX_ADDRESS;
const _: () = assert!(LARGEST_STORE + SEAL <= MAX_DATAGRAM && LARGEST_VALUE + SEAL <= MAX_DATAGRAM);
const _: () = assert!(LARGEST_RELAYED + SEAL <= MAX_DATAGRAM && RELAY + SEAL <= MIN_DATAGRAM);
const _: () = assert!(LARGEST_FIND_VALUE + SEAL <= MIN_DATAGRAM && HELD_AND_CONTACT + SEAL <= MIN_DATAGRAM);

/// Bytes of a `nodes` answer with so many contacts whose addresses take so many bytes each.
pub(crate) const fn nodes_len(contacts: usize, address: usize) -> usize {
    contacts.saturating_mul(address.saturating_add(Id::LEN + 2)).saturating_add(RESPONSE + 1)
}

/// Bytes of a `value` answer without contacts.
pub(crate) fn value_len(record: &Record<'_>) -> usize {
    record_len(record).saturating_add(RESPONSE + 4 + 1)
}

/// Bytes of a `relayed` answer without contacts.
pub(crate) fn relayed_len(record: Option<&Record<'_>>) -> usize {
    record.map_or(0, |record| record_len(record).saturating_add(4)).saturating_add(RESPONSE + 1 + 1 + 1)
}

/// Bytes of a store request with a token, and with a compare-and-swap if there is one.
pub(crate) fn store_len(record: &Record<'_>, compares: bool) -> usize {
    let compare = if compares { 9 } else { 1 };
    record_len(record).saturating_add(REQUEST + 4 + 1).saturating_add(compare)
}

fn record_len(record: &Record<'_>) -> usize {
    let proof = match record.proof {
        Proof::Plain { .. } => Id::LEN + 8,
        Proof::Immutable => 0,
        Proof::Signed { salt, .. } => salt.len().saturating_add(32 + 8 + 64 + 1),
    };
    record.value.len().saturating_add(proof).saturating_add(1 + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers are those of the table in `SPEC.md`.
    #[test]
    fn messages_are_planned_with_the_sizes_of_the_specification() {
        assert_eq!((PING_LEN, ERROR_LEN, HELD_LEN), (46 - 8, 52, 62));
        assert_eq!((LARGEST_STORE, LARGEST_VALUE), (168 + 1_000, 156 + 1_000));
        assert_eq!((LARGEST_FIND_VALUE, HELD_AND_CONTACT), (84, 62 + 40));
        assert_eq!((nodes_len(0, 6), nodes_len(8, 6), nodes_len(8, 18)), (44, 268, 364));
    }

    #[test]
    fn a_record_is_planned_with_the_size_of_its_message() {
        let (plain, immutable) = (Record::plain(b"name", b"hello"), Record::immutable(b"hello"));
        assert_eq!((value_len(&plain), store_len(&plain, false)), (79 + 5, 83 + 5));
        assert_eq!((value_len(&immutable), store_len(&immutable, true)), (51 + 5, 55 + 8 + 5));
    }
}
