//! The trace of a lookup: its rounds, the nodes that responded in each, and how the distance falls.

use core::net::SocketAddr;
use std::collections::HashSet;

use kadlet::{Contact, Distance, Id, Progress, QueryStats};

/// What a put does after its lookup.
pub(crate) const PUT: &str = "the responsible nodes are found; the record is sent to them";
/// What a get does after its lookup.
pub(crate) const GET: &str = "the record is found; it is sent to the nearest nodes that lack it";

/// A node's distance from a target, by the network's order of responsibility.
pub(crate) type Rank = fn(target: &Id, id: &Id) -> Distance;

/// Follows one operation from update to update.
#[derive(Debug)]
pub(crate) struct Trace {
    target: Id,
    rank: Rank,
    then: &'static str,
    rounds: u32,
    /// The counts at the last round.
    last: QueryStats,
    /// The nodes that were named in a round.
    named: HashSet<Id>,
    storing: bool,
}

/// What happened since the last update.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Nodes responded, or timed out.
    Round(Round),
    /// The responsible nodes are found, and the record is being stored at them.
    Storing,
}

/// One round of requests and responses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Round {
    /// Counted from 1.
    pub(crate) number: u32,
    /// Nodes asked so far.
    pub(crate) asked: u16,
    /// Nodes that responded so far.
    pub(crate) responded: u16,
    /// Nodes that timed out so far.
    pub(crate) timed_out: u16,
    /// The distance from the target of the nearest node that responded so far.
    pub(crate) closest: Option<Distance>,
    /// The nodes that responded in this round and are among the nearest so far, nearest first.
    pub(crate) newcomers: Vec<Contact<SocketAddr>>,
}

impl Trace {
    /// The trace of a lookup for `target`; `then` is what the operation does after it.
    pub(crate) fn new(target: Id, then: &'static str, rank: Rank) -> Self {
        Self { target, rank, then, rounds: 0, last: QueryStats::default(), named: HashSet::new(), storing: false }
    }

    /// Returns what happened since the last update.
    pub(crate) fn update(&mut self, progress: &Progress<'_, SocketAddr>) -> Vec<Step> {
        if self.storing {
            return Vec::new();
        }
        let mut steps = Vec::from_iter(self.round(&progress.stats, progress.responded.iter()).map(Step::Round));
        if progress.storing {
            self.storing = true;
            steps.push(Step::Storing);
        }
        steps
    }

    /// Returns the last round of a lookup that has ended.
    pub(crate) fn end(&mut self, stats: &QueryStats, nearest: &[Contact<SocketAddr>]) -> Option<Step> {
        if self.storing { None } else { self.round(stats, nearest.iter().copied()).map(Step::Round) }
    }

    fn round(&mut self, stats: &QueryStats, nearest: impl Iterator<Item = Contact<SocketAddr>>) -> Option<Round> {
        if (stats.responded, stats.timed_out) == (self.last.responded, self.last.timed_out) {
            return None;
        }
        self.last = *stats;
        self.rounds += 1;
        let newcomers = nearest.filter(|contact| self.named.insert(contact.id)).collect();
        let QueryStats { asked, responded, timed_out, closest, .. } = *stats;
        Some(Round { number: self.rounds, asked, responded, timed_out, closest, newcomers })
    }

    /// A step as text, with the nodes that responded if `names`.
    pub(crate) fn text(&self, step: &Step, names: bool) -> String {
        let round = match step {
            Step::Storing => return self.then.to_owned(),
            Step::Round(round) => round,
        };
        let timed_out = if round.timed_out > 0 { format!(", {} timed out", round.timed_out) } else { String::new() };
        let closest =
            round.closest.map_or_else(String::new, |distance| format!("; nearest so far at {}", power(&distance)));
        let mut text =
            format!("round {}: {} asked, {} responded{timed_out}{closest}", round.number, round.asked, round.responded);
        for contact in round.newcomers.iter().filter(|_| names) {
            text += &format!("\n  {}", line(self.rank, &self.target, contact));
        }
        text
    }
}

/// One node and its distance from the target, as text.
pub(crate) fn line(rank: Rank, target: &Id, contact: &Contact<SocketAddr>) -> String {
    let Contact { id, address } = contact;
    format!("{:>8}  {address}  id {id}", power(&rank(target, id)))
}

/// A distance as a power of two, which a person can compare.
pub(crate) fn power(distance: &Distance) -> String {
    let number = distance.as_bytes().iter().fold(0.0, |number, byte| number * 256.0 + f64::from(*byte));
    if number < 1.0 { "0".to_owned() } else { format!("2^{:.1}", f64::log2(number)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distance_is_shown_as_a_power_of_two() {
        assert_eq!(power(&Distance::ZERO), "0");
        assert_eq!(power(&Distance::MAX), "2^160.0");
        let mut bytes = [0; 20];
        bytes[10] = 3;
        assert_eq!(power(&Id::from_bytes(bytes).xor(&Id::ZERO)), "2^73.6");
    }
}
