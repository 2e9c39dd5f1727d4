//! Offers: to which nodes a holder sends the record that it replicates.

use super::bounds::Parts;
use super::shared::{Op, Shared};
use super::task::Task;
use crate::contact::Contact;
use crate::lookup::Which;
use crate::message::{ErrorCode, Response};
use crate::record::Key;
use crate::time::Instant;
use crate::wire::Wire;

impl<P: Parts> Shared<P> {
    /// Whether nothing is sent to a node that an operation would store its record at: because the node refused it
    /// before, or has it and can't be told more.
    pub(super) fn needs_nothing(&self, operation: &mut Op<P>, contact: &Contact<P::Address>) -> bool {
        if operation.task != Task::Replicate {
            return false;
        }
        if operation.tells(&contact.id) {
            if !P::Wire::RULES.held {
                operation.lookup.stored(&contact.id);
            }
            return !P::Wire::RULES.held;
        }
        let refused = self.has_refused(contact, &operation.key);
        if refused {
            operation.lookup.refused(&contact.id);
        }
        refused
    }

    /// Remembers that a node doesn't take records of a kind, or has no room for a record that is replicated.
    pub(super) fn note_refused_offer(
        &mut self,
        operation: &Op<P>,
        from: &Contact<P::Address>,
        response: &Response<'_, P::Address>,
    ) {
        if operation.task != Task::Replicate {
            return;
        }
        let [kind, record] = self.refusals_of(from, &operation.key);
        match response {
            Response::Error { code: ErrorCode::Unsupported, .. } => self.replication.note_refusal(kind),
            Response::Error { code: ErrorCode::Full, .. } => self.replication.note_refusal(record),
            _ => {}
        }
    }

    /// Whether all nodes found have the record that is replicated, but for those that refused it for good.
    pub(super) fn is_where_it_can_be(&self, operation: &Op<P>) -> bool {
        let (lookup, key) = (&operation.lookup, &operation.key);
        let refused = |contact: &Contact<P::Address>| !lookup.is_holder(&contact.id) && self.has_refused(contact, key);
        let refused = lookup.contacts(Which::Closest).filter(refused).count();
        lookup.count(Which::Stored) + refused >= lookup.count(Which::Closest)
    }

    fn has_refused(&self, contact: &Contact<P::Address>, key: &Key) -> bool {
        self.refusals_of(contact, key).into_iter().any(|refusal| self.replication.was_refused(refusal))
    }

    /// What stands for a node's refusal of a kind of record, and for that of one record. Made with a secret, so that no
    /// node can refuse for another.
    fn refusals_of(&self, contact: &Contact<P::Address>, key: &Key) -> [u32; 2] {
        let node = self.tokens.make(Instant::ZERO, &contact.address, &contact.id) as u32;
        let [.., a, b, c, d] = *key.id.as_bytes();
        [node ^ key.kind as u32, node ^ u32::from_be_bytes([a, b, c, d])]
    }
}
