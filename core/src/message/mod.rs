//! What nodes say to each other, without bytes: requests, responses, and the contacts they carry.
//!
//! A [`wire`](crate::wire) turns these meanings into datagrams. Whatever names one exchange (its transaction, its
//! token, its sender) is the wire's: see [`wire::Message`](crate::wire::Message).

mod contacts;

use core::fmt;

use crate::address::Address;
use crate::id::Id;
use crate::record::{Key, Record, Version};

pub use contacts::{Contacts, Observed, ReadContact, ReceivedContact};

/// A request, to be responded to in one datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request<'a> {
    /// Checks that the node is there. Its response is [`Response::Pong`].
    Ping,
    /// Asks for the nodes nearest to an identifier. Its response is [`Response::Nodes`].
    FindNode {
        /// The identifier.
        target: Id,
    },
    /// Asks for the record under a key. Its response is [`Response::Value`], [`Response::Held`] or [`Response::Nodes`].
    FindValue {
        /// The key.
        key: Key,
        /// The version that the requester has, which needn't travel. `None` or a `number` of 0 for an immutable key.
        have: Option<Version>,
    },
    /// Asks the node to hold a record. Its response is [`Response::Stored`].
    Store {
        /// The record.
        record: Record<'a>,
        /// Its lifetime from now on, in seconds.
        lifetime: u32,
        /// Compare-and-swap: store only where the sequence number held is this one. 0 stands for no record.
        compare: Option<u64>,
        /// A holder hands the record to a co-holder, which must not extend its lifetime.
        handover: bool,
    },
    /// Recursive lookup: asks the node to forward this to the contact nearest to the target. Acknowledged by
    /// [`Response::Accepted`], then completed by [`Response::Relayed`], both with this request's transaction.
    Relay {
        /// Identifies the relayed request; the same from hop to hop.
        relay_id: RelayId,
        /// What is looked for.
        target: Target,
        /// How often it may still be forwarded.
        hops: u8,
        /// The time left until the response must have come, in milliseconds.
        time: u16,
    },
    /// A kind of request that the wire doesn't know, or a known one about an unknown kind of record. Its response is
    /// [`ErrorCode::Unsupported`].
    Unknown {
        /// The kind's number on the wire, below 128.
        kind: u8,
        /// The rest of the request, as it arrived.
        payload: &'a [u8],
    },
}

/// A response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Response<'a, A: Address> {
    /// The node is there.
    Pong {
        /// The address that the request came from, as the responder saw it.
        observed: Observed<A>,
    },
    /// The nodes nearest to the target.
    Nodes {
        /// The contacts, nearest first.
        contacts: Contacts<'a, A>,
    },
    /// The record asked for.
    Value {
        /// The record.
        record: Record<'a>,
        /// What is left of its lifetime, in seconds.
        lifetime: u32,
        /// The nearest nodes, as many as there was room for.
        contacts: Contacts<'a, A>,
    },
    /// The responder holds a record, but doesn't send it: the requester has this version already, or the response would
    /// be too large for a requester that has not proved its address. With a token, the requester can ask again.
    Held {
        /// The version held.
        version: Version,
        /// The length of the response that carries the record, in bytes.
        size: u16,
        /// The nearest nodes, as many as there was room for.
        contacts: Contacts<'a, A>,
    },
    /// The responder holds the record now.
    Stored {
        /// For how many seconds.
        lifetime: u32,
    },
    /// The relayed request is forwarded: its result follows, and the request must not be retransmitted.
    Accepted,
    /// The result of a relayed request.
    Relayed {
        /// How often the request was forwarded after it left the node that sends this.
        hops: u8,
        /// The record, if it was asked for and a node on the way held it, and what is left of its lifetime, in seconds.
        found: Option<(Record<'a>, u32)>,
        /// The nodes nearest to the target that the last hop knew, and that hop itself, as many as there was room for.
        contacts: Contacts<'a, A>,
    },
    /// The request was refused.
    Error {
        /// Why.
        code: ErrorCode,
        /// A limit or a sequence number; which one depends on the code.
        detail: u64,
    },
}

/// Identifies a relayed request on all its hops: 8 random bytes, chosen by the first requester.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct RelayId(pub [u8; 8]);

/// What a relayed request looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The nodes nearest to an identifier.
    Nodes(Id),
    /// The record under a key, or the nodes nearest to it.
    Value(Key),
}

impl Target {
    /// The identifier that each hop must be nearer to than the one before.
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
    /// The sender responds to requests. A client lacks this bit: it sends requests and is never put into a table.
    pub const SERVES: Self = Self(1);

    /// Whether all bits of `other` are set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// Why a request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorCode {
    /// The token is missing or too old: ask again with the token that came with this error.
    Token,
    /// A kind of request or of record that the responder doesn't take.
    Unsupported,
    /// The responder has no room for the request now.
    Busy,
    /// The record is too large; `detail` is the limit in bytes.
    TooLarge,
    /// The store has no room for the record.
    Full,
    /// A newer record is held; `detail` is its sequence number (signed) or its age in milliseconds (plain).
    Outdated,
    /// Compare-and-swap: another record is held than the one named; `detail` is its sequence number.
    Conflict,
    /// The record's proof is wrong.
    Invalid,
    /// A code that the wire doesn't know; on kadlet's wire 0, or above 8.
    Other(u8),
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token => f.write_str("the token is missing or too old"),
            Self::Unsupported => f.write_str("this kind of request or record is not supported"),
            Self::Busy => f.write_str("the node has no room for the request now"),
            Self::TooLarge => f.write_str("the record is too large"),
            Self::Full => f.write_str("the store is full"),
            Self::Outdated => f.write_str("a newer record is held"),
            Self::Conflict => f.write_str("another record is held than the one to be replaced"),
            Self::Invalid => f.write_str("the record's proof is wrong"),
            Self::Other(code) => write!(f, "error code {code}"),
        }
    }
}
