//! Puts and gets values through nodes in other processes.

use core::net::SocketAddr;
use core::time::Duration;
use std::fs;

use kadlet::record::Proof;
use kadlet::{Config, Dht, FixedStore, Instant, Kademlia, Record};
use kadlet_udp::Server;

use crate::run::{Node, file, kadlet, kadlet_reading, loopback, until};

/// Three nodes that know each other.
fn three(args: &str) -> [Node; 3] {
    let first = Node::start(args);
    let join = format!("{args} --bootstrap {}", first.address);
    let nodes = [Node::start(&join), Node::start(&join)];
    let [second, third] = nodes;
    let nodes = [first, second, third];
    nodes.iter().for_each(|node| knows(&node.address, 3));
    nodes
}

/// Waits until a lookup through the node at this address finds this many nodes.
pub(crate) fn knows(address: &str, nodes: usize) {
    until("the nodes find each other", Duration::from_secs(10), || {
        let found = kadlet(&format!("find key --json --timeout 2 --bootstrap {address}"));
        found.code == 0 && found.json()["nodes"].as_array().unwrap().len() == nodes
    });
}

#[test]
fn a_value_put_through_one_node_is_got_through_another() {
    let [first, second, third] = three("");
    let value = b"bytes, not text: \0\xff\r\n";
    let put = kadlet_reading(&format!("put key - --json --bootstrap {}", first.address), value);
    assert_eq!(put.code, 0, "{put:?}");
    let json = put.json();
    assert_eq!(json["stored"], 3, "{json}");
    assert_eq!(json["holders"].as_array().unwrap().len(), 3, "{json}");
    assert_eq!(json["timed_out"], 0, "{json}");
    assert!(put.err.contains("stored at 3 of 3 nodes"), "{put:?}");

    for node in [&second, &third] {
        let got = kadlet(&format!("get key --bootstrap {}", node.address));
        assert_eq!((got.code, &got.out[..]), (0, &value[..]), "{got:?}");
    }
    let got = kadlet(&format!("get key -v --json --bootstrap {}", third.address));
    assert_eq!(got.json()["found"], true, "{got:?}");
    assert_eq!(got.json()["value"], "62797465732c206e6f7420746578743a2000ff0d0a");
    assert_eq!(got.json()["id"], json["id"]);
    assert!(got.err.contains("round 1"), "{got:?}");

    // Holders die, and one is left.
    drop((first, second));
    let got = kadlet(&format!("get key --bootstrap {}", third.address));
    assert_eq!((got.code, &got.out[..]), (0, &value[..]), "{got:?}");
}

#[test]
fn a_record_that_no_node_holds_is_not_found_within_seconds_and_with_the_reason() {
    let [_first, second, _third] = three("");
    for args in ["get nothing", "get --id 0011223344556677889900112233445566778899"] {
        let got = kadlet(&format!("{args} --bootstrap {}", second.address));
        assert_eq!(got.code, 1, "{got:?}");
        assert!(got.took < Duration::from_secs(5), "{got:?}");
        assert!(got.out.is_empty() && got.err.contains("3 responded") && got.err.contains("try:"), "{got:?}");
    }
    let got = kadlet(&format!("get nothing --json --bootstrap {}", second.address));
    assert_eq!(got.code, 1, "{got:?}");
    let json = got.json();
    assert_eq!(json["found"], false);
    for key in ["id", "value", "asked", "responded", "timed_out", "refused", "closest"] {
        assert!(json.get(key).is_some(), "{key} in {json}");
    }
}

/// The option with which a node is reached that listens on all addresses.
fn way(node: &Node) -> String {
    format!("--bootstrap 127.0.0.1:{}", node.address.rsplit_once(':').unwrap().1)
}

#[test]
fn a_node_at_other_than_loopback_and_private_addresses_stores_plain_records_only_if_told_or_sealed() {
    let path = file("plain-network.key");
    let _ = fs::remove_file(&path);
    assert_eq!(kadlet(&format!("keygen --network {}", path.display())).code, 0);
    let sealed = format!("--network-key {}", path.display());
    for (listen, args, more, code) in [
        ("0.0.0.0:0", "", "", 3),
        ("0.0.0.0:0", "--plain", "", 0),
        ("0.0.0.0:0", &sealed, &sealed, 0),
        ("127.0.0.1:0", "", "", 0),
    ] {
        let node = Node::listen(listen, args);
        let put = kadlet(&format!("put key value {} {more}", way(&node)));
        assert_eq!(put.code, code, "{listen} {args}: {put:?}");
        assert!(code == 0 || put.err.contains("--plain"), "{put:?}");
    }
}

