//! The calls into a node, from any task of its executor.

use core::cell::{RefCell, RefMut};
use core::fmt;
use core::future::poll_fn;
use core::task::Poll;
use core::time::Duration;

use kadlet::record::Proof;
use kadlet::{Contact, Done, Id, Instant, Key, Machine, Options, Outcome, Query, Record, RestoreError, Stats};

use crate::shared::{Call, Shared, now};
use crate::{Error, Got, Losses, News, Pong, Stored};

/// Calls into a node; copy it into each task that wants one.
///
/// A call begins when it is first polled. Each of them may be dropped half-way: the operation is then cancelled, and its place and
/// the node's slot are free again. None waits for a slot: all being taken is an error.
///
/// # Panics
///
/// Any method, if called from inside a closure that was given to [`get_with`](Handle::get_with) or [`read`](Handle::read).
pub struct Handle<'d, M: Machine> {
    shared: &'d RefCell<Shared<M>>,
}

impl<'d, M: Machine> Handle<'d, M> {
    pub(crate) const fn new(shared: &'d RefCell<Shared<M>>) -> Self {
        Self { shared }
    }

    /// Joins the network through these addresses, and remembers them: whenever nobody is known, the node tries them again by itself,
    /// after growing pauses, whatever came of this call. Returns how many neighbours were found.
    ///
    /// # Errors
    ///
    /// [`Error::Find`], [`Error::Calls`], [`Error::Failed`].
    pub async fn bootstrap(&self, addresses: &[M::Address]) -> Result<usize, Error> {
        self.call(
            |node, now| Ok(node.bootstrap(now, addresses)?),
            |done| match done.outcome {
                Outcome::Joined { neighbours } => Ok(neighbours.len()),
                outcome => Err(Error::other(&outcome, done.report)),
            },
        )
        .await?
    }

    /// Asks the node at an address whether it is there.
    ///
    /// # Errors
    ///
    /// [`Error::Find`], [`Error::Calls`], [`Error::Failed`].
    pub async fn ping(&self, address: M::Address) -> Result<Pong<M::Address>, Error> {
        self.call(
            |node, now| Ok(node.ping(now, address)?),
            |done| match done.outcome {
                Outcome::Pong { contact, rtt } => Ok(Pong { contact, rtt }),
                outcome => Err(Error::other(&outcome, done.report)),
            },
        )
        .await?
    }

    /// Looks up the nodes responsible for `target`: the best of them, first in front, are written to `nodes`, and counted.
    ///
    /// # Errors
    ///
    /// [`Error::Find`], [`Error::Calls`], [`Error::Failed`].
    pub async fn find_node(&self, target: Id, options: &Options, nodes: &mut [Contact<M::Address>]) -> Result<usize, Error> {
        self.call(
            |node, now| Ok(node.find_node(now, target, options)?),
            |done| match done.outcome {
                Outcome::Nodes(found) => Ok(nodes.iter_mut().zip(found.iter()).map(|(to, contact)| *to = contact).count()),
                outcome => Err(Error::other(&outcome, done.report)),
            },
        )
        .await?
    }

    /// Gets the record under `key`, and writes its value to `value`: 1,000 bytes hold any.
    ///
    /// # Errors
    ///
    /// [`Error::Get`], [`Error::Calls`], [`Error::NotFound`], [`Error::Failed`]; [`Error::Buffer`] if `value` is too short.
    pub async fn get(&self, key: Key, options: &Options, value: &mut [u8]) -> Result<Got, Error> {
        self.get_with(key, options, |done| {
            let Outcome::Value { record, lifetime, holders } = done.outcome else {
                return Err(Error::other(&done.outcome, done.report));
            };
            let len = record.value.len();
            value.get_mut(..len).ok_or(Error::Buffer(len))?.copy_from_slice(record.value);
            let number = match record.proof {
                Proof::Plain { age, .. } => age,
                Proof::Immutable => 0,
                Proof::Signed { sequence, .. } => sequence,
            };
            Ok(Got { len, number, lifetime, holders: holders.len(), report: done.report })
        })
        .await?
    }

