//! Naming: which contacts a response names, and in which order.

use heapless::Vec;

use crate::address::{Address, EncodedAddress, MAX_ADDRESS, Scope};
use crate::contact::Contact;
use crate::geometry::Geometry;
use crate::id::Id;
use crate::message::{Contacts, ReceivedContact};
use crate::routing::Routing;

/// The most contacts that are collected for one response: one more than the largest `k`.
pub(crate) const MAX_NAMED: usize = 33;

/// Room for the contacts of one response.
pub(crate) type Named<A> = [Contact<A>; MAX_NAMED];

/// Finds the `k` contacts of the table that are nearest to `target`, without the requester, in the order of
/// [`Routing::closest`]. They are written to `named`.
///
/// If the requester looks for its own identifier, and the table has it with another address, this contact is named: two
/// nodes that have one identifier find each other by it.
pub(crate) fn nearest<'a, R: Routing>(
    table: &R,
    target: &Id,
    requester: &Contact<R::Address>,
    k: usize,
    named: &'a mut Named<R::Address>,
) -> &'a mut [Contact<R::Address>] {
    // One more than k: the requester may be among them.
    let mut room = k + 1;
    let scope = requester.address.scope();
    loop {
        let count = named.get_mut(..room).map_or(0, |named| table.closest(target, named));
        let found = named.get_mut(..count).unwrap_or_default();
        let usable = move_to_front(found, |contact| contact != requester && may_be_named(contact, scope));
        if usable >= k || count < room || room == MAX_NAMED {
            return named.get_mut(..usable.min(k)).unwrap_or_default();
        }
        // Private contacts were among them.
        room = MAX_NAMED;
    }
}

/// Whether a requester whose address has this scope may be able to reach a contact, so that it can be named to it. A
/// private contact is not named to a global requester: there, its address would be another node's, or none's.
pub(crate) fn may_be_named<A: Address>(contact: &Contact<A>, requester: Scope) -> bool {
    contact.address.scope() >= requester
}

/// Moves the contacts of one address family to the front. If not all contacts fit into a response, these are the ones
/// that the requester can use.
pub(crate) fn family_first<A: Address>(named: &mut [Contact<A>], family: u8) {
    move_to_front(named, |contact| contact.address.encode().family == family);
}

/// Finds the contacts that the last hop of a relay request names: the `k` nearest to `target` by rank, without the
/// previous hop, without those that it can't reach, and without those in `silent`, which were asked and did not
/// respond. They are written to `named`.
pub(crate) fn nearest_by_rank<'a, R: Routing>(
    table: &R,
    target: &Id,
    previous: &Contact<R::Address>,
    silent: &[Id],
    k: usize,
    named: &'a mut Named<R::Address>,
) -> &'a mut [Contact<R::Address>] {
    let count = table.closest(target, named);
    let named = named.get_mut(..count).unwrap_or_default();
    let scope = previous.address.scope();
    let usable = |contact: &Contact<_>| contact.id != previous.id && may_be_named(contact, scope);
    let others = move_to_front(named, |contact| usable(contact) && !silent.contains(&contact.id));
    let named = named.get_mut(..others).unwrap_or_default();
    sort_by_rank::<R::Geometry, _>(target, named);
    named.get_mut(..others.min(k)).unwrap_or_default()
}

/// Contacts of a result that is sent on to the previous hop, as they arrived. So the result keeps contacts of address
/// families that this node lacks.
#[derive(Debug)]
pub(crate) struct SentOn(Vec<u8, { MAX_NAMED * (Id::LEN + 2 + MAX_ADDRESS) }>);

impl SentOn {
    /// None yet. To be filled where it is: to move it would take its size twice.
    pub(crate) const EMPTY: Self = Self(Vec::new());

