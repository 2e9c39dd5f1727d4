//! The surface of a node as one trait, so that adapters needn't name its bounds.

use core::time::Duration;

use super::event::{
    Event, FindError, GetError, Progress, PutError, QueryId, QueryResult, RestoreError, Transmit, WakeReason,
};
use super::{Options, Stats};
use crate::record::{Key, Record};
use crate::routing::Routing;
use crate::store::Store;
use crate::{Address, Contact, Id, Instant};

/// A node to drive from any event loop. Implemented by every [`Node`](crate::Node), whatever its bounds.
///
/// Input goes in through `handle_*`, output comes out through `poll_*`, in any order; a call too many or too few is harmless.
/// Time is the first argument of whatever schedules. Nothing blocks, and nothing is done between calls.
///
/// After any call that takes `now`, these may have changed: [`poll_transmit`](Dht::poll_transmit),
/// [`poll_event`](Dht::poll_event) and [`poll_timeout`](Dht::poll_timeout).
pub trait Dht {
    /// What nodes are reached by.
    type Address: Address;
    /// The table.
    type Routing: Routing<Address = Self::Address>;
    /// The store.
    type Store: Store;

    /// The node's identifier.
    fn id(&self) -> Id;

    /// Begins to join the network through these addresses, and remembers them: until one has verified, and whenever nobody is
    /// known, they are tried again after growing pauses. Ends with [`Outcome::Joined`](crate::Outcome::Joined) or a failure.
    ///
    /// # Errors
    ///
    /// [`FindError`]: all slots busy, no address, more than the bound, or a node that isn't started.
    fn bootstrap(&mut self, now: Instant, addresses: &[Self::Address]) -> Result<QueryId, FindError>;

    /// Asks the node at an address whether it is there.
    ///
    /// # Errors
    ///
    /// [`FindError`]: all slots busy, or a node that isn't started.
    fn ping(&mut self, now: Instant, address: Self::Address) -> Result<QueryId, FindError>;

    /// Looks up the nodes responsible for `target`.
    ///
    /// # Errors
    ///
    /// [`FindError`]: all slots busy, or nobody known to ask.
    fn find_node(&mut self, now: Instant, target: Id, options: &Options) -> Result<QueryId, FindError>;

    /// Gets the record under `key`. An immutable one ends the search; of plain and signed ones the newest that the responsible
    /// nodes hold is returned. Those of them that lagged are sent it without keeping the event waiting; what of that is left when
    /// the event was taken is upkeep, and gives its slot and buffer way to the next command that needs them.
    ///
    /// # Errors
    ///
    /// [`GetError`]: all slots or buffers busy, nobody known to ask, or a kind of record that isn't taken.
    fn get(&mut self, now: Instant, key: Key, options: &Options) -> Result<QueryId, GetError>;

    /// Puts a record: stores it here, pinned, and at the nodes responsible for its key.
    ///
    /// # Errors
    ///
    /// [`PutError`]: all slots busy, nobody known to ask, a record that can't be, or one that the own store has no room for.
    fn put(&mut self, now: Instant, record: &Record<'_>, options: &Options) -> Result<QueryId, PutError>;

    /// Stops publishing the record under `key`. Holders keep it until its time ends. Says whether it was published.
    fn unpublish(&mut self, now: Instant, key: &Key) -> bool;

    /// Ends an operation without an event, and frees its slot now.
    fn cancel(&mut self, query: QueryId);

    /// Takes a datagram in. An answer to it, if any, is written to `buf` at once, which is best [`MAX_DATAGRAM`](crate::wire::MAX_DATAGRAM) bytes.
    #[must_use]
    fn handle_datagram(
        &mut self,
        now: Instant,
        from: Self::Address,
        datagram: &[u8],
        buf: &mut [u8],
    ) -> Option<Transmit<Self::Address>>;

    /// A datagram to `to` was not delivered, or its sending failed: a hint for the questions on their way there.
    fn handle_unreachable(&mut self, now: Instant, to: Self::Address);

    /// Does what is due. Called early, late, twice or never, it is harmless.
    fn handle_timeout(&mut self, now: Instant);

    /// The next datagram to send, written to `buf`. A question's clock starts here.
    #[must_use]
    fn poll_transmit(&mut self, now: Instant, buf: &mut [u8]) -> Option<Transmit<Self::Address>>;

    /// The next event. An operation's slot is freed at the next call that changes the node.
    fn poll_event(&mut self) -> Option<Event<'_, Self::Address>>;

    /// One operation's end, if it has ended and was not polled or taken before; frees its slot as `poll_event` does.
    fn take_result(&mut self, query: QueryId) -> Option<QueryResult<'_, Self::Address>>;

    /// How an operation stands; `None` if it has ended.
    fn progress(&self, query: QueryId) -> Option<Progress<'_, Self::Address>>;

    /// When to call [`handle_timeout`](Dht::handle_timeout) (or, on [`WakeReason::Transmit`], `poll_transmit`), and why. `None`:
    /// never, unless something comes in. Costs constant time.
    fn poll_timeout(&self) -> Option<(Instant, WakeReason)>;

    /// Reminds the node of a contact from an earlier run. It is asked before it is trusted.
    fn restore_contact(&mut self, now: Instant, contact: Contact<Self::Address>);

    /// Puts a record from an earlier run back into the store, with what is left of its time, to be published on if it was.
    ///
    /// # Errors
    ///
    /// [`RestoreError`]: a node that isn't started, a record that it doesn't take or whose time is over, or a full store.
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
