//! Joining a network and coming back to it, as a server or as a client.

use core::net::SocketAddrV4;
use core::time::Duration;

use kadlet::message::{Contacts, ErrorCode, Request, Response};
use kadlet::record::Proof;
use kadlet::wire::Body;
use kadlet::{
    Config, Contact, Dht, Event, FixedStore, Id, Kademlia, Key, Node, Options, Outcome, Record, Routing, Store,
};

use crate::by_hand::{
    NOW, Node4, Peer, at, decode, deliver, id, idle, node4, picture, request_of, response_of, sent, transaction_of,
};
use crate::net::{Mote, Net, Place, config};
use crate::{get, once, put};

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn a_node_restarted_with_its_contacts_finds_its_network_without_bootstrap() {
    let mut net = Net::joined(80, 20, config());
    put(&mut net, 3, b"hello", b"world", &once());
    net.run(10 * MINUTE);
    let (id, contacts) = (net.node(7).id(), net.node(7).routing().peers().map(|peer| peer.contact).collect::<Vec<_>>());
    net.kill(7);
    // Most of its former contacts are dead when it comes back.
    for contact in contacts.iter().skip(3).take(9) {
        net.kill(contact.address);
    }
    net.run(5 * MINUTE);
    let mut node = Box::new(Mote::new(net.now, config(), id, [99; 32]).unwrap());
    for contact in &contacts {
        node.restore_contact(net.now, *contact);
    }
    net.replace(7, node);
    net.run(MINUTE);
    let living = net.living();
    let known = net.node(7).routing().peers().filter(|peer| living.contains(&peer.contact.address)).count();
    assert!(known >= 8, "{known} of {}", living.len() - 1);
    assert_eq!(get(&mut net, 7, b"hello").as_deref(), Some(&b"world"[..]));
    let knowing = living
        .iter()
        .filter(|other| net.nodes[usize::from(**other) - 1].as_ref().unwrap().routing().get(&id).is_some())
        .count();
    assert!(knowing >= 8, "{knowing} know it again");
}

#[test]
fn restored_records_are_there_after_a_restart() {
    let mut net = Net::joined(81, 6, config());
    let (now, id) = (net.now, net.node(4).id());
    let mut node = Box::new(Mote::new(now, config(), id, [99; 32]).unwrap());
    let key = Key::plain(b"hello");
    let record = Record { value: b"world", proof: Proof::Plain { id: key.id, age: 5_000 } };
    node.restore_record(now, &record, MINUTE, false).unwrap();
    let held = node.store().get(0).unwrap();
    assert_eq!((held.record(now), held.metadata.pinned, held.metadata.expires), (record, false, now + MINUTE));
    node.restore_contact(now, Contact::new(net.node(1).id(), 1));
    net.replace(4, node);
    net.run(Duration::from_secs(10));
    assert_eq!(get(&mut net, 2, b"hello").as_deref(), Some(&b"world"[..]));
}

#[test]
fn a_bootstrap_address_that_comes_up_late_is_retried_with_growing_pauses() {
    let mut net = Net::joined(82, 5, config());
    let late = net.add(|now, id, seed| Box::new(Mote::new(now, config(), id, seed).unwrap()));
    let link = core::mem::take(&mut net.nodes[usize::from(late) - 1]);
    let newcomer = net.add(|now, id, seed| Box::new(Mote::new(now, config(), id, seed).unwrap()));
    let now = net.now;
    let query = net.node(newcomer).bootstrap(now, &[late]).unwrap().query;
    net.wait(newcomer, query, |result| assert!(matches!(result.outcome, Outcome::Failed(_))));
    net.tap = Some(Vec::new());
    net.run(240 * MINUTE);
    let tries = net.tap.take().unwrap();
    let mut at: Vec<u64> =
        tries.iter().filter(|seen| seen.from == newcomer).map(|seen| seen.at.as_millis() / 1_000).collect();
    at.dedup_by(|later, earlier| *later - *earlier <= 4);
    let pauses: Vec<u64> = at.windows(2).map(|two| two[1] - two[0]).collect();
    assert!(pauses[0] <= 15 && pauses.windows(2).all(|two| two[1] + 1 >= two[0]), "{pauses:?}");
    assert!((880..=920).contains(pauses.last().unwrap()) && pauses.len() < 40, "{pauses:?}");

    let mut link = link.unwrap();
    link.restore_contact(net.now, Contact::new(net.node(1).id(), 1));
    net.replace(late, link);
    net.run(16 * MINUTE);
    assert!(net.node(newcomer).routing().peers().count() >= 5, "it must join without another command");
}

