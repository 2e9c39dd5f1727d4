//! The results of a handle's calls, which own their data, and the errors.

use core::error;
use core::fmt::{self, Debug};
use core::time::Duration;

use kadlet::lookup::Found;
use kadlet::{Address, BeginError, Contact, Failure, GetError, Outcome, PutError, QueryResult, QueryStats};

use crate::record::RecordBuf;

/// The nodes that a lookup found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Nodes<A> {
    /// The nodes, the most responsible first.
    pub nodes: Vec<Contact<A>>,
    /// Counts of the operation.
    pub stats: QueryStats,
}

/// What a bootstrap found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Joined<A> {
    /// The node's neighbours, the nearest first.
    pub neighbours: Vec<Contact<A>>,
    /// How many of the addresses were taken: the first ones, up to the `BOOTSTRAPS` bound.
    pub taken: usize,
    /// Counts of the operation.
    pub stats: QueryStats,
}

/// The response to a ping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pong<A> {
    /// The node that responded.
    pub contact: Contact<A>,
    /// The time from the first request to the response, retransmissions included.
    pub rtt: Duration,
}

/// A record that a get found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
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
#[non_exhaustive]
pub struct Stored<A> {
    /// The nodes that stored the record.
    pub holders: Vec<Contact<A>>,
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

/// Why a call has no result.
///
/// Its text includes that of the error that it holds, which [`source`](core::error::Error::source) returns.
///
/// ```
/// use core::net::{Ipv4Addr, SocketAddr};
/// use core::time::Duration;
///
/// use kadlet::{Config, FixedStore, Instant, Kademlia, Key, Node, Options};
/// use kadlet_udp::{Error, Server, random_id, seed};
///
/// type MyNode = Node<Kademlia<SocketAddr, 128>, FixedStore<32, 8192>>;
///
/// # fn main() -> Result<(), Box<dyn core::error::Error>> {
/// let node = || -> Result<_, Box<dyn core::error::Error>> {
///     Ok(MyNode::new(Instant::ZERO, Config::default(), random_id()?, seed()?)?)
/// };
/// let first = Server::bind((Ipv4Addr::LOCALHOST, 0).into(), node()?)?;
/// let second = Server::bind((Ipv4Addr::LOCALHOST, 0).into(), node()?)?;
/// let (handle, key) = (second.handle(), Key::immutable(b"never put"));
///
/// let error = handle.get(key, &Options::default()).expect_err("the node knows no other node");
/// assert!(matches!(error, Error::Get(_)));
///
/// handle.bootstrap(&[first.local_addr()], Duration::from_secs(10))?;
/// match handle.get(key, &Options::default()) {
///     Ok(got) => println!("{} bytes", got.record.value.len()),
///     Err(Error::NotFound { closest, .. }) => println!("not found; {} responsible nodes", closest.len()),
///     Err(error) => return Err(error.into()),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error<A> {
    /// The ping, bootstrap or lookup did not begin. Never `Busy`: a call waits for a slot.
    Begin(BeginError),
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
    /// The time limit was reached while the call waited for a place or a slot, or before a ping or bootstrap ended.
    TimedOut,
    /// All places in the server's queue are taken: this many. Try again later, or with a
    /// [`patient`](crate::Handle::patient) handle.
    Busy(usize),
    /// The server has stopped: [`Server::shutdown`](crate::Server::shutdown) was called, or the server was dropped.
    Stopped,
    /// The server's thread has died, and why: the system's poll failed, or a function of the caller panicked. Nothing
    /// brings it back: start another server, or end the program.
    Died(String),
    /// The call came from the server's own thread, out of a function that was given to it, and would have waited for
    /// itself.
    OwnThread,
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
        Outcome::Stored { holders, wanted, lifetime, held } => {
            Ok(Stored { holders: contacts(holders), wanted, lifetime, held, stats: done.stats })
        }
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
            Self::Begin(error) => fmt::Display::fmt(error, f),
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
            Self::Busy(calls) => write!(f, "{calls} calls wait already: try again later"),
            Self::Stopped => f.write_str("the server has stopped"),
            Self::Died(reason) => write!(f, "the server's thread has died: {reason}"),
            Self::OwnThread => f.write_str("a call from the server's own thread would wait for itself"),
        }
    }
}

impl<A: Debug> error::Error for Error<A> {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Begin(error) => Some(error),
            Self::Get(error) => Some(error),
            Self::Put(error) => Some(error),
            Self::Failed { failure, .. } => Some(failure),
            Self::NotFound { .. } | Self::Conflict { .. } | Self::TimedOut | Self::Busy(_) => None,
            Self::Stopped | Self::Died(_) | Self::OwnThread => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use core::error::Error as _;

    use super::*;

    #[test]
    fn an_error_that_holds_another_has_it_as_its_source_and_includes_its_text() {
        let stats = QueryStats::default();
        let errors: [(Error<()>, &dyn error::Error); 4] = [
            (Error::Begin(BeginError::NoContacts), &BeginError::NoContacts),
            (Error::Get(GetError::NoContacts), &GetError::NoContacts),
            (Error::Put(PutError::Lifetime), &PutError::Lifetime),
            (Error::Failed { failure: Failure::TimedOut, stats }, &Failure::TimedOut),
        ];
        for (error, held) in errors {
            let source = error.source().expect("it holds an error").to_string();
            assert_eq!(source, held.to_string());
            assert!(error.to_string().contains(&source), "{source} in {error}");
        }
        assert!(Error::<()>::Stopped.source().is_none());
    }
}
