//! The types of kadlet's own format: the format itself, its transactions and its tokens.

/// The version of the format.
pub const VERSION: u8 = 1;

/// kadlet's own format: a [`Wire`](crate::wire::Wire), and the default of every network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kadlet;

/// Identifies one request: 8 random bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Transaction(pub [u8; 8]);

/// Proves that a requester receives what is sent to its address: 8 bytes, see [`Tokens`](crate::guard::Tokens).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Token(pub [u8; 8]);
