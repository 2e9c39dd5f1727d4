//! The calls of a node as a trait, so that an adapter needn't name the bounds.

use core::time::Duration;

use super::command_error::{BeginError, GetError, PutError, RestoreError};
use super::config::Options;
use super::query::{Event, Joining, Progress, QueryId, QueryResult, Transmit, WakeReason};
use super::stats::Stats;
use crate::address::Address;
use crate::contact::Contact;
use crate::id::Id;
use crate::record::{Key, Record};
use crate::routing::Routing;
use crate::store::Store;
use crate::time::Instant;

/// A node, to be driven by any event loop. Every [`Node`](crate::Node) implements this trait.
///
/// Input goes in by the `handle_*` calls, and output comes out by the `poll_*` calls. They can be called in any order;
/// a call too many or too few is harmless. Every call that schedules something takes the time. No call blocks, and the
/// node does nothing between calls.
///
/// After any call that takes `now`, the results of [`poll_transmit`](Dht::poll_transmit),
/// [`poll_event`](Dht::poll_event) and [`poll_timeout`](Dht::poll_timeout) may have changed.
///
/// ```
/// use kadlet::{Dht, Instant, wire::MAX_DATAGRAM};
///
/// /// One turn of an event loop: handles what arrived, sends what waits, and returns when the next turn is due.
/// fn turn<D: Dht>(
///     node: &mut D,
///     now: Instant,
///     arrived: &[(D::Address, Vec<u8>)],
///     mut send: impl FnMut(D::Address, &[u8]),
/// ) -> Option<Instant> {
///     let mut buf = [0; MAX_DATAGRAM];
///     for (from, datagram) in arrived {
///         if let Some(out) = node.handle_datagram(now, *from, datagram, &mut buf) {
///             send(out.to, &buf[..out.len]);
///         }
///     }
///     node.handle_timeout(now);
///     while let Some(out) = node.poll_transmit(now, &mut buf) {
///         send(out.to, &buf[..out.len]);
///     }
///     while let Some(event) = node.poll_event() {
///         println!("{event}");
///     }
///     node.poll_timeout().map(|(at, _)| at)
/// }
/// ```
pub trait Dht {
    /// The address type.
    type Address: Address;
    /// The table.
    type Routing: Routing<Address = Self::Address>;
    /// The store.
    type Store: Store;

    /// The node's identifier. It changes with the external address: see
    /// [`Event::ExternalAddress`](crate::Event::ExternalAddress).
    fn id(&self) -> Id;

    /// Begins to join the network through these addresses, and remembers them in place of earlier ones. Until the node
    /// at one of them has responded, and whenever no contact responds any more, they are tried again after longer and
    /// longer pauses. If there are more addresses than the `BOOTSTRAPS` bound, the first that fit are taken, and
    /// [`Joining::taken`] is their number. The query ends with [`Outcome::Joined`](crate::Outcome::Joined) or a
    /// failure, after 30 s at most. When the node joins later, no event tells it: verified contacts in
    /// [`routing`](Dht::routing) do.
    ///
    /// If the node knew no contact before, and several addresses responded, it then compares what each leads to, in the
    /// background: some lookups through each. If they lead into different networks, as hostile ones do, it forgets the
    /// contacts of all but the densest.
    ///
    /// # Errors
    ///
    /// [`BeginError`]: all slots are busy, no address was given, or the node is not started.
    fn bootstrap(&mut self, now: Instant, addresses: &[Self::Address]) -> Result<Joining, BeginError>;

    /// Checks that a node responds at an address. The query ends after 30 s at most.
    ///
    /// # Errors
    ///
    /// [`BeginError`]: all slots are busy, or the node is not started.
    fn ping(&mut self, now: Instant, address: Self::Address) -> Result<QueryId, BeginError>;

    /// Looks up the nodes responsible for `target`.
    ///
    /// # Errors
    ///
    /// [`BeginError`]: all slots are busy, no contact is known, the node takes no part in recursive lookups, or it is
    /// not started.
    fn find_node(&mut self, now: Instant, target: Id, options: &Options) -> Result<QueryId, BeginError>;

    /// Gets the record under `key`. If the key is immutable, the first record ends the lookup. Otherwise the result is
    /// the newest record that the responsible nodes hold. After that, the record is written back to those of them that
    /// hold an older one or none, without delaying the result. Once the result was taken, the rest of this is
    /// maintenance: it yields its slot and its buffer to the next call that needs them.
    ///
    /// # Errors
    ///
    /// [`GetError`]: all slots or buffers are busy, no contact is known, records of this kind are off, or the node
    /// takes no part in recursive lookups or is not started.
    fn get(&mut self, now: Instant, key: Key, options: &Options) -> Result<QueryId, GetError>;

