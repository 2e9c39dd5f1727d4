//! Recursive lookups: what only they do, and what a hostile relay request can cause. `geometries` covers what
//! iterative and recursive lookups have in common.

use core::net::SocketAddrV4;
use core::time::Duration;

use kadlet::message::{Contacts, ErrorCode, Features, RelayId, Request, Response, Target};
use kadlet::wire::{Body, Token};
use kadlet::{
    BeginError, Chord, Contact, Dht, Geometry, GetError, Id, Kademlia, Key, Mode, Options, Outcome, Pastry, PutError,
    QueryStats, Record, Routing,
};

use crate::by_hand::{NOW, Peer, at, decode, deliver, id, request_of, sent, transaction_of};
use crate::geometries::{once, put};
use crate::net::{Mote, MoteWith, Net, config};

/// A node that forwards up to four requests at once.
type Relaying<R> = MoteWith<R, 4>;
type Network<R> = Net<Relaying<R>>;
type Relay4 = Relaying<Kademlia<SocketAddrV4, 128>>;

fn recursive() -> Options {
    Options { mode: Mode::Recursive, publish: false, ..Options::default() }
}

fn joined<R: Routing<Address = u16>>(seed: u64, count: usize) -> Network<R> {
    Net::grown(seed, core::iter::repeat_n(config(), count))
}

fn find<R: Routing<Address = u16>>(net: &mut Network<R>, from: u16, target: Id) -> (Vec<u16>, QueryStats) {
    let now = net.now;
    let query = net.node(from).find_node(now, target, &recursive()).unwrap();
    net.wait(from, query, |result| match &result.outcome {
        Outcome::Nodes(found) => (found.iter().map(|contact| contact.address).collect(), result.stats),
        other => panic!("{other:?} {:?}", result.stats),
    })
}

fn get<R: Routing<Address = u16>>(net: &mut Network<R>, from: u16, name: &[u8]) -> (Option<Vec<u8>>, QueryStats) {
    let now = net.now;
    let query = net.node(from).get(now, Key::plain(name), &recursive()).unwrap();
    net.wait(from, query, |result| match &result.outcome {
        Outcome::Value { record, .. } => (Some(record.value.to_vec()), result.stats),
        Outcome::NotFound { .. } => (None, result.stats),
        other => panic!("{other:?} {:?}", result.stats),
    })
}

fn a_relayed_request_ends_at_the_true_closest_node<R: Routing<Address = u16>>() {
    let mut net = joined::<R>(1, 60);
    let mut several_hops = 0;
    for n in 0..30_u8 {
        let (from, target) = (1 + u16::from(n) % 60, Id::from_bytes(net.random.bytes()));
        let mut others: Vec<u16> = (1..=60).filter(|other| *other != from).collect();
        others.sort_by_key(|other| R::Geometry::rank(&target, &net.node(*other).id()));
        let own = R::Geometry::rank(&target, &net.node(from).id());
        let responsible = own < R::Geometry::rank(&target, &net.node(others[0]).id());
        let (found, stats) = find(&mut net, from, target);
        assert_eq!(found[0], others[0], "lookup {n}: {stats:?}");
        assert!(!stats.fell_back, "{stats:?}");
        assert_eq!((stats.relayed, stats.hops > 0), (!responsible, !responsible), "lookup {n}: {stats:?}");
        assert_eq!(stats.asked == 1, !responsible, "{stats:?}");
        several_hops += u8::from(stats.hops > 1);
    }
    assert!(several_hops > 3, "{several_hops} of 30 took more than one hop");
}

fn most_recursive_gets_are_relayed<R: Routing<Address = u16>>() {
    let mut net = joined::<R>(2, 40);
    put(&mut net, 3, b"hello", b"world", &once());
    let mut relayed = 0;
    for from in 1..=40 {
        let (value, stats) = get(&mut net, from, b"hello");
        assert_eq!(value.as_deref(), Some(&b"world"[..]), "at {from}: {stats:?}");
        relayed += u8::from(stats.relayed);
    }
    assert!(relayed > 20, "{relayed} of 40");
}

