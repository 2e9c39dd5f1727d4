//! An application on a simulated node.

use kadlet::{Dht, Event, Instant};

/// Code that runs on a node and uses it: attach it by [`Network::attach`](crate::Network::attach). The crate's first
/// example has one.
///
/// To see its state from the test, share it, for example in an `Rc<RefCell<..>>`.
pub trait Application<M: Dht> {
    /// Handles an event of the node.
    fn handle_event(&mut self, now: Instant, event: &Event<'_, M::Address>);

    /// Begins what is due at the node, and returns when to call again; `None` for not before the next event. Called
    /// when the application is attached, after each event, and at the time that the last call returned.
    fn act(&mut self, now: Instant, node: &mut M) -> Option<Instant>;
}
