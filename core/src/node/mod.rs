//! The state machine that a user drives. (Stub.)

mod config;
mod event;
mod machine;
mod stats;

pub use config::{Config, Options};
pub use event::{Done, Event, Failure, FindError, GetError, Outcome, Progress, PutError, Query, Report, Transmit, Wake};
pub use machine::Machine;
pub use stats::Stats;

/// A node.
#[derive(Debug)]
pub struct Node;
