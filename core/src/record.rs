//! Records: (key, value) pairs with a proof, their versions, and which of two versions wins.

use core::cmp::Ordering;
use core::fmt;
use core::time::Duration;

use heapless::VecView;
use sha2::{Digest, Sha256};

use crate::id::Id;
use crate::time::Instant;

/// The most bytes of value and salt together.
pub const MAX_VALUE: usize = 1_000;
/// The most bytes of a salt.
pub const MAX_SALT: usize = 64;

/// The kind of a record: what proves that its value belongs to its key. It decides who can replace the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// No proof: any node can put another value under the same name. For networks whose members trust each other.
    Plain = 0,
    /// The hash of the value, which is the key. The record can't be replaced.
    Immutable = 1,
    /// An Ed25519 signature. Only the owner of the secret key can replace the record.
    Signed = 2,
}

/// The key of a record. Its identifier is the first 20 bytes of SHA-256 of the kind's number in one byte, then of the
/// name (plain), the value (immutable), or public key and salt (signed). So a record of one kind can't shadow one of
/// another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The kind of the records under this key.
    pub kind: Kind,
    /// The identifier. The nodes nearest to it hold the record.
    pub id: Id,
}

/// A value with its proof, which determines its key.
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
    /// The proof that the value belongs to the key.
    pub proof: Proof<'a>,
}

/// The proof that a value belongs to its key, one form for each [`Kind`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof<'a> {
    /// No proof, only the age.
    Plain {
        /// The identifier of the key: a hash of the name. The name itself is in no message.
        id: Id,
        /// Milliseconds since this value was put. Each holder adds the time for which it has held the record.
        age: u64,
    },
    /// The hash of the value is the key.
    Immutable,
    /// A signature over the network's number, salt, sequence number and value.
    Signed {
        /// The Ed25519 public key. The hash of public key and salt is the key of the record.
        public_key: &'a [u8; 32],
        /// Distinguishes records of the same public key: at most [`MAX_SALT`] bytes.
        salt: &'a [u8],
        /// The sequence number. Of two versions, the one with the higher number wins.
        sequence: u64,
        /// The signature of [`Record::signed_digest`].
        signature: &'a [u8; 64],
    },
}

/// A function that checks an Ed25519 signature: true if the signature of the message is valid.
/// `kadlet::ed25519::verify` (feature `ed25519`) is one.
pub type Verifier = fn(public_key: &[u8; 32], message: &[u8; 32], signature: &[u8; 64]) -> bool;

/// The version of a record: enough to decide which of two versions wins, without their values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Version {
    /// Plain: the age in milliseconds. Immutable: 0. Signed: the sequence number.
    pub number: u64,
    /// The first 8 bytes of SHA-256 of the value.
    pub digest: u64,
}

/// The result of comparing the version that is offered with the one that is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verdict {
    /// `Greater` if the offered version wins, `Less` if the held one does, `Equal` if they are the same.
    pub offered: Ordering,
    /// The rule that decided.
    pub reason: Reason,
}

/// The rule that decides between two versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// Both are the same version, or of a kind with only one version.
    Same,
    /// Of two plain records, the younger wins.
    Age,
    /// Of two signed records, the one with the higher sequence number wins.
    Sequence,
    /// Age or sequence number is the same. The higher hash of the value wins.
    Hash,
}

/// Why a record is not valid: it exceeds a bound of all records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecordError {
    /// Value and salt together are longer than [`MAX_VALUE`] bytes. It holds their length.
    TooLong(usize),
    /// The salt is longer than [`MAX_SALT`] bytes. It holds its length.
    SaltTooLong(usize),
}

/// Ages of the same plain value that differ by less than this, in milliseconds, belong to the same put: a record gets
/// older on its way from one node to another, and no node measures by how much.
const AGE_SLACK: u64 = 1_000;

impl Key {
    /// The key of the plain record under `name`.
    #[must_use]
    pub fn plain(name: &[u8]) -> Self {
        Self::of(Kind::Plain, name, &[])
    }

    /// The key of the immutable record of `value`.
    #[must_use]
    pub fn immutable(value: &[u8]) -> Self {
        Self::of(Kind::Immutable, value, &[])
    }

    /// The key of the signed record of `public_key` and `salt`.
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

/// The SHA-256 of these parts, one after the other.
fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    parts.iter().for_each(|part| hash.update(part));
    hash.finalize().into()
}

impl<'a> Record<'a> {
    /// A plain record of `value` under `name`, of age 0.
    #[must_use]
    pub fn plain(name: &[u8], value: &'a [u8]) -> Self {
        Self { value, proof: Proof::Plain { id: Key::plain(name).id, age: 0 } }
    }

    /// The immutable record of `value`.
    #[must_use]
    pub const fn immutable(value: &'a [u8]) -> Self {
        Self { value, proof: Proof::Immutable }
    }

