//! How a running node finds its network again: while it knows no other node, names are looked up again. They may stand
//! for other addresses now.

use core::net::SocketAddr;
use core::time::Duration;
use std::time::Instant;

use kadlet::Dht;
use kadlet::routing::ContactState;
use kadlet_udp::Handle;
use tracing::warn;

use crate::bootstraps::Bootstraps;
use crate::error::{Error, Exit};
use crate::network::{Node, Table, stopped};
use crate::resolver::{Resolved, Resolver};

/// The first pause before names are looked up again, and the longest of those that each take twice as long.
const PAUSE: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(15 * 60));

/// The bootstrap addresses of a running node.
pub(crate) struct Joining<F> {
    bootstraps: Bootstraps,
    /// The node's own address.
    local: SocketAddr,
    /// The addresses that the node tries.
    tried: Vec<SocketAddr>,
    resolver: Resolver,
    /// Gets what came of a name, which is for [`take`](Self::take).
    report: F,
    /// The problems that the log has.
    told: Vec<String>,
    /// Whether all names were looked up once.
    looked_up: bool,
    pause: Duration,
    /// When to look the names up again.
    next: Instant,
}

impl<F: Fn(Resolved) + Clone + Send + 'static> Joining<F> {
    /// Begins to look the names up, for a node that tries the addresses `tried`.
    pub(crate) fn new(
        bootstraps: Bootstraps,
        local: SocketAddr,
        tried: Vec<SocketAddr>,
        resolver: Resolver,
        report: F,
    ) -> Self {
        let (told, looked_up, pause, next) = (Vec::new(), false, PAUSE.0, Instant::now() + PAUSE.0);
        let mut joining = Self { bootstraps, local, tried, resolver, report, told, looked_up, pause, next };
        joining.tell();
        joining.look_up();
        joining
    }

    /// Takes what came of a name. Fails if that was the last hope of a node that has just started.
    pub(crate) fn take<R: Table>(&mut self, handle: &Handle<Node<R>>, resolved: Resolved) -> Result<(), Error> {
        self.bootstraps.take(resolved, self.local);
        let addresses = self.bootstraps.addresses(self.local);
        if !addresses.is_empty() && addresses != self.tried {
            self.tried.clone_from(&addresses);
            let begun = handle.with(move |node, now| node.bootstrap(now, &addresses).map(|_| ())).map_err(stopped)?;
            if begun.is_err() {
                // All of the node's operations run: it is tried again with the next result.
                self.tried.clear();
            }
        }
        if self.bootstraps.is_pending() {
            return Ok(());
        }
        let began = !core::mem::replace(&mut self.looked_up, true);
        if began && self.tried.is_empty() && knows_nobody(handle)? {
            return Err(Error::new(Exit::Network, self.bootstraps.problems(self.local).join("; ")).tip("give IP:PORT"));
        }
        self.tell();
        Ok(())
    }

    /// Looks the names up again if that is due and the node knows nobody.
    pub(crate) fn retry<R: Table>(&mut self, handle: &Handle<Node<R>>) -> Result<(), Error> {
        let now = Instant::now();
        if !self.bootstraps.has_names() || self.bootstraps.is_pending() || now < self.next {
            return Ok(());
        }
        self.pause = match knows_nobody(handle)? {
            true => {
                self.look_up();
                (2 * self.pause).min(PAUSE.1)
            }
            false => PAUSE.0,
        };
        self.next = now + self.pause;
        Ok(())
    }

    fn look_up(&mut self) {
        self.bootstraps.look_up(self.resolver, self.report.clone());
    }

    /// Prints the problems that are new.
    fn tell(&mut self) {
        let problems = self.bootstraps.problems(self.local);
        for problem in problems.iter().filter(|problem| !self.told.contains(problem)) {
            warn!("{problem}");
        }
        self.told = problems;
    }
}

