//! The node's task: datagrams in, datagrams out, what is due, and whom to wake.

use core::convert::Infallible;
use core::fmt;
use core::future::poll_fn;
use core::net::{IpAddr, SocketAddr};
use core::pin::{Pin, pin};
use core::task::{Context, Poll, ready};

use embassy_net::udp::{PacketMetadata, SendError, UdpMetadata, UdpSocket};
use embassy_net::{IpEndpoint, Stack};
use embassy_time::{Duration, Instant, Timer};
use kadlet::wire::MAX_DATAGRAM;
use kadlet::{Address, Dht, Event, WakeReason};

use crate::resources::{DATAGRAMS, Resources, Shared, now};
use crate::{Handle, Losses, News};

/// A transmit queue that was not seen empty for so long is emptied: 2.9 s.
///
/// smoltcp asks for a neighbour every second, so three questions were asked by then; and the tenth that is left ends the socket's
/// silence after the last of them soon after the queue was emptied, not a second later.
pub const PATIENCE: Duration = Duration::from_millis(2_900);

/// For so long after its question was given up, a node counts as unreachable without another try: 10 s.
pub const SHUNNED: Duration = Duration::from_secs(10);

/// A node's task: [`run`](Runner::run) it.
pub struct Runner<'d, M: Dht> {
    handle: Handle<'d, M>,
    responses: Outlet<'d>,
    requests: Outlet<'d>,
    buffer: &'d mut [u8; MAX_DATAGRAM],
    /// Whom the last question was for: the one in the queue, if there is one.
    asked: M::Address,
    /// Whose question was given up, and until when it counts: whatever comes from there, which may be forged.
    shunned: (M::Address, Instant),
}

/// A socket, and when its transmit queue is emptied unless it was seen empty before.
struct Outlet<'d> {
    socket: UdpSocket<'d>,
    limit: Option<Instant>,
}

/// A node on a port of the stack's (0: the stack chooses one), with two of its sockets. Nothing happens until the runner runs.
///
/// `start` starts the node in place, and may remind it of contacts and records of an earlier run
/// ([`restore_contact`](Dht::restore_contact), [`restore_record`](Dht::restore_record)):
/// `|node, now| node.start(now, config, id, seed)`. The seed is 32 random bytes, never used before: where the chip has no source of
/// randomness, hash what is unique to the board with a counter of boots.
///
/// # Panics
///
/// embassy-net's, if its `StackResources` have no room for two more sockets.
pub fn new<'d, M: Dht, const CALLS: usize, const BUFFER: usize>(
    resources: &'d mut Resources<M, CALLS, BUFFER>,
    stack: Stack<'d>,
    port: u16,
    start: impl FnOnce(&mut M, kadlet::Instant),
) -> (Handle<'d, M>, Runner<'d, M>) {
    start(&mut resources.shared.get_mut().node, now());
    // It always fits: the length is the capacity.
    let _ = resources.metadata.resize(3 * DATAGRAMS, PacketMetadata::EMPTY);
    let (taken, sent) = resources.metadata.split_at_mut(DATAGRAMS);
    let (responded, asked) = sent.split_at_mut(DATAGRAMS);
    let [received, responses, requests] = &mut resources.buffers;
    // Of two sockets on a port, smoltcp gives all datagrams to the one that was added first, so the other needs no memory for any.
    let mut responses = UdpSocket::new(stack, taken, received, responded, responses);
    let mut requests = UdpSocket::new(stack, &mut [], &mut [], asked, requests);
    // Neither fails: the sockets are new, and port 0 has become another by the time of the second.
    let _ = responses.bind(port);
    let _ = requests.bind(responses.endpoint().port);
    let [responses, requests] = [responses, requests].map(|socket| Outlet { socket, limit: None });
    let (handle, buffer, nobody) = (Handle { shared: &resources.shared }, &mut resources.datagram, M::Address::EMPTY);
    (handle, Runner { handle, responses, requests, buffer, asked: nobody, shunned: (nobody, Instant::MIN) })
}

impl<'d, M: Dht<Address: Into<SocketAddr>>> Runner<'d, M> {
    /// Receives, answers, asks and sleeps, for ever. If the future is dropped, the node stands still until it runs again.
    pub async fn run(&mut self) -> ! {
        match poll_fn(|cx| self.turn(cx)).await {}
    }

    fn turn(&mut self, cx: &mut Context<'_>) -> Poll<Infallible> {
        let Shared { node, losses, runner, listener, news, calls } = &mut *self.handle.shared();
        runner.register(cx.waker());
        losses.unsent += u32::from(self.responses.is_stuck(cx));
        // One, so that what answers it leaves before the next is answered.
        let received = self.receive(node, losses, cx);
        if node.poll_timeout().is_some_and(|(at, _)| at <= now()) {
            node.handle_timeout(now());
        }
        if let Some(unreachable) = self.ask(node, cx) {
            losses.failed += 1;
            node.handle_unreachable(now(), unreachable);
        }
        for call in calls.iter_mut().filter(|call| node.progress(call.query).is_none()) {
            call.waker.wake();
        }
        // Of an operation that ended, this would take the result away from its call.
        while calls.iter().all(|call| node.progress(call.query).is_some())
            && let Some(event) = node.poll_event()
        {
            let _ = match event {
                Event::OwnIdSeen { address } => news.push(News::OwnIdSeen { address }),
                Event::Superseded { key } => news.push(News::Superseded { key }),
                Event::QueryResult(_) | Event::Forwarded { .. } => continue,
            };
            listener.wake();
        }
        if received.is_ready() {
            cx.waker().wake_by_ref();
        } else if let Some(at) = self.deadline(node) {
            // That it was polled is what wakes us; the timer itself needn't live.
            let _ = Pin::new(&mut Timer::at(at)).poll(cx);
        }
        Poll::Pending
    }

