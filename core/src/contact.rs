//! Contacts: nodes that this node can ask.
//!
//! ```
//! use kadlet::{Contact, Id};
//!
//! // On a link where an address is a small integer:
//! let contact = Contact::new(Id::from_bytes([7; 20]), 4_u16);
//! assert_eq!(contact.address, 4);
//! ```

use crate::address::Address;
use crate::id::Id;

/// A node as others know it: its identifier and its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Contact<A> {
    /// The identifier of the node.
    pub id: Id,
    /// The address at which datagrams reach the node.
    pub address: A,
}

impl<A: Address> Contact<A> {
    /// No contact: all zeros.
    pub const EMPTY: Self = Self { id: Id::ZERO, address: A::EMPTY };

    /// The node `id` at `address`.
    #[must_use]
    pub const fn new(id: Id, address: A) -> Self {
        Self { id, address }
    }
}
