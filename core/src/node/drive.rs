//! Drives a node: lets its operations proceed, does what is due, and sends what waits.

use super::bounds::{Parts, Slots};
use super::inner::NodeInner;
use super::purpose::Purpose;
use super::query::{Transmit, WakeReason};
use super::requests::Unsent;
use super::stats::count_up;
use crate::time::Instant;
use crate::wire::Wire;

impl<P: Parts> NodeInner<P> {
    /// Lets every operation proceed as far as it can, the user's first. Then begins the maintenance that is due.
    pub(super) fn drive(&mut self, now: Instant) {
        // Another round only if an operation freed request slots, which others may wait for.
        for _ in 0..=P::Operations::LEN {
            self.shared.requests_freed = false;
            for second in [false, true] {
                for operation in self.operations.iter_mut() {
                    if operation.works() && operation.comes_second() == second {
                        self.shared.step(now, operation);
                    }
                }
            }
            if !self.shared.requests_freed {
                break;
            }
        }
        self.begin_maintenance(now);
    }

    /// Does what is due at `now`.
    pub(super) fn do_due(&mut self, now: Instant) {
        while let Some(due) = self.shared.requests.due(now) {
            self.time_out(now, due);
        }
        for operation in self.operations.iter_mut() {
            if operation.is_running() && operation.deadline <= now {
                self.shared.finish_overdue(now, operation);
            }
        }
        self.shared.expire_records(now);
        if self.shared.last_put.awaited <= now {
            self.shared.last_put.awaited = Instant::NEVER;
        }
        self.drive(now);
    }

    /// Sends the next datagram that waits.
    pub(super) fn transmit(&mut self, now: Instant, buf: &mut [u8]) -> Option<Transmit<P::Address>> {
        let result = self.shared.respond_to_ending(now, buf);
        if result.is_some() {
            return result;
        }
        if self.shared.requests.has_ready() && buf.len() < P::Wire::MIN_DATAGRAM {
            count_up(&mut self.shared.stats.small_buffers);
            return None;
        }
        while let Some(ready) = self.shared.requests.ready() {
            let operation = ready.owner.slot().and_then(|slot| self.operations.get(slot));
            match self.shared.send_request(now, &ready, operation, buf) {
                Ok(transmit) => {
                    self.shared.requests.sent(now, ready.index);
                    if let Purpose::Relay { relay } = ready.owner {
                        self.shared.forwarding.sent(relay);
                    }
                    if ready.retransmit {
                        count_up(&mut self.shared.stats.retransmits);
                    }
                    return Some(transmit);
                }
                Err(unsent) => {
                    if unsent == Unsent::NoRoom {
                        count_up(&mut self.shared.stats.small_buffers);
                    }
                    self.shared.requests.drop(ready.index);
                    self.shared.requests_freed = true;
                    let expect = ready.expect.as_ref();
                    self.shared.request_failed(now, &mut self.operations, ready.owner, expect);
                    let operation = ready.owner.slot().and_then(|slot| self.operations.get_mut(slot));
                    if let Some(operation) = operation {
                        self.shared.step(now, operation);
                    }
                }
            }
        }
        None
    }

    /// When something is due next, and what it is.
    pub(super) fn next_due(&self) -> (Instant, WakeReason) {
        let shared = &self.shared;
        if shared.requests.has_ready() || shared.forwarding.ending().is_some() {
            return (Instant::ZERO, WakeReason::Transmit);
        }
        if shared.requests_freed {
            return (Instant::ZERO, WakeReason::Operation);
        }
        let running = self.operations.iter().filter(|operation| operation.is_running());
        let operation = running.map(|operation| operation.deadline).min().unwrap_or(Instant::NEVER);
        let mut next = (shared.requests.deadline(), WakeReason::Request);
        let mut or = |at, reason| {
            if at < next.0 {
                next = (at, reason);
            }
        };
        or(operation.min(shared.last_put.awaited), WakeReason::Operation);
        or(shared.replication.expiry(), WakeReason::Record);
        if self.can_begin_maintenance() {
            if shared.silence.is_long() {
                or(shared.silence.pause_ends(), WakeReason::Maintenance);
            } else {
                or(shared.identity.due().min(shared.reachability.due()), WakeReason::Maintenance);
                or(self.next_table_maintenance(), WakeReason::Maintenance);
                or(shared.replication.due(), WakeReason::Record);
                or(shared.bootstraps.due(), WakeReason::Bootstrap);
            }
        }
        next
    }
}
