//! The body of the fuzz target `routing`: any sequence of calls against a table, compared with a naive model of the
//! contacts that it may trust. Kademlia's table is here, Chord's and Pastry's are in `rings`.
//!
//! `core/tests/routing.rs` drives it with proptest too.

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
type Contact4 = Contact<SocketAddrV4>;

/// What the model remembers of an identifier.
#[derive(Default)]
struct Known {
    /// The addresses that it responded from.
    addresses: BTreeSet<SocketAddrV4>,
    /// Whether it responded to the last request.
    responds: bool,
}

/// Runs the calls that `data` encodes, against the table that its second byte chooses.
///
/// # Panics
///
/// When a rule is broken.
pub fn run(data: &[u8]) {
    match data.get(1).map_or(0, |byte| byte % 4) {
        2 => rings::run::<Chord<SocketAddrV4, 4, CONTACTS>>(data, 4, K, rings::chord_may_forward),
        3 => rings::run::<Pastry<SocketAddrV4, 6, 2, CONTACTS>>(data, 3, 3, rings::pastry_may_forward),
        _ => kademlia(data),
    }
}

fn kademlia(data: &[u8]) {
    let mut bytes = data.iter().copied();
    let mut table = Table::EMPTY;
    let mut model = BTreeMap::<Id, Known>::new();
    let mut now = Instant::from_millis(bytes.next().unwrap_or(0).into());
    table.start(now, OWN, &LIMITS, bytes.next().unwrap_or(0).into()).unwrap();
    while let Some(call) = bytes.next() {
        let mut next = || bytes.next().unwrap_or(0);
        let contact = contact(next(), next(), next());
        let before: Vec<Peer<SocketAddrV4>> = table.peers().collect();
        let (neighbours, changed) = (neighbours(&table), table.changed());
        match call % 16 {
            0 => discovered(&mut table, now, contact, Origin::Requester, &before),
            1 => discovered(&mut table, now, contact, Origin::Named, &before),
            2..=7 => {
                let known = model.entry(contact.id).or_default();
                known.addresses.insert(contact.address);
                known.responds = true;
                let rtt = (call & 0x80 != 0).then(|| Duration::from_millis(u64::from(next())));
                responded(&mut table, now, contact, rtt, &before);
            }
            8..=10 => {
                model.entry(contact.id).or_default().responds = false;
                table.failed(now, &contact.id);
                let verified = before.iter().filter(|peer| peer.state == ContactState::Verified).count();
                let left: Vec<_> = table.peers().map(|peer| peer.contact).collect();
                let removed = before.iter().filter(|peer| !left.contains(&peer.contact));
                assert!(
                    removed.clone().all(|peer| peer.contact.id == contact.id
                        && match peer.state {
                            ContactState::Unverified => true,
                            ContactState::Failing => verified >= K,
                            ContactState::Verified => false,
                        }),
                    "a failure removes only an unverified contact, or a failing one if k are verified"
                );
                assert_eq!(left.len() + removed.count(), before.len());
            }
            11 => {
                model.remove(&contact.id);
                table.evict(now, &contact.id);
                assert_eq!(table.get(&contact.id), None);
            }
            12 => now = now + Duration::from_millis(1 << (next() % 24)),
            13 => now = now.max(table.next_maintenance().min(now + Duration::from_secs(4_000))),
            14 => table.looked_up(now, if next() % 2 == 0 { &OWN } else { &contact.id }),
            _ => table.check_neighbourhood_soon(now),
        }
        let expected = if neighbours == self::neighbours(&table) { changed } else { now };
        assert_eq!(table.changed(), expected, "the table must note when the neighbourhood changed");
        if call & 0x40 != 0 {
            let due = table.next_maintenance() <= now;
            let tasks = maintenance(&mut table, now, 64);
            assert!(due || tasks == 0, "maintenance was due before its time");
        }
        check(&table, &model);
        check_orders(&table, &contact.id);
    }
}

/// The k closest verified contacts.
fn neighbours(table: &Table) -> Vec<Id> {
    let verified = table.peers().filter(|peer| peer.state == ContactState::Verified);
    verified.map(|peer| peer.contact.id).take(K).collect()
}

/// A contact so near to others in identifier and address that they compete for places.
fn contact(depth: u8, rest: u8, place: u8) -> Contact4 {
    let mut id = *OWN.as_bytes();
    let depth = usize::from(depth % 14);
    id[19] = rest;
    id[2] ^= rest;
    id[depth / 8] ^= 0x80 >> (depth % 8);
    let id = if rest == 0xFF { OWN } else { Id::from_bytes(id) };
    let ip = if place < 64 { Ipv4Addr::new(10, 0, 0, place) } else { Ipv4Addr::new(192, 0, place % 8, 1) };
    Contact::new(id, SocketAddrV4::new(ip, 1_000 + u16::from(place % 3)))
}

