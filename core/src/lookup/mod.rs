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
//! use kadlet::lookup::{Limits, Lookup};
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
//! let mut lookup = Lookup::<Xor, u16, 12>::EMPTY;
//! lookup.start(node(15).id, Limits { k: 3, alpha: 2, group: 10 });
//! lookup.insert(node(8));
//! while let Some(asked) = lookup.next() {
//!     for contact in knows(asked.address) {
//!         lookup.named(&asked.id, contact);
//!     }
//!     lookup.answered(&asked.id, None);
//! }
//! assert!(lookup.is_done());
//! let closest: Vec<u16> = lookup.closest().iter().map(|contact| contact.address).collect();
//! assert_eq!(closest, [15, 14, 13]);
//! ```

mod found;
#[cfg(test)]
mod tests;

use core::marker::PhantomData;

use heapless::Vec;

use crate::wire::Token;
use crate::{Address, Contact, Distance, Geometry, Group, Id, array};

pub use found::{Entry, Found};
use found::{Rank, State};
use found::{Which, by_rank};

/// How a lookup behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How many of the closest are to be found: 1 to the shortlist's bound, best at most a third of it.
    pub k: u8,
    /// How many questions are waited for at once, slow ones not counted: at least 1.
    pub alpha: u8,
    /// How many contacts of one [`Group`] the shortlist holds. The k closest are never refused for it.
    pub group: u8,
}

/// One search, with a shortlist of at most `N` contacts.
///
/// Nobody is asked twice. Where the shortlist is full, the farthest contact gives way, but never one that is waited for nor
/// one of the k closest that live.
#[derive(Clone, Debug)]
pub struct Lookup<G, A, const N: usize> {
    target: Id,
    limits: Limits,
    /// How many of the closest must answer: k, or what it was widened to. Zero until started.
    width: usize,
    /// Whoever is neither of less progress nor of less rank than these may have been asked and given way: it stays out.
    horizon: Option<(Distance, Distance)>,
    /// By progress.
    entries: Vec<Entry<A>, N>,
    geometry: PhantomData<fn() -> G>,
}

impl<G: Geometry, A: Address, const N: usize> Lookup<G, A, N> {
    /// A lookup of zeros that lies in `.bss`. It takes nobody and asks nobody until it is started.
    pub const EMPTY: Self = Self {
        target: Id::ZERO,
        limits: Limits { k: 0, alpha: 0, group: 0 },
        width: 0,
        horizon: None,
        entries: Vec::new(),
        geometry: PhantomData,
    };

    /// `None` where the shortlist is in the order of rank anyway.
    const RANK: Option<Rank> = if G::ONE_ORDER { None } else { Some(G::rank) };

    /// Forgets everything and begins to search for `target`. Limits out of range are clamped to it.
    pub fn start(&mut self, target: Id, limits: Limits) {
        self.target = target;
        self.limits = Limits { alpha: limits.alpha.max(1), ..limits };
        self.width = usize::from(limits.k).clamp(1, N.max(1));
        self.horizon = None;
        self.entries.clear();
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
        let waited_for = self.entries.iter().filter(|entry| entry.state == State::Asked).count();
        if waited_for >= usize::from(self.limits.alpha) {
            return None;
        }
        let index = self.worth_asking()?;
        let entry = self.entries.get_mut(index)?;
        entry.state = State::Asked;
        Some(entry.contact)
    }

    /// The question could not be sent: [`next`](Lookup::next) may name the contact again.
    pub fn unasked(&mut self, id: &Id) {
        self.change(id, |entry| {
            if matches!(entry.state, State::Asked | State::Slow) {
                entry.state = State::Unasked;
            }
        });
    }

    /// The contact has not answered within a short time: another may be asked in its stead, though it may answer yet.
    pub fn slow(&mut self, id: &Id) {
        self.change(id, |entry| {
            if entry.state == State::Asked {
                entry.state = State::Slow;
            }
        });
    }

    /// The contact answered, with a token if the answer had one. Whom it named goes in by [`named`](Lookup::named), before or after.
    pub fn answered(&mut self, id: &Id, token: Option<Token>) {
        self.change(id, |entry| {
            entry.token = token.or(entry.token);
            if !entry.has_answered() {
                entry.state = State::Answered;
            }
        });
    }

    /// The contact did not answer within a long time, or answered what is of no use.
    pub fn failed(&mut self, id: &Id) {
        self.change(id, |entry| {
            if !entry.has_answered() {
                entry.state = State::Failed;
            }
        });
    }

    /// Whether the search is over: the k closest that have not failed have answered (and with two orders, whoever may precede
    /// the target more closely than all that answered has failed). A lookup that knows nobody alive is over too.
    #[must_use]
    pub fn is_done(&self) -> bool {
        let converged = G::ONE_ORDER || self.ahead().all(|entry| entry.state == State::Failed);
        converged && self.by_rank(Entry::is_live).take(self.width).all(|(_, entry)| entry.has_answered())
    }

