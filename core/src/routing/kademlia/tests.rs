use core::net::{Ipv4Addr, SocketAddrV4};
use std::vec::Vec;

use super::*;
use crate::routing::stamp::Stamp;

type Small = Kademlia<u16, 12, 8>;

const OWN: Id = Id::ZERO;
const LIMITS: Limits = Limits { k: 2, ..Limits::DEFAULT };
const T0: Instant = Instant::from_secs(1_000);

fn start<R: Routing>() -> R {
    let mut table = R::EMPTY;
    table.start(T0, OWN, &LIMITS, 7).unwrap();
    table
}

/// The table as after an hour without churn.
fn without_churn<const CONTACTS: usize, const REPLACEMENTS: usize>(
    mut table: Kademlia<u16, CONTACTS, REPLACEMENTS>,
) -> Kademlia<u16, CONTACTS, REPLACEMENTS> {
    for _ in 0..60 {
        table.buckets.schedule.contact_survived(T0, Stamp::ZERO);
    }
    table
}

/// A contact at this depth. `rest` distinguishes contacts of one depth, in the order of their distance.
fn contact(depth: u32, rest: u8) -> Contact<u16> {
    Contact::new(id(depth, rest), u16::try_from(depth).unwrap() << 8 | u16::from(rest))
}

fn id(depth: u32, rest: u8) -> Id {
    let mut bytes = [0; 20];
    bytes[depth as usize / 8] = 0x80 >> (depth % 8);
    bytes[19] ^= rest;
    Id::from_bytes(bytes)
}

fn after(secs: u64) -> Instant {
    T0 + Duration::from_secs(secs)
}

fn in_state(table: &impl Routing<Address = u16>, state: ContactState) -> Vec<Contact<u16>> {
    table.peers().filter(|peer| peer.state == state).map(|peer| peer.contact).collect()
}

fn verified(table: &impl Routing<Address = u16>) -> Vec<Contact<u16>> {
    in_state(table, ContactState::Verified)
}

#[test]
fn after_a_response_the_next_deadline_is_the_first_of_all_contacts() {
    let mut table: Kademlia<u16, 64> = start();
    let contacts: Vec<_> = (0..16).flat_map(|depth| [contact(depth, 1), contact(depth, 2)]).collect();
    let mut now = T0;
    for step in 0..2_000 {
        now = now + Duration::from_millis(700);
        let peer = contacts[step * 13 % contacts.len()];
        if step % 17 == 0 {
            table.failed(now, &peer.id)
        } else {
            table.responded(now, peer, None)
        }
        let next = table.next_maintenance();
        let (buckets, replacements) = table.both();
        buckets.reschedule(replacements);
        assert_eq!(table.next_maintenance(), next, "step {step}");
        table.maintenance(now);
    }
}

/// The requests of maintenance in these seconds, each with its second, in steps of a quarter of a second.
fn asked<R: Routing>(table: &mut R, from: u64, to: u64) -> Vec<(u64, Maintenance<R::Address>)> {
    let mut requests = Vec::new();
    for quarter in from * 4..to * 4 {
        let now = T0 + Duration::from_millis(quarter * 250);
        let late = table.next_maintenance() + Duration::from_millis(250) <= now;
        assert!(quarter == from * 4 || !late, "a request is handed out no later than the table said");
        while let Some(request) = table.maintenance(now) {
            requests.push((quarter / 4, request));
        }
    }
    requests
}

fn checks<A>(requests: &[(u64, Maintenance<A>)]) -> Vec<u64> {
    requests.iter().filter(|(_, request)| matches!(request, Maintenance::Neighbourhood)).map(|(at, _)| *at).collect()
}

/// The seconds in which this contact was asked.
fn times(requests: &[(u64, Maintenance<u16>)], contact: Contact<u16>) -> Vec<u64> {
    let ask = Maintenance::Ask(contact);
    requests.iter().filter(|(_, request)| *request == ask).map(|(at, _)| *at).collect()
}

