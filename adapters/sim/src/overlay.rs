//! What the simulator must know of a geometry: which nodes are responsible for an identifier in the whole network, and
//! what an ideal table contains.

use core::time::Duration;
use std::collections::BTreeMap;

use kadlet::{Chord, Contact, Id, Kademlia, Pastry, Routing};

use crate::address::HostAddress;
use crate::random::Random;

/// An ideal prefix table has this many candidates for each cell: one contact and two replacements.
const CANDIDATES: usize = 3;
/// They are the nearest of this many nodes, drawn at random.
const SAMPLE: usize = 32;

/// Hosts of all live nodes whose join has ended, by identifier.
pub type Members = BTreeMap<Id, u32>;

/// The mean time of a round trip between two addresses.
pub type RoundTrips<'a> = dyn Fn(HostAddress, HostAddress) -> Duration + 'a;

/// A table whose geometry the simulator knows. To simulate a table of your own, implement this.
///
/// ```
/// use kadlet::{Id, Kademlia};
/// use kadlet_sim::{HostAddress, Members, Overlay};
///
/// let id = |first| Id::from_bytes(core::array::from_fn(|index| if index == 0 { first } else { 0 }));
/// let members: Members = [(id(0x10), 0), (id(0x40), 1), (id(0x70), 2)].into();
/// // XOR distances in the first byte: 0x40 ^ 0x60 = 0x20, 0x70 ^ 0x60 = 0x10, 0x10 ^ 0x60 = 0x70.
/// assert_eq!(Kademlia::<HostAddress, 192>::responsible(&members, &id(0x60), 2), [2, 1]);
/// ```
pub trait Overlay: Routing<Address = HostAddress> {
    /// The hosts of the `count` members that are responsible for `target`, best first; of all, if there are fewer.
    fn responsible(members: &Members, target: &Id, count: usize) -> Vec<u32>;

    /// The contacts of a node that has met all others. `all` has all nodes, sorted by identifier, and the node itself
    /// at index `own`. The neighbours come first. Where more nodes compete for a place than there is room for, they are
    /// drawn at random, or the nearest by `round_trip` are taken, if the geometry prefers those.
    fn ideal_contacts(
        all: &[Contact<HostAddress>],
        own: usize,
        k: usize,
        round_trip: &RoundTrips<'_>,
        random: &mut Random,
    ) -> Vec<Contact<HostAddress>>;
}

impl<const CONTACTS: usize, const REPLACEMENTS: usize> Overlay for Kademlia<HostAddress, CONTACTS, REPLACEMENTS> {
    fn responsible(members: &Members, target: &Id, count: usize) -> Vec<u32> {
        let wanted = count.min(members.len());
        // Members that share more bits with the target are nearer. Finds the smallest subtree that has enough of them.
        let mut shared = (members.len() / wanted.max(1)).max(1).ilog2();
        let suffices = |shared| members.range(subtree(target, shared)).take(wanted).count() == wanted;
        while shared > 0 && !suffices(shared) {
            shared -= 1;
        }
        while shared < Id::BITS && suffices(shared + 1) {
            shared += 1;
        }
        let mut nearest: Vec<_> =
            members.range(subtree(target, shared)).map(|(id, host)| (id.xor(target), *host)).collect();
        nearest.sort_unstable();
        nearest.truncate(wanted);
        nearest.into_iter().map(|(_, host)| host).collect()
    }

    fn ideal_contacts(
        all: &[Contact<HostAddress>],
        own: usize,
        k: usize,
        _: &RoundTrips<'_>,
        random: &mut Random,
    ) -> Vec<Contact<HostAddress>> {
        let id = all[own].id;
        let mut buckets = Vec::new();
        let (mut rest, mut depth) = (all, 0);
        while rest.len() > 1 {
            let (zeros, ones) = rest.split_at(rest.partition_point(|contact| !contact.id.bit(depth)));
            let (same, other) = if id.bit(depth) { (ones, zeros) } else { (zeros, ones) };
            // The k closest nodes are all in the table, whatever buckets they are in.
            buckets.push(bucket(other, &id, k, k.saturating_sub(same.len() - 1), random));
            (rest, depth) = (same, depth + 1);
        }
        buckets.into_iter().rev().flatten().collect()
    }
}

