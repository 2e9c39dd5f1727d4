//! The command line's arguments.

use core::fmt;
use core::net::SocketAddr;
use core::str::FromStr;
use core::time::Duration;
use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::{BoolishValueParser, PathBufValueParser, TypedValueParser};
use clap::{ArgAction, ArgGroup, Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use kadlet::wire::sealed::NetworkKey;
use kadlet::{Id, Mode, Serve};
use serde::{Deserialize, Serialize};

use crate::key_file;
use crate::log::LogLevel;
use crate::resolver::{Resolver, SYSTEM};

/// The most bootstrap addresses of a command: as many as the tool's nodes remember.
pub(crate) const BOOTSTRAPS: usize = 16;

/// A Distributed Hash Table: run a node, put values, get them back.
#[derive(Debug, Parser)]
#[command(name = "kadlet", version, arg_required_else_help = true, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT_CODES: &str = "\
Exit codes: 0 success; 1 not found; 2 the command can't be executed as given; 3 the network failed: no node responded, \
or a record is stored at fewer nodes than it should be.

Each option can also be in the environment, as KADLET_NAME where the help says so, or in the file kadlet.toml. An \
argument counts first, then the environment, then the file.

Examples:
  kadlet demo hello world                        a whole network on this machine, step by step
  kadlet node &                                  a node on port 4000
  kadlet node --listen [::]:4001 --bootstrap 127.0.0.1:4000 --state node.state &
  export KADLET_BOOTSTRAP=127.0.0.1:4000         for all commands that follow
  kadlet put hello world; kadlet get hello
  kadlet ctl status                              what a node on this machine does";

const NODE_EXAMPLES: &str = "\
Examples:
  kadlet node --state /var/lib/kadlet/state --bootstrap dht.example.net:4000
  kadlet node --listen 192.0.2.1:4000 --metrics 127.0.0.1:9400 --log warn

The same as a file, kadlet.toml:
  listen = \"192.0.2.1:4000\"
  bootstrap = [\"dht.example.net:4000\", \"192.0.2.7:4000\"]
  state = \"/var/lib/kadlet/state\"
  metrics = \"127.0.0.1:9400\"
  log = \"warn\"";

const PUT_EXAMPLES: &str = "\
Examples:
  kadlet put kitchen 21.5                        a plain record
  date | kadlet put now - --ttl 10m              the value from stdin, for ten minutes
  kadlet put 'for ever the same' --immutable     prints the id to get it by
  kadlet put 21.5 --sign my.key --salt kitchen   only the owner of my.key can replace it";

const GET_EXAMPLES: &str = "\
Examples:
  kadlet get kitchen
  kadlet get -v kitchen                          with the lookup's trace, the record's lifetime and its age
  kadlet get --public-key 5f0c.. --salt kitchen --json";

const CTL_EXAMPLES: &str = "\
Examples:
  kadlet ctl status
  kadlet ctl publish kitchen 21.5 --ttl 12h      kept alive for twelve hours
  kadlet ctl records --json
  kadlet ctl --control /run/kadlet/control.sock shutdown";

/// The options of all commands.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Options of all commands")]
pub(crate) struct Common {
    /// The network's number: nodes of different networks ignore each other.
    #[arg(long, global = true, value_name = "N", default_value_t = 0, env = "KADLET_NETWORK")]
    pub(crate) network: u16,
    /// The key of a sealed network, in a file that `kadlet keygen --network` made: all datagrams are encrypted, and
    /// nodes without the key are ignored. All nodes of the network and all commands given to it need it.
    #[arg(long, global = true, value_name = "FILE", value_parser = PathBufValueParser::new().try_map(network_key))]
    pub(crate) network_key: Option<NetworkKey>,
    /// The geometry, which defines which nodes are near a key; all nodes of a network must have the same.
    #[arg(long, global = true, value_enum, default_value_t, env = "KADLET_GEOMETRY")]
    pub(crate) geometry: Geometry,
    /// Print JSON on stdout, one object per line. The object of a command that failed has the key `error`.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Print the lookup trace on stderr: how many nodes were asked, which responded, how near to the target they are.
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,
    /// Give up after this time: `5s`, `1m 30s`, or a number of seconds; at most 365 days.
    #[arg(
        long, global = true, value_name = "DURATION", default_value = "20s", value_parser = time_limit,
        env = "KADLET_TIMEOUT"
    )]
    pub(crate) timeout: Duration,
    /// A file with defaults for the options: `KEY = VALUE` in TOML, where a key is the name of an option of `node`, or
    /// `lookup`. By default `kadlet/kadlet.toml` in the user's folder of configurations, if it is there.
    #[arg(long, global = true, value_name = "FILE", env = "KADLET_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// The control socket of a node on this machine: where `node` makes it, and where `ctl` looks for it. Without
    /// --bootstrap, so do `put`, `get`, `find` and `ping`. On Windows it is a named pipe, such as
    /// `\\.\pipe\kadlet`. By default a place that only this user can reach, named after the node's address.
    #[arg(long, global = true, value_name = "PATH", env = "KADLET_CONTROL")]
    pub(crate) control: Option<PathBuf>,
    /// Looks names up.
    #[arg(skip = SYSTEM)]
    pub(crate) resolver: Resolver,
}

