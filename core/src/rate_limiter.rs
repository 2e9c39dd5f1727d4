//! What one network prefix may ask of us, in a table of fixed size.
//!
//! Each prefix has two lanes: one for requests that showed a valid token, so that their source is known to be true, and one for
//! those that didn't. Whoever forges sources can exhaust only the second. Each lane is a leaky bucket, kept as the one instant at
//! which it would be empty (the generic cell rate algorithm of ITU-T I.371).

use crate::time::Micros;
use crate::{Instant, Prefix};

/// Budgets for `SOURCES` prefixes in each lane; where more are active, the least active one's debt is forgotten.
///
/// ```
/// use core::net::SocketAddrV4;
/// use kadlet::rate_limiter::RateLimiter;
/// use kadlet::{Address, Instant};
///
/// let mut rate_limiter: RateLimiter<16> = RateLimiter::EMPTY;
/// rate_limiter.start(10);
/// let requester: SocketAddrV4 = "192.0.2.1:4000".parse()?;
/// let taken = (0..100).filter(|_| rate_limiter.take(Instant::ZERO, requester.prefix(), false)).count();
/// assert_eq!(taken, 20, "a burst of twice the rate");
/// assert!(rate_limiter.take(Instant::from_secs(1), requester.prefix(), false), "and on from there at the rate");
/// assert!(rate_limiter.take(Instant::ZERO, requester.prefix(), true), "the proved lane is its own");
/// # Ok::<(), core::net::AddrParseError>(())
/// ```
#[derive(Debug)]
pub struct RateLimiter<const SOURCES: usize> {
    /// What one request costs of a bucket's time.
    cost: Micros,
    unproved: [Bucket; SOURCES],
    proved: [Bucket; SOURCES],
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    prefix: u64,
    empty_at: Instant,
}

/// A burst is so many seconds' worth of requests.
const BURST: Micros = Micros::from_secs(2);

impl<const SOURCES: usize> RateLimiter<SOURCES> {
    /// All zeros: takes everything until it is started.
    pub const EMPTY: Self =
        Self { cost: Micros::ZERO, unproved: [Bucket::EMPTY; SOURCES], proved: [Bucket::EMPTY; SOURCES] };

    /// Begins with `rate` requests a second for each prefix (at least 1) in each lane, and bursts of twice as many.
    pub fn start(&mut self, rate: u16) {
        self.cost = Micros(u64::from(1_000_000 / u32::from(rate.max(1))));
        self.unproved.fill(Bucket::EMPTY);
        self.proved.fill(Bucket::EMPTY);
    }

    /// Whether a request from `prefix` is within its budget, which it is then charged to. `None` is exempt.
    pub fn take(&mut self, now: Instant, prefix: Option<Prefix>, proved: bool) -> bool {
        let lane: &mut [Bucket] = if proved { &mut self.proved } else { &mut self.unproved };
        let Some(prefix) = prefix else {
            return true;
        };
        let prefix = prefix.number();
        let bucket = match lane.iter().position(|bucket| bucket.prefix == prefix) {
            Some(known) => lane.get_mut(known),
            None => lane.iter_mut().min_by_key(|bucket| bucket.empty_at),
        };
        let Some(bucket) = bucket else {
            return true;
        };
        if bucket.prefix != prefix {
            *bucket = Bucket { prefix, empty_at: now };
        }
        bucket.take(now, self.cost)
    }
}

impl Bucket {
    const EMPTY: Self = Self { prefix: 0, empty_at: Instant::ZERO };

    fn take(&mut self, now: Instant, cost: Micros) -> bool {
        // A clock that was set back must not lock anybody out.
        let from = if self.empty_at > now + BURST { now } else { self.empty_at.max(now) };
        let until = from + cost;
        let within = until.micros_since(now) <= BURST;
        if within {
            self.empty_at = until;
        }
        within
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(number: u64) -> Option<Prefix> {
        Prefix::new(number)
    }

    fn started<const SOURCES: usize>(rate: u16) -> RateLimiter<SOURCES> {
        let mut rate_limiter = RateLimiter::EMPTY;
        rate_limiter.start(rate);
        rate_limiter
    }

    #[test]
    fn a_flood_of_forged_sources_leaves_the_proved_lane_open() {
        let mut rate_limiter: RateLimiter<4> = started(10);
        for forged in 1..10_000 {
            rate_limiter.take(Instant::ZERO, prefix(forged), false);
        }
        assert!((0..20).all(|_| rate_limiter.take(Instant::ZERO, prefix(7), true)));
        assert!(!rate_limiter.take(Instant::ZERO, prefix(7), true));
    }

    #[test]
    fn the_rate_holds_over_time() {
        let mut rate_limiter: RateLimiter<4> = started(10);
        let taken = (0..10_000).filter(|ms| rate_limiter.take(Instant::from_millis(*ms), prefix(1), true)).count();
        assert!((110..=121).contains(&taken), "{taken} in ten seconds");
    }

    #[test]
    fn a_clock_set_back_locks_nobody_out() {
        let mut rate_limiter: RateLimiter<1> = started(1);
        assert!(rate_limiter.take(Instant::from_secs(1_000), prefix(1), true));
        assert!(rate_limiter.take(Instant::from_secs(1), prefix(1), true));
    }

    #[test]
    fn exempt_sources_and_a_table_without_room_take_everything() {
        let mut rate_limiter: RateLimiter<0> = started(1);
        assert!((0..100).all(|_| rate_limiter.take(Instant::ZERO, prefix(1), false)));
        let mut rate_limiter: RateLimiter<1> = started(1);
        assert!((0..100).all(|_| rate_limiter.take(Instant::ZERO, None, false)));
    }
}
