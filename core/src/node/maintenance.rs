//! Maintenance: refreshes the table, publishes own records again, and replicates those of others.

use super::bounds::{Parts, Slots};
use super::inner::NodeInner;
use super::operation::Phase;
use super::purpose::Purpose;
use super::shared::{Op, Shared, TIMEOUT};
use super::task::Task;
use crate::record::Key;
use crate::routing::{Maintenance, Routing};
use crate::rpc::Attempts;
use crate::store::Store;
use crate::time::{Instant, Micros};

/// How many records are looked at in one call, so that the work of one call is bounded.
const STRIDE: usize = 64;

/// How often one call tries to begin maintenance, for the same reason.
const MOST_TRIES: usize = 64;

impl<P: Parts> NodeInner<P> {
    /// Begins the maintenance that is due, if it has room.
    pub(super) fn begin_maintenance(&mut self, now: Instant) {
        for _ in 0..MOST_TRIES {
            if !self.can_begin_maintenance() {
                return;
            }
            let table_is_due = self.next_table_maintenance().is_due(now);
            let silent = self.shared.silence.is_long();
            if silent && !self.shared.silence.end_pause(now) {
                return;
            }
            let Some(operation) = self.operations.iter_mut().find(|operation| operation.phase == Phase::Idle) else {
                return;
            };
            let shared = &mut self.shared;
            let begun = if shared.identity.due().is_due(now) {
                if let Some(rival) = shared.identity.rival(now) {
                    shared.check_own_id(now, rival);
                }
                shared.survey(now);
                false
            } else if shared.reachability.due().is_due(now) {
                shared.check_reachability(now);
                false
            } else if shared.bootstraps.due().is_due(now) {
                shared.visit_bootstraps(now, operation)
            } else if table_is_due {
                shared.maintain_table(now, operation)
            } else if !silent && shared.replication.due().is_due(now) {
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
    /// if there is only one), and leaves alpha request slots to the user
    /// (all but one, if there are no more).
    pub(super) fn can_begin_maintenance(&self) -> bool {
        let running = self.operations.iter().filter(|operation| operation.is_running());
        let busy = running.filter(|operation| operation.task.is_maintenance()).count();
        // A slot whose result is lent is idle from the next call on.
        let idle = self.any(|operation| matches!(operation.phase, Phase::Idle | Phase::Lent));
        let requests = &self.shared.requests;
        let for_the_user = usize::from(self.shared.config.alpha).min(requests.capacity().saturating_sub(1));
        idle && busy < P::Operations::LEN.div_ceil(2) && requests.free() > for_the_user
    }

    /// When the table's maintenance is due. Never for a client, whose own lookups keep the table fresh enough, and
    /// never while a node joins, which is maintenance enough.
    pub(super) fn next_table_maintenance(&self) -> Instant {
        let joins = self.any(|operation| operation.is_running() && operation.task.traits().joins);
        if !self.shared.config.serve.serves() || joins {
            return Instant::NEVER;
        }
        self.shared.table.next_maintenance()
    }
}

impl<P: Parts> Shared<P> {
    /// Removes the records that have expired.
    pub(super) fn expire_records(&mut self, now: Instant) {
        self.replication.expire(now, &mut self.store);
    }

    /// Begins the maintenance of the table that is due. Returns whether the operation began.
    pub(super) fn maintain_table(&mut self, now: Instant, operation: &mut Op<P>) -> bool {
        let (task, target) = match self.table.maintenance(now) {
            Some(Maintenance::Ask(contact)) => {
                self.begin_request(Purpose::Table, contact.address, Some(&contact.id), Attempts::Stranger);
                return false;
            }
            // While no node responds, one is asked at a time.
            _ if self.silence.is_long() => return false,
            Some(Maintenance::Lookup { target }) => (Task::Refresh, target),
            Some(Maintenance::Neighbourhood) => (Task::CheckNeighbourhood, self.table.own()),
            None => return false,
        };
        self.begin_lookup(now, operation, task, target, TIMEOUT)
    }

    /// Begins to publish the own record that is due first, if any is due. Returns whether the operation began.
    pub(super) fn publish_next(&mut self, now: Instant, operation: &mut Op<P>) -> bool {
        let republish = self.placement().republish;
        let Some(slot) = self.replication.next_published(now, &self.store, republish) else {
            return false;
        };
        let Some(key) = self.begin_for_record(now, operation, Task::Republish, slot) else {
            // No node is known to store a record at: all records wait, until the first contact comes.
            let pause = if self.is_table_empty() { Micros(u64::MAX) } else { Micros::from_secs(1) };
            self.replication.publish_not_before(now + pause);
            return false;
        };
        // Noted at once, so that another record is due next even if this one can't be stored anywhere.
        self.note_replicated(now, &key, true);
        true
    }

    /// Begins to replicate the next record that this node must replicate. Returns whether the operation began.
    pub(super) fn replicate_next(&mut self, now: Instant, operation: &mut Op<P>) -> bool {
        let placement = self.placement();
        let mut steps = STRIDE;
        while let Some(slot) = self.replication.next_replicated(now, &self.store, &self.table, &placement, &mut steps) {
            let kind = self.store.get(slot).map(|held| held.key.kind);
            if kind.is_some_and(|kind| self.supports(kind))
                && self.begin_for_record(now, operation, Task::Replicate, slot).is_some()
            {
                return true;
            }
        }
        false
    }

    /// Begins a task for the record in a slot of the store, and returns its key. `None` if no node is known to ask.
    fn begin_for_record(&mut self, now: Instant, operation: &mut Op<P>, task: Task, slot: usize) -> Option<Key> {
        let held = self.store.get(slot)?;
        let (key, version) = (held.key, held.version(now));
        if !self.begin_lookup(now, operation, task, key.id, TIMEOUT) {
            return None;
        }
        operation.key = key;
        operation.set_best(now, version);
        Some(key)
    }
}
