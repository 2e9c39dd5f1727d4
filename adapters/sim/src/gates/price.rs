//! The gate of what defences cost where nobody lies: against the figures of the core without them.
//!
//! These are the means of the seeds 1, 2 and 3 at the commit c8c4a46, the last one before signatures cover the network,
//! by the command
//!
//! ```text
//! kadlet-sim run --nodes 1000 --seed SEED --scenario static --lookups 10000
//! kadlet-sim run --nodes 1000 --seed SEED --scenario gets --lookups 5000
//! kadlet-sim run --nodes 1000 --seed SEED --scenario churn --session 100000000 --minutes 60 --lookups 100
//! ```
//!
//! The three seeds differ by 0.1 % in the nodes asked, 2 % in the 99th percentile, and 0.3 % in the traffic.

use core::time::Duration;

use super::case::{Case, CaseResult, GateOptions};
use crate::progress::Progress;
use crate::scenario::{self, Figures, Scenario, Spec};

/// Nodes that a lookup of a node and a get asked, and the 99th percentile of their times in milliseconds.
const LOOKUP: (f64, f64) = (11.021, 740.3);
const GET: (f64, f64) = (11.041, 740.8);
/// Bytes per second and node in a calm network.
const CALM: f64 = 19.961;
/// How many times as much each may be now.
const MOST_ASKED: f64 = 1.15;
const MOST_TIME: f64 = 1.3;
const MOST_BYTES: f64 = 1.1;

const GATE: &str = "adversary, price";
const NODES: u32 = 1_000;
/// Nobody dies.
const FOREVER: Duration = Duration::from_secs(100_000_000);
const MINUTES: f64 = 60.0;

/// The cases, in the order of the results.
pub(super) fn cases() -> Vec<Case> {
    let lookups = |scenario, lookups, recorded| Case {
        gate: GATE,
        seconds: (3.0, 3.0),
        run: Box::new(move |options: &GateOptions| {
            let (result, figures) = run(&options.spec(scenario, NODES, lookups));
            let (asked, p99) = recorded;
            let result = result.at_most("asked_times_recorded", MOST_ASKED, figures.rpcs_mean / asked).at_most(
                "p99_times_recorded",
                MOST_TIME,
                figures.latency_p99_ms / p99,
            );
            result.report("rpcs_mean", figures.rpcs_mean).report("latency_p99_ms", figures.latency_p99_ms)
        }),
    };
    let calm = |options: &GateOptions| {
        let spec = options.spec(Scenario::Churn, NODES, 100);
        let (result, figures) = run(&Spec { session: FOREVER, minutes: Some(MINUTES), ..spec });
        let bytes = figures.maintenance_bytes_per_node_second;
        result.at_most("calm_bytes_times_recorded", MOST_BYTES, bytes / CALM).report("bytes_per_node_second", bytes)
    };
    vec![
        lookups(Scenario::Static, 10_000, LOOKUP),
        lookups(Scenario::Gets, 5_000, GET),
        Case { gate: GATE, seconds: (6.0, 6.0), run: Box::new(calm) },
    ]
}

fn run(spec: &Spec) -> (CaseResult, Figures) {
    let figures = scenario::run(spec, &mut Progress::silent()).expect("the gate's specification is valid");
    (CaseResult::new(spec, &figures), figures)
}
