//! What each rule changes. Each test tries a format with kadlet's rules, and one that differs in this rule alone.

use core::time::Duration;

use kadlet::message::{Contacts, ErrorCode, Request, Response};
use kadlet::wire::{AddressProof, Kadlet, MAX_DATAGRAM, Rules, TokenBinding, TokenSource, Wire};
use kadlet::{Config, Dht, FixedStore, Geometry, Id, Kademlia, Key, Options, Record, Routing, Store, Xor};

use crate::format::*;
use crate::lines::Fields;
use crate::network::{Node, at, config, joined, put};
use crate::parts::LIFETIME;
use crate::peer::{NOW, Peer, alone, response_of, sent};

/// A record that no request is long enough for, before its address is proved.
const LARGE: Record<'_> = Record::immutable(&[7; 700]);
const SMALL: Record<'_> = Record::immutable(b"world");

#[test]
fn the_variants_try_both_values_of_every_rule() {
    let Rules {
        tokens,
        token_binding,
        address_proof,
        padding,
        held,
        lifetimes,
        relays,
        probes,
        names_network,
        response_kinds,
        errors_name_sender,
    } = Text::<ALL>::RULES;
    assert_eq!(Text::<0>::RULES, Kadlet::RULES);
    assert_eq!((tokens, token_binding), (TokenSource::FindValue, TokenBinding::Host));
    assert_eq!(address_proof, AddressProof::TokenOrContact);
    assert!(!(padding || held || lifetimes || relays || probes));
    assert!(!(names_network || response_kinds || errors_name_sender));
}

/// A node with sixteen verified contacts.
fn acquainted<W: Wire>() -> Box<Node<W>> {
    let mut table = Kademlia::EMPTY;
    table.start(NOW, Id::ZERO, &config().table, 42).unwrap();
    // Four whose identifiers share no bit with the node's, four that share one, and so on.
    (0..16).for_each(|n| table.responded(NOW, Peer::<W>::new((0x80 >> (n / 4)) | (n % 4), 4_000).contact, None));
    let mut store = FixedStore::EMPTY;
    store.start(Id::ZERO, Xor::rank, [0; 16]);
    Box::new(Node::from_parts(config(), [42; 32], table, store).unwrap())
}

fn find_node() -> Request<'static> {
    Request::FindNode { target: Id::ZERO }
}

const fn find(key: Key) -> Request<'static> {
    Request::FindValue { key, have: None }
}

