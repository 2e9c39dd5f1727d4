//! An application on a simulated node.

use kadlet::{Dht, Event, Instant};

/// Code that runs on a node and uses it: attach it by [`Network::attach`](crate::Network::attach). The crate's first
/// example has one.
///
/// To see its state from the test, share it, for example in an `Rc<RefCell<..>>`.
pub trait Application<M: Dht> {
    /// Handles an event of the node.
    fn handle_event(&mut self, now: Instant, event: &Event<'_, M::Address>);

    /// Begins at the node what is to begin now, and returns when to be called again; `None` for no earlier than the
    /// next event. Called when the application is attached, after each event, and at the time that the last call
    /// returned.
    fn act(&mut self, now: Instant, node: &mut M) -> Option<Instant>;
}