#[test]
fn a_client_enters_no_table_and_responds_to_no_request() {
    let mut net = Net::joined(83, 20, config());
    put(&mut net, 3, b"hello", b"world", &once());
    let client = net.join(Config { serve: false, ..config() });
    let id = net.node(client).id();
    assert_eq!(get(&mut net, client, b"hello").as_deref(), Some(&b"world"[..]));
    put(&mut net, client, b"from", b"outside", &once());
    put(&mut net, client, b"kept", b"up", &Options::default());
    let (mut now, target) = (net.now, Id::ZERO);
    let query = net.node(client).find_node(now, target, &Options::default()).unwrap();
    net.wait(client, query, |result| assert!(matches!(result.outcome, Outcome::Nodes(_))));
    net.run(130 * MINUTE);
    for address in net.living() {
        assert!(net.node(address).routing().get(&id).is_none(), "{address} knows the client");
    }
    assert_eq!(get(&mut net, 9, b"from").as_deref(), Some(&b"outside"[..]));
    assert_eq!(net.node(client).store().len(), 1, "only what it publishes is held");

    now = net.now;
    let requester = Peer::new(crate::by_hand::id(&[1]), 99_u16);
    let before = net.node(client).stats().not_serving;
    for request in [Request::Ping, Request::FindNode { target }, Request::Unknown { kind: 9, payload: b"" }] {
        assert_eq!(deliver(net.node(client), now, 99, &requester.request(request, None)), None);
    }
    assert_eq!(net.node(client).stats().not_serving, before + 3);
}

#[test]
fn another_node_with_the_own_id_is_reported_after_it_has_responded_and_at_most_once_a_minute() {
    let mut node = node4(config());
    // Requests with forged addresses cause one ping, and no event.
    let copies = [1, 2, 3].map(|n| Peer::new(node.id(), at(&format!("192.0.2.{n}:4000"))));
    let mut pings = Vec::new();
    for copy in copies {
        let response = copy.ask(&mut *node, NOW, Request::Ping, None);
        let refused = response_of::<SocketAddrV4>(&response);
        assert!(matches!(refused, Response::Error { code: ErrorCode::Token, .. }), "{refused:?}");
        pings.extend(sent(&mut *node, NOW));
    }
    assert!(node.poll_event().is_none());
    assert_eq!(pings.len(), 1);
    deliver(&mut *node, NOW, copies[0].contact.address, &copies[0].empty_response(&pings[0].1));
    assert!(matches!(node.poll_event(), Some(Event::OwnIdSeen { address }) if address == copies[0].contact.address));
    assert!(node.poll_event().is_none());
    // A minute later, a response from such a node is reported again. Sooner it isn't.
    let elsewhere = copies[2];
    let respond = |node: &mut Node4, now| {
        let query = node.ping(now, elsewhere.contact.address).unwrap();
        let request = sent(node, now).remove(0).1;
        deliver(node, now, elsewhere.contact.address, &elsewhere.empty_response(&request));
        query
    };
    let soon = respond(&mut node, NOW + Duration::from_secs(59));
    assert!(node.take_result(soon).is_some());
    assert!(node.poll_event().is_none());
    let query = respond(&mut node, NOW + Duration::from_secs(60));
    assert!(matches!(node.poll_event(), Some(Event::OwnIdSeen { address }) if address == elsewhere.contact.address));
    assert!(matches!(node.take_result(query).unwrap().outcome, Outcome::Failed(_)), "no other node is at that address");
    assert!(node.routing().peers().next().is_none());
}

