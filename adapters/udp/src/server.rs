//! A node on a thread of its own.

use core::net::SocketAddr;
use core::panic::AssertUnwindSafe;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::collections::VecDeque;
use std::io;
use std::panic::catch_unwind;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use kadlet::{Dht, Event, QueryId, QueryStats};
use mio::net::UdpSocket;
use mio::{Interest, Poll, Token, Waker};

use crate::address::IpAddress;
use crate::async_handle::AsyncHandle;
use crate::buffers::Buffers;
use crate::driver::Driver;
use crate::handle::Handle;
use crate::life::{End, Life, panicked};
use crate::outcome::Error;
use crate::queue::{Command, News, Operation, Queue};

/// How many places a server's queue has by default.
pub(crate) const PLACES: usize = 256;
/// The most places that it can have.
const MOST_PLACES: usize = 65_536;
const SOCKET: Token = Token(0);
const COMMAND: Token = Token(1);
/// The node ends an operation at its time limit, with its result. An operation that it hasn't ended this long after the
/// limit is cancelled.
const GRACE: Duration = Duration::from_millis(100);

/// A node with its socket, on a thread of its own.
///
/// Dropping the server ends the thread; the calls that still wait return [`Error::Stopped`]. If the thread dies, by an
/// error of the system or a panic in a function of the caller, each call returns [`Error::Died`], and
/// [`Handle::ended`] tells the program.
///
/// ```
/// use core::net::{Ipv4Addr, SocketAddr};
/// use kadlet::{Config, Dht, FixedStore, Instant, Kademlia, Node};
/// use kadlet_udp::{Server, random_id, seed};
///
/// // At most 192 contacts, 256 records in 64 KiB.
/// type MyNode = Node<Kademlia<SocketAddr, 192>, FixedStore<256, 65_536>>;
///
/// # fn main() -> Result<(), Box<dyn core::error::Error>> {
/// let id = random_id()?;
/// let node = MyNode::new(Instant::ZERO, Config::default(), id, seed()?)?;
/// let server = Server::bind((Ipv4Addr::LOCALHOST, 0).into(), node)?;
/// println!("listening on {} id {id}", server.local_addr());
///
/// // Until here the node serves other nodes; `server.handle()` makes its own calls.
/// let node = server.shutdown()?;
/// assert_eq!(node.id(), id);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Server<D: Dht<Address: IpAddress> + Send + 'static> {
    handle: Handle<D>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<io::Result<Box<Driver<D>>>>>,
}