    /// Goes on until so many of the closest have answered: at least k, at most the shortlist's bound.
    pub fn widen(&mut self, width: usize) {
        self.width = width.max(self.width).min(N.max(1));
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
        self.change(id, |entry| entry.newest = true);
    }

    /// Begins to store at the closest that answered; with `lagging_only`, at those of them that don't hold the newest record.
    pub fn begin_stores(&mut self, lagging_only: bool) {
        for entry in &mut self.entries {
            entry.state = entry.state.min(State::Answered);
        }
        for nth in 0..self.width {
            let Some((index, _)) = self.by_rank(Entry::has_answered).nth(nth) else {
                return;
            };
            if let Some(entry) = self.entries.get_mut(index).filter(|entry| !(lagging_only && entry.newest)) {
                entry.state = State::Wanted;
            }
        }
    }

    /// Whom to store at next, and its token; it then counts as being asked to. Alpha is no limit here.
    pub fn next_store(&mut self) -> Option<(Contact<A>, Option<Token>)> {
        let (index, _) = self.by_rank(|entry| entry.state == State::Wanted).next()?;
        let entry = self.entries.get_mut(index)?;
        entry.state = State::Sent;
        Some((entry.contact, entry.token))
    }

    /// The record could not be sent, or is to be sent again with a fresh token: [`next_store`](Lookup::next_store) names the contact again.
    pub fn unstored(&mut self, id: &Id) {
        self.end_store(id, State::Wanted);
    }

    /// The contact holds the record now.
    pub fn stored(&mut self, id: &Id) {
        self.end_store(id, State::Stored);
    }

    /// The contact does not take the record, or did not answer.
    pub fn refused(&mut self, id: &Id) {
        self.end_store(id, State::Refused);
    }

    /// Whether all stores have been answered or given up.
    #[must_use]
    pub fn stores_done(&self) -> bool {
        !self.entries.iter().any(|entry| matches!(entry.state, State::Wanted | State::Sent))
    }

    /// The token that the contact gave last.
    #[must_use]
    pub fn token(&self, id: &Id) -> Option<Token> {
        self.entry(id)?.token
    }

    /// The contact gave a fresh token.
    pub fn set_token(&mut self, id: &Id, token: Token) {
        self.change(id, |entry| entry.token = Some(token));
    }

