//! What may be written on the command line.

use core::fmt;
use core::net::SocketAddr;
use core::str::FromStr;
use core::time::Duration;
use std::ffi::OsString;
use std::net::ToSocketAddrs;
use std::path::PathBuf;

use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use kadlet::{Id, Mode};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Exit};

/// Most bootstrap addresses that are taken: what the tool's nodes remember.
pub(crate) const BOOTSTRAPS: usize = 16;

/// A Distributed Hash Table: run a node of one, put values into it, get them back.
#[derive(Debug, Parser)]
#[command(name = "kadlet", version, arg_required_else_help = true, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT_CODES: &str = "\
Exit codes: 0 done; 1 not found; 2 the command can't be carried out as it was given; 3 the network: nobody answered, or a \
record is stored at fewer nodes than should hold it.

Try it: kadlet demo hello world";

/// What all commands take.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Options of all commands")]
pub(crate) struct Common {
    /// The network's number: nodes of different networks are strangers to each other.
    #[arg(long, global = true, value_name = "N", default_value_t = 0)]
    pub(crate) network: u16,
    /// How nodes are near to each other, and so what each knows of the network: all nodes of a network have the same.
    #[arg(long, global = true, value_enum, default_value_t)]
    pub(crate) geometry: Geometry,
    /// Print JSON on stdout, one object a line.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Tell the story on stderr: who was asked, who answered, how near the target they are.
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,
    /// Give up after so long, as `5s`, `1m 30s` or a number of seconds.
    #[arg(long, global = true, value_name = "DURATION", default_value = "20s", value_parser = duration)]
    pub(crate) timeout: Duration,
}

/// The geometries there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Geometry {
    /// Nodes are near whose ids share a long prefix: the XOR metric.
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
    /// The first line on stdout is `listening on IP:PORT id HEX`. With --json, what it counts follows every 10 seconds and at the end.
    Node(Node),
    /// Put a value: `put KEY VALUE`, `put VALUE --immutable`, or `put VALUE --sign FILE`.
    Put(Put),
    /// Get a value: the value alone is written to stdout, byte for byte.
    Get(Get),
    /// Find the nodes nearest to a key.
    Find(Find),
    /// Ask the node at an address whether it is there.
    Ping(Ping),
    /// Make a secret key for signed records in a new file, and print its public key.
    Keygen(Keygen),
    /// Show it all at once: a network on this machine, a value put and read back.
    Demo(Demo),
    /// Print completions for a shell.
    Completions {
        /// Which shell.
        shell: Shell,
    },
    /// Print the manual page in roff, for `man -l -`.
    Man {
        /// The page of this command; that of kadlet itself without.
        command: Option<String>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Node {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Place,
    /// A node of the network to join; may be given more than once. A network's first node has none.
    #[arg(long, value_name = "ADDR", value_delimiter = ',')]
    pub(crate) bootstrap: Vec<Place>,
    /// Keep the id, the contacts and the records in this file from one run to the next.
    #[arg(long, value_name = "FILE")]
    pub(crate) state: Option<PathBuf>,
    /// Take no plain records, which anyone may replace: only immutable and signed ones.
    #[arg(long)]
    pub(crate) no_plain: bool,
}

/// How a command that is no node reaches the network.
#[derive(Clone, Debug, Args)]
pub(crate) struct Way {
    /// A node of the network; may be given more than once.
    #[arg(long, value_name = "ADDR", required = true, value_delimiter = ',')]
    pub(crate) bootstrap: Vec<Place>,
    /// Where to send from: a free port of the bootstrap's family unless given.
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<Place>,
    /// How the nodes are found.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) lookup: Lookup,
}

/// How nodes are found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Lookup {
    /// Ask a few at a time, and get nearer by what they say.
    #[default]
    Iterative,
    /// Have each node pass the question on to the best that it knows.
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
#[command(allow_missing_positional = true)]
pub(crate) struct Put {
    /// The name of a plain record, which anyone in the network may replace. Not with --immutable or --sign.
    #[arg(conflicts_with_all = ["immutable", "sign"])]
    pub(crate) key: Option<OsString>,
    /// The value, at most 1,000 bytes; `-` reads it from stdin.
    pub(crate) value: OsString,
    /// Put it under its own hash, where nobody can replace it; prints the id to get it by.
    #[arg(long, conflicts_with = "sign")]
    pub(crate) immutable: bool,
    /// Sign it with the secret key in this file (made by `kadlet keygen`), so that only its owner can replace it.
    #[arg(long, value_name = "FILE")]
    pub(crate) sign: Option<PathBuf>,
    /// One of many records of the same public key, at most 64 bytes.
    #[arg(long, value_name = "TEXT", requires = "sign", conflicts_with_all = ["key", "immutable"])]
    pub(crate) salt: Option<OsString>,
    /// The sequence number: the highest wins. Unless given, the Unix time in seconds, or one more than the number that the
    /// network holds now (or --cas names) if that is higher.
    #[arg(long, value_name = "N", requires = "sign", conflicts_with_all = ["key", "immutable"])]
    pub(crate) seq: Option<u64>,
    /// Compare and swap: only where the sequence number held is N, or where none is held if N is 0.
    #[arg(long, value_name = "N", requires = "sign", conflicts_with_all = ["key", "immutable"])]
    pub(crate) cas: Option<u64>,
    /// How long it is to be held; nodes hold records for 24 hours at most unless put again.
    #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = lifetime)]
    pub(crate) ttl: Duration,
    #[command(flatten)]
    pub(crate) way: Way,
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("what").args(["key", "id", "public_key"]).required(true))]
pub(crate) struct Get {
    /// The name of a plain record.
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
    #[command(flatten)]
    pub(crate) way: Way,
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("what").args(["key", "id"]).required(true))]
pub(crate) struct Find {
    /// The name of a plain record.
    pub(crate) key: Option<OsString>,
    /// Any id: a node's, an immutable record's.
    #[arg(long, value_name = "HEX")]
    pub(crate) id: Option<Id>,
    #[command(flatten)]
    pub(crate) way: Way,
}

