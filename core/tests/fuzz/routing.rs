//! Any sequence of calls against a table, beside a naive model of whom it may trust: Kademlia's here, Chord's and Pastry's in `rings`.
//!
//! Ordinary test code: `core/tests/routing.rs` drives it with proptest, the fuzz target `routing` with bytes.

use core::net::{Ipv4Addr, SocketAddrV4};
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use kadlet::routing::{ContactState, Limits, Maintenance, Origin, Peer};
use kadlet::{Address, Chord, Contact, Id, Instant, Kademlia, Pastry, Routing};

#[path = "rings.rs"]
pub mod rings;

const CONTACTS: usize = 24;
const K: usize = 3;
const LIMITS: Limits = Limits { k: K as u8, per_prefix_in_table: 5, ..Limits::DEFAULT };
const OWN: Id = Id::from_bytes([0x5A; 20]);

type Table = Kademlia<SocketAddrV4, CONTACTS, 8>;
type Who = Contact<SocketAddrV4>;

/// What the model remembers of an identifier.
#[derive(Default)]
struct Known {
    /// Where it answered from.
    addresses: BTreeSet<SocketAddrV4>,
    /// Whether the last question to it was answered.
    responses: bool,
}

/// Runs the calls that `data` spells.
///
/// # Panics
///
/// When a rule is broken.
pub fn run(data: &[u8]) {
    match data.get(1).map_or(0, |byte| byte % 4) {
        2 => rings::run::<Chord<SocketAddrV4, 4, CONTACTS>>(data, 4, K, rings::follows),
        3 => rings::run::<Pastry<SocketAddrV4, 6, 2, CONTACTS>>(data, 3, 3, rings::shares),
        _ => kademlia(data),
    }
}

fn kademlia(data: &[u8]) {
    let mut bytes = data.iter().copied();
    let mut table = Table::EMPTY;
    let mut model = BTreeMap::<Id, Known>::new();
    let mut now = Instant::from_millis(bytes.next().unwrap_or(0).into());
    table.start(now, OWN, &LIMITS, bytes.next().unwrap_or(0).into());
    while let Some(call) = bytes.next() {
        let mut next = || bytes.next().unwrap_or(0);
        let who = contact(next(), next(), next());
        let before: Vec<Peer<SocketAddrV4>> = table.peers().collect();
        let (neighbours, changed) = (neighbours(&table), table.changed());
        match call % 16 {
            0 => discovered(&mut table, now, who, Origin::Requester, &before),
            1 => discovered(&mut table, now, who, Origin::Named, &before),
            2..=7 => {
                let known = model.entry(who.id).or_default();
                known.addresses.insert(who.address);
                known.responses = true;
                let rtt = (call & 0x80 != 0).then(|| Duration::from_millis(u64::from(next())));
                responded(&mut table, now, who, rtt, &before);
            }
            8..=10 => {
                model.entry(who.id).or_default().responses = false;
                table.failed(now, &who.id);
                let left =
                    before.iter().filter(|peer| peer.contact.id != who.id || peer.state != ContactState::Unverified);
                assert!(
                    table.peers().map(|peer| peer.contact).eq(left.map(|peer| peer.contact)),
                    "only one heard of goes for failing"
                );
            }
            11 => {
                model.remove(&who.id);
                table.evict(now, &who.id);
                assert_eq!(table.get(&who.id), None);
            }
            12 => now = now + Duration::from_millis(1 << (next() % 24)),
            13 => now = now.max(table.next_maintenance().min(now + Duration::from_secs(4_000))),
            14 => table.looked_up(now, if next() % 2 == 0 { &OWN } else { &who.id }),
            _ => table.disturbed(now),
        }
        let expected = if neighbours == self::neighbours(&table) { changed } else { now };
        assert_eq!(table.changed(), expected, "it tells when the neighbourhood changed");
        if call & 0x40 != 0 {
            maintenance(&mut table, now);
        }
        check(&table, &model);
        check_orders(&table, &who.id);
    }
}

/// The k closest.
fn neighbours(table: &Table) -> Vec<Id> {
    let verified = table.peers().filter(|peer| peer.state == ContactState::Verified);
    verified.map(|peer| peer.contact.id).take(K).collect()
}

/// A contact near enough to others in identifier and address to be in their way.
fn contact(depth: u8, rest: u8, place: u8) -> Who {
    let mut id = *OWN.as_bytes();
    let depth = usize::from(depth % 14);
    id[19] = rest;
    id[2] ^= rest;
    id[depth / 8] ^= 0x80 >> (depth % 8);
    let id = if rest == 0xFF { OWN } else { Id::from_bytes(id) };
    let ip = if place < 64 { Ipv4Addr::new(10, 0, 0, place) } else { Ipv4Addr::new(192, 0, place % 8, 1) };
    Contact::new(id, SocketAddrV4::new(ip, 1_000 + u16::from(place % 3)))
}

fn discovered(table: &mut Table, now: Instant, who: Who, how: Origin, before: &[Peer<SocketAddrV4>]) {
    let worth_asking = table.discovered(now, who, how);
    assert!(how != Origin::Requester || table.peers().eq(before.iter().copied()), "asking makes nobody known");
    for peer in before {
        assert_eq!(table.get(&peer.contact.id), Some(*peer), "one heard of changes and displaces nobody");
    }
    if worth_asking {
        let mut sequel = table.clone();
        sequel.responded(now, who, None);
        let taken = sequel.peers().any(|peer| peer.contact == who && peer.state == ContactState::Verified);
        // One that is moving must be taken anew, and its new network may be represented well enough.
        let moving = before.iter().any(|peer| peer.contact.id == who.id);
        assert!(taken || moving, "{who:?} was worth asking, and is not taken");
    }
}

