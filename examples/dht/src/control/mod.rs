//! How a node on this machine is inspected and told things: its control socket.
//!
//! A node listens on a Unix socket (mode 600, in a folder that only its user can enter) or, on Windows, on a named pipe
//! that only its user can open. `kadlet ctl` connects to it, and without `--bootstrap` so do `put`, `get`, `find` and
//! `ping`. Who can connect has the rights of the node's user.
//!
//! A request is a line of JSON, at most 8 KiB long, and so is its response, at most 64 MiB long. A connection can send
//! one request after another. What the node does is what the command itself would do: the same function makes
//! [`Success`], which [the tool prints](Success::show), or the [`Error`], with its exit code.
//!
//! ```text
//! {"command":"unpublish","key":{"kind":"plain","id":"6ea7.."}}
//! {"succeeded":{"object":{"id":"6ea7..","unpublished":true},"notes":[],"details":[]}}
//! ```
//!
//! The socket can't disturb the node. Eight connections at most have a thread each; further ones are told so and
//! closed. A request must be complete within five seconds, and its response taken within ten. A request that is too
//! long or no JSON gets an error, and ends its connection. All operations go through the node's
//! [`Handle`](kadlet_udp::Handle), whose queue is bounded.
//!
//! | file | |
//! |---|---|
//! | `server` | accepts connections and executes requests |
//! | `local` | the other end: finds a node on this machine, and asks it |
//! | `place` | where sockets are, who may use them |
//! | `connection` | lines, with time limits and bounds |

mod connection;
mod local;
mod place;
mod server;

use core::time::Duration;

use kadlet::record::Proof;
use kadlet::{Id, Key, Kind, Record};
use kadlet_udp::{ProofBuf, RecordBuf};
use serde::{Deserialize, Serialize};

pub(crate) use local::Local;
pub(crate) use server::{Control, Service};

use crate::args::Geometry;
use crate::error::{Error, Exit};
use crate::output::Success;

/// The longest time limit of an operation over a control socket.
const LONGEST: Duration = Duration::from_secs(10 * 60);

/// What a node is asked over its control socket.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Request {
    /// What the node is, and its counters.
    Status {},
    /// The contacts in its table.
    Peers {},
    /// The records in its store.
    Records {},
    /// Puts a record. With `publish` the node keeps it alive.
    Put { record: RecordObject, lifetime_seconds: u32, compare: Option<u64>, publish: bool, call: Call },
    /// Stops publishing.
    Unpublish { key: KeyObject },
    /// Gets a record.
    Get { key: KeyObject, call: Call },
    /// Finds the nodes nearest to an id.
    Find { id: String, call: Call },
    /// Ends the node, as a signal does. The connection stays open until its process has ended.
    Shutdown {},
}

/// How an operation is to be done.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Call {
    pub(crate) timeout_ms: u64,
    pub(crate) recursive: bool,
}

/// What a node responds.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reply {
    Succeeded(Success),
    Failed(Error),
}

/// What the tool must know of a node before it asks for anything else.
#[derive(Debug, Deserialize)]
pub(crate) struct Status {
    pub(crate) address: core::net::SocketAddr,
    pub(crate) network: u16,
    pub(crate) geometry: Geometry,
}

/// A key in JSON.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeyObject {
    kind: KindObject,
    id: String,
}

/// A kind of record in JSON.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum KindObject {
    Plain,
    Immutable,
    Signed,
}

/// A record in JSON, its bytes in hex.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub(crate) enum RecordObject {
    Plain {
        id: String,
        #[serde(with = "hex")]
        value: Vec<u8>,
    },
    Immutable {
        #[serde(with = "hex")]
        value: Vec<u8>,
    },
    Signed {
        #[serde(with = "hex")]
        value: Vec<u8>,
        #[serde(with = "hex")]
        public_key: [u8; 32],
        #[serde(with = "hex")]
        salt: Vec<u8>,
        sequence: u64,
        #[serde(with = "hex")]
        signature: [u8; 64],
    },
}

impl Call {
    /// The time limit.
    pub(crate) fn limit(self) -> Result<Duration, Error> {
        match Duration::from_millis(self.timeout_ms) {
            limit if limit <= LONGEST => Ok(limit),
            _ => Err(refused("the time limit of an operation over a control socket is at most 10 minutes")
                .tip("a shorter --timeout, or --bootstrap ADDR")),
        }
    }
}

impl From<Key> for KeyObject {
    fn from(key: Key) -> Self {
        Self { kind: key.kind.into(), id: key.id.to_string() }
    }
}

impl From<Kind> for KindObject {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Plain => Self::Plain,
            Kind::Immutable => Self::Immutable,
            Kind::Signed => Self::Signed,
        }
    }
}

impl KeyObject {
    fn key(&self) -> Result<Key, Error> {
        let kind = match self.kind {
            KindObject::Plain => Kind::Plain,
            KindObject::Immutable => Kind::Immutable,
            KindObject::Signed => Kind::Signed,
        };
        Ok(Key { kind, id: id(&self.id)? })
    }
}

impl From<&Record<'_>> for RecordObject {
    fn from(record: &Record<'_>) -> Self {
        let value = record.value.to_vec();
        match record.proof {
            Proof::Plain { id, .. } => Self::Plain { id: id.to_string(), value },
            Proof::Immutable => Self::Immutable { value },
            Proof::Signed { public_key, salt, sequence, signature } => {
                Self::Signed { value, public_key: *public_key, salt: salt.to_vec(), sequence, signature: *signature }
            }
        }
    }
}

impl RecordObject {
    fn record(self) -> Result<RecordBuf, Error> {
        let (value, proof) = match self {
            Self::Plain { id, value } => (value, ProofBuf::Plain { id: self::id(&id)?, age: 0 }),
            Self::Immutable { value } => (value, ProofBuf::Immutable),
            Self::Signed { value, public_key, salt, sequence, signature } => {
                (value, ProofBuf::Signed { public_key, salt, sequence, signature })
            }
        };
        Ok(RecordBuf { value, proof })
    }
}

fn id(text: &str) -> Result<Id, Error> {
    text.parse().map_err(|_| refused("an id is 40 hexadecimal digits"))
}

fn refused(what: impl Into<String>) -> Error {
    Error::new(Exit::Usage, what)
}
