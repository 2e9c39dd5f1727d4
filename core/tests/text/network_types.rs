//! Networks of types that this crate defines: its own table with its own format, and a network type of its own.
//! `mesh.rs` has its own table with kadlet's format.

use kadlet::wire::Kadlet;
use kadlet::{Dht, Kademlia, Network, On, Options, Outcome, Record, Routing};

use crate::format::{ALL, Text};
use crate::net::{MoteWith, Net, Place};
use crate::network::config;
use crate::table::Mesh;

/// A network that is a type of this crate.
#[derive(Debug)]
struct House;

impl Network for House {
    type Routing = Kademlia<u16, 128>;
    type Wire = Text<ALL>;
}

/// Puts a record at one of twelve nodes and gets it at all of them.
fn puts_and_gets<N: Network<Routing: Routing<Address: Place>>>() {
    let mut net = Net::<MoteWith<N>>::grown(1, core::iter::repeat_n(config(), 12));
    net.run(core::time::Duration::from_secs(60));
    let address = <<N::Routing as Routing>::Address as Place>::nth;
    let (now, record) = (net.now, Record::plain(b"hello", b"world"));
    let query = net.node(address(3)).put(now, &record, &Options::default()).unwrap();
    net.wait(address(3), query, |result| assert!(matches!(result.outcome, Outcome::Stored { .. }), "{result:?}"));
    for n in 1..=12 {
        let now = net.now;
        let query = net.node(address(n)).get(now, record.key(), &Options::default()).unwrap();
        net.wait(address(n), query, |result| {
            let found = matches!(result.outcome, Outcome::Value { ref record, .. } if record.value == b"world");
            assert!(found, "at {n}: {result:?}");
        });
    }
}

#[test]
fn a_network_has_any_table_and_any_format() {
    puts_and_gets::<On<Mesh, Text<0>>>();
    puts_and_gets::<On<Mesh, Text<ALL>>>();
    puts_and_gets::<On<Mesh, Kadlet>>();
    puts_and_gets::<Mesh>();
}

#[test]
fn a_network_is_a_type_of_another_crate() {
    puts_and_gets::<House>();
}

#[test]
fn a_table_alone_is_a_network_with_kadlets_format() {
    fn speaks_kadlets_format<N: Network<Wire = Kadlet>>() {}
    speaks_kadlets_format::<Mesh>();
    speaks_kadlets_format::<Kademlia<u16, 128>>();
}
