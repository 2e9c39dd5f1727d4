//! All gates: their networks, and their targets.

use core::fmt::Write;
use core::time::Duration;

use serde_json::Value;

use super::case::{Case, CaseResult, GateOptions, RunCase};
use crate::progress::Progress;
use crate::scenario::{
    self, Figures, Geometry, Lifetime, LookupMode, Scenario, Spec, half_dead_chord, small_datagrams, versions,
};
use crate::thousands::thousands;

/// With churn, some requesters die before their lookups end. Of this many lookups, at least 10,000 are evaluated.
const LOOKUPS_UNDER_CHURN: u32 = 11_000;
/// The mean hops of recursive lookups at 1,000, 10,000 and 100,000 nodes, as computed for each geometry.
const RECURSIVE_HOPS: [(Geometry, [f64; 3]); 3] = [
    (Geometry::Kademlia, [2.37, 3.12, 3.9]),
    (Geometry::Chord, [4.43, 6.14, 7.79]),
    (Geometry::Pastry, [2.47, 3.28, 4.01]),
];

/// The cases of all gates, in the order of the results.
pub(super) fn cases(quick: bool) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |gate, seconds, run: Box<RunCase>| cases.push(Case { gate, seconds, run });
    add("static", (0.1, 0.1), Box::new(|options| static_tables(options, 100, None)));
    add("static", (0.2, 0.2), Box::new(|options| static_tables(options, 1_000, Some((2.25, 10.9)))));
    add("static", (0.7, 0.7), Box::new(|options| static_tables(options, 10_000, Some((2.9, 12.9)))));
    if !quick {
        add("static", (9.0, 0.0), Box::new(|options| static_tables(options, 100_000, Some((3.55, 14.9)))));
    }
    add("small datagrams", (0.5, 0.5), Box::new(|options| small(options, 548, 400)));
    add("small datagrams", (0.5, 0.5), Box::new(|options| small(options, 127, 16)));
    for burst in [false, true] {
        add("join", (50.0, 3.0), Box::new(move |options| join(options, burst)));
    }
    for (dead, least) in [(0.1, 1.0), (0.3, 0.999), (0.5, 0.99)] {
        add("stale", (5.0, 5.0), Box::new(move |options| stale(options, dead, least)));
    }
    add("churn, hard", (40.0, 15.0), Box::new(churn_hard));
    for loss in [0.0, 0.05] {
        add("churn, real", (16.0, 4.0), Box::new(move |options| churn_real(options, 1_000, 180.0, loss)));
        if !quick {
            add("churn, real", (90.0, 0.0), Box::new(move |options| churn_real(options, 10_000, 60.0, loss)));
        }
    }
    for lifetime in [Lifetime::Exponential, Lifetime::Weibull] {
        let means = if quick { &[200, 800][..] } else { &[200, 400, 800, 1_600, 3_200, 6_400][..] };
        for mean in means {
            let rounds = 200.0 / *mean as f64;
            let seconds = (4.0 + 30.0 * rounds, 2.0 + 9.0 * rounds);
            add("lifetimes", seconds, Box::new(move |options| lifetimes(options, lifetime, *mean)));
        }
    }
    add("replace", (4.0, 4.0), Box::new(replace));
    add("versions", (10.0, 3.0), Box::new(new_versions));
    add("partition", (4.0, 4.0), Box::new(partition));
    add("storm", (2.0, 2.0), Box::new(storm));
    for (loss, least, lookups, seconds) in
        [(0.05, 0.9999, 100_000, 11.0), (0.2, 0.999, 10_000, 1.5), (0.4, 0.95, 10_000, 2.0)]
    {
        add("loss", (seconds, seconds), Box::new(move |options| lossy(options, loss, least, lookups)));
    }
    add("scale", (150.0, 2.0), Box::new(scale));
    for (geometry, means) in RECURSIVE_HOPS {
        for (nodes, mean, seconds) in
            [(1_000, means[0], (0.5, 0.5)), (10_000, means[1], (2.0, 2.0)), (100_000, means[2], (15.0, 0.0))]
        {
            if !quick || nodes < 100_000 {
                add("recursive", seconds, Box::new(move |options| recursive(options, geometry, nodes, mean)));
            }
        }
    }
    for (dead, least, alone) in [(0.1, 1.0, 0.999), (0.3, 0.999, 0.999), (0.5, 0.99, 0.98)] {
        add("recursive, stale", (8.0, 8.0), Box::new(move |options| recursive_stale(options, dead, least, alone)));
    }
    for dead in [0.1, 0.3, 0.5] {
        add("forwarded, stale", (3.0, 3.0), Box::new(move |options| forwarded_stale(options, dead)));
    }
    for lookup in [LookupMode::Iterative, LookupMode::Recursive] {
        add("Chord, failures", (30.0, 30.0), Box::new(move |options| chord_failures(options, lookup)));
    }
    add("Chord, churn", (60.0, 15.0), Box::new(chord_churn));
    for geometry in [Geometry::Pastry, Geometry::Kademlia, Geometry::Chord] {
        add("proximity", (5.0, 5.0), Box::new(move |options| proximity(options, geometry)));
    }
    let geometries = [Geometry::Kademlia, Geometry::Chord, Geometry::Pastry];
    for geometry in geometries {
        add("geometries, churn", (35.0, 9.0), Box::new(move |options| geometry_churn(options, geometry)));
    }
    for geometry in geometries {
        add("geometries, replace", (5.0, 5.0), Box::new(move |options| geometry_replace(options, geometry)));
    }
    for geometry in geometries {
        for lookup in [LookupMode::Iterative, LookupMode::Recursive] {
            add("traffic", (3.0, 3.0), Box::new(move |options| traffic(options, geometry, lookup)));
        }
    }
    cases
}

