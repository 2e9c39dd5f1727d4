//! Drives nodes: hands them what arrives and what is due, sends what they send, and takes in the events that they
//! report.

use kadlet::wire::MAX_DATAGRAM;
use kadlet::{Event, Instant, Outcome, QueryStats};

use core::time::Duration;

use super::datagrams::Datagram;
use super::host::{RunningOperation, Task};
use super::queue::Scheduled;
use super::results::{OperationOutcome, OperationResult};
use super::state::Network;
use crate::node::SimulatedNode;

/// A node whose join failed tries again after this time.
const JOIN_AGAIN: Duration = Duration::from_secs(1);

impl<M: SimulatedNode> Network<M> {
    /// The datagram in this slot of the pool arrives.
    pub(super) fn arrive(&mut self, slot: u32) {
        let (mut datagram, mut response) = ([0; MAX_DATAGRAM], [0; MAX_DATAGRAM]);
        let (in_flight, len) = self.datagrams.take(slot, &mut datagram);
        let (from, to, datagram) = (in_flight.from, in_flight.to, &datagram[..len]);
        let host = &mut self.hosts[to as usize];
        let Some(mut node) = host.node.take() else {
            if host.is_attacker {
                self.received.push_back(Datagram { from, to, bytes: datagram.to_vec() });
            } else if host.left {
                let back = self.now + self.links.latency.round_trip(from, to) / 2;
                self.queue.push(back, Scheduled::Unreachable(from, to));
            }
            return;
        };
        if let Some(out) = node.handle_datagram(self.now, from, datagram, &mut response) {
            host.requests_served += 1;
            let response = &response[..out.len];
            self.check_response(to, out.to, &node, datagram, response);
            self.transmit(to, out.to, in_flight.cause, response);
        }
        self.count_requester(to, in_flight.cause, len);
        self.settle(to, &mut node);
        self.hosts[to as usize].node = Some(node);
    }

    /// A timeout of this node may be due.
    pub(super) fn wake(&mut self, address: u32) {
        let host = &mut self.hosts[address as usize];
        if host.wake_at > self.now || host.wake_at == Instant::NEVER {
            return;
        }
        host.wake_at = Instant::NEVER;
        // Maintenance may have been put off since this was scheduled.
        self.with(address, |node, now| {
            if node.poll_timeout().is_some_and(|(at, _)| at <= now) {
                node.handle_timeout(now);
            }
        });
    }

    /// The application at this address may be due.
    pub(super) fn call_application(&mut self, address: u32) {
        let host = &mut self.hosts[address as usize];
        if host.application_at > self.now {
            return;
        }
        host.application_at = Instant::NEVER;
        if let Some(mut node) = host.node.take() {
            self.act(address, &mut node);
            self.settle(address, &mut node);
            self.hosts[address as usize].node = Some(node);
        }
    }

    /// Calls a live node, then sends and handles whatever comes out of it. `None` if no node lives there.
    pub(super) fn with<T>(&mut self, address: u32, call: impl FnOnce(&mut M, Instant) -> T) -> Option<T> {
        let mut node = self.hosts.get_mut(address as usize)?.node.take()?;
        let result = call(&mut node, self.now);
        self.settle(address, &mut node);
        self.hosts[address as usize].node = Some(node);
        Some(result)
    }

    /// Sends all that a node has to send, handles its events, and schedules its next timeout.
    fn settle(&mut self, address: u32, node: &mut M) {
        let mut buf = [0; MAX_DATAGRAM];
        loop {
            while let Some(out) = node.poll_transmit(self.now, &mut buf) {
                self.send(address, &out, &buf);
            }
            if !self.handle_event(address, node) {
                break;
            }
        }
        let Some((at, _)) = node.poll_timeout() else {
            return;
        };
        let host = &mut self.hosts[address as usize];
        if at < host.wake_at {
            // Nothing is left to send, so this is a timeout. One that is overdue is handled now.
            host.wake_at = at.max(self.now);
            self.queue.push(host.wake_at, Scheduled::Wake(address));
        }
    }

