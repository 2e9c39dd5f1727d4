//! What published results ask of kadlet, and whether it meets that. Any seed must pass.

use core::fmt::Write;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use std::sync::Mutex;

use serde_json::Value;

use crate::progress::Progress;
use crate::scenario::{self, Figures, Lifetime, Scenario, Spec, small_links, versions};

/// One figure of one gate.
#[derive(Clone, Debug, PartialEq)]
pub struct Result {
    /// Which gate.
    pub gate: String,
    /// What was measured.
    pub figure: &'static str,
    /// What it must be; empty if it is only reported.
    pub target: String,
    /// What it is.
    pub result: f64,
    /// Whether that is as it must be.
    pub passed: bool,
}

/// How a gate is run.
struct Course {
    seed: u64,
    quick: bool,
}

/// The results of one gate.
struct Sheet {
    gate: String,
    results: Vec<Result>,
}

type Gate = fn(&Course) -> Vec<Result>;

/// All gates, those that take longest first, so that two cores end at the same time.
const GATES: [Gate; 13] =
    [scale, churn_real, lifetimes, joins, static_tables, versions_gate, churn_hard, stale, loss, replace, partition, storm, small];

/// Runs all gates, on as many threads as there are cores but no more than two: each gate is a history of its own on one thread, so the
/// results don't depend on how many there are.
#[must_use]
pub fn run(seed: u64, quick: bool) -> Vec<Result> {
    let course = Course { seed, quick };
    let (next, done) = (AtomicUsize::new(0), Mutex::new(vec![Vec::new(); GATES.len()]));
    let progress = Mutex::new((Progress::on_stderr(), 0));
    let work = || {
        while let Some((index, gate)) = Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|index| Some((index, GATES.get(index)?))) {
            let results = gate(&course);
            if let (Ok(mut done), Ok(mut progress)) = (done.lock(), progress.lock()) {
                done[index] = results;
                progress.1 += 1;
                let part = f64::from(progress.1) / GATES.len() as f64;
                progress.0.at(part);
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, |cores| cores.get().min(2));
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    if let Ok(mut progress) = progress.lock() {
        progress.0.end();
    }
    done.into_inner().unwrap_or_default().into_iter().flatten().collect()
}

/// The results as a table in Markdown.
#[must_use]
pub fn table(results: &[Result], seed: u64) -> String {
    let mut table = String::from("| gate | figure | target | result | seed | |\n|---|---|---|---|---|---|\n");
    for Result { gate, figure, target, result, passed } in results {
        let verdict = match (target.is_empty(), passed) {
            (true, true) => "",
            (_, true) => "pass",
            (_, false) => "FAIL",
        };
        // A String takes all that is written to it.
        let _ = writeln!(table, "| {gate} | {figure} | {target} | {result} | {seed} | {verdict} |");
    }
    let failed = results.iter().filter(|result| !result.passed).count();
    let _ = writeln!(table, "\n{} figures, {failed} failed", results.len());
    table
}

impl Course {
    /// A scenario of these many nodes and lookups: a tenth of the lookups, and of time above ten minutes a fifth, where it must be quick.
    fn spec(&self, scenario: Scenario, nodes: u32, lookups: u32) -> Spec {
        let lookups = if self.quick { (lookups / 10).max(300) } else { lookups };
        Spec { nodes, lookups, seed: self.seed, ..Spec::new(scenario) }
    }

    fn minutes(&self, minutes: f64) -> Option<f64> {
        Some(if self.quick && minutes > 10.0 { (minutes / 5.0).max(10.0) } else { minutes })
    }
}

impl Sheet {
    fn new(gate: impl Into<String>) -> Self {
        Self { gate: gate.into(), results: Vec::new() }
    }

    fn add(mut self, figure: &'static str, target: String, result: f64, passed: bool) -> Self {
        let result = (result * 1e5).round() / 1e5;
        self.results.push(Result { gate: self.gate.clone(), figure, target, result, passed });
        self
    }

    fn at_least(self, figure: &'static str, least: f64, result: f64) -> Self {
        self.add(figure, format!("at least {least}"), result, result >= least)
    }

    fn at_most(self, figure: &'static str, most: f64, result: f64) -> Self {
        self.add(figure, format!("at most {most}"), result, result <= most)
    }

    fn report(self, figure: &'static str, result: f64) -> Self {
        self.add(figure, String::new(), result, true)
    }

    /// What holds of every history.
    fn checked(self, figures: &Figures) -> Vec<Result> {
        self.at_most("violations", 0.0, figures.violations as f64).results
    }
}

fn play(spec: &Spec) -> Figures {
    // A specification of ours that can't be shows as figures of zero, which pass no gate.
    scenario::run(spec, &mut Progress::silent()).unwrap_or_default()
}

fn static_tables(course: &Course) -> Vec<Result> {
    let sizes = [(100, 0.0, 0.0), (1_000, 2.25, 10.9), (10_000, 2.9, 12.9), (100_000, 3.55, 14.9)];
    let sizes = if course.quick { &sizes[..3] } else { &sizes[..] };
    let one = |(nodes, depth, rpcs): &(u32, f64, f64)| {
        let figures = play(&course.spec(Scenario::Static, *nodes, 1_000));
        let sheet = Sheet::new(format!("static, {nodes}")).at_least("success", 1.0, figures.success);
        if *depth == 0.0 {
            return sheet.checked(&figures);
        }
        let rounded = |value: f64| (value * 1e4).round() / 1e4;
        sheet
            .at_most("depth_mean", rounded(depth * 1.05), figures.depth_mean)
            .at_most("rpcs_mean", rounded(rpcs * 1.1), figures.rpcs_mean)
            .checked(&figures)
    };
    sizes.iter().flat_map(one).collect()
}

fn small(course: &Course) -> Vec<Result> {
    let one = |(max_datagram, value)| {
        let spec = Spec { max_datagram, ..course.spec(Scenario::Static, 1_000, 1_000) };
        let figures = small_links(&spec, &mut Progress::silent(), 100, value);
        Sheet::new(format!("small links, {max_datagram}"))
            .at_least("success", 1.0, figures.success)
            .at_most("records_lost", 0.0, figures.records_lost as f64)
            .report("rpcs_mean", figures.rpcs_mean)
            .report("datagrams_mean", figures.datagrams_mean)
            .checked(&figures)
    };
    [(548, 400), (127, 16)].into_iter().flat_map(one).collect()
}

fn joins(course: &Course) -> Vec<Result> {
    let one = |burst| {
        let nodes = if course.quick { 1_000 } else { 10_000 };
        let spec = Spec { burst, minutes: Some(10.0), ..course.spec(Scenario::Join, nodes, 1_000) };
        let figures = play(&spec);
        Sheet::new(if burst { "join, in one burst" } else { "join, one after another" })
            .at_most("not_joined", 0.0, figures.not_joined as f64)
            .at_least("success", 1.0, figures.success)
            .at_most("load_max_over_mean", 100.0, figures.load_max_over_mean)
            .checked(&figures)
    };
    [false, true].into_iter().flat_map(one).collect()
}

fn stale(course: &Course) -> Vec<Result> {
    let one = |(dead, least)| {
        let figures = play(&Spec { dead, ..course.spec(Scenario::Stale, 10_000, 10_000) });
        Sheet::new(format!("stale, {dead}"))
            .at_least("success", least, figures.success)
            .report("timeouts_mean", figures.timeouts_mean)
            .report("latency_p95_ms", figures.latency_p95_ms)
            .checked(&figures)
    };
    [(0.1, 1.0), (0.3, 0.999), (0.5, 0.99)].into_iter().flat_map(one).collect()
}

fn churn_hard(course: &Course) -> Vec<Result> {
    let spec = Spec { session: Duration::from_secs(84), minutes: course.minutes(30.0), ..course.spec(Scenario::Churn, 1_000, 10_000) };
    let figures = play(&spec);
    Sheet::new("churn, hard")
        .at_least("success", 0.99, figures.success)
        .at_most("upkeep_bytes_per_node_second", 900.0, figures.upkeep_bytes_per_node_second)
        .report("latency_p95_ms", figures.latency_p95_ms)
        .checked(&figures)
}

/// A mean session of 2.3 hours (MSPastry).
fn real(course: &Course, scenario: Scenario, nodes: u32, minutes: f64, loss: f64) -> Spec {
    let session = Spec::median(Lifetime::Exponential, Duration::from_secs(8_280));
    Spec { session, loss, minutes: course.minutes(minutes), ..course.spec(scenario, nodes, 10_000) }
}

fn churn_real(course: &Course) -> Vec<Result> {
    let cases = [(1_000, 180.0, 0.0), (1_000, 180.0, 0.05), (10_000, 60.0, 0.0)];
    let cases = if course.quick { &cases[..2] } else { &cases[..] };
    let one = |(nodes, minutes, loss): &(u32, f64, f64)| {
        let figures = play(&real(course, Scenario::Churn, *nodes, *minutes, *loss));
        Sheet::new(format!("churn, real, {nodes}, loss {loss}"))
            .at_least("success", 0.999, figures.success)
            .at_most("upkeep_messages_per_node_second", 0.5, figures.upkeep_messages_per_node_second)
            .checked(&figures)
    };
    cases.iter().flat_map(one).collect()
}

fn lifetimes(course: &Course) -> Vec<Result> {
    let means = if course.quick { &[200, 800][..] } else { &[200, 400, 800, 1_600, 3_200, 6_400][..] };
    let one = |lifetime: Lifetime, mean: u64| {
        let session = Spec::median(lifetime, Duration::from_secs(mean));
        let spec = Spec { session, lifetime, minutes: course.minutes(30.0), ..course.spec(Scenario::Churn, 1_000, 1_000) };
        let figures = play(&spec);
        let sheet = Sheet::new(format!("lifetimes, {lifetime:?}, mean {mean} s"));
        let sheet = match mean {
            800.. => sheet.at_least("success", 0.99, figures.success),
            _ => sheet.report("success", figures.success),
        };
        sheet
            .report("latency_p95_ms", figures.latency_p95_ms)
            .report("upkeep_bytes_per_node_second", figures.upkeep_bytes_per_node_second)
            .checked(&figures)
    };
    let both = [Lifetime::Exponential, Lifetime::Weibull];
    both.into_iter().flat_map(|lifetime| means.iter().flat_map(move |mean| one(lifetime, *mean))).collect()
}

fn replace(course: &Course) -> Vec<Result> {
    let figures = play(&course.spec(Scenario::Replace, 1_000, 1_000));
    Sheet::new("replace")
        .at_most("records_lost", 0.0, figures.records_lost as f64)
        .report("success", figures.success)
        .report("upkeep_bytes_per_node_second", figures.upkeep_bytes_per_node_second)
        .checked(&figures)
}

fn versions_gate(course: &Course) -> Vec<Result> {
    let spec = real(course, Scenario::Churn, 1_000, 60.0, 0.05);
    let figures = versions(&spec, &mut Progress::silent(), 20);
    Sheet::new("versions")
        .report("gets", figures.records as f64)
        .at_most("older or none", 0.0, figures.records_lost as f64)
        .checked(&figures)
}

fn partition(course: &Course) -> Vec<Result> {
    let spec = Spec { minutes: Some(30.0), ..course.spec(Scenario::Partition, 1_000, 1_000) };
    let figures = play(&spec);
    Sheet::new("partition")
        .at_most("settled_seconds", 1_500.0, figures.settled_seconds.unwrap_or(f64::INFINITY))
        .at_most("records_lost", 0.0, figures.records_lost as f64)
        .report("success", figures.success)
        .checked(&figures)
}

fn storm(course: &Course) -> Vec<Result> {
    let figures = play(&course.spec(Scenario::Storm, 1_000, 1_000));
    Sheet::new("storm")
        .at_most("settled_seconds", 60.0, figures.settled_seconds.unwrap_or(f64::INFINITY))
        .at_least("success", 0.99, figures.success)
        .at_most("records_lost", 0.0, figures.records_lost as f64)
        .checked(&figures)
}

fn loss(course: &Course) -> Vec<Result> {
    let one = |(loss, least, lookups)| {
        let figures = play(&Spec { loss, ..course.spec(Scenario::Loss, 1_000, lookups) });
        Sheet::new(format!("loss, {loss}")).at_least("success", least, figures.success).checked(&figures)
    };
    [(0.05, 0.9999, 100_000), (0.2, 0.999, 10_000), (0.4, 0.95, 10_000)].into_iter().flat_map(one).collect()
}

/// In a process of its own, whose time and memory are its own. Where this program can't be run again, no gate is passed.
fn scale(course: &Course) -> Vec<Result> {
    let nodes = if course.quick { 20_000 } else { 1_000_000 };
    let program = std::env::current_exe();
    let args =
        ["run", "--scenario", "static", "--lookups", "1000", "--json", "--nodes", &nodes.to_string(), "--seed", &course.seed.to_string()]
            .map(str::to_owned);
    let output = program.and_then(|program| std::process::Command::new(program).args(args).output());
    let figures: Value = output.ok().and_then(|output| serde_json::from_slice(&output.stdout).ok()).unwrap_or_default();
    let figure = |name: &str| figures[name].as_f64();
    Sheet::new(format!("scale, {nodes}"))
        .at_least("success", 1.0, figure("success").unwrap_or(0.0))
        .at_most("wall_seconds", 600.0, figure("wall_seconds").unwrap_or(f64::INFINITY))
        .at_most("peak_memory_gib", 20.0, figure("peak_memory_bytes").map_or(f64::INFINITY, |bytes| bytes / f64::from(1 << 30)))
        .at_most("violations", 0.0, figure("violations").unwrap_or(f64::INFINITY))
        .results
}
