//! What all of the tool's nodes have in common, and how the other commands reach the network: as a client, which asks
//! but is put into no routing table.

use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use core::time::Duration;
use std::io;
use std::sync::mpsc::{self, Sender};
use std::time::Instant;

use kadlet::message::ErrorCode;
use kadlet::{
    BeginError, Config, ConfigError, Contact, Failure, Geometry, HashStore, Id, Mode, Options, QueryStats, Routing,
    Serve,
};
use kadlet_udp::{Driver, Handle, Pong, Server};

use crate::args::{BOOTSTRAPS, ClientArgs, Common, HostPort};
use crate::bootstraps::{self, Bootstraps};
use crate::error::{Error, Exit};
use crate::output::{cannot_start, spawn};
use crate::resolver::Resolved;
use crate::watch::Watch;

/// The tool's node: 16 operations at once, and 16 relay requests.
pub(crate) type Node<R> = kadlet::Node<R, HashStore, 16, 24, 16, 64, 256, BOOTSTRAPS, 16>;

/// The routing table of the tool's nodes, of any geometry.
pub(crate) trait Table: Routing<Address = SocketAddr> + Send + 'static {}

impl<R: Routing<Address = SocketAddr> + Send + 'static> Table for R {}

/// The most records that a node of the tool stores.
const MAX_RECORDS: usize = 65_536;
/// The most bytes of records that a node of the tool stores.
const MAX_BYTES: usize = 16 << 20;

/// Why an operation failed.
pub(crate) type OperationError = kadlet_udp::Error<SocketAddr>;

/// A client of the network.
pub(crate) struct Client<R: Table> {
    server: Server<Node<R>>,
    watch: Watch,
    deadline: Instant,
    mode: Mode,
}

/// What a client that joins waits for.
enum Step {
    /// A bootstrap address is resolved, or can't be.
    Resolved(Resolved),
    /// A node responded.
    Responded,
    /// An attempt to join has ended.
    Ended(Result<(), OperationError>),
}

impl<R: Table> Client<R> {
    /// Opens a client that knows no node. Its time limit ends at `deadline`.
    fn open(local: &[SocketAddr], common: &Common, deadline: Instant) -> Result<Self, Error> {
        let driver = bind(local, Config { serve: Serve::Never, ..config(common) }, None)?;
        let server = Server::start(driver).map_err(|error| cannot_start("the node", &error))?;
        Ok(Self { server, watch: Watch::new(common.verbose), deadline, mode: Mode::Iterative })
    }

    /// Opens a client and joins the network. Returns as soon as a node has responded at one of the addresses, and
    /// doesn't wait for the others, nor for names that are not resolved.
    pub(crate) fn join(args: &ClientArgs, common: &Common) -> Result<Self, Error> {
        let deadline = Instant::now() + common.timeout;
        let mut bootstraps = Bootstraps::new(&args.bootstrap)?;
        let local = listening(args.listen.as_ref(), bootstraps.given(), bootstraps.has_names(), common)?;
        let client = Self { mode: args.lookup.into(), ..Self::open(&local, common, deadline)? };
        let local = client.server.local_addr();
        bootstraps.check(local)?;

        client.watch.begin("looking for the network");
        let (sender, steps) = mpsc::channel();
        let resolved = sender.clone();
        bootstraps.look_up(common.resolver, move |name| drop(resolved.send(Step::Resolved(name))));
        let (mut tried, mut running, mut why) = (Vec::new(), 0, None);
        loop {
            let addresses = bootstraps.addresses(local);
            if !addresses.is_empty() && addresses != tried {
                client.bootstrap(&addresses, &sender)?;
                (tried, running) = (addresses, running + 1);
            }
            if running == 0 && !bootstraps.is_pending() {
                break;
            }
            match steps.recv_timeout(client.left()) {
                Ok(Step::Resolved(resolved)) => bootstraps.take(resolved, local),
                Ok(Step::Responded | Step::Ended(Ok(()))) => {
                    let problems = bootstraps.problems(local);
                    problems.iter().for_each(|problem| client.watch.tell(&format!("kadlet: {problem}")));
                    return Ok(client);
                }
                Ok(Step::Ended(Err(error))) => (running, why) = (running - 1, Some(error)),
                Err(_) => break,
            }
        }
        let why = why.unwrap_or(OperationError::TimedOut);
        Err(no_network(&bootstraps, local, &tried, &why, common.network))
    }

