//! Commands of whole nodes: what they refuse, how they end, and what state they leave behind.

use core::time::Duration;

use kadlet::message::{Observed, Response};
use kadlet::record::{Proof, RecordError};
use kadlet::routing::Limits;
use kadlet::store::StoreError;
use kadlet::{
    BeginError, Config, Contact, Dht, Event, Failure, FixedStore, GetError, Id, Instant, Kademlia, Key, Kind, Node,
    Options, Outcome, PutError, QueryId, Record, RestoreError, Routing, Store,
};

use crate::by_hand::{NOW, Node4, Peer, at, deliver, id, idle, knows, node4, picture, sent, transaction_of};
use crate::net::{Mote, Net, config};

fn first() -> Peer<core::net::SocketAddrV4> {
    Peer::new(id(&[0x80]), at("192.0.2.1:4000"))
}

/// A node that has one verified contact and nothing to send.
fn with_contact(config: Config) -> Box<Node4> {
    let mut node = node4(config);
    first().meet(&mut *node, NOW);
    let mut now = NOW;
    for _ in 0..8 {
        for (to, bytes) in sent(&mut *node, now) {
            deliver(&mut *node, now, to, &first().empty_response(&bytes));
        }
        if node.poll_timeout().is_some_and(|(at, _)| at <= now) {
            node.handle_timeout(now);
        }
        now = NOW;
    }
    assert!(sent(&mut *node, NOW).is_empty());
    node
}

/// Calls a command that must be refused, checks that it changed nothing, and returns its error.
fn refused<T: core::fmt::Debug, E>(node: &mut Node4, command: impl FnOnce(&mut Node4) -> Result<T, E>) -> E {
    let before = picture(node);
    let Err(error) = command(node) else {
        panic!("it was not refused");
    };
    assert_eq!(picture(node), before);
    assert!(sent(node, NOW).is_empty());
    assert!(node.poll_event().is_none());
    error
}

fn signed(value: &[u8]) -> Record<'_> {
    Record { value, proof: Proof::Signed { public_key: &[1; 32], salt: b"", sequence: 1, signature: &[2; 64] } }
}

#[test]
fn a_node_without_contacts_refuses_to_find_and_get() {
    let mut node = node4(config());
    let options = Options::default();
    assert_eq!(refused(&mut node, |node| node.find_node(NOW, Id::ZERO, &options)), BeginError::NoContacts);
    assert_eq!(refused(&mut node, |node| node.get(NOW, Key::plain(b"x"), &options)), GetError::NoContacts);
}

#[test]
fn a_node_counts_the_operations_that_run() {
    let mut node = with_contact(config());
    assert_eq!(node.operations(), 0);
    let options = Options::default();
    let query = node.find_node(NOW, Id::ZERO, &options).expect("a slot is free");
    node.find_node(NOW, Id::ZERO, &options).expect("a slot is free");
    assert_eq!(node.operations(), 2);
    node.cancel(query);
    assert_eq!(node.operations(), 1);
}

#[test]
fn bootstrap_takes_the_first_addresses_that_fit_and_says_how_many() {
    let mut node = node4(config());
    assert_eq!(refused(&mut node, |node| node.bootstrap(NOW, &[])), BeginError::NoAddresses);
    let many = [1, 2, 3, 4, 5].map(|n| at(&format!("192.0.2.{n}:1")));
    assert_eq!(node.bootstrap(NOW, &many).map(|joining| joining.taken), Ok(4));
    let asked: Vec<_> = sent(&mut *node, NOW).into_iter().map(|(to, _)| to).collect();
    assert_eq!(asked, many[..4]);
}

#[test]
fn a_kind_of_record_that_the_node_does_not_accept_is_refused_by_name() {
    let mut node = with_contact(Config::default());
    let options = Options::default();
    assert_eq!(
        refused(&mut node, |node| node.get(NOW, Key::plain(b"x"), &options)),
        GetError::Unsupported(Kind::Plain)
    );
    assert_eq!(
        refused(&mut node, |node| node.put(NOW, &Record::plain(b"x", b"y"), &options)),
        PutError::Unsupported(Kind::Plain)
    );
    let key = signed(b"y").key();
    assert_eq!(refused(&mut node, |node| node.get(NOW, key, &options)), GetError::Unsupported(Kind::Signed));
    assert_eq!(refused(&mut node, |node| node.put(NOW, &signed(b"y"), &options)), PutError::Unsupported(Kind::Signed));
}

