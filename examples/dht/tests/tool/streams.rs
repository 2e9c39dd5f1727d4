//! Streams that can't be written to: a full disk, a reader that has gone, a reader that doesn't read.

use core::time::Duration;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::net::UdpSocket;
use std::process::{Command, Stdio};
use std::thread;

use crate::network::knows;
use crate::run::{Node, command, file, kadlet, run, signal, until, wait};

/// A device without space.
fn full() -> File {
    OpenOptions::new().write(true).open("/dev/full").unwrap()
}

/// A pipe whose reader has gone.
fn gone() -> io::PipeWriter {
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    writer
}

/// A pipe that takes no more bytes, because its reader doesn't read.
fn stuck() -> (io::PipeReader, io::PipeWriter) {
    let (reader, writer) = io::pipe().unwrap();
    let mut filled = writer.try_clone().unwrap();
    // It ends when the reader is dropped.
    thread::spawn(move || while filled.write_all(&[b'.'; 4096]).is_ok() {});
    thread::sleep(Duration::from_millis(200));
    (reader, writer)
}

/// Commands that write on stdout, on stderr, or on both, and their exit codes.
fn commands(node: &str) -> Vec<(String, i32)> {
    let way = format!("--bootstrap {node}");
    let commands = [
        ("get key -v", 0),
        ("get key --json", 0),
        ("get nothing", 1),
        ("get nothing --json -v", 1),
        ("put key value", 0),
        ("put key value --json -v", 0),
        ("put value --immutable", 0),
        ("put key value --timeout 1s --network 7", 3),
        ("find key", 0),
        ("find key --json -v", 0),
    ];
    let mut all: Vec<_> = commands.iter().map(|(command, code)| (format!("{command} {way}"), *code)).collect();
    all.push((format!("ping {node} -v"), 0));
    let others = [
        ("demo hello world --nodes 3", 0),
        ("demo hello world --nodes 3 --json -v", 0),
        ("keygen /dev/null", 2),
        ("completions bash", 0),
        ("man", 0),
        ("help", 0),
        ("--version --json", 0),
        ("fly", 2),
        ("node --listen 127.0.0.1:0 --bootstrap 0.0.0.0:1", 2),
    ];
    all.extend(others.map(|(command, code)| (command.to_owned(), code)));
    all
}

#[test]
fn no_command_fails_because_stderr_cannot_be_written_to() {
    let node = Node::start("");
    assert_eq!(kadlet(&format!("put key value --bootstrap {}", node.address)).code, 0);
    for (args, code) in commands(&node.address) {
        for stderr in [full().into(), Stdio::from(gone())] {
            let ended = run(command(&args).stdout(Stdio::piped()).stderr(stderr), b"");
            assert_eq!(ended.code, code, "{args}: {ended:?}");
        }
    }
}

#[test]
fn a_result_that_cannot_be_written_is_an_error_and_a_quiet_one_if_the_reader_has_gone() {
    let node = Node::start("");
    assert_eq!(kadlet(&format!("put key value --bootstrap {}", node.address)).code, 0);
    for (args, code) in commands(&node.address) {
        let printed = kadlet(&args);
        assert_eq!(printed.code, code, "{args}: {printed:?}");
        // A command that fails anyway fails with its own exit code.
        let expected = if code == 0 && !printed.out.is_empty() { 2 } else { code };
        let ended = run(command(&args).stdout(full()).stderr(Stdio::piped()), b"");
        assert_eq!(ended.code, expected, "{args}: {ended:?}");
        assert_eq!(ended.err.contains("can't write to stdout"), code == 0 && expected == 2, "{args}: {ended:?}");
        let ended = run(command(&args).stdout(gone()).stderr(Stdio::piped()), b"");
        assert_eq!(ended.code, expected, "{args}: {ended:?}");
        assert!(!ended.err.contains("stdout"), "{args}: {ended:?}");
    }
}

