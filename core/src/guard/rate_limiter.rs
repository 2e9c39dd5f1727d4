//! Rate limiter: how many requests per second one address prefix can send, in a table of fixed size.
//!
//! Each prefix has two lanes. The proved lane is for requests with a valid token, whose source address is known to be
//! right. The unproved lane is for all other requests, and a flood from forged addresses can exhaust only this one.
//! Each lane is a leaky bucket, kept as one number: the instant at which it will be empty (the generic cell rate
//! algorithm of ITU-T I.371).

use core::ops::{Deref, DerefMut};

use crate::address::Prefix;
use crate::config_error::{ConfigError, Unit};
use crate::time::{Instant, Micros};

/// A rate limiter for `N` prefixes in each lane. If more prefixes are active, the one whose bucket is empty first
/// is forgotten.
///
/// ```
/// use core::net::SocketAddrV4;
/// use kadlet::guard::RateLimiter;
/// use kadlet::{Address, Instant};
///
/// let mut limiter: RateLimiter<16> = RateLimiter::EMPTY;
/// limiter.start(10)?;
/// let requester: SocketAddrV4 = "192.0.2.1:4000".parse()?;
/// let prefix = requester.prefix();
/// let allowed = |limiter: &mut RateLimiter<16>, at| (0..100).filter(|_| limiter.allows(at, prefix, false)).count();
/// assert_eq!(allowed(&mut limiter, Instant::ZERO), 20, "a burst of twice the rate");
/// assert_eq!(allowed(&mut limiter, Instant::from_secs(1)), 10, "then the rate");
/// assert!(limiter.allows(Instant::from_secs(1), prefix, true), "the proved lane has a bucket of its own");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub type RateLimiter<const N: usize> = RateLimiterInner<[[Bucket; 2]; N]>;

/// A [`RateLimiter`] with any bound. Its methods are compiled once for all bounds.
pub type RateLimiterView = RateLimiterInner<[[Bucket; 2]]>;

/// The type behind [`RateLimiter`] and [`RateLimiterView`]. The buckets are its last field, so that they can be
/// unsized.
#[derive(Debug)]
pub struct RateLimiterInner<B: ?Sized> {
    /// How much later a bucket is empty after each request.
    cost: Micros,
    /// At each index, a bucket of the unproved lane and one of the proved lane. Their prefixes can differ.
    buckets: B,
}

/// The bucket of one prefix in one lane.
#[derive(Clone, Copy, Debug)]
pub struct Bucket {
    prefix: u64,
    empty_at: Instant,
}

/// A burst can have as many requests as the rate allows in this time.
const BURST: Micros = Micros::from_secs(2);

impl<const N: usize> RateLimiter<N> {
    /// All zeros: allows everything until it is started.
    pub const EMPTY: Self = Self { cost: Micros::ZERO, buckets: [[Bucket::EMPTY; 2]; N] };
}

impl<const N: usize> Deref for RateLimiter<N> {
    type Target = RateLimiterView;

    fn deref(&self) -> &RateLimiterView {
        self
    }
}

impl<const N: usize> DerefMut for RateLimiter<N> {
    fn deref_mut(&mut self) -> &mut RateLimiterView {
        self
    }
}

impl RateLimiterView {
    /// Forgets everything and begins with `rate` requests per second for each prefix in each lane, with bursts of twice
    /// as many.
    ///
    /// # Errors
    ///
    /// [`ConfigError`]: the rate is 0. The rate limiter is as it was.
    pub fn start(&mut self, rate: u16) -> Result<(), ConfigError> {
        ConfigError::check("rate", rate.into(), 1, u16::MAX.into(), Unit::One)?;
        self.restart(rate);
        Ok(())
    }

    /// The same, with a rate that the caller has checked.
    pub(crate) fn restart(&mut self, rate: u16) {
        self.cost = Micros(u64::from(1_000_000_u32.checked_div(rate.into()).unwrap_or(0)));
        self.buckets.fill([Bucket::EMPTY; 2]);
    }

    /// Whether a request from `prefix` is within the rate. If so, it is counted. `None` is exempt.
    pub fn allows(&mut self, now: Instant, prefix: Option<Prefix>, proved: bool) -> bool {
        let Some(prefix) = prefix else {
            return true;
        };
        let (prefix, cost) = (prefix.number(), self.cost);
        let lane = usize::from(proved);
        // The bucket of this prefix, or else the one that is empty first.
        let (mut chosen, mut first) = (0, Instant::NEVER);
        for (index, buckets) in self.buckets.iter().enumerate() {
            let Some(bucket) = buckets.get(lane) else { continue };
            if bucket.prefix == prefix {
                chosen = index;
                break;
            }
            if bucket.empty_at < first {
                (chosen, first) = (index, bucket.empty_at);
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
        // A clock that was set back must not lock a prefix out.
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
    use std::string::ToString;

    fn prefix(number: u64) -> Option<Prefix> {
        Prefix::new(number)
    }

    fn started<const N: usize>(rate: u16) -> RateLimiter<N> {
        let mut limiter = RateLimiter::EMPTY;
        limiter.start(rate).unwrap();
        limiter
    }

    #[test]
    fn a_rate_of_0_is_refused() {
        let mut limiter: RateLimiter<1> = RateLimiter::EMPTY;
        assert_eq!(limiter.start(0).unwrap_err().to_string(), "rate is 0; it must be 1 to 65535");
    }

    #[test]
    fn a_flood_from_forged_addresses_leaves_the_proved_lane_open() {
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
    fn a_clock_that_is_set_back_locks_no_prefix_out() {
        let mut limiter: RateLimiter<1> = started(1);
        assert!(limiter.allows(Instant::from_secs(1_000), prefix(1), true));
        assert!(limiter.allows(Instant::from_secs(1), prefix(1), true));
    }

    #[test]
    fn sources_without_a_prefix_are_exempt_and_a_table_of_size_0_limits_nothing() {
        let mut limiter: RateLimiter<0> = started(1);
        assert!((0..100).all(|_| limiter.allows(Instant::ZERO, prefix(1), false)));
        let mut limiter: RateLimiter<1> = started(1);
        assert!((0..100).all(|_| limiter.allows(Instant::ZERO, None, false)));
    }
}
