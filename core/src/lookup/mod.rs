//! One search for the nodes responsible for an identifier: contacts in, questions out.
//!
//! The iterative lookup of the Kademlia paper (Maymounkov and Mazières 2002, §2.3): a bounded shortlist, at most alpha
//! contacts waited for at once, until the k closest that live have answered. It departs from the paper in that nobody waits
//! for a round of alpha to end, and in that a slow contact opens another branch long before it has failed (as libtorrent
//! does). Where a geometry has two orders, as Chord has (Stoica et al. 2001, §4), it first converges on whom precedes the
//! target most closely, and then asks those who are responsible.
//!
//! A lookup has no clock, no bytes, no table and no socket: its owner puts in whom the table knows, asks whom
//! [`next`](Lookup::next) names, and tells what came of it. Here is one by hand, in a network of 16 nodes of which each knows
//! the three nearest to itself:
//!
//! ```
//! use kadlet::lookup::{LookupLimits, Lookup};
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
//! lookup.start(node(15).id, LookupLimits { k: 3, alpha: 2, prefix: 10 });
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
//! ```

mod found;
#[cfg(test)]
mod tests;

use core::marker::PhantomData;
use core::ops::{Deref, DerefMut, RangeInclusive};

use heapless::{Vec, VecView};

use crate::address::{Address, Prefix};
use crate::array;
use crate::contact::Contact;
use crate::geometry::Geometry;
use crate::id::{Distance, Id};

use found::CandidateState;
pub use found::{Candidate, Found, Shortlist, Which};

/// How a lookup behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LookupLimits {
    /// How many of the closest are to be found: 1 to the shortlist's bound, best at most a third of it.
    pub k: u8,
    /// How many questions are waited for at once, slow ones not counted: at least 1.
    pub alpha: u8,
    /// How many contacts of one [`Prefix`] the shortlist holds. The k closest are never refused for it.
    pub prefix: u8,
}

/// One lookup, with a shortlist of at most `N` contacts, which give tokens of type `T`.
///
/// No contact is asked twice. Where the shortlist is full, the farthest contact is evicted, but never one whose response is awaited nor
/// one of the k closest that have not failed.
pub type Lookup<G, A, T, const N: usize> = LookupInner<G, Vec<Candidate<A, T>, N>>;

/// A [`Lookup`] whatever its bound, as `VecView` is any `Vec`: its methods are compiled once for all bounds.
pub type LookupView<G, A, T> = LookupInner<G, VecView<Candidate<A, T>>>;

/// What [`Lookup`] and [`LookupView`] are: a lookup that ends in its shortlist.
#[derive(Clone, Debug)]
pub struct LookupInner<G, E: ?Sized> {
    target: Id,
    limits: LookupLimits,
    /// How many of the closest must answer: k, or what it was widened to. Zero until started.
    width: usize,
    /// Whoever is neither of less progress nor of less rank than these may have been asked and given way: it stays out.
    horizon: Option<(Distance, Distance)>,
    geometry: PhantomData<fn() -> G>,
    /// By rank.
    entries: E,
}

impl<G: Geometry, A: Address, T: Copy, const N: usize> Lookup<G, A, T, N> {
    /// A lookup of zeros that lies in `.bss`. It takes nobody and asks nobody until it is started.
    pub const EMPTY: Self = Self {
        target: Id::ZERO,
        limits: LookupLimits { k: 0, alpha: 0, prefix: 0 },
        width: 0,
        horizon: None,
        geometry: PhantomData,
        entries: Vec::new(),
    };
}

impl<G: Geometry, A: Address, T: Copy + Sync + 'static, const N: usize> Lookup<G, A, T, N> {
    /// The nodes that responded, best first: k of them, or as many as the lookup was widened to.
    #[must_use]
    pub fn closest(&self) -> Found<'_, A> {
        Found::new(self, Which::Closest)
    }

    /// The nodes that hold the newest record seen, best first.
    #[must_use]
    pub fn holders(&self) -> Found<'_, A> {
        Found::new(self, Which::Holders)
    }

    /// The nodes that stored the record, best first.
    #[must_use]
    pub fn stored_at(&self) -> Found<'_, A> {
        Found::new(self, Which::Stored)
    }

    /// All contacts in the shortlist that have not failed, whether they responded or not, best first.
    #[must_use]
    pub fn candidates(&self) -> Found<'_, A> {
        Found::new(self, Which::Candidates)
    }
}

