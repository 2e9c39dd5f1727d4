//! Timers: when a node asks to be called and why, and that a call at any other time is harmless.

use core::net::SocketAddrV4;
use core::time::Duration;

use kadlet::message::Request;
use kadlet::routing::Limits;
use kadlet::wire::{self, Body, MAX_DATAGRAM};
use kadlet::{
    Config, Contact, Dht, Event, FixedStore, Id, Instant, Kademlia, Key, Node, Options, Outcome, Record, Routing,
    Serve, Store, WakeReason,
};

use crate::by_hand::{NOW, Node4, Peer, at, decode, deliver, id, idle, node4, sent};
use crate::net::{Mote, Net, Random, config};
use crate::{get, once, put};

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: u64 = 24 * 3_600 * 1_000_000;

#[test]
fn a_node_that_is_empty_or_has_no_contacts_sets_no_deadline() {
    assert_eq!(Node4::empty().poll_timeout(), None);
    assert_eq!(node4(config()).poll_timeout(), None);
}

#[test]
fn a_datagram_that_waits_to_be_sent_is_due_at_once() {
    let mut node = node4(config());
    let query = node.ping(NOW, at("192.0.2.1:4000")).unwrap();
    assert_eq!(node.poll_timeout().map(|(_, reason)| reason), Some(WakeReason::Transmit));
    assert!(node.poll_timeout().unwrap().0 <= NOW);
    let later = NOW + Duration::from_secs(9);
    assert_eq!(sent(&mut *node, later).len(), 1);
    assert_eq!(
        node.poll_timeout(),
        Some((later + Config::DEFAULT.timeout_initial, WakeReason::Request)),
        "the timeout starts when the request is sent"
    );
    node.cancel(query);
}

#[test]
fn each_deadline_names_its_wake_reason() {
    let mut node = node4(config());
    node.restore_record(NOW, &Record::immutable(b"x"), HOUR, false).unwrap();
    assert_eq!(node.poll_timeout(), Some((NOW + HOUR, WakeReason::Record)));
    node.restore_contact(NOW, Contact::new(id(&[0x80]), at("192.0.2.1:4000")));
    assert_eq!(node.poll_timeout(), Some((NOW, WakeReason::Maintenance)));
    let options = Options { timeout: Duration::from_millis(10), ..Options::default() };
    node.find_node(NOW, Id::ZERO, &options).unwrap();
    sent(&mut *node, NOW);
    assert_eq!(node.poll_timeout(), Some((NOW + Duration::from_millis(10), WakeReason::Operation)));
    let mut node = node4(config());
    node.bootstrap(NOW, &[at("192.0.2.1:4000")]).unwrap();
    let mut reasons = Vec::new();
    for _ in 0..4 {
        let now = node.poll_timeout().map_or(NOW, |(at, _)| at.max(NOW));
        reasons.extend(node.poll_timeout().map(|(_, reason)| reason));
        node.handle_timeout(now);
        sent(&mut *node, now);
    }
    assert_eq!(reasons, [WakeReason::Transmit, WakeReason::Request, WakeReason::Request, WakeReason::Bootstrap]);
}

#[test]
fn maintenance_of_a_node_whose_only_result_was_just_taken_is_not_late() {
    type Single = Node<Kademlia<u16, 128>, FixedStore<4, 512>, 1>;
    let mut node = Single::new(NOW, config(), id(&[7]), [42; 32]).unwrap();
    let query = node.bootstrap(NOW, &[1]).unwrap().query;
    let mut now = NOW;
    idle(&mut node, &mut now, Duration::from_secs(60));
    assert!(node.take_result(query).is_some());
    assert_eq!(node.poll_timeout().map(|(_, reason)| reason), Some(WakeReason::Bootstrap), "the slot counts as free");
}

/// Calls all nodes at their own deadlines for two hours, with churn. After each call a node's next deadline must lie
/// ahead.
#[test]
fn after_a_timeout_was_handled_the_next_deadline_lies_ahead() {
    let mut net = Net::joined(100, 8, Config { max_lifetime: HOUR, ..config() });
    net.loss = 50;
    let end = net.now + 2 * HOUR;
    let (mut change, mut calls) = (net.now, 0_u64);
    while net.now < end {
        if net.now >= change {
            change = net.now + Duration::from_secs(120);
            churn(&mut net);
        }
        net.flush();
        let now = net.now;
        for node in net.nodes.iter_mut().flatten() {
            if node.poll_timeout().is_some_and(|(at, _)| at <= now) {
                node.handle_timeout(now);
            }
        }
        net.flush();
        for (index, node) in net.nodes.iter().enumerate().filter_map(|(index, node)| Some((index, node.as_ref()?))) {
            if let Some((at, reason)) = node.poll_timeout() {
                assert!(at > now, "node {index} asks to be called again at once: {reason:?} {at:?} {now:?}");
            }
        }
        calls += 1;
        net.step(change);
    }
    assert!(calls > 500, "{calls}");
}