#[test]
fn a_record_beyond_the_bounds_is_refused_with_its_length() {
    let mut node = with_contact(Config { verify: Some(|_, _, _| true), ..config() });
    let options = Options::default();
    let error = refused(&mut node, |node| node.put(NOW, &Record::plain(b"x", &[0; 1_001]), &options));
    assert_eq!(error, PutError::Record(RecordError::TooLong(1_001)));
    assert!(error.to_string().contains("1000"), "{error}");
    let salt = [0; 65];
    let salted = Record {
        value: b"",
        proof: Proof::Signed { public_key: &[1; 32], salt: &salt, sequence: 1, signature: &[2; 64] },
    };
    assert_eq!(
        refused(&mut node, |node| node.put(NOW, &salted, &options)),
        PutError::Record(RecordError::SaltTooLong(65))
    );
}

#[test]
fn a_record_too_large_for_the_configured_datagram_size_is_refused_with_the_limit() {
    let mut node = with_contact(Config { max_datagram: 548, ..config() });
    let fits = (0..1_000)
        .rev()
        .find(|len| node.put(NOW, &Record::plain(b"x", &[0; 1_000][..*len]), &Options::default()).is_ok());
    let fits = fits.unwrap();
    assert!((400..548).contains(&fits), "{fits}");
    let mut node = with_contact(Config { max_datagram: 548, ..config() });
    let value = vec![0; fits + 7];
    let error = refused(&mut node, |node| node.put(NOW, &Record::plain(b"x", &value), &Options::default()));
    assert_eq!(error, PutError::TooLarge(fits));
}

#[test]
fn an_invalid_signature_is_refused_before_anything_is_sent() {
    let mut node = with_contact(Config { verify: Some(|_, _, _| false), ..config() });
    assert_eq!(refused(&mut node, |node| node.put(NOW, &signed(b"y"), &Options::default())), PutError::Signature);
}

#[test]
fn a_put_that_does_not_fit_in_the_own_store_fails_before_anything_is_sent() {
    let mut node = with_contact(config());
    for n in 0..32_u8 {
        node.restore_record(NOW, &Record::plain(&[n], &[n; 9]), Duration::from_secs(9_000), true).unwrap();
    }
    let error = refused(&mut node, |node| node.put(NOW, &Record::plain(b"x", b"y"), &Options::default()));
    assert_eq!(error, PutError::Store(StoreError::Full));
}

#[test]
fn a_record_larger_than_the_own_store_is_refused_with_the_stores_size() {
    let mut node = Node::<Kademlia<_, 128>, FixedStore<4, 64>, 4>::new(NOW, config(), id(&[7]), [42; 32]).unwrap();
    first().meet(&mut node, NOW);
    let error = node.put(NOW, &Record::plain(b"x", &[0; 65]), &Options::default());
    assert_eq!(error, Err(PutError::Store(StoreError::TooLarge(64))));
}

#[test]
fn a_put_of_a_version_older_than_the_one_in_the_own_store_is_refused() {
    let mut node = with_contact(Config { verify: Some(|_, _, _| true), ..config() });
    let newer = Record {
        value: b"z",
        proof: Proof::Signed { public_key: &[1; 32], salt: b"", sequence: 2, signature: &[2; 64] },
    };
    node.restore_record(NOW, &newer, Duration::from_secs(9_000), false).unwrap();
    let error = refused(&mut node, |node| node.put(NOW, &signed(b"y"), &Options::default()));
    assert_eq!(error, PutError::Store(StoreError::Outdated(newer.version())));
}

#[test]
fn when_all_slots_are_busy_every_command_is_refused_until_a_slot_is_free() {
    let mut node = with_contact(config());
    let options = Options::default();
    let queries: Vec<QueryId> = (0..4).map(|n| node.find_node(NOW, id(&[n]), &options).unwrap()).collect();
    sent(&mut *node, NOW);
    assert_eq!(refused(&mut node, |node| node.find_node(NOW, Id::ZERO, &options)), BeginError::Busy(4));
    assert_eq!(refused(&mut node, |node| node.ping(NOW, at("192.0.2.9:1"))), BeginError::Busy(4));
    assert_eq!(refused(&mut node, |node| node.bootstrap(NOW, &[at("192.0.2.9:1")])), BeginError::Busy(4));
    assert_eq!(refused(&mut node, |node| node.get(NOW, Key::plain(b"x"), &options)), GetError::Busy(4));
    assert_eq!(refused(&mut node, |node| node.put(NOW, &Record::plain(b"x", b"y"), &options)), PutError::Busy(4));
    node.cancel(queries[2]);
    assert!(node.find_node(NOW, Id::ZERO, &options).is_ok(), "a cancelled operation's slot is free at once");
}

