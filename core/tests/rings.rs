//! Chord's and Pastry's tables: which contacts they keep and name, compared with naive models, and how many hops a
//! request takes over ideal tables.

use core::time::Duration;
use std::collections::BTreeMap;

use kadlet::routing::{ContactState, Limits, Maintenance, Origin};
use kadlet::{Chord, Contact, Geometry, Id, Instant, Pastry, Routing};
use proptest::prelude::*;

type NumberedContact = Contact<u16>;

const T0: Instant = Instant::from_secs(1_000);

fn started<R: Routing>(own: Id) -> R {
    let mut table = R::EMPTY;
    table.start(T0, own, &Limits::DEFAULT, 7).unwrap();
    table
}

/// The contacts of a network, sorted by identifier. The address of each is its index.
fn network(seed: u64, count: u16) -> Vec<NumberedContact> {
    let mut state = seed;
    let mut byte = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    let mut nodes: Vec<NumberedContact> =
        (0..count).map(|number| Contact::new(Id::from_bytes(core::array::from_fn(|_| byte())), number)).collect();
    nodes.sort_by_key(|node| node.id);
    for (number, node) in (0..).zip(&mut nodes) {
        node.address = number;
    }
    nodes
}

/// A table that has up to 16 neighbours on either side, and the first contact at or after each identifier in `far`.
fn ideal<R: Routing<Address = u16>>(nodes: &[NumberedContact], own: usize, far: &[Id]) -> R {
    let mut table = started::<R>(nodes[own].id);
    let len = nodes.len();
    for step in (1..=16.min(len - 1)).rev() {
        table.responded(T0, nodes[(own + step) % len], None);
        table.responded(T0, nodes[(own + len - step) % len], None);
    }
    for id in far {
        table.responded(T0, nodes[nodes.partition_point(|node| node.id < *id) % len], None);
    }
    table
}

/// The starts of Chord's fingers.
fn fingers(own: &Id) -> Vec<Id> {
    let start = |bit: usize| {
        let mut bytes = *own.as_bytes();
        let mut carry = 0x80 >> (bit % 8);
        for at in (0..=bit / 8).rev() {
            let sum = u16::from(bytes[at]) + carry;
            (bytes[at], carry) = (sum as u8, sum >> 8);
        }
        Id::from_bytes(bytes)
    };
    (0..16).map(start).collect()
}

/// An identifier in each cell of the first four rows of Pastry's table, with digits of four bits.
fn cells(own: &Id) -> Vec<Id> {
    let inside = |row: usize, digit: u8| {
        let mut bytes = *own.as_bytes();
        let (high, low) = (bytes[row / 2] >> 4, bytes[row / 2] & 15);
        bytes[row / 2] = if row.is_multiple_of(2) { digit << 4 | low } else { high << 4 | digit };
        bytes[row / 2 + 1..].iter_mut().for_each(|byte| *byte = byte.wrapping_mul(91).wrapping_add(digit));
        Id::from_bytes(bytes)
    };
    (0..4).flat_map(|row| (0..16).map(move |digit| inside(row, digit))).collect()
}

/// Forwards `walks` requests in a network of `count` nodes. Returns the mean number of hops, and how many requests
/// ended at the responsible node.
fn walk<R: Routing<Address = u16>>(count: u16, walks: usize, far: fn(&Id) -> Vec<Id>) -> (f64, usize) {
    let nodes = network(11, count);
    let tables: Vec<R> = (0..nodes.len()).map(|own| ideal(&nodes, own, &far(&nodes[own].id))).collect();
    let targets = network(12, walks as u16);
    let (mut hops, mut right) = (0, 0);
    for (number, target) in targets.iter().enumerate() {
        let mut at = number * 31 % nodes.len();
        let responsible = nodes.iter().min_by_key(|node| R::Geometry::rank(&target.id, &node.id)).unwrap();
        for hop in 0..=64 {
            let mut next = [NumberedContact::EMPTY; 1];
            if tables[at].next_hops(&target.id, &mut next) == 0 {
                hops += hop;
                break;
            }
            assert!(hop < 64, "the request for {} goes in a circle", target.id);
            at = usize::from(next[0].address);
        }
        right += usize::from(nodes[at].id == responsible.id);
    }
    (hops as f64 / walks as f64, right)
}

