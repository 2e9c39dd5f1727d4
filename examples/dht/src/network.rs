//! What all of the tool's nodes have in common, and how a command that is no node reaches the network: as a client, which asks and
//! leaves no trace.

use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use core::time::Duration;
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use kadlet::wire::ErrorCode;
use kadlet::{Config, Contact, Failure, FindError, Geometry, HashStore, Id, Mode, Options, QueryStats, Routing};
use kadlet_udp::{Driver, Handle, Server};

use crate::args::{BOOTSTRAPS, Common, Place, Way, bootstraps};
use crate::error::{Error, Exit};
use crate::watch::Watch;

/// The tool's node: 16 operations at once, and 16 questions passed on.
pub(crate) type Node<R> = kadlet::Node<R, HashStore, 16, 24, 16, 64, 256, BOOTSTRAPS, 16>;

/// A table of the tool's nodes, of whichever geometry.
pub(crate) trait Table: Routing<Address = SocketAddr> + Send + 'static {}

impl<R: Routing<Address = SocketAddr> + Send + 'static> Table for R {}

/// What a node of the tool holds for others at most: records, and bytes of them.
const MAX_RECORDS: usize = 65_536;
const MAX_BYTES: usize = 16 << 20;

/// What can go wrong in an operation.
pub(crate) type Trouble = kadlet_udp::Error<SocketAddr>;

/// A way into the network.
pub(crate) struct Client<R: Table> {
    server: Server<Node<R>>,
    watch: Watch,
    deadline: Instant,
    mode: Mode,
}

impl<R: Table> Client<R> {
    /// A client that knows nobody.
    pub(crate) fn open(listen: Option<&Place>, peers: &[SocketAddr], common: &Common) -> Result<Self, Error> {
        let config = Config { serve: false, ..config(common) };
        let driver = bind(&listening(listen, peers)?, config, None)?;
        let server = Server::start(driver)
            .map_err(|error| Error::new(Exit::Network, format!("no thread can be started: {error}")))?;
        Ok(Self {
            server,
            watch: Watch::new(common.verbose),
            deadline: Instant::now() + common.timeout,
            mode: Mode::Iterative,
        })
    }

    /// A client that knows its way.
    pub(crate) fn join(way: &Way, common: &Common) -> Result<Self, Error> {
        let peers = bootstraps(&way.bootstrap)?;
        let client = Self { mode: way.lookup.into(), ..Self::open(way.listen.as_ref(), &peers, common)? };
        client.watch.begin("looking for the network");
        let peers = client.reachable(&peers)?;
        if let Err(trouble) = client.bootstrap(peers.clone()) {
            let names: Vec<_> = peers.iter().map(SocketAddr::to_string).collect();
            let what =
                format!("no node of network {} answered at {}: {}", common.network, names.join(", "), reason(&trouble));
            return Err(Error::new(Exit::Network, what).tip(
                "check that a node runs there (`kadlet ping ADDR`) and that --network and --geometry are the same",
            ));
        }
        Ok(client)
    }

    /// The operations, with a time limit of what is left of the command's.
    pub(crate) fn options(&self) -> Options {
        Options { timeout: self.left(), publish: false, mode: self.mode, ..Options::DEFAULT }
    }

    /// Those of the peers that can be sent to.
    pub(crate) fn reachable(&self, peers: &[SocketAddr]) -> Result<Vec<SocketAddr>, Error> {
        reachable(peers, self.server.local_addr())
    }

    /// What is left of the command's time.
    pub(crate) fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// A handle for a single question.
    pub(crate) fn asking(&self, doing: &str) -> Handle<Node<R>> {
        self.watch.begin(doing);
        self.server.handle()
    }

    /// A handle for a search, whose story is told to who wants it.
    pub(crate) fn search(&self, doing: &str, target: Id, then: &'static str) -> Handle<Node<R>> {
        self.asking(doing).watch(self.watch.follow(target, then, R::Geometry::rank))
    }

    /// The client has done its work.
    pub(crate) fn end(self, stats: &QueryStats, nearest: &[Contact<SocketAddr>]) {
        if *stats != QueryStats::default() {
            self.watch.end(stats, nearest);
        }
    }

    /// Returns as soon as one of the addresses has answered; the others need not be waited for.
    fn bootstrap(&self, peers: Vec<SocketAddr>) -> Result<(), Trouble> {
        let (sender, ended) = mpsc::channel();
        let responded = sender.clone();
        let handle = self.server.handle().watch(move |progress| {
            if progress.stats.responded > 0 {
                let _ = responded.send(Ok(()));
            }
        });
        let left = self.left();
        thread::spawn(move || sender.send(handle.bootstrap(&peers, left).map(|_| ())));
        ended.recv().unwrap_or(Err(Trouble::Stopped))
    }
}

impl<R: Table> core::fmt::Debug for Client<R> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Client").field("address", &self.server.local_addr()).finish_non_exhaustive()
    }
}

/// What all of the tool's nodes have in common.
pub(crate) fn config(common: &Common) -> Config {
    Config { network: common.network, plain: true, verify: Some(kadlet::ed25519::verify), ..Config::DEFAULT }
}

/// Begins a node at the first of these addresses that the system gives it.
pub(crate) fn bind<R: Table>(
    addresses: &[SocketAddr],
    config: Config,
    id: Option<Id>,
) -> Result<Driver<Node<R>>, Error> {
    let mut refused = String::new();
    for address in addresses {
        let id = id.map_or_else(kadlet_udp::random_id, Ok)?;
        let mut node = Node::from_parts(config, [0; 32], R::EMPTY, HashStore::new(MAX_RECORDS, MAX_BYTES));
        node.start(kadlet::Instant::ZERO, config, id, kadlet_udp::seed()?);
        match Driver::bind(*address, node) {
            Ok(driver) => return Ok(driver),
            Err(error) => refused = format!("{address} can't be listened at: {error}"),
        }
    }
    Err(Error::new(Exit::Usage, refused).tip("another --listen; port 0 takes a free one"))
}

