//! Lets time pass.

use kadlet::Instant;

use super::queue::Scheduled;
use super::state::Network;
use crate::node::SimulatedNode;

/// Time.
impl<M: SimulatedNode> Network<M> {
    /// Lets everything happen that is due by `end`. The time is `end` after that.
    pub fn run_until(&mut self, end: Instant) {
        while self.step(end) {}
    }

    /// Lets the next event happen, if it is due by `end`, and returns true. Otherwise sets the time to `end`, and
    /// returns false.
    pub fn step(&mut self, end: Instant) -> bool {
        let Some((at, event)) = self.queue.pop(end) else {
            self.now = self.now.max(end);
            return false;
        };
        self.now = at;
        match event {
            Scheduled::Arrival(slot) => self.arrive(slot),
            Scheduled::Wake(host) => self.wake(host),
            Scheduled::Unreachable(from, to) => drop(self.with(from, |node, now| node.handle_unreachable(now, to))),
            Scheduled::Application(host) => self.call_application(host),
            Scheduled::Adversary(host) => self.call_adversary(host),
            Scheduled::Join(host, incarnation) => self.join_again(host, incarnation),
        }
        true
    }
}