#[test]
fn chord_over_ideal_tables_takes_fewer_hops_than_half_the_logarithm() {
    let (hops, right) = walk::<Chord<u16, 8, 24>>(1_000, 3_000, fingers);
    println!("Chord, 8 successors, 1,000 nodes: {hops:.2} hops");
    assert_eq!(right, 3_000);
    assert!(hops <= 4.43 * 1.05, "{hops}");
}

#[test]
fn pastry_over_ideal_tables_takes_fewer_hops_than_the_rounded_logarithm() {
    let (hops, right) = walk::<Pastry<u16, 16, 4, 96>>(1_000, 3_000, cells);
    println!("Pastry, 16 leaves, 1,000 nodes: {hops:.2} hops");
    assert_eq!(right, 3_000);
    assert!(hops <= 2.47 * 1.05, "{hops}");
}

#[test]
fn a_joining_node_waits_for_a_request_from_its_predecessor() {
    let nodes = network(3, 4);
    let mut table: Chord<u16> = started(nodes[2].id);
    assert_eq!(table.contact_to_notify(), None);
    table.responded(T0, nodes[1], None);
    table.responded(T0, nodes[3], None);
    assert_eq!(table.contact_to_notify(), Some(nodes[1]));
    table.discovered(T0, nodes[3], Origin::Requester);
    assert_eq!(table.contact_to_notify(), Some(nodes[1]), "a request from the successor doesn't matter");
    table.discovered(T0, nodes[1], Origin::Requester);
    assert_eq!(table.contact_to_notify(), None);
    table.failed(T0, &nodes[1].id);
    assert_eq!(table.contact_to_notify(), Some(nodes[3]), "now that node is the predecessor, around the ring");
}

#[test]
fn a_finger_is_the_first_contact_of_its_interval_and_is_replaced_when_it_fails() {
    let node = |byte: u8| Contact::new(Id::from_bytes([byte; 20]), u16::from(byte));
    let mut table: Chord<u16, 1, 16> = started(node(0).id);
    for byte in [0x01, 0xFF, 0x50, 0x48, 0x90] {
        table.responded(T0, node(byte), None);
    }
    assert_eq!(table.finger(158), Some(node(0x48)));
    table.failed(T0, &node(0x48).id);
    assert_eq!(table.finger(158), Some(node(0x50)));
    table.responded(T0, node(0x48), None);
    assert_eq!(table.finger(158), Some(node(0x48)));
    assert_eq!(table.finger(154), Some(node(0x48)), "the finger of an empty interval is the next contact");
}

#[test]
fn the_contact_with_the_shortest_round_trip_gets_a_pastry_cell() {
    let node = |byte: u8, millis| {
        (Contact::new(Id::from_bytes([byte; 20]), u16::from(byte)), Some(Duration::from_millis(millis)))
    };
    let mut table: Pastry<u16, 2, 4, 16> = started(Id::ZERO);
    for (contact, rtt) in
        [node(0x01, 5), node(0xFF, 5), node(0x50, 80), node(0x51, 60), node(0x52, 90), node(0x53, 20), node(0x54, 70)]
    {
        table.responded(T0, contact, rtt);
    }
    assert_eq!(table.cell(0, 5), Some(node(0x53, 0).0));
    assert_eq!(
        table.peers().filter(|peer| peer.contact.id.as_bytes()[0] >> 4 == 5).count(),
        3,
        "the cell's contact and two replacements"
    );
    assert_eq!(table.get(&node(0x52, 0).0.id), None, "the slowest contact was evicted");
}

#[test]
fn a_failed_contact_is_retried_forever_and_comes_back_when_it_responds() {
    fn check<R: Routing<Address = u16>>() {
        let nodes = network(5, 20);
        let mut table = ideal::<R>(&nodes, 0, &[]);
        table.failed(T0, &nodes[1].id);
        let mut tries = Vec::new();
        for second in 0..86_400 {
            let now = T0 + Duration::from_secs(second);
            while let Some(request) = table.maintenance(now) {
                match request {
                    Maintenance::Ask(contact) if contact == nodes[1] => {
                        tries.push(second);
                        table.failed(now, &contact.id);
                    }
                    Maintenance::Ask(contact) => table.responded(now, contact, None),
                    _ => {}
                }
            }
        }
        assert!(tries.len() > 90 && tries.windows(2).all(|pair| pair[1] - pair[0] <= 902), "{tries:?}");
        table.responded(T0 + Duration::from_secs(90_000), nodes[1], None);
        assert_eq!(table.get(&nodes[1].id).map(|peer| peer.state), Some(ContactState::Verified));
    }
    check::<Chord<u16>>();
    check::<Pastry<u16>>();
}

