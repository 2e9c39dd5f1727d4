//! The output of a node: identifiers of queries, datagrams to send, events, and the results of queries.

use core::fmt;
use core::time::Duration;

use crate::contact::Contact;
use crate::id::{Distance, Id};
use crate::lookup::Found;
use crate::message::ErrorCode;
use crate::record::{Key, Record};
use crate::time::Instant;

/// Identifies one query: a bootstrap, ping, find_node, get or put that a user's call began. It can be used safely after
/// the query has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct QueryId {
    pub(super) slot: u8,
    pub(super) generation: u32,
}

/// The query that [`bootstrap`](crate::Dht::bootstrap) began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Joining {
    /// The query, which ends with [`Outcome::Joined`] or a failure.
    pub query: QueryId,
    /// How many of the addresses were taken: the first ones, `BOOTSTRAPS` at most.
    pub taken: usize,
}

/// A datagram to send: the first `len` bytes of the buffer that the caller gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transmit<A> {
    /// The address to send it to.
    pub to: A,
    /// The length of the datagram in bytes.
    pub len: usize,
}

/// Why a node must be called at a certain time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WakeReason {
    /// A datagram waits to be sent: call `poll_transmit`.
    Transmit,
    /// A request may have timed out.
    Request,
    /// An operation reaches its time limit, or can proceed now that another one is over.
    Operation,
    /// Maintenance of the table is due.
    Maintenance,
    /// A record expires, or must be published again or replicated.
    Record,
    /// A bootstrap address must be tried again.
    Bootstrap,
}

impl fmt::Display for WakeReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Transmit => "a datagram to send",
            Self::Request => "a request that may have timed out",
            Self::Operation => "the time limit of an operation",
            Self::Maintenance => "maintenance of the table",
            Self::Record => "a record to expire, to publish or to replicate",
            Self::Bootstrap => "a bootstrap address to try again",
        })
    }
}

/// An event that a node reports to its user.
///
/// ```
/// use kadlet::{Address, Event, Outcome};
///
/// fn print<A: Address>(event: Event<'_, A>) {
///     match event {
///         Event::Finished(result) => match result.outcome {
///             Outcome::Value { record, .. } => println!("found {} bytes: {:?}", record.value.len(), record.value),
///             outcome => println!("{outcome}"),
///         },
///         event => println!("{event}"),
///     }
/// }
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Event<'a, A> {
    /// A query ended. The next call that changes the node frees its slot.
    Finished(QueryResult<'a, A>),
    /// The external address of the node is known, or changed: several other nodes see it there. If identifiers are
    /// bound to addresses, the node has the identifier that belongs to this address, and publishes its records again.
    ExternalAddress {
        /// The address, as one of them sees it. Behind a NAT, others can see another port.
        address: A,
        /// The identifier that the node has now.
        id: Id,
    },
    /// The node became a server or a client, because it found out whether it can be reached: see
    /// [`Serve::Automatic`](crate::Serve::Automatic). A node that can be reached from the start isn't told.
    Serves {
        /// Whether it serves from now on.
        serves: bool,
    },
    /// Another node uses this node's identifier: its state was copied, or this is an attack. The node has responded
    /// from its address. This is reported at most once a minute.
    OwnIdSeen {
        /// The other node's address.
        address: A,
    },
    /// Another node holds a newer record under the key of one published here. This node has stopped publishing its own.
    Superseded {
        /// The key of the record.
        key: Key,
    },
    /// A relay request, of this node or another one, was forwarded. It is not reported if the request is over before
    /// the event is polled.
    Forwarded {
        /// The identifier that the request looks for.
        target: Id,
        /// The next hop.
        to: Id,
    },
}

/// The result of a query.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct QueryResult<'a, A> {
    /// The query.
    pub query: QueryId,
    /// The outcome.
    pub outcome: Outcome<'a, A>,
    /// Counts of what happened.
    pub stats: QueryStats,
}

