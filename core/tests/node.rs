//! Whole nodes in a small network: what a user of the library relies on.
#![allow(unreachable_pub, reason = "the network is shared by test binaries")]

#[path = "node/amplification.rs"]
mod amplification;
#[path = "node/by_hand.rs"]
mod by_hand;
#[path = "node/commands.rs"]
mod commands;
#[path = "node/hostile.rs"]
mod hostile;
#[path = "node/joining.rs"]
mod joining;
#[path = "node/memory.rs"]
mod memory;
mod net;
#[path = "node/quiet.rs"]
mod quiet;
#[path = "node/records.rs"]
mod records;
#[cfg(feature = "ed25519")]
#[path = "node/signed.rs"]
mod signed;
#[path = "node/timers.rs"]
mod timers;

use core::time::Duration;

use kadlet::{Failure, Key, Machine, Options, Outcome, Record};
use net::{Net, config};

fn put(net: &mut Net, at: u16, name: &[u8], value: &[u8], options: &Options) -> Vec<u16> {
    let now = net.now;
    let query = net.node(at).put(now, &Record::plain(name, value), options).unwrap();
    net.wait(at, query, |done| match &done.outcome {
        Outcome::Stored { holders, wanted } => {
            assert!(holders.len() >= *wanted, "{} of {wanted}: {:?}", holders.len(), done.report);
            holders.iter().map(|contact| contact.address).collect()
        }
        other => panic!("{other:?} {:?}", done.report),
    })
}

fn get(net: &mut Net, at: u16, name: &[u8]) -> Option<Vec<u8>> {
    let now = net.now;
    let query = net.node(at).get(now, Key::plain(name), &Options::default()).unwrap();
    net.wait(at, query, |done| match &done.outcome {
        Outcome::Value { record, .. } => Some(record.value.to_vec()),
        Outcome::NotFound { .. } => None,
        other => panic!("{other:?} {:?}", done.report),
    })
}

fn once() -> Options {
    Options { publish: false, ..Options::default() }
}

#[test]
fn a_value_put_at_one_node_is_got_at_every_other() {
    let mut net = Net::joined(1, 20, config());
    put(&mut net, 3, b"hello", b"world", &once());
    for at in 1..=20 {
        assert_eq!(get(&mut net, at, b"hello").as_deref(), Some(&b"world"[..]), "at {at}");
    }
    assert_eq!(get(&mut net, 5, b"unknown"), None);
}

#[test]
fn a_large_value_travels_too() {
    let mut net = Net::joined(2, 20, config());
    let value = [7; 1_000];
    put(&mut net, 3, b"large", &value, &once());
    assert_eq!(get(&mut net, 17, b"large").as_deref(), Some(&value[..]));
}

#[test]
fn fifty_nodes_lose_a_third_and_every_get_still_answers() {
    let mut net = Net::joined(3, 50, config());
    for n in 0..20_u8 {
        put(&mut net, 1 + u16::from(n), &[n], &[n; 40], &once());
    }
    for _ in 0..16 {
        let living = net.living();
        let victim = living[net.random.below(living.len())];
        net.kill(victim);
    }
    for n in 0..20_u8 {
        let living = net.living();
        let at = living[net.random.below(living.len())];
        assert_eq!(get(&mut net, at, &[n]).as_deref(), Some(&[n; 40][..]), "record {n} at {at}");
    }
}

#[test]
fn replicas_killed_four_by_four_are_replaced_within_a_minute() {
    let mut net = Net::joined(4, 32, config());
    let mut holders = put(&mut net, 1, b"hello", b"world", &once());
    for round in 0..4 {
        for victim in holders.iter().take(4) {
            net.kill(*victim);
        }
        net.run(Duration::from_secs(60));
        let living = net.living();
        let at = living[net.random.below(living.len())];
        assert_eq!(get(&mut net, at, b"hello").as_deref(), Some(&b"world"[..]), "round {round}");
        let key = Key::plain(b"hello");
        holders = living.into_iter().filter(|address| kadlet::Store::find(net.node(*address).store(), &key).is_some()).collect();
        assert!(holders.len() >= 8, "round {round}: {holders:?}");
    }
}

#[test]
fn twenty_percent_loss_loses_no_put_and_no_get() {
    let mut net = Net::joined(5, 30, config());
    net.loss = 200;
    for n in 0..10_u8 {
        let now = net.now;
        let query = net.node(2).put(now, &Record::plain(&[n], &[n; 40]), &once()).unwrap();
        net.wait(2, query, |done| assert!(matches!(done.outcome, Outcome::Stored { .. }), "{:?}", done.outcome));
        assert_eq!(get(&mut net, 9, &[n]).as_deref(), Some(&[n; 40][..]));
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let history = |seed| {
        let mut net = Net::joined(seed, 10, config());
        put(&mut net, 3, b"hello", b"world", &Options::default());
        net.run(Duration::from_secs(300));
        (net.digest, net.datagrams)
    };
    assert_eq!(history(6), history(6));
    assert_ne!(history(6), history(7));
}

#[test]
fn a_lone_node_says_that_it_knows_nobody() {
    let mut net = Net::joined(7, 1, config());
    let now = net.now;
    assert_eq!(net.node(1).get(now, Key::plain(b"x"), &once()), Err(kadlet::GetError::NoContacts));
    let query = net.node(1).bootstrap(now, &[99]).unwrap();
    net.wait(1, query, |done| assert!(matches!(done.outcome, Outcome::Failed(Failure::NoAnswer)), "{:?}", done.outcome));
}

#[test]
fn an_idle_network_is_quiet() {
    let mut net = Net::joined(8, 20, config());
    net.run(Duration::from_secs(3_600));
    let before = net.datagrams;
    net.run(Duration::from_secs(3_600));
    let each = (net.datagrams - before) / 20;
    println!("{each} datagrams an hour and node");
    assert!(each < 1_800, "{each} datagrams an hour and node: over 0.5 a second");
}
