//! A node's state file, signals and counters.

use core::net::SocketAddrV4;
use core::time::Duration;
use std::fs;
use std::path::Path;
use std::thread;

use crate::run::{Node, file, kadlet, until};

#[test]
fn a_killed_node_comes_back_with_its_id_its_network_and_its_records() {
    let first = Node::start("");
    let path = file("node.state");
    let state = format!("--state {}", path.display());
    let second = Node::start(&format!("{state} --bootstrap {}", first.address));
    let put = kadlet(&format!("put key value --json --bootstrap {}", second.address));
    assert_eq!(put.json()["stored"], 2, "{put:?}");
    let address: SocketAddrV4 = first.address.parse().unwrap();
    let encoded = [&address.ip().octets()[..], &address.port().to_be_bytes()].concat();
    until("a change is written", Duration::from_secs(12), || has(&path, &encoded) && has(&path, b"value"));
    let id = second.id.clone();
    second.kill();

    let second = Node::start(&state);
    assert_eq!(second.id, id);
    // A record that only the network holds is got through the node: it has joined again, without a bootstrap address.
    assert_eq!(kadlet(&format!("put more things --bootstrap {}", first.address)).code, 0);
    until("the node finds its network again", Duration::from_secs(10), || {
        let found = kadlet(&format!("find key --json --bootstrap {}", second.address));
        found.code == 0 && found.json()["nodes"].as_array().unwrap().len() == 2
    });
    let got = kadlet(&format!("get more --bootstrap {}", second.address));
    assert_eq!((got.code, &got.out[..]), (0, &b"things"[..]), "{got:?}");
    // The node still holds its own records.
    first.kill();
    let got = kadlet(&format!("get key --bootstrap {}", second.address));
    assert_eq!((got.code, &got.out[..]), (0, &b"value"[..]), "{got:?}");
}

#[test]
fn a_damaged_state_file_is_named_and_left_alone() {
    let path = file("damaged.state");
    let state = format!("--state {}", path.display());
    let node = Node::start(&state);
    let (status, _) = node.interrupt("TERM");
    assert!(status.success());
    let whole = fs::read(&path).unwrap();
    let mut flipped = whole.clone();
    flipped[10] ^= 1;
    for damaged in [&flipped[..], b"", b"not a state file at all\n{}", b"kadlet state 1 00\n{}"] {
        fs::write(&path, damaged).unwrap();
        let ended = kadlet(&format!("node --listen 127.0.0.1:0 {state}"));
        assert_eq!(ended.code, 2, "{ended:?}");
        assert!(ended.err.contains("damaged.state") && ended.out.is_empty(), "{ended:?}");
        assert_eq!(fs::read(&path).unwrap(), damaged);
    }
}

/// Whether a state file has these bytes.
fn has(path: &Path, what: &[u8]) -> bool {
    fs::read(path).is_ok_and(|file| file.windows(what.len()).any(|bytes| bytes == what))
}

#[test]
fn a_state_file_with_a_torn_end_is_read_up_to_there() {
    let path = file("torn.state");
    let state = format!("--state {}", path.display());
    let node = Node::start(&state);
    assert_eq!(kadlet(&format!("put key value --bootstrap {}", node.address)).code, 0);
    let id = node.id.clone();
    assert!(node.interrupt("TERM").0.success());
    let whole = fs::read(&path).unwrap();
    fs::write(&path, [&whole[..], &[200, 0, 1, 2, 3, 4, 5]].concat()).unwrap();
    let node = Node::start(&state);
    assert_eq!(node.id, id);
    let got = kadlet(&format!("get key --bootstrap {}", node.address));
    assert_eq!((got.code, &got.out[..]), (0, &b"value"[..]), "{got:?}");
}

/// Not even root can write there.
#[test]
#[cfg(target_os = "linux")]
fn a_node_whose_state_file_cannot_be_written_goes_on_with_a_warning() {
    let mut command = crate::run::command("node --listen 127.0.0.1:0 --state /sys/kadlet.state");
    let stderr = file("read-only.log");
    let node = Node::spawn(command.stderr(fs::File::create(&stderr).unwrap()));
    assert_eq!(kadlet(&format!("ping {}", node.address)).code, 0);
    let (status, _) = node.interrupt("TERM");
    assert!(status.success(), "{status}");
    let log = fs::read_to_string(stderr).unwrap();
    assert_eq!(log.matches("can't write the state file /sys/kadlet.state").count(), 1, "{log}");
}

