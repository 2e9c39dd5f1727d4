//! Calls into a server's thread, which a task can await on any runtime.

use core::fmt;
use core::future::poll_fn;
use core::net::SocketAddr;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use std::sync::Arc;
use std::time::Instant;

use kadlet::{BeginError, Dht, GetError, Id, Key, Options, Progress, PutError, QueryId, QueryResult, Record};

use crate::address::IpAddress;
use crate::detached::Losses;
use crate::driver::Driver;
use crate::events::Events;
use crate::life::{End, Life};
use crate::mailbox::{Sender, mailbox};
use crate::outcome::{self, Error, Got, Joined, Nodes, Pong, Stored};
use crate::queue::{Begun, Command, LONGEST, News, Operation, Queue, Refusal, Reply, Watcher};
use crate::record::RecordBuf;

/// The calls of a [`Handle`](crate::Handle) as `async fn`s, for tasks of any runtime. Clones are cheap.
///
/// A call begins when it is first polled, and its time limit with it. The server's thread wakes the task: it needs no
/// timer and no reactor of the runtime. Dropping the future cancels the operation, and frees its slot. A put that is
/// cancelled may have stored the record at some nodes; it stays published if [`Options::publish`] is set, until
/// [`unpublish`](kadlet::Dht::unpublish).
///
/// Its errors are those of the [`Handle`](crate::Handle)'s methods of the same name.
///
/// ```
/// use core::net::{Ipv4Addr, SocketAddr};
/// use core::time::Duration;
///
/// use kadlet::{Config, FixedStore, Instant, Kademlia, Node, Options, Record};
/// use kadlet_udp::{AsyncHandle, Server, random_id, seed};
///
/// type MyNode = Node<Kademlia<SocketAddr, 128>, FixedStore<32, 8192>>;
/// type Result<T> = core::result::Result<T, Box<dyn core::error::Error>>;
///
/// async fn exchange(dht: AsyncHandle<MyNode>, other: SocketAddr) -> Result<()> {
///     dht.bootstrap(&[other], Duration::from_secs(10)).await?;
///     let record = Record::immutable(b"hello world");
///     dht.put(&record, &Options::default()).await?;
///     assert_eq!(dht.get(record.key(), &Options::default()).await?.record.value, b"hello world");
///     Ok(())
/// }
///
/// # fn main() -> Result<()> {
/// let node = || -> Result<_> { Ok(MyNode::new(Instant::ZERO, Config::default(), random_id()?, seed()?)?) };
/// let first = Server::bind((Ipv4Addr::LOCALHOST, 0).into(), node()?)?;
/// let second = Server::bind((Ipv4Addr::LOCALHOST, 0).into(), node()?)?;
/// smol::block_on(exchange(second.async_handle(), first.local_addr()))
/// # }
/// ```
pub struct AsyncHandle<D: Dht> {
    queue: Arc<Queue<D>>,
    life: Arc<Life>,
    local: SocketAddr,
    watcher: Option<Watcher<D::Address>>,
    /// Whether calls wait for a place in the queue.
    patient: bool,
}

