//! Messages without their bytes: requests, responses, and the contacts in them.
//!
//! A [wire format](crate::wire) encodes them as datagrams. What identifies one exchange (transaction, token and sender)
//! belongs to the wire format: see [`wire::Message`](crate::wire::Message).

mod contacts;

use core::fmt;

use crate::address::{Address, EncodedAddress};
use crate::id::Id;
use crate::record::{Key, Record, Version};

pub use contacts::{Contacts, Observed, ReadContact, ReceivedContact};

/// A request. Each has one response, except [`Relay`](Request::Relay), which can have two.
///
/// It is matched exhaustively, as [`Response`] is: a new message doesn't compile before every wire format has it.
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
        /// The version that the requester has, which the responder needn't send. For an immutable key, `None` or a
        /// version whose `number` is 0.
        have: Option<Version>,
    },
    /// Asks the node to store a record. Its response is [`Response::Stored`].
    Store {
        /// The record.
        record: Record<'a>,
        /// Its lifetime from now on, in seconds.
        lifetime: u32,
        /// Compare-and-swap: store the record only if the held record has this sequence number, or, for 0, if no record
        /// is held.
        compare: Option<u64>,
        /// Whether this is a handover: a holder sends the record to a co-holder, which must not extend its lifetime.
        handover: bool,
    },
    /// Recursive lookup: asks the node to forward this request to the contact nearest to the target. The node
    /// acknowledges it by [`Response::Accepted`] and completes it by [`Response::Relayed`], both with the transaction
    /// of this request.
    Relay {
        /// Identifies the relay request. It is the same on all hops.
        relay_id: RelayId,
        /// What is looked for.
        target: Target,
        /// How often the request can still be forwarded.
        hops: u8,
        /// The time left until the response must arrive, in milliseconds.
        time: u16,
    },
    /// Asks the node to have a third node, of another address prefix, probe the requester; or, of that third node, to
    /// probe another node: it sends a [`Ping`](Request::Ping) there. Its response is [`Response::Accepted`].
    Probe {
        /// Gives the transaction of that ping: [`Wire::transaction`](crate::wire::Wire::transaction) of this number.
        nonce: u64,
        /// The address to probe. [`EncodedAddress::NONE`] stands for that of the requester.
        address: EncodedAddress,
    },
    /// A request of a kind that the wire format doesn't know, or of a known kind about an unknown kind of record. Its
    /// response is [`ErrorCode::Unsupported`].
    Unknown {
        /// The number of the kind in the wire format, below 128.
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
    /// The record under the key.
    Value {
        /// The record.
        record: Record<'a>,
        /// What is left of its lifetime, in seconds.
        lifetime: u32,
        /// The nodes nearest to the key, as many as fit.
        contacts: Contacts<'a, A>,
    },
    /// The responder holds a record but doesn't send it: the requester has this version already, or the response would
    /// be too large for a requester that has not proved its address. Such a requester can ask again with a token.
    Held {
        /// The version that is held.
        version: Version,
        /// The length of the response with the record, in bytes, without contacts.
        size: u16,
        /// The nodes nearest to the key, as many as fit.
        contacts: Contacts<'a, A>,
    },
    /// The responder has stored the record.
    Stored {
        /// For how many seconds it holds the record.
        lifetime: u32,
    },
    /// The relay request was forwarded. Its result follows, and the request must not be retransmitted. Or: the request
    /// for a probe is forwarded, or the probe will be sent.
    Accepted,
    /// The result of a relay request.
    Relayed {
        /// How often the request was forwarded after it left the sender of this response.
        hops: u8,
        /// The record, if it was asked for and a node on the way holds it, and what is left of its lifetime in seconds.
        found: Option<(Record<'a>, u32)>,
        /// The nodes nearest to the target that the last hop knows, and the last hop itself, as many as fit.
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

/// Identifies a relay request on all its hops: 8 random bytes that the first requester chose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct RelayId(pub [u8; 8]);

/// What a relay request looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The nodes nearest to an identifier.
    Nodes(Id),
    /// The record under a key, or the nodes nearest to it.
    Value(Key),
}

impl Target {
    /// The identifier: each hop is nearer to it than the hop before.
    #[must_use]
    pub const fn id(&self) -> &Id {
        match self {
            Self::Nodes(id) | Self::Value(Key { id, .. }) => id,
        }
    }
}

/// What the sender of a message can do, one bit each. Unknown bits are kept and ignored.
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
    /// The token is missing, wrong or too old, or the requester is over its rate limit. Ask again with the token that
    /// came with this error.
    Token,
    /// The responder doesn't support this kind of request or record.
    Unsupported,
    /// The responder has no room for the request now.
    Busy,
    /// The record is too large. `detail` is the limit in bytes.
    TooLarge,
    /// The store has no room for the record.
    Full,
    /// A record is held that wins over the one offered: it is newer, or as new and has a higher hash. `detail` is its
    /// sequence number (signed) or its age in milliseconds (plain).
    Outdated,
    /// Compare-and-swap: the record that is held has another sequence number. `detail` is that number, or 0 if no
    /// record is held.
    Conflict,
    /// The proof of the record is wrong, or its lifetime is 0.
    Invalid,
    /// A code that the wire format doesn't know. In kadlet's own format it is 0, or above 8.
    Other(u8),
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token => f.write_str("the token is missing, wrong or too old, or the rate limit is reached"),
            Self::Unsupported => f.write_str("this kind of request or record is not supported"),
            Self::Busy => f.write_str("the node has no room for the request now"),
            Self::TooLarge => f.write_str("the record is too large"),
            Self::Full => f.write_str("the store is full"),
            Self::Outdated => f.write_str("a record that wins over this one is held"),
            Self::Conflict => f.write_str("the record that is held is not the one to be replaced"),
            Self::Invalid => f.write_str("the record is not valid"),
            Self::Other(code) => write!(f, "error code {code}"),
        }
    }
}
