//! What comes out of a node: queries, events, and how an operation ended.

use core::fmt;
use core::time::Duration;

use crate::lookup::Found;
use crate::record::{Key, Kind, Record, RecordError};
use crate::store::StoreError;
use crate::wire::ErrorCode;
use crate::{Contact, Distance, Id, Instant};

/// Names one operation under way. Harmless once the operation has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct QueryId {
    pub(super) slot: u8,
    pub(super) generation: u32,
}

/// A datagram to send: the first `len` bytes of the buffer that was lent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transmit<A> {
    /// Whereto.
    pub to: A,
    /// How many bytes of the buffer.
    pub len: usize,
}

/// Why a node wants to be called at a certain time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WakeReason {
    /// Something waits to be sent: call `poll_transmit`.
    Transmit,
    /// A question may go unanswered.
    Request,
    /// An operation reaches its time limit, or can go on now that another is over.
    Operation,
    /// A table's upkeep is due.
    Maintenance,
    /// A record ends, or is to be published or looked after.
    Record,
    /// A bootstrap address is to be tried again.
    Bootstrap,
}

/// Something the application may want to know.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a, A> {
    /// An operation ended. Its slot is free from the next call that changes the node.
    QueryResult(QueryResult<'a, A>),
    /// Another node uses this node's identifier: a copied state, or an attack. Seen once for each such address in a row.
    OwnIdSeen {
        /// Where.
        address: A,
    },
    /// A newer record than the published one was met under its key, and publishing stopped.
    Superseded {
        /// The key.
        key: Key,
    },
    /// A recursive question, another's or our own, is passed on. Seldom of interest, and not told if it is over before the event is polled.
    Forwarded {
        /// What it looks for.
        target: Id,
        /// To this node.
        to: Id,
    },
}

/// How an operation ended.
#[derive(Clone, Copy, Debug)]
pub struct QueryResult<'a, A> {
    /// Which.
    pub query: QueryId,
    /// What came of it.
    pub outcome: Outcome<'a, A>,
    /// How it went.
    pub stats: QueryStats,
}

/// What came of an operation.
#[derive(Clone, Copy, Debug)]
pub enum Outcome<'a, A> {
    /// A ping was answered.
    Pong {
        /// By whom.
        contact: Contact<A>,
        /// After how long, repeats included.
        rtt: Duration,
    },
    /// Bootstrap: somebody answered, and the neighbourhood is known.
    Joined {
        /// The neighbours found.
        neighbours: Found<'a, A>,
    },
    /// The nodes responsible, best first.
    Nodes(Found<'a, A>),
    /// The record.
    Value {
        /// It, with its age and proof.
        record: Record<'a>,
        /// What is left of its time.
        lifetime: Duration,
        /// Who holds this version of it, of those asked.
        holders: Found<'a, A>,
    },
    /// Nobody who was asked holds a record under the key.
    NotFound {
        /// The nodes responsible, best first.
        closest: Found<'a, A>,
    },
    /// A record is stored.
    Stored {
        /// At whom.
        holders: Found<'a, A>,
        /// How many could have taken it: min(k, nodes that answered the lookup).
        wanted: usize,
    },
    /// A put met a newer record, or another than its compare-and-swap named, and fewer than a majority took it.
    Conflict {
        /// Who took it all the same.
        holders: Found<'a, A>,
        /// The sequence number (signed) or age in milliseconds (plain) of a record that stood in the way.
        held: u64,
    },
    /// It failed.
    Failed(Failure),
}

/// Why an operation failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Nobody answered.
    NoResponse,
    /// The operation's time was over.
    TimedOut,
    /// A later put of the same key took the place of this one, at whomever it had not reached.
    Replaced,
    /// Everyone who could have stored the record refused: the last reason and its detail.
    Refused(ErrorCode, u64),
    /// A holder has the record, but it doesn't fit into the datagrams that this node takes: the answer's size in bytes.
    TooLarge(usize),
}

/// How an operation went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueryStats {
    /// Nodes asked.
    pub asked: u16,
    /// Nodes that answered.
    pub responded: u16,
    /// Nodes that did not.
    pub timed_out: u16,
    /// Nodes that refused.
    pub refused: u16,
    /// Nodes that store the record.
    pub stored: u16,
    /// The last reason given by a node that refused.
    pub refusal: Option<ErrorCode>,
    /// How many steps from the own table the closest node was: its own contacts are at 1.
    pub depth: u8,
    /// How far the closest node that answered is from the target.
    pub closest: Option<Distance>,
    /// How often a recursive question was passed on until somebody answered it; 0 if nobody did, or none was asked.
    pub hops: u8,
    /// Whether what came of it came by way of others, unchecked: nodes that were not asked themselves, or a record of which a newer
    /// version may be held and that, if it is a plain one, anybody on the way may have changed.
    pub relayed: bool,
    /// Whether a recursive lookup went on iteratively, because its question was not answered, or not in time.
    pub fell_back: bool,
    /// When the operation began.
    pub began: Instant,
    /// How long it took; zero while it is under way.
    pub took: Duration,
}

/// How an operation stands.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a, A> {
    /// What has happened so far.
    pub stats: QueryStats,
    /// Those who answered, best first.
    pub responded: Found<'a, A>,
    /// Whether the nodes are found and the record is being stored at them.
    pub storing: bool,
}

