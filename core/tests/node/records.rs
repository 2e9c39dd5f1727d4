//! Records in a network: how long they live, how they are published and replicated, and which version wins.

use core::time::Duration;

use kadlet::message::{Contacts, ErrorCode, Request, Response};
use kadlet::record::Proof;
use kadlet::{Config, Dht, Event, Failure, Key, Options, Outcome, PutError, Record, Store};

use crate::by_hand::{NOW, Peer, at, deliver, id, node4, request_of, sent, transaction_of};
use crate::net::{Mote, Net, config};
use crate::{get, once, put};

const KEY: &[u8] = b"hello";
const HOUR: Duration = Duration::from_secs(3_600);

/// All living nodes, the one most responsible for the key first.
pub(crate) fn by_rank(net: &Net, key: &Key) -> Vec<u16> {
    let mut all = net.living();
    all.sort_by_key(|address| net.nodes[usize::from(*address) - 1].as_ref().map(|node| node.id().xor(&key.id)));
    all
}

/// The living nodes that hold a record of this key, each with its value.
pub(crate) fn held(net: &mut Net, key: &Key) -> Vec<(u16, Vec<u8>)> {
    let mut held = Vec::new();
    for address in net.living() {
        let store = net.node(address).store();
        if let Some(record) = store.find(key).and_then(|slot| store.get(slot)) {
            held.push((address, record.stored.value.to_vec()));
        }
    }
    held
}

fn is_pinned(net: &mut Net, at: u16, key: &Key) -> bool {
    let store = net.node(at).store();
    store.find(key).and_then(|slot| store.get(slot)).is_some_and(|held| held.metadata.pinned)
}

#[test]
fn a_published_record_is_put_again_before_the_lifetime_that_its_holders_granted_ends() {
    let mut net = Net::joined(40, 16, Config { max_lifetime: 2 * HOUR, ..config() });
    let key = Key::plain(KEY);
    let publisher = by_rank(&net, &key)[12];
    let holders = put(&mut net, publisher, KEY, b"world", &Options::default());
    let granted = net.now + 2 * HOUR;
    net.run(HOUR + Duration::from_secs(60));
    for holder in holders {
        let store = net.node(holder).store();
        let expires = store.find(&key).and_then(|slot| store.get(slot)).unwrap().metadata.expires;
        assert!(expires > granted + Duration::from_secs(3_000), "{expires:?} {granted:?}");
    }
    net.run(5 * HOUR);
    assert_eq!(get(&mut net, 3, KEY).as_deref(), Some(&b"world"[..]));
    assert!(is_pinned(&mut net, publisher, &key));
}

#[test]
fn an_unpublished_record_is_not_put_again_and_expires() {
    let mut net = Net::joined(41, 16, Config { max_lifetime: 2 * HOUR, ..config() });
    let key = Key::plain(KEY);
    let publisher = by_rank(&net, &key)[12];
    put(&mut net, publisher, KEY, b"world", &Options { lifetime: 3 * HOUR, ..Options::default() });
    let _now = net.now;
    assert!(net.node(publisher).unpublish(&key));
    assert!(!net.node(publisher).unpublish(&key), "it is no longer published");
    assert!(!net.node(publisher).unpublish(&Key::plain(b"never put")));
    assert_eq!(get(&mut net, 3, KEY).as_deref(), Some(&b"world"[..]), "holders keep it until it expires");
    net.run(3 * HOUR + Duration::from_secs(60));
    assert_eq!(held(&mut net, &key), []);
    assert_eq!(get(&mut net, 3, KEY), None);
}

#[test]
fn a_short_lived_record_is_published_again_after_each_third_of_its_lifetime() {
    let mut net = Net::joined(42, 16, config());
    let key = Key::plain(KEY);
    let publisher = by_rank(&net, &key)[12];
    put(&mut net, publisher, KEY, b"world", &Options { lifetime: HOUR, ..Options::default() });
    let began = net.now;
    net.tap = Some(Vec::new());
    net.run(HOUR);
    let tap = net.tap.take().unwrap();
    let stores = tap.iter().filter(|seen| seen.from == publisher && seen.bytes[12] == 4);
    let mut minutes: Vec<u64> = stores.map(|seen| seen.at.since(began).as_secs() / 60).collect();
    minutes.dedup();
    assert!(
        minutes.len() >= 2 && (18..=21).contains(&minutes[0]) && (38..=42).contains(minutes.last().unwrap()),
        "{minutes:?}"
    );
}