/// Calls `discovered`, and checks that the table changes no known contact and asks only for contacts that it would
/// keep.
fn discovered<R: Routing<Address = SocketAddrV4> + Clone>(
    table: &mut R,
    now: Instant,
    contact: Contact4,
    how: Origin,
    before: &[Peer<SocketAddrV4>],
) {
    let worth_asking = table.discovered(now, contact, how);
    assert!(how != Origin::Requester || table.peers().eq(before.iter().copied()), "a request adds no contact");
    for peer in before {
        assert_eq!(table.get(&peer.contact.id), Some(*peer), "a discovered contact changes and evicts no other");
    }
    if worth_asking {
        let mut after = table.clone();
        after.responded(now, contact, None);
        let kept = after.peers().any(|peer| peer.contact == contact && peer.state == ContactState::Verified);
        // A contact with a new address needs a new place, and its new address prefix may have enough places already.
        let moving = before.iter().any(|peer| peer.contact.id == contact.id);
        assert!(kept || moving, "{contact:?} was worth asking, but is not kept");
    }
}

fn responded(table: &mut Table, now: Instant, contact: Contact4, rtt: Option<Duration>, before: &[Peer<SocketAddrV4>]) {
    table.responded(now, contact, rtt);
    let distance = |id: &Id| id.xor(&OWN);
    let mut closest: Vec<Id> =
        before.iter().filter(|peer| peer.state == ContactState::Verified).map(|peer| peer.contact.id).collect();
    if contact.id != OWN && !closest.contains(&contact.id) {
        closest.push(contact.id);
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
        let kept = table.peers().any(|peer| peer.contact == contact);
        let moved = old.contact.id == contact.id;
        let crowded = old.contact.address.prefix().is_some();
        assert!(kept || moved || crowded, "{old:?} was evicted without a reason");
    }
}

/// Takes all maintenance that is due, checks that there are fewer than `most` tasks, and returns their number.
fn maintenance<R: Routing<Address = SocketAddrV4>>(table: &mut R, now: Instant, most: usize) -> usize {
    for tasks in 0..most {
        match table.maintenance(now) {
            Some(Maintenance::Ask(contact)) => {
                assert!(table.get(&contact.id).is_some_and(|peer| peer.contact == contact), "{contact:?} is not known");
            }
            Some(Maintenance::Lookup { target }) => assert_ne!(target, OWN),
            Some(Maintenance::Neighbourhood) => assert!(table.peers().next().is_some()),
            Some(other) => panic!("no rule is tested for this request: {other}"),
            None => {
                assert!(
                    table.next_maintenance() > now,
                    "due at {:?}, but nothing to do at {now:?}",
                    table.next_maintenance()
                );
                return tasks;
            }
        }
    }
    panic!("maintenance without end");
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
                assert!(known.is_some_and(|known| known.responds && known.addresses.contains(&peer.contact.address)));
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
        let mut sorted: Vec<Contact4> =
            table.peers().filter(|peer| peer.state == state).map(|peer| peer.contact).collect();
        sorted.sort_by_key(|contact| contact.id.xor(target));
        sorted
    };
    let verified = in_state(ContactState::Verified);
    for room in [0, 4, 20] {
        let mut named = vec![Contact4::EMPTY; room];
        let count = table.closest(target, &mut named);
        assert!(named[..count].iter().eq(verified.iter().take(room)));
    }
    let rank = verified.iter().filter(|contact| contact.id.xor(target) < OWN.xor(target)).count();
    assert_eq!(table.rank_of_own(target, CONTACTS), rank);
    assert_eq!(table.rank_of_own(target, 2), rank.min(2));
    let mut hops = [Contact4::EMPTY; 30];
    let count = table.next_hops(target, &mut hops);
    assert_eq!(hops[..count], verified[..rank], "all nearer contacts are possible next hops, nearest first");
    let others = [in_state(ContactState::Failing), in_state(ContactState::Unverified)].concat();
    let few = K.saturating_sub(verified.len());
    let seeds = [verified, others.into_iter().take(few).collect()].concat();
    let mut named = [Contact4::EMPTY; 30];
    let count = table.initial_contacts(target, &mut named);
    assert_eq!(named[..count], seeds);
}
