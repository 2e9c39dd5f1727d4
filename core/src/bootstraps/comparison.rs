//! Which bootstrap address leads into the densest network. Attackers can be at most of them, and name only each other.
//! But they are fewer than the honest nodes, so what is found through them alone is sparser.
//!
//! This does not defend against attackers at all bootstrap addresses, nor against more attackers than honest nodes.

use crate::guard::density::{SPARSER, Sparseness};
use crate::id::Id;
use crate::random::keyed_hash;

/// How many identifiers are looked up through each address once the first has shown that they differ.
const LOOKUPS: u8 = 4;

/// The comparison, from the join of a node that knew no contact to the densest network's contacts alone in its table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Comparison {
    stage: Stage,
    /// Whether a lookup runs.
    runs: bool,
    /// The address that is looked up through, how many lookups through it have ended, and the sum of what they found.
    at: u8,
    step: u8,
    sum: Sparseness,
    /// The least sum so far and its address, and the highest.
    least: Sparseness,
    densest: u8,
    most: Sparseness,
    /// Which addresses have responded, of the first 32: a bit each.
    responded: u32,
    /// What the identifiers to look up follow from. They are the same for all addresses, and look like any others.
    key: [u8; 16],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Over,
    /// The node joins.
    Joining,
    /// One identifier is looked up through each address.
    Sampling,
    /// Several are.
    Measuring,
    /// The own identifier is looked up through the densest one, and its network takes the table.
    Adopting,
}

impl Comparison {
    pub(super) const EMPTY: Self = Self {
        stage: Stage::Over,
        runs: false,
        at: 0,
        step: 0,
        sum: 0,
        least: 0,
        densest: 0,
        most: 0,
        responded: 0,
        key: [0; 16],
    };

    /// A node without contacts begins to join.
    pub(crate) fn expect(&mut self) {
        (self.stage, self.runs, self.responded) = (Stage::Joining, false, 0);
    }

    /// The addresses are others. If some are being compared, all contacts come from these, so the others are compared
    /// once the node has joined through them.
    pub(super) fn restart(&mut self) {
        if self.stage != Stage::Over {
            self.expect();
        }
    }

    pub(super) fn note_response(&mut self, index: usize) {
        self.responded |= u32::try_from(index).ok().and_then(|index| 1_u32.checked_shl(index)).unwrap_or(0);
    }

    /// The node has joined. If it is through two addresses or more, they are compared.
    pub(crate) fn begin(&mut self, key: [u8; 16]) {
        if self.stage == Stage::Joining {
            self.key = key;
            self.begin_stage(if self.responded.count_ones() > 1 { Stage::Sampling } else { Stage::Over });
        }
    }

    /// Whether a lookup must begin.
    pub(super) fn is_due(&self) -> bool {
        self.stage > Stage::Joining && !self.runs
    }

    /// Begins the next lookup: the index of the address, and what to look up.
    pub(crate) fn next(&mut self, own: Id) -> Option<(usize, Id)> {
        if !self.is_due() {
            return None;
        }
        self.runs = true;
        if self.adopts() {
            return Some((self.densest.into(), own));
        }
        let mut target = [0; Id::LEN];
        for (part, bytes) in (0..).zip(target.chunks_mut(8)) {
            let random = keyed_hash(&self.key, &[self.step, part]).to_le_bytes();
            bytes.iter_mut().zip(random).for_each(|(byte, random)| *byte = random);
        }
        Some((self.at.into(), Id::from_bytes(target)))
    }

    /// The lookup had to yield: it begins again.
    pub(crate) fn yielded(&mut self) {
        self.runs = false;
    }

    /// Whether what is found now takes the table.
    pub(crate) fn adopts(&self) -> bool {
        self.stage == Stage::Adopting
    }

    /// The lookup has ended, with what it found. `None` if no node responded.
    pub(crate) fn ended(&mut self, found: Option<Sparseness>) {
        self.runs = false;
        if self.stage <= Stage::Joining {
            return;
        }
        if self.adopts() {
            self.stage = Stage::Over;
            return;
        }
        let lookups = if self.stage == Stage::Sampling { 1 } else { LOOKUPS };
        if let Some(found) = found {
            self.step += 1;
            self.sum = self.sum.saturating_add(found);
            if self.step < lookups {
                return;
            }
            if self.sum < self.least {
                (self.least, self.densest) = (self.sum, self.at);
            }
            self.most = self.most.max(self.sum);
        }
        if self.go_to_address(self.at.saturating_add(1)) {
            return;
        }
        let differ = self.most.saturating_sub(self.least) >= SPARSER * Sparseness::from(lookups);
        self.begin_stage(match self.stage {
            Stage::Sampling if differ => Stage::Measuring,
            Stage::Measuring if differ => Stage::Adopting,
            _ => Stage::Over,
        });
    }

