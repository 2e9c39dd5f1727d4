//! kadlet's command-line tool: run a node of a Distributed Hash Table, put values into it, get them back, see why it failed.

#![forbid(unsafe_code)]

mod args;
mod demo;
mod error;
mod get;
mod keygen;
mod network;
mod node;
mod output;
mod put;
mod state;
mod story;
mod swarm;
mod watch;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use args::{Cli, Command};
use error::{Error, Exit};
use output::Output;

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is_silent() => error.exit().into(),
        Err(error) => {
            eprintln!("{error}");
            error.exit().into()
        }
    }
}

fn run(cli: &Cli) -> Result<(), Error> {
    let out = Output { json: cli.common.json };
    match &cli.command {
        Command::Node(args) => node::run(args, &cli.common, &out),
        Command::Put(args) => put::run(args, &cli.common, &out),
        Command::Get(args) => get::get(args, &cli.common, &out),
        Command::Find(args) => get::find(args, &cli.common, &out),
        Command::Ping(args) => get::ping(args, &cli.common, &out),
        Command::Keygen(args) => keygen::run(args, &out),
        Command::Demo(args) => demo::run(args, &cli.common, &out),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "kadlet", &mut script);
            out.bytes(&script)
        }
        Command::Man { command } => out.bytes(&manual(command.as_deref())?),
    }
}

fn manual(command: Option<&str>) -> Result<Vec<u8>, Error> {
    let mut whole = Cli::command();
    whole.build();
    let page = match command {
        None => whole,
        Some(name) => {
            let found = whole.find_subcommand(name).cloned();
            let unknown = || Error::new(Exit::Usage, format!("there is no command {name}")).tip("`kadlet help` lists them");
            found.ok_or_else(unknown)?
        }
    };
    let mut text = Vec::new();
    clap_mangen::Man::new(page).render(&mut text)?;
    Ok(text)
}
