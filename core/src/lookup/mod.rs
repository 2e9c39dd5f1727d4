//! One search for the nodes responsible for an identifier: contacts go in, and the next node to ask comes out.
//!
//! It is the iterative lookup of the Kademlia paper (Maymounkov and Mazières 2002, §2.3): it has a bounded shortlist,
//! waits for at most alpha responses at once, and ends when the k closest live nodes have responded. It departs from
//! the paper in two ways. It asks the next node after each response, not after a round of alpha responses. And it asks
//! another node as soon as one is slow, long before that one has failed (as libtorrent does). If a geometry has two
//! orders, as Chord has (Stoica et al. 2001, §4), the lookup first converges on the node that precedes the target most
//! closely, and then asks the nodes that are responsible.
//!
//! A lookup has no clock, no bytes, no table and no socket. Its owner inserts contacts of the table, asks the node that
//! [`next`](Lookup::next) returns, and reports what happened. This is one by hand, in a network of 16 nodes in which
//! each node knows the three nearest to itself:
//!
//! ```
//! use kadlet::lookup::{Lookup, LookupLimits};
//! use kadlet::{Contact, Distance, Geometry, Id};
//!
//! struct Xor;
//! impl Geometry for Xor {
//!     const TAG: u8 = 128;
//!     const ONE_ORDER: bool = true;
//!     fn progress(target: &Id, id: &Id) -> Distance { id.xor(target) }
//!     fn rank(target: &Id, id: &Id) -> Distance { id.xor(target) }
//! }
//!
//! let node = |n: u16| Contact::new(Id::from_bytes([n as u8; 20]), n);
//! let knows = |n: u16| [1, 2, 4].map(|bit| node(n ^ bit));
//!
//! let mut lookup = Lookup::<Xor, u16, u64, 12>::EMPTY;
//! lookup.start(node(15).id, LookupLimits { k: 3, alpha: 2, prefix: 10 })?;
//! lookup.insert(node(8));
//! while let Some(asked) = lookup.next() {
//!     for contact in knows(asked.address) {
//!         lookup.named(&asked.id, contact);
//!     }
//!     lookup.responded(&asked.id, None);
//! }
//! assert!(lookup.is_done());
//! let closest: Vec<u16> = lookup.closest().iter().map(|contact| contact.address).collect();
//! assert_eq!(closest, [15, 14, 13]);
//! # Ok::<(), kadlet::ConfigError>(())
//! ```

mod found;
mod results;
mod shares;
#[cfg(test)]
mod tests;

use core::marker::PhantomData;
use core::ops::{Deref, DerefMut, RangeInclusive};

use heapless::{Vec, VecView};

use crate::address::Address;
use crate::array;
use crate::config_error::{ConfigError, Unit};
use crate::contact::Contact;
use crate::geometry::Geometry;
use crate::id::{Distance, Id};

use found::CandidateState;
pub use found::{Candidate, Found, LookupLimits, Shortlist, Which};
use shares::{PREDECESSORS, Shares, ask_strangers_again, choose_address, is_proved};

/// One lookup, with a shortlist of at most `N` contacts, which give tokens of type `T`.
///
/// It asks no contact twice, unless it had to forget it or has asked it as a [stranger](LookupInner::is_stranger). If
/// the shortlist is full, it evicts the farthest contact, but never one that was asked and is not slow yet, and never
/// one of the k closest that count and have not failed.
///
/// Each contact of the own table begins a *branch*, and a contact that was named is of the same branch as its namer. Of
/// a branch, only the nearest contacts count, that of the own table included: half of k, or the bound divided by the
/// number of live contacts of the own table, if that is more. Others are neither asked nor found. So one liar, and all
/// that it names, can't fill the shortlist. With two orders, this is so for those before the target, of which three of
/// a branch count, not for those after it, which only the few nodes before the target know. This does not defend
/// against liars that are named in several branches.
pub type Lookup<G, A, T, const N: usize> = LookupInner<G, Vec<Candidate<A, T>, N>>;