#[test]
fn a_node_without_plain_records_stores_immutable_and_signed_ones() {
    let node = Node::listen("0.0.0.0:0", "");
    let way = way(&node);
    let put = kadlet(&format!("put key value {way}"));
    assert_eq!(put.code, 3, "{put:?}");

    let put = kadlet(&format!("put value --immutable {way}"));
    assert_eq!(put.code, 0, "{put:?}");
    let got = kadlet(&format!("get --id {} {way}", put.lines()[0]));
    assert_eq!((got.code, &got.out[..]), (0, &b"value"[..]), "{got:?}");

    let path = file("signed.key");
    let secret = path.to_str().unwrap();
    let public = kadlet(&format!("keygen {secret}"));
    let public = public.lines()[0];
    let put = |value: &str, more: &str| kadlet(&format!("put {value} --sign {secret} --salt text --json {more} {way}"));
    let get = || kadlet(&format!("get --public-key {public} --salt text --json {way}")).json();
    let missing = put("first", "--seq 5 --cas 4");
    assert!(missing.code == 3 && missing.err.contains("no record with a sequence number above 0"), "{missing:?}");
    assert_eq!(put("first", "--seq 5").json()["sequence"], 5);
    assert_eq!(get()["value"], hex(b"first"));
    let conflict = put("second", "--seq 7 --cas 6");
    assert_eq!(conflict.code, 3, "{conflict:?}");
    assert!(conflict.err.contains("sequence number 5"), "{conflict:?}");
    assert_eq!(put("second", "--seq 7 --cas 5").code, 0);
    assert_eq!(get()["value"], hex(b"second"));
    assert_ne!(put("older", "--seq 6").code, 0);
    // Without a given number, the last put wins.
    for value in ["third", "fourth"] {
        assert_eq!(put(value, "").code, 0);
        assert_eq!(get()["value"], hex(value.as_bytes()));
    }
    assert_eq!(kadlet(&format!("get --public-key {public} --salt other {way}")).code, 1);
}

#[test]
fn a_ping_prints_the_id_of_a_live_node_and_fails_at_a_dead_one() {
    let node = Node::listen(loopback(), "");
    let pong = kadlet(&format!("ping {}", node.address));
    assert!(pong.code == 0 && pong.lines()[0].contains(&node.id), "{pong:?}");
    let json = kadlet(&format!("ping {} --json", node.address)).json();
    assert_eq!((json["id"].as_str(), json["address"].as_str()), (Some(&*node.id), Some(&*node.address)));
    let address = node.address.clone();
    node.kill();
    let silence = kadlet(&format!("ping {address} --timeout 2s"));
    assert!(silence.code == 3 && silence.err.contains("try:"), "{silence:?}");
}

#[test]
fn nodes_of_different_networks_ignore_each_other() {
    let node = Node::start("--network 7");
    let way = format!("--bootstrap {} --timeout 4", node.address);
    let put = kadlet(&format!("put key value {way}"));
    assert_eq!(put.code, 3, "{put:?}");
    assert!(put.err.contains("--network"), "{put:?}");
    assert_eq!(kadlet(&format!("put key value {way} --network 7")).code, 0);
}

#[test]
fn a_command_that_reaches_no_node_prints_a_json_object_with_zero_counts() {
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let way = format!("--json --timeout 500ms --bootstrap {}", silent.local_addr().unwrap());
    let path = file("silent.key");
    let secret = path.to_str().unwrap();
    assert_eq!(kadlet(&format!("keygen {secret}")).code, 0);
    let check = |args: &str, keys: &[(&str, serde_json::Value)]| {
        let ended = kadlet(&format!("{args} {way}"));
        assert!(ended.code == 3 && ended.lines().len() == 1 && ended.err.contains("try:"), "{args}: {ended:?}");
        let json = ended.json();
        assert_eq!(json["id"].as_str().unwrap().len(), 40, "{json}");
        for key in ["asked", "responded", "timed_out", "refused", "hops"] {
            assert_eq!(json[key], 0, "{json}");
        }
        for key in ["relayed", "fell_back"] {
            assert_eq!(json[key], false, "{json}");
        }
        for (key, value) in keys {
            assert_eq!(json[key], *value, "{json}");
        }
        for (key, text) in [("error", "kadlet: "), ("tip", "try: ")] {
            assert!(ended.err.contains(&format!("{text}{}", json[key].as_str().unwrap())), "{json}");
        }
    };
    check(
        "get key",
        &[("found", false.into()), ("value", serde_json::Value::Null), ("closest", serde_json::Value::Null)],
    );
    check("find key", &[("nodes", serde_json::json!([]))]);
    for put in ["put key value".to_owned(), "put value --immutable".to_owned(), format!("put value --sign {secret}")] {
        check(&put, &[("stored", 0.into()), ("holders", serde_json::json!([]))]);
    }

    let wrong = kadlet("get key --json --listen 127.0.0.1:0 --bootstrap [::1]:1");
    assert!(wrong.code == 2 && wrong.json()["error"].is_string(), "{wrong:?}");
}