impl<D: Dht<Address: IpAddress> + Send + 'static> Server<D> {
    /// Binds a socket for `node`, as [`Driver::bind`] does, and starts the thread.
    ///
    /// # Errors
    ///
    /// Those of [`Driver::bind`] and [`Server::start`].
    pub fn bind(address: SocketAddr, node: D) -> io::Result<Self> {
        Self::start(Driver::bind(address, node)?)
    }

    /// Starts the thread for a driver.
    ///
    /// # Errors
    ///
    /// The system can't give another thread or file descriptor.
    pub fn start(driver: Driver<D>) -> io::Result<Self> {
        Self::start_with(driver, |_| {})
    }

    /// Starts the thread for a driver. Every event that no call waits for goes to `on_event`, on that thread: it must
    /// not block, nor call a handle. Among them are changes of the node's external address and identifier.
    /// [`Handle::events`] has these for another thread or task.
    ///
    /// # Errors
    ///
    /// Those of [`Server::start`].
    pub fn start_with(
        driver: Driver<D>,
        on_event: impl FnMut(Event<'_, D::Address>) + Send + 'static,
    ) -> io::Result<Self> {
        Self::start_queued(driver, PLACES, on_event)
    }

    /// As [`start_with`](Server::start_with), with room for `queue` calls that wait for a slot of the node, or for the
    /// thread: 1 to 65,536.
    ///
    /// # Errors
    ///
    /// Those of [`Server::start`]; and [`InvalidInput`](io::ErrorKind::InvalidInput) if `queue` is out of its range.
    pub fn start_queued(
        driver: Driver<D>,
        queue: usize,
        on_event: impl FnMut(Event<'_, D::Address>) + Send + 'static,
    ) -> io::Result<Self> {
        if !(1..=MOST_PLACES).contains(&queue) {
            let what = format!("a queue for {queue} calls: it must be 1 to {MOST_PLACES}");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), COMMAND)?;
        let mut readiness = UdpSocket::from_std(driver.socket().try_clone()?);
        poll.registry().register(&mut readiness, SOCKET, Interest::READABLE)?;

        let queue = Arc::new(Queue::new(queue, waker));
        let life = Arc::new(Life::default());
        let handle = Handle::new(queue.clone(), life.clone(), driver.local_addr());
        let stop = Arc::new(AtomicBool::new(false));
        let mut event_loop = EventLoop {
            driver: Box::new(driver),
            buffers: Buffers::new(),
            queue,
            next_caller: None,
            waiting: VecDeque::new(),
            running: Vec::new(),
            full: false,
            news: News { external: None, readers: Vec::new() },
            on_event,
        };
        let stopped = stop.clone();
        let thread = thread::Builder::new().name("kadlet".into()).spawn(move || {
            life.begin();
            let run = || event_loop.run(poll, &readiness, &stopped);
            let result = catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| Err(panicked(panic.as_ref())));
            // The calls that wait, and all later ones, end with the reason.
            life.end(End::of(&result));
            event_loop.queue.close();
            let EventLoop { driver, .. } = event_loop;
            result.map(|()| driver)
        })?;
        Ok(Self { handle, stop, thread: Some(thread) })
    }

    /// The address that the socket is bound to.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.handle.local_addr()
    }

    /// A handle for calls to the node.
    #[must_use]
    pub fn handle(&self) -> Handle<D> {
        self.handle.clone()
    }

    /// Ends the thread and returns the node, whose contacts and records can then be saved. The calls that still wait
    /// return [`Error::Stopped`].
    ///
    /// # Errors
    ///
    /// The thread had already died, by an error of the system's poll or by a panic in a function of the caller. Or it
    /// is the current thread.
    pub fn shutdown(mut self) -> io::Result<D> {
        let driver = self.join().unwrap_or_else(|| Err(io::Error::other("the server had already stopped")))?;
        Ok(driver.into_parts().1)
    }

    /// A handle for calls of tasks.
    #[must_use]
    pub fn async_handle(&self) -> AsyncHandle<D> {
        self.handle.asynchronous()
    }

    fn join(&mut self) -> Option<io::Result<Box<Driver<D>>>> {
        let thread = self.thread.take()?;
        self.stop.store(true, Ordering::Release);
        self.handle.wake();
        // A thread that waited for itself would wait for ever.
        if thread.thread().id() == thread::current().id() {
            return None;
        }
        Some(thread.join().unwrap_or_else(|panic| Err(panicked(panic.as_ref()))))
    }
}

impl<D: Dht<Address: IpAddress> + Send + 'static> Drop for Server<D> {
    fn drop(&mut self) {
        self.join();
    }
}

/// The state of the server's thread.
struct EventLoop<D: Dht, F> {
    /// On the heap, because a thread's stack is small and a node may be large.
    driver: Box<Driver<D>>,
    buffers: Buffers,
    queue: Arc<Queue<D>>,
    /// When the time limit of a caller that waits for a place in the queue ends.
    next_caller: Option<Instant>,
    /// Calls that wait for a slot, in the order in which they came. Each has a place in the queue.
    waiting: VecDeque<Operation<D>>,
    /// Calls whose operation runs: at most as many as the node has slots.
    running: Vec<Running<D>>,
    /// The node had no slot for the first waiting call, and no slot has been freed since.
    full: bool,
    news: News<D::Address>,
    on_event: F,
}

struct Running<D: Dht> {
    query: QueryId,
    operation: Operation<D>,
    /// The counts in the watcher's last report: nodes asked, responded, failed, and those that stored the record.
    reported: (u16, u16, u16, u16),
}

