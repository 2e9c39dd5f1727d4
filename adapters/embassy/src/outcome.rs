//! What a call brings back, and why there is nothing.

use core::fmt;
use core::time::Duration;

use kadlet::{Contact, Failure, FindError, GetError, Key, Outcome, PutError, Report};

/// The answer to a ping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pong<A> {
    /// Who answered.
    pub contact: Contact<A>,
    /// After how long, repeats included.
    pub rtt: Duration,
}

/// A record that was got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Got {
    /// How many bytes of the buffer its value takes.
    pub len: usize,
    /// Plain: milliseconds since the put. Signed: the sequence number. Immutable: 0.
    pub number: u64,
    /// What is left of its time.
    pub lifetime: Duration,
    /// How many of those asked hold this version of it.
    pub holders: usize,
    /// How it went.
    pub report: Report,
}

/// A record that was put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// How many hold it.
    pub holders: usize,
    /// How many could have taken it: min(k, nodes that answered the lookup).
    pub wanted: usize,
    /// How it went.
    pub report: Report,
}

/// What happened to the node without a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News<A> {
    /// Another node uses this node's identifier: a copied state, or an attack.
    OwnIdSeen {
        /// Where.
        address: A,
    },
    /// A newer record than the published one was met under its key, and publishing stopped.
    Superseded {
        /// The key.
        key: Key,
    },
}

/// What was lost between the node and the stack since the start. Whoever misses a datagram asks again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Losses {
    /// Answers dropped because the stack's transmit buffer was full; one that was thrown away with all in it counts once.
    pub unsent: u32,
    /// Datagrams not sent because their receiver's neighbour wasn't found, or because the stack lacks the protocol of their address.
    pub failed: u32,
}

/// Why a call brought nothing back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// All places for calls are taken: so many. Wait for one to end, drop one, or raise `CALLS` of [`Resources`](crate::Resources).
    Calls(usize),
    /// The ping, bootstrap or lookup did not begin.
    Find(FindError),
    /// The get did not begin.
    Get(GetError),
    /// The put did not begin, and nothing was sent.
    Put(PutError),
    /// The value is longer than the caller's buffer: its length, [`MAX_VALUE`](kadlet::record::MAX_VALUE) at most.
    Buffer(usize),
    /// Nobody who was asked holds a record under the key.
    NotFound(Report),
    /// A put met a newer record, or another than its compare-and-swap named, and fewer than a majority took it.
    Conflict {
        /// The sequence number (signed) or age in milliseconds (plain) of a record that stood in the way.
        held: u64,
        /// How it went.
        report: Report,
    },
    /// It failed on the way.
    Failed {
        /// Why.
        failure: Failure,
        /// How it went.
        report: Report,
    },
}

impl Error {
    /// An end that is not the one hoped for.
    pub(crate) fn other<A>(outcome: &Outcome<'_, A>, report: Report) -> Self {
        match outcome {
            Outcome::NotFound { .. } => Self::NotFound(report),
            Outcome::Conflict { held, .. } => Self::Conflict { held: *held, report },
            Outcome::Failed(failure) => Self::Failed { failure: *failure, report },
            _ => Self::Failed { failure: Failure::NoAnswer, report },
        }
    }
}

impl From<FindError> for Error {
    fn from(error: FindError) -> Self {
        Self::Find(error)
    }
}

impl From<GetError> for Error {
    fn from(error: GetError) -> Self {
        Self::Get(error)
    }
}

impl From<PutError> for Error {
    fn from(error: PutError) -> Self {
        Self::Put(error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Calls(places) => write!(f, "all {places} places for calls are taken: wait for one to end, or raise CALLS of Resources"),
            Self::Find(error) => fmt::Display::fmt(error, f),
            Self::Get(error) => fmt::Display::fmt(error, f),
            Self::Put(error) => fmt::Display::fmt(error, f),
            Self::Buffer(length) => write!(f, "the value has {length} bytes: more than the buffer"),
            Self::NotFound(report) => write!(f, "none of the {} nodes that answered holds a record under the key", report.answered),
            Self::Conflict { held, .. } => write!(f, "another record stands in the way (number {held})"),
            Self::Failed { failure, report } => write!(f, "{failure} ({} of {} nodes asked answered)", report.answered, report.asked),
        }
    }
}

impl core::error::Error for Error {}
