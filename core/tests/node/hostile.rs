//! Bad and hostile input to one node: it is dropped or refused, counted by its kind, and has no other effect.

use core::net::SocketAddrV4;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;

use kadlet::message::{Contacts, ErrorCode, Features, Observed, Request, Response};
use kadlet::record::{Proof, Version};
use kadlet::wire::{Body, Header, Kadlet, Message, Token, Transaction};
use kadlet::{Config, Contact, Dht, Id, Key, Options, Outcome, Record, Routing, Stats, Store};

use crate::by_hand::{
    NOW, Node4, Peer, at, decode, deliver, id, idle, knows, node4, picture, response_of, sent, token_of, transaction_of,
};
use crate::net::{Random, config};

const STORED: Response<'_, SocketAddrV4> = Response::Stored { lifetime: 1 };

fn peer() -> Peer<SocketAddrV4> {
    Peer::new(id(&[0x80]), at("192.0.2.1:4000"))
}

/// Gives a node a datagram that must cause no response and change nothing but the counters. Returns the counters.
fn dropped(node: &mut Node4, from: SocketAddrV4, bytes: &[u8]) -> Stats {
    let without_counts = |node: &Node4| picture(node).split_once('}').unwrap().1.to_owned();
    let (before, received) = (without_counts(node), node.stats().received);
    assert_eq!(deliver(node, NOW, from, bytes), None);
    assert_eq!(without_counts(node), before);
    assert!(sent(node, NOW).is_empty());
    assert_eq!(node.stats().received, received + 1);
    *node.stats()
}

#[test]
fn a_datagram_that_is_no_message_is_counted_as_malformed() {
    let mut node = node4(config());
    let good = peer().request(Request::FindNode { target: Id::ZERO }, None);
    let mut count = 0;
    let mut trailing = good.clone();
    trailing.push(1);
    for bad in [&[][..], &[1], &good[..good.len() - 1], &good[..34], &trailing, &[1; 2_000]] {
        count += 1;
        assert_eq!(dropped(&mut node, peer().contact.address, bad).malformed, count, "{bad:?}");
    }
    let mut random = Random::new(1);
    for _ in 0..2_000 {
        let mut bytes: [u8; 64] = random.bytes();
        bytes[..4].copy_from_slice(&[1, 1, 0, 0]);
        bytes[12] = 0x81 + bytes[12] % 5;
        dropped(&mut node, peer().contact.address, &bytes[..random.below(65)]);
    }
    let stats = node.stats();
    assert_eq!(stats.received, stats.malformed + stats.unsolicited);
}

#[test]
fn messages_of_another_version_network_or_geometry_are_dropped_and_counted_apart() {
    let mut node = node4(Config { network: 7, ..config() });
    let at = peer().contact.address;
    let mut version = peer().request(Request::Ping, None);
    version[0] = 2;
    assert_eq!(dropped(&mut node, at, &version).wrong_version, 1);
    assert_eq!(dropped(&mut node, at, &peer().request(Request::Ping, None)).wrong_network, 1);
    let geometry = Peer { geometry: 2, network: 7, ..peer() };
    assert_eq!(dropped(&mut node, at, &geometry.request(Request::Ping, None)).wrong_geometry, 1);
    let ours = Peer { network: 7, ..peer() };
    assert!(deliver(&mut *node, NOW, at, &ours.request(Request::Ping, None)).is_some());
}

#[test]
fn a_response_without_a_request_is_unsolicited() {
    let mut node = node4(config());
    let response = peer().response(Transaction([1; 8]), STORED);
    assert_eq!(dropped(&mut node, peer().contact.address, &response).unsolicited, 1);
    // A second copy of a response is unsolicited too.
    node.ping(NOW, peer().contact.address).unwrap();
    let request = sent(&mut *node, NOW).remove(0).1;
    let response = peer().empty_response(&request);
    deliver(&mut *node, NOW, peer().contact.address, &response);
    sent(&mut *node, NOW);
    assert_eq!(dropped(&mut node, peer().contact.address, &response).unsolicited, 2);
}

#[test]
fn a_response_from_another_address_is_spoofed_and_the_request_still_waits() {
    let mut node = node4(config());
    let query = node.ping(NOW, peer().contact.address).unwrap();
    let request = sent(&mut *node, NOW).remove(0).1;
    let response = peer().empty_response(&request);
    assert_eq!(dropped(&mut node, at("192.0.2.2:4000"), &response).spoofed, 1);
    assert_eq!(dropped(&mut node, at("192.0.2.1:4001"), &response).spoofed, 2);
    assert!(node.progress(query).is_some());
    deliver(&mut *node, NOW, peer().contact.address, &response);
    assert!(matches!(node.take_result(query).unwrap().outcome, Outcome::Pong { .. }));
}