fn churn(net: &mut Net) {
    let (now, living) = (net.now, net.living());
    let at = living[net.random.below(living.len())];
    let name = [net.random.below(10) as u8];
    let options = Options { lifetime: Duration::from_secs(600 + net.random.below(6_000) as u64), ..Options::default() };
    match net.random.below(5) {
        0 if living.len() > 5 => net.kill(at),
        0 | 1 if living.len() < 10 && net.nodes.len() < 60 => {
            let newcomer = net.add(|now, id, seed| Box::new(Mote::new(now, config(), id, seed).unwrap()));
            let _ = net.node(newcomer).bootstrap(now, &[living[0], living[1]]);
        }
        2 => {
            let _ = net.node(at).get(now, Key::plain(&name), &options);
        }
        _ => {
            let _ = net.node(at).put(now, &Record::plain(&name, &name), &options);
        }
    }
    for node in net.nodes.iter_mut().flatten() {
        while node.poll_event().is_some() {}
    }
}

#[test]
fn handling_a_timeout_early_late_or_twice_changes_nothing_that_is_sent() {
    let mut histories = Vec::new();
    for extra in [false, true] {
        let mut net = Net::joined(101, 6, config());
        let end = net.now + 2 * HOUR;
        while net.step(end) {
            let now = net.now;
            for node in net.nodes.iter_mut().flatten().filter(|_| extra) {
                node.handle_timeout(now);
                node.handle_timeout(now);
            }
        }
        histories.push((net.digest, net.datagrams));
    }
    assert_eq!(histories[0], histories[1]);
}

#[test]
fn a_datagram_too_large_for_the_buffer_waits_and_is_counted() {
    let mut node = node4(config());
    node.ping(NOW, at("192.0.2.1:4000")).unwrap();
    for len in [0, 10, 126] {
        assert!(node.poll_transmit(NOW, &mut vec![0; len]).is_none());
    }
    assert_eq!(node.stats().small_buffers, 3);
    assert_eq!(node.poll_timeout().map(|(_, reason)| reason), Some(WakeReason::Transmit));
    assert!(node.poll_transmit(NOW, &mut [0; 127]).is_some(), "a buffer of MIN_DATAGRAM suffices for a ping");
    let requester = Peer::new(id(&[0x80]), at("192.0.2.2:4000"));
    let ping = requester.request(Request::Ping, None);
    for len in [0, 10, 51] {
        assert!(node.handle_datagram(NOW, requester.contact.address, &ping, &mut vec![0; len]).is_none());
    }
    assert_eq!(node.stats().small_buffers, 6);
}

#[test]
fn a_response_is_fitted_to_a_small_buffer() {
    let mut node = node4(config());
    for n in 1..=9 {
        Peer::new(id(&[n]), at(&format!("192.0.{n}.1:4000"))).meet(&mut *node, NOW);
    }
    let requester = Peer::new(id(&[0x80]), at("192.0.2.2:4000"));
    let request = requester.padded(Request::FindNode { target: Id::ZERO }, None, 60);
    for room in [52, 127, 200, 268, 1_232] {
        let out = node.handle_datagram(NOW, requester.contact.address, &request, &mut vec![0; room]).unwrap();
        assert!(out.len <= room && out.len + 28 > room.min(268), "{} of {room}", out.len);
    }
}

#[test]
fn a_put_of_a_record_too_large_for_the_callers_buffer_fails() {
    let mut node = node4(config());
    let peer = Peer::new(id(&[0x80]), at("192.0.2.1:4000"));
    peer.meet(&mut *node, NOW);
    let query = node.put(NOW, &Record::plain(b"x", &[7; 1_000]), &once()).unwrap();
    let mut now = NOW;
    let mut buf = [0; 127];
    for _ in 0..200 {
        while let Some(out) = node.poll_transmit(now, &mut buf) {
            let response = peer.empty_response(&buf[..out.len]);
            deliver(&mut *node, now, out.to, &response);
        }
        if let Some(result) = node.take_result(query) {
            assert!(matches!(result.outcome, Outcome::Failed(_)), "{:?}", result.outcome);
            assert!(result.stats.took < Duration::from_secs(20), "{:?}", result.stats);
            assert!(node.stats().small_buffers > 0);
            return;
        }
        now = node.poll_timeout().unwrap().0.max(now);
        node.handle_timeout(now);
    }
    panic!("the put never ended");
}

