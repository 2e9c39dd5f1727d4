//! Records that arrive while an operation looks for the newest version.

use core::cmp::Ordering;

use super::bounds::Parts;
use super::purpose::Purpose;
use super::shared::{Op, Shared};
use super::task::{Ending, RecordSource, Then};
use crate::contact::Contact;
use crate::id::Id;
use crate::message::ErrorCode;
use crate::record::{Kind, Record, Version};
use crate::rpc::Attempts;
use crate::store::Metadata;
use crate::time::{Instant, Micros};

impl<P: Parts> Shared<P> {
    /// A node says that it holds a record of this version, in a response of `size` bytes. Returns whether the record is
    /// newer than the newest so far, and small enough to be fetched.
    pub(super) fn held_found(
        &mut self,
        now: Instant,
        operation: &mut Op<P>,
        from: Id,
        version: Version,
        size: u16,
    ) -> bool {
        match operation.contest(now, version) {
            Ordering::Less => {}
            Ordering::Equal => operation.lookup.holds_newest(&from),
            Ordering::Greater if usize::from(size) > self.config.largest_message() => operation.tally.too_large = size,
            Ordering::Greater => return true,
        }
        false
    }

    /// Asks a holder again, with its token, for a record that was too large to be sent without. Only one holder at a
    /// time: the others are asked again once the record is here, so that they needn't send it. Once one was slow, all
    /// are asked at once, as more of them may never send it.
    pub(super) fn fetch(&mut self, operation: &mut Op<P>, holder: Contact<P::Address>) {
        if operation.fetching.is_none() {
            operation.fetching = Some(holder.id).filter(|_| !operation.tally.stalled);
            let purpose = Purpose::Search { slot: operation.slot };
            if self.begin_request(purpose, holder.address, Some(&holder.id), Attempts::Known) {
                return;
            }
        }
        operation.stop_fetching(&holder.id);
        operation.lookup.unasked(&holder.id);
    }

    /// A record arrived from the node `from`. It counts if it is the one that was asked for, is valid, and is newer
    /// than the newest so far.
    pub(super) fn value_found(
        &mut self,
        now: Instant,
        operation: &mut Op<P>,
        from: &Id,
        record: &Record<'_>,
        lifetime: u32,
    ) {
        if record.key() != operation.key || record.check().is_err() {
            return operation.tally.note_refusal(ErrorCode::Invalid, 0);
        }
        let version = record.version();
        match operation.contest(now, version) {
            Ordering::Less => return,
            Ordering::Equal => return operation.lookup.holds_newest(from),
            Ordering::Greater => {}
        }
        if !self.is_valid(record) {
            return operation.tally.note_refusal(ErrorCode::Invalid, 0);
        }
        operation.set_best(now, version);
        operation.lookup.only_holder(from);
        let lifetime = lifetime.min(Micros::of(self.config.max_lifetime).secs());
        if operation.task.traits().record == RecordSource::Buffer {
            let buffer = operation.buffer.and_then(|index| self.buffers.get_mut(usize::from(index)));
            if let Some(buffer) = buffer {
                buffer.fill(now, operation.key, record, version, lifetime);
            }
        } else {
            self.keep_newer(now, operation, record, version, lifetime);
        }
    }

    /// Maintenance found a newer record than the one held here. If this node publishes its own, it stops, unless this
    /// is the same plain value: then only the clocks of its holders are slower.
    fn keep_newer(
        &mut self,
        now: Instant,
        operation: &mut Op<P>,
        record: &Record<'_>,
        version: Version,
        lifetime: u32,
    ) {
        let key = operation.key;
        let own = self.stored(&key).filter(|held| held.metadata.pinned);
        let same = own.filter(|own| key.kind == Kind::Plain && own.stored_version.digest == version.digest);
        let same = same.map(|own| *own.metadata);
        if same.is_none() && own.is_some() {
            operation.tally.held_instead = Some(version.number);
        }
        if operation.task.traits().then == Then::SettlePut {
            // It has lost to this record. What becomes of it is decided when all nodes have responded.
            return;
        }
        let expires = now + Micros::from_secs(u64::from(lifetime));
        let others = Metadata::until(expires);
        // If the own store has no room for it, nodes that lag get the record held here, and others hold the newer one.
        let _ = self.keep(now, &key, record, same.unwrap_or(others));
        if same.is_none() && operation.task.traits().then == Then::SettlePublication {
            self.finish(now, operation, Ending::Conflict);
        }
    }
}
