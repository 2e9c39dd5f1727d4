//! Faults that were found in the field, by trying whole nodes with what has gone wrong in other networks.

use core::net::{SocketAddr, SocketAddrV4};
use core::time::Duration;

use kadlet::message::{Contacts, ErrorCode, Features, RelayId, Request, Response, Target};
use kadlet::record::Proof;
use kadlet::wire::{Body, Token};
use kadlet::{
    Config, Contact, Dht, Event, Failure, Id, Instant, Kademlia, Key, Mode, Options, Outcome, Record, Routing, Serve,
    Store,
};

use crate::by_hand::{
    NOW, Node4, Peer, at, decode, deliver, encode, id, idle, knows, node4, request_of, response_of, sent,
    transaction_of,
};
use crate::net::{Mote, MoteWith, Net, config};
use crate::records::{by_rank, held};
use crate::{get, once};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const KEY: &[u8] = b"hello";

/// A node that forwards up to four requests at once.
type Relaying<A> = MoteWith<Kademlia<A, 128>, 4>;

/// A configuration for signed records whose signatures are not looked at.
fn unverified() -> Config {
    Config { verify: Some(|_, _, _| true), ..config() }
}

fn signed(sequence: u64, value: &[u8]) -> Record<'_> {
    Record { value, proof: Proof::Signed { public_key: &[1; 32], salt: b"", sequence, signature: &[2; 64] } }
}

/// Puts two values at once, then checks that the second is what all holders have.
fn the_later_of_two_puts_wins(seed: u64, values: [&[u8]; 2], between: Duration, options: &Options) {
    let mut net = Net::joined(seed, 16, config());
    let publisher = by_rank(&net, &Key::plain(KEY))[12];
    let mut last = None;
    for value in values {
        let now = net.now;
        last = Some(net.node(publisher).put(now, &Record::plain(KEY, value), options).expect("no put is refused"));
        net.run(between);
    }
    net.wait(publisher, last.unwrap(), |result| {
        assert!(matches!(&result.outcome, Outcome::Stored { holders, .. } if holders.len() == 8), "{result:?}");
    });
    let holders = held(&mut net, &Key::plain(KEY));
    assert!(holders.len() >= 8 && holders.iter().all(|(_, value)| *value == values[1]), "{holders:?}");
    assert_eq!(get(&mut net, 1, KEY).as_deref(), Some(values[1]));
}

#[test]
fn of_two_puts_of_one_plain_key_within_a_millisecond_the_later_wins() {
    for values in [[&b"one"[..], b"two"], [b"two", b"one"]] {
        for options in [Options::default(), once()] {
            for micros in [0, 1, 700, 1_000] {
                the_later_of_two_puts_wins(110, values, Duration::from_micros(micros), &options);
            }
        }
    }
}

/// Delivers all datagrams between two nodes without delay, and moves the clock to what is due next until the query of
/// the first has ended. Returns the text of its outcome.
fn end_of(nodes: &mut [Box<Node4>; 2], now: &mut Instant, query: kadlet::QueryId) -> String {
    let addresses = ["11.0.0.1:4000", "11.0.1.1:4000"].map(at);
    for _ in 0..100 {
        for (from, to) in [(0, 1), (1, 0)] {
            for (_, bytes) in sent(&mut *nodes[from], *now) {
                if let Some((_, back)) = deliver(&mut *nodes[to], *now, addresses[from], &bytes) {
                    deliver(&mut *nodes[from], *now, addresses[to], &back);
                }
            }
        }
        if let Some(result) = nodes[0].take_result(query) {
            return result.outcome.to_string();
        }
        *now = (*now).max(nodes[0].poll_timeout().map_or(*now, |(at, _)| at));
        nodes[0].handle_timeout(*now);
    }
    panic!("it never ended");
}

