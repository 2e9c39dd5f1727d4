//! Whether a table knows contacts of many address prefixes, so that no single prefix needs many places in it.

use heapless::{Vec, VecView};

use crate::address::{Address, Prefix};
use crate::routing::{ContactState, Limits, Peer};

/// The most prefixes that are counted.
const MOST: usize = 2 * Limits::MAX_K;

/// Whether the verified contacts of a table are of many address prefixes. Then only first-class seats count. It is so
/// if at least `k` contacts are in first-class seats, and
///
/// - all contacts together are of 2k prefixes or more, or
/// - the first-class ones are of at least half as many prefixes as there are contacts.
///
/// So a diverse table still is one when it has lost its second-class contacts. A table in a campus, in a laboratory or
/// in the network of one provider is not diverse: there all seats are equal.
#[must_use]
pub fn is_diverse<A: Address>(peers: impl Iterator<Item = Peer<A>>, k: usize) -> bool {
    // The prefixes with contacts in first-class seats, and those of all contacts.
    let (mut first, mut all) = (Vec::<Prefix, MOST>::new(), Vec::<Prefix, MOST>::new());
    let (mut contacts, mut first_class) = (0, 0);
    let verified = peers.filter(|peer| peer.state == ContactState::Verified);
    for (id, prefix) in verified.filter_map(|peer| Some((peer.contact.id, peer.contact.address.prefix()?))) {
        contacts += 1;
        add(&mut all, prefix);
        if id.is_first_class() {
            first_class += 1;
            add(&mut first, prefix);
        }
    }
    first_class >= k && (all.len() >= 2 * k || 2 * first.len() >= contacts)
}

fn add(prefixes: &mut VecView<Prefix>, prefix: Prefix) {
    if !prefixes.contains(&prefix) {
        let _ = prefixes.push(prefix);
    }
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
    fn a_table_is_diverse_if_it_knows_2k_prefixes_or_half_as_many_as_contacts() {
        for (prefixes, of_each, expected) in
            [(0, 0, false), (7, 1, false), (8, 1, true), (15, 2, true), (15, 3, false), (16, 3, true), (16, 10, true)]
        {
            assert_eq!(diverse(prefixes, of_each), expected, "{prefixes} prefixes with {of_each} contacts each");
        }
        assert!(!diverse(1, 200), "a crowd alone");
    }
}
