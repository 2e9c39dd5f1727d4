//! A request in the table: its attempts, and how long it waits for a response.

use core::mem::size_of;
use core::net::SocketAddrV4;
use core::num::NonZeroU8;
use core::time::Duration;

use crate::id::Id;
use crate::time::{self, Instant};

/// How often the wait doubles. It doubles because of congestion. Further attempts are made because of loss, against
/// which longer waits don't help.
const DOUBLINGS: u8 = 2;

const _: () = assert!(size_of::<Pending<SocketAddrV4, u64, [u8; 8]>>() <= 72);

/// How often a request is sent at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Attempts {
    /// To a node that is believed to be there: as often as the loss asks for at that time. Only these requests show how
    /// much is lost.
    Known,
    /// To a node that another node named, whose words are not proved: two times less, but at least once, and its
    /// response is awaited as long as that to one attempt more. Otherwise an attacker could name a third party, and
    /// have it flooded by all nodes that look for it.
    Stranger,
    /// This often, whatever is lost.
    Times(NonZeroU8),
}

/// A request in the table.
#[derive(Clone, Copy, Debug)]
pub struct Pending<A, O, T> {
    pub(super) owner: O,
    pub(super) to: A,
    pub(super) expect: Option<Id>,
    pub(super) transaction: T,
    /// When it was sent last.
    pub(super) sent: Instant,
    /// The timeout of the first attempt, in microseconds.
    pub(super) timeout: u32,
    /// How long to wait since it was sent last, in microseconds.
    pub(super) wait: u32,
    /// How many attempts have timed out.
    pub(super) timeouts: u8,
    pub(super) attempts: Attempts,
    pub(super) state: RequestState,
    /// Whether it was sent more than once.
    pub(super) retransmitted: bool,
    /// Whether it was acknowledged, and waits for the second response.
    pub(super) acknowledged: bool,
    /// Whether its owner is gone.
    pub(super) released: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RequestState {
    Ready,
    InFlight,
}

impl<A, O: Copy, T> Pending<A, O, T> {
    pub(super) fn owner(&self) -> Option<O> {
        (!self.released).then_some(self.owner)
    }

    pub(super) fn was_sent(&self) -> bool {
        self.state == RequestState::InFlight || self.timeouts != 0
    }

    pub(super) fn due(&self) -> Instant {
        self.sent + time::Micros(self.wait.into())
    }

    /// Waits on for as long as if the next attempt had been sent, although it is not.
    pub(super) fn linger(&mut self, max: u32) {
        self.state = RequestState::InFlight;
        self.wait = self.wait.saturating_add(self.wait_of_attempt(max));
    }

    /// How long to wait for a response to the next attempt, in microseconds.
    #[inline(never)]
    pub(super) fn wait_of_attempt(&self, max: u32) -> u32 {
        self.timeout.saturating_mul(1 << self.timeouts.min(DOUBLINGS)).min(max)
    }
}

pub(super) fn micros(duration: Duration) -> u32 {
    saturated(time::Micros::of(duration))
}

pub(super) fn micros_since(now: Instant, earlier: Instant) -> u32 {
    saturated(now.micros_since(earlier))
}

fn saturated(span: time::Micros) -> u32 {
    u32::try_from(span.0).unwrap_or(u32::MAX)
}
