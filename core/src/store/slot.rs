//! One record's slot in a store: everything about it except its bytes.

use super::interface::StoreError;
use super::stored_record::{Metadata, StoredRecord};
use crate::record::{Key, MAX_SALT, MAX_VALUE, Record, RecordError, Version};
use crate::time::Instant;

/// What is known of a stored or offered record. `place` says where its bytes are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot<P> {
    pub(super) metadata: Metadata,
    /// When `version` was its version: a plain record's age counts from then.
    stored_at: Instant,
    pub(super) version: Version,
    pub(super) place: P,
    pub(super) len: u16,
    salt_len: u8,
    pub(super) key: Key,
    /// Chosen to be removed for the record that is being put.
    pub(super) leaving: bool,
}

/// How many bytes a record takes of a store of `capacity` bytes.
pub(super) fn len_within(capacity: usize, record: &Record<'_>) -> Result<u16, StoreError> {
    record.check().map_err(|error| match error {
        RecordError::TooLong(_) => StoreError::TooLarge(MAX_VALUE),
        RecordError::SaltTooLong(_) => StoreError::TooLarge(MAX_SALT),
    })?;
    let len = record.parts().iter().map(|part| part.len()).sum::<usize>();
    match u16::try_from(len) {
        Ok(fits) if len <= capacity => Ok(fits),
        _ => Err(StoreError::TooLarge(capacity)),
    }
}

impl<P> Slot<P> {
    /// The slot of an offered record of `len` bytes.
    pub(super) fn new(now: Instant, record: &Record<'_>, len: u16, metadata: Metadata, place: P) -> Self {
        Self {
            metadata,
            stored_at: now,
            version: record.version(),
            place,
            len,
            salt_len: u8::try_from(record.salt_len()).unwrap_or(u8::MAX),
            key: record.key(),
            leaving: false,
        }
    }

    /// How many bytes the record takes.
    pub(super) fn size(&self) -> usize {
        usize::from(self.len)
    }

    /// Its version as of `now`.
    pub(super) fn version(&self, now: Instant) -> Version {
        self.key.kind.as_of(now, self.version, self.stored_at)
    }

    /// The record with its bytes.
    pub(super) fn stored<'a>(&'a self, bytes: &'a [u8]) -> Option<StoredRecord<'a>> {
        let stored = Record::of_parts(&self.key, self.version.number, self.salt_len, bytes)?;
        Some(StoredRecord {
            key: self.key,
            stored_version: self.version,
            stored_at: self.stored_at,
            stored,
            metadata: &self.metadata,
        })
    }

    /// The same record was offered again. `version` is what this one's version has become.
    pub(super) fn renew(&mut self, version: Version, again: &Self) {
        if again.version.number < version.number {
            (self.version, self.stored_at) = (again.version, again.stored_at);
        }
        let expires = self.metadata.expires.max(again.metadata.expires);
        self.metadata.responsible = again.metadata.responsible;
        if again.metadata.pinned {
            self.metadata = again.metadata;
        }
        self.metadata.expires = expires;
    }
}