/// The geometry of a network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Geometry {
    /// The XOR metric: nodes are near each other if their ids share a long prefix.
    #[default]
    Kademlia,
    /// A ring: a key belongs to the first node that follows it.
    Chord,
    /// A ring and prefixes: a key belongs to the numerically closest node.
    Pastry,
}

impl fmt::Display for Geometry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kademlia => "kademlia",
            Self::Chord => "chord",
            Self::Pastry => "pastry",
        })
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a node until interrupted.
    ///
    /// The first line on stdout is `listening on IP:PORT id HEX`; with --json it is an object with `address` and `id`,
    /// and the node's counters follow every 10 seconds and at the end.
    #[command(after_help = NODE_EXAMPLES)]
    Node(Node),
    /// Put a value: `put KEY VALUE`, `put VALUE --immutable`, or `put VALUE --sign FILE`.
    #[command(after_help = PUT_EXAMPLES)]
    Put(Put),
    /// Get a value: stdout receives the value's bytes and nothing else.
    #[command(after_help = GET_EXAMPLES)]
    Get(Get),
    /// Find the nodes nearest to a key.
    Find(Find),
    /// Ping a node: print its id and the round-trip time.
    Ping(Ping),
    /// Make a secret key for signed records, write it to a new file, and print its public key.
    Keygen(Keygen),
    /// Inspect a node on this machine, and tell it things, over its control socket.
    #[command(after_help = CTL_EXAMPLES)]
    Ctl(Ctl),
    /// Run a whole network on this machine, put a value and read it back, step by step.
    Demo(Demo),
    /// Print completions for a shell.
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Print the manual page in roff, for `man -l -`.
    Man {
        /// The command whose page to print; without it, kadlet's own page.
        command: Option<String>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Node {
    /// The address to listen on; with port 0 the system chooses a free port. By default port 4000 of all addresses:
    /// `[::]:4000`, or `0.0.0.0:4000` where there is no IPv6.
    #[arg(long, value_name = "ADDR", env = "KADLET_LISTEN")]
    pub(crate) listen: Option<HostPort>,
    /// A node of the network to join; can be given more than once. The first node of a network needs none. While the
    /// node knows no other node, names are looked up again.
    #[arg(long, value_name = "ADDR", value_delimiter = ',', env = "KADLET_BOOTSTRAP")]
    pub(crate) bootstrap: Vec<HostPort>,
    /// Keep the id, the contacts and the records in this file from one run to the next. Changes are appended every five
    /// seconds.
    #[arg(long, value_name = "FILE", env = "KADLET_STATE")]
    pub(crate) state: Option<PathBuf>,
    /// Store plain records too, which anyone can replace. Without this, they are stored only if --listen is a loopback
    /// or private address, or if the network is sealed.
    #[arg(long)]
    pub(crate) plain: bool,
    /// Make no control socket.
    #[arg(long)]
    pub(crate) no_control: bool,
    /// Serve a page for Prometheus at `http://ADDR/metrics`. It has no password: give an address that only those who
    /// may read it can reach, such as 127.0.0.1:9400.
    #[arg(long, value_name = "ADDR", env = "KADLET_METRICS")]
    pub(crate) metrics: Option<HostPort>,
    /// How much to log on stderr. `info` by default, or `debug` with --verbose.
    #[arg(long, value_name = "LEVEL", value_enum, env = "KADLET_LOG")]
    pub(crate) log: Option<LogLevel>,
    /// Whether to serve other nodes.
    #[arg(long, value_name = "WHEN", value_enum, default_value_t, env = "KADLET_SERVE")]
    pub(crate) serve: Serves,
}

/// Whether a node serves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Serves {
    /// While other nodes can reach it, which it finds out.
    #[default]
    Auto,
    /// Always: other nodes can reach it, for example because a port is forwarded to it.
    Always,
    /// Never: it is a client.
    Never,
}

impl From<Serves> for Serve {
    fn from(serves: Serves) -> Self {
        match serves {
            Serves::Auto => Self::Automatic,
            Serves::Always => Self::Always,
            Serves::Never => Self::Never,
        }
    }
}

