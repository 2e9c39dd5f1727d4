//! A node and its socket, for an event loop of somebody else's.

use core::net::{SocketAddr, SocketAddrV6};
use core::time::Duration;
use std::io;
use std::net::UdpSocket;
#[cfg(unix)]
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::time::Instant;

use kadlet::wire::MAX_DATAGRAM;
use kadlet::{Dht, Transmit};
use socket2::{Domain, Protocol, Socket, Type};

use crate::IpAddress;
#[cfg(target_os = "linux")]
use crate::batch as system;
use crate::buffers::{Buffers, Outbox};
#[cfg(not(target_os = "linux"))]
use crate::single as system;

/// Batches taken in or sent in one call: with 32 datagrams each, a call takes in at most 128.
const BATCHES: usize = 4;
/// A call of the system's that fails is tried again so often: it may have told of an earlier datagram.
const TRIES: usize = 4;
/// After the system had no room for a datagram, nothing is sent for so long.
const PAUSE: Duration = Duration::from_millis(1);

/// A node and its non-blocking socket, without a thread: the loop is the caller's.
///
/// Wait until the socket ([`AsFd`](std::os::fd::AsFd), or a clone of [`socket`](Driver::socket)) is readable or in error, or [`deadline`](Driver::deadline) is there; then call
/// [`on_readable`](Driver::on_readable) or [`on_timeout`](Driver::on_timeout). A call too many or too few is harmless. Works with
/// level-triggered and, heeding what `on_readable` returns, edge-triggered notification. The socket need never be waited for to
/// become writable.
///
/// No error ends a node. What the system says of one peer is told to the machine as that peer's
/// ([`handle_unreachable`](Dht::handle_unreachable)); what is lost is counted in [`Losses`].
#[derive(Debug)]
pub struct Driver<M> {
    socket: UdpSocket,
    local: SocketAddr,
    node: M,
    start: Instant,
    losses: Losses,
    /// Nothing is sent before: the system had no room.
    paused: Option<kadlet::Instant>,
}

/// What was lost between the machine and the network. A datagram that is lost is asked for again by whoever misses it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Losses {
    /// Datagrams not sent because the socket's send buffer, or the link's queue, was full.
    pub unsent: u64,
    /// Datagrams that the system refused to send: no route, no such family, a firewall.
    pub failed: u64,
    /// Datagrams that ICMP reported as not delivered. Known on Linux only.
    pub refused: u64,
    /// Datagrams received and dropped because they were larger than any of kadlet's.
    pub oversized: u64,
    /// Errors while receiving that told of no peer.
    pub errors: u64,
}

