//! A time as a table keeps it: a whole second in four bytes.

use crate::time::Instant;

/// The second at which something is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Stamp(u32);

impl Stamp {
    pub(super) const ZERO: Self = Self(0);
    /// A second that never comes.
    pub(super) const NEVER: Self = Self(u32::MAX);

    /// The second that contains `instant`.
    pub(super) fn of(instant: Instant) -> Self {
        Self(instant.stamp())
    }

    /// When the second begins.
    pub(super) fn instant(self) -> Instant {
        Instant::from_stamp(self.0)
    }

    pub(super) fn has_come(self, now: Instant) -> bool {
        self.instant().is_due(now)
    }
}
