//! The results of a handle's calls, the events that belong to no call, and the errors.

use core::fmt;
use core::time::Duration;

use kadlet::{BeginError, Failure, GetError, Id, Key, Outcome, PutError, QueryResult, QueryStats};
use thiserror::Error;

/// What a bootstrap found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Joined {
    /// How many of the nodes nearest to this one were found.
    pub neighbours: usize,
    /// How many of the addresses were taken: the first ones, up to the `BOOTSTRAPS` bound.
    pub taken: usize,
}

/// A record that a get found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Got {
    /// The length of the value, in bytes of the caller's buffer.
    pub len: usize,
    /// Plain: milliseconds since the put. Signed: the sequence number. Immutable: 0.
    pub number: u64,
    /// How long the record is still valid.
    pub lifetime: Duration,
    /// How many of the nodes that were asked hold this version of the record.
    pub holders: usize,
    /// Counts of the operation.
    pub stats: QueryStats,
}

/// What a put stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stored {
    /// How many nodes stored the record.
    pub holders: usize,
    /// How many nodes should store it: min(k, nodes that responded to the lookup). 0 if no other node is known: then
    /// only this node has the record, and publishes it when others come.
    pub wanted: usize,
    /// The shortest time for which one of them holds it, unless it is put again. Zero if none told.
    pub lifetime: Duration,
    /// The sequence number (signed) or age in milliseconds (plain) of a record that other nodes hold instead: the
    /// highest. `None` if no node has one.
    pub held: Option<u64>,
    /// Counts of the operation.
    pub stats: QueryStats,
}

/// An event of the node that belongs to no call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum News<A> {
    /// The external address of the node is known, or changed, and with it the node's identifier.
    ExternalAddress {
        /// The address, as another node sees it.
        address: A,
        /// The identifier that the node has now.
        id: Id,
    },
    /// The node became a server or a client, because it found out whether it can be reached from outside.
    Serves {
        /// Whether it serves from now on.
        serves: bool,
    },
    /// Another node uses this node's identifier: its state was copied, or this is an attack.
    OwnIdSeen {
        /// The other node's address.
        address: A,
    },
    /// Another node holds a newer record under the key of a published one. The node has stopped publishing its own.
    Superseded {
        /// The record's key.
        key: Key,
    },
}

/// Counters of what was lost between the node and the stack since the start. The node that waits for a lost datagram
/// retransmits its request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Losses {
    /// Responses not sent because they did not fit into the transmit queue. A queue that was [emptied](crate::PATIENCE)
    /// counts as one.
    pub unsent: u32,
    /// Requests given up because the neighbour was not found, or not sent because their destination counts as
    /// [unreachable](crate::SHUNNED). Also datagrams that a socket refused, for example because the stack lacks their
    /// address family.
    pub failed: u32,
}

/// Why a call has no result.
///
/// Its text includes that of the error that it holds, which [`source`](core::error::Error::source) returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Error {
    /// All places for calls are taken: this many. Wait until a call ends, drop one, or raise `CALLS` of
    /// [`Resources`](crate::Resources).
    #[error("all {0} places for calls are taken: wait until one ends, or raise CALLS")]
    Calls(usize),
    /// The ping, bootstrap or lookup did not begin.
    #[error(fmt = fmt::Display::fmt)]
    Begin(#[from] BeginError),
    /// The get did not begin.
    #[error(fmt = fmt::Display::fmt)]
    Get(#[from] GetError),
    /// The put did not begin, and nothing was sent.
    #[error(fmt = fmt::Display::fmt)]
    Put(#[from] PutError),
    /// The value is longer than the caller's buffer: this many bytes, [`MAX_VALUE`](kadlet::record::MAX_VALUE) at most.
    #[error("the value has {0} bytes: more than the buffer")]
    Buffer(usize),
    /// None of the nodes that responded holds a record under the key.
    #[error("none of the {} nodes that responded holds a record under the key", .0.responded)]
    NotFound(QueryStats),
    /// Some responsible nodes hold a newer record, or another one than the compare-and-swap named, and less than a
    /// majority stored the record.
    #[error("other nodes hold a conflicting record (number {held})")]
    Conflict {
        /// Of a record that a node holds instead: the sequence number (signed) or the age in milliseconds (plain).
        held: u64,
        /// Counts of the operation.
        stats: QueryStats,
    },
    /// The operation began and failed.
    #[error("{failure} ({} of {} nodes responded)", stats.responded, stats.asked)]
    Failed {
        /// Why.
        #[source]
        failure: Failure,
        /// Counts of the operation.
        stats: QueryStats,
    },
}

/// Converts the result of an operation that did not succeed.
impl<A> From<QueryResult<'_, A>> for Error {
    fn from(result: QueryResult<'_, A>) -> Self {
        let stats = result.stats;
        match result.outcome {
            Outcome::NotFound { .. } => Self::NotFound(stats),
            Outcome::Conflict { held, .. } => Self::Conflict { held, stats },
            Outcome::Failed(failure) => Self::Failed { failure, stats },
            _ => Self::Failed { failure: Failure::NoResponse, stats },
        }
    }
}

impl<A: fmt::Display> fmt::Display for News<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ExternalAddress { address, id } => write!(f, "the node is at {address} and has the identifier {id}"),
            Self::Serves { serves: true } => f.write_str("the node can be reached: it is a server now"),
            Self::Serves { serves: false } => f.write_str("the node can't be reached: it is a client now"),
            Self::OwnIdSeen { address } => write!(f, "the node at {address} uses this node's identifier"),
            Self::Superseded { key } => write!(f, "another node holds a newer record under the key {}", key.id),
        }
    }
}
