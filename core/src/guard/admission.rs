//! Which contacts a node accepts, and how many bytes it sends to an address that is not proved.

use crate::address::Address;
use crate::contact::Contact;
use crate::id::Id;

/// The most bytes sent for each byte received from an address that is not proved (3, as in RFC 9000, section 8).
pub const AMPLIFICATION: usize = 3;

/// The most bytes that can be sent to the sender of a datagram of `received` bytes. No limit if it has `proved` its
/// address.
#[must_use]
pub const fn most_bytes_to(received: usize, proved: bool) -> usize {
    if proved { usize::MAX } else { AMPLIFICATION.saturating_mul(received) }
}

/// Whether the identifier of a contact fits its address. Always true unless `bind_ids` is set, which applies the rule
/// of BEP 42.
#[must_use]
pub fn fits<A: Address>(bind_ids: bool, contact: &Contact<A>) -> bool {
    !bind_ids || contact.address.bind(contact.id) == contact.id
}

/// Whether the node at `namer` can name this contact. It can't name the own node, nor an address with a narrower scope
/// than its own, such as a private address if its own is global.
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
    fn three_bytes_are_sent_for_one_received_until_the_address_is_proved() {
        assert_eq!((most_bytes_to(100, false), most_bytes_to(100, true)), (300, usize::MAX));
    }

    #[test]
    fn a_global_node_can_not_name_a_private_contact_and_no_node_the_own_node() {
        let (own, private, global) = (Id::ZERO, contact(1, "10.0.0.1:1"), contact(2, "192.0.2.1:1"));
        assert!(may_name(&own, private.address, &global) && may_name(&own, private.address, &private));
        assert!(may_name(&own, global.address, &global) && !may_name(&own, global.address, &private));
        assert!(!may_name(&global.id, private.address, &global));
    }

    #[test]
    fn an_id_fits_any_address_unless_ids_are_bound() {
        let free = contact(3, "192.0.2.1:1");
        let bound = Contact { id: free.address.bind(free.id), ..free };
        assert!(fits(false, &free) && !fits(true, &free) && fits(true, &bound));
    }
}