#[test]
fn another_id_at_a_contacts_address_evicts_the_contact() {
    let mut node = node4(config());
    peer().meet(&mut *node, NOW);
    let query = node.find_node(NOW, Id::ZERO, &Options::default()).unwrap();
    let request = sent(&mut *node, NOW).remove(0).1;
    let other = Peer::new(id(&[0x40]), peer().contact.address);
    let response =
        other.response(transaction_of::<SocketAddrV4>(&request), Response::Nodes { contacts: Contacts::EMPTY });
    assert_eq!(deliver(&mut *node, NOW, peer().contact.address, &response), None);
    assert_eq!(node.stats().spoofed, 1);
    assert!(node.routing().get(&peer().contact.id).is_none());
    assert!(node.routing().get(&other.contact.id).is_none(), "the other node does not get into the table that way");
    let mut now = NOW;
    idle(&mut *node, &mut now, Duration::from_secs(60));
    assert!(matches!(node.take_result(query).unwrap().outcome, Outcome::Failed(_)));
}

#[test]
fn a_request_neither_adds_a_contact_to_the_table_nor_evicts_one() {
    let mut node = node4(config());
    peer().meet(&mut *node, NOW);
    for n in 1..100 {
        let forged = Peer::new(id(&[n]), peer().contact.address);
        forged.ask(&mut *node, NOW, Request::Ping, None);
        let elsewhere = Peer::new(peer().contact.id, at(&format!("192.0.{n}.7:1")));
        elsewhere.ask(&mut *node, NOW, Request::Ping, None);
    }
    assert_eq!(node.routing().peers().map(|known| known.contact).collect::<Vec<_>>(), [peer().contact]);
}

#[test]
fn a_store_with_a_missing_or_invalid_token_is_counted_and_refused() {
    let mut node = node4(config());
    let store = Request::Store { record: Record::immutable(b"x"), lifetime: 60, compare: None, handover: false };
    let token = peer().token(&mut *node, NOW);
    let elsewhere = Peer::new(peer().contact.id, at("192.0.2.2:4000"));
    let impostor = Peer::new(id(&[0x81]), peer().contact.address);
    for (requester, shown) in
        [(peer(), None), (peer(), Some(Token([0; 8]))), (elsewhere, Some(token)), (impostor, Some(token))]
    {
        let response = requester.ask(&mut *node, NOW, store, shown);
        assert!(matches!(response_of::<SocketAddrV4>(&response), Response::Error { code: ErrorCode::Token, .. }));
        assert!(node.store().is_empty());
    }
    assert_eq!((node.stats().bad_tokens, node.stats().refused_stores), (3, 4));
    let later = NOW + Duration::from_secs(601);
    peer().ask(&mut *node, later, store, Some(token));
    assert_eq!(node.stats().bad_tokens, 4, "after ten minutes the token is too old");
    let response = peer().ask(&mut *node, NOW, store, Some(token));
    assert!(matches!(response_of::<SocketAddrV4>(&response), Response::Stored { lifetime: 60 }));
    assert_eq!(node.stats().records_stored, 1);
}

#[test]
fn requests_over_the_rate_limit_are_counted_and_get_at_most_a_token() {
    let mut node = node4(Config { rate_limit: 10, ..config() });
    let requester = peer();
    let responses: Vec<Vec<u8>> = (0..30).map(|_| requester.ask(&mut *node, NOW, Request::Ping, None)).collect();
    let errors =
        responses.iter().filter(|bytes| matches!(response_of::<SocketAddrV4>(bytes), Response::Error { .. })).count();
    assert_eq!((errors, node.stats().rate_limited), (10, 10), "a burst of two seconds' worth gets responses");
    let token = token_of::<SocketAddrV4>(&responses[29]);
    let ping = requester.request(Request::Ping, Some(token));
    let proved = (0..30).filter(|_| deliver(&mut *node, NOW, requester.contact.address, &ping).is_some()).count();
    assert_eq!(
        (proved, node.stats().rate_limited),
        (20, 20),
        "a requester with a valid token has a rate limit of its own, and no more"
    );
}

