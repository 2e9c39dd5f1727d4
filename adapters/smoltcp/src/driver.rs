//! A node's datagrams, to and from its sockets.

use core::time::Duration;

use kadlet::wire::MAX_DATAGRAM;
use kadlet::{Dht, Instant, WakeReason};
use smoltcp::iface::{SocketHandle, SocketSet};
use smoltcp::socket::udp::{SendError, Socket, UdpMetadata};
use smoltcp::wire::{IpAddress, IpEndpoint};

use crate::Endpoint;
use crate::queue::{Queue, Seen};

/// The most datagrams taken in by one [`Driver::poll`], and so the most answers given: 4.
pub const DATAGRAMS: usize = 4;

/// A transmit queue from which nothing has left for so long is emptied: 2.9 s.
///
/// smoltcp asks for a neighbour every second, so three questions were asked by then; and the tenth that is left ends the socket's
/// silence after the last of them soon after the queue was emptied, not a second later.
pub const PATIENCE: Duration = Duration::from_millis(2_900);

/// For so long after its question was given up, a node counts as unreachable without another try: 10 s.
pub const SHUNNED: Duration = Duration::from_secs(10);

/// A node's one or two UDP sockets in a smoltcp `SocketSet`, and what is on its way between them and the node.
///
/// It takes 1.4 KiB at most. All its work is done by [`poll`](Driver::poll).
#[derive(Debug)]
pub struct Driver {
    responses: Queue,
    requests: Option<Queue>,
    /// Whom the question in the queue is for.
    asked: Option<IpEndpoint>,
    /// Whose question was given up, and until when it counts.
    shunned: Option<(IpEndpoint, Instant)>,
    /// An answer that waits in `buf` for room.
    waiting: Option<(UdpMetadata, usize)>,
    buf: [u8; MAX_DATAGRAM],
    losses: Losses,
}

/// What was lost between the node and the network. Whoever misses a datagram asks for it again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Losses {
    /// Transmit queues emptied because nothing had left them for [`PATIENCE`]: each held one question, or some answers.
    pub emptied: u32,
    /// Datagrams not received because their socket was closed to empty its transmit queue.
    pub closed: u32,
    /// Datagrams that a socket did not take: it isn't bound, it has no buffer, the address is unspecified or of a family that
    /// smoltcp was built without.
    pub failed: u32,
    /// Questions not sent because their node is [shunned](SHUNNED).
    pub shunned: u32,
}

impl Driver {
    /// Drives a node through one socket for answers and questions, bound by the caller.
    ///
    /// Its transmit buffer should hold two datagrams of `Config::max_datagram` bytes, and at least one: answers are not made larger
    /// than it. Its receive buffer should hold as many bursts as the loop takes time for.
    #[must_use]
    pub const fn new(responses: SocketHandle) -> Self {
        Self {
            responses: Queue::new(responses),
            requests: None,
            asked: None,
            shunned: None,
            waiting: None,
            buf: [0; MAX_DATAGRAM],
            losses: Losses { emptied: 0, closed: 0, failed: 0, shunned: 0 },
        }
    }

    /// Sends questions through a second socket, bound to the same port: wherever other nodes are neighbours on the same segment.
    ///
    /// Its transmit buffer need hold one datagram. Add the answers' socket to the set first: smoltcp gives what arrives to the
    /// first, and this one needs next to no receive buffer.
    #[must_use]
    pub const fn with_requests(mut self, requests: SocketHandle) -> Self {
        self.requests = Some(Queue::new(requests));
        self
    }

    /// What was lost so far.
    #[must_use]
    pub const fn losses(&self) -> &Losses {
        &self.losses
    }

    /// Does what is due, and says when to call again. To be called after each of the interface's polls that may have changed a
    /// socket, after the node was given a command, and at the time returned; `None`: no such time. A call too many is harmless.
    ///
    /// Takes in up to [`DATAGRAMS`] datagrams and leaves their answers in the answers' socket, calls `handle_timeout` once if it is
    /// due, and leaves up to one question in the questions' socket. If there is more to do, the time returned is now or past.
    /// What is left in the sockets is sent by the interface: sleep no longer than its `poll_at` says, asked after this call.
    ///
    /// A queue that is held up delays the node's timers too, by up to [`PATIENCE`]: nothing they lead to could be sent.
    ///
    /// # Panics
    ///
    /// As smoltcp's `SocketSet::get`: a handle isn't one of a UDP socket of this set.
    pub fn poll<M>(
        &mut self,
        now: smoltcp::time::Instant,
        node: &mut M,
        sockets: &mut SocketSet<'_>,
    ) -> Option<smoltcp::time::Instant>
    where
        M: Dht<Address: Endpoint>,
    {
        let now = crate::time(now);
        self.look(now, node, sockets);
        self.response(now, sockets);
        self.receive(now, node, sockets);
        if node.poll_timeout().is_some_and(|(due, _)| due <= now) {
            node.handle_timeout(now);
        }
        self.ask(now, node, sockets);
        let due = self.due(now, node, sockets)?;
        Some(smoltcp::time::Instant::from_micros(i64::try_from(due.as_micros()).unwrap_or(i64::MAX)))
    }

