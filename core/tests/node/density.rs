//! What a node does with lookups whose nodes are not spaced as elsewhere in the network.

use core::time::Duration;

use kadlet::{Dht, Id, Key, Node, Store};

use crate::geometries::{once, put};
use crate::net::{Net, config};

/// How many nodes responded to a get of a record that nobody has.
fn responded_in_vain(net: &mut Net, at: u16, name: &[u8]) -> u16 {
    let now = net.now;
    let query = net.node(at).get(now, Key::plain(name), &once()).unwrap();
    net.wait(at, query, |result| result.stats.responded)
}

#[test]
fn a_get_in_vain_asks_three_times_k_nodes_until_the_density_of_the_network_is_known() {
    let mut net = Net::joined(11, 60, config());
    let newcomer = net.join(config());
    assert!(responded_in_vain(&mut net, newcomer, b"nothing") >= 24);
    net.run(Duration::from_secs(60));
    let wide = (0..20_u8).filter(|n| responded_in_vain(&mut net, newcomer, &[*n]) >= 24).count();
    assert!(wide <= 6, "{wide} of 20");
}

#[test]
fn a_record_is_also_stored_behind_nodes_that_gather_around_its_key() {
    let mut net = Net::joined(12, 60, config());
    net.run(Duration::from_secs(60));
    let key = Key::plain(b"hello");
    let mut honest = net.living();
    honest.sort_by_key(|at| net.node(*at).id().xor(&key.id));
    for n in 0..10_u8 {
        let mut near = *key.id.as_bytes();
        near[10] ^= 1 + n;
        let seed = net.random.bytes();
        let address = net.add(|now, _, _| Box::new(Node::new(now, config(), Id::from_bytes(near), seed).unwrap()));
        let now = net.now;
        let query = net.node(address).bootstrap(now, &[1]).unwrap().query;
        net.wait(address, query, |_| ());
    }
    put(&mut net, honest[40], b"hello", b"world", &once());
    let holding = honest[..4].iter().filter(|at| net.node(**at).store().find(&key).is_some()).count();
    assert_eq!(holding, 4, "those that would be responsible otherwise");
}
