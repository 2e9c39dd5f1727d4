//! The command line.

use core::time::Duration;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use kadlet_sim::scenario::{Attack, AttackSpec, Geometry, Lifetime, LookupMode, Scenario, Spec};

/// A deterministic network of up to a million kadlet nodes: the real protocol on simulated links.
///
/// One seed is one history: the same command prints the same on every machine, except for `wall_seconds` and
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
    /// Run one scenario, and print its figures.
    Run(RunArgs),
    /// Attack a network, and print how many gets were right, for each geometry and each kind of lookup.
    ///
    /// Honest nodes put records of three kinds while the attack lasts, then get them. A get is right if it finds the
    /// record that was put last; of plain records, which any node may replace, if it finds any value.
    Attack(AttackArgs),
    /// Run all gates: targets that published results set for a DHT.
    ///
    /// Prints a page of Markdown, and fails if a target is missed. A full run takes 14 GiB of memory, and some ten
    /// minutes on two idle cores.
    Gates {
        /// Smaller networks and shorter times with the same targets: less than four minutes on two cores.
        #[arg(long)]
        quick: bool,
        /// Only gates whose names contain this, for example `churn`. `adversary` runs what a network under attack must
        /// show: these are run only if they are named, as most are missed today.
        #[arg(long, value_name = "WORD", default_value = "", hide_default_value = true)]
        only: String,
        /// The seed of all random numbers. Every seed must pass.
        #[arg(long, value_name = "S", default_value_t = 1)]
        seed: u64,
    },
    /// Draw the curves as SVG and PNG: hops and traffic against size, success against dead nodes and against liars,
    /// cost against churn, load per node.
    Plot {
        /// Only curves whose names contain this, for example `liars`.
        #[arg(long, value_name = "WORD", default_value = "", hide_default_value = true)]
        only: String,
        /// The directory to draw into. It is made if it doesn't exist.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// The seed of all random numbers.
        #[arg(long, value_name = "S", default_value_t = 1)]
        seed: u64,
    },
}

#[derive(Debug, Args)]
#[command(allow_negative_numbers = true)]
pub(crate) struct RunArgs {
    /// What happens to the network.
    #[arg(long)]
    scenario: Scenario,
    /// How many nodes the network has: 2 to 4,000,000. With more than 200,000, nodes hold no records and run one lookup
    /// at a time; 1,000,000 nodes take 13 GB.
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    nodes: u32,
    /// Contacts in a bucket, and holders of a record: 1 to 32.
    #[arg(long, default_value_t = 8)]
    k: u8,
    /// Requests of one lookup in flight at once: 1 to 16.
    #[arg(long, default_value_t = 3)]
    alpha: u8,
    /// How lookups run.
    #[arg(long, default_value = "iterative")]
    lookup: LookupMode,
    /// The network's geometry.
    #[arg(long, default_value = "kademlia")]
    geometry: Geometry,
    /// The seed of all random numbers.
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// How many lookups are run and evaluated.
    #[arg(long, value_name = "L", default_value_t = 1_000)]
    lookups: u32,
    /// Print the figures as one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
    /// stale: the fraction of nodes that dies at once, from 0 to below 1.
    #[arg(long, value_name = "F", default_value_t = 0.3)]
    dead: f64,
    /// churn: the median lifetime of a node, at least 1 s. Bamboo's hardest is 84 s (1.4 minutes).
    #[arg(long, value_name = "MEDIAN_SECONDS", default_value_t = 84.0)]
    session: f64,
    /// churn: how lifetimes are distributed.
    #[arg(long, default_value = "exponential")]
    lifetime: Lifetime,
    /// The fraction of datagrams that is lost, from 0 to below 1 [default: 0.05 in the scenario loss, 0 in the others].
    #[arg(long, value_name = "F")]
    loss: Option<f64>,
    /// join, churn, replace, partition, storm: how long the network is measured, in simulated minutes [default: 30 in
    /// churn and partition, 10 in the others]. In churn it warms up for a third of this time first. A partition lasts
    /// this long, and is watched for as long after it.
    #[arg(long, value_name = "M")]
    minutes: Option<f64>,
    /// join: all nodes at once instead of one after another.
    #[arg(long)]
    burst: bool,
}

impl RunArgs {
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
            // A session that is no time at all is refused as one of zero.
            session: Duration::try_from_secs_f64(self.session).unwrap_or(Duration::ZERO),
            lifetime: self.lifetime,
            loss: self.loss.unwrap_or(loss),
            minutes: self.minutes,
            burst: self.burst,
            ..Spec::new(self.scenario)
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct AttackArgs {
    /// What attackers do.
    #[arg(long)]
    attack: Attack,
    /// How many attackers there are: of all nodes, or for each record, as the attack says.
    #[arg(long, value_name = "N", default_value_t = 100)]
    attackers: u32,
    /// How many nodes the network has: 2 to 200,000.
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    nodes: u32,
    /// How many records of each kind are put: 1 to 1,000. In attacks on single keys, each has attackers of its own.
    #[arg(long, value_name = "R", default_value_t = 20)]
    records: u32,
    /// How many gets of each kind there are.
    #[arg(long, value_name = "G", default_value_t = 200)]
    gets: u32,
    /// The seed of all random numbers.
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Print one JSON object a line, with all figures.
    #[arg(long)]
    pub(crate) json: bool,
}

impl AttackArgs {
    /// The attack on each geometry, with each kind of lookup.
    pub(crate) fn specs(&self) -> Vec<AttackSpec> {
        let geometries = [Geometry::Kademlia, Geometry::Chord, Geometry::Pastry].into_iter();
        let lookups = [LookupMode::Iterative, LookupMode::Recursive];
        let variants = geometries.flat_map(|geometry| lookups.map(|lookup| (geometry, lookup)));
        let spec = |(geometry, lookup)| {
            let (nodes, lookups, seed) = (self.nodes, self.gets, self.seed);
            let network = Spec { geometry, lookup, nodes, lookups, seed, ..Spec::new(Scenario::Gets) };
            AttackSpec { network, attack: self.attack, attackers: self.attackers, records: self.records }
        };
        variants.map(spec).collect()
    }
}
