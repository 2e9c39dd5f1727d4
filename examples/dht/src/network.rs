//! What all of the tool's nodes have in common, and how the other commands reach the network: as a client, which asks
//! but is put into no routing table.

use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use core::time::Duration;
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use kadlet::message::ErrorCode;
use kadlet::{
    BeginError, Config, ConfigError, Contact, Failure, Geometry, HashStore, Id, Mode, Options, QueryStats, Routing,
};
use kadlet_udp::{Driver, Handle, Server};

use crate::args::{BOOTSTRAPS, ClientArgs, Common, HostPort, bootstraps};
use crate::error::{Error, Exit};
use crate::watch::Watch;

/// The tool's node: 16 operations at once, and 16 forwarded requests.
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

impl<R: Table> Client<R> {
    /// Opens a client that knows no node.
    pub(crate) fn open(listen: Option<&HostPort>, peers: &[SocketAddr], common: &Common) -> Result<Self, Error> {
        let config = Config { serve: false, ..config(common) };
        let driver = bind(&listening(listen, peers)?, config, None)?;
        let server = Server::start(driver)
            .map_err(|error| Error::new(Exit::Network, format!("can't start a thread: {error}")))?;
        Ok(Self {
            server,
            watch: Watch::new(common.verbose),
            deadline: Instant::now() + common.timeout,
            mode: Mode::Iterative,
        })
    }

    /// Opens a client and joins the network.
    pub(crate) fn join(args: &ClientArgs, common: &Common) -> Result<Self, Error> {
        let peers = bootstraps(&args.bootstrap)?;
        let client = Self { mode: args.lookup.into(), ..Self::open(args.listen.as_ref(), &peers, common)? };
        client.watch.begin("looking for the network");
        let peers = client.reachable(&peers)?;
        if let Err(error) = client.bootstrap(peers.clone()) {
            let names: Vec<_> = peers.iter().map(SocketAddr::to_string).collect();
            let what =
                format!("no node of network {} responded at {}: {}", common.network, names.join(", "), reason(&error));
            return Err(Error::new(Exit::Network, what).tip(
                "check that a node runs there (`kadlet ping ADDR`), and that its --network and --geometry are the same",
            ));
        }
        Ok(client)
    }

    /// The options of an operation: its time limit is what is left of the command's.
    pub(crate) fn options(&self) -> Options {
        Options { timeout: self.left(), publish: false, mode: self.mode, ..Options::DEFAULT }
    }

    /// The peers that the client's socket can send to.
    pub(crate) fn reachable(&self, peers: &[SocketAddr]) -> Result<Vec<SocketAddr>, Error> {
        reachable(peers, self.server.local_addr())
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

    /// Shows the last round of the lookup, and closes the client.
    pub(crate) fn end(self, stats: &QueryStats, nearest: &[Contact<SocketAddr>]) {
        if *stats != QueryStats::default() {
            self.watch.end(stats, nearest);
        }
    }

    /// Joins the network. Returns as soon as one of the addresses has responded, and doesn't wait for the others.
    fn bootstrap(&self, peers: Vec<SocketAddr>) -> Result<(), OperationError> {
        let (sender, result) = mpsc::channel();
        let first_response = sender.clone();
        let handle = self.server.handle().watch(move |progress| {
            if progress.stats.responded > 0 {
                let _ = first_response.send(Ok(()));
            }
        });
        let left = self.left();
        thread::spawn(move || sender.send(handle.bootstrap(&peers, left).map(|_| ())));
        result.recv().unwrap_or(Err(OperationError::Stopped))
    }
}

impl<R: Table> core::fmt::Debug for Client<R> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Client").field("address", &self.server.local_addr()).finish_non_exhaustive()
    }
}

/// The configuration of all of the tool's nodes.
pub(crate) fn config(common: &Common) -> Config {
    Config { network: common.network, plain: true, verify: Some(kadlet::ed25519::verify), ..Config::DEFAULT }
}

