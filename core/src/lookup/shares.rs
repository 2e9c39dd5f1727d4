//! What one source can have of a shortlist: one branch, or one address prefix. Otherwise the words of one liar, or the
//! nodes of one network, would fill it. Also the second address of a contact: a liar may have named the first.

use core::marker::PhantomData;

use heapless::VecView;

use super::found::{Candidate, CandidateState};
use crate::address::Address;
use crate::array;
use crate::contact::Contact;
use crate::geometry::Geometry;
use crate::id::{Distance, Id};

/// How many named contacts of a branch count at least, the nearest ones.
const LEAST_QUOTA: usize = 4;
/// How many more of them wait, should those that count fail.
const RESERVE: usize = 4;

/// The shares of a lookup: how much of the shortlist each branch and each prefix can have.
#[derive(Clone, Copy)]
pub(super) struct Shares<'a, G, A, T> {
    pub(super) target: &'a Id,
    pub(super) shortlist: &'a [Candidate<A, T>],
    /// How many contacts of a branch count, and how many of an address prefix.
    pub(super) most: (usize, usize),
    pub(super) geometry: PhantomData<fn() -> G>,
}

/// How many contacts of a branch count in a shortlist of this capacity, after this many branches have begun.
pub(super) fn quota(capacity: usize, branches: u8) -> usize {
    (capacity / usize::from(branches).max(1)).max(LEAST_QUOTA)
}

impl<G: Geometry, A: Address, T: Copy> Shares<'_, G, A, T> {
    /// Whether a contact is live, and not more than the nearest of its branch and of its prefix are nearer.
    #[inline(never)]
    pub(super) fn counts(&self, candidate: &Candidate<A, T>) -> bool {
        let prefix = candidate.contact.address.prefix();
        candidate.is_live()
            && (self.is_exempt(candidate)
                || self.nearer(candidate, &|other| is_of_branch(other, candidate)) < self.most.0)
            && (prefix.is_none()
                || self.nearer(candidate, &|other| other.contact.address.prefix() == prefix) < self.most.1)
    }

    /// Whether there is room for a contact that another named. If its branch has as many as can wait, its farthest must
    /// be evicted: it is returned. `None` if the newcomer is the farthest, or its namer named another identifier at its
    /// address.
    #[allow(clippy::option_option, reason = "that nobody must go is not the same as that there is no room")]
    pub(super) fn room_for(&self, newcomer: &Candidate<A, T>) -> Option<Option<Id>> {
        if newcomer.is_own() {
            return Some(None);
        }
        let Contact { id, address } = newcomer.contact;
        let (mut waiting, mut farthest) = (0, (false, self.side(&id).1, id));
        for other in self.shortlist.iter().filter(|other| is_of_branch(other, newcomer)) {
            if other.contact.address == address && other.contact.id != id {
                return None;
            }
            let (exempt, distance) = self.side(&other.contact.id);
            if other.state == CandidateState::Unasked && !exempt {
                waiting += 1;
                farthest = farthest.max((true, distance, other.contact.id));
            }
        }
        if self.is_exempt(newcomer) || waiting < self.most.0 + RESERVE {
            return Some(None);
        }
        let (_, distance, id) = farthest;
        (self.side(&newcomer.contact.id).1 < distance).then_some(Some(id))
    }

    /// Whether the quota of its branch doesn't apply to a contact: it is from the own table, or one that follows the
    /// target in a geometry with two orders. Only the few nodes that precede the target know these, so all of them
    /// are of one branch: with a quota, a third of the lookups in a small network missed one.
    fn is_exempt(&self, candidate: &Candidate<A, T>) -> bool {
        candidate.is_own() || self.side(&candidate.contact.id).0
    }

    /// How many contacts that match are nearer than this one, live and not slow: as soon as one is slow, the next is
    /// asked.
    fn nearer(&self, candidate: &Candidate<A, T>, matches: &dyn Fn(&Candidate<A, T>) -> bool) -> usize {
        let (after, distance) = self.side(&candidate.contact.id);
        let mut nearer = 0;
        for other in self.shortlist {
            if other.is_live() && other.state != CandidateState::Slow && matches(other) {
                let (other_after, other_distance) = self.side(&other.contact.id);
                nearer += usize::from(other_after == after && other_distance < distance);
            }
        }
        nearer
    }

    /// On which side of the target an identifier lies, and how far from it. With two orders, those that follow the
    /// target count by rank, and those that precede it by progress. With one order there is one side.
    #[inline(never)]
    fn side(&self, id: &Id) -> (bool, Distance) {
        let (progress, rank) = (G::progress(self.target, id), G::rank(self.target, id));
        (rank < progress, rank.min(progress))
    }
}