macro_rules! for_each_geometry {
    ($($test:ident),*) => {
        mod kademlia { $(#[test] fn $test() { super::$test::<super::Kademlia<u16, 128>>(); })* }
        mod chord { $(#[test] fn $test() { super::$test::<super::Chord<u16, 8, 128>>(); })* }
        mod pastry { $(#[test] fn $test() { super::$test::<super::Pastry<u16, 16, 4, 128>>(); })* }
    };
}

for_each_geometry!(a_relayed_request_ends_at_the_true_closest_node, most_recursive_gets_are_relayed);

#[test]
fn the_requester_sends_one_request_and_gets_its_responses_and_nothing_else() {
    let mut net = joined::<Kademlia<u16, 128>>(5, 60);
    let target = net.node(40).id();
    let (_, stats) = find(&mut net, 1, target);
    assert_eq!(stats.asked, 1);
    // By now every node on the path has a token of its next hop.
    net.tap = Some(Vec::new());
    find(&mut net, 1, target);
    let seen = net.tap.take().unwrap();
    let of_relay = |bytes: &[u8]| matches!(bytes[12], 5 | 0x86 | 0x87);
    assert_eq!(seen.iter().filter(|seen| seen.from == 1 && of_relay(&seen.bytes)).count(), 1);
    assert!(seen.iter().filter(|seen| seen.to == 1 && of_relay(&seen.bytes)).count() <= 2);
}

#[test]
fn a_node_without_relays_refuses_recursive_queries() {
    let mut node = Net::<Mote>::grown(6, core::iter::repeat_n(config(), 3)).nodes.remove(1).unwrap();
    let (target, record) = (Id::ZERO, Record::plain(b"hello", b"world"));
    assert_eq!(node.find_node(NOW, target, &recursive()), Err(BeginError::NoRelays));
    assert_eq!(node.get(NOW, record.key(), &recursive()), Err(GetError::NoRelays));
    assert_eq!(node.put(NOW, &record, &recursive()), Err(PutError::NoRelays));
}

#[test]
fn where_no_node_forwards_a_recursive_lookup_continues_iteratively() {
    let (mut node, peers, ..) = relay_and_peers();
    let query = node.find_node(NOW, Id::ZERO, &recursive()).unwrap();
    for _ in 0..10 {
        for (to, datagram) in sent(&mut *node, NOW) {
            let peer = peers.iter().find(|peer| peer.contact.address == to).expect("one of the peers");
            let response = match request_of::<SocketAddrV4>(&datagram) {
                Request::Relay { .. } => {
                    let unsupported = Response::Error { code: ErrorCode::Unsupported, detail: 0 };
                    peer.response(transaction_of::<SocketAddrV4>(&datagram), unsupported)
                }
                _ => peer.empty_response(&datagram),
            };
            deliver(&mut *node, NOW, to, &response);
        }
    }
    let result = node.take_result(query).expect("the lookup ends");
    assert!(matches!(result.outcome, Outcome::Nodes(found) if found.len() == 3), "{result:?}");
    assert_eq!((result.stats.relayed, result.stats.hops, result.stats.fell_back), (false, 0, true));
}

#[test]
fn a_recursive_get_continues_iteratively_if_its_request_is_accepted_and_dropped() {
    let (mut node, peers, ..) = relay_and_peers();
    let key =
        (0..=u8::MAX).map(|n| Key::plain(&[n])).find(|key| key.id.as_bytes()[0] == 0).expect("nearer to the peers");
    let query = node.get(NOW, key, &recursive()).unwrap();
    let mut now = NOW;
    let result = loop {
        for (to, datagram) in sent(&mut *node, now) {
            let peer = peers.iter().find(|peer| peer.contact.address == to).expect("one of the peers");
            let response = match request_of::<SocketAddrV4>(&datagram) {
                Request::Relay { .. } => peer.response(transaction_of::<SocketAddrV4>(&datagram), Response::Accepted),
                _ => peer.empty_response(&datagram),
            };
            deliver(&mut *node, now, to, &response);
        }
        if let Some(result) = node.take_result(query) {
            break result;
        }
        now = now + Duration::from_millis(50);
        assert!(now.since(NOW) < Duration::from_secs(30), "the get never ends");
        node.handle_timeout(now);
    };
    assert!(matches!(result.outcome, Outcome::NotFound { .. }), "{result:?}");
    assert!(result.stats.fell_back, "{:?}", result.stats);
    assert!(now.since(NOW) < Duration::from_secs(2), "it took {:?}", now.since(NOW));
}

/// A relay, three peers that it knows, a requester and the requester's token. The third peer is the nearest to
/// identifiers of zeros.
fn relay_and_peers() -> (Box<Relay4>, [Peer<SocketAddrV4>; 3], Peer<SocketAddrV4>, Token) {
    let mut node = Box::new(Relay4::new(NOW, config(), Id::from_bytes([0xFF; 20]), [42; 32]).unwrap());
    let peers =
        [(4, 0x40), (3, 0x10), (2, 0x01)].map(|(n, start)| Peer::new(id(&[start]), at(&format!("11.{n}.0.1:4000"))));
    for peer in &peers {
        peer.meet(&mut *node, NOW);
    }
    // A client, so no node sends it a request.
    let requester = Peer { features: Features::default(), ..Peer::new(id(&[0xEE]), at("11.9.0.1:4000")) };
    let token = requester.token(&mut *node, NOW);
    let _ = sent(&mut *node, NOW);
    (node, peers, requester, token)
}

fn relay(number: u64) -> Request<'static> {
    Request::Relay {
        relay_id: RelayId(number.to_be_bytes()),
        target: Target::Nodes(id(&[0, 1])),
        hops: 255,
        time: 60_000,
    }
}

fn response_in(datagram: &[u8]) -> Response<'_, SocketAddrV4> {
    match decode::<SocketAddrV4>(datagram).body {
        Body::Response { response, .. } => response,
        Body::Request { .. } => panic!("a response was expected"),
    }
}

#[test]
fn a_relay_needs_a_token_and_is_forwarded_no_longer_than_it_came() {
    let (mut node, peers, requester, token) = relay_and_peers();
    let refused = requester.ask(&mut *node, NOW, relay(1), None);
    assert!(matches!(response_in(&refused), Response::Error { code: ErrorCode::Token, .. }));
    let forged = requester.ask(&mut *node, NOW, relay(1), Some(Token([1; 8])));
    assert!(matches!(response_in(&forged), Response::Error { code: ErrorCode::Token, .. }));
    assert!(sent(&mut *node, NOW).is_empty());

    let incoming = requester.request(relay(1), Some(token));
    let (to, accepted) = deliver(&mut *node, NOW, requester.contact.address, &incoming).unwrap();
    assert_eq!((to, response_in(&accepted)), (requester.contact.address, Response::Accepted));
    let out = sent(&mut *node, NOW);
    assert_eq!(out.len(), 1);
    assert_eq!(out[0].0, peers[2].contact.address, "the nearest");
    assert!(out[0].1.len() <= incoming.len());
    let Body::Request { request: Request::Relay { hops, time, .. }, .. } = decode::<SocketAddrV4>(&out[0].1).body
    else {
        panic!("{:?}", out[0]);
    };
    assert!(hops < 32 && time < 10_000, "{hops} hops, {time} ms");

    let again = requester.ask(&mut *node, NOW, relay(1), Some(token));
    assert_eq!(response_in(&again), Response::Accepted, "a retransmission");
    let token = peers[0].token(&mut *node, NOW);
    let circled = peers[0].ask(&mut *node, NOW, relay(1), Some(token));
    assert!(matches!(response_in(&circled), Response::Error { code: ErrorCode::Busy, .. }));
    assert!(sent(&mut *node, NOW).is_empty(), "it is forwarded once");
}

#[test]
fn a_relay_that_shows_another_nodes_token_is_refused_to_its_sender_and_not_forwarded() {
    let (mut node, peers, requester, token) = relay_and_peers();
    let peers_token = peers[2].token(&mut *node, NOW);
    let elsewhere = |peer: Peer<SocketAddrV4>, address| Peer {
        contact: Contact::new(peer.contact.id, at(address)),
        features: Features::default(),
        ..peer
    };
    let impostor = Peer { contact: Contact::new(id(&[0xED]), requester.contact.address), ..requester };
    let forgers = [
        (elsewhere(requester, "11.8.0.1:4000"), token),
        (elsewhere(requester, "11.9.0.1:4001"), token),
        (elsewhere(peers[2], "11.8.0.1:4000"), peers_token),
        (impostor, token),
    ];
    let mut count = 0;
    for (forger, shown) in forgers {
        for hops in [0, 1, 255] {
            count += 1;
            let Request::Relay { relay_id, target, time, .. } = relay(count) else { unreachable!() };
            let incoming = forger.request(Request::Relay { relay_id, target, hops, time }, Some(shown));
            let (to, refused) = deliver(&mut *node, NOW, forger.contact.address, &incoming).unwrap();
            assert_eq!(
                (to, response_in(&refused)),
                (forger.contact.address, Response::Error { code: ErrorCode::Token, detail: 0 })
            );
            assert!(sent(&mut *node, NOW).is_empty(), "{forger:?}");
        }
    }
    let stats = node.stats();
    assert_eq!((stats.bad_tokens, stats.forwarded, stats.busy), (count, 0, 0));
    let accepted = requester.ask(&mut *node, NOW, relay(0), Some(token));
    assert_eq!(response_in(&accepted), Response::Accepted, "the token's owner may still use it");
}

#[test]
fn a_relayed_response_goes_to_the_requester_and_names_the_responder() {
    let (mut node, peers, requester, token) = relay_and_peers();
    requester.ask(&mut *node, NOW, relay(1), Some(token));
    let out = sent(&mut *node, NOW);
    let transaction = transaction_of::<SocketAddrV4>(&out[0].1);
    let relayed = |peer: &Peer<SocketAddrV4>| {
        peer.response(transaction, Response::Relayed { hops: 4, found: None, contacts: Contacts::EMPTY })
    };
    assert_eq!(
        deliver(&mut *node, NOW, peers[1].contact.address, &relayed(&peers[1])),
        None,
        "from another peer than the next hop"
    );
    let (to, back) = deliver(&mut *node, NOW, peers[2].contact.address, &relayed(&peers[2])).unwrap();
    assert_eq!(to, requester.contact.address);
    let Response::Relayed { hops: 5, found: None, contacts } = response_in(&back) else {
        panic!("{:?}", response_in(&back))
    };
    assert_eq!(contacts.iter().collect::<Vec<_>>(), [peers[2].contact]);
    assert_eq!(deliver(&mut *node, NOW, peers[2].contact.address, &relayed(&peers[2])), None, "it is sent back once");
}

#[test]
fn if_a_next_hop_is_silent_the_next_best_is_tried_and_at_last_the_node_responds_itself() {
    let (mut node, peers, requester, token) = relay_and_peers();
    requester.ask(&mut *node, NOW, relay(1), Some(token));
    let mut now = NOW;
    let mut asked = Vec::new();
    let back = loop {
        for (to, bytes) in sent(&mut *node, now) {
            match decode::<SocketAddrV4>(&bytes).body {
                Body::Request { request: Request::Relay { .. }, .. } => asked.push(to),
                Body::Response { .. } => {
                    assert_eq!(to, requester.contact.address);
                    asked.push(to);
                }
                Body::Request { .. } => {}
            }
        }
        if asked.last() == Some(&requester.contact.address) {
            break asked;
        }
        now = now + Duration::from_millis(50);
        assert!(now.since(NOW) < Duration::from_secs(10), "it never got a response: {asked:?}");
        node.handle_timeout(now);
    };
    let wanted = [peers[2], peers[1], peers[0]].map(|peer| peer.contact.address);
    for (place, peer) in wanted.iter().enumerate() {
        assert!(back[..2 * place + 1].contains(peer), "{back:?}");
        assert_eq!(back.iter().filter(|to| *to == peer).count(), 2, "{back:?}");
    }
    assert_eq!(back.len(), 7);
}

#[test]
fn a_node_without_time_to_forward_a_relay_refuses_it_as_busy() {
    let (mut node, _, requester, token) = relay_and_peers();
    let Request::Relay { relay_id, target, hops, .. } = relay(1) else { unreachable!() };
    let refused = requester.ask(&mut *node, NOW, Request::Relay { relay_id, target, hops, time: 1 }, Some(token));
    assert!(matches!(response_in(&refused), Response::Error { code: ErrorCode::Busy, .. }), "other nodes are nearer");
    let last = requester.ask(&mut *node, NOW, Request::Relay { relay_id, target, hops: 0, time: 1_000 }, Some(token));
    assert!(
        matches!(response_in(&last), Response::Relayed { hops: 0, .. }),
        "no hop is left, so the node responds itself"
    );
    assert_eq!((node.stats().forwarded, node.stats().busy), (0, 1));
    assert!(sent(&mut *node, NOW).is_empty());
}

#[test]
fn of_endless_relays_a_node_accepts_only_as_many_as_it_has_slots_for() {
    const REQUESTS: u64 = 500_000;
    let (mut node, _, requester, mut token) = relay_and_peers();
    let (mut accepted, mut now) = (0, NOW);
    for number in 0..REQUESTS {
        // Within the rate limit of one source and the lifetime of its token.
        now = now + Duration::from_millis(20);
        if number.is_multiple_of(15_000) {
            token = requester.token(&mut *node, now);
        }
        let datagram = requester.request(relay(number), Some(token));
        let (_, bytes) = deliver(&mut *node, now, requester.contact.address, &datagram).unwrap();
        accepted += u64::from(response_in(&bytes) == Response::Accepted);
    }
    // Nothing was polled. One slot is reserved for the node's own lookups, and one for other requesters.
    assert_eq!((accepted, node.stats().forwarded, node.stats().busy), (2, 2, REQUESTS - 2));
    // By now their time is over, so each gets an error.
    let out = sent(&mut *node, now);
    assert!(out.iter().all(|(to, _)| *to == requester.contact.address) && out.len() <= 2, "{out:?}");
}