/// Starts a node at the first of these addresses that the system can bind.
pub(crate) fn bind<R: Table>(
    addresses: &[SocketAddr],
    config: Config,
    id: Option<Id>,
) -> Result<Driver<Node<R>>, Error> {
    let mut refused = String::new();
    for address in addresses {
        let id = id.map_or_else(kadlet_udp::random_id, Ok)?;
        let refuse = |error: ConfigError| Error::new(Exit::Usage, error.to_string());
        let store = HashStore::new(MAX_RECORDS, MAX_BYTES);
        let mut node = Node::from_parts(config, [0; 32], R::EMPTY, store).map_err(refuse)?;
        node.start(kadlet::Instant::ZERO, config, id, kadlet_udp::seed()?).map_err(refuse)?;
        match Driver::bind(*address, node) {
            Ok(driver) => return Ok(driver),
            Err(error) => refused = format!("can't listen on {address}: {error}"),
        }
    }
    Err(Error::new(Exit::Usage, refused).tip("another --listen; with port 0 the system chooses a free port"))
}

/// The addresses to try to listen on: as given, or else any free port of the peers' family, on loopback if all peers
/// are there.
fn listening(listen: Option<&HostPort>, peers: &[SocketAddr]) -> Result<Vec<SocketAddr>, Error> {
    if let Some(listen) = listen {
        return listen.resolve();
    }
    let v4 = peers.iter().any(SocketAddr::is_ipv4);
    let v6 = peers.iter().any(SocketAddr::is_ipv6);
    let loopback = peers.iter().all(|peer| peer.ip().is_loopback());
    Ok(match (v4, v6) {
        // An IPv6 socket serves both families, on a machine that has IPv6.
        (true, true) => vec![(Ipv6Addr::UNSPECIFIED, 0).into(), (Ipv4Addr::UNSPECIFIED, 0).into()],
        (_, true) if loopback => vec![(Ipv6Addr::LOCALHOST, 0).into()],
        (_, true) => vec![(Ipv6Addr::UNSPECIFIED, 0).into()],
        (_, false) if loopback => vec![(Ipv4Addr::LOCALHOST, 0).into()],
        (_, false) => vec![(Ipv4Addr::UNSPECIFIED, 0).into()],
    })
}

/// The peers that a socket bound to `local` can send to.
pub(crate) fn reachable(peers: &[SocketAddr], local: SocketAddr) -> Result<Vec<SocketAddr>, Error> {
    let both = local.is_ipv6() && local.ip().is_unspecified();
    let found: Vec<_> = peers.iter().copied().filter(|peer| both || peer.is_ipv4() == local.is_ipv4()).collect();
    if found.is_empty() && !peers.is_empty() {
        let what = format!("{local} is of another address family than the bootstrap addresses");
        return Err(Error::new(Exit::Usage, what).tip("--listen [::]:0 for both IPv4 and IPv6, or leave it out"));
    }
    Ok(found)
}

/// Converts an operation's error to a text that says what the user can try.
pub(crate) fn explain(error: &OperationError) -> Error {
    let network = |what: String| Error::new(Exit::Network, what);
    match error {
        OperationError::Failed { failure: Failure::Refused(ErrorCode::Unsupported, _), stats } => {
            network(format!("the nodes store no records of this kind: {}", summary(stats)))
                .tip("--immutable or --sign FILE")
        }
        OperationError::Failed { failure: failure @ Failure::Refused(..), stats } => {
            network(format!("{failure}: {}", summary(stats))).tip("again later, or a shorter --ttl")
        }
        OperationError::Failed { failure, stats } => {
            network(format!("{failure}: {}", summary(stats))).tip("a longer --timeout, or another --bootstrap")
        }
        OperationError::Find(BeginError::NoContacts) => {
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
        Some(code) if stats.refused > 0 => text += &format!(", {} refused: {code}", stats.refused),
        _ => {}
    }
    match stats.hops {
        0 => {}
        1 => text += ", over 1 hop",
        hops => text += &format!(", over {hops} hops"),
    }
    if stats.fell_back {
        text += ", iteratively after the recursive request failed";
    }
    text + &format!(", in {:.0?}", stats.took)
}

/// Where a record was found, as text.
pub(crate) fn source(holders: usize, stats: &QueryStats) -> String {
    let place = match stats.relayed {
        true => "relayed by the nodes that forwarded the request".to_owned(),
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
    use super::*;

    fn default_for(peers: &[&str]) -> String {
        let peers: Vec<SocketAddr> = peers.iter().map(|peer| peer.parse().unwrap()).collect();
        listening(None, &peers).unwrap()[0].to_string()
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
        assert!(summary(&stats).contains(", iteratively after the recursive request failed, in"));
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
