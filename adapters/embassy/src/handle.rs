//! The calls into a node, from any task of its executor.

use core::cell::{RefCell, RefMut};
use core::future::poll_fn;
use core::task::Poll;

use embassy_sync::waitqueue::WakerRegistration;
use kadlet::{Contact, Dht, Id, Instant, Key, Options, Outcome, QueryId, QueryResult, Record, Stats};

use crate::resources::{Call, Shared, now};
use crate::{Error, Got, Losses, News, Stored};

/// Calls into a node; copy it into each task that wants one.
///
/// A call begins when it is first polled. Each of them may be dropped half-way: the operation is then cancelled, and its place and
/// the node's slot are free again. None waits for a slot: all being taken is an error.
///
/// # Panics
///
/// Any method, if called from inside a closure that was given to [`call`](Handle::call) or [`with`](Handle::with).
#[derive(Debug)]
pub struct Handle<'d, M: Dht> {
    pub(crate) shared: &'d RefCell<Shared<M>>,
}

impl<'d, M: Dht> Handle<'d, M> {
    /// Joins the network through these addresses, and remembers them: whenever nobody is known, the node tries them again by itself,
    /// after growing pauses, whatever came of this call. Returns how many neighbours were found.
    ///
    /// # Errors
    ///
    /// [`Error::Find`], [`Error::Calls`], [`Error::Failed`].
    pub async fn bootstrap(&self, addresses: &[M::Address]) -> Result<usize, Error> {
        let begin = |node: &mut M, now| node.bootstrap(now, addresses);
        self.call(begin, |done| match done.outcome {
            Outcome::Joined { neighbours } => Ok(neighbours.len()),
            _ => Err(done.into()),
        })
        .await?
    }

    /// Looks up the nodes responsible for `target`: the best of them, first in front, are written to `nodes`, and counted.
    ///
    /// # Errors
    ///
    /// [`Error::Find`], [`Error::Calls`], [`Error::Failed`].
    pub async fn find_node(
        &self,
        target: Id,
        options: &Options,
        nodes: &mut [Contact<M::Address>],
    ) -> Result<usize, Error> {
        let begin = |node: &mut M, now| node.find_node(now, target, options);
        self.call(begin, |done| match done.outcome {
            Outcome::Nodes(found) => Ok(nodes.iter_mut().zip(found.iter()).map(|(to, contact)| *to = contact).count()),
            _ => Err(done.into()),
        })
        .await?
    }

    /// Gets the record under `key`, and writes its value to `value`: 1,000 bytes hold any.
    ///
    /// # Errors
    ///
    /// [`Error::Get`], [`Error::Calls`], [`Error::NotFound`], [`Error::Failed`]; [`Error::Buffer`] if `value` is too short.
    pub async fn get(&self, key: Key, options: &Options, value: &mut [u8]) -> Result<Got, Error> {
        let begin = |node: &mut M, now| node.get(now, key, options);
        self.call(begin, |done| {
            let Outcome::Value { record, lifetime, holders } = done.outcome else {
                return Err(done.into());
            };
            let len = record.value.len();
            value.get_mut(..len).ok_or(Error::Buffer(len))?.copy_from_slice(record.value);
            Ok(Got { len, number: record.number(), lifetime, holders: holders.len(), stats: done.stats })
        })
        .await?
    }

    /// Puts a record: stores it here, and at the nodes responsible for its key. If this is dropped half-way, or fails, the record is
    /// still here, and published again as `options` say, until [`unpublish`](Dht::unpublish).
    ///
    /// # Errors
    ///
    /// [`Error::Put`], [`Error::Calls`], [`Error::Conflict`], [`Error::Failed`].
    pub async fn put(&self, record: &Record<'_>, options: &Options) -> Result<Stored, Error> {
        let begin = |node: &mut M, now| node.put(now, record, options);
        self.call(begin, |done| match done.outcome {
            Outcome::Stored { holders, wanted } => Ok(Stored { holders: holders.len(), wanted, stats: done.stats }),
            _ => Err(done.into()),
        })
        .await?
    }

