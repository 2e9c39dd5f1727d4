//! A node on a thread of its own.

use core::net::SocketAddr;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use kadlet::{Dht, Event, QueryId, QueryStats};
use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token, Waker};

use crate::handle::{Command, Handle, Operation, QUEUE};
use crate::outcome::Error;
use crate::{Buffers, Driver, IpAddress};

const SOCKET: Token = Token(0);
const COMMAND: Token = Token(1);
/// The machine ends an operation at its time limit, and says how it went; one that it doesn't end is cancelled so much later.
const GRACE: Duration = Duration::from_millis(100);

/// A node with its socket, on a thread of its own. Dropped, it ends; the calls that wait end with [`Error::Stopped`].
#[derive(Debug)]
pub struct Server<M: Dht<Address: IpAddress> + Send + 'static> {
    handle: Handle<M>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<io::Result<Box<Driver<M>>>>>,
}

impl<M: Dht<Address: IpAddress> + Send + 'static> Server<M> {
    /// Binds a socket for `node`, as [`Driver::bind`] does, and starts the thread.
    ///
    /// # Errors
    ///
    /// As [`Driver::bind`] and [`Server::start`].
    pub fn bind(address: SocketAddr, node: M) -> io::Result<Self> {
        Self::start(Driver::bind(address, node)?)
    }

    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// The system has no thread, or no file descriptor, to spare.
    pub fn start(driver: Driver<M>) -> io::Result<Self> {
        Self::start_with(driver, |_| {})
    }

    /// Starts the thread, which hands `on_event` every event that no call waits for: it must not wait, nor call a handle.
    ///
    /// # Errors
    ///
    /// As [`Server::start`].
    pub fn start_with(
        driver: Driver<M>,
        on_event: impl FnMut(Event<'_, M::Address>) + Send + 'static,
    ) -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), COMMAND)?;
        let mut readiness = UdpSocket::from_std(driver.socket().try_clone()?);
        poll.registry().register(&mut readiness, SOCKET, Interest::READABLE)?;

        let (sender, commands) = mpsc::sync_channel(QUEUE);
        let handle = Handle::new(sender, waker, driver.local_addr());
        let stop = Arc::new(AtomicBool::new(false));
        let event_loop = EventLoop {
            driver: Box::new(driver),
            buffers: Buffers::new(),
            waiting: Vec::new(),
            under_way: Vec::new(),
            full: false,
            on_event,
        };
        let stopped = stop.clone();
        let thread = thread::Builder::new()
            .name("kadlet".into())
            .spawn(move || event_loop.run(poll, &readiness, &commands, &stopped))?;
        Ok(Self { handle, stop, thread: Some(thread) })
    }

    /// Where the socket is bound.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.handle.local_addr()
    }

    /// A handle to call the node with.
    #[must_use]
    pub fn handle(&self) -> Handle<M> {
        self.handle.clone()
    }

    /// Ends the thread and gives the machine back, for what it knows to be saved. The calls that wait end with [`Error::Stopped`].
    ///
    /// # Errors
    ///
    /// What ended the thread before: an error of the system's poll, or a panic in a caller's function.
    pub fn shutdown(mut self) -> io::Result<M> {
        let driver = self.join().unwrap_or_else(|| Err(io::Error::other("the server was stopped before")))?;
        Ok(driver.into_parts().1)
    }

    fn join(&mut self) -> Option<io::Result<Box<Driver<M>>>> {
        let thread = self.thread.take()?;
        self.stop.store(true, Ordering::Release);
        self.handle.wake();
        Some(thread.join().unwrap_or_else(|_| Err(io::Error::other("the server's thread panicked"))))
    }
}

impl<M: Dht<Address: IpAddress> + Send + 'static> Drop for Server<M> {
    fn drop(&mut self) {
        self.join();
    }
}

/// What the thread runs.
struct EventLoop<M: Dht, F> {
    /// On the heap, for a thread's stack is small and a machine may be large.
    driver: Box<Driver<M>>,
    buffers: Buffers,
    /// Calls that wait for a slot, first come first: at most [`QUEUE`].
    waiting: Vec<Operation<M>>,
    /// Calls whose operation is under way: at most as many as the machine has slots.
    under_way: Vec<UnderWay<M>>,
    /// The machine had no slot for the first that waits, and none has been freed since.
    full: bool,
    on_event: F,
}

struct UnderWay<M: Dht> {
    query: QueryId,
    operation: Operation<M>,
    /// What the watcher was told last: nodes asked, answered, failed, stored at.
    told: (u16, u16, u16, u16),
}

