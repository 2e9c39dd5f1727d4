//! Wire formats: messages as bytes.
//!
//! - [`Wire`] is the trait of a format: its lengths, `decode`, `encode`, and [`Rules`] for the node.
//! - [`Kadlet`] is kadlet's own format, with [`decode`] and [`encode`] as plain functions. `core/SPEC.md` describes it
//!   byte by byte.
//! - `sealed`, with the feature of that name, seals datagrams with the key of a network.

mod format;
mod kadlet;
#[cfg(feature = "sealed")]
pub mod sealed;

pub use format::{
    AddressProof, Body, Header, Lengths, MAX_DATAGRAM, MIN_DATAGRAM, Message, Rules, SEAL, TokenBinding, TokenSource,
    Wire,
};
pub use kadlet::{DecodeError, EncodeError, Kadlet, Token, Transaction, VERSION, decode, encode, encoded_len};
