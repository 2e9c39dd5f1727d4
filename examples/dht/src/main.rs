//! kadlet's command-line tool: runs a node of a Distributed Hash Table, puts values into it, gets them back, and says
//! why when it can't.

#![forbid(unsafe_code)]
// What these would do to a thread is worse than any error.
#![deny(clippy::print_stdout, clippy::print_stderr)]
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod access;
mod args;
mod bootstraps;
mod config;
mod control;
mod ctl;
mod demo;
mod error;
mod get;
mod joining;
mod journal;
mod key_file;
mod keygen;
mod log;
mod metrics;
mod network;
mod node;
mod old_state;
mod output;
mod ping;
mod put;
mod resolver;
mod saved;
mod signals;
mod state;
mod swarm;
mod trace;
mod watch;

use core::net::SocketAddr;
use std::env;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::CommandFactory;
use clap::error::{ContextKind, ErrorKind};
use kadlet::{Chord, Kademlia, Pastry};

use args::{Cli, Command, Geometry};
use config::Refused;
use error::{Error, Exit};
use network::Table;
use output::{Output, note};

fn main() -> ExitCode {
    let args: Vec<_> = env::args_os().collect();
    let json = args.iter().skip(1).take_while(|argument| *argument != "--").any(|argument| argument == "--json");
    let (out, ended) = match config::parse(&args) {
        Ok(cli) => (Output { json: cli.common.json }, run(&cli)),
        Err(Refused::Line(error)) => (Output { json }, not_parsed(&error, &Output { json })),
        Err(Refused::File(error)) => (Output { json }, Err(error)),
    };
    let Err(error) = ended else { return ExitCode::SUCCESS };
    let exit = error.exit();
    if !error.is_silent() {
        note(&error);
    }
    if out.json {
        // Stdout may be what failed.
        let _ = out.object(&error.into_object());
    }
    exit.into()
}

/// Prints what clap has to say: help that was asked for, or what is wrong with the arguments.
fn not_parsed(error: &clap::Error, out: &Output) -> Result<(), Error> {
    let text = error.render().to_string();
    if !error.use_stderr() {
        return match out.json {
            true => out.text(text.as_bytes()),
            false => error.print().and_then(|()| io::stdout().flush()).map_err(|error| Error::stdout(&error)),
        };
    }
    let _ = error.print();
    let what = text.split("\n\nUsage:").next().unwrap_or_default().split("\n\nFor more").next().unwrap_or_default();
    let told = Error::told(what.trim_start_matches("error: ").trim_end());
    match (error.kind(), error.get(ContextKind::InvalidArg)) {
        (ErrorKind::UnknownArgument, Some(argument)) if argument.to_string().starts_with('-') => {
            let tip = "if that is a key or a value, put it at the end, after all options and `--`";
            note(format!("  try: {tip}"));
            Err(told.tip(tip))
        }
        _ => Err(told),
    }
}

/// Chooses the routing table: everything else is the same for every geometry.
fn run(cli: &Cli) -> Result<(), Error> {
    match cli.common.geometry {
        Geometry::Kademlia => run_on::<Kademlia<SocketAddr, 512, 64>>(cli),
        Geometry::Chord => run_on::<Chord<SocketAddr, 16, 128>>(cli),
        Geometry::Pastry => run_on::<Pastry<SocketAddr, 16, 4, 256>>(cli),
    }
}

fn run_on<R: Table>(cli: &Cli) -> Result<(), Error> {
    let out = Output { json: cli.common.json };
    match &cli.command {
        Command::Node(args) => node::run::<R>(args, &cli.common, &out),
        Command::Put(args) => put::run::<R>(args, &cli.common, &out),
        Command::Get(args) => get::get::<R>(args, &cli.common, &out),
        Command::Find(args) => get::find::<R>(args, &cli.common, &out),
        Command::Ping(args) => ping::run::<R>(args, &cli.common, &out),
        Command::Ctl(args) => ctl::run(&args.command, &cli.common, &out),
        Command::Keygen(args) => keygen::run(args, &out),
        Command::Demo(args) => demo::run::<R>(args, &cli.common, &out),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "kadlet", &mut script);
            out.text(&script)
        }
        Command::Man { command } => out.text(&manual(command.as_deref())?),
    }
}

fn manual(command: Option<&str>) -> Result<Vec<u8>, Error> {
    let mut whole = Cli::command();
    whole.build();
    let page = match command {
        None => whole,
        Some(name) => {
            let found = whole.find_subcommand(name).cloned();
            let unknown =
                || Error::new(Exit::Usage, format!("there is no command {name}")).tip("`kadlet help` lists them");
            found.ok_or_else(unknown)?
        }
    };
    let mut text = Vec::new();
    clap_mangen::Man::new(page).render(&mut text)?;
    Ok(text)
}
