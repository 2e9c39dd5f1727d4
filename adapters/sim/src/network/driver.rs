//! Drives nodes: hands them what arrives and what is due, sends what they send, and takes in the events that they
//! report.

use kadlet::wire::MAX_DATAGRAM;
use kadlet::{Event, Id, Instant, Outcome, QueryStats};

use core::time::Duration;

use super::datagrams::Datagram;
use super::host::{RunningOperation, Task};
use super::queue::Scheduled;
use super::results::{OperationOutcome, OperationResult};
use super::state::Network;
use crate::address::HostAddress;
use crate::node::SimulatedNode;

/// A node whose join failed tries again after this time.
const JOIN_AGAIN: Duration = Duration::from_secs(1);

impl<M: SimulatedNode> Network<M> {
    /// The datagram in this slot of the pool arrives.
    pub(super) fn arrive(&mut self, slot: u32) {
        let (mut datagram, mut response) = ([0; MAX_DATAGRAM], [0; MAX_DATAGRAM]);
        let (in_flight, len) = self.datagrams.take(slot, &mut datagram);
        let (from, datagram) = (in_flight.from, &datagram[..len]);
        // The host may have moved to another address meanwhile.
        let Some(to) = self.directory.host_at(in_flight.to) else {
            return;
        };
        self.hosts[to as usize].bytes.1 += len as u64;
        if self.react(to, &in_flight, datagram) {
            return;
        }
        let state = &mut self.hosts[to as usize];
        let Some(mut node) = state.node.take() else {
            if state.is_attacker {
                self.received.push_back(Datagram { from, to: in_flight.to, bytes: datagram.to_vec() });
            } else if state.left
                && let Some(sender) = self.directory.host_at(from)
            {
                let back = self.now + self.links.latency.round_trip(sender, to) / 2;
                self.queue.push(back, Scheduled::Unreachable(sender, in_flight.to));
            }
            return;
        };
        if let Some(out) = node.handle_datagram(self.now, from, datagram, &mut response) {
            state.requests_served += 1;
            let response = &response[..out.len];
            self.check_response(to, out.to, &node, datagram, response);
            self.transmit(to, in_flight.to, out.to, in_flight.cause, response);
        }
        self.count_requester(to, in_flight.cause, len);
        self.settle(to, &mut node);
        self.hosts[to as usize].node = Some(node);
    }

    /// A timeout of this node may be due.
    pub(super) fn wake(&mut self, host: u32) {
        let state = &mut self.hosts[host as usize];
        if state.wake_at > self.now || state.wake_at == Instant::NEVER {
            return;
        }
        state.wake_at = Instant::NEVER;
        // Maintenance may have been put off since this was scheduled.
        self.with(host, |node, now| {
            if node.poll_timeout().is_some_and(|(at, _)| at <= now) {
                node.handle_timeout(now);
            }
        });
    }

    /// The application at this host may be due.
    pub(super) fn call_application(&mut self, host: u32) {
        let state = &mut self.hosts[host as usize];
        if state.application_at > self.now {
            return;
        }
        state.application_at = Instant::NEVER;
        if let Some(mut node) = state.node.take() {
            self.act(host, &mut node);
            self.settle(host, &mut node);
            self.hosts[host as usize].node = Some(node);
        }
    }

    /// Calls a live node, then sends and handles whatever comes out of it. `None` if no node lives there.
    pub(super) fn with<T>(&mut self, host: u32, call: impl FnOnce(&mut M, Instant) -> T) -> Option<T> {
        let mut node = self.hosts.get_mut(host as usize)?.node.take()?;
        let result = call(&mut node, self.now);
        self.settle(host, &mut node);
        self.hosts[host as usize].node = Some(node);
        Some(result)
    }

    /// Sends all that a node has to send, handles its events, and schedules its next timeout.
    fn settle(&mut self, host: u32, node: &mut M) {
        let mut buf = [0; MAX_DATAGRAM];
        loop {
            while let Some(out) = node.poll_transmit(self.now, &mut buf) {
                self.send(host, &out, &buf);
            }
            if !self.handle_event(host, node) {
                break;
            }
        }
        self.note_id(host, node.id());
        let Some((at, _)) = node.poll_timeout() else {
            return;
        };
        let state = &mut self.hosts[host as usize];
        if at < state.wake_at {
            // Nothing is left to send, so this is a timeout. One that is overdue is handled now.
            state.wake_at = at.max(self.now);
            self.queue.push(state.wake_at, Scheduled::Wake(host));
        }
    }

