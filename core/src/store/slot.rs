//! One record's place in a store: all of it but its bytes.

use super::{Held, Notes, StoreError};
use crate::record::{Key, MAX_SALT, MAX_VALUE, Proof, RecordError, Version};
use crate::{Instant, Kind, Record};

/// What is known of a record that is held, with `place` telling where its bytes are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot<P> {
    pub(super) notes: Notes,
    /// Together with `version`, the age of a plain record.
    stored_at: Instant,
    version: Version,
    pub(super) place: P,
    pub(super) len: u16,
    salt_len: u8,
    pub(super) key: Key,
    /// Chosen to give way to the record that is being put.
    pub(super) leaving: bool,
}

/// A record on offer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Offer<'a> {
    pub(super) record: &'a Record<'a>,
    pub(super) key: Key,
    pub(super) version: Version,
    pub(super) notes: Notes,
    /// Bytes it takes.
    pub(super) size: u16,
}

impl<'a> Offer<'a> {
    /// The record as a store of `capacity` bytes sees it.
    pub(super) fn new(record: &'a Record<'a>, notes: Notes, capacity: usize) -> Result<Self, StoreError> {
        record.check().map_err(|error| match error {
            RecordError::TooLong(_) => StoreError::TooLarge(MAX_VALUE),
            RecordError::SaltTooLong(_) => StoreError::TooLarge(MAX_SALT),
        })?;
        let size = parts(record).iter().map(|part| part.len()).sum::<usize>();
        match u16::try_from(size) {
            Ok(fits) if size <= capacity => Ok(Self { record, key: record.key(), version: record.version(), notes, size: fits }),
            _ => Err(StoreError::TooLarge(capacity)),
        }
    }

    /// The slot it will have, once its bytes are in place.
    pub(super) fn slot<P>(&self, now: Instant, place: P) -> Slot<P> {
        let salt = match self.record.proof {
            Proof::Signed { salt, .. } => salt.len(),
            _ => 0,
        };
        Slot {
            notes: self.notes,
            stored_at: now,
            version: self.version,
            place,
            len: self.size,
            salt_len: u8::try_from(salt).unwrap_or(u8::MAX),
            key: self.key,
            leaving: false,
        }
    }
}

impl<P> Slot<P> {
    /// Bytes it takes.
    pub(super) fn size(&self) -> usize {
        usize::from(self.len)
    }

    /// Its version as of `now`.
    pub(super) fn version(&self, now: Instant) -> Version {
        self.key.kind.aged(self.version, now.since(self.stored_at))
    }

    /// It with its bytes, laid out as [`parts`] does.
    pub(super) fn held<'a>(&'a self, bytes: &'a [u8]) -> Option<Held<'a>> {
        let plain = |proof| Some(Record { value: bytes, proof });
        let stored = match self.key.kind {
            Kind::Plain => plain(Proof::Plain { id: self.key.id, age: self.version.number }),
            Kind::Immutable => plain(Proof::Immutable),
            Kind::Signed => {
                let (public_key, rest) = bytes.split_first_chunk()?;
                let (signature, rest) = rest.split_first_chunk()?;
                let (salt, value) = rest.split_at_checked(usize::from(self.salt_len))?;
                Some(Record { value, proof: Proof::Signed { public_key, salt, sequence: self.version.number, signature } })
            }
        }?;
        Some(Held { key: self.key, stored_version: self.version, stored_at: self.stored_at, stored, notes: &self.notes })
    }

    /// Takes in that the same version was put again.
    pub(super) fn renew(&mut self, now: Instant, offer: &Offer<'_>) {
        if offer.version.number < self.version(now).number {
            (self.version, self.stored_at) = (offer.version, now);
        }
        let held = self.notes;
        self.notes = match (held.pinned, offer.notes.pinned) {
            (_, true) => offer.notes,
            (true, false) => held,
            (false, false) => Notes { tended: held.tended.max(offer.notes.tended), ..held },
        };
        self.notes.expires = held.expires.max(offer.notes.expires);
    }
}

/// A record's bytes, in the order in which stores lay them out.
pub(super) fn parts<'a>(record: &Record<'a>) -> [&'a [u8]; 4] {
    match record.proof {
        Proof::Signed { public_key, salt, signature, .. } => [public_key, signature, salt, record.value],
        Proof::Plain { .. } | Proof::Immutable => [&[], &[], &[], record.value],
    }
}
