//! Measured round trips, and the timeout that follows from them (RFC 6298).

use core::time::Duration;

use crate::time::Micros;

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
        (self.smoothed != 0).then(|| tenths(self.smoothed.into()))
    }

    /// How long to wait for a response: the smoothed round-trip time plus four times its variation, if one was
    /// measured.
    #[must_use]
    pub fn timeout(&self) -> Option<Duration> {
        let sum = u32::from(self.smoothed) + 4 * u32::from(self.variation);
        (self.smoothed != 0).then(|| tenths(sum))
    }
}

/// As many tenths of a millisecond.
fn tenths(count: u32) -> Duration {
    Micros(u64::from(count) * 100).duration()
}
