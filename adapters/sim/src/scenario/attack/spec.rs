//! What an attack is given.

use crate::scenario::spec::{InvalidSpec, LookupMode, MOST_WITH_RECORDS, Spec};

/// What attackers do, or what is hard for honest nodes: the last six have no attackers, but nodes of another kind in
/// their place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum Attack {
    /// Nothing: no node is hostile.
    None,
    /// Of the nodes, they name identifiers next to every target, at addresses in the /24s of all of them.
    Invent,
    /// New nodes with identifiers next to each key name only each other, and drop what they are to store. The attacker
    /// has a whole /24 for each four nodes, and takes the best of both first-class seats of all.
    Sybils,
    /// The same with the best of all seats of one /24 for each key.
    SybilsOfOnePrefix,
    /// Of the nodes, they name the honest nodes that are nearest, but at addresses in their own /24.
    Misname,
    /// Of the nodes, they name only each other, and drop what they are to store.
    Collude,
    /// The same, but they name 8 drawn from their 32 nearest to the target.
    ColludeSpread,
    /// Of each record's holders, they respond to stores that their record is newer.
    RefuseOutdated,
    /// Of each record's holders, they respond to stores that their record is another one.
    RefuseConflict,
    /// As many new nodes next to each key as in `sybils`, and as many next to its publisher, which are honest: the
    /// publisher's neighbourhood is as dense as that of the key.
    Density,
    /// A client stores an old version of each signed record at this many of the nodes that are next after its holders.
    PlantOld,
    /// Of the nodes, they serve the first version of each signed record for good.
    ServeOld,
    /// Of the nodes, they name only each other, and new nodes join through three of them and an honest one. The gets
    /// are those of the new nodes.
    Bootstrap,
    /// The same with attackers that name identifiers next to every target.
    BootstrapInvent,
    /// Of the nodes, they claim to hold every record and never deliver one, and drop relay requests.
    Stall,
    /// Of the nodes, they are honest, and all in one /24.
    Crowd,
    /// Of the nodes, they are honest, and all behind one IP address.
    BehindOne,
    /// Of the nodes, they are honest, and in /24s of ten nodes each.
    Tens,
    /// All nodes are honest, and in one private network. The number of attackers must be 0.
    Private,
    /// Of the nodes, they are honest, and behind NATs without a forwarded port: they can't be reached unasked.
    Nat,
    /// Of the nodes, they are honest, and all get another address at once. Five minutes later the gets begin.
    Renumber,
}

/// An attack and its parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct AttackSpec {
    /// The network: `geometry`, `lookup`, `nodes`, `k`, `alpha`, `seed`, `loss`, and in `lookups` the number of gets of
    /// each kind of record.
    pub network: Spec,
    /// What attackers do.
    pub attack: Attack,
    /// How many attackers there are: of all nodes, or for each record, as the attack says.
    pub attackers: u32,
    /// How many records of each kind are put: at least 1. They are got in turn.
    pub records: u32,
}

impl AttackSpec {
    /// Checks that all parameters are in their ranges.
    ///
    /// # Errors
    ///
    /// [`InvalidSpec`] names the first that is not.
    pub fn check(&self) -> Result<(), InvalidSpec> {
        self.network.check()?;
        let Self { network: Spec { nodes, lookup, k, .. }, attackers, records, .. } = *self;
        let rules = [
            (nodes <= MOST_WITH_RECORDS, "nodes", "at most 200,000 nodes can be simulated with records"),
            (lookup != LookupMode::Forwarded, "lookup", "gets are iterative or recursive"),
            (self.most_attackers() >= attackers, "attackers", "too many: see what the attack makes of them"),
            (k <= 8, "k", "k is at most 8 under attack"),
            ((1..=1_000).contains(&records), "records", "1 to 1,000 records of each kind can be put"),
        ];
        let broken = rules.into_iter().find(|(holds, ..)| !holds);
        broken.map_or(Ok(()), |(_, parameter, range)| Err(InvalidSpec { parameter, range }))
    }

    const fn most_attackers(&self) -> u32 {
        match self.attack {
            Attack::RefuseOutdated | Attack::RefuseConflict => self.network.k as u32,
            Attack::Sybils | Attack::SybilsOfOnePrefix | Attack::Density => 250,
            Attack::None | Attack::Private => 0,
            Attack::Crowd | Attack::BehindOne if self.network.nodes > 255 => 255,
            Attack::Crowd | Attack::BehindOne | Attack::Tens => self.network.nodes,
            _ => self.network.nodes / 2,
        }
    }
}
