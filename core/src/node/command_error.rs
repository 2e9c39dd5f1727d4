//! The errors of a user's calls. After an error, the node is as it was before the call.

use core::error::Error;
use core::fmt;

use crate::record::{Kind, RecordError};
use crate::store::StoreError;

/// Why [`find_node`](crate::Dht::find_node), [`ping`](crate::Dht::ping) or [`bootstrap`](crate::Dht::bootstrap) did not
/// begin. The node is as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BeginError {
    /// The user's queries take all operation slots, of which there are this many. Wait for a query to end, cancel one,
    /// or raise `OPERATIONS`.
    Busy(usize),
    /// The table is empty: bootstrap first.
    NoContacts,
    /// No bootstrap address was given.
    NoAddresses,
    /// `Mode::Recursive` in a node whose `RELAYS` bound is 0, which takes no part in recursive lookups. Raise `RELAYS`.
    NoRelays,
    /// The node is [empty](crate::Node::empty): start it first.
    NotStarted,
}

/// Why [`get`](crate::Dht::get) did not begin. The node is as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GetError {
    /// The user's queries take all operation slots, of which there are this many. Wait for a query to end, cancel one,
    /// or raise `OPERATIONS`.
    Busy(usize),
    /// All record buffers, of which there are this many, are taken. Wait for a get to end, take its result, or raise
    /// `VALUES`.
    NoBuffer(usize),
    /// The table is empty: bootstrap first.
    NoContacts,
    /// `Mode::Recursive` in a node whose `RELAYS` bound is 0, which takes no part in recursive lookups. Raise `RELAYS`.
    NoRelays,
    /// Records of this kind are off: set `Config::plain` or `Config::verify`.
    Unsupported(Kind),
    /// The node is [empty](crate::Node::empty): start it first.
    NotStarted,
}

/// Why [`put`](crate::Dht::put) did not begin. The node is as it was, and nothing was sent.
///
/// The text of an error includes that of the error that it holds, which `source` returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PutError {
    /// The user's queries take all operation slots, of which there are this many. Wait for a query to end, cancel one,
    /// or raise `OPERATIONS`.
    Busy(usize),
    /// The table is empty, and the node would not keep the record: it is a client, and
    /// [`Options::publish`](crate::Options::publish) is not set. Bootstrap first.
    NoContacts,
    /// `Mode::Recursive` in a node whose `RELAYS` bound is 0, which takes no part in recursive lookups. Raise `RELAYS`.
    NoRelays,
    /// Records of this kind are off: set `Config::plain` or `Config::verify`.
    Unsupported(Kind),
    /// The record exceeds a bound of all records.
    Record(RecordError),
    /// The record doesn't fit into a datagram of `Config::max_datagram`. It holds how many bytes the value can have.
    TooLarge(usize),
    /// [`Options::lifetime`](crate::Options::lifetime) is less than a second, the unit in which lifetimes travel.
    Lifetime,
    /// The signature is wrong.
    Signature,
    /// [`Options::compare`](crate::Options::compare) with a record that is not signed, which has no sequence number.
    CompareUnsigned,
    /// The sequence number of the own copy is not the one that [`Options::compare`](crate::Options::compare) gives. It
    /// is this one.
    Conflict(u64),
    /// The own store doesn't take the record. A node must hold a record to publish it.
    Store(StoreError),
    /// The node is [empty](crate::Node::empty): start it first.
    NotStarted,
}

/// Why [`restore_record`](crate::Dht::restore_record) did not take a record. The node is as it was.
///
/// The text of an error includes that of the error that it holds, which `source` returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RestoreError {
    /// The node is [empty](crate::Node::empty): start it first.
    NotStarted,
    /// Records of this kind are off: set `Config::plain` or `Config::verify`.
    Unsupported(Kind),
    /// Less than a second is left of the record's lifetime.
    Lifetime,
    /// The signature is wrong.
    Signature,
    /// The store doesn't take the record.
    Store(StoreError),
}

impl fmt::Display for BeginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy(slots) => busy(*slots, f),
            Self::NoContacts => f.write_str(NO_CONTACTS),
            Self::NoAddresses => f.write_str("no bootstrap address was given"),
            Self::NoRelays => f.write_str(NO_RELAYS),
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
            Self::NoRelays => f.write_str(NO_RELAYS),
            Self::Unsupported(kind) => unsupported(*kind, f),
            Self::NotStarted => f.write_str(NOT_STARTED),
        }
    }
}

impl fmt::Display for PutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy(slots) => busy(*slots, f),
            Self::NoContacts => f.write_str(NO_CONTACTS),
            Self::NoRelays => f.write_str(NO_RELAYS),
            Self::Unsupported(kind) => unsupported(*kind, f),
            Self::Record(error) => write!(f, "the record is not valid: {error}"),
            Self::TooLarge(limit) => {
                write!(f, "the value doesn't fit into Config::max_datagram, which leaves {limit} bytes for it")
            }
            Self::Lifetime => f.write_str(LIFETIME),
            Self::Signature => f.write_str(SIGNATURE),
            Self::CompareUnsigned => f.write_str("only signed records can be compared and swapped"),
            Self::Conflict(held) => write!(f, "the record in the own store has sequence number {held}"),
            Self::Store(error) => write!(f, "the own store does not take the record: {error}"),
            Self::NotStarted => f.write_str(NOT_STARTED),
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

const NOT_STARTED: &str = "the node is not started";
const LIFETIME: &str = "the record's lifetime is less than a second";
const SIGNATURE: &str = "the signature does not match the record";
const NO_CONTACTS: &str = "no contacts are known: bootstrap first";
const NO_RELAYS: &str = "this node takes no part in recursive lookups: raise RELAYS, or look up iteratively";

fn busy(slots: usize, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "all {slots} operation slots are taken: wait for a query to end, or raise OPERATIONS")
}

fn unsupported(kind: Kind, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match kind {
        Kind::Plain => {
            f.write_str("plain records are off: set Config::plain if all members of the network trust each other")
        }
        Kind::Signed => f.write_str("signed records need a verifier: set Config::verify (feature `ed25519` has one)"),
        Kind::Immutable => f.write_str("immutable records are off"),
    }
}

impl Error for BeginError {}

impl Error for GetError {}

impl Error for PutError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Record(error) => Some(error),
            Self::Store(error) => Some(error),
            _ => None,
        }
    }
}

impl Error for RestoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Store(error) => Some(error),
            _ => None,
        }
    }
}