/// Converts the result of an operation to one that owns its data.
type Convert<A, T> = fn(QueryResult<'_, A>) -> Result<T, Error<A>>;

impl<D: Dht<Address: IpAddress> + 'static> AsyncHandle<D> {
    pub(crate) fn new(queue: Arc<Queue<D>>, life: Arc<Life>, local: SocketAddr) -> Self {
        Self { queue, life, local, watcher: None, patient: false }
    }

    /// The address that the server's socket is bound to.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// As [`Handle::watch`](crate::Handle::watch).
    #[must_use]
    pub fn watch(&self, watcher: impl Fn(Progress<'_, D::Address>) + Send + Sync + 'static) -> Self {
        Self { watcher: Some(Arc::new(watcher)), ..self.clone() }
    }

    /// As [`Handle::patient`](crate::Handle::patient).
    #[must_use]
    pub fn patient(&self) -> Self {
        Self { patient: true, ..self.clone() }
    }

    /// As [`Handle::bootstrap`](crate::Handle::bootstrap).
    ///
    /// # Errors
    ///
    /// [`Error::Begin`], [`Error::Failed`], [`Error::TimedOut`], [`Error::Busy`].
    pub async fn bootstrap(
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
        let Nodes { nodes: neighbours, stats } = self.call(limit, begin, outcome::nodes).await?;
        Ok(Joined { neighbours, taken: taken.load(Ordering::Relaxed), stats })
    }

    /// As [`Handle::ping`](crate::Handle::ping).
    ///
    /// # Errors
    ///
    /// As [`bootstrap`](AsyncHandle::bootstrap).
    pub async fn ping(&self, address: D::Address, limit: Duration) -> Result<Pong<D::Address>, Error<D::Address>> {
        self.call(limit, move |node, now, _| found(node.ping(now, address)), outcome::pong).await
    }

    /// As [`Handle::find_node`](crate::Handle::find_node).
    ///
    /// # Errors
    ///
    /// As [`bootstrap`](AsyncHandle::bootstrap).
    pub async fn find_node(&self, target: Id, options: &Options) -> Result<Nodes<D::Address>, Error<D::Address>> {
        let options = *options;
        let begin =
            move |node: &mut D, now, left| found(node.find_node(now, target, &Options { timeout: left, ..options }));
        self.call(options.timeout, begin, outcome::nodes).await
    }

    /// As [`Handle::get`](crate::Handle::get).
    ///
    /// # Errors
    ///
    /// [`Error::Get`], [`Error::NotFound`], [`Error::Failed`], [`Error::TimedOut`], [`Error::Busy`].
    pub async fn get(&self, key: Key, options: &Options) -> Result<Got<D::Address>, Error<D::Address>> {
        let options = *options;
        let begin = move |node: &mut D, now, left| match node.get(now, key, &Options { timeout: left, ..options }) {
            Err(GetError::Busy(_) | GetError::NoBuffer(_)) => None,
            begun => Some(begun.map_err(Error::Get)),
        };
        self.call(options.timeout, begin, outcome::got).await
    }

    /// As [`Handle::put`](crate::Handle::put).
    ///
    /// # Errors
    ///
    /// [`Error::Put`], [`Error::Conflict`], [`Error::Failed`], [`Error::TimedOut`], [`Error::Busy`].
    pub async fn put(&self, record: &Record<'_>, options: &Options) -> Result<Stored<D::Address>, Error<D::Address>> {
        let (record, options) = (RecordBuf::from(record), *options);
        let begin = move |node: &mut D, now, left| match node.put(
            now,
            &record.as_record(),
            &Options { timeout: left, ..options },
        ) {
            Err(PutError::Busy(_)) => None,
            begun => Some(begun.map_err(Error::Put)),
        };
        self.call(options.timeout, begin, outcome::stored).await
    }

    /// As [`Handle::with`](crate::Handle::with). If the future is dropped before the thread has come to `f`, `f` doesn't
    /// run.
    ///
    /// # Errors
    ///
    /// [`Error::Busy`].
    pub async fn with<T: Send + 'static>(
        &self,
        f: impl FnOnce(&mut D, kadlet::Instant) -> T + Send + 'static,
    ) -> Result<T, Error<D::Address>> {
        self.run(move |driver, _| {
            let now = driver.now();
            f(driver.node_mut(), now)
        })
        .await
    }

    /// As [`Handle::losses`](crate::Handle::losses).
    ///
    /// # Errors
    ///
    /// [`Error::Busy`].
    pub async fn losses(&self) -> Result<Losses, Error<D::Address>> {
        self.run(|driver, _| *driver.losses()).await
    }

    /// As [`Handle::external_address`](crate::Handle::external_address).
    ///
    /// # Errors
    ///
    /// [`Error::Busy`].
    pub async fn external_address(&self) -> Result<Option<D::Address>, Error<D::Address>> {
        self.run(|_, news| news.external.map(|(address, _)| address)).await
    }

    /// As [`Handle::events`](crate::Handle::events).
    ///
    /// # Errors
    ///
    /// [`Error::Busy`].
    pub async fn events(&self, room: usize) -> Result<Events<D::Address>, Error<D::Address>> {
        self.run(move |_, news| Events::of(news, room)).await
    }

    /// Waits until the server's thread has ended, and returns why: [`Error::Stopped`] or [`Error::Died`].
    pub async fn ended(&self) -> Error<D::Address> {
        why(self.life.over().await)
    }

    pub(crate) fn ended_within(&self, limit: Duration) -> Option<Error<D::Address>> {
        self.life.ended(limit).map(why)
    }

    pub(crate) fn wake(&self) {
        self.queue.wake();
    }

    async fn run<T: Send + 'static>(
        &self,
        f: impl FnOnce(&mut Driver<D>, &mut News<D::Address>) -> T + Send + 'static,
    ) -> Result<T, Error<D::Address>> {
        let (reply, mut result) = mailbox(1);
        let run = move |driver: &mut Driver<D>, news: &mut News<D::Address>| {
            if !reply.is_abandoned() {
                reply.send(f(driver, news));
            }
        };
        self.send(Command::Run(Box::new(run)), Instant::now() + LONGEST).await?;
        match result.receive().await {
            Some(result) => Ok(result),
            // The thread is about to end.
            None => Err(self.ended().await),
        }
    }

    async fn call<T: Send + 'static>(
        &self,
        limit: Duration,
        begin: impl FnMut(&mut D, kadlet::Instant, Duration) -> Begun<D::Address> + Send + 'static,
        convert: Convert<D::Address, T>,
    ) -> Result<T, Error<D::Address>> {
        let deadline = Instant::now() + limit.min(LONGEST);
        // It is dropped after the receiver of the result: then the thread sees that nobody waits for it.
        let mut cancel = Cancel { queue: &self.queue, begun: false };
        let (sender, mut result) = mailbox(1);
        let (begin, reply) = (Box::new(begin), Box::new(Waiting { sender, convert }));
        let operation = Operation { begin, reply, deadline, watcher: self.watcher.clone() };
        self.send(Command::Begin(operation), deadline).await?;
        cancel.begun = true;
        let done = result.receive().await;
        cancel.begun = false;
        match done {
            Some(done) => done,
            None => Err(self.ended().await),
        }
    }

    async fn send(&self, command: Command<D>, deadline: Instant) -> Result<(), Error<D::Address>> {
        if self.life.is_current() {
            return Err(Error::OwnThread);
        }
        let sent = if self.patient {
            let mut caller = self.queue.caller(command, deadline);
            poll_fn(|context| caller.poll(context.waker())).await
        } else {
            self.queue.send(command)
        };
        match sent {
            Ok(()) => Ok(()),
            Err(Refusal::Full(places)) => Err(Error::Busy(places)),
            Err(Refusal::TimedOut) => Err(Error::TimedOut),
            Err(Refusal::Closed) => Err(self.ended().await),
        }
    }
}

