//! Calls into a node, from any task on its executor.

use core::cell::{Cell, RefCell, RefMut};
use core::future::poll_fn;
use core::task::Poll;
use core::time::Duration;

use embassy_sync::waitqueue::WakerRegistration;
use kadlet::{BeginError, Contact, Dht, Id, Instant, Key, Options, Outcome, QueryId, QueryResult, Record, Stats};

use crate::outcome::{Error, Got, Joined, Losses, News, Stored};
use crate::resources::{Call, Shared, now};

/// Calls a node from any task on its executor. It is `Copy`: give each task its own.
///
/// A call begins when it is first polled. It can be dropped before its end: this cancels the operation, and frees the
/// call's place and the node's slot. No call waits for a slot: if all are taken, it returns an error.
///
/// ```
/// use core::net::SocketAddrV4;
///
/// use embassy_futures::block_on;
/// use embassy_futures::join::join3;
/// use embassy_futures::select::{Either, select};
/// use kadlet::{Config, Dht, FixedStore, Id, Kademlia, Key, Node, Options, Outcome, Record};
/// use kadlet_embassy::{Error, Handle, Resources};
/// # let loopback = || include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/embassy/loopback.rs"));
///
/// type Mote = Node<Kademlia<SocketAddrV4, 128>, FixedStore<32, 8192>, 4>;
///
/// async fn sensor(dht: Handle<'static, Mote>, other: SocketAddrV4) -> Result<(), Error> {
///     dht.bootstrap(&[other]).await?;
///     let stored = dht.put(&Record::plain(b"kitchen", b"21.5"), &Options::default()).await?;
///     assert_eq!((stored.holders, stored.wanted), (1, 1));
///
///     let mut value = [0; 64];
///     let got = dht.get(Key::plain(b"kitchen"), &Options::default(), &mut value).await?;
///     assert_eq!(&value[..got.len], b"21.5");
///
///     // Any operation of the node, and what the task needs of its result.
///     let begin = |node: &mut Mote, now| node.ping(now, other);
///     let is_there = dht.call(begin, |result| matches!(result.outcome, Outcome::Pong { .. })).await?;
///     assert!(is_there);
///     Ok(())
/// }
///
/// // Two nodes on one stack, whose device receives what it sends.
/// let (stack, network) = loopback();
/// let node = |port: u16| {
///     let resources = Box::leak(Box::new(Resources::<Mote>::new(Mote::empty())));
///     let (id, seed) = (Id::from_bytes([port as u8; 20]), [port as u8; 32]);
///     let config = Config { plain: true, ..Config::default() };
///     kadlet_embassy::new(resources, stack, port, |node, now| node.start(now, config, id, seed))
/// };
/// let ((_, mut runner), (dht, mut other_runner)) = (node(4000)?, node(4001)?);
/// let tasks = join3(network, runner.run(), other_runner.run());
/// let done = block_on(select(sensor(dht, "10.0.0.1:4000".parse()?), tasks));
/// assert!(matches!(done, Either::First(Ok(()))));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Panics
///
/// Every method, if it is called inside a closure that was given to [`call`](Handle::call) or [`with`](Handle::with).
#[derive(Debug)]
pub struct Handle<'d, D: Dht> {
    pub(crate) shared: &'d RefCell<Shared<D>>,
}

impl<'d, D: Dht> Handle<'d, D> {
    /// Joins the network through these addresses, and remembers them: whenever the node has no contacts, it tries the
    /// addresses again by itself, after growing pauses, even if this call failed. Returns how many of the nodes nearest
    /// to it were found, and how many of the addresses were taken: the first ones, up to the `BOOTSTRAPS` bound.
    ///
    /// # Errors
    ///
    /// [`Error::Begin`], [`Error::Calls`], [`Error::Failed`].
    pub async fn bootstrap(&self, addresses: &[D::Address]) -> Result<Joined, Error> {
        let taken = Cell::new(0);
        let begin = |node: &mut D, now| {
            let joining = node.bootstrap(now, addresses)?;
            taken.set(joining.taken);
            Ok::<_, BeginError>(joining.query)
        };
        self.call(begin, |result| match result.outcome {
            Outcome::Joined { neighbours } => Ok(Joined { neighbours: neighbours.len(), taken: taken.get() }),
            _ => Err(result.into()),
        })
        .await?
    }

    /// Looks up the nodes responsible for `target`. Writes them to `nodes`, the most responsible first, as many as fit.
    /// Returns how many were written.
    ///
    /// # Errors
    ///
    /// [`Error::Begin`], [`Error::Calls`], [`Error::Failed`].
    pub async fn find_node(
        &self,
        target: Id,
        options: &Options,
        nodes: &mut [Contact<D::Address>],
    ) -> Result<usize, Error> {
        let begin = |node: &mut D, now| node.find_node(now, target, options);
        self.call(begin, |result| match result.outcome {
            Outcome::Nodes(found) => Ok(nodes.iter_mut().zip(found.iter()).map(|(to, contact)| *to = contact).count()),
            _ => Err(result.into()),
        })
        .await?
    }

    /// Gets the record under `key`, and writes its value to `value`. No value is longer than 1,000 bytes.
    ///
    /// # Errors
    ///
    /// [`Error::Get`], [`Error::Calls`], [`Error::NotFound`], [`Error::Failed`]; [`Error::Buffer`] if the value is
    /// longer than `value`.
    pub async fn get(&self, key: Key, options: &Options, value: &mut [u8]) -> Result<Got, Error> {
        let begin = |node: &mut D, now| node.get(now, key, options);
        self.call(begin, |result| {
            let Outcome::Value { record, lifetime, holders } = result.outcome else {
                return Err(result.into());
            };
            let len = record.value.len();
            value.get_mut(..len).ok_or(Error::Buffer(len))?.copy_from_slice(record.value);
            Ok(Got { len, number: record.number(), lifetime, holders: holders.len(), stats: result.stats })
        })
        .await?
    }

