//! What is stored: keys, records, and who may replace whom.

use core::cmp::Ordering;
use core::fmt;
use core::time::Duration;

use heapless::VecView;
use sha2::{Digest, Sha256};

use crate::{Id, Instant};

/// The most bytes of value and salt together.
pub const MAX_VALUE: usize = 1_000;
/// The most bytes of a salt.
pub const MAX_SALT: usize = 64;

/// What vouches for a record, and so who may replace it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Nothing: anyone may put another value under the same name. For networks whose members trust each other.
    Plain = 0,
    /// The value's own hash.
    Immutable = 1,
    /// An Ed25519 signature by the key's owner.
    Signed = 2,
}

/// What a record is found by: the first 20 bytes of SHA-256 of a kind byte and of what is named, so that one kind can't
/// shadow another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The kind of record that this key can name.
    pub kind: Kind,
    /// Its place among the nodes.
    pub id: Id,
}

/// A (key, value) pair with its proof.
///
/// ```
/// use kadlet::Record;
///
/// let record = Record::immutable(b"hello");
/// assert_eq!(record.key(), kadlet::Key::immutable(b"hello"));
/// assert!(record.check().is_ok());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// The value.
    pub value: &'a [u8],
    /// What vouches for it.
    pub proof: Proof<'a>,
}

/// What vouches for a value, by [`Kind`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof<'a> {
    /// Nothing but its age.
    Plain {
        /// The key's identifier: a hash of the name, which doesn't travel.
        id: Id,
        /// Milliseconds since the put of this value, added to by holders.
        age: u64,
    },
    /// The value's hash is the key.
    Immutable,
    /// A signature over salt, sequence number and value.
    Signed {
        /// The Ed25519 public key; with the salt, its hash is the key.
        public_key: &'a [u8; 32],
        /// Names one of many records of the same public key: at most [`MAX_SALT`] bytes.
        salt: &'a [u8],
        /// The higher one wins.
        sequence: u64,
        /// Signs [`Record::signed_digest`].
        signature: &'a [u8; 64],
    },
}

/// Checks an Ed25519 signature: public key, signed message, signature. With feature `ed25519`, `kadlet::ed25519::verify` is one.
pub type Verifier = fn(public_key: &[u8; 32], message: &[u8; 32], signature: &[u8; 64]) -> bool;

/// Which of the values that a key ever had: enough to tell who wins without the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Version {
    /// Plain: the age in milliseconds. Immutable: 0. Signed: the sequence number.
    pub number: u64,
    /// The first 8 bytes of SHA-256 of the value.
    pub digest: u64,
}

/// How an offered version stands to the one that is held, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// `Greater`: the offered one wins; `Less`: the held one does; `Equal`: they are the same.
    pub offered: Ordering,
    /// What decided.
    pub reason: Reason,
}

/// What decides between two versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// They are the same version, or of a kind that has just one.
    Same,
    /// The younger plain value wins.
    Age,
    /// The higher sequence number wins.
    Sequence,
    /// All else being equal, the higher hash of the value wins.
    Hash,
}

/// Why a record can't be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordError {
    /// Value and salt together are more than [`MAX_VALUE`] bytes: how many.
    TooLong(usize),
    /// The salt is more than [`MAX_SALT`] bytes: how many.
    SaltTooLong(usize),
}

/// Ages of the same plain value that differ by less than this, in milliseconds, are of the same put: what transit adds, nobody
/// measures.
const AGE_SLACK: u64 = 1_000;

impl Key {
    /// The key of plain records under `name`.
    #[must_use]
    pub fn plain(name: &[u8]) -> Self {
        Self::of(Kind::Plain, name, &[])
    }

    /// The key of the immutable record of `value`.
    #[must_use]
    pub fn immutable(value: &[u8]) -> Self {
        Self::of(Kind::Immutable, value, &[])
    }

    /// The key of signed records by the owner of `public_key`, one for each `salt`.
    #[must_use]
    pub fn signed(public_key: &[u8; 32], salt: &[u8]) -> Self {
        Self::of(Kind::Signed, public_key, salt)
    }

    fn of(kind: Kind, named: &[u8], salt: &[u8]) -> Self {
        let digest = sha256(&[&[kind as u8], named, salt]);
        let mut id = [0; Id::LEN];
        id.copy_from_slice(&digest[..Id::LEN]);
        Self { kind, id: Id::from_bytes(id) }
    }
}

/// The hash of some bytes, one part after the other.
fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    parts.iter().for_each(|part| hash.update(part));
    hash.finalize().into()
}

impl<'a> Record<'a> {
    /// A plain record just put under `name`.
    #[must_use]
    pub fn plain(name: &[u8], value: &'a [u8]) -> Self {
        Self { value, proof: Proof::Plain { id: Key::plain(name).id, age: 0 } }
    }

