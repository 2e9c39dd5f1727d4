//! Who can be asked.
//!
//! ```
//! use kadlet::{Contact, Id};
//!
//! // On a link of one's own, where an address is a small integer:
//! let contact = Contact::new(Id::from_bytes([7; 20]), 4_u16);
//! assert_eq!(contact.address, 4);
//! ```

use crate::{Address, Id};

/// A node as others know it: its identifier and where it is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Contact<A> {
    /// Its identifier.
    pub id: Id,
    /// Where datagrams reach it.
    pub address: A,
}

impl<A: Address> Contact<A> {
    /// No contact: all zeros.
    pub const EMPTY: Self = Self { id: Id::ZERO, address: A::EMPTY };

    /// The contact `id` at `address`.
    #[must_use]
    pub const fn new(id: Id, address: A) -> Self {
        Self { id, address }
    }
}