impl<D: Dht<Address: IpAddress>, F: FnMut(Event<'_, D::Address>)> EventLoop<D, F> {
    fn run(&mut self, mut poll: Poll, readiness: &UdpSocket, stop: &AtomicBool) -> io::Result<()> {
        let mut events = mio::Events::with_capacity(4);
        let mut more = false;
        while !stop.load(Ordering::Acquire) {
            if !more {
                // On Windows mio reports the socket again only after a call that would block; elsewhere this does
                // nothing.
                let _ = readiness.try_io(|| Err::<(), _>(io::ErrorKind::WouldBlock.into()));
                let limit = self.deadline().map(|at| at.saturating_duration_since(Instant::now()));
                match poll.poll(&mut events, limit) {
                    Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                        return Err(io::Error::new(error.kind(), format!("the system's poll failed: {error}")));
                    }
                    _ => more = events.iter().any(|event| event.token() == SOCKET),
                }
            }
            if more {
                more = self.driver.on_readable(&mut self.buffers);
            }
            let now = Instant::now();
            if self.driver.deadline().is_some_and(|at| at <= now) {
                self.driver.on_timeout(&mut self.buffers);
            }
            self.queue.take().into_iter().for_each(|command| self.handle(command));
            self.end_overdue(now);
            self.finish();
            // A get of a record that this node holds may end as soon as it begins.
            while self.begin() {
                self.finish();
            }
            self.next_caller = self.queue.wake_callers(now);
        }
        // Sends what the last call still has to send, such as the record that a get writes back.
        self.driver.flush(&mut self.buffers);
        let running = self.running.drain(..).map(|running| running.operation);
        self.waiting.drain(..).chain(running).for_each(|operation| operation.reply.finish(Err(Error::Stopped)));
        Ok(())
    }

    /// When to wake if no datagram comes in.
    fn deadline(&self) -> Option<Instant> {
        let waiting = self.waiting.iter().map(|operation| operation.deadline);
        let running = self.running.iter().map(|running| running.operation.deadline + GRACE);
        self.driver.deadline().into_iter().chain(waiting).chain(running).chain(self.next_caller).min()
    }

    fn handle(&mut self, command: Command<D>) {
        match command {
            Command::Run(run) => {
                self.queue.free(1);
                run(&mut self.driver, &mut self.news);
                self.full = false;
            }
            Command::Begin(operation) => self.waiting.push_back(operation),
        }
    }

    /// Reports progress to the watchers, and results to the calls whose operation has ended.
    fn finish(&mut self) {
        self.running.iter_mut().for_each(|running| running.report(self.driver.node()));
        while let Some(event) = self.driver.node_mut().poll_event() {
            let call = match &event {
                Event::Finished(done) => self.running.iter().position(|running| running.query == done.query),
                _ => None,
            };
            self.full = false;
            match (call, event) {
                (Some(call), Event::Finished(done)) => self.running.swap_remove(call).operation.reply.finish(Ok(done)),
                (_, event) => {
                    self.news.tell(&event);
                    (self.on_event)(event);
                }
            }
        }
    }

    /// Ends the calls whose time limit is over, and those that nobody waits for any more.
    fn end_overdue(&mut self, now: Instant) {
        let is_over = |operation: &Operation<D>| operation.deadline <= now || operation.reply.is_abandoned();
        if self.waiting.iter().any(is_over) {
            let (over, waiting): (Vec<_>, Vec<_>) = core::mem::take(&mut self.waiting).into_iter().partition(is_over);
            self.waiting = waiting.into();
            self.queue.free(over.len());
            over.into_iter().for_each(|operation| operation.reply.finish(Err(Error::TimedOut)));
        }
        let is_over = |running: &mut Running<D>| {
            running.operation.deadline + GRACE <= now || running.operation.reply.is_abandoned()
        };
        for Running { query, operation, .. } in self.running.extract_if(.., is_over) {
            self.driver.node_mut().cancel(query);
            self.full = false;
            operation.reply.finish(Err(Error::TimedOut));
        }
    }

    /// Begins the waiting calls, in their order, until one finds no slot. Returns whether any began.
    fn begin(&mut self) -> bool {
        let before = self.waiting.len();
        while !self.full
            && let Some(first) = self.waiting.front_mut()
        {
            let left = first.deadline.saturating_duration_since(Instant::now());
            let now = self.driver.now();
            let Some(begun) = (first.begin)(self.driver.node_mut(), now, left) else {
                self.full = true;
                break;
            };
            let Some(operation) = self.waiting.pop_front() else { break };
            self.queue.free(1);
            match begun {
                Ok(query) => self.running.push(Running { query, operation, reported: (0, 0, 0, 0) }),
                Err(error) => operation.reply.finish(Err(error)),
            }
        }
        self.waiting.len() < before
    }
}

impl<D: Dht> Running<D> {
    /// Reports the operation's progress to its watcher, if it has changed.
    fn report(&mut self, node: &D) {
        let Some((watcher, progress)) = self.operation.watcher.as_ref().zip(node.progress(self.query)) else {
            return;
        };
        let QueryStats { asked, responded, timed_out, refused, stored, .. } = progress.stats;
        let counts = (asked, responded, timed_out.saturating_add(refused), stored);
        if counts != self.reported {
            self.reported = counts;
            watcher(progress);
        }
    }
}
