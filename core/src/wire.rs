//! Messages as bytes: the only room that knows the encoding.
//!
//! `core/SPEC.md` is the format, byte by byte. [`decode`] borrows from the datagram, checks every length first and refuses by
//! name; [`encode`] writes into the caller's buffer. Two different datagrams never decode to the same message, and what
//! decodes encodes to the same bytes.

use crate::record::{Key, Record, Version};
use crate::{Address, Contact, Id};

/// The version of the format.
pub const VERSION: u8 = 1;
/// The largest datagram, in bytes of UDP payload: what IPv6's minimum MTU of 1,280 leaves.
pub const MAX_DATAGRAM: usize = 1_232;
/// The smallest bound on datagrams that still serves: an IEEE 802.15.4 frame.
pub const MIN_DATAGRAM: usize = 127;
/// Bytes kept free in the largest message, for sealing datagrams later.
pub const SEAL: usize = 24;

/// Names one request, so that its answer can be told from a forged one: 8 random bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Transaction(pub [u8; 8]);

/// Proof that its bearer receives what is sent to its address; see [`crate::token`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Token(pub [u8; 8]);

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
pub struct Message<'a, A> {
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
pub enum Body<'a, A> {
    /// A question, to be answered in one datagram.
    Request {
        /// The largest answer the asker takes, in bytes.
        largest: u16,
        /// The token that the asked node gave last, if the asker has one.
        token: Option<Token>,
        /// The question.
        request: Request<'a>,
        /// How many zero bytes follow, so that the answer may be larger (at most three times the request). Always 0 after [`Request::Unknown`].
        padding: u16,
    },
    /// An answer.
    Answer {
        /// To be shown with the next request.
        token: Token,
        /// The answer.
        answer: Answer<'a, A>,
    },
}

/// A question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request<'a> {
    /// Are you there? Answered by [`Answer::Pong`].
    Ping,
    /// Whom do you know near this? Answered by [`Answer::Nodes`].
    FindNode {
        /// This.
        target: Id,
    },
    /// What do you hold under this key? Answered by [`Answer::Value`], [`Answer::Held`] or [`Answer::Nodes`].
    FindValue {
        /// The key.
        key: Key,
        /// What the asker has already, so that it needn't travel. Always `None` or a `number` of 0 for an immutable key.
        have: Option<Version>,
    },
    /// Hold this. Answered by [`Answer::Stored`].
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
    /// A kind of request that this version doesn't know, to be answered by [`ErrorCode::Unsupported`].
    Unknown {
        /// Its kind.
        kind: u8,
        /// All the rest of it.
        payload: &'a [u8],
    },
}

/// An answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer<'a, A> {
    /// I am here, and saw you at this address.
    Pong {
        /// Where the request came from.
        observed: Observed<'a, A>,
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
    Held {
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
    /// A code that this version doesn't know.
    Other(u8),
}
use core::marker::PhantomData;
/// Contacts (stub).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contacts<'a, A> {
    _a: PhantomData<&'a [Contact<A>]>,
}
/// Observed (stub).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Observed<'a, A> {
    _a: PhantomData<&'a A>,
}
#[allow(unused_imports)]
use Address as _;
