//! Which contacts a response names.

use heapless::VecView;

use crate::address::Address;
use crate::array;
use crate::contact::Contact;
use crate::geometry::Geometry;
use crate::id::Id;
use crate::routing::Routing;

/// The most contacts that one response names, whatever `k` is: one more than the largest `k`.
pub(crate) const MAX_NAMED: usize = 33;

/// Room for the contacts of one response.
pub(crate) type Named<A> = [Contact<A>; MAX_NAMED];

/// The `k` contacts of the table that are nearest to `target` in its order of [`closest`](Routing::closest), without
/// the requester. They are written to `named`.
pub(crate) fn nearest<'a, R: Routing>(
    table: &R,
    target: &Id,
    requester: &Id,
    k: usize,
    named: &'a mut Named<R::Address>,
) -> &'a mut [Contact<R::Address>] {
    // One more than k: the requester may be among them.
    let count = named.get_mut(..=k).map_or(0, |named| table.closest(target, named));
    let named = named.get_mut(..count).unwrap_or_default();
    let others = move_to_front(named, |contact| contact.id != *requester).min(k);
    named.get_mut(..others).unwrap_or_default()
}

/// Moves the contacts of one address family to the front, each kind in its order: where not all fit, the requester can
/// use these.
pub(crate) fn family_first<A: Address>(named: &mut [Contact<A>], family: u8) {
    move_to_front(named, |contact| contact.address.encode().family == family);
}

/// Moves the contacts that match to the front, each kind in its order, and says how many they are.
fn move_to_front<A>(contacts: &mut [Contact<A>], matches: impl Fn(&Contact<A>) -> bool) -> usize {
    let mut front = 0;
    for index in 0..contacts.len() {
        if !contacts.get(index).is_some_and(&matches) {
            continue;
        }
        for at in (front..index).rev() {
            if let Some([before, after]) = contacts.get_mut(at..at + 2) {
                core::mem::swap(before, after);
            }
        }
        front += 1;
    }
    front
}

/// What the last hop of a relayed request names: the `k` contacts nearest to `target` by rank, without the previous hop
/// and those in `silent`, which were asked and did not respond. They are written to `named`.
pub(crate) fn nearest_by_rank<'a, R: Routing>(
    table: &R,
    target: &Id,
    previous: &Id,
    silent: &[Id],
    k: usize,
    named: &'a mut Named<R::Address>,
) -> &'a mut [Contact<R::Address>] {
    let count = table.closest(target, named);
    let named = named.get_mut(..count).unwrap_or_default();
    let others = move_to_front(named, |contact| contact.id != *previous && !silent.contains(&contact.id));
    let named = named.get_mut(..others).unwrap_or_default();
    sort_by_rank::<R::Geometry, _>(target, named);
    named.get_mut(..others.min(k)).unwrap_or_default()
}

/// Puts `next`, the next hop of a relayed request, among the contacts that it named, unless it is there: it doesn't
/// know its own address.
pub(crate) fn insert_next_hop<G: Geometry, A: Address>(
    target: &Id,
    named: &mut VecView<Contact<A>>,
    next: Contact<A>,
    k: usize,
) {
    if named.iter().any(|contact| contact.id == next.id) {
        return;
    }
    let rank = G::rank(target, &next.id);
    let at = named.iter().position(|contact| G::rank(target, &contact.id) > rank).unwrap_or(named.len());
    named.truncate(named.capacity() - 1);
    array::insert(named, at, next);
    named.truncate(k);
}

/// Sorts by insertion, for in most geometries the contacts are in that order already. In Chord, a node that precedes
/// the target comes first, and would take the place of one that is responsible.
fn sort_by_rank<G: Geometry, A>(target: &Id, contacts: &mut [Contact<A>]) {
    for end in 1..contacts.len() {
        for at in (0..end).rev() {
            match contacts.get_mut(at..at + 2) {
                Some([before, after]) if G::rank(target, &before.id) > G::rank(target, &after.id) => {
                    core::mem::swap(before, after);
                }
                _ => break,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::{Chord, Clockwise, Kademlia, Limits};
    use crate::time::Instant;
    use core::net::SocketAddr;
    use std::vec::Vec;

    fn contact(byte: u8) -> Contact<u16> {
        Contact::new(Id::from_bytes([byte; 20]), u16::from(byte))
    }

    fn filled<R: Routing<Address = u16>>(own: u8, others: &[u8]) -> R {
        let mut table = R::EMPTY;
        table.start(Instant::ZERO, contact(own).id, &Limits::DEFAULT, 1);
        others.iter().for_each(|byte| table.responded(Instant::ZERO, contact(*byte), None));
        table
    }

    fn bytes<A: Copy + Into<usize>>(named: &[Contact<A>]) -> Vec<usize> {
        named.iter().map(|contact| contact.address.into()).collect()
    }

    #[test]
    fn a_requester_is_not_named_to_itself() {
        let table: Kademlia<u16, 16> = filled(0, &[1, 2, 3, 4]);
        let mut named = [Contact::EMPTY; MAX_NAMED];
        assert_eq!(bytes(nearest(&table, &contact(1).id, &contact(9).id, 3, &mut named)), [1, 3, 2]);
        assert_eq!(bytes(nearest(&table, &contact(1).id, &contact(1).id, 3, &mut named)), [3, 2, 4]);
    }

    #[test]
    fn contacts_of_the_requesters_family_come_first_and_both_kinds_keep_their_order() {
        let addresses = ["[::1]:1", "192.0.2.1:2", "[::1]:3", "192.0.2.1:4", "192.0.2.1:5"];
        let mut named = addresses.map(|text| Contact::new(Id::ZERO, text.parse::<SocketAddr>().unwrap()));
        family_first(&mut named, 4);
        assert_eq!(named.map(|contact| contact.address.port()), [2, 4, 5, 1, 3]);
    }

    #[test]
    fn the_last_hop_of_a_chord_lookup_names_the_responsible_nodes_first_and_no_silent_one() {
        let table: Chord<u16> = filled(0x10, &[0x20, 0x30, 0x40, 0x50]);
        let target = Id::from_bytes([0x38; 20]);
        let mut named = [Contact::EMPTY; MAX_NAMED];
        let all = nearest_by_rank(&table, &target, &contact(9).id, &[], 3, &mut named);
        assert_eq!(bytes(all), [0x40, 0x50, 0x20]);
        let rest = nearest_by_rank(&table, &target, &contact(0x50).id, &[contact(0x40).id], 3, &mut named);
        assert_eq!(bytes(rest), [0x20, 0x30]);
    }

    #[test]
    fn the_next_hop_takes_the_place_of_its_rank() {
        let target = Id::from_bytes([0x38; 20]);
        let mut named = heapless::Vec::<_, 4>::new();
        [0x40, 0x60].map(contact).into_iter().for_each(|contact| named.push(contact).unwrap());
        insert_next_hop::<Clockwise, _>(&target, &mut named, contact(0x50), 3);
        insert_next_hop::<Clockwise, _>(&target, &mut named, contact(0x40), 3);
        assert_eq!(bytes(&named), [0x40, 0x50, 0x60]);
    }
}
