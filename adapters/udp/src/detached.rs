//! A node whose datagrams the caller receives and sends.

use core::net::{SocketAddr, SocketAddrV6};
use std::time::Instant;

use kadlet::wire::MAX_DATAGRAM;
use kadlet::{Dht, Transmit};

use crate::address::IpAddress;

/// A node with a clock and with addresses of sockets, but without a socket: for completion-based event loops, such as
/// those over io_uring or IOCP, which receive and send by themselves.
///
/// Pass each datagram that came in to [`datagram_in`](Detached::datagram_in), and send what it returns. Send what
/// [`datagram_out`](Detached::datagram_out) returns until that is `None`, after each datagram, each command and each
/// call of [`on_timeout`](Detached::on_timeout), which is due at [`deadline`](Detached::deadline). A call too many or
/// too few does no harm, and neither does a datagram that is lost.
///
/// The socket should be bound to one address of the host: from one that is bound to all (`0.0.0.0` or `[::]`), a
/// response can leave from another address than was asked, and is dropped there. [`Driver`](crate::Driver) sees to that.
///
/// ```
/// use core::net::SocketAddr;
///
/// use kadlet::wire::MAX_DATAGRAM;
/// use kadlet::{Config, Dht, Event, FixedStore, Instant, Kademlia, Node};
/// use kadlet_udp::{Detached, random_id, seed};
///
/// type MyNode = Node<Kademlia<SocketAddr, 128>, FixedStore<32, 8192>>;
///
/// # fn main() -> Result<(), Box<dyn core::error::Error>> {
/// let node = |address: SocketAddr| -> Result<_, Box<dyn core::error::Error>> {
///     let node = MyNode::new(Instant::ZERO, Config::default(), random_id()?, seed()?)?;
///     Ok(Detached::new(address, node))
/// };
/// let (mut first, mut second) = (node("127.0.0.1:4000".parse()?)?, node("127.0.0.1:4001".parse()?)?);
/// let now = second.now();
/// second.node_mut().ping(now, first.local_addr())?;
///
/// // Here the request and its response only go from one to the other.
/// let (mut request, mut response) = ([0; MAX_DATAGRAM], [0; MAX_DATAGRAM]);
/// let (len, to) = second.datagram_out(&mut request).expect("a request");
/// assert_eq!(to, first.local_addr());
/// let (len, to) = first.datagram_in(&request[..len], second.local_addr(), &mut response).expect("a response");
/// assert_eq!(to, second.local_addr());
/// second.datagram_in(&response[..len], first.local_addr(), &mut request);
/// assert!(matches!(second.node_mut().poll_event(), Some(Event::Finished(_))));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Detached<D> {
    pub(crate) local: SocketAddr,
    pub(crate) node: D,
    start: Instant,
    pub(crate) losses: Losses,
}

/// Counters of what was lost between the node and the network. The node that waits for a lost datagram retransmits its
/// request.
///
/// ```
/// use kadlet_udp::Losses;
///
/// fn report(losses: &Losses) -> String {
///     format!("{} datagrams not sent, {} not delivered", losses.unsent + losses.failed, losses.refused)
/// }
/// assert_eq!(report(&Losses::default()), "0 datagrams not sent, 0 not delivered");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Losses {
    /// Datagrams not sent because the socket's send buffer or the link's queue was full.
    pub unsent: u64,
    /// Datagrams that the system refused to send: no route, no such family, a firewall; or it reported other datagrams
    /// as not delivered, five times in a row, instead of sending this one.
    pub failed: u64,
    /// Datagrams that ICMP reported as not delivered. Always 0 on systems other than Linux and Android.
    pub refused: u64,
    /// Datagrams received and dropped because they were larger than [`MAX_DATAGRAM`].
    pub oversized: u64,
    /// Errors while receiving that the system related to no peer.
    pub errors: u64,
}

impl<D: Dht<Address: IpAddress>> Detached<D> {
    /// A node behind a socket that is bound to `local`. The node's time starts now.
    #[must_use]
    pub fn new(local: SocketAddr, node: D) -> Self {
        Self { local, node, start: Instant::now(), losses: Losses::default() }
    }

    /// The address that the socket is bound to.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// The node's current time, counted from the start: the `now` for every command.
    #[must_use]
    pub fn now(&self) -> kadlet::Instant {
        kadlet::Instant::ZERO + self.start.elapsed()
    }

    /// The node.
    #[must_use]
    pub fn node(&self) -> &D {
        &self.node
    }

    /// The node, for commands and events. Poll its events after every call here and after every command.
    pub fn node_mut(&mut self) -> &mut D {
        &mut self.node
    }