/// The nodes that follow the key are responsible.
impl<const SUCCESSORS: usize, const CONTACTS: usize> Overlay for Chord<HostAddress, SUCCESSORS, CONTACTS> {
    fn responsible(members: &Members, target: &Id, count: usize) -> Vec<u32> {
        members.range(target..).chain(members.range(..target)).take(count).map(|(_, host)| *host).collect()
    }

    /// The successors, k predecessors, and for each finger the first node that follows its start.
    fn ideal_contacts(
        all: &[Contact<HostAddress>],
        own: usize,
        k: usize,
        _: &RoundTrips<'_>,
        _: &mut Random,
    ) -> Vec<Contact<HostAddress>> {
        let starts = (0..Id::BITS).map(|bit| ahead(&all[own].id, bit));
        let fingers = starts.map(|start| all[all.partition_point(|contact| contact.id < start) % all.len()]);
        distinct(all, own, neighbours(all, own, SUCCESSORS, k).chain(fingers))
    }
}

/// The nodes that are numerically closest to the key are responsible.
impl<const LEAVES: usize, const BITS: usize, const CONTACTS: usize> Overlay
    for Pastry<HostAddress, LEAVES, BITS, CONTACTS>
{
    fn responsible(members: &Members, target: &Id, count: usize) -> Vec<u32> {
        let after = members.range(target..).chain(members.range(..target)).take(count);
        let before = members.range(..target).rev().chain(members.range(target..).rev()).take(count);
        let mut nearest: Vec<_> = after.chain(before).map(|(id, host)| (id.ring(target), *host)).collect();
        nearest.sort_unstable();
        nearest.dedup();
        nearest.truncate(count);
        nearest.into_iter().map(|(_, host)| host).collect()
    }

    /// The leaf set, and for each cell the nearest of the nodes that fit into it.
    fn ideal_contacts(
        all: &[Contact<HostAddress>],
        own: usize,
        _: usize,
        round_trip: &RoundTrips<'_>,
        random: &mut Random,
    ) -> Vec<Contact<HostAddress>> {
        let Contact { id, address } = all[own];
        let leaves: Vec<_> = neighbours(all, own, LEAVES / 2, LEAVES / 2).collect();
        let mut cells = Vec::new();
        let (mut rest, mut row) = (all, 0);
        while rest.len() > LEAVES {
            let shared = row * BITS as u32;
            let digit = |id: &Id| (0..BITS as u32).fold(0, |digit, bit| digit << 1 | usize::from(id.bit(shared + bit)));
            for column in (0..1 << BITS).filter(|column| *column != digit(&id)) {
                let cell = range(rest, |id| digit(id).cmp(&column));
                let mut sampled = sample(cell, SAMPLE, random);
                sampled.sort_by_key(|contact| round_trip(address, contact.address));
                cells.extend(sampled.iter().take(CANDIDATES));
            }
            (rest, row) = (range(rest, |other| digit(other).cmp(&digit(&id))), row + 1);
        }
        distinct(all, own, leaves.into_iter().chain(cells))
    }
}

/// The identifiers that share the first `shared` bits of `id`.
fn subtree(id: &Id, shared: u32) -> core::ops::RangeInclusive<Id> {
    let (mut first, mut last) = (*id.as_bytes(), *id.as_bytes());
    for (index, (low, high)) in first.iter_mut().zip(&mut last).enumerate() {
        let free = 0xFF_u8.checked_shr(shared.saturating_sub(index as u32 * 8)).unwrap_or(0);
        (*low, *high) = (*low & !free, *high | free);
    }
    Id::from_bytes(first)..=Id::from_bytes(last)
}

/// `k` contacts for a bucket: the `near` closest, and the others drawn at random.
fn bucket(
    all: &[Contact<HostAddress>],
    own: &Id,
    k: usize,
    near: usize,
    random: &mut Random,
) -> Vec<Contact<HostAddress>> {
    let mut drawn: Vec<Contact<HostAddress>> = Vec::with_capacity(k);
    let nearest_first =
        |contacts: &mut [Contact<HostAddress>]| contacts.sort_unstable_by_key(|contact| contact.id.xor(own));
    if all.len() <= k || near > 0 {
        drawn.extend(all);
        nearest_first(&mut drawn);
        for place in near.min(drawn.len())..k.min(drawn.len()) {
            let other = place + random.below(drawn.len() - place);
            drawn.swap(place, other);
        }
        drawn.truncate(k);
    }
    while drawn.len() < k.min(all.len()) {
        let contact = all[random.below(all.len())];
        if !drawn.contains(&contact) {
            drawn.push(contact);
        }
    }
    nearest_first(&mut drawn);
    drawn
}