    /// Opens a client that can ping an address, and returns the addresses that this stands for.
    pub(crate) fn reaching(
        address: &HostPort,
        listen: Option<&HostPort>,
        common: &Common,
    ) -> Result<(Self, Vec<SocketAddr>), Error> {
        let deadline = Instant::now() + common.timeout;
        let mut peers = bootstraps::resolve(address, common, common.timeout)?;
        let found = peers.len();
        peers.truncate(BOOTSTRAPS);
        let client = Self::open(&listening(listen, &peers, false, common)?, common, deadline)?;
        let local = client.server.local_addr();
        peers.retain(|peer| bootstraps::reaches(local, peer));
        if found > BOOTSTRAPS {
            client
                .watch
                .tell(&format!("kadlet: {address} has {found} addresses: only {BOOTSTRAPS} of them are pinged"));
        }
        Ok((client, peers))
    }

    /// Pings all of the addresses that `address` stands for at once, and returns the first response.
    pub(crate) fn ping(
        &self,
        address: &HostPort,
        peers: &[SocketAddr],
        common: &Common,
        limit: Duration,
    ) -> Result<Pong<SocketAddr>, Error> {
        self.watch.begin(&format!("pinging {address}"));
        let (sender, pongs) = mpsc::channel();
        for peer in peers.iter().copied() {
            let (handle, sender) = (self.server.handle(), sender.clone());
            spawn(move || drop(sender.send(handle.ping(peer, limit))))?;
        }
        drop(sender);
        let mut why = format!("{} can't send to that address", self.server.local_addr());
        for pong in pongs {
            match pong {
                Ok(pong) => return Ok(pong),
                Err(error) => why = reason(&error),
            }
        }
        let what = format!("no node of network {} responded at {address}: {why}", common.network);
        Err(Error::new(Exit::Network, what)
            .tip("check that a node runs there, its --network-key, --network and --geometry"))
    }

    /// Shows no progress any more.
    pub(crate) fn be_quiet(&self) {
        self.watch.stop();
    }

    /// The options of an operation: its time limit is what is left of the command's.
    pub(crate) fn options(&self) -> Options {
        Options { timeout: self.left(), publish: false, mode: self.mode, ..Options::DEFAULT }
    }

    /// What is left of the command's time.
    pub(crate) fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// A handle for an operation without a trace.
    pub(crate) fn handle(&self, doing: &str) -> Handle<Node<R>> {
        self.watch.begin(doing);
        self.server.handle()
    }

    /// A handle for a lookup, whose trace the user can watch.
    pub(crate) fn search(&self, doing: &str, target: Id, then: &'static str) -> Handle<Node<R>> {
        self.handle(doing).watch(self.watch.follow(target, then, R::Geometry::rank))
    }

    /// Shows the last round of the lookup.
    pub(crate) fn end(&self, stats: &QueryStats, nearest: &[Contact<SocketAddr>]) {
        if *stats != QueryStats::default() {
            self.watch.end(stats, nearest);
        }
    }

    /// Begins to join the network through these addresses.
    fn bootstrap(&self, addresses: &[SocketAddr], steps: &Sender<Step>) -> Result<(), Error> {
        let (responded, ended) = (steps.clone(), steps.clone());
        let handle = self.server.handle().watch(move |progress| {
            if progress.stats.responded > 0 {
                let _ = responded.send(Step::Responded);
            }
        });
        let (addresses, left) = (addresses.to_vec(), self.left());
        spawn(move || drop(ended.send(Step::Ended(handle.bootstrap(&addresses, left).map(|_| ())))))
    }
}

impl<R: Table> core::fmt::Debug for Client<R> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Client").field("address", &self.server.local_addr()).finish_non_exhaustive()
    }
}

