//! What a trial is given, and what it measures.

use crate::scenario::spec::{InvalidSpec, MOST_K_OF_PEER, MOST_WITH_RECORDS, Spec};

/// What happens in a trial. `attackers` is that of [`TrialSpec`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trial {
    /// Nodes live as long as the network's `session` says, and others join in their place. The first hosts live for
    /// good, are in both seats of their /24, and name only each other. After the network's `minutes`, records are put;
    /// ten minutes later they are got, and the nodes closest to random targets are looked up.
    Eclipse {
        /// Whether they name 8 drawn from their 32 nearest to the target, instead of the nearest.
        spread: bool,
    },
    /// The first hosts name an address of somebody else, by identifiers that are bound to it.
    ThirdParty {
        /// Whether the attackers are all in one /24, instead of one each.
        one_prefix: bool,
        /// Whether they name addresses of 250 /24s, in both seats of each, instead of one address.
        wide: bool,
        /// How many contacts they name at once.
        named: usize,
    },
    /// There are as many records as attackers. The holder nearest to each claims to replicate it and does not, while
    /// 24 other holders die, one after another.
    ClaimedReplication,
    /// 20 honest nodes hand a record each over to a node; then one attacker hands over 400, the farthest first.
    /// `attackers` is not used.
    Handovers {
        /// Whether the node has room for 32 records, and those of the attacker are small. Otherwise it has room for
        /// 128, and they have 1,000 bytes.
        small: bool,
    },
    /// 20 honest nodes store a record each at a node with room for 128 in 64 KiB; then attackers store some, each in
    /// a /24 of its own, all in one /16.
    Stuffing {
        /// Whether each stores four small records, instead of one of 1,000 bytes.
        small: bool,
    },
    /// A node is offline for an hour, and meanwhile another takes its identifier. `attackers` is not used.
    TakenOver {
        /// Whether the other one is in the same /24, where it has a right to the identifier as well.
        same_prefix: bool,
    },
    /// Attackers send requests to a node by its own identifier, half of them from its own /24, and respond by it. After
    /// five minutes, as many requests come from forged addresses in addition.
    Forgeries,
    /// Attackers next to a node are there for a minute, silent for a minute, and so on. The attacker has a whole /24
    /// for each four nodes, and takes the seats that are nearest.
    Flapping,
    /// Attackers, each in a /24 of its own, send a node four times as many requests as it may serve.
    Limits {
        /// What they send.
        flood: Flood,
        /// Whether they are in a private network instead, to which the node belongs, too.
        private: bool,
    },
    /// The last hosts, as many as `attackers`, are honest. They join one after another, with random identifiers, and
    /// find out by themselves which they can have.
    Crowd(Crowd),
}

/// What a node is flooded with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flood {
    /// Pings without a token.
    Unproved,
    /// Pings with a token.
    Proved,
    /// Stores of records whose signatures are wrong, with a token.
    Signatures,
}

/// Where the nodes of a crowd are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crowd {
    /// In one /24.
    OnePrefix,
    /// Behind one IP address.
    BehindOne,
    /// Ten in each /24.
    Tens,
    /// In a private network.
    Private,
}

/// A trial and its parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct TrialSpec {
    /// The network: `nodes`, `k`, `alpha`, `seed`, `loss`; `session` and `minutes` where the trial says so; and
    /// `lookups`, which is the number of gets of each kind of record, or of lookups.
    pub network: Spec,
    /// What happens.
    pub trial: Trial,
    /// How many attackers there are.
    pub attackers: u32,
}

/// One measure of a trial.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measure {
    /// Its name.
    pub figure: &'static str,
    /// Its value.
    pub value: f64,
}

impl TrialSpec {
    /// Checks that all parameters are in their ranges.
    ///
    /// # Errors
    ///
    /// [`InvalidSpec`] names the first that is not.
    pub fn check(&self) -> Result<(), InvalidSpec> {
        self.network.check()?;
        let Spec { nodes, k, .. } = self.network;
        let most = match self.trial {
            Trial::Crowd(Crowd::OnePrefix | Crowd::BehindOne) => nodes.min(255),
            Trial::Crowd(_) => nodes,
            Trial::Limits { .. } | Trial::Stuffing { .. } => 250,
            _ => nodes / 2,
        };
        let rules = [
            (nodes <= MOST_WITH_RECORDS, "nodes", "at most 200,000 nodes can be simulated with records"),
            (self.attackers <= most, "attackers", "too many: see what the trial makes of them"),
            (k <= MOST_K_OF_PEER, "k", "k is at most 8 in a trial"),
        ];
        let broken = rules.into_iter().find(|(holds, ..)| !holds);
        broken.map_or(Ok(()), |(_, parameter, range)| Err(InvalidSpec { parameter, range }))
    }
}