#[test]
fn a_get_is_refused_while_no_value_buffer_is_free() {
    let mut node = with_contact(config());
    let options = Options::default();
    let query = node.get(NOW, Key::plain(b"x"), &options).unwrap();
    sent(&mut *node, NOW);
    assert_eq!(refused(&mut node, |node| node.get(NOW, Key::plain(b"y"), &options)), GetError::NoBuffer(1));
    node.cancel(query);
    assert!(node.get(NOW, Key::plain(b"y"), &options).is_ok());
}

#[test]
fn maintenance_yields_its_slot_to_a_command_at_once_and_starts_again_later() {
    type Single = Node<Kademlia<u16, 128>, FixedStore<4, 512>, 1>;
    let mut node = Single::new(NOW, config(), id(&[7]), [42; 32]).unwrap();
    for n in 1..=3 {
        node.restore_contact(NOW, Contact::new(id(&[n as u8]), n));
    }
    let mut now = NOW;
    node.handle_timeout(now);
    assert_eq!(sent(&mut node, now).len(), 3, "a lookup of the neighbourhood takes the only slot");
    let query = node.find_node(now, id(&[9]), &Options::default()).unwrap();
    assert_eq!(node.find_node(now, id(&[9]), &Options::default()), Err(BeginError::Busy(1)));
    node.cancel(query);
    let later = idle(&mut node, &mut now, Duration::from_secs(60));
    assert!(!later.is_empty(), "the neighbourhood is looked up later");
}

#[test]
fn a_cancelled_operation_reports_nothing_and_sends_nothing_more() {
    let mut node = with_contact(config());
    let query = node.find_node(NOW, id(&[1]), &Options::default()).unwrap();
    node.cancel(query);
    assert!(sent(&mut *node, NOW).is_empty(), "requests that were not sent yet are never sent");
    let query = node.get(NOW, Key::plain(b"x"), &Options::default()).unwrap();
    assert_eq!(sent(&mut *node, NOW).len(), 1);
    node.cancel(query);
    let mut now = NOW;
    let later = idle(&mut *node, &mut now, Duration::from_secs(2));
    assert!(later.is_empty(), "a sent request is not retransmitted: {later:?}");
    assert!(node.poll_event().is_none() && node.take_result(query).is_none() && node.progress(query).is_none());
}

#[test]
fn a_response_to_a_cancelled_request_still_verifies_its_sender() {
    let mut node = node4(config());
    let query = node.ping(NOW, first().contact.address).unwrap();
    let request = sent(&mut *node, NOW).remove(0).1;
    node.cancel(query);
    deliver(&mut *node, NOW, first().contact.address, &first().empty_response(&request));
    assert!(knows(&*node, &first().contact.id));
    assert_eq!(node.stats().responses_received, 1);
}

#[test]
fn a_cancelled_put_is_still_published() {
    let mut node = with_contact(config());
    let query = node.put(NOW, &Record::plain(b"x", b"y"), &Options::default()).unwrap();
    node.cancel(query);
    let mut now = NOW;
    idle(&mut *node, &mut now, Duration::from_secs(2 * 3_600));
    first().meet(&mut *node, now);
    idle(&mut *node, &mut now, Duration::from_secs(1));
    assert!(node.store().get(0).unwrap().metadata.last_replicated > NOW, "it is published once a node responds");
}

#[test]
fn cancelling_a_put_whose_result_waits_does_not_touch_a_later_put_of_the_same_key() {
    let mut node = with_contact(config());
    let once = Options { publish: false, ..Options::default() };
    let first_put = node.put(NOW, &Record::plain(b"x", b"y"), &once).unwrap();
    let mut now = NOW;
    idle(&mut *node, &mut now, Duration::from_secs(40));
    let later = node.put(now, &Record::plain(b"x", b"z"), &Options::default()).unwrap();
    node.cancel(first_put);
    assert!(node.store().get(0).unwrap().metadata.pinned);
    assert!(node.progress(later).is_some());
}

#[test]
fn stale_query_ids_are_harmless() {
    let mut node = with_contact(config());
    let stale = node.find_node(NOW, id(&[1]), &Options::default()).unwrap();
    node.cancel(stale);
    let query = node.find_node(NOW, id(&[2]), &Options::default()).unwrap();
    assert_ne!(stale, query);
    node.cancel(stale);
    assert!(node.take_result(stale).is_none() && node.progress(stale).is_none());
    assert!(node.progress(query).is_some(), "the slot's next operation still runs");
}