/// A [`Lookup`] with any bound, as heapless's `VecView` is a `Vec` with any bound. Its methods are compiled once for
/// all bounds.
pub type LookupView<G, A, T> = LookupInner<G, VecView<Candidate<A, T>>>;

/// The type behind [`Lookup`] and [`LookupView`]. The shortlist is its last field, so that it can be unsized.
#[derive(Clone, Debug)]
pub struct LookupInner<G, S: ?Sized> {
    target: Id,
    limits: LookupLimits,
    /// How many of the closest must respond: k, or what it was widened to. 0 until started.
    width: usize,
    /// How many branches have begun.
    branches: u8,
    /// The least progress and the least rank of the contacts that were asked and evicted. A contact that is below
    /// neither of the two may be one of these, and is not taken again.
    horizon: Option<(Distance, Distance)>,
    geometry: PhantomData<fn() -> G>,
    /// Sorted by rank.
    shortlist: S,
}

impl<G: Geometry, A: Address, T: Copy, const N: usize> Lookup<G, A, T, N> {
    /// A lookup of zeros, which lies in `.bss`. It takes no contact and asks no node until it is started.
    pub const EMPTY: Self = Self {
        target: Id::ZERO,
        limits: LookupLimits { k: 0, alpha: 0, prefix: 0 },
        width: 0,
        branches: 0,
        horizon: None,
        geometry: PhantomData,
        shortlist: Vec::new(),
    };
}

impl<G, A, T, const N: usize> Deref for Lookup<G, A, T, N> {
    type Target = LookupView<G, A, T>;

    fn deref(&self) -> &LookupView<G, A, T> {
        self
    }
}

impl<G, A, T, const N: usize> DerefMut for Lookup<G, A, T, N> {
    fn deref_mut(&mut self) -> &mut LookupView<G, A, T> {
        self
    }
}

impl<G: Geometry, A: Address, T: Copy + Sync> LookupView<G, A, T> {
    /// Forgets everything and begins to search for `target`.
    ///
    /// # Errors
    ///
    /// [`ConfigError`]: `k` is 0 or larger than the shortlist's bound, or `alpha` is 0. The lookup is as it was.
    pub fn start(&mut self, target: Id, limits: LookupLimits) -> Result<(), ConfigError> {
        let bound = u32::try_from(self.shortlist.capacity()).unwrap_or(u32::MAX);
        ConfigError::check("k", limits.k.into(), 1, bound, Unit::One)?;
        ConfigError::check("alpha", limits.alpha.into(), 1, u8::MAX.into(), Unit::One)?;
        self.restart(target, limits);
        Ok(())
    }

    /// The same, with limits that the caller has checked.
    pub(crate) fn restart(&mut self, target: Id, limits: LookupLimits) {
        self.target = target;
        self.limits = limits;
        self.width = limits.k.into();
        self.branches = 0;
        self.horizon = None;
        self.shortlist.clear();
    }

