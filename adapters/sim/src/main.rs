//! Runs kadlet's protocol in networks of up to a million simulated nodes, and tells how it did.

#![forbid(unsafe_code)]

mod args;

use core::num::NonZero;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};
use kadlet_sim::gates::Course;
use kadlet_sim::progress::Progress;
use kadlet_sim::scenario::{self, Figures};
use kadlet_sim::{gates, plot};

use args::{Cli, Command, Run};

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Run(args) => run(&args),
        Command::Gates { quick, seed, only } => gates(&Course { seed, quick, only }),
        Command::Plot { out, seed } => {
            let mut progress = Progress::on_stderr();
            let drawn = plot::draw(&out, seed, &mut progress);
            progress.end();
            match drawn {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => {
                    eprintln!("error: nothing can be drawn into {}: {error}; give --out a directory that can be written to", out.display());
                    ExitCode::FAILURE
                }
            }
        }
    }
}

fn gates(course: &Course) -> ExitCode {
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    // Each holds up to 10,000 nodes, one a million: more than two would take more than 20 GiB.
    let rows = gates::run(course, threads.min(2));
    if rows.is_empty() {
        let words = format!("invalid value '{}' for '--only': no gate has it in its name", course.only);
        Cli::command().error(ErrorKind::ValueValidation, words).exit();
    }
    print!("{}", gates::page(&rows, course));
    if rows.iter().all(|row| row.passed) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run(args: &Run) -> ExitCode {
    let mut progress = Progress::on_stderr();
    let figures = scenario::run(&args.spec(), &mut progress);
    progress.end();
    match figures {
        Ok(figures) => {
            print(&figures, args.json);
            if figures.violations > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
        }
        Err(impossible) => Cli::command().error(ErrorKind::ValueValidation, impossible).exit(),
    }
}

fn print(figures: &Figures, json: bool) {
    let object = serde_json::to_value(figures).unwrap_or_default();
    if json {
        println!("{object}");
        return;
    }
    for (name, value) in object.as_object().into_iter().flatten() {
        println!("{name:32} {value}");
    }
}
