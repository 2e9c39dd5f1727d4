//! A record that owns its bytes, to be kept or sent to another thread.

use kadlet::record::{Proof, Record};
use kadlet::{Id, Key};

/// A [`Record`] that owns its bytes.
///
/// ```
/// use kadlet::Record;
/// use kadlet_udp::RecordBuf;
///
/// let record = Record::immutable(b"hello");
/// assert_eq!(RecordBuf::from(&record).as_record(), record);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordBuf {
    /// The value.
    pub value: Vec<u8>,
    /// What vouches for it.
    pub proof: ProofBuf,
}

/// A [`Proof`] that owns its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProofBuf {
    /// Nothing but its age.
    Plain {
        /// The key's identifier.
        id: Id,
        /// Milliseconds since the put of this value.
        age: u64,
    },
    /// The value's hash is the key.
    Immutable,
    /// A signature over salt, sequence number and value.
    Signed {
        /// The Ed25519 public key.
        public_key: [u8; 32],
        /// Names one of many records of the same public key.
        salt: Vec<u8>,
        /// The higher one wins.
        sequence: u64,
        /// Signs [`Record::signed_digest`].
        signature: [u8; 64],
    },
}

impl RecordBuf {
    /// The same record, borrowed.
    #[must_use]
    pub fn as_record(&self) -> Record<'_> {
        let proof = match &self.proof {
            ProofBuf::Plain { id, age } => Proof::Plain { id: *id, age: *age },
            ProofBuf::Immutable => Proof::Immutable,
            ProofBuf::Signed { public_key, salt, sequence, signature } => {
                Proof::Signed { public_key, salt, sequence: *sequence, signature }
            }
        };
        Record { value: &self.value, proof }
    }

    /// The key it is found by.
    #[must_use]
    pub fn key(&self) -> Key {
        self.as_record().key()
    }
}

impl From<&Record<'_>> for RecordBuf {
    fn from(record: &Record<'_>) -> Self {
        let proof = match record.proof {
            Proof::Plain { id, age } => ProofBuf::Plain { id, age },
            Proof::Immutable => ProofBuf::Immutable,
            Proof::Signed { public_key, salt, sequence, signature } => {
                ProofBuf::Signed { public_key: *public_key, salt: salt.to_vec(), sequence, signature: *signature }
            }
        };
        Self { value: record.value.to_vec(), proof }
    }
}
