//! kadlet: a Distributed Hash Table whose core does no I/O.

#![no_std]
#![forbid(unsafe_code)]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(test)]
extern crate std;

mod address;
pub mod budget;
mod contact;
#[cfg(feature = "ed25519")]
pub mod ed25519;
mod geometry;
mod id;
pub mod lookup;
mod node;
mod random;
pub mod record;
pub mod routing;
pub mod rpc;
pub mod store;
mod time;
pub mod token;
pub mod wire;

pub use address::{Address, EncodedAddress, Group, MAX_ADDRESS, Scope};
pub use contact::Contact;
pub use geometry::Geometry;
pub use id::{Distance, Id, ParseIdError};
pub use node::*;
pub use record::{Key, Kind, Record};
pub use routing::{Kademlia, Routing, Xor};
#[cfg(feature = "alloc")]
pub use store::HashStore;
pub use store::{FixedStore, Store};
pub use time::{Instant, RoundTrip};