    /// The kind of the record.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self.proof {
            Proof::Plain { .. } => Kind::Plain,
            Proof::Immutable => Kind::Immutable,
            Proof::Signed { .. } => Kind::Signed,
        }
    }

    /// The key of the record. Costs a SHA-256: of the value for an immutable record, of public key and salt for a
    /// signed one.
    #[must_use]
    pub fn key(&self) -> Key {
        match self.proof {
            Proof::Plain { id, .. } => Key { kind: Kind::Plain, id },
            Proof::Immutable => Key::immutable(self.value),
            Proof::Signed { public_key, salt, .. } => Key::signed(public_key, salt),
        }
    }

    /// The number of the version. Plain: the age in milliseconds. Immutable: 0. Signed: the sequence number.
    #[must_use]
    pub const fn number(&self) -> u64 {
        match self.proof {
            Proof::Plain { age, .. } => age,
            Proof::Immutable => 0,
            Proof::Signed { sequence, .. } => sequence,
        }
    }

    /// The version of the record. Costs a SHA-256 of the value.
    #[must_use]
    pub fn version(&self) -> Version {
        let [a, b, c, d, e, f, g, h, ..] = sha256(&[self.value]);
        Version { number: self.number(), digest: u64::from_be_bytes([a, b, c, d, e, f, g, h]) }
    }

    /// Checks that the record is within the bounds [`MAX_VALUE`] and [`MAX_SALT`]. Doesn't check the signature.
    ///
    /// # Errors
    ///
    /// [`RecordError`]: the bound that is exceeded.
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

    /// The bytes of the record, in the order in which stores and buffers keep them.
    pub(crate) fn parts(&self) -> [&'a [u8]; 4] {
        match self.proof {
            Proof::Signed { public_key, salt, signature, .. } => [public_key, signature, salt, self.value],
            Proof::Plain { .. } | Proof::Immutable => [&[], &[], &[], self.value],
        }
    }

    /// Appends the parts of the record to `kept`. `None` if there is no room.
    pub(crate) fn keep(&self, kept: &mut VecView<u8>) -> Option<()> {
        self.parts().iter().try_for_each(|part| kept.extend_from_slice(part).ok())
    }

    /// The record under `key` with this version number, made of its parts as they are kept.
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

    /// The length of the salt. 0 unless the record is signed.
    pub(crate) fn salt_len(&self) -> usize {
        match self.proof {
            Proof::Signed { salt, .. } => salt.len(),
            Proof::Plain { .. } | Proof::Immutable => 0,
        }
    }

    /// The digest that a signature signs: the SHA-256 of the text `kadlet record 1`, the number of the network in two
    /// bytes, the length of the salt in one byte, the salt, the sequence number in eight bytes and the value. Numbers
    /// are most significant byte first. So a record of one network is none in another. The public key is not in it,
    /// because the key of the record depends on it already.
    #[must_use]
    pub fn signed_digest(network: u16, salt: &[u8], sequence: u64, value: &[u8]) -> [u8; 32] {
        let length = u8::try_from(salt.len()).unwrap_or(u8::MAX);
        sha256(&[b"kadlet record 1", &network.to_be_bytes(), &[length], salt, &sequence.to_be_bytes(), value])
    }

    /// Whether the signature is valid in the network with this number. True for records without a signature.
    #[must_use]
    pub fn verify(&self, network: u16, verifier: Verifier) -> bool {
        match self.proof {
            Proof::Signed { public_key, salt, sequence, signature } => {
                verifier(public_key, &Self::signed_digest(network, salt, sequence, self.value), signature)
            }
            _ => true,
        }
    }
}

impl Kind {
    /// Decides which version wins: the one that is held or the one that is offered, both as of the same instant.
    ///
    /// - Plain: the younger one, then the one with the higher hash. If the values are the same and the ages differ by
    ///   less than a second, both are the same version; from a second on, the younger one wins, because the value was
    ///   put again.
    /// - Immutable: there is only one version.
    /// - Signed: the one with the higher sequence number, then the one with the higher hash.
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

    /// The version a given time later: plain records age, other kinds don't.
    #[must_use]
    pub fn aged(self, version: Version, by: Duration) -> Version {
        self.as_of(Instant::ZERO + by, version, Instant::ZERO)
    }

    /// The version as of `now`, given the version as of `then`.
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

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "plain",
            Self::Immutable => "immutable",
            Self::Signed => "signed",
        })
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Same => "the versions are the same",
            Self::Age => "the younger version wins",
            Self::Sequence => "the higher sequence number wins",
            Self::Hash => "the higher hash wins",
        })
    }
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong(length) => {
                write!(f, "value and salt together are {length} bytes long; the limit is {MAX_VALUE}")
            }
            Self::SaltTooLong(length) => write!(f, "the salt is {length} bytes long; the limit is {MAX_SALT}"),
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
    fn records_of_different_kinds_have_different_keys() {
        assert_ne!(Key::plain(b"x").id, Key::immutable(b"x").id);
        assert_ne!(Key::plain(&[7; 32]).id, Key::signed(&[7; 32], b"").id);
    }

    #[test]
    fn each_kind_has_its_own_rule_for_which_version_wins() {
        let plain = Kind::Plain.contest(version(5_000, 1), version(4_000, 0));
        assert_eq!(plain, Verdict { offered: Ordering::Greater, reason: Reason::Age });
        let put_again = Kind::Plain.contest(version(5_000, 1), version(0, 1));
        assert_eq!(put_again, Verdict { offered: Ordering::Greater, reason: Reason::Age });
        let same_put = Kind::Plain.contest(version(5_000, 1), version(4_990, 1));
        assert_eq!(same_put, Verdict { offered: Ordering::Equal, reason: Reason::Same });
        let signed = Kind::Signed.contest(version(5, 9), version(4, 1));
        assert_eq!(signed, Verdict { offered: Ordering::Less, reason: Reason::Sequence });
        let tie = Kind::Signed.contest(version(5, 1), version(5, 9));
        assert_eq!(tie, Verdict { offered: Ordering::Greater, reason: Reason::Hash });
        assert_eq!(Kind::Immutable.contest(version(0, 1), version(0, 1)).offered, Ordering::Equal);
    }

    #[test]
    fn a_record_that_is_too_long_is_refused_with_its_length_and_the_limit() {
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
        fn the_same_version_wins_whichever_is_offered(a: (u64, u64), b: (u64, u64)) {
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
