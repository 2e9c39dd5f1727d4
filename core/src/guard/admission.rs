//! Which contacts a node accepts from others.
//!
//! This does not defend against a contact that fits and is hostile.

use crate::address::{Address, Prefix};
use crate::contact::Contact;
use crate::id::Id;
use crate::routing::Limits;

/// Whether the identifier of a contact is [bound](Id::is_bound) to its address. With `first_class`, it must also be that
/// of a first-class seat, unless the address has no prefix.
#[must_use]
pub fn fits<A: Address>(contact: &Contact<A>, first_class: bool) -> bool {
    let Contact { id, address } = contact;
    id.is_bound(address) && (!first_class || id.is_first_class() || address.prefix().is_none())
}

/// Whether the node at `namer` can name this contact. It can't name the own node, nor an address with a narrower scope
/// than its own, such as a private address if its own is global.
#[must_use]
pub fn may_name<A: Address>(own: &Id, namer: A, named: &Contact<A>) -> bool {
    named.id != *own && named.address.scope() >= namer.scope()
}

/// Whether these address prefixes of a table's contacts are many: about `enough` different ones, or half as many as
/// there are contacts. In a network of few prefixes, such as a campus or one provider, a limit on each would leave
/// nodes out that are as good as others.
pub fn are_many(prefixes: impl Iterator<Item = Option<Prefix>>, enough: usize) -> bool {
    // Two different prefixes may count as one, by chance.
    let mut seen = [false; 4 * Limits::MAX_K];
    let (mut different, mut contacts) = (0, 0);
    for prefix in prefixes {
        contacts += 1;
        let number = prefix.map_or(0, Prefix::number) as usize;
        let place = seen.get_mut((number ^ number >> 8 ^ number >> 16) % (4 * Limits::MAX_K));
        if let Some(seen) = place.filter(|seen| prefix.is_some() && !**seen) {
            *seen = true;
            different += 1;
        }
    }
    different >= enough || 2 * different >= contacts
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::SocketAddrV4;

    fn contact(number: u8, address: &str) -> Contact<SocketAddrV4> {
        Contact::new(Id::from_bytes([number; 20]), address.parse().unwrap())
    }

    #[test]
    fn a_global_node_can_not_name_a_private_contact_and_no_node_the_own_node() {
        let (own, private, global) = (Id::ZERO, contact(1, "10.0.0.1:1"), contact(2, "192.0.2.1:1"));
        assert!(may_name(&own, private.address, &global) && may_name(&own, private.address, &private));
        assert!(may_name(&own, global.address, &global) && !may_name(&own, global.address, &private));
        assert!(!may_name(&global.id, private.address, &global));
    }

    #[test]
    fn prefixes_are_many_if_there_are_enough_or_half_as_many_as_contacts() {
        let many = |prefixes: u64, contacts: u64| {
            are_many((0..contacts).map(|contact| Prefix::new(1 + contact % prefixes)), 16)
        };
        assert!(many(16, 100) && !many(15, 100) && many(15, 30) && !many(1, 3) && many(1, 2) && many(1, 1));
        assert!(!are_many([None; 3].into_iter(), 16), "contacts without a prefix");
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
