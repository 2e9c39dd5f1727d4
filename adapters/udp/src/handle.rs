//! Calls into a server's thread, which block until their result is there.

use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;
use std::sync::Arc;
use std::time::Instant;

use kadlet::{Dht, Id, Key, Options, Progress, Record};

use crate::address::IpAddress;
use crate::async_handle::AsyncHandle;
use crate::detached::Losses;
use crate::events::Events;
use crate::life::Life;
use crate::mailbox::wait;
use crate::outcome::{Error, Got, Joined, Nodes, Pong, Stored};
use crate::queue::{LONGEST, Queue};

/// How long after its time limit a call still waits for the thread's result.
const GRACE: Duration = Duration::from_secs(5);

/// Calls a [`Server`](crate::Server)'s node from any thread. Clones are cheap.
///
/// Each call can also return the following: [`Error::Stopped`] after the server has ended, [`Error::Died`] after its
/// thread has failed, at once and also if the call was waiting, and [`Error::OwnThread`] on the server's own thread.
/// [`ended`](Handle::ended) waits for the end of the thread.
///
/// A call blocks, within its time limit (at most 365 days; more counts as that), first until one of the node's
/// operation slots is free and then until the result is there. The server's queue has a bounded number of places for
/// calls that wait for a slot, or for the thread: 256, or as many as
/// [`Server::start_queued`](crate::Server::start_queued) was told. If all are taken,
/// a call returns [`Error::Busy`], or waits for a place if the handle is [`patient`](Handle::patient).
///
/// [`AsyncHandle`] has the same calls for tasks.
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
    calls: AsyncHandle<D>,
}

impl<D: Dht<Address: IpAddress> + 'static> Handle<D> {
    pub(crate) fn new(queue: Arc<Queue<D>>, life: Arc<Life>, local: SocketAddr) -> Self {
        Self { calls: AsyncHandle::new(queue, life, local) }
    }

    /// The same calls for tasks, as `async fn`s.
    #[must_use]
    pub fn asynchronous(&self) -> AsyncHandle<D> {
        self.calls.clone()
    }

    /// The address that the server's socket is bound to.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.calls.local_addr()
    }

    /// Returns a handle whose calls report their progress to `watcher`, each time it has changed. `watcher` runs on the
    /// server's thread: it must not block, nor call a handle.
    #[must_use]
    pub fn watch(&self, watcher: impl Fn(Progress<'_, D::Address>) + Send + Sync + 'static) -> Self {
        Self { calls: self.calls.watch(watcher) }
    }

    /// Returns a handle whose calls wait for a place while the server's queue is full, within their time limit, where
    /// others return [`Error::Busy`]. The call whose time limit ends first gets the next place.
    #[must_use]
    pub fn patient(&self) -> Self {
        Self { calls: self.calls.patient() }
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
        self.wait(limit, self.calls.bootstrap(addresses, limit))
    }

    /// Pings the node at an address: finds out whether it is there, and its id.
    ///
    /// # Errors
    ///
    /// As [`bootstrap`](Handle::bootstrap).
    pub fn ping(&self, address: D::Address, limit: Duration) -> Result<Pong<D::Address>, Error<D::Address>> {
        self.wait(limit, self.calls.ping(address, limit))
    }

    /// Looks up the nodes responsible for `target`. The time limit is [`Options::timeout`].
    ///
    /// # Errors
    ///
    /// As [`bootstrap`](Handle::bootstrap).
    pub fn find_node(&self, target: Id, options: &Options) -> Result<Nodes<D::Address>, Error<D::Address>> {
        self.wait(options.timeout, self.calls.find_node(target, options))
    }

    /// Gets the record under `key`. The time limit is [`Options::timeout`].
    ///
    /// # Errors
    ///
    /// [`Error::Get`], [`Error::NotFound`], [`Error::Failed`], [`Error::TimedOut`], [`Error::Busy`].
    pub fn get(&self, key: Key, options: &Options) -> Result<Got<D::Address>, Error<D::Address>> {
        self.wait(options.timeout, self.calls.get(key, options))
    }

    /// Puts a record: stores it at the nodes responsible for its key. The time limit is [`Options::timeout`].
    ///
    /// # Errors
    ///
    /// [`Error::Put`], [`Error::Conflict`], [`Error::Failed`], [`Error::TimedOut`], [`Error::Busy`].
    pub fn put(&self, record: &Record<'_>, options: &Options) -> Result<Stored<D::Address>, Error<D::Address>> {
        self.wait(options.timeout, self.calls.put(record, options))
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
        self.run(self.calls.with(f))
    }

    /// What was lost between the node and the network since the server's start.
    ///
    /// # Errors
    ///
    /// [`Error::Busy`].
    pub fn losses(&self) -> Result<Losses, Error<D::Address>> {
        self.run(self.calls.losses())
    }

    /// The address at which other nodes see this one, once enough of them agree. It stays what it was while the node
    /// knows no new one. [`with`](Handle::with) tells the identifier, which follows from it.
    ///
    /// # Errors
    ///
    /// [`Error::Busy`].
    pub fn external_address(&self) -> Result<Option<D::Address>, Error<D::Address>> {
        self.run(self.calls.external_address())
    }

    /// Collects the node's events from now on, with room for `room` of them, at least 1, until they are read. If the
    /// external address is known already, it is the first event.
    ///
    /// # Errors
    ///
    /// [`Error::Busy`].
    pub fn events(&self, room: usize) -> Result<Events<D::Address>, Error<D::Address>> {
        self.run(self.calls.events(room))
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
        self.calls.ended_within(limit)
    }

    /// Wakes the thread, so that it looks at its queue and its stop flag.
    pub(crate) fn wake(&self) {
        self.calls.wake();
    }

    fn run<T>(&self, call: impl Future<Output = Result<T, Error<D::Address>>>) -> Result<T, Error<D::Address>> {
        wait(call, None).unwrap_or(Err(Error::TimedOut))
    }

    fn wait<T>(
        &self,
        limit: Duration,
        call: impl Future<Output = Result<T, Error<D::Address>>>,
    ) -> Result<T, Error<D::Address>> {
        wait(call, Some(Instant::now() + limit.min(LONGEST) + GRACE)).unwrap_or(Err(Error::TimedOut))
    }
}

impl<D: Dht> Clone for Handle<D> {
    fn clone(&self) -> Self {
        Self { calls: self.calls.clone() }
    }
}

impl<D: Dht> fmt::Debug for Handle<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("calls", &self.calls).finish_non_exhaustive()
    }
}