    /// Puts a record: stores it in this node and at the nodes responsible for its key. If the call is dropped before
    /// its end, or fails after it began, this node still holds the record, and publishes it again as `options` say,
    /// until [`unpublish`](Dht::unpublish).
    ///
    /// # Errors
    ///
    /// [`Error::Put`], [`Error::Calls`], [`Error::Conflict`], [`Error::Failed`].
    pub async fn put(&self, record: &Record<'_>, options: &Options) -> Result<Stored, Error> {
        let begin = |node: &mut D, now| node.put(now, record, options);
        self.call(begin, |result| match result.outcome {
            Outcome::Stored { holders, wanted, lifetime, held } => {
                Ok(Stored { holders: holders.len(), wanted, lifetime, held, stats: result.stats })
            }
            _ => Err(result.into()),
        })
        .await?
    }

    /// Begins any operation of the node, waits for its end, and returns what `read` makes of the result. Use it for a
    /// ping, as in `dht.call(|node, now| node.ping(now, address), |result| ..)`, for a record's holders, or to read a
    /// value without a copy.
    ///
    /// # Errors
    ///
    /// The operation did not begin: [`Error::Calls`], or the error of `begin`.
    pub async fn call<T, E: Into<Error>>(
        &self,
        begin: impl FnOnce(&mut D, Instant) -> Result<QueryId, E>,
        read: impl FnOnce(QueryResult<'_, D::Address>) -> T,
    ) -> Result<T, Error> {
        let awaited = self.begin(begin)?;
        let mut read = Some(read);
        let ended = poll_fn(|cx| {
            let Shared { node, calls, .. } = &mut *self.shared();
            if let Some(call) = calls.iter_mut().find(|call| call.query == awaited.query) {
                call.waker.register(cx.waker());
            }
            let ended = node.take_result(awaited.query).and_then(|result| Some(read.take()?(result)));
            ended.map_or(Poll::Pending, Poll::Ready)
        });
        Ok(ended.await)
    }

    /// Calls `f` with the node and its current time, and returns the result of `f`. Use it to save the table and the
    /// store, and for commands that have no call here, such as [`unpublish`](Dht::unpublish).
    ///
    /// `f` must not call the node's `poll_*` functions: it would take away what the runner waits for. An operation that
    /// `f` begins runs as usual, but nothing reports its result.
    pub fn with<T>(&self, f: impl FnOnce(&mut D, Instant) -> T) -> T {
        let mut shared = self.shared();
        shared.runner.wake();
        let now = now(shared.epoch);
        f(&mut shared.node, now)
    }

    /// Moves the node's time on, after a sleep in which embassy-time's clock stood still. If that clock starts anew in
    /// a sleep, see [`Resources::set_epoch`](crate::Resources::set_epoch).
    pub fn slept(&self, duration: Duration) {
        let mut shared = self.shared();
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        shared.epoch = shared.epoch.saturating_add(micros);
        shared.runner.wake();
    }

    /// The node's identifier.
    #[must_use]
    pub fn id(&self) -> Id {
        self.shared().node.id()
    }

    /// The node's counters since the start.
    #[must_use]
    pub fn stats(&self) -> Stats {
        *self.shared().node.stats()
    }

    /// The counters of what was lost between the node and the stack since the start.
    #[must_use]
    pub fn losses(&self) -> Losses {
        self.shared().losses
    }

    /// Waits for the next event of the node that belongs to no call. Only one task may wait at a time. While none
    /// waits, two events are kept, and later ones are dropped.
    pub async fn news(&self) -> News<D::Address> {
        poll_fn(|cx| {
            let Shared { listener, news, .. } = &mut *self.shared();
            listener.register(cx.waker());
            news.pop().map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }

    fn begin<E: Into<Error>>(
        &self,
        begin: impl FnOnce(&mut D, Instant) -> Result<QueryId, E>,
    ) -> Result<Awaited<'d, D>, Error> {
        let shared = &mut *self.shared();
        if shared.calls.is_full() {
            return Err(Error::Calls(shared.calls.capacity()));
        }
        let query = begin(&mut shared.node, now(shared.epoch)).map_err(Into::into)?;
        // Can't fail: the list is not full.
        let _ = shared.calls.push(Call { query, waker: WakerRegistration::new() });
        shared.runner.wake();
        Ok(Awaited { handle: *self, query })
    }

    // The only function here that can panic: see the type's docs.
    #[inline(never)]
    pub(crate) fn shared(&self) -> RefMut<'d, Shared<D>> {
        self.shared.borrow_mut()
    }
}

/// A running operation. Dropping this ends it.
struct Awaited<'d, D: Dht> {
    handle: Handle<'d, D>,
    query: QueryId,
}

impl<D: Dht> Drop for Awaited<'_, D> {
    fn drop(&mut self) {
        let mut shared = self.handle.shared();
        // If the result was taken, this frees the slot at once.
        shared.node.cancel(self.query);
        shared.calls.retain(|call| call.query != self.query);
        // The node's maintenance may have waited for the slot.
        shared.runner.wake();
    }
}

impl<D: Dht> Clone for Handle<'_, D> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<D: Dht> Copy for Handle<'_, D> {}
