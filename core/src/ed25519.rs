//! Ed25519 signatures (RFC 8032) for signed records, by ed25519-dalek.
//!
//! ```
//! use kadlet::record::Proof;
//! use kadlet::{Record, ed25519};
//!
//! let secret = [7; 32]; // best 32 bytes of a good random number generator
//! let public_key = ed25519::public_key(&secret);
//! let (salt, sequence, value) = (b"profile", 1, b"hello");
//! let signature = ed25519::sign(&secret, salt, sequence, value);
//!
//! let proof = Proof::Signed { public_key: &public_key, salt, sequence, signature: &signature };
//! let record = Record { value, proof };
//! assert!(record.verify(ed25519::verify));
//! assert!(!Record { value: b"jello", ..record }.verify(ed25519::verify));
//! ```

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};

use crate::Record;

/// Checks a signature: a [`Verifier`](crate::record::Verifier) for `Config::verify`.
///
/// Strict: public keys and signatures of small order are refused, as is what RFC 8032 doesn't allow, so that all nodes agree
/// on every signature. Some 1.75 million instructions on a Cortex-M3, and 8 KB of stack.
#[must_use]
pub fn verify(public_key: &[u8; 32], message: &[u8; 32], signature: &[u8; 64]) -> bool {
    VerifyingKey::from_bytes(public_key)
        .is_ok_and(|key| key.verify_strict(message, &Signature::from_bytes(signature)).is_ok())
}

/// The public key that belongs to a secret key.
#[must_use]
pub fn public_key(secret: &[u8; 32]) -> [u8; 32] {
    SigningKey::from_bytes(secret).verifying_key().to_bytes()
}

/// Signs what a signed record says: its salt, its sequence number and its value ([`Record::signed_digest`]).
///
/// A salt above [`MAX_SALT`](crate::record::MAX_SALT) gives a signature for a record that nobody takes; see [`Record::check`].
#[must_use]
pub fn sign(secret: &[u8; 32], salt: &[u8], sequence: u64, value: &[u8]) -> [u8; 64] {
    SigningKey::from_bytes(secret).sign(&Record::signed_digest(salt, sequence, value)).to_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Proof;

    fn verifies(public_key: &[u8; 32], salt: &[u8], sequence: u64, value: &[u8], signature: &[u8; 64]) -> bool {
        Record { value, proof: Proof::Signed { public_key, salt, sequence, signature } }.verify(verify)
    }

    #[test]
    fn a_signature_covers_salt_sequence_and_value() {
        let secret = [7; 32];
        let key = public_key(&secret);
        let signature = sign(&secret, b"salt", 5, b"value");
        assert!(verifies(&key, b"salt", 5, b"value", &signature));
        assert!(!verifies(&key, b"sale", 5, b"value", &signature));
        assert!(!verifies(&key, b"salt", 6, b"value", &signature));
        assert!(!verifies(&key, b"salt", 5, b"valve", &signature));
        assert!(!verifies(&key, b"saltv", 5, b"alue", &signature), "the salt's end is signed too");
        assert!(!verifies(&public_key(&[8; 32]), b"salt", 5, b"value", &signature));
        for byte in 0..64 {
            let mut tampered = signature;
            tampered[byte] ^= 1;
            assert!(!verifies(&key, b"salt", 5, b"value", &tampered));
        }
    }

    #[test]
    fn keys_are_those_of_rfc_8032() {
        let bytes = |text: &str| -> [u8; 32] {
            core::array::from_fn(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap())
        };
        let secret = bytes("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
        let public = bytes("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
        assert_eq!(public_key(&secret), public);
    }

    #[test]
    fn a_public_key_of_small_order_signs_nothing() {
        // The neutral element as key and R, with s = 0, satisfies the equation for every message unless it is checked strictly.
        let mut neutral = [0; 32];
        neutral[0] = 1;
        let mut signature = [0; 64];
        signature[0] = 1;
        assert!(!verify(&neutral, &[3; 32], &signature));
    }
}
