//! What a user of the library relies on with every geometry and both lookup modes: one suite, run for each combination.

use core::time::Duration;

use kadlet::{Chord, Config, Dht, Geometry, Kademlia, Key, Mode, Options, Outcome, Pastry, Record, Routing, Store};

use crate::net::{MoteWith, Net, config};

/// A network of nodes with one kind of table. They look up recursively if they forward requests, that is if `RELAYS` is
/// not 0.
type Network<R, const RELAYS: usize> = Net<MoteWith<R, RELAYS>>;

fn joined<R: Routing<Address = u16>, const RELAYS: usize>(
    seed: u64,
    count: usize,
    config: Config,
) -> Network<R, RELAYS> {
    Net::grown(seed, core::iter::repeat_n(config, count))
}

fn mode<const RELAYS: usize>() -> Mode {
    if RELAYS == 0 { Mode::Iterative } else { Mode::Recursive }
}

pub fn put<R: Routing<Address = u16>, const RELAYS: usize>(
    net: &mut Network<R, RELAYS>,
    at: u16,
    name: &[u8],
    value: &[u8],
    options: &Options,
) -> Vec<u16> {
    let (now, options) = (net.now, Options { mode: mode::<RELAYS>(), ..*options });
    let query = net.node(at).put(now, &Record::plain(name, value), &options).unwrap();
    net.wait(at, query, |result| match &result.outcome {
        Outcome::Stored { holders, wanted, .. } => {
            assert!(holders.len() >= *wanted, "{} of {wanted}: {:?}", holders.len(), result.stats);
            holders.iter().map(|contact| contact.address).collect()
        }
        other => panic!("{other:?} {:?}", result.stats),
    })
}

pub fn get<R: Routing<Address = u16>, const RELAYS: usize>(
    net: &mut Network<R, RELAYS>,
    at: u16,
    name: &[u8],
) -> Option<Vec<u8>> {
    let (now, options) = (net.now, Options { mode: mode::<RELAYS>(), ..Options::default() });
    let query = net.node(at).get(now, Key::plain(name), &options).unwrap();
    net.wait(at, query, |result| match &result.outcome {
        Outcome::Value { record, .. } => Some(record.value.to_vec()),
        Outcome::NotFound { .. } => None,
        other => panic!("{other:?} {:?}", result.stats),
    })
}

pub fn once() -> Options {
    Options { publish: false, ..Options::default() }
}

fn every_node_gets_a_value_that_one_node_put<R: Routing<Address = u16>, const RELAYS: usize>() {
    let mut net = joined::<R, RELAYS>(1, 20, config());
    put(&mut net, 3, b"hello", b"world", &once());
    for at in 1..=20 {
        assert_eq!(get(&mut net, at, b"hello").as_deref(), Some(&b"world"[..]), "at {at}");
    }
    assert_eq!(get(&mut net, 5, b"unknown"), None);
}

fn a_value_of_the_largest_size_can_be_put_and_got<R: Routing<Address = u16>, const RELAYS: usize>() {
    let mut net = joined::<R, RELAYS>(2, 20, config());
    let value = [7; 1_000];
    put(&mut net, 3, b"large", &value, &once());
    assert_eq!(get(&mut net, 17, b"large").as_deref(), Some(&value[..]));
}

fn fifty_nodes_lose_a_third_and_every_get_still_succeeds<R: Routing<Address = u16>, const RELAYS: usize>() {
    let mut net = joined::<R, RELAYS>(3, 50, config());
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

fn replicas_killed_four_by_four_are_replaced_within_a_minute<R: Routing<Address = u16>, const RELAYS: usize>() {
    let mut net = joined::<R, RELAYS>(4, 32, config());
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
        holders = living.into_iter().filter(|address| net.node(*address).store().find(&key).is_some()).collect();
        assert!(holders.len() >= 8, "round {round}: {holders:?}");
    }
}

fn twenty_percent_loss_loses_no_put_and_no_get<R: Routing<Address = u16>, const RELAYS: usize>() {
    let mut net = joined::<R, RELAYS>(5, 30, config());
    net.loss = 200;
    for n in 0..10_u8 {
        let (now, options) = (net.now, Options { mode: mode::<RELAYS>(), ..once() });
        let query = net.node(2).put(now, &Record::plain(&[n], &[n; 40]), &options).unwrap();
        net.wait(2, query, |result| assert!(matches!(result.outcome, Outcome::Stored { .. }), "{:?}", result.outcome));
        assert_eq!(get(&mut net, 9, &[n]).as_deref(), Some(&[n; 40][..]));
    }
}

