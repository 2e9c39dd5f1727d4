//! Rate limiter: how many requests per second one address prefix can send, in a table of fixed size.
//!
//! Each prefix has two lanes. The proved lane is for requests with a valid token, whose source address is known to be
//! right. The unproved lane is for all other requests, and a flood from forged addresses can exhaust only this one.
//! Each lane is a leaky bucket, kept as one number: the instant at which it will be empty (the generic cell rate
//! algorithm of ITU-T I.371).
//!
//! A bucket of a prefix that is not in the table is taken from another prefix, with all that is in it, so that nobody
//! gets more by sending from more prefixes than the table holds. All prefixes together share one more bucket in each
//! lane. A check of a signature costs as much as a hundred responses: it counts as several requests of its prefix, and
//! checks have one more bucket that all prefixes share.
//!
//! This does not defend against an attacker with as many address prefixes as fill the buckets that all share.

use core::ops::{Deref, DerefMut};

use crate::address::Prefix;
use crate::config_error::{ConfigError, Unit};
use crate::time::{Instant, Micros};

/// A rate limiter for `N` prefixes in each lane. If more prefixes are active, the one whose bucket is empty first
/// is forgotten, and another one inherits the bucket.
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
pub type RateLimiter<const N: usize> = RateLimiterInner<[Source; N]>;

/// A [`RateLimiter`] with any bound. Its methods are compiled once for all bounds.
pub type RateLimiterView = RateLimiterInner<[Source]>;

/// The type behind [`RateLimiter`] and [`RateLimiterView`]. The buckets are its last field, so that they can be
/// unsized.
#[derive(Debug)]
pub struct RateLimiterInner<B: ?Sized> {
    /// How many microseconds later a bucket is empty after each request.
    cost: u32,
    /// When the buckets that all prefixes share are empty: one for each lane, and one for checks of signatures.
    all: [Instant; 3],
    buckets: B,
}

/// A bucket of each lane. Their prefixes can differ.
#[derive(Clone, Copy, Debug)]
pub struct Source([Bucket; 2]);

/// The bucket of one prefix in one lane.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    prefix: u64,
    empty_at: Instant,
}

/// The shared bucket of checks of signatures, after those of the two lanes.
const CHECKS: usize = 2;

/// A burst can have as many requests as the rate allows in this many microseconds.
const BURST: u32 = 2_000_000;

/// All prefixes together can send this many times as much as one.
const ALL: u32 = 16;

/// A check of a signature counts as this many requests of its prefix.
const CHECK: u32 = 8;

/// All prefixes together can cause one check of a signature for this many requests that one of them can send.
const ALL_CHECKS: u32 = 4;

impl<const N: usize> RateLimiter<N> {
    /// All zeros: allows everything until it is started.
    pub const EMPTY: Self = Self { cost: 0, all: [Instant::ZERO; 3], buckets: [Source::EMPTY; N] };
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
        self.cost = 1_000_000_u32.checked_div(rate.into()).unwrap_or(0);
        self.all = [Instant::ZERO; 3];
        self.buckets.fill(Source::EMPTY);
    }

    /// Whether a request from `prefix` is within its rate and that of all prefixes. If so, it is counted. `None` is
    /// exempt.
    pub fn allows(&mut self, now: Instant, prefix: Option<Prefix>, proved: bool) -> bool {
        prefix.is_none_or(|prefix| self.fill(now, prefix.number(), usize::from(proved)))
    }

    /// Whether the check of a signature, for a request with a valid token from `prefix`, is within the rate of its
    /// prefix, where it counts as 8 requests, and that of all checks: a quarter of the rate of requests of one prefix.
    /// If so, it is counted. `None` is exempt.
    pub fn allows_check(&mut self, now: Instant, prefix: Option<Prefix>) -> bool {
        prefix.is_none_or(|prefix| self.fill(now, prefix.number(), CHECKS))
    }

    /// Fills a shared bucket and that of a prefix in the same lane, if both have room. If the prefix has no bucket, it
    /// takes over the one that is empty first, with what is in it.
    #[inline(never)]
    fn fill(&mut self, now: Instant, prefix: u64, shared: usize) -> bool {
        // Checks are in the proved lane. At the lowest rates, one takes a whole burst.
        let (lane, cost, shared_cost) = match shared {
            CHECKS => (1, (self.cost * CHECK).min(BURST), (self.cost * ALL_CHECKS).min(BURST)),
            // Rounded up: at the highest rates, the rest would be most of it.
            _ => (shared, self.cost, self.cost.div_ceil(ALL)),
        };
        let (mut chosen, mut first) = (0, Instant::NEVER);
        for (index, Source(lanes)) in self.buckets.iter().enumerate() {
            let Some(bucket) = lanes.get(lane) else { continue };
            if bucket.prefix == prefix {
                chosen = index;
                break;
            }
            if bucket.empty_at < first {
                (chosen, first) = (index, bucket.empty_at);
            }
        }
        let bucket = self.buckets.get_mut(chosen).and_then(|source| source.0.get_mut(lane));
        let Some((bucket, all)) = bucket.zip(self.all.get_mut(shared)) else {
            return true;
        };
        let (own, all_together) = (level(now, bucket.empty_at) + cost, level(now, *all) + shared_cost);
        let within = own.max(all_together) <= BURST;
        if within {
            *bucket = Bucket { prefix, empty_at: now + Micros(own.into()) };
            *all = now + Micros(all_together.into());
        }
        within
    }
}