#[test]
fn a_published_record_that_is_restored_is_published_at_once() {
    let mut net = Net::joined(43, 16, config());
    let key = Key::plain(KEY);
    let publisher = by_rank(&net, &key)[12];
    let now = net.now;
    net.node(publisher).restore_record(now, &Record::plain(KEY, b"world"), 5 * HOUR, true).unwrap();
    net.run(Duration::from_secs(30));
    assert!(held(&mut net, &key).len() > 8, "eight holders and the publisher");
}

#[test]
fn a_node_keeps_a_record_that_it_put_without_publishing_only_if_it_is_responsible() {
    let mut net = Net::joined(44, 16, config());
    let key = Key::plain(KEY);
    let ranked = by_rank(&net, &key);
    put(&mut net, ranked[12], KEY, b"world", &once());
    let holders: Vec<u16> = held(&mut net, &key).into_iter().map(|(address, _)| address).collect();
    assert!(!holders.contains(&ranked[12]) && holders.len() == 8, "{holders:?}");
    put(&mut net, ranked[2], KEY, b"there", &once());
    assert!(held(&mut net, &key).contains(&(ranked[2], b"there".to_vec())));
    assert!(!is_pinned(&mut net, ranked[2], &key));
}

#[test]
fn a_record_expires_everywhere_when_its_lifetime_ends() {
    let mut net = Net::joined(45, 12, config());
    put(&mut net, 3, KEY, b"world", &Options { lifetime: Duration::from_secs(60), ..once() });
    net.run(Duration::from_secs(50));
    assert_eq!(get(&mut net, 5, KEY).as_deref(), Some(&b"world"[..]));
    net.run(Duration::from_secs(11));
    assert_eq!(held(&mut net, &Key::plain(KEY)), []);
    assert_eq!(get(&mut net, 5, KEY), None);
}

#[test]
fn an_expired_record_is_not_returned_even_if_no_timeout_was_handled() {
    let mut node = node4(config());
    let requester = Peer::new(id(&[0x80]), at("192.0.2.1:4000"));
    requester.meet(&mut *node, NOW);
    node.restore_record(NOW, &Record::immutable(KEY), Duration::from_secs(10), false).unwrap();
    let later = NOW + Duration::from_secs(11);
    let request = Request::FindValue { key: Key::immutable(KEY), have: None };
    let response = requester.ask(&mut *node, later, request, None);
    assert!(matches!(crate::by_hand::response_of::<core::net::SocketAddrV4>(&response), Response::Nodes { .. }));
    let query = node.get(later, Key::immutable(KEY), &Options::default()).unwrap();
    assert!(node.take_result(query).is_none(), "it must search the network");
}

#[test]
fn of_two_plain_records_get_returns_the_younger_and_all_holders_converge_to_it() {
    let mut net = Net::joined(46, 20, config());
    let key = Key::plain(KEY);
    let (ranked, now) = (by_rank(&net, &key), net.now);
    for (nth, holder) in ranked.iter().take(8).enumerate() {
        let (value, age) = if nth % 2 == 0 { (&b"old"[..], 10_000) } else { (&b"new"[..], 5_000) };
        let record = Record { value, proof: Proof::Plain { id: key.id, age } };
        net.node(*holder).restore_record(now, &record, HOUR, false).unwrap();
    }
    assert_eq!(get(&mut net, ranked[15], KEY).as_deref(), Some(&b"new"[..]));
    net.run(Duration::from_secs(1));
    let holders = held(&mut net, &key);
    let has = |address: &u16| holders.iter().any(|(holder, _)| holder == address);
    assert!(ranked.iter().take(8).all(has) && holders.iter().all(|(_, value)| value == b"new"), "{holders:?}");
}

#[test]
fn a_get_writes_the_record_back_to_those_of_the_closest_that_lack_it() {
    let mut net = Net::joined(47, 20, config());
    let key = Key::plain(KEY);
    let (ranked, now) = (by_rank(&net, &key), net.now);
    let record = Record { value: &[7; 900], proof: Proof::Plain { id: key.id, age: 5_000 } };
    net.node(ranked[6]).restore_record(now, &record, HOUR, false).unwrap();
    assert_eq!(get(&mut net, ranked[15], KEY).as_deref(), Some(&[7; 900][..]));
    assert_eq!(held(&mut net, &key).len(), 1, "the get ends before the record is written back");
    net.run(Duration::from_secs(1));
    let mut holders: Vec<u16> = held(&mut net, &key).into_iter().map(|(address, _)| address).collect();
    holders.sort_unstable();
    let mut closest = ranked[..8].to_vec();
    closest.sort_unstable();
    assert_eq!(holders, closest);
    let expires = net.node(ranked[0]).store().get(0).unwrap().metadata.expires;
    assert!(expires <= now + HOUR + Duration::from_secs(1), "writing back does not extend the lifetime");
}