#[test]
fn an_event_is_lent_and_the_next_call_frees_its_slot() {
    let mut node = with_contact(config());
    let options = Options { timeout: Duration::from_secs(1), ..Options::default() };
    let queries: Vec<QueryId> = (0..4).map(|n| node.find_node(NOW, id(&[n]), &options).unwrap()).collect();
    let mut now = NOW;
    idle(&mut *node, &mut now, Duration::from_secs(2));
    assert_eq!(
        node.find_node(now, Id::ZERO, &options),
        Err(BeginError::Busy(4)),
        "a result that was not taken keeps its slot"
    );
    assert_eq!(node.take_result(queries[3]).map(|result| result.query), Some(queries[3]));
    assert!(node.take_result(queries[3]).is_none(), "a result is reported once");
    assert!(node.find_node(now, Id::ZERO, &options).is_ok());
    let mut polled = Vec::new();
    while let Some(Event::Finished(result)) = node.poll_event() {
        assert!(matches!(result.outcome, Outcome::Failed(Failure::NoResponse)), "{:?}", result.outcome);
        polled.push(result.query);
    }
    assert_eq!(polled, queries[..3]);
}

#[test]
fn the_next_call_frees_the_buffer_of_a_taken_result() {
    let mut node = with_contact(config());
    node.restore_record(NOW, &Record::immutable(b"x"), Duration::from_secs(60), false).unwrap();
    for _ in 0..3 {
        let query = node.get(NOW, Key::immutable(b"x"), &Options::default()).unwrap();
        assert!(
            matches!(node.take_result(query).unwrap().outcome, Outcome::Value { record, .. } if record.value == b"x")
        );
    }
}

#[test]
fn a_ping_reports_the_responder_and_the_round_trip_time() {
    let mut net = Net::joined(20, 2, config());
    let (now, id) = (net.now, net.node(2).id());
    let query = net.node(1).ping(now, 2).unwrap();
    net.wait(1, query, |result| match result.outcome {
        Outcome::Pong { contact, rtt } => {
            assert_eq!(contact, Contact::new(id, 2));
            assert!((10..50).contains(&rtt.as_millis()), "{rtt:?}");
        }
        other => panic!("{other:?}"),
    });
    net.kill(2);
    let now = net.now;
    let query = net.node(1).ping(now, 2).unwrap();
    net.wait(1, query, |result| assert!(matches!(result.outcome, Outcome::Failed(Failure::NoResponse))));
}

#[test]
fn find_node_returns_the_closest_nodes_nearest_first() {
    let mut net = Net::joined(21, 30, config());
    let target = id(b"anything");
    let (now, requester) = (net.now, net.node(7).id());
    let mut ids: Vec<Id> = net.nodes.iter().flatten().map(|node| node.id()).filter(|id| *id != requester).collect();
    ids.sort_by_key(|id| id.xor(&target));
    let query = net.node(7).find_node(now, target, &Options::default()).unwrap();
    net.wait(7, query, |result| match &result.outcome {
        Outcome::Nodes(found) => {
            assert_eq!(found.iter().map(|contact| contact.id).collect::<Vec<_>>(), ids[..8]);
            assert_eq!(result.stats.closest, Some(ids[0].xor(&target)));
            assert!(result.stats.responded >= 8 && result.stats.depth >= 1 && !result.stats.took.is_zero());
        }
        other => panic!("{other:?}"),
    });
}

