//! Calls into a server's thread, which block until their result is there.

use core::fmt;
use core::net::SocketAddr;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use std::sync::Arc;

use std::sync::mpsc::{self, RecvTimeoutError, SyncSender, TrySendError};
use std::time::Instant;

use kadlet::{BeginError, Dht, GetError, Id, Key, Options, Progress, PutError, QueryId, QueryResult, Record};
use mio::Waker;

use crate::address::IpAddress;
use crate::driver::{Driver, Losses};
use crate::life::{End, Life};
use crate::outcome::{self, Error, Got, Joined, Nodes, Pong, Stored};
use crate::record::RecordBuf;

/// The most calls in a server's queue, and also the most calls that wait for an operation slot of its node.
pub(crate) const QUEUE: usize = 256;
/// The longest time limit of a call. A longer one counts as this, so that a deadline doesn't overflow.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// How long after its time limit a call still waits for the thread's result.
const GRACE: Duration = Duration::from_secs(5);
/// How long a call waits for the reason why the thread has ended, which is there as soon as the thread has cleaned up.
const REASON: Duration = Duration::from_secs(1);

/// Calls a [`Server`](crate::Server)'s node from any thread. Clones are cheap.
///
/// Each call can also return the following: [`Error::Stopped`] after the server has ended, [`Error::Died`] after its
/// thread has failed, at once and also if the call was waiting, and [`Error::OwnThread`] on the server's own thread.
/// [`ended`](Handle::ended) waits for the end of the thread.
///
/// A call blocks, within its time limit (at most 365 days; more counts as that), first until one of the node's
/// operation slots is free and then until the result is there. At most 256 calls wait for a slot; the next one returns
/// [`Error::Busy`].
///
/// ```
/// use core::net::{Ipv4Addr, SocketAddr};
/// use core::time::Duration;
/// use std::thread;
///
/// use kadlet::{Config, Dht, FixedStore, Instant, Kademlia, Node, Options, Record};
/// use kadlet_udp::{Server, random_id, seed};
///
/// type MyNode = Node<Kademlia<SocketAddr, 128>, FixedStore<32, 8192>>;
///
/// # fn main() -> Result<(), Box<dyn core::error::Error>> {
/// let node = || -> Result<_, Box<dyn core::error::Error>> {
///     Ok(MyNode::new(Instant::ZERO, Config::default(), random_id()?, seed()?)?)
/// };
/// let first = Server::bind((Ipv4Addr::LOCALHOST, 0).into(), node()?)?;
/// let second = Server::bind((Ipv4Addr::LOCALHOST, 0).into(), node()?)?;
///
/// let handle = second.handle();
/// let joined = handle.bootstrap(&[first.local_addr()], Duration::from_secs(10))?;
/// assert_eq!(joined.neighbours[0].address, first.local_addr());
///
/// // Each thread has a handle of its own.
/// let record = Record::immutable(b"hello world");
/// let other = handle.clone();
/// let put = thread::spawn(move || other.put(&record, &Options::default()));
/// assert_eq!(put.join().expect("no panic")?.holders.len(), 1);
/// assert_eq!(first.handle().get(record.key(), &Options::default())?.record.value, b"hello world");
///
/// // Everything else that a node can do.
/// let sent = handle.with(|node, _now| node.stats().sent)?;
/// assert!(sent > 0);
/// # Ok(())
/// # }
/// ```
pub struct Handle<D: Dht> {
    commands: SyncSender<Command<D>>,
    waker: Arc<Waker>,
    life: Arc<Life>,
    local: SocketAddr,
    watcher: Option<Watcher<D::Address>>,
}