/// In a small network, clocks jump and calls come at odd times. Then all clocks agree again, and the network must
/// recover.
#[test]
fn odd_times_cause_no_panic_and_every_operation_still_ends() {
    for seed in 0..6 {
        let mut net = Net::joined(110 + seed, 6, config());
        net.run(Duration::from_secs(60));
        let mut random = Random::new(seed);
        let mut latest = net.now;
        let mut open = Vec::new();
        for _ in 0..1_500 {
            let at = 1 + random.below(6) as u16;
            let now = odd(&mut random, net.now);
            latest = latest.max(now);
            let node = net.node(at);
            match random.below(12) {
                0 | 1 => node.handle_timeout(now),
                2 => {
                    node.handle_timeout(now);
                    node.handle_timeout(now);
                }
                3 => {
                    let len = [0, 10, 127][random.below(3)];
                    let mut buf = vec![0; len];
                    if let Some(out) = node.poll_transmit(now, &mut buf) {
                        net.send(at, out.to, &buf[..out.len]);
                    }
                }
                4 => node.handle_unreachable(now, 1 + random.below(8) as u16),
                5 => open.extend(
                    node.get(now, Key::plain(&[random.below(9) as u8]), &Options::default()).map(|query| (at, query)),
                ),
                6 => open.extend(
                    node.put(now, &Record::plain(&[random.below(9) as u8], &[7; 99]), &once()).map(|query| (at, query)),
                ),
                7 => open.extend(node.bootstrap(now, &[1 + random.below(8) as u16]).map(|joining| (at, joining.query))),
                8 => {
                    let mut bytes: [u8; 40] = random.bytes();
                    bytes[0] = 1;
                    let _ = node.handle_datagram(now, 9, &bytes[..random.below(41)], &mut [0; 127]);
                }
                9 => {
                    node.unpublish(&Key::plain(&[1]));
                    node.restore_contact(now, Contact::new(id(&random.bytes::<2>()), 1 + random.below(8) as u16));
                    let _ = node.restore_record(
                        now,
                        &Record::plain(b"kept", b"value"),
                        Duration::from_secs(random.next() >> 20),
                        true,
                    );
                }
                _ => {
                    let end = net.now + Duration::from_millis(20);
                    net.step(end);
                }
            }
            collect(&mut net, &mut open);
        }
        // All clocks agree again, later than any of them ever was.
        net.now = latest;
        net.run(2 * HOUR);
        collect(&mut net, &mut open);
        assert!(open.is_empty(), "seed {seed}: {open:?}");
        for at in 1..=6 {
            assert!(net.node(at).routing().peers().count() >= 5, "seed {seed}: node {at} must find the others again");
        }
        put(&mut net, 2, b"after", b"all", &once());
        assert_eq!(get(&mut net, 5, b"after").as_deref(), Some(&b"all"[..]), "seed {seed}");
    }
}

fn collect(net: &mut Net, open: &mut Vec<(u16, kadlet::QueryId)>) {
    for at in 1..=6 {
        while let Some(event) = net.node(at).poll_event() {
            if let Event::Finished(result) = event {
                let index = open
                    .iter()
                    .position(|other| *other == (at, result.query))
                    .expect("only an open operation ends, and only once");
                open.swap_remove(index);
            }
        }
    }
}

/// A time that a bad clock may show: earlier or later by up to nine days, zero, or right.
fn odd(random: &mut Random, now: Instant) -> Instant {
    let by = random.next() % (9 * DAY);
    match random.below(6) {
        0 => Instant::from_micros(now.as_micros().saturating_sub(by)),
        1 => now + Duration::from_micros(by),
        2 => Instant::ZERO,
        _ => now,
    }
}

