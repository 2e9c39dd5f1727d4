//! Gates of trials: attacks that are not measured by what gets find, and crowds of honest nodes.

use core::time::Duration;

use super::case::{Case, CaseResult, GateOptions};
use crate::progress::Progress;
use crate::scenario::{self, Crowd, Flood, Lifetime, Measure, Scenario, Spec, Trial, TrialSpec};
use crate::thousands::thousands;

/// One trial, on several networks whose seeds follow each other, and what must hold.
struct Row {
    gate: &'static str,
    trial: Trial,
    nodes: u32,
    attackers: u32,
    /// How many lookups, or gets of each kind of record.
    lookups: u32,
    networks: u64,
    minutes: f64,
    /// The seconds that all networks take.
    seconds: f64,
    targets: Vec<(&'static str, Bound)>,
}

/// A target of one figure.
#[derive(Clone, Copy)]
enum Bound {
    /// The mean of all networks is at least this.
    MeanAtLeast(f64),
    /// It is at least this in each network.
    AtLeast(f64),
    /// It is at most this in each network.
    AtMost(f64),
}

/// The cases of all trials, in the order of the results.
pub(super) fn cases(quick: bool) -> Vec<Case> {
    let rows = [eclipse(quick), third_party(quick), holders(quick), neighbours(quick), limits(), crowds(quick)];
    rows.into_iter().flatten().map(case).collect()
}

const fn row(gate: &'static str, trial: Trial, quick: bool) -> Row {
    let (nodes, networks) = if quick { (200, 1) } else { (1_000, 4) };
    Row { gate, trial, nodes, attackers: 0, lookups: 1, networks, minutes: 10.0, seconds: 1.0, targets: Vec::new() }
}

fn eclipse(quick: bool) -> Vec<Row> {
    let of = |(spread, attacked)| {
        let (attackers, lookups, minutes, seconds) =
            if quick { (32, 50, 60.0, 10.0) } else { (160, 250, 120.0, 400.0) };
        let targets = vec![("right", Bound::MeanAtLeast(0.98)), ("closest_found", Bound::MeanAtLeast(0.9))];
        // Without attackers, for comparison.
        let (attackers, targets) = if attacked { (attackers, targets) } else { (0, Vec::new()) };
        let row = row("adversary, eclipse", Trial::Eclipse { spread }, quick);
        Row { attackers, lookups, minutes, seconds, targets, ..row }
    };
    [(false, true), (true, true), (false, false)].map(of).into()
}

fn third_party(quick: bool) -> Vec<Row> {
    let of = |(attackers, one_prefix, wide, named)| {
        // The gate is about one third party. That a whole network gets more is only reported.
        let targets = if wide { Vec::new() } else { vec![("bytes_for_one", Bound::AtMost(1.5))] };
        let lookups = if quick { 2_000 } else { 5_000 };
        let row = row("adversary, third party", Trial::ThirdParty { one_prefix, wide, named }, quick);
        Row { attackers, lookups, seconds: row.seconds * 5.0, targets, ..row }
    };
    let attackers = [(1, false), (8, false), (8, true)];
    let named = [(false, 1), (false, 8), (true, 1), (true, 8)];
    attackers.into_iter().flat_map(|(count, one)| named.map(|(wide, named)| of((count, one, wide, named)))).collect()
}

/// Attacks on the nodes that hold records.
fn holders(quick: bool) -> Vec<Row> {
    let seconds = if quick { 2.0 } else { 30.0 };
    let claims = row("adversary, replication", Trial::ClaimedReplication, quick);
    let hand_over = |small, taken| {
        let targets = vec![(taken, Bound::AtMost(20.0)), ("honest_kept", Bound::AtLeast(18.0))];
        Row { targets, ..row("adversary, handovers", Trial::Handovers { small }, quick) }
    };
    let stuff = |small| {
        let row = row("adversary, stuffing", Trial::Stuffing { small }, quick);
        Row { attackers: 130, targets: vec![("honest_kept", Bound::AtLeast(15.0))], ..row }
    };
    vec![
        Row {
            attackers: if quick { 2 } else { 5 },
            networks: 8,
            seconds,
            targets: vec![("lost_by_claims", Bound::AtMost(0.0))],
            ..claims
        },
        hand_over(false, "taken"),
        // In so small a store each takes the place of the last.
        hand_over(true, "taken_and_held"),
        stuff(false),
        stuff(true),
    ]
}

/// Attacks on one node's identifier, and on its neighbourhood.
fn neighbours(quick: bool) -> Vec<Row> {
    let seconds = if quick { 5.0 } else { 60.0 };
    let taken_over = |same_prefix| {
        let targets = vec![("tables_with_thief", Bound::AtMost(0.0)), ("tables_with_owner", Bound::AtLeast(8.0))];
        Row { seconds, targets, ..row("adversary, takeover", Trial::TakenOver { same_prefix }, quick) }
    };
    let forgeries = row("adversary, takeover", Trial::Forgeries, quick);
    let flapping = row("adversary, flapping", Trial::Flapping, quick);
    vec![
        taken_over(false),
        taken_over(true),
        Row { attackers: 10, targets: vec![("events_in_a_minute", Bound::AtMost(1.0))], ..forgeries },
        Row {
            attackers: 16,
            minutes: if quick { 30.0 } else { 60.0 },
            seconds,
            targets: vec![("times_calm", Bound::AtMost(2.0))],
            ..flapping
        },
    ]
}

fn limits() -> Vec<Row> {
    let of = |flood, private, attackers| {
        let targets = vec![("times_limit", Bound::AtMost(1.25))];
        Row { nodes: 20, attackers, targets, ..row("adversary, limits", Trial::Limits { flood, private }, true) }
    };
    let global = [Flood::Unproved, Flood::Proved, Flood::Signatures]
        .into_iter()
        .flat_map(|flood| [1, 17, 64, 250].map(|prefixes| of(flood, false, prefixes)));
    let private = [Flood::Unproved, Flood::Proved, Flood::Signatures].map(|flood| of(flood, true, 64));
    global.chain(private).collect()
}

fn crowds(quick: bool) -> Vec<Row> {
    let of = |crowd, nodes: u32, attackers: u32, serving: u32| {
        let targets = vec![
            ("right", Bound::MeanAtLeast(0.999)),
            ("unable_to_put_or_get", Bound::AtMost(0.0)),
            ("records_without_8_holders", Bound::AtMost(0.0)),
            ("serving", Bound::AtLeast(f64::from(serving))),
            ("serving", Bound::AtMost(f64::from(serving))),
            ("minutes_with_one_id", Bound::AtMost(10.0)),
        ];
        // 10,000 gets in full.
        let lookups = if quick { 100 } else { 834 };
        let seconds = f64::from(nodes) / if quick { 100.0 } else { 10.0 };
        Row { nodes, attackers, lookups, seconds, targets, ..row("adversary, crowds", Trial::Crowd(crowd), quick) }
    };
    let (all, crowd, behind_one) = if quick { (200, 40, 10) } else { (1_000, 200, 50) };
    vec![
        of(Crowd::OnePrefix, all, crowd, 2),
        of(Crowd::OnePrefix, crowd, crowd, crowd),
        of(Crowd::BehindOne, all, behind_one, 2),
        of(Crowd::Tens, 200, 200, 40),
        of(Crowd::Private, 5, 5, 5),
        of(Crowd::Private, all, all, all),
    ]
}

fn case(row: Row) -> Case {
    Case { gate: row.gate, seconds: (row.seconds, row.seconds), run: Box::new(move |options| run(options, &row)) }
}

fn run(options: &GateOptions, row: &Row) -> CaseResult {
    let (nodes, lookups, minutes) = (row.nodes, row.lookups, Some(row.minutes));
    let hour = Spec::median(Lifetime::Exponential, Duration::from_secs(3_600));
    let runs: Vec<Vec<Measure>> = (0..row.networks)
        .map(|nth| {
            let seed = options.seed.wrapping_mul(row.networks).wrapping_add(nth);
            let network = Spec { nodes, lookups, seed, minutes, session: hour, ..Spec::new(Scenario::Gets) };
            let spec = TrialSpec { network, trial: row.trial, attackers: row.attackers };
            scenario::trial(&spec, &mut Progress::silent()).expect("the gate's specification is valid")
        })
        .collect();
    let values = |figure: &str| -> Vec<f64> {
        let of_figure = |measures: &Vec<Measure>| measures.iter().find(|one| one.figure == figure).map(|one| one.value);
        runs.iter().map(|measures| of_figure(measures).unwrap_or(f64::NAN)).collect()
    };
    let mean = |figure: &str| values(figure).iter().sum::<f64>() / row.networks as f64;
    let mut result = CaseResult::of(describe(row));
    for (figure, bound) in &row.targets {
        let values = values(figure).into_iter();
        result = match *bound {
            Bound::MeanAtLeast(least) => result.at_least(figure, least, mean(figure)),
            Bound::AtLeast(least) => result.at_least(figure, least, values.fold(f64::INFINITY, f64::min)),
            Bound::AtMost(most) => result.at_most(figure, most, values.fold(f64::NEG_INFINITY, f64::max)),
        };
    }
    for Measure { figure, .. } in &runs[0] {
        if *figure == "violations" {
            if mean(figure) > 0.0 {
                result = result.at_most(figure, 0.0, mean(figure));
            }
        } else if row.targets.iter().all(|(target, _)| target != figure) {
            result = result.report(figure, mean(figure));
        }
    }
    result
}

fn describe(row: &Row) -> String {
    let Row { networks, attackers, trial, .. } = row;
    format!("{networks} × {} nodes, {trial:?}, {attackers}", thousands(u64::from(row.nodes)))
}
