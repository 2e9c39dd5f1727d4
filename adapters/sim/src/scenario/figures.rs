//! What is measured.

use core::time::Duration;

use kadlet::QueryStats;
use serde::Serialize;

use crate::network::Counts;

/// The figures of one run. The same specification always gives the same figures, but for `wall_seconds` and
/// `peak_memory_bytes`.
///
/// A lookup is evaluated when it ends: it is right if it found a node that was responsible for its target at some
/// instant of the lookup. A lookup whose requester died is not evaluated. Fractions are 0 to 1.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Figures {
    /// The fraction of lookups that were right.
    pub success: f64,
    /// How many lookups were evaluated.
    pub lookups: u64,
    /// How many of them were wrong.
    pub wrong: u64,
    /// How many steps the closest node was from the requester, on average. The contacts in the requester's own table
    /// are at 1.
    pub depth_mean: f64,
    /// The most steps.
    pub depth_max: u8,
    /// The fraction of lookups that fell back to iterative ones, because a relay request got no response in time.
    pub fell_back: f64,
    /// The fraction of lookups that were right and did not fall back.
    pub success_without_fallback: f64,
    /// Requests of a lookup, on average, without retransmissions.
    pub rpcs_mean: f64,
    /// Datagrams of a lookup, on average, sent by any node: requests, responses and retransmissions.
    pub datagrams_mean: f64,
    /// Bytes of UDP payload in them.
    pub bytes_mean: f64,
    /// Those of these datagrams that the requester sent or received.
    pub requester_datagrams_mean: f64,
    /// Bytes of UDP payload in them.
    pub requester_bytes_mean: f64,
    /// Nodes that did not respond to a lookup, on average.
    pub timeouts_mean: f64,
    /// The time that a lookup takes, in milliseconds: the median.
    pub latency_p50_ms: f64,
    /// The 95th percentile.
    pub latency_p95_ms: f64,
    /// The 99th percentile.
    pub latency_p99_ms: f64,
    /// The time that all lookups took, over the round-trip times between the requesters and the nodes that they found.
    pub delay_stretch: f64,
    /// Bytes of UDP payload that a node sent in a second for any other reason than a lookup.
    pub maintenance_bytes_per_node_second: f64,
    /// Datagrams that a node sent in a second for any other reason than a lookup.
    pub maintenance_messages_per_node_second: f64,
    /// Records that were put, and that no get found at the end.
    pub records_lost: u64,
    /// The requests that the busiest node served, over the mean of all nodes.
    pub load_max_over_mean: f64,
    /// Records that were put.
    pub records: u64,
    /// Live nodes that had not joined at the end.
    pub not_joined: u64,
    /// The seconds until the network had converged again, in scenarios that measure it; `None` in others, or if it
    /// never had.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub converged_seconds: Option<f64>,
    /// How often an invariant was violated. Anything but 0 is a fault of kadlet.
    pub violations: u64,
    /// The first of these violations, in words.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub violated: Vec<String>,
    /// The seed.
    pub seed: u64,
    /// The real time that the run took, in seconds.
    pub wall_seconds: f64,
    /// The most memory that the process had up to the end of the run; 0 on other systems than Linux.
    pub peak_memory_bytes: u64,
}

/// The most memory that this process ever had, as Linux counts it; 0 on other systems.
#[must_use]
pub fn peak_memory_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0) * 1_024
}

/// The lookups that were evaluated.
#[derive(Debug, Default)]
pub(super) struct LookupTally {
    lookups: u64,
    right: u64,
    depth: u64,
    depth_max: u8,
    fell_back: u64,
    right_without_fallback: u64,
    asked: u64,
    timed_out: u64,
    latencies: Vec<Duration>,
    /// The time of all lookups that found a node, and of one round trip to each of these nodes.
    found: Duration,
    direct: Duration,
}

impl LookupTally {
    /// Adds a lookup. `direct` is the round-trip time to the node that it found.
    pub(super) fn add(&mut self, stats: &QueryStats, right: bool, direct: Option<Duration>) {
        self.lookups += 1;
        self.right += u64::from(right);
        let depth = if stats.hops > 0 { stats.hops } else { stats.depth };
        self.depth += u64::from(depth);
        self.depth_max = self.depth_max.max(depth);
        self.fell_back += u64::from(stats.fell_back);
        self.right_without_fallback += u64::from(right && !stats.fell_back);
        self.asked += u64::from(stats.asked);
        self.timed_out += u64::from(stats.timed_out);
        self.latencies.push(stats.took);
        if let Some(direct) = direct {
            self.found += stats.took;
            self.direct += direct;
        }
    }

    /// How many lookups were added.
    pub(super) const fn evaluated(&self) -> u64 {
        self.lookups
    }

    pub(super) fn figures(mut self, counts: &Counts) -> Figures {
        self.latencies.sort_unstable();
        let per_lookup = |sum: u64| ratio(sum as f64, self.lookups as f64);
        let percentile = |fraction: f64| {
            let rank = (self.latencies.len() as f64 * fraction).ceil() as usize;
            self.latencies.get(rank.saturating_sub(1)).map_or(0.0, |latency| latency.as_micros() as f64 / 1e3)
        };
        let node_seconds = counts.node_micros as f64 / 1e6;
        Figures {
            success: per_lookup(self.right),
            lookups: self.lookups,
            wrong: self.lookups - self.right,
            depth_mean: per_lookup(self.depth),
            depth_max: self.depth_max,
            fell_back: per_lookup(self.fell_back),
            success_without_fallback: per_lookup(self.right_without_fallback),
            rpcs_mean: per_lookup(self.asked),
            datagrams_mean: per_lookup(counts.test_datagrams),
            bytes_mean: per_lookup(counts.test_bytes),
            requester_datagrams_mean: per_lookup(counts.requester_datagrams),
            requester_bytes_mean: per_lookup(counts.requester_bytes),
            timeouts_mean: per_lookup(self.timed_out),
            latency_p50_ms: percentile(0.5),
            latency_p95_ms: percentile(0.95),
            latency_p99_ms: percentile(0.99),
            delay_stretch: ratio(self.found.as_micros() as f64, self.direct.as_micros() as f64),
            maintenance_bytes_per_node_second: ratio(counts.maintenance_bytes as f64, node_seconds),
            maintenance_messages_per_node_second: ratio(counts.maintenance_datagrams as f64, node_seconds),
            ..Figures::default()
        }
    }
}

fn ratio(sum: f64, of: f64) -> f64 {
    if of == 0.0 { 0.0 } else { sum / of }
}