    /// Sees what has left the queues, and empties those from which nothing does.
    fn look<M: Dht<Address: Endpoint>>(&mut self, now: Instant, node: &mut M, sockets: &mut SocketSet<'_>) {
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
        // A question is only put into an empty queue: it is what leaves first, or what nothing leaves behind.
        if seen != Seen::Still
            && let Some(asked) = self.asked.take()
            && seen == Seen::Stuck
        {
            self.shunned = Some((asked, now + SHUNNED));
            unreachable(now, node, asked);
        }
    }

    /// Takes datagrams in from both sockets while their answers have room.
    fn receive<M: Dht<Address: Endpoint>>(&mut self, now: Instant, node: &mut M, sockets: &mut SocketSet<'_>) {
        let mut left = DATAGRAMS;
        for queue in self.queues() {
            while left > 0 && self.has_room(sockets) && self.take(now, node, sockets, queue.handle) {
                left -= 1;
            }
        }
    }

    /// Takes in the next datagram of a socket. Says whether there was one.
    fn take<M: Dht<Address: Endpoint>>(
        &mut self,
        now: Instant,
        node: &mut M,
        sockets: &mut SocketSet<'_>,
        from: SocketHandle,
    ) -> bool {
        let room = room(sockets, self.responses.handle);
        let Ok((datagram, meta)) = sockets.get_mut::<Socket<'_>>(from).recv() else {
            return false;
        };
        let Some(peer) = M::Address::from_endpoint(meta.endpoint) else {
            return true;
        };
        let Some(response) = node.handle_datagram(now, peer, datagram, &mut self.buf[..room]) else {
            return true;
        };
        let meta = match response.to == peer {
            // From the address that was asked, or its asker takes it for somebody else's.
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
        self.response(now, sockets);
        true
    }

    /// Sends the answer that waits, if it has room by now.
    fn response(&mut self, now: Instant, sockets: &mut SocketSet<'_>) {
        let Some((meta, len)) = self.waiting.take() else {
            return;
        };
        match self.responses.send(now, sockets, self.buf.get(..len).unwrap_or(&[]), meta) {
            Ok(()) => {}
            Err(SendError::BufferFull) if !self.responses.is_empty() => self.waiting = Some((meta, len)),
            Err(_) => self.losses.fail(),
        }
    }

    /// Sends a question if the one before has left.
    fn ask<M: Dht<Address: Endpoint>>(&mut self, now: Instant, node: &mut M, sockets: &mut SocketSet<'_>) {
        if !self.may_ask() {
            return;
        }
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
        if self.shunned.is_some_and(|(shunned, _)| shunned == to) {
            self.losses.shunned = self.losses.shunned.saturating_add(1);
            return node.handle_unreachable(now, request.to);
        }
        match queue.send(now, sockets, &self.buf[..request.len], to.into()) {
            Ok(()) => self.asked = Some(to),
            Err(_) => {
                self.losses.fail();
                node.handle_unreachable(now, request.to);
            }
        }
    }

    fn due<M: Dht>(&self, now: Instant, node: &M, sockets: &SocketSet<'_>) -> Option<Instant> {
        let node = match node.poll_timeout() {
            // It can't be heeded before a queue moves: the interface knows when.
            Some((_, WakeReason::Transmit)) if !self.may_ask() => None,
            due => due.map(|(due, _)| due),
        };
        let datagram = (self.has_room(sockets)
            && self.queues().any(|queue| sockets.get::<Socket<'_>>(queue.handle).can_recv()))
        .then_some(now);
        self.queues().filter_map(|queue| queue.deadline()).chain(node).chain(datagram).min()
    }

    fn queues(&self) -> impl Iterator<Item = Queue> + use<> {
        [Some(self.responses), self.requests].into_iter().flatten()
    }

    /// Whether an answer would find room.
    fn has_room(&self, sockets: &SocketSet<'_>) -> bool {
        let socket = sockets.get::<Socket<'_>>(self.responses.handle);
        let free = socket.payload_send_capacity() - socket.send_queue();
        self.waiting.is_none() && socket.can_send() && free >= room(sockets, self.responses.handle)
    }

    /// Whether the question before has left, and the buffer is free.
    fn may_ask(&self) -> bool {
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

fn unreachable<M: Dht<Address: Endpoint>>(now: Instant, node: &mut M, endpoint: IpEndpoint) {
    if let Some(address) = M::Address::from_endpoint(endpoint) {
        node.handle_unreachable(now, address);
    }
}

/// The largest datagram that a socket sends.
fn room(sockets: &SocketSet<'_>, handle: SocketHandle) -> usize {
    sockets.get::<Socket<'_>>(handle).payload_send_capacity().min(MAX_DATAGRAM)
}
