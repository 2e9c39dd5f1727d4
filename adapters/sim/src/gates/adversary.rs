//! Gates of networks under attack: what a DHT on the open internet must show.

use core::fmt::Write;

use super::case::{Case, CaseResult, GateOptions};
use crate::progress::Progress;
use crate::scenario::{self, Attack, AttackFigures, AttackSpec, Geometry, LookupMode, Scenario, Spec};
use crate::thousands::thousands;

const GEOMETRIES: [Geometry; 3] = [Geometry::Kademlia, Geometry::Chord, Geometry::Pastry];
const LOOKUPS: [LookupMode; 2] = [LookupMode::Iterative, LookupMode::Recursive];

/// How many attackers there are.
#[derive(Clone, Copy, Debug)]
enum Attackers {
    /// This fraction of all nodes.
    Part(f64),
    /// This many for each record.
    Each(u32),
}

/// One attack, and what must hold.
#[derive(Clone, Copy, Debug)]
struct Row {
    gate: &'static str,
    attack: Attack,
    attackers: Attackers,
    nodes: u32,
    geometry: Geometry,
    lookup: LookupMode,
    target: Target,
}

/// What must hold.
#[derive(Clone, Copy, Debug)]
enum Target {
    /// The fraction of all gets that are right is at least this.
    Right(f64),
    /// The fraction of the gets of signed records that find an old version is at most this.
    Old(f64),
    /// The 99th percentile of the time that a get takes is at most this, in milliseconds.
    Latency(f64),
    /// No publisher withdraws a record, and no put reports a conflict.
    NothingWithdrawn,
    /// The fraction of contacts that are behind a NAT is at most the first, and the 95th percentile of the time that a
    /// get takes at most the second times that of a network without such nodes.
    Unreachable(f64, f64),
    /// Nothing: the figures are only reported.
    Reported,
}

/// The cases of all gates under attack, in the order of the results.
pub(super) fn cases(quick: bool) -> Vec<Case> {
    rows(quick).into_iter().map(|row| case(row, quick)).collect()
}

fn rows(quick: bool) -> Vec<Row> {
    let nodes = if quick { 200 } else { 1_000 };
    let mut rows = Vec::new();
    let mut add = |gate, attack, attackers, geometry, targets: [Target; 2]| {
        for (lookup, target) in LOOKUPS.into_iter().zip(targets) {
            rows.push(Row { gate, attack, attackers, nodes, geometry, lookup, target });
        }
    };
    let right = |iterative, recursive| [Target::Right(iterative), Target::Right(recursive)];
    add("adversary, none", Attack::None, Attackers::Part(0.0), Geometry::Kademlia, right(0.999, 0.999));
    for (part, targets) in [(0.1, right(0.99, 0.95)), (0.2, right(0.95, 0.9))] {
        for geometry in GEOMETRIES {
            add("adversary, invent", Attack::Invent, Attackers::Part(part), geometry, targets);
        }
    }
    let kademlia = Geometry::Kademlia;
    let sybils = [(Attack::SybilsOfOnePrefix, 100, right(0.99, 0.99)), (Attack::Sybils, 24, right(0.99, 0.95))];
    for (attack, count, targets) in sybils {
        add("adversary, Sybils", attack, Attackers::Each(count), kademlia, targets);
    }
    for geometry in GEOMETRIES {
        add("adversary, misname", Attack::Misname, Attackers::Part(0.2), geometry, right(0.99, 0.99));
    }
    for attack in [Attack::Collude, Attack::ColludeSpread] {
        for (geometry, targets) in GEOMETRIES.into_iter().zip([right(0.99, 0.97), right(0.95, 0.95), right(0.95, 0.95)])
        {
            add("adversary, collude", attack, Attackers::Part(0.2), geometry, targets);
        }
        add("adversary, collude", attack, Attackers::Part(0.3), kademlia, [Target::Reported; 2]);
    }
    for attack in [Attack::RefuseOutdated, Attack::RefuseConflict] {
        add("adversary, refuse", attack, Attackers::Each(7), kademlia, [Target::NothingWithdrawn; 2]);
    }
    add("adversary, density", Attack::Density, Attackers::Each(10), kademlia, right(1.0, 1.0));
    for count in [32, 128] {
        add(
            "adversary, old",
            Attack::PlantOld,
            Attackers::Each(count.min(nodes / 4)),
            kademlia,
            [Target::Old(0.01); 2],
        );
    }
    add("adversary, old", Attack::ServeOld, Attackers::Part(0.1), kademlia, [Target::Old(0.02); 2]);
    for attack in [Attack::Bootstrap, Attack::BootstrapInvent] {
        add("adversary, bootstrap", attack, Attackers::Part(0.1), kademlia, right(0.99, 0.99));
    }
    add("adversary, stall", Attack::Stall, Attackers::Part(0.1), kademlia, [Target::Latency(3_000.0); 2]);
    // Honest nodes in hard places.
    let crowd = if quick { 40 } else { 200 };
    for (attack, part) in [(Attack::Crowd, 0.2), (Attack::BehindOne, 0.05), (Attack::Tens, 0.2), (Attack::Private, 0.0)]
    {
        add("adversary, crowds", attack, Attackers::Part(part), kademlia, right(0.999, 0.999));
    }
    add("adversary, renumber", Attack::Renumber, Attackers::Part(0.2), kademlia, right(1.0, 1.0));
    add("adversary, NAT", Attack::Nat, Attackers::Part(0.3), kademlia, [Target::Unreachable(0.01, 1.2); 2]);
    for (lookup, nodes, attack, part) in [
        (LookupMode::Iterative, crowd, Attack::Crowd, 1.0),
        (LookupMode::Recursive, crowd, Attack::Crowd, 1.0),
        (LookupMode::Iterative, 5, Attack::Private, 0.0),
        (LookupMode::Recursive, 5, Attack::Private, 0.0),
    ] {
        let (gate, attackers, target) = ("adversary, crowds", Attackers::Part(part), Target::Right(0.999));
        rows.push(Row { gate, attack, attackers, nodes, geometry: kademlia, lookup, target });
    }
    if !quick {
        for attack in [Attack::Collude, Attack::ColludeSpread] {
            for (lookup, least) in LOOKUPS.into_iter().zip([0.97, 0.93]) {
                let (gate, attackers, target) = ("adversary, collude", Attackers::Part(0.2), Target::Right(least));
                rows.push(Row { gate, attack, attackers, nodes: 10_000, geometry: kademlia, lookup, target });
            }
        }
    }
    rows
}