const fn store(record: Record<'_>) -> Request<'_> {
    Request::Store { record, lifetime: 3_600, compare: None, handover: false }
}

/// Asks for a token, as a put does.
fn token_for<W: Wire>(node: &mut Node<W>, peer: &Peer<W>) -> W::Token {
    response_of::<W>(&peer.ask(node, find(SMALL.key()), None).unwrap()).0
}

/// Which of the responses to a ping, a find_node, a request of unknown kind and a find_value have a token.
fn tokens_given<W: Wire>() -> [bool; 4] {
    let mut node = alone::<W>(config());
    let requests = [Request::Ping, find_node(), Request::Unknown { kind: 6, payload: b"" }, find(SMALL.key())];
    requests.map(|request| {
        let response = Peer::<W>::client(1).ask(&mut node, request, None).unwrap();
        response_of::<W>(&response).0 != W::NO_TOKEN
    })
}

#[test]
fn tokens_come_with_every_response_or_only_with_those_to_requests_for_records() {
    assert_eq!(tokens_given::<Text<0>>(), [true; 4]);
    assert_eq!(tokens_given::<Text<TOKENS_BY_FIND_VALUE>>(), [false, false, false, true]);
}

/// The words of the requests that a put sends before it stores.
fn words_of_put<W: Wire>() -> Vec<String> {
    let mut net = joined::<W, 0>(1, 12);
    net.tap = Some(Vec::new());
    put(&mut net, 3, &SMALL, &Options::default());
    let seen = net.tap.take().unwrap();
    let words = seen.iter().filter(|seen| seen.from == at(3)).map(|seen| Fields::of(&seen.bytes).unwrap().word);
    let mut words: Vec<_> = words.map(String::from).collect();
    words.sort();
    words.dedup();
    words
}

#[test]
fn a_put_asks_for_the_record_where_only_that_gives_tokens() {
    assert_eq!(words_of_put::<Text<0>>(), ["find_node", "store"]);
    assert_eq!(words_of_put::<Text<TOKENS_BY_FIND_VALUE>>(), ["find_value", "store"]);
}

/// What a stranger gets for a ping and a find_value over its rate: the error's code, and whether it has a token.
fn over_the_rate<W: Wire>() -> [Option<(ErrorCode, bool)>; 2] {
    let mut node = alone::<W>(Config { rate_limit: 1, ..config() });
    let peer = Peer::<W>::client(1);
    (0..2).for_each(|_| assert!(peer.ask(&mut node, Request::Ping, None).is_some(), "within the rate"));
    [Request::Ping, find(SMALL.key())].map(|request| {
        let response = peer.ask(&mut node, request, None)?;
        match response_of::<W>(&response) {
            (token, Response::Error { code, .. }) => Some((code, token != W::NO_TOKEN)),
            (_, other) => panic!("{other:?}"),
        }
    })
}

#[test]
fn a_stranger_over_its_rate_gets_an_error_only_if_it_brings_a_token_that_the_stranger_would_show() {
    let token = Some((ErrorCode::Token, true));
    assert_eq!(over_the_rate::<Text<0>>(), [token, token]);
    assert_eq!(over_the_rate::<Text<TOKENS_BY_FIND_VALUE>>(), [None, token]);
    assert_eq!(over_the_rate::<Text<CONTACTS_PROVE>>(), [None, None]);
}

/// Whether a node takes a store with a token that it gave to another identifier at the same host and another port, and
/// at another host.
fn others_tokens_hold<W: Wire>() -> [bool; 2] {
    let mut node = alone::<W>(config());
    let token = token_for(&mut node, &Peer::new(1, 4_000));
    let (mut same_host, other) = (Peer::new(1, 4_001), Peer::new(2, 4_000));
    same_host.contact.id = other.contact.id;
    [same_host, other].map(|peer| {
        let response = peer.ask(&mut node, store(SMALL), Some(token)).unwrap();
        !matches!(response_of::<W>(&response).1, Response::Error { code: ErrorCode::Token, .. })
    })
}

#[test]
fn a_token_is_bound_to_its_sender_or_to_the_host() {
    assert_eq!(others_tokens_hold::<Text<0>>(), [false, false]);
    assert_eq!(others_tokens_hold::<Text<TOKENS_OF_HOSTS>>(), [true, false]);
}

/// Whether a verified contact that shows no token gets more than three bytes for one, and whether its store is taken.
fn contact_is_trusted<W: Wire>() -> [bool; 2] {
    let mut node = acquainted::<W>();
    let contact = Peer::<W>::new(0x80, 4_000);
    let len = contact.request(find_node(), None).len();
    let nodes = contact.ask(&mut node, find_node(), None).unwrap();
    let stored = contact.ask(&mut node, store(SMALL), None).unwrap();
    let refused = matches!(response_of::<W>(&stored).1, Response::Error { code: ErrorCode::Token, .. });
    [nodes.len() > 3 * len, !refused]
}

#[test]
fn a_verified_contact_proves_its_address_or_not_but_a_store_needs_its_token() {
    assert_eq!(contact_is_trusted::<Text<0>>(), [false, false]);
    assert_eq!(contact_is_trusted::<Text<CONTACTS_PROVE>>(), [true, false]);
}

/// Whether a node's own requests are padded, and whether a stranger whose request was not is pinged back.
fn padded_and_pinged<W: Wire>() -> [bool; 2] {
    let mut node = acquainted::<W>();
    let stranger = Peer::<W>::new(0xC0, 4_000);
    let len = stranger.request(find_node(), None).len();
    let response = stranger.ask(&mut node, find_node(), None).unwrap();
    let pinged = sent(&mut node);
    let pinged = pinged.iter().filter(|(to, _)| *to == stranger.contact.address).map(|(_, ping)| ping.len());
    let pinged: Vec<usize> = pinged.collect();
    assert!(response.len() + pinged.iter().sum::<usize>() <= 3 * len);
    node.find_node(NOW, Id::ZERO, &Options::default()).unwrap();
    let padded = sent(&mut node).iter().any(|(_, request)| Fields::of(request).unwrap().padding > 0);
    [padded, !pinged.is_empty()]
}

#[test]
fn requests_are_padded_or_responses_to_strangers_leave_room_for_a_ping() {
    assert_eq!(padded_and_pinged::<Text<0>>(), [true, false]);
    assert_eq!(padded_and_pinged::<Text<UNPADDED>>(), [false, true]);
}

/// The words of the responses to three requests for a large record: without a token, with the token that the first
/// response gave, and with that token from a requester that has the record.
fn responses_for_large_record<W: Wire>() -> [String; 3] {
    let mut node = alone::<W>(config());
    node.restore_record(NOW, &LARGE, Duration::from_secs(3_600), false).unwrap();
    let peer = Peer::<W>::client(1);
    let first = peer.ask(&mut node, find(LARGE.key()), None).unwrap();
    let token = response_of::<W>(&first).0;
    let again = peer.ask(&mut node, find(LARGE.key()), Some(token)).unwrap();
    let have = Request::FindValue { key: LARGE.key(), have: Some(LARGE.version()) };
    let same = peer.ask(&mut node, have, Some(token)).unwrap();
    [first, again, same].map(|response| Fields::of(&response).unwrap().word.into())
}

#[test]
fn a_stranger_that_looks_for_a_large_record_gets_held_or_error_token_or_nodes() {
    assert_eq!(responses_for_large_record::<Text<0>>(), ["held", "value", "held"]);
    assert_eq!(responses_for_large_record::<Text<NO_HELD>>(), ["error", "value", "nodes"]);
    assert_eq!(responses_for_large_record::<Text<{ NO_HELD | CONTACTS_PROVE }>>(), ["nodes", "value", "nodes"]);
}

/// How many nodes hold a record two hours after six of its eight holders died: one that was put once, and one that its
/// publisher publishes. The publisher is among them.
fn holders_after_deaths<W: Wire>() -> [usize; 2] {
    [false, true].map(|publish| {
        let mut net = joined::<W, 0>(2, 24);
        let mut holders = put(&mut net, 3, &SMALL, &Options { publish, ..Options::default() });
        holders.retain(|holder| *holder != at(3));
        holders[..6].iter().for_each(|holder| net.kill(*holder));
        net.run(Duration::from_secs(7_000));
        let living = net.living();
        living.into_iter().filter(|node| net.node(*node).store().find(&SMALL.key()).is_some()).count()
    })
}

#[test]
fn a_record_is_replicated_by_its_holders_or_kept_alive_by_its_publisher_alone() {
    let [by_holders, by_publisher] = holders_after_deaths::<Text<0>>();
    assert!(by_holders >= 8 && by_publisher >= 8, "{by_holders} and {by_publisher}");
    let [by_holders, by_publisher] = holders_after_deaths::<Text<NO_LIFETIMES>>();
    assert!(by_holders <= 3 && by_publisher >= 8, "{by_holders} and {by_publisher}");
}

/// How many seconds a node grants a record that is put for a minute.
fn lifetime_granted<W: Wire>() -> u64 {
    let mut node = alone::<W>(config());
    let peer = Peer::<W>::client(1);
    let token = token_for(&mut node, &peer);
    let request = Request::Store { record: SMALL, lifetime: 60, compare: None, handover: false };
    peer.ask(&mut node, request, Some(token)).unwrap();
    let held = node.store().get(node.store().find(&SMALL.key()).unwrap()).unwrap();
    held.metadata.expires.since(NOW).as_secs()
}

#[test]
fn a_record_lives_as_long_as_its_put_says_or_as_long_as_all_records_of_the_format() {
    assert_eq!(lifetime_granted::<Text<0>>(), 60);
    assert_eq!(lifetime_granted::<Text<NO_LIFETIMES>>(), u64::from(LIFETIME));
}

/// Whether a get stores the plain record that it found at a peer at another one, which lacks it.
fn writes_back<W: Wire>() -> bool {
    let mut node = alone::<W>(config());
    let peers = [Peer::<W>::new(1, 4_000), Peer::new(2, 4_000)];
    peers.iter().for_each(|peer| peer.meet(&mut node));
    let record = Record::plain(b"hello", b"world");
    node.get(NOW, record.key(), &Options::default()).unwrap();
    for (to, request) in sent(&mut node) {
        let peer = peers.iter().find(|peer| peer.contact.address == to).unwrap();
        let response = match peer.contact.id == peers[0].contact.id {
            true => Response::Value { record, lifetime: 3_600, contacts: Contacts::EMPTY },
            false => Response::Nodes { contacts: Contacts::EMPTY },
        };
        peer.respond(&mut node, &request, W::token(1), response);
    }
    let later = sent(&mut node);
    later.iter().any(|(to, request)| *to == peers[1].contact.address && Fields::of(request).unwrap().word == "store")
}

#[test]
fn a_get_writes_a_record_back_unless_only_its_publisher_keeps_it_alive() {
    assert!(writes_back::<Text<0>>());
    assert!(!writes_back::<Text<NO_LIFETIMES>>());
}

/// Whether a node responds to a request of another network, and how many it counted as such.
fn another_network<W: Wire>() -> (bool, u64) {
    let mut node = alone::<W>(Config { network: 7, ..config() });
    let response = Peer::<W>::client(1).ask(&mut node, Request::Ping, None);
    (response.is_some(), node.stats().wrong_network)
}

#[test]
fn a_message_of_another_network_is_dropped_unless_the_format_names_no_network() {
    assert_eq!(another_network::<Text<0>>(), (false, 1));
    assert_eq!(another_network::<Text<NO_NETWORK>>(), (true, 0));
}

#[test]
fn a_configuration_must_fit_the_format() {
    let start = |max_datagram| {
        let config = Config { max_datagram, ..config() };
        Node::<Text<0>>::new(NOW, config, Id::ZERO, [1; 32]).map(drop).map_err(|error| error.to_string())
    };
    assert_eq!(start(1_200), Ok(()));
    assert_eq!(start(512), Ok(()));
    for refused in [511, 1_201, MAX_DATAGRAM] {
        let error = start(refused).unwrap_err();
        assert!(error.contains("max_datagram") && error.contains("512") && error.contains("1200"), "{error}");
    }
}

#[test]
fn a_buffer_smaller_than_the_smallest_datagram_of_the_format_loses_nothing() {
    let mut node = alone::<Text<0>>(config());
    node.ping(NOW, Peer::<Text<0>>::new(1, 1).contact.address).unwrap();
    assert!(node.poll_transmit(NOW, &mut [0; 511]).is_none());
    assert_eq!(node.stats().small_buffers, 1);
    assert!(node.poll_transmit(NOW, &mut [0; 512]).is_some());
}
