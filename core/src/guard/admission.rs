//! Which contacts a node takes up, and how much it sends to an address that has not proved itself.

use crate::address::Address;
use crate::contact::Contact;
use crate::id::Id;

/// Bytes sent for each byte received from an address that has not proved itself: at most 3 (RFC 9000, section 8).
pub const AMPLIFICATION: usize = 3;

/// The most bytes that may go to the sender of a datagram of `received` bytes.
#[must_use]
pub const fn most_bytes_to(received: usize, proved: bool) -> usize {
    if proved { usize::MAX } else { AMPLIFICATION.saturating_mul(received) }
}

/// Whether an identifier may stand at an address, where `bind_ids` binds them (BEP 42's rule).
#[must_use]
pub fn fits<A: Address>(bind_ids: bool, contact: &Contact<A>) -> bool {
    !bind_ids || contact.address.bind(contact.id) == contact.id
}

/// Whether a contact that the node at `namer` names may be taken up: not the own node, and no address that means less
/// than the namer's own, such as a private address named by a node with a global one.
#[must_use]
pub fn may_name<A: Address>(own: &Id, namer: A, named: &Contact<A>) -> bool {
    named.id != *own && named.address.scope() >= namer.scope()
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::SocketAddrV4;

    fn contact(number: u8, address: &str) -> Contact<SocketAddrV4> {
        Contact::new(Id::from_bytes([number; 20]), address.parse().unwrap())
    }

    #[test]
    fn three_bytes_go_out_for_one_until_an_address_is_proved() {
        assert_eq!((most_bytes_to(100, false), most_bytes_to(100, true)), (300, usize::MAX));
    }

    #[test]
    fn a_global_node_names_no_private_contact_and_nobody_names_the_own_node() {
        let (own, private, global) = (Id::ZERO, contact(1, "10.0.0.1:1"), contact(2, "192.0.2.1:1"));
        assert!(may_name(&own, private.address, &global) && may_name(&own, private.address, &private));
        assert!(may_name(&own, global.address, &global) && !may_name(&own, global.address, &private));
        assert!(!may_name(&global.id, private.address, &global));
    }

    #[test]
    fn ids_fit_any_address_unless_they_are_bound() {
        let free = contact(3, "192.0.2.1:1");
        let bound = Contact { id: free.address.bind(free.id), ..free };
        assert!(fits(false, &free) && !fits(true, &free) && fits(true, &bound));
    }
}
