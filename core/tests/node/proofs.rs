//! What another node says is a hint: only a proof stops a publisher, or makes it give up its copy.

use core::net::SocketAddrV4;
use core::time::Duration;

use kadlet::message::{Contacts, ErrorCode, Request, Response};
use kadlet::record::Proof;
use kadlet::{Config, Dht, Event, Failure, Instant, Key, Kind, Options, Outcome, QueryId, Record, Store};

use crate::by_hand::{NOW, Node4, Peer, at, deliver, id, node4, request_of, sent, transaction_of};
use crate::net::config;

const HOUR: Duration = Duration::from_secs(3_600);
const PUBLIC_KEY: [u8; 32] = [3; 32];
/// A signature that the tests' verifier takes. All others are forged.
const SIGNATURE: [u8; 64] = [1; 64];

/// How a peer responds to a store, and to the get that may follow. `None` stores, or has no record.
#[derive(Clone, Copy)]
struct Policy {
    refuses: Option<(ErrorCode, u64)>,
    delivers: Option<Record<'static>>,
}

const HONEST: Policy = Policy { refuses: None, delivers: None };

fn signed(sequence: u64, value: &'static [u8], signature: &'static [u8; 64]) -> Record<'static> {
    Record { value, proof: Proof::Signed { public_key: &PUBLIC_KEY, salt: b"", sequence, signature } }
}

/// Eight peers, and a node that knows them and no others.
fn scene() -> (Box<Node4>, Vec<Peer<SocketAddrV4>>) {
    let mut node = node4(Config { verify: Some(|_, _, signature| *signature == SIGNATURE), ..config() });
    let peers: Vec<_> = (0..8).map(|n| Peer::new(id(&[n * 32 + 1]), at(&format!("11.0.{n}.1:4000")))).collect();
    peers.iter().for_each(|peer| peer.meet(&mut *node, NOW));
    (node, peers)
}

/// Responds to what the node sends, until it sends nothing. Returns how often a record was asked for.
fn exchange(node: &mut Node4, now: Instant, peers: &[Peer<SocketAddrV4>], policies: &[Policy]) -> usize {
    let mut gets = 0;
    for _ in 0..100 {
        let requests = sent(node, now);
        if requests.is_empty() {
            return gets;
        }
        for (to, bytes) in requests {
            let nth = peers.iter().position(|peer| peer.contact.address == to).unwrap();
            let respond = |response| peers[nth].response(transaction_of::<SocketAddrV4>(&bytes), response);
            let response = match request_of::<SocketAddrV4>(&bytes) {
                Request::Store { .. } => policies[nth].refuses.map(|(code, detail)| Response::Error { code, detail }),
                // What the node itself looks for before it stores is not there: only a refusal says so.
                Request::FindValue { have: None, .. } => {
                    gets += 1;
                    let contacts = Contacts::EMPTY;
                    policies[nth].delivers.map(|record| Response::Value { record, lifetime: 3_600, contacts })
                }
                _ => None,
            };
            let response = response.map_or_else(|| peers[nth].empty_response(&bytes), respond);
            deliver(node, now, to, &response);
        }
    }
    panic!("it sends requests without end");
}

fn put(
    node: &mut Node4,
    peers: &[Peer<SocketAddrV4>],
    policies: &[Policy],
    record: &Record<'_>,
    options: &Options,
) -> (QueryId, usize) {
    let query = node.put(NOW, record, options).unwrap();
    (query, exchange(node, NOW, peers, policies))
}

fn is_published(node: &Node4, key: &Key) -> bool {
    let store = node.store();
    store.find(key).and_then(|slot| store.get(slot)).is_some_and(|held| held.metadata.pinned)
}

fn event_of(node: &mut Node4) -> Option<Key> {
    match node.poll_event() {
        Some(Event::Superseded { key }) => Some(key),
        _ => None,
    }
}

/// Lets the node publish its records again, an hour later.
fn republish(node: &mut Node4, peers: &[Peer<SocketAddrV4>], policies: &[Policy]) {
    let mut now = NOW;
    while now < NOW + HOUR + Duration::from_secs(60) {
        node.handle_timeout(now);
        exchange(node, now, peers, policies);
        now = now + Duration::from_secs(1);
    }
}