#[test]
fn a_table_that_was_not_started_takes_no_contact() {
    let mut table = Small::EMPTY;
    assert!(!table.discovered(T0, contact(0, 0), Origin::Requester));
    table.responded(T0, contact(0, 0), None);
    table.failed(T0, &id(0, 0));
    table.looked_up(T0, &id(0, 0));
    table.check_neighbourhood_soon(T0);
    assert_eq!(table.peers().count(), 0);
    assert_eq!((table.next_maintenance(), table.maintenance(T0)), (Instant::NEVER, None));
}

#[test]
fn a_table_without_places_refuses_every_k_and_is_harmless() {
    let mut none: Kademlia<u16, 0, 0> = Kademlia::EMPTY;
    let mut one: Kademlia<u16, 1, 1> = Kademlia::EMPTY;
    let limits = Limits { k: 1, ..LIMITS };
    let error = none.start(T0, OWN, &limits, 7).unwrap_err();
    assert_eq!((error.field, error.value, error.most), ("k", 1, 0));
    one.start(T0, OWN, &limits, 7).unwrap();
    for depth in 0..4 {
        none.responded(T0, contact(depth, 0), None);
        one.responded(T0, contact(depth, 0), None);
    }
    assert_eq!(verified(&none), []);
    assert_eq!(verified(&one), [contact(3, 0)], "the closest");
}

#[test]
fn the_own_id_is_never_taken() {
    let mut table: Small = start();
    table.responded(T0, Contact::new(OWN, 1), None);
    assert!(!table.discovered(T0, Contact::new(OWN, 1), Origin::Named));
    assert_eq!(table.peers().count(), 0);
}

#[test]
fn only_a_response_verifies() {
    let mut table: Small = start();
    assert!(table.discovered(T0, contact(0, 1), Origin::Requester));
    assert!(table.discovered(T0, contact(0, 1), Origin::Named));
    assert_eq!(verified(&table), []);
    table.responded(T0, contact(0, 1), Some(Duration::from_millis(20)));
    assert_eq!(verified(&table), [contact(0, 1)]);
    assert!(!table.discovered(T0, contact(0, 1), Origin::Requester), "it needs no request");
    assert_eq!(table.get(&id(0, 1)).and_then(|peer| peer.rtt), Some(Duration::from_millis(20)));
}

/// A table with two near contacts, so that farther ones aren't neighbours.
fn with_neighbours() -> Small {
    let mut table: Small = start();
    table.responded(T0, contact(9, 0), None);
    table.responded(T0, contact(10, 0), None);
    table
}

#[test]
fn a_full_bucket_keeps_its_oldest_live_contact() {
    let mut table = with_neighbours();
    for rest in [3, 4, 1] {
        table.responded(after(rest.into()), contact(0, rest), None);
    }
    assert_eq!(verified(&table), [contact(10, 0), contact(9, 0), contact(0, 3), contact(0, 4)]);
    assert!(!table.discovered(T0, contact(0, 5), Origin::Named), "a request to another contact is not worth sending");
}

#[test]
fn a_contact_that_failed_three_times_in_a_row_keeps_its_place_only_while_fewer_than_k_are_verified() {
    let mut table = with_neighbours();
    table.responded(T0, contact(0, 1), None);
    for _ in 0..2 {
        table.failed(after(1), &id(0, 1));
        assert_eq!(in_state(&table, ContactState::Failing), [contact(0, 1)]);
    }
    table.failed(after(1), &id(0, 1));
    assert_eq!(in_state(&table, ContactState::Failing), []);
    table.responded(after(2), contact(0, 1), None);
    assert_eq!(verified(&table), [contact(10, 0), contact(9, 0), contact(0, 1)], "it returns when it responds");

    for rest in [(10, 0), (9, 0), (0, 1)] {
        for _ in 0..300 {
            table.failed(after(3), &id(rest.0, rest.1));
        }
    }
    assert_eq!(table.peers().count(), 2, "a node without a link keeps k");
}