#[test]
fn a_flood_from_forged_prefixes_starves_neither_a_requester_with_a_token_nor_the_own_requests() {
    let mut node = node4(config());
    peer().meet(&mut *node, NOW);
    let requester = Peer::new(id(&[0x41]), at("198.51.100.7:4000"));
    let token = requester.token(&mut *node, NOW);
    let mut random = Random::new(3);
    let mut now = NOW;
    let mut served = 0;
    let mut query = None;
    let mut pongs = 0;
    for round in 0..300 {
        now = now + Duration::from_millis(10);
        for _ in 0..50 {
            // A third of them claim to come from the requester's own address prefix.
            let [a, b, c, d] = random.bytes();
            let from = if c % 3 == 0 { [198, 51, 100, d] } else { [20 + a % 10, b, c, d] };
            let forged = Peer::new(Id::from_bytes(random.bytes()), SocketAddrV4::new(from.into(), 1));
            let _ = deliver(
                &mut *node,
                now,
                forged.contact.address,
                &forged.request(Request::FindNode { target: Id::ZERO }, None),
            );
        }
        if round % 10 == 0 {
            let response = requester.ask(&mut *node, now, Request::FindNode { target: Id::ZERO }, Some(token));
            served += usize::from(matches!(response_of::<SocketAddrV4>(&response), Response::Nodes { .. }));
        }
        if query.is_none() {
            query = Some(node.ping(now, peer().contact.address).expect("a slot"));
        }
        for (to, bytes) in sent(&mut *node, now) {
            if to == peer().contact.address {
                deliver(&mut *node, now, to, &peer().empty_response(&bytes));
            }
        }
        node.handle_timeout(now);
        if let Some(result) = query.and_then(|query| node.take_result(query)) {
            assert!(matches!(result.outcome, Outcome::Pong { .. }), "{:?}", result.outcome);
            assert!(result.stats.took < Duration::from_millis(50));
            (query, pongs) = (None, pongs + 1);
        }
    }
    assert_eq!(served, 30);
    assert!(pongs > 100, "{pongs}");
    assert!(node.stats().rate_limited > 1_000, "{:?}", node.stats());
    assert!(knows(&*node, &peer().contact.id));
}

#[test]
fn a_requester_in_a_flooded_prefix_gets_a_token_and_with_the_token_a_response() {
    let mut node = node4(Config { rate_limit: 1, ..config() });
    for n in 0..50 {
        let forged = Peer::new(id(&[n]), SocketAddrV4::new([192, 0, 2, n].into(), 1));
        let _ = deliver(&mut *node, NOW, forged.contact.address, &forged.request(Request::Ping, None));
    }
    let requester = peer();
    let response = requester.ask(&mut *node, NOW, Request::Ping, None);
    assert!(matches!(response_of::<SocketAddrV4>(&response), Response::Error { code: ErrorCode::Token, .. }));
    let response = requester.ask(&mut *node, NOW, Request::Ping, Some(token_of::<SocketAddrV4>(&response)));
    assert!(matches!(response_of::<SocketAddrV4>(&response), Response::Pong { .. }));
}

#[test]
fn an_unknown_kind_of_request_gets_unsupported_and_unknown_features_are_ignored() {
    let mut node = node4(config());
    let requester = Peer { features: Features(0xFFFE), ..peer() };
    let response = requester.ask(&mut *node, NOW, Request::Unknown { kind: 77, payload: b"from the future" }, None);
    assert!(matches!(
        response_of::<SocketAddrV4>(&response),
        Response::Error { code: ErrorCode::Unsupported, detail: 0 }
    ));
    let response = requester.ask(&mut *node, NOW, Request::Ping, None);
    let expected = Observed::new(requester.contact.address);
    assert!(matches!(response_of::<SocketAddrV4>(&response), Response::Pong { observed } if observed == expected));
}

#[test]
fn a_response_never_causes_a_response() {
    let mut node = node4(config());
    for response in
        [STORED, Response::Error { code: ErrorCode::Token, detail: 0 }, Response::Nodes { contacts: Contacts::EMPTY }]
    {
        assert_eq!(
            deliver(&mut *node, NOW, peer().contact.address, &peer().response(Transaction([1; 8]), response)),
            None
        );
    }
    let stray = Message::<SocketAddrV4, Kadlet> {
        header: Header {
            geometry: 1,
            network: 0,
            transaction: Transaction([2; 8]),
            sender: Id::ZERO,
            features: Features::SERVES,
        },
        body: Body::Response { token: Token([0; 8]), response: STORED },
    };
    assert_eq!(deliver(&mut *node, NOW, peer().contact.address, &crate::by_hand::encode(&stray)), None);
    assert!(sent(&mut *node, NOW).is_empty());
    assert_eq!(decode::<SocketAddrV4>(&crate::by_hand::encode(&stray)), stray);
}

