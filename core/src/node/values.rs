//! Records that arrive while an operation looks for the newest version.

use core::cmp::Ordering;

use super::operation::Ending;
use super::parts::Parts;
use super::shared::{Op, Shared};
use super::task::{RecordSource, Then};
use crate::id::Id;
use crate::message::ErrorCode;
use crate::record::{Kind, Record, Version};
use crate::store::Metadata;
use crate::time::{Instant, Micros};

impl<P: Parts> Shared<P> {
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
        let best = operation.best(now);
        match best.map_or(Ordering::Greater, |best| operation.key.kind.contest(best, version).offered) {
            Ordering::Less => return,
            Ordering::Equal => return operation.lookup.holds_newest(from),
            Ordering::Greater => {}
        }
        if !self.is_valid(record) {
            return operation.tally.note_refusal(ErrorCode::Invalid, 0);
        }
        operation.set_best(now, version);
        operation.lookup.newest(from);
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
        let expires = now + Micros::from_secs(u64::from(lifetime));
        let others = Metadata { expires, source: None, pinned: false, last_replicated: Instant::ZERO };
        // If the own store has no room for it, nodes that lag get the record held here, and others hold the newer one.
        let _ = self.keep(now, record, same.unwrap_or(others));
        if same.is_none() && operation.task.traits().then == Then::SettlePublication {
            self.finish(now, operation, Ending::Conflict);
        }
    }
}
