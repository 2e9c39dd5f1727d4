//! Limits of a table: how many contacts it takes, and how often it maintains itself.

use core::time::Duration;

use crate::config_error::{ConfigError, Unit, secs};

/// The longest time in [`Limits`], in seconds. A schedule can compute all parts of it without overflow.
const LONGEST: u32 = 1 << 31;

/// The part of the configuration that a table needs. No time in it is longer than 2^31 s (68 years).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Contacts in a k-bucket, and holders of a record: 1 to 32, but not more than the table has places; 8 by default.
    pub k: u8,
    /// The neighbourhood is checked this long after a change: at least 1 s; 30 s by default.
    pub neighbourhood_min: Duration,
    /// While nothing changes, each wait until the next check is three times the last, up to this: at least
    /// `neighbourhood_min`; 15 minutes by default.
    pub neighbourhood_max: Duration,
    /// A part of the table that no lookup touched for this long is refreshed: at least 1 s; 1 hour by default (the
    /// Kademlia paper's tRefresh).
    pub refresh: Duration,
    /// A contact that was silent for this long is asked whether it is still there: at least 1 s; 30 minutes by default.
    pub quiet: Duration,
    /// Contacts of one address prefix in a bucket, or in a finger or cell, and among those that count in a lookup: at
    /// least 1; 2 by default.
    pub per_prefix_in_bucket: u8,
    /// Contacts of one address prefix in the table: at least 1; 10 by default. With 255 there is no limit, in a bucket
    /// neither. Where identifiers are [bound](crate::Config::bind_ids), the limits apply only while the table knows many
    /// prefixes.
    pub per_prefix_in_table: u8,
}

impl Limits {
    /// The defaults above.
    pub const DEFAULT: Self = Self {
        k: 8,
        neighbourhood_min: Duration::from_secs(30),
        neighbourhood_max: Duration::from_secs(15 * 60),
        refresh: Duration::from_secs(60 * 60),
        quiet: Duration::from_secs(30 * 60),
        per_prefix_in_bucket: 2,
        per_prefix_in_table: 10,
    };

    /// All zeros, for a table that was not started.
    pub(crate) const ZERO: Self = Self {
        k: 0,
        neighbourhood_min: Duration::ZERO,
        neighbourhood_max: Duration::ZERO,
        refresh: Duration::ZERO,
        quiet: Duration::ZERO,
        per_prefix_in_bucket: 0,
        per_prefix_in_table: 0,
    };

    /// The largest k, which bounds a bucket.
    pub const MAX_K: usize = 32;

    /// Checks that every limit is in its range, for a table of `contacts` places.
    ///
    /// # Errors
    ///
    /// [`ConfigError`]: a limit is out of its range.
    #[inline]
    pub fn check(&self, contacts: usize) -> Result<(), ConfigError> {
        let number = |field, value: u8, most| ConfigError::check(field, value.into(), 1, most, Unit::One);
        let time = |field, time, least| ConfigError::check(field, secs(time), least, LONGEST, Unit::Seconds);
        number("k", self.k, contacts.min(Self::MAX_K) as u32)?;
        time("neighbourhood_min", self.neighbourhood_min, 1)?;
        time("neighbourhood_max", self.neighbourhood_max, secs(self.neighbourhood_min))?;
        time("refresh", self.refresh, 1)?;
        time("quiet", self.quiet, 1)?;
        number("per_prefix_in_bucket", self.per_prefix_in_bucket, u8::MAX.into())?;
        number("per_prefix_in_table", self.per_prefix_in_table, u8::MAX.into())
    }

    /// How many contacts of one address prefix are taken into a bucket, and into the table.
    pub(super) fn per_prefix(&self) -> (u8, u8) {
        (self.per_prefix_in_bucket, self.per_prefix_in_table)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}
