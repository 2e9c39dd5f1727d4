//! What is measured of an attack.

use core::time::Duration;

use kadlet::Kind;
use serde::Serialize;

/// The figures of one attack. The same specification always gives the same figures. Fractions are 0 to 1.
///
/// A get is right if it finds the record that was put last; of plain records, which any node may replace, if it finds
/// any value.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct AttackFigures {
    /// The fraction of all gets that were right.
    pub right: f64,
    /// The fraction of all gets that found another value than the one put last.
    pub wrong: f64,
    /// The fraction of all gets that found nothing.
    pub none: f64,
    /// The fraction of the gets of plain records that found a value.
    pub right_plain: f64,
    /// The fraction of the gets of immutable records that were right.
    pub right_immutable: f64,
    /// The fraction of the gets of signed records that were right.
    pub right_signed: f64,
    /// The fraction of the gets of signed records that found an old version.
    pub old_signed: f64,
    /// How many gets there were.
    pub gets: u64,
    /// The median of the time that a get takes, in milliseconds.
    pub latency_p50_ms: f64,
    /// The 95th percentile.
    pub latency_p95_ms: f64,
    /// The 99th percentile.
    pub latency_p99_ms: f64,
    /// Nodes that a get asked, on average.
    pub asked_mean: f64,
    /// How many records were put.
    pub puts: u64,
    /// How many puts reported that at least one node stored the record.
    pub puts_stored: u64,
    /// How many puts reported a conflict.
    pub puts_conflict: u64,
    /// How many records their publishers stopped publishing, or deleted, though nobody replaced them.
    pub withdrawn: u64,
    /// The fraction of contacts in the tables of all others that are nodes behind a NAT.
    pub unreachable_contacts: f64,
    /// How often an invariant was violated. Anything but 0 is a fault of kadlet.
    pub violations: u64,
    /// The first of these violations, in words.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub violated: Vec<String>,
    /// The seed.
    pub seed: u64,
}

/// Gets that have ended, of one kind of record.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::scenario) struct Gets {
    pub(super) gets: u64,
    pub(super) right: u64,
    pub(super) wrong: u64,
}

/// All gets, and how long they took.
#[derive(Clone, Debug, Default)]
pub(in crate::scenario) struct Tally {
    /// Of plain, immutable and signed records.
    pub(super) by_kind: [Gets; 3],
    pub(super) took: Vec<Duration>,
    pub(super) asked: u64,
}

impl Tally {
    pub(in crate::scenario) fn figures(mut self) -> AttackFigures {
        self.took.sort_unstable();
        let percentile = |fraction: f64| {
            let rank = (self.took.len() as f64 * fraction).ceil() as usize;
            self.took.get(rank.saturating_sub(1)).map_or(0.0, |took| took.as_micros() as f64 / 1e3)
        };
        let sum = |of: fn(&Gets) -> u64| self.by_kind.iter().map(of).sum::<u64>();
        let (gets, right, wrong) = (sum(|kind| kind.gets), sum(|kind| kind.right), sum(|kind| kind.wrong));
        let part = |of: u64| if gets == 0 { 0.0 } else { of as f64 / gets as f64 };
        let [right_plain, right_immutable, right_signed] = self.by_kind.map(|kind| fraction(&kind, |kind| kind.right));
        AttackFigures {
            right: part(right),
            wrong: part(wrong),
            none: part(gets - right - wrong),
            right_plain,
            right_immutable,
            right_signed,
            old_signed: fraction(&self.by_kind[Kind::Signed as usize], |kind| kind.wrong),
            gets,
            latency_p50_ms: percentile(0.5),
            latency_p95_ms: percentile(0.95),
            latency_p99_ms: percentile(0.99),
            asked_mean: part(self.asked),
            ..AttackFigures::default()
        }
    }
}

fn fraction(gets: &Gets, of: fn(&Gets) -> u64) -> f64 {
    if gets.gets == 0 { 0.0 } else { of(gets) as f64 / gets.gets as f64 }
}
