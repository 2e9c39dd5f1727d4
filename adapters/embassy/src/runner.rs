//! The node's task: datagrams in, datagrams out, what is due, and whom to wake.

use core::cell::{RefCell, RefMut};
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

use crate::shared::{Shared, now};

/// Datagrams taken in, and questions sent, before other tasks have their turn.
const TURN: usize = 8;
/// How long receiving waits for room for an answer.
const PATIENCE: Duration = Duration::from_millis(10);
/// How long a socket waits for a neighbour to be found: smoltcp asks one question a second, of all that wait, and by itself would wait for ever.
const STUCK: Duration = Duration::from_millis(1_500);

/// A node's task: [`run`](Runner::run) it.
pub struct Runner<'d, M: Machine> {
    shared: &'d RefCell<Shared<M>>,
    answers: Outlet<'d>,
    questions: Outlet<'d>,
    /// Whom the question in the socket is for: one at a time, so that none waits for another's neighbour once its clock runs.
    asked: Option<M::Address>,
    /// Until when an answer waits for room, since the last that found some.
    patience: Option<Instant>,
}

/// A socket, and the datagram that waits for room in its buffer.
pub(crate) struct Outlet<'d> {
    socket: UdpSocket<'d>,
    buffer: &'d mut [u8; MAX_DATAGRAM],
    waiting: Option<(usize, UdpMetadata)>,
    /// Since when the socket's queue has not been seen empty.
    busy: Option<Instant>,
}

impl<'d, M: Machine<Address: Into<SocketAddr>>> Runner<'d, M> {
    /// Receives, answers, asks and sleeps, for ever. If the future is dropped, the node stands still until it runs again.
    pub async fn run(&mut self) -> ! {
        match poll_fn(|cx| self.turn(cx)).await {}
    }

    fn turn(&mut self, cx: &mut Context<'_>) -> Poll<Infallible> {
        self.shared().runner.register(cx.waker());
        if self.answers.is_stuck(cx) {
            self.shared().losses.unsent += 1;
        }
        let more = (0..TURN).all(|_| self.receive(cx));
        let due = self.shared().node.poll_timeout().is_some_and(|(at, _)| at <= now());
        if due {
            self.shared().node.handle_timeout(now());
        }
        self.ask(cx);
        self.shared().tell();
        if more {
            cx.waker().wake_by_ref();
        } else if let Some(at) = self.deadline() {
            // That it was polled is what wakes us; the timer itself needn't live.
            let _ = Pin::new(&mut Timer::at(at)).poll(cx);
        }
        Poll::Pending
    }

    /// Takes a datagram in, and answers it. Says whether there was one.
    fn receive(&mut self, cx: &mut Context<'_>) -> bool {
        if self.answer(cx).is_pending() {
            return false;
        }
        let (shared, buffer) = (self.shared, &mut *self.answers.buffer);
        let answer = pin!(self.answers.socket.recv_from_with(|datagram, from| {
            let peer = address::<M::Address>(from.endpoint)?;
            let mut shared = shared.borrow_mut();
            let answer = shared.node.handle_datagram(now(), peer, datagram, buffer)?;
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
        self.answers.waiting = answer;
        let _ = self.answer(cx);
        true
    }

    /// Sends the answer that waits, if any. Pending: it still does, and no datagram is to be taken in.
    fn answer(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.answers.waiting.is_none() {
            return Poll::Ready(());
        }
        match self.answers.send(cx) {
            Poll::Ready(Ok(())) => self.patience = None,
            Poll::Ready(Err(_)) => self.shared().losses.failed += 1,
            Poll::Pending => {
                let now = Instant::now();
                if now < *self.patience.get_or_insert(now + PATIENCE) {
                    return Poll::Pending;
                }
                self.answers.waiting = None;
                self.shared().losses.unsent += 1;
            }
        }
        Poll::Ready(())
    }

    /// Sends what the node has to ask, as far as neighbours are found.
    fn ask(&mut self, cx: &mut Context<'_>) {
        for _ in 0..TURN {
            if let Some(to) = self.asked.take_if(|_| self.questions.is_stuck(cx)) {
                self.fail(to);
            }
            if self.questions.busy.is_some() {
                return;
            }
            let Some(question) = self.shared.borrow_mut().node.poll_transmit(now(), self.questions.buffer) else {
                return;
            };
            self.asked = Some(question.to);
            self.questions.waiting = endpoint(question.to.into()).map(|to| (question.len, to.into()));
            if self.questions.waiting.is_none() || !matches!(self.questions.send(cx), Poll::Ready(Ok(()))) {
                self.fail(question.to);
            }
        }
    }

    fn fail(&self, to: M::Address) {
        let mut shared = self.shared();
        shared.losses.failed += 1;
        shared.node.handle_unreachable(now(), to);
    }

    /// When to look again if nothing comes in.
    fn deadline(&self) -> Option<Instant> {
        let due = match self.shared().node.poll_timeout() {
            // The socket says when it is free, or is stuck.
            Some((_, Wake::Transmit)) if self.questions.busy.is_some() => None,
            // Rounded up: early by less than a tick, the node would have nothing to do yet, and again and again.
            Some((at, _)) => Duration::try_from_micros(at.as_micros()).map(|since| Instant::from_ticks(since.as_ticks())),
            None => None,
        };
        let patience = self.patience.filter(|_| self.answers.waiting.is_some());
        let stuck = [self.answers.busy, self.questions.busy].into_iter().flatten().map(|since| since + STUCK);
        stuck.chain(due).chain(patience).min()
    }

    fn shared(&self) -> RefMut<'d, Shared<M>> {
        self.shared.borrow_mut()
    }
}

impl<'d, M: Machine> Runner<'d, M> {
    pub(crate) const fn new(shared: &'d RefCell<Shared<M>>, answers: Outlet<'d>, questions: Outlet<'d>) -> Self {
        Self { shared, answers, questions, asked: None, patience: None }
    }
}

impl<'d> Outlet<'d> {
    pub(crate) const fn new(socket: UdpSocket<'d>, buffer: &'d mut [u8; MAX_DATAGRAM]) -> Self {
        Self { socket, buffer, waiting: None, busy: None }
    }

    /// Sends what waits, if anything does.
    fn send(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        let Some((len, to)) = self.waiting else {
            return Poll::Ready(Ok(()));
        };
        let sent = ready!(self.socket.poll_send_to(self.buffer.get(..len).unwrap_or(&[]), to, cx));
        self.waiting = None;
        self.busy.get_or_insert_with(Instant::now);
        Poll::Ready(sent)
    }

    /// Whether the socket's queue stood for too long, for a neighbour that isn't there. Then it is thrown away.
    fn is_stuck(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(since) = self.busy else {
            return false;
        };
        if pin!(self.socket.flush()).poll(cx).is_ready() {
            self.busy = None;
            return false;
        }
        if Instant::now() < since + STUCK {
            return false;
        }
        let port = self.socket.endpoint().port;
        self.socket.close();
        // A closed socket can be bound.
        let _ = self.socket.bind(port);
        self.busy = None;
        true
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
