//! Whether a table knows contacts of many address prefixes, so that no single prefix needs many places.
//!
//! This does not defend a node that knows few prefixes: one prefix can fill its table.

use crate::address::Address;
use crate::guard::admission::are_many;
use crate::routing::{ContactState, Peer};

/// Whether only first-class seats count for a table, because its verified contacts are of many address prefixes. So it
/// is if 2k of them are in first-class seats, of which a prefix has two; or at least k, if these are more than half of
/// all, or if all are of 2k prefixes, or of half as many as they are. A diverse table still is one when it has lost its
/// second-class contacts. A table in a campus, in a laboratory or in the network of one provider is not diverse: there
/// all seats are equal. Contacts without a prefix don't count.
#[must_use]
pub fn is_diverse<A: Address>(peers: impl Iterator<Item = Peer<A>>, k: usize) -> bool {
    let (mut all, mut first_class) = (0, 0);
    let prefixes = peers.filter(|peer| peer.state == ContactState::Verified).filter_map(|peer| {
        let prefix = peer.contact.address.prefix()?;
        all += 1;
        first_class += usize::from(peer.contact.id.is_first_class());
        Some(Some(prefix))
    });
    let many = are_many(prefixes, 2 * k);
    first_class >= 2 * k || (first_class >= k && (many || 2 * first_class > all))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contact::Contact;
    use crate::id::Id;
    use core::net::SocketAddrV4;

    fn peer((prefix, seat): (u8, u8)) -> Peer<SocketAddrV4> {
        let address = SocketAddrV4::new([203, 0, prefix, seat].into(), 1);
        let id = Id::bound(address.prefix().unwrap(), seat.into());
        Peer { contact: Contact::new(id, address), state: ContactState::Verified, rtt: None, timeout: None }
    }

    fn diverse(prefixes: u8, of_each: u8) -> bool {
        is_diverse((0..prefixes).flat_map(|n| (0..of_each).map(move |seat| (n, seat))).map(peer), 8)
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

    #[test]
    fn a_table_of_2k_prefixes_is_diverse_if_it_knows_k_first_class_seats_among_many_others() {
        for (first_class, prefixes, expected) in [(8, 16, true), (8, 12, false), (7, 16, false)] {
            // Each prefix has five contacts in other seats.
            let others = (0..5 * prefixes).map(|n| (n % prefixes, 2 + n / prefixes));
            let seats = (0..first_class).map(|n| (n, 0)).chain(others);
            assert_eq!(is_diverse(seats.map(peer), 8), expected, "{first_class} of {prefixes} prefixes");
        }
    }
}