#[test]
fn the_next_get_takes_the_value_buffer_even_while_an_earlier_one_writes_back() {
    let mut net = Net::joined(57, 20, config());
    let key = Key::plain(KEY);
    let (ranked, now) = (by_rank(&net, &key), net.now);
    let record = Record { value: b"world", proof: Proof::Plain { id: key.id, age: 5_000 } };
    net.node(ranked[6]).restore_record(now, &record, HOUR, false).unwrap();
    for _ in 0..2 {
        // A node has one value buffer.
        assert_eq!(get(&mut net, ranked[15], KEY).as_deref(), Some(&b"world"[..]));
    }
    net.run(Duration::from_secs(1));
    assert_eq!(held(&mut net, &key).len(), 8);
}

#[test]
fn a_responsible_publisher_gets_an_event_when_a_newer_record_arrives() {
    superseded(48, 2, Duration::from_secs(1));
}

#[test]
fn a_publisher_that_finds_a_newer_record_when_publishing_again_stops() {
    superseded(49, 12, HOUR + Duration::from_secs(60));
}

fn superseded(seed: u64, rank: usize, wait: Duration) {
    let mut net = Net::joined(seed, 16, config());
    let key = Key::plain(KEY);
    let ranked = by_rank(&net, &key);
    put(&mut net, ranked[rank], KEY, b"old", &Options::default());
    net.run(Duration::from_secs(10));
    put(&mut net, ranked[14], KEY, b"new", &Options::default());
    net.run(wait);
    stopped_publishing(&mut net, ranked[rank], &key);
    net.run(3 * HOUR);
    assert_eq!(get(&mut net, 1, KEY).as_deref(), Some(&b"new"[..]));
}

/// Checks that a publisher has exactly one event, which says that its record is superseded, and no longer pins the
/// record.
fn stopped_publishing(net: &mut Net, publisher: u16, key: &Key) {
    let node = net.node(publisher);
    assert!(matches!(node.poll_event(), Some(Event::Superseded { key: of }) if of == *key));
    assert!(node.poll_event().is_none());
    assert!(!is_pinned(net, publisher, key));
}

#[test]
fn a_publisher_stops_even_if_a_single_holder_has_a_younger_record() {
    let mut net = Net::joined(55, 16, config());
    let key = Key::plain(KEY);
    let ranked = by_rank(&net, &key);
    put(&mut net, ranked[12], KEY, b"old", &Options::default());
    net.run(HOUR - Duration::from_secs(30));
    let now = net.now;
    net.node(ranked[5]).restore_record(now, &Record::plain(KEY, b"new"), 5 * HOUR, false).unwrap();
    net.run(Duration::from_secs(60));
    stopped_publishing(&mut net, ranked[12], &key);
    assert_eq!(get(&mut net, 1, KEY).as_deref(), Some(&b"new"[..]));
}

#[test]
fn a_holders_younger_copy_of_the_same_value_does_not_supersede_the_publisher() {
    let mut net = Net::joined(56, 16, config());
    let key = Key::plain(KEY);
    let ranked = by_rank(&net, &key);
    put(&mut net, ranked[12], KEY, b"world", &Options::default());
    net.run(HOUR - Duration::from_secs(30));
    let now = net.now;
    let slow = Record { value: b"world", proof: Proof::Plain { id: key.id, age: 3_500_000 } };
    net.node(ranked[5]).restore_record(now, &slow, HOUR, false).unwrap();
    net.run(Duration::from_secs(60));
    assert!(net.node(ranked[12]).poll_event().is_none());
    assert!(is_pinned(&mut net, ranked[12], &key));
    for holder in &ranked[..8] {
        let store = net.node(*holder).store();
        let held = store.find(&key).and_then(|slot| store.get(slot)).unwrap();
        assert!(held.metadata.expires > now + 20 * HOUR, "published again to each holder");
    }
}

#[test]
fn an_immutable_record_that_does_not_match_its_key_is_refused() {
    let mut node = node4(config());
    let liar = Peer::new(id(&[0x80]), at("192.0.2.1:4000"));
    liar.meet(&mut *node, NOW);
    let query = node.get(NOW, Key::immutable(b"hello"), &Options::default()).unwrap();
    let requests = sent(&mut *node, NOW);
    let request = requests
        .iter()
        .find(|(_, bytes)| matches!(request_of::<core::net::SocketAddrV4>(bytes), Request::FindValue { .. }));
    let request = &request.unwrap().1;
    let response = Response::Value { record: Record::immutable(b"jello"), lifetime: 60, contacts: Contacts::EMPTY };
    deliver(
        &mut *node,
        NOW,
        liar.contact.address,
        &liar.response(transaction_of::<core::net::SocketAddrV4>(request), response),
    );
    let result = node.take_result(query).unwrap();
    assert!(matches!(result.outcome, Outcome::NotFound { .. }), "{:?}", result.outcome);
    assert_eq!((result.stats.refused, result.stats.refusal), (1, Some(ErrorCode::Invalid)));
}

