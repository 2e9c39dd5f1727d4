//! The tool as its users run it: the real binary on real loopback sockets.

// A test may panic.
#![allow(clippy::disallowed_methods)]

mod arguments;
#[cfg(unix)]
mod control;
mod metrics;
mod network;
mod node;
mod run;
mod settings;
#[cfg(target_os = "linux")]
mod streams;

use core::time::Duration;
use std::fs;
use std::net::UdpSocket;

use run::{file, kadlet, kadlet_reading};

#[test]
fn a_command_with_wrong_arguments_exits_with_2_and_a_reason() {
    for args in [
        "",
        "fly",
        "get key",
        "put value --bootstrap 127.0.0.1:1",
        "put k v --bootstrap nowhere",
        "node --listen 127.0.0.1:0 --network 65536",
    ] {
        let ended = kadlet(args);
        assert_eq!(ended.code, 2, "{args}: {ended:?}");
        assert!(!ended.err.is_empty() && ended.out.is_empty(), "{args}: {ended:?}");
        let ended = kadlet(&format!("--json {args}"));
        assert_eq!(ended.code, 2, "{args}: {ended:?}");
        assert!(!ended.err.is_empty() && ended.json()["error"].is_string(), "{args}: {ended:?}");
    }
}

#[test]
fn a_value_that_is_too_long_is_refused_before_anything_is_sent() {
    let bystander = UdpSocket::bind("127.0.0.1:0").unwrap();
    bystander.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let way = format!("--bootstrap {}", bystander.local_addr().unwrap());
    let (whole, long) = ("v".repeat(1_000), "v".repeat(1_001));
    let secret = file("long.key");
    let secret = secret.to_str().unwrap();
    assert_eq!(kadlet(&format!("keygen {secret}")).code, 0);
    for ended in [
        kadlet(&format!("put key {long} {way}")),
        kadlet(&format!("put {long} --immutable {way}")),
        kadlet_reading(&format!("put key - {way}"), long.as_bytes()),
        kadlet(&format!("put {whole} --sign {secret} --salt s {way}")),
        kadlet(&format!("put value --sign {secret} --salt {} {way}", "s".repeat(65))),
        kadlet(&format!("demo key {long}")),
    ] {
        assert_eq!(ended.code, 2, "{ended:?}");
        assert!(ended.err.contains("limit is 1000 bytes") || ended.err.contains("limit is 64 bytes"), "{ended:?}");
    }
    assert!(bystander.recv(&mut [0; 2_000]).is_err(), "something was sent");
}

#[test]
fn keygen_makes_a_secret_file_and_never_replaces_one() {
    let path = file("new.key");
    let ended = kadlet(&format!("keygen {}", path.display()));
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(ended.lines()[0].len(), 64, "{ended:?}");
    let secret = fs::read_to_string(&path).unwrap();
    assert_eq!(secret.trim().len(), 64);
    assert_ne!(secret.trim(), ended.lines()[0]);
    #[cfg(unix)]
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&path).unwrap().permissions()) & 0o777, 0o600);

    let again = kadlet(&format!("keygen {}", path.display()));
    assert_eq!(again.code, 2);
    assert!(again.err.contains("new.key"), "{again:?}");
    assert_eq!(fs::read_to_string(&path).unwrap(), secret);
}

#[test]
fn a_file_that_is_not_a_key_file_is_refused_by_name() {
    let path = file("no.key");
    fs::write(&path, "secret").unwrap();
    let ended = kadlet(&format!("put value --sign {} --bootstrap 127.0.0.1:1", path.display()));
    assert_eq!(ended.code, 2);
    assert!(ended.err.contains("no.key") && ended.err.contains("try:"), "{ended:?}");
}

#[test]
fn completions_and_the_manual_are_printed() {
    for args in ["completions bash", "completions zsh", "completions fish", "man", "man put"] {
        let ended = kadlet(args);
        assert!(ended.code == 0 && ended.out.len() > 500, "{args}: {ended:?}");
    }
    assert_eq!(kadlet("man fly").code, 2);
}

#[test]
fn every_geometry_puts_and_gets_and_refuses_the_state_of_another() {
    for geometry in ["kademlia", "chord", "pastry"] {
        for lookup in ["iterative", "recursive"] {
            let ended = kadlet(&format!("demo hello world --geometry {geometry} --lookup {lookup} --nodes 12"));
            assert!(ended.code == 0 && ended.lines().last() == Some(&"world"), "{geometry}, {lookup}: {ended:?}");
        }
    }
    let path = file("chord.state");
    run::Node::start(&format!("--geometry chord --state {}", path.display())).interrupt("INT");
    let other = kadlet(&format!("node --listen 127.0.0.1:0 --state {}", path.display()));
    assert!(other.code == 2 && other.err.contains("--geometry chord"), "{other:?}");
}
