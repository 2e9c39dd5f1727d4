//! Time: instants from the caller's clock.

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
        Micros(self.0).millis()
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
    #[inline(never)]
    pub(crate) fn is_due(self, now: Self) -> bool {
        self <= now && self != Self::NEVER
    }

    /// Whole seconds since the origin in 32 bits, as tables keep them. Saturates after 136 years.
    #[must_use]
    pub(crate) const fn stamp(self) -> u32 {
        Micros(self.0).secs()
    }

    /// When a [stamp](Self::stamp) begins. Never, if it is the last one.
    #[inline(never)]
    pub(crate) fn from_stamp(stamp: u32) -> Self {
        if stamp == u32::MAX { Self::NEVER } else { Self::from_secs(stamp.into()) }
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
        let secs = self.whole_secs();
        Duration::new(secs, (self.0 - secs * 1_000_000) as u32 * 1_000)
    }

    pub(crate) const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// Whole milliseconds.
    pub(crate) const fn millis(self) -> u64 {
        self.divided(1_000).0
    }

    /// Whole seconds in 32 bits. Saturates after 136 years.
    #[inline(never)]
    pub(crate) const fn secs(self) -> u32 {
        let secs = self.whole_secs();
        if secs > u32::MAX as u64 { u32::MAX } else { secs as u32 }
    }

    /// A second has 64 times 15,625 microseconds.
    const fn whole_secs(self) -> u64 {
        Self(self.0 / 64).divided(15_625).0
    }

    /// One of `parts` equal parts, rounded down. Microcontrollers don't divide 64 bits, and the compiler's own function
    /// for it takes 500 bytes. This is long division.
    #[inline(never)]
    pub(crate) const fn divided(self, parts: u16) -> Self {
        let (parts, high, low) = (parts as u32, (self.0 >> 32) as u32, self.0 as u32);
        let middle = ((high % parts) << 16) | (low >> 16);
        let last = ((middle % parts) << 16) | (low & 0xFFFF);
        Self((((high / parts) as u64) << 32) | (((middle / parts) << 16) | (last / parts)) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn long_division_gives_what_a_processor_gives(micros: u64, parts in 1..=u16::MAX, digits in 0..64_u32) {
            let span = Micros(micros >> digits);
            prop_assert_eq!(span.divided(parts).0, span.0 / u64::from(parts));
            prop_assert_eq!(span.duration(), Duration::from_micros(span.0));
            prop_assert_eq!(u64::from(span.secs()), (span.0 / 1_000_000).min(u32::MAX.into()));
        }
    }
}