fn knows_nobody<R: Table>(handle: &Handle<Node<R>>) -> Result<bool, Error> {
    let known = |node: &mut Node<R>, _| node.routing().peers().any(|peer| peer.state == ContactState::Verified);
    Ok(!handle.with(known).map_err(stopped)?)
}

#[cfg(test)]
mod tests {
    use core::sync::atomic::Ordering;
    use std::sync::mpsc::{self, Receiver};

    use clap::Parser;
    use kadlet::Kademlia;
    use kadlet_udp::Server;

    use super::*;
    use crate::args::Cli;
    use crate::network::{bind, config};
    use crate::resolver::fake;

    type TestTable = Kademlia<SocketAddr, 512, 64>;

    /// Longer than anything here takes.
    const PATIENCE: Duration = Duration::from_secs(20);

    fn node() -> Server<Node<TestTable>> {
        let cli = Cli::try_parse_from(["kadlet", "demo", "key", "value"]).unwrap();
        Server::start(bind(&["127.0.0.1:0".parse().unwrap()], config(&cli.common), None).unwrap()).unwrap()
    }

    /// The bootstrap addresses of a node, and what comes of its names.
    fn joining(
        node: &Server<Node<TestTable>>,
        names: &[&str],
    ) -> (Joining<impl Fn(Resolved) + Clone + Send + 'static>, Receiver<Resolved>) {
        let written: Vec<_> = names.iter().map(|name| name.parse().unwrap()).collect();
        let (sender, resolved) = mpsc::channel();
        let bootstraps = Bootstraps::new(&written).unwrap();
        let report = move |name| drop(sender.send(name));
        (Joining::new(bootstraps, node.local_addr(), Vec::new(), fake::RESOLVER, report), resolved)
    }

    /// Takes the results of two names.
    fn take(
        joining: &mut Joining<impl Fn(Resolved) + Clone + Send + 'static>,
        node: &Server<Node<TestTable>>,
        resolved: &Receiver<Resolved>,
    ) -> Result<(), Error> {
        (0..2).try_for_each(|_| joining.take(&node.handle(), resolved.recv_timeout(PATIENCE).unwrap()))
    }

    #[test]
    fn a_name_is_looked_up_again_while_nobody_is_known_and_followed_to_its_new_address() {
        let (node, other) = (node(), node());
        let (mut joining, resolved) = joining(&node, &["moving.test:1", "gone.test:1"]);
        take(&mut joining, &node, &resolved).unwrap();
        assert_eq!(joining.tried, [SocketAddr::from(([127, 0, 0, 1], 1))]);
        joining.retry(&node.handle()).unwrap();
        assert!(!joining.bootstraps.is_pending(), "a lookup before its time");

        fake::MOVING.store(other.local_addr().port(), Ordering::Relaxed);
        joining.next = Instant::now();
        joining.retry(&node.handle()).unwrap();
        assert!(joining.next > Instant::now() + PAUSE.0, "the pauses don't grow");
        take(&mut joining, &node, &resolved).unwrap();
        let deadline = Instant::now() + PATIENCE;
        while knows_nobody(&node.handle()).unwrap() {
            assert!(Instant::now() < deadline, "the node has not joined");
            std::thread::sleep(Duration::from_millis(10));
        }
        joining.next = Instant::now();
        joining.retry(&node.handle()).unwrap();
        assert!(!joining.bootstraps.is_pending(), "a lookup while another node is known");
    }

    #[test]
    fn a_node_that_can_use_no_address_at_its_start_fails_and_a_node_that_runs_goes_on() {
        let node = node();
        let (mut joining, resolved) = joining(&node, &["gone.test:1", "empty.test:1"]);
        let error = take(&mut joining, &node, &resolved).unwrap_err();
        assert!(error.what().contains("gone.test:1") && error.what().contains("empty.test:1"), "{error}");
        joining.next = Instant::now();
        joining.retry(&node.handle()).unwrap();
        take(&mut joining, &node, &resolved).unwrap();
    }
}
