//! kadlet's command-line tool: runs a node of a Distributed Hash Table, puts values into it, gets them back, and says
//! why when it can't.

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
mod swarm;
mod trace;
mod watch;

use core::net::SocketAddr;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use kadlet::{Chord, Kademlia, Pastry};

use args::{Cli, Command, Geometry};
use error::{Error, Exit};
use network::Table;
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
        Command::Ping(args) => get::ping::<R>(args, &cli.common, &out),
        Command::Keygen(args) => keygen::run(args, &out),
        Command::Demo(args) => demo::run::<R>(args, &cli.common, &out),
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
            let unknown =
                || Error::new(Exit::Usage, format!("there is no command {name}")).tip("`kadlet help` lists them");
            found.ok_or_else(unknown)?
        }
    };
    let mut text = Vec::new();
    clap_mangen::Man::new(page).render(&mut text)?;
    Ok(text)
}