    /// Handles the next event of a node; false if it has none.
    fn handle_event(&mut self, address: u32, node: &mut M) -> bool {
        let Some(event) = node.poll_event() else {
            return false;
        };
        let host = &mut self.hosts[address as usize];
        if let Some(application) = &mut host.application {
            application.handle_event(self.now, &event);
        }
        if let Event::Finished(result) = &event {
            self.checks.ended(self.now, address, host.incarnation, result.query);
            if let Some(index) = host.running.iter().position(|running| running.query == result.query) {
                let running = host.running.swap_remove(index);
                let outcome = self.outcome(address, &running, &result.outcome);
                self.end(address, &running, outcome, result.stats);
            }
        }
        if self.hosts[address as usize].application.is_some() {
            self.act(address, node);
        }
        true
    }

    /// Lets the application at a node act, and schedules its next call.
    fn act(&mut self, address: u32, node: &mut M) {
        let host = &mut self.hosts[address as usize];
        let Some(at) = host.application.as_mut().and_then(|application| application.act(self.now, node)) else {
            return;
        };
        let at = at.max(self.now);
        if host.application_at != at {
            host.application_at = at;
            self.queue.push(at, Scheduled::Application(address));
        }
    }

    /// How an operation ended, as the simulator sees it.
    fn outcome(&mut self, address: u32, running: &RunningOperation, outcome: &Outcome<'_, u32>) -> OperationOutcome {
        match outcome {
            Outcome::Pong { .. } => OperationOutcome::Pong,
            Outcome::Joined { .. } => OperationOutcome::Joined,
            Outcome::Nodes(found) => {
                // A node that is still joining is no member yet: to find it first as well is no error.
                let joins = |address: &u32| self.hosts[*address as usize].node.is_some() && !self.is_member(*address);
                let closest = found.iter().map(|contact| contact.address).find(|address| !joins(address));
                let expected = self.expected.get(&running.operation);
                let right = closest.is_some_and(|closest| expected.is_some_and(|expected| expected.contains(closest)));
                OperationOutcome::Found { closest, right }
            }
            Outcome::Value { record, holders, .. } => {
                if let Task::Get(key) = running.task {
                    self.checks.got(self.now, address, key, record.key(), record.version());
                }
                OperationOutcome::Value {
                    value: record.value.to_vec(),
                    version: record.version(),
                    holders: holders.len(),
                }
            }
            Outcome::NotFound { .. } => OperationOutcome::NotFound,
            Outcome::Stored { holders, wanted } => OperationOutcome::Stored { holders: holders.len(), wanted: *wanted },
            Outcome::Conflict { .. } => OperationOutcome::Conflict,
            Outcome::Failed(_) if matches!(running.task, Task::Find(_)) => {
                OperationOutcome::Found { closest: None, right: false }
            }
            Outcome::Failed(failure) => OperationOutcome::Failed(*failure),
            other => panic!("the simulator doesn't know this outcome: {other:?}"),
        }
    }

    /// Queues the result of an operation. A join that failed gets none: it begins again later.
    fn end(&mut self, address: u32, running: &RunningOperation, outcome: OperationOutcome, stats: QueryStats) {
        self.expected.remove(&running.operation);
        if let Some(target) = running.task.target() {
            self.relayed.remove(&target);
        }
        if running.task == Task::Join {
            let host = &self.hosts[address as usize];
            if outcome != OperationOutcome::Joined {
                self.queue.push(self.now + JOIN_AGAIN, Scheduled::Join(address, host.incarnation));
                return;
            }
            self.members.insert(host.id, address);
            self.members_changed();
        }
        let (operation, at) = (running.operation, self.now);
        self.results.push_back(OperationResult { operation, address, at, outcome, stats });
    }
}
