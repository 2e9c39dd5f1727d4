//! Requests that are slow to get a response, and requests that get none.

use super::bounds::{Parts, Slots};
use super::inner::NodeInner;
use super::operation::{Recursion, count_one};
use super::purpose::Purpose;
use super::shared::{Op, Shared};
use super::stats::count_up;
use super::task::Ending;
use crate::forwarding::HopState;
use crate::id::Id;
use crate::routing::Routing;
use crate::rpc::Due;
use crate::time::Instant;

impl<P: Parts> NodeInner<P> {
    /// Handles a request that got no response within its first wait, or none at all.
    pub(super) fn time_out(&mut self, now: Instant, due: Due<P::Address, Purpose>) {
        match due {
            Due::Slow { owner: Purpose::Relay { relay }, .. } => {
                if let Some(slot) = self.shared.relay_slow(now, relay) {
                    fell_back::<P>(&mut self.operations, slot);
                }
            }
            Due::Slow { owner, expect } => {
                let operation = owner.slot().and_then(|slot| self.operations.get_mut(slot));
                if let Some((operation, id)) = operation.zip(expect) {
                    operation.lookup.slow(&id);
                    operation.tally.stalled |= operation.stop_fetching(&id);
                }
            }
            Due::Failed { owner, expect, to, acknowledged } => {
                count_up(&mut self.shared.stats.timeouts);
                self.shared.silence.note_failure(now);
                if let Some(id) = expect.filter(|id| !acknowledged && self.shared.knows_at(id, to)) {
                    match owner {
                        // It was asked only twice, which is too little to count as failed.
                        Some(Purpose::Relay { .. }) => self.shared.check_silent(to, id),
                        _ => self.shared.table.failed(now, &id),
                    }
                }
                if let Some(purpose) = owner {
                    self.shared.request_failed(now, &mut self.operations, purpose, expect.as_ref());
                }
            }
        }
    }
}

impl<P: Parts> Shared<P> {
    /// Handles a request that will get no response.
    pub(super) fn request_failed(
        &mut self,
        now: Instant,
        operations: &mut P::Operations,
        purpose: Purpose,
        id: Option<&Id>,
    ) {
        if let Purpose::Relay { relay } = purpose {
            let ended = id.and_then(|id| self.relay_failed(now, relay, id, HopState::Silent));
            if let Some(slot) = ended {
                fell_back::<P>(operations, slot);
            }
        } else if let Purpose::Probe { passed } = purpose {
            self.reachability.failed(now, passed);
        } else if let Some(operation) = purpose.slot().and_then(|slot| operations.get_mut(slot)) {
            self.operation_request_failed(now, operation, purpose, id);
        }
    }

    /// A request of an operation will get no response.
    fn operation_request_failed(&mut self, now: Instant, operation: &mut Op<P>, purpose: Purpose, id: Option<&Id>) {
        count_one(&mut operation.tally.timed_out);
        match (purpose, id) {
            (Purpose::Bootstrap { .. }, _) => {
                operation.bootstraps_asked = operation.bootstraps_asked.saturating_sub(1);
            }
            (Purpose::Ping { .. }, _) => self.finish(now, operation, Ending::NoResponse),
            (_, Some(id)) => {
                if operation.is_storing() {
                    operation.lookup.refused(id);
                } else {
                    operation.lookup.failed(id);
                }
                operation.stop_fetching(id);
            }
            (_, None) => {}
        }
    }
}

/// The relay request of the operation in this slot got no result: its lookup continues iteratively.
pub(super) fn fell_back<P: Parts>(operations: &mut P::Operations, slot: u8) {
    if let Some(operation) = operations.get_mut(slot) {
        operation.recursion = Recursion::FellBack;
    }
}
