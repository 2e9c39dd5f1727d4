//! What a call brings back: results that own what they hold, and why there is none.

use core::error;
use core::fmt::{self, Debug};
use core::time::Duration;

use kadlet::lookup::Found;
use kadlet::{Address, Contact, Failure, FindError, GetError, Outcome, PutError, QueryResult, QueryStats};

use crate::RecordBuf;

/// The nodes that a lookup or a bootstrap found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nodes<A> {
    /// They, best first.
    pub nodes: Vec<Contact<A>>,
    /// How it went.
    pub stats: QueryStats,
}

/// The answer to a ping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pong<A> {
    /// Who answered.
    pub contact: Contact<A>,
    /// After how long, repeats included.
    pub rtt: Duration,
}

/// A record that was got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Got<A> {
    /// It, with its age and proof.
    pub record: RecordBuf,
    /// What is left of its time.
    pub lifetime: Duration,
    /// Who holds this version of it, of those asked.
    pub holders: Vec<Contact<A>>,
    /// How it went.
    pub stats: QueryStats,
}

/// A record that was put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored<A> {
    /// Who holds it.
    pub holders: Vec<Contact<A>>,
    /// How many could have taken it: min(k, nodes that answered the lookup).
    pub wanted: usize,
    /// How it went.
    pub stats: QueryStats,
}

/// Why a call brought nothing back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error<A> {
    /// The ping, bootstrap or lookup did not begin. Never `Busy`: a call waits for a slot.
    Find(FindError),
    /// The get did not begin. Never `Busy` or `NoBuffer`: a call waits for both.
    Get(GetError),
    /// The put did not begin, and nothing was sent. Never `Busy`: a call waits for a slot.
    Put(PutError),
    /// Nobody who was asked holds a record under the key.
    NotFound {
        /// The nodes responsible, best first.
        closest: Vec<Contact<A>>,
        /// How it went.
        stats: QueryStats,
    },
    /// A put met a newer record, or another than its compare-and-swap named, and fewer than a majority took it.
    Conflict {
        /// Who took it all the same.
        holders: Vec<Contact<A>>,
        /// The sequence number (signed) or age in milliseconds (plain) of a record that stood in the way.
        held: u64,
        /// How it went.
        stats: QueryStats,
    },
    /// It failed on the way.
    Failed {
        /// Why.
        failure: Failure,
        /// How it went.
        stats: QueryStats,
    },
    /// The time limit was reached while it waited for a slot, or before a ping or bootstrap ended.
    TimedOut,
    /// Too many calls wait already: so many.
    Busy(usize),
    /// The server has stopped.
    Stopped,
}

pub(crate) fn nodes<A: Address>(done: QueryResult<'_, A>) -> Result<Nodes<A>, Error<A>> {
    match done.outcome {
        Outcome::Nodes(found) | Outcome::Joined { neighbours: found } => {
            Ok(Nodes { nodes: contacts(found), stats: done.stats })
        }
        _ => Err(other(done)),
    }
}

pub(crate) fn pong<A: Address>(done: QueryResult<'_, A>) -> Result<Pong<A>, Error<A>> {
    match done.outcome {
        Outcome::Pong { contact, rtt } => Ok(Pong { contact, rtt }),
        _ => Err(other(done)),
    }
}

pub(crate) fn got<A: Address>(done: QueryResult<'_, A>) -> Result<Got<A>, Error<A>> {
    match done.outcome {
        Outcome::Value { record, lifetime, holders } => {
            Ok(Got { record: RecordBuf::from(&record), lifetime, holders: contacts(holders), stats: done.stats })
        }
        _ => Err(other(done)),
    }
}

pub(crate) fn stored<A: Address>(done: QueryResult<'_, A>) -> Result<Stored<A>, Error<A>> {
    match done.outcome {
        Outcome::Stored { holders, wanted } => Ok(Stored { holders: contacts(holders), wanted, stats: done.stats }),
        _ => Err(other(done)),
    }
}

/// An end that is not the one hoped for.
fn other<A: Address>(QueryResult { outcome, stats, .. }: QueryResult<'_, A>) -> Error<A> {
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
                write!(f, "none of the {} nodes that answered holds a record under the key", stats.responded)
            }
            Self::Conflict { held, .. } => write!(f, "another record stands in the way (number {held})"),
            Self::Failed { failure, stats } => {
                write!(f, "{failure} ({} of {} nodes asked answered)", stats.responded, stats.asked)
            }
            Self::TimedOut => f.write_str("the time limit was reached"),
            Self::Busy(calls) => write!(f, "{calls} calls wait already"),
            Self::Stopped => f.write_str("the server has stopped"),
        }
    }
}

impl<A: Debug> error::Error for Error<A> {}
