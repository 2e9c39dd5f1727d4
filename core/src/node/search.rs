//! The work of an operation: it asks the nodes that its lookup returns, then stores its record at them, if it has one.
//! What follows, and how it ends, is in `finishing`.

use core::time::Duration;

use super::bounds::Parts;
use super::operation::{Recursion, count_one};
use super::purpose::Purpose;
use super::shared::{Op, Shared};
use super::task::{Finds, Stores, Task};
use crate::contact::Contact;
use crate::id::Id;
use crate::naming::MAX_NAMED;
use crate::record::Kind;
use crate::routing::Routing;
use crate::rpc::Attempts;
use crate::time::Instant;
use crate::wire::{TokenSource, Wire};

/// How many nodes, the closest known, must show that they hold no newer version of a signed record that a relay request
/// found.
const CHECKS: usize = 3;

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
            if operation.task.traits().finds == Finds::Node {
                return self.ping_address(operation);
            }
            if operation.is_storing() {
                if self.store_at_nodes(now, operation) {
                    self.finish_store(now, operation);
                }
                return;
            }
            if !self.ask_nodes(now, operation) {
                return;
            }
            self.finish_search(now, operation);
        }
    }

    /// Pings the address of a user's ping, once a request slot is free. The response, or the timeout, ends the
    /// operation.
    fn ping_address(&mut self, operation: &mut Op<P>) {
        if let Some(contact) = operation.lookup.next() {
            let asked =
                self.begin_request(Purpose::Ping { slot: operation.slot }, contact.address, None, Attempts::Known);
            operation.tally.asked = u16::from(asked);
            if !asked {
                operation.lookup.unasked(&contact.id);
            }
        }
    }

    /// Asks the nodes that the lookup returns next. Returns whether the search is over.
    fn ask_nodes(&mut self, now: Instant, operation: &mut Op<P>) -> bool {
        self.begin_recursion(now, operation);
        if self.has_value(now, operation) {
            return true;
        }
        match operation.recursion {
            Recursion::Forwarded => return false,
            Recursion::Relayed => return true,
            _ => {}
        }
        let bootstraps_begun = !operation.task.traits().joins || self.ask_bootstraps(operation);
        while operation.fetching.is_none()
            && let Some(contact) = operation.lookup.next()
        {
            let purpose = Purpose::Search { slot: operation.slot };
            let stranger = operation.lookup.is_stranger(&contact.id);
            let attempts = if stranger { Attempts::Stranger } else { Attempts::Known };
            if !self.begin_request(purpose, contact.address, Some(&contact.id), attempts) {
                operation.lookup.unasked(&contact.id);
                break;
            }
            count_one(&mut operation.tally.asked);
        }
        let bootstraps_responded = bootstraps_begun && operation.bootstraps_asked == 0;
        // Nodes that keep a requester waiting don't delay a record that others have.
        let has_found = operation.task == Task::Get && operation.best(now).is_some();
        let is_done = operation.lookup.is_done() || (has_found && operation.lookup.is_done_but_for_slow());
        bootstraps_responded && is_done && operation.fetching.is_none()
    }

    /// Asks those bootstrap addresses that the join has not asked yet. False if no request slot is left for one. If
    /// another bootstrap has replaced the addresses meanwhile, the join goes on with the rest of the new ones.
    fn ask_bootstraps(&mut self, operation: &mut Op<P>) -> bool {
        while let Some(address) = self.bootstraps.get(usize::from(operation.tally.bootstraps)) {
            if !self.begin_request(Purpose::Bootstrap { slot: operation.slot }, address, None, Attempts::Known) {
                return false;
            }
            operation.tally.bootstraps = operation.tally.bootstraps.saturating_add(1);
            operation.bootstraps_asked = operation.bootstraps_asked.saturating_add(1);
            count_one(&mut operation.tally.asked);
        }
        true
    }

    /// Whether a get has its final value: that of an immutable key, or the result of a recursive lookup. If that is a
    /// signed record, other nodes must have been asked for a newer one.
    fn has_value(&self, now: Instant, operation: &Op<P>) -> bool {
        let is_final = match operation.recursion {
            Recursion::Relayed => true,
            Recursion::Checked => operation.lookup.have_nearest_responded(CHECKS) && operation.fetching.is_none(),
            _ => operation.key.kind == Kind::Immutable,
        };
        operation.task == Task::Get && is_final && operation.best(now).is_some()
    }

    /// Asks the next nodes to store the record. Returns whether all of them have responded or failed.
    fn store_at_nodes(&mut self, now: Instant, operation: &mut Op<P>) -> bool {
        if operation.task == Task::Put && operation.best_at() > now {
            self.last_put.awaited = self.last_put.awaited.min(operation.best_at());
            return false;
        }
        while let Some((contact, _)) = operation.lookup.next_store() {
            if self.needs_nothing(operation, &contact) {
                continue;
            }
            let purpose = Purpose::Store { slot: operation.slot };
            if !self.begin_request(purpose, contact.address, Some(&contact.id), Attempts::Known) {
                operation.lookup.unstored(&contact.id);
                break;
            }
        }
        self.verify_claims(operation);
        operation.lookup.stores_done()
    }

    /// Whether an operation asks nodes for a record, not only for nodes: because it looks for one, or because it stores
    /// one and the wire format gives tokens only in response to such requests.
    pub(super) fn asks_for_record(&self, operation: &Op<P>) -> bool {
        let stores = operation.task.traits().stores != Stores::Nowhere;
        operation.finds_record() || (stores && P::Wire::RULES.tokens == TokenSource::FindValue)
    }
}
