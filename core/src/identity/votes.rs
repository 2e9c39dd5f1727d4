//! Votes on the address at which other nodes see this one: one for each address prefix of a voter.

use heapless::Vec;

use crate::address::{Address, Prefix};

/// The most votes that are kept.
const MOST: usize = 6;

/// What the voters observed, each with the number of its address prefix.
#[derive(Clone, Debug)]
pub(crate) struct Votes<A>(Vec<(u64, A), MOST, u8>);

impl<A: Address> Votes<A> {
    pub(crate) const EMPTY: Self = Self(Vec::new());

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) fn has_voted(&self, voter: Prefix) -> bool {
        self.0.iter().any(|(other, _)| *other == voter.number())
    }

    /// The first vote of a prefix counts, as long as there is room.
    pub(crate) fn cast(&mut self, voter: Prefix, observed: A) {
        if !self.has_voted(voter) {
            let _ = self.0.push((voter.number(), observed));
        }
    }

    /// An address with the prefix that two thirds of the voters or more observed, and how many did.
    pub(crate) fn winner(&self) -> Option<(A, usize)> {
        let counted = self.0.iter().map(|(_, observed)| {
            let agreeing = self.0.iter().filter(|(_, other)| other.prefix() == observed.prefix()).count();
            (*observed, agreeing)
        });
        counted.into_iter().find(|(_, agreeing)| 3 * agreeing >= 2 * self.0.len())
    }
}
