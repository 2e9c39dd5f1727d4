//! The node's task: it receives and sends datagrams, runs the node's timers, and wakes the calls whose operations have
//! ended.

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
use kadlet::{Address, ConfigError, Dht, Event, WakeReason};

use crate::handle::Handle;
use crate::outcome::{Losses, News};
use crate::resources::{DATAGRAMS, Resources, Shared, now};

/// A transmit queue that was not seen empty for this long is emptied: 2.9 s.
///
/// smoltcp searches for an unknown neighbour once a second and keeps the socket silent in between. After 2.9 s it has
/// searched three times, and the silence after the third search ends 0.1 s later. With a little more than 3 s, a fourth
/// search would have begun, and the emptied queue would stay silent for almost another second.
pub const PATIENCE: Duration = Duration::from_millis(2_900);

/// How long an address counts as unreachable after a request to it was given up: 10 s. No request is sent to it in this
/// time.
pub const SHUNNED: Duration = Duration::from_secs(10);

/// Runs a node on a stack: [`run`](Runner::run) is the node's task.
///
/// ```
/// use core::net::SocketAddrV4;
/// use core::time::Duration;
///
/// use embassy_futures::block_on;
/// use embassy_futures::join::join;
/// use embassy_futures::select::{Either, select};
/// use kadlet::{Config, Failure, FixedStore, Id, Kademlia, Node};
/// use kadlet_embassy::{Error, Resources, Runner};
/// # let loopback = || include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/embassy/loopback.rs"));
///
/// type Mote = Node<Kademlia<SocketAddrV4, 128>, FixedStore<32, 8192>, 4>;
///
/// // On a board this is an `#[embassy_executor::task]`, to be spawned once.
/// async fn node(mut runner: Runner<'static, Mote>) -> ! {
///     runner.run().await
/// }
///
/// let (stack, network) = loopback();
/// let resources = Box::leak(Box::new(Resources::<Mote>::new(Mote::empty())));
/// # let (id, seed) = (Id::from_bytes([1; 20]), [1; 32]);
/// let config = Config { timeout_initial: Duration::from_millis(100), attempts: 1, ..Config::default() };
/// let (dht, runner) = kadlet_embassy::new(resources, stack, 4000, |node, now| node.start(now, config, id, seed))?;
///
/// // Calls make progress only while the runner runs. No node is at this address, so this one fails.
/// let bootstrap = ["10.0.0.1:4001".parse()?];
/// let done = block_on(select(dht.bootstrap(&bootstrap), join(network, node(runner))));
/// assert!(matches!(done, Either::First(Err(Error::Failed { failure: Failure::NoResponse, .. }))));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Runner<'d, D: Dht> {
    handle: Handle<'d, D>,
    responses: Outlet<'d>,
    requests: Outlet<'d>,
    buffer: &'d mut [u8; MAX_DATAGRAM],
    /// The destination of the last request, which may still be in the queue.
    requested: D::Address,
    /// The destination of the last request that was given up, and until when it counts as unreachable. A datagram from
    /// there doesn't end this: its sender may be forged.
    shunned: (D::Address, Instant),
}

/// A socket, and the time at which its transmit queue is emptied unless it is seen empty before.
struct Outlet<'d> {
    socket: UdpSocket<'d>,
    limit: Option<Instant>,
}