/// Where to listen: as told, or at a free port of the family, and no wider than the way to the peers needs.
fn listening(listen: Option<&Place>, peers: &[SocketAddr]) -> Result<Vec<SocketAddr>, Error> {
    if let Some(place) = listen {
        return place.resolve();
    }
    let v4 = peers.iter().any(SocketAddr::is_ipv4);
    let v6 = peers.iter().any(SocketAddr::is_ipv6);
    let here = peers.iter().all(|peer| peer.ip().is_loopback());
    Ok(match (v4, v6) {
        // An IPv6 socket serves both, where there is IPv6.
        (true, true) => vec![(Ipv6Addr::UNSPECIFIED, 0).into(), (Ipv4Addr::UNSPECIFIED, 0).into()],
        (_, true) if here => vec![(Ipv6Addr::LOCALHOST, 0).into()],
        (_, true) => vec![(Ipv6Addr::UNSPECIFIED, 0).into()],
        (_, false) if here => vec![(Ipv4Addr::LOCALHOST, 0).into()],
        (_, false) => vec![(Ipv4Addr::UNSPECIFIED, 0).into()],
    })
}

/// Those of the peers that a socket at this address can send to.
pub(crate) fn reachable(peers: &[SocketAddr], local: SocketAddr) -> Result<Vec<SocketAddr>, Error> {
    let both = local.is_ipv6() && local.ip().is_unspecified();
    let found: Vec<_> = peers.iter().copied().filter(|peer| both || peer.is_ipv4() == local.is_ipv4()).collect();
    if found.is_empty() && !peers.is_empty() {
        let what = format!("{local} is of another family than the addresses to bootstrap from");
        return Err(Error::new(Exit::Usage, what).tip("--listen [::]:0 for both IPv4 and IPv6, or leave it out"));
    }
    Ok(found)
}

/// An operation's trouble in the tool's words.
pub(crate) fn explain(trouble: &Trouble) -> Error {
    let error = |what: String| Error::new(Exit::Network, what);
    match trouble {
        Trouble::Failed { failure: Failure::Refused(ErrorCode::Unsupported, _), stats } => {
            error(format!("the nodes take no records of this kind: {}", account(stats)))
                .tip("--immutable or --sign FILE")
        }
        Trouble::Failed { failure: failure @ Failure::Refused(..), stats } => {
            error(format!("{failure}: {}", account(stats))).tip("again later, or a shorter --ttl")
        }
        Trouble::Failed { failure, stats } => {
            error(format!("{failure}: {}", account(stats))).tip("more --timeout, or another --bootstrap")
        }
        Trouble::Find(FindError::NoContacts) => {
            error(trouble.to_string()).tip("check that the bootstrap node is one that serves")
        }
        _ => error(trouble.to_string()).tip("more --timeout, or another --bootstrap"),
    }
}

/// Who was asked in an operation that came to nothing: nobody, if it did not begin.
pub(crate) fn stats(trouble: &Trouble) -> QueryStats {
    match trouble {
        Trouble::NotFound { stats, .. } | Trouble::Conflict { stats, .. } | Trouble::Failed { stats, .. } => *stats,
        _ => QueryStats::default(),
    }
}

/// What an operation failed of, without who was asked.
pub(crate) fn reason(trouble: &Trouble) -> String {
    match trouble {
        Trouble::Failed { failure, .. } => failure.to_string(),
        trouble => trouble.to_string(),
    }
}

/// Who was asked and who answered, in words.
pub(crate) fn account(stats: &QueryStats) -> String {
    let mut words = format!("{} asked, {} answered, {} did not", nodes(stats.asked), stats.responded, stats.timed_out);
    match stats.refusal {
        Some(code) if stats.refused > 0 => words += &format!(", {} refused ({code:?})", stats.refused),
        _ => {}
    }
    match stats.hops {
        0 => {}
        1 => words += ", over 1 hop",
        hops => words += &format!(", over {hops} hops"),
    }
    if stats.fell_back {
        words += ", iteratively, as the recursive question was not answered";
    }
    words + &format!(", in {:.0?}", stats.took)
}

/// Where a record that was got comes from, in words.
pub(crate) fn source(holders: usize, stats: &QueryStats) -> String {
    let place = match stats.relayed {
        true => "the value comes back the way the question went".to_owned(),
        false => format!("found at {}", nodes(holders)),
    };
    format!("{place} ({})", account(stats))
}

/// So many nodes.
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
    fn a_recursive_request_is_told_of_whether_it_was_responded_or_not() {
        let mut stats = QueryStats::default();
        assert!(!account(&stats).contains("hop") && !account(&stats).contains("recursive"));
        stats.hops = 1;
        assert!(account(&stats).contains(", over 1 hop, in"));
        stats.hops = 3;
        assert!(account(&stats).contains(", over 3 hops, in"));
        (stats.hops, stats.fell_back) = (0, true);
        assert!(account(&stats).contains(", iteratively, as the recursive question was not answered, in"));
    }

    #[test]
    fn the_socket_is_of_the_bootstraps_family() {
        assert_eq!(default_for(&["192.0.2.1:1"]), "0.0.0.0:0");
        assert_eq!(default_for(&["127.0.0.1:1"]), "127.0.0.1:0");
        assert_eq!(default_for(&["[2001:db8::1]:1"]), "[::]:0");
        assert_eq!(default_for(&["[::1]:1"]), "[::1]:0");
        assert_eq!(default_for(&["[::1]:1", "127.0.0.1:1"]), "[::]:0");
    }
}