fn the_same_seed_gives_the_same_bytes<R: Routing<Address = u16>, const RELAYS: usize>() {
    let history = |seed| {
        let mut net = joined::<R, RELAYS>(seed, 10, config());
        put(&mut net, 3, b"hello", b"world", &Options::default());
        net.run(Duration::from_secs(300));
        (net.digest, net.datagrams)
    };
    assert_eq!(history(6), history(6));
    assert_ne!(history(6), history(7));
}

fn an_idle_network_is_quiet<R: Routing<Address = u16>, const RELAYS: usize>() {
    let mut net = joined::<R, RELAYS>(8, 20, config());
    net.run(Duration::from_secs(3_600));
    let before = net.datagrams;
    net.run(Duration::from_secs(3_600));
    let each = (net.datagrams - before) / 20;
    println!("{each} datagrams per node and hour");
    assert!(each < 1_800, "{each} datagrams per node and hour: more than 0.5 a second");
}

fn every_lookup_finds_the_responsible_nodes<R: Routing<Address = u16>, const RELAYS: usize>() {
    let mut net = joined::<R, RELAYS>(9, 50, config());
    net.run(Duration::from_secs(120));
    let (mut wrong, mut missed) = (0, 0);
    for n in 0..100_u8 {
        let target = Key::plain(&[n]).id;
        let at = 1 + net.random.below(50) as u16;
        let mut ids: Vec<_> =
            net.living().into_iter().filter(|other| *other != at).map(|other| net.node(other).id()).collect();
        ids.sort_by_key(|id| R::Geometry::rank(&target, id));
        let (now, options) = (net.now, Options { mode: mode::<RELAYS>(), ..Options::default() });
        let query = net.node(at).find_node(now, target, &options).unwrap();
        let found: Vec<_> = net.wait(at, query, |result| match &result.outcome {
            Outcome::Nodes(found) => found.iter().map(|contact| contact.id).collect(),
            other => panic!("{other:?}"),
        });
        wrong += usize::from(found.len() != 8 || found[..7] != ids[..7]);
        missed += usize::from(found[7] != ids[7]);
    }
    // Where more than four of the eight are of one branch of the lookup, a farther one may be found in place of one.
    assert!(wrong <= if RELAYS == 0 { 10 } else { 0 }, "{wrong} of 100");
    // A recursive lookup ends with the contacts of its last hop, which may lack the farthest of the eight.
    assert!(missed <= if RELAYS == 0 { 12 } else { 5 }, "{missed} of 100");
}

/// The suite for one kind of table, in both lookup modes.
macro_rules! suite {
    ($geometry:ident, $table:ty, $tests:tt) => {
        mod $geometry {
            use super::*;
            suite!(iterative, $table, 0, $tests);
            suite!(recursive, $table, 4, $tests);
        }
    };
    ($mode:ident, $table:ty, $relays:literal, [$($test:ident),*]) => {
        mod $mode {
            use super::*;
            $(
                #[test]
                fn $test() {
                    super::super::$test::<$table, $relays>();
                }
            )*
        }
    };
}

/// The suite for every kind of table.
macro_rules! suites {
    ($tests:tt) => {
        suite!(kademlia, Kademlia<u16, 128>, $tests);
        suite!(chord, Chord<u16>, $tests);
        suite!(pastry, Pastry<u16>, $tests);
        suite!(binary_pastry, Pastry<u16, 16, 1, 64>, $tests);
    };
}

suites!([
    every_node_gets_a_value_that_one_node_put,
    a_value_of_the_largest_size_can_be_put_and_got,
    fifty_nodes_lose_a_third_and_every_get_still_succeeds,
    replicas_killed_four_by_four_are_replaced_within_a_minute,
    twenty_percent_loss_loses_no_put_and_no_get,
    the_same_seed_gives_the_same_bytes,
    an_idle_network_is_quiet,
    every_lookup_finds_the_responsible_nodes
]);
