//! The records that the node holds: what it takes, and what becomes of its own.

use super::operation::{Ending, Operation};
use super::parts::Parts;
use super::shared::{Op, Shared};
use crate::record::{Key, Kind, Record};
use crate::replication::published_again;
use crate::routing::Routing;
use crate::store::{Metadata, Put, Store, StoreError, StoredRecord};
use crate::time::{Instant, Micros};

impl<P: Parts> Shared<P> {
    /// The record held under a key, unless its lifetime is over.
    pub(super) fn held(&self, now: Instant, key: &Key) -> Option<StoredRecord<'_>> {
        self.stored(key).filter(|held| held.metadata.expires > now)
    }

    /// The record in the store, whether its lifetime is over or not.
    pub(super) fn stored(&self, key: &Key) -> Option<StoredRecord<'_>> {
        self.store.get(self.store.find(key)?)
    }

    pub(super) fn metadata_mut(&mut self, key: &Key) -> Option<&mut Metadata> {
        self.store.metadata_mut(self.store.find(key)?)
    }

    /// Whether records of a kind are taken.
    pub(super) fn supports(&self, kind: Kind) -> bool {
        match kind {
            Kind::Plain => self.config.plain,
            Kind::Immutable => true,
            Kind::Signed => self.config.verify.is_some(),
        }
    }

    /// Whether a record's signature is right, or needs not to be.
    pub(super) fn is_valid(&self, record: &Record<'_>) -> bool {
        self.config.verify.is_none_or(|verify| record.verify(verify))
    }

    /// Puts another node's record into the store. Where it replaces one that is published here, publishing stops.
    pub(super) fn keep(&mut self, now: Instant, record: &Record<'_>, metadata: Metadata) -> Result<Put, StoreError> {
        let published = self.stored(&record.key()).is_some_and(|held| held.metadata.pinned);
        let put = self.store.put(now, record, metadata)?;
        self.replication.stored(metadata.expires);
        if published && !metadata.pinned && put == Put::Replaced {
            self.superseded = [record.key()].into();
        }
        Ok(put)
    }

    /// What becomes of a record here that was put at other nodes.
    pub(super) fn settle_put(&mut self, operation: &Op<P>, failed: bool) {
        if failed {
            self.withdraw(&operation.key);
        } else if operation.publish {
            self.publish_later(&operation.key);
        } else {
            self.unpin(&operation.key);
        }
    }

    /// A record that lost, or may have lost, to the one that it was put to replace must not spread from here.
    fn withdraw(&mut self, key: &Key) {
        let pinned = |slot: &usize| self.store.get(*slot).is_some_and(|held| held.metadata.pinned);
        if let Some(slot) = self.store.find(key).filter(pinned) {
            self.store.remove(slot);
        }
    }

    /// A record was put to be published: it is published again when its time comes.
    fn publish_later(&mut self, key: &Key) {
        if let Some(held) = self.stored(key).filter(|held| held.metadata.pinned) {
            self.replication.publish_by(published_again(&held, Micros::of(self.config.republish)));
        }
    }

    /// A record that was put once, not published, is here on the same terms as other nodes' records: only while this
    /// node is responsible.
    fn unpin(&mut self, key: &Key) {
        let k = self.k();
        let Some(slot) = self.store.find(key) else {
            return;
        };
        if let Some(metadata) = self.store.metadata_mut(slot) {
            metadata.pinned = false;
        }
        if !self.config.serve || self.table.rank_of_own(&key.id, k) >= k {
            self.store.remove(slot);
        }
    }

    /// Another node holds a newer record than the one published here: publishing stops.
    pub(super) fn supersede(&mut self, key: Key) {
        if let Some(metadata) = self.metadata_mut(&key).filter(|metadata| metadata.pinned) {
            metadata.pinned = false;
            self.superseded = [key].into();
        }
    }

    /// A publication yielded to a user's command: it is done soon.
    pub(super) fn publish_soon(&mut self, now: Instant, key: &Key) {
        if let Some(metadata) = self.metadata_mut(key) {
            metadata.last_replicated = Instant::ZERO;
        }
        self.replication.publish_by(now + Micros::from_secs(1));
    }

    /// A record is published, or its co-holders have it.
    pub(super) fn note_replicated(&mut self, now: Instant, key: &Key) {
        if let Some(metadata) = self.metadata_mut(key) {
            metadata.last_replicated = now.max(Instant::from_micros(1));
        }
    }
}

/// Whether a put that ends so has lost to another record, or may have: one with compare-and-swap that was not stored.
pub(super) fn has_lost<G, A, T>(operation: &Operation<G, A, T>, ending: Ending) -> bool {
    ending == Ending::Conflict || (operation.compare.is_some() && ending != Ending::Stored)
}
