//! Records that the fuzzer's nodes put, and a signature that it can make.

use kadlet::record::{Proof, Verifier};
use kadlet::{Key, Kind, Record};

/// Says of a signature that it holds if it begins with what it signs, so that the fuzzer can forge what should hold.
pub(crate) const VERIFY: Verifier =
    |public_key, message, signature| signature[..32] == *message && signature[32..] == *public_key;

/// A record in parts that it borrows.
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
    /// A signed record whose signature holds.
    pub(crate) fn signed(name: u8, salt: &[u8], sequence: u64, value: &[u8]) -> Self {
        let public_key = [name; 32];
        let mut signature = [name; 64];
        signature[..32].copy_from_slice(&Record::signed_digest(salt, sequence, value));
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