#[test]
fn a_failing_contact_is_evicted_only_for_one_that_responds() {
    let mut table = with_neighbours();
    table.responded(T0, contact(0, 1), None);
    table.responded(T0, contact(0, 2), None);
    for _ in 0..2 {
        table.failed(after(1), &id(0, 1));
    }
    assert_eq!(in_state(&table, ContactState::Failing), [contact(0, 1)]);
    assert!(table.discovered(after(1), contact(0, 3), Origin::Named), "another can get its place");
    assert_eq!(in_state(&table, ContactState::Failing), [contact(0, 1)], "but not before it responds");
    table.responded(after(2), contact(0, 3), None);
    assert_eq!(verified(&table), [contact(10, 0), contact(9, 0), contact(0, 2), contact(0, 3)]);
    assert_eq!(in_state(&table, ContactState::Failing), []);
}

#[test]
fn an_unverified_contact_is_removed_at_its_first_failure_and_evicted_for_one_that_responds() {
    let mut table = with_neighbours();
    for rest in [1, 2] {
        assert!(table.discovered(T0, contact(0, rest), Origin::Named));
    }
    assert!(table.discovered(T0, contact(0, 3), Origin::Named), "it can take another's place if it responds");
    assert_eq!(in_state(&table, ContactState::Unverified), [contact(0, 1), contact(0, 2)]);
    table.responded(T0, contact(0, 3), None);
    assert_eq!(in_state(&table, ContactState::Unverified), [contact(0, 1)]);
    table.failed(T0, &id(0, 1));
    assert_eq!(in_state(&table, ContactState::Unverified), []);
}

#[test]
fn the_closest_are_taken_even_into_a_full_bucket() {
    let mut table: Small = start();
    for rest in [7, 6, 5] {
        table.responded(T0, contact(3, rest), None);
    }
    assert_eq!(verified(&table), [contact(3, 5), contact(3, 6)]);
    table.responded(T0, contact(3, 8), None);
    assert_eq!(verified(&table), [contact(3, 5), contact(3, 6)]);
}

#[test]
fn when_the_array_is_full_the_largest_bucket_evicts_a_contact() {
    let mut table: Kademlia<u16, 5, 8> = start();
    for (depth, rest) in [(0, 1), (0, 2), (1, 1), (1, 2), (2, 1)] {
        table.responded(after(300 * u64::from(rest)), contact(depth, rest), None);
    }
    table.responded(after(900), contact(2, 2), None);
    let shrunk = [contact(2, 1), contact(2, 2), contact(1, 1), contact(0, 1), contact(0, 2)];
    assert_eq!(verified(&table), shrunk, "the newest contact of the deepest of the largest buckets, but no neighbour");
    table.responded(after(900), contact(1, 3), None);
    assert_eq!(verified(&table), shrunk, "no bucket is larger by two");
}

#[test]
fn a_full_array_evicts_only_from_a_bucket_that_is_larger_by_two() {
    let mut table = Kademlia::<u16, 6>::EMPTY;
    table.start(T0, OWN, &Limits { k: 3, ..LIMITS }, 7).unwrap();
    let all = [(9, 0), (10, 0), (11, 0), (0, 0), (0, 1), (0, 2), (1, 0), (1, 1)];
    for (depth, rest) in all {
        table.responded(T0, contact(depth, rest), None);
    }
    let sizes =
        [0, 1].map(|depth| verified(&table).iter().filter(|peer| peer.id.common_prefix_len(&OWN) == depth).count());
    assert_eq!(
        sizes,
        [2, 1],
        "the first contact of the smaller bucket got a place, the second would only swap the sizes"
    );
}