#[test]
fn every_operation_ends_in_exactly_one_event() {
    let mut net = Net::joined(22, 12, config());
    net.loss = 150;
    let mut open: Vec<(u16, QueryId)> = Vec::new();
    let mut ended: Vec<(u16, QueryId)> = Vec::new();
    let mut begun = 0;
    for round in 0..400 {
        let (now, at) = (net.now, 1 + net.random.below(12) as u16);
        let name = [net.random.below(20) as u8];
        let options = Options {
            timeout: Duration::from_millis(net.random.below(8_000) as u64),
            publish: round % 3 == 0,
            ..Options::default()
        };
        let choice = net.random.below(6);
        let node = net.node(at);
        let query = match choice {
            0 => node.get(now, Key::plain(&name), &options).ok(),
            1 => node.put(now, &Record::plain(&name, &[round as u8; 20]), &options).ok(),
            2 => node.find_node(now, id(&name), &options).ok(),
            3 => node.ping(now, u16::from(name[0])).ok(),
            4 => node.bootstrap(now, &[1 + u16::from(name[0])]).ok().map(|joining| joining.query),
            _ => {
                if let Some(index) = open.iter().position(|(other, _)| *other == at) {
                    let (at, query) = open.swap_remove(index);
                    net.node(at).cancel(query);
                }
                None
            }
        };
        if let Some(query) = query {
            assert!(!open.contains(&(at, query)), "a query id identifies one operation");
            open.push((at, query));
            begun += 1;
        }
        net.run(Duration::from_millis(300));
        collect(&mut net, &mut open, &mut ended, round % 2 == 0);
    }
    net.run(Duration::from_secs(60));
    for _ in 0..10 {
        collect(&mut net, &mut open, &mut ended, false);
    }
    assert!(open.is_empty(), "{open:?}");
    assert!(begun > 150 && ended.len() > 100, "{begun} {}", ended.len());
}

fn collect(net: &mut Net<Mote>, open: &mut Vec<(u16, QueryId)>, ended: &mut Vec<(u16, QueryId)>, take: bool) {
    for at in 1..=12 {
        let node = net.node(at);
        let mut over = Vec::new();
        if take {
            over.extend(
                open.iter()
                    .filter(|(other, query)| *other == at && node.take_result(*query).is_some())
                    .map(|(_, query)| *query),
            );
        } else {
            while let Some(event) = node.poll_event() {
                if let Event::Finished(result) = event {
                    over.push(result.query);
                }
            }
        }
        for query in over {
            let index = open
                .iter()
                .position(|other| *other == (at, query))
                .expect("only an open operation ends, and only once");
            open.swap_remove(index);
            assert!(!ended.contains(&(at, query)));
            ended.push((at, query));
        }
    }
}

#[test]
fn an_empty_node_does_nothing_until_it_is_started() {
    let mut node = Node4::empty();
    let options = Options::default();
    assert!(node.bootstrap(NOW, &[at("192.0.2.1:1")]).is_err());
    assert!(node.ping(NOW, at("192.0.2.1:1")).is_err());
    assert!(node.find_node(NOW, Id::ZERO, &options).is_err());
    assert!(node.get(NOW, Key::immutable(b"x"), &options).is_err());
    assert!(node.put(NOW, &Record::immutable(b"x"), &options).is_err());
    assert!(node.restore_record(NOW, &Record::immutable(b"x"), Duration::from_secs(9), true).is_err());
    node.restore_contact(NOW, first().contact);
    node.handle_timeout(NOW);
    node.handle_unreachable(NOW, first().contact.address);
    let ping = first().request(kadlet::message::Request::Ping, None);
    assert_eq!(deliver(&mut node, NOW, first().contact.address, &ping), None);
    assert!(sent(&mut node, NOW).is_empty() && node.poll_event().is_none());
    assert_eq!(node.poll_timeout(), None);
    assert!(node.routing().peers().next().is_none() && node.store().is_empty());
    node.start(NOW, config(), Id::from_bytes([7; 20]), [42; 32]).unwrap();
    assert!(node.ping(NOW, at("192.0.2.1:1")).is_ok());
}

#[test]
fn a_record_that_put_would_refuse_is_not_restored_either() {
    let hour = Duration::from_secs(3_600);
    let mut node = with_contact(Config::default());
    let plain = Record::plain(b"x", b"y");
    assert_eq!(
        refused(&mut node, |node| node.restore_record(NOW, &plain, hour, true)),
        RestoreError::Unsupported(Kind::Plain)
    );
    assert_eq!(
        refused(&mut node, |node| node.restore_record(NOW, &signed(b"y"), hour, true)),
        RestoreError::Unsupported(Kind::Signed)
    );
    let mut node = with_contact(Config { verify: Some(|_, _, _| false), ..config() });
    assert_eq!(refused(&mut node, |node| node.restore_record(NOW, &signed(b"y"), hour, true)), RestoreError::Signature);
    let moment = Duration::from_millis(999);
    assert_eq!(refused(&mut node, |node| node.restore_record(NOW, &plain, moment, true)), RestoreError::Lifetime);
    let options = Options { lifetime: moment, ..Options::default() };
    assert_eq!(refused(&mut node, |node| node.put(NOW, &plain, &options)), PutError::Lifetime);
}