/// The identifier that is 2^(159 - `bit`) ahead.
fn ahead(id: &Id, bit: u32) -> Id {
    let mut bytes = *id.as_bytes();
    let mut carry = 0x80_u8 >> (bit % 8);
    for byte in bytes[..=bit as usize / 8].iter_mut().rev() {
        let (sum, over) = byte.overflowing_add(carry);
        (*byte, carry) = (sum, u8::from(over));
    }
    Id::from_bytes(bytes)
}

/// The next `after` nodes on the ring and the last `before`, from the nearest on.
fn neighbours(
    all: &[Contact<HostAddress>],
    own: usize,
    after: usize,
    before: usize,
) -> impl Iterator<Item = Contact<HostAddress>> {
    let len = all.len();
    let at = move |steps: usize| all[(own + steps) % len];
    (1..=after.min(len - 1)).map(at).chain((1..=before.min(len - 1)).map(move |steps| at(len - steps)))
}

/// Each contact once, and without the own node.
fn distinct(
    all: &[Contact<HostAddress>],
    own: usize,
    contacts: impl Iterator<Item = Contact<HostAddress>>,
) -> Vec<Contact<HostAddress>> {
    let mut kept: Vec<Contact<HostAddress>> = Vec::new();
    for contact in contacts.filter(|contact| contact.id != all[own].id) {
        if !kept.contains(&contact) {
            kept.push(contact);
        }
    }
    kept
}

/// `count` contacts drawn at random, some perhaps twice; all contacts, if there are no more than that.
fn sample(all: &[Contact<HostAddress>], count: usize, random: &mut Random) -> Vec<Contact<HostAddress>> {
    if all.len() <= count { all.to_vec() } else { (0..count).map(|_| all[random.below(all.len())]).collect() }
}

/// The contacts whose identifiers compare as equal, of contacts that are sorted in this order.
fn range(sorted: &[Contact<HostAddress>], order: impl Fn(&Id) -> core::cmp::Ordering) -> &[Contact<HostAddress>] {
    let start = sorted.partition_point(|contact| order(&contact.id).is_lt());
    let end = sorted.partition_point(|contact| order(&contact.id).is_le());
    &sorted[start..end]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::{ChordTable, PastryTable};

    type Table = Kademlia<HostAddress, 192>;

    fn network(count: u32) -> (Vec<Contact<HostAddress>>, Members, Random) {
        let mut random = Random::new(3);
        let mut all: Vec<_> = (0..count).map(|host| Contact::new(random.id(), HostAddress::spread(host))).collect();
        all.sort_unstable_by_key(|contact| contact.id);
        let members = all.iter().map(|contact| (contact.id, host(contact))).collect();
        (all, members, random)
    }

    fn host(contact: &Contact<HostAddress>) -> u32 {
        contact.address.default_host().expect("it is where its number says")
    }

    fn ranked(all: &[Contact<HostAddress>], count: usize, rank: impl Fn(&Id) -> kadlet::Distance) -> Vec<u32> {
        let mut all = all.to_vec();
        all.sort_by_key(|contact| rank(&contact.id));
        all.iter().take(count).map(host).collect()
    }

    #[test]
    fn the_responsible_members_are_the_nearest_of_all() {
        let (all, members, mut random) = network(300);
        for count in [1, 2, 8, 20, 300, 400] {
            let target = random.id();
            let mut nearest = all.clone();
            nearest.sort_unstable_by_key(|contact| contact.id.xor(&target));
            let nearest: Vec<u32> = nearest.iter().take(count).map(host).collect();
            assert_eq!(Table::responsible(&members, &target, count), nearest);
            assert_eq!(
                ChordTable::responsible(&members, &target, count),
                ranked(&all, count, |id| target.clockwise(id))
            );
            assert_eq!(PastryTable::responsible(&members, &target, count), ranked(&all, count, |id| target.ring(id)));
        }
        assert!(Table::responsible(&Members::new(), &Id::ZERO, 8).is_empty());
    }
}
