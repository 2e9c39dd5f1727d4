//! Many nodes in one process and one event loop.

use core::net::SocketAddr;
use core::time::Duration;
use std::io;
use std::time::Instant;

use kadlet::{Config, Dht, Event, Id, Progress, QueryId, QueryResult};
use kadlet_udp::{Buffers, Driver};
use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token};

use crate::error::{Error, Exit};
use crate::network::{Node, Table, bind};

/// The nodes, and the poll that waits for all their sockets.
pub(crate) struct Swarm<R: Table> {
    pub(crate) nodes: Vec<Driver<Node<R>>>,
    /// Clones of the nodes' sockets, which the poll waits for.
    _sockets: Vec<UdpSocket>,
    poll: Poll,
    events: Events,
    buffers: Buffers,
    deadline: Instant,
    /// Which node forwarded a request to which id. `None`: not recorded. While it is recorded, all events are lost
    /// except the result that `finish` waits for.
    pub(crate) forwarded: Option<Vec<(usize, Id)>>,
}

impl<R: Table> Swarm<R> {
    /// Starts a node at each of the addresses, with these ids. All operations together must end within `limit`.
    pub(crate) fn start(nodes: &[(SocketAddr, Id)], config: Config, limit: Duration) -> Result<Self, Error> {
        let poll = Poll::new().map_err(broken)?;
        let drivers = nodes.iter().map(|(address, id)| bind(&[*address], config, Some(*id)));
        let nodes = drivers.collect::<Result<Vec<_>, _>>()?;
        let mut sockets = Vec::new();
        for (index, node) in nodes.iter().enumerate() {
            let mut socket = UdpSocket::from_std(node.socket().try_clone().map_err(broken)?);
            poll.registry().register(&mut socket, Token(index), Interest::READABLE).map_err(broken)?;
            sockets.push(socket);
        }
        let deadline = Instant::now() + limit;
        Ok(Self {
            nodes,
            _sockets: sockets,
            poll,
            events: Events::with_capacity(1024),
            buffers: Buffers::new(),
            deadline,
            forwarded: None,
        })
    }

    /// Gives one node a command.
    pub(crate) fn command<T>(&mut self, node: usize, command: impl FnOnce(&mut Node<R>, kadlet::Instant) -> T) -> T {
        let driver = &mut self.nodes[node];
        let now = driver.now();
        let result = command(driver.node_mut(), now);
        driver.flush(&mut self.buffers);
        result
    }

    /// Runs all nodes until the operation `query` of `node` has ended, and returns what `end` makes of its result.
    /// Calls `watch` with the operation's progress after every turn.
    pub(crate) fn finish<T>(
        &mut self,
        node: usize,
        query: QueryId,
        mut watch: impl FnMut(Progress<'_, SocketAddr>) -> Result<(), Error>,
        end: impl FnOnce(QueryResult<'_, SocketAddr>) -> T,
    ) -> Result<T, Error> {
        loop {
            if let Some(progress) = self.nodes[node].node().progress(query) {
                watch(progress)?;
            }
            self.record_forwarded(node, query);
            if let Some(done) = self.nodes[node].node_mut().take_result(query) {
                return Ok(end(done));
            }
            self.turn()?;
        }
    }

    /// Records which nodes forwarded a request, except that the events of `busy` stay if `query` has ended: the result
    /// is one.
    fn record_forwarded(&mut self, busy: usize, query: QueryId) {
        let Some(forwarded) = &mut self.forwarded else {
            return;
        };
        for (index, node) in self.nodes.iter_mut().enumerate() {
            let ended = index == busy && node.node().progress(query).is_none();
            while let Some(event) = (!ended).then(|| node.node_mut().poll_event()).flatten() {
                if let Event::Forwarded { to, .. } = event {
                    forwarded.push((index, to));
                }
            }
        }
    }

    /// Waits until something happens, and lets the nodes handle it.
    fn turn(&mut self) -> Result<(), Error> {
        let now = Instant::now();
        if now >= self.deadline {
            let what = "the time limit was reached before the demo had ended";
            return Err(Error::new(Exit::Network, what).tip("a longer --timeout, or fewer --nodes"));
        }
        let next = self.nodes.iter().filter_map(Driver::deadline).fold(self.deadline, Instant::min);
        match self.poll.poll(&mut self.events, Some(next.saturating_duration_since(now))) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(broken(error)),
            _ => {}
        }
        for event in &self.events {
            // The poll reports a readable socket only once, so it is read until it is empty.
            while self.nodes.get_mut(event.token().0).is_some_and(|node| node.on_readable(&mut self.buffers)) {}
        }
        let now = Instant::now();
        for node in self.nodes.iter_mut().filter(|node| node.deadline().is_some_and(|deadline| deadline <= now)) {
            node.on_timeout(&mut self.buffers);
        }
        Ok(())
    }
}

fn broken(error: io::Error) -> Error {
    Error::new(Exit::Network, format!("can't wait for the sockets: {error}"))
        .tip("fewer --nodes, or a higher limit of open files (`ulimit -n`)")
}
