//! The end of an operation: with an event for its user, without one, or before another's; and what becomes of its record.
//!
//! | task | ends well | ends ill |
//! |---|---|---|
//! | ping | `Pong` | `NoResponse` |
//! | bootstrap | `Joined` | `NoResponse`, `TimedOut` |
//! | find_node | `Nodes` | `NoResponse`, `TimedOut` |
//! | get | `Value`; what lags is then written back | `NotFound`, `TooLarge`, `NoResponse`, `TimedOut` |
//! | put | `Stored` | `Conflict` and `Refused` once it stores, `NoResponse` and `TimedOut` before, `Replaced` by another put of its key |
//!
//! Upkeep ends the same ways and tells nobody, but that `Conflict` of a republication tells the publisher that its record lost.

use super::operation::{Ending, Operation, Phase, Task};
use super::request::Purpose;
use super::{Node, free_buffer};
use crate::record::Key;
use crate::routing::Routing;
use crate::store::Store;
use crate::{Address, Geometry, Instant};

impl<
    R: Routing,
    S: Store,
    const LOOKUPS: usize,
    const SHORTLIST: usize,
    const VALUES: usize,
    const REQUESTS: usize,
    const SOURCES: usize,
    const BOOTSTRAPS: usize,
    const RELAYS: usize,
