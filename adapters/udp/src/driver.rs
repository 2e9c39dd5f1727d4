//! A node with its socket, for any event loop.

use core::net::SocketAddr;
use core::time::Duration;
use std::io;
use std::net::UdpSocket;
#[cfg(unix)]
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::time::Instant;

use kadlet::Dht;
use socket2::{Domain, Protocol, Socket, Type};

use crate::address::IpAddress;
#[cfg(any(target_os = "linux", target_os = "android"))]
use crate::batch as system;
use crate::buffers::{Buffers, Outbox, Route};
use crate::detached::{Detached, Losses};
#[cfg(not(any(target_os = "linux", target_os = "android")))]
use crate::single as system;

/// The most batches received or sent in one call: with 32 datagrams in each, a call receives at most 128.
const BATCHES: usize = 4;
/// How often a system call that failed is made again: its error may be about an earlier datagram.
const ATTEMPTS: usize = 4;
/// How long nothing is sent after the send buffer was full.
const PAUSE: Duration = Duration::from_millis(1);

/// A node with its non-blocking socket, without a thread: the caller runs the event loop.
///
/// Wait until the socket ([`AsFd`](std::os::fd::AsFd), or a clone of [`socket`](Driver::socket)) is readable or reports
/// an error, or until [`deadline`](Driver::deadline). Then call [`on_readable`](Driver::on_readable) or
/// [`on_timeout`](Driver::on_timeout). A spurious or forgotten call is harmless. Level-triggered notification works; so
/// does edge-triggered notification if `on_readable` is called until it returns `false`. Never wait for the socket to
/// become writable. [`Detached`] is for event loops that receive and send by themselves.
///
/// No error ends a node. An error that the system reports for one peer is passed to the node as that peer's
/// ([`handle_unreachable`](Dht::handle_unreachable)). Lost datagrams are counted in [`Losses`].
///
/// A node in a mio loop pings another node:
///
/// ```
/// use core::net::{Ipv4Addr, SocketAddr};
///
/// use kadlet::{Config, Dht, Event, FixedStore, Kademlia, Node, Outcome};
/// use kadlet_udp::{Buffers, Driver, Server, random_id, seed};
/// use mio::{Events, Interest, Poll, Token};
///
/// type MyNode = Node<Kademlia<SocketAddr, 128>, FixedStore<32, 8192>>;
///
/// # fn main() -> Result<(), Box<dyn core::error::Error>> {
/// let node = || -> Result<_, Box<dyn core::error::Error>> {
///     Ok(MyNode::new(kadlet::Instant::ZERO, Config::default(), random_id()?, seed()?)?)
/// };
/// let other = Server::bind((Ipv4Addr::LOCALHOST, 0).into(), node()?)?;
///
/// let mut driver = Driver::bind((Ipv4Addr::LOCALHOST, 0).into(), node()?)?;
/// let (mut buffers, mut poll, mut events) = (Buffers::new(), Poll::new()?, Events::with_capacity(4));
/// let mut socket = mio::net::UdpSocket::from_std(driver.socket().try_clone()?);
/// poll.registry().register(&mut socket, Token(0), Interest::READABLE)?;
///
/// let now = driver.now();
/// driver.node_mut().ping(now, other.local_addr())?;
/// let rtt = loop {
///     if let Some(Event::Finished(done)) = driver.node_mut().poll_event() {
///         match done.outcome {
///             Outcome::Pong { rtt, .. } => break rtt,
///             other => return Err(format!("{other:?}").into()),
///         }
///     }
///     let wait = driver.deadline().map(|at| at.saturating_duration_since(std::time::Instant::now()));
///     poll.poll(&mut events, wait)?;
///     match events.is_empty() {
///         true => driver.on_timeout(&mut buffers),
///         false => while driver.on_readable(&mut buffers) {},
///     }
/// };
/// println!("{} is {rtt:?} away", other.local_addr());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Driver<D> {
    socket: system::Socket,
    detached: Detached<D>,
    /// Nothing is sent before this time, because the send buffer was full.
    paused: Option<kadlet::Instant>,
}