#[test]
fn of_contacts_whose_ids_begin_alike_the_nearest_are_named() {
    let mut table = with_neighbours();
    table.responded(T0, contact(0, 1), None);
    table.responded(T0, contact(0, 2), None);
    for (target, nearest) in [(1, [1, 2]), (3, [2, 1])] {
        for room in [1, 2] {
            let mut named = [Contact::EMPTY; 2];
            table.closest(&id(0, target), &mut named[..room]);
            assert_eq!(named[..room], nearest.map(|rest| contact(0, rest))[..room], "near {target}");
        }
    }
}

#[test]
fn only_a_response_changes_an_address_and_only_that_of_a_failing_contact() {
    let mut table: Small = start();
    table.responded(T0, contact(0, 1), None);
    let moved = Contact::new(id(0, 1), 9);
    assert!(!table.discovered(T0, moved, Origin::Requester));
    table.responded(T0, moved, None);
    assert_eq!(verified(&table), [contact(0, 1)]);
    table.failed(T0, &id(0, 1));
    assert!(table.discovered(T0, moved, Origin::Requester));
    assert_eq!(in_state(&table, ContactState::Failing), [contact(0, 1)]);
    table.responded(T0, moved, None);
    assert_eq!(verified(&table), [moved]);
}

#[test]
fn an_evicted_contact_is_forgotten() {
    let mut table: Small = start();
    table.responded(T0, contact(0, 1), None);
    table.evict(T0, &id(0, 1));
    assert_eq!((table.get(&id(0, 1)), table.peers().count()), (None, 0));
}

#[test]
fn a_replacement_is_asked_when_a_contact_of_its_bucket_fails_and_takes_its_place() {
    let mut table = with_neighbours();
    for rest in 1..=4 {
        table.responded(T0, contact(0, rest), None);
    }
    asked(&mut table, 0, 40);
    table.failed(after(40), &id(0, 1));
    let requests = asked(&mut table, 40, 42);
    assert_eq!(times(&requests, contact(0, 4)), [40], "the most recent one");
    assert_eq!(times(&requests, contact(0, 3)), []);
    table.failed(after(42), &id(0, 4));
    let requests = asked(&mut table, 42, 44);
    assert_eq!(times(&requests, contact(0, 3)), [42], "then the next");
    table.responded(after(44), contact(0, 3), None);
    assert_eq!(verified(&table), [contact(10, 0), contact(9, 0), contact(0, 2), contact(0, 3)]);
}

#[test]
fn a_replacement_is_not_asked_while_its_bucket_is_full_of_contacts_that_respond() {
    let mut table = with_neighbours();
    for rest in [1, 2, 3, 4] {
        table.responded(T0, contact(0, rest), None);
    }
    table.failed(after(1), &id(0, 3));
    let waiting = contact(0, 4);
    assert!(table.get(&waiting.id).is_some());
    assert_eq!(times(&asked(&mut table, 1, 20), waiting), [] as [u64; 0]);
    table.evict(after(20), &id(0, 1));
    assert_eq!(times(&asked(&mut table, 20, 30), waiting).len(), 1, "now there is a place");
}

#[test]
fn a_lost_contact_is_tried_again_for_ever_and_returns() {
    let mut table = with_neighbours();
    table.responded(T0, contact(0, 1), None);
    table.responded(T0, contact(0, 2), None);
    table.failed(T0, &id(0, 1));
    table.responded(T0, contact(0, 3), None);
    let mut tries = Vec::new();
    for second in 0..86_400 {
        while let Some(request) = table.maintenance(after(second)) {
            if request == Maintenance::Ask(contact(0, 1)) {
                tries.push(second);
                table.failed(after(second), &id(0, 1));
            }
        }
    }
    assert!(tries.windows(2).all(|pair| (786..=901).contains(&(pair[1] - pair[0]))), "every 15 minutes: {tries:?}");
    assert!(tries.len() > 90, "{tries:?}");
    table.evict(after(90_000), &id(0, 3));
    table.responded(after(90_000), contact(0, 1), None);
    assert!(verified(&table).contains(&contact(0, 1)));
}