#[test]
fn a_holder_that_refuses_every_token_does_not_keep_a_put_running() {
    let mut node = node4(config());
    peer().meet(&mut *node, NOW);
    let query = node.put(NOW, &Record::plain(b"x", b"y"), &Options::default()).unwrap();
    let mut responded = 0;
    while node.progress(query).is_some() {
        for (to, bytes) in sent(&mut *node, NOW) {
            let error = Response::Error { code: ErrorCode::Token, detail: 0 };
            let response = match crate::by_hand::request_of::<SocketAddrV4>(&bytes) {
                Request::Store { .. } => peer().response(transaction_of::<SocketAddrV4>(&bytes), error),
                _ => peer().empty_response(&bytes),
            };
            deliver(&mut *node, NOW, to, &response);
            responded += 1;
        }
        assert!(responded < 200, "it sends requests without end");
    }
    let result = node.take_result(query).unwrap();
    assert!(matches!(result.outcome, Outcome::Failed(_)), "{:?}", result.outcome);
}

#[test]
fn one_address_prefix_may_fill_a_quarter_of_the_store_unless_configured_otherwise() {
    for (quota, filled) in [(0, 8_192 / 4), (500, 500)] {
        let mut node = node4(Config { quota, ..config() });
        let token = peer().token(&mut *node, NOW);
        let mut store = |value: [u8; 156]| {
            let request =
                Request::Store { record: Record::immutable(&value), lifetime: 60, compare: None, handover: false };
            let response = peer().ask(&mut *node, NOW, request, Some(token));
            match response_of::<SocketAddrV4>(&response) {
                Response::Stored { .. } => true,
                other => {
                    assert_eq!(other, Response::Error { code: ErrorCode::Full, detail: 0 });
                    false
                }
            }
        };
        let stored = (0..32).take_while(|n| store([*n; 156])).count();
        assert_eq!(stored, usize::div_ceil(filled, 256), "each counts as 256 bytes");
    }
}

#[test]
fn records_that_grow_or_come_from_a_new_source_count_against_the_quota_too() {
    let mut node = node4(config());
    let mut now = NOW;
    let other = Peer::new(id(&[0x81]), at("203.0.113.1:4000"));
    let tokens = [peer(), other].map(|peer| peer.token(&mut *node, now));
    let mut store = |peer: Peer<SocketAddrV4>, token: Token, name: u8, len: usize| {
        now = now + Duration::from_millis(5);
        let value = vec![name; len];
        let request =
            Request::Store { record: Record::plain(&[name], &value), lifetime: 60, compare: None, handover: false };
        let response = peer.ask(&mut *node, now, request, Some(token));
        matches!(response_of::<SocketAddrV4>(&response), Response::Stored { .. })
    };
    assert!((0..20).all(|name| store(peer(), tokens[0], name, 1)), "20 times 101 bytes, of 2,048");
    assert_eq!((0..20).filter(|name| store(peer(), tokens[0], *name, 900)).count(), 1);
    assert!((0..20).all(|name| store(peer(), tokens[0], name, 1)), "a record that doesn't grow is always stored");
    let replaced = (0..20).filter(|name| store(other, tokens[1], *name, 900)).count();
    assert_eq!(replaced, 3, "a thousand bytes each");
}

/// How often the verifier of the next test was called.
static CHECKS: AtomicUsize = AtomicUsize::new(0);

#[test]
fn checks_of_signatures_have_a_rate_of_their_own() {
    let verify = |_: &[u8; 32], _: &[u8; 32], _: &[u8; 64]| {
        CHECKS.fetch_add(1, Ordering::Relaxed);
        false
    };
    let mut node = node4(Config { verify: Some(verify), ..config() });
    let token = peer().token(&mut *node, NOW);
    let proof = Proof::Signed { public_key: &[1; 32], salt: b"", sequence: 1, signature: &[2; 64] };
    let record = Record { value: b"value", proof };
    let store = Request::Store { record, lifetime: 60, compare: None, handover: false };
    let mut busy = 0;
    for nth in 0..200 {
        let now = NOW + Duration::from_millis(nth * 1_000 / 20);
        let response = deliver(&mut *node, now, peer().contact.address, &peer().request(store, Some(token)));
        let response = response.expect("it is within the rate of requests").1;
        busy += usize::from(matches!(
            response_of::<SocketAddrV4>(&response),
            Response::Error { code: ErrorCode::Busy, detail: 0 }
        ));
    }
    let checks = CHECKS.load(Ordering::Relaxed);
    // Ten seconds allow 768 requests: the 200 that were sent, and eight for each check.
    assert!((69..=71).contains(&checks), "{checks} in ten seconds, of a prefix that may send 64 requests a second");
    assert_eq!(busy, 200 - checks);
}

