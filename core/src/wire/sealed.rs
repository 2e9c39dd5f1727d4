//! Sealed datagrams: nobody without the key of a network can read or make one.
//!
//! A sealed datagram is the sender's identifier, then the encrypted message without it, then a number of 8 bytes and a
//! tag of 16: XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha) with the network's key. The nonce is the first 16 bytes of
//! the identifier and the number; the identifier is authenticated. `core/SPEC.md` has the bytes, and an example.
//!
//! **One key never sees one nonce twice.** A node begins with a random number, and each datagram has the next. Two
//! nodes have different identifiers. After a restart, or while two nodes have the same identifier, only the random
//! numbers differ: with r starts of n datagrams each, the chance that any two overlap is below r² · n / 2^64. So a node
//! needs a [seed](crate::NodeInner::start) that it never had before, as it needs it for its tokens. A board without
//! entropy derives it from a secret of its own and a counter in flash, which it increases before each start.
//!
//! **What an observer still learns**: the identifiers and addresses of the nodes, which talk to each other, when, and
//! how long their datagrams are. A datagram that is recorded and sent again opens: within a network, a replay does what
//! any forged source address does, and no more. A node that has the key can do what every node of an open network can.
//! The key can't be changed while the network runs.
//!
//! ```
//! use kadlet::wire::sealed::{NetworkKey, open, seal};
//! use kadlet::wire::{Kadlet, MAX_DATAGRAM};
//!
//! let key = NetworkKey::new([7; 32]); // in a real program: 32 bytes from a good random number generator
//! let mut datagram = [1; MAX_DATAGRAM];
//! let len = seal::<Kadlet>(&key, 42, 100, &mut datagram).unwrap();
//! assert_eq!(len, 124);
//!
//! let mut room = [0; MAX_DATAGRAM];
//! assert_eq!(open::<Kadlet>(&key, &datagram[..len], &mut room), Some(&[1; 100][..]));
//! assert_eq!(open::<Kadlet>(&NetworkKey::new([8; 32]), &datagram[..len], &mut room), None);
//! ```

#![deny(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation
)]

use core::fmt;

use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::aead::inout::InOutBuf;
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};

use super::format::{SEAL, Wire};
use crate::id::Id;

/// The bytes of the number.
const NUMBER: usize = 8;
/// The bytes of the tag.
const TAG: usize = 16;
const _: () = assert!(NUMBER + TAG == SEAL);

/// The secret key of a network: 32 random bytes, the same at all its nodes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct NetworkKey([u8; 32]);

impl NetworkKey {
    /// The key of these bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(&self.0.into())
    }
}

/// Doesn't print the key.
impl fmt::Debug for NetworkKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NetworkKey(..)")
    }
}

/// Seals the message in the first `len` bytes of `buf`, in place. Returns the length of the datagram: [`SEAL`] bytes
/// more. `None` if `buf` is too small, if the format can't be sealed, or if the message is too short to be of it; then
/// `buf` may have changed.
///
/// No two messages of one sender may have the same `number`.
pub fn seal<W: Wire>(key: &NetworkKey, number: u64, len: usize, buf: &mut [u8]) -> Option<usize> {
    let (message, rest) = buf.split_at_mut_checked(len)?;
    let (number_at, rest) = rest.split_first_chunk_mut::<NUMBER>()?;
    let tag_at = rest.first_chunk_mut::<TAG>()?;
    *number_at = number.to_be_bytes();

    let front = message.get_mut(..W::SENDER?.checked_add(Id::LEN)?)?;
    front.rotate_left(W::SENDER?);
    let (sender, text) = message.split_first_chunk_mut::<{ Id::LEN }>()?;
    let tag = key.cipher().encrypt_inout_detached(&nonce(sender, number_at), sender, text.into()).ok()?;
    *tag_at = tag.into();
    len.checked_add(SEAL)
}

/// Opens a datagram, and writes its message to the beginning of `room`. `None` if it doesn't open: it was not sealed
/// with this key, it has changed on the way, it is shorter than a seal or longer than `room`, or the format can't be
/// sealed.
pub fn open<'a, W: Wire>(key: &NetworkKey, datagram: &[u8], room: &'a mut [u8]) -> Option<&'a [u8]> {
    let (rest, tag) = datagram.split_last_chunk::<TAG>()?;
    let (sealed, number) = rest.split_last_chunk::<NUMBER>()?;
    let (sender, text) = sealed.split_first_chunk::<{ Id::LEN }>()?;
    let message = room.get_mut(..sealed.len())?;
    let (sender_at, text_at) = message.split_first_chunk_mut::<{ Id::LEN }>()?;
    *sender_at = *sender;
    let text = InOutBuf::new(text, text_at).ok()?;
    key.cipher().decrypt_inout_detached(&nonce(sender, number), sender, text, tag.into()).ok()?;
    let front = message.get_mut(..W::SENDER?.checked_add(Id::LEN)?)?;
    front.rotate_right(W::SENDER?);
    Some(message)
}

fn nonce(sender: &[u8; Id::LEN], number: &[u8; NUMBER]) -> XNonce {
    let mut nonce = XNonce::default();
    for (to, from) in nonce.iter_mut().zip(sender.iter().take(16).chain(number)) {
        *to = *from;
    }
    nonce
}
