//! The search of an operation: it asks the nodes that its lookup returns, then stores its record at them, if it has
//! one, and ends.

use core::time::Duration;

use super::operation::{Ending, Phase, Recursion};
use super::parts::Parts;
use super::purpose::Purpose;
use super::shared::{Op, Shared, TIMEOUT};
use super::task::{Finds, RecordSource, Stores, Task};
use crate::contact::Contact;
use crate::geometry::Geometry;
use crate::guard::density::is_crowded;
use crate::id::Id;
use crate::lookup::Which;
use crate::naming::MAX_NAMED;
use crate::record::Kind;
use crate::routing::Routing;
use crate::time::Instant;
use crate::wire::{TokenSource, Wire};

/// What an operation does next.
enum Next {
    /// It waits for responses.
    Wait,
    /// Its phase is over, and it continues with the next one.
    Continue,
}

impl<P: Parts> Shared<P> {
    /// Begins a lookup of `target` with contacts from the table. False if there are none. Then maintenance doesn't
    /// begin, unless it joins.
    pub(super) fn begin_lookup(
        &mut self,
        now: Instant,
        operation: &mut Op<P>,
        task: Task,
        target: Id,
        timeout: Duration,
    ) -> bool {
        let mut first = const { [Contact::EMPTY; MAX_NAMED] };
        let room = operation.lookup.capacity().min(MAX_NAMED);
        let count = first.get_mut(..room).map_or(0, |room| self.table.initial_contacts(&target, room));
        let first = first.get(..count).unwrap_or(&[]);
        let traits = task.traits();
        if first.is_empty() && traits.maintenance && !traits.joins {
            return false;
        }
        operation.begin(now, task, timeout);
        operation.lookup.restart(target, self.lookup_limits());
        for contact in first {
            operation.lookup.insert(*contact);
        }
        !first.is_empty()
    }

    /// Lets an operation proceed as far as it can.
    pub(super) fn step(&mut self, now: Instant, operation: &mut Op<P>) {
        while operation.works() {
            let next = if operation.task.traits().finds == Finds::Node {
                self.ping_address(operation)
            } else if operation.is_storing() {
                self.store_at_nodes(operation)
            } else {
                self.ask_nodes(now, operation)
            };
            match next {
                Next::Wait => return,
                Next::Continue if operation.is_storing() => return self.finish_store(now, operation),
                Next::Continue => match self.end_lookup(now, operation) {
                    Next::Wait => return,
                    Next::Continue => {}
                },
            }
        }
    }

    /// Pings the address of a user's ping, once a request slot is free. The response, or the timeout, ends the
    /// operation.
    fn ping_address(&mut self, operation: &mut Op<P>) -> Next {
        if let Some(contact) = operation.lookup.next() {
            let asked = self.begin_request(Purpose::Ping { slot: operation.slot }, contact.address, None, None);
            operation.tally.asked = u16::from(asked);
            if !asked {
                operation.lookup.unasked(&contact.id);
            }
        }
        Next::Wait
    }

    /// Asks the nodes that the lookup returns next. Continues when the lookup is over.
    fn ask_nodes(&mut self, now: Instant, operation: &mut Op<P>) -> Next {
        self.begin_recursion(now, operation);
        if self.has_value(now, operation) {
            return Next::Continue;
        }
        match operation.recursion {
            Recursion::Forwarded => return Next::Wait,
            Recursion::Relayed => return Next::Continue,
            _ => {}
        }
        while operation.fetching.is_none()
            && let Some(contact) = operation.lookup.next()
        {
            let purpose = Purpose::Search { slot: operation.slot };
            if !self.begin_request(purpose, contact.address, Some(contact.id), None) {
                operation.lookup.unasked(&contact.id);
                break;
            }
            operation.tally.asked = operation.tally.asked.saturating_add(1);
        }
        let done = operation.lookup.is_done() && operation.bootstraps_asked == 0 && operation.fetching.is_none();
        if done { Next::Continue } else { Next::Wait }
    }

