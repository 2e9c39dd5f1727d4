//! What is right, with the whole network in view.

use std::collections::BTreeMap;

use kadlet::record::Version;
use kadlet::routing::ContactState;
use kadlet::{Contact, Id, Key, QueryStats, Routing, Store};

use crate::{Make, Members, Network, Overlay};

/// Who was responsible for a target at any instant of a lookup, but for the asker.
#[derive(Clone, Debug)]
pub(crate) struct Watch {
    requester: u32,
    target: Id,
    responsible: Vec<u32>,
}

impl Watch {
    pub(crate) fn new<R: Overlay>(members: &Members, requester: u32, target: Id) -> Self {
        let mut watch = Self { requester, target, responsible: Vec::new() };
        watch.look::<R>(members);
        watch
    }

    /// Who is responsible may have changed.
    pub(crate) fn look<R: Overlay>(&mut self, members: &Members) {
        let best = R::responsible(members, &self.target, 2).into_iter().find(|address| *address != self.requester);
        if let Some(best) = best.filter(|best| !self.responsible.contains(best)) {
            self.responsible.push(best);
        }
    }

    pub(crate) fn holds(&self, address: u32) -> bool {
        self.responsible.contains(&address)
    }
}

/// How far a network is from being as it should.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Disorder {
    /// Members whose table lacks one of their k closest.
    pub tables: usize,
    /// Copies of records that one of the k responsible members lacks, or has in an older version than another.
    pub replicas: usize,
}

impl<M: Make> Network<M> {
    /// All members: who joined and lives.
    #[must_use]
    pub const fn members(&self) -> &Members {
        &self.members
    }

    /// The `count` members that are responsible for an identifier, best first.
    #[must_use]
    pub fn responsible(&self, target: &Id, count: usize) -> Vec<u32> {
        M::Routing::responsible(&self.members, target, count)
    }

    /// Where a question about `target` ends that each node, from `requester` on, forwards to the best of its table, and that nobody
    /// acknowledges: at nobody if it comes to a dead node, or gets lost.
    pub(crate) fn forward(&mut self, requester: u32, target: Id) -> (Option<u32>, QueryStats) {
        let (mut at, mut stats) = (requester, QueryStats::default());
        while let Some(node) = self.node(at) {
            let mut next = [Contact::EMPTY; 1];
            if node.routing().toward(&target, &mut next) == 0 {
                return (Some(at), stats);
            }
            stats.took += self.links.latency.round_trip(at, next[0].address);
            stats.hops = stats.hops.saturating_add(1);
            at = next[0].address;
            if self.random.happens(self.links.loss) {
                break;
            }
        }
        (None, stats)
    }

    /// How many nodes live that have not joined yet.
    #[must_use]
    pub fn not_joined(&self) -> u64 {
        self.living - self.members.len() as u64
    }

    /// What is not as it should be. In calm it becomes [nothing](Disorder::default).
    #[must_use]
    pub fn disorder(&self) -> Disorder {
        let k = usize::from(self.config.table.k);
        let lacks = |own: &Id, address: u32| {
            let Some(node) = self.node(address) else {
                return true;
            };
            let neighbours = self.responsible(own, k + 1);
            let verified = |id: &Id| node.routing().get(id).is_some_and(|peer| peer.state == ContactState::Verified);
            neighbours.iter().any(|other| *other != address && !verified(&self.places[*other as usize].id))
        };
        let tables = self.members.iter().filter(|(own, address)| lacks(own, **address)).count();
        let replicas = self.newest().iter().map(|(key, newest)| self.missing(key, *newest)).sum();
        Disorder { tables, replicas }
    }

    /// How many of the k members responsible for a key lack this version of it.
    #[must_use]
    pub fn missing(&self, key: &Key, newest: Version) -> usize {
        let k = usize::from(self.config.table.k);
        let has =
            |address: &u32| self.held(*address, key).is_some_and(|held| key.kind.contest(newest, held).offered.is_ge());
        self.responsible(&key.id, k).iter().filter(|address| !has(address)).count()
    }

    /// The version of a record that a node holds, as of now.
    #[must_use]
    pub fn held(&self, address: u32, key: &Key) -> Option<Version> {
        let store = self.node(address)?.store();
        Some(store.get(store.find(key)?)?.version(self.now))
    }

    /// The winning version of every record that any node holds, as of now.
    #[must_use]
    pub fn newest(&self) -> BTreeMap<Key, Version> {
        let mut newest = BTreeMap::new();
        for node in self.places.iter().filter_map(|place| place.node.as_deref()) {
            for held in (0..node.store().len()).filter_map(|slot| node.store().get(slot)) {
                let version = held.version(self.now);
                let best = newest.entry(held.key).or_insert(version);
                if held.key.kind.contest(*best, version).offered.is_gt() {
                    *best = version;
                }
            }
        }
        newest
    }

    /// Members came or went: who is responsible may have changed.
    pub(crate) fn members_changed(&mut self) {
        for watch in self.watches.values_mut() {
            watch.look::<M::Routing>(&self.members);
        }
    }
}