/// Whether a contact was named, directly or not, through the same contact of the own table as another one.
fn is_of_branch<A: Address, T: Copy>(other: &Candidate<A, T>, candidate: &Candidate<A, T>) -> bool {
    other.branch() == candidate.branch() && !other.is_own()
}

/// How many named contacts of a branch can be asked before one of them has responded.
const MOST_UNPROVED: usize = 3;

/// What the named contacts of a branch have shown.
#[derive(Clone, Copy)]
pub(super) enum Branch {
    /// One has responded.
    Proved,
    /// None has responded, and this many were asked.
    Unproved(usize),
}

impl Branch {
    #[inline(never)]
    pub(super) fn of<A: Address, T: Copy>(shortlist: &[Candidate<A, T>], branch: u8) -> Self {
        let mut asked = 0;
        for other in shortlist.iter().filter(|other| other.branch() == branch && !other.is_own()) {
            match other.state {
                CandidateState::Asked | CandidateState::Slow | CandidateState::Failed => asked += 1,
                CandidateState::Unasked | CandidateState::Rival => {}
                _ => return Self::Proved,
            }
        }
        Self::Unproved(asked)
    }

    /// Whether one more can be asked. An attacker that names dead contacts has no more of them asked.
    pub(super) const fn has_room(self) -> bool {
        !matches!(self, Self::Unproved(MOST_UNPROVED..))
    }
}

/// A contact has responded, so its branch is proved: those of it that failed after one attempt can be asked again.
pub(super) fn prove_branch<A: Address, T: Copy>(shortlist: &mut [Candidate<A, T>], branch: u8) {
    for other in shortlist.iter_mut().filter(|other| other.branch() == branch && other.is_stranger()) {
        if other.state == CandidateState::Failed {
            other.state = CandidateState::Unasked;
            other.set_stranger(false);
        }
    }
}

/// A contact has failed. If it had one attempt and its branch was proved meanwhile, it can be asked again. If its
/// branch has nothing but failed contacts to show, the rest of it is not worth a request.
pub(super) fn note_failure<A: Address, T: Copy>(shortlist: &mut VecView<Candidate<A, T>>, at: usize) {
    let Some(failed) = shortlist.get(at).copied() else {
        return;
    };
    let in_branch = |other: &Candidate<A, T>| is_of_branch(other, &failed);
    match Branch::of(shortlist, failed.branch()) {
        Branch::Proved if failed.is_stranger() => prove_branch(shortlist, failed.branch()),
        branch @ Branch::Unproved(_) if in_branch(&failed) && !branch.has_room() => {
            let awaited = |other: &Candidate<A, T>| {
                in_branch(other) && matches!(other.state, CandidateState::Asked | CandidateState::Slow)
            };
            if !shortlist.iter().any(awaited) {
                shortlist.retain(|other| !(in_branch(other) && other.state == CandidateState::Unasked));
            }
        }
        _ => {}
    }
}

/// Keeps a second address of the contact at an index, until one of both has responded. False if it is no other address,
/// if the contact has responded, or if there is a second one already.
pub(super) fn add_rival<A: Address, T: Copy>(
    shortlist: &mut VecView<Candidate<A, T>>,
    at: usize,
    mut rival: Candidate<A, T>,
) -> bool {
    rival.state = CandidateState::Rival;
    let wanted = shortlist.get(at).is_some_and(|known| {
        known.contact.address != rival.contact.address
            && (CandidateState::Unasked..=CandidateState::Slow).contains(&known.state)
    });
    let is_second = shortlist.get(at + 1).is_none_or(|next| next.contact.id != rival.contact.id);
    wanted && is_second && array::insert(shortlist, at + 1, rival)
}

/// The contact at an index has responded or failed: its second address is forgotten, or takes its place.
pub(super) fn end_rivalry<A: Address, T: Copy>(shortlist: &mut VecView<Candidate<A, T>>, at: usize) {
    let Some([known, rival]) = shortlist.get_mut(at..).and_then(|rest| rest.first_chunk_mut()) else {
        return;
    };
    if rival.state == CandidateState::Rival && rival.contact.id == known.contact.id {
        rival.state = CandidateState::Unasked;
        let failed = known.state == CandidateState::Failed;
        array::remove(shortlist, if failed { at } else { at + 1 });
    }
}
