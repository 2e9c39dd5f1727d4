//! The buffers in which records that a get found wait for the user.

use core::ops::{Deref, DerefMut};

use heapless::Vec;

use crate::id::Id;
use crate::record::{Key, Kind, MAX_VALUE, Record, Version};
use crate::time::{Instant, Micros};

/// The most bytes of a record's parts: public key, signature, and salt and value, which are bounded together.
const MAX_PARTS: usize = 32 + 64 + MAX_VALUE;

/// The buffers of a node.
#[derive(Debug)]
pub struct Buffers<const N: usize>([Buffer; N]);

/// A buffer for one record. Zeros when empty.
#[derive(Debug)]
pub struct Buffer {
    pub(super) taken: bool,
    filled: bool,
    salt_len: u8,
    key: Key,
    lifetime: u32,
    version: Version,
    at: Instant,
    parts: Vec<u8, MAX_PARTS>,
}

impl<const N: usize> Buffers<N> {
    pub(super) const EMPTY: Self = Self([const { Buffer::EMPTY }; N]);
}

impl<const N: usize> Deref for Buffers<N> {
    type Target = [Buffer];

    fn deref(&self) -> &[Buffer] {
        &self.0
    }
}

impl<const N: usize> DerefMut for Buffers<N> {
    fn deref_mut(&mut self) -> &mut [Buffer] {
        &mut self.0
    }
}

impl Buffer {
    const EMPTY: Self = Self {
        taken: false,
        filled: false,
        salt_len: 0,
        key: Key { kind: Kind::Plain, id: Id::ZERO },
        lifetime: 0,
        version: Version { number: 0, digest: 0 },
        at: Instant::ZERO,
        parts: Vec::new(),
    };

    /// Takes the buffer for a get. It has no record yet.
    pub(super) const fn take(&mut self) {
        self.taken = true;
        self.filled = false;
    }

    /// Frees the buffer, and forgets its record.
    pub(super) const fn free(&mut self) {
        self.taken = false;
        self.filled = false;
    }

    /// Keeps a record, whose parts must be within bounds, in place of the last one.
    pub(super) fn fill(&mut self, now: Instant, key: Key, record: &Record<'_>, version: Version, lifetime: u32) {
        (self.key, self.version, self.lifetime, self.at) = (key, version, lifetime, now);
        self.salt_len = u8::try_from(record.salt_len()).unwrap_or(u8::MAX);
        self.parts.clear();
        self.filled = record.keep(&mut self.parts).is_some();
    }

    /// The record, with its age as of `now`, and what is left of its lifetime.
    pub(super) fn record(&self, now: Instant) -> Option<(Record<'_>, Micros)> {
        if !self.filled {
            return None;
        }
        let version = self.key.kind.as_of(now, self.version, self.at);
        let record = Record::of_parts(&self.key, version.number, self.salt_len, &self.parts)?;
        let left = Micros::from_secs(u64::from(self.lifetime)).saturating_sub(now.micros_since(self.at));
        Some((record, left))
    }
}