    /// The immutable record of `value`.
    #[must_use]
    pub const fn immutable(value: &'a [u8]) -> Self {
        Self { value, proof: Proof::Immutable }
    }

    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self.proof {
            Proof::Plain { .. } => Kind::Plain,
            Proof::Immutable => Kind::Immutable,
            Proof::Signed { .. } => Kind::Signed,
        }
    }

    /// The key it is found by. Costs a SHA-256 of the value for an immutable record, of key and salt for a signed one.
    #[must_use]
    pub fn key(&self) -> Key {
        match self.proof {
            Proof::Plain { id, .. } => Key { kind: Kind::Plain, id },
            Proof::Immutable => Key::immutable(self.value),
            Proof::Signed { public_key, salt, .. } => Key::signed(public_key, salt),
        }
    }

    /// Its version's number. Plain: the age in milliseconds. Immutable: 0. Signed: the sequence number.
    #[must_use]
    pub const fn number(&self) -> u64 {
        match self.proof {
            Proof::Plain { age, .. } => age,
            Proof::Immutable => 0,
            Proof::Signed { sequence, .. } => sequence,
        }
    }

    /// Its version. Costs a SHA-256 of the value.
    #[must_use]
    pub fn version(&self) -> Version {
        let [a, b, c, d, e, f, g, h, ..] = sha256(&[self.value]);
        Version { number: self.number(), digest: u64::from_be_bytes([a, b, c, d, e, f, g, h]) }
    }

    /// Whether its parts are within bounds.
    ///
    /// # Errors
    ///
    /// [`RecordError`] names the bound that is exceeded.
    pub fn check(&self) -> Result<(), RecordError> {
        let salt = self.salt_len();
        if salt > MAX_SALT {
            return Err(RecordError::SaltTooLong(salt));
        }
        match self.value.len().saturating_add(salt) {
            length if length > MAX_VALUE => Err(RecordError::TooLong(length)),
            _ => Ok(()),
        }
    }

    /// Its bytes, in the order in which they are kept.
    pub(crate) fn parts(&self) -> [&'a [u8]; 4] {
        match self.proof {
            Proof::Signed { public_key, salt, signature, .. } => [public_key, signature, salt, self.value],
            Proof::Plain { .. } | Proof::Immutable => [&[], &[], &[], self.value],
        }
    }

    /// Puts its parts behind what is kept, if there is room.
    pub(crate) fn keep(&self, kept: &mut VecView<u8>) -> Option<()> {
        self.parts().iter().try_for_each(|part| kept.extend_from_slice(part).ok())
    }

    /// The record under `key`, of its version's number and of its parts as they are kept.
    pub(crate) fn of_parts(key: &Key, number: u64, salt_len: u8, parts: &'a [u8]) -> Option<Self> {
        let mut value = parts;
        let proof = match key.kind {
            Kind::Plain => Proof::Plain { id: key.id, age: number },
            Kind::Immutable => Proof::Immutable,
            Kind::Signed => {
                let (public_key, rest) = parts.split_first_chunk()?;
                let (signature, rest) = rest.split_first_chunk()?;
                let salt;
                (salt, value) = rest.split_at_checked(usize::from(salt_len))?;
                Proof::Signed { public_key, salt, sequence: number, signature }
            }
        };
        Some(Self { value, proof })
    }

    /// The length of its salt, which it has if it is signed.
    pub(crate) fn salt_len(&self) -> usize {
        match self.proof {
            Proof::Signed { salt, .. } => salt.len(),
            Proof::Plain { .. } | Proof::Immutable => 0,
        }
    }

    /// What a signature signs: SHA-256 of `kadlet record 1`, the salt's length in one byte, the salt, the sequence number in
    /// eight bytes, most significant first, and the value. The public key itself is covered by the key.
    #[must_use]
    pub fn signed_digest(salt: &[u8], sequence: u64, value: &[u8]) -> [u8; 32] {
        let length = u8::try_from(salt.len()).unwrap_or(u8::MAX);
        sha256(&[b"kadlet record 1", &[length], salt, &sequence.to_be_bytes(), value])
    }

    /// Whether its signature holds; true for the kinds that have none.
    #[must_use]
    pub fn verify(&self, verifier: Verifier) -> bool {
        match self.proof {
            Proof::Signed { public_key, salt, sequence, signature } => {
                verifier(public_key, &Self::signed_digest(salt, sequence, self.value), signature)
            }
            _ => true,
        }
    }
}

