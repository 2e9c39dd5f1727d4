//! What one network prefix may ask of us, in a table of fixed size.
//!
//! Each prefix has two lanes: one for requests that showed a valid token, so that their source is known to be true, and one for
//! those that didn't. Whoever forges sources can exhaust only the second. Each lane is a leaky bucket, kept as the one instant at
//! which it would be empty (the generic cell rate algorithm of ITU-T I.371).

use crate::time::Micros;
use crate::{Group, Instant};

/// Budgets for `SOURCES` prefixes in each lane; where more are active, the least active one's debt is forgotten.
///
/// ```
/// use core::net::SocketAddrV4;
/// use kadlet::budget::Budget;
/// use kadlet::{Address, Instant};
///
/// let mut budget: Budget<16> = Budget::EMPTY;
/// budget.start(10);
/// let asker: SocketAddrV4 = "192.0.2.1:4000".parse()?;
/// let taken = (0..100).filter(|_| budget.take(Instant::ZERO, asker.group(), false)).count();
/// assert_eq!(taken, 20, "a burst of twice the rate");
/// assert!(budget.take(Instant::from_secs(1), asker.group(), false), "and on from there at the rate");
/// assert!(budget.take(Instant::ZERO, asker.group(), true), "the proved lane is its own");
/// # Ok::<(), core::net::AddrParseError>(())
/// ```
#[derive(Debug)]
pub struct Budget<const SOURCES: usize> {
    /// What one request costs of a bucket's time.
    cost: Micros,
    unproved: [Bucket; SOURCES],
    proved: [Bucket; SOURCES],
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    group: u64,
    empty_at: Instant,
}

/// A burst is so many seconds' worth of requests.
const BURST: Micros = Micros::from_secs(2);

impl<const SOURCES: usize> Budget<SOURCES> {
    /// All zeros: takes everything until it is started.
    pub const EMPTY: Self = Self { cost: Micros::ZERO, unproved: [Bucket::EMPTY; SOURCES], proved: [Bucket::EMPTY; SOURCES] };

    /// Begins with `rate` requests a second for each prefix (at least 1) in each lane, and bursts of twice as many.
    pub fn start(&mut self, rate: u16) {
        self.cost = Micros(u64::from(1_000_000 / u32::from(rate.max(1))));
        self.unproved.fill(Bucket::EMPTY);
        self.proved.fill(Bucket::EMPTY);
    }

    /// Whether a request from `group` is within its budget, which it is then charged to. `None` is exempt.
    pub fn take(&mut self, now: Instant, group: Option<Group>, proved: bool) -> bool {
        let lane: &mut [Bucket] = if proved { &mut self.proved } else { &mut self.unproved };
        let Some(group) = group else {
            return true;
        };
        let group = group.number();
        let bucket = match lane.iter().position(|bucket| bucket.group == group) {
            Some(known) => lane.get_mut(known),
            None => lane.iter_mut().min_by_key(|bucket| bucket.empty_at),
        };
        let Some(bucket) = bucket else {
            return true;
        };
        if bucket.group != group {
            *bucket = Bucket { group, empty_at: now };
        }
        bucket.take(now, self.cost)
    }
}

impl Bucket {
    const EMPTY: Self = Self { group: 0, empty_at: Instant::ZERO };

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

    fn group(number: u64) -> Option<Group> {
        Group::new(number)
    }

    fn started<const SOURCES: usize>(rate: u16) -> Budget<SOURCES> {
        let mut budget = Budget::EMPTY;
        budget.start(rate);
        budget
    }

    #[test]
    fn a_flood_of_forged_sources_leaves_the_proved_lane_open() {
        let mut budget: Budget<4> = started(10);
        for forged in 1..10_000 {
            budget.take(Instant::ZERO, group(forged), false);
        }
        assert!((0..20).all(|_| budget.take(Instant::ZERO, group(7), true)));
        assert!(!budget.take(Instant::ZERO, group(7), true));
    }

    #[test]
    fn the_rate_holds_over_time() {
        let mut budget: Budget<4> = started(10);
        let taken = (0..10_000).filter(|ms| budget.take(Instant::from_millis(*ms), group(1), true)).count();
        assert!((110..=121).contains(&taken), "{taken} in ten seconds");
    }

    #[test]
    fn a_clock_set_back_locks_nobody_out() {
        let mut budget: Budget<1> = started(1);
        assert!(budget.take(Instant::from_secs(1_000), group(1), true));
        assert!(budget.take(Instant::from_secs(1), group(1), true));
    }

    #[test]
    fn exempt_sources_and_a_table_without_room_take_everything() {
        let mut budget: Budget<0> = started(1);
        assert!((0..100).all(|_| budget.take(Instant::ZERO, group(1), false)));
        let mut budget: Budget<1> = started(1);
        assert!((0..100).all(|_| budget.take(Instant::ZERO, None, false)));
    }
}