    /// What was lost since the start, as far as it was seen here: [`failed`](Losses::failed), also for each call of
    /// [`unreachable`](Detached::unreachable), and [`oversized`](Losses::oversized).
    #[must_use]
    pub fn losses(&self) -> &Losses {
        &self.losses
    }

    /// Ends the driver, and returns the node.
    #[must_use]
    pub fn into_node(self) -> D {
        self.node
    }

    /// Handles a datagram that came from `from`. If it causes a datagram at once, mostly a response, writes that to
    /// `buf` and returns its length and where to send it. A `buf` of [`MAX_DATAGRAM`] bytes is always large enough. To
    /// notice datagrams that are too large, receive into one byte more.
    pub fn datagram_in(&mut self, datagram: &[u8], from: SocketAddr, buf: &mut [u8]) -> Option<(usize, SocketAddr)> {
        self.handle(self.now(), datagram, from, buf)
    }

    /// The next datagram to send: writes it to `buf`, and returns its length and where to send it. A `buf` of
    /// [`MAX_DATAGRAM`] bytes is always large enough.
    #[must_use]
    pub fn datagram_out(&mut self, buf: &mut [u8]) -> Option<(usize, SocketAddr)> {
        self.transmit(self.now(), buf)
    }

    /// A datagram to `to` could not be sent, or was reported as not delivered. Errors of one datagram are often
    /// reported for a later one: use this only where it is known which peer an error is about.
    pub fn unreachable(&mut self, to: SocketAddr) {
        self.losses.failed += 1;
        let now = self.now();
        if let Some(to) = D::Address::from_socket(to) {
            self.node.handle_unreachable(now, to);
        }
    }

    /// Runs the node's timers. It may have datagrams to send then.
    pub fn on_timeout(&mut self) {
        let now = self.now();
        self.node.handle_timeout(now);
    }

    /// When to call [`on_timeout`](Detached::on_timeout) and [`datagram_out`](Detached::datagram_out), unless a
    /// datagram comes first. `None`: nothing is due.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.at(self.node.poll_timeout()?.0)
    }

    /// A time of the node's as one of the system's.
    pub(crate) fn at(&self, time: kadlet::Instant) -> Option<Instant> {
        self.start.checked_add(time.since(kadlet::Instant::ZERO))
    }

    pub(crate) fn handle(
        &mut self,
        now: kadlet::Instant,
        datagram: &[u8],
        from: SocketAddr,
        buf: &mut [u8],
    ) -> Option<(usize, SocketAddr)> {
        if datagram.len() > MAX_DATAGRAM {
            self.losses.oversized += 1;
            return None;
        }
        let peer = D::Address::from_socket(from)?;
        match self.node.handle_datagram(now, peer, datagram, buf)? {
            // The sender's socket address has the scope of a link-local address; the node's address has none.
            response if response.to == peer => Some((response.len, from)),
            relayed => self.reach(now, relayed),
        }
    }

    pub(crate) fn transmit(&mut self, now: kadlet::Instant, buf: &mut [u8]) -> Option<(usize, SocketAddr)> {
        loop {
            let out = self.node.poll_transmit(now, buf)?;
            if let Some(out) = self.reach(now, out) {
                return Some(out);
            }
        }
    }

    /// Where to send a datagram, if the socket can reach its destination.
    fn reach(&mut self, now: kadlet::Instant, out: Transmit<D::Address>) -> Option<(usize, SocketAddr)> {
        let to = reachable(self.local, out.to.to_socket());
        if to.is_none() {
            self.losses.failed += 1;
            self.node.handle_unreachable(now, out.to);
        }
        Some((out.len, to?))
    }
}

/// Converts `to` to the form that a socket bound to `local` takes; `None` if that socket can't reach it.
fn reachable(local: SocketAddr, to: SocketAddr) -> Option<SocketAddr> {
    match (local, to) {
        (SocketAddr::V4(_), SocketAddr::V6(_)) => None,
        (SocketAddr::V4(_), SocketAddr::V4(_)) => Some(to),
        (SocketAddr::V6(_), SocketAddr::V4(to)) => {
            Some(SocketAddrV6::new(to.ip().to_ipv6_mapped(), to.port(), 0, 0).into())
        }
        // A node's addresses have no scope, and a link-local address means nothing without one: it gets the scope of
        // the link that the socket is bound to.
        (SocketAddr::V6(local), SocketAddr::V6(mut to)) => {
            if to.ip().is_unicast_link_local() {
                to.set_scope_id(local.scope_id());
            }
            Some(to.into())
        }
    }
}