fn static_tables(options: &GateOptions, nodes: u32, means: Option<(f64, f64)>) -> CaseResult {
    // The mean depth of 1,000 lookups varies by 0.02 from seed to seed, which is too much for every seed to pass.
    let (result, figures) = run(&options.spec(Scenario::Static, nodes, 10_000));
    let result = result.at_least("success", 1.0, figures.success);
    let Some((depth, rpcs)) = means else {
        return result;
    };
    result.at_most("depth_mean", four_digits(depth * 1.05), figures.depth_mean).at_most(
        "rpcs_mean",
        four_digits(rpcs * 1.1),
        figures.rpcs_mean,
    )
}

fn small(options: &GateOptions, max_datagram: usize, value: usize) -> CaseResult {
    let spec = Spec { max_datagram, ..options.spec(Scenario::Static, 1_000, 1_000) };
    let figures = small_datagrams(&spec, &mut Progress::silent(), 100, value);
    let mut result = CaseResult::new(&spec, &figures);
    let _ = write!(result.scenario, ", datagrams of {max_datagram}, {} values of {value} bytes", figures.records);
    result
        .at_least("success", 1.0, figures.success)
        .at_most("records_lost", 0.0, figures.records_lost as f64)
        .report("rpcs_mean", figures.rpcs_mean)
        .report("datagrams_mean", figures.datagrams_mean)
        .report("latency_p95_ms", figures.latency_p95_ms)
}

fn join(options: &GateOptions, burst: bool) -> CaseResult {
    let nodes = if options.quick { 1_000 } else { 10_000 };
    let (result, figures) = run(&Spec { burst, minutes: Some(10.0), ..options.spec(Scenario::Join, nodes, 1_000) });
    result.at_most("not_joined", 0.0, figures.not_joined as f64).at_least("success", 1.0, figures.success).at_most(
        "load_max_over_mean",
        100.0,
        figures.load_max_over_mean,
    )
}

fn stale(options: &GateOptions, dead: f64, least: f64) -> CaseResult {
    let (result, figures) = run(&Spec { dead, ..options.spec(Scenario::Stale, 10_000, 10_000) });
    result
        .at_least("success", least, figures.success)
        .report("timeouts_mean", figures.timeouts_mean)
        .report("latency_p95_ms", figures.latency_p95_ms)
}

/// A median session of 1.4 minutes (Bamboo).
fn churn_hard(options: &GateOptions) -> CaseResult {
    let spec = options.spec(Scenario::Churn, 1_000, LOOKUPS_UNDER_CHURN);
    let (result, figures) = run(&Spec { session: Duration::from_secs(84), minutes: options.minutes(30.0), ..spec });
    result
        .at_least("success", 0.99, figures.success)
        .below("maintenance_bytes_per_node_second", 900.0, figures.maintenance_bytes_per_node_second)
        .report("latency_p95_ms", figures.latency_p95_ms)
}

fn churn_real(options: &GateOptions, nodes: u32, minutes: f64, loss: f64) -> CaseResult {
    let (result, figures) = run(&real_churn(options, nodes, minutes, loss));
    let result = result.above("success", 0.999, figures.success);
    let messages = figures.maintenance_messages_per_node_second;
    // The published figure for 10,000 nodes is one without loss.
    match (nodes, loss) {
        (10_000.., 0.01..) => result.report("maintenance_messages_per_node_second", messages),
        _ => result.below("maintenance_messages_per_node_second", 0.5, messages),
    }
}