/// The outcome of a query.
///
/// ```
/// use kadlet::{Address, Outcome};
///
/// /// Whether a put reached a majority of the nodes that should hold the record.
/// fn is_safe<A: Address>(outcome: &Outcome<'_, A>) -> bool {
///     matches!(outcome, Outcome::Stored { holders, wanted, .. } if 2 * holders.len() > *wanted)
/// }
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Outcome<'a, A> {
    /// Ping: the node responded.
    Pong {
        /// The node.
        contact: Contact<A>,
        /// The time until its response came, including retransmissions.
        rtt: Duration,
    },
    /// Bootstrap: a node responded, and the nodes nearest to this one were looked up.
    Joined {
        /// The nodes nearest to this one.
        neighbours: Found<'a, A>,
    },
    /// Find_node: the nodes responsible for the target, best first.
    Nodes(Found<'a, A>),
    /// Get: the record.
    Value {
        /// The record, with its age and proof.
        record: Record<'a>,
        /// What is left of its lifetime.
        lifetime: Duration,
        /// The nodes that were asked and hold this version.
        holders: Found<'a, A>,
    },
    /// Get: no node that was asked holds a record under the key.
    NotFound {
        /// The nodes responsible for the key, best first.
        closest: Found<'a, A>,
    },
    /// Put: at least one node stored the record.
    Stored {
        /// The nodes that stored it.
        holders: Found<'a, A>,
        /// How many nodes should hold it: min(k, nodes that responded to the lookup). 0 if this node is alone.
        wanted: usize,
        /// The shortest time for which one of them holds it, unless it is put again. Nodes grant at most their
        /// [`Config::max_lifetime`](crate::Config::max_lifetime). Zero if no node told.
        lifetime: Duration,
        /// The sequence number (signed) or age in milliseconds (plain) of a record that other nodes hold instead: the
        /// highest. `None` if no node has one.
        held: Option<u64>,
    },
    /// Put: nodes hold a newer record, or one that the compare-and-swap doesn't name, and no majority stored this one.
    /// The other record was fetched and verified. A put that nodes refused without such a proof ends with `Stored`, or
    /// with [`Failure::Refused`] if all of them did.
    Conflict {
        /// The nodes that stored it nevertheless.
        holders: Found<'a, A>,
        /// The sequence number (signed) or age in milliseconds (plain) of a record that is held instead.
        held: u64,
    },
    /// The query failed.
    Failed(Failure),
}

/// Why a query failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Failure {
    /// No node responded.
    NoResponse,
    /// The time limit of the query was reached.
    TimedOut,
    /// A later put of the same key replaced this one before it was complete.
    Replaced,
    /// Every node that should have stored the record refused. It holds the last reason and its detail.
    Refused(ErrorCode, u64),
    /// A node holds the record, but the response doesn't fit into `Config::max_datagram`. It holds the length of the
    /// response in bytes.
    TooLarge(usize),
}

/// Counts of a query.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueryStats {
    /// The nodes that were asked.
    pub asked: u16,
    /// The nodes that responded.
    pub responded: u16,
    /// The nodes that did not respond.
    pub timed_out: u16,
    /// The nodes that refused.
    pub refused: u16,
    /// The nodes that stored the record.
    pub stored: u16,
    /// The last reason that a node gave for its refusal.
    pub refusal: Option<ErrorCode>,
    /// The number of steps from the own table to the closest node. The table's own contacts are at 1.
    pub depth: u8,
    /// The distance from the target to the closest node that responded.
    pub closest: Option<Distance>,
    /// How often a relay request was forwarded until a node responded with the result. 0 if no result came, or if the
    /// lookup was iterative.
    pub hops: u8,
    /// Whether the result came through other nodes. If these are nodes, they were not asked themselves. If it is a
    /// plain record, any node on the way may have changed it, or other nodes may hold a newer version. If it is a
    /// signed one, the three closest nodes known were asked for a newer version, but these can be hostile too.
    pub relayed: bool,
    /// Whether a recursive lookup continued iteratively, because its request got no response, or not in time.
    pub fell_back: bool,
    /// When the query began.
    pub began: Instant,
    /// How long the query took. Zero while it is under way.
    pub took: Duration,
}

