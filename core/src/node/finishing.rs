//! The end of operations: with a result for the user, without one, or because an operation must yield.
//!
//! | task | ends well | ends badly |
//! |---|---|---|
//! | ping | `Pong` | `NoResponse` |
//! | bootstrap | `Joined` | `NoResponse`, `TimedOut` |
//! | find_node | `Nodes` | `NoResponse`, `TimedOut` |
//! | get | `Value`; then the record is written back to nodes that lag | `NotFound`, `TooLarge`, `NoResponse`, `TimedOut` |
//! | put | `Stored`, also by a node that is alone | `NoResponse` before it stores, `Conflict` and `Refused` after that, `TimedOut` while no node has stored it, `Replaced` by another put of its key |
//!
//! Maintenance ends in the same ways, but has no result. A republication that ends with `Conflict` shows the publisher
//! that another record won.

use super::bounds::Parts;
use super::operation::{Phase, count_one};
use super::purpose::Purpose;
use super::records::has_lost;
use super::shared::{Op, Shared, TIMEOUT};
use super::task::{Ending, RecordSource, Retry, Stores, Then};
use crate::geometry::Geometry;
use crate::guard::density::{Spacing, sparseness};
use crate::id::Distance;
use crate::lookup::Which;
use crate::record::Kind;
use crate::replication::{PutOutcome, put_outcome};
use crate::routing::Routing;
use crate::rpc::Attempts;
use crate::time::Instant;
use crate::wire::Wire;

/// How many times k nodes a lookup asks for at most, whatever their distances.
const MOST_WIDTH: usize = 3;

impl<P: Parts> Shared<P> {
    /// The search of an operation is over: widens it, begins to store, or ends the operation.
    pub(super) fn finish_search(&mut self, now: Instant, operation: &mut Op<P>) {
        let stores = must_store::<P>(now, operation);
        if self.must_widen(now, operation, stores) {
            operation.lookup.set_width(operation.lookup.width() + self.k());
            return;
        }
        let any_responded = operation.lookup.count(Which::Closest) > 0;
        if stores && any_responded {
            self.begin_stores(now, operation);
        } else if !(any_responded && operation.task.traits().joins && self.notify(operation)) {
            let ending = ending_of_search::<P>(now, operation);
            self.finish(now, operation, ending);
        }
    }

    /// Whether the nodes found may not be those responsible, by how dense the network is: then more nodes must be found
    /// before a record is stored or counts as not found. A user's node that does not know the density suspects all.
    fn must_widen(&self, now: Instant, operation: &Op<P>, stores: bool) -> bool {
        let traits = operation.task.traits();
        let not_found = traits.record == RecordSource::Buffer && operation.best(now).is_none();
        let width = operation.lookup.width();
        // What a get has found needs no other nodes.
        let decides = not_found || (stores && traits.stores != Stores::WhereMissingLater);
        decides
            && width < (MOST_WIDTH * self.k()).min(operation.lookup.capacity())
            && match self.spacing(operation, width) {
                Spacing::Unknown => !traits.maintenance,
                spacing => spacing != Spacing::Usual,
            }
    }

    /// How the k-th and the `width`-th node found compare with what is expected.
    fn spacing(&self, operation: &Op<P>, width: usize) -> Spacing {
        match (self.reach(operation, self.k()), self.reach(operation, width)) {
            (Some(kth), Some(last)) => self.density.spacing(kth, last),
            // There are no more nodes.
            _ => Spacing::Usual,
        }
    }

    /// The distance of this node, counted from 1, of those found.
    fn reach(&self, operation: &Op<P>, number: usize) -> Option<Distance> {
        let contact = operation.lookup.contacts(Which::Closest).nth(number.checked_sub(1)?)?;
        Some(P::Geometry::rank(&operation.lookup.target(), &contact.id))
    }

    /// A lookup of a random target has ended.
    fn note_density(&mut self, operation: &Op<P>) {
        if let Some(kth) = self.reach(operation, self.k()) {
            self.density.note(&self.table.own(), &operation.lookup.target(), kth);
        }
    }

