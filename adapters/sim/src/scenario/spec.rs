//! What a scenario is given.

use core::fmt;
use core::time::Duration;

use kadlet::Config;
use kadlet::routing::Limits;

use crate::random::Random;

/// In networks of more nodes than this, nodes hold no records and run one lookup at a time, so that a million of them
/// fit into 20 GiB.
pub(super) const MOST_WITH_RECORDS: u32 = 200_000;
/// A larger k needs longer shortlists.
pub(super) const MOST_K_OF_PEER: u8 = 8;
/// The largest k.
const MOST_K: u8 = 32;
/// The shape of the Weibull distribution of lifetimes (Stutzbach and Rejaie, 2006).
const SHAPE: f64 = 0.59;

/// What happens to a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum Scenario {
    /// Nothing happens: ideal tables, and lookups.
    Static,
    /// Nothing happens: a value is put for each node, then all are got.
    Gets,
    /// A part of the nodes dies at once, and lookups begin before any table is repaired.
    Stale,
    /// All nodes join through the first, one after another or at once.
    Join,
    /// Nodes come and go all the time: each that dies is replaced by a new one.
    Churn,
    /// 85 % of the nodes are replaced, evenly, while the network stores as many records as it has nodes.
    Replace,
    /// The network splits into halves, records are put in both, and it heals.
    Partition,
    /// A fifth of the nodes restarts within a second, each with 20 records to publish again.
    Storm,
    /// Datagrams get lost.
    Loss,
}

/// How lookups run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum LookupMode {
    /// The requester sends all requests itself, alpha at a time.
    Iterative,
    /// Each node forwards the request to the best contact that it knows, and to another if that one doesn't acknowledge
    /// it.
    Recursive,
    /// Each node forwards the request to the best contact that it knows, without acknowledgement. kadlet has no such
    /// lookup: it is computed from the tables, for comparison. Records are put and got iteratively.
    Forwarded,
}

/// The geometry of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum Geometry {
    /// The XOR metric.
    Kademlia,
    /// A ring, with 8 successors and fingers.
    Chord,
    /// Digits of 4 bits, with 16 leaves.
    Pastry,
}

/// How the lifetimes of nodes are distributed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum Lifetime {
    /// A node's remaining lifetime does not depend on its age.
    Exponential,
    /// An old node lives longer, as measured in real networks: shape 0.59 (Stutzbach and Rejaie, 2006).
    Weibull,
}

/// A scenario and its parameters. A scenario ignores the parameters of others.
///
/// ```
/// use kadlet_sim::scenario::{Scenario, Spec};
///
/// let spec = Spec { nodes: 500, dead: 0.4, ..Spec::new(Scenario::Stale) };
/// assert_eq!(spec.survivors(), 300);
/// let refused = Spec { loss: 1.5, ..spec }.check().expect_err("more than all datagrams can't be lost");
/// assert_eq!(refused.parameter, "loss");
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Spec {
    /// What happens.
    pub scenario: Scenario,
    /// The network's geometry.
    pub geometry: Geometry,
    /// How lookups run.
    pub lookup: LookupMode,
    /// How many nodes the network has: 2 to 4,000,000.
    pub nodes: u32,
    /// Contacts in a bucket, and holders of a record: 1 to 32.
    pub k: u8,
    /// Requests of one lookup in flight at once: 1 to 16.
    pub alpha: u8,
    /// The seed of all random numbers.
    pub seed: u64,
    /// How many lookups are run and evaluated: 1 or more.
    pub lookups: u32,
    /// Stale: the fraction of nodes that dies, 0 to below 1.
    pub dead: f64,
    /// Churn: the median lifetime of a node, 1 s or more.
    pub session: Duration,
    /// Churn: how lifetimes are distributed.
    pub lifetime: Lifetime,
    /// The fraction of datagrams that is lost, 0 to below 1.
    pub loss: f64,
    /// How long the network is measured, in simulated minutes: up to 10,000. `None` is 30 in churn and partition, 10 in
    /// the others.
    pub minutes: Option<f64>,
    /// Join: all at once instead of one after another.
    pub burst: bool,
    /// The largest datagram that the links take, in bytes.
    pub max_datagram: usize,
}

impl Spec {
    /// A scenario with 1,000 nodes, k = 8, alpha = 3, seed 1 and 1,000 lookups.
    #[must_use]
    pub const fn new(scenario: Scenario) -> Self {
        Self {
            scenario,
            geometry: Geometry::Kademlia,
            lookup: LookupMode::Iterative,
            nodes: 1_000,
            k: 8,
            alpha: 3,
            seed: 1,
            lookups: 1_000,
            dead: 0.3,
            session: Duration::from_secs(84),
            lifetime: Lifetime::Exponential,
            loss: 0.0,
            minutes: None,
            burst: false,
            max_datagram: kadlet::wire::MAX_DATAGRAM,
        }
    }