/// How many microseconds it takes until a bucket is empty.
fn level(now: Instant, empty_at: Instant) -> u32 {
    // A clock that was set back must not lock a prefix out.
    let level = empty_at.micros_since(now).0;
    if level > BURST.into() { 0 } else { level as u32 }
}

impl Source {
    const EMPTY: Self = Self([Bucket::EMPTY; 2]);
}

impl Bucket {
    const EMPTY: Self = Self { prefix: 0, empty_at: Instant::ZERO };
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
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
    fn prefixes_beyond_the_table_get_no_more_than_the_prefixes_in_it() {
        for prefixes in [4, 5, 17, 64, 1_000] {
            let mut limiter: RateLimiter<4> = started(10);
            let mut allowed = 0;
            for ms in 0..10_000 {
                for turn in 0..4 {
                    let sender = prefix(1 + (ms * 4 + turn) % prefixes);
                    allowed += usize::from(limiter.allows(Instant::from_millis(ms), sender, true));
                }
            }
            assert!(allowed <= 4 * 10 * (10 + 2), "{allowed} of {prefixes} prefixes");
        }
    }

    #[test]
    fn all_prefixes_together_have_sixteen_times_the_rate_of_one() {
        let mut limiter: RateLimiter<200> = started(10);
        let allowed = (0..20_000_u64)
            .filter(|n| limiter.allows(Instant::from_micros(n * 500), prefix(1 + n % 200), true))
            .count();
        assert!((1_600..=16 * 10 * (10 + 2) + 1).contains(&allowed), "{allowed} in ten seconds");
    }

    #[test]
    fn checks_of_signatures_have_a_rate_of_their_own() {
        // Each of the prefixes sends 20 requests a second for ten seconds, all of which need a check.
        let checks = |prefixes: u64| {
            let mut limiter: RateLimiter<16> = started(64);
            let times =
                (0..200 * prefixes).map(|n| (Instant::from_micros(n * 50_000 / prefixes), prefix(1 + n % prefixes)));
            times
                .filter(|(now, prefix)| limiter.allows(*now, *prefix, true) && limiter.allows_check(*now, *prefix))
                .count()
        };
        let (one, many) = (checks(1), checks(16));
        assert!((69..=71).contains(&one), "{one} of one prefix: 768 requests, less the 200 that were sent, by eight");
        assert!((160..=16 * (10 + 2) + 1).contains(&many), "{many} of sixteen prefixes");
        let mut limiter: RateLimiter<16> = started(1);
        assert!(limiter.allows_check(Instant::ZERO, prefix(1)), "at the lowest rate too");
        assert!(!limiter.allows_check(Instant::ZERO, prefix(1)));
        assert!((0..9).all(|_| limiter.allows_check(Instant::ZERO, None)), "a source without a prefix is exempt");
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

    #[test]
    fn all_prefixes_together_are_limited_at_high_rates_too() {
        let rate = 33_000;
        let mut limiter: RateLimiter<24> = started(rate);
        let burst = 2 * usize::from(rate);
        let allowed = |limiter: &mut RateLimiter<24>, n| {
            (0..burst).filter(|_| limiter.allows(Instant::ZERO, prefix(n), true)).count()
        };
        let all: usize = (1..=24).map(|n| allowed(&mut limiter, n)).sum();
        assert!(4 * all <= 5 * 16 * burst, "{all} of 24 prefixes at once");
    }

    proptest! {
        /// However many prefixes send, and however they take turns: neither one of them, nor as many as the table
        /// holds, get more than a quarter more than their rate allows, after a burst of twice the rate.
        #[test]
        fn no_prefix_and_no_number_of_prefixes_gets_more_than_its_rate(
            rate in 1_u16..100,
            prefixes in 1_u64..40,
            turns in proptest::collection::vec((0_u64..40, 1_u64..60, 0_u64..400), 1..200),
        ) {
            let mut limiter: RateLimiter<4> = started(rate);
            let (mut ms, mut of_one) = (0, [0_u64; 40]);
            for (sender, requests, pause) in turns {
                ms += pause;
                let sender = sender % prefixes;
                let within = |_: &u64| limiter.allows(Instant::from_millis(ms), prefix(1 + sender), true);
                of_one[sender as usize] += (0..requests).filter(within).count() as u64;
                // 1.25 times the requests of the time since the start, and of a burst.
                let most = u64::from(rate) * (ms + 2_000) * 5 / 4 / 1_000;
                prop_assert!(of_one[sender as usize] <= most, "{:?} in {} ms, {} are allowed", of_one, ms, most);
                let all = of_one.iter().sum::<u64>();
                prop_assert!(all <= 4 * most, "{} in {} ms, 4 * {} are allowed", all, ms, most);
            }
        }
    }
}
