//! Records that the fuzz targets put, and a signature scheme in which the fuzzer can make valid signatures.

use kadlet::record::{Proof, Verifier};
use kadlet::{Key, Kind, Record};

/// Accepts a signature that consists of the message and the public key, so that the fuzzer can make valid ones.
pub(crate) const VERIFY: Verifier =
    |public_key, message, signature| signature[..32] == *message && signature[32..] == *public_key;

/// The owned parts of a record.
pub(crate) struct Parts {
    pub(crate) kind: Kind,
    name: u8,
    number: u64,
    value: Vec<u8>,
    salt: Vec<u8>,
    public_key: [u8; 32],
    pub(crate) signature: [u8; 64],
}

impl Parts {
    /// A signed record with a valid signature.
    pub(crate) fn signed(name: u8, salt: &[u8], sequence: u64, value: &[u8]) -> Self {
        let public_key = [name; 32];
        let mut signature = [name; 64];
        signature[..32].copy_from_slice(&Record::signed_digest(0, salt, sequence, value));
        Self {
            kind: Kind::Signed,
            name,
            number: sequence,
            value: value.to_vec(),
            salt: salt.to_vec(),
            public_key,
            signature,
        }
    }

    pub(crate) fn record(&self) -> Record<'_> {
        let value = &self.value;
        match self.kind {
            Kind::Plain => {
                let id = Key::plain(&[self.name]).id;
                Record { value, proof: Proof::Plain { id, age: self.number } }
            }
            Kind::Immutable => Record::immutable(value),
            Kind::Signed => {
                let Self { public_key, salt, signature, .. } = self;
                Record { value, proof: Proof::Signed { public_key, salt, sequence: self.number, signature } }
            }
        }
    }
}