#[test]
fn forged_refusals_by_seven_of_eight_holders_neither_stop_a_publisher_nor_cost_it_its_copy() {
    let lies = [None, Some(signed(1, b"old", &SIGNATURE)), Some(signed(9, b"forged", &[2; 64]))];
    for code in [ErrorCode::Outdated, ErrorCode::Conflict] {
        for options in [Options::default(), Options { compare: Some(4), ..Options::default() }] {
            let (mut node, peers) = scene();
            let mut policies: Vec<_> =
                (0..8).map(|n| Policy { refuses: Some((code, 9)), delivers: lies[n % 3] }).collect();
            policies[5] = HONEST;
            let record = signed(5, b"value", &SIGNATURE);
            let (query, gets) = put(&mut node, &peers, &policies, &record, &options);
            let outcome = node.take_result(query).unwrap().outcome;
            assert!(
                matches!(&outcome, Outcome::Stored { holders, wanted: 8, .. } if holders.len() == 1),
                "{code:?} {outcome:?}"
            );
            assert_eq!(gets, 7, "each claim is verified");
            assert!(is_published(&node, &record.key()));
            republish(&mut node, &peers, &policies);
            assert_eq!(event_of(&mut node), None);
            assert!(is_published(&node, &record.key()), "{code:?}: it is still published an hour later");
        }
    }
}

#[test]
fn refusals_of_a_plain_record_without_a_younger_one_are_no_conflict() {
    let (mut node, peers) = scene();
    let policies = [Policy { refuses: Some((ErrorCode::Outdated, 0)), delivers: None }; 8];
    let record = Record::plain(b"name", b"value");
    let (query, _) = put(&mut node, &peers, &policies, &record, &Options::default());
    let outcome = node.take_result(query).unwrap().outcome;
    assert!(matches!(outcome, Outcome::Failed(Failure::Refused(ErrorCode::Outdated, 0))), "{outcome:?}");
    assert!(is_published(&node, &record.key()), "it is tried again later");
}

#[test]
fn refusals_of_an_immutable_record_have_no_consequence_and_are_not_verified() {
    for code in [ErrorCode::Outdated, ErrorCode::Conflict] {
        let (mut node, peers) = scene();
        let policies = [Policy { refuses: Some((code, 7)), delivers: Some(Record::immutable(b"other")) }; 8];
        let record = Record::immutable(b"value");
        let (query, gets) = put(&mut node, &peers, &policies, &record, &Options::default());
        let outcome = node.take_result(query).unwrap().outcome;
        assert!(matches!(outcome, Outcome::Failed(Failure::Refused(..))), "{outcome:?}");
        assert_eq!(gets, 0);
        republish(&mut node, &peers, &policies);
        assert_eq!(event_of(&mut node), None);
        assert!(is_published(&node, &record.key()));
    }
}

#[test]
fn a_refusal_with_a_newer_record_that_is_verified_is_a_conflict() {
    let (mut node, peers) = scene();
    let newer = Policy { refuses: Some((ErrorCode::Outdated, 6)), delivers: Some(signed(6, b"newer", &SIGNATURE)) };
    let mut policies = [newer; 8];
    policies[2] = HONEST;
    let record = signed(5, b"value", &SIGNATURE);
    let (query, gets) = put(&mut node, &peers, &policies, &record, &Options::default());
    let outcome = node.take_result(query).unwrap().outcome;
    assert!(matches!(&outcome, Outcome::Conflict { held: 6, holders } if holders.len() == 1), "{outcome:?}");
    assert_eq!(gets, 1, "one proof suffices");
    assert!(node.store().find(&record.key()).is_none(), "a version that lost isn't kept");
}

#[test]
fn a_publisher_whose_store_is_refused_with_a_verified_newer_record_stops_and_keeps_the_newer_one() {
    let (mut node, peers) = scene();
    let record = signed(5, b"value", &SIGNATURE);
    let _ = put(&mut node, &peers, &[HONEST; 8], &record, &Options::default());
    while node.poll_event().is_some() {}
    let mut policies = [HONEST; 8];
    policies[1] = Policy { refuses: Some((ErrorCode::Outdated, 6)), delivers: Some(signed(6, b"newer", &SIGNATURE)) };
    republish(&mut node, &peers, &policies);
    assert_eq!(event_of(&mut node), Some(record.key()));
    assert!(!is_published(&node, &record.key()));
    let slot = node.store().find(&record.key()).unwrap();
    assert_eq!(node.store().get(slot).unwrap().stored.value, b"newer");
    assert_eq!(record.kind(), Kind::Signed);
}

