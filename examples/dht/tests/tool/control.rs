//! A node's control socket: what it says and does, who reaches it, and what it withstands.

use core::time::Duration;
use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;

use crate::run::{Ended, Node, command, file, kadlet, run, until};

/// A runtime folder that only one test uses.
struct Home(PathBuf);

impl Home {
    fn new(name: &str) -> Self {
        let folder = file(name);
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn node(&self, args: &str) -> Node {
        let args = format!("node --listen 127.0.0.1:0 {args}");
        Node::spawn(command(&args).env("XDG_RUNTIME_DIR", &self.0).stderr(Stdio::null()))
    }

    /// Runs a command to its end.
    fn kadlet(&self, args: &str) -> Ended {
        run(command(args).env("XDG_RUNTIME_DIR", &self.0).stdout(Stdio::piped()).stderr(Stdio::piped()), b"")
    }

    fn socket(&self, node: &Node) -> PathBuf {
        self.0.join("kadlet").join(format!("{}.sock", node.address))
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_node_is_inspected_and_told_things_over_its_control_socket() {
    let home = Home::new("ctl");
    let other = Node::start("");
    let node = home.node(&format!("--bootstrap {}", other.address));
    until("the node has joined", Duration::from_secs(10), || {
        home.kadlet("ctl status --json").json()["verified_contacts"] == 1
    });
    let status = home.kadlet("ctl status --json").json();
    assert_eq!((&status["id"], &status["address"]), (&node.id.clone().into(), &node.address.clone().into()));
    assert!(status["received"].as_u64() > Some(0) && status["uptime_seconds"].is_u64(), "{status}");
    let text = home.kadlet("ctl status");
    assert!(text.lines().contains(&&*format!("id                  {}", node.id)), "{text:?}");
    let peers = home.kadlet("ctl peers --json").json();
    assert_eq!((&peers["peers"][0]["id"], &peers["peers"][0]["state"]), (&other.id.clone().into(), &"verified".into()));

    let put = home.kadlet("ctl publish key value --json");
    assert_eq!((put.code, &put.json()["published"], &put.json()["stored"]), (0, &true.into(), &1.into()), "{put:?}");
    let records = home.kadlet("ctl records --json").json();
    assert_eq!((&records["records"][0]["id"], &records["records"][0]["published"]), (&put.json()["id"], &true.into()));
    for args in ["ctl get key", "get key"] {
        let got = home.kadlet(args);
        assert_eq!((got.code, &got.out[..]), (0, &b"value"[..]), "{got:?}");
    }
    let got = kadlet(&format!("get key --bootstrap {}", other.address));
    assert_eq!(got.out, b"value", "{got:?}");
    let found = home.kadlet("ctl find key");
    assert!(found.lines()[0].starts_with("DISTANCE") && found.lines()[1].ends_with(&other.id), "{found:?}");

    let unpublished = home.kadlet("ctl unpublish key --json");
    assert_eq!((unpublished.code, &unpublished.json()["unpublished"]), (0, &true.into()), "{unpublished:?}");
    let again = home.kadlet("ctl unpublish key --json");
    assert_eq!((again.code, &again.json()["unpublished"]), (1, &false.into()), "{again:?}");
    assert_eq!(home.kadlet("ctl records --json").json()["records"][0]["published"], false);
    let missing = home.kadlet("ctl get nothing --json");
    assert_eq!((missing.code, &missing.json()["found"]), (1, &false.into()), "{missing:?}");

    let socket = home.socket(&node);
    let ended = home.kadlet("ctl shutdown");
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(!socket.exists());
    assert!(node.ended().success());
    let nobody = home.kadlet("ctl status --json");
    assert!(nobody.code == 2 && nobody.json()["tip"].is_string(), "{nobody:?}");
}

#[test]
fn a_value_that_a_lone_node_publishes_goes_to_those_that_come_later_also_after_a_restart() {
    let home = Home::new("keep");
    let state = format!("--state {}", file("keep.state").display());
    let node = home.node(&state);
    assert_eq!(home.kadlet("ctl publish key value").code, 0);
    assert!(node.interrupt("TERM").0.success());

    let node = home.node(&state);
    assert_eq!(home.kadlet("ctl records --json").json()["records"][0]["published"], true);
    let home = Home::new("later");
    let _later = home.node(&format!("--bootstrap {}", node.address));
    until("the other node has the record", Duration::from_secs(60), || {
        home.kadlet("ctl records --json").json()["records"].as_array().is_some_and(|records| records.len() == 1)
    });
}

#[test]
fn records_of_all_kinds_are_published() {
    let home = Home::new("kinds");
    let _node = home.node("--network 7");
    let secret = file("published.key");
    let secret = secret.to_str().unwrap();
    let public = kadlet(&format!("keygen {secret}")).lines()[0].to_owned();
    let put = home.kadlet("ctl publish value --immutable");
    assert_eq!(put.code, 0, "{put:?}");
    let got = home.kadlet(&format!("ctl get --id {}", put.lines()[0]));
    assert_eq!(got.out, b"value", "{got:?}");
    for (value, sequence) in [("first", 1 << 40), ("second", (1_u64 << 40) + 1)] {
        let more = if value == "first" { format!("--seq {sequence}") } else { String::new() };
        let put = home.kadlet(&format!("ctl publish {value} --sign {secret} --json {more}"));
        assert_eq!((put.code, put.json()["sequence"].as_u64()), (0, Some(sequence)), "{put:?}");
        let got = home.kadlet(&format!("ctl get --public-key {public}"));
        assert_eq!(got.out, value.as_bytes(), "{got:?}");
    }
}

#[test]
fn without_bootstrap_a_command_goes_through_a_node_of_its_network_here_and_says_so() {
    let home = Home::new("through");
    let (_other, node) = (home.node("--network 7"), home.node(""));
    let put = home.kadlet("put key value -v");
    assert_eq!(put.code, 0, "{put:?}");
    assert!(put.err.contains(&format!("through the node {} of this machine", node.address)), "{put:?}");
    let got = home.kadlet("get key -v");
    assert_eq!((got.code, &got.out[..]), (0, &b"value"[..]), "{got:?}");
    assert!(got.err.contains("found at the node itself"), "{got:?}");
    // That node is alone, and doesn't have it.
    assert_eq!(home.kadlet("get key --network 7").code, 3);
    let pong = home.kadlet("ping");
    assert!(pong.code == 0 && pong.lines()[0].contains(&node.id), "{pong:?}");

    for args in ["get key --network 8", "get key --listen 127.0.0.1:0", "get key --timeout 11m"] {
        let refused = home.kadlet(args);
        assert!(refused.code == 2 && refused.out.is_empty(), "{args}: {refused:?}");
    }
    // There are two nodes, and none of them is meant.
    let status = home.kadlet("ctl status");
    assert!(status.code == 2 && status.err.contains("2 nodes run here"), "{status:?}");
    let status = home.kadlet(&format!("ctl status --json --control {}", home.socket(&node).display()));
    assert_eq!(status.json()["id"], node.id, "{status:?}");
}

#[test]
fn nobody_but_its_user_reaches_a_control_socket() {
    let home = Home::new("own");
    let node = home.node("");
    assert_eq!(mode(&home.socket(&node)), 0o600);
    assert_eq!(mode(&home.0.join("kadlet")), 0o700);
    assert!(home.node("--no-control").address != node.address);
    assert_eq!(home.kadlet("ctl status --json").json()["id"], node.id);

    // A folder that others can use is not trusted. The node goes on without a socket, and says so.
    let home = Home::new("others");
    let folder = home.0.join("kadlet");
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
    let log = file("others.log");
    let mut command = command("node --listen 127.0.0.1:0");
    let command = command.env("XDG_RUNTIME_DIR", &home.0).stderr(fs::File::create(&log).unwrap());
    let node = Node::spawn(command);
    assert_eq!(kadlet(&format!("ping {}", node.address)).code, 0);
    let log = fs::read_to_string(log).unwrap();
    assert!(log.contains("no control socket") && log.contains("mode 700"), "{log}");
    assert_eq!(fs::read_dir(folder).unwrap().count(), 0);
}

#[test]
fn a_control_socket_is_taken_from_nobody_that_runs_and_replaced_when_its_node_was_killed() {
    let home = Home::new("taken");
    let path = home.0.join("ctl.sock");
    let control = format!("--control {}", path.display());
    let node = home.node(&control);
    let second = home.kadlet(&format!("node --listen 127.0.0.1:0 {control}"));
    assert!(second.code == 2 && second.err.contains("ctl.sock"), "{second:?}");
    node.kill();
    assert!(path.exists());
    let node = home.node(&control);
    assert_eq!(home.kadlet(&format!("ctl status --json {control}")).json()["id"], node.id);
    assert!(node.interrupt("TERM").0.success());
    assert!(!path.exists());

    fs::write(&path, "a file of the user").unwrap();
    assert_eq!(home.kadlet(&format!("node --listen 127.0.0.1:0 {control}")).code, 2);
    assert_eq!(fs::read(&path).unwrap(), b"a file of the user");
}

#[test]
fn hostile_input_at_a_control_socket_neither_ends_nor_blocks_the_node() {
    let home = Home::new("hostile");
    let node = home.node("");
    let connect = || {
        let stream = UnixStream::connect(home.socket(&node)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    };
    let deep = "[".repeat(8_000);
    let long = "x".repeat(100_000);
    let id = "0".repeat(40);
    let huge = format!(
        r#"{{"command":"put","record":{{"kind":"plain","id":"{id}","value":"{}"}},"lifetime_seconds":60,"compare":null,
        "publish":true,"call":{{"timeout_ms":100,"recursive":false}}}}"#,
        "00".repeat(1_001)
    )
    .replace('\n', "");
    let far =
        format!(r#"{{"command":"find","id":"{id}","call":{{"timeout_ms":18446744073709551615,"recursive":false}}}}"#);
    for line in [
        "",
        "no request",
        "\0\u{fffd}",
        "{}",
        r#"{"command":"fly"}"#,
        r#"{"command":"status","more":1}"#,
        r#"{"command":"find","id":"zz","call":{"timeout_ms":1,"recursive":false}}"#,
        r#"{"command":"find","id":"","call":{"timeout_ms":-1,"recursive":0}}"#,
        &deep,
        &long,
        &huge,
        &far,
    ] {
        let mut stream = connect();
        // The node may have closed the connection before it has all of a long line.
        let _ = stream.write_all(format!("{line}\n").as_bytes());
        let mut reply = String::new();
        if BufReader::new(&stream).read_line(&mut reply).is_ok() {
            let reply: Value = serde_json::from_str(&reply).unwrap_or_else(|error| panic!("{line}: {error}: {reply}"));
            assert!(reply["failed"]["what"].is_string(), "{line}: {reply}");
        } else {
            assert!(line.len() > 8_192, "{line}");
        }
    }
    assert_eq!(home.kadlet("ctl status --json").json()["records"], 0);

    // Many that say nothing, and some that don't read: no further one gets a thread, and the node goes on.
    let silent: Vec<_> = (0..8).map(|_| connect()).collect();
    let mut reply = String::new();
    BufReader::new(connect()).read_line(&mut reply).unwrap();
    assert!(reply.contains("8 connections"), "{reply}");
    assert_eq!(kadlet(&format!("ping {}", node.address)).code, 0);
    assert_eq!(kadlet(&format!("put key value --bootstrap {}", node.address)).code, 0);
    // Nobody waits for them for long.
    until("the silent ones are closed", Duration::from_secs(20), || home.kadlet("ctl status").code == 0);
    drop(silent);
}