#[test]
fn a_named_contact_with_an_address_of_narrower_scope_than_its_responders_is_ignored() {
    let named = [
        Contact::new(id(&[1]), at("10.0.0.1:1")),
        Contact::new(id(&[2]), at("127.0.0.1:1")),
        Contact::new(id(&[3]), at("192.168.1.1:1")),
        Contact::new(id(&[4]), at("198.51.100.1:1")),
    ];
    for (responder, expected) in [("192.0.2.1:4000", 1), ("10.9.9.9:4000", 3), ("127.0.0.1:4000", 4)] {
        let mut node = node4(config());
        let responder = Peer::new(id(&[0x80]), at(responder));
        responder.meet(&mut *node, NOW);
        node.find_node(NOW, Id::ZERO, &Options { ..Options::default() }).unwrap();
        let mut asked = Vec::new();
        for _ in 0..3 {
            for (to, bytes) in sent(&mut *node, NOW) {
                if to == responder.contact.address {
                    let response = responder.response(
                        transaction_of::<SocketAddrV4>(&bytes),
                        Response::Nodes { contacts: Contacts::new(&named) },
                    );
                    deliver(&mut *node, NOW, to, &response);
                } else if !asked.contains(&to) {
                    asked.push(to);
                }
            }
        }
        let mut now = NOW;
        asked.extend(
            idle(&mut *node, &mut now, MINUTE)
                .into_iter()
                .map(|(_, to, _)| to)
                .filter(|to| *to != responder.contact.address),
        );
        asked.sort_unstable();
        asked.dedup();
        assert_eq!(asked.len(), expected, "{responder:?}: {asked:?}");
        assert_eq!(node.stats().bad_contacts > 0, expected < 4);
    }
}

#[test]
fn nodes_of_different_k_share_a_network() {
    type Wide = Node<Kademlia<u16, 128>, FixedStore<32, 8192>, 4, 60>;
    let mut configs = [config(); 40];
    // Not more than twice the k of the others: nodes that are far outside their own k closest refuse the record.
    configs[6].table.k = 16;
    let mut net = Net::<Wide>::grown(84, configs);
    let (now, key) = (net.now, Key::plain(b"hello"));
    let query = net.node(7).put(now, &Record::plain(b"hello", b"world"), &once()).unwrap();
    net.wait(7, query, |result| {
        assert!(matches!(&result.outcome, Outcome::Stored { holders, wanted: 16, .. } if holders.len() == 16))
    });
    for at in 1..=40 {
        let now = net.now;
        let query = net.node(at).get(now, key, &Options::default()).unwrap();
        net.wait(at, query, |result| assert!(matches!(&result.outcome, Outcome::Value { .. })));
    }
    let query = net.node(7).find_node(now, key.id, &Options::default()).unwrap();
    net.wait(7, query, |result| assert!(matches!(&result.outcome, Outcome::Nodes(found) if found.len() == 16)));
}

#[test]
fn nodes_with_global_addresses_join_put_and_get() {
    type Global = Node<Kademlia<SocketAddrV4, 128>, FixedStore<32, 8192>, 4>;
    let mut net = Net::<Global>::grown(85, [config(); 20]);
    let (putter, getter, now) = (SocketAddrV4::nth(3), SocketAddrV4::nth(17), net.now);
    let query = net.node(putter).put(now, &Record::plain(b"hello", &[7; 1_000]), &once()).unwrap();
    net.wait(putter, query, |result| {
        assert!(matches!(&result.outcome, Outcome::Stored { holders, .. } if holders.len() == 8))
    });
    let now = net.now;
    let query = net.node(getter).get(now, Key::plain(b"hello"), &Options::default()).unwrap();
    net.wait(getter, query, |result| {
        assert!(matches!(&result.outcome, Outcome::Value { record, .. } if record.value == [7; 1_000]))
    });
    assert!(!picture(net.node(getter)).is_empty());
}