/// Receives an operation's progress.
pub(crate) type Watcher<A> = Arc<dyn Fn(Progress<'_, A>) + Send + Sync>;

/// A message from a handle to the thread.
pub(crate) enum Command<D: Dht> {
    Begin(Operation<D>),
    Run(Box<Run<D>>),
}

/// A call that waits for its result.
pub(crate) struct Operation<D: Dht> {
    pub(crate) begin: Box<Begin<D>>,
    pub(crate) finish: Box<Finish<D::Address>>,
    pub(crate) deadline: Instant,
    pub(crate) watcher: Option<Watcher<D::Address>>,
}

type Run<D> = dyn FnOnce(&mut Driver<D>) + Send;
/// Begins an operation with the given timeout.
type Begin<D> = dyn FnMut(&mut D, kadlet::Instant, Duration) -> Begun<<D as Dht>::Address> + Send;
/// The result of a [`Begin`]; `None` if all slots are busy.
type Begun<A> = Option<Result<QueryId, Error<A>>>;
type Finish<A> = dyn FnOnce(Result<QueryResult<'_, A>, Error<A>>) + Send;
/// Converts the result of an operation to one that owns its data.
type Convert<A, T> = fn(QueryResult<'_, A>) -> Result<T, Error<A>>;

impl<D: Dht<Address: IpAddress> + 'static> Handle<D> {
    pub(crate) fn new(commands: SyncSender<Command<D>>, waker: Waker, life: Arc<Life>, local: SocketAddr) -> Self {
        Self { commands, waker: Arc::new(waker), life, local, watcher: None }
    }

    /// The address that the server's socket is bound to.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Returns a handle whose calls report their progress to `watcher`, each time it has changed. `watcher` runs on the
    /// server's thread: it must not block, nor call a handle.
    #[must_use]
    pub fn watch(&self, watcher: impl Fn(Progress<'_, D::Address>) + Send + Sync + 'static) -> Self {
        Self { watcher: Some(Arc::new(watcher)), ..self.clone() }
    }

    /// Joins the network through these addresses. The node remembers them and goes on trying them after the time limit.
    /// If they are more than its `BOOTSTRAPS` bound, the first that fit are taken, and [`Joined::taken`] says how many.
    ///
    /// # Errors
    ///
    /// [`Error::Begin`], [`Error::Failed`], [`Error::TimedOut`], [`Error::Busy`].
    pub fn bootstrap(
        &self,
        addresses: &[D::Address],
        limit: Duration,
    ) -> Result<Joined<D::Address>, Error<D::Address>> {
        let addresses = addresses.to_vec();
        let taken = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&taken);
        let begin = move |node: &mut D, now, _| {
            let joining = node.bootstrap(now, &addresses);
            found(joining.map(|joining| {
                count.store(joining.taken, Ordering::Relaxed);
                joining.query
            }))
        };
        let Nodes { nodes: neighbours, stats } = self.call(limit, begin, outcome::nodes)?;
        Ok(Joined { neighbours, taken: taken.load(Ordering::Relaxed), stats })
    }

    /// Pings the node at an address: finds out whether it is there, and its id.
    ///
    /// # Errors
    ///
    /// As [`bootstrap`](Handle::bootstrap).
    pub fn ping(&self, address: D::Address, limit: Duration) -> Result<Pong<D::Address>, Error<D::Address>> {
        self.call(limit, move |node, now, _| found(node.ping(now, address)), outcome::pong)
    }

    /// Looks up the nodes responsible for `target`. The time limit is [`Options::timeout`].
    ///
    /// # Errors
    ///
    /// As [`bootstrap`](Handle::bootstrap).
    pub fn find_node(&self, target: Id, options: &Options) -> Result<Nodes<D::Address>, Error<D::Address>> {
        let options = *options;
        let begin =
            move |node: &mut D, now, left| found(node.find_node(now, target, &Options { timeout: left, ..options }));
        self.call(options.timeout, begin, outcome::nodes)
    }

    /// Gets the record under `key`. The time limit is [`Options::timeout`].
    ///
    /// # Errors
    ///
    /// [`Error::Get`], [`Error::NotFound`], [`Error::Failed`], [`Error::TimedOut`], [`Error::Busy`].
    pub fn get(&self, key: Key, options: &Options) -> Result<Got<D::Address>, Error<D::Address>> {
        let options = *options;
        let begin = move |node: &mut D, now, left| match node.get(now, key, &Options { timeout: left, ..options }) {
            Err(GetError::Busy(_) | GetError::NoBuffer(_)) => None,
            begun => Some(begun.map_err(Error::Get)),
        };
        self.call(options.timeout, begin, outcome::got)
    }

    /// Puts a record: stores it at the nodes responsible for its key. The time limit is [`Options::timeout`].
    ///
    /// # Errors
    ///
    /// [`Error::Put`], [`Error::Conflict`], [`Error::Failed`], [`Error::TimedOut`], [`Error::Busy`].
    pub fn put(&self, record: &Record<'_>, options: &Options) -> Result<Stored<D::Address>, Error<D::Address>> {
        let (record, options) = (RecordBuf::from(record), *options);
        let begin = move |node: &mut D, now, left| match node.put(
            now,
            &record.as_record(),
            &Options { timeout: left, ..options },
        ) {
            Err(PutError::Busy(_)) => None,
            begun => Some(begun.map_err(Error::Put)),
        };
        self.call(options.timeout, begin, outcome::stored)
    }

    /// Runs `f` on the server's thread, with the node and its current time, and returns its result. Use it to read
    /// statistics, to save contacts and records, and for every command that has no method here.
    ///
    /// The node handles no datagrams while `f` runs: `f` must not block, nor call a handle. An operation that `f`
    /// begins ends with an event: see [`Server::start_with`](crate::Server::start_with).
    ///
    /// # Errors
    ///
    /// [`Error::Busy`].
    pub fn with<T: Send + 'static>(
        &self,
        f: impl FnOnce(&mut D, kadlet::Instant) -> T + Send + 'static,
    ) -> Result<T, Error<D::Address>> {
        self.run(move |driver| {
            let now = driver.now();
            f(driver.node_mut(), now)
        })
    }

    /// What was lost between the node and the network since the server's start.
    ///
    /// # Errors
    ///
    /// [`Error::Busy`].
    pub fn losses(&self) -> Result<Losses, Error<D::Address>> {
        self.run(|driver| *driver.losses())
    }

    /// Waits until the server's thread has ended, at most for `limit`, and returns why: [`Error::Stopped`] or
    /// [`Error::Died`]. `None` if it still runs. It doesn't disturb the thread, and with a limit of zero it doesn't
    /// wait.
    ///
    /// A program whose purpose is its node must end when the node's thread dies, and can watch it on a thread:
    ///
    /// ```no_run
    /// use core::time::Duration;
    /// use std::{process, thread};
    /// # use core::net::SocketAddrV4;
    /// # use kadlet::{FixedStore, Kademlia, Node};
    /// # type MyNode = Node<Kademlia<SocketAddrV4, 128>, FixedStore<32, 8192>>;
    /// use kadlet_udp::{Error, Handle};
    ///
    /// fn watch(handle: Handle<MyNode>) {
    ///     thread::spawn(move || {
    ///         if let Some(error @ Error::Died(_)) = handle.ended(Duration::MAX) {
    ///             eprintln!("{error}");
    ///             process::exit(1);
    ///         }
    ///     });
    /// }
    /// ```
    #[must_use]
    pub fn ended(&self, limit: Duration) -> Option<Error<D::Address>> {
        self.life.ended(limit).map(|end| match end {
            End::Stopped => Error::Stopped,
            End::Died(reason) => Error::Died(reason),
        })
    }

    /// Wakes the thread, so that it looks at its queue and its stop flag.
    pub(crate) fn wake(&self) {
        // Fails only if the thread's poll is gone, and the thread with it.
        let _ = self.waker.wake();
    }

    fn run<T: Send + 'static>(
        &self,
        f: impl FnOnce(&mut Driver<D>) -> T + Send + 'static,
    ) -> Result<T, Error<D::Address>> {
        let (reply, result) = mpsc::sync_channel(1);
        let reply = move |driver: &mut Driver<D>| drop(reply.try_send(f(driver)));
        self.send(Command::Run(Box::new(reply)))?;
        result.recv().map_err(|_| self.end())
    }

    fn call<T: Send + 'static>(
        &self,
        limit: Duration,
        begin: impl FnMut(&mut D, kadlet::Instant, Duration) -> Begun<D::Address> + Send + 'static,
        convert: Convert<D::Address, T>,
    ) -> Result<T, Error<D::Address>> {
        let limit = limit.min(LONGEST);
        let (reply, result) = mpsc::sync_channel(1);
        let finish = move |done: Result<QueryResult<'_, D::Address>, _>| drop(reply.try_send(done.and_then(convert)));
        self.send(Command::Begin(Operation {
            begin: Box::new(begin),
            finish: Box::new(finish),
            deadline: Instant::now() + limit,
            watcher: self.watcher.clone(),
        }))?;
        result.recv_timeout(limit + GRACE).unwrap_or_else(|error| match error {
            RecvTimeoutError::Timeout => Err(Error::TimedOut),
            RecvTimeoutError::Disconnected => Err(self.end()),
        })
    }

    fn send(&self, command: Command<D>) -> Result<(), Error<D::Address>> {
        if self.life.is_current() {
            return Err(Error::OwnThread);
        }
        self.commands.try_send(command).map_err(|error| match error {
            TrySendError::Full(_) => Error::Busy(QUEUE),
            TrySendError::Disconnected(_) => self.end(),
        })?;
        self.wake();
        Ok(())
    }

    /// Why the thread, which doesn't listen any more, has ended.
    fn end(&self) -> Error<D::Address> {
        self.ended(REASON).unwrap_or(Error::Stopped)
    }
}

fn found<A>(begun: Result<QueryId, BeginError>) -> Begun<A> {
    match begun {
        Err(BeginError::Busy(_)) => None,
        begun => Some(begun.map_err(Error::Begin)),
    }
}

impl<D: Dht> Clone for Handle<D> {
    fn clone(&self) -> Self {
        Self {
            commands: self.commands.clone(),
            waker: self.waker.clone(),
            life: self.life.clone(),
            local: self.local,
            watcher: self.watcher.clone(),
        }
    }
}

impl<D: Dht> fmt::Debug for Handle<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("local", &self.local).finish_non_exhaustive()
    }
}
