//! What is to happen.

use core::fmt;
use core::time::Duration;

use clap::ValueEnum;
use kadlet::Config;
use kadlet::routing::Limits;

use crate::Random;

/// Larger networks have nodes that hold no records and do one lookup at a time, so that a million fit into 20 GiB.
pub(super) const MOST_WITH_RECORDS: u32 = 200_000;
/// A larger k needs longer shortlists.
pub(super) const MOST_K_OF_PEER: u8 = 8;
/// The largest k there is.
const MOST_K: u8 = 32;

/// What happens to a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Scenario {
    /// Nothing: ideal tables, and lookups.
    Static,
    /// The same, but what is looked up is values that were put: as many as there are nodes.
    Gets,
    /// A part of the nodes of a network with ideal tables dies at once, and lookups begin before anything is repaired.
    Stale,
    /// Nodes join through the first, one after another or all at once.
    Join,
    /// Nodes come and go all the time; each that dies is replaced by a new one.
    Churn,
    /// 85 % of the nodes are replaced, evenly, while the network holds as many records as it had nodes.
    Replace,
    /// The network splits in halves, both are written to, and it is healed.
    Partition,
    /// A fifth of the nodes restarts within a second, each with 20 records of its own to publish again.
    Storm,
    /// Datagrams get lost.
    Loss,
}

/// How lookups go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// The asker asks everybody itself, alpha at a time.
    Iterative,
    /// Each node passes the question on to the best that it knows, and to another if that one doesn't acknowledge it.
    Recursive,
    /// Each node forwards the question to the best that it knows, and nobody acknowledges it. kadlet has no such lookup: it is
    /// computed from the tables, for contrast. Records are put and got iteratively.
    Forwarded,
}

/// Which geometry the network has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Geometry {
    /// The XOR metric.
    Kademlia,
    /// A ring, with 8 successors and fingers.
    Chord,
    /// Digits of 4 bits, with 16 leaves.
    Pastry,
}

/// How the times are distributed for which nodes live.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Lifetime {
    /// Who has lived for long lives no longer for it.
    Exponential,
    /// Who has lived for long will live longer, as measured in real networks: a shape of 0.59 (Stutzbach and Rejaie 2006).
    Weibull,
}

/// The Weibull's shape.
const SHAPE: f64 = 0.59;

/// A scenario and its parameters. What a scenario has no use for is ignored.
#[derive(Clone, Debug, PartialEq)]
pub struct Spec {
    /// What happens.
    pub scenario: Scenario,
    /// To a network of which geometry.
    pub geometry: Geometry,
    /// How lookups go.
    pub lookup: Mode,
    /// How many nodes there are: at least 2.
    pub nodes: u32,
    /// How many contacts a bucket has, and how many replicas a record: 1 to 32.
    pub k: u8,
    /// How many questions of one lookup are under way at once: 1 to 16.
    pub alpha: u8,
    /// Where all chance comes from.
    pub seed: u64,
    /// How many lookups are made and judged.
    pub lookups: u32,
    /// Stale: the part of the nodes that dies, 0 to below 1.
    pub dead: f64,
    /// Churn: the median of the times for which nodes live.
    pub session: Duration,
    /// Churn: how these times are distributed.
    pub lifetime: Lifetime,
    /// The part of all datagrams that is lost, 0 to below 1.
    pub loss: f64,
    /// How long the network is measured; `None`: what the scenario is best served by.
    pub minutes: Option<f64>,
    /// Join: all at once instead of one after another.
    pub burst: bool,
    /// The largest datagram of all links, in bytes.
    pub max_datagram: usize,
}

