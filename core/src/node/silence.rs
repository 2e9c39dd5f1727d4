//! Silence: no node responds to this one any more, as while its link is down. Then it sends little, until one responds.

use crate::time::Instant;

/// After this many requests in a row without a response, no node is expected to respond. It is more than one lookup
/// sends.
const LONG: u8 = 32;
/// The pause between two requests is this part of the silence so far.
const PART: u32 = 32;
/// The longest pause, in seconds. With a bootstrap address every 15 minutes, this is fewer than 60 datagrams an hour.
const LONGEST_PAUSE: u32 = 75;

/// How long the node has heard nothing, and when it tries again.
#[derive(Debug)]
pub(super) struct Silence {
    /// How many requests in a row got no response.
    failed: u8,
    /// When the first of them failed, in whole seconds.
    since: u32,
    /// When the next request can be sent to find out whether a node responds, in whole seconds.
    next: u32,
}

impl Silence {
    pub(super) const NONE: Self = Self { failed: 0, since: 0, next: 0 };

    /// A request got no response.
    pub(super) fn note_failure(&mut self, now: Instant) {
        if self.failed == 0 {
            self.since = now.stamp();
        }
        self.failed = self.failed.saturating_add(1);
    }

    /// A node responded. Returns whether none was expected to.
    pub(super) const fn end(&mut self) -> bool {
        let was_long = self.is_long();
        self.failed = 0;
        was_long
    }

    /// Whether no node is expected to respond.
    pub(super) const fn is_long(&self) -> bool {
        self.failed >= LONG
    }

    /// When the next request can be sent, while no node is expected to respond.
    pub(super) fn pause_ends(&self) -> Instant {
        Instant::from_stamp(self.next)
    }

    /// Whether a request can be sent now. If so, the next pause begins.
    pub(super) fn end_pause(&mut self, now: Instant) -> bool {
        let now = now.stamp();
        if now < self.next {
            return false;
        }
        self.next = now.saturating_add((now.saturating_sub(self.since) / PART).clamp(1, LONGEST_PAUSE));
        true
    }
}