fn case(row: Row, quick: bool) -> Case {
    let seconds = match row.attack {
        Attack::Invent | Attack::BootstrapInvent => (100.0, 5.0),
        Attack::Sybils | Attack::SybilsOfOnePrefix | Attack::Density => (60.0, 3.0),
        Attack::RefuseOutdated | Attack::RefuseConflict => (60.0, 5.0),
        _ => (15.0, 1.0),
    };
    Case { gate: row.gate, seconds, run: Box::new(move |options| run(options, &row, quick)) }
}

/// Runs an attack on several networks, whose seeds follow each other, and takes the means of their figures.
fn run(options: &GateOptions, row: &Row, quick: bool) -> CaseResult {
    let (networks, gets) = match row.target {
        // A percentile needs more.
        Target::Unreachable(..) if quick => (1, 250),
        _ if quick => (1, 50),
        // 10,000 in all, where one in 1,000 may fail.
        Target::Right(0.999) => (4, 834),
        // More than 50 puts.
        _ if row.attack == Attack::Density => (9, 50),
        _ => (4, 250),
    };
    let records = match row.attackers {
        // Attackers of one record must not be most of the network.
        Attackers::Each(_) if row.attack != Attack::PlantOld => {
            if quick {
                1
            } else {
                2
            }
        }
        _ => gets / 5,
    };
    let attackers = match row.attackers {
        Attackers::Part(part) => (f64::from(row.nodes) * part).round() as u32,
        Attackers::Each(count) => count,
    };
    let attack = |attack, attackers| -> Vec<AttackFigures> {
        let network = |nth| {
            let seed = options.seed.wrapping_mul(networks).wrapping_add(nth);
            let (nodes, geometry, lookup) = (row.nodes, row.geometry, row.lookup);
            let network = Spec { nodes, lookups: gets, seed, geometry, lookup, ..Spec::new(Scenario::Gets) };
            let spec = AttackSpec { network, attack, attackers, records };
            scenario::attack(&spec, &mut Progress::silent()).expect("the gate's specification is valid")
        };
        (0..networks).map(network).collect()
    };
    let runs = attack(row.attack, attackers);
    let mean_of =
        |runs: &[AttackFigures], of: fn(&AttackFigures) -> f64| runs.iter().map(of).sum::<f64>() / networks as f64;
    let mean = |of: fn(&AttackFigures) -> f64| mean_of(&runs, of);
    let sum = |of: fn(&AttackFigures) -> u64| runs.iter().map(of).sum::<u64>() as f64;
    let mut result = CaseResult::of(describe(row, networks));
    if sum(|run| run.violations) > 0.0 {
        runs.iter().flat_map(|run| &run.violated).for_each(|violated| eprintln!("{}: {violated}", result.scenario));
        result = result.at_most("violations", 0.0, sum(|run| run.violations));
    }
    let right = mean(|run| run.right);
    match row.target {
        Target::Right(least) => result.at_least("right", least, right),
        Target::Old(most) => result.at_most("old_signed", most, mean(|run| run.old_signed)).report("right", right),
        Target::Latency(most) => {
            result.at_most("latency_p99_ms", most, mean(|run| run.latency_p99_ms)).report("right", right)
        }
        Target::Unreachable(most, times) => {
            let (p95, without) = (mean(|run| run.latency_p95_ms), attack(Attack::None, 0));
            result
                .at_most("unreachable_contacts", most, mean(|run| run.unreachable_contacts))
                .at_most("p95_times_without", times, p95 / mean_of(&without, |run| run.latency_p95_ms))
                .report("latency_p95_ms", p95)
                .report("right", right)
        }
        Target::NothingWithdrawn => result
            .at_most("withdrawn", 0.0, sum(|run| run.withdrawn))
            .at_most("puts_conflict", 0.0, sum(|run| run.puts_conflict))
            .report("puts", sum(|run| run.puts)),
        Target::Reported => result.report("right", right),
    }
}

fn describe(row: &Row, networks: u64) -> String {
    let mut words = format!("{networks} × {} nodes, {:?}", thousands(u64::from(row.nodes)), row.attack);
    // Writing to a String never fails.
    let _ = match row.attackers {
        Attackers::Part(part) => write!(words, ", {} %", part * 100.0),
        Attackers::Each(count) => write!(words, ", {count} for each record"),
    };
    let _ = write!(words, ", {:?}, {:?}", row.geometry, row.lookup);
    words
}