#[derive(Debug, Args)]
pub(crate) struct Ping {
    /// The node's address.
    pub(crate) address: Place,
    /// Where to send from: a free port of the address's family unless given.
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<Place>,
}

#[derive(Debug, Args)]
pub(crate) struct Keygen {
    /// The file to make. One that exists is left alone.
    pub(crate) file: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// The name to put the value under.
    pub(crate) key: OsString,
    /// The value, at most 1,000 bytes.
    pub(crate) value: OsString,
    /// The local node's address; port 0 takes a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    pub(crate) listen: Place,
    /// How many nodes to run.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(2..=1000))]
    pub(crate) nodes: u16,
    /// How the nodes are found.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) lookup: Lookup,
}

/// An address as it was written: `IP:PORT` or `HOST:PORT`. Names are looked up when they are needed, not before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place(String);

impl Place {
    /// The addresses it stands for.
    pub(crate) fn resolve(&self) -> Result<Vec<SocketAddr>, Error> {
        let found = self.0.to_socket_addrs().map(Vec::from_iter).unwrap_or_default();
        if found.is_empty() {
            return Err(
                Error::new(Exit::Network, format!("the name in {} can't be resolved", self.0)).tip("give IP:PORT")
            );
        }
        Ok(found)
    }
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_name = || {
            let (host, port) = text.rsplit_once(':')?;
            let plain = !host.is_empty() && !host.contains([':', '[', ']', '/', ' ']);
            // What looks like an IPv4 address and is none would be looked up as a name in vain.
            let numeric = host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
            (plain && !numeric && port.parse::<u16>().is_ok()).then_some(())
        };
        match text.parse::<SocketAddr>().is_ok() || is_name().is_some() {
            true => Ok(Self(text.to_owned())),
            false => Err("an address is IP:PORT, as 127.0.0.1:4000 or [::1]:4000, or HOST:PORT".to_owned()),
        }
    }
}

