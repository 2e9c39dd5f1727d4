//! The format as a type, and what names an exchange in it.

/// The version of the format.
pub const VERSION: u8 = 1;

/// kadlet's own format: a [`Wire`](crate::wire::Wire), and the one of every network that names no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kadlet;

/// Identifies one request: 8 random bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Transaction(pub [u8; 8]);

/// Proves that its sender receives what is sent to its address: 8 bytes, see [`Tokens`](crate::guard::Tokens).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Token(pub [u8; 8]);
