//! A lookup's story: its rounds, who answered in each, and how the distance falls.

use core::net::SocketAddr;
use std::collections::HashSet;

use kadlet::{Contact, Distance, Id, Progress, QueryStats};

/// What a put does when its search is over.
pub(crate) const PUT: &str = "the nodes responsible are found: they are given the record";
/// What a get does when its search is over.
pub(crate) const GET: &str = "the record is found: those of the nearest nodes that lack it are given it";

/// How far from a target a node is, by the order of responsibility in its network.
pub(crate) type Rank = fn(target: &Id, id: &Id) -> Distance;

/// Follows one operation from look to look.
#[derive(Debug)]
pub(crate) struct Trace {
    target: Id,
    rank: Rank,
    then: &'static str,
    rounds: u32,
    told: QueryStats,
    discovered: HashSet<Id>,
    storing: bool,
}

/// What happened since the last look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Nodes answered, or didn't.
    Round(Round),
    /// The responsible nodes are found, and the record is being stored at them.
    Storing,
}

/// One round of questions and answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Round {
    /// Counted from 1.
    pub(crate) number: u32,
    /// Nodes asked so far.
    pub(crate) asked: u16,
    /// Nodes that answered so far.
    pub(crate) responded: u16,
    /// Nodes that did not, so far.
    pub(crate) timed_out: u16,
    /// How far from the target the nearest node is that answered so far.
    pub(crate) closest: Option<Distance>,
    /// Those among the nearest who answered in this round, nearest first.
    pub(crate) newcomers: Vec<Contact<SocketAddr>>,
}

impl Trace {
    /// The story of a search for `target`, and of what is done `then`.
    pub(crate) fn new(target: Id, then: &'static str, rank: Rank) -> Self {
        Self { target, rank, then, rounds: 0, told: QueryStats::default(), discovered: HashSet::new(), storing: false }
    }

    /// What happened since the last look.
    pub(crate) fn look(&mut self, progress: &Progress<'_, SocketAddr>) -> Vec<Turn> {
        if self.storing {
            return Vec::new();
        }
        let mut turns = Vec::from_iter(self.round(&progress.stats, progress.responded.iter()).map(Turn::Round));
        if progress.storing {
            self.storing = true;
            turns.push(Turn::Storing);
        }
        turns
    }

    /// The last round of a search, which ended it.
    pub(crate) fn end(&mut self, stats: &QueryStats, nearest: &[Contact<SocketAddr>]) -> Option<Turn> {
        if self.storing { None } else { self.round(stats, nearest.iter().copied()).map(Turn::Round) }
    }

    fn round(&mut self, stats: &QueryStats, nearest: impl Iterator<Item = Contact<SocketAddr>>) -> Option<Round> {
        if (stats.responded, stats.timed_out) == (self.told.responded, self.told.timed_out) {
            return None;
        }
        self.told = *stats;
        self.rounds += 1;
        let newcomers = nearest.filter(|contact| self.discovered.insert(contact.id)).collect();
        let QueryStats { asked, responded, timed_out, closest, .. } = *stats;
        Some(Round { number: self.rounds, asked, responded, timed_out, closest, newcomers })
    }

    /// A turn in words, with those who answered if `names`.
    pub(crate) fn words(&self, turn: &Turn, names: bool) -> String {
        let round = match turn {
            Turn::Storing => return self.then.to_owned(),
            Turn::Round(round) => round,
        };
        let silent = if round.timed_out > 0 { format!(", {} silent", round.timed_out) } else { String::new() };
        let closest =
            round.closest.map_or_else(String::new, |distance| format!("; nearest so far at {}", power(&distance)));
        let mut words =
            format!("round {}: {} asked, {} answered{silent}{closest}", round.number, round.asked, round.responded);
        for contact in round.newcomers.iter().filter(|_| names) {
            words += &format!("\n  {}", line(self.rank, &self.target, contact));
        }
        words
    }
}

/// One node and how far from the target it is.
pub(crate) fn line(rank: Rank, target: &Id, contact: &Contact<SocketAddr>) -> String {
    let Contact { id, address } = contact;
    format!("{:>8}  {address}  id {id}", power(&rank(target, id)))
}

/// A distance as a power of two, which is what a person can compare.
pub(crate) fn power(distance: &Distance) -> String {
    let number = distance.as_bytes().iter().fold(0.0, |number, byte| number * 256.0 + f64::from(*byte));
    if number < 1.0 { "0".to_owned() } else { format!("2^{:.1}", f64::log2(number)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_powers_of_two() {
        assert_eq!(power(&Distance::ZERO), "0");
        assert_eq!(power(&Distance::MAX), "2^160.0");
        let mut bytes = [0; 20];
        bytes[10] = 3;
        assert_eq!(power(&Id::from_bytes(bytes).xor(&Id::ZERO)), "2^73.6");
    }
}