/// All the addresses to bootstrap from, as many as a node remembers.
pub(crate) fn bootstraps(places: &[Place]) -> Result<Vec<SocketAddr>, Error> {
    let mut all = Vec::new();
    for place in places {
        for address in place.resolve()? {
            if address.port() == 0 || address.ip().is_unspecified() || address.ip().is_multicast() {
                let what = format!("no datagram can be sent to {address}");
                return Err(Error::new(Exit::Usage, what).tip(
                    "give the address of the machine that the node runs on (127.0.0.1 is this one) and the port that its first line shows",
                ));
            }
            if !all.contains(&address) {
                all.push(address);
            }
        }
    }
    match all.len() {
        0..=BOOTSTRAPS => Ok(all),
        more => Err(Error::new(Exit::Usage, format!("{more} bootstrap addresses; at most {BOOTSTRAPS} are taken"))
            .tip("give fewer")),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let plain = text.parse::<u64>().ok().map(Duration::from_secs);
    match plain.map_or_else(|| humantime::parse_duration(text), Ok) {
        Ok(Duration::ZERO) => Err("must be more than nothing".to_owned()),
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

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn refused(args: &str) -> bool {
        Cli::try_parse_from(args.split(' ')).is_err()
    }

    #[test]
    fn the_arguments_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn one_positional_of_put_is_the_value() {
        let cli = Cli::try_parse_from(["kadlet", "put", "-", "--immutable", "--bootstrap", "127.0.0.1:1"]);
        assert!(matches!(cli.map(|cli| cli.command), Ok(Command::Put(Put { key: None, value, .. })) if value == "-"));
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        for args in [
            "kadlet put key value",
            "kadlet put key value --immutable --bootstrap 127.0.0.1:1",
            "kadlet put value --immutable --sign file --bootstrap 127.0.0.1:1",
            "kadlet put key value --seq 1 --bootstrap 127.0.0.1:1",
            "kadlet put value --immutable --cas 1 --bootstrap 127.0.0.1:1",
            "kadlet put value --salt text --bootstrap 127.0.0.1:1",
            "kadlet get --bootstrap 127.0.0.1:1",
            "kadlet get key --id 0011223344556677889900112233445566778899 --bootstrap 127.0.0.1:1",
            "kadlet get --id 00 --bootstrap 127.0.0.1:1",
            "kadlet get key --salt text --bootstrap 127.0.0.1:1",
            "kadlet get --id 0011223344556677889900112233445566778899 --salt text --bootstrap 127.0.0.1:1",
            "kadlet get key",
            "kadlet get key --bootstrap 127.0.0.1",
            "kadlet get key --bootstrap 127.0.0.256:1",
            "kadlet get key --bootstrap 127.0.0.1:65536",
            "kadlet get key --bootstrap 127.0.0.1:1 --network 65536",
            "kadlet get key --bootstrap 127.0.0.1:1 --timeout 0",
            "kadlet demo key value --nodes 1",
            "kadlet node",
        ] {
            assert!(refused(args), "{args}");
        }
    }

    #[test]
    fn addresses_may_be_repeated_or_separated_by_commas() {
        let cli =
            Cli::try_parse_from("kadlet find key --bootstrap [::1]:1,localhost:2 --bootstrap 127.0.0.1:3".split(' '))
                .unwrap();
        let Command::Find(find) = cli.command else { panic!("not a find") };
        assert_eq!(find.way.bootstrap.len(), 3);
    }

    #[test]
    fn durations_have_units_or_are_seconds() {
        assert_eq!(duration("5"), Ok(Duration::from_secs(5)));
        assert_eq!(duration("1m 30s"), Ok(Duration::from_secs(90)));
        assert!(duration("soon").is_err());
        assert!(lifetime("500ms").is_err());
    }
}