#[test]
fn a_node_serves_on_without_its_log() {
    let first = Node::start("");
    for stderr in [full().into(), Stdio::from(gone())] {
        let args = format!("node -v --listen 127.0.0.1:0 --bootstrap {}", first.address);
        let node = Node::spawn(command(&args).stderr(stderr));
        knows(&node.address, 2);
        let put = kadlet(&format!("put key value --bootstrap {}", node.address));
        assert_eq!(put.code, 0, "{put:?}");
        assert!(node.interrupt("TERM").0.success());
    }
}

#[test]
fn a_node_serves_on_while_nobody_reads_its_log() {
    let first = Node::start("");
    let (_reader, writer) = stuck();
    let args = format!("node -v --listen 127.0.0.1:0 --bootstrap {}", first.address);
    let node = Node::spawn(command(&args).stderr(writer));
    knows(&node.address, 2);
    let put = kadlet(&format!("put key value --bootstrap {}", node.address));
    assert_eq!(put.code, 0, "{put:?}");
    assert!(node.interrupt("TERM").0.success());
}

#[test]
fn a_node_saves_and_ends_while_nobody_reads_its_counters() {
    let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let path = file("stuck.state");
    let (_reader, writer) = stuck();
    let args = format!("node --json --listen {port} --state {}", path.display());
    let mut child = command(&args).stdout(writer).stderr(Stdio::null()).spawn().unwrap();
    until("the node serves", Duration::from_secs(10), || kadlet(&format!("ping {port} --timeout 1")).code == 0);
    assert_eq!(kadlet(&format!("put key value --bootstrap {port}")).code, 0);
    signal(&child, "TERM");
    assert!(wait(&mut child).success());
    let node = Node::start(&format!("--state {}", path.display()));
    assert_eq!(kadlet(&format!("get key --bootstrap {}", node.address)).out, b"value");
}

#[test]
fn a_node_whose_counters_cannot_be_written_ends_and_says_why() {
    for stdout in [full().into(), Stdio::from(gone())] {
        let mut node = command("node --json --listen 127.0.0.1:0");
        let ended = run(node.stdout(stdout).stderr(Stdio::piped()), b"");
        assert_eq!(ended.code, 2, "{ended:?}");
        assert!(ended.err.contains("can't write to stdout"), "{ended:?}");
    }
}

/// A process without threads left: the limit is that of another user, for root has none.
#[test]
fn a_system_without_threads_is_an_error_and_no_panic() {
    let node = Node::start("");
    let copy = std::env::temp_dir().join(format!("kadlet-{}", std::process::id()));
    fs::copy(env!("CARGO_BIN_EXE_kadlet"), &copy).unwrap();
    let limited = |args: &str| {
        let limit = "prlimit --nproc=1:1";
        let script = format!(
            "[ $(id -u) = 0 ] && exec setpriv --reuid=65534 --clear-groups {limit} {0} {args}
            exec {limit} {0} {args}",
            copy.display()
        );
        run(Command::new("sh").arg("-c").arg(script).stdout(Stdio::piped()).stderr(Stdio::piped()), b"")
    };
    let way = format!("--bootstrap {}", node.address);
    let all = [
        format!("get key {way}"),
        format!("put key value -v {way}"),
        format!("find key {way}"),
        "get key --bootstrap localhost:1 --timeout 2".to_owned(),
        format!("ping {}", node.address),
        "node --listen 127.0.0.1:0".to_owned(),
        "demo hello world --nodes 3 --listen localhost:0".to_owned(),
    ];
    let ended: Vec<_> = all.iter().map(|args| (args, limited(args))).collect();
    fs::remove_file(&copy).unwrap();
    for (args, ended) in ended {
        assert!([2, 3].contains(&ended.code), "{args}: {ended:?}");
        assert!(ended.err.contains("can't start "), "{args}: {ended:?}");
    }
}