#[test]
fn a_put_tells_that_nodes_hold_the_record_for_less_time_than_asked() {
    let [first, ..] = three("");
    let put = kadlet(&format!("put name value --ttl 100000h --json --bootstrap {}", first.address));
    assert_eq!((put.code, put.json()["lifetime_seconds"].as_u64()), (0, Some(86_400)), "{put:?}");
    assert!(put.err.contains("for 86400s only, not for 360000000s"), "{put:?}");
    let put = kadlet(&format!("put other value --ttl 1h --json --bootstrap {}", first.address));
    assert_eq!(put.json()["lifetime_seconds"].as_u64(), Some(3_600), "{put:?}");
    assert!(!put.err.contains("only"), "{put:?}");
}

#[test]
fn a_put_names_the_newer_record_that_some_nodes_hold() {
    let secret = file("newer.key");
    let path = secret.to_str().unwrap();
    assert_eq!(kadlet(&format!("keygen {path}")).code, 0);
    let secret: [u8; 32] = ::hex::decode(fs::read_to_string(&secret).unwrap().trim()).unwrap().try_into().unwrap();
    let public_key = kadlet::ed25519::public_key(&secret);

    type Holder = kadlet::Node<Kademlia<SocketAddr, 128>, FixedStore<32, 8192>>;
    let config = Config { verify: Some(kadlet::ed25519::verify), ..Config::default() };
    let holder = |_| {
        let node = Holder::new(Instant::ZERO, config, kadlet_udp::random_id().unwrap(), kadlet_udp::seed().unwrap());
        Server::bind("127.0.0.1:0".parse().unwrap(), node.unwrap()).unwrap()
    };
    let holders: Vec<_> = (0..8).map(holder).collect();
    let first = holders[0].local_addr();
    for holder in &holders[1..] {
        holder.handle().bootstrap(&[first], Duration::from_secs(10)).unwrap();
    }
    knows(&first.to_string(), 8);
    for holder in &holders[3..5] {
        let restored = holder.handle().with(move |node, now| {
            let signature = kadlet::ed25519::sign(&secret, 0, b"", 100, b"newer");
            let proof = Proof::Signed { public_key: &public_key, salt: b"", sequence: 100, signature: &signature };
            node.restore_record(now, &Record { value: b"newer", proof }, Duration::from_secs(3600), false)
        });
        restored.unwrap().unwrap();
    }

    let put = kadlet(&format!("put older --sign {path} --seq 50 --json --bootstrap {first}"));
    assert_eq!(put.code, 3, "{put:?}");
    assert!(put.err.contains("sequence number 100") && put.err.contains("--seq 101"), "{put:?}");
    let json = put.json();
    assert_eq!(
        (&json["stored"], &json["wanted"], &json["held_sequence"]),
        (&6.into(), &8.into(), &100.into()),
        "{json}"
    );
}

