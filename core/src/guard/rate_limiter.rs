//! What one address prefix may ask per second, in a table of fixed size.
//!
//! Each prefix has two lanes: one for requests that showed a valid token, so that their source is known to be true, and
//! one for those that didn't. A flood of forged sources can exhaust only the second. Each lane is a leaky bucket, kept
//! as the one instant at which it would be empty (the generic cell rate algorithm of ITU-T I.371).

use core::ops::{Deref, DerefMut};

use crate::address::Prefix;
use crate::time::{Instant, Micros};

/// Rate limits for `SOURCES` prefixes in each lane. Where more are active, the debt of the least active one is
/// forgotten.
///
/// ```
/// use core::net::SocketAddrV4;
/// use kadlet::guard::RateLimiter;
/// use kadlet::{Address, Instant};
///
/// let mut limiter: RateLimiter<16> = RateLimiter::EMPTY;
/// limiter.start(10);
/// let requester: SocketAddrV4 = "192.0.2.1:4000".parse()?;
/// let allowed = (0..100).filter(|_| limiter.allows(Instant::ZERO, requester.prefix(), false)).count();
/// assert_eq!(allowed, 20, "a burst of twice the rate");
/// assert!(limiter.allows(Instant::from_secs(1), requester.prefix(), false), "then as many per second as the rate says");
/// assert!(limiter.allows(Instant::ZERO, requester.prefix(), true), "the proved lane is its own");
/// # Ok::<(), core::net::AddrParseError>(())
/// ```
pub type RateLimiter<const SOURCES: usize> = RateLimiterInner<[[Bucket; 2]; SOURCES]>;

/// A [`RateLimiter`] whatever its bound: its methods are compiled once for all bounds.
pub type RateLimiterView = RateLimiterInner<[[Bucket; 2]]>;

/// What [`RateLimiter`] and [`RateLimiterView`] are.
#[derive(Debug)]
pub struct RateLimiterInner<B: ?Sized> {
    /// What one request costs of a bucket's time.
    cost: Micros,
    /// In each place a bucket of the unproved and one of the proved lane, for prefixes of their own.
    buckets: B,
}

/// What one prefix has used up.
#[derive(Clone, Copy, Debug)]
pub struct Bucket {
    prefix: u64,
    empty_at: Instant,
}

/// A burst is what the rate allows in this time.
const BURST: Micros = Micros::from_secs(2);

impl<const SOURCES: usize> RateLimiter<SOURCES> {
    /// All zeros: allows everything until it is started.
    pub const EMPTY: Self = Self { cost: Micros::ZERO, buckets: [[Bucket::EMPTY; 2]; SOURCES] };
}

impl<const SOURCES: usize> Deref for RateLimiter<SOURCES> {
    type Target = RateLimiterView;

    fn deref(&self) -> &RateLimiterView {
        self
    }
}

impl<const SOURCES: usize> DerefMut for RateLimiter<SOURCES> {
    fn deref_mut(&mut self) -> &mut RateLimiterView {
        self
    }
}

impl RateLimiterView {
    /// Begins with `rate` requests a second for each prefix in each lane, and bursts of twice as many. 0 is taken for
    /// 1.
    pub fn start(&mut self, rate: u16) {
        self.cost = Micros(u64::from(1_000_000 / u32::from(rate.max(1))));
        self.buckets.fill([Bucket::EMPTY; 2]);
    }

    /// Whether a request from `prefix` is within its rate; if so, it is charged. `None` is exempt.
    pub fn allows(&mut self, now: Instant, prefix: Option<Prefix>, proved: bool) -> bool {
        let Some(prefix) = prefix else {
            return true;
        };
        let (prefix, cost) = (prefix.number(), self.cost);
        let lane = usize::from(proved);
        // The bucket of this prefix, or else the one that is, or will be, empty first.
        let (mut chosen, mut first) = (0, Instant::NEVER);
        for (place, buckets) in self.buckets.iter().enumerate() {
            let Some(bucket) = buckets.get(lane) else { continue };
            if bucket.prefix == prefix {
                chosen = place;
                break;
            }
            if bucket.empty_at < first {
                (chosen, first) = (place, bucket.empty_at);
            }
        }
        let Some(bucket) = self.buckets.get_mut(chosen).and_then(|buckets| buckets.get_mut(lane)) else {
            return true;
        };
        if bucket.prefix != prefix {
            *bucket = Bucket { prefix, empty_at: now };
        }
        bucket.allows(now, cost)
    }
}

impl Bucket {
    const EMPTY: Self = Self { prefix: 0, empty_at: Instant::ZERO };

    fn allows(&mut self, now: Instant, cost: Micros) -> bool {
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
        let mut limiter = RateLimiter::EMPTY;
        limiter.start(rate);
        limiter
    }

    #[test]
    fn a_flood_of_forged_sources_leaves_the_proved_lane_open() {
        let mut limiter: RateLimiter<4> = started(10);
        for forged in 1..10_000 {
            limiter.allows(Instant::ZERO, prefix(forged), false);
        }
        assert!((0..20).all(|_| limiter.allows(Instant::ZERO, prefix(7), true)));
        assert!(!limiter.allows(Instant::ZERO, prefix(7), true));
    }

    #[test]
    fn the_rate_holds_over_time() {
        let mut limiter: RateLimiter<4> = started(10);
        let allowed = (0..10_000).filter(|ms| limiter.allows(Instant::from_millis(*ms), prefix(1), true)).count();
        assert!((110..=121).contains(&allowed), "{allowed} in ten seconds");
    }

    #[test]
    fn a_clock_set_back_locks_nobody_out() {
        let mut limiter: RateLimiter<1> = started(1);
        assert!(limiter.allows(Instant::from_secs(1_000), prefix(1), true));
        assert!(limiter.allows(Instant::from_secs(1), prefix(1), true));
    }

    #[test]
    fn exempt_prefixes_and_a_table_without_room_are_not_limited() {
        let mut limiter: RateLimiter<0> = started(1);
        assert!((0..100).all(|_| limiter.allows(Instant::ZERO, prefix(1), false)));
        let mut limiter: RateLimiter<1> = started(1);
        assert!((0..100).all(|_| limiter.allows(Instant::ZERO, None, false)));
    }
}
