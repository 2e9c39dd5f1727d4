//! Claims: a node refuses a record because it holds another one. What it says is only a hint. The publisher fetches the
//! other record from this node and verifies it before it acts on the refusal.
//!
//! This does not defend against the refusal: the record is not stored at that node.

use super::bounds::Parts;
use super::operation::{Operation, count_one};
use super::purpose::Purpose;
use super::shared::{Op, Shared};
use super::task::RecordSource;
use crate::address::Address;
use crate::geometry::Geometry;
use crate::id::Id;
use crate::message::{ErrorCode, Response};
use crate::record::Kind;
use crate::rpc::Attempts;
use crate::time::Instant;

/// A node refused the record of an operation. Its claim must be verified if it matters: if this node publishes the
/// record, another one can replace it, and none is proved yet.
pub(super) fn note_refusal<G: Geometry, A: Address, T: Copy + Sync>(
    operation: &mut Operation<G, A, T>,
    from: &Id,
    code: ErrorCode,
) {
    let claims = matches!(code, ErrorCode::Outdated | ErrorCode::Conflict);
    let publishes = operation.task.traits().record == RecordSource::Published && operation.key.kind != Kind::Immutable;
    if claims && publishes && operation.tally.held_instead.is_none() {
        operation.lookup.claimed(from);
    } else {
        operation.lookup.refused(from);
    }
}

impl<P: Parts> Shared<P> {
    /// Asks the next node for the record that it claims to hold. One node at a time, because one proof suffices.
    pub(super) fn verify_claims(&mut self, operation: &mut Op<P>) {
        while operation.fetching.is_none()
            && let Some(contact) = operation.lookup.next_claim()
        {
            let purpose = Purpose::Verify { slot: operation.slot };
            if operation.tally.held_instead.is_some() {
                operation.lookup.refused(&contact.id);
            } else if self.begin_request(purpose, contact.address, Some(&contact.id), Attempts::Known) {
                operation.fetching = Some(contact.id);
            } else {
                return operation.lookup.claimed(&contact.id);
            }
        }
    }

    /// The response of a node that was asked for the record that it claims to hold. If it is the one of this operation,
    /// the response to an earlier store was lost.
    pub(super) fn claim_responded(
        &mut self,
        now: Instant,
        operation: &mut Op<P>,
        from: &Id,
        response: &Response<'_, P::Address>,
    ) {
        operation.stop_fetching(from);
        operation.lookup.refused(from);
        if let Response::Value { record, lifetime, .. } = response {
            self.value_found(now, operation, from, record, *lifetime);
            if operation.tally.held_instead.is_none() && operation.lookup.is_holder(from) {
                count_one(&mut operation.tally.stored);
                operation.lookup.stored(from);
            }
        }
    }
}