/// Why a client did not join.
fn no_network(
    bootstraps: &Bootstraps,
    local: SocketAddr,
    tried: &[SocketAddr],
    why: &OperationError,
    network: u16,
) -> Error {
    let mut problems = bootstraps.problems(local);
    problems.extend(bootstraps.pending().map(|name| format!("{name} was not resolved within the time limit")));
    if tried.is_empty() {
        return Error::new(Exit::Network, problems.join("; ")).tip("give IP:PORT, or a longer --timeout");
    }
    let tried: Vec<_> = tried.iter().map(SocketAddr::to_string).collect();
    problems.insert(0, format!("no node of network {network} responded at {}: {}", tried.join(", "), reason(why)));
    Error::new(Exit::Network, problems.join("; "))
        .tip("check that a node runs there (`kadlet ping ADDR`), its --network-key, --network and --geometry")
}

/// The configuration of all of the tool's nodes.
pub(crate) fn config(common: &Common) -> Config {
    Config {
        network: common.network,
        plain: true,
        verify: Some(kadlet::ed25519::verify),
        seal: common.network_key,
        ..Config::DEFAULT
    }
}

/// Starts a node at the first of these addresses that the system can bind.
pub(crate) fn bind<R: Table>(
    addresses: &[SocketAddr],
    config: Config,
    id: Option<Id>,
) -> Result<Driver<Node<R>>, Error> {
    let mut refused = Error::new(Exit::Usage, "there is no address to listen on");
    for address in addresses {
        let id = id.map_or_else(kadlet_udp::random_id, Ok)?;
        let refuse = |error: ConfigError| Error::new(Exit::Usage, error.to_string());
        let store = HashStore::new(MAX_RECORDS, MAX_BYTES);
        let mut node = Node::from_parts(config, [0; 32], R::EMPTY, store).map_err(refuse)?;
        node.start(kadlet::Instant::ZERO, config, id, kadlet_udp::seed()?).map_err(refuse)?;
        match Driver::bind(*address, node) {
            Ok(driver) => return Ok(driver),
            Err(error) => refused = cannot_listen(*address, &error),
        }
    }
    Err(refused)
}

fn cannot_listen(address: SocketAddr, error: &io::Error) -> Error {
    let tip = match error.kind() {
        io::ErrorKind::AddrInUse | io::ErrorKind::AddrNotAvailable | io::ErrorKind::PermissionDenied => {
            "another --listen; with port 0 the system chooses a free port"
        }
        _ => "another --listen, or a higher limit of open files (`ulimit -n`)",
    };
    Error::new(Exit::Usage, format!("can't listen on {address}: {error}")).tip(tip)
}

/// The addresses to try to listen on: as given, or else those of [`free_ports`].
fn listening(
    listen: Option<&HostPort>,
    peers: &[SocketAddr],
    names: bool,
    common: &Common,
) -> Result<Vec<SocketAddr>, Error> {
    match listen {
        Some(listen) => bootstraps::resolve(listen, common, common.timeout),
        None => Ok(free_ports(peers, names)),
    }
}

/// Any free port of the peers' family, on loopback if all peers are there. With `names`, more peers will come, of any
/// family.
fn free_ports(peers: &[SocketAddr], names: bool) -> Vec<SocketAddr> {
    let v4 = names || peers.iter().any(SocketAddr::is_ipv4);
    let v6 = names || peers.iter().any(SocketAddr::is_ipv6);
    let loopback = peers.iter().all(|peer| peer.ip().is_loopback());
    match (v4, v6) {
        // An IPv6 socket serves both families, on a machine that has IPv6.
        (true, true) => vec![(Ipv6Addr::UNSPECIFIED, 0).into(), (Ipv4Addr::UNSPECIFIED, 0).into()],
        (_, true) if loopback => vec![(Ipv6Addr::LOCALHOST, 0).into()],
        (_, true) => vec![(Ipv6Addr::UNSPECIFIED, 0).into()],
        (_, false) if loopback => vec![(Ipv4Addr::LOCALHOST, 0).into()],
        (_, false) => vec![(Ipv4Addr::UNSPECIFIED, 0).into()],
    }
}