    /// Begins any operation of the node's, waits for its end, and returns what `read` makes of that: of a ping's time,
    /// `dht.call(|node, now| node.ping(now, address), |done| ..)`, or of a record's holders and its value where it lies.
    ///
    /// # Errors
    ///
    /// It did not begin: [`Error::Calls`], or what `begin` returned.
    pub async fn call<T, E: Into<Error>>(
        &self,
        begin: impl FnOnce(&mut M, Instant) -> Result<QueryId, E>,
        read: impl FnOnce(QueryResult<'_, M::Address>) -> T,
    ) -> Result<T, Error> {
        let awaited = self.begin(begin)?;
        let mut read = Some(read);
        let ended = poll_fn(|cx| {
            let Shared { node, calls, .. } = &mut *self.shared();
            if let Some(call) = calls.iter_mut().find(|call| call.query == awaited.query) {
                call.waker.register(cx.waker());
            }
            let ended = node.take_result(awaited.query).and_then(|done| Some(read.take()?(done)));
            ended.map_or(Poll::Pending, Poll::Ready)
        });
        Ok(ended.await)
    }

    /// Returns what `f` makes of the node and its time: for the table and the store, to save them, and for all else that a node can be
    /// told, as [`unpublish`](Dht::unpublish). Its `poll_*` functions are the runner's: who calls them takes away what it waits for.
    /// An operation that is begun here goes its way, and how it ended nobody is told.
    pub fn with<T>(&self, f: impl FnOnce(&mut M, Instant) -> T) -> T {
        let mut shared = self.shared();
        shared.runner.wake();
        f(&mut shared.node, now())
    }

    /// The node's identifier.
    #[must_use]
    pub fn id(&self) -> Id {
        self.shared().node.id()
    }

    /// What the node counted since the start.
    #[must_use]
    pub fn stats(&self) -> Stats {
        *self.shared().node.stats()
    }

    /// What was lost between the node and the stack since the start.
    #[must_use]
    pub fn losses(&self) -> Losses {
        self.shared().losses
    }

    /// Waits for what happens to the node without a call. One task at a time may wait; of news that nobody waits for, two are kept.
    pub async fn news(&self) -> News<M::Address> {
        poll_fn(|cx| {
            let Shared { listener, news, .. } = &mut *self.shared();
            listener.register(cx.waker());
            news.pop().map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }

    fn begin<E: Into<Error>>(
        &self,
        begin: impl FnOnce(&mut M, Instant) -> Result<QueryId, E>,
    ) -> Result<Awaited<'d, M>, Error> {
        let shared = &mut *self.shared();
        if shared.calls.is_full() {
            return Err(Error::Calls(shared.calls.capacity()));
        }
        let query = begin(&mut shared.node, now()).map_err(Into::into)?;
        // There is room.
        let _ = shared.calls.push(Call { query, waker: WakerRegistration::new() });
        shared.runner.wake();
        Ok(Awaited { handle: *self, query })
    }

    // The one place that can panic: see the type's docs.
    #[inline(never)]
    pub(crate) fn shared(&self) -> RefMut<'d, Shared<M>> {
        self.shared.borrow_mut()
    }
}

/// An operation under way, which ends with this.
struct Awaited<'d, M: Dht> {
    handle: Handle<'d, M>,
    query: QueryId,
}

impl<M: Dht> Drop for Awaited<'_, M> {
    fn drop(&mut self) {
        let mut shared = self.handle.shared();
        // If it was taken, this frees its slot now.
        shared.node.cancel(self.query);
        shared.calls.retain(|call| call.query != self.query);
        // Upkeep may have waited for the slot.
        shared.runner.wake();
    }
}

impl<M: Dht> Clone for Handle<'_, M> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<M: Dht> Copy for Handle<'_, M> {}
