//! Whether a table knows contacts of many address prefixes, so that no single prefix needs many places.
//!
//! This does not defend a node that knows few prefixes: one prefix can fill its table.

use crate::address::Address;
use crate::routing::{ContactState, Peer};

/// Whether only first-class seats count for a table, because its verified contacts are of many address prefixes. So it
/// is if 2k of them are in first-class seats, of which a prefix has two; or at least k, which are more than half of
/// all. A diverse table still is one when it has lost its second-class contacts. A table in a campus, in a laboratory
/// or in the network of one provider is not diverse: there all seats are equal. Contacts without a prefix don't count.
#[must_use]
pub fn is_diverse<A: Address>(peers: impl Iterator<Item = Peer<A>>, k: usize) -> bool {
    let (mut all, mut first_class) = (0, 0);
    for Peer { contact, state, .. } in peers {
        if state == ContactState::Verified && contact.address.prefix().is_some() {
            all += 1;
            first_class += usize::from(contact.id.is_first_class());
        }
    }
    first_class >= 2 * k || (first_class >= k && 2 * first_class > all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contact::Contact;
    use crate::id::Id;
    use core::net::SocketAddrV4;

    fn diverse(prefixes: u8, of_each: u8) -> bool {
        let peers = (0..prefixes).flat_map(|n| (0..of_each).map(move |seat| (n, seat))).map(|(n, seat)| {
            let address = SocketAddrV4::new([203, 0, n, seat].into(), 1);
            let id = Id::bound(address.prefix().unwrap(), seat.into());
            Peer { contact: Contact::new(id, address), state: ContactState::Verified, rtt: None, timeout: None }
        });
        is_diverse(peers, 8)
    }

    #[test]
    fn a_table_is_diverse_if_it_knows_2k_first_class_seats_or_few_others() {
        for (prefixes, of_each, expected) in
            [(0, 0, false), (7, 1, false), (8, 1, true), (7, 3, true), (7, 4, false), (8, 4, true), (16, 10, true)]
        {
            assert_eq!(diverse(prefixes, of_each), expected, "{prefixes} prefixes with {of_each} contacts each");
        }
        assert!(!diverse(1, 200), "a crowd alone");
    }
}
