//! What a call brings back, and why there is nothing.

use core::time::Duration;

use kadlet::{Failure, FindError, GetError, Key, Outcome, PutError, QueryResult, QueryStats};
use thiserror::Error;

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
    pub stats: QueryStats,
}

/// A record that was put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// How many hold it.
    pub holders: usize,
    /// How many could have taken it: min(k, nodes that answered the lookup).
    pub wanted: usize,
    /// How it went.
    pub stats: QueryStats,
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
    /// Answers not sent because the transmit queue had no room; a queue [emptied](crate::PATIENCE) with all in it counts once.
    pub unsent: u32,
    /// Questions given up because their node's neighbour wasn't found, or not sent because it is [shunned](crate::SHUNNED); and
    /// datagrams that a socket did not take, of a family that the stack lacks, say.
    pub failed: u32,
}

/// Why a call brought nothing back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Error {
    /// All places for calls are taken: so many. Wait for one to end, drop one, or raise `CALLS` of [`Resources`](crate::Resources).
    #[error("all {0} places for calls are taken: wait for one to end, or raise CALLS of Resources")]
    Calls(usize),
    /// The ping, bootstrap or lookup did not begin.
    #[error(transparent)]
    Find(#[from] FindError),
    /// The get did not begin.
    #[error(transparent)]
    Get(#[from] GetError),
    /// The put did not begin, and nothing was sent.
    #[error(transparent)]
    Put(#[from] PutError),
    /// The value is longer than the caller's buffer: its length, [`MAX_VALUE`](kadlet::record::MAX_VALUE) at most.
    #[error("the value has {0} bytes: more than the buffer")]
    Buffer(usize),
    /// Nobody who was asked holds a record under the key.
    #[error("none of the {} nodes that answered holds a record under the key", .0.responded)]
    NotFound(QueryStats),
    /// A put met a newer record, or another than its compare-and-swap named, and fewer than a majority took it.
    #[error("another record stands in the way (number {held})")]
    Conflict {
        /// The sequence number (signed) or age in milliseconds (plain) of a record that stood in the way.
        held: u64,
        /// How it went.
        stats: QueryStats,
    },
    /// It failed on the way.
    #[error("{failure} ({} of {} nodes asked answered)", stats.responded, stats.asked)]
    Failed {
        /// Why.
        failure: Failure,
        /// How it went.
        stats: QueryStats,
    },
}

/// An end that is not the one hoped for.
impl<A> From<QueryResult<'_, A>> for Error {
    fn from(done: QueryResult<'_, A>) -> Self {
        let stats = done.stats;
        match done.outcome {
            Outcome::NotFound { .. } => Self::NotFound(stats),
            Outcome::Conflict { held, .. } => Self::Conflict { held, stats },
            Outcome::Failed(failure) => Self::Failed { failure, stats },
            _ => Self::Failed { failure: Failure::NoResponse, stats },
        }
    }
}
