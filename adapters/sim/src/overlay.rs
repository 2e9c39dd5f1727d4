//! What the simulator must know of a geometry: who is responsible with the whole network in view, and what an ideal table holds.

use core::time::Duration;
use std::collections::BTreeMap;

use kadlet::routing::{Limits, Maintenance};
use kadlet::{Chord, Contact, Id, Instant, Kademlia, Pastry, Routing};

use crate::{Latency, Random};

/// All nodes of a network whose join has ended, by identifier.
pub type Members = BTreeMap<Id, u32>;

/// A table whose geometry the simulator can judge from outside.
pub trait Overlay: Routing<Address = u32> {
    /// The `count` members that are responsible for `target`, best first; all, if they are fewer.
    fn responsible(members: &Members, target: &Id, count: usize) -> Vec<u32>;

    /// The contacts of the node at place `own` of all nodes, sorted by identifier, if it had met everybody: neighbours first, and where
    /// more could have a place, drawn at random; or the nearest by `latency`, if the geometry prefers those.
    fn ideal(all: &[Contact<u32>], own: usize, k: usize, latency: &Latency, random: &mut Random) -> Vec<Contact<u32>>;
}

impl<const CONTACTS: usize, const REPLACEMENTS: usize> Overlay for Kademlia<u32, CONTACTS, REPLACEMENTS> {
    fn responsible(members: &Members, target: &Id, count: usize) -> Vec<u32> {
        let wanted = count.min(members.len());
        // Those that share so many bits with the target are nearer than all others: as few as suffice.
        let mut shared = (members.len() / wanted.max(1)).max(1).ilog2();
        let suffices = |shared| members.range(subtree(target, shared)).take(wanted).count() == wanted;
        while shared > 0 && !suffices(shared) {
            shared -= 1;
        }
        while shared < Id::BITS && suffices(shared + 1) {
            shared += 1;
        }
        let mut nearest: Vec<_> =
            members.range(subtree(target, shared)).map(|(id, address)| (id.xor(target), *address)).collect();
        nearest.sort_unstable();
        nearest.truncate(wanted);
        nearest.into_iter().map(|(_, address)| address).collect()
    }

    fn ideal(all: &[Contact<u32>], own: usize, k: usize, _: &Latency, random: &mut Random) -> Vec<Contact<u32>> {
        let id = all[own].id;
        let mut buckets = Vec::new();
        let (mut rest, mut depth) = (all, 0);
        while rest.len() > 1 {
            let (zeros, ones) = rest.split_at(rest.partition_point(|contact| !contact.id.bit(depth)));
            let (same, other) = if id.bit(depth) { (ones, zeros) } else { (zeros, ones) };
            // The k closest are all known, wherever buckets end.
            buckets.push(bucket(other, &id, k, k.saturating_sub(same.len() - 1), random));
            (rest, depth) = (same, depth + 1);
        }
        buckets.into_iter().rev().flatten().collect()
    }
}

/// Those that follow the key.
impl<const SUCCESSORS: usize, const CONTACTS: usize> Overlay for Chord<u32, SUCCESSORS, CONTACTS> {
    fn responsible(members: &Members, target: &Id, count: usize) -> Vec<u32> {
        members.range(target..).chain(members.range(..target)).take(count).map(|(_, address)| *address).collect()
    }

    /// Successors, k predecessors, and the first node that follows each finger's start.
    fn ideal(all: &[Contact<u32>], own: usize, k: usize, _: &Latency, _: &mut Random) -> Vec<Contact<u32>> {
        let starts = (0..Id::BITS).map(|bit| ahead(&all[own].id, bit));
        let fingers = starts.map(|start| all[all.partition_point(|contact| contact.id < start) % all.len()]);
        distinct(all, own, neighbours(all, own, SUCCESSORS, k).chain(fingers))
    }
}

/// Those that are numerically closest to the key.
impl<const LEAVES: usize, const BITS: usize, const CONTACTS: usize> Overlay for Pastry<u32, LEAVES, BITS, CONTACTS> {
    fn responsible(members: &Members, target: &Id, count: usize) -> Vec<u32> {
        let after = members.range(target..).chain(members.range(..target)).take(count);
        let before = members.range(..target).rev().chain(members.range(target..).rev()).take(count);
        let mut nearest: Vec<_> = after.chain(before).map(|(id, address)| (id.ring(target), *address)).collect();
        nearest.sort_unstable();
        nearest.dedup();
        nearest.truncate(count);
        nearest.into_iter().map(|(_, address)| address).collect()
    }