/// The error of a call to a node that has stopped.
pub(crate) fn stopped(error: OperationError) -> Error {
    Error::new(Exit::Network, format!("the node has stopped: {error}"))
}

/// Converts an operation's error to a text that says what the user can try.
pub(crate) fn explain(error: &OperationError) -> Error {
    let network = |what: String| Error::new(Exit::Network, what);
    match error {
        OperationError::Failed { failure: Failure::Refused(ErrorCode::Unsupported, _), stats } => {
            network(format!("the nodes store no records of this kind: {}", summary(stats)))
                .tip("--immutable or --sign FILE, or nodes that were started with --plain")
        }
        OperationError::Failed { failure: failure @ Failure::Refused(..), stats } => {
            network(format!("{failure}: {}", summary(stats))).tip("again later, or a shorter --ttl")
        }
        OperationError::Failed { failure, stats } => {
            network(format!("{failure}: {}", summary(stats))).tip("a longer --timeout, or another --bootstrap")
        }
        OperationError::Begin(BeginError::NoContacts) => {
            network(error.to_string()).tip("check that the bootstrap node serves requests")
        }
        _ => network(error.to_string()).tip("a longer --timeout, or another --bootstrap"),
    }
}

/// The counts of an operation that failed: all zero if it did not begin.
pub(crate) fn stats(error: &OperationError) -> QueryStats {
    match error {
        OperationError::NotFound { stats, .. }
        | OperationError::Conflict { stats, .. }
        | OperationError::Failed { stats, .. } => *stats,
        _ => QueryStats::default(),
    }
}

/// The reason of an operation's error, without its counts.
pub(crate) fn reason(error: &OperationError) -> String {
    match error {
        OperationError::Failed { failure, .. } => failure.to_string(),
        error => error.to_string(),
    }
}

/// The counts of an operation as text.
pub(crate) fn summary(stats: &QueryStats) -> String {
    let mut text =
        format!("{} asked, {} responded, {} timed out", nodes(stats.asked), stats.responded, stats.timed_out);
    match stats.refusal {
        // It may be as old as this one: then its hash decides.
        Some(ErrorCode::Outdated) => {
            text += &format!(", {} refused: a record that wins over this one is held", stats.refused)
        }
        Some(code) => text += &format!(", {} refused: {code}", stats.refused),
        None => {}
    }
    match stats.hops {
        0 => {}
        1 => text += ", over 1 hop",
        hops => text += &format!(", over {hops} hops"),
    }
    if stats.fell_back {
        text += ", iteratively after the recursive lookup failed";
    }
    text + &format!(", in {:.0?}", stats.took)
}

/// Where a record was found, as text.
pub(crate) fn source(holders: usize, stats: &QueryStats) -> String {
    let place = match stats.relayed {
        true => "relayed by the nodes that forwarded the request".to_owned(),
        false if holders == 0 => "found at the node itself".to_owned(),
        false => format!("found at {}", nodes(holders)),
    };
    format!("{place} ({})", summary(stats))
}

