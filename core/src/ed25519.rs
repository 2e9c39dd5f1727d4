//! Ed25519 signatures (RFC 8032) for signed records, by ed25519-dalek.
//!
//! ```
//! use kadlet::record::Proof;
//! use kadlet::{Record, ed25519};
//!
//! let secret = [7; 32]; // in a real program: 32 bytes from a good random number generator
//! let public_key = ed25519::public_key(&secret);
//! let (network, salt, sequence, value) = (0, b"profile", 1, b"hello");
//! let signature = ed25519::sign(&secret, network, salt, sequence, value);
//!
//! let proof = Proof::Signed { public_key: &public_key, salt, sequence, signature: &signature };
//! let record = Record { value, proof };
//! assert!(record.verify(network, ed25519::verify));
//! assert!(!Record { value: b"jello", ..record }.verify(network, ed25519::verify));
//! ```

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};

use crate::record::Record;

/// Checks a signature. It is a [`Verifier`](crate::record::Verifier) for `Config::verify`.
///
/// The check is strict, so that all nodes agree on every signature. Let *A* be the public key, *R* and *S* the two
/// halves of the signature, and h the hash of *R*, *A* and the message. A signature is refused unless all of these
/// hold:
///
/// - *S* is less than the group order.
/// - *A* and *R* are points on the curve, and neither has small order (1, 2, 4 or 8).
/// - \[S\]B - \[h\]A, encoded, is *R* byte for byte. This is the equation without the cofactor.
///
/// Two unusual kinds of public key are accepted. One is a point of mixed order. The other is a y coordinate that is not
/// reduced modulo 2^255 - 19: RFC 8032 refuses it, but no secret key for such a public key is known.
///
/// It costs some 1.75 million instructions on a Cortex-M3, and 8 KB of stack.
#[must_use]
pub fn verify(public_key: &[u8; 32], message: &[u8; 32], signature: &[u8; 64]) -> bool {
    VerifyingKey::from_bytes(public_key)
        .is_ok_and(|key| key.verify_strict(message, &Signature::from_bytes(signature)).is_ok())
}

/// The public key of a secret key.
#[must_use]
pub fn public_key(secret: &[u8; 32]) -> [u8; 32] {
    SigningKey::from_bytes(secret).verifying_key().to_bytes()
}

/// Signs a record of the network with this number: its [`Record::signed_digest`], of the network's number, salt,
/// sequence number and value.
///
/// If the salt is longer than [`MAX_SALT`](crate::record::MAX_SALT), no node takes the record; see [`Record::check`].
#[must_use]
pub fn sign(secret: &[u8; 32], network: u16, salt: &[u8], sequence: u64, value: &[u8]) -> [u8; 64] {
    SigningKey::from_bytes(secret).sign(&Record::signed_digest(network, salt, sequence, value)).to_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Proof;

    fn bytes(text: &str) -> [u8; 32] {
        core::array::from_fn(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap())
    }

    fn verifies(public_key: &[u8; 32], salt: &[u8], sequence: u64, value: &[u8], signature: &[u8; 64]) -> bool {
        Record { value, proof: Proof::Signed { public_key, salt, sequence, signature } }.verify(0, verify)
    }

    #[test]
    fn a_signature_covers_salt_sequence_and_value() {
        let secret = [7; 32];
        let key = public_key(&secret);
        let signature = sign(&secret, 0, b"salt", 5, b"value");
        assert!(verifies(&key, b"salt", 5, b"value", &signature));
        assert!(!verifies(&key, b"sale", 5, b"value", &signature));
        assert!(!verifies(&key, b"salt", 6, b"value", &signature));
        assert!(!verifies(&key, b"salt", 5, b"valve", &signature));
        assert!(!verifies(&key, b"saltv", 5, b"alue", &signature), "where the salt ends is signed too");
        assert!(!verifies(&public_key(&[8; 32]), b"salt", 5, b"value", &signature));
        for byte in 0..64 {
            let mut tampered = signature;
            tampered[byte] ^= 1;
            assert!(!verifies(&key, b"salt", 5, b"value", &tampered));
        }
    }

    #[test]
    fn a_record_of_one_network_is_none_in_another() {
        let (key, signature) = (public_key(&[7; 32]), sign(&[7; 32], 1, b"salt", 5, b"value"));
        let proof = Proof::Signed { public_key: &key, salt: b"salt", sequence: 5, signature: &signature };
        let record = Record { value: b"value", proof };
        assert!(record.verify(1, verify) && !record.verify(0, verify) && !record.verify(0x0100, verify));
    }

    #[test]
    fn a_public_key_is_that_of_the_first_test_in_rfc_8032() {
        let secret = bytes("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
        let public = bytes("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
        assert_eq!(public_key(&secret), public);
    }

    #[test]
    fn a_signature_whose_s_is_not_below_the_group_order_is_refused() {
        // In little-endian order, as S is.
        let mut order = bytes("1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3ed");
        order.reverse();
        let (key, mut signature) = (public_key(&[7; 32]), sign(&[7; 32], 0, b"", 1, b"value"));
        assert!(verifies(&key, b"", 1, b"value", &signature));
        let mut carry = 0;
        for (byte, more) in signature[32..].iter_mut().zip(order) {
            let sum = u16::from(*byte) + u16::from(more) + carry;
            (*byte, carry) = (sum as u8, sum >> 8);
        }
        assert!(!verifies(&key, b"", 1, b"value", &signature), "the equation holds, but S has two forms");
    }

    #[test]
    fn a_public_key_of_small_order_signs_nothing() {
        // With the neutral element as A and R, and S = 0, the equation holds for every message.
        let mut neutral = [0; 32];
        neutral[0] = 1;
        let mut signature = [0; 64];
        signature[0] = 1;
        assert!(!verify(&neutral, &[3; 32], &signature));
    }
}
