//! Time: instants from the caller's clock, and round trips.

use core::ops::Add;
use core::time::Duration;

/// A point in time: microseconds since an origin that the caller chooses.
///
/// kadlet reads no clock. The origin can be the boot of a board or the start of a process, but must stay the same while
/// a node runs. All arithmetic saturates, so a clock that stands still, jumps or reaches its end is harmless.
///
/// ```
/// use core::time::Duration;
/// use kadlet::Instant;
///
/// let start = Instant::from_millis(1_500);
/// let later = start + Duration::from_secs(2);
/// assert_eq!(later.since(start), Duration::from_secs(2));
/// assert_eq!(start.since(later), Duration::ZERO);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// The origin.
    pub const ZERO: Self = Self(0);
    /// A time that never comes.
    pub const NEVER: Self = Self(u64::MAX);

    /// The instant `micros` microseconds after the origin.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// The instant `millis` milliseconds after the origin.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1_000))
    }

    /// The instant `secs` seconds after the origin.
    #[must_use]
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(1_000_000))
    }

    /// Microseconds since the origin.
    #[must_use]
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// Whole milliseconds since the origin.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0 / 1_000
    }

    /// The time since `earlier`, or zero if `earlier` is later than this instant.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        self.micros_since(earlier).duration()
    }

    /// The same in the core's own unit.
    #[must_use]
    #[inline(never)]
    pub(crate) const fn micros_since(self, earlier: Self) -> Micros {
        Micros(self.0.saturating_sub(earlier.0))
    }

    /// Whether a deadline has been reached. Always false for [`NEVER`](Self::NEVER).
    pub(crate) fn is_due(self, now: Self) -> bool {
        self <= now && self != Self::NEVER
    }

    /// Whole seconds since the origin in 32 bits, as tables keep them. Saturates after 136 years.
    #[must_use]
    pub(crate) const fn stamp(self) -> u32 {
        Micros(self.0).secs()
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    #[inline(never)]
    fn add(self, wait: Duration) -> Self {
        self + Micros::of(wait)
    }
}

impl Add<Micros> for Instant {
    type Output = Self;

    #[inline(never)]
    fn add(self, wait: Micros) -> Self {
        Self(self.0.saturating_add(wait.0))
    }
}

/// A number of whole microseconds: the core's own unit of time. A `Duration` has seconds and nanoseconds in separate
/// fields, which costs a microcontroller long multiplications and divisions. Saturates after 585,000 years.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Micros(pub(crate) u64);

impl Micros {
    pub(crate) const ZERO: Self = Self(0);

    pub(crate) const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1_000))
    }

    pub(crate) const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(1_000_000))
    }

    /// A `Duration` in whole microseconds, rounded down.
    #[inline(never)]
    pub(crate) const fn of(duration: Duration) -> Self {
        Self(duration.as_secs().saturating_mul(1_000_000).saturating_add(duration.subsec_micros() as u64))
    }

    #[inline(never)]
    pub(crate) const fn duration(self) -> Duration {
        Duration::from_micros(self.0)
    }

    pub(crate) const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// Whole milliseconds.
    pub(crate) const fn millis(self) -> u64 {
        self.0 / 1_000
    }

    /// Whole seconds in 32 bits. Saturates after 136 years.
    #[inline(never)]
    pub(crate) const fn secs(self) -> u32 {
        let secs = self.0 / 1_000_000;
        if secs > u32::MAX as u64 { u32::MAX } else { secs as u32 }
    }
}

/// A smoothed round-trip time and its variation (RFC 6298), in four bytes: each in tenths of a millisecond, up to 6.5
/// s.
///
/// ```
/// use core::time::Duration;
/// use kadlet::RoundTrip;
///
/// let mut trip = RoundTrip::UNKNOWN;
/// assert_eq!(trip.timeout(), None);
/// trip.sample(Duration::from_millis(20));
/// assert_eq!(trip.timeout(), Some(Duration::from_millis(60)));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RoundTrip {
    /// 0 if nothing was measured yet.
    smoothed: u16,
    variation: u16,
}

impl RoundTrip {
    /// No round trip was measured yet.
    pub const UNKNOWN: Self = Self { smoothed: 0, variation: 0 };

    /// Adds a measured round trip. The round trip of a request that was retransmitted must be left out (Karn's
    /// algorithm).
    pub fn sample(&mut self, rtt: Duration) {
        let rtt = u32::try_from(Micros::of(rtt).0).unwrap_or(u32::MAX) / 100;
        let rtt = u16::try_from(rtt).unwrap_or(u16::MAX).max(1);
        if self.smoothed == 0 {
            *self = Self { smoothed: rtt, variation: rtt / 2 };
            return;
        }
        let blend = |old: u16, new: u16, weight: u32| {
            let sum = u32::from(old) * (weight - 1) + u32::from(new) + weight / 2;
            u16::try_from(sum / weight).unwrap_or(u16::MAX)
        };
        self.variation = blend(self.variation, self.smoothed.abs_diff(rtt), 4);
        self.smoothed = blend(self.smoothed, rtt, 8).max(1);
    }

    /// The smoothed round-trip time, if one was measured.
    #[must_use]
    pub fn smoothed(&self) -> Option<Duration> {
        (self.smoothed != 0).then(|| Duration::from_micros(u64::from(self.smoothed) * 100))
    }

    /// How long to wait for a response: the smoothed round-trip time plus four times its variation, if one was
    /// measured.
    #[must_use]
    pub fn timeout(&self) -> Option<Duration> {
        let tenths = u64::from(self.smoothed) + 4 * u64::from(self.variation);
        (self.smoothed != 0).then(|| Duration::from_micros(tenths * 100))
    }
}
