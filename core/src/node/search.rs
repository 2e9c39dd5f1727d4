//! An operation on its way: it asks whom its lookup names, then, if it stores, stores there, and ends.

use super::operation::{Ending, Operation, State, Task};
use super::question::Owner;
use super::{Node, Options, free_buffer};
use crate::record::{Key, Kind};
use crate::routing::Routing;
use crate::store::Store;
use crate::wire::Transaction;
use crate::{Address, Distance, Geometry, Id, Instant};

/// The nodes found stand suspiciously close together if the k-th is nearer by so many bits than the own neighbourhood's density
/// lets expect: by chance once in some hundred thousand lookups at k = 8.
const CROWDED_BITS: u32 = 4;

impl<
    R: Routing,
    S: Store,
    const LOOKUPS: usize,
    const SHORTLIST: usize,
    const VALUES: usize,
    const REQUESTS: usize,
    const SOURCES: usize,
    const SEEDS: usize,
> Node<R, S, LOOKUPS, SHORTLIST, VALUES, REQUESTS, SOURCES, SEEDS>
{
    /// Lets every operation go as far as it can, the user's first, then begins what upkeep is due.
    pub(super) fn drive(&mut self, now: Instant) {
        for _ in 0..=LOOKUPS {
            self.freed = false;
            for upkeep in [false, true] {
                for slot in 0..LOOKUPS {
                    let wanted = |operation: &&mut Operation<_, _, SHORTLIST>| match upkeep {
                        false => operation.is_running() && !operation.task.is_upkeep(),
                        true => operation.is_writing_back() || (operation.is_running() && operation.task.is_upkeep()),
                    };
                    if self.operations.get_mut(slot).filter(wanted).is_some() {
                        self.step(now, slot as u8);
                    }
                }
            }
            if !self.freed {
                break;
            }
        }
        self.begin_upkeep(now);
    }

    /// Lets one operation go as far as it can.
    pub(super) fn step(&mut self, now: Instant, slot: u8) {
        let works = |operation: &&mut Operation<_, _, SHORTLIST>| operation.is_running() || operation.is_writing_back();
        while let Some(operation) = self.operations.get_mut(usize::from(slot)).filter(works) {
            let done = match operation.task {
                Task::Ping => self.ask_one(slot),
                _ if operation.storing => self.ask_to_store(slot),
                _ => self.ask_around(now, slot),
            };
            if !done || !self.phase_done(now, slot) {
                return;
            }
        }
    }

    /// Asks the address of a ping, once there is a free question. False: its answer, or that there is none, ends it.
    fn ask_one(&mut self, slot: u8) -> bool {
        let Some(operation) = self.operations.get_mut(usize::from(slot)) else {
            return false;
        };
        let Some(contact) = operation.lookup.next() else {
            return false;
        };
        operation.tally.asked = 1;
        if !self.ask(Owner::Ping { slot }, contact.address, None, None)
            && let Some(operation) = self.operations.get_mut(usize::from(slot))
        {
            operation.tally.asked = 0;
            operation.lookup.unasked(&contact.id);
        }
        false
    }

    /// Asks those whom the lookup names next. True when the search is over.
    fn ask_around(&mut self, now: Instant, slot: u8) -> bool {
        let Some(operation) = self.operations.get_mut(usize::from(slot)) else {
            return false;
        };
        if operation.task == Task::Get && operation.key.kind == Kind::Immutable && operation.best(now).is_some() {
            return true;
        }
        while operation.fetching.is_none() {
            let Some(contact) = operation.lookup.next() else {
                break;
            };
            let timeout = self.table.get(&contact.id).and_then(|peer| peer.timeout);
            let transaction = Transaction(self.random.next().to_be_bytes());
            if self.requests.begin(Owner::Search { slot }, contact.address, Some(contact.id), transaction, timeout, None).is_err() {
                operation.lookup.unasked(&contact.id);
                break;
            }
            operation.tally.asked = operation.tally.asked.saturating_add(1);
        }
        operation.lookup.is_done() && operation.seeds == 0 && operation.fetching.is_none()
    }

    /// Asks those who are to store next. True when all have been asked and have answered or failed.
    fn ask_to_store(&mut self, slot: u8) -> bool {
        let Some(operation) = self.operations.get_mut(usize::from(slot)) else {
            return false;
        };
        while let Some((contact, _)) = operation.lookup.next_store() {
            let timeout = self.table.get(&contact.id).and_then(|peer| peer.timeout);
            let transaction = Transaction(self.random.next().to_be_bytes());
            if self.requests.begin(Owner::Store { slot }, contact.address, Some(contact.id), transaction, timeout, None).is_err() {
                operation.lookup.unstored(&contact.id);
                break;
            }
        }
        operation.lookup.stores_done()
    }

    /// Begins a question outside of any lookup; false if all request slots are taken.
    pub(super) fn ask(&mut self, owner: Owner, to: R::Address, expect: Option<Id>, attempts: Option<u8>) -> bool {
        let timeout = expect.and_then(|id| self.table.get(&id)).and_then(|peer| peer.timeout);
        let transaction = Transaction(self.random.next().to_be_bytes());
        self.requests.begin(owner, to, expect, transaction, timeout, attempts).is_ok()
    }

    /// The search or the storing is over: goes on to what comes next, true, or ends the operation, false.
    fn phase_done(&mut self, now: Instant, slot: u8) -> bool {
        let reach = self.table.expected_reach();
        let Some(operation) = self.operations.get_mut(usize::from(slot)) else {
            return false;
        };
        if operation.storing {
            self.end_store(now, slot);
            return false;
        }
        let found = operation.lookup.closest();
        let stores = matches!(operation.task, Task::Put | Task::Republish | Task::Tend)
            || (operation.task == Task::Get && operation.key.kind != Kind::Immutable && operation.best(now).is_some());
        let looks_in_vain = operation.task == Task::Get && operation.best(now).is_none();
        let full = found.len() >= usize::from(self.config.table.k);
        let farthest = found.iter().last().map(|contact| R::Geometry::rank(&operation.lookup.target(), &contact.id));
        if (stores || looks_in_vain) && !operation.widened && full && crowded(farthest, reach) {
            operation.widened = true;
            operation.lookup.widen(2 * usize::from(self.config.table.k));
            return true;
        }
        if stores && !found.is_empty() {
            operation.storing = true;
            operation.lookup.begin_stores(matches!(operation.task, Task::Get | Task::Tend));
            if operation.task == Task::Get {
                operation.deadline = now + Options::DEFAULT.timeout;
                self.end(now, slot, Ending::Value);
            }
            return true;
        }
        let joins = matches!(operation.task, Task::Bootstrap | Task::Rejoin) && !found.is_empty();
        if joins && self.present(slot) {
            return false;
        }
        let Some(operation) = self.operations.get_mut(usize::from(slot)) else {
            return false;
        };
        let ending = match operation.task {
            Task::Get if operation.best(now).is_some() => Ending::Value,
            Task::Get if operation.tally.too_large > 0 => Ending::TooLarge,
            _ if operation.lookup.closest().is_empty() => Ending::NoAnswer,
            Task::Get => Ending::NotFound,
            Task::Bootstrap => Ending::Joined,
            _ => Ending::Nodes,
        };
        self.end(now, slot, ending);
        false
    }

    /// A join isn't over before those know this node who have to: asks whom the table awaits once more. False if there is no need, or no use.
    fn present(&mut self, slot: u8) -> bool {
        let Some(contact) = self.table.awaited().filter(|_| self.config.serve) else {
            return false;
        };
        if !self.operations.get_mut(usize::from(slot)).is_some_and(|operation| operation.tally.may_present()) {
            return false;
        }
        // With the token that it gave, so that it may well ask back.
        if !self.ask(Owner::Seed { slot }, contact.address, Some(contact.id), None) {
            return false;
        }
        if let Some(operation) = self.operations.get_mut(usize::from(slot)) {
            operation.seeds = operation.seeds.saturating_add(1);
            operation.tally.asked = operation.tally.asked.saturating_add(1);
        }
        true
    }

    fn end_store(&mut self, now: Instant, slot: u8) {
        let Some(operation) = self.operations.get_mut(usize::from(slot)) else {
            return;
        };
        let asked = operation.lookup.closest().len();
        let stored = operation.lookup.stored_at().len();
        if !operation.is_running() {
            return;
        }
        let ending = ending_of_store(operation, usize::from(self.config.table.k));
        // A record is tended when every co-holder has it; otherwise the next check tries again.
        let all = stored + operation.lookup.holders().len() >= asked;
        let (task, key) = (operation.task, operation.key);
        if task == Task::Republish || (task == Task::Tend && all) {
            self.note_tended(now, &key);
        }
        self.end(now, slot, ending);
    }

    pub(super) fn end(&mut self, now: Instant, slot: u8, ending: Ending) {
        self.release(slot);
        let Some(operation) = self.operations.get_mut(usize::from(slot)) else {
            return;
        };
        let target = operation.lookup.target();
        operation.end(now, ending);
        let (task, key, publish) = (operation.task, operation.key, operation.publish);
        if task.is_upkeep() {
            free_buffer(&mut self.buffers, operation.buffer.take());
        }
        let failed = ending == Ending::Conflict || (operation.compare.is_some() && ending != Ending::Stored);
        match task {
            Task::Ping => return,
            Task::Put if failed => self.withdraw(&key),
            Task::Put if !publish => self.unpin(&key),
            Task::Put => self.publish_later(&key),
            Task::Republish if ending == Ending::Conflict => self.supersede(key),
            Task::Neighbourhood => self.chores.begin_tending(now),
            Task::Bootstrap | Task::Rejoin => self.table.disturbed(now),
            Task::WriteBack => return,
            _ => {}
        }
        self.table.looked_up(now, &target);
    }

    /// The requests of an operation that is over make room for others.
    fn release(&mut self, slot: u8) {
        let free = self.requests.free();
        self.requests.release(|owner| owner.slot() == Some(slot));
        self.freed |= self.requests.free() > free;
    }

    /// Ends the operations whose time is over with what they have.
    pub(super) fn end_overdue(&mut self, now: Instant) {
        for slot in 0..LOOKUPS {
            let overdue = |operation: &&mut Operation<_, _, SHORTLIST>| operation.is_running() && operation.deadline <= now;
            let Some(operation) = self.operations.get_mut(slot).filter(overdue) else {
                continue;
            };
            let ending = match operation.task {
                Task::Get if operation.best(now).is_some() => Ending::Value,
                Task::Put if !operation.lookup.stored_at().is_empty() => ending_of_store(operation, usize::from(self.config.table.k)),
                _ => Ending::TimedOut,
            };
            self.end(now, slot as u8, ending);
        }
    }

    /// Frees a running operation's slot without an event.
    pub(super) fn abandon(&mut self, slot: u8) {
        self.release(slot);
        let Some(operation) = self.operations.get_mut(usize::from(slot)) else {
            return;
        };
        let put = operation.is_running() && operation.task == Task::Put;
        operation.state = State::Idle;
        free_buffer(&mut self.buffers, operation.buffer.take());
        let (key, publish, compares) = (operation.key, operation.publish, operation.compare.is_some());
        if put && compares {
            self.withdraw(&key);
        } else if put && !publish {
            self.unpin(&key);
        } else if put {
            self.publish_later(&key);
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
            Task::Rejoin => self.seeds.again(now),
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
        let put = |slot: &usize| self.store.get(*slot).is_some_and(|held| held.notes.pinned);
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
        if let Some(notes) = self.store.notes_mut(slot) {
            notes.pinned = false;
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

fn crowded(farthest: Option<Distance>, expected: Option<Distance>) -> bool {
    match (farthest, expected) {
        (Some(farthest), Some(expected)) => farthest.leading_zeros() >= expected.leading_zeros().saturating_add(CROWDED_BITS),
        _ => false,
    }
}
