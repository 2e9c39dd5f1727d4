//! One case of a gate, and its rows in the results.

use core::fmt::Write;

use crate::scenario::{Figures, Geometry, LookupMode, Scenario, Spec, VALUE};
use crate::thousands::thousands;

/// Which gates are run, and how.
#[derive(Clone, Debug)]
pub struct GateOptions {
    /// The seed of all random numbers.
    pub seed: u64,
    /// Smaller networks, and shorter times.
    pub quick: bool,
    /// Only gates whose names contain this.
    pub only: String,
}

impl GateOptions {
    pub(super) fn spec(&self, scenario: Scenario, nodes: u32, lookups: u32) -> Spec {
        Spec { nodes, lookups, seed: self.seed, ..Spec::new(scenario) }
    }

    /// The time that is measured. `quick` makes it a fifth, but no less than ten minutes.
    pub(super) fn minutes(&self, minutes: f64) -> Option<f64> {
        Some(if self.quick { (minutes / 5.0).max(10.0) } else { minutes })
    }
}

/// One figure of a gate, and its target.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The gate's name.
    pub gate: &'static str,
    /// What happened, and how many lookups were evaluated.
    pub scenario: String,
    /// The figure's name: that of a field of [`Figures`], except for `peak_memory_gib` and `older_or_none`.
    pub figure: &'static str,
    /// Its target; empty if it has none and is only reported.
    pub target: String,
    /// Its value; infinite if what it measures never happened.
    pub result: f64,
    /// Whether the target is met.
    pub passed: bool,
}

/// One run of a gate.
pub(super) struct Case {
    pub(super) gate: &'static str,
    /// The seconds that it takes on one core of 2026, in full and with `quick`.
    pub(super) seconds: (f64, f64),
    pub(super) run: Box<RunCase>,
}

pub(super) type RunCase = dyn Fn(&GateOptions) -> CaseResult + Sync;

/// The figures of one case.
pub(super) struct CaseResult {
    pub(super) scenario: String,
    /// The figure's name, its target, its value, and whether the target is met.
    figures: Vec<(&'static str, String, f64, bool)>,
}

impl CaseResult {
    /// No figure yet.
    pub(super) const fn of(scenario: String) -> Self {
        Self { scenario, figures: Vec::new() }
    }

    /// No figure yet, except for violations of invariants, if there were any.
    pub(super) fn new(spec: &Spec, figures: &Figures) -> Self {
        let result = Self { scenario: describe(spec, figures), figures: Vec::new() };
        if figures.violations == 0 {
            return result;
        }
        figures.violated.iter().for_each(|violated| eprintln!("{}: {violated}", result.scenario));
        result.at_most("violations", 0.0, figures.violations as f64)
    }

    pub(super) fn at_least(self, figure: &'static str, least: f64, result: f64) -> Self {
        self.add(figure, format!("at least {least}"), result, result >= least)
    }

    pub(super) fn above(self, figure: &'static str, bound: f64, result: f64) -> Self {
        self.add(figure, format!("above {bound}"), result, result > bound)
    }

    pub(super) fn at_most(self, figure: &'static str, most: f64, result: f64) -> Self {
        self.add(figure, format!("at most {most}"), result, result <= most)
    }

    pub(super) fn below(self, figure: &'static str, bound: f64, result: f64) -> Self {
        self.add(figure, format!("below {bound}"), result, result < bound)
    }

    /// Adds a figure without a target.
    pub(super) fn report(self, figure: &'static str, result: f64) -> Self {
        self.add(figure, String::new(), result, true)
    }

    pub(super) fn rows(self, gate: &'static str) -> impl Iterator<Item = Row> {
        let Self { scenario, figures } = self;
        figures.into_iter().map(move |(figure, target, result, passed)| Row {
            gate,
            scenario: scenario.clone(),
            figure,
            target,
            result,
            passed,
        })
    }

    fn add(mut self, figure: &'static str, target: String, result: f64, passed: bool) -> Self {
        self.figures.push((figure, target, (result * 1e5).round() / 1e5, passed));
        self
    }
}

/// A specification in words, and how many lookups were evaluated.
fn describe(spec: &Spec, figures: &Figures) -> String {
    let mut words = format!("{} nodes", thousands(u64::from(spec.nodes)));
    // Writing to a String never fails.
    let _ = match spec.scenario {
        Scenario::Stale => write!(words, ", {} % dead", spec.dead * 100.0),
        Scenario::Join if spec.burst => write!(words, " in one burst"),
        Scenario::Join => write!(words, " one after another"),
        Scenario::Churn => {
            write!(words, ", median session {:.0} s, {} min", spec.session.as_secs_f64(), spec.minutes.unwrap_or(30.0))
        }
        _ => Ok(()),
    };
    if spec.geometry != Geometry::Kademlia {
        let _ = write!(words, ", {:?}", spec.geometry);
    }
    match spec.lookup {
        LookupMode::Iterative => {}
        LookupMode::Recursive => words.push_str(", recursive"),
        LookupMode::Forwarded => words.push_str(", forwarded"),
    }
    if spec.loss > 0.0 {
        let _ = write!(words, ", {} % loss", spec.loss * 100.0);
    }
    if spec.scenario == Scenario::Gets {
        let _ = write!(words, ", {} gets of {VALUE} bytes", thousands(figures.lookups));
    } else if spec.lookups > 0 {
        let _ = write!(words, ", {} lookups", thousands(figures.lookups));
    }
    words
}