/// Makes a node on a port of the stack (0: the stack chooses one), with two sockets. Nothing happens before the runner
/// runs.
///
/// `start` must start the node in place: `|node, now| node.start(now, config, id, seed)`. It can also restore contacts
/// and records of an earlier run ([`restore_contact`](Dht::restore_contact), [`restore_record`](Dht::restore_record)).
/// The seed is 32 random bytes that were never used before. On a chip without a source of randomness, hash what is
/// unique to the board together with a boot counter.
///
/// # Errors
///
/// [`ConfigError`]: what `start` returned.
///
/// # Panics
///
/// embassy-net panics if `StackResources` has no room for two more sockets.
pub fn new<'d, D: Dht, const CALLS: usize, const BUFFER: usize>(
    resources: &'d mut Resources<D, CALLS, BUFFER>,
    stack: Stack<'d>,
    port: u16,
    start: impl FnOnce(&mut D, kadlet::Instant) -> Result<(), ConfigError>,
) -> Result<(Handle<'d, D>, Runner<'d, D>), ConfigError> {
    let shared = resources.shared.get_mut();
    start(&mut shared.node, now(shared.epoch))?;
    // What is left of an earlier runner, whose tasks are gone.
    shared.calls.clear();
    shared.news.clear();
    // Can't fail: the length is the capacity.
    let _ = resources.metadata.resize(3 * DATAGRAMS, PacketMetadata::EMPTY);
    let (received_meta, sent_meta) = resources.metadata.split_at_mut(DATAGRAMS);
    let (responses_meta, requests_meta) = sent_meta.split_at_mut(DATAGRAMS);
    let [received, responses, requests] = &mut resources.buffers;
    // Of two sockets on a port, smoltcp gives all received datagrams to the one that was added first: the other needs
    // no memory for them.
    let mut responses = UdpSocket::new(stack, received_meta, received, responses_meta, responses);
    let mut requests = UdpSocket::new(stack, &mut [], &mut [], requests_meta, requests);
    // Neither can fail: the sockets are new, and the first has a port other than 0 when the second is bound.
    let _ = responses.bind(port);
    let _ = requests.bind(responses.endpoint().port);
    let [responses, requests] = [responses, requests].map(|socket| Outlet { socket, limit: None });
    let (handle, buffer, none) = (Handle { shared: &resources.shared }, &mut resources.datagram, D::Address::EMPTY);
    Ok((handle, Runner { handle, responses, requests, buffer, requested: none, shunned: (none, Instant::MIN) }))
}

impl<'d, D: Dht<Address: Into<SocketAddr>>> Runner<'d, D> {
    /// Receives, responds, sends requests and sleeps, for ever. If the future is dropped, the node stands still until
    /// this is called again.
    pub async fn run(&mut self) -> ! {
        match poll_fn(|cx| self.turn(cx)).await {}
    }

    fn turn(&mut self, cx: &mut Context<'_>) -> Poll<Infallible> {
        let Shared { node, epoch, losses, runner, listener, news, calls } = &mut *self.handle.shared();
        runner.register(cx.waker());
        losses.unsent += u32::from(self.responses.is_stuck(cx));
        // One datagram, so that its response can leave before the next one is received.
        let received = self.receive(now(*epoch), node, losses, cx);
        // Again: the check of a signature takes its time.
        let now = now(*epoch);
        if node.poll_timeout().is_some_and(|(at, _)| at <= now) {
            node.handle_timeout(now);
        }
        if let Some(unreachable) = self.send_request(now, node, cx) {
            losses.failed += 1;
            node.handle_unreachable(now, unreachable);
        }
        for call in calls.iter_mut().filter(|call| node.progress(call.query).is_none()) {
            call.waker.wake();
        }
        // A result that a call waits for stays until the call's task takes it.
        while let Some(event) = node.poll_event_except(&|query| calls.iter().any(|call| call.query == query)) {
            let _ = match event {
                Event::ExternalAddress { address, id } => news.push(News::ExternalAddress { address, id }),
                Event::Serves { serves } => news.push(News::Serves { serves }),
                Event::OwnIdSeen { address } => news.push(News::OwnIdSeen { address }),
                Event::Superseded { key } => news.push(News::Superseded { key }),
                _ => continue,
            };
            listener.wake();
        }
        if received.is_ready() {
            cx.waker().wake_by_ref();
        } else if let Some(at) = self.deadline(*epoch, node) {
            // Polling the timer registers the wake-up. The timer itself needn't live on.
            let _ = Pin::new(&mut Timer::at(at)).poll(cx);
        }
        Poll::Pending
    }