    /// Gets the record under `key`, and returns what `read` makes of how that ended: of the value where it lies, of its proof and its
    /// holders ([`Outcome::Value`]), or of whatever else it was.
    ///
    /// # Errors
    ///
    /// [`Error::Get`], [`Error::Calls`]: it did not begin.
    pub async fn get_with<T>(&self, key: Key, options: &Options, read: impl FnOnce(Done<'_, M::Address>) -> T) -> Result<T, Error> {
        self.call(|node, now| Ok(node.get(now, key, options)?), read).await
    }

    /// Puts a record: stores it here, and at the nodes responsible for its key. If this is dropped half-way, or fails, the record is
    /// still here, and published again as `options` say, until [`unpublish`](Handle::unpublish).
    ///
    /// # Errors
    ///
    /// [`Error::Put`], [`Error::Calls`], [`Error::Conflict`], [`Error::Failed`].
    pub async fn put(&self, record: &Record<'_>, options: &Options) -> Result<Stored, Error> {
        self.call(
            |node, now| Ok(node.put(now, record, options)?),
            |done| match done.outcome {
                Outcome::Stored { holders, wanted } => Ok(Stored { holders: holders.len(), wanted, report: done.report }),
                outcome => Err(Error::other(&outcome, done.report)),
            },
        )
        .await?
    }

    /// Stops publishing the record under `key`. Holders keep it until its time ends. Says whether it was published.
    pub fn unpublish(&self, key: &Key) -> bool {
        self.change(|node, now| node.unpublish(now, key))
    }

    /// Reminds the node of a contact from an earlier run. It is asked before it is trusted.
    pub fn restore_contact(&self, contact: Contact<M::Address>) {
        self.change(|node, now| node.restore_contact(now, contact));
    }

    /// Puts a record from an earlier run back into the store, with what is left of its time, to be published on if it was.
    ///
    /// # Errors
    ///
    /// [`RestoreError`]; the node is as it was.
    pub fn restore_record(&self, record: &Record<'_>, lifetime: Duration, publish: bool) -> Result<(), RestoreError> {
        self.change(|node, now| node.restore_record(now, record, lifetime, publish))
    }

    /// The node's identifier.
    #[must_use]
    pub fn id(&self) -> Id {
        self.read(M::id)
    }

    /// What the node counted since the start.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.read(|node| *node.stats())
    }

    /// What was lost between the node and the stack since the start.
    #[must_use]
    pub fn losses(&self) -> Losses {
        self.shared().losses
    }

    /// Returns what `f` makes of the node: of its table ([`routing`](Machine::routing)) or its store, to save them, say.
    pub fn read<T>(&self, f: impl FnOnce(&M) -> T) -> T {
        f(&self.shared().node)
    }

    /// Waits for what happens to the node without a call. One task at a time may wait; of news that nobody waits for, a few are kept.
    pub async fn news(&self) -> News<M::Address> {
        poll_fn(|cx| {
            let mut shared = self.shared();
            let Some(news) = shared.news.pop() else {
                shared.listener.register(cx.waker());
                return Poll::Pending;
            };
            // More may wait in the node.
            shared.runner.wake();
            Poll::Ready(news)
        })
        .await
    }

    fn change<T>(&self, f: impl FnOnce(&mut M, Instant) -> T) -> T {
        let mut shared = self.shared();
        let result = f(&mut shared.node, now());
        shared.runner.wake();
        result
    }

    /// Begins an operation, waits for its end, and returns what `read` makes of it.
    async fn call<T>(
        &self,
        begin: impl FnOnce(&mut M, Instant) -> Result<Query, Error>,
        read: impl FnOnce(Done<'_, M::Address>) -> T,
    ) -> Result<T, Error> {
        let awaited = self.begin(begin)?;
        let mut read = Some(read);
        let ended = poll_fn(|cx| {
            let mut shared = self.shared();
            if let Some(done) = shared.node.take(awaited.query)
                && let Some(read) = read.take()
            {
                return Poll::Ready(read(done));
            }
            if let Some(call) = shared.calls.get_mut(awaited.place) {
                call.waker.register(cx.waker());
            }
            Poll::Pending
        });
        Ok(ended.await)
    }

    fn begin(&self, begin: impl FnOnce(&mut M, Instant) -> Result<Query, Error>) -> Result<Awaited<'d, M>, Error> {
        let mut shared = self.shared();
        let places = shared.calls.len();
        let place = shared.calls.iter().position(|call| call.query.is_none()).ok_or(Error::Calls(places))?;
        let query = begin(&mut shared.node, now())?;
        if let Some(call) = shared.calls.get_mut(place) {
            call.query = Some(query);
        }
        shared.runner.wake();
        Ok(Awaited { handle: *self, place, query })
    }

    // The one place that can panic: see the type's docs.
    #[inline(never)]
    fn shared(&self) -> RefMut<'d, Shared<M>> {
        self.shared.borrow_mut()
    }
}

/// An operation under way, which ends with this.
struct Awaited<'d, M: Machine> {
    handle: Handle<'d, M>,
    place: usize,
    query: Query,
}

impl<M: Machine> Drop for Awaited<'_, M> {
    fn drop(&mut self) {
        let mut shared = self.handle.shared();
        // If it was taken, this frees its slot now.
        shared.node.cancel(self.query);
        if let Some(call) = shared.calls.get_mut(self.place) {
            *call = Call::FREE;
        }
        // Upkeep may have waited for the slot.
        shared.runner.wake();
    }
}

impl<M: Machine> Clone for Handle<'_, M> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<M: Machine> Copy for Handle<'_, M> {}

impl<M: Machine> fmt::Debug for Handle<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").finish_non_exhaustive()
    }
}