impl Kind {
    /// Who wins, and why: the version that is held or the one that is offered, both as of the same instant.
    ///
    /// - plain: the younger, then the higher hash; the same value put again counts as younger, not as the same, from a second on;
    /// - immutable: there is only one;
    /// - signed: the higher sequence number, then the higher hash.
    #[must_use]
    pub fn contest(self, held: Version, offered: Version) -> Verdict {
        let same = Verdict { offered: Ordering::Equal, reason: Reason::Same };
        let higher = offered.number.cmp(&held.number);
        let (by_number, reason) = match self {
            Self::Immutable => return same,
            Self::Plain if held.digest == offered.digest && held.number.abs_diff(offered.number) < AGE_SLACK => {
                return same;
            }
            Self::Plain => (higher.reverse(), Reason::Age),
            Self::Signed => (higher, Reason::Sequence),
        };
        match (by_number, offered.digest.cmp(&held.digest)) {
            (Ordering::Equal, Ordering::Equal) => same,
            (Ordering::Equal, by_hash) => Verdict { offered: by_hash, reason: Reason::Hash },
            (by_number, _) => Verdict { offered: by_number, reason },
        }
    }

    /// The version a given time later: plain records age, others don't.
    #[must_use]
    pub fn aged(self, version: Version, by: Duration) -> Version {
        self.as_of(Instant::ZERO + by, version, Instant::ZERO)
    }

    /// The same as of `now`, for what the version was `then`.
    #[inline(never)]
    pub(crate) fn as_of(self, now: Instant, version: Version, then: Instant) -> Version {
        match self {
            Self::Plain => {
                Version { number: version.number.saturating_add(now.micros_since(then).millis()), ..version }
            }
            Self::Immutable | Self::Signed => version,
        }
    }
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong(length) => write!(f, "value and salt are {length} bytes together; the limit is {MAX_VALUE}"),
            Self::SaltTooLong(length) => write!(f, "the salt is {length} bytes; the limit is {MAX_SALT}"),
        }
    }
}

impl core::error::Error for RecordError {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::string::ToString;

    fn version(number: u64, digest: u64) -> Version {
        Version { number, digest }
    }

    #[test]
    fn kinds_do_not_shadow_each_other() {
        assert_ne!(Key::plain(b"x").id, Key::immutable(b"x").id);
        assert_ne!(Key::plain(&[7; 32]).id, Key::signed(&[7; 32], b"").id);
    }

    #[test]
    fn each_kind_has_its_own_rule() {
        let plain = Kind::Plain.contest(version(5_000, 1), version(4_000, 0));
        assert_eq!(plain, Verdict { offered: Ordering::Greater, reason: Reason::Age });
        let put_again = Kind::Plain.contest(version(5_000, 1), version(0, 1));
        assert_eq!(put_again, Verdict { offered: Ordering::Greater, reason: Reason::Age });
        let relayed = Kind::Plain.contest(version(5_000, 1), version(4_990, 1));
        assert_eq!(relayed, Verdict { offered: Ordering::Equal, reason: Reason::Same });
        let signed = Kind::Signed.contest(version(5, 9), version(4, 1));
        assert_eq!(signed, Verdict { offered: Ordering::Less, reason: Reason::Sequence });
        let tie = Kind::Signed.contest(version(5, 1), version(5, 9));
        assert_eq!(tie, Verdict { offered: Ordering::Greater, reason: Reason::Hash });
        assert_eq!(Kind::Immutable.contest(version(0, 1), version(0, 1)).offered, Ordering::Equal);
    }

    #[test]
    fn a_record_too_long_names_the_limit() {
        assert_eq!(Record::immutable(&[0; 1_001]).check(), Err(RecordError::TooLong(1_001)));
        assert_eq!(Record::immutable(&[0; 1_000]).check(), Ok(()));
        let salted = |salt, value| Record {
            value,
            proof: Proof::Signed { public_key: &[0; 32], salt, sequence: 0, signature: &[0; 64] },
        };
        assert_eq!(salted(&[0; 65], &[]).check(), Err(RecordError::SaltTooLong(65)));
        assert_eq!(salted(&[0; 64], &[0; 937]).check(), Err(RecordError::TooLong(1_001)));
        assert!(RecordError::TooLong(1_001).to_string().contains("1000"));
    }

    proptest! {
        #[test]
        fn nobody_wins_both_ways(a: (u64, u64), b: (u64, u64)) {
            for kind in [Kind::Plain, Kind::Immutable, Kind::Signed] {
                let (a, b) = (version(a.0, a.1), version(b.0, b.1));
                let (there, back) = (kind.contest(a, b), kind.contest(b, a));
                prop_assert_eq!(there.offered, back.offered.reverse());
                prop_assert_eq!(there.reason, back.reason);
                prop_assert_eq!(kind.contest(a, a).reason, Reason::Same);
            }
        }
    }
}
