//! Messages as bytes: the trait [`Wire`], and kadlet's own format.
//!
//! - [`format`](Wire): what a format provides: sizes, decode, encode, and named rules
//! - [`Kadlet`]: kadlet's own format, byte by byte in `core/SPEC.md`, with [`decode`] and [`encode`] as plain functions

mod format;
mod kadlet;

pub use format::{
    AddressProof, Body, Header, Lengths, MAX_DATAGRAM, MIN_DATAGRAM, Message, Rules, SEAL, TokenBinding, TokenSource,
    Wire,
};
pub use kadlet::{DecodeError, EncodeError, Kadlet, Token, Transaction, VERSION, decode, encode, encoded_len};