    /// Takes a datagram in, and answers it if the answer finds room.
    fn receive(&mut self, node: &mut M, losses: &mut Losses, cx: &mut Context<'_>) -> Poll<()> {
        let response = pin!(self.responses.socket.recv_from_with(|datagram, from| {
            // By the way it travels: `None` if it is of a family that the node lacks.
            let peer = SocketAddr::from(from.endpoint).canonical().encode();
            let peer = M::Address::decode(peer.family, peer.as_bytes())?;
            let response = node.handle_datagram(now(), peer, datagram, self.buffer)?;
            // Back the way it came, but never from an address of many: a node of several addresses answers from the one asked.
            let is_own = |ip| response.to == peer && matches!(ip, IpAddr::V6(ip) if !ip.is_multicast());
            let local_address = from.local_address.filter(|address| is_own((*address).into()));
            Some((response.len, UdpMetadata { endpoint: endpoint(response.to.into())?, local_address, ..from }))
        }))
        .poll(cx);
        match ready!(response).map(|(len, to)| self.responses.send(self.buffer, len, to, cx)) {
            None | Some(Poll::Ready(Ok(()))) => {}
            Some(Poll::Ready(Err(_))) => losses.failed += 1,
            Some(Poll::Pending) => losses.unsent += 1,
        }
        Poll::Ready(())
    }

    /// Sends a question if the one before has left: none waits for another's neighbour once its clock runs. Says who is unreachable.
    fn ask(&mut self, node: &mut M, cx: &mut Context<'_>) -> Option<M::Address> {
        if self.requests.is_stuck(cx) {
            self.shunned = (self.asked, Instant::now() + SHUNNED);
            return Some(self.asked);
        }
        if self.requests.limit.is_some() {
            return None;
        }
        let request = node.poll_transmit(now(), self.buffer)?;
        self.asked = request.to;
        let shunned = self.shunned.0 == request.to && Instant::now() < self.shunned.1;
        let mut send = |to: IpEndpoint| self.requests.send(self.buffer, request.len, to.into(), cx);
        let sent = endpoint(request.to.into()).is_some_and(|to| !shunned && send(to) == Poll::Ready(Ok(())));
        (!sent).then_some(request.to)
    }

    /// When to look again if nothing comes in.
    fn deadline(&self, node: &M) -> Option<Instant> {
        // The questions' socket says when it is free, or is stuck.
        let due =
            node.poll_timeout().filter(|(_, wake)| *wake != WakeReason::Transmit || self.requests.limit.is_none());
        // Rounded up: early by less than a tick, the node would have nothing to do yet, and again and again.
        let due = due
            .and_then(|(at, _)| Duration::try_from_micros(at.as_micros()))
            .map(|since| Instant::from_ticks(since.as_ticks()));
        [self.responses.limit, self.requests.limit, due].into_iter().flatten().min()
    }
}

impl Outlet<'_> {
    fn send(
        &mut self,
        buffer: &[u8],
        len: usize,
        to: UdpMetadata,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), SendError>> {
        let sent = ready!(self.socket.poll_send_to(buffer.get(..len).unwrap_or(&[]), to, cx));
        self.limit.get_or_insert_with(|| Instant::now() + PATIENCE);
        // So that we are woken when it has left.
        let _ = pin!(self.socket.flush()).poll(cx);
        Poll::Ready(sent)
    }

    /// Whether the queue stood for too long, for a neighbour that isn't there. Then it is emptied: smoltcp has no other way than to
    /// close the socket, which forgets what was received too.
    fn is_stuck(&mut self, cx: &mut Context<'_>) -> bool {
        let stands = pin!(self.socket.flush()).poll(cx).is_pending();
        let stuck = stands && self.limit.is_some_and(|limit| limit <= Instant::now());
        self.limit = self.limit.filter(|_| stands && !stuck);
        if stuck {
            let port = self.socket.endpoint().port;
            self.socket.close();
            // A closed socket can be bound.
            let _ = self.socket.bind(port);
        }
        stuck
    }
}

/// The node's address as the stack's; `None` if it is of a family that the stack lacks.
fn endpoint(address: SocketAddr) -> Option<IpEndpoint> {
    match address {
        #[cfg(feature = "proto-ipv4")]
        SocketAddr::V4(address) => Some(address.into()),
        #[cfg(feature = "proto-ipv6")]
        SocketAddr::V6(address) => Some(address.into()),
        #[allow(unreachable_patterns, reason = "with both families there is no other")]
        _ => None,
    }
}

impl<M: Dht> fmt::Debug for Runner<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runner").finish_non_exhaustive()
    }
}
