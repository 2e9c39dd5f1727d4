//! Begins operations at nodes.

use core::time::Duration;

use kadlet::{BeginError, GetError, Id, Instant, Key, Mode, Options, PutError, QueryId, Record};

use super::expected::ExpectedNodes;
use super::host::{RunningOperation, Task};
use super::results::OperationId;
use super::state::Network;
use crate::node::SimulatedNode;

/// An operation must have ended this long after its time limit.
const GRACE: Duration = Duration::from_secs(1);

/// Operations. The result of each comes once, from [`Network::next_result`].
impl<M: SimulatedNode> Network<M> {
    /// Looks up the nodes responsible for `target`, and evaluates what is found.
    ///
    /// # Errors
    ///
    /// [`BeginError`]: the node's own; `NotStarted` if none lives there.
    pub fn find_node(&mut self, host: u32, target: Id) -> Result<OperationId, BeginError> {
        let next = self.next_operation();
        self.expected.insert(next, ExpectedNodes::new::<M::Routing>(&self.members, host, target));
        let options = Options { mode: self.lookup, ..Options::DEFAULT };
        let begun = self.begin_operation(host, Task::Find(target), |node, now| node.find_node(now, target, &options));
        if begun.is_none_or(|begun| begun.is_err()) {
            self.expected.remove(&next);
        }
        begun.unwrap_or(Err(BeginError::NotStarted))
    }

    /// Gets a record.
    ///
    /// # Errors
    ///
    /// [`GetError`]: the node's own; `NoContacts` if none lives there.
    pub fn get(&mut self, host: u32, key: Key) -> Result<OperationId, GetError> {
        let options = Options { mode: self.lookup, ..Options::DEFAULT };
        let begun = self.begin_operation(host, Task::Get(key), |node, now| node.get(now, key, &options));
        begun.unwrap_or(Err(GetError::NoContacts))
    }

    /// Puts a record.
    ///
    /// # Errors
    ///
    /// [`PutError`]: the node's own; `NoContacts` if none lives there.
    pub fn put(&mut self, host: u32, record: &Record<'_>, options: &Options) -> Result<OperationId, PutError> {
        let key = record.key();
        self.checks.put(key, record.version());
        let begun = self.begin_operation(host, Task::Put(key), |node, now| node.put(now, record, options));
        begun.unwrap_or(Err(PutError::NoContacts))
    }

    /// Pings the node on the host `to`.
    ///
    /// # Errors
    ///
    /// [`BeginError`]: the node's own; `NotStarted` if none lives at `host`.
    ///
    /// # Panics
    ///
    /// If there is no host `to`.
    pub fn ping(&mut self, host: u32, to: u32) -> Result<OperationId, BeginError> {
        let to = self.address(to);
        self.begin_operation(host, Task::Ping, |node, now| node.ping(now, to)).unwrap_or(Err(BeginError::NotStarted))
    }

    /// Checks that no operation is under way that should have ended. A test calls it at the end of its history.
    pub fn check_overdue(&mut self) {
        for (host, state) in self.hosts.iter().enumerate() {
            for running in &state.running {
                let words = || format!("{:?} at {host} should have ended by {:?}", running.task, running.latest_end);
                self.checks.require(running.latest_end >= self.now, words);
            }
        }
    }

    /// A join failed some time ago: begins it again, if the node is still there.
    pub(super) fn join_again(&mut self, host: u32, incarnation: u32) {
        let state = &self.hosts[host as usize];
        if state.node.is_some() && state.incarnation == incarnation {
            self.begin_join(host);
        }
    }

    /// Begins to join through the host's bootstrap addresses.
    pub(super) fn begin_join(&mut self, host: u32) {
        let bootstraps = self.hosts[host as usize].bootstraps.clone();
        let begun = self.begin_operation(host, Task::Join, |node, now| {
            node.bootstrap(now, &bootstraps).map(|joining| joining.query)
        });
        self.checks
            .require(matches!(begun, Some(Ok(_))), || format!("{host} can't join through {bootstraps:?}: {begun:?}"));
    }

    /// Begins an operation at a node. `None` if none lives there.
    fn begin_operation<E>(
        &mut self,
        host: u32,
        task: Task,
        begin: impl FnOnce(&mut M, Instant) -> Result<QueryId, E>,
    ) -> Option<Result<OperationId, E>> {
        let operation = self.next_operation();
        let mut node = self.hosts.get_mut(host as usize)?.node.take()?;
        let begun = begin(&mut node, self.now);
        let state = &mut self.hosts[host as usize];
        state.node = Some(node);
        // The operation can have ended already, so it must be known before the node's events are polled.
        if let Ok(query) = &begun {
            self.requesters.push(host);
            if let (Mode::Recursive, Some(target)) = (self.lookup, task.target()) {
                self.relayed.insert(target, operation.0);
            }
            let latest_end = self.now + Options::DEFAULT.timeout + GRACE;
            state.running.push(RunningOperation { query: *query, operation, task, latest_end });
        }
        self.with(host, |_, _| ());
        Some(begun.map(|_| operation))
    }

    const fn next_operation(&self) -> OperationId {
        OperationId(self.requesters.len() as u32)
    }
}
