//! What one source can have of a shortlist: one branch, or one address prefix. Otherwise the words of one liar, or the
//! nodes of one network, would fill it. Also the second address of a contact: a liar may have named the first.
//!
//! This does not defend against liars that several branches lead to, as to those with the nearest identifiers.

use core::marker::PhantomData;

use heapless::VecView;

use super::found::{Candidate, CandidateState, LookupLimits};
use crate::address::Address;
use crate::array;
use crate::geometry::Geometry;
use crate::id::Id;

/// With two orders, as many of the contacts nearest by progress must respond (k, if that is less), half of them of one
/// branch at most. Each knows the nodes after the target, so a few liars can't hide these.
pub(super) const PREDECESSORS: usize = 6;

/// How much of a shortlist each branch and each prefix can have.
#[derive(Clone, Copy)]
pub(super) struct Shares<G> {
    pub(super) target: Id,
    pub(super) limits: LookupLimits,
    pub(super) geometry: PhantomData<fn() -> G>,
}

impl<G: Geometry> Shares<G> {
    /// Decides which contacts count, after one was added or has changed its state.
    pub(super) fn settle<A: Address, T: Copy>(&self, shortlist: &mut VecView<Candidate<A, T>>) {
        let part = part_of_a_branch(shortlist);
        for at in 0..shortlist.len() {
            let (before, rest) = shortlist.split_at_checked(at).unwrap_or_default();
            let surplus =
                rest.split_first().is_some_and(|(candidate, after)| self.is_surplus(before, candidate, after, part));
            if let Some(candidate) = shortlist.get_mut(at) {
                candidate.set_surplus(surplus);
            }
        }
    }

    /// Whether a contact would be more than its branch or its prefix can have if it was inserted at this index.
    pub(super) fn would_be_surplus<A: Address, T: Copy>(
        &self,
        shortlist: &VecView<Candidate<A, T>>,
        at: usize,
        candidate: &Candidate<A, T>,
    ) -> bool {
        let (before, after) = shortlist.split_at_checked(at).unwrap_or_default();
        self.is_surplus(before, candidate, after, part_of_a_branch(shortlist))
    }

    /// Whether a contact between these is more than its branch or its prefix can have: as many of it are nearer. Those
    /// that have failed don't count. Slow ones don't either: in their place, others are asked.
    ///
    /// With two orders, contacts that follow the target count by rank, and those that precede it by progress. Only the
    /// few nodes that precede the target know those that follow it, so these are exempt from the quota of a branch.
    #[inline(never)]
    fn is_surplus<A: Address, T: Copy>(
        &self,
        before: &[Candidate<A, T>],
        candidate: &Candidate<A, T>,
        after: &[Candidate<A, T>],
        part: usize,
    ) -> bool {
        let id = &candidate.contact.id;
        let precedes = !G::ONE_ORDER && G::progress(&self.target, id) < G::rank(&self.target, id);
        let exempt = candidate.is_own() || !(G::ONE_ORDER || precedes);
        let nearer = if precedes { after } else { before }.iter().filter(|other| other.takes_place());
        let least = if precedes { PREDECESSORS / 2 } else { usize::from(self.limits.k).div_ceil(2).max(2) };
        let of_branch = |other: &&Candidate<A, T>| other.branch() == candidate.branch();
        if !exempt && nearer.clone().filter(of_branch).count() >= part.max(least) {
            return true;
        }
        let prefix = candidate.contact.address.prefix();
        let of_prefix = |other: &&Candidate<A, T>| other.contact.address.prefix() == prefix;
        prefix.is_some() && nearer.filter(of_prefix).count() >= self.limits.prefix.into()
    }

    /// A contact is named that the shortlist has at this index. False if nothing changes but the branch for which it
    /// counts.
    pub(super) fn add_again<A: Address, T: Copy>(
        &self,
        shortlist: &mut VecView<Candidate<A, T>>,
        at: usize,
        mut named: Candidate<A, T>,
    ) -> bool {
        let Some(known) = shortlist.get(at).copied() else {
            return false;
        };
        let is_new = known.contact != named.contact;
        if !is_new {
            // It counts for the branch that has room for it.
            let branch = named.branch();
            named = known;
            named.set_branch(branch);
            let (before, rest) = shortlist.split_at_checked(at).unwrap_or_default();
            let after = rest.get(1..).unwrap_or_default();
            let wants_room = known.is_live() && !known.counts() && !known.is_own();
            if !wants_room || self.is_surplus(before, &named, after, part_of_a_branch(shortlist)) {
                return false;
            }
        } else if !matches!(known.state, CandidateState::Failed | CandidateState::Rival) {
            let is_second = shortlist.get(at + 1).is_none_or(|next| next.contact.id != known.contact.id);
            named.state = CandidateState::Rival;
            return is_second && known.state < CandidateState::Failed && array::insert(shortlist, at + 1, named);
        }
        if let Some(known) = shortlist.get_mut(at) {
            *known = named;
        }
        self.settle(shortlist);
        is_new
    }
}

/// The part of a shortlist that each branch has, if there are few: all of it, divided by the live contacts of the own
/// table.
fn part_of_a_branch<A: Address, T: Copy>(shortlist: &VecView<Candidate<A, T>>) -> usize {
    let branches = shortlist.iter().filter(|candidate| candidate.is_own() && candidate.is_live()).count();
    shortlist.capacity() / branches.max(1)
}

/// If the contact at an index has responded, its second address is forgotten. If it has failed, the second address
/// takes its place.
pub(super) fn choose_address<A: Address, T: Copy>(shortlist: &mut VecView<Candidate<A, T>>, at: usize) {
    let Some([known, second]) = shortlist.get_mut(at..).and_then(|rest| rest.first_chunk_mut()) else {
        return;
    };
    let are_two = second.state == CandidateState::Rival && known.contact.id == second.contact.id;
    if are_two && known.state >= CandidateState::Failed {
        second.state = CandidateState::Unasked;
        let failed = known.state == CandidateState::Failed;
        array::remove(shortlist, if failed { at } else { at + 1 });
    }
}

/// Whether a named contact of a branch has responded.
pub(super) fn is_proved<A: Address, T: Copy>(shortlist: &[Candidate<A, T>], branch: u8) -> bool {
    let mut named = shortlist.iter().filter(|candidate| candidate.branch() == branch && !candidate.is_own());
    named.any(Candidate::has_responded)
}

/// If a branch is proved, strangers of it that have failed can be asked again: the few requests to them may be lost.
pub(super) fn ask_strangers_again<A: Address, T: Copy>(shortlist: &mut VecView<Candidate<A, T>>, branch: u8) {
    if is_proved(shortlist, branch) {
        let strangers =
            shortlist.iter_mut().filter(|candidate| candidate.branch() == branch && candidate.is_stranger());
        for candidate in strangers.filter(|candidate| candidate.state == CandidateState::Failed) {
            candidate.state = CandidateState::Unasked;
        }
    }
}