#[test]
fn of_two_puts_without_any_delay_on_the_way_the_later_wins_too() {
    for values in [[&b"one"[..], b"two"], [b"two", b"one"]] {
        // A client holds nothing after a put.
        for serve in [Serve::Always, Serve::Never] {
            let client = Config { serve, ..config() };
            let mut nodes = [node4(client), Box::new(Node4::new(NOW, config(), id(&[9]), [43; 32]).unwrap())];
            let mut now = NOW;
            let query = nodes[0].bootstrap(now, &[at("11.0.1.1:4000")]).unwrap().query;
            end_of(&mut nodes, &mut now, query);
            for value in values {
                let query = nodes[0].put(now, &Record::plain(KEY, value), &once()).expect("no put is refused");
                let outcome = end_of(&mut nodes, &mut now, query);
                assert!(outcome.starts_with("stored at 1 of 1"), "{outcome}");
                let store = nodes[1].store();
                let slot = store.find(&Key::plain(KEY)).unwrap();
                assert_eq!(store.get(slot).unwrap().stored.value, value);
                now = now + Duration::from_micros(100);
            }
        }
    }
}

#[test]
fn a_compare_and_swap_that_is_sent_again_is_not_in_conflict_with_itself() {
    let mut node = node4(unverified());
    let peer = Peer::new(id(&[0x80]), at("192.0.2.1:4000"));
    let token = peer.token(&mut *node, NOW);
    for (sequence, value, compare) in [(1, b"one", 0), (2, b"two", 1)] {
        for _ in 0..2 {
            let record = signed(sequence, value);
            let store = Request::Store { record, lifetime: 60, compare: Some(compare), handover: false };
            let response = peer.ask(&mut *node, NOW, store, Some(token));
            let response = response_of::<SocketAddrV4>(&response);
            assert!(matches!(response, Response::Stored { lifetime: 60 }), "{sequence}: {response:?}");
        }
    }
    // The own store is no different.
    peer.meet(&mut *node, NOW);
    let options = Options { compare: Some(2), ..once() };
    assert!(node.put(NOW, &signed(3, b"three"), &options).is_ok());
    assert!(node.put(NOW, &signed(3, b"three"), &options).is_ok());
}

/// A relay request for a record, of a requester that takes responses of at most 524 bytes.
fn narrow_relay(peer: &Peer<SocketAddrV4>, token: Token) -> Vec<u8> {
    let target = Target::Value(Key::plain(KEY));
    let relay = Request::Relay { relay_id: RelayId([1; 8]), target, hops: 9, time: 9_000 };
    let bytes = peer.request(relay, Some(token));
    let mut message = decode::<SocketAddrV4>(&bytes);
    if let Body::Request { largest, .. } = &mut message.body {
        *largest = 524;
    }
    encode(&message)
}

#[test]
fn a_holder_whose_record_does_not_fit_into_a_relayed_response_names_no_other_node() {
    let mut holder = relay_with(&[1, 2, 3]);
    holder.restore_record(NOW, &Record::plain(KEY, &[7; 1_000]), HOUR, false).unwrap();
    let previous = client();
    let token = previous.token(&mut *holder, NOW);
    let relay = narrow_relay(&previous, token);
    let (_, back) = deliver(&mut *holder, NOW, previous.contact.address, &relay).unwrap();
    let nothing = Response::Relayed { hops: 0, found: None, contacts: Contacts::EMPTY };
    assert_eq!(response_of::<SocketAddrV4>(&back), nothing, "so the previous hop names the holder alone");
}

#[test]
fn a_relay_asks_for_no_more_than_its_previous_hop_takes() {
    let mut node = relay_with(&[0x80]);
    let token = client().token(&mut *node, NOW);
    deliver(&mut *node, NOW, client().contact.address, &narrow_relay(&client(), token)).unwrap();
    let forwarded = sent(&mut *node, NOW).remove(0).1;
    assert!(matches!(decode::<SocketAddrV4>(&forwarded).body, Body::Request { largest: 524, .. }));
}

#[test]
fn a_recursive_get_asks_a_holder_whose_record_did_not_fit_and_is_told_its_size() {
    let mut node = relay_with(&[0x80]);
    let options = Options { mode: Mode::Recursive, ..Options::default() };
    let query = node.get(NOW, Key::plain(KEY), &options).unwrap();
    for _ in 0..4 {
        for (to, bytes) in sent(&mut *node, NOW) {
            let response = match request_of::<SocketAddrV4>(&bytes) {
                Request::Relay { .. } => Response::Relayed { hops: 0, found: None, contacts: Contacts::EMPTY },
                _ => Response::Held {
                    version: Record::plain(KEY, &[7; 1_000]).version(),
                    size: 2_000,
                    contacts: Contacts::EMPTY,
                },
            };
            deliver(&mut *node, NOW, to, &hop(0x80).response(transaction_of::<SocketAddrV4>(&bytes), response));
        }
    }
    let result = node.take_result(query).expect("it ends");
    assert!(matches!(result.outcome, Outcome::Failed(Failure::TooLarge(2_000))), "{result:?}");
    assert_eq!(result.stats.hops, 1);
}