/// How a command reaches the network as a client.
#[derive(Clone, Debug, Args)]
pub(crate) struct ClientArgs {
    /// A node of the network; can be given more than once. Without one, the command goes through a node on this
    /// machine.
    #[arg(long, value_name = "ADDR", value_delimiter = ',', env = "KADLET_BOOTSTRAP")]
    pub(crate) bootstrap: Vec<HostPort>,
    /// The address to send from; by default a free port of the same address family as --bootstrap.
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<HostPort>,
    /// How the nodes are found.
    #[arg(long, value_enum, default_value_t, env = "KADLET_LOOKUP")]
    pub(crate) lookup: Lookup,
}

/// How nodes are found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Lookup {
    /// Ask a few nodes at a time, and go on with the nearer nodes that they name.
    #[default]
    Iterative,
    /// Send one request, which each node forwards to the nearest node that it knows.
    Recursive,
}

impl From<Lookup> for Mode {
    fn from(lookup: Lookup) -> Self {
        match lookup {
            Lookup::Iterative => Self::Iterative,
            Lookup::Recursive => Self::Recursive,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Put {
    #[command(flatten)]
    pub(crate) record: RecordArgs,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

/// Which record to put.
#[derive(Debug, Args)]
pub(crate) struct RecordArgs {
    /// The name of a plain record, which anyone in the network can replace. With --immutable or --sign, the value. A
    /// key or value that begins with `-` goes to the end, after all options and `--`.
    #[arg(value_name = "KEY")]
    pub(crate) first: OsString,
    /// The value of a plain record, at most 1,000 bytes; `-` reads it from stdin. Not with --immutable or --sign.
    #[arg(value_name = "VALUE", conflicts_with_all = ["immutable", "sign"])]
    pub(crate) second: Option<OsString>,
    /// Put the value under its own hash, where no other value can replace it; prints the id for `get --id`.
    #[arg(long, conflicts_with = "sign")]
    pub(crate) immutable: bool,
    /// Sign the record with the secret key in this file (made by `kadlet keygen`), so that only the key's owner can
    /// replace it.
    #[arg(long, value_name = "FILE")]
    pub(crate) sign: Option<PathBuf>,
    /// Tells apart the records of one public key; at most 64 bytes.
    #[arg(long, value_name = "TEXT", requires = "sign", conflicts_with_all = ["second", "immutable"])]
    pub(crate) salt: Option<OsString>,
    /// The sequence number: the highest wins. By default the Unix time in seconds, or, if that is higher, one more than
    /// the number stored in the network (or given with --cas).
    #[arg(long, value_name = "N", requires = "sign", conflicts_with_all = ["second", "immutable"])]
    pub(crate) seq: Option<u64>,
    /// Compare and swap: store only at nodes whose record has the sequence number N; 0 means nodes that have no record.
    #[arg(long, value_name = "N", requires = "sign", conflicts_with_all = ["second", "immutable"])]
    pub(crate) cas: Option<u64>,
    /// How long nodes keep the record: at most 24 hours, unless it is put again.
    #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = lifetime)]
    pub(crate) ttl: Duration,
}

#[derive(Debug, Args)]
pub(crate) struct Get {
    #[command(flatten)]
    pub(crate) key: KeyArgs,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

/// The key of a record.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("what").args(["key", "id", "public_key"]).required(true))]
pub(crate) struct KeyArgs {
    /// The name of a plain record. One that begins with `-` goes to the end, after all options and `--`.
    pub(crate) key: Option<OsString>,
    /// The id of an immutable record, as `put --immutable` printed it.
    #[arg(long, value_name = "HEX")]
    pub(crate) id: Option<Id>,
    /// The public key of a signed record, as `keygen` printed it.
    #[arg(long, value_name = "HEX", value_parser = public_key)]
    pub(crate) public_key: Option<[u8; 32]>,
    /// The salt that the signed record was put with.
    #[arg(long, value_name = "TEXT", requires = "public_key", conflicts_with_all = ["key", "id"])]
    pub(crate) salt: Option<OsString>,
}

#[derive(Debug, Args)]
pub(crate) struct Find {
    #[command(flatten)]
    pub(crate) target: TargetArgs,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

/// What to look for.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("what").args(["key", "id"]).required(true))]
pub(crate) struct TargetArgs {
    /// The name of a plain record. One that begins with `-` goes to the end, after all options and `--`.
    pub(crate) key: Option<OsString>,
    /// The id of a node or a record.
    #[arg(long, value_name = "HEX")]
    pub(crate) id: Option<Id>,
}

/// What to ask a node on this machine, or to tell it.
#[derive(Debug, Args)]
pub(crate) struct Ctl {
    #[command(subcommand)]
    pub(crate) command: CtlCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CtlCommand {
    /// Print what the node is, how many contacts and records it has, and its counters.
    Status,
    /// Print the contacts in its table.
    Peers,
    /// Print the records in its store.
    Records,
    /// Put a record, as `put` does, and let the node keep it alive until its lifetime ends.
    Publish(RecordArgs),
    /// Stop keeping a record alive. Those that hold it drop it when its lifetime ends.
    Unpublish(KeyArgs),
    /// Get a value through the node.
    Get(KeyArgs),
    /// Find the nodes nearest to a key through the node.
    Find(TargetArgs),
    /// End the node, and wait until it has ended.
    Shutdown,
}

#[derive(Debug, Args)]
pub(crate) struct Ping {
    /// The node's address. Without one, a node on this machine.
    pub(crate) address: Option<HostPort>,
    /// The address to send from; by default a free port of the same address family as the node's.
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<HostPort>,
    /// How many times to ping, once a second; each ping has the whole --timeout. Several end with a summary, and
    /// succeed if one got a response.
    #[arg(short, long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) count: u32,
}

#[derive(Debug, Args)]
pub(crate) struct Keygen {
    /// The file to write. An existing file is never overwritten.
    pub(crate) file: PathBuf,
    /// Make the key of a sealed network, for --network-key. It has no public key: prints the name of the file.
    // It stands in place of the option of all commands that has this name, so it has the same type.
    #[arg(long, action = ArgAction::SetTrue, value_parser = BoolishValueParser::new().map(flag))]
    network: u16,
}

impl Keygen {
    /// Whether to make the key of a sealed network.
    pub(crate) const fn makes_network_key(&self) -> bool {
        self.network == u16::MAX
    }
}

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// The name to put the value under.
    pub(crate) key: OsString,
    /// The value, at most 1,000 bytes.
    pub(crate) value: OsString,
    /// The local node's address; with port 0 the system chooses a free port.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    pub(crate) listen: HostPort,
    /// How many nodes to run.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(2..=1000))]
    pub(crate) nodes: u16,
    /// How the nodes are found.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) lookup: Lookup,
}

/// An address as the user wrote it: `IP:PORT` or `HOST:PORT`. A name is resolved when it is needed, not before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HostPort(String);

impl HostPort {
    /// The address, unless a name stands for it.
    pub(crate) fn ip(&self) -> Option<SocketAddr> {
        self.0.parse().ok()
    }
}

impl From<SocketAddr> for HostPort {
    fn from(address: SocketAddr) -> Self {
        Self(address.to_string())
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for HostPort {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_name = || {
            let (host, port) = text.rsplit_once(':')?;
            let plain = !host.is_empty() && !host.contains([':', '[', ']', '/', ' ']);
            // An invalid IPv4 address, such as `127.0.0.256`, would be resolved as a name in vain.
            let numeric = host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
            (plain && !numeric && port.parse::<u16>().is_ok()).then_some(())
        };
        match text.parse::<SocketAddr>().is_ok() || is_name().is_some() {
            true => Ok(Self(text.to_owned())),
            false => Err("an address is IP:PORT, such as 127.0.0.1:4000 or [::1]:4000, or HOST:PORT".to_owned()),
        }
    }
}

/// The longest time limit of a command.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

fn time_limit(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        limit if limit <= LONGEST => Ok(limit),
        _ => Err("a time limit is at most 365 days".to_owned()),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let plain = text.parse::<u64>().ok().map(Duration::from_secs);
    match plain.map_or_else(|| humantime::parse_duration(text), Ok) {
        Ok(Duration::ZERO) => Err("must be longer than zero".to_owned()),
        Ok(duration) => Ok(duration),
        Err(error) => Err(format!("{error}; write it as `5s`, `1m 30s` or `24h`")),
    }
}

fn lifetime(text: &str) -> Result<Duration, String> {
    let range = Duration::from_secs(1)..=Duration::from_secs(u64::from(u32::MAX));
    match duration(text)? {
        lifetime if range.contains(&lifetime) => Ok(lifetime),
        _ => Err("a lifetime is from 1s to 136 years".to_owned()),
    }
}

fn public_key(text: &str) -> Result<[u8; 32], String> {
    let mut key = [0; 32];
    hex::decode_to_slice(text, &mut key).map(|()| key).map_err(|_| "a public key is 64 hexadecimal digits".to_owned())
}

fn flag(is_set: bool) -> u16 {
    if is_set { u16::MAX } else { 0 }
}

fn network_key(file: PathBuf) -> Result<NetworkKey, String> {
    let key = key_file::read(&file, "kadlet keygen --network");
    key.map(NetworkKey::new).map_err(|error| error.what().to_owned() + "; `kadlet keygen --network FILE` makes one")
}

#[cfg(test)]
mod tests;
