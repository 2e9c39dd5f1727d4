//! The node's task: datagrams in, datagrams out, what is due, and whom to wake.

use core::convert::Infallible;
use core::fmt;
use core::future::poll_fn;
use core::net::{IpAddr, SocketAddr};
use core::pin::{Pin, pin};
use core::task::{Context, Poll, ready};

use embassy_net::IpEndpoint;
use embassy_net::udp::{SendError, UdpMetadata, UdpSocket};
use embassy_time::{Duration, Instant, Timer};
use kadlet::wire::MAX_DATAGRAM;
use kadlet::{Address, Machine, Wake};

use crate::Handle;
use crate::shared::now;

/// A transmit queue that was not seen empty for so long is emptied: 2.9 s.
///
/// smoltcp asks for a neighbour every second, so three questions were asked by then; and the tenth that is left ends the socket's
/// silence after the last of them soon after the queue was emptied, not a second later.
pub const PATIENCE: Duration = Duration::from_millis(2_900);

/// For so long after its question was given up, a node counts as unreachable without another try: 10 s.
pub const SHUNNED: Duration = Duration::from_secs(10);

/// A node's task: [`run`](Runner::run) it.
pub struct Runner<'d, M: Machine> {
    handle: Handle<'d, M>,
    answers: Outlet<'d>,
    questions: Outlet<'d>,
    buffer: &'d mut [u8; MAX_DATAGRAM],
    /// Whom the question in the queue is for.
    asked: Option<M::Address>,
    /// Whose question was given up, and until when it counts: whatever comes from there, which may be forged.
    shunned: Option<(M::Address, Instant)>,
}

/// A socket, and since when its transmit queue has not been seen empty.
struct Outlet<'d> {
    socket: UdpSocket<'d>,
    busy: Option<Instant>,
}

impl<'d, M: Machine<Address: Into<SocketAddr>>> Runner<'d, M> {
    /// Receives, answers, asks and sleeps, for ever. If the future is dropped, the node stands still until it runs again.
    pub async fn run(&mut self) -> ! {
        match poll_fn(|cx| self.turn(cx)).await {}
    }

    fn turn(&mut self, cx: &mut Context<'_>) -> Poll<Infallible> {
        self.handle.shared().runner.register(cx.waker());
        if self.answers.is_stuck(cx) {
            self.handle.shared().losses.unsent += 1;
        }
        // One, so that what answers it leaves before the next is answered.
        let more = self.receive(cx);
        let due = self.handle.shared().node.poll_timeout().is_some_and(|(at, _)| at <= now());
        if due {
            self.handle.shared().node.handle_timeout(now());
        }
        self.ask(cx);
        self.handle.shared().tell();
        if more {
            cx.waker().wake_by_ref();
        } else if let Some(at) = self.deadline() {
            // That it was polled is what wakes us; the timer itself needn't live.
            let _ = Pin::new(&mut Timer::at(at)).poll(cx);
        }
        Poll::Pending
    }

    /// Takes a datagram in, and answers it if the answer finds room. Says whether there was one.
    fn receive(&mut self, cx: &mut Context<'_>) -> bool {
        let Self { handle, answers, buffer, .. } = self;
        let answer = pin!(answers.socket.recv_from_with(|datagram, from| {
            let peer = address::<M::Address>(from.endpoint)?;
            let answer = handle.shared().node.handle_datagram(now(), peer, datagram, *buffer)?;
            // Back the way it came, but never from an address of many: a node of several addresses answers from the one asked.
            let local_address = from.local_address.filter(|address| matches!(IpAddr::from(*address), IpAddr::V6(ip) if !ip.is_multicast()));
            match answer.to == peer {
                true => Some((answer.len, UdpMetadata { local_address, ..from })),
                false => Some((answer.len, endpoint(answer.to.into())?.into())),
            }
        }))
        .poll(cx);
        let Poll::Ready(answer) = answer else {
            return false;
        };
        match answer.map(|(len, to)| answers.send(buffer.get(..len).unwrap_or(&[]), to, cx)) {
            None | Some(Poll::Ready(Ok(()))) => {}
            Some(Poll::Ready(Err(_))) => handle.shared().losses.failed += 1,
            Some(Poll::Pending) => handle.shared().losses.unsent += 1,
        }
        true
    }

