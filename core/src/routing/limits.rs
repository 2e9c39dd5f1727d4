//! Limits of a table: how many contacts it takes, and how often it maintains itself.

use core::time::Duration;

/// The part of the configuration that a table needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Contacts in a k-bucket, and replicas of a record: 1 to 32; 8 by default.
    pub k: u8,
    /// The neighbourhood is checked this long after a change: 30 s by default.
    pub neighbourhood_min: Duration,
    /// While nothing changes, each wait until the next check is three times the last, up to this: 15 minutes by
    /// default.
    pub neighbourhood_max: Duration,
    /// A part of the table that no lookup touched for this long is refreshed: 1 hour by default (the Kademlia paper's
    /// tRefresh).
    pub refresh: Duration,
    /// A contact that was silent for this long is asked whether it is still there: 30 minutes by default.
    pub quiet: Duration,
    /// Contacts of one address prefix in a bucket: 2 by default.
    pub per_prefix_in_bucket: u8,
    /// Contacts of one address prefix in the table: 10 by default.
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
    pub(super) const MAX_K: usize = 32;

    /// k in a table of `contacts` places: 1 to [`MAX_K`](Self::MAX_K), and no more than there are places.
    pub(super) fn replicas(&self, contacts: usize) -> usize {
        usize::from(self.k).clamp(1, Self::MAX_K).min(contacts)
    }

    /// How many contacts of one address prefix are taken into a bucket and into the table: at least one each.
    pub(super) fn per_prefix(&self) -> (u8, u8) {
        (self.per_prefix_in_bucket.max(1), self.per_prefix_in_table.max(1))
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}
