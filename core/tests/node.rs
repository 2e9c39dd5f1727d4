//! Whole nodes, alone or in a small network: what a user of the library relies on. Each file in `node/` has one topic.
#![allow(unreachable_pub, reason = "the network is shared by test binaries")]

#[path = "node/amplification.rs"]
mod amplification;
#[path = "node/by_hand.rs"]
mod by_hand;
#[path = "node/commands.rs"]
mod commands;
#[path = "node/density.rs"]
mod density;
#[path = "node/field.rs"]
mod field;
#[path = "node/geometries.rs"]
mod geometries;
#[path = "node/hostile.rs"]
mod hostile;
#[path = "node/joining.rs"]
mod joining;
#[path = "node/limits.rs"]
mod limits;
#[path = "node/memory.rs"]
mod memory;
mod net;
#[path = "node/proofs.rs"]
mod proofs;
#[path = "node/quiet.rs"]
mod quiet;
#[path = "node/records.rs"]
mod records;
#[path = "node/recursive.rs"]
mod recursive;
#[path = "node/reflection.rs"]
mod reflection;
#[cfg(feature = "sealed")]
#[path = "node/sealed.rs"]
mod sealed;
#[path = "node/settings.rs"]
mod settings;
#[cfg(feature = "ed25519")]
#[path = "node/signed.rs"]
mod signed;
#[path = "node/timers.rs"]
mod timers;

use geometries::{get, once, put};
use kadlet::{Dht, Failure, Key, Outcome};
use net::{Net, config};

#[test]
fn a_node_alone_cannot_get_and_its_bootstrap_gets_no_response() {
    let mut net = Net::joined(7, 1, config());
    let now = net.now;
    assert_eq!(net.node(1).get(now, Key::plain(b"x"), &once()), Err(kadlet::GetError::NoContacts));
    let query = net.node(1).bootstrap(now, &[99]).unwrap().query;
    net.wait(1, query, |result| {
        assert!(matches!(result.outcome, Outcome::Failed(Failure::NoResponse)), "{:?}", result.outcome)
    });
}