fn lifetimes(options: &GateOptions, lifetime: Lifetime, mean: u64) -> CaseResult {
    let session = Spec::median(lifetime, Duration::from_secs(mean));
    let minutes = options.minutes(30.0);
    let spec = Spec { session, lifetime, minutes, ..options.spec(Scenario::Churn, 1_000, 1_200) };
    let (mut result, figures) = run(&spec);
    let _ = write!(result.scenario, ", {lifetime:?} of mean {mean} s");
    let result = match mean {
        800.. => result.at_least("success", 0.99, figures.success),
        _ => result.report("success", figures.success),
    };
    result
        .report("latency_p95_ms", figures.latency_p95_ms)
        .report("maintenance_bytes_per_node_second", figures.maintenance_bytes_per_node_second)
}

fn replace(options: &GateOptions) -> CaseResult {
    let (result, figures) = run(&options.spec(Scenario::Replace, 1_000, 1_000));
    result
        .at_most("records_lost", 0.0, figures.records_lost as f64)
        .report("success", figures.success)
        .report("maintenance_bytes_per_node_second", figures.maintenance_bytes_per_node_second)
}

fn new_versions(options: &GateOptions) -> CaseResult {
    let spec = real_churn(options, 1_000, 60.0, 0.05);
    let figures = versions(&spec, &mut Progress::silent(), 20);
    let mut result = CaseResult::new(&Spec { lookups: 0, ..spec }, &figures);
    let _ = write!(result.scenario, ", 20 records each put every 5 s, {} gets", thousands(figures.records));
    result.at_most("older_or_none", 0.0, figures.records_lost as f64)
}

fn partition(options: &GateOptions) -> CaseResult {
    let (result, figures) = run(&Spec { minutes: Some(30.0), ..options.spec(Scenario::Partition, 1_000, 1_000) });
    result
        .at_most("converged_seconds", 1_500.0, figures.converged_seconds.unwrap_or(f64::INFINITY))
        .at_most("records_lost", 0.0, figures.records_lost as f64)
        .report("success", figures.success)
}

fn storm(options: &GateOptions) -> CaseResult {
    let (result, figures) = run(&options.spec(Scenario::Storm, 1_000, 1_200));
    result
        .below("converged_seconds", 60.0, figures.converged_seconds.unwrap_or(f64::INFINITY))
        .at_least("success", 0.99, figures.success)
        .at_most("records_lost", 0.0, figures.records_lost as f64)
}

fn lossy(options: &GateOptions, loss: f64, least: f64, lookups: u32) -> CaseResult {
    let (result, figures) = run(&Spec { loss, ..options.spec(Scenario::Loss, 1_000, lookups) });
    result.at_least("success", least, figures.success)
}

/// Runs in a process of its own, so that its time and memory can be measured. Fails if this program can't be run again.
fn scale(options: &GateOptions) -> CaseResult {
    let spec = options.spec(Scenario::Static, if options.quick { 20_000 } else { 1_000_000 }, 1_000);
    let (nodes, lookups, seed) = (spec.nodes.to_string(), spec.lookups.to_string(), spec.seed.to_string());
    let args = ["run", "--scenario", "static", "--json", "--nodes", &nodes, "--lookups", &lookups, "--seed", &seed];
    let output = std::env::current_exe().and_then(|program| std::process::Command::new(program).args(args).output());
    let figures: Value = output.ok().and_then(|output| serde_json::from_slice(&output.stdout).ok()).unwrap_or_default();
    let figure = |name: &str| figures[name].as_f64().unwrap_or(f64::INFINITY);
    let evaluated = Figures { lookups: figures["lookups"].as_u64().unwrap_or(0), ..Figures::default() };
    CaseResult::new(&spec, &evaluated)
        .at_least("success", 1.0, figures["success"].as_f64().unwrap_or(0.0))
        .below("wall_seconds", 600.0, figure("wall_seconds"))
        .at_most("peak_memory_gib", 20.0, figure("peak_memory_bytes") / f64::from(1 << 30))
        .at_most("violations", 0.0, figure("violations"))
}

fn recursive(options: &GateOptions, geometry: Geometry, nodes: u32, mean: f64) -> CaseResult {
    let spec = options.spec(Scenario::Static, nodes, 10_000);
    let (result, figures) = run(&Spec { geometry, lookup: LookupMode::Recursive, ..spec });
    result
        .at_least("success", 1.0, figures.success)
        .at_most("depth_mean", four_digits(mean * 1.05), figures.depth_mean)
        .report("fell_back", figures.fell_back)
}

/// `least` is the target with fallback to iterative lookups, `alone` that without.
fn recursive_stale(options: &GateOptions, dead: f64, least: f64, alone: f64) -> CaseResult {
    let spec = options.spec(Scenario::Stale, 10_000, 10_000);
    let (result, figures) = run(&Spec { dead, lookup: LookupMode::Recursive, ..spec });
    result
        .at_least("success", least, figures.success)
        .at_least("success_without_fallback", alone, figures.success_without_fallback)
        .report("latency_p95_ms", figures.latency_p95_ms)
}

