//! Arguments, the environment, and kadlet.toml; the log, and what is for people.

use core::time::Duration;
use std::fs;
use std::path::PathBuf;
use std::process::Stdio;

use crate::run::{Ended, Node, command, file, kadlet, run};

/// Runs a command in an environment.
fn with(variables: &[(&str, &str)], args: &str) -> Ended {
    let mut command = command(args);
    run(command.envs(variables.iter().copied()).stdout(Stdio::piped()).stderr(Stdio::piped()), b"")
}

fn config(name: &str, text: &str) -> PathBuf {
    let path = file(name);
    fs::write(&path, text).unwrap();
    path
}

#[test]
fn an_argument_counts_before_the_environment_that_before_the_file_and_that_before_the_default() {
    let nodes = [0, 5, 6, 7].map(|network| Node::start(&format!("--network {network}")));
    let path = config("order.toml", "network = 5\n");
    let path = path.to_str().unwrap();
    let pings = |index: usize, variables: &[(&str, &str)], args: &str| {
        let args = format!("ping {} --timeout 2s {args}", nodes[index].address);
        with(variables, &args).code == 0
    };
    let (file, both) = ([("KADLET_CONFIG", path)], [("KADLET_CONFIG", path), ("KADLET_NETWORK", "6")]);
    assert!(pings(0, &[], "") && !pings(1, &[], ""));
    assert!(pings(1, &file, "") && !pings(0, &file, ""));
    assert!(pings(1, &[], &format!("--config {path}")));
    assert!(pings(2, &both, "") && !pings(1, &both, ""));
    assert!(pings(3, &both, "--network 7") && !pings(2, &both, "--network 7"));
    // A variable that is empty says nothing.
    assert!(pings(1, &[("KADLET_CONFIG", path), ("KADLET_NETWORK", "")], ""));
}

#[test]
fn bootstrap_addresses_in_the_environment_or_the_file_stand_for_the_argument_everywhere() {
    let first = Node::start("");
    let variables = [("KADLET_BOOTSTRAP", &*first.address)];
    let mut command = command("node --listen 127.0.0.1:0");
    let second = Node::spawn(command.envs(variables).stderr(Stdio::null()));
    crate::network::knows(&second.address, 2);
    assert_eq!(with(&variables, "put key value").code, 0);
    assert_eq!(with(&variables, "get key").out, b"value");
    assert_eq!(with(&variables, "find key --json").json()["nodes"].as_array().unwrap().len(), 2);

    let path = config("bootstrap.toml", &format!("bootstrap = [\"{}\"]\nlookup = \"recursive\"\n", first.address));
    let got = with(&[("KADLET_CONFIG", path.to_str().unwrap())], "get key --json");
    assert!(got.json()["hops"].as_u64() > Some(0), "{got:?}");
}

#[test]
fn a_node_is_configured_by_a_file_alone() {
    let state = file("configured.state");
    let text = format!(
        "# A node\nlisten = \"127.0.0.1:0\"\nno-control = true\nnetwork = 3\nlog = \"error\"\nstate = '{}'\n",
        state.display()
    );
    let path = config("node.toml", &text);
    let node = Node::spawn(command(&format!("node --config {}", path.display())).stderr(Stdio::null()));
    assert_eq!(kadlet(&format!("ping {} --network 3", node.address)).code, 0);
    assert!(state.exists());
    // What is for nodes is not for their clients.
    let ping = kadlet(&format!("ping {} --config {}", node.address, path.display()));
    assert_eq!(ping.code, 0, "{ping:?}");
}

#[test]
fn the_file_is_also_found_in_the_users_folder_of_configurations() {
    let folder = file("home");
    fs::create_dir_all(folder.join("kadlet")).unwrap();
    fs::write(folder.join("kadlet").join("kadlet.toml"), "fly = true").unwrap();
    let variable = if cfg!(windows) { "APPDATA" } else { "XDG_CONFIG_HOME" };
    let ended = with(&[(variable, folder.to_str().unwrap())], "ping 127.0.0.1:1");
    assert!(ended.code == 2 && ended.err.contains("kadlet.toml:1: there is no key `fly`"), "{ended:?}");
}

#[test]
fn what_is_wrong_in_the_file_is_named_with_its_line() {
    for (text, line, what) in [
        ("network = 5\n\nbootsrap = \"a:1\"\n", 3, "there is no key `bootsrap`"),
        ("config = \"x\"\n", 1, "there is no key `config`"),
        ("help = true\n", 1, "there is no key `help`"),
        ("# text\nnetwork = 65536\n", 2, "65536"),
        ("network = \"many\"\n", 1, "many"),
        ("\ntimeout = \"soon\"\n", 2, "soon"),
        ("network = [1, 2]\n", 1, "must be a string"),
        ("[node]\nlisten = \"127.0.0.1:1\"\n", 1, "there is no key `node`"),
        ("network = 1\nnetwork = 2\n", 2, "duplicate"),
        ("network 5\n", 1, ""),
        ("verbose = \"perhaps\"\n", 1, "must be true or false"),
    ] {
        let path = config("wrong.toml", text);
        let ended = kadlet(&format!("ping 127.0.0.1:1 --json --timeout 100ms --config {}", path.display()));
        assert_eq!(ended.code, 2, "{text}: {ended:?}");
        let error = ended.json()["error"].as_str().unwrap().to_owned();
        assert!(error.contains(&format!("wrong.toml:{line}: ")) && error.contains(what), "{text}: {error}");
    }
    let missing = kadlet("ping 127.0.0.1:1 --config /no/such/kadlet.toml");
    assert!(missing.code == 2 && missing.err.contains("/no/such/kadlet.toml"), "{missing:?}");
    // An argument is not blamed on the file.
    let path = config("right.toml", "network = 5\n");
    let ended = kadlet(&format!("ping 127.0.0.1:1 --network many --config {}", path.display()));
    assert!(ended.code == 2 && !ended.err.contains("right.toml:"), "{ended:?}");
}

