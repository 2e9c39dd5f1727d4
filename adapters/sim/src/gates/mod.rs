//! Gates: targets that published results set for a DHT, and whether kadlet meets them. Every seed must pass.
//!
//! A gate is one or more cases. Each case runs on one thread with a random stream of its own, so the results don't
//! depend on the number of threads. With `quick`, networks are smaller and times are shorter, but no target is looser,
//! and no fewer lookups are evaluated: at least 10,000 where one in 1,000 may fail, and at least 100,000 where one in
//! 10,000 may.
//!
//! ```no_run
//! use kadlet_sim::gates::{self, GateOptions};
//!
//! let options = GateOptions { seed: 1, quick: true, only: "small datagrams".to_owned() };
//! let rows = gates::run(&options, 2);
//! assert!(rows.iter().all(|row| row.passed));
//! assert!(gates::markdown(&rows, &options).starts_with("# Gates"));
//! ```

mod adversary;
mod case;
mod cases;
mod price;
mod trials;

use core::fmt::Write;

use crate::parallel::run_all;
use crate::progress::Progress;
use case::Case;

pub use case::{GateOptions, Row};

/// Runs the gates on this many threads. The result is empty if no gate has a name that contains [`GateOptions::only`].
/// Gates of networks under attack, whose names begin with `adversary`, are run only if `only` names them: most are
/// missed today.
#[must_use]
pub fn run(options: &GateOptions, threads: usize) -> Vec<Row> {
    let mut all = cases::cases(options.quick);
    if !options.only.is_empty() {
        all.extend(adversary::cases(options.quick));
        all.extend(trials::cases(options.quick));
        all.extend(price::cases());
    }
    let cases: Vec<Case> = all.into_iter().filter(|case| case.gate.contains(&options.only)).collect();
    run_cases(&cases, options, threads)
}

fn run_cases(cases: &[Case], options: &GateOptions, threads: usize) -> Vec<Row> {
    let progress = Progress::on_stderr();
    progress.begin(format!("{} cases", cases.len()));
    let seconds = |case: &Case| if options.quick { case.seconds.1 } else { case.seconds.0 };
    let results = run_all(cases, threads, progress, seconds, |case| (case.run)(options));
    cases.iter().zip(results).flat_map(|(case, result)| result.rows(case.gate)).collect()
}

/// The results as a page of Markdown. It begins with the command that made it.
#[must_use]
pub fn markdown(rows: &[Row], options: &GateOptions) -> String {
    let quick = if options.quick { " --quick" } else { "" };
    let only = if options.only.is_empty() { String::new() } else { format!(" --only '{}'", options.only) };
    let mut page = format!(
        "# Gates\n\nTargets that published results set for a DHT, and the results of\n\
         `cargo run --release -p kadlet-sim -- gates{quick}{only} --seed {}`.\n\n",
        options.seed
    );
    let mut lines = vec![["gate", "scenario", "figure", "target", "result", "seed", ""].map(str::to_owned)];
    for Row { gate, scenario, figure, target, result, passed } in rows {
        let verdict = match (target.is_empty(), passed) {
            (true, true) => "",
            (_, true) => "pass",
            (_, false) => "FAIL",
        };
        let result = if result.is_finite() { result.to_string() } else { "never".to_owned() };
        lines.push(
            [gate, scenario.as_str(), figure, target, &result, &options.seed.to_string(), verdict].map(str::to_owned),
        );
    }
    let widths: [usize; 7] =
        core::array::from_fn(|column| lines.iter().map(|line| line[column].len()).max().unwrap_or(0));
    lines.insert(1, widths.map(|width| "-".repeat(width)));
    for line in &lines {
        for (cell, width) in line.iter().zip(widths) {
            // Writing to a String never fails.
            let _ = write!(page, "| {cell:width$} ");
        }
        page.push_str("|\n");
    }
    let missed = rows.iter().filter(|row| !row.passed).count();
    let met = rows.iter().filter(|row| row.passed && !row.target.is_empty()).count();
    let _ = writeln!(page, "\n{met} targets met, {missed} missed.");
    page
}

#[cfg(test)]
mod tests {
    use super::case::CaseResult;
    use super::*;
    use crate::scenario::{self, Scenario, Spec};

    fn churn(options: &GateOptions, nodes: u32) -> CaseResult {
        let spec = Spec { minutes: Some(1.0), ..options.spec(Scenario::Churn, nodes, 50) };
        let figures = scenario::run(&spec, &mut Progress::silent()).expect("the specification is valid");
        let result = CaseResult::new(&spec, &figures);
        result.report("success", figures.success).report("latency_p95_ms", figures.latency_p95_ms)
    }

    #[test]
    fn results_do_not_depend_on_the_number_of_threads() {
        let options = GateOptions { seed: 5, quick: true, only: String::new() };
        let case = |nodes| Case { gate: "", seconds: (1.0, 1.0), run: Box::new(move |options| churn(options, nodes)) };
        let cases = [50, 30, 70].map(case);
        let rows = run_cases(&cases, &options, 1);
        assert_eq!(rows, run_cases(&cases, &options, 3));
    }
}