#[test]
fn the_lost_contacts_that_were_known_for_longest_are_kept() {
    let mut table = with_neighbours();
    table.responded(T0, contact(0, 1), None);
    table.responded(T0, contact(0, 2), None);
    for rest in 2..20 {
        let now = after(20_000 + 1_000 * u64::from(rest));
        table.failed(now, &id(0, rest));
        table.responded(now, contact(0, rest + 1), None);
        if rest == 2 {
            table.failed(now, &id(0, 1));
            table.responded(now, contact(0, 99), None);
        }
    }
    assert!([1, 2].iter().all(|rest| table.get(&id(0, *rest)).is_some_and(|peer| peer.state == ContactState::Failing)));
}

fn at(depth: u32, rest: u8, ip: [u8; 4]) -> Contact<SocketAddrV4> {
    Contact::new(id(depth, rest), SocketAddrV4::new(Ipv4Addr::from(ip), 4_000 + u16::from(rest)))
}

#[test]
fn one_address_prefix_gets_two_places_in_a_bucket_and_ten_in_the_table() {
    let mut table = Kademlia::<SocketAddrV4, 64>::EMPTY;
    table.start(T0, OWN, &Limits { k: 4, ..LIMITS }, 7).unwrap();
    for rest in 0..4 {
        table.responded(T0, at(20, rest, [10, 0, 0, rest]), None);
    }
    for depth in 0..8 {
        for rest in 0..4 {
            table.responded(T0, at(depth, rest, [192, 0, 2, rest]), None);
        }
    }
    let mut sizes = [0; 8];
    for peer in table.peers().filter(|peer| peer.contact.address.prefix().is_some()) {
        sizes[peer.contact.id.common_prefix_len(&OWN) as usize] += 1;
    }
    assert_eq!(sizes, [2, 2, 2, 2, 2, 0, 0, 0]);
    for rest in 0..4 {
        table.responded(T0, at(7, rest, [192, 168, 2, rest]), None);
    }
    assert_eq!(
        table.peers().filter(|peer| peer.contact.id.common_prefix_len(&OWN) == 7).count(),
        4,
        "private addresses are exempt"
    );
}

#[test]
fn the_closest_are_exempt_from_limits_on_prefixes_while_they_are_the_closest() {
    let mut table = Kademlia::<SocketAddrV4, 64>::EMPTY;
    table.start(T0, OWN, &Limits { k: 4, ..LIMITS }, 7).unwrap();
    for rest in 0..4 {
        table.responded(T0, at(0, rest, [192, 0, 2, rest]), None);
    }
    assert_eq!(table.peers().count(), 4);
    for rest in 0..4 {
        table.responded(T0, at(20, rest, [10, 0, 0, rest]), None);
    }
    assert_eq!(table.peers().filter(|peer| peer.contact.address.prefix().is_some()).count(), 2);
}

/// A table whose closest contacts have no address prefix.
fn with_exempt_neighbours() -> Kademlia<SocketAddrV4, 64> {
    let mut table = Kademlia::EMPTY;
    table.start(T0, OWN, &Limits { k: 4, ..LIMITS }, 7).unwrap();
    for rest in 0..4 {
        table.responded(T0, at(20, rest, [10, 0, 0, rest]), None);
    }
    table
}

#[test]
fn in_a_bucket_with_two_contacts_of_a_prefix_a_third_gets_the_place_of_a_silent_one() {
    let mut table = with_exempt_neighbours();
    for rest in [0, 1, 2] {
        table.responded(T0, at(0, rest, [192, 0, 2, rest]), None);
    }
    assert!(table.get(&id(0, 2)).is_none());
    table.failed(after(1), &id(0, 0));
    table.responded(after(2), at(0, 2, [192, 0, 2, 2]), None);
    assert!(
        table
            .peers()
            .filter(|peer| peer.contact.address.prefix().is_some())
            .all(|peer| peer.state == ContactState::Verified)
    );
    assert_eq!([0, 1, 2].map(|rest| table.peers().any(|peer| peer.contact.id == id(0, rest))), [false, true, true]);
}

