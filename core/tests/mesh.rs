//! A fourth geometry, written outside the crate through its public traits alone: a full mesh, in which every node knows
//! every other and each lookup takes one hop.
#![allow(unreachable_pub, reason = "the network is shared by test binaries")]

mod net;
#[path = "mesh/table.rs"]
mod table;

use core::time::Duration;

use kadlet::{Dht, Key, Options, Outcome, Record};
use net::{MoteWith, Net, config};
use table::Mesh;

#[test]
fn a_geometry_from_outside_the_crate_puts_and_gets() {
    let mut net = Net::<MoteWith<Mesh>>::grown(1, core::iter::repeat_n(config(), 20));
    net.run(Duration::from_secs(180));
    let now = net.now;
    let query = net.node(3).put(now, &Record::plain(b"hello", b"world"), &Options::default()).unwrap();
    net.wait(3, query, |result| assert!(matches!(result.outcome, Outcome::Stored { .. }), "{:?}", result.outcome));
    for at in 1..=20 {
        let now = net.now;
        let query = net.node(at).get(now, Key::plain(b"hello"), &Options::default()).unwrap();
        net.wait(at, query, |result| {
            assert!(
                matches!(result.outcome, Outcome::Value { ref record, .. } if record.value == b"world"),
                "at {at}: {:?}",
                result.outcome
            );
            assert!(result.stats.depth <= 1, "{:?}", result.stats);
        });
    }
}
