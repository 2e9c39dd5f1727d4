//! Moves datagrams between a node and its sockets.

use core::time::Duration;

use kadlet::routing::ContactState;
use kadlet::wire::MAX_DATAGRAM;
use kadlet::{Dht, Instant, Routing, WakeReason};
use smoltcp::iface::{SocketHandle, SocketSet};
use smoltcp::socket::udp::{SendError, Socket, UdpMetadata};
use smoltcp::wire::{IpAddress, IpEndpoint};

use crate::address::Endpoint;
use crate::queue::{Queue, Seen};

/// The most datagrams that one [`Driver::poll`] receives, and so the most responses that it sends: 4.
pub const DATAGRAMS: usize = 4;

/// How long an address counts as unreachable after a request to it was given up: 10 s. No request is sent to it in this
/// time.
pub const SHUNNED: Duration = Duration::from_secs(10);

/// The handles of a node's one or two UDP sockets in a smoltcp `SocketSet`, and a buffer for one datagram.
///
/// It takes at most 1.4 KiB. [`poll`](Driver::poll) does all its work.
///
/// ```
/// use core::net::SocketAddrV4;
/// use kadlet::{Config, Dht, FixedStore, Id, Kademlia, Node, Options, Outcome, QueryId, Record};
/// use kadlet_smoltcp::{Driver, time};
/// use smoltcp::iface::{Interface, SocketSet, SocketStorage};
/// use smoltcp::socket::udp;
/// use smoltcp::time::Instant;
/// use smoltcp::wire::{EthernetAddress, IpAddress, IpCidr};
/// # use std::collections::VecDeque;
/// # use smoltcp::phy::{self, Device, DeviceCapabilities, Medium};
/// # #[derive(Default)]
/// # struct Loopback(VecDeque<Vec<u8>>);
/// # struct Received(Vec<u8>);
/// # struct Sent<'a>(&'a mut VecDeque<Vec<u8>>);
/// # impl phy::RxToken for Received {
/// #     fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
/// #         f(&self.0)
/// #     }
/// # }
/// # impl phy::TxToken for Sent<'_> {
/// #     fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
/// #         let mut frame = vec![0; len];
/// #         let result = f(&mut frame);
/// #         self.0.push_back(frame);
/// #         result
/// #     }
/// # }
/// # impl Device for Loopback {
/// #     type RxToken<'a> = Received;
/// #     type TxToken<'a> = Sent<'a>;
/// #     fn receive(&mut self, _: Instant) -> Option<(Received, Sent<'_>)> {
/// #         Some((Received(self.0.pop_front()?), Sent(&mut self.0)))
/// #     }
/// #     fn transmit(&mut self, _: Instant) -> Option<Sent<'_>> {
/// #         Some(Sent(&mut self.0))
/// #     }
/// #     fn capabilities(&self) -> DeviceCapabilities {
/// #         let mut capabilities = DeviceCapabilities::default();
/// #         capabilities.medium = Medium::Ethernet;
/// #         capabilities.max_transmission_unit = 1514;
/// #         capabilities
/// #     }
/// # }
///
/// type Mote = Node<Kademlia<SocketAddrV4, 128>, FixedStore<32, 8192>, 4>;
///
/// // Two nodes share an interface, whose device receives every frame that it sends. Each node has one socket.
/// let mut device = Loopback::default();
/// let config = smoltcp::iface::Config::new(EthernetAddress([2, 0, 0, 0, 0, 1]).into());
/// let mut iface = Interface::new(config, &mut device, Instant::ZERO);
/// iface.update_ip_addrs(|all| all.push(IpCidr::new(IpAddress::v4(10, 0, 0, 1), 24)).unwrap());
/// let mut storage = [SocketStorage::EMPTY; 2];
/// let mut sockets = SocketSet::new(&mut storage[..]);
/// let mut node = |port: u16| {
///     let buffer = || udp::PacketBuffer::new(vec![udp::PacketMetadata::EMPTY; 8].leak(), vec![0; 2560].leak());
///     let mut socket = udp::Socket::new(buffer(), buffer());
///     socket.bind(port).unwrap();
///     let (id, seed) = (Id::from_bytes([port as u8; 20]), [port as u8; 32]);
///     let config = Config { plain: true, ..Config::default() };
///     let node = Mote::new(time(Instant::ZERO), config, id, seed)?;
///     Ok::<_, kadlet::ConfigError>((node, Driver::new(sockets.add(socket))))
/// };
/// let mut nodes = [node(4000)?, node(4001)?];
///
/// // Runs the superloop in simulated time until an operation of the second node ends. Returns whether it succeeded.
/// let mut now = Instant::ZERO;
/// let mut run = |nodes: &mut [(Mote, Driver); 2], query: QueryId| loop {
///     iface.poll(now, &mut device, &mut sockets);
///     if let Some(result) = nodes[1].0.take_result(query) {
///         return matches!(result.outcome, Outcome::Joined { .. } | Outcome::Stored { .. });
///     }
///     let due = nodes.iter_mut().filter_map(|(node, driver)| driver.poll(now, node, &mut sockets)).min();
///     let wake = due.into_iter().chain(iface.poll_at(now, &sockets)).min();
///     now = wake.expect("an operation has a time limit").max(now);
/// };
/// let query = nodes[1].0.bootstrap(time(Instant::ZERO), &["10.0.0.1:4000".parse()?])?.query;
/// assert!(run(&mut nodes, query));
/// # let now = time(Instant::from_secs(1));
/// let query = nodes[1].0.put(now, &Record::plain(b"kitchen", b"21.5"), &Options::default())?;
/// assert!(run(&mut nodes, query));
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Driver {
    responses: Queue,
    requests: Option<Queue>,
    /// The destination of the request in the queue.
    requested: Option<IpEndpoint>,
    /// The destination of the last request that was given up, and until when it counts as unreachable.
    shunned: Option<(IpEndpoint, Instant)>,
    /// A response in `buf` that waits for free space in the queue, and its length.
    waiting: Option<(UdpMetadata, usize)>,
    buf: [u8; MAX_DATAGRAM],
    losses: Losses,
}