    /// A lookup through one bootstrap address alone has ended.
    fn note_compared(&mut self, operation: &Op<P>) {
        let any = operation.lookup.best().map(|_| sparseness(self.reach(operation, self.k())));
        self.bootstraps.comparison.ended(any);
    }

    /// Begins to store at the nodes found. A get has its result before that.
    fn begin_stores(&mut self, now: Instant, operation: &mut Op<P>) {
        let stores = operation.task.traits().stores;
        // Behind nodes that are too close together are those responsible, too. In place of nodes that were too far
        // apart, nearer ones were found.
        if self.spacing(operation, self.k()) != Spacing::Dense {
            operation.lookup.set_width(self.k());
        }
        operation.lookup.begin_stores(stores != Stores::Everywhere);
        if stores == Stores::WhereMissingLater {
            operation.deadline = now + TIMEOUT;
            self.end(now, operation, Ending::Value, true);
        } else {
            operation.phase = Phase::Storing;
        }
    }

    /// Ends an operation with a result, or without one if it is maintenance.
    pub(super) fn finish(&mut self, now: Instant, operation: &mut Op<P>, ending: Ending) {
        self.end(now, operation, ending, false);
    }

    /// With `writes_back`, the operation continues to store its record.
    fn end(&mut self, now: Instant, operation: &mut Op<P>, ending: Ending, writes_back: bool) {
        self.release(operation);
        operation.end(now, ending, writes_back);
        if operation.task.is_maintenance() {
            self.free_buffer(operation.buffer.take());
        }
        match operation.task.traits().then {
            Then::Nothing => return,
            Then::LookedUp | Then::SettleReplication => {}
            Then::NoteDensity => self.note_density(operation),
            Then::CheckSoon => {
                self.bootstraps.comparison.begin(self.random.key());
                self.table.check_neighbourhood_soon(now);
            }
            Then::Compared => self.note_compared(operation),
            Then::BeginReplication if P::Wire::RULES.lifetimes => self.replication.begin_pass(now),
            Then::BeginReplication => {}
            Then::SettlePut => self.settle_put(operation, has_lost(operation, ending)),
            Then::SettlePublication if ending == Ending::Conflict => self.supersede(operation.key),
            Then::SettlePublication => {}
        }
        self.table.looked_up(now, &operation.lookup.target());
    }

    /// Ends an operation after all its stores have ended.
    pub(super) fn finish_store(&mut self, now: Instant, operation: &mut Op<P>) {
        if operation.phase == Phase::WritingBack {
            operation.phase = Phase::Ended;
            return;
        }
        let ending = self.ending_of_store(operation);
        match operation.task.traits().then {
            Then::SettlePublication => self.note_replicated(now, &operation.key, true),
            // If not all have it, the next check of the neighbourhood tries again.
            Then::SettleReplication
                if operation.lookup.count(Which::Stored) >= operation.lookup.count(Which::Closest) =>
            {
                self.note_replicated(now, &operation.key, operation.tally.stored != 0);
            }
            _ => {}
        }
        self.finish(now, operation, ending);
    }

    /// How an operation ends after it has asked nodes to store its record.
    pub(super) fn ending_of_store(&self, operation: &mut Op<P>) -> Ending {
        let (asked, stored) = (operation.lookup.count(Which::Closest), operation.lookup.count(Which::Stored));
        operation.wanted = u8::try_from(asked.min(self.k())).unwrap_or(u8::MAX);
        match put_outcome(asked, stored, operation.tally.held_instead.is_some()) {
            PutOutcome::Stored => Ending::Stored,
            PutOutcome::Conflict => Ending::Conflict,
            PutOutcome::Refused => Ending::Refused,
        }
    }

    /// Ends an operation at its time limit, with what it has reached.
    pub(super) fn finish_overdue(&mut self, now: Instant, operation: &mut Op<P>) {
        let traits = operation.task.traits();
        let ending = match traits.stores {
            Stores::WhereMissingLater if operation.best(now).is_some() => Ending::Value,
            _ if traits.then == Then::SettlePut && operation.lookup.count(Which::Stored) > 0 => {
                self.ending_of_store(operation)
            }
            _ => Ending::TimedOut,
        };
        self.finish(now, operation, ending);
    }