#[test]
fn a_recursive_lookup_reports_its_hops() {
    let [first, second, third] = three("");
    let ways = [("put key value", &first, false), ("get key", &second, true), ("find key", &third, true)];
    for (command, node, relayed) in ways {
        let command = format!("{command} --json -v --bootstrap {}", node.address);
        let iterative = kadlet(&command);
        let json = iterative.json();
        assert_eq!(
            (iterative.code, &json["hops"], &json["relayed"], &json["fell_back"]),
            (0, &0.into(), &false.into(), &false.into())
        );
        assert!(!iterative.err.contains(" hop") && !iterative.err.contains("recursive"), "{iterative:?}");
        // A client sends no relay request if its random id is nearer to the key than all nodes that it knows. Then
        // the next client tries.
        until("a relay request gets a response", Duration::from_secs(30), || {
            let ended = kadlet(&format!("{command} --lookup recursive"));
            assert_eq!(ended.code, 0, "{ended:?}");
            let json = ended.json();
            let hops = json["hops"].as_u64().unwrap();
            assert_eq!(json["relayed"], relayed && hops > 0, "{ended:?}");
            assert_eq!(json["fell_back"], ended.err.contains(", iteratively after the recursive"), "{ended:?}");
            assert_eq!(ended.err.contains(&format!(", over {hops} hop")), hops > 0, "{ended:?}");
            match command.split(' ').next() {
                Some("put") => assert_eq!(json["stored"], 3, "{ended:?}"),
                Some("get") => assert_eq!(json["value"], hex(b"value"), "{ended:?}"),
                _ => assert_eq!(json["nodes"].as_array().unwrap().len(), 3, "{ended:?}"),
            }
            hops > 0
        });
    }
}

#[test]
fn a_client_is_put_into_no_routing_table() {
    let node = Node::start("--json");
    assert_eq!(kadlet(&format!("put key value --bootstrap {}", node.address)).code, 0);
    assert_eq!(kadlet(&format!("get key --bootstrap {}", node.address)).code, 0);
    let (status, lines) = node.interrupt("INT");
    assert!(status.success());
    let stats: serde_json::Value = serde_json::from_str(lines.last().unwrap()).unwrap();
    assert_eq!((&stats["contacts"], &stats["records"]), (&0.into(), &1.into()), "{stats}");
}

#[test]
fn the_demo_ends_with_a_line_that_is_the_value() {
    let ended = kadlet("demo hello world");
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(ended.lines().last(), Some(&"world"));
    let text = ended.lines().join("\n");
    for part in ["The local node is 127.0.0.1:", "round 1", "2^", "these nodes hold it", "Another node"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let ended = kadlet(&format!("demo hello world --json --nodes 5 --listen {}", loopback()));
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.lines().iter().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()), "{ended:?}");
    assert_eq!(ended.json()["value"], hex(b"world"));
}

#[test]
fn the_demo_shows_the_hops_of_a_recursive_lookup_if_it_took_any() {
    for nodes in [2, 5, 20] {
        let ended = kadlet(&format!("demo hello world --json --lookup recursive --nodes {nodes}"));
        assert_eq!((ended.code, &ended.json()["value"]), (0, &hex(b"world").into()), "{ended:?}");
        let steps: Vec<serde_json::Value> =
            ended.lines().iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        let found = steps.iter().find(|step| step["step"] == "found").unwrap();
        let shown = steps.iter().filter(|step| step["step"] == "hop").count() as u64;
        // A retransmitted request is shown again.
        assert!(shown >= found["hops"].as_u64().unwrap(), "{ended:?}");
        assert_eq!(shown > 0, found["hops"] != 0 || found["fell_back"] == true, "{ended:?}");
        assert!(found["hops"] != 0 || found["relayed"] == false, "{ended:?}");
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn in_a_sealed_network_commands_with_the_key_work_and_those_without_it_reach_nobody() {
    let [key, other] = ["sealed-network.key", "other-network.key"].map(file);
    for path in [&key, &other] {
        let _ = fs::remove_file(path);
        let made = kadlet(&format!("keygen --network {}", path.display()));
        assert_eq!((made.code, made.lines()), (0, vec![path.to_str().unwrap()]), "{made:?}");
    }
    let sealed = format!("--network-key {}", key.display());
    let first = Node::start(&sealed);
    let second = Node::start(&format!("{sealed} --bootstrap {}", first.address));
    let way = format!("--bootstrap {}", second.address);
    let put = kadlet(&format!("put hello world {way} {sealed}"));
    assert_eq!(put.code, 0, "{put:?}");
    let got = kadlet(&format!("get hello --bootstrap {} {sealed}", first.address));
    assert_eq!((got.code, &got.out[..]), (0, &b"world"[..]), "{got:?}");
    assert_eq!(kadlet(&format!("find hello {way} {sealed}")).code, 0);
    assert_eq!(kadlet(&format!("ping {} {sealed}", first.address)).code, 0);
    for without in [String::new(), format!("--network-key {}", other.display())] {
        let got = kadlet(&format!("get hello {way} {without} --timeout 3"));
        assert_eq!(got.code, 3, "{got:?}");
        assert!(got.err.contains("--network-key"), "{got:?}");
    }
}
