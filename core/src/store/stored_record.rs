//! What a store keeps: a record, and its metadata.

use crate::address::Prefix;
use crate::record::{Key, Proof, Record, Version};
use crate::time::Instant;

/// A record in a store.
#[derive(Clone, Copy, Debug)]
pub struct StoredRecord<'a> {
    /// Its key.
    pub key: Key,
    /// Its version when it was stored; [`StoredRecord::version`] gives that of a later instant.
    pub stored_version: Version,
    /// When it was stored, from which the age of a plain record counts.
    pub stored_at: Instant,
    /// The record as it was stored; [`StoredRecord::record`] gives it with its age at a later instant.
    pub stored: Record<'a>,
    /// What else the store keeps about it.
    pub metadata: &'a Metadata,
}

impl<'a> StoredRecord<'a> {
    /// Its version as of `now`.
    #[must_use]
    pub fn version(&self, now: Instant) -> Version {
        self.key.kind.as_of(now, self.stored_version, self.stored_at)
    }

    /// How many bytes it takes, of value, salt, public key and signature.
    #[must_use]
    pub fn size(&self) -> usize {
        self.stored.parts().iter().map(|part| part.len()).sum()
    }

    /// The record as of `now`: a plain record with the age that it has by then.
    #[must_use]
    pub fn record(&self, now: Instant) -> Record<'a> {
        match self.stored.proof {
            Proof::Plain { id, .. } => {
                Record { proof: Proof::Plain { id, age: self.version(now).number }, ..self.stored }
            }
            Proof::Immutable | Proof::Signed { .. } => self.stored,
        }
    }
}

/// What a store keeps about a record, for its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// When the record expires.
    pub expires: Instant,
    /// The address prefix whose quota the record counts against: that of the node that stored it. `None` for the own
    /// node or an exempt source.
    pub source: Option<Prefix>,
    /// Whether the own node was among those responsible for the record when it was stored last. Other records are
    /// evicted first.
    pub responsible: bool,
    /// Whether the own node published it. A pinned record is never evicted.
    pub pinned: bool,
    /// When the record was last replicated by the own node or, as far as it believes, by another holder. If it is
    /// pinned, when it was last published.
    pub last_replicated: Instant,
    /// Whether `last_replicated` is what another node claims. It is believed once: then the own node replicates the
    /// record itself.
    pub claimed: bool,
    /// How often in a row the own node found that nothing was lacking when it replicated the record.
    pub calm: u8,
    /// A digest of the nodes that should hold the record, as of `last_replicated`. 0 if the own node did not look then.
    pub holders: u32,
}

impl Metadata {
    /// The metadata of a record that expires at this instant: without a source, and not yet replicated.
    #[must_use]
    pub const fn until(expires: Instant) -> Self {
        Self {
            expires,
            source: None,
            responsible: true,
            pinned: false,
            last_replicated: Instant::ZERO,
            claimed: false,
            calm: 0,
            holders: 0,
        }
    }
}
