//! The calls into a server's thread, which wait for their result.

use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, SyncSender, TrySendError};
use std::time::Instant;

use kadlet::{Dht, FindError, GetError, Id, Key, Options, Progress, PutError, QueryId, QueryResult, Record};
use mio::Waker;

use crate::driver::{Driver, Losses};
use crate::outcome::{self, Error, Got, Nodes, Pong, Stored};
use crate::{IpAddress, RecordBuf};

/// The most calls that wait in a server's queue, and the most again that wait for a slot of its node.
pub(crate) const QUEUE: usize = 256;
/// The longest that a call may be told to wait.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// How much longer a call waits for a thread that should have answered.
const GRACE: Duration = Duration::from_secs(5);

/// Calls a [`Server`](crate::Server)'s node from any thread. Cloned at will; outliving the server, it says [`Error::Stopped`].
///
/// The calls wait, within their time limit, first for one of the node's slots and then for the result. At most 256 wait for a slot.
pub struct Handle<M: Dht> {
    commands: SyncSender<Command<M>>,
    waker: Arc<Waker>,
    local: SocketAddr,
    watcher: Option<Watcher<M::Address>>,
}

/// Is told how an operation stands.
pub(crate) type Watcher<A> = Arc<dyn Fn(Progress<'_, A>) + Send + Sync>;

/// What a handle asks of the thread.
pub(crate) enum Command<M: Dht> {
    Begin(Operation<M>),
    Run(Box<Run<M>>),
}

/// A call that waits for its result.
pub(crate) struct Operation<M: Dht> {
    pub(crate) begin: Box<Begin<M>>,
    pub(crate) finish: Box<Finish<M::Address>>,
    pub(crate) deadline: Instant,
    pub(crate) watcher: Option<Watcher<M::Address>>,
}

type Run<M> = dyn FnOnce(&mut Driver<M>) + Send;
/// Begins an operation that may take so long; `None` if all slots are busy.
type Begin<M> =
    dyn FnMut(&mut M, kadlet::Instant, Duration) -> Option<Result<QueryId, Error<<M as Dht>::Address>>> + Send;
type Finish<A> = dyn FnOnce(Result<QueryResult<'_, A>, Error<A>>) + Send;
/// Takes the result of an operation along.
type Read<A, T> = fn(QueryResult<'_, A>) -> Result<T, Error<A>>;

impl<M: Dht<Address: IpAddress> + 'static> Handle<M> {
    pub(crate) fn new(commands: SyncSender<Command<M>>, waker: Waker, local: SocketAddr) -> Self {
        Self { commands, waker: Arc::new(waker), local, watcher: None }
    }

    /// Where the server's socket is bound.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// A handle whose calls tell `watcher` how they stand, whenever that has changed. It is called on the server's thread: it must not
    /// wait, nor call a handle.
    #[must_use]
    pub fn watch(&self, watcher: impl Fn(Progress<'_, M::Address>) + Send + Sync + 'static) -> Self {
        Self { watcher: Some(Arc::new(watcher)), ..self.clone() }
    }

    /// Joins the network through these addresses, which the node remembers: it goes on trying them when the time limit is over.
    ///
    /// # Errors
    ///
    /// [`Error::Find`], [`Error::Failed`], [`Error::TimedOut`], [`Error::Busy`], [`Error::Stopped`].
    pub fn bootstrap(&self, addresses: &[M::Address], limit: Duration) -> Result<Nodes<M::Address>, Error<M::Address>> {
        let addresses = addresses.to_vec();
        self.call(limit, move |node, now, _| found(node.bootstrap(now, &addresses)), outcome::nodes)
    }

    /// Asks the node at an address whether it is there.
    ///
    /// # Errors
    ///
    /// As [`bootstrap`](Handle::bootstrap).
    pub fn ping(&self, address: M::Address, limit: Duration) -> Result<Pong<M::Address>, Error<M::Address>> {
        self.call(limit, move |node, now, _| found(node.ping(now, address)), outcome::pong)
    }

    /// Looks up the nodes responsible for `target`. The time limit is `Options::timeout`, here and below.
    ///
    /// # Errors
    ///
    /// As [`bootstrap`](Handle::bootstrap).
    pub fn find_node(&self, target: Id, options: &Options) -> Result<Nodes<M::Address>, Error<M::Address>> {
        let options = *options;
        let begin =
            move |node: &mut M, now, left| found(node.find_node(now, target, &Options { timeout: left, ..options }));
        self.call(options.timeout, begin, outcome::nodes)
    }

    /// Gets the record under `key`.
    ///
    /// # Errors
    ///
    /// [`Error::Get`], [`Error::NotFound`], [`Error::Failed`], [`Error::TimedOut`], [`Error::Busy`], [`Error::Stopped`].
    pub fn get(&self, key: Key, options: &Options) -> Result<Got<M::Address>, Error<M::Address>> {
        let options = *options;
        let begin = move |node: &mut M, now, left| match node.get(now, key, &Options { timeout: left, ..options }) {
            Err(GetError::Busy(_) | GetError::NoBuffer(_)) => None,
            begun => Some(begun.map_err(Error::Get)),
        };
        self.call(options.timeout, begin, outcome::got)
    }

    /// Puts a record.
    ///
    /// # Errors
    ///
    /// [`Error::Put`], [`Error::Conflict`], [`Error::Failed`], [`Error::TimedOut`], [`Error::Busy`], [`Error::Stopped`].
    pub fn put(&self, record: &Record<'_>, options: &Options) -> Result<Stored<M::Address>, Error<M::Address>> {
        let (record, options) = (RecordBuf::from(record), *options);
        let begin = move |node: &mut M, now, left| match node.put(
            now,
            &record.as_record(),
            &Options { timeout: left, ..options },
        ) {
            Err(PutError::Busy(_)) => None,
            begun => Some(begun.map_err(Error::Put)),
        };
        self.call(options.timeout, begin, outcome::stored)
    }

    /// Runs `f` on the server's thread, with the machine and its time, and returns what it returns: for statistics, for contacts and
    /// records to be saved, for all else that a machine can be told. The network waits meanwhile: `f` must not, nor call a handle.
    ///
    /// An operation begun here ends in an event: see [`Server::start_with`](crate::Server::start_with).
    ///
    /// # Errors
    ///
    /// [`Error::Busy`], [`Error::Stopped`].
    pub fn with<T: Send + 'static>(
        &self,
        f: impl FnOnce(&mut M, kadlet::Instant) -> T + Send + 'static,
    ) -> Result<T, Error<M::Address>> {
        self.run(move |driver| {
            let now = driver.now();
            f(driver.node_mut(), now)
        })
    }

    /// What was lost between the machine and the network so far.
    ///
    /// # Errors
    ///
    /// [`Error::Busy`], [`Error::Stopped`].
    pub fn losses(&self) -> Result<Losses, Error<M::Address>> {
        self.run(|driver| *driver.losses())
    }

    /// Lets the thread look around.
    pub(crate) fn wake(&self) {
        // Fails only where the thread's poll is gone, and so the thread.
        let _ = self.waker.wake();
    }

    fn run<T: Send + 'static>(
        &self,
        f: impl FnOnce(&mut Driver<M>) -> T + Send + 'static,
    ) -> Result<T, Error<M::Address>> {
        let (reply, result) = mpsc::sync_channel(1);
        let reply = move |driver: &mut Driver<M>| drop(reply.try_send(f(driver)));
        self.send(Command::Run(Box::new(reply)))?;
        result.recv().map_err(|_| Error::Stopped)
    }

    fn call<T: Send + 'static>(
        &self,
        limit: Duration,
        begin: impl FnMut(&mut M, kadlet::Instant, Duration) -> Option<Result<QueryId, Error<M::Address>>> + Send + 'static,
        read: Read<M::Address, T>,
    ) -> Result<T, Error<M::Address>> {
        let limit = limit.min(LONGEST);
        let (reply, result) = mpsc::sync_channel(1);
        let finish =
            Box::new(move |done: Result<QueryResult<'_, M::Address>, _>| drop(reply.try_send(done.and_then(read))));
        let deadline = Instant::now() + limit;
        self.send(Command::Begin(Operation {
            begin: Box::new(begin),
            finish,
            deadline,
            watcher: self.watcher.clone(),
        }))?;
        result.recv_timeout(limit + GRACE).unwrap_or_else(|error| match error {
            RecvTimeoutError::Timeout => Err(Error::TimedOut),
            RecvTimeoutError::Disconnected => Err(Error::Stopped),
        })
    }

    fn send(&self, command: Command<M>) -> Result<(), Error<M::Address>> {
        self.commands.try_send(command).map_err(|error| match error {
            TrySendError::Full(_) => Error::Busy(QUEUE),
            TrySendError::Disconnected(_) => Error::Stopped,
        })?;
        self.wake();
        Ok(())
    }
}

fn found<A>(begun: Result<QueryId, FindError>) -> Option<Result<QueryId, Error<A>>> {
    match begun {
        Err(FindError::Busy(_)) => None,
        begun => Some(begun.map_err(Error::Find)),
    }
}

impl<M: Dht> Clone for Handle<M> {
    fn clone(&self) -> Self {
        Self {
            commands: self.commands.clone(),
            waker: self.waker.clone(),
            local: self.local,
            watcher: self.watcher.clone(),
        }
    }
}

impl<M: Dht> fmt::Debug for Handle<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("local", &self.local).finish_non_exhaustive()
    }
}
