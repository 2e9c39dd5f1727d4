//! Records in the own store: which the node accepts, and what becomes of those that it publishes.

use super::bounds::Parts;
use super::operation::Operation;
use super::shared::{Op, Shared};
use super::task::Ending;
use crate::geometry::Geometry;
use crate::guard::responsibility::is_far;
use crate::id::Id;
use crate::record::{Key, Kind, Record};
use crate::replication::{holders_of, published_again};
use crate::routing::Routing;
use crate::store::{Metadata, Put, Store, StoreError, StoredRecord};
use crate::time::{Instant, Micros};

impl<P: Parts> Shared<P> {
    /// The record under a key, unless its lifetime is over.
    pub(super) fn held(&self, now: Instant, key: &Key) -> Option<StoredRecord<'_>> {
        held_in(&self.store, now, key)
    }

    /// The record under a key, even if its lifetime is over.
    pub(super) fn stored(&self, key: &Key) -> Option<StoredRecord<'_>> {
        self.store.get(self.store.find(key)?)
    }

    pub(super) fn metadata_mut(&mut self, key: &Key) -> Option<&mut Metadata> {
        self.store.metadata_mut(self.store.find(key)?)
    }

    /// Whether the node accepts records of a kind.
    #[inline(never)]
    pub(super) fn supports(&self, kind: Kind) -> bool {
        match kind {
            Kind::Plain => self.config.plain,
            Kind::Immutable => true,
            Kind::Signed => self.config.verify.is_some(),
        }
    }

    /// Whether the signature of a record is valid in this network. True if it needs none.
    pub(super) fn is_valid(&self, record: &Record<'_>) -> bool {
        self.config.verify.is_none_or(|verify| record.verify(self.config.network, verify))
    }

    /// Whether this node is far from a key. Then it stores no record there, if it knows k nodes that are nearer.
    pub(super) fn is_far_from(&self, key: &Id) -> bool {
        is_far(P::Geometry::rank(key, &self.table.own()), self.table.expected_reach())
    }

    /// Puts a record of another node into the store. If it replaces one that is published here, publishing stops.
    pub(super) fn keep(
        &mut self,
        now: Instant,
        key: &Key,
        record: &Record<'_>,
        metadata: Metadata,
    ) -> Result<Put, StoreError> {
        let published = self.stored(key).is_some_and(|held| held.metadata.pinned);
        let put = self.store.put(now, record, metadata)?;
        self.replication.stored(metadata.expires);
        if published && !metadata.pinned && put == Put::Replaced {
            self.superseded = [*key].into();
        }
        Ok(put)
    }

    /// Decides what becomes of a record in the own store after it was put at other nodes.
    pub(super) fn settle_put(&mut self, operation: &Op<P>, failed: bool) {
        let Some(slot) = self.store.find(&operation.key) else { return };
        let Some(held) = self.store.get(slot) else { return };
        let pinned = held.metadata.pinned;
        if pinned && !failed && operation.publish {
            self.replication.publish_by(published_again(&held, Micros::of(self.config.republish)));
        }
        // An own record that lost, or may have lost, to another one must not spread from here. One that is not
        // published is treated as a record of another node, and removed if this node is not responsible for it.
        let is_extra =
            || !self.config.serve.serves() || self.table.rank_of_own(&operation.key.id, self.k()) >= self.k();
        if if failed { pinned } else { !operation.publish && is_extra() } {
            self.store.remove(slot);
        } else if let Some(metadata) = self.store.metadata_mut(slot).filter(|_| !failed) {
            metadata.pinned &= operation.publish;
            if operation.publish && operation.tally.stored == 0 {
                // No other node has it: it is published first, once one responds.
                metadata.last_replicated = Instant::ZERO;
            }
        }
    }

    /// Another node holds a newer record than the one published here: stops publishing.
    pub(super) fn supersede(&mut self, key: Key) {
        if let Some(metadata) = self.metadata_mut(&key).filter(|metadata| metadata.pinned) {
            metadata.pinned = false;
            self.superseded = [key].into();
        }
    }

    /// A publication yielded to a user's command: publishes the record soon.
    pub(super) fn publish_soon(&mut self, now: Instant, key: &Key) {
        if let Some(metadata) = self.metadata_mut(key) {
            metadata.last_replicated = Instant::ZERO;
        }
        self.replication.publish_not_before(now + Micros::from_secs(1));
    }

    /// Another node claims to have replicated a record. This is believed once.
    pub(super) fn note_claim(&mut self, now: Instant, key: &Key) {
        let is_news = |held: &StoredRecord<'_>| !held.metadata.pinned && !held.metadata.claimed;
        if self.stored(key).is_some_and(|held| is_news(&held))
            && let Some(metadata) = self.metadata_mut(key)
        {
            (metadata.last_replicated, metadata.claimed, metadata.holders) = (now, true, 0);
        }
    }

    /// A record was published, or replicated to all responsible nodes. `lacked` is whether any of them lacked it.
    pub(super) fn note_replicated(&mut self, now: Instant, key: &Key, lacked: bool) {
        let holders = holders_of(&self.table, &key.id, self.k());
        if let Some(metadata) = self.metadata_mut(key) {
            metadata.last_replicated = now.max(Instant::from_micros(1));
            metadata.calm = if lacked { 0 } else { metadata.calm.saturating_add(1) };
            (metadata.claimed, metadata.holders) = (false, holders);
        }
    }
}

/// The record under a key, unless its lifetime is over.
pub(super) fn held_in<'a>(store: &'a impl Store, now: Instant, key: &Key) -> Option<StoredRecord<'a>> {
    store.get(store.find(key)?).filter(|held| held.metadata.expires > now)
}

/// Whether a put with this ending has lost to another record, or may have lost: if it had a compare-and-swap and was
/// not stored.
pub(super) fn has_lost<G, A, T>(operation: &Operation<G, A, T>, ending: Ending) -> bool {
    ending == Ending::Conflict || (operation.compare.is_some() && ending != Ending::Stored)
}
