//! An operation on its way: it asks whom its lookup names, then, if it stores, stores there, and ends.

use super::operation::{Ending, Operation, Recursion, Task};
use super::request::Purpose;
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
            for maintenance in [false, true] {
                for slot in 0..LOOKUPS as u8 {
                    if self
                        .operation(slot)
                        .is_some_and(|operation| operation.works() && operation.comes_second() == maintenance)
                    {
                        self.step(now, slot);
                    }
                }
            }
            if !self.requests_freed {
                break;
            }
        }
        self.begin_maintenance(now);
    }

    /// Lets one operation go as far as it can.
    pub(super) fn step(&mut self, now: Instant, slot: u8) {
        while let Some(operation) = self.operation(slot).filter(|operation| operation.works()) {
            let done = match operation.task {
                Task::Ping => self.ask_one(slot),
                _ if operation.storing => self.ask_to_store(slot),
                _ => self.ask_around(now, slot),
            };
            if !done || !self.go_on(now, slot) {
                return;
            }
        }
    }

    /// Asks the address of a ping, once there is a free question. False: its answer, or that there is none, ends it.
    fn ask_one(&mut self, slot: u8) -> bool {
        let Some(contact) = self.operation(slot).and_then(|operation| operation.lookup.next()) else {
            return false;
        };
        let asked = self.ask(Purpose::Ping { slot }, contact.address, None, None);
        if let Some(operation) = self.operation(slot) {
            operation.tally.asked = u16::from(asked);
            if !asked {
                operation.lookup.unasked(&contact.id);
            }
        }
        false
    }

    /// Asks those whom the lookup names next. True when the search is over.
    fn ask_around(&mut self, now: Instant, slot: u8) -> bool {
        self.begin_recursion(now, slot);
        let Some(operation) = self.operation(slot) else {
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
        let next = |operation: &mut Operation<_, _, SHORTLIST>| {
            if operation.fetching.is_none() { operation.lookup.next() } else { None }
        };
        while let Some(contact) = self.operation(slot).and_then(next) {
            let asked = self.ask(Purpose::Search { slot }, contact.address, Some(contact.id), None);
            let Some(operation) = self.operation(slot) else {
                return false;
            };
            if !asked {
                operation.lookup.unasked(&contact.id);
                break;
            }
            operation.tally.asked = operation.tally.asked.saturating_add(1);
        }
        let done = |operation: &mut Operation<_, _, SHORTLIST>| {
            operation.lookup.is_done() && operation.bootstraps_asked == 0 && operation.fetching.is_none()
        };
        self.operation(slot).is_some_and(done)
    }

    /// Asks those who are to store next. True when all have been asked and have answered or failed.
    fn ask_to_store(&mut self, slot: u8) -> bool {
        while let Some((contact, _)) = self.operation(slot).and_then(|operation| operation.lookup.next_store()) {
            if !self.ask(Purpose::Store { slot }, contact.address, Some(contact.id), None) {
                if let Some(operation) = self.operation(slot) {
                    operation.lookup.unstored(&contact.id);
                }
                break;
            }
        }
        self.operation(slot).is_some_and(|operation| operation.lookup.stores_done())
    }

    /// Begins a question; false if all request slots are taken.
    pub(super) fn ask(&mut self, owner: Purpose, to: R::Address, expect: Option<Id>, attempts: Option<u8>) -> bool {
        let timeout = expect.and_then(|id| self.table.get(&id)).and_then(|peer| peer.timeout);
        let transaction = Transaction(self.random.next().to_be_bytes());
        self.requests.begin(owner, to, expect, transaction, timeout, attempts).is_ok()
    }

    /// The search or the storing is over: goes on to what comes next, true, or ends the operation, false.
    fn go_on(&mut self, now: Instant, slot: u8) -> bool {
        let reach = self.table.expected_reach();
        let k = usize::from(self.config.table.k);
        let Some(operation) = self.operation(slot) else {
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
        let full = found.len() >= k;
        let farthest = found.iter().last().map(|contact| R::Geometry::rank(&operation.lookup.target(), &contact.id));
        if (stores || looks_in_vain) && !operation.widened && full && crowded(farthest, reach) {
            operation.widened = true;
            operation.lookup.widen(2 * k);
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
        let Some(operation) = self.operation(slot) else {
            return false;
        };
        let ending = match operation.task {
            Task::Get if operation.best(now).is_some() => Ending::Value,
            Task::Get if operation.tally.too_large > 0 => Ending::TooLarge,
            _ if operation.lookup.closest().is_empty() => Ending::NoResponse,
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
        if !self.operation(slot).is_some_and(|operation| operation.tally.may_present()) {
            return false;
        }
        // With the token that it gave, so that it may well ask back.
        if !self.ask(Purpose::Bootstrap { slot }, contact.address, Some(contact.id), None) {
            return false;
        }
        if let Some(operation) = self.operation(slot) {
            operation.bootstraps_asked = operation.bootstraps_asked.saturating_add(1);
            operation.tally.asked = operation.tally.asked.saturating_add(1);
        }
        true
    }
}

fn crowded(farthest: Option<Distance>, expected: Option<Distance>) -> bool {
    match (farthest, expected) {
        (Some(farthest), Some(expected)) => {
            farthest.leading_zeros() >= expected.leading_zeros().saturating_add(CROWDED_BITS)
        }
        _ => false,
    }
}