/// Without acknowledgements, for comparison. Computed success: 73, 40 and 10 %.
fn forwarded_stale(options: &GateOptions, dead: f64) -> CaseResult {
    let spec = options.spec(Scenario::Stale, 10_000, 10_000);
    let (result, figures) = run(&Spec { dead, lookup: LookupMode::Forwarded, ..spec });
    result.report("success", figures.success)
}

/// Half of 1,000 nodes die. Each has 20 successors, and names all of them (k = 20).
fn chord_failures(options: &GateOptions, lookup: LookupMode) -> CaseResult {
    let spec = options.spec(Scenario::Stale, 1_000, 1_000);
    let spec = Spec { dead: 0.5, k: 20, geometry: Geometry::Chord, lookup, ..spec };
    let figures = half_dead_chord(&spec, &mut Progress::silent());
    let mut result = CaseResult::new(&spec, &figures);
    result.scenario.push_str(", 20 successors, k = 20");
    let converged_seconds = figures.converged_seconds.unwrap_or(f64::INFINITY);
    result.at_least("success", 1.0, figures.success).at_most("converged_seconds", 3_600.0, converged_seconds)
}

/// A mean session of an hour.
fn chord_churn(options: &GateOptions) -> CaseResult {
    let session = Spec::median(Lifetime::Exponential, Duration::from_secs(3_600));
    let spec = real_churn(options, 1_000, 180.0, 0.0);
    let (result, figures) = run(&Spec { session, geometry: Geometry::Chord, ..spec });
    costs(result.above("success", 0.999, figures.success), &figures)
}

/// How long a recursive lookup takes, over a round trip to the node that it finds.
fn proximity(options: &GateOptions, geometry: Geometry) -> CaseResult {
    let spec = options.spec(Scenario::Static, 1_000, 100_000);
    let (result, figures) = run(&Spec { geometry, lookup: LookupMode::Recursive, ..spec });
    match geometry {
        Geometry::Pastry => result.below("delay_stretch", 2.0, figures.delay_stretch),
        _ => result.report("delay_stretch", figures.delay_stretch),
    }
}

/// The gate `churn, real` for each geometry.
fn geometry_churn(options: &GateOptions, geometry: Geometry) -> CaseResult {
    let (result, figures) = run(&Spec { geometry, ..real_churn(options, 1_000, 180.0, 0.0) });
    costs(result.above("success", 0.999, figures.success), &figures)
}

/// The gate `replace` for each geometry. The losses have a target there.
fn geometry_replace(options: &GateOptions, geometry: Geometry) -> CaseResult {
    let (result, figures) = run(&Spec { geometry, ..options.spec(Scenario::Replace, 1_000, 1_000) });
    costs(result.report("success", figures.success), &figures).report("records_lost", figures.records_lost as f64)
}

/// What a get costs all nodes together, and the requester alone.
fn traffic(options: &GateOptions, geometry: Geometry, lookup: LookupMode) -> CaseResult {
    let (result, figures) = run(&Spec { geometry, lookup, ..options.spec(Scenario::Gets, 1_000, 10_000) });
    result
        .at_least("success", 1.0, figures.success)
        .report("rpcs_mean", figures.rpcs_mean)
        .report("datagrams_mean", figures.datagrams_mean)
        .report("bytes_mean", figures.bytes_mean)
        .report("requester_datagrams_mean", figures.requester_datagrams_mean)
        .report("requester_bytes_mean", figures.requester_bytes_mean)
        .report("latency_p50_ms", figures.latency_p50_ms)
}

/// A mean session of 2.3 hours (MSPastry).
fn real_churn(options: &GateOptions, nodes: u32, minutes: f64, loss: f64) -> Spec {
    let session = Spec::median(Lifetime::Exponential, Duration::from_secs(8_280));
    let minutes = options.minutes(minutes);
    Spec { session, loss, minutes, ..options.spec(Scenario::Churn, nodes, LOOKUPS_UNDER_CHURN) }
}

/// What lookups and maintenance cost, to compare geometries.
fn costs(result: CaseResult, figures: &Figures) -> CaseResult {
    result
        .report("depth_mean", figures.depth_mean)
        .report("latency_p95_ms", figures.latency_p95_ms)
        .report("maintenance_bytes_per_node_second", figures.maintenance_bytes_per_node_second)
}

/// Runs a case that is fully described by its specification.
fn run(spec: &Spec) -> (CaseResult, Figures) {
    // An invalid specification would give figures of zero, which pass no gate.
    let figures = scenario::run(spec, &mut Progress::silent()).unwrap_or_default();
    (CaseResult::new(spec, &figures), figures)
}

/// A target, rounded to four digits after the point.
fn four_digits(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}