#[test]
fn a_clock_at_the_end_of_its_range_is_harmless() {
    let mut node = node4(config());
    let peer = Peer::new(id(&[0x80]), at("192.0.2.1:4000"));
    peer.meet(&mut *node, NOW);
    for now in [Instant::NEVER, Instant::from_micros(u64::MAX - 1), NOW, Instant::ZERO] {
        let _ = node.put(now, &Record::plain(b"x", b"y"), &once());
        let _ = node.get(now, Key::plain(b"z"), &once());
        for _ in 0..20 {
            for (to, bytes) in sent(&mut *node, now) {
                deliver(&mut *node, now, to, &peer.empty_response(&bytes));
            }
            node.handle_timeout(now);
            node.handle_unreachable(now, peer.contact.address);
        }
        while node.poll_event().is_some() {}
    }
    assert!(!node.store().is_empty() || node.routing().peers().next().is_some());
}

#[test]
fn publishing_that_yields_its_slot_to_a_command_waits_before_it_starts_again() {
    type Busy = Node<Kademlia<u16, 8>, FixedStore<4, 2_000>, 1, 6, 1, 8>;
    let now = Instant::from_secs(100);
    let mut node = Busy::new(
        now,
        Config { serve: Serve::Never, plain: true, table: Limits { k: 2, ..Limits::DEFAULT }, ..Config::default() },
        Id::from_bytes([1; 20]),
        [7; 32],
    )
    .unwrap();
    node.restore_contact(now, Contact::new(Id::from_bytes([9; 20]), 5));
    node.restore_record(now, &Record::plain(b"hello", b"world"), Duration::from_secs(3_600), true).unwrap();
    let mut published = 0;
    for _ in 0..100 {
        node.handle_timeout(now);
        let mut buf = [0; MAX_DATAGRAM];
        while let Some(out) = node.poll_transmit(now, &mut buf) {
            let message = wire::decode::<u16>(&buf[..out.len]).unwrap();
            published += u32::from(matches!(message.body, Body::Request { request: Request::FindValue { .. }, .. }));
        }
        let query = node.find_node(now, Id::from_bytes([3; 20]), &Options::default()).unwrap();
        node.cancel(query);
    }
    assert_eq!(published, 1);
}

#[test]
fn maintenance_runs_with_no_more_request_slots_than_alpha() {
    type Wide = Node<Kademlia<SocketAddrV4, 64>, FixedStore<4, 512>>;
    type Narrow = Node<Kademlia<SocketAddrV4, 64>, FixedStore<4, 512>, 1, 24, 0, 2>;
    let contact = Contact::new(id(&[9]), at("10.0.0.9:4000"));
    let mut wide = Box::new(Wide::new(NOW, Config { alpha: 16, ..config() }, id(&[7]), [1; 32]).unwrap());
    let mut narrow = Box::new(Narrow::new(NOW, config(), id(&[7]), [1; 32]).unwrap());
    wide.restore_contact(NOW, contact);
    narrow.restore_contact(NOW, contact);
    assert!(!idle(&mut *wide, &mut NOW.clone(), HOUR).is_empty(), "alpha 16 of 16 request slots");
    assert!(!idle(&mut *narrow, &mut NOW.clone(), HOUR).is_empty(), "alpha 3 of 2 request slots");
}

#[test]
fn a_put_that_some_nodes_stored_when_its_time_is_over_says_stored() {
    let mut node = node4(config());
    let peers = [1, 2, 3].map(|n| Peer::new(id(&[n]), SocketAddrV4::new([10, 0, 0, n].into(), 4000)));
    peers.iter().for_each(|peer| peer.meet(&mut *node, NOW));
    let options = Options { timeout: Duration::from_secs(2), ..once() };
    let query = node.put(NOW, &Record::plain(b"hello", b"world"), &options).unwrap();
    let mut requests = sent(&mut *node, NOW);
    while let Some((to, request)) = requests.pop() {
        let peer = peers.iter().find(|peer| peer.contact.address == to).unwrap();
        let stores =
            matches!(decode::<SocketAddrV4>(&request).body, Body::Request { request: Request::Store { .. }, .. });
        // One of the three stores it, and the others are silent from then on.
        if !stores || to == peers[0].contact.address {
            deliver(&mut *node, NOW, to, &peer.empty_response(&request));
        }
        requests.extend(sent(&mut *node, NOW));
    }
    assert!(node.take_result(query).is_none());
    node.handle_timeout(NOW + options.timeout);
    let result = node.take_result(query).unwrap();
    assert!(matches!(result.outcome, Outcome::Stored { holders, .. } if holders.len() == 1), "{result:?}");
}