/// Counters of what was lost between the node and the network since the start. The node that waits for a lost datagram
/// retransmits its request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Losses {
    /// Transmit queues emptied because no datagram had left them for [`PATIENCE`](crate::PATIENCE): each held one
    /// request, or some responses.
    pub emptied: u32,
    /// Datagrams not received because their socket was closed to empty its transmit queue.
    pub closed: u32,
    /// Responses not sent because the responses' queue was held up ([`STALL`](crate::STALL)) and had no room.
    pub unsent: u32,
    /// Datagrams that a socket refused: it isn't bound, it has no buffer, or the address is unspecified or of a family
    /// that smoltcp was built without.
    pub failed: u32,
    /// Requests not sent because their destination counts as unreachable ([`SHUNNED`]), or is a stranger while
    /// responses are held up too.
    pub shunned: u32,
}

impl Driver {
    /// Drives a node through one socket, which the caller has bound, for both responses and requests.
    ///
    /// The socket's transmit buffer should hold two datagrams of `Config::max_datagram` bytes, and must hold one: no
    /// response is larger than the buffer. The receive buffer should hold the datagrams that can arrive during the
    /// longest turn of the loop.
    #[must_use]
    pub const fn new(responses: SocketHandle) -> Self {
        Self {
            responses: Queue::new(responses),
            requests: None,
            requested: None,
            shunned: None,
            waiting: None,
            buf: [0; MAX_DATAGRAM],
            losses: Losses { emptied: 0, closed: 0, unsent: 0, failed: 0, shunned: 0 },
        }
    }

    /// Sends requests through a second socket, bound to the same port. Use it wherever other nodes are
    /// [neighbours](crate#neighbours) on the same segment.
    ///
    /// Its transmit buffer needs to hold only one datagram. Add the responses' socket to the set first: smoltcp gives a
    /// received datagram to the first socket of the port, so the second needs almost no receive buffer.
    #[must_use]
    pub const fn with_requests(mut self, requests: SocketHandle) -> Self {
        self.requests = Some(Queue::new(requests));
        self
    }

    /// The counters of what was lost so far.
    #[must_use]
    pub const fn losses(&self) -> &Losses {
        &self.losses
    }