fn responded(table: &mut Table, now: Instant, who: Who, rtt: Option<Duration>, before: &[Peer<SocketAddrV4>]) {
    table.responded(now, who, rtt);
    let distance = |id: &Id| id.xor(&OWN);
    let mut closest: Vec<Id> =
        before.iter().filter(|peer| peer.state == ContactState::Verified).map(|peer| peer.contact.id).collect();
    if who.id != OWN && !closest.contains(&who.id) {
        closest.push(who.id);
    }
    closest.sort_by_key(distance);
    for id in closest.iter().take(K) {
        assert!(
            table.peers().any(|peer| peer.contact.id == *id && peer.state == ContactState::Verified),
            "the k closest are always kept"
        );
    }
    for old in before.iter().filter(|old| {
        old.state != ContactState::Unverified && table.peers().all(|peer| peer.contact.id != old.contact.id)
    }) {
        let taken = table.peers().any(|peer| peer.contact == who);
        let moved = old.contact.id == who.id;
        let crowded = old.contact.address.prefix().is_some();
        assert!(taken || moved || crowded, "{old:?} went for nobody");
    }
}

/// Asks for all upkeep that is due, and finds an end.
fn maintenance(table: &mut Table, now: Instant) {
    let due = table.next_maintenance() <= now;
    for asked in 0..64 {
        match table.maintenance(now) {
            Some(Maintenance::Ask(contact)) => {
                assert!(table.get(&contact.id).is_some_and(|peer| peer.contact == contact), "{contact:?} is not known");
            }
            Some(Maintenance::Lookup { target }) => assert_ne!(target, OWN),
            Some(Maintenance::Neighbourhood) => assert!(table.peers().next().is_some()),
            None => {
                assert!(
                    table.next_maintenance() > now,
                    "due at {:?}, and nothing to do at {now:?}",
                    table.next_maintenance()
                );
                assert!(due || asked == 0, "something was due before its time");
                return;
            }
        }
    }
    panic!("upkeep without end");
}

fn check(table: &Table, model: &BTreeMap<Id, Known>) {
    let peers: Vec<Peer<SocketAddrV4>> = table.peers().collect();
    assert!(peers.len() <= CONTACTS);
    assert!(peers.is_sorted_by(|a, b| a.contact.id.xor(&OWN) < b.contact.id.xor(&OWN)));
    assert!(peers.iter().all(|peer| peer.contact.id != OWN));
    for peer in &peers {
        assert_eq!(table.get(&peer.contact.id), Some(*peer));
        let known = model.get(&peer.contact.id);
        match peer.state {
            ContactState::Unverified => {}
            ContactState::Failing => {
                assert!(known.is_some_and(|known| known.addresses.contains(&peer.contact.address)))
            }
            ContactState::Verified => {
                assert!(known.is_some_and(|known| known.responses && known.addresses.contains(&peer.contact.address)));
            }
        }
    }
    for bucket in peers.chunk_by(|a, b| a.contact.id.common_prefix_len(&OWN) == b.contact.id.common_prefix_len(&OWN)) {
        assert!(bucket.len() <= K);
    }
    let verified = peers.iter().filter(|peer| peer.state == ContactState::Verified);
    let reach = verified.map(|peer| peer.contact.id.xor(&OWN)).nth(K - 1);
    assert_eq!(table.expected_reach(), reach);
    let outside = || peers.iter().filter(|peer| reach.is_some_and(|reach| peer.contact.id.xor(&OWN) > reach));
    for peer in outside().filter(|peer| peer.contact.address.prefix().is_some()) {
        let depth = |peer: &Peer<SocketAddrV4>| peer.contact.id.common_prefix_len(&OWN);
        let same = || outside().filter(|other| other.contact.address.prefix() == peer.contact.address.prefix());
        assert!(same().count() <= LIMITS.per_prefix_in_table.into());
        assert!(same().filter(|other| depth(other) == depth(peer)).count() <= LIMITS.per_prefix_in_bucket.into());
    }
}

fn check_orders(table: &Table, target: &Id) {
    let in_state = |state: ContactState| {
        let mut sorted: Vec<Who> = table.peers().filter(|peer| peer.state == state).map(|peer| peer.contact).collect();
        sorted.sort_by_key(|contact| contact.id.xor(target));
        sorted
    };
    let verified = in_state(ContactState::Verified);
    for room in [0, 4, 20] {
        let mut named = vec![Who::EMPTY; room];
        let count = table.closest(target, &mut named);
        assert!(named[..count].iter().eq(verified.iter().take(room)));
    }
    let rank = verified.iter().filter(|contact| contact.id.xor(target) < OWN.xor(target)).count();
    assert_eq!(table.rank_of_own(target, CONTACTS), rank);
    assert_eq!(table.rank_of_own(target, 2), rank.min(2));
    let mut hops = [Who::EMPTY; 30];
    let count = table.toward(target, &mut hops);
    assert_eq!(hops[..count], verified[..rank], "passed on to all that are nearer, nearest first");
    let others = [in_state(ContactState::Failing), in_state(ContactState::Unverified)].concat();
    let few = K.saturating_sub(verified.len());
    let seeds = [verified, others.into_iter().take(few).collect()].concat();
    let mut named = [Who::EMPTY; 30];
    let count = table.first_asked(target, &mut named);
    assert_eq!(named[..count], seeds);
}