    /// Receives a datagram, and sends the response if it fits into the queue.
    fn receive(&mut self, now: kadlet::Instant, node: &mut D, losses: &mut Losses, cx: &mut Context<'_>) -> Poll<()> {
        let response = pin!(self.responses.socket.recv_from_with(|datagram, from| {
            // Converted through its encoded form: `None` if the node's address type lacks the family.
            let peer = SocketAddr::from(from.endpoint).canonical().encode();
            let peer = D::Address::decode(peer.family, peer.as_bytes())?;
            let response = node.handle_datagram(now, peer, datagram, self.buffer)?;
            // A node with several addresses must respond from the one that the request was sent to, unless that is
            // multicast.
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

    /// Sends a request if the one before has left. So no request waits for the neighbour of another while its timeout
    /// runs. Returns the address of a node that is unreachable.
    fn send_request(&mut self, now: kadlet::Instant, node: &mut D, cx: &mut Context<'_>) -> Option<D::Address> {
        if self.requests.is_stuck(cx) {
            self.shunned = (self.requested, Instant::now() + SHUNNED);
            return Some(self.requested);
        }
        if self.requests.limit.is_some() {
            return None;
        }
        let request = node.poll_transmit(now, self.buffer)?;
        self.requested = request.to;
        let shunned = self.shunned.0 == request.to && Instant::now() < self.shunned.1;
        let mut send = |to: IpEndpoint| self.requests.send(self.buffer, request.len, to.into(), cx);
        let sent = endpoint(request.to.into()).is_some_and(|to| !shunned && send(to) == Poll::Ready(Ok(())));
        (!sent).then_some(request.to)
    }

    /// When to run again if no datagram arrives and no call begins.
    fn deadline(&self, epoch: u64, node: &D) -> Option<Instant> {
        // While a request is in the queue, no other can be sent. The socket wakes the task when it has left.
        let due =
            node.poll_timeout().filter(|(_, wake)| *wake != WakeReason::Transmit || self.requests.limit.is_none());
        // Rounded up to a tick: woken earlier, the node would have nothing to do yet, and would be woken again and
        // again.
        let due = due
            .and_then(|(at, _)| Duration::try_from_micros(at.as_micros().saturating_sub(epoch)))
            .map(|since| Instant::from_ticks(since.as_ticks()));
        [self.responses.limit, self.requests.limit, due].into_iter().flatten().min()
    }
}

impl Outlet<'_> {
    /// Puts the first `len` bytes of `buffer` into the queue. Pending if they don't fit.
    fn send(
        &mut self,
        buffer: &[u8],
        len: usize,
        to: UdpMetadata,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), SendError>> {
        let sent = ready!(self.socket.poll_send_to(buffer.get(..len).unwrap_or(&[]), to, cx));
        self.limit.get_or_insert_with(|| Instant::now() + PATIENCE);
        // Registers a wake-up for when the queue is empty.
        let _ = pin!(self.socket.flush()).poll(cx);
        Poll::Ready(sent)
    }

    /// Returns whether the queue was not empty for too long, because of a neighbour that isn't there, and empties it
    /// then. smoltcp's only way is to close the socket, which drops the received datagrams too.
    fn is_stuck(&mut self, cx: &mut Context<'_>) -> bool {
        let is_filled = pin!(self.socket.flush()).poll(cx).is_pending();
        let stuck = is_filled && self.limit.is_some_and(|limit| limit <= Instant::now());
        self.limit = self.limit.filter(|_| is_filled && !stuck);
        if stuck {
            let port = self.socket.endpoint().port;
            self.socket.close();
            // Can't fail: the socket is closed.
            let _ = self.socket.bind(port);
        }
        stuck
    }
}

/// Converts the node's address to the stack's. `None` if this crate was built without the address's family.
fn endpoint(address: SocketAddr) -> Option<IpEndpoint> {
    match address {
        #[cfg(feature = "proto-ipv4")]
        SocketAddr::V4(address) => Some(address.into()),
        #[cfg(feature = "proto-ipv6")]
        SocketAddr::V6(address) => Some(address.into()),
        #[allow(unreachable_patterns, reason = "with both features the arms above match every address")]
        _ => None,
    }
}

impl<D: Dht> fmt::Debug for Runner<'_, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runner").finish_non_exhaustive()
    }
}