    /// Does the work that is due, and returns when to call it again; `None` if nothing is scheduled. Also call it after
    /// each poll of the interface that may have changed a socket, and after each command to the node. A spurious call
    /// is harmless.
    ///
    /// It receives up to [`DATAGRAMS`] datagrams and puts their responses into the responses' socket, calls
    /// `handle_timeout` once if that is due, and puts at most one request into the requests' socket. If more work is
    /// left, the returned time is not after `now`. The interface sends what is in the sockets: call its `poll_at` after
    /// this, and sleep no longer than that says.
    ///
    /// While the queue for requests is held up, the node's timers that only lead to sending wait too, for at most
    /// [`PATIENCE`](crate::PATIENCE). Receiving waits for the queue for responses for at most [`STALL`](crate::STALL).
    ///
    /// # Panics
    ///
    /// As smoltcp's `SocketSet::get`: if a handle is not that of a UDP socket in this set.
    pub fn poll<D>(
        &mut self,
        now: smoltcp::time::Instant,
        node: &mut D,
        sockets: &mut SocketSet<'_>,
    ) -> Option<smoltcp::time::Instant>
    where
        D: Dht<Address: Endpoint>,
    {
        let now = time(now);
        self.look(now, node, sockets);
        self.send_response(now, node, sockets);
        self.receive(now, node, sockets);
        if node.poll_timeout().is_some_and(|(due, _)| due <= now) {
            node.handle_timeout(now);
        }
        self.send_request(now, node, sockets);
        let due = self.due(now, node, sockets)?;
        Some(smoltcp::time::Instant::from_micros(i64::try_from(due.as_micros()).unwrap_or(i64::MAX)))
    }

    /// Looks at both queues, and empties those that are stuck.
    fn look<D: Dht<Address: Endpoint>>(&mut self, now: Instant, node: &mut D, sockets: &mut SocketSet<'_>) {
        let mut seen = self.responses.look(now, sockets);
        if seen == Seen::Stuck {
            self.losses.empty(self.responses.empty(sockets));
        }
        if let Some(requests) = &mut self.requests {
            seen = requests.look(now, sockets);
            if seen == Seen::Stuck {
                self.losses.empty(requests.empty(sockets));
            }
        }
        // A request is only put into an empty queue. So it is the first to leave, or the datagram that holds the queue
        // up.
        if seen != Seen::Still
            && let Some(requested) = self.requested.take()
            && seen == Seen::Stuck
        {
            self.shunned = Some((requested, now + SHUNNED));
            unreachable(now, node, requested);
        }
    }

    /// Receives datagrams from both sockets while a response to each would fit into the queue, or isn't waited for.
    fn receive<D: Dht<Address: Endpoint>>(&mut self, now: Instant, node: &mut D, sockets: &mut SocketSet<'_>) {
        let mut left = DATAGRAMS;
        for queue in self.queues() {
            while left > 0 && self.can_receive(sockets) && self.receive_one(now, node, sockets, queue.handle) {
                left -= 1;
            }
        }
    }

