//! Arguments at the ends of their ranges, and JSON whatever becomes of a command.

use serde_json::Value;

use crate::run::{Node, file, kadlet};

const MOST: u64 = u64::MAX;

#[test]
fn no_number_makes_a_command_panic() {
    let node = Node::start("");
    let way = format!("--bootstrap {}", node.address);
    let secret = file("extreme.key");
    let secret = secret.to_str().unwrap();
    assert_eq!(kadlet(&format!("keygen {secret}")).code, 0);
    for limit in [MOST.to_string(), "366d".into(), "99999999999y".into(), "0".into(), "-1".into()] {
        for args in [
            format!("get key {way}"),
            format!("put key value {way}"),
            format!("find key {way}"),
            format!("ping {}", node.address),
            "node --listen 127.0.0.1:0".to_owned(),
            "demo key value --nodes 2".to_owned(),
        ] {
            let ended = kadlet(&format!("{args} --timeout={limit}"));
            assert_eq!(ended.code, 2, "{args} --timeout={limit}: {ended:?}");
        }
    }
    for (args, code) in [
        (format!("get key {way} --timeout 1ns"), 3),
        (format!("find key {way} --timeout 365d"), 0),
        (format!("ping {} --timeout 365d", node.address), 0),
        ("demo key value --nodes 2 --timeout 365d".to_owned(), 0),
        (format!("put key value {way} --ttl {MOST}"), 2),
        (format!("put key value {way} --ttl {}", u32::MAX), 0),
        (format!("put key value {way} --ttl 1s"), 0),
        (format!("put value --sign {secret} {way} --seq 0"), 0),
        (format!("put value --sign {secret} {way} --seq {MOST}"), 0),
        // No record can replace that one.
        (format!("put other --sign {secret} {way}"), 2),
        (format!("put other --sign {secret} {way} --cas {MOST}"), 2),
        (format!("put other --sign {secret} {way} --seq {} --cas {MOST}", MOST - 1), 3),
        (format!("put value --sign /dev/zero {way}"), 2),
        (format!("ping {} --network {}", node.address, u16::MAX), 3),
    ] {
        let ended = kadlet(&format!("{args} --json"));
        assert_eq!(ended.code, code, "{args}: {ended:?}");
        assert_eq!(ended.json()["error"].is_string(), code != 0, "{args}: {ended:?}");
    }
}

#[test]
fn a_key_or_value_that_begins_with_a_dash_goes_behind_two_dashes() {
    let node = Node::start("");
    let way = format!("--bootstrap {}", node.address);
    for (key, value) in [("key", "value"), ("-key", "--value"), ("--json", "-1")] {
        let put = kadlet(&format!("put {way} -- {key} {value}"));
        assert_eq!(put.code, 0, "{put:?}");
        let got = kadlet(&format!("get {way} -- {key}"));
        assert_eq!((got.code, &got.out[..]), (0, value.as_bytes()), "{got:?}");
        assert_eq!(kadlet(&format!("find {way} -- {key}")).code, 0);
    }
    assert_eq!(kadlet(&format!("put --immutable {way} -- -value")).code, 0);
    for args in ["get -key", "find -key", "put -key value", "put key -value", "demo -key value"] {
        let ended = kadlet(&format!("{args} --json"));
        assert_eq!(ended.code, 2, "{args}: {ended:?}");
        assert!(ended.err.contains("after all options and `--`"), "{args}: {ended:?}");
    }
}

