//! What many senders together can take of one node: its rate, and its store.

use core::net::SocketAddrV4;
use core::time::Duration;

use kadlet::message::{Request, Response};
use kadlet::wire::Token;
use kadlet::{Config, Dht, Instant, Key, Record, Store};

use crate::by_hand::{NOW, Node4, Peer, at, deliver, id, node4, response_of};
use crate::net::config;

/// The rate of one prefix in these tests, and how many prefixes can have it.
const RATE: usize = 10;
const SOURCES: usize = 16;
const SECS: usize = 10;

/// A node in a global network.
fn limited() -> Box<Node4> {
    let mut node = node4(Config { rate_limit: RATE as u16, ..config() });
    Peer::new(id(&[0x80]), at("198.51.100.7:4000")).meet(&mut *node, NOW);
    node
}

/// How many of the requests that these senders send in turn, far beyond every limit, get a response within ten seconds.
/// A `proved` sender shows a token.
fn served(node: &mut Node4, senders: &[SocketAddrV4], proved: bool) -> usize {
    let senders: Vec<(Peer<SocketAddrV4>, Option<Token>)> = senders
        .iter()
        .enumerate()
        .map(|(n, address)| {
            let peer = Peer::new(id(&[7, (n >> 8) as u8, n as u8]), *address);
            (peer, proved.then(|| peer.token(node, NOW)))
        })
        .collect();
    let begin = NOW + Duration::from_secs(60);
    let mut senders = senders.iter().cycle();
    let mut requests = |ms: usize| -> usize {
        let now = begin + Duration::from_millis(ms as u64);
        let mut pong = |(peer, token): &(Peer<SocketAddrV4>, Option<Token>)| {
            let response = deliver(node, now, peer.contact.address, &peer.request(Request::Ping, *token));
            response.is_some_and(|(_, bytes)| matches!(response_of::<SocketAddrV4>(&bytes), Response::Pong { .. }))
        };
        senders.by_ref().take(2).filter(|sender| pong(sender)).count()
    };
    (0..1_000 * SECS).step_by(5).map(&mut requests).sum()
}

#[test]
fn no_number_of_prefixes_gets_more_than_a_quarter_above_the_limits() {
    for proved in [false, true] {
        for prefixes in [1, 17, 64, 300] {
            let senders: Vec<_> = (0..prefixes).map(|n| at(&format!("60.{}.{}.1:4000", n / 100, n % 100))).collect();
            let (served, configured) = (served(&mut limited(), &senders, proved), RATE * SECS * prefixes.min(SOURCES));
            assert!(4 * served <= 5 * configured, "{served} of {prefixes} prefixes, {configured} configured");
            assert!(served >= configured, "{served} of {prefixes} prefixes, {configured} configured");
        }
    }
}

#[test]
fn private_and_loopback_senders_together_get_the_rate_of_one_prefix_from_a_node_in_a_global_network() {
    for proved in [false, true] {
        let private = (0..100).map(|n| at(&format!("10.0.{n}.1:4000")));
        let senders: Vec<_> = private.chain((0..100).map(|n| at(&format!("127.0.0.1:{}", 4_000 + n)))).collect();
        let served = served(&mut limited(), &senders, proved);
        assert!((RATE * SECS..=5 * RATE * SECS / 4).contains(&served), "{served}");
    }
}

/// Stores an immutable record. Returns whether it was taken.
fn store(node: &mut Node4, now: Instant, sender: &Peer<SocketAddrV4>, value: &[u8]) -> bool {
    let token = sender.token(node, now);
    let store = Request::Store { record: Record::immutable(value), lifetime: 3_600, compare: None, handover: false };
    let response = sender.ask(node, now, store, Some(token));
    matches!(response_of::<SocketAddrV4>(&response), Response::Stored { .. })
}

/// Twenty records of twenty holders, each at another provider.
fn honest(node: &mut Node4) -> Vec<Key> {
    let mut keys = Vec::new();
    for n in 0..20_u8 {
        let holder = Peer::new(id(&[n, 1]), at(&format!("{}.1.1.1:4000", n + 20)));
        assert!(store(node, NOW, &holder, &[n; 20]));
        keys.push(Key::immutable(&[n; 20]));
    }
    keys
}

fn kept(node: &Node4, keys: &[Key]) -> usize {
    keys.iter().filter(|key| node.store().find(key).is_some()).count()
}

#[test]
fn a_store_stuffed_from_130_prefixes_of_one_16_keeps_15_of_20_honest_records() {
    for (small, spread) in [(true, 1), (false, 1), (false, 4)] {
        let mut node = node4(config());
        let keys = honest(&mut node);
        for n in 0..130_u8 {
            let sender = Peer::new(id(&[0x80, n]), at(&format!("60.{}.{n}.1:4000", n % spread)));
            let value = vec![n; if small { 1 } else { 900 }];
            store(&mut node, NOW + Duration::from_millis(50 * u64::from(n)), &sender, &value);
        }
        assert!(kept(&node, &keys) >= 15, "{} kept, of {}", kept(&node, &keys), node.store().len());
    }
}
