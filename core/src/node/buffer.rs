//! The buffers in which records found by a get wait for the user.

use core::time::Duration;

use crate::record::{Kind, MAX_VALUE, Proof, Record, Version};
use crate::{Id, Instant};

/// One record on its way to the user. Zeros when empty.
#[derive(Debug)]
pub(super) struct Buffer {
    pub(super) taken: bool,
    filled: bool,
    kind: Kind,
    id: Id,
    version: Version,
    public_key: [u8; 32],
    signature: [u8; 64],
    lifetime: u32,
    at: Instant,
    value_len: u16,
    salt_len: u16,
    /// The value, then the salt.
    bytes: [u8; MAX_VALUE],
}

impl Buffer {
    pub(super) const EMPTY: Self = Self {
        taken: false,
        filled: false,
        kind: Kind::Plain,
        id: Id::ZERO,
        version: Version { number: 0, digest: 0 },
        public_key: [0; 32],
        signature: [0; 64],
        lifetime: 0,
        at: Instant::ZERO,
        value_len: 0,
        salt_len: 0,
        bytes: [0; MAX_VALUE],
    };

    pub(super) const fn take(&mut self) {
        self.taken = true;
        self.filled = false;
    }

    pub(super) const fn free(&mut self) {
        self.taken = false;
        self.filled = false;
    }

    /// Keeps a record whose parts are within bounds, in place of what was kept before.
    pub(super) fn fill(&mut self, now: Instant, record: &Record<'_>, version: Version, lifetime: u32) {
        self.kind = record.kind();
        self.version = version;
        self.lifetime = lifetime;
        self.at = now;
        let mut salt: &[u8] = &[];
        match record.proof {
            Proof::Plain { id, .. } => self.id = id,
            Proof::Immutable => {}
            Proof::Signed { public_key, salt: named, signature, .. } => {
                self.public_key = *public_key;
                self.signature = *signature;
                salt = named;
            }
        }
        let (Ok(value_len), Ok(salt_len)) = (u16::try_from(record.value.len()), u16::try_from(salt.len())) else {
            return;
        };
        let Some((value, rest)) = self.bytes.split_at_mut_checked(record.value.len()) else {
            return;
        };
        let Some(room) = rest.get_mut(..salt.len()) else {
            return;
        };
        value.copy_from_slice(record.value);
        room.copy_from_slice(salt);
        (self.value_len, self.salt_len) = (value_len, salt_len);
        self.filled = true;
    }

    /// The record kept, with its age as of `now`, and what is left of its time.
    pub(super) fn record(&self, now: Instant) -> Option<(Record<'_>, Duration)> {
        let passed = now.since(self.at);
        let (value, rest) = self.bytes.split_at_checked(usize::from(self.value_len)).filter(|_| self.filled)?;
        let proof = match self.kind {
            Kind::Plain => Proof::Plain { id: self.id, age: Kind::Plain.aged(self.version, passed).number },
            Kind::Immutable => Proof::Immutable,
            Kind::Signed => Proof::Signed {
                public_key: &self.public_key,
                salt: rest.get(..usize::from(self.salt_len))?,
                sequence: self.version.number,
                signature: &self.signature,
            },
        };
        Some((Record { value, proof }, Duration::from_secs(u64::from(self.lifetime)).saturating_sub(passed)))
    }
}
