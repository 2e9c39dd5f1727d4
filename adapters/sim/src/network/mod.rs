//! A network: nodes, the links between them, and time. Each file uses only those below it:
//!
//! | file | what it adds to [`Network`] |
//! |---|---|
//! | `run` | time: the next event happens |
//! | `nodes` | nodes join, leave, crash and restart; applications are attached |
//! | `operations` | a lookup, get, put, ping or join begins at a node |
//! | `faults` | single datagrams are dropped, duplicated, corrupted and forged |
//! | `driver` | a node handles what arrives and what is due; its datagrams, events and timeouts are polled |
//! | `hostile` | an adversary is attached to a host, and handles what arrives there |
//! | `traffic` | a datagram is counted, checked and sent |
//! | `oracle` | the right result, as seen from outside |
//! | `state` | the fields, and what can be read from them |
//! | `host`, `directory`, `expected`, `results`, `datagrams`, `queue` | one kind of field each |

mod datagrams;
mod directory;
mod driver;
mod expected;
mod faults;
mod host;
mod hostile;
mod nodes;
mod operations;
mod oracle;
mod queue;
mod results;
mod run;
mod state;
mod traffic;

pub use datagrams::Datagram;
pub use oracle::Divergence;
pub use results::{OperationId, OperationOutcome, OperationResult};
pub use state::{Counts, Network};
