//! Runs kadlet's protocol in networks of up to a million simulated nodes, and tells how it did.

#![forbid(unsafe_code)]

mod args;

use core::fmt::Display;
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
            let drawn = plot::draw(&out, seed, threads(), Progress::on_stderr());
            match drawn {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => {
                    eprintln!(
                        "error: nothing can be drawn into {}: {error}; give --out a directory that can be written to",
                        out.display()
                    );
                    ExitCode::FAILURE
                }
            }
        }
    }
}

fn gates(course: &Course) -> ExitCode {
    let rows = gates::run(course, threads());
    if rows.is_empty() {
        refuse("gates", format!("--only: no gate has '{}' in its name; without it, all are run", course.only));
    }
    print!("{}", gates::page(&rows, course));
    if rows.iter().all(|row| row.passed) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Ends as a usage error of a command.
fn refuse(command: &str, words: impl Display) -> ! {
    let mut cli = Cli::command();
    cli.build();
    let command = cli.find_subcommand_mut(command).expect("it is a command of ours");
    command.error(ErrorKind::ValueValidation, words).exit()
}

/// Two at most: each holds whole networks in memory.
fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get).min(2)
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
        Err(impossible) => refuse("run", impossible),
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