/// As in a container, where the file is mounted: no other file can take its place.
#[test]
#[cfg(target_os = "linux")]
fn a_state_file_that_is_mounted_is_written_in_place() {
    use std::process::{Command, Stdio};

    let (path, source) = (file("mounted.state"), file("mounted.source"));
    let script = format!(
        "mount --bind {} {} && exec {} node --listen 127.0.0.1:0 --state {1}",
        source.display(),
        path.display(),
        env!("CARGO_BIN_EXE_kadlet"),
    );
    // A file for the mount, and one to be mounted: the state of a node, so that it is one.
    let first = Node::start(&format!("--state {}", source.display()));
    let id = first.id.clone();
    assert!(first.interrupt("TERM").0.success());
    fs::write(&path, b"").unwrap();
    let unshare = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(["--mount", "--map-root-user", "sh", "-c", script]);
        command
    };
    if !unshare("true").stderr(Stdio::null()).status().is_ok_and(|status| status.success()) {
        eprintln!("left out: no namespaces for mounts here");
        return;
    }
    let node = Node::spawn(unshare(&script).stderr(Stdio::null()));
    assert_eq!(node.id, id);
    assert_eq!(kadlet(&format!("put key value --bootstrap {}", node.address)).code, 0);
    let (status, _) = node.interrupt("TERM");
    assert!(status.success(), "{status}");
    assert!(has(&source, b"value"));
    assert_eq!(fs::read(&path).unwrap(), b"");
}

#[test]
fn a_state_file_that_cannot_be_written_is_reported_at_the_start() {
    let path = file("no").join("such").join("folder");
    let ended = kadlet(&format!("node --listen 127.0.0.1:0 --state {}", path.display()));
    assert!(ended.code == 2 && ended.err.contains("folder"), "{ended:?}");
}

#[test]
fn an_interrupted_node_exits_with_0_and_prints_its_counters() {
    for signal in ["INT", "TERM"] {
        let node = Node::start("--json");
        assert_eq!(kadlet(&format!("ping {}", node.address)).code, 0);
        let (status, lines) = node.interrupt(signal);
        assert!(status.success(), "{signal}: {status}");
        let stats: serde_json::Value = serde_json::from_str(lines.last().unwrap()).unwrap();
        assert_eq!(stats["responses_sent"], 1, "{stats}");
    }
}

#[test]
fn a_node_prints_its_counters_every_ten_seconds_and_skips_those_that_it_slept_through() {
    let node = Node::start("--json");
    node.signal("STOP");
    thread::sleep(Duration::from_secs(31));
    node.signal("CONT");
    let stats: serde_json::Value = serde_json::from_str(&node.line()).unwrap();
    assert_eq!(stats["received"], 0);
    let next = node.line_within(Duration::from_secs(5));
    assert!(next.is_none(), "a line that was missed: {next:?}");
}

#[test]
fn a_hangup_saves_the_state_as_an_interrupt_does() {
    let path = file("hangup.state");
    let state = format!("--state {}", path.display());
    let node = Node::start(&state);
    assert_eq!(kadlet(&format!("put key value --bootstrap {}", node.address)).code, 0);
    let (status, _) = node.interrupt("HUP");
    assert!(status.success(), "{status}");
    let node = Node::start(&state);
    let got = kadlet(&format!("get key --bootstrap {}", node.address));
    assert_eq!((got.code, &got.out[..]), (0, &b"value"[..]), "{got:?}");
}

/// Where SIGHUP is ignored from the start, as `nohup` does, it stays ignored.
#[test]
#[cfg(target_os = "linux")]
fn a_node_under_nohup_outlives_a_hangup() {
    use std::process::{Command, Stdio};

    let script = format!("trap '' HUP; exec {} node --listen 127.0.0.1:0", env!("CARGO_BIN_EXE_kadlet"));
    let node = Node::spawn(Command::new("sh").arg("-c").arg(script).stderr(Stdio::null()));
    node.signal("HUP");
    thread::sleep(Duration::from_millis(200));
    assert_eq!(kadlet(&format!("ping {}", node.address)).code, 0);
    assert!(node.interrupt("TERM").0.success());
}
