//! An operation on its way: it asks the nodes that its lookup names, then, if it stores, stores at them, and ends.

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
    /// This part of it is over.
    GoOn,
}

impl<P: Parts> Shared<P> {
    /// Begins a lookup of `target`, from the table's contacts. False if there are none; maintenance that needs some
    /// then doesn't begin.
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

    /// Lets an operation go as far as it can.
    pub(super) fn step(&mut self, now: Instant, operation: &mut Op<P>) {
        while operation.works() {
            let next = if operation.task.traits().finds == Finds::Node {
                self.ping_one(operation)
            } else if operation.is_storing() {
                self.store_around(operation)
            } else {
                self.ask_around(now, operation)
            };
            match next {
                Next::Wait => return,
                Next::GoOn if operation.is_storing() => return self.finish_store(now, operation),
                Next::GoOn => match self.go_on(now, operation) {
                    Next::Wait => return,
                    Next::GoOn => {}
                },
            }
        }
    }

    /// Pings the address of a ping, once there is a free request slot. Its response, or that there is none, ends it.
    fn ping_one(&mut self, operation: &mut Op<P>) -> Next {
        if let Some(contact) = operation.lookup.next() {
            let asked = self.begin_request(Purpose::Ping { slot: operation.slot }, contact.address, None, None);
            operation.tally.asked = u16::from(asked);
            if !asked {
                operation.lookup.unasked(&contact.id);
            }
        }
        Next::Wait
    }

    /// Asks the nodes that the lookup names next. Goes on when the lookup is over.
    fn ask_around(&mut self, now: Instant, operation: &mut Op<P>) -> Next {
        self.begin_recursion(now, operation);
        if self.has_value(now, operation) {
            return Next::GoOn;
        }
        match operation.recursion {
            Recursion::Forwarded => return Next::Wait,
            Recursion::Relayed => return Next::GoOn,
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
        if done { Next::GoOn } else { Next::Wait }
    }

    /// Whether a get has a value that no other can replace: that of an immutable key, or one that came by way of other
    /// nodes.
    fn has_value(&self, now: Instant, operation: &Op<P>) -> bool {
        let is_final = operation.key.kind == Kind::Immutable || operation.recursion == Recursion::Relayed;
        operation.task == Task::Get && is_final && operation.best(now).is_some()
    }

    /// Asks the nodes that must store next. Goes on when all of them have been asked, and have responded or failed.
    fn store_around(&mut self, operation: &mut Op<P>) -> Next {
        while let Some((contact, _)) = operation.lookup.next_store() {
            let purpose = Purpose::Store { slot: operation.slot };
            if !self.begin_request(purpose, contact.address, Some(contact.id), None) {
                operation.lookup.unstored(&contact.id);
                break;
            }
        }
        if operation.lookup.stores_done() { Next::GoOn } else { Next::Wait }
    }

    /// The lookup is over: goes on to what comes next, or ends the operation.
    fn go_on(&mut self, now: Instant, operation: &mut Op<P>) -> Next {
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
        let in_vain = traits.record == RecordSource::Buffer && !best;
        let crowded = || is_crowded(farthest, self.table.expected_reach());
        if (stores || in_vain) && !operation.widened && full && crowded() {
            operation.widened = true;
            operation.lookup.widen(2 * k);
            return Next::GoOn;
        }
        let nobody = farthest.is_none();
        if stores && !nobody {
            operation.lookup.begin_stores(traits.stores != Stores::Everywhere);
            operation.phase = Phase::Storing;
            if traits.stores == Stores::WhereMissingLater {
                operation.deadline = now + TIMEOUT;
                self.finish_and_write_back(now, operation, Ending::Value);
            }
            return Next::GoOn;
        }
        if traits.joins && !nobody && self.present(operation) {
            return Next::Wait;
        }
        let ending = match operation.task {
            Task::Get if best => Ending::Value,
            Task::Get if operation.tally.too_large > 0 => Ending::TooLarge,
            _ if nobody => Ending::NoResponse,
            Task::Get => Ending::NotFound,
            Task::Bootstrap => Ending::Joined,
            _ => Ending::Nodes,
        };
        self.finish(now, operation, ending);
        Next::Wait
    }

    /// A join isn't over before the nodes that must know this one do: asks the one that the table awaits again. False
    /// if there is no need, or no use.
    fn present(&mut self, operation: &mut Op<P>) -> bool {
        let Some(contact) = self.table.contact_to_notify().filter(|_| self.config.serve) else {
            return false;
        };
        if !operation.tally.may_present() {
            return false;
        }
        // With the token that it gave, so that it may well ping back.
        let purpose = Purpose::Bootstrap { slot: operation.slot };
        if !self.begin_request(purpose, contact.address, Some(contact.id), None) {
            return false;
        }
        operation.bootstraps_asked = operation.bootstraps_asked.saturating_add(1);
        operation.tally.asked = operation.tally.asked.saturating_add(1);
        true
    }

    /// Whether an operation asks nodes for a record, where it could ask for nodes alone: it looks for one, or it stores
    /// one and the wire gives tokens only so.
    pub(super) fn asks_for_record(&self, operation: &Op<P>) -> bool {
        let stores = operation.task.traits().stores != Stores::Nowhere;
        operation.finds_record() || (stores && P::Wire::RULES.tokens == TokenSource::FindValue)
    }
}
