//! The calls of a node as one trait, so that adapters needn't name its bounds.

use core::time::Duration;

use super::command_error::{FindError, GetError, PutError, RestoreError};
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

/// A node to drive from any event loop. Every [`Node`](crate::Node) implements it, whatever its bounds.
///
/// Input goes in through `handle_*`, output comes out through `poll_*`, in any order; a call too many or too few is harmless.
/// Time is the first argument of all that schedules. Nothing blocks, and nothing is done between calls.
///
/// After any call that takes `now`, these may have changed: [`poll_transmit`](Dht::poll_transmit),
/// [`poll_event`](Dht::poll_event) and [`poll_timeout`](Dht::poll_timeout).
///
/// ```
/// use kadlet::{Dht, Instant, wire::MAX_DATAGRAM};
///
/// /// One turn of an event loop: takes in what arrived, sends what waits, and says when to come back at the latest.
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
///         println!("{event:?}");
///     }
///     node.poll_timeout().map(|(at, _)| at)
/// }
/// ```
pub trait Dht {
    /// What nodes are reached by.
    type Address: Address;
    /// The table.
    type Routing: Routing<Address = Self::Address>;
    /// The store.
    type Store: Store;

    /// The node's identifier.
    fn id(&self) -> Id;

    /// Begins to join the network through these addresses, and remembers them: until the node at one has responded, and whenever nobody
    /// is known, they are tried again after growing pauses. If there are more than the `BOOTSTRAPS` bound, the first that fit are taken,
    /// and [`Joining::taken`] says how many. Ends with [`Outcome::Joined`](crate::Outcome::Joined) or a failure.
    ///
    /// # Errors
    ///
    /// [`FindError`]: all slots are busy, no address was given, or the node isn't started.
    fn bootstrap(&mut self, now: Instant, addresses: &[Self::Address]) -> Result<Joining, FindError>;

    /// Checks that a node responds at an address.
    ///
    /// # Errors
    ///
    /// [`FindError`]: all slots are busy, or the node isn't started.
    fn ping(&mut self, now: Instant, address: Self::Address) -> Result<QueryId, FindError>;

    /// Looks up the nodes responsible for `target`.
    ///
    /// # Errors
    ///
    /// [`FindError`]: all slots are busy, no contact is known, or the node takes no part in recursive lookups.
    fn find_node(&mut self, now: Instant, target: Id, options: &Options) -> Result<QueryId, FindError>;

    /// Gets the record under `key`. An immutable record ends the lookup. Of plain and signed ones the result is the newest that the
    /// responsible nodes hold. Those of them that hold an older one or none are sent it later, without delaying the result. What of that
    /// is left when the result was taken is maintenance: it yields its slot and its buffer to the next command that needs them.
    ///
    /// # Errors
    ///
    /// [`GetError`]: all slots or buffers are busy, no contact is known, records of this kind are off, or the node takes no part in
    /// recursive lookups.
    fn get(&mut self, now: Instant, key: Key, options: &Options) -> Result<QueryId, GetError>;

    /// Puts a record: stores it here, pinned, and at the nodes responsible for its key.
    ///
    /// # Errors
    ///
    /// [`PutError`]: all slots are busy, no contact is known, the record is not valid, the own store has no room for it, or the node
    /// takes no part in recursive lookups.
    fn put(&mut self, now: Instant, record: &Record<'_>, options: &Options) -> Result<QueryId, PutError>;

    /// Stops publishing the record under `key`. Its holders keep it until its lifetime ends. Says whether it was published.
    fn unpublish(&mut self, now: Instant, key: &Key) -> bool;

    /// Ends a query without an event, and frees its slot now.
    fn cancel(&mut self, query: QueryId);

    /// Takes a datagram in. The response, if there is one, is written to `buf` at once, which is best
    /// [`MAX_DATAGRAM`](crate::wire::MAX_DATAGRAM) bytes long.
    #[must_use]
    fn handle_datagram(
        &mut self,
        now: Instant,
        from: Self::Address,
        datagram: &[u8],
        buf: &mut [u8],
    ) -> Option<Transmit<Self::Address>>;

    /// A datagram to `to` was not delivered, or its sending failed: a hint that the requests on their way there time out.
    fn handle_unreachable(&mut self, now: Instant, to: Self::Address);

    /// Does what is due. Called early, late, twice or never, it is harmless.
    fn handle_timeout(&mut self, now: Instant);

    /// The next datagram to send, written to `buf`. The time in which a response must come begins here.
    #[must_use]
    fn poll_transmit(&mut self, now: Instant, buf: &mut [u8]) -> Option<Transmit<Self::Address>>;

    /// The next event. A query's slot is freed at the next call that changes the node.
    fn poll_event(&mut self) -> Option<Event<'_, Self::Address>>;

    /// The result of one query, if it has ended and its result was neither polled nor taken before. Frees its slot as `poll_event` does.
    fn take_result(&mut self, query: QueryId) -> Option<QueryResult<'_, Self::Address>>;

    /// How far a query has come. `None` if it has ended.
    fn progress(&self, query: QueryId) -> Option<Progress<'_, Self::Address>>;

    /// When to call [`handle_timeout`](Dht::handle_timeout) (or, for [`WakeReason::Transmit`], `poll_transmit`), and why. `None`:
    /// never, unless something comes in. Costs constant time.
    fn poll_timeout(&self) -> Option<(Instant, WakeReason)>;

    /// Reminds the node of a contact from an earlier run. It is unverified until it responds.
    fn restore_contact(&mut self, now: Instant, contact: Contact<Self::Address>);

    /// Puts a record from an earlier run back into the store, with what is left of its lifetime, and publishes it on if it was published.
    ///
    /// # Errors
    ///
    /// [`RestoreError`]: the node isn't started, records of this kind are off, the lifetime is over, or the store is full.
    fn restore_record(
        &mut self,
        now: Instant,
        record: &Record<'_>,
        lifetime: Duration,
        publish: bool,
    ) -> Result<(), RestoreError>;

    /// What was counted since the start.
    fn stats(&self) -> &Stats;

    /// The table.
    fn routing(&self) -> &Self::Routing;

    /// The store.
    fn store(&self) -> &Self::Store;
}