    /// Checks that all parameters are in their ranges.
    ///
    /// # Errors
    ///
    /// [`InvalidSpec`] names the first that is not.
    pub fn check(&self) -> Result<(), InvalidSpec> {
        let fraction = |value: f64| (0.0..1.0).contains(&value);
        let rules = [
            (self.nodes >= 2, "nodes", "a network has at least 2 nodes"),
            (self.nodes <= 4_000_000, "nodes", "at most 4,000,000 nodes can be simulated"),
            (self.k >= 1 && self.k <= MOST_K, "k", "k is 1 to 32"),
            (
                self.k <= MOST_K_OF_PEER || self.nodes <= MOST_WITH_RECORDS,
                "k",
                "k is at most 8 in networks of more than 200,000 nodes",
            ),
            (self.alpha >= 1 && self.alpha <= 16, "alpha", "alpha is 1 to 16"),
            (self.lookups >= 1, "lookups", "at least 1 lookup is needed to measure anything"),
            (fraction(self.dead), "dead", "the fraction of dead nodes is from 0 to below 1"),
            (self.survivors() >= 2, "dead", "at least 2 nodes must survive"),
            (
                self.lookup != LookupMode::Recursive || self.nodes <= MOST_WITH_RECORDS,
                "lookup",
                "recursive lookups work in networks of at most 200,000 nodes",
            ),
            (fraction(self.loss), "loss", "the fraction of lost datagrams is from 0 to below 1"),
            (self.session >= Duration::from_secs(1), "session", "the median lifetime is at least 1 second"),
            (
                self.minutes.is_none_or(|minutes| minutes > 0.0 && minutes <= 10_000.0),
                "minutes",
                "the time is more than 0 and at most 10,000 minutes",
            ),
            (
                !self.has_records() || self.nodes <= MOST_WITH_RECORDS,
                "nodes",
                "at most 200,000 nodes can be simulated in a scenario with records",
            ),
        ];
        let broken = rules.into_iter().find(|(holds, ..)| !holds);
        broken.map_or(Ok(()), |(_, parameter, range)| Err(InvalidSpec { parameter, range }))
    }

    /// How many nodes of a stale network survive.
    #[must_use]
    pub fn survivors(&self) -> u32 {
        self.nodes - (f64::from(self.nodes) * self.dead.clamp(0.0, 1.0)).round() as u32
    }

    /// The configuration of its nodes.
    #[must_use]
    pub fn config(&self) -> Config {
        let table = Limits { k: self.k, ..Limits::DEFAULT };
        Config { plain: true, table, alpha: self.alpha, max_datagram: self.max_datagram, ..Config::DEFAULT }
    }

    /// How long the network is measured.
    #[must_use]
    pub fn measured(&self) -> Duration {
        let minutes = match self.scenario {
            Scenario::Churn | Scenario::Partition => 30.0,
            _ => 10.0,
        };
        Duration::from_secs_f64(60.0 * self.minutes.unwrap_or(minutes))
    }

    /// The lifetime of one node.
    #[must_use]
    pub fn draw_session(&self, random: &mut Random) -> Duration {
        let half = core::f64::consts::LN_2;
        match self.lifetime {
            Lifetime::Exponential => random.exponential(self.session.div_f64(half)),
            Lifetime::Weibull => random.weibull(self.session.div_f64(libm::pow(half, 1.0 / SHAPE)), SHAPE),
        }
    }

    /// The median lifetime of nodes whose mean lifetime is `mean`.
    #[must_use]
    pub fn median(lifetime: Lifetime, mean: Duration) -> Duration {
        let half = core::f64::consts::LN_2;
        match lifetime {
            Lifetime::Exponential => mean.mul_f64(half),
            Lifetime::Weibull => mean.mul_f64(libm::pow(half, 1.0 / SHAPE) / libm::tgamma(1.0 + 1.0 / SHAPE)),
        }
    }

    const fn has_records(&self) -> bool {
        matches!(self.scenario, Scenario::Gets | Scenario::Replace | Scenario::Partition | Scenario::Storm)
    }
}

/// A parameter is out of its range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidSpec {
    /// The parameter's name, as a field of [`Spec`] and as an option of the command.
    pub parameter: &'static str,
    /// Its range, in words.
    pub range: &'static str,
}

impl fmt::Display for InvalidSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "--{}: {}", self.parameter, self.range)
    }
}

impl core::error::Error for InvalidSpec {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_have_the_specified_median_and_mean() {
        for lifetime in [Lifetime::Exponential, Lifetime::Weibull] {
            let mean = Duration::from_secs(1_000);
            let spec = Spec { lifetime, session: Spec::median(lifetime, mean), ..Spec::new(Scenario::Churn) };
            let mut random = Random::new(5);
            let mut drawn: Vec<_> = (0..100_000).map(|_| spec.draw_session(&mut random).as_secs_f64()).collect();
            drawn.sort_unstable_by(f64::total_cmp);
            let (median, average) = (drawn[50_000], drawn.iter().sum::<f64>() / 100_000.0);
            assert!((median / spec.session.as_secs_f64() - 1.0).abs() < 0.03, "{lifetime:?}: {median}");
            assert!((average / 1_000.0 - 1.0).abs() < 0.05, "{lifetime:?}: {average}");
        }
    }

    #[test]
    fn a_parameter_out_of_range_is_named() {
        let spec = Spec::new(Scenario::Stale);
        for (spec, parameter) in [
            (Spec { nodes: 0, ..spec.clone() }, "nodes"),
            (Spec { nodes: 2, dead: 0.9, ..spec.clone() }, "dead"),
            (Spec { dead: 1.5, ..spec.clone() }, "dead"),
            (Spec { loss: 1.01, ..spec.clone() }, "loss"),
            (Spec { loss: f64::NAN, ..spec.clone() }, "loss"),
            (Spec { k: 0, ..spec.clone() }, "k"),
            (Spec { k: 20, nodes: 1_000_000, ..spec.clone() }, "k"),
            (Spec { alpha: 0, ..spec.clone() }, "alpha"),
            (Spec { lookups: 0, ..spec.clone() }, "lookups"),
            (Spec { minutes: Some(-1.0), ..spec.clone() }, "minutes"),
            (Spec { session: Duration::ZERO, ..spec.clone() }, "session"),
            (Spec { scenario: Scenario::Storm, nodes: 1_000_000, ..spec.clone() }, "nodes"),
        ] {
            assert_eq!(spec.check().map_err(|invalid| invalid.parameter), Err(parameter));
        }
        assert_eq!(spec.check(), Ok(()));
    }
}