    /// Sends a question if the one before has left: none waits for another's neighbour once its clock runs.
    fn ask(&mut self, cx: &mut Context<'_>) {
        if let Some(to) = self.asked.take_if(|_| self.questions.is_stuck(cx)) {
            self.shunned = Some((to, Instant::now() + SHUNNED));
            self.fail(to);
        }
        if self.questions.busy.is_some() {
            return;
        }
        let Some(question) = self.handle.shared().node.poll_transmit(now(), self.buffer) else {
            return;
        };
        let shunned = self.shunned.is_some_and(|(to, until)| to == question.to && Instant::now() < until);
        let datagram = self.buffer.get(..question.len).unwrap_or(&[]);
        match endpoint(question.to.into()).filter(|_| !shunned).map(|to| self.questions.send(datagram, to.into(), cx)) {
            Some(Poll::Ready(Ok(()))) => self.asked = Some(question.to),
            _ => self.fail(question.to),
        }
    }

    fn fail(&self, to: M::Address) {
        let mut shared = self.handle.shared();
        shared.losses.failed += 1;
        shared.node.handle_unreachable(now(), to);
    }

    /// When to look again if nothing comes in.
    fn deadline(&self) -> Option<Instant> {
        let due = match self.handle.shared().node.poll_timeout() {
            // The socket says when it is free, or is stuck.
            Some((_, Wake::Transmit)) if self.questions.busy.is_some() => None,
            // Rounded up: early by less than a tick, the node would have nothing to do yet, and again and again.
            Some((at, _)) => Duration::try_from_micros(at.as_micros()).map(|since| Instant::from_ticks(since.as_ticks())),
            None => None,
        };
        let stuck = [self.answers.busy, self.questions.busy].into_iter().flatten().map(|since| since + PATIENCE);
        stuck.chain(due).min()
    }
}

impl<'d, M: Machine> Runner<'d, M> {
    pub(crate) fn new(handle: Handle<'d, M>, sockets: [UdpSocket<'d>; 2], buffer: &'d mut [u8; MAX_DATAGRAM]) -> Self {
        let [answers, questions] = sockets.map(|socket| Outlet { socket, busy: None });
        Self { handle, answers, questions, buffer, asked: None, shunned: None }
    }
}

impl Outlet<'_> {
    fn send(&mut self, datagram: &[u8], to: UdpMetadata, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        let sent = ready!(self.socket.poll_send_to(datagram, to, cx));
        self.busy.get_or_insert_with(Instant::now);
        // So that we are woken when it has left.
        let _ = pin!(self.socket.flush()).poll(cx);
        Poll::Ready(sent)
    }

    /// Whether the queue stood for too long, for a neighbour that isn't there. Then it is emptied: smoltcp has no other way than to
    /// close the socket, which forgets what was received too.
    fn is_stuck(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(since) = self.busy else {
            return false;
        };
        let stuck = pin!(self.socket.flush()).poll(cx).is_pending();
        if stuck && Instant::now() < since + PATIENCE {
            return false;
        }
        self.busy = None;
        if stuck {
            let port = self.socket.endpoint().port;
            self.socket.close();
            // A closed socket can be bound.
            let _ = self.socket.bind(port);
        }
        stuck
    }
}

/// The stack's address as a node's, by the way it travels; `None` if it is of a family that the node lacks.
fn address<A: Address>(endpoint: IpEndpoint) -> Option<A> {
    let encoded = SocketAddr::from(endpoint).canonical().encode();
    A::decode(encoded.family, encoded.as_bytes())
}

/// The node's address as the stack's; `None` if it is of a family that the stack lacks.
fn endpoint(address: SocketAddr) -> Option<IpEndpoint> {
    match address {
        #[cfg(feature = "proto-ipv4")]
        SocketAddr::V4(address) => Some(address.into()),
        #[cfg(feature = "proto-ipv6")]
        SocketAddr::V6(address) => Some(address.into()),
        #[allow(unreachable_patterns)]
        _ => None,
    }
}

impl<M: Machine> fmt::Debug for Runner<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runner").finish_non_exhaustive()
    }
}
