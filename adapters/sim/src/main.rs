//! Runs kadlet's protocol in networks of up to a million simulated nodes, and measures it.

#![forbid(unsafe_code)]

mod args;

use core::fmt::Display;
use core::num::NonZero;
use std::path::Path;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};
use kadlet_sim::gates::{self, GateOptions};
use kadlet_sim::plot;
use kadlet_sim::progress::Progress;
use kadlet_sim::scenario::{self, Figures};

use args::{AttackArgs, Cli, Command, RunArgs};

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Run(args) => run(&args),
        Command::Attack(args) => attack(&args),
        Command::Gates { quick, seed, only } => run_gates(&GateOptions { seed, quick, only }),
        Command::Plot { out, seed, only } => draw_plots(&out, seed, &only),
    }
}

fn run(args: &RunArgs) -> ExitCode {
    let mut progress = Progress::on_stderr();
    let figures = scenario::run(&args.spec(), &mut progress);
    progress.end();
    match figures {
        Ok(figures) => {
            print(&figures, args.json);
            if figures.violations > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
        }
        Err(invalid) => usage_error("run", invalid),
    }
}

fn print(figures: &Figures, json: bool) {
    let object = serde_json::to_value(figures).unwrap_or_default();
    if json {
        println!("{object}");
        return;
    }
    for (name, value) in object.as_object().into_iter().flatten() {
        println!("{name:36} {value}");
    }
}

fn attack(args: &AttackArgs) -> ExitCode {
    let mut violations = 0;
    let specs = args.specs();
    if let Some(invalid) = specs.iter().find_map(|spec| spec.check().err()) {
        usage_error("attack", invalid);
    }
    if !args.json {
        println!("geometry  lookup      right   wrong    none    plain  immutable  signed   p99");
    }
    for spec in specs {
        let mut progress = Progress::on_stderr();
        let figures = scenario::attack(&spec, &mut progress);
        progress.end();
        let figures = figures.unwrap_or_else(|invalid| usage_error("attack", invalid));
        violations += figures.violations;
        let (geometry, lookup) = (format!("{:?}", spec.network.geometry), format!("{:?}", spec.network.lookup));
        if args.json {
            let mut object = serde_json::to_value(&figures).unwrap_or_default();
            (object["geometry"], object["lookup"]) = (geometry.into(), lookup.into());
            println!("{object}");
            continue;
        }
        let [right, wrong, none, plain, immutable, signed] = [
            figures.right,
            figures.wrong,
            figures.none,
            figures.right_plain,
            figures.right_immutable,
            figures.right_signed,
        ]
        .map(|part| format!("{:.1} %", part * 100.0));
        let p99 = format!("{:.2} s", figures.latency_p99_ms / 1e3);
        print!("{geometry:8}  {lookup:9} {right:>7} {wrong:>7} {none:>7}  ");
        println!("{plain:>7}    {immutable:>7} {signed:>7} {p99:>7}");
    }
    if violations > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn run_gates(options: &GateOptions) -> ExitCode {
    let rows = gates::run(options, threads());
    if rows.is_empty() {
        let words = format!("--only: no gate has '{}' in its name; without --only, all gates are run", options.only);
        usage_error("gates", words);
    }
    print!("{}", gates::markdown(&rows, options));
    if rows.iter().all(|row| row.passed) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn draw_plots(out: &Path, seed: u64, only: &str) -> ExitCode {
    let Err(error) = plot::draw(out, seed, only, threads(), Progress::on_stderr()) else {
        return ExitCode::SUCCESS;
    };
    let out = out.display();
    eprintln!("error: cannot draw into {out}: {error}; give --out a directory that can be written to");
    ExitCode::FAILURE
}

/// At most two, as each holds whole networks in memory.
fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get).min(2)
}

/// Ends the process as a usage error of a subcommand.
fn usage_error(command: &str, words: impl Display) -> ! {
    let mut cli = Cli::command();
    cli.build();
    let command = cli.find_subcommand_mut(command).expect("the subcommand exists");
    command.error(ErrorKind::ValueValidation, words).exit()
}
