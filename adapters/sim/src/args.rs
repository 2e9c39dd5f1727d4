//! What may be written on the command line.

use core::time::Duration;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use kadlet_sim::scenario::{Geometry, Lifetime, Mode, Scenario, Spec};

/// A deterministic network of up to a million kadlet nodes: the real protocol on simulated links.
///
/// One seed is one history: the same command gives the same output on every machine, but for the figures `wall_seconds` and
/// `peak_memory_bytes`.
#[derive(Debug, Parser)]
#[command(
    name = "kadlet-sim",
    version,
    arg_required_else_help = true,
    after_help = "Try it: kadlet-sim run --scenario stale --nodes 10000 --dead 0.5"
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Let one scenario happen, and print what was measured.
    Run(Run),
    /// Hold kadlet to its gates: figures that published results set.
    ///
    /// Prints a page of Markdown, and fails if one target is missed. In full it takes 14 GiB of memory, and some ten
    /// minutes on two idle cores.
    Gates {
        /// Smaller networks and shorter times against the same targets, in under four minutes on two cores.
        #[arg(long)]
        quick: bool,
        /// Only gates whose name contains this, as `churn`.
        #[arg(long, value_name = "WORD", default_value = "", hide_default_value = true)]
        only: String,
        /// Where all chance comes from. Any must pass.
        #[arg(long, value_name = "S", default_value_t = 1)]
        seed: u64,
    },
    /// Draw the curves as SVG and PNG: hops and traffic against size, success against dead nodes, cost against churn, load per node.
    Plot {
        /// The directory they go to, which is made if it isn't there.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// Where all chance comes from.
        #[arg(long, value_name = "S", default_value_t = 1)]
        seed: u64,
    },
}

#[derive(Debug, Args)]
#[command(allow_negative_numbers = true)]
pub(crate) struct Run {
    /// What happens to the network.
    #[arg(long)]
    scenario: Scenario,
    /// How many nodes there are. With more than 200,000 each holds no records and does one lookup at a time; 1,000,000 take 13 GB.
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    nodes: u32,
    /// Contacts in a bucket and replicas of a record: 1 to 32.
    #[arg(long, default_value_t = 8)]
    k: u8,
    /// Questions of one lookup under way at once: 1 to 16.
    #[arg(long, default_value_t = 3)]
    alpha: u8,
    /// How lookups go.
    #[arg(long, default_value = "iterative")]
    lookup: Mode,
    /// Which geometry the network has.
    #[arg(long, default_value = "kademlia")]
    geometry: Geometry,
    /// Where all chance comes from.
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// How many lookups are made and judged.
    #[arg(long, value_name = "L", default_value_t = 1_000)]
    lookups: u32,
    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
    /// stale: the part of the nodes that dies at once, from 0 to below 1.
    #[arg(long, value_name = "F", default_value_t = 0.3)]
    dead: f64,
    /// churn: the median time for which nodes live; 84 s is Bamboo's hardest (1.4 minutes).
    #[arg(long, value_name = "MEDIAN_SECONDS", default_value_t = 84.0)]
    session: f64,
    /// churn: how these times are distributed.
    #[arg(long, default_value = "exponential")]
    lifetime: Lifetime,
    /// The part of all datagrams that is lost, from 0 to below 1. 0.05 in the scenario loss unless given.
    #[arg(long, value_name = "F")]
    loss: Option<f64>,
    /// join, churn, replace, partition, storm: how long the network is measured, in simulated minutes. A third of it goes before
    /// in churn, to warm up; a partition lasts so long, and is watched for as long after it. 30 in churn and partition, 10 in the others
    /// unless given.
    #[arg(long, value_name = "M")]
    minutes: Option<f64>,
    /// join: all at once instead of one after another.
    #[arg(long)]
    burst: bool,
}

impl Run {
    pub(crate) fn spec(&self) -> Spec {
        let loss = if self.scenario == Scenario::Loss { 0.05 } else { 0.0 };
        Spec {
            geometry: self.geometry,
            lookup: self.lookup,
            nodes: self.nodes,
            k: self.k,
            alpha: self.alpha,
            seed: self.seed,
            lookups: self.lookups,
            dead: self.dead,
            // What is no time at all is refused as a session of zero.
            session: Duration::try_from_secs_f64(self.session).unwrap_or(Duration::ZERO),
            lifetime: self.lifetime,
            loss: self.loss.unwrap_or(loss),
            minutes: self.minutes,
            burst: self.burst,
            ..Spec::new(self.scenario)
        }
    }
}