impl<M: Dht<Address: IpAddress>, F: FnMut(Event<'_, M::Address>)> EventLoop<M, F> {
    fn run(
        mut self,
        mut poll: Poll,
        readiness: &UdpSocket,
        commands: &Receiver<Command<M>>,
        stop: &AtomicBool,
    ) -> io::Result<Box<Driver<M>>> {
        let mut events = Events::with_capacity(4);
        let mut more = false;
        while !stop.load(Ordering::Acquire) {
            if !more {
                // Windows asks to be told that there is nothing more; elsewhere this does nothing.
                let _ = readiness.try_io(|| Err::<(), _>(io::ErrorKind::WouldBlock.into()));
                let limit = self.deadline().map(|at| at.saturating_duration_since(Instant::now()));
                match poll.poll(&mut events, limit) {
                    Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
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
            commands.try_iter().take(QUEUE).for_each(|command| self.obey(command));
            self.give_up(now);
            self.finish();
            // What is held here ends as soon as it begins.
            while self.begin() {
                self.finish();
            }
        }
        // What the last call left to be sent still goes out, such as the record that a get writes back.
        self.driver.flush(&mut self.buffers);
        let calls = self.waiting.into_iter().chain(self.under_way.into_iter().map(|under_way| under_way.operation));
        calls.for_each(|operation| (operation.finish)(Err(Error::Stopped)));
        Ok(self.driver)
    }

    /// When to wake if nothing comes in.
    fn deadline(&self) -> Option<Instant> {
        let waiting = self.waiting.iter().map(|operation| operation.deadline);
        let under_way = self.under_way.iter().map(|under_way| under_way.operation.deadline + GRACE);
        self.driver.deadline().into_iter().chain(waiting).chain(under_way).min()
    }

    fn obey(&mut self, command: Command<M>) {
        match command {
            Command::Run(run) => {
                run(&mut self.driver);
                self.full = false;
            }
            Command::Begin(operation) if self.waiting.len() < QUEUE => self.waiting.push(operation),
            Command::Begin(operation) => (operation.finish)(Err(Error::Busy(QUEUE))),
        }
    }

    /// Tells the calls how they stand, and those whose operation has ended what came of it.
    fn finish(&mut self) {
        self.under_way.iter_mut().for_each(|under_way| under_way.tell(self.driver.node()));
        while let Some(event) = self.driver.node_mut().poll_event() {
            let call = match &event {
                Event::QueryResult(done) => self.under_way.iter().position(|under_way| under_way.query == done.query),
                _ => None,
            };
            self.full = false;
            match (call, event) {
                (Some(call), Event::QueryResult(done)) => (self.under_way.swap_remove(call).operation.finish)(Ok(done)),
                (_, event) => (self.on_event)(event),
            }
        }
    }

    /// Ends the calls whose time is over.
    fn give_up(&mut self, now: Instant) {
        for operation in self.waiting.extract_if(.., |operation| operation.deadline <= now) {
            (operation.finish)(Err(Error::TimedOut));
        }
        for UnderWay { query, operation, .. } in
            self.under_way.extract_if(.., |under_way| under_way.operation.deadline + GRACE <= now)
        {
            self.driver.node_mut().cancel(query);
            self.full = false;
            (operation.finish)(Err(Error::TimedOut));
        }
    }

    /// Begins the calls that wait, in their order, until one finds no slot. Says whether any began.
    fn begin(&mut self) -> bool {
        let before = self.waiting.len();
        while !self.full
            && let Some(first) = self.waiting.first_mut()
        {
            let left = first.deadline.saturating_duration_since(Instant::now());
            let now = self.driver.now();
            let Some(begun) = (first.begin)(self.driver.node_mut(), now, left) else {
                self.full = true;
                break;
            };
            let operation = self.waiting.remove(0);
            match begun {
                Ok(query) => self.under_way.push(UnderWay { query, operation, told: (0, 0, 0, 0) }),
                Err(error) => (operation.finish)(Err(error)),
            }
        }
        self.waiting.len() < before
    }
}

impl<M: Dht> UnderWay<M> {
    /// Tells the watcher how the operation stands, if that has changed.
    fn tell(&mut self, node: &M) {
        let Some((watcher, progress)) = self.operation.watcher.as_ref().zip(node.progress(self.query)) else {
            return;
        };
        let QueryStats { asked, responded, timed_out, refused, stored, .. } = progress.stats;
        let told = (asked, responded, timed_out.saturating_add(refused), stored);
        if told != self.told {
            self.told = told;
            watcher(progress);
        }
    }
}