/// A requester that is a client, so that no node pings it.
fn client() -> Peer<SocketAddrV4> {
    Peer { features: Features::default(), ..Peer::new(id(&[0xEE]), at("11.9.0.1:4000")) }
}

#[test]
fn stored_states_the_lifetime_that_is_kept() {
    let mut node = node4(config());
    let peer = Peer::new(id(&[0x80]), at("192.0.2.1:4000"));
    let token = peer.token(&mut *node, NOW);
    let mut store = |lifetime| {
        let store = Request::Store { record: Record::plain(b"x", b"y"), lifetime, compare: None, handover: false };
        let response = peer.ask(&mut *node, NOW, store, Some(token));
        match response_of::<SocketAddrV4>(&response) {
            Response::Stored { lifetime } => lifetime,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!((store(599), store(5), store(u32::MAX)), (599, 599, 24 * 3_600));
}

#[test]
fn the_outcome_of_a_put_tells_that_holders_capped_its_lifetime() {
    let mut net = Net::joined(112, 12, Config { max_lifetime: MINUTE, ..config() });
    let now = net.now;
    let query = net.node(2).put(now, &Record::plain(KEY, b"world"), &once()).unwrap();
    let text = net.wait(2, query, |result| result.outcome.to_string());
    assert_eq!(text, "stored at 8 of 8 nodes for 60s");
}

#[test]
fn a_newcomer_far_from_a_network_of_fast_nodes_becomes_a_contact() {
    let mut node = node4(config());
    for n in 1..=8 {
        Peer::new(id(&[n]), at(&format!("11.0.{n}.1:4000"))).meet(&mut *node, NOW);
    }
    let newcomer = Peer::new(id(&[0x80]), at("11.9.0.1:4000"));
    let find = newcomer.padded(Request::FindNode { target: newcomer.contact.id }, None, 120);
    deliver(&mut *node, NOW, newcomer.contact.address, &find).unwrap();
    let mut now = NOW;
    let ping = idle(&mut *node, &mut now, Duration::from_millis(600));
    let ping = ping.iter().find(|(_, to, _)| *to == newcomer.contact.address).expect("a ping");
    deliver(&mut *node, now, newcomer.contact.address, &newcomer.empty_response(&ping.2));
    assert!(knows(&*node, &newcomer.contact.id));
}

#[test]
fn one_requester_takes_at_most_half_of_the_relay_slots() {
    let mut node = relay_with(&[0x01, 0x02, 0x03]);
    let requesters = ["11.9.0.1:4000", "11.9.0.2:4000", "11.8.0.1:4000"].map(at);
    let clients = requesters.map(|address| Peer { contact: Contact::new(id(&[0xEE]), address), ..client() });
    let mut taken = [0; 3];
    for (index, client) in clients.iter().enumerate() {
        let token = client.token(&mut *node, NOW);
        for number in 0..4 {
            let relay = relay(10 * number + index as u64);
            let response = client.ask(&mut *node, NOW, relay, Some(token));
            taken[index] += usize::from(response_of::<SocketAddrV4>(&response) == Response::Accepted);
        }
    }
    assert_eq!(taken, [2, 0, 1], "the first two are of one prefix; the fourth slot is the node's own");
}

fn relay(number: u64) -> Request<'static> {
    let target = Target::Nodes(id(&[0, 1]));
    Request::Relay { relay_id: RelayId(number.to_be_bytes()), target, hops: 9, time: 9_000 }
}

/// A relay that knows peers whose identifiers begin with these bytes.
fn relay_with(peers: &[u8]) -> Box<Relaying<SocketAddrV4>> {
    let mut node = Box::new(Relaying::new(NOW, config(), Id::from_bytes([0xFF; 20]), [42; 32]).unwrap());
    for peer in peers {
        hop(*peer).meet(&mut *node, NOW);
    }
    let _ = sent(&mut *node, NOW);
    node
}

fn hop(n: u8) -> Peer<SocketAddrV4> {
    Peer::new(id(&[n]), at(&format!("11.{n}.0.1:4000")))
}

/// What a relay sends back to its previous hop when its next hop names these contacts.
fn sent_back(named: &[Contact<SocketAddr>]) -> Vec<Contact<SocketAddr>> {
    let mut node = relay_with(&[1]);
    let token = client().token(&mut *node, NOW);
    client().ask(&mut *node, NOW, relay(1), Some(token));
    let (to, bytes) = sent(&mut *node, NOW).remove(0);
    let next = Peer::new(id(&[1]), SocketAddr::from(to));
    let relayed = Response::Relayed { hops: 0, found: None, contacts: Contacts::new(named) };
    let response = next.response(transaction_of::<SocketAddrV4>(&bytes), relayed);
    let (_, back) = deliver(&mut *node, NOW, to, &response).expect("the result");
    match response_of::<SocketAddr>(&back) {
        Response::Relayed { contacts, .. } => contacts.iter().collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_next_hop_is_named_with_the_address_that_its_response_came_from() {
    let forged = Contact::new(id(&[1]), "203.0.113.9:9".parse().unwrap());
    assert_eq!(sent_back(&[forged]), [Contact::new(id(&[1]), "11.1.0.1:4000".parse().unwrap())]);
}

#[test]
fn contacts_of_a_family_that_a_hop_lacks_are_sent_on_as_they_are() {
    let named = ["[2001:db8::1]:4000", "192.0.2.1:4000", "[2001:db8::2]:4000"].map(|text| text.parse().unwrap());
    let named: Vec<_> = named.into_iter().zip(2..).map(|(address, n)| Contact::new(id(&[n]), address)).collect();
    let next = Contact::new(id(&[1]), "11.1.0.1:4000".parse().unwrap());
    assert_eq!(sent_back(&named), [&[next], &named[..]].concat());
}

#[test]
fn a_peer_that_always_wants_another_token_gets_two_stores_for_one_put() {
    let mut node = node4(config());
    let peer = Peer::new(id(&[0x80]), at("192.0.2.1:4000"));
    peer.meet(&mut *node, NOW);
    let query = node.put(NOW, &Record::plain(KEY, b"world"), &once()).unwrap();
    let mut stores = 0;
    for _ in 0..100 {
        for (to, bytes) in sent(&mut *node, NOW) {
            let response = if matches!(request_of::<SocketAddrV4>(&bytes), Request::Store { .. }) {
                stores += 1;
                let transaction = decode::<SocketAddrV4>(&bytes).header.transaction;
                peer.response(transaction, Response::Error { code: ErrorCode::Token, detail: 0 })
            } else {
                peer.empty_response(&bytes)
            };
            deliver(&mut *node, NOW, to, &response);
        }
    }
    assert_eq!(stores, 2);
    let result = node.take_result(query).unwrap();
    assert!(matches!(result.outcome, Outcome::Failed(Failure::Refused(ErrorCode::Token, _))), "{result:?}");
}

#[test]
fn a_node_without_any_response_sends_few_datagrams_and_is_back_once_somebody_responds() {
    let mut net = Net::joined(113, 40, config());
    net.run(2 * HOUR);
    let mut others: Vec<_> = net.nodes.iter_mut().map(Option::take).collect();
    net.nodes[6] = others[6].take();
    let own = net.node(7).stats().sent;
    net.run(HOUR);
    println!("{} datagrams in the first hour", net.node(7).stats().sent - own);
    for _ in 0..3 {
        let before = net.node(7).stats().sent;
        net.run(HOUR);
        let sent = net.node(7).stats().sent - before;
        println!("{sent} datagrams in an hour");
        assert!(sent <= 60, "{sent}");
    }
    for (place, node) in net.nodes.iter_mut().zip(others) {
        if let Some(node) = node {
            *place = Some(node);
        }
    }
    net.run(5 * MINUTE);
    let known = net.node(7).routing().peers().filter(|peer| peer.state == kadlet::routing::ContactState::Verified);
    assert!(known.count() >= 20);
}

#[test]
fn a_recursive_lookup_after_a_restart_begins_with_restored_contacts() {
    let mut net = Net::<Relaying<u16>>::grown(114, [config(); 30]);
    net.run(MINUTE);
    let (now, own) = (net.now, net.node(7).id());
    let contacts: Vec<_> = net.node(7).routing().peers().map(|peer| peer.contact).collect();
    let mut node = Box::new(Relaying::new(now, config(), own, [99; 32]).unwrap());
    contacts.iter().for_each(|contact| node.restore_contact(now, *contact));
    net.replace(7, node);
    let target = net.node(20).id();
    let options = Options { mode: Mode::Recursive, ..Options::default() };
    let query = net.node(7).find_node(now, target, &options).unwrap();
    net.wait(7, query, |result| assert!(result.stats.relayed && !result.stats.fell_back, "{result:?}"));
}

#[test]
fn a_node_among_its_own_bootstrap_addresses_is_not_told_of_another_node() {
    let mut net = Net::joined(115, 5, config());
    let address = net.add(|now, id, seed| Box::new(Mote::new(now, config(), id, seed).unwrap()));
    let now = net.now;
    let query = net.node(address).bootstrap(now, &[address, 1]).unwrap().query;
    net.wait(address, query, |result| {
        assert!(matches!(result.outcome, Outcome::Joined { .. }), "{result:?}");
        assert!(result.stats.took < Duration::from_secs(2), "{:?}", result.stats.took);
    });
    net.run(10 * MINUTE);
    assert!(net.node(address).poll_event().is_none());
}

#[test]
fn two_nodes_with_one_identifier_in_a_network_of_ten_are_both_told() {
    let mut net = Net::joined(116, 10, config());
    net.run(5 * MINUTE);
    let own = net.node(4).id();
    let double = net.add(|now, _, seed| Box::new(Mote::new(now, config(), own, seed).unwrap()));
    let now = net.now;
    net.node(double).bootstrap(now, &[1]).unwrap();
    net.run(Duration::from_secs(330));
    for (one, other) in [(4, double), (double, 4)] {
        let mut told = false;
        while let Some(event) = net.node(one).poll_event() {
            told |= matches!(event, Event::OwnIdSeen { address } if address == other);
        }
        assert!(told, "{one}");
    }
}

#[test]
fn a_put_tells_that_a_few_nodes_hold_a_newer_record() {
    let mut net = Net::joined(117, 16, unverified());
    let key = signed(100, b"new").key();
    let (ranked, now) = (by_rank(&net, &key), net.now);
    for holder in &ranked[..2] {
        net.node(*holder).restore_record(now, &signed(100, b"new"), HOUR, false).unwrap();
    }
    let query = net.node(ranked[12]).put(now, &signed(50, b"old"), &once()).unwrap();
    let text = net.wait(ranked[12], query, |result| result.outcome.to_string());
    assert!(text.starts_with("stored at 6 of 8 nodes"), "{text}");
    assert!(text.contains("others hold another record (sequence number, or age in ms: 100)"), "{text}");
}

#[test]
fn a_node_alone_gets_what_it_put_and_publishes_it_when_others_come() {
    let mut net = Net::joined(118, 1, config());
    let now = net.now;
    let query = net.node(1).put(now, &Record::plain(KEY, b"world"), &Options::default()).expect("it is not refused");
    let text = net.wait(1, query, |result| result.outcome.to_string());
    assert_eq!(text, "stored at this node alone: no other node is known");
    assert_eq!(get(&mut net, 1, KEY).as_deref(), Some(&b"world"[..]));
    let wakes = net.node(1).poll_timeout().map(|(at, _)| at.since(now));
    assert!(wakes.is_none_or(|wait| wait >= HOUR), "it doesn't look for others every second: {wakes:?}");
    net.run(10 * MINUTE);
    let others: Vec<u16> = (0..3).map(|_| net.join(config())).collect();
    net.run(MINUTE);
    net.kill(1);
    for other in others {
        assert_eq!(get(&mut net, other, KEY).as_deref(), Some(&b"world"[..]), "at {other}");
    }
}

#[test]
fn a_client_alone_puts_only_what_it_publishes() {
    let mut node = node4(Config { serve: Serve::Never, ..config() });
    let record = Record::plain(KEY, b"world");
    assert_eq!(node.put(NOW, &record, &once()), Err(kadlet::PutError::NoContacts));
    assert!(node.store().is_empty());
    assert!(node.put(NOW, &record, &Options::default()).is_ok());
    assert_eq!(node.store().len(), 1);
}