    /// Whether a get has its final value: that of an immutable key, or the result of a recursive lookup.
    fn has_value(&self, now: Instant, operation: &Op<P>) -> bool {
        let is_final = operation.key.kind == Kind::Immutable || operation.recursion == Recursion::Relayed;
        operation.task == Task::Get && is_final && operation.best(now).is_some()
    }

    /// Asks the next nodes to store the record. Continues when all of them have responded or failed.
    fn store_at_nodes(&mut self, operation: &mut Op<P>) -> Next {
        while let Some((contact, _)) = operation.lookup.next_store() {
            let purpose = Purpose::Store { slot: operation.slot };
            if !self.begin_request(purpose, contact.address, Some(contact.id), None) {
                operation.lookup.unstored(&contact.id);
                break;
            }
        }
        if operation.lookup.stores_done() { Next::Continue } else { Next::Wait }
    }

    /// The lookup is over: widens it, begins to store, or ends the operation.
    fn end_lookup(&mut self, now: Instant, operation: &mut Op<P>) -> Next {
        let k = self.k();
        let traits = operation.task.traits();
        let best = operation.best(now).is_some();
        let full = operation.lookup.count(Which::Closest) >= k;
        let farthest = operation.lookup.contacts(Which::Closest).last();
        let farthest = farthest.map(|contact| P::Geometry::rank(&operation.lookup.target(), &contact.id));
        let stores = match traits.stores {
            Stores::Nowhere => false,
            Stores::Everywhere | Stores::WhereMissing => true,
            Stores::WhereMissingLater => {
                P::Wire::RULES.lifetimes
                    && operation.key.kind != Kind::Immutable
                    && best
                    && operation.recursion != Recursion::Relayed
            }
        };
        let not_found = traits.record == RecordSource::Buffer && !best;
        let crowded = || is_crowded(farthest, self.table.expected_reach());
        if (stores || not_found) && !operation.widened && full && crowded() {
            operation.widened = true;
            operation.lookup.widen(2 * k);
            return Next::Continue;
        }
        let none_responded = farthest.is_none();
        if stores && !none_responded {
            operation.lookup.begin_stores(traits.stores != Stores::Everywhere);
            operation.phase = Phase::Storing;
            if traits.stores == Stores::WhereMissingLater {
                operation.deadline = now + TIMEOUT;
                self.finish_and_write_back(now, operation, Ending::Value);
            }
            return Next::Continue;
        }
        if traits.joins && !none_responded && self.notify(operation) {
            return Next::Wait;
        }
        let ending = match operation.task {
            Task::Get if best => Ending::Value,
            Task::Get if operation.tally.too_large > 0 => Ending::TooLarge,
            _ if none_responded => Ending::NoResponse,
            Task::Get => Ending::NotFound,
            Task::Bootstrap => Ending::Joined,
            _ => Ending::Nodes,
        };
        self.finish(now, operation, ending);
        Next::Wait
    }

    /// A join must not end before the node that must know this one does. Asks that node once more. False if there is
    /// none, or it was asked often enough.
    fn notify(&mut self, operation: &mut Op<P>) -> bool {
        let Some(contact) = self.table.contact_to_notify().filter(|_| self.config.serve) else {
            return false;
        };
        if !operation.tally.may_notify() {
            return false;
        }
        // The request has the token that the node gave, so that the node can ping this one.
        let purpose = Purpose::Bootstrap { slot: operation.slot };
        if !self.begin_request(purpose, contact.address, Some(contact.id), None) {
            return false;
        }
        operation.bootstraps_asked = operation.bootstraps_asked.saturating_add(1);
        operation.tally.asked = operation.tally.asked.saturating_add(1);
        true
    }

    /// Whether an operation asks nodes for a record, not only for nodes: because it looks for one, or because it stores
    /// one and the wire format gives tokens only in response to such requests.
    pub(super) fn asks_for_record(&self, operation: &Op<P>) -> bool {
        let stores = operation.task.traits().stores != Stores::Nowhere;
        operation.finds_record() || (stores && P::Wire::RULES.tokens == TokenSource::FindValue)
    }
}