#[test]
fn tables_without_room_cause_no_panic() {
    fn check<R: Routing<Address = u16>, const CONTACTS: usize>() {
        let nodes = network(6, 30);
        let mut table = R::EMPTY;
        let is_started = table.start(T0, nodes[3].id, &Limits { k: 1, ..Limits::DEFAULT }, 7).is_ok();
        assert_eq!(is_started, CONTACTS > 0, "k is at most the number of places");
        for node in &nodes {
            table.responded(T0, *node, None);
        }
        assert!(table.peers().count() <= CONTACTS);
        let mut named = [NumberedContact::EMPTY; 9];
        assert!(table.closest(&nodes[9].id, &mut named) <= table.peers().count());
    }
    check::<Chord<u16, 0, 0>, 0>();
    check::<Chord<u16, 9, 1>, 1>();
    check::<Pastry<u16, 0, 4, 2>, 2>();
    check::<Pastry<u16, 64, 3, 5>, 5>();
}

/// The own node's neighbours among the live contacts, by a naive model.
fn neighbours(live: &BTreeMap<Id, u16>, own: &Id, ahead: usize, behind: usize) -> Vec<Id> {
    let mut around: Vec<Id> = live.keys().copied().collect();
    around.sort_by_key(|id| own.clockwise(id));
    let count = around.len();
    around.into_iter().enumerate().filter(|(at, _)| *at < ahead || count - at <= behind).map(|(_, id)| id).collect()
}

/// Checks after each call that the table keeps all neighbours, and counts and names as the model does.
fn neighbours_are_kept<R: Routing<Address = u16>>(ahead: usize, behind: usize, calls: &[(u8, bool)]) {
    let nodes = network(8, 256);
    let own = nodes[100].id;
    let mut table = started::<R>(own);
    let mut live = BTreeMap::new();
    for (number, responds) in calls {
        let node = nodes[usize::from(*number)];
        if node.id == own {
            continue;
        }
        let kept = table.get(&node.id).is_some();
        if *responds {
            table.responded(T0, node, None);
            if table.get(&node.id).is_some() {
                live.insert(node.id, node.address);
            }
        } else if kept {
            table.failed(T0, &node.id);
            live.remove(&node.id);
        }
        live.retain(|id, _| table.get(id).is_some_and(|peer| peer.state == ContactState::Verified));
        if *responds {
            let mut known = live.clone();
            known.insert(node.id, node.address);
            for id in neighbours(&known, &own, ahead, behind) {
                assert!(
                    table.get(&id).is_some_and(|peer| peer.state == ContactState::Verified),
                    "a neighbour is always kept"
                );
            }
        }
        let own_rank = R::Geometry::rank(&nodes[3].id, &own);
        let nearer = live.keys().filter(|id| R::Geometry::rank(&nodes[3].id, id) < own_rank).count();
        assert_eq!(table.rank_of_own(&nodes[3].id, usize::MAX), nearer);
        let mut named = [NumberedContact::EMPTY; 4];
        let count = table.closest(&nodes[3].id, &mut named);
        assert_eq!(count, live.len().min(4));
        assert!(named[..count].iter().all(|contact| live.contains_key(&contact.id)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn successors_and_predecessors_are_always_kept(calls in proptest::collection::vec(any::<(u8, bool)>(), 0..300)) {
        neighbours_are_kept::<Chord<u16, 4, 24>>(4, 8, &calls);
    }

    #[test]
    fn the_leaf_set_is_always_kept(calls in proptest::collection::vec(any::<(u8, bool)>(), 0..300)) {
        neighbours_are_kept::<Pastry<u16, 8, 2, 24>>(4, 4, &calls);
    }
}