/// The progress of a query that is under way.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Progress<'a, A> {
    /// Counts of what has happened so far.
    pub stats: QueryStats,
    /// The nodes that responded, best first.
    pub responded: Found<'a, A>,
    /// Whether the nodes were found, and are being asked to store the record.
    pub storing: bool,
}

impl<A: fmt::Debug> fmt::Display for Event<'_, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Finished(result) => result.outcome.fmt(f),
            Self::ExternalAddress { address, id } => {
                write!(f, "the node is at {address:?} and has the identifier {id}")
            }
            Self::Serves { serves: true } => f.write_str("the node can be reached: it is a server now"),
            Self::Serves { serves: false } => f.write_str("the node can't be reached: it is a client now"),
            Self::OwnIdSeen { address } => write!(f, "{address:?} uses the identifier of this node"),
            Self::Superseded { key } => {
                write!(f, "another node holds a newer record than the one published: {}", key.id)
            }
            Self::Forwarded { target, to } => write!(f, "a request for {target} was forwarded to {to}"),
        }
    }
}

/// What the number of a record is.
const NUMBER: &str = "sequence number, or age in ms";

impl<A: fmt::Debug> fmt::Display for Outcome<'_, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pong { contact, rtt } => {
                write!(f, "node {} responded at {:?} after {rtt:?}", contact.id, contact.address)
            }
            Self::Joined { neighbours } => write!(f, "joined; {} neighbours found", neighbours.len()),
            Self::Nodes(nodes) => write!(f, "{} nodes found", nodes.len()),
            Self::Value { record, holders, .. } => {
                write!(f, "a record of {} bytes found at {} nodes", record.value.len(), holders.len())
            }
            Self::NotFound { closest } => write!(f, "no record found at the {} closest nodes", closest.len()),
            Self::Stored { wanted: 0, .. } => f.write_str("stored at this node alone: no other node is known"),
            Self::Stored { holders, wanted, lifetime, held } => {
                write!(f, "stored at {} of {wanted} nodes", holders.len())?;
                if !lifetime.is_zero() {
                    write!(f, " for {lifetime:?}")?;
                }
                held.map_or(Ok(()), |held| write!(f, "; others hold another record ({NUMBER}: {held})"))
            }
            Self::Conflict { holders, held } => {
                write!(f, "another record is held ({NUMBER}: {held}); {} nodes stored this one", holders.len())
            }
            Self::Failed(failure) => failure.fmt(f),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoResponse => f.write_str("no node responded"),
            Self::TimedOut => f.write_str("the time limit was reached"),
            Self::Replaced => f.write_str("a later put of the same key replaced this one"),
            Self::Refused(code, detail) => write!(f, "all nodes refused; the last reason: {code} ({detail})"),
            Self::TooLarge(size) => {
                write!(f, "a node holds the record, but its response of {size} bytes exceeds Config::max_datagram")
            }
        }
    }
}

impl core::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn events_and_outcomes_have_a_text() {
        let seen = Event::OwnIdSeen { address: 7_u16 };
        assert_eq!(seen.to_string(), "7 uses the identifier of this node");
        let failed = Outcome::<'_, u16>::Failed(Failure::Refused(ErrorCode::Full, 0));
        assert_eq!(failed.to_string(), "all nodes refused; the last reason: the store is full (0)");
        let contact = Contact::new(Id::ZERO, 9_u16);
        let pong = Outcome::Pong { contact, rtt: Duration::from_millis(20) };
        assert_eq!(pong.to_string(), "node 0000000000000000000000000000000000000000 responded at 9 after 20ms");
    }
}