#[test]
fn private_sources_share_a_rate_once_the_node_has_global_contacts() {
    let allowed = |node: &mut Node4| {
        let sources = (0..100).map(|n| Peer::new(id(&[n]), at(&format!("10.0.{n}.1:4000"))));
        let responses = sources.map(|source| source.ask(node, NOW, Request::Ping, None));
        let pongs = responses.filter(|bytes| matches!(response_of::<SocketAddrV4>(bytes), Response::Pong { .. }));
        pongs.count()
    };
    let mut node = node4(Config { rate_limit: 10, ..config() });
    Peer::new(id(&[0x41]), at("10.0.0.7:4000")).meet(&mut *node, NOW);
    assert_eq!(allowed(&mut node), 100, "in a private network they have no limit");
    Peer::new(id(&[0x80]), at("198.51.100.7:4000")).meet(&mut *node, NOW);
    assert_eq!(allowed(&mut node), 20, "a burst of twice the rate of one prefix");
}

#[test]
fn a_node_far_from_a_key_refuses_to_store_its_record() {
    let mut node = node4(config());
    let own = *node.id().as_bytes();
    // Eight neighbours that share 12 bits with the node, and eight nodes on the other side of the network.
    for n in 0..8_u8 {
        let mut near = own;
        near[1] ^= 0x08 | n;
        Peer::new(Id::from_bytes(near), at(&format!("11.1.{n}.1:4000"))).meet(&mut *node, NOW);
        Peer::new(id(&[0x80 | n]), at(&format!("11.2.{n}.1:4000"))).meet(&mut *node, NOW);
    }
    let token = peer().token(&mut *node, NOW);
    let mut store = |far: bool| {
        let values = (0_u16..).map(|n| n.to_be_bytes());
        let is_wanted = |value: &[u8; 2]| {
            let bits = Key::immutable(value).id.xor(&Id::from_bytes(own)).leading_zeros();
            if far { bits == 0 } else { bits >= 12 }
        };
        let value = values.take(u16::MAX.into()).find(is_wanted).unwrap();
        let record = Record::immutable(&value);
        let store = Request::Store { record, lifetime: 60, compare: None, handover: false };
        let response = peer().ask(&mut *node, NOW, store, Some(token));
        matches!(response_of::<SocketAddrV4>(&response), Response::Stored { .. })
    };
    assert!(!store(true), "of a network this dense, half of all nodes are nearer to the key");
    assert!(store(false));
}

#[test]
fn handovers_count_against_the_quota_of_their_sender() {
    let mut node = node4(config());
    let holders: Vec<_> = (1..=5).map(|n| Peer::new(id(&[n * 40]), at(&format!("{}.1.1.1:4000", n + 20)))).collect();
    let liar = Peer::new(id(&[0x80]), at("60.1.1.1:4000"));
    holders.iter().chain([&liar]).for_each(|peer| peer.meet(&mut *node, NOW));
    let mut store = |sender: &Peer<SocketAddrV4>, now, value: &[u8]| {
        let token = sender.token(&mut *node, now);
        let record = Record::immutable(value);
        let store = Request::Store { record, lifetime: 3_600, compare: None, handover: true };
        let response = sender.ask(&mut *node, now, store, Some(token));
        matches!(response_of::<SocketAddrV4>(&response), Response::Stored { .. })
    };
    assert!((0..20_u8).all(|n| store(&holders[usize::from(n) % 5], NOW, &[n; 20])));
    let hostile = |n: u64| NOW + Duration::from_millis(50 * n);
    for n in 0..400_u64 {
        store(&liar, hostile(n), &[&[9; 20][..], &n.to_be_bytes()].concat());
    }
    let kept = (0..20_u8).filter(|n| node.store().find(&Key::immutable(&[*n; 20])).is_some()).count();
    assert_eq!((kept, node.store().len()), (20, 32), "the liar has the rest, and replaces only its own");
}