    fn begin_stage(&mut self, stage: Stage) {
        (self.stage, self.least, self.most) = (stage, Sparseness::MAX, 0);
        self.go_to_address(0);
    }

    /// Goes on with the first address from this index on that has responded. False if there is none.
    fn go_to_address(&mut self, index: u8) -> bool {
        let rest = self.responded.checked_shr(index.into()).unwrap_or(0);
        (self.step, self.sum) = (0, 0);
        self.at = index.saturating_add(u8::try_from(rest.trailing_zeros()).unwrap_or(0));
        rest != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    const OWN: Id = Id::from_bytes([7; 20]);

    fn joined_through(responded: &[usize]) -> Comparison {
        let mut comparison = Comparison::EMPTY;
        comparison.expect();
        responded.iter().for_each(|index| comparison.note_response(*index));
        comparison.begin([3; 16]);
        comparison
    }

    /// Runs all lookups: `found` says what each address leads to. Returns the address and the target of each.
    fn run(comparison: &mut Comparison, found: impl Fn(usize) -> Option<Sparseness>) -> Vec<(usize, Id)> {
        let mut lookups = Vec::new();
        while let Some((address, target)) = comparison.next(OWN) {
            assert_eq!(comparison.next(OWN), None, "one at a time");
            assert_eq!(comparison.adopts(), target == OWN);
            comparison.ended(found(address));
            lookups.push((address, target));
            assert!(lookups.len() < 100);
        }
        lookups
    }

    fn addresses(lookups: &[(usize, Id)]) -> Vec<usize> {
        lookups.iter().map(|(address, _)| *address).collect()
    }

    #[test]
    fn addresses_that_lead_into_one_network_are_looked_up_through_once_each() {
        let mut comparison = joined_through(&[0, 2, 3]);
        let lookups = run(&mut comparison, |address| Some(1_000 + address as Sparseness));
        assert_eq!(addresses(&lookups), [0, 2, 3]);
        assert!(lookups.iter().all(|(_, target)| *target == lookups[0].1 && *target != OWN));
    }

    #[test]
    fn the_densest_of_two_networks_is_adopted_whatever_the_order() {
        for densest in [0, 1, 2, 31] {
            let mut comparison = joined_through(&[0, 1, 2, 31]);
            let lookups = run(&mut comparison, |address| Some(if address == densest { 1_000 } else { 1_008 }));
            assert_eq!(lookups.len(), 4 + 16 + 1);
            assert_eq!(lookups[20], (densest, OWN));
            let targets = |of: usize| -> Vec<Id> {
                lookups[4..20].iter().filter(|(address, _)| *address == of).map(|(_, target)| *target).collect()
            };
            assert!(targets(0).len() == 4 && targets(0) == targets(31), "they are compared by the same targets");
            assert!(targets(0).windows(2).all(|two| two[0] != two[1]));
        }
    }

    #[test]
    fn a_single_address_and_addresses_that_do_not_respond_are_not_compared() {
        assert_eq!(run(&mut joined_through(&[]), |_| None), []);
        assert_eq!(run(&mut joined_through(&[1]), |_| None), []);
        assert_eq!(run(&mut joined_through(&[32, 99]), |_| None), [], "more than the first 32");
        let fell_silent = run(&mut joined_through(&[0, 1, 2]), |address| (address != 1).then_some(1_000));
        assert_eq!(addresses(&fell_silent), [0, 1, 2]);
        let mut not_joining = Comparison::EMPTY;
        not_joining.note_response(0);
        not_joining.note_response(1);
        not_joining.begin([3; 16]);
        assert_eq!(run(&mut not_joining, |_| None), [], "a node that knew contacts keeps them");
    }

    #[test]
    fn other_addresses_are_compared_in_place_of_those_that_were_being_compared() {
        let mut comparison = joined_through(&[0, 1, 2]);
        assert!(comparison.next(OWN).is_some());
        comparison.restart();
        comparison.ended(Some(1_000));
        assert_eq!(comparison.next(OWN), None, "the node joins");
        comparison.note_response(4);
        comparison.note_response(5);
        comparison.begin([4; 16]);
        assert_eq!(addresses(&run(&mut comparison, |_| Some(1_000))), [4, 5]);
        comparison.restart();
        comparison.begin([5; 16]);
        assert_eq!(run(&mut comparison, |_| None), [], "it was over");
    }

    #[test]
    fn a_lookup_that_yielded_begins_again() {
        let mut comparison = joined_through(&[0, 1]);
        let first = comparison.next(OWN);
        comparison.yielded();
        assert!(first.is_some() && comparison.next(OWN) == first);
    }
}
