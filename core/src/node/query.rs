//! What comes out of a node: identifiers of queries, datagrams, events, and how a query ended.

use core::fmt;
use core::time::Duration;

use crate::contact::Contact;
use crate::id::{Distance, Id};
use crate::lookup::Found;
use crate::message::ErrorCode;
use crate::record::{Key, Record};
use crate::time::Instant;

/// Identifies one query: a bootstrap, ping, find_node, get or put that was begun by a command. Harmless once the query has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct QueryId {
    pub(super) slot: u8,
    pub(super) generation: u32,
}

/// What [`bootstrap`](crate::Dht::bootstrap) began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Joining {
    /// The query, which ends with [`Outcome::Joined`] or a failure.
    pub query: QueryId,
    /// How many of the addresses were taken: the first ones, up to the `BOOTSTRAPS` bound.
    pub taken: usize,
}

/// A datagram to send: the first `len` bytes of the buffer that the caller gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transmit<A> {
    /// The address to send it to.
    pub to: A,
    /// Its length in bytes.
    pub len: usize,
}

/// Why a node wants to be called at a certain time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WakeReason {
    /// A datagram waits to be sent: call `poll_transmit`.
    Transmit,
    /// A request may have timed out.
    Request,
    /// A query reaches its time limit, or can go on now that another is over.
    Query,
    /// Maintenance of the table is due.
    Maintenance,
    /// A record expires, or is to be published or replicated.
    Record,
    /// A bootstrap address is to be tried again.
    Bootstrap,
}

impl fmt::Display for WakeReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Transmit => "a datagram to send",
            Self::Request => "a request may time out",
            Self::Query => "a query's time limit",
            Self::Maintenance => "maintenance of the table",
            Self::Record => "a record expires, is published or is replicated",
            Self::Bootstrap => "a bootstrap address to try again",
        })
    }
}

/// Something that the application may want to know.
///
/// ```
/// use kadlet::{Address, Event, Outcome};
///
/// fn print<A: Address>(event: Event<'_, A>) {
///     match event {
///         Event::Finished(result) => match result.outcome {
///             Outcome::Value { record, .. } => println!("{} bytes from {} nodes", record.value.len(), result.stats.responded),
///             other => println!("{other:?}"),
///         },
///         Event::OwnIdSeen { address } => println!("{address:?} uses the same identifier"),
///         other => println!("{other:?}"),
///     }
/// }
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Event<'a, A> {
    /// A query ended. Its slot is free from the next call that changes the node.
    Finished(QueryResult<'a, A>),
    /// Another node uses this node's identifier: a copied state, or an attack. Reported once for each such address in a row.
    OwnIdSeen {
        /// The other node's address.
        address: A,
    },
    /// Another node holds a newer record than the one published here, and publishing stopped.
    Superseded {
        /// The record's key.
        key: Key,
    },
    /// A recursive request, of this node or another, is forwarded. Not reported if it is over before the event is polled.
    Forwarded {
        /// What it looks for.
        target: Id,
        /// The next hop.
        to: Id,
    },
}

/// How a query ended.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct QueryResult<'a, A> {
    /// Which query.
    pub query: QueryId,
    /// What came of it.
    pub outcome: Outcome<'a, A>,
    /// How it went.
    pub stats: QueryStats,
}

/// What came of a query.
///
/// ```
/// use kadlet::{Address, Outcome};
///
/// /// Whether a put reached a majority of the nodes that could have taken it.
/// fn is_safe<A: Address>(outcome: &Outcome<'_, A>) -> bool {
///     matches!(outcome, Outcome::Stored { holders, wanted } if 2 * holders.len() > *wanted)
/// }
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Outcome<'a, A> {
    /// Ping: the node responded.
    Pong {
        /// The node.
        contact: Contact<A>,
        /// The time until its response came, retransmissions included.
        rtt: Duration,
    },
    /// Bootstrap: a node responded, and the neighbourhood is known.
    Joined {
        /// The neighbours found.
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
        /// Those of the nodes asked that hold this version.
        holders: Found<'a, A>,
    },
    /// Get: none of the nodes asked holds a record under the key.
    NotFound {
        /// The nodes responsible for the key, best first.
        closest: Found<'a, A>,
    },
    /// Put: nodes hold the record.
    Stored {
        /// The nodes.
        holders: Found<'a, A>,
        /// How many could have taken it: min(k, nodes that responded to the lookup).
        wanted: usize,
    },
    /// Put: a newer record stood in the way, or another than the compare-and-swap named, and less than a majority took this one.
    Conflict {
        /// The nodes that took it all the same.
        holders: Found<'a, A>,
        /// The sequence number (signed) or age in milliseconds (plain) of a record that stood in the way.
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
    /// The query's time limit was reached.
    TimedOut,
    /// A later put of the same key replaced this one, at the nodes that it had not reached.
    Replaced,
    /// Every node that could have stored the record refused: the last reason and its detail.
    Refused(ErrorCode, u64),
    /// A node holds the record, but the response doesn't fit into `Config::max_datagram`: its length in bytes.
    TooLarge(usize),
}

/// How a query went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueryStats {
    /// Nodes asked.
    pub asked: u16,
    /// Nodes that responded.
    pub responded: u16,
    /// Nodes that did not respond.
    pub timed_out: u16,
    /// Nodes that refused.
    pub refused: u16,
    /// Nodes that store the record.
    pub stored: u16,
    /// The last reason that a node gave for its refusal.
    pub refusal: Option<ErrorCode>,
    /// How many steps from the own table the closest node was. The table's own contacts are at 1.
    pub depth: u8,
    /// The distance from the target to the closest node that responded.
    pub closest: Option<Distance>,
    /// How often a recursive request was forwarded until a node responded to it. 0 if no node did, or none was asked.
    pub hops: u8,
    /// Whether the result came by way of other nodes, unchecked: nodes that were not asked themselves, or a record of which a newer
    /// version may be held, and which, if it is a plain one, any node on the way may have changed.
    pub relayed: bool,
    /// Whether a recursive lookup went on iteratively, because its request got no response, or not in time.
    pub fell_back: bool,
    /// When the query began.
    pub began: Instant,
    /// How long it took. Zero while it is under way.
    pub took: Duration,
}

/// How far a query has come.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Progress<'a, A> {
    /// What has happened so far.
    pub stats: QueryStats,
    /// The nodes that responded, best first.
    pub responded: Found<'a, A>,
    /// Whether the nodes are found and the record is being stored at them.
    pub storing: bool,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoResponse => f.write_str("no node responded"),
            Self::TimedOut => f.write_str("the time limit was reached"),
            Self::Replaced => f.write_str("a later put of the same key replaced this one"),
            Self::Refused(code, detail) => write!(f, "all nodes refused; the last reason: {code} ({detail})"),
            Self::TooLarge(size) => {
                write!(f, "the record is held, but the response of {size} bytes is larger than Config::max_datagram")
            }
        }
    }
}

impl core::error::Error for Failure {}