/// The addresses that a node asks after the peer `namer`, its contact, has named these to it.
fn asked_after(node: &mut Node4, namer: Peer<SocketAddrV4>, named: &[Contact<SocketAddrV4>]) -> Vec<SocketAddrV4> {
    node.find_node(NOW, Id::ZERO, &Options::default()).unwrap();
    let requests = sent(node, NOW);
    let (_, request) = requests.iter().find(|(to, _)| *to == namer.contact.address).unwrap();
    let response = Response::Nodes { contacts: Contacts::new(named) };
    deliver(node, NOW, namer.contact.address, &namer.response(transaction_of::<SocketAddrV4>(request), response));
    let later = sent(node, NOW);
    requests.into_iter().chain(later).map(|(to, _)| to).collect()
}

#[test]
fn the_address_of_a_verified_contact_wins_over_any_that_another_node_names() {
    let mut node = node4(config());
    let known = Peer::new(id(&[0x01]), at("192.0.7.1:4000"));
    peer().meet(&mut *node, NOW);
    known.meet(&mut *node, NOW);
    let lie = Contact::new(known.contact.id, at("198.51.100.1:4000"));
    let asked = asked_after(&mut node, peer(), &[lie]);
    assert!(asked.contains(&known.contact.address) && !asked.contains(&lie.address), "{asked:?}");
}

#[test]
fn private_contacts_are_not_named_to_a_global_requester() {
    let mut node = node4(config());
    let (private, global) = (Peer::new(id(&[0x01]), at("10.0.0.1:4000")), Peer::new(id(&[0x02]), at("192.0.9.1:4000")));
    private.meet(&mut *node, NOW);
    global.meet(&mut *node, NOW);
    let mut named_to = |requester: Peer<SocketAddrV4>| {
        let request = requester.padded(Request::FindNode { target: Id::ZERO }, None, 200);
        let response = deliver(&mut *node, NOW, requester.contact.address, &request).unwrap().1;
        match response_of::<SocketAddrV4>(&response) {
            Response::Nodes { contacts } => contacts.iter().map(|contact| contact.address).collect::<Vec<_>>(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(named_to(peer()), [global.contact.address]);
    let neighbour = Peer::new(id(&[0x81]), at("10.0.0.2:4000"));
    assert_eq!(named_to(neighbour), [private.contact.address, global.contact.address]);
}

#[test]
fn a_get_does_not_wait_for_nodes_that_claim_to_hold_the_record_and_never_deliver_it() {
    let mut node = node4(config());
    let (key, peer) = (Key::plain(b"name"), |n: u8| Peer::new(id(&[n * 16 + 1]), at(&format!("11.0.{n}.1:4000"))));
    let mut peers: Vec<_> = (0..12).map(peer).collect();
    peers.sort_by_key(|peer| peer.contact.id.xor(&key.id));
    peers.iter().for_each(|peer| peer.meet(&mut *node, NOW));
    let query = node.get(NOW, key, &Options::default()).unwrap();
    let (mut now, mut claims) = (NOW, 0);
    let result = loop {
        for (to, bytes) in sent(&mut *node, now) {
            let nth = peers.iter().position(|peer| peer.contact.address == to).unwrap();
            let Body::Request { token, request: Request::FindValue { have, .. }, .. } =
                decode::<SocketAddrV4>(&bytes).body
            else {
                continue;
            };
            let (record, contacts) = (Record::plain(b"name", b"value"), Contacts::EMPTY);
            let version = Version { number: u64::MAX, digest: u64::MAX };
            let response = match (nth, have) {
                (0..3, None) if token.is_none() => Response::Held { version, size: 300, contacts },
                (0..3, _) => continue,
                (_, None) => Response::Value { record, lifetime: 3_600, contacts },
                _ => Response::Held { version: record.version(), size: 300, contacts },
            };
            claims += usize::from(nth < 3);
            deliver(&mut *node, now, to, &peers[nth].response(transaction_of::<SocketAddrV4>(&bytes), response));
        }
        if let Some(result) = node.take_result(query) {
            break (result.outcome.to_string(), result.stats.took);
        }
        now = now + Duration::from_millis(10);
        node.handle_timeout(now);
    };
    assert_eq!(result.0, "a record of 5 bytes found at 8 nodes");
    assert!(claims == 3 && result.1 < Duration::from_millis(2_500), "{claims} claims, {:?}", result.1);
}