#[test]
fn in_a_table_with_ten_contacts_of_a_prefix_another_gets_the_place_of_a_silent_one_of_any_bucket() {
    let mut table = with_exempt_neighbours();
    for (depth, rest) in (0..5).flat_map(|depth| [(depth, 0), (depth, 1)]) {
        table.responded(T0, at(depth, rest, [192, 0, 2, rest]), None);
    }
    table.failed(after(1), &id(2, 1));
    table.responded(after(2), at(4, 2, [192, 0, 2, 2]), None);
    assert!(table.get(&id(4, 2)).is_none() && table.get(&id(2, 1)).is_some(), "its own bucket has two already");
    table.responded(after(2), at(7, 0, [192, 0, 2, 2]), None);
    assert_eq!(table.get(&id(7, 0)).map(|peer| peer.state), Some(ContactState::Verified));
    assert!(!table.peers().any(|peer| peer.contact.id == id(2, 1)));
}

#[test]
fn the_neighbourhood_is_checked_at_once_then_in_tripling_steps_up_to_fifteen_minutes() {
    let mut table = without_churn(with_neighbours());
    let checks = checks(&asked(&mut table, 0, 4_000));
    assert_eq!(checks.first(), Some(&0));
    let waits: Vec<u64> = checks.windows(2).map(|pair| pair[1] - pair[0]).collect();
    for (wait, most) in waits.iter().zip([30, 90, 270, 810, 900, 900]) {
        assert!((most * 7 / 8 - 1..=most).contains(wait), "{waits:?}");
    }
}

#[test]
fn a_change_brings_the_next_check_near_and_starts_the_steps_anew() {
    let mut table = with_neighbours();
    asked(&mut table, 0, 3_000);
    table.failed(after(3_000), &id(9, 0));
    let first = checks(&asked(&mut table, 3_000, 3_031));
    assert_eq!(first.len(), 1, "{first:?}");
    let second = checks(&asked(&mut table, 3_031, first[0] + 31));
    assert_eq!(second.len(), 1, "{second:?}");
    let third = checks(&asked(&mut table, first[0] + 31, second[0] + 91));
    assert_eq!(third.len(), 1, "{third:?}");
}

#[test]
fn only_the_first_failure_of_a_neighbour_is_a_change() {
    let mut table = with_neighbours();
    table.responded(T0, contact(0, 1), None);
    let before = table.changed();
    table.failed(after(10), &id(0, 1));
    assert_eq!(table.changed(), before, "a far contact");
    table.failed(after(20), &id(10, 0));
    table.failed(after(30), &id(10, 0));
    assert_eq!(table.changed(), after(20));
}

#[test]
fn endless_changes_delay_no_check() {
    let mut table = with_neighbours();
    let mut checked = Vec::new();
    for second in 0..300 {
        table.check_neighbourhood_soon(after(second));
        checked.extend(checks(&asked(&mut table, second, second + 1)));
    }
    assert!(checked.len() >= 10, "{checked:?}");
}