    /// Receives the next datagram of a socket. Returns whether there was one.
    fn receive_one<D: Dht<Address: Endpoint>>(
        &mut self,
        now: Instant,
        node: &mut D,
        sockets: &mut SocketSet<'_>,
        from: SocketHandle,
    ) -> bool {
        let room = room(sockets, self.responses.handle);
        let Ok((datagram, meta)) = sockets.get_mut::<Socket<'_>>(from).recv() else {
            return false;
        };
        let Some(peer) = D::Address::from_endpoint(meta.endpoint) else {
            return true;
        };
        let Some(response) = node.handle_datagram(now, peer, datagram, &mut self.buf[..room]) else {
            return true;
        };
        let meta = match response.to == peer {
            // The response must leave from the address that the request was sent to: the requester drops any other.
            true => {
                UdpMetadata { local_address: meta.local_address.filter(IpAddress::is_unicast), ..meta.endpoint.into() }
            }
            false => match response.to.to_endpoint() {
                Some(to) => to.into(),
                None => {
                    self.losses.fail();
                    return true;
                }
            },
        };
        self.waiting = Some((meta, response.len));
        self.send_response(now, node, sockets);
        true
    }

    /// Sends the response that waits, if it now fits into the queue. If the queue is held up, it is dropped instead of
    /// waiting longer.
    fn send_response<D: Dht<Address: Endpoint>>(&mut self, now: Instant, node: &D, sockets: &mut SocketSet<'_>) {
        let Some((meta, len)) = self.waiting.take() else {
            return;
        };
        let (is_empty, is_stalled) = (self.responses.is_empty(), self.responses.is_stalled());
        let queue = match &mut self.requests {
            // Not behind a datagram whose destination may not exist.
            Some(requests) if !is_empty && requests.is_empty() && is_verified(node, meta.endpoint) => requests,
            _ => &mut self.responses,
        };
        match queue.send(now, sockets, self.buf.get(..len).unwrap_or(&[]), meta) {
            Ok(()) => {}
            Err(SendError::BufferFull) if is_stalled => self.losses.unsent = self.losses.unsent.saturating_add(1),
            Err(SendError::BufferFull) if !is_empty => self.waiting = Some((meta, len)),
            Err(_) => self.losses.fail(),
        }
    }

    /// Sends a request if the one before has left.
    fn send_request<D: Dht<Address: Endpoint>>(&mut self, now: Instant, node: &mut D, sockets: &mut SocketSet<'_>) {
        if !self.can_send_request() {
            return;
        }
        let is_stalled = self.responses.is_stalled();
        let queue = self.requests.as_mut().unwrap_or(&mut self.responses);
        let room = room(sockets, queue.handle);
        let Some(request) = node.poll_transmit(now, &mut self.buf[..room]) else {
            return;
        };
        let Some(to) = request.to.to_endpoint() else {
            self.losses.fail();
            return node.handle_unreachable(now, request.to);
        };
        self.shunned = self.shunned.filter(|(_, until)| *until > now);
        // While responses are held up too, strangers are probably forged. Each would hold up the requests.
        let is_hopeless = |shunned| shunned == to || (is_stalled && !is_verified(node, to));
        if self.shunned.is_some_and(|(shunned, _)| is_hopeless(shunned)) {
            self.losses.shunned = self.losses.shunned.saturating_add(1);
            return node.handle_unreachable(now, request.to);
        }
        match queue.send(now, sockets, &self.buf[..request.len], to.into()) {
            Ok(()) => self.requested = Some(to),
            Err(_) => {
                self.losses.fail();
                node.handle_unreachable(now, request.to);
            }
        }
    }

    /// When to call [`poll`](Driver::poll) again.
    fn due<D: Dht>(&self, now: Instant, node: &D, sockets: &SocketSet<'_>) -> Option<Instant> {
        let node = match node.poll_timeout() {
            // Nothing can be sent before a queue moves: the interface's `poll_at` says when to look again.
            Some((_, WakeReason::Transmit)) if !self.can_send_request() => None,
            due => due.map(|(due, _)| due),
        };
        let datagram = match self.queues().any(|queue| sockets.get::<Socket<'_>>(queue.handle).can_recv()) {
            true if self.can_receive(sockets) => Some(now),
            true => self.responses.stalls_at(),
            false => None,
        };
        self.queues().filter_map(|queue| queue.deadline()).chain(node).chain(datagram).min()
    }

    fn queues(&self) -> impl Iterator<Item = Queue> + use<> {
        [Some(self.responses), self.requests].into_iter().flatten()
    }

    /// Whether the node can take a datagram: the response to it would fit into the queue, or must not be waited for.
    fn can_receive(&self, sockets: &SocketSet<'_>) -> bool {
        self.has_room(sockets) || self.responses.is_stalled()
    }

    /// Whether the largest response would fit into the queue.
    fn has_room(&self, sockets: &SocketSet<'_>) -> bool {
        let socket = sockets.get::<Socket<'_>>(self.responses.handle);
        let free = socket.payload_send_capacity() - socket.send_queue();
        self.waiting.is_none() && socket.can_send() && free >= room(sockets, self.responses.handle)
    }

    /// Whether the previous request has left, and the buffer is free.
    fn can_send_request(&self) -> bool {
        self.waiting.is_none() && self.requests.as_ref().unwrap_or(&self.responses).is_empty()
    }
}

impl Losses {
    const fn fail(&mut self) {
        self.failed = self.failed.saturating_add(1);
    }

    const fn empty(&mut self, received: u32) {
        self.emptied = self.emptied.saturating_add(1);
        self.closed = self.closed.saturating_add(received);
    }
}

/// Tells the node that an endpoint is unreachable.
fn unreachable<D: Dht<Address: Endpoint>>(now: Instant, node: &mut D, endpoint: IpEndpoint) {
    if let Some(address) = D::Address::from_endpoint(endpoint) {
        node.handle_unreachable(now, address);
    }
}

/// Whether the contact at an endpoint has proved that it is there.
fn is_verified<D: Dht<Address: Endpoint>>(node: &D, endpoint: IpEndpoint) -> bool {
    let address = D::Address::from_endpoint(endpoint);
    node.routing().peers().any(|peer| peer.state == ContactState::Verified && Some(peer.contact.address) == address)
}

/// Converts smoltcp's time to the node's, for its commands: `node.get(time(now), ..)`. Times before zero become zero.
#[must_use]
pub fn time(now: smoltcp::time::Instant) -> Instant {
    Instant::from_micros(u64::try_from(now.total_micros()).unwrap_or(0))
}

/// The size of the largest datagram that a socket can send.
fn room(sockets: &SocketSet<'_>, handle: SocketHandle) -> usize {
    sockets.get::<Socket<'_>>(handle).payload_send_capacity().min(MAX_DATAGRAM)
}
