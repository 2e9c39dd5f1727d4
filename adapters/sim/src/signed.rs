//! Signed records without cryptography.

use kadlet::record::{Proof, Verifier};
use kadlet::{Key, Record};

/// A signed record, by a scheme that costs nothing: a signature is the message and the public key. No attacker of the
/// simulator forges one.
///
/// ```
/// use kadlet_sim::SignedRecord;
///
/// let record = SignedRecord::new([7; 32], 2, b"value");
/// assert_eq!(record.record().key(), record.key());
/// assert!(record.record().verify(0, SignedRecord::VERIFY));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedRecord {
    public_key: [u8; 32],
    sequence: u64,
    value: Vec<u8>,
    signature: [u8; 64],
}

impl SignedRecord {
    /// Checks the signatures of this scheme: the configuration's `verify` for a network of such records.
    pub const VERIFY: Verifier =
        |public_key, message, signature| signature[..32] == *message && signature[32..] == *public_key;

    /// The record of this public key with an empty salt, for network 0, the default of `Config::network`.
    #[must_use]
    pub fn new(public_key: [u8; 32], sequence: u64, value: &[u8]) -> Self {
        let mut signature = [0; 64];
        signature[..32].copy_from_slice(&Record::signed_digest(0, &[], sequence, value));
        signature[32..].copy_from_slice(&public_key);
        Self { public_key, sequence, value: value.to_vec(), signature }
    }

    /// Its key.
    #[must_use]
    pub fn key(&self) -> Key {
        Key::signed(&self.public_key, &[])
    }

    /// The record.
    #[must_use]
    pub fn record(&self) -> Record<'_> {
        let Self { public_key, sequence, signature, .. } = self;
        Record { value: &self.value, proof: Proof::Signed { public_key, salt: &[], sequence: *sequence, signature } }
    }
}
