//! A record that owns its bytes, so that it can be kept or sent to another thread.

use core::fmt;

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
    /// The proof that the value belongs to its key.
    pub proof: ProofBuf,
}

/// A [`Proof`] that owns its bytes.
///
/// ```
/// use kadlet_udp::ProofBuf;
///
/// let proof = ProofBuf::Signed { public_key: [1; 32], salt: Vec::new(), sequence: 5, signature: [2; 64] };
/// assert_eq!(proof.to_string(), "signed, sequence number 5");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProofBuf {
    /// No proof: anyone in the network can replace the record.
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
        /// Tells apart the records of one public key.
        salt: Vec<u8>,
        /// The record's version: the highest sequence number wins.
        sequence: u64,
        /// The signature of [`Record::signed_digest`].
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

    /// The key that it is stored under.
    #[must_use]
    pub fn key(&self) -> Key {
        self.as_record().key()
    }
}

impl fmt::Display for ProofBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain { age, .. } => write!(f, "plain, {age} ms old"),
            Self::Immutable => f.write_str("immutable"),
            Self::Signed { sequence, .. } => write!(f, "signed, sequence number {sequence}"),
        }
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