    /// The leaf set, and for each cell the nearest of those that could hold it.
    fn ideal(all: &[Contact<u32>], own: usize, _: usize, latency: &Latency, random: &mut Random) -> Vec<Contact<u32>> {
        let Contact { id, address } = all[own];
        let leaves: Vec<_> = neighbours(all, own, LEAVES / 2, LEAVES / 2).collect();
        let mut cells = Vec::new();
        let (mut rest, mut row) = (all, 0);
        while rest.len() > LEAVES {
            let shared = row * BITS as u32;
            let digit = |id: &Id| (0..BITS as u32).fold(0, |digit, bit| digit << 1 | usize::from(id.bit(shared + bit)));
            for column in (0..1 << BITS).filter(|column| *column != digit(&id)) {
                let cell = part(rest, |id| digit(id).cmp(&column));
                let mut met = sample(cell, MET, random);
                met.sort_by_key(|contact| latency.round_trip(address, contact.address));
                cells.extend(met.iter().take(CANDIDATES));
            }
            (rest, row) = (part(rest, |other| digit(other).cmp(&digit(&id))), row + 1);
        }
        distinct(all, own, leaves.into_iter().chain(cells))
    }
}

/// How many could hold each cell of an ideal prefix table: one does, and two wait as spares. They are the nearest of so many.
const CANDIDATES: usize = 3;
const MET: usize = 32;

