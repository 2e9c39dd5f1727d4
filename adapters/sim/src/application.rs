//! A user's own application on a simulated node.

use kadlet::{Dht, Event, Instant};

/// What runs on a node and uses it. See the crate's first example.
///
/// Share what a test wants to see, as by an `Rc<RefCell<..>>`.
pub trait Application<M: Dht> {
    /// Something happened at the node.
    fn event(&mut self, now: Instant, event: &Event<'_, M::Address>);

    /// Called when the application starts, after its events, and when the time has come that it named last: begins what it
    /// wants to begin, and says when to be called again, if it isn't to be by an event.
    fn act(&mut self, now: Instant, node: &mut M) -> Option<Instant>;
}