/// A number of nodes as text: `1 node` or `2 nodes`.
pub(crate) fn nodes(count: impl Into<usize>) -> String {
    match count.into() {
        1 => "1 node".to_owned(),
        count => format!("{count} nodes"),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use kadlet::Kademlia;

    use super::*;
    use crate::args::{Cli, Command};
    use crate::resolver::fake;

    type TestTable = Kademlia<SocketAddr, 512, 64>;

    fn default_for(peers: &[&str]) -> String {
        let peers: Vec<SocketAddr> = peers.iter().map(|peer| peer.parse().unwrap()).collect();
        free_ports(&peers, false)[0].to_string()
    }

    /// Joins through these addresses, with names that only [`fake`] knows, and says how long that took.
    fn join(bootstrap: &str, timeout: &str) -> (Result<(), String>, Duration) {
        let cli = Cli::try_parse_from(["kadlet", "find", "key", "--bootstrap", bootstrap, "--timeout", timeout]);
        let Ok(Cli { mut common, command: Command::Find(find) }) = cli else { panic!("not a find") };
        common.resolver = fake::RESOLVER;
        let began = Instant::now();
        let joined = Client::<TestTable>::join(&find.client, &common);
        (joined.map(drop).map_err(|error| error.to_string()), began.elapsed())
    }

    /// A node that serves, and the port of its address on loopback.
    fn node() -> (Server<Node<TestTable>>, u16) {
        let cli = Cli::try_parse_from(["kadlet", "demo", "key", "value"]).unwrap();
        let server =
            Server::start(bind(&[(Ipv4Addr::LOCALHOST, 0).into()], config(&cli.common), None).unwrap()).unwrap();
        let port = server.local_addr().port();
        (server, port)
    }

    #[test]
    fn a_client_joins_through_what_resolves_and_waits_for_nothing_else() {
        let (_node, port) = node();
        for bootstrap in [
            format!("gone.test:1,127.0.0.1:{port}"),
            format!("silent.test:1,127.0.0.1:{port}"),
            format!("gone.test:1,silent.test:1,empty.test:1,unusable.test:1,loopback.test:{port}"),
            format!("many.test:1,loopback.test:{port}"),
            format!("127.0.0.1:1,loopback.test:{port}"),
        ] {
            let (joined, took) = join(&bootstrap, "30s");
            assert_eq!(joined, Ok(()), "{bootstrap}");
            assert!(took < Duration::from_secs(10), "{bootstrap}: {took:?}");
        }
    }

    #[test]
    fn a_ping_of_a_name_waits_for_no_address_that_is_silent() {
        let (_node, port) = node();
        let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let cli = Cli::try_parse_from(["kadlet", "demo", "key", "value", "--timeout", "5"]).unwrap();
        let common = Common { resolver: fake::RESOLVER, ..cli.common };
        let name = format!("p{}.test:{port}", silent.local_addr().unwrap().port());
        let name = name.parse().unwrap();
        let (client, peers) = Client::<TestTable>::reaching(&name, None, &common).unwrap();
        let pong = client.ping(&name, &peers, &common, common.timeout).unwrap();
        assert_eq!(pong.contact.address.port(), port);
    }

    #[test]
    fn names_that_resolve_to_nothing_are_an_error_within_the_time_limit() {
        for (bootstrap, reason) in [
            ("gone.test:1", "can't resolve gone.test:1: no such name"),
            ("empty.test:1", "can't resolve empty.test:1: it has no address"),
            ("silent.test:1", "silent.test:1 was not resolved within the time limit"),
            ("gone.test:1,silent.test:1", "can't resolve gone.test:1: no such name; silent.test:1 was not"),
            ("127.0.0.1:1,silent.test:1", "responded at 127.0.0.1:1"),
        ] {
            let (joined, took) = join(bootstrap, "1s");
            let error = joined.unwrap_err();
            assert!(error.contains(reason), "{bootstrap}: {error}");
            assert!(took < Duration::from_secs(3), "{bootstrap}: {took:?}");
        }
    }

    #[test]
    fn the_summary_shows_the_hops_of_a_recursive_lookup_and_its_fallback() {
        let mut stats = QueryStats::default();
        assert!(!summary(&stats).contains("hop") && !summary(&stats).contains("recursive"));
        stats.hops = 1;
        assert!(summary(&stats).contains(", over 1 hop, in"));
        stats.hops = 3;
        assert!(summary(&stats).contains(", over 3 hops, in"));
        (stats.hops, stats.fell_back) = (0, true);
        assert!(summary(&stats).contains(", iteratively after the recursive lookup failed, in"));
    }

    #[test]
    fn the_socket_has_the_address_family_of_the_bootstrap_addresses() {
        assert_eq!(default_for(&["192.0.2.1:1"]), "0.0.0.0:0");
        assert_eq!(default_for(&["127.0.0.1:1"]), "127.0.0.1:0");
        assert_eq!(default_for(&["[2001:db8::1]:1"]), "[::]:0");
        assert_eq!(default_for(&["[::1]:1"]), "[::1]:0");
        assert_eq!(default_for(&["[::1]:1", "127.0.0.1:1"]), "[::]:0");
    }
}