impl Spec {
    /// A scenario with 1,000 nodes, k = 8, alpha = 3, seed 1 and 1,000 lookups.
    #[must_use]
    pub const fn new(scenario: Scenario) -> Self {
        Self {
            scenario,
            geometry: Geometry::Kademlia,
            lookup: Mode::Iterative,
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

    /// Whether all of it can be.
    ///
    /// # Errors
    ///
    /// [`Impossible`] names the parameter.
    pub fn check(&self) -> Result<(), Impossible> {
        let part = |value: f64| (0.0..1.0).contains(&value);
        let possible = [
            (self.nodes >= 2, "nodes", "a network has at least 2 nodes"),
            (self.nodes <= 4_000_000, "nodes", "at most 4,000,000 nodes are simulated"),
            (self.k >= 1 && self.k <= MOST_K, "k", "k is 1 to 32"),
            (
                self.k <= MOST_K_OF_PEER || self.nodes <= MOST_WITH_RECORDS,
                "k",
                "k is at most 8 in networks of more than 200,000 nodes",
            ),
            (self.alpha >= 1 && self.alpha <= 16, "alpha", "alpha is 1 to 16"),
            (self.lookups >= 1, "lookups", "at least 1 lookup is needed to measure anything"),
            (part(self.dead), "dead", "the dead are a part of the nodes: from 0 to below 1"),
            (self.survivors() >= 2, "dead", "at least 2 nodes must survive"),
            (
                self.lookup != Mode::Recursive || self.nodes <= MOST_WITH_RECORDS,
                "lookup",
                "at most 200,000 nodes where questions are passed on",
            ),
            (part(self.loss), "loss", "what is lost is a part of the datagrams: from 0 to below 1"),
            (self.session >= Duration::from_secs(1), "session", "the median session is at least 1 second"),
            (
                self.minutes.is_none_or(|minutes| minutes > 0.0 && minutes <= 10_000.0),
                "minutes",
                "it is more than 0 and up to 10,000",
            ),
            (
                !self.has_records() || self.nodes <= MOST_WITH_RECORDS,
                "nodes",
                "at most 200,000 nodes where records are stored",
            ),
        ];
        let first = possible.into_iter().find(|(possible, ..)| !possible);
        first.map_or(Ok(()), |(_, parameter, words)| Err(Impossible { parameter, words }))
    }

    const fn has_records(&self) -> bool {
        matches!(self.scenario, Scenario::Gets | Scenario::Replace | Scenario::Partition | Scenario::Storm)
    }

    /// How many nodes of a stale network live on.
    #[must_use]
    pub fn survivors(&self) -> u32 {
        self.nodes - (f64::from(self.nodes) * self.dead.clamp(0.0, 1.0)).round() as u32
    }

    /// How its nodes are configured.
    #[must_use]
    pub fn config(&self) -> Config {
        let table = Limits { k: self.k, ..Limits::DEFAULT };
        Config { plain: true, table, alpha: self.alpha, max_datagram: self.max_datagram, ..Config::DEFAULT }
    }

    /// How long it is measured.
    #[must_use]
    pub fn measured(&self) -> Duration {
        let minutes = match self.scenario {
            Scenario::Churn | Scenario::Partition => 30.0,
            _ => 10.0,
        };
        Duration::from_secs_f64(60.0 * self.minutes.unwrap_or(minutes))
    }

    /// For how long a node lives.
    #[must_use]
    pub fn draw_session(&self, random: &mut Random) -> Duration {
        let half = core::f64::consts::LN_2;
        match self.lifetime {
            Lifetime::Exponential => random.exponential(self.session.div_f64(half)),
            Lifetime::Weibull => random.weibull(self.session.div_f64(libm::pow(half, 1.0 / SHAPE)), SHAPE),
        }
    }

    /// The median session of nodes that live for `mean` in the mean.
    #[must_use]
    pub fn median(lifetime: Lifetime, mean: Duration) -> Duration {
        let half = core::f64::consts::LN_2;
        match lifetime {
            Lifetime::Exponential => mean.mul_f64(half),
            Lifetime::Weibull => mean.mul_f64(libm::pow(half, 1.0 / SHAPE) / libm::tgamma(1.0 + 1.0 / SHAPE)),
        }
    }
}

/// A parameter that can't be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Impossible {
    /// Which.
    pub parameter: &'static str,
    /// What it may be.
    pub words: &'static str,
}

impl fmt::Display for Impossible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "--{}: {}", self.parameter, self.words)
    }
}

impl core::error::Error for Impossible {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_have_the_median_and_the_mean_that_were_asked_for() {
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
    fn what_cannot_be_names_its_parameter() {
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
            assert_eq!(spec.check().map_err(|impossible| impossible.parameter), Err(parameter));
        }
        assert_eq!(spec.check(), Ok(()));
    }
}