#[test]
fn the_log_has_the_lines_of_its_level_and_above() {
    let first = Node::start("");
    for (level, has_info, has_debug) in [("warn", false, false), ("info", true, false), ("debug", true, true)] {
        let path = file(&format!("{level}.log"));
        let args = format!("node --listen 127.0.0.1:0 --log {level} --bootstrap {}", first.address);
        let node = Node::spawn(command(&args).stderr(fs::File::create(&path).unwrap()));
        crate::network::knows(&node.address, 2);
        let last = if has_debug { "DEBUG neighbour " } else { " INFO joined the network" };
        let written = || fs::read_to_string(&path).unwrap();
        crate::run::until("its last line is written", Duration::from_secs(10), || !has_info || written().contains(last));
        assert!(node.interrupt("TERM").0.success());
        let log = written();
        assert!(log.contains(" WARN no control socket"), "{level}: {log}");
        assert_eq!(log.contains(" INFO joined the network"), has_info, "{level}: {log}");
        assert_eq!(log.contains("DEBUG neighbour "), has_debug, "{level}: {log}");
    }
}

#[test]
fn only_a_terminal_that_wants_it_gets_colours() {
    let coloured = |variables: &[(&str, &str)]| {
        let ended = with(variables, "demo hello world --nodes 3");
        assert_eq!((ended.code, ended.lines().last()), (0, Some(&"world")), "{ended:?}");
        ended.out.contains(&0x1b)
    };
    assert!(coloured(&[("CLICOLOR_FORCE", "1")]));
    assert!(!coloured(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]));
    assert!(!coloured(&[]));
}

/// `script` gives the command a terminal.
#[test]
#[cfg(target_os = "linux")]
fn a_value_ends_with_a_new_line_on_a_terminal_only() {
    use std::process::Command;

    let node = Node::start("");
    let way = format!("--bootstrap {}", node.address);
    assert_eq!(kadlet(&format!("put key value {way}")).code, 0);
    assert_eq!(kadlet(&format!("get key {way}")).out, b"value");
    if Command::new("script").arg("--version").stdout(Stdio::null()).status().is_err() {
        eprintln!("left out: no `script` here");
        return;
    }
    // At the end of its input, `script` would write that on the terminal.
    let get = format!("{} get key {way} 2>/dev/null", env!("CARGO_BIN_EXE_kadlet"));
    let terminal = format!("sleep 3 | script --quiet --return --command '{get}' /dev/null");
    let mut script = Command::new("sh");
    script.args(["-c", &terminal]).env("XDG_CONFIG_HOME", "/no/such/folder");
    let ended = run(script.stdout(Stdio::piped()).stderr(Stdio::piped()), b"");
    assert_eq!(ended.out, b"value\r\n", "{ended:?}");
}

#[test]
fn a_get_tells_lifetime_and_age_and_several_pings_end_with_a_summary() {
    let node = Node::start("");
    let way = format!("--bootstrap {}", node.address);
    assert_eq!(kadlet(&format!("put key value --ttl 2h {way}")).code, 0);
    let got = kadlet(&format!("get key -v --json {way}"));
    let json = got.json();
    assert!((7_000..=7_200).contains(&json["lifetime_seconds"].as_u64().unwrap()), "{json}");
    assert!(json["age_ms"].as_u64() < Some(60_000), "{json}");
    assert!(got.err.contains("valid for 1h 59m") && got.err.contains(" ago"), "{got:?}");

    let pings = kadlet(&format!("ping -c 2 --json {}", node.address));
    assert_eq!((pings.code, pings.lines().len()), (0, 3), "{pings:?}");
    assert_eq!((&pings.json()["sent"], &pings.json()["responded"]), (&2.into(), &2.into()));
    let address = node.address.clone();
    node.kill();
    let silence = kadlet(&format!("ping -c 2 --json --timeout 200ms {address}"));
    assert_eq!((silence.code, &silence.json()["responded"]), (3, &0.into()), "{silence:?}");
}

#[test]
fn help_has_examples() {
    for args in ["help", "help node", "help put", "help get", "help ctl", "node --help"] {
        let help = kadlet(args);
        assert!(help.code == 0 && String::from_utf8_lossy(&help.out).contains("Examples:"), "{args}: {help:?}");
    }
}
