//! What was measured.

use core::time::Duration;

use kadlet::QueryStats;
use serde::Serialize;

use crate::Counts;

/// The figures of one history. Times and memory apart, they are the same in every run of the same specification.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Figures {
    /// The part of all lookups that was right: 0 to 1.
    pub success: f64,
    /// How many lookups were judged; those whose asker died are not.
    pub lookups: u64,
    /// How many of them were wrong.
    pub wrong: u64,
    /// How many steps the closest was from the asker's table, whose contacts are at 1.
    pub depth_mean: f64,
    /// The most such steps.
    pub depth_max: u8,
    /// The part of the lookups that went on iteratively, because they were to be recursive and were not answered in time.
    pub fell_back: f64,
    /// The part that was right, and did not.
    pub success_alone: f64,
    /// Requests of one lookup, repeats not counted.
    pub rpcs_mean: f64,
    /// Datagrams of one lookup, answers and repeats included.
    pub datagrams_mean: f64,
    /// UDP payload in them.
    pub bytes_mean: f64,
    /// Of these datagrams, those that the asker sent or got.
    pub requester_datagrams_mean: f64,
    /// UDP payload in them.
    pub requester_bytes_mean: f64,
    /// Nodes that did not answer one lookup.
    pub timeouts_mean: f64,
    /// How long lookups took: half of them no longer.
    pub latency_p50_ms: f64,
    /// 95 % of them.
    pub latency_p95_ms: f64,
    /// 99 % of them.
    pub latency_p99_ms: f64,
    /// How long lookups took, over the round trip between those who asked and those whom they found.
    pub delay_stretch: f64,
    /// UDP payload that no test lookup caused, that each node sent.
    pub maintenance_bytes_per_node_second: f64,
    /// Datagrams that no test lookup caused, that each node sent.
    pub maintenance_messages_per_node_second: f64,
    /// Records that were put and could not be got in the end.
    pub records_lost: u64,
    /// The requests of the node that got the most, over the mean.
    pub load_max_over_mean: f64,
    /// Records that were put.
    pub records: u64,
    /// Nodes that did not join, at the end.
    pub not_joined: u64,
    /// How long it took until the network was as it should be again, where that was measured; `None` if it never was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settled_seconds: Option<f64>,
    /// How often a check was violated: 0, or kadlet is wrong.
    pub violations: u64,
    /// The first of these, in words.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub violated: Vec<String>,
    /// The seed.
    pub seed: u64,
    /// How long it took to compute.
    pub wall_seconds: f64,
    /// The most memory that the process ever had; 0 where only Linux could tell.
    pub peak_memory_bytes: u64,
}

/// The lookups that were judged.
#[derive(Debug, Default)]
pub(super) struct Tally {
    lookups: u64,
    right: u64,
    depth: u64,
    depth_max: u8,
    fell_back: u64,
    alone: u64,
    asked: u64,
    timed_out: u64,
    latencies: Vec<Duration>,
    /// How long those took together that found somebody, and how long asking these directly takes.
    found: Duration,
    direct: Duration,
}

impl Tally {
    /// A lookup ended; `direct` is what a round trip takes to whom it found.
    pub(super) fn add(&mut self, stats: &QueryStats, right: bool, direct: Option<Duration>) {
        self.lookups += 1;
        self.right += u64::from(right);
        let depth = if stats.hops > 0 { stats.hops } else { stats.depth };
        self.depth += u64::from(depth);
        self.depth_max = self.depth_max.max(depth);
        self.fell_back += u64::from(stats.fell_back);
        self.alone += u64::from(right && !stats.fell_back);
        self.asked += u64::from(stats.asked);
        self.timed_out += u64::from(stats.timed_out);
        self.latencies.push(stats.took);
        if let Some(direct) = direct {
            self.found += stats.took;
            self.direct += direct;
        }
    }

    pub(super) const fn judged(&self) -> u64 {
        self.lookups
    }

    pub(super) fn figures(mut self, counts: &Counts) -> Figures {
        self.latencies.sort_unstable();
        let of_lookups = |sum: u64| ratio(sum as f64, self.lookups as f64);
        let percentile = |part: f64| {
            let place = (self.latencies.len() as f64 * part).ceil() as usize;
            self.latencies.get(place.saturating_sub(1)).map_or(0.0, |latency| latency.as_micros() as f64 / 1e3)
        };
        let node_seconds = counts.node_micros as f64 / 1e6;
        Figures {
            success: of_lookups(self.right),
            lookups: self.lookups,
            wrong: self.lookups - self.right,
            depth_mean: of_lookups(self.depth),
            depth_max: self.depth_max,
            fell_back: of_lookups(self.fell_back),
            success_alone: of_lookups(self.alone),
            rpcs_mean: of_lookups(self.asked),
            datagrams_mean: of_lookups(counts.test_datagrams),
            bytes_mean: of_lookups(counts.test_bytes),
            requester_datagrams_mean: of_lookups(counts.requester_datagrams),
            requester_bytes_mean: of_lookups(counts.requester_bytes),
            timeouts_mean: of_lookups(self.timed_out),
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

/// The most memory that this process ever had, as Linux tells; 0 elsewhere.
#[must_use]
pub fn peak_memory_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0) * 1_024
}