#[test]
fn a_compare_and_swap_has_failed_only_if_a_later_version_is_delivered() {
    let swap = Options { compare: Some(4), ..Options::default() };
    let record = signed(6, b"value", &SIGNATURE);
    for (held, failed) in [(signed(5, b"five", &SIGNATURE), true), (signed(3, b"three", &SIGNATURE), false)] {
        let (mut node, peers) = scene();
        let policies = [Policy { refuses: Some((ErrorCode::Conflict, held.number())), delivers: Some(held) }; 8];
        let (query, _) = put(&mut node, &peers, &policies, &record, &swap);
        let outcome = node.take_result(query).unwrap().outcome;
        assert_eq!(matches!(outcome, Outcome::Conflict { held: 5, .. }), failed, "{outcome:?}");
    }
    // A store whose response was lost: the node holds this very record.
    let (mut node, peers) = scene();
    let policies = [Policy { refuses: Some((ErrorCode::Conflict, 6)), delivers: Some(record) }; 8];
    let (query, _) = put(&mut node, &peers, &policies, &record, &swap);
    let outcome = node.take_result(query).unwrap().outcome;
    assert!(matches!(&outcome, Outcome::Stored { holders, .. } if holders.len() == 8), "{outcome:?}");
}

#[test]
fn a_claim_to_have_replicated_a_record_needs_a_token_and_is_believed_once() {
    let (mut node, peers) = scene();
    let record = Record::immutable(b"value");
    let key = record.key();
    node.restore_record(NOW, &record, 20 * HOUR, false).unwrap();
    let replicated = |node: &Node4| node.store().get(0).unwrap().metadata.last_replicated;
    // A peer that is nearer to the key, so that the node isn't the most responsible.
    let nearer = Peer::new(key.id, at("11.0.9.1:4000"));
    nearer.meet(&mut *node, NOW);
    let claim = Request::FindValue { key, have: Some(record.version()) };
    let token = nearer.token(&mut *node, NOW);
    nearer.ask(&mut *node, NOW, claim, None);
    assert_eq!(replicated(&node), Instant::ZERO, "without a token it may be forged");
    nearer.ask(&mut *node, NOW, claim, Some(token));
    assert_eq!(replicated(&node), NOW);
    let later = NOW + Duration::from_secs(60);
    nearer.ask(&mut *node, later, claim, Some(token));
    let store = Request::Store { record, lifetime: 60, compare: None, handover: true };
    nearer.ask(&mut *node, later, store, Some(token));
    assert_eq!(replicated(&node), NOW, "neither a second claim nor a store of the same record is believed");
    // An hour later, the node replicates the record itself, though it was told all the time that others do.
    let mut now = NOW;
    let (mut stored, mut all) = (0, peers.clone());
    all.push(nearer);
    while now < NOW + HOUR + Duration::from_secs(20 * 60) && stored == 0 {
        now = now + Duration::from_secs(10);
        node.handle_timeout(now);
        let token = nearer.token(&mut *node, now);
        nearer.ask(&mut *node, now, claim, Some(token));
        stored = stores_to(&mut node, now, &all, &[]).len();
    }
    assert!(stored >= 8, "{stored} of the others lacked it");
}

/// Responds to what the node sends, until it sends nothing: peers at the places in `full` refuse records. Returns the
/// addresses that were sent a record.
fn stores_to(node: &mut Node4, now: Instant, peers: &[Peer<SocketAddrV4>], full: &[usize]) -> Vec<SocketAddrV4> {
    let mut stores = Vec::new();
    for _ in 0..100 {
        let requests = sent(node, now);
        if requests.is_empty() {
            return stores;
        }
        for (to, bytes) in requests {
            let nth = peers.iter().position(|peer| peer.contact.address == to).unwrap();
            let is_store = matches!(request_of::<SocketAddrV4>(&bytes), Request::Store { .. });
            stores.extend(is_store.then_some(to));
            let refusal = Response::Error { code: ErrorCode::Full, detail: 0 };
            let response = if is_store && full.contains(&nth) {
                peers[nth].response(transaction_of::<SocketAddrV4>(&bytes), refusal)
            } else {
                peers[nth].empty_response(&bytes)
            };
            deliver(node, now, to, &response);
        }
    }
    panic!("it sends requests without end");
}

#[test]
fn a_holder_that_refused_a_record_is_not_offered_it_again() {
    let (mut node, peers) = scene();
    node.restore_record(NOW, &Record::immutable(b"value"), 20 * HOUR, false).unwrap();
    let mut now = NOW;
    let mut offers = Vec::new();
    while now < NOW + 10 * HOUR {
        now = now + Duration::from_secs(10);
        node.handle_timeout(now);
        offers.extend(stores_to(&mut node, now, &peers, &[1, 4]));
    }
    let count = |nth: usize| offers.iter().filter(|to| **to == peers[nth].contact.address).count();
    assert_eq!((count(1), count(4)), (1, 1), "of {} offers", offers.len());
    assert!(count(0) > 1, "others, which forget it, are offered it again");
}