#[test]
fn every_command_prints_json_whether_it_fails_or_not() {
    let node = Node::start("--json");
    let way = format!("--bootstrap {}", node.address);
    let secret = file("json.key");
    let secret = secret.to_str().unwrap();
    let good = [
        format!("keygen {secret}"),
        format!("put key value {way}"),
        format!("put value --sign {secret} {way}"),
        format!("get key {way}"),
        format!("find key {way}"),
        format!("ping {}", node.address),
        "demo key value --nodes 2".to_owned(),
        "completions zsh".to_owned(),
        "man put".to_owned(),
        "help put".to_owned(),
    ];
    let used = format!("node --listen {}", node.address);
    let bad = [
        format!("keygen {secret}"),
        "put key value --bootstrap 127.0.0.1:1 --timeout 500ms".to_owned(),
        "put value --immutable --bootstrap 127.0.0.1:1 --timeout 500ms".to_owned(),
        format!("put value --sign /no/such/file {way}"),
        format!("get nothing {way}"),
        "find key --bootstrap 127.0.0.1:1 --timeout 500ms".to_owned(),
        "ping 127.0.0.1:1 --timeout 500ms".to_owned(),
        "ping no.such.name.invalid:1 --timeout 500ms".to_owned(),
        format!("demo key value --listen {}", node.address),
        "demo key value --nodes 1".to_owned(),
        "completions no-such-shell".to_owned(),
        "man no-such-command".to_owned(),
        "help no-such-command".to_owned(),
        "no-such-command".to_owned(),
        String::new(),
        used,
        "node --listen 127.0.0.1:0 --state /no/such/folder/state".to_owned(),
    ];
    for (all, fails) in [(&good[..], false), (&bad[..], true)] {
        for args in all {
            let ended = kadlet(&format!("--json {args}"));
            assert_eq!(ended.code != 0, fails, "{args}: {ended:?}");
            let lines: Result<Vec<Value>, _> = ended.lines().iter().map(|line| serde_json::from_str(line)).collect();
            let last = lines.unwrap_or_else(|error| panic!("{args}: {error}: {ended:?}")).pop().unwrap();
            assert!(last.is_object() && last["error"].is_string() == fails, "{args}: {ended:?}");
        }
    }
    let (_, lines) = node.interrupt("TERM");
    assert!(lines.iter().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{lines:?}");
}

#[test]
#[cfg(target_os = "linux")]
fn a_key_file_whose_name_is_not_unicode_has_a_json_object_too() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::process::Stdio;

    use crate::run::{command, run};

    let path = file("name").with_file_name(OsStr::from_bytes(b"\xff\xfe.key"));
    let ended = run(command("keygen --json").arg(&path).stdout(Stdio::piped()).stderr(Stdio::piped()), b"");
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(ended.json()["public_key"].as_str().unwrap().len(), 64);
    assert!(ended.json()["file"].as_str().unwrap().ends_with("\u{FFFD}\u{FFFD}.key"), "{ended:?}");
}

#[test]
fn a_bootstrap_name_that_does_not_exist_keeps_no_command_from_working() {
    let node = Node::start("");
    let way = format!("--bootstrap no.such.name.invalid:4000 --bootstrap {}", node.address);
    for args in [format!("put key value {way}"), format!("get key {way}"), format!("find key {way}")] {
        let ended = kadlet(&args);
        assert_eq!(ended.code, 0, "{args}: {ended:?}");
    }
    let path = file("named.state");
    let state = format!("--state {}", path.display());
    let second = Node::start(&format!("{way} {state}"));
    crate::network::knows(&second.address, 2);
    assert!(second.interrupt("TERM").0.success());
    // The state file has a contact: that is enough.
    let second = Node::start(&format!("--bootstrap no.such.name.invalid:4000 {state}"));
    crate::network::knows(&second.address, 2);
    // Without any, the node can't begin.
    let ended = kadlet("node --listen 127.0.0.1:0 --bootstrap no.such.name.invalid:4000");
    assert!(ended.code == 3 && ended.err.contains("no.such.name.invalid:4000"), "{ended:?}");
}

#[test]
fn more_bootstrap_addresses_than_fit_are_left_out_with_a_warning() {
    let node = Node::start("");
    let many: Vec<_> = (1..=40).map(|port| format!("127.0.0.1:{port}")).collect();
    let args = format!("find key --bootstrap {} --bootstrap {}", node.address, many.join(","));
    let ended = kadlet(&args);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.err.contains("41 bootstrap addresses: only 16 of them are used"), "{ended:?}");
}