    /// How many contacts the shortlist can hold.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.shortlist.capacity()
    }

    /// The identifier that is searched for.
    #[must_use]
    pub const fn target(&self) -> Id {
        self.target
    }

    /// Inserts a contact of the own table, at depth 1. Returns whether the shortlist took it. The caller must not
    /// insert its own id.
    pub fn insert(&mut self, contact: Contact<A>) -> bool {
        self.branches = self.branches.saturating_add(1);
        self.add(contact, 1, self.branches)
    }

    /// Inserts a contact that the node `by` named in its response, one step deeper than `by`. Returns whether the
    /// shortlist took it. The caller must not insert its own id.
    pub fn named(&mut self, by: &Id, contact: Contact<A>) -> bool {
        let (depth, branch) = self.candidate(by).map_or((0, 0), |namer| (namer.depth, namer.branch()));
        self.add(contact, depth.saturating_add(1), branch)
    }

    /// Inserts a contact that the node `by` named in its response to a relay request. The request was forwarded `hops`
    /// times, so the contact is one step deeper. It is of the branch of `by`. Returns whether the shortlist took it.
    /// The caller must not insert its own id.
    pub fn relayed(&mut self, by: &Id, contact: Contact<A>, hops: u8) -> bool {
        let branch = self.candidate(by).map_or(0, Candidate::branch);
        self.add(contact, hops.saturating_add(1), branch)
    }

    /// The next node to ask, which then counts as asked. `None` while alpha responses are awaited, or if there is no
    /// node worth asking.
    ///
    /// It is the best node not asked yet, of the k closest that have not failed and are not slow. With two orders, it
    /// is first one of the six that are nearest by progress. The k closest by rank follow once all of these have
    /// responded, failed or are slow.
    #[allow(clippy::should_implement_trait, reason = "it marks the node, and can return one again after `None`")]
    pub fn next(&mut self) -> Option<Contact<A>> {
        let awaited = self.shortlist.iter().filter(|candidate| candidate.state == CandidateState::Asked).count();
        if awaited >= usize::from(self.limits.alpha) {
            return None;
        }
        let at = self.next_to_ask()?;
        let branch = self.shortlist.get(at)?.branch();
        let proved = is_proved(&self.shortlist, branch);
        let candidate = self.shortlist.get_mut(at)?;
        candidate.state = CandidateState::Asked;
        candidate.set_stranger(!proved && !candidate.is_own());
        Some(candidate.contact)
    }

    /// Whether the node was asked on nothing but the word of another node: it is not of the own table, and no named
    /// contact of its branch had responded. It can be a third party that is not even of this network, so it should be
    /// sent fewer requests. If it fails, it is returned again once its branch has a contact that responds.
    #[must_use]
    pub fn is_stranger(&self, id: &Id) -> bool {
        self.candidate(id).is_some_and(Candidate::is_stranger)
    }

    /// The request could not be sent: [`next`](Lookup::next) can return the node again.
    pub fn unasked(&mut self, id: &Id) {
        self.change(id, CandidateState::Asked..=CandidateState::Slow, CandidateState::Unasked);
    }

    /// The node has not responded within a short time: another can be asked in its place, though its response can still
    /// come.
    pub fn slow(&mut self, id: &Id) {
        self.change(id, CandidateState::Asked..=CandidateState::Asked, CandidateState::Slow);
    }

    /// The node responded, with a token if the response had one. The contacts that it named are inserted by
    /// [`named`](Lookup::named), before or after this call.
    pub fn responded(&mut self, id: &Id, token: Option<T>) {
        self.change(id, CandidateState::Unasked..=CandidateState::Failed, CandidateState::Responded);
        if let Some(token) = token {
            self.set_token(id, token);
        }
    }

    /// The node did not respond within a long time, or its response is of no use. If the node was also named with
    /// another address, [`next`](Lookup::next) returns it with that.
    pub fn failed(&mut self, id: &Id) {
        self.change(id, CandidateState::Unasked..=CandidateState::Failed, CandidateState::Failed);
    }

    /// Whether the search is over: the k closest that have not failed have responded, and with two orders also the six
    /// that are nearest by progress. A lookup without live contacts is over too.
    #[must_use]
    pub fn is_done(&self) -> bool {
        have_responded(self.counting().rev().take(self.predecessors()))
            && have_responded(self.counting().take(self.width))
    }

    /// Whether the search is over but for slow nodes: as many others have responded in their place.
    #[must_use]
    pub fn is_done_but_for_slow(&self) -> bool {
        self.have_nearest_responded(self.width)
    }

    /// Whether the `count` closest that have not failed and are not slow have responded, with two orders also as many,
    /// but at most six, that are nearest by progress. False if fewer than `count` have responded.
    #[must_use]
    pub fn have_nearest_responded(&self, count: usize) -> bool {
        have_responded(self.awake().rev().take(self.predecessors().min(count)))
            && have_responded(self.awake().take(count))
            && self.count(Which::Closest) >= count
    }

    /// How many of the closest must respond: k, unless it was set.
    #[must_use]
    pub const fn width(&self) -> usize {
        self.width
    }

    /// Sets how many of the closest must respond: at most as many as the shortlist can hold. With more than before,
    /// the search continues. With two orders, as many times more of those nearest by progress must respond, too.
    pub fn set_width(&mut self, width: usize) {
        self.width = width.min(self.shortlist.capacity());
    }

    /// The node holds a newer record than all found before. All others lag from now on: they hold an older record or
    /// none. If the id is not in the shortlist (the caller's own id), all nodes lag.
    pub fn only_holder(&mut self, id: &Id) {
        for candidate in &mut self.shortlist {
            candidate.set_newest(candidate.contact.id == *id);
        }
    }

    /// The node holds the same record as the one last reported by [`only_holder`](Lookup::only_holder).
    pub fn holds_newest(&mut self, id: &Id) {
        if let Some(candidate) = self.candidate_mut(id) {
            candidate.set_newest(true);
        }
    }

    /// Whether the node holds the newest record found.
    #[must_use]
    pub fn is_holder(&self, id: &Id) -> bool {
        self.candidate(id).is_some_and(|candidate| candidate.is_newest())
    }

    /// Begins to store a record at the closest nodes that responded. With `lagging_only`, leaves those out that hold
    /// the newest record.
    pub fn begin_stores(&mut self, lagging_only: bool) {
        for candidate in &mut self.shortlist {
            candidate.state = candidate.state.min(CandidateState::Responded);
        }
        for candidate in self.shortlist.iter_mut().filter(|candidate| candidate.is_close()).take(self.width) {
            if !(lagging_only && candidate.is_newest()) {
                candidate.state = CandidateState::Wanted;
            }
        }
    }

    /// The next node to send the record to, and its token. The node then counts as asked. Alpha doesn't limit stores.
    pub fn next_store(&mut self) -> Option<(Contact<A>, Option<T>)> {
        let (state, candidate) = self.shortlist.iter_mut().find_map(|candidate| match candidate.state {
            CandidateState::Wanted => Some((CandidateState::Sent, candidate)),
            CandidateState::WantedAgain => Some((CandidateState::SentAgain, candidate)),
            _ => None,
        })?;
        candidate.state = state;
        Some((candidate.contact, candidate.token))
    }

    /// The record could not be sent: [`next_store`](Lookup::next_store) returns the node again.
    pub fn unstored(&mut self, id: &Id) {
        self.change(id, CandidateState::SentAgain..=CandidateState::SentAgain, CandidateState::WantedAgain);
        self.change(id, CandidateState::Sent..=CandidateState::Sent, CandidateState::Wanted);
    }

    /// The node refused the record because of its token, and gave a fresh one. Returns whether
    /// [`next_store`](Lookup::next_store) returns the node again, which it does only once for each node.
    pub fn renewed(&mut self, id: &Id, token: T) -> bool {
        match self.candidate_mut(id) {
            Some(candidate) if candidate.state == CandidateState::Sent => {
                (candidate.state, candidate.token) = (CandidateState::WantedAgain, Some(token));
                true
            }
            _ => false,
        }
    }

    /// The node has stored the record.
    pub fn stored(&mut self, id: &Id) {
        self.change(id, CandidateState::Responded..=CandidateState::Refused, CandidateState::Stored);
    }

    /// The node refused the record, or did not respond.
    pub fn refused(&mut self, id: &Id) {
        self.change(id, CandidateState::Responded..=CandidateState::Refused, CandidateState::Refused);
    }

    /// The node refused the record because it holds another one, as it claims: [`next_claim`](Lookup::next_claim)
    /// returns it, so that the other record can be verified.
    pub fn claimed(&mut self, id: &Id) {
        self.change(id, CandidateState::Responded..=CandidateState::Refused, CandidateState::Claimed);
    }

    /// The next node whose claim must be verified. It then counts as asked.
    pub fn next_claim(&mut self) -> Option<Contact<A>> {
        let candidate = self.shortlist.iter_mut().find(|candidate| candidate.state == CandidateState::Claimed)?;
        candidate.state = CandidateState::SentAgain;
        Some(candidate.contact)
    }

    /// Whether no store is left to be sent, no claim to be verified, and no response to either is awaited.
    #[must_use]
    pub fn stores_done(&self) -> bool {
        let awaited = CandidateState::Wanted..=CandidateState::Claimed;
        !self.shortlist.iter().any(|candidate| awaited.contains(&candidate.state))
    }

    /// The token that the node gave last.
    #[must_use]
    pub fn token(&self, id: &Id) -> Option<T> {
        self.candidate(id)?.token
    }

    /// The node gave a fresh token.
    pub fn set_token(&mut self, id: &Id, token: T) {
        if let Some(candidate) = self.candidate_mut(id) {
            candidate.token = Some(token);
        }
    }

    /// The contacts that `which` selects, best first.
    pub fn contacts(&self, which: Which) -> impl Iterator<Item = Contact<A>> {
        let limit = if which == Which::Closest { self.width } else { usize::MAX };
        let selected = self.shortlist.iter().filter(move |candidate| which.selects(candidate));
        selected.take(limit).map(|candidate| candidate.contact)
    }

    /// How many contacts `which` selects.
    #[must_use]
    pub fn count(&self, which: Which) -> usize {
        self.contacts(which).count()
    }

    /// The closest node that responded.
    #[must_use]
    pub fn best(&self) -> Option<&Candidate<A, T>> {
        self.shortlist.iter().find(|candidate| candidate.is_close())
    }

    /// The number of steps from the own table to a contact. 0 if it is not in the shortlist.
    #[must_use]
    pub fn depth_of(&self, id: &Id) -> u8 {
        self.candidate(id).map_or(0, |candidate| candidate.depth)
    }

    fn next_to_ask(&self) -> Option<usize> {
        let is_unasked = |(_, candidate): &(usize, &Candidate<A, T>)| candidate.state == CandidateState::Unasked;
        let ahead = || self.awake().rev().take(self.predecessors());
        let next = ahead().find(is_unasked);
        if next.is_none() && ahead().any(|(_, candidate)| candidate.state == CandidateState::Asked) {
            return None;
        }
        next.or_else(|| self.awake().take(self.width).find(is_unasked)).map(|(index, _)| index)
    }

    const fn shares(&self) -> Shares<G> {
        Shares { target: self.target, limits: self.limits, geometry: PhantomData }
    }

    /// How many of the contacts that are nearest by progress must respond: as many times more than six as the lookup is
    /// wider than k.
    fn predecessors(&self) -> usize {
        if G::ONE_ORDER { 0 } else { self.width.min(PREDECESSORS * self.width / usize::from(self.limits.k).max(1)) }
    }

    /// The contacts that count, best first, with their indices.
    fn counting(&self) -> impl DoubleEndedIterator<Item = (usize, &Candidate<A, T>)> {
        self.shortlist.iter().enumerate().filter(|(_, candidate)| candidate.counts())
    }

    /// Those of the contacts that count that are not slow.
    fn awake(&self) -> impl DoubleEndedIterator<Item = (usize, &Candidate<A, T>)> {
        self.counting().filter(|(_, candidate)| candidate.state != CandidateState::Slow)
    }

    fn add(&mut self, contact: Contact<A>, depth: u8, branch: u8) -> bool {
        if self.width == 0 {
            return false;
        }
        let mut candidate = Candidate::new(contact, depth, branch);
        if let Some(at) = self.index(&contact.id) {
            return self.shares().add_again(&mut self.shortlist, at, candidate);
        }
        let (progress, rank) = (G::progress(&self.target, &contact.id), G::rank(&self.target, &contact.id));
        if self.horizon.is_some_and(|(asked, ranked)| progress >= asked && rank >= ranked) {
            return false;
        }
        let at = self.index_of_rank(&rank);
        candidate.set_surplus(self.shares().would_be_surplus(&self.shortlist, at, &candidate));
        let nearer = self.counting().take_while(|(index, _)| *index < at).count();
        let near = nearer < self.width && candidate.counts();
        let newcomer = Newcomer { progress, near, beside: self.width - usize::from(near) };
        if !self.keep_bound(&newcomer) {
            return false;
        }
        let index = self.index_of_rank(&rank);
        let added = array::insert(&mut self.shortlist, index, candidate);
        self.shares().settle(&mut self.shortlist);
        added
    }

    /// Evicts the farthest contact if the shortlist is full. False if the newcomer is the farthest.
    fn keep_bound(&mut self, newcomer: &Newcomer) -> bool {
        if !self.shortlist.is_full() {
            return true;
        }
        let Some((index, candidate)) = self.farthest(newcomer) else {
            return false;
        };
        let (progress, rank) = (self.progress(candidate), G::rank(&self.target, &candidate.contact.id));
        if !newcomer.near && newcomer.progress >= progress {
            return false;
        }
        if candidate.state > CandidateState::Unasked {
            let (asked, ranked) = self.horizon.get_or_insert((progress, rank));
            (*asked, *ranked) = (progress.min(*asked), rank.min(*ranked));
        }
        array::remove(&mut self.shortlist, index);
        true
    }

    /// The contact to evict for a newcomer: one that is more than its branch can have and was not asked, else the
    /// farthest by progress that is not among the k closest that count, and whose response is not awaited. Failed
    /// contacts nearer than the k-th of these stay while others can be evicted: with two orders, the horizon would
    /// otherwise keep out the next successors, which are farther by progress.
    fn farthest(&self, newcomer: &Newcomer) -> Option<(usize, &Candidate<A, T>)> {
        let edge = match newcomer.beside.checked_sub(1) {
            Some(last) => self.counting().nth(last).map_or(usize::MAX, |(index, _)| index + 1),
            None => 0,
        };
        let evictable = self.shortlist.iter().enumerate().filter(|(index, candidate)| {
            candidate.state != CandidateState::Asked && (*index >= edge || !candidate.counts())
        });
        evictable.max_by_key(|(index, candidate)| (candidate.is_idle(), *index >= edge, self.progress(candidate)))
    }

    fn progress(&self, candidate: &Candidate<A, T>) -> Distance {
        G::progress(&self.target, &candidate.contact.id)
    }

    /// The index at which a newcomer of this rank is inserted.
    fn index_of_rank(&self, rank: &Distance) -> usize {
        self.shortlist.partition_point(|candidate| G::rank(&self.target, &candidate.contact.id) <= *rank)
    }

    fn index(&self, id: &Id) -> Option<usize> {
        self.shortlist.iter().position(|candidate| candidate.contact.id == *id)
    }

    fn candidate(&self, id: &Id) -> Option<&Candidate<A, T>> {
        self.shortlist.get(self.index(id)?)
    }

    fn candidate_mut(&mut self, id: &Id) -> Option<&mut Candidate<A, T>> {
        let index = self.index(id)?;
        self.shortlist.get_mut(index)
    }

    /// Changes the state of a contact to `to`, if it is in `from`.
    fn change(&mut self, id: &Id, from: RangeInclusive<CandidateState>, to: CandidateState) {
        if let Some(at) = self.index(id)
            && let Some(candidate) = self.shortlist.get_mut(at).filter(|candidate| from.contains(&candidate.state))
        {
            candidate.state = to;
            let branch = candidate.branch();
            choose_address(&mut self.shortlist, at);
            ask_strangers_again(&mut self.shortlist, branch);
            self.shares().settle(&mut self.shortlist);
        }
    }
}

/// Whether all of these contacts have responded.
fn have_responded<'a, A: Address, T: Copy + 'a>(
    mut contacts: impl Iterator<Item = (usize, &'a Candidate<A, T>)>,
) -> bool {
    contacts.all(|(_, candidate)| candidate.has_responded())
}

/// A contact to be inserted into the shortlist.
struct Newcomer {
    progress: Distance,
    /// Whether it would be among the k closest live contacts.
    near: bool,
    /// How many other contacts would be among these.
    beside: usize,
}