    /// Takes those of the contacts that `keep` selects, and `next`, the next hop that they came from, by its rank. It
    /// could not name itself, because it doesn't know its own address. At most `k` contacts are taken.
    pub(crate) fn take<A: Address, G: Geometry>(
        &mut self,
        target: &Id,
        contacts: Contacts<'_, A>,
        mut next: Option<Contact<A>>,
        k: usize,
        mut keep: impl FnMut(&Id, Option<Contact<A>>) -> bool,
    ) {
        let mut left = k;
        for (id, address) in contacts.encoded().take(k) {
            let known = A::decode(address.family, address.as_bytes()).map(|address| Contact::new(id, address));
            if !keep(&id, known) {
                continue;
            }
            if let Some(next) = next.take_if(|next| G::rank(target, &id) > G::rank(target, &next.id)) {
                self.push(&mut left, &next.id, &next.address.encode());
            }
            self.push(&mut left, &id, &address);
        }
        if let Some(next) = next {
            self.push(&mut left, &next.id, &next.address.encode());
        }
    }

    /// As many of the contacts as fit into `room` bytes, if a contact whose address has that many bytes takes `len`.
    pub(crate) fn fitting<A: Address>(&self, mut room: usize, len: impl Fn(usize) -> usize) -> Contacts<'_, A> {
        let (mut rest, mut end) = (self.0.as_slice(), 0);
        while let Some(contact) = split_contact(&mut rest)
            && let Some(left) = room.checked_sub(len(contact.address.as_bytes().len()))
        {
            (room, end) = (left, self.0.len() - rest.len());
        }
        Contacts::received(self.0.get(..end).unwrap_or(&[]), split_contact)
    }

    fn push(&mut self, left: &mut usize, id: &Id, address: &EncodedAddress) {
        let bytes = address.as_bytes();
        let len = u8::try_from(bytes.len()).unwrap_or(u8::MAX);
        if let Some(after) = left.checked_sub(1) {
            *left = after;
            // There is room for the largest k.
            let parts = [id.as_bytes().as_slice(), &[address.family, len], bytes];
            let _ = parts.into_iter().try_for_each(|part| self.0.extend_from_slice(part));
        }
    }
}

/// Splits the first contact off contacts in the form in which [`SentOn`] keeps them.
fn split_contact(bytes: &mut &[u8]) -> Option<ReceivedContact> {
    let ([id @ .., family, len], rest) = bytes.split_first_chunk::<{ Id::LEN + 2 }>()?;
    let (address, rest) = rest.split_at_checked(usize::from(*len))?;
    *bytes = rest;
    Some(ReceivedContact { id: Id::from_bytes(*id), address: EncodedAddress::new(*family, address) })
}

/// Moves the contacts that match to the front, and returns how many match. Both those that match and the others keep
/// their order.
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

