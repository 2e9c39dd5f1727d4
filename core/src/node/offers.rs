//! Offers: to which nodes a holder sends the record that it replicates.

use super::bounds::Parts;
use super::shared::{Op, Shared};
use super::task::Task;
use crate::contact::Contact;
use crate::message::{ErrorCode, Response};
use crate::record::Key;
use crate::time::Instant;
use crate::wire::Wire;

impl<P: Parts> Shared<P> {
    /// Whether nothing is sent to a node that an operation would store its record at: because the node refused it
    /// before, or has it and can't be told more. Then nothing is lacking there.
    pub(super) fn needs_nothing(&self, operation: &mut Op<P>, contact: &Contact<P::Address>) -> bool {
        if operation.task != Task::Replicate {
            return false;
        }
        let settled = if operation.tells(&contact.id) {
            !P::Wire::RULES.held
        } else {
            let refusals = self.refusals_of(contact, &operation.key);
            refusals.into_iter().any(|refusal| self.replication.was_refused(refusal))
        };
        if settled {
            operation.lookup.stored(&contact.id);
        }
        settled
    }

    /// Remembers that a node doesn't take records of a kind, or has no room for a record that is replicated. Returns
    /// whether this is so: then nothing can be done about it there.
    pub(super) fn note_refused_offer(
        &mut self,
        operation: &mut Op<P>,
        from: &Contact<P::Address>,
        response: &Response<'_, P::Address>,
    ) -> bool {
        let Response::Error { code, .. } = response else { return false };
        let [kind, record] = self.refusals_of(from, &operation.key);
        let refusal = match code {
            ErrorCode::Unsupported => kind,
            ErrorCode::Full => record,
            _ => return false,
        };
        if operation.task != Task::Replicate {
            return false;
        }
        self.replication.note_refusal(refusal);
        operation.lookup.stored(&from.id);
        true
    }

    /// What stands for a node's refusal of a kind of record, and for that of one record. Made with a secret, so that no
    /// node can refuse for another.
    fn refusals_of(&self, contact: &Contact<P::Address>, key: &Key) -> [u32; 2] {
        let node = self.tokens.make(Instant::ZERO, &contact.address, &contact.id) as u32;
        let [.., a, b, c, d] = *key.id.as_bytes();
        [node ^ key.kind as u32, node ^ u32::from_be_bytes([a, b, c, d])]
    }
}