    /// Frees the slot of an operation without a result.
    pub(super) fn abandon(&mut self, operation: &mut Op<P>) {
        self.release(operation);
        let put = operation.is_running() && operation.task.traits().then == Then::SettlePut;
        operation.phase = Phase::Idle;
        self.free_buffer(operation.buffer.take());
        if put {
            self.settle_put(operation, operation.compare.is_some());
        }
    }

    /// Ends the maintenance in a slot that a user's command takes, and makes sure that it is done later.
    pub(super) fn yield_slot(&mut self, now: Instant, operation: &mut Op<P>) {
        if !operation.is_running() {
            return;
        }
        self.abandon(operation);
        match operation.task.traits().retry {
            Retry::Nothing => {}
            Retry::CheckSoon => self.table.check_neighbourhood_soon(now),
            Retry::JoinSoon => self.bootstraps.try_soon(now),
            Retry::CompareSoon => self.bootstraps.comparison.yielded(),
            Retry::PublishSoon => self.publish_soon(now, &operation.key),
        }
    }

    /// A record is put under the key of this operation: ends it if it still stores another one.
    pub(super) fn replace_store(&mut self, now: Instant, operation: &mut Op<P>) {
        match operation.task.traits().stores {
            Stores::Nowhere | Stores::WhereMissingLater => {}
            Stores::Everywhere if !operation.task.is_maintenance() => {
                // The record in the own store is now that of the new put, which keeps or withdraws it.
                (operation.publish, operation.compare) = (true, None);
                self.finish(now, operation, Ending::Replaced);
            }
            Stores::Everywhere | Stores::WhereMissing => self.abandon(operation),
        }
    }

    /// Releases the requests of an operation that is over, to make room for others.
    fn release(&mut self, operation: &Op<P>) {
        let free = self.requests.free();
        let slot = operation.slot;
        let relay = self.forwarding.of_operation(slot);
        self.requests.release(|purpose| match *purpose {
            Purpose::Relay { relay: index } => Some(index) == relay,
            _ => purpose.slot() == Some(slot),
        });
        if let Some(relay) = relay {
            self.forwarding.free(relay);
        }
        self.requests_freed |= self.requests.free() > free;
    }

    /// A join must not end before the node that must know this one does. Asks that node once more. False if there is
    /// none, or it was asked often enough.
    fn notify(&mut self, operation: &mut Op<P>) -> bool {
        let Some(contact) = self.table.contact_to_notify().filter(|_| self.config.serve.serves()) else {
            return false;
        };
        if !operation.tally.may_notify() {
            return false;
        }
        // The request has the token that the node gave, so that the node can ping this one.
        let purpose = Purpose::Bootstrap { slot: operation.slot };
        if !self.begin_request(purpose, contact.address, Some(&contact.id), Attempts::Known) {
            return false;
        }
        operation.bootstraps_asked = operation.bootstraps_asked.saturating_add(1);
        count_one(&mut operation.tally.asked);
        true
    }
}

/// Whether an operation stores its record at the nodes found.
fn must_store<P: Parts>(now: Instant, operation: &Op<P>) -> bool {
    match operation.task.traits().stores {
        Stores::Nowhere => false,
        Stores::Everywhere | Stores::WhereMissing => true,
        Stores::WhereMissingLater => {
            P::Wire::RULES.lifetimes
                && operation.key.kind != Kind::Immutable
                && !operation.is_relayed()
                && operation.best(now).is_some()
        }
    }
}

/// How an operation ends that has nothing to store.
fn ending_of_search<P: Parts>(now: Instant, operation: &Op<P>) -> Ending {
    match operation.task.traits().ending {
        Ending::NotFound if operation.best(now).is_some() => Ending::Value,
        Ending::NotFound if operation.tally.too_large > 0 => Ending::TooLarge,
        // No other node is known. The own store has the record.
        _ if operation.task.traits().then == Then::SettlePut && operation.tally.asked == 0 => Ending::Stored,
        _ if operation.lookup.count(Which::Closest) == 0 => Ending::NoResponse,
        ending => ending,
    }
}