#[test]
fn a_client_that_sends_requests_is_not_asked_back() {
    let mut node = node4(config());
    let mut client = Peer::new(id(&[0x80]), at("192.0.2.1:4000"));
    client.features = kadlet::message::Features::default();
    client.ask(&mut *node, NOW, Request::FindNode { target: Id::ZERO }, None);
    let token = client.token(&mut *node, NOW);
    client.ask(&mut *node, NOW, Request::Ping, Some(token));
    assert!(sent(&mut *node, NOW).is_empty());
    let server = Peer::new(id(&[0x80]), at("192.0.2.1:4000"));
    server.ask(&mut *node, NOW, Request::Ping, Some(token));
    assert!(
        matches!(request_of::<SocketAddrV4>(&sent(&mut *node, NOW)[0].1), Request::Ping),
        "a server that sends a request is pinged"
    );
}

#[test]
fn a_bootstrap_that_finds_no_free_request_slot_waits_for_one() {
    type Narrow = Node<Kademlia<SocketAddrV4, 64>, FixedStore<4, 512>, 4, 24, 0, 2>;
    let mut node = Box::new(Narrow::new(NOW, config(), id(&[7]), [1; 32]).unwrap());
    let peers = [1, 2, 3].map(|n| Peer::new(id(&[n]), SocketAddrV4::new([10, 0, 0, n].into(), 4000)));
    for peer in &peers[..2] {
        node.ping(NOW, peer.contact.address).unwrap();
    }
    let pings = sent(&mut *node, NOW);
    let query = node.bootstrap(NOW, &[peers[2].contact.address]).unwrap().query;
    assert!(node.take_result(query).is_none(), "it ended before it asked anybody");
    assert!(sent(&mut *node, NOW).is_empty());

    for ((_, ping), peer) in pings.iter().zip(&peers) {
        deliver(&mut *node, NOW, peer.contact.address, &peer.empty_response(ping));
    }
    while let Some((to, request)) = sent(&mut *node, NOW).into_iter().next() {
        let peer = peers.iter().find(|peer| peer.contact.address == to).unwrap();
        deliver(&mut *node, NOW, to, &peer.empty_response(&request));
    }
    let result = node.take_result(query).unwrap();
    assert!(matches!(result.outcome, Outcome::Joined { .. }) && result.stats.asked >= 1, "{result:?}");
}

type Board<const OPERATIONS: usize, const REQUESTS: usize> =
    Node<Kademlia<u16, 128>, FixedStore<32, 8192>, OPERATIONS, 24, 1, REQUESTS>;

/// Nodes 1 to 40 are one network, and 41 to 50 another, which never asks others unasked.
fn two_networks<const OPERATIONS: usize, const REQUESTS: usize>(seed: u64) -> Net<Board<OPERATIONS, REQUESTS>> {
    let sparse = 41..=50_u16;
    let mut net = Net::<Board<OPERATIONS, REQUESTS>>::grown(seed, [config(); 40]);
    let apart = sparse.clone();
    net.forge = Some(Box::new(move |from, to, bytes| {
        let asks = matches!(decode::<u16>(bytes).body, Body::Request { .. });
        let leaves = apart.contains(&from) && !apart.contains(&to) && (to <= 40 || asks);
        (leaves || from <= 40 && apart.contains(&to)).then(Vec::new)
    }));
    for address in sparse {
        let known = if address == 41 { &[][..] } else { &[41] };
        assert_eq!(join_through(&mut net, known), address);
    }
    net.run(Duration::from_secs(5));
    net
}

