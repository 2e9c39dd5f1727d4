//! A host: the node on it, the application on it, and the operations under way there.

use kadlet::{Dht, Id, Instant, Key, QueryId};

use super::results::OperationId;
use crate::address::HostAddress;
use crate::adversary::Adversary;
use crate::application::Application;

/// A host. Its number is its index in the network.
pub(crate) struct Host<M: Dht> {
    /// The node; `None` while none is alive here.
    pub(super) node: Option<Box<M>>,
    /// The identifier of the node that is or was here.
    pub(super) id: Id,
    /// How often a node was restarted here.
    pub(super) incarnation: u32,
    /// The node left politely: the host reports to senders that nobody listens here.
    pub(super) left: bool,
    /// The test itself sends and receives here: see [`Network::add_attacker`](super::Network::add_attacker).
    pub(super) is_attacker: bool,
    /// What it does with datagrams, if it is hostile.
    pub(super) adversary: Option<Box<dyn Adversary>>,
    /// When the adversary is called next.
    pub(super) adversary_at: Instant,
    /// The addresses through which the node joins.
    pub(super) bootstraps: Vec<HostAddress>,
    /// When the node is called next. A scheduled wake-up at any other time is out of date.
    pub(super) wake_at: Instant,
    /// The operations of the network that are under way at the node.
    pub(super) running: Vec<RunningOperation>,
    pub(super) application: Option<Box<dyn Application<M>>>,
    /// When the application is called next.
    pub(super) application_at: Instant,
    /// The requests that the node responded to since [`Network::count_from_now`](super::Network::count_from_now).
    pub(super) requests_served: u32,
    /// The bytes that were sent from here, and those that arrived here, since then.
    pub(super) bytes: (u64, u64),
}

impl<M: Dht> Host<M> {
    pub(super) const fn new(id: Id) -> Self {
        Self {
            node: None,
            id,
            incarnation: 0,
            left: false,
            is_attacker: false,
            adversary: None,
            adversary_at: Instant::NEVER,
            bootstraps: Vec::new(),
            wake_at: Instant::NEVER,
            running: Vec::new(),
            application: None,
            application_at: Instant::NEVER,
            requests_served: 0,
            bytes: (0, 0),
        }
    }

    /// Puts a node onto the state.
    pub(super) fn install(&mut self, node: Box<M>) {
        self.node = Some(node);
        self.left = false;
        self.wake_at = Instant::NEVER;
        self.application_at = Instant::NEVER;
    }
}

/// An operation under way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RunningOperation {
    /// The node's name for it.
    pub(super) query: QueryId,
    /// The network's name for it.
    pub(super) operation: OperationId,
    pub(super) task: Task,
    /// It must have ended by then.
    pub(super) latest_end: Instant,
}

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    Join,
    Find(Id),
    Get(Key),
    Put(Key),
    Ping,
}

impl Task {
    /// The identifier that it looks up. It tells the operation's requests from those of maintenance.
    pub(super) const fn target(self) -> Option<Id> {
        match self {
            Self::Find(target) => Some(target),
            Self::Get(key) | Self::Put(key) => Some(key.id),
            Self::Join | Self::Ping => None,
        }
    }
}
