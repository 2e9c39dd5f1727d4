//! An operation on its way: it asks whom its lookup names, then, if it stores, stores there, and ends.

use super::operation::{Ending, Operation, Recursion, Task};
use super::question::Owner;
use super::{Node, Options};
use crate::record::Kind;
use crate::routing::Routing;
use crate::store::Store;
use crate::wire::Transaction;
use crate::{Distance, Geometry, Id, Instant};

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
    const BOOTSTRAPS: usize,
    const RELAYS: usize,
> Node<R, S, LOOKUPS, SHORTLIST, VALUES, REQUESTS, SOURCES, BOOTSTRAPS, RELAYS>
{
    /// Lets every operation go as far as it can, the user's first, then begins what upkeep is due.
    pub(super) fn drive(&mut self, now: Instant) {
        for _ in 0..=LOOKUPS {
            self.requests_freed = false;
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
            if !self.requests_freed {
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
                // Its answer ends it, or that there is none.
                Task::Ping => {
                    self.ask_next(slot);
                    false
                }
                _ if operation.storing => self.ask_to_store(slot),
                _ => self.ask_around(now, slot),
            };
            if !done || !self.go_on(now, slot) {
                return;
            }
        }
    }

    /// Asks whom the lookup names next, once there is a free question; false if that is nobody.
    fn ask_next(&mut self, slot: u8) -> bool {
        let Some(operation) = self.operations.get_mut(usize::from(slot)).filter(|operation| operation.fetching.is_none()) else {
            return false;
        };
        let Some(contact) = operation.lookup.next() else {
            return false;
        };
        let (owner, expect) = match operation.task {
            Task::Ping => (Owner::Ping { slot }, None),
            _ => (Owner::Search { slot }, Some(contact.id)),
        };
        let asked = self.ask(owner, contact.address, expect, None);
        if let Some(operation) = self.operations.get_mut(usize::from(slot)) {
            if asked {
                operation.tally.asked = operation.tally.asked.saturating_add(1);
            } else {
                operation.lookup.unasked(&contact.id);
            }
        }
        asked
    }

    /// Asks those whom the lookup names next. True when the search is over.
    fn ask_around(&mut self, now: Instant, slot: u8) -> bool {
        self.begin_recursion(now, slot);
        let Some(operation) = self.operations.get_mut(usize::from(slot)) else {
            return false;
        };
        let suffices = operation.key.kind == Kind::Immutable || operation.tally.recursion == Recursion::Relayed;
        if operation.task == Task::Get && suffices && operation.best(now).is_some() {
            return true;
        }
        match operation.tally.recursion {
            Recursion::Asking => return false,
            Recursion::Relayed => return true,
            _ => {}
        }
        while self.ask_next(slot) {}
        self.operations
            .get(usize::from(slot))
            .is_some_and(|operation| operation.lookup.is_done() && operation.bootstraps_asked == 0 && operation.fetching.is_none())
    }

    /// Asks those who are to store next. True when all have been asked and have answered or failed.
    fn ask_to_store(&mut self, slot: u8) -> bool {
        while let Some(operation) = self.operations.get_mut(usize::from(slot)) {
            let Some((contact, _)) = operation.lookup.next_store() else {
                return operation.lookup.stores_done();
            };
            if !self.ask(Owner::Store { slot }, contact.address, Some(contact.id), None) {
                if let Some(operation) = self.operations.get_mut(usize::from(slot)) {
                    operation.lookup.unstored(&contact.id);
                }
                break;
            }
        }
        false
    }

    /// Begins a question; false if all request slots are taken.
    pub(super) fn ask(&mut self, owner: Owner, to: R::Address, expect: Option<Id>, attempts: Option<u8>) -> bool {
        let timeout = expect.and_then(|id| self.table.get(&id)).and_then(|peer| peer.timeout);
        let transaction = Transaction(self.random.next().to_be_bytes());
        self.requests.begin(owner, to, expect, transaction, timeout, attempts).is_ok()
    }

    /// The search or the storing is over: goes on to what comes next, true, or ends the operation, false.
    fn go_on(&mut self, now: Instant, slot: u8) -> bool {
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
            || (operation.task == Task::Get
                && operation.key.kind != Kind::Immutable
                && operation.best(now).is_some()
                && operation.tally.recursion != Recursion::Relayed);
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
        if !self.ask(Owner::Bootstrap { slot }, contact.address, Some(contact.id), None) {
            return false;
        }
        if let Some(operation) = self.operations.get_mut(usize::from(slot)) {
            operation.bootstraps_asked = operation.bootstraps_asked.saturating_add(1);
            operation.tally.asked = operation.tally.asked.saturating_add(1);
        }
        true
    }
}

fn crowded(farthest: Option<Distance>, expected: Option<Distance>) -> bool {
    match (farthest, expected) {
        (Some(farthest), Some(expected)) => farthest.leading_zeros() >= expected.leading_zeros().saturating_add(CROWDED_BITS),
        _ => false,
    }
}