/// Why [`find_node`](crate::Dht::find_node), [`ping`](crate::Dht::ping) or [`bootstrap`](crate::Dht::bootstrap)
/// did not begin. The node is as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FindError {
    /// All lookup slots are taken by the user's operations: so many. Wait for one to end, cancel one, or raise `LOOKUPS`.
    Busy(usize),
    /// The table is empty: bootstrap first.
    NoContacts,
    /// More bootstrap addresses than the `BOOTSTRAPS` bound, or none; the bound.
    Addresses(usize),
    /// The node is [empty](crate::Node::empty): start it first.
    NotStarted,
}

/// Why [`get`](crate::Dht::get) did not begin. The node is as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GetError {
    /// All lookup slots are taken by the user's operations: so many. Wait for one to end, cancel one, or raise `LOOKUPS`.
    Busy(usize),
    /// All record buffers are taken: so many. Wait for a get to end, take its result, or raise `VALUES`.
    NoBuffer(usize),
    /// The table is empty: bootstrap first.
    NoContacts,
    /// Records of this kind are not taken: set `Config::plain` or `Config::verify`.
    Unsupported(Kind),
}

/// Why [`put`](crate::Dht::put) did not begin. The node is as it was, and nothing was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PutError {
    /// All lookup slots are taken by the user's operations: so many. Wait for one to end, cancel one, or raise `LOOKUPS`.
    Busy(usize),
    /// The table is empty: bootstrap first.
    NoContacts,
    /// Records of this kind are not taken: set `Config::plain` or `Config::verify`.
    Unsupported(Kind),
    /// The record exceeds a bound of all records.
    Record(RecordError),
    /// The record doesn't fit into a datagram of `Config::max_datagram`: there is room for a value of so many bytes.
    TooLarge(usize),
    /// [`Options::lifetime`](crate::Options::lifetime) is less than a second, the unit in which lifetimes travel.
    Lifetime,
    /// The signature doesn't hold.
    Signature,
    /// The own store doesn't take it: it must be held here to be published.
    Store(StoreError),
}

/// Why [`restore_record`](crate::Dht::restore_record) did not take a record. The node is as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestoreError {
    /// The node is [empty](crate::Node::empty): start it first.
    NotStarted,
    /// Records of this kind are not taken: set `Config::plain` or `Config::verify`.
    Unsupported(Kind),
    /// Less than a second is left of the record's time.
    Lifetime,
    /// The signature doesn't hold.
    Signature,
    /// The store doesn't take it.
    Store(StoreError),
}

impl fmt::Display for FindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy(slots) => busy(*slots, f),
            Self::NoContacts => f.write_str(NO_CONTACTS),
            Self::Addresses(bound) => write!(f, "between 1 and {bound} bootstrap addresses are taken"),
            Self::NotStarted => f.write_str(NOT_STARTED),
        }
    }
}

impl fmt::Display for GetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy(slots) => busy(*slots, f),
            Self::NoBuffer(buffers) => {
                write!(f, "all {buffers} record buffers are taken: wait for a get to end, or raise VALUES")
            }
            Self::NoContacts => f.write_str(NO_CONTACTS),
            Self::Unsupported(kind) => unsupported(*kind, f),
        }
    }
}

impl fmt::Display for PutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy(slots) => busy(*slots, f),
            Self::NoContacts => f.write_str(NO_CONTACTS),
            Self::Unsupported(kind) => unsupported(*kind, f),
            Self::Record(error) => error.fmt(f),
            Self::TooLarge(limit) => {
                write!(
                    f,
                    "the value is larger than the {limit} bytes that a datagram of Config::max_datagram has room for"
                )
            }
            Self::Lifetime => f.write_str(LIFETIME),
            Self::Signature => f.write_str(SIGNATURE),
            Self::Store(error) => write!(f, "the own store does not take the record: {error}"),
        }
    }
}

impl fmt::Display for RestoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotStarted => f.write_str(NOT_STARTED),
            Self::Unsupported(kind) => unsupported(*kind, f),
            Self::Lifetime => f.write_str(LIFETIME),
            Self::Signature => f.write_str(SIGNATURE),
            Self::Store(error) => write!(f, "the own store does not take the record: {error}"),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoResponse => f.write_str("nobody answered"),
            Self::TimedOut => f.write_str("the time limit was reached"),
            Self::Replaced => f.write_str("a later put of the same key took its place"),
            Self::Refused(code, detail) => write!(f, "all nodes refused; the last said {code:?} ({detail})"),
            Self::TooLarge(size) => {
                write!(f, "the record is held, but its answer of {size} bytes is larger than Config::max_datagram")
            }
        }
    }
}

const NOT_STARTED: &str = "the node is empty: start it first";
const LIFETIME: &str = "the record's lifetime is less than a second";
const SIGNATURE: &str = "the signature does not match the record";
const NO_CONTACTS: &str = "no contacts are known: bootstrap first";

fn busy(slots: usize, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "all {slots} lookup slots are taken: wait for an operation to end, or raise LOOKUPS")
}

fn unsupported(kind: Kind, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match kind {
        Kind::Plain => {
            f.write_str("plain records are off: set Config::plain if all members of the network trust each other")
        }
        Kind::Signed => f.write_str("signed records need a verifier: set Config::verify (feature `ed25519` has one)"),
        Kind::Immutable => f.write_str("immutable records are not taken"),
    }
}

impl core::error::Error for FindError {}
impl core::error::Error for GetError {}
impl core::error::Error for PutError {}
impl core::error::Error for RestoreError {}
impl core::error::Error for Failure {}
