//! Which contacts a node accepts from others.
//!
//! This does not defend against a contact that fits and is hostile.

use crate::address::Address;
use crate::contact::Contact;
use crate::id::Id;

/// Whether the identifier of a contact is [bound](Id::is_bound) to its address. With `first_class`, it must also be that
/// of a first-class seat, unless the address has no prefix.
#[must_use]
pub fn fits<A: Address>(contact: &Contact<A>, first_class: bool) -> bool {
    let Contact { id, address } = contact;
    let in_seat = |prefix| *id == Id::bound(prefix, id.seat()) && (id.is_first_class() || !first_class);
    address.prefix().is_none_or(in_seat)
}

/// Whether the node at `namer` can name this address. It can't name one with a narrower scope than its own, such as a
/// private address if its own is global.
#[must_use]
pub fn may_name<A: Address>(namer: A, named: A) -> bool {
    named.scope() >= namer.scope()
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::SocketAddrV4;

    fn contact(number: u8, address: &str) -> Contact<SocketAddrV4> {
        Contact::new(Id::from_bytes([number; 20]), address.parse().unwrap())
    }

    #[test]
    fn a_global_node_can_not_name_a_private_contact() {
        let [private, global] = ["10.0.0.1:1", "192.0.2.1:1"].map(|text| contact(1, text).address);
        assert!(may_name(private, global) && may_name(private, private));
        assert!(may_name(global, global) && !may_name(global, private));
    }

    #[test]
    fn an_id_must_be_bound_to_a_global_address_and_be_first_class_where_only_that_counts() {
        let (private, global) = (contact(3, "10.0.0.1:1"), contact(3, "192.0.2.1:1"));
        let seat = |seat| Contact { id: Id::bound(global.address.prefix().unwrap(), seat), ..global };
        let fits = |contact| [fits(&contact, false), fits(&contact, true)];
        assert_eq!((fits(private), fits(global)), ([true, true], [false, false]));
        assert_eq!((fits(seat(1)), fits(seat(2))), ([true, true], [true, false]));
    }
}
