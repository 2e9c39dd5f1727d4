//! The results of a handle's calls, which own their data, and the errors.

use core::error;
use core::fmt::{self, Debug};
use core::time::Duration;

use kadlet::lookup::Found;
use kadlet::{Address, Contact, Failure, FindError, GetError, Outcome, PutError, QueryResult, QueryStats};

use crate::RecordBuf;

/// The nodes that a lookup or a bootstrap found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nodes<A> {
    /// The nodes, the most responsible first.
    pub nodes: Vec<Contact<A>>,
    /// Counts of the operation.
    pub stats: QueryStats,
}

/// The response to a ping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pong<A> {
    /// The node that responded.
    pub contact: Contact<A>,
    /// The time from the first request to the response, retransmissions included.
    pub rtt: Duration,
}

/// A record that a get found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Got<A> {
    /// The record, with its proof.
    pub record: RecordBuf,
    /// How long the record is still valid.
    pub lifetime: Duration,
    /// The nodes that hold this version of it, of those that were asked.
    pub holders: Vec<Contact<A>>,
    /// Counts of the operation.
    pub stats: QueryStats,
}

/// What a put stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored<A> {
    /// The nodes that stored the record.
    pub holders: Vec<Contact<A>>,
    /// How many nodes should store it: min(k, nodes that responded to the lookup).
    pub wanted: usize,
    /// Counts of the operation.
    pub stats: QueryStats,
}

/// Why a call has no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error<A> {
    /// The ping, bootstrap or lookup did not begin. Never `Busy`: a call waits for a slot.
    Find(FindError),
    /// The get did not begin. Never `Busy` or `NoBuffer`: a call waits for both.
    Get(GetError),
    /// The put did not begin, and nothing was sent. Never `Busy`: a call waits for a slot.
    Put(PutError),
    /// None of the nodes that responded holds a record under the key.
    NotFound {
        /// The responsible nodes, the most responsible first.
        closest: Vec<Contact<A>>,
        /// Counts of the operation.
        stats: QueryStats,
    },
    /// Some responsible nodes hold a newer record, or another one than the compare-and-swap named, and less than a
    /// majority stored the record.
    Conflict {
        /// The nodes that stored it nevertheless.
        holders: Vec<Contact<A>>,
        /// Of a record that a node holds instead: the sequence number (signed) or the age in milliseconds (plain).
        held: u64,
        /// Counts of the operation.
        stats: QueryStats,
    },
    /// The operation began and failed.
    Failed {
        /// Why.
        failure: Failure,
        /// Counts of the operation.
        stats: QueryStats,
    },
    /// The time limit was reached while the call waited for a slot, or before a ping or bootstrap ended.
    TimedOut,
    /// Too many calls wait for a slot already: this many.
    Busy(usize),
    /// The server has stopped.
    Stopped,
}

pub(crate) fn nodes<A: Address>(done: QueryResult<'_, A>) -> Result<Nodes<A>, Error<A>> {
    match done.outcome {
        Outcome::Nodes(found) | Outcome::Joined { neighbours: found } => {
            Ok(Nodes { nodes: contacts(found), stats: done.stats })
        }
        _ => Err(failed(done)),
    }
}

pub(crate) fn pong<A: Address>(done: QueryResult<'_, A>) -> Result<Pong<A>, Error<A>> {
    match done.outcome {
        Outcome::Pong { contact, rtt } => Ok(Pong { contact, rtt }),
        _ => Err(failed(done)),
    }
}

pub(crate) fn got<A: Address>(done: QueryResult<'_, A>) -> Result<Got<A>, Error<A>> {
    match done.outcome {
        Outcome::Value { record, lifetime, holders } => {
            Ok(Got { record: RecordBuf::from(&record), lifetime, holders: contacts(holders), stats: done.stats })
        }
        _ => Err(failed(done)),
    }
}

pub(crate) fn stored<A: Address>(done: QueryResult<'_, A>) -> Result<Stored<A>, Error<A>> {
    match done.outcome {
        Outcome::Stored { holders, wanted } => Ok(Stored { holders: contacts(holders), wanted, stats: done.stats }),
        _ => Err(failed(done)),
    }
}

/// Converts the outcome of an operation that did not succeed.
fn failed<A: Address>(QueryResult { outcome, stats, .. }: QueryResult<'_, A>) -> Error<A> {
    match outcome {
        Outcome::NotFound { closest } => Error::NotFound { closest: contacts(closest), stats },
        Outcome::Conflict { holders, held } => Error::Conflict { holders: contacts(holders), held, stats },
        Outcome::Failed(failure) => Error::Failed { failure, stats },
        _ => Error::Failed { failure: Failure::NoResponse, stats },
    }
}

fn contacts<A: Address>(found: Found<'_, A>) -> Vec<Contact<A>> {
    found.iter().collect()
}

impl<A> fmt::Display for Error<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Find(error) => fmt::Display::fmt(error, f),
            Self::Get(error) => fmt::Display::fmt(error, f),
            Self::Put(error) => fmt::Display::fmt(error, f),
            Self::NotFound { stats, .. } => {
                write!(f, "none of the {} nodes that responded holds a record under the key", stats.responded)
            }
            Self::Conflict { held, .. } => write!(f, "other nodes hold a conflicting record (number {held})"),
            Self::Failed { failure, stats } => {
                write!(f, "{failure} ({} of {} nodes responded)", stats.responded, stats.asked)
            }
            Self::TimedOut => f.write_str("the time limit was reached"),
            Self::Busy(calls) => write!(f, "{calls} calls wait for a slot already"),
            Self::Stopped => f.write_str("the server has stopped"),
        }
    }
}

impl<A: Debug> error::Error for Error<A> {}
