//! What one source can have of a shortlist: one branch, or one address prefix. Otherwise the words of one liar, or the
//! nodes of one network, would fill it. Also the second address of a contact: a liar may have named the first.

use super::found::{Candidate, CandidateState};
use super::{LookupView, PREDECESSORS};
use crate::address::Address;
use crate::array;
use crate::geometry::Geometry;

impl<G: Geometry, A: Address, T: Copy + Sync> LookupView<G, A, T> {
    /// Decides which contacts count, after one was added or has changed its state.
    pub(super) fn settle(&mut self) {
        for at in 0..self.shortlist.len() {
            let surplus = self.shortlist.get(at).is_some_and(|candidate| self.is_surplus(at, candidate));
            if let Some(candidate) = self.shortlist.get_mut(at) {
                candidate.set_surplus(surplus);
            }
        }
    }

    /// Whether a contact that is at this index, or would be, is more than its branch or its prefix can have: as many of
    /// it are nearer. Those that have failed don't count. Slow ones don't either: in their place, others are asked.
    ///
    /// With two orders, contacts that follow the target count by rank, and those that precede it by progress. Only the
    /// few nodes that precede the target know those that follow it, so these are exempt from the quota of a branch.
    pub(super) fn is_surplus(&self, at: usize, candidate: &Candidate<A, T>) -> bool {
        let id = &candidate.contact.id;
        let precedes = !G::ONE_ORDER && G::progress(&self.target, id) < G::rank(&self.target, id);
        let (before, after) = self.shortlist.split_at_checked(at).unwrap_or_default();
        let prefix = candidate.contact.address.prefix();
        let (mut of_branch, mut of_prefix) = (0, 0);
        for other in if precedes { after } else { before } {
            if other.is_live() && other.state != CandidateState::Slow && other.contact.id != *id {
                of_branch += usize::from(other.branch() == candidate.branch());
                of_prefix += usize::from(other.contact.address.prefix() == prefix);
            }
        }
        let exempt = candidate.is_own() || !(G::ONE_ORDER || precedes);
        (!exempt && of_branch >= self.quota(precedes)) || (prefix.is_some() && of_prefix >= self.limits.prefix.into())
    }

    /// How many contacts of a branch count, that of the own table included.
    fn quota(&self, precedes: bool) -> usize {
        let branches = self.shortlist.iter().filter(|candidate| candidate.is_own() && candidate.is_live()).count();
        let least = if precedes { PREDECESSORS / 2 } else { usize::from(self.limits.k).div_ceil(2).max(2) };
        (self.capacity() / branches.max(1)).max(least)
    }

    /// A contact is named that the shortlist has at this index. False if nothing changes.
    pub(super) fn add_again(&mut self, at: usize, named: Candidate<A, T>) -> bool {
        let Some(known) = self.shortlist.get(at).copied() else {
            return false;
        };
        if known.contact == named.contact {
            let mut moved = known;
            moved.set_branch(named.branch());
            // It counts for the branch that has room for it.
            if known.is_live() && !known.counts() && !known.is_own() && !self.is_surplus(at, &moved) {
                self.replace(at, moved);
            }
            return false;
        }
        if known.state == CandidateState::Failed || known.state == CandidateState::Rival {
            return self.replace(at, named);
        }
        let is_second = self.shortlist.get(at + 1).is_none_or(|next| next.contact.id != known.contact.id);
        let mut rival = named;
        rival.state = CandidateState::Rival;
        is_second && known.state < CandidateState::Failed && array::insert(&mut self.shortlist, at + 1, rival)
    }

    fn replace(&mut self, at: usize, by: Candidate<A, T>) -> bool {
        if let Some(known) = self.shortlist.get_mut(at) {
            *known = by;
        }
        self.settle();
        true
    }

    /// If the contact at an index has responded, its second address is forgotten. If it has failed, the second address
    /// takes its place.
    pub(super) fn choose_address(&mut self, at: usize) {
        let Some([known, second]) = self.shortlist.get_mut(at..).and_then(|rest| rest.first_chunk_mut()) else {
            return;
        };
        if second.state == CandidateState::Rival
            && known.contact.id == second.contact.id
            && known.state >= CandidateState::Failed
        {
            second.state = CandidateState::Unasked;
            let failed = known.state == CandidateState::Failed;
            array::remove(&mut self.shortlist, if failed { at } else { at + 1 });
        }
    }
}
