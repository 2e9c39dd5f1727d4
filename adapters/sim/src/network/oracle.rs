//! What is right, as only the simulator knows it: it sees the whole network.

use std::collections::BTreeMap;

use kadlet::record::Version;
use kadlet::routing::ContactState;
use kadlet::{Id, Key, Routing, Store};

use super::state::Network;
use crate::node::SimulatedNode;
use crate::overlay::Overlay;

/// How far a network is from its converged state. All zero, the default, is converged.
///
/// ```
/// use core::time::Duration;
/// use kadlet::Config;
/// use kadlet_sim::{Divergence, Latency, Links, Network, Peer};
///
/// let mut network = Network::<Peer>::new(1, Links::new(Latency::INTERNET), Config::DEFAULT);
/// network.add_ideal(100, || ());
/// assert_eq!(network.divergence(), Divergence::default());
/// (0..50).for_each(|host| drop(network.crash(host)));
/// assert!(network.divergence().tables > 0, "the survivors lack contacts in place of the dead");
/// network.run_until(network.now() + Duration::from_secs(1_800));
/// assert_eq!(network.divergence(), Divergence::default());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Divergence {
    /// How many members lack one of their k closest members in their table.
    pub tables: usize,
    /// How many replicas are missing or out of date: for each record, those of the k responsible members.
    pub replicas: usize,
}

/// The network as seen from outside.
impl<M: SimulatedNode> Network<M> {
    /// The `count` members that are responsible for an identifier, best first.
    #[must_use]
    pub fn responsible(&self, target: &Id, count: usize) -> Vec<u32> {
        M::Routing::responsible(&self.members, target, count)
    }

    /// How far the network is from its converged state. In calm it reaches [zero](Divergence::default). Walks all
    /// tables and all records.
    #[must_use]
    pub fn divergence(&self) -> Divergence {
        let k = usize::from(self.config.table.k);
        let diverges = |own: &Id, host: u32| {
            let Some(node) = self.node(host) else {
                return true;
            };
            let neighbours = self.responsible(own, k + 1);
            let verified = |id: &Id| node.routing().get(id).is_some_and(|peer| peer.state == ContactState::Verified);
            neighbours.iter().any(|other| *other != host && !verified(&self.hosts[*other as usize].id))
        };
        let tables = self.members.iter().filter(|(own, host)| diverges(own, **host)).count();
        let replicas = self.newest_versions().iter().map(|(key, newest)| self.missing_replicas(key, *newest)).sum();
        Divergence { tables, replicas }
    }

    /// The winning version of every record that any node stores, as of now.
    #[must_use]
    pub fn newest_versions(&self) -> BTreeMap<Key, Version> {
        let mut newest = BTreeMap::new();
        for node in self.hosts.iter().filter_map(|state| state.node.as_deref()) {
            for stored in (0..node.store().len()).filter_map(|slot| node.store().get(slot)) {
                let version = stored.version(self.now);
                let best = newest.entry(stored.key).or_insert(version);
                if stored.key.kind.contest(*best, version).offered.is_gt() {
                    *best = version;
                }
            }
        }
        newest
    }

    /// How many of the k members responsible for a key lack this version of its record, or a newer one.
    #[must_use]
    pub fn missing_replicas(&self, key: &Key, newest: Version) -> usize {
        let k = usize::from(self.config.table.k);
        let stores = |host: &u32| {
            let version = self.stored_version(*host, key);
            version.is_some_and(|version| key.kind.contest(newest, version).offered.is_ge())
        };
        self.responsible(&key.id, k).iter().filter(|host| !stores(host)).count()
    }

    /// The version of a record that the node at a host stores, as of now; `None` if it stores none.
    #[must_use]
    pub fn stored_version(&self, host: u32, key: &Key) -> Option<Version> {
        let store = self.node(host)?.store();
        Some(store.get(store.find(key)?)?.version(self.now))
    }
}