    /// Those who answered, best first: k of them, or what the lookup was widened to.
    #[must_use]
    pub fn closest(&self) -> Found<'_, A> {
        self.found(Which::Answered, self.width)
    }

    /// Those who hold the newest record seen, best first.
    #[must_use]
    pub fn holders(&self) -> Found<'_, A> {
        self.found(Which::Holding, N)
    }

    /// Those who stored the record, best first.
    #[must_use]
    pub fn stored_at(&self) -> Found<'_, A> {
        self.found(Which::Stored, N)
    }

    /// All in the shortlist that have not failed, whether they answered or were only heard of, best first.
    #[must_use]
    pub fn heard(&self) -> Found<'_, A> {
        self.found(Which::Live, N)
    }

    /// The closest that answered.
    #[must_use]
    pub fn best(&self) -> Option<&Entry<A>> {
        Some(self.by_rank(Entry::has_answered).next()?.1)
    }

    /// How many steps from the own table a contact is: 0 if it is not in the shortlist.
    #[must_use]
    pub fn depth_of(&self, id: &Id) -> u8 {
        self.entry(id).map_or(0, |entry| entry.depth)
    }

    fn worth_asking(&self) -> Option<usize> {
        if !G::ONE_ORDER {
            if let Some(index) = self.ahead().position(|entry| entry.state == State::Unasked) {
                return Some(index);
            }
            if self.ahead().any(|entry| entry.state == State::Asked) {
                return None;
            }
        }
        let awake = |entry: &Entry<A>| entry.is_live() && entry.state != State::Slow;
        let (index, _) = self.by_rank(awake).take(self.width).find(|(_, entry)| entry.state == State::Unasked)?;
        Some(index)
    }

    /// Those who come before all that answered, by progress.
    fn ahead(&self) -> impl Iterator<Item = &Entry<A>> {
        self.entries.iter().take_while(|entry| !entry.has_answered())
    }

    fn add(&mut self, contact: Contact<A>, depth: u8) -> bool {
        if self.width == 0 || self.entry(&contact.id).is_some() {
            return false;
        }
        let (progress, rank) = (G::progress(&self.target, &contact.id), G::rank(&self.target, &contact.id));
        if self.horizon.is_some_and(|(asked, ranked)| progress >= asked && rank >= ranked) {
            return false;
        }
        let newcomer = self.newcomer(&contact, progress, rank);
        if !self.make_room_in_group(&newcomer) || !self.make_room(&newcomer) {
            return false;
        }
        let index = self.entries.partition_point(|entry| G::progress(&self.target, &entry.contact.id) <= progress);
        array::insert(&mut self.entries, index, Entry::new(contact, depth))
    }

    fn newcomer(&self, contact: &Contact<A>, progress: Distance, rank: Distance) -> Newcomer {
        let before = if G::ONE_ORDER {
            let nearer = self.entries.partition_point(|entry| G::progress(&self.target, &entry.contact.id) <= progress);
            self.entries.iter().take(nearer).filter(|entry| entry.is_live()).count()
        } else {
            self.entries.iter().filter(|entry| entry.is_live() && G::rank(&self.target, &entry.contact.id) <= rank).count()
        };
        let near = before < self.width;
        let beside = if near { self.width.saturating_sub(1) } else { self.width };
        Newcomer { progress, group: contact.address.group(), near, beside }
    }

    /// Keeps to the limit on a group: unasked members beyond the k closest give way, the farthest first. `false` if that is the newcomer.
    fn make_room_in_group(&mut self, newcomer: &Newcomer) -> bool {
        if let Some(group) = newcomer.group
            && self.members(group) >= usize::from(self.limits.group)
        {
            let farthest = self.farthest(newcomer, |entry| entry.state == State::Unasked && entry.contact.address.group() == Some(group));
            if !self.replace(farthest, newcomer) && !newcomer.near {
                return false;
            }
        }
        // Whom a newcomer pushes out of the k closest loses the exemption.
        if !newcomer.near {
            return true;
        }
        let Some((index, pushed)) = self.by_rank(Entry::is_live).nth(newcomer.beside) else {
            return true;
        };
        if let Some(group) = pushed.contact.address.group()
            && pushed.state == State::Unasked
            && self.members(group) + usize::from(newcomer.group == Some(group)) > usize::from(self.limits.group)
        {
            array::remove(&mut self.entries, index);
        }
        true
    }

    /// Makes room where the shortlist is full: the farthest gives way. `false` if that is the newcomer.
    fn make_room(&mut self, newcomer: &Newcomer) -> bool {
        !self.entries.is_full() || self.replace(self.farthest(newcomer, |_| true), newcomer)
    }

    /// Who would give way to a newcomer: the farthest by progress of those that match, are not waited for, and are not among
    /// the k closest that live. With two orders, those nearer than the k-th that have failed stay too while others can go: the
    /// next ones, which are farther by progress, would be kept out with them.
    fn farthest(&self, newcomer: &Newcomer, matches: impl Fn(&Entry<A>) -> bool) -> Option<usize> {
        let last = newcomer.beside.checked_sub(1).map(|last| self.by_rank(Entry::is_live).nth(last));
        let edge = last.map(|last| last.map_or(Distance::MAX, |(_, entry)| G::rank(&self.target, &entry.contact.id)));
        let near = |entry: &Entry<A>| edge.is_some_and(|edge| G::rank(&self.target, &entry.contact.id) <= edge);
        let may_go = |entry: &Entry<A>| entry.state != State::Asked && matches(entry);
        if !G::ONE_ORDER
            && let Some(index) = self.entries.iter().rposition(|entry| may_go(entry) && !near(entry))
        {
            return Some(index);
        }
        self.entries.iter().rposition(|entry| may_go(entry) && !(entry.is_live() && near(entry)))
    }

    /// Takes a contact out, unless it is nearer than the newcomer that it is to give way to.
    fn replace(&mut self, farthest: Option<usize>, newcomer: &Newcomer) -> bool {
        let Some((index, entry)) = farthest.and_then(|index| Some((index, self.entries.get(index)?))) else {
            return false;
        };
        let (progress, rank) = (G::progress(&self.target, &entry.contact.id), G::rank(&self.target, &entry.contact.id));
        if !newcomer.near && newcomer.progress >= progress {
            return false;
        }
        if entry.state != State::Unasked {
            let (asked, ranked) = self.horizon.unwrap_or((Distance::MAX, Distance::MAX));
            self.horizon = Some((asked.min(progress), ranked.min(rank)));
        }
        array::remove(&mut self.entries, index);
        true
    }

    fn members(&self, group: Group) -> usize {
        self.entries.iter().filter(|entry| entry.contact.address.group() == Some(group)).count()
    }

    fn end_store(&mut self, id: &Id, state: State) {
        self.change(id, |entry| {
            if entry.has_answered() {
                entry.state = state;
            }
        });
    }

    fn entry(&self, id: &Id) -> Option<&Entry<A>> {
        self.entries.iter().find(|entry| entry.contact.id == *id)
    }

    fn change(&mut self, id: &Id, change: impl FnOnce(&mut Entry<A>)) {
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.contact.id == *id) {
            change(entry);
        }
    }

    fn by_rank(&self, matches: impl Fn(&Entry<A>) -> bool) -> impl Iterator<Item = (usize, &Entry<A>)> {
        by_rank(&self.entries, self.target, Self::RANK, matches)
    }

    fn found(&self, which: Which, limit: usize) -> Found<'_, A> {
        Found::new(&self.entries, self.target, Self::RANK, which, limit)
    }
}

/// What a contact that would join the shortlist meets there.
struct Newcomer {
    progress: Distance,
    group: Option<Group>,
    /// It would be among the k closest that live.
    near: bool,
    /// How many stay among these beside it.
    beside: usize,
}
