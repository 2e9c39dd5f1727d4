//! Networks of nodes that speak text, in each variant of the format: they join, find nodes, put and get.

use core::net::SocketAddrV4;
use core::time::Duration;

use kadlet::routing::ContactState;
use kadlet::wire::Wire;
use kadlet::{BeginError, Config, Dht, Id, Kademlia, Key, Mode, On, Options, Outcome, QueryStats, Record, Routing};

use crate::format::{ALL, NO_RELAYS, Opaque, TOKENS_BY_FIND_VALUE, Text};
use crate::net::{MoteWith, Net, Place};

/// A node that speaks the format `W`.
pub type Node<W, const RELAYS: usize = 0> = MoteWith<On<Kademlia<SocketAddrV4, 128>, W>, RELAYS>;
/// A network of such nodes.
pub type Network<W, const RELAYS: usize = 0> = Net<Node<W, RELAYS>>;

/// The text format's datagrams are shorter than kadlet's.
pub fn config() -> Config {
    Config { max_datagram: 1_200, ..crate::net::config() }
}

pub fn at(n: u16) -> SocketAddrV4 {
    SocketAddrV4::nth(n)
}

pub fn joined<W: Wire, const RELAYS: usize>(seed: u64, count: usize) -> Network<W, RELAYS> {
    Net::grown(seed, core::iter::repeat_n(config(), count))
}

pub fn put<W: Wire, const RELAYS: usize>(
    net: &mut Network<W, RELAYS>,
    from: u16,
    record: &Record<'_>,
    options: &Options,
) -> Vec<SocketAddrV4> {
    let now = net.now;
    let query = net.node(at(from)).put(now, record, options).unwrap();
    net.wait(at(from), query, |result| match &result.outcome {
        Outcome::Stored { holders, .. } => holders.iter().map(|contact| contact.address).collect(),
        other => panic!("{other:?} {:?}", result.stats),
    })
}

pub fn get<W: Wire, const RELAYS: usize>(
    net: &mut Network<W, RELAYS>,
    from: u16,
    key: Key,
    options: &Options,
) -> (Option<Vec<u8>>, QueryStats) {
    let now = net.now;
    let query = net.node(at(from)).get(now, key, options).unwrap();
    net.wait(at(from), query, |result| match &result.outcome {
        Outcome::Value { record, .. } => (Some(record.value.to_vec()), result.stats),
        Outcome::NotFound { .. } => (None, result.stats),
        other => panic!("{other:?} {:?}", result.stats),
    })
}

pub fn find<W: Wire, const RELAYS: usize>(
    net: &mut Network<W, RELAYS>,
    from: u16,
    target: Id,
    options: &Options,
) -> (Vec<SocketAddrV4>, QueryStats) {
    let now = net.now;
    let query = net.node(at(from)).find_node(now, target, options).unwrap();
    net.wait(at(from), query, |result| match &result.outcome {
        Outcome::Nodes(found) => (found.iter().map(|contact| contact.address).collect(), result.stats),
        other => panic!("{other:?} {:?}", result.stats),
    })
}

/// The living nodes other than `from`, the nearest to `target` first.
pub fn by_distance<W: Wire, const RELAYS: usize>(
    net: &mut Network<W, RELAYS>,
    from: u16,
    target: &Id,
) -> Vec<SocketAddrV4> {
    let mut all = net.living();
    all.retain(|address| *address != at(from));
    all.sort_by_key(|address| net.node(*address).id().xor(target));
    all
}

/// The nodes other than the `n`-th that it has as verified contacts.
pub fn known<W: Wire, const RELAYS: usize>(net: &mut Network<W, RELAYS>, n: u16) -> usize {
    let peers = net.node(at(n)).routing().peers();
    peers.filter(|peer| peer.state == ContactState::Verified).count()
}

fn a_network_finds_nodes_and_puts_and_gets_records<W: Wire>() {
    let mut net = joined::<W, 0>(1, 20);
    net.run(Duration::from_secs(60));
    for n in 1..=20 {
        let known = known(&mut net, n);
        assert!(known >= 12, "{n} knows {known} of 19");
    }
    for n in 1..=10 {
        let target = Id::from_bytes(net.random.bytes());
        let nearest = by_distance(&mut net, n, &target);
        let (found, stats) = find(&mut net, n, target, &Options::default());
        // Where requests are not padded, responses to strangers name five contacts, and so not all of the nearest
        // eight.
        let right = found.iter().zip(&nearest).filter(|(found, nearest)| found == nearest).count();
        assert!(right >= if W::RULES.padding { 8 } else { 5 }, "at {n}: {found:?}, not {nearest:?}");
        assert_eq!(stats.timed_out, 0, "{stats:?}");
    }
    let large = [7; 700];
    for record in [Record::plain(b"hello", b"world"), Record::immutable(b"forever"), Record::immutable(&large)] {
        assert_eq!(put(&mut net, 3, &record, &Options::default()).len(), 8);
        for from in 1..=20 {
            let (value, stats) = get(&mut net, from, record.key(), &Options::default());
            assert_eq!(value.as_deref(), Some(record.value), "at {from}: {stats:?}");
        }
    }
    for n in 1..=20 {
        let stats = net.node(at(n)).stats();
        assert_eq!((stats.malformed, stats.bad_tokens, stats.small_buffers), (0, 0, 0), "{stats:?}");
    }
}

