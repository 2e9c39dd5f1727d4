//! The records that a node stores: bounded, and evicted by a stated rule when there is no room.
//!
//! [`FixedStore`] needs no allocator; `HashStore` (feature `alloc`) is for hosts. Both follow the rules of
//! [`Store::put`], which are in `eviction`: which version wins under a key, and which records are evicted from a full
//! store.

mod eviction;
mod fixed;
#[cfg(feature = "alloc")]
mod hash;
mod interface;
#[cfg(feature = "alloc")]
mod shares;
mod slot;
mod stored_record;

pub use fixed::FixedStore;
#[cfg(feature = "alloc")]
pub use hash::HashStore;
pub use interface::{Put, Rank, Store, StoreError};
pub use stored_record::{Metadata, StoredRecord};
