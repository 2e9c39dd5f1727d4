//! Runs the real binary; every wait has a time limit.

use core::time::Duration;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Instant;

/// Longer than any command here should take, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(40);

/// What a command wrote, and how it ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) out: Vec<u8>,
    pub(crate) err: String,
    pub(crate) took: Duration,
}

impl Ended {
    /// Its output as lines of text.
    pub(crate) fn lines(&self) -> Vec<&str> {
        str::from_utf8(&self.out).unwrap().lines().collect()
    }

    /// Its last line as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(self.lines().last().unwrap()).unwrap()
    }
}

/// Runs `kadlet` with these arguments, separated by spaces, and waits for its end.
pub(crate) fn kadlet(args: &str) -> Ended {
    kadlet_reading(args, b"")
}

/// Does the same, with bytes for its stdin.
pub(crate) fn kadlet_reading(args: &str, stdin: &[u8]) -> Ended {
    run(command(args).stdout(Stdio::piped()).stderr(Stdio::piped()), stdin)
}

/// Runs a command to its end. What of its output isn't piped is empty.
pub(crate) fn run(command: &mut Command, stdin: &[u8]) -> Ended {
    let began = Instant::now();
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    // A command that doesn't read its input may have ended already.
    let _ = child.stdin.take().unwrap().write_all(stdin);
    let (out, err) = (child.stdout.take().map(read), child.stderr.take().map(read));
    let status = wait(&mut child);
    let all = |from: Option<Receiver<_>>| from.map_or_else(Vec::new, |from| from.recv_timeout(PATIENCE).unwrap());
    let (out, err) = (all(out), String::from_utf8(all(err)).unwrap());
    Ended { code: status.code().unwrap_or(-1), out, err, took: began.elapsed() }
}

/// A running node, killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Node {
    child: Child,
    out: Receiver<String>,
    pub(crate) address: String,
    pub(crate) id: String,
    /// Its first line, if that is JSON.
    pub(crate) start: serde_json::Value,
}

impl Node {
    /// Starts a node on a free port of the loopback, and waits until it listens.
    pub(crate) fn start(args: &str) -> Self {
        Self::listen("127.0.0.1:0", args)
    }

    /// Does the same at an address.
    pub(crate) fn listen(address: &str, args: &str) -> Self {
        Self::spawn(command(&format!("node --listen {address} {args}")).stderr(Stdio::null()))
    }

    /// Does the same with a command that is made already.
    pub(crate) fn spawn(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let (sender, out) = channel();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let first: String = out.recv_timeout(PATIENCE).expect("a node says where it listens");
        let object: serde_json::Value = serde_json::from_str(&first).unwrap_or_default();
        let (address, id) = match first.split(' ').collect::<Vec<_>>()[..] {
            ["listening", "on", address, "id", id] => (address, id),
            _ => object["address"].as_str().zip(object["id"].as_str()).unwrap_or_else(|| panic!("{first}")),
        };
        Self { address: address.to_owned(), id: id.to_owned(), start: object.clone(), child, out }
    }

    /// The next line that it prints.
    pub(crate) fn line(&self) -> String {
        self.out.recv_timeout(PATIENCE).expect("a node's next line")
    }

    /// The next line, if it comes within this time.
    pub(crate) fn line_within(&self, limit: Duration) -> Option<String> {
        self.out.recv_timeout(limit).ok()
    }

    /// Sends the node a signal.
    pub(crate) fn signal(&self, signal: &str) {
        self::signal(&self.child, signal);
    }

    /// Ends the node with a signal, as an operator would. Returns its exit status and the lines that it still printed.
    pub(crate) fn interrupt(mut self, signal: &str) -> (ExitStatus, Vec<String>) {
        self.signal(signal);
        let status = wait(&mut self.child);
        (status, self.out.iter().collect())
    }

    /// Waits until the node ends by itself.
    #[cfg(unix)]
    pub(crate) fn ended(mut self) -> ExitStatus {
        wait(&mut self.child)
    }

    /// Kills the node, as a power cut would.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The path of a file in a folder that only this run uses.
pub(crate) fn file(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("tool-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder.join(name)
}

/// An address to listen on: IPv6, or IPv4 on a machine without IPv6.
pub(crate) fn loopback() -> &'static str {
    if std::net::UdpSocket::bind("[::1]:0").is_ok() { "[::1]:0" } else { "127.0.0.1:0" }
}

/// Waits until `condition` is true.
pub(crate) fn until(what: &str, limit: Duration, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + limit;
    while !condition() {
        assert!(Instant::now() < deadline, "{what}: not within {limit:?}");
        thread::sleep(Duration::from_millis(50));
    }
}

/// Sends a process a signal.
pub(crate) fn signal(child: &Child, signal: &str) {
    let kill = Command::new("sh").arg("-c").arg(format!("kill -{signal} {}", child.id())).status();
    assert!(kill.unwrap().success());
}

/// `kadlet` with these arguments, separated by spaces, in an environment where it finds nothing of the user who runs
/// the tests, nor a node of another test.
pub(crate) fn command(args: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kadlet"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("KADLET_")) {
        command.env_remove(name);
    }
    command.args(args.split_whitespace()).env("XDG_RUNTIME_DIR", NOWHERE).env("XDG_CONFIG_HOME", NOWHERE);
    command.env("APPDATA", NOWHERE).env_remove("JOURNAL_STREAM").env_remove("NO_COLOR").env_remove("CLICOLOR_FORCE");
    command
}

/// A folder that isn't there.
const NOWHERE: &str = "/no/such/folder";

fn read(mut from: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes).and_then(|_| sender.send(bytes).map_err(std::io::Error::other))
    });
    receiver
}

/// Waits for a process to end.
pub(crate) fn wait(child: &mut Child) -> ExitStatus {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if Instant::now() > deadline {
            let _ = child.kill();
            panic!("a command did not end within {PATIENCE:?}");
        }
        thread::sleep(Duration::from_millis(5));
    }
}