/// Sorts by rank. In Chord, [`Routing::closest`] puts a node that precedes the target first, where it would take the
/// place of a responsible one. It is an insertion sort, because in the other geometries the contacts are sorted
/// already.
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
    use core::net::{SocketAddr, SocketAddrV4};
    use std::vec::Vec;

    fn contact(byte: u8) -> Contact<u16> {
        Contact::new(Id::from_bytes([byte; 20]), u16::from(byte))
    }

    fn filled<R: Routing<Address = u16>>(own: u8, others: &[u8]) -> R {
        let mut table = R::EMPTY;
        table.start(Instant::ZERO, contact(own).id, &Limits::DEFAULT, 1).unwrap();
        others.iter().for_each(|byte| table.responded(Instant::ZERO, contact(*byte), None));
        table
    }

    fn bytes<A: Copy + Into<usize>>(named: &[Contact<A>]) -> Vec<usize> {
        named.iter().map(|contact| contact.address.into()).collect()
    }

    #[test]
    fn a_response_does_not_name_the_requester() {
        let table: Kademlia<u16, 16> = filled(0, &[1, 2, 3, 4]);
        let mut named = [Contact::EMPTY; MAX_NAMED];
        assert_eq!(bytes(nearest(&table, &contact(1).id, &contact(9), 3, &mut named)), [1, 3, 2]);
        assert_eq!(bytes(nearest(&table, &contact(1).id, &contact(1), 3, &mut named)), [3, 2, 4]);
    }

    #[test]
    fn private_contacts_are_not_named_to_a_global_requester() {
        use core::net::SocketAddrV4;
        let at = |byte: u8, text: &str| Contact::new(Id::from_bytes([byte; 20]), text.parse::<SocketAddrV4>().unwrap());
        let mut table = Kademlia::<SocketAddrV4, 32>::EMPTY;
        table.start(Instant::ZERO, Id::ZERO, &Limits::DEFAULT, 1).unwrap();
        for byte in 1..5 {
            table.responded(Instant::ZERO, at(byte, &std::format!("10.0.0.{byte}:1")), None);
            table.responded(Instant::ZERO, at(0x10 + byte, &std::format!("192.0.{byte}.2:1")), None);
        }
        let (mut named, target) = ([Contact::EMPTY; MAX_NAMED], at(1, "10.0.0.1:1").id);
        let mut scopes = |requester: &Contact<_>| {
            let near: Vec<_> = nearest(&table, &target, requester, 3, &mut named).to_vec();
            let last: Vec<_> = nearest_by_rank(&table, &target, requester, &[], 3, &mut named).to_vec();
            assert_eq!(near, last);
            near.iter().map(|contact| contact.address.scope() == Scope::Global).collect::<Vec<_>>()
        };
        assert_eq!(scopes(&at(0x50, "198.51.100.1:1")), [true; 3], "as many as asked for");
        assert_eq!(scopes(&at(0x50, "10.0.0.50:1")), [false; 3]);
    }

    #[test]
    fn contacts_of_the_requesters_address_family_come_first_and_both_kinds_keep_their_order() {
        let addresses = ["[::1]:1", "192.0.2.1:2", "[::1]:3", "192.0.2.1:4", "192.0.2.1:5"];
        let mut named = addresses.map(|text| Contact::new(Id::ZERO, text.parse::<SocketAddr>().unwrap()));
        family_first(&mut named, 4);
        assert_eq!(named.map(|contact| contact.address.port()), [2, 4, 5, 1, 3]);
    }

    #[test]
    fn the_last_hop_in_chord_names_the_responsible_nodes_first_and_no_silent_node() {
        let table: Chord<u16> = filled(0x10, &[0x20, 0x30, 0x40, 0x50]);
        let target = Id::from_bytes([0x38; 20]);
        let mut named = [Contact::EMPTY; MAX_NAMED];
        let all = nearest_by_rank(&table, &target, &contact(9), &[], 3, &mut named);
        assert_eq!(bytes(all), [0x40, 0x50, 0x20]);
        let rest = nearest_by_rank(&table, &target, &contact(0x50), &[contact(0x40).id], 3, &mut named);
        assert_eq!(bytes(rest), [0x20, 0x30]);
    }

    #[test]
    fn the_next_hop_is_inserted_by_its_rank_and_contacts_of_other_families_stay() {
        let target = Id::from_bytes([0x38; 20]);
        let v4 = |text: &str| text.parse::<SocketAddrV4>().unwrap();
        let near = |byte| Contact::new(Id::from_bytes([byte; 20]), v4("192.0.2.1:4000"));
        let mut sent = SentOn::EMPTY;
        let six: SocketAddr = "[2001:db8::1]:4000".parse().unwrap();
        sent.push(&mut 1, &Id::from_bytes([0x40; 20]), &six.encode());
        sent.push(&mut 1, &Id::from_bytes([0x60; 20]), &v4("192.0.2.6:4000").encode());
        let ids = |k, next| -> Vec<u8> {
            let contacts = sent.fitting::<SocketAddrV4>(1_000, |len| len);
            let mut on = SentOn::EMPTY;
            on.take::<_, Clockwise>(&target, contacts, Some(near(next)), k, |_, _| true);
            on.fitting::<SocketAddrV4>(1_000, |len| len).encoded().map(|(id, _)| id.as_bytes()[0]).collect()
        };
        assert_eq!(ids(3, 0x50), [0x40, 0x50, 0x60]);
        assert_eq!(ids(2, 0x50), [0x40, 0x50]);
        assert_eq!(ids(3, 0x70), [0x40, 0x60, 0x70]);
        assert_eq!(sent.fitting::<SocketAddrV4>(20, |len| len).count(), 1, "18 bytes, and 6 that don't fit");
    }
}