    /// Follows a node that has taken another identifier.
    fn note_id(&mut self, host: u32, id: Id) {
        let state = &mut self.hosts[host as usize];
        if state.id == id {
            return;
        }
        let old = core::mem::replace(&mut state.id, id);
        self.directory.remember(host, old);
        if self.members.remove(&old).is_some() {
            self.members.insert(id, host);
            self.members_changed();
        }
    }

    /// Handles the next event of a node; false if it has none.
    fn handle_event(&mut self, host: u32, node: &mut M) -> bool {
        let Some(event) = node.poll_event() else {
            return false;
        };
        let state = &mut self.hosts[host as usize];
        if let Some(application) = &mut state.application {
            application.handle_event(self.now, &event);
        }
        if let Event::Finished(result) = &event {
            self.checks.ended(self.now, host, state.incarnation, result.query);
            if let Some(index) = state.running.iter().position(|running| running.query == result.query) {
                let running = state.running.swap_remove(index);
                let outcome = self.outcome(host, &running, &result.outcome);
                self.end(host, &running, outcome, result.stats);
            }
        }
        if self.hosts[host as usize].application.is_some() {
            self.act(host, node);
        }
        true
    }

    /// Lets the application at a node act, and schedules its next call.
    fn act(&mut self, host: u32, node: &mut M) {
        let state = &mut self.hosts[host as usize];
        let Some(at) = state.application.as_mut().and_then(|application| application.act(self.now, node)) else {
            return;
        };
        let at = at.max(self.now);
        if state.application_at != at {
            state.application_at = at;
            self.queue.push(at, Scheduled::Application(host));
        }
    }

    /// How an operation ended, as the simulator sees it.
    fn outcome(
        &mut self,
        host: u32,
        running: &RunningOperation,
        outcome: &Outcome<'_, HostAddress>,
    ) -> OperationOutcome {
        match outcome {
            Outcome::Pong { .. } => OperationOutcome::Pong,
            Outcome::Joined { .. } => OperationOutcome::Joined,
            Outcome::Nodes(found) => {
                // A node that is still joining is no member yet: to find it first as well is no error.
                let joins = |host: &u32| self.hosts[*host as usize].node.is_some() && !self.is_member(*host);
                let hosts = found.iter().filter_map(|contact| self.directory.host_at(contact.address));
                let closest = hosts.into_iter().find(|host| !joins(host));
                let expected = self.expected.get(&running.operation);
                let right = closest.is_some_and(|closest| expected.is_some_and(|expected| expected.contains(closest)));
                OperationOutcome::Found { closest, right }
            }
            Outcome::Value { record, holders, .. } => {
                if let Task::Get(key) = running.task {
                    self.checks.got(self.now, host, key, record.key(), record.version());
                }
                OperationOutcome::Value {
                    value: record.value.to_vec(),
                    version: record.version(),
                    holders: holders.len(),
                }
            }
            Outcome::NotFound { .. } => OperationOutcome::NotFound,
            Outcome::Stored { holders, wanted, .. } => {
                OperationOutcome::Stored { holders: holders.len(), wanted: *wanted }
            }
            Outcome::Conflict { .. } => OperationOutcome::Conflict,
            Outcome::Failed(_) if matches!(running.task, Task::Find(_)) => {
                OperationOutcome::Found { closest: None, right: false }
            }
            Outcome::Failed(failure) => OperationOutcome::Failed(*failure),
            other => panic!("the simulator doesn't know this outcome: {other:?}"),
        }
    }

    /// Queues the result of an operation. A join that failed gets none: it begins again later.
    fn end(&mut self, host: u32, running: &RunningOperation, outcome: OperationOutcome, stats: QueryStats) {
        self.expected.remove(&running.operation);
        if let Some(target) = running.task.target() {
            self.relayed.remove(&target);
        }
        if running.task == Task::Join {
            let state = &self.hosts[host as usize];
            if outcome != OperationOutcome::Joined {
                self.queue.push(self.now + JOIN_AGAIN, Scheduled::Join(host, state.incarnation));
                return;
            }
            self.members.insert(state.id, host);
            self.members_changed();
        }
        let (operation, at) = (running.operation, self.now);
        self.results.push_back(OperationResult { operation, host, at, outcome, stats });
    }
}