fn why<A>(end: End) -> Error<A> {
    match end {
        End::Stopped => Error::Stopped,
        End::Died(reason) => Error::Died(reason),
    }
}

/// The call that waits for a result.
struct Waiting<A, T> {
    sender: Sender<Result<T, Error<A>>>,
    convert: Convert<A, T>,
}

impl<A: Send, T: Send> Reply<A> for Waiting<A, T> {
    fn finish(self: Box<Self>, done: Result<QueryResult<'_, A>, Error<A>>) {
        self.sender.send(done.and_then(self.convert));
    }

    fn is_abandoned(&self) -> bool {
        self.sender.is_abandoned()
    }
}

/// Tells the thread, if it is dropped during a call, that nobody waits for the result.
struct Cancel<'a, D: Dht> {
    queue: &'a Queue<D>,
    begun: bool,
}

impl<D: Dht> Drop for Cancel<'_, D> {
    fn drop(&mut self) {
        if self.begun {
            self.queue.wake();
        }
    }
}

fn found<A>(begun: Result<QueryId, BeginError>) -> Begun<A> {
    match begun {
        Err(BeginError::Busy(_)) => None,
        begun => Some(begun.map_err(Error::Begin)),
    }
}

impl<D: Dht> Clone for AsyncHandle<D> {
    fn clone(&self) -> Self {
        Self {
            queue: self.queue.clone(),
            life: self.life.clone(),
            local: self.local,
            watcher: self.watcher.clone(),
            patient: self.patient,
        }
    }
}

impl<D: Dht> fmt::Debug for AsyncHandle<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncHandle").field("local", &self.local).finish_non_exhaustive()
    }
}