impl<G: Geometry, A: Address, T: Copy + Sync + 'static, const N: usize> Shortlist<A> for Lookup<G, A, T, N> {
    fn nth(&self, which: Which, nth: usize) -> Option<Contact<A>> {
        self.contacts(which).nth(nth)
    }
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
    /// Forgets everything and begins to search for `target`. LookupLimits out of range are clamped to it.
    pub fn start(&mut self, target: Id, limits: LookupLimits) {
        self.target = target;
        self.limits = LookupLimits { alpha: limits.alpha.max(1), ..limits };
        self.width = usize::from(limits.k).clamp(1, self.entries.capacity().max(1));
        self.horizon = None;
        self.entries.clear();
    }

    /// How many contacts there is room for.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.entries.capacity()
    }

    /// What is searched for.
    #[must_use]
    pub const fn target(&self) -> Id {
        self.target
    }

    /// A contact of the own table, at depth 1. Says whether the shortlist took it. The caller leaves its own id out.
    pub fn insert(&mut self, contact: Contact<A>) -> bool {
        self.add(contact, 1)
    }

    /// The contact `by` named another in its answer, which is one step deeper. Says whether the shortlist took it. The caller
    /// leaves its own id out.
    pub fn named(&mut self, by: &Id, contact: Contact<A>) -> bool {
        self.add(contact, self.depth_of(by).saturating_add(1))
    }

    /// The answer to a question that was passed on so many times named a contact. Says whether the shortlist took it. The caller
    /// leaves its own id out.
    pub fn relayed(&mut self, contact: Contact<A>, hops: u8) -> bool {
        self.add(contact, hops)
    }

    /// Whom to ask next, who then counts as being asked. `None` while as many as alpha are waited for, or nobody is worth asking.
    ///
    /// That is the best unasked among the k closest that have neither failed nor are slow. With two orders, it is first whoever
    /// comes before all that answered by progress, and the k closest by rank only once all such have answered, failed or are slow.
    #[allow(clippy::should_implement_trait, reason = "it marks, and may name somebody again after `None`")]
    pub fn next(&mut self) -> Option<Contact<A>> {
        let waited_for = self.entries.iter().filter(|entry| entry.state == CandidateState::Asked).count();
        if waited_for >= usize::from(self.limits.alpha) {
            return None;
        }
        let entry = self.worth_asking()?;
        entry.state = CandidateState::Asked;
        Some(entry.contact)
    }

    /// The question could not be sent: [`next`](Lookup::next) may name the contact again.
    pub fn unasked(&mut self, id: &Id) {
        self.turn(id, CandidateState::Asked..=CandidateState::Slow, CandidateState::Unasked);
    }

    /// The contact has not answered within a short time: another may be asked in its stead, though it may answer yet.
    pub fn slow(&mut self, id: &Id) {
        self.turn(id, CandidateState::Asked..=CandidateState::Asked, CandidateState::Slow);
    }

    /// The contact answered, with a token if the answer had one. Whom it named goes in by [`named`](Lookup::named), before or after.
    pub fn responded(&mut self, id: &Id, token: Option<T>) {
        self.turn(id, CandidateState::Unasked..=CandidateState::Failed, CandidateState::Responded);
        if let Some(token) = token {
            self.set_token(id, token);
        }
    }

    /// The contact did not answer within a long time, or answered what is of no use.
    pub fn failed(&mut self, id: &Id) {
        self.turn(id, CandidateState::Unasked..=CandidateState::Failed, CandidateState::Failed);
    }

    /// Whether the search is over: the k closest that have not failed have answered (and with two orders, whoever may precede
    /// the target more closely than all that answered has failed). A lookup that knows nobody alive is over too.
    #[must_use]
    pub fn is_done(&self) -> bool {
        let converged = G::ONE_ORDER || self.ahead().all(|(_, entry)| entry.state == CandidateState::Failed);
        converged && self.entries.iter().filter(|entry| entry.is_live()).take(self.width).all(Candidate::has_responded)
    }

    /// Goes on until so many of the closest have answered: at least k, at most the shortlist's bound.
    pub fn widen(&mut self, width: usize) {
        self.width = width.max(self.width).min(self.entries.capacity().max(1));
    }

    /// The contact holds a record newer than all that were seen before, whose holders lag. An id that is not in the shortlist
    /// (the caller's own) makes all of them lag.
    pub fn newest(&mut self, id: &Id) {
        for entry in &mut self.entries {
            entry.newest = entry.contact.id == *id;
        }
    }

    /// The contact holds the same record as the one that [`newest`](Lookup::newest) told of.
    pub fn holds_newest(&mut self, id: &Id) {
        if let Some(entry) = self.entry_mut(id) {
            entry.newest = true;
        }
    }

    /// Begins to store at the closest that answered; with `lagging_only`, at those of them that don't hold the newest record.
    pub fn begin_stores(&mut self, lagging_only: bool) {
        for entry in &mut self.entries {
            entry.state = entry.state.min(CandidateState::Responded);
        }
        for entry in self.entries.iter_mut().filter(|entry| entry.has_responded()).take(self.width) {
            if !(lagging_only && entry.newest) {
                entry.state = CandidateState::Wanted;
            }
        }
    }

    /// Whom to store at next, and its token; it then counts as being asked to. Alpha is no limit here.
    pub fn next_store(&mut self) -> Option<(Contact<A>, Option<T>)> {
        let entry = self.entries.iter_mut().find(|entry| entry.state == CandidateState::Wanted)?;
        entry.state = CandidateState::Sent;
        Some((entry.contact, entry.token))
    }

    /// The record could not be sent, or is to be sent again with a fresh token: [`next_store`](Lookup::next_store) names the contact again.
    pub fn unstored(&mut self, id: &Id) {
        self.turn(id, CandidateState::Responded..=CandidateState::Refused, CandidateState::Wanted);
    }

    /// The contact holds the record now.
    pub fn stored(&mut self, id: &Id) {
        self.turn(id, CandidateState::Responded..=CandidateState::Refused, CandidateState::Stored);
    }

    /// The contact does not take the record, or did not answer.
    pub fn refused(&mut self, id: &Id) {
        self.turn(id, CandidateState::Responded..=CandidateState::Refused, CandidateState::Refused);
    }

    /// Whether all stores have been answered or given up.
    #[must_use]
    pub fn stores_done(&self) -> bool {
        !self.entries.iter().any(|entry| matches!(entry.state, CandidateState::Wanted | CandidateState::Sent))
    }

    /// The token that the contact gave last.
    #[must_use]
    pub fn token(&self, id: &Id) -> Option<T> {
        self.entry(id)?.token
    }

    /// The contact gave a fresh token.
    pub fn set_token(&mut self, id: &Id, token: T) {
        if let Some(entry) = self.entry_mut(id) {
            entry.token = Some(token);
        }
    }

    /// The contacts of one kind, best first.
    pub fn contacts(&self, which: Which) -> impl Iterator<Item = Contact<A>> {
        let limit = if which == Which::Closest { self.width } else { usize::MAX };
        self.entries.iter().filter(move |entry| which.shows(entry)).take(limit).map(|entry| entry.contact)
    }

    /// How many contacts of one kind there are.
    #[must_use]
    pub fn count(&self, which: Which) -> usize {
        self.contacts(which).count()
    }

    /// The closest that answered.
    #[must_use]
    pub fn best(&self) -> Option<&Candidate<A, T>> {
        self.entries.iter().find(|entry| entry.has_responded())
    }

    /// How many steps from the own table a contact is: 0 if it is not in the shortlist.
    #[must_use]
    pub fn depth_of(&self, id: &Id) -> u8 {
        self.entry(id).map_or(0, |entry| entry.depth)
    }

    fn worth_asking(&mut self) -> Option<&mut Candidate<A, T>> {
        if !G::ONE_ORDER {
            let unasked = self.ahead().filter(|(_, entry)| entry.state == CandidateState::Unasked);
            if let Some((place, _)) = unasked.min_by_key(|(_, entry)| self.progress(entry)) {
                return self.entries.get_mut(place);
            }
            if self.ahead().any(|(_, entry)| entry.state == CandidateState::Asked) {
                return None;
            }
        }
        let awake = self.entries.iter_mut().filter(|entry| entry.is_live() && entry.state != CandidateState::Slow);
        awake.take(self.width).find(|entry| entry.state == CandidateState::Unasked)
    }

    /// Those who come before all that answered by progress, each with its place.
    fn ahead(&self) -> impl Iterator<Item = (usize, &Candidate<A, T>)> {
        let responded =
            self.entries.iter().filter(|entry| entry.has_responded()).map(|entry| self.progress(entry)).min();
        let is_ahead =
            move |entry: &Candidate<A, T>| responded.is_none_or(|responded| self.progress(entry) < responded);
        self.entries.iter().enumerate().filter(move |(_, entry)| is_ahead(entry))
    }

    fn add(&mut self, contact: Contact<A>, depth: u8) -> bool {
        if self.width == 0 || self.place(&contact.id).is_some() {
            return false;
        }
        let (progress, rank) = (G::progress(&self.target, &contact.id), G::rank(&self.target, &contact.id));
        if self.horizon.is_some_and(|(asked, ranked)| progress >= asked && rank >= ranked) {
            return false;
        }
        let before = self.entries.iter().take(self.place_of_rank(&rank)).filter(|entry| entry.is_live()).count();
        let near = before < self.width;
        let newcomer =
            Newcomer { progress, prefix: contact.address.prefix(), near, beside: self.width - usize::from(near) };
        if !self.make_room_in_prefix(&newcomer) || !self.make_room(&newcomer) {
            return false;
        }
        let place = self.place_of_rank(&rank);
        array::insert(&mut self.entries, place, Candidate::new(contact, depth))
    }

    /// Keeps to the limit on a group: unasked members beyond the k closest give way, the farthest first. `false` if that is the newcomer.
    fn make_room_in_prefix(&mut self, newcomer: &Newcomer) -> bool {
        if newcomer.prefix.is_some_and(|prefix| self.members(prefix) >= usize::from(self.limits.prefix))
            && !self.give_way(newcomer, newcomer.prefix)
            && !newcomer.near
        {
            return false;
        }
        // Whom a newcomer pushes out of the k closest loses the exemption.
        if !newcomer.near {
            return true;
        }
        let Some((place, pushed)) = self.live(newcomer.beside) else {
            return true;
        };
        if let Some(prefix) = pushed.contact.address.prefix()
            && pushed.state == CandidateState::Unasked
            && self.members(prefix) + usize::from(newcomer.prefix == Some(prefix)) > usize::from(self.limits.prefix)
        {
            array::remove(&mut self.entries, place);
        }
        true
    }

    /// Makes room where the shortlist is full: the farthest gives way. `false` if that is the newcomer.
    fn make_room(&mut self, newcomer: &Newcomer) -> bool {
        !self.entries.is_full() || self.give_way(newcomer, None)
    }

    /// Takes out who is to give way to a newcomer, unless it is nearer. With a group, that is one of its members that were not asked.
    fn give_way(&mut self, newcomer: &Newcomer, prefix: Option<Prefix>) -> bool {
        let Some((place, entry)) = self.farthest(newcomer, prefix) else {
            return false;
        };
        let (progress, rank) = (self.progress(entry), G::rank(&self.target, &entry.contact.id));
        if !newcomer.near && newcomer.progress >= progress {
            return false;
        }
        if entry.state != CandidateState::Unasked {
            let (asked, ranked) = self.horizon.get_or_insert((progress, rank));
            (*asked, *ranked) = (progress.min(*asked), rank.min(*ranked));
        }
        array::remove(&mut self.entries, place);
        true
    }

    /// Who would give way to a newcomer: the farthest by progress of those that match, are not waited for, and are not among
    /// the k closest that live. Those nearer than the k-th that have failed stay too while others can go: with two orders, the
    /// next ones, which are farther by progress, would be kept out with them.
    fn farthest(&self, newcomer: &Newcomer, prefix: Option<Prefix>) -> Option<(usize, &Candidate<A, T>)> {
        let edge =
            newcomer.beside.checked_sub(1).map_or(0, |last| self.live(last).map_or(usize::MAX, |(place, _)| place + 1));
        let matches = |entry: &Candidate<A, T>| match prefix {
            Some(_) => entry.state == CandidateState::Unasked && entry.contact.address.prefix() == prefix,
            None => entry.state != CandidateState::Asked,
        };
        let mut may_go = self
            .entries
            .iter()
            .enumerate()
            .filter(|(place, entry)| matches(entry) && (*place >= edge || !entry.is_live()));
        if G::ONE_ORDER {
            // The shortlist's own.
            return may_go.next_back();
        }
        may_go.max_by_key(|(place, entry)| (*place >= edge, self.progress(entry)))
    }

    fn members(&self, prefix: Prefix) -> usize {
        self.entries.iter().filter(|entry| entry.contact.address.prefix() == Some(prefix)).count()
    }

    /// Of those that have not failed the one after `nth` others, with its place.
    fn live(&self, nth: usize) -> Option<(usize, &Candidate<A, T>)> {
        self.entries.iter().enumerate().filter(|(_, entry)| entry.is_live()).nth(nth)
    }

    fn progress(&self, entry: &Candidate<A, T>) -> Distance {
        G::progress(&self.target, &entry.contact.id)
    }

    /// Where a newcomer of this rank stands.
    fn place_of_rank(&self, rank: &Distance) -> usize {
        self.entries.partition_point(|entry| G::rank(&self.target, &entry.contact.id) <= *rank)
    }

    fn place(&self, id: &Id) -> Option<usize> {
        self.entries.iter().position(|entry| entry.contact.id == *id)
    }

    fn entry(&self, id: &Id) -> Option<&Candidate<A, T>> {
        self.entries.get(self.place(id)?)
    }

    fn entry_mut(&mut self, id: &Id) -> Option<&mut Candidate<A, T>> {
        let place = self.place(id)?;
        self.entries.get_mut(place)
    }

    /// A contact comes to another state, if it is in one of those.
    fn turn(&mut self, id: &Id, from: RangeInclusive<CandidateState>, to: CandidateState) {
        if let Some(entry) = self.entry_mut(id).filter(|entry| from.contains(&entry.state)) {
            entry.state = to;
        }
    }
}

/// What a contact that would join the shortlist meets there.
struct Newcomer {
    progress: Distance,
    prefix: Option<Prefix>,
    /// It would be among the k closest that live.
    near: bool,
    /// How many stay among these beside it.
    beside: usize,
}