impl<M: Dht<Address: IpAddress>> Driver<M> {
    /// Binds a socket for `node`. With port 0 the system chooses one. `[::]` serves IPv6 and IPv4 on one socket.
    ///
    /// On a host with several addresses, an answer leaves from the address that the system's routes choose: bind to one address where
    /// peers must see the one they asked.
    ///
    /// # Errors
    ///
    /// What the system says of the address: in use, not the host's, or of a family that the host lacks.
    pub fn bind(address: SocketAddr, node: M) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        if address.is_ipv6() {
            socket.set_only_v6(false)?;
        }
        socket.bind(&address.into())?;
        Self::new(socket.into(), node)
    }

    /// Drives `node` over a bound socket of the caller's own, which is made non-blocking. The machine's time begins now.
    ///
    /// # Errors
    ///
    /// The socket isn't bound, or can't be made non-blocking.
    pub fn new(socket: UdpSocket, node: M) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        system::keep_refusals(&socket);
        let local = socket.local_addr()?;
        Ok(Self { socket, local, node, start: Instant::now(), losses: Losses::default(), paused: None })
    }

    /// Where the socket is bound.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// The socket, to be waited for. What is read from it by others is lost to the machine.
    #[must_use]
    pub fn socket(&self) -> &UdpSocket {
        &self.socket
    }

    /// The time to give the machine: since the driver's start.
    #[must_use]
    pub fn now(&self) -> kadlet::Instant {
        kadlet::Instant::ZERO + self.start.elapsed()
    }

    /// The machine.
    #[must_use]
    pub fn node(&self) -> &M {
        &self.node
    }

    /// The machine, to be given commands and asked for events: after every call of the driver's and every command, before waiting.
    /// What a command makes it send goes out with [`flush`](Driver::flush), or when [`deadline`](Driver::deadline), which is now, is obeyed.
    pub fn node_mut(&mut self) -> &mut M {
        &mut self.node
    }

    /// What was lost so far.
    #[must_use]
    pub fn losses(&self) -> &Losses {
        &self.losses
    }

    /// The socket and the machine.
    #[must_use]
    pub fn into_parts(self) -> (UdpSocket, M) {
        (self.socket, self.node)
    }

    /// Takes in up to 128 datagrams, and sends the answers and whatever else is due. Says whether more may wait: then call it again
    /// before waiting, or, to be fair to others in the loop, after them.
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

    /// Does what is due, and sends.
    pub fn on_timeout(&mut self, buffers: &mut Buffers) {
        let now = self.now();
        self.node.handle_timeout(now);
        self.flush(buffers);
    }

    /// Sends what waits in the machine, up to 128 datagrams. If more waits, [`deadline`](Driver::deadline) is now.
    ///
    /// What the socket has no room for is lost, as on any link that is full, and counted; the rest stays in the machine for a millisecond.
    pub fn flush(&mut self, buffers: &mut Buffers) {
        buffers.outbox.clear();
        self.transmit(self.now(), &mut buffers.outbox);
    }

    /// When to call [`on_timeout`](Driver::on_timeout) unless the socket is readable before. `None`: never.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let (due, _) = self.node.poll_timeout()?;
        let due = self.paused.map_or(due, |until| due.max(until));
        self.start.checked_add(due.since(kadlet::Instant::ZERO))
    }

    /// Receives a batch; the answers are left in the outbox. Says whether more may wait.
    fn receive(&mut self, now: kadlet::Instant, buffers: &mut Buffers) -> bool {
        let Buffers { inbox, outbox } = buffers;
        let mut refused = 0;
        for _ in 0..TRIES {
            match system::receive(&self.socket, inbox) {
                Ok((count, more)) => {
                    inbox.datagrams(count).for_each(|(from, datagram)| self.take(now, from, datagram, outbox));
                    return more;
                }
                Err(error) => {
                    refused = self.take_refusals(now);
                    if error.kind() == io::ErrorKind::WouldBlock {
                        return false;
                    }
                    self.losses.errors += u64::from(refused == 0);
                }
            }
        }
        refused > 0
    }

    fn take(&mut self, now: kadlet::Instant, from: SocketAddr, datagram: &[u8], outbox: &mut Outbox) {
        if datagram.len() > MAX_DATAGRAM {
            self.losses.oversized += 1;
            return;
        }
        let (Some(peer), Some(room)) = (M::Address::from_socket(from), outbox.room()) else {
            return;
        };
        match self.node.handle_datagram(now, peer, datagram, room) {
            // Back the way it came: by a link-local address this is the only one.
            Some(response) if response.to == peer => outbox.push(response.len, from),
            Some(relayed) => self.post(now, relayed, outbox),
            None => {}
        }
    }

    /// Sends the outbox, filled up with what waits in the machine.
    fn transmit(&mut self, now: kadlet::Instant, outbox: &mut Outbox) {
        self.paused = self.paused.filter(|until| *until > now);
        for _ in 0..BATCHES {
            while self.paused.is_none()
                && let Some(room) = outbox.room()
                && let Some(request) = self.node.poll_transmit(now, room)
            {
                self.post(now, request, outbox);
            }
            let full = outbox.is_full();
            self.send(now, outbox);
            outbox.clear();
            if !full {
                return;
            }
        }
    }

    /// Leaves in the outbox what the machine wrote there, if the socket can reach whom it is for.
    fn post(&mut self, now: kadlet::Instant, out: Transmit<M::Address>, outbox: &mut Outbox) {
        match reachable(self.local, out.to.to_socket()) {
            Some(to) => outbox.push(out.len, to),
            None => {
                self.losses.failed += 1;
                self.node.handle_unreachable(now, out.to);
            }
        }
    }

    fn send(&mut self, now: kadlet::Instant, outbox: &Outbox) {
        let (mut sent, mut tries) = (0, 0);
        while let Some(to) = outbox.to(sent) {
            match system::send(&self.socket, outbox, sent) {
                Ok(count) => (sent, tries) = (sent + count.max(1), 0),
                Err(error) if system::is_full(&error) => {
                    self.losses.unsent += (outbox.len() - sent) as u64;
                    self.paused = Some(now + PAUSE);
                    return;
                }
                // The refusal of an earlier datagram is told in the place of this one's sending.
                Err(_) if self.take_refusals(now) > 0 && tries < TRIES => tries += 1,
                Err(_) => {
                    self.losses.failed += 1;
                    if let Some(to) = M::Address::from_socket(to) {
                        self.node.handle_unreachable(now, to);
                    }
                    (sent, tries) = (sent + 1, 0);
                }
            }
            // So is that of a datagram in the same batch, and then the batch ends there.
            if sent < outbox.len() {
                self.take_refusals(now);
            }
        }
    }

    fn take_refusals(&mut self, now: kadlet::Instant) -> usize {
        let node = &mut self.node;
        let count = system::refusals(&self.socket, |to| {
            if let Some(to) = M::Address::from_socket(to) {
                node.handle_unreachable(now, to);
            }
        });
        self.losses.refused += count as u64;
        count
    }
}

/// The address as a socket bound to `local` takes it; `None` if it can't be reached from there.
fn reachable(local: SocketAddr, to: SocketAddr) -> Option<SocketAddr> {
    match (local, to) {
        (SocketAddr::V4(_), SocketAddr::V6(_)) => None,
        (SocketAddr::V4(_), SocketAddr::V4(_)) => Some(to),
        (SocketAddr::V6(_), SocketAddr::V4(to)) => {
            Some(SocketAddrV6::new(to.ip().to_ipv6_mapped(), to.port(), 0, 0).into())
        }
        // A machine's addresses have no scope, and those of a link mean nothing without: they are of the link that the socket is bound to.
        (SocketAddr::V6(local), SocketAddr::V6(mut to)) => {
            if to.ip().is_unicast_link_local() {
                to.set_scope_id(local.scope_id());
            }
            Some(to.into())
        }
    }
}

#[cfg(unix)]
impl<M> AsFd for Driver<M> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(unix)]
impl<M> AsRawFd for Driver<M> {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

#[cfg(windows)]
impl<M> std::os::windows::io::AsSocket for Driver<M> {
    fn as_socket(&self) -> std::os::windows::io::BorrowedSocket<'_> {
        self.socket.as_socket()
    }
}