#[test]
fn compare_and_swap_is_refused_for_records_without_a_sequence_number() {
    let mut node = with_contact(config());
    let options = Options { compare: Some(0), ..Options::default() };
    for record in [Record::plain(b"x", b"y"), Record::immutable(b"y")] {
        assert_eq!(refused(&mut node, |node| node.put(NOW, &record, &options)), PutError::CompareUnsigned);
    }
}

#[test]
fn a_node_that_is_not_started_says_so_to_every_call() {
    let mut node = Box::new(Node4::empty());
    let (record, options) = (Record::immutable(b"x"), Options::default());
    assert_eq!(refused(&mut node, |node| node.bootstrap(NOW, &[at("192.0.2.1:1")])), BeginError::NotStarted);
    assert_eq!(refused(&mut node, |node| node.ping(NOW, at("192.0.2.1:1"))), BeginError::NotStarted);
    assert_eq!(refused(&mut node, |node| node.find_node(NOW, Id::ZERO, &options)), BeginError::NotStarted);
    assert_eq!(refused(&mut node, |node| node.get(NOW, record.key(), &options)), GetError::NotStarted);
    assert_eq!(refused(&mut node, |node| node.put(NOW, &record, &options)), PutError::NotStarted);
    let hour = Duration::from_secs(3_600);
    assert_eq!(refused(&mut node, |node| node.restore_record(NOW, &record, hour, true)), RestoreError::NotStarted);
    assert!(!node.unpublish(&record.key()));
}

#[test]
fn a_node_that_is_started_again_has_forgotten_its_former_state() {
    let mut node = with_contact(config());
    node.restore_record(NOW, &Record::immutable(b"x"), Duration::from_secs(9), true).unwrap();
    let stale = node.find_node(NOW, id(&[1]), &Options::default()).unwrap();
    node.start(Instant::ZERO, config(), id(&[9]), [43; 32]).unwrap();
    assert_eq!(node.id(), id(&[9]));
    assert!(sent(&mut *node, Instant::ZERO).is_empty());
    assert!(node.take_result(stale).is_none());
    assert!(node.routing().peers().next().is_none() && node.store().is_empty());
    assert_eq!(node.poll_timeout(), None);
}

#[test]
fn a_ping_waits_while_the_request_table_is_full() {
    type Narrow = Node<Kademlia<core::net::SocketAddrV4, 16>, FixedStore<4, 512>, 2, 12, 1, 2>;
    let mut node = Box::new(
        Narrow::new(
            NOW,
            Config { table: Limits { k: 4, ..Limits::DEFAULT }, ..config() },
            Id::from_bytes([7; 20]),
            [42; 32],
        )
        .unwrap(),
    );
    let seeds = [1, 2].map(|n| at(&format!("192.0.2.{n}:1")));
    let joining = node.bootstrap(NOW, &seeds).unwrap().query;
    let address = at("192.0.2.9:1");
    let ping = node.ping(NOW, address).unwrap();
    assert!(sent(&mut *node, NOW).iter().all(|(to, _)| seeds.contains(to)), "both requests belong to the join");
    node.cancel(joining);
    node.handle_timeout(NOW);
    let requests = sent(&mut *node, NOW);
    let (_, request) = requests.iter().find(|(to, _)| *to == address).expect("now the ping is sent");
    let peer = Peer::new(id(&[0x80]), address);
    let pong = Response::Pong { observed: Observed::new(address) };
    deliver(&mut *node, NOW, address, &peer.response(transaction_of::<core::net::SocketAddrV4>(request), pong));
    let result = node.take_result(ping).unwrap();
    assert!(matches!(result.outcome, Outcome::Pong { contact, .. } if contact == peer.contact), "{:?}", result.outcome);
    assert_eq!((result.stats.asked, result.stats.responded), (1, 1));
}

#[test]
fn a_record_of_the_shortest_lifetime_is_still_stored_after_the_search_for_its_holders() {
    let mut node = with_contact(config());
    let mut now = NOW;
    let options = Options { lifetime: Duration::from_secs(1), ..Options::default() };
    let query = node.put(now, &Record::plain(b"x", b"y"), &options).unwrap();
    for _ in 0..2 {
        for (to, bytes) in sent(&mut *node, now) {
            now = now + Duration::from_millis(20);
            deliver(&mut *node, now, to, &first().empty_response(&bytes));
        }
    }
    let result = node.take_result(query).unwrap();
    assert!(matches!(result.outcome, Outcome::Stored { .. }), "{:?}", result.outcome);
}
