//! A node's state file, signals and counters.

use core::time::Duration;
use std::fs;
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
    let remembered = |what: &str| fs::read_to_string(&path).is_ok_and(|text| text.contains(what));
    until("a change is written", Duration::from_secs(12), || remembered(&first.address) && remembered("76616c7565"));
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
    for damaged in [&whole[..whole.len() / 2], b"", b"not a state file at all\n{}"] {
        fs::write(&path, damaged).unwrap();
        let ended = kadlet(&format!("node --listen 127.0.0.1:0 {state}"));
        assert_eq!(ended.code, 2, "{ended:?}");
        assert!(ended.err.contains("damaged.state") && ended.out.is_empty(), "{ended:?}");
        assert_eq!(fs::read(&path).unwrap(), damaged);
    }
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
