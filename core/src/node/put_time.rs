//! When a put takes effect: of two puts under one key on one node, the later wins.
//!
//! A plain record has an age in milliseconds. Two that were put within one millisecond have the same age, and the hash
//! of their values would decide. So a put takes effect a little after the one before it, and is sent no earlier.

use crate::id::Id;
use crate::time::{Instant, Micros};

/// From one put under a key to the next: more than the millisecond in which ages are counted.
const APART: Micros = Micros::from_millis(2);
/// The longest wait of a put, however many came before it, and wherever the clock jumped.
const LONGEST_WAIT: Micros = Micros::from_secs(1);

/// The last put of a plain record on this node. The store may not have the record any more.
#[derive(Debug)]
pub(super) struct LastPut {
    /// The beginning of the key's identifier.
    key: u32,
    /// When the put takes effect.
    at: Instant,
    /// When the first put that waits takes effect. Never, if none waits.
    pub(super) awaited: Instant,
}

impl LastPut {
    pub(super) const EMPTY: Self = Self { key: 0, at: Instant::ZERO, awaited: Instant::ZERO };

    pub(super) const fn clear(&mut self) {
        (self.at, self.awaited) = (Instant::ZERO, Instant::NEVER);
    }

    /// When a put under the key with this identifier takes effect: now, or later if another put was less than [`APART`]
    /// ago. `held` is when the record that is held was stored; zero if there is none.
    pub(super) fn next(&mut self, now: Instant, id: &Id, held: Instant) -> Instant {
        let [a, b, c, d, ..] = *id.as_bytes();
        let key = u32::from_be_bytes([a, b, c, d]);
        let before = if self.key == key { self.at.max(held) } else { held };
        let wait = (before + APART).micros_since(now);
        (self.key, self.at) = (key, now);
        if before != Instant::ZERO {
            self.at = now + wait.min(LONGEST_WAIT);
        }
        self.at
    }
}