    /// Puts a record: stores it in the own store, where it is never evicted while it is published, and at the nodes
    /// responsible for its key. If [`Options::publish`] is set, the node publishes it even if this put fails or is
    /// cancelled, unless another record won: [`unpublish`](Dht::unpublish) stops that. If no other node is known, the
    /// put ends with [`Outcome::Stored`](crate::Outcome::Stored) without holders, and the record is published when
    /// others come.
    ///
    /// Of two puts under one key, the later wins. If the last one was less than 2 ms ago, this one waits that long.
    ///
    /// # Errors
    ///
    /// [`PutError`]: all slots are busy, records of this kind are off, the record is not valid or too large, its
    /// lifetime is less than a second, a compare-and-swap can't succeed, the own store doesn't take it, or the node
    /// takes no part in recursive lookups, is not started, or is a client without contacts that would not keep it.
    fn put(&mut self, now: Instant, record: &Record<'_>, options: &Options) -> Result<QueryId, PutError>;

    /// Stops publishing the record under `key`. Its holders keep it until its lifetime ends. Returns whether it was
    /// published.
    fn unpublish(&mut self, key: &Key) -> bool;

    /// Ends a query without an event, and frees its slot at once. The record of a put stays published if
    /// [`Options::publish`] is set.
    fn cancel(&mut self, query: QueryId);

    /// Handles a datagram that arrived from `from`. If it needs a response, this is written to `buf` and returned at
    /// once. A buffer of [`MAX_DATAGRAM`](crate::wire::MAX_DATAGRAM) bytes is always large enough.
    #[must_use]
    fn handle_datagram(
        &mut self,
        now: Instant,
        from: Self::Address,
        datagram: &[u8],
        buf: &mut [u8],
    ) -> Option<Transmit<Self::Address>>;

    /// A datagram to `to` was not delivered, or could not be sent. All attempts in flight to this address time out now.
    fn handle_unreachable(&mut self, now: Instant, to: Self::Address);

    /// Does what is due. It is harmless to call this early, late, twice or never.
    fn handle_timeout(&mut self, now: Instant);

    /// The next datagram to send, which is written to `buf`. The wait for its response begins now. A buffer of
    /// [`MAX_DATAGRAM`](crate::wire::MAX_DATAGRAM) bytes is always large enough.
    #[must_use]
    fn poll_transmit(&mut self, now: Instant, buf: &mut [u8]) -> Option<Transmit<Self::Address>>;

    /// The next event. If it is the result of a query, the next call that changes the node frees the slot of the query.
    fn poll_event(&mut self) -> Option<Event<'_, Self::Address>> {
        self.poll_event_except(&|_| false)
    }

    /// The next event that is not the result of a query for which `is_awaited` returns true. Such a result stays until
    /// [`take_result`](Dht::take_result) takes it, and delays no other event.
    fn poll_event_except(&mut self, is_awaited: &dyn Fn(QueryId) -> bool) -> Option<Event<'_, Self::Address>>;

    /// The result of one query, if it has ended and its result was not polled or taken before. The next call that
    /// changes the node frees its slot.
    fn take_result(&mut self, query: QueryId) -> Option<QueryResult<'_, Self::Address>>;

    /// How far a query has come. `None` if it has ended.
    fn progress(&self, query: QueryId) -> Option<Progress<'_, Self::Address>>;

    /// When to call [`handle_timeout`](Dht::handle_timeout) (or, for [`WakeReason::Transmit`], `poll_transmit`), and
    /// why. `None` if nothing will be due until a datagram arrives or the user calls. Costs constant time.
    fn poll_timeout(&self) -> Option<(Instant, WakeReason)>;

    /// Gives the node a contact from an earlier run. It is unverified until it responds. It is ignored if its
    /// identifier doesn't fit its address.
    fn restore_contact(&mut self, now: Instant, contact: Contact<Self::Address>);

    /// Restores a record from an earlier run to the store. `lifetime` is what is left of its lifetime. With `publish`,
    /// the node publishes it again.
    ///
    /// # Errors
    ///
    /// [`RestoreError`]: the node is not started, records of this kind are off, the lifetime is less than a second, the
    /// signature is wrong, or the store doesn't take the record.
    fn restore_record(
        &mut self,
        now: Instant,
        record: &Record<'_>,
        lifetime: Duration,
        publish: bool,
    ) -> Result<(), RestoreError>;

    /// The counters since the start.
    fn stats(&self) -> &Stats;

    /// The table.
    fn routing(&self) -> &Self::Routing;

    /// The store.
    fn store(&self) -> &Self::Store;
}