#[test]
fn buckets_that_no_lookup_touched_are_refreshed_down_to_the_neighbourhood() {
    let mut table = without_churn(with_neighbours());
    table.responded(T0, contact(3, 0), None);
    let lookups = |requests: Vec<(u64, Maintenance<u16>)>| -> Vec<u32> {
        let targets = requests.into_iter().filter_map(|(_, request)| match request {
            Maintenance::Lookup { target } => Some(target.common_prefix_len(&OWN)),
            _ => None,
        });
        targets.collect()
    };
    assert_eq!(lookups(asked(&mut table, 0, 10)), [], "the own id is looked up first");
    table.looked_up(after(10), &OWN);
    table.looked_up(after(10), &id(4, 0));
    assert_eq!(lookups(asked(&mut table, 10, 11)), [0, 1, 2, 3, 5, 6, 7, 8, 9]);
    table.looked_up(after(2_000), &id(0, 1));
    let mut later = lookups(asked(&mut table, 11, 3_612));
    later.sort_unstable();
    assert_eq!(later, [1, 2, 3, 4, 5, 6, 7, 8, 9], "after an hour, without the one that was touched since");
}

#[test]
fn a_quiet_contact_is_asked_and_a_failing_one_after_doubling_pauses() {
    let mut table: Small = without_churn(start());
    table.responded(T0, contact(0, 1), None);
    let mut now = 0;
    let mut waits = Vec::new();
    for _ in 0..8 {
        let request = asked(&mut table, now, now + 1_801);
        let first = times(&request, contact(0, 1))[0];
        waits.push(first - now);
        now += 1_801;
        table.failed(after(now), &id(0, 1));
    }
    for (wait, most) in waits.iter().zip([1_800, 30, 60, 120, 240, 480, 900, 900]) {
        assert!((most * 7 / 8 - 1..=most).contains(wait), "{waits:?}");
    }
}

#[test]
fn unverified_contacts_are_asked_soon_and_one_at_a_time() {
    let mut table: Small = start();
    for depth in 0..6 {
        table.discovered(T0, contact(depth, 0), Origin::Restored);
    }
    let requests = asked(&mut table, 0, 10);
    let mut seconds: Vec<u64> =
        requests.iter().filter(|(_, request)| matches!(request, Maintenance::Ask(_))).map(|(at, _)| *at).collect();
    assert_eq!(seconds.len(), 6);
    seconds.dedup();
    assert_eq!(seconds.len(), 6, "a second apart");
}

#[test]
fn nodes_that_start_together_do_not_act_together() {
    let next = |random| {
        let mut table = Small::EMPTY;
        table.start(T0, OWN, &LIMITS, random).unwrap();
        table.responded(T0, contact(0, 1), None);
        assert_eq!(table.maintenance(T0), Some(Maintenance::Neighbourhood));
        table.next_maintenance()
    };
    assert_ne!(next(1), next(2));
    assert_eq!(next(1), next(1));
}

#[test]
fn time_can_stand_still_or_run_out() {
    let mut table = with_neighbours();
    for now in [T0, Instant::ZERO, Instant::NEVER, T0, Instant::from_secs(u64::from(u32::MAX))] {
        table.responded(now, contact(0, 1), None);
        table.discovered(now, contact(1, 1), Origin::Named);
        table.failed(now, &id(9, 0));
        let requests = core::iter::from_fn(|| table.maintenance(now)).take(100).count();
        assert!(requests < 100, "{now:?}");
    }
}

#[test]
fn next_hops_are_nearer_to_the_target_than_the_own_node() {
    let mut table: Small = start();
    for known in [contact(0, 1), contact(3, 1), contact(3, 2), contact(9, 0)] {
        table.responded(T0, known, None);
    }
    let mut out = [contact(0, 0); 8];
    // The target shares three bits with the own identifier and differs in the fourth: the contacts of that bucket are
    // nearer, then the own node comes.
    let count = table.next_hops(&id(3, 5), &mut out);
    assert_eq!(out[..count].iter().map(|contact| contact.id).collect::<Vec<_>>(), [id(3, 1), id(3, 2)]);
    assert_eq!(table.next_hops(&OWN, &mut out), 0, "the request ends here");
    let count = table.next_hops(&id(0, 1), &mut out);
    assert_eq!(out[..count].iter().map(|contact| contact.id).collect::<Vec<_>>(), [id(0, 1)]);
}
