//! Who gets in: proof of addresses, rate limits, and which contacts and records are admitted.
//!
//! Each rule works without a node:
//!
//! - [`Tokens`]: proof that a requester receives what is sent to its address
//! - [`RateLimiter`]: what one address prefix may ask per second
//! - [`admission`]: which contacts that others name are taken up, and how many bytes go to an address that is not
//!   proved
//! - [`quota`]: how much of the store the records of one address prefix may take
//! - [`density`]: whether the nodes that a lookup found stand closer together than chance puts them

pub mod admission;
pub mod density;
pub mod quota;
mod rate_limiter;
mod token;

pub use rate_limiter::{RateLimiter, RateLimiterView};
pub use token::Tokens;