/// Half of the holders die, then the others one by one with time for the record to move on between.
fn a_record_survives_the_nodes_that_die<W: Wire>() {
    let mut net = joined::<W, 0>(2, 24);
    let record = Record::plain(b"hello", b"world");
    let publisher = 7;
    let mut holders = put(&mut net, publisher, &record, &Options::default());
    holders.retain(|holder| *holder != at(publisher));
    let (first, rest) = holders.split_at(holders.len() / 2);
    first.iter().for_each(|holder| net.kill(*holder));
    let reader = net.living().into_iter().find(|node| !rest.contains(node) && *node != at(publisher)).unwrap();
    let (value, stats) = get(&mut net, reader.number() as u16, record.key(), &Options::default());
    assert_eq!(value.as_deref(), Some(record.value), "{stats:?}");
    // Longer than it takes the publisher to put the record again.
    net.run(Duration::from_secs(4_000));
    rest.iter().for_each(|holder| net.kill(*holder));
    net.run(Duration::from_secs(10));
    let (value, stats) = get(&mut net, reader.number() as u16, record.key(), &Options::default());
    assert_eq!(value.as_deref(), Some(record.value), "{stats:?}");
}

fn a_network_puts_and_gets_where_a_tenth_of_all_datagrams_is_lost<W: Wire>() {
    let mut net = joined::<W, 0>(3, 20);
    net.loss = 100;
    net.run(Duration::from_secs(60));
    for n in 0..10 {
        let name = [n as u8];
        let record = Record::plain(&name, b"world");
        assert!(put(&mut net, 1 + n, &record, &Options::default()).len() >= 6);
        let (value, stats) = get(&mut net, 20 - n, record.key(), &Options::default());
        assert_eq!(value.as_deref(), Some(record.value), "{stats:?}");
    }
}

in_each_format!(a_network_finds_nodes_and_puts_and_gets_records);

#[test]
fn records_survive_the_nodes_that_die_as_in_kadlets_format() {
    a_record_survives_the_nodes_that_die::<Text<0>>();
    a_network_puts_and_gets_where_a_tenth_of_all_datagrams_is_lost::<Text<0>>();
}

#[test]
fn records_survive_the_nodes_that_die_as_in_mainline() {
    a_record_survives_the_nodes_that_die::<Opaque<ALL>>();
    a_network_puts_and_gets_where_a_tenth_of_all_datagrams_is_lost::<Opaque<ALL>>();
}

#[cfg(feature = "ed25519")]
fn a_signed_record_is_replaced_by_its_owner_alone<W: Wire>() {
    use kadlet::ed25519;
    use kadlet::record::Proof;

    let config = Config { verify: Some(ed25519::verify), ..config() };
    let mut net = Network::<W>::grown(4, core::iter::repeat_n(config, 16));
    let public_key = ed25519::public_key(&[7; 32]);
    let key = Key::signed(&public_key, b"salt");
    for (sequence, value) in [(1, b"first"), (2, b"later")] {
        let signature = ed25519::sign(&[7; 32], 0, b"salt", sequence, value);
        let proof = Proof::Signed { public_key: &public_key, salt: b"salt", sequence, signature: &signature };
        assert_eq!(put(&mut net, 3, &Record { value, proof }, &Options::default()).len(), 8);
        for from in 1..=16 {
            assert_eq!(get(&mut net, from, key, &Options::default()).0.as_deref(), Some(&value[..]), "at {from}");
        }
    }
}

#[cfg(feature = "ed25519")]
mod signed {
    use super::a_signed_record_is_replaced_by_its_owner_alone;

    in_each_format!(a_signed_record_is_replaced_by_its_owner_alone);
}

/// In a network of 40 nodes, how many of 40 recursive gets came back the way they went.
fn relayed<W: Wire>() -> usize {
    let mut net = joined::<W, 4>(5, 40);
    let recursive = Options { mode: Mode::Recursive, publish: false, ..Options::default() };
    let record = Record::plain(b"hello", b"world");
    put(&mut net, 3, &record, &recursive);
    let relayed = |from| {
        let (value, stats) = get(&mut net, from, record.key(), &recursive);
        assert_eq!(value.as_deref(), Some(record.value), "at {from}: {stats:?}");
        stats.relayed
    };
    (1..=40).map(relayed).filter(|relayed| *relayed).count()
}

#[test]
fn recursive_lookups_find_records_in_text() {
    assert!(relayed::<Text<0>>() > 20);
    assert!(relayed::<Text<{ ALL & !NO_RELAYS }>>() > 20, "verified contacts need no token");
    // Only get and put have tokens to show, so the next hop refuses most relay requests.
    assert!(relayed::<Text<TOKENS_BY_FIND_VALUE>>() < 20);
}

#[test]
fn a_network_without_relays_refuses_recursive_lookups() {
    let mut net = joined::<Text<NO_RELAYS>, 0>(6, 4);
    let (now, options) = (net.now, Options { mode: Mode::Recursive, ..Options::default() });
    assert_eq!(net.node(at(1)).find_node(now, Id::ZERO, &options), Err(BeginError::NoRelays));
}
