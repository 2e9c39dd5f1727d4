//! Admission: proof of addresses, rate limits, and which contacts and records a node accepts.
//!
//! Each rule works without a node:
//!
//! - [`Tokens`]: proof that a requester receives what is sent to its address
//! - [`RateLimiter`]: how many requests per second one address prefix can send
//! - [`amplification`]: how many bytes a node sends to an address that is not proved
//! - [`admission`]: which contacts a node accepts from others
//! - [`quota`]: how much of the store the records of one address prefix can take
//! - [`responsibility`]: whether a node is too far from a key to store a record there
//! - [`density`]: whether the nodes that a lookup found are too close together, or too far apart, to be there by chance
//! - [`diversity`]: whether a table knows contacts of many address prefixes

pub mod admission;
pub mod amplification;
pub mod density;
pub mod diversity;
pub mod quota;
mod rate_limiter;
pub mod responsibility;
mod token;

pub use rate_limiter::{RateLimiter, RateLimiterView};
pub use token::Tokens;