> Node<R, S, LOOKUPS, SHORTLIST, VALUES, REQUESTS, SOURCES, BOOTSTRAPS, RELAYS>
{
    pub(super) fn end_store(&mut self, now: Instant, slot: u8) {
        let k = usize::from(self.config.table.k);
        let Some(operation) = self.operation(slot) else {
            return;
        };
        if !operation.is_running() {
            return;
        }
        let ending = ending_of_store(operation, k);
        // A record is tended when every co-holder has it; otherwise the next check tries again.
        let lookup = &operation.lookup;
        let all = lookup.stored_at().len() + lookup.holders().len() >= lookup.closest().len();
        let (task, key) = (operation.task, operation.key);
        if task == Task::Republish || (task == Task::Tend && all) {
            self.note_replicated(now, &key);
        }
        self.end(now, slot, ending);
    }

    pub(super) fn end(&mut self, now: Instant, slot: u8, ending: Ending) {
        self.release(slot);
        let Some(operation) = self.operation(slot) else {
            return;
        };
        let target = operation.lookup.target();
        operation.end(now, ending);
        let (task, key, publish) = (operation.task, operation.key, operation.publish);
        let failed = ending == Ending::Conflict || (operation.compare.is_some() && ending != Ending::Stored);
        let unused = if task.is_maintenance() { operation.buffer.take() } else { None };
        free_buffer(&mut self.buffers, unused);
        match task {
            Task::Ping => return,
            Task::Put => self.end_put(&key, failed, publish),
            Task::Republish if ending == Ending::Conflict => self.supersede(key),
            Task::Neighbourhood => self.chores.begin_replicating(now),
            Task::Bootstrap | Task::Rejoin => self.table.disturbed(now),
            Task::WriteBack => return,
            _ => {}
        }
        self.table.looked_up(now, &target);
    }

    /// The requests of an operation that is over make room for others.
    fn release(&mut self, slot: u8) {
        let free = self.requests.free();
        let relay = self.relays.of_operation(slot);
        self.requests.release(|owner| match *owner {
            Purpose::Relay { relay: index } => Some(index) == relay,
            _ => owner.slot() == Some(slot),
        });
        if let Some(relay) = relay {
            self.relays.free(relay);
        }
        self.requests_freed |= self.requests.free() > free;
    }

    /// Ends the operations whose time is over with what they have.
    pub(super) fn end_overdue(&mut self, now: Instant) {
        for slot in 0..LOOKUPS {
            let overdue =
                |operation: &&mut Operation<_, _, SHORTLIST>| operation.is_running() && operation.deadline <= now;
            let Some(operation) = self.operations.get_mut(slot).filter(overdue) else {
                continue;
            };
            let ending = match operation.task {
                Task::Get if operation.best(now).is_some() => Ending::Value,
                Task::Put if !operation.lookup.stored_at().is_empty() => {
                    ending_of_store(operation, usize::from(self.config.table.k))
                }
                _ => Ending::TimedOut,
            };
            self.end(now, slot as u8, ending);
        }
    }

    /// Frees a running operation's slot without an event.
    pub(super) fn abandon(&mut self, slot: u8) {
        self.release(slot);
        let Some(operation) = self.operation(slot) else {
            return;
        };
        let put = operation.is_running() && operation.task == Task::Put;
        operation.phase = Phase::Idle;
        let (key, publish, compares) = (operation.key, operation.publish, operation.compare.is_some());
        let unused = operation.buffer.take();
        free_buffer(&mut self.buffers, unused);
        if put {
            self.end_put(&key, compares, publish);
        }
    }

    /// What becomes of a record here that was put elsewhere.
    fn end_put(&mut self, key: &Key, failed: bool, publish: bool) {
        if failed {
            self.withdraw(key);
        } else if publish {
            self.publish_later(key);
        } else {
            self.unpin(key);
        }
    }

    /// Upkeep in a slot that a user's command takes is done another time.
    pub(super) fn give_way(&mut self, now: Instant, slot: u8) {
        let Some(operation) = self.operations.get(usize::from(slot)).filter(|operation| operation.is_running()) else {
            return;
        };
        let (task, key) = (operation.task, operation.key);
        self.abandon(slot);
        match task {
            Task::Neighbourhood => self.table.disturbed(now),
            Task::Rejoin => self.bootstraps.again(now),
            Task::Republish => self.publish_soon(now, &key),
            _ => {}
        }
    }

    /// A record is put: whatever still stores its key would store this one too, but not on its terms.
    pub(super) fn replace_stores(&mut self, now: Instant, key: &Key) {
        for slot in 0..LOOKUPS {
            let stores = |operation: &&mut Operation<_, _, SHORTLIST>| operation.is_running() && operation.key == *key;
            let Some(operation) = self.operations.get_mut(slot).filter(stores) else {
                continue;
            };
            match operation.task {
                Task::Put => {
                    // What is here is the new one's to keep or to withdraw.
                    (operation.publish, operation.compare) = (true, None);
                    self.end(now, slot as u8, Ending::Replaced);
                }
                Task::Republish | Task::Tend | Task::WriteBack => self.abandon(slot as u8),
                _ => {}
            }
        }
    }

    /// A record that lost, or may have lost, to the one it was to replace must not spread from here.
    fn withdraw(&mut self, key: &Key) {
        let put = |slot: &usize| self.store.get(*slot).is_some_and(|held| held.metadata.pinned);
        if let Some(slot) = self.store.find(key).filter(put) {
            self.store.remove(slot);
        }
    }

    /// A record that was put once, not published, is here on the same terms as others' are: only while this node is responsible.
    fn unpin(&mut self, key: &Key) {
        let k = usize::from(self.config.table.k);
        let Some(slot) = self.store.find(key) else {
            return;
        };
        if let Some(metadata) = self.store.metadata_mut(slot) {
            metadata.pinned = false;
        }
        if !self.config.serve || self.table.rank_of_own(&key.id, k) >= k {
            self.store.remove(slot);
        }
    }
}

/// How a put ends: as a conflict where another record stood in the way and no majority of those asked took this one.
fn ending_of_store<G: Geometry, A: Address, const N: usize>(operation: &mut Operation<G, A, N>, k: usize) -> Ending {
    let (asked, stored) = (operation.lookup.closest().len(), operation.lookup.stored_at().len());
    operation.wanted = u8::try_from(asked.min(k)).unwrap_or(u8::MAX);
    if operation.tally.in_the_way.is_some() && 2 * stored <= asked {
        Ending::Conflict
    } else if stored == 0 {
        Ending::Refused
    } else {
        Ending::Stored
    }
}
