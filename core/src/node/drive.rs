//! Drives a node: lets its operations proceed, does what is due, and sends what waits.

use super::inner::NodeInner;
use super::maintenance::STRIDE;
use super::operation::Phase;
use super::parts::{Parts, Slots};
use super::purpose::Purpose;
use super::query::{Transmit, WakeReason};
use super::requests::Unsent;
use super::stats::count_up;
use crate::routing::Routing;
use crate::time::Instant;
use crate::wire::Wire;

impl<P: Parts> NodeInner<P> {
    /// Lets every operation proceed as far as it can, the user's first. Then begins the maintenance that is due.
    pub(super) fn drive(&mut self, now: Instant) {
        for _ in 0..=P::Operations::LEN {
            self.shared.requests_freed = false;
            for second in [false, true] {
                for slot in 0..P::Operations::LEN as u8 {
                    if let Some(operation) = self.operations.get_mut(slot)
                        && operation.works()
                        && operation.comes_second() == second
                    {
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
        for slot in 0..P::Operations::LEN as u8 {
            if let Some(operation) = self.operations.get_mut(slot)
                && operation.is_running()
                && operation.deadline <= now
            {
                self.shared.finish_overdue(now, operation);
            }
        }
        self.shared.expire_records(now);
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
                    self.shared.stats.small_buffers += u64::from(unsent == Unsent::NoRoom);
                    self.shared.requests.drop(ready.index);
                    self.shared.requests_freed = true;
                    self.request_failed(now, ready.owner, ready.expect.as_ref());
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
        or(operation, WakeReason::Operation);
        or(shared.replication.expiry(), WakeReason::Record);
        if self.can_begin_maintenance() {
            or(self.next_table_maintenance(), WakeReason::Maintenance);
            or(shared.replication.due(), WakeReason::Record);
            or(shared.bootstraps.due(), WakeReason::Bootstrap);
        }
        next
    }

    /// Begins the maintenance that is due, if it has room.
    fn begin_maintenance(&mut self, now: Instant) {
        for _ in 0..STRIDE {
            if !self.can_begin_maintenance() {
                return;
            }
            let table_is_due = self.next_table_maintenance().is_due(now);
            let idle = self.find(|operation| operation.phase == Phase::Idle);
            let Some(operation) = idle.and_then(|slot| self.operations.get_mut(slot)) else {
                return;
            };
            let shared = &mut self.shared;
            let begun = if shared.bootstraps.due().is_due(now) {
                shared.visit_bootstraps(now, operation)
            } else if table_is_due {
                shared.maintain_table(now, operation)
            } else if shared.replication.due().is_due(now) {
                shared.publish_next(now, operation) || shared.replicate_next(now, operation)
            } else {
                return;
            };
            if begun {
                shared.step(now, operation);
            }
        }
    }

    /// Whether there is room for one more operation of maintenance. Maintenance takes at most half of the slots (one,
    /// if there is only one), and leaves request slots to the user.
    fn can_begin_maintenance(&self) -> bool {
        let running = self.operations.iter().filter(|operation| operation.is_running());
        let busy = running.filter(|operation| operation.task.is_maintenance()).count();
        // A slot whose result is lent is idle from the next call on.
        let idle = self.any(|operation| matches!(operation.phase, Phase::Idle | Phase::Lent));
        let requests = self.shared.requests.free() > usize::from(self.shared.config.alpha);
        idle && busy < P::Operations::LEN.div_ceil(2) && requests
    }

    /// When the table's maintenance is due. Never for a client, whose own lookups keep the table fresh enough, and
    /// never while a node joins, which is maintenance enough.
    fn next_table_maintenance(&self) -> Instant {
        let joins = self.any(|operation| operation.is_running() && operation.task.traits().joins);
        if !self.shared.config.serve || joins {
            return Instant::NEVER;
        }
        self.shared.table.next_maintenance()
    }
}
