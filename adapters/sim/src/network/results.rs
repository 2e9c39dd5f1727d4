//! The operations that the network began at its nodes, and their results.

use core::fmt;

use kadlet::record::Version;
use kadlet::{Failure, Instant, QueryStats};

/// Names one operation of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OperationId(pub(super) u32);

/// The result of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperationResult {
    /// The operation.
    pub operation: OperationId,
    /// The host of the node that ran it.
    pub host: u32,
    /// When it ended.
    pub at: Instant,
    /// How it ended.
    pub outcome: OperationOutcome,
    /// The node's own statistics of it. All zero if the node died.
    pub stats: QueryStats,
}

/// How an operation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OperationOutcome {
    /// The node joined.
    Joined,
    /// A lookup ended.
    Found {
        /// The host of the closest node that it found; `None` if it found none.
        closest: Option<u32>,
        /// Whether that node was responsible for the target at some instant of the lookup. The simulator knows, as it
        /// sees the whole network.
        right: bool,
    },
    /// A get found a value.
    Value {
        /// The value.
        value: Vec<u8>,
        /// Its version.
        version: Version,
        /// How many of the nodes asked hold this version.
        holders: usize,
    },
    /// None of the nodes asked holds a record under the key.
    NotFound,
    /// A put stored its record.
    Stored {
        /// How many nodes stored it.
        holders: usize,
        /// How many could have: the smaller of k and the number of nodes that responded.
        wanted: usize,
    },
    /// A put met a newer record.
    Conflict,
    /// A ping got its response.
    Pong,
    /// It failed.
    Failed(Failure),
    /// Its node died.
    Died,
}

impl OperationOutcome {
    /// Whether the operation reached its goal. A lookup does only if it found the right node.
    #[must_use]
    pub fn is_success(&self) -> bool {
        match self {
            Self::Found { right, .. } => *right,
            Self::Joined | Self::Value { .. } | Self::Stored { .. } | Self::Pong => true,
            Self::NotFound | Self::Conflict | Self::Failed(_) | Self::Died => false,
        }
    }
}

impl fmt::Display for OperationOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Joined => f.write_str("joined"),
            Self::Found { closest: Some(closest), right: true } => {
                write!(f, "found host {closest}, which is responsible")
            }
            Self::Found { closest: Some(closest), .. } => write!(f, "found host {closest}, which is not responsible"),
            Self::Found { closest: None, .. } => f.write_str("found no node"),
            Self::Value { value, holders, .. } => write!(f, "a value of {} bytes at {holders} nodes", value.len()),
            Self::NotFound => f.write_str("no node asked holds a record under the key"),
            Self::Stored { holders, wanted } => write!(f, "stored at {holders} of {wanted} nodes"),
            Self::Conflict => f.write_str("a newer record is held"),
            Self::Pong => f.write_str("responded"),
            Self::Failed(failure) => failure.fmt(f),
            Self::Died => f.write_str("its node died"),
        }
    }
}