#[test]
fn a_put_that_every_node_refuses_reports_the_reason() {
    let mut net = Net::<Mote>::grown(50, [config(), Config::default(), Config::default()]);
    let now = net.now;
    let query = net.node(1).put(now, &Record::plain(KEY, b"world"), &once()).unwrap();
    net.wait(1, query, |result| {
        assert!(
            matches!(result.outcome, Outcome::Failed(Failure::Refused(ErrorCode::Unsupported, 0))),
            "{:?}",
            result.outcome
        );
        assert_eq!(result.stats.refused, 2);
    });
}

#[test]
fn networks_of_small_datagrams_carry_records_that_fit_and_refuse_others_with_the_limit() {
    for (max_datagram, fits) in [(127, 20), (548, 441)] {
        let mut net = Net::joined(51, 20, Config { max_datagram, ..config() });
        net.tap = Some(Vec::new());
        let value = vec![7; fits + 1];
        let now = net.now;
        assert_eq!(net.node(2).put(now, &Record::plain(KEY, &value), &once()), Err(PutError::TooLarge(fits)));
        put(&mut net, 2, KEY, &value[..fits], &once());
        assert_eq!(get(&mut net, 17, KEY).as_deref(), Some(&value[..fits]));
        let largest = net.tap.take().unwrap().iter().map(|seen| seen.bytes.len()).max().unwrap();
        assert!(largest <= max_datagram - kadlet::wire::SEAL, "{largest}");
    }
}

#[test]
fn a_get_of_a_record_too_large_for_the_requester_fails_with_the_records_size() {
    let mut net = Net::joined(52, 12, config());
    let requester = net.join(Config { max_datagram: 548, ..config() });
    let name =
        (0..u8::MAX).map(|n| [n]).find(|name| !by_rank(&net, &Key::plain(name))[..8].contains(&requester)).unwrap();
    put(&mut net, 2, &name, &[7; 1_000], &once());
    let now = net.now;
    let query = net.node(requester).get(now, Key::plain(&name), &Options::default()).unwrap();
    net.wait(requester, query, |result| {
        assert!(
            matches!(result.outcome, Outcome::Failed(Failure::TooLarge(size)) if size > 1_000),
            "{:?}",
            result.outcome
        );
    });
}

#[test]
fn a_put_of_a_record_too_large_for_its_holders_fails_with_their_limit() {
    let mut configs = [Config { max_datagram: 548, ..config() }; 12];
    configs[1].max_datagram = 1_232;
    let mut net = Net::<Mote>::grown(53, configs);
    let now = net.now;
    let query = net.node(2).put(now, &Record::plain(KEY, &[7; 1_000]), &once()).unwrap();
    net.wait(2, query, |result| match result.outcome {
        Outcome::Failed(Failure::Refused(ErrorCode::TooLarge, limit)) => {
            assert!((400..=524).contains(&limit), "{limit}")
        }
        other => panic!("{other:?}"),
    });
}

#[test]
fn a_put_replaces_an_earlier_put_of_the_same_key_that_still_runs() {
    for options in [once(), Options::default()] {
        let mut net = Net::joined(54, 16, config());
        let key = Key::plain(KEY);
        let publisher = by_rank(&net, &key)[12];
        let now = net.now;
        let first = net.node(publisher).put(now, &Record::plain(KEY, b"one"), &once()).unwrap();
        net.run(Duration::from_millis(30));
        let now = net.now;
        let second = net.node(publisher).put(now, &Record::plain(KEY, b"two"), &options).unwrap();
        net.wait(publisher, second, |result| {
            assert!(
                matches!(&result.outcome, Outcome::Stored { holders, .. } if holders.len() == 8),
                "{:?}",
                result.outcome
            );
        });
        net.wait(publisher, first, |result| {
            assert!(matches!(result.outcome, Outcome::Failed(Failure::Replaced)), "{:?}", result.outcome)
        });
        assert_eq!(is_pinned(&mut net, publisher, &key), options.publish);
        assert_eq!(get(&mut net, 1, KEY).as_deref(), Some(&b"two"[..]));
    }
}