fn join_through<const OPERATIONS: usize, const REQUESTS: usize>(
    net: &mut Net<Board<OPERATIONS, REQUESTS>>,
    addresses: &[u16],
) -> u16 {
    let newcomer = net.add(|now, id, seed| Box::new(Node::new(now, config(), id, seed).unwrap()));
    if !addresses.is_empty() {
        let now = net.now;
        let query = net.node(newcomer).bootstrap(now, addresses).unwrap().query;
        net.wait(newcomer, query, |result| assert!(matches!(result.outcome, Outcome::Joined { .. })));
    }
    newcomer
}

/// How many contacts of a node are of the dense network, and how many of the other.
fn known<const OPERATIONS: usize, const REQUESTS: usize>(
    net: &mut Net<Board<OPERATIONS, REQUESTS>>,
    address: u16,
) -> (usize, usize) {
    let (dense, sparse): (Vec<u16>, Vec<u16>) =
        net.node(address).routing().peers().map(|peer| peer.contact.address).partition(|address| *address <= 40);
    (dense.len(), sparse.len())
}

#[test]
fn a_node_that_joins_through_addresses_of_two_networks_keeps_the_contacts_of_the_denser_one() {
    for (seed, addresses) in [(90, &[41, 42, 1, 43][..]), (91, &[1, 41])] {
        let mut net = two_networks::<4, 16>(seed);
        let newcomer = join_through(&mut net, addresses);
        assert!(known(&mut net, newcomer).1 > 0, "nothing is to be replaced");
        net.run(MINUTE);
        let (dense, sparse) = known(&mut net, newcomer);
        assert!(dense >= 20 && sparse == 0, "{dense} and {sparse}");
    }
}

#[test]
fn a_board_with_one_operation_finds_the_denser_network_between_its_commands() {
    let mut net = two_networks::<1, 2>(93);
    let newcomer = join_through(&mut net, &[41, 1, 42]);
    for number in 0..40 {
        let now = net.now;
        let query = net.node(newcomer).find_node(now, id(&[number]), &Options::default()).unwrap();
        net.wait(newcomer, query, |result| assert!(matches!(result.outcome, Outcome::Nodes(_))));
        net.run(Duration::from_secs(1));
    }
    let (dense, sparse) = known(&mut net, newcomer);
    assert!(dense >= 20 && sparse == 0, "{dense} and {sparse}");
}

#[test]
fn a_node_that_knew_contacts_before_it_joined_keeps_them() {
    let mut net = two_networks::<4, 16>(94);
    let old = Contact::new(net.node(41).id(), 41);
    let newcomer = net.add(|now, id, seed| Box::new(Node::new(now, config(), id, seed).unwrap()));
    let now = net.now;
    net.node(newcomer).restore_contact(now, old);
    let query = net.node(newcomer).bootstrap(now, &[1, 42]).unwrap().query;
    net.wait(newcomer, query, |result| assert!(matches!(result.outcome, Outcome::Joined { .. })));
    net.run(MINUTE);
    let (dense, sparse) = known(&mut net, newcomer);
    assert!(dense > 0 && sparse > 0, "{dense} and {sparse}");
}

#[test]
fn a_node_with_a_silent_bootstrap_address_can_put_and_get_as_soon_as_it_has_joined() {
    let mut net = Net::joined(95, 20, config());
    let newcomer = net.add(|now, id, seed| Box::new(Mote::new(now, config(), id, seed).unwrap()));
    let now = net.now;
    let query = net.node(newcomer).bootstrap(now, &[999, 1]).unwrap().query;
    net.wait(newcomer, query, |result| assert!(matches!(result.outcome, Outcome::Joined { .. })));
    put(&mut net, newcomer, b"hello", b"world", &once());
    assert_eq!(get(&mut net, newcomer, b"hello").as_deref(), Some(&b"world"[..]));
}
