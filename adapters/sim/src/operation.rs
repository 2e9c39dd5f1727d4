//! Operations that the network began at a node, and how they ended.

use kadlet::record::Version;
use kadlet::{Failure, Id, Instant, Key, QueryId, QueryStats};

/// Names one operation of the network's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Operation(pub(crate) u32);

/// How an operation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Which.
    pub operation: Operation,
    /// At whom.
    pub address: u32,
    /// When.
    pub at: Instant,
    /// What came of it.
    pub ending: Ending,
    /// How it went, as the node tells.
    pub stats: QueryStats,
}

/// What came of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The node joined.
    Joined,
    /// A lookup found somebody; whether it ended at a node that was responsible at some instant of it.
    Found {
        /// The closest that was found; `None` for nobody.
        closest: Option<u32>,
        /// Whether that is right, as judged with the whole network in view.
        right: bool,
    },
    /// A get found this value, and so many holders of it.
    Value {
        /// The value.
        value: Vec<u8>,
        /// Its version.
        version: Version,
        /// Of those asked, how many hold it.
        holders: usize,
    },
    /// Nobody who was asked holds it.
    NotFound,
    /// A put reached so many holders.
    Stored {
        /// These many.
        holders: usize,
        /// Of so many.
        wanted: usize,
    },
    /// A put met a newer record.
    Conflict,
    /// A ping was answered.
    Pong,
    /// It failed.
    Failed(Failure),
    /// Its node died.
    Died,
}

impl Ending {
    /// Whether it did what it was begun for.
    #[must_use]
    pub fn is_success(&self) -> bool {
        match self {
            Self::Found { right, .. } => *right,
            Self::Joined | Self::Value { .. } | Self::Stored { .. } | Self::Pong => true,
            Self::NotFound | Self::Conflict | Self::Failed(_) | Self::Died => false,
        }
    }
}

/// One under way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Running {
    pub(crate) query: QueryId,
    pub(crate) operation: Operation,
    pub(crate) task: Task,
    pub(crate) latest_end: Instant,
}

/// What it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    Join,
    Find(Id),
    Get(Key),
    Put(Key),
    Ping,
}

impl Task {
    /// What it searches for, by which its questions are told from upkeep's.
    pub(crate) const fn target(self) -> Option<Id> {
        match self {
            Self::Find(target) => Some(target),
            Self::Get(key) | Self::Put(key) => Some(key.id),
            Self::Join | Self::Ping => None,
        }
    }
}