impl<D: Dht<Address: IpAddress>> Driver<D> {
    /// Binds a socket for `node`. With port 0 the system chooses a free port. `[::]` serves IPv6 and IPv4 on one
    /// socket.
    ///
    /// A socket bound to `0.0.0.0` or `[::]` has all addresses of the host: a response leaves from the one that the
    /// request was sent to. The system's routes choose the address of the node's own requests.
    ///
    /// # Errors
    ///
    /// The system's error: the address is in use, is not the host's, or is of a family that the host lacks.
    pub fn bind(address: SocketAddr, node: D) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        if address.is_ipv6() {
            socket.set_only_v6(false)?;
        }
        socket.bind(&address.into())?;
        Self::new(socket.into(), node)
    }

    /// Drives `node` over a socket that the caller has bound. The socket becomes non-blocking. The node's time starts
    /// now.
    ///
    /// # Errors
    ///
    /// The socket isn't bound, can't be made non-blocking, or is bound to all addresses of the host and can't tell to
    /// which one a datagram was sent.
    pub fn new(socket: UdpSocket, node: D) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        let local = socket.local_addr()?;
        let socket = system::Socket::new(socket, local)?;
        Ok(Self { socket, detached: Detached::new(local, node), paused: None })
    }

    /// The address that the socket is bound to.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.detached.local
    }

    /// The socket, for the event loop to wait on. Datagrams that the caller reads from it never reach the node.
    #[must_use]
    pub fn socket(&self) -> &UdpSocket {
        self.socket.get()
    }

    /// The node's current time, counted from the driver's start: the `now` for every command.
    #[must_use]
    pub fn now(&self) -> kadlet::Instant {
        self.detached.now()
    }

    /// The node.
    #[must_use]
    pub fn node(&self) -> &D {
        &self.detached.node
    }

    /// The node, for commands and events. Poll its events after every call of the driver and after every command,
    /// before waiting.
    ///
    /// The datagrams that a command produces are sent by [`flush`](Driver::flush), or by
    /// [`on_timeout`](Driver::on_timeout): after such a command, [`deadline`](Driver::deadline) is now.
    pub fn node_mut(&mut self) -> &mut D {
        &mut self.detached.node
    }

    /// What was lost since the driver's start.
    #[must_use]
    pub fn losses(&self) -> &Losses {
        &self.detached.losses
    }

    /// Ends the driver, and returns the socket and the node.
    #[must_use]
    pub fn into_parts(self) -> (UdpSocket, D) {
        (self.socket.into_inner(), self.detached.node)
    }

    /// Receives up to 128 datagrams, and sends the responses and everything else that is due. Returns whether more
    /// datagrams may wait: then call it again before waiting, at once or after the loop's other work.
    #[must_use]
    pub fn on_readable(&mut self, buffers: &mut Buffers) -> bool {
        (0..BATCHES).all(|_| {
            buffers.outbox.clear();
            let now = self.now();
            let more = self.receive(now, buffers);
            self.transmit(now, &mut buffers.outbox);
            more
        })
    }

    /// Runs the node's timers, and sends what is due.
    pub fn on_timeout(&mut self, buffers: &mut Buffers) {
        self.detached.on_timeout();
        self.flush(buffers);
    }

    /// Sends what the node has to send, up to 128 datagrams. If there is more, [`deadline`](Driver::deadline) is now.
    ///
    /// If the send buffer is full, the batch's unsent datagrams are lost and counted in [`Losses::unsent`], as on any
    /// full link. The rest stays in the node for a millisecond.
    pub fn flush(&mut self, buffers: &mut Buffers) {
        buffers.outbox.clear();
        self.transmit(self.now(), &mut buffers.outbox);
    }

    /// When to call [`on_timeout`](Driver::on_timeout), unless the socket becomes readable first. `None`: nothing is
    /// due.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let (due, _) = self.detached.node.poll_timeout()?;
        self.detached.at(self.paused.map_or(due, |until| due.max(until)))
    }

    /// Receives a batch, and leaves the responses in the outbox. Returns whether more datagrams may wait.
    fn receive(&mut self, now: kadlet::Instant, buffers: &mut Buffers) -> bool {
        let Buffers { inbox, outbox } = buffers;
        let mut refused = 0;
        for _ in 0..ATTEMPTS {
            match self.socket.receive(inbox) {
                Ok((count, more)) => {
                    inbox.datagrams(count).for_each(|(route, datagram)| self.handle(now, route, datagram, outbox));
                    return more;
                }
                Err(error) => {
                    refused = self.take_refusals(now);
                    if error.kind() == io::ErrorKind::WouldBlock {
                        return false;
                    }
                    self.detached.losses.errors += u64::from(refused == 0);
                }
            }
        }
        refused > 0
    }

    fn handle(&mut self, now: kadlet::Instant, route: Route, datagram: &[u8], outbox: &mut Outbox) {
        let Some(buf) = outbox.free() else { return };
        if let Some((len, to)) = self.detached.handle(now, datagram, route.peer, buf) {
            outbox.push(len, if to == route.peer { route } else { Route::to(to) });
        }
    }

    /// Fills the outbox up with what the node has to send, and sends it.
    fn transmit(&mut self, now: kadlet::Instant, outbox: &mut Outbox) {
        self.paused = self.paused.filter(|until| *until > now);
        for _ in 0..BATCHES {
            while self.paused.is_none()
                && let Some(buf) = outbox.free()
                && let Some((len, to)) = self.detached.transmit(now, buf)
            {
                outbox.push(len, Route::to(to));
            }
            let full = outbox.is_full();
            outbox.group();
            self.send(now, outbox);
            outbox.clear();
            if !full {
                return;
            }
        }
    }

    fn send(&mut self, now: kadlet::Instant, outbox: &Outbox) {
        let (mut sent, mut attempts) = (0, 0);
        while let Some(route) = outbox.route(sent) {
            match self.socket.send(outbox, sent) {
                Ok(count) => (sent, attempts) = (sent + count.max(1), 0),
                Err(error) if system::is_full(&error) => {
                    self.detached.losses.unsent += (outbox.len() - sent) as u64;
                    self.paused = Some(now + PAUSE);
                    return;
                }
                Err(_) => {
                    // If refusals waited, the system reported that of an earlier datagram instead of sending this one.
                    let is_other = self.take_refusals(now) > 0;
                    if is_other && attempts < ATTEMPTS {
                        attempts += 1;
                        continue;
                    }
                    self.detached.losses.failed += 1;
                    // It may be only the source address that the host doesn't have any more.
                    let to = D::Address::from_socket(route.peer).filter(|_| !is_other && route.local.is_none());
                    if let Some(to) = to {
                        self.detached.node.handle_unreachable(now, to);
                    }
                    (sent, attempts) = (sent + 1, 0);
                }
            }
            // A refusal of a datagram in the same batch ends the batch early.
            if sent < outbox.len() {
                self.take_refusals(now);
            }
        }
    }

    fn take_refusals(&mut self, now: kadlet::Instant) -> usize {
        let node = &mut self.detached.node;
        let count = self.socket.refusals(|to| {
            if let Some(to) = D::Address::from_socket(to) {
                node.handle_unreachable(now, to);
            }
        });
        self.detached.losses.refused += count as u64;
        count
    }
}

#[cfg(unix)]
impl<D> AsFd for Driver<D> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.get().as_fd()
    }
}

#[cfg(unix)]
impl<D> AsRawFd for Driver<D> {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.get().as_raw_fd()
    }
}

#[cfg(windows)]
impl<D> std::os::windows::io::AsSocket for Driver<D> {
    fn as_socket(&self) -> std::os::windows::io::BorrowedSocket<'_> {
        self.socket.get().as_socket()
    }
}