/// So many drawn at random, some perhaps twice; all, if they are no more.
fn sample(all: &[Contact<u32>], count: usize, random: &mut Random) -> Vec<Contact<u32>> {
    if all.len() <= count { all.to_vec() } else { (0..count).map(|_| all[random.below(all.len())]).collect() }
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

/// So many nodes after and before one, from the nearest on.
fn neighbours(all: &[Contact<u32>], own: usize, after: usize, before: usize) -> impl Iterator<Item = Contact<u32>> {
    let len = all.len();
    let at = move |steps: usize| all[(own + steps) % len];
    (1..=after.min(len - 1)).map(at).chain((1..=before.min(len - 1)).map(move |steps| at(len - steps)))
}

/// The part of sorted contacts whose identifiers compare as equal.
fn part(sorted: &[Contact<u32>], order: impl Fn(&Id) -> core::cmp::Ordering) -> &[Contact<u32>] {
    let start = sorted.partition_point(|contact| order(&contact.id).is_lt());
    let end = sorted.partition_point(|contact| order(&contact.id).is_le());
    &sorted[start..end]
}

/// Each once, and not the own node.
fn distinct(all: &[Contact<u32>], own: usize, contacts: impl Iterator<Item = Contact<u32>>) -> Vec<Contact<u32>> {
    let mut kept: Vec<Contact<u32>> = Vec::new();
    for contact in contacts.filter(|contact| contact.id != all[own].id) {
        if !kept.contains(&contact) {
            kept.push(contact);
        }
    }
    kept
}

/// All identifiers that share the first `shared` bits of one.
fn subtree(id: &Id, shared: u32) -> core::ops::RangeInclusive<Id> {
    let (mut first, mut last) = (*id.as_bytes(), *id.as_bytes());
    for (index, (low, high)) in first.iter_mut().zip(&mut last).enumerate() {
        let free = 0xFF_u8.checked_shr(shared.saturating_sub(index as u32 * 8)).unwrap_or(0);
        (*low, *high) = (*low & !free, *high | free);
    }
    Id::from_bytes(first)..=Id::from_bytes(last)
}

/// `k` of a bucket: the `near` closest, and others at random.
fn bucket(all: &[Contact<u32>], own: &Id, k: usize, near: usize, random: &mut Random) -> Vec<Contact<u32>> {
    let mut drawn: Vec<Contact<u32>> = Vec::with_capacity(k);
    let nearest_first = |contacts: &mut [Contact<u32>]| contacts.sort_unstable_by_key(|contact| contact.id.xor(own));
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

/// How long a calm network takes until its nodes check their neighbourhoods no more than every 15 minutes.
const CALM: [u64; 6] = [0, 3, 30, 90, 270, 810];
/// How many answers after a silence make a table calm.
const REASSURANCES: usize = 40;

/// A table that is ideal. An alert one is as new as its node, and has yet to see how long others stay. Any other is long in calm: everybody in it answered lately, and what upkeep is due is spread over the time to come
/// (every wait is cut by up to an eighth, so that what happened within seven eighths of one comes due evenly from now on).
pub(crate) fn settled<R: Overlay>(
    alert: bool,
    now: Instant,
    own: Contact<u32>,
    contacts: &[Contact<u32>],
    limits: &Limits,
    latency: &Latency,
    random: &mut Random,
) -> R {
    let ago = |time: Duration| {
        Instant::from_micros(now.as_micros().saturating_sub(u64::try_from(time.as_micros()).unwrap_or(u64::MAX)))
    };
    let mut table = R::EMPTY;
    if alert {
        table.start(now, own.id, limits, random.number());
        for contact in contacts {
            table.responded(now, *contact, Some(latency.round_trip(own.address, contact.address)));
        }
        return table;
    }
    let calm = Duration::from_secs(CALM.iter().sum()) + random.within(limits.neighbourhood_max * 7 / 8);
    let rounds = REASSURANCES.div_ceil(contacts.len().max(1)) as u32;
    table.start(ago(calm + limits.quiet / 2 * rounds), own.id, limits, random.number());
    for round in (0..=rounds).rev() {
        for contact in contacts {
            let round_trip = latency.round_trip(own.address, contact.address);
            table.responded(ago(calm + limits.quiet / 2 * round), *contact, Some(round_trip));
        }
    }
    for contact in contacts {
        table.looked_up(ago(random.within(limits.refresh * 7 / 8)), &contact.id);
    }
    let mut then = ago(calm);
    for pause in CALM {
        let next = then + Duration::from_secs(pause);
        // A ring's table looks for what belongs into its empty cells meanwhile, every five seconds.
        for _ in 0..1_000 {
            then = table.next_maintenance().max(then);
            if then >= next {
                break;
            }
            if let Some(Maintenance::Ask(contact)) = table.maintenance(then) {
                table.responded(then, contact, Some(latency.round_trip(own.address, contact.address)));
            }
        }
        then = next;
        if table.maintenance(then) == Some(Maintenance::Neighbourhood) {
            table.looked_up(then, &own.id);
        }
    }
    for contact in contacts {
        table.responded(
            ago(random.within(limits.quiet * 7 / 8)),
            *contact,
            Some(latency.round_trip(own.address, contact.address)),
        );
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use kadlet::routing::ContactState;

    type Table = Kademlia<u32, 192>;

    fn network(count: u32) -> (Vec<Contact<u32>>, Members, Random) {
        let mut random = Random::new(3);
        let mut all: Vec<_> = (0..count).map(|address| Contact::new(random.id(), address)).collect();
        all.sort_unstable_by_key(|contact| contact.id);
        let members = all.iter().map(|contact| (contact.id, contact.address)).collect();
        (all, members, random)
    }

    fn ranked(all: &[Contact<u32>], count: usize, rank: impl Fn(&Id) -> kadlet::Distance) -> Vec<u32> {
        let mut all = all.to_vec();
        all.sort_by_key(|contact| rank(&contact.id));
        all.iter().take(count).map(|contact| contact.address).collect()
    }

    #[test]
    fn the_responsible_are_the_nearest_of_all() {
        let (all, members, mut random) = network(300);
        for count in [1, 2, 8, 20, 300, 400] {
            let target = random.id();
            let mut nearest = all.clone();
            nearest.sort_unstable_by_key(|contact| contact.id.xor(&target));
            let nearest: Vec<u32> = nearest.iter().take(count).map(|contact| contact.address).collect();
            assert_eq!(Table::responsible(&members, &target, count), nearest);
            assert_eq!(
                crate::ChordTable::responsible(&members, &target, count),
                ranked(&all, count, |id| target.clockwise(id))
            );
            assert_eq!(
                crate::PastryTable::responsible(&members, &target, count),
                ranked(&all, count, |id| target.ring(id))
            );
        }
        assert!(Table::responsible(&Members::new(), &Id::ZERO, 8).is_empty());
    }

    #[test]
    fn a_settled_table_holds_its_ideal_contacts_and_has_nothing_to_do_at_once() {
        let (all, _, mut random) = network(300);
        let contacts = Table::ideal(&all, 17, 8, &Latency::INTERNET, &mut random);
        assert!(contacts.is_sorted_by_key(|contact| contact.id.xor(&all[17].id)));
        let now = Instant::from_secs(12 * 3_600);
        let mut table: Table =
            settled(false, now, all[17], &contacts, &Limits::DEFAULT, &Latency::INTERNET, &mut random);
        assert_eq!(table.peers().map(|peer| peer.contact).collect::<Vec<_>>(), contacts);
        assert!(table.peers().all(|peer| peer.state == ContactState::Verified));
        assert!(table.maintenance(now).is_none_or(|maintenance| matches!(maintenance, Maintenance::Ask(_))));
        let mut nearest = all.clone();
        nearest.sort_unstable_by_key(|contact| contact.id.xor(&all[17].id));
        assert!(nearest[1..9].iter().all(|contact| contacts.contains(contact)));
    }
}
