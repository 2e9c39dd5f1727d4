//! Adds, removes and restarts nodes.

use kadlet::routing::Limits;
use kadlet::{Contact, Id, QueryStats, Routing, Store};

use super::host::Host;
use super::queue::Scheduled;
use super::results::{OperationOutcome, OperationResult};
use super::state::Network;
use crate::application::Application;
use crate::node::SimulatedNode;
use crate::overlay::Overlay;
use crate::table::ideal_table;

/// Nodes.
impl<M: SimulatedNode> Network<M> {
    /// Adds `count` nodes whose tables are as if each had met all others: see [`Overlay::ideal_contacts`]. Calls `tick`
    /// after each node.
    pub fn add_ideal(&mut self, count: u32, mut tick: impl FnMut()) {
        let first = self.hosts.len() as u32;
        let mut all: Vec<_> = (first..first + count).map(|address| Contact::new(self.random.id(), address)).collect();
        self.hosts.reserve_exact(count as usize);
        self.hosts.extend(all.iter().map(|contact| Host::new(contact.id)));
        all.sort_unstable_by_key(|contact| contact.id);
        let mut index_of = vec![0; all.len()];
        for (index, contact) in all.iter().enumerate() {
            index_of[(contact.address - first) as usize] = index;
        }
        let k = usize::from(self.config.table.k);
        for index in index_of {
            let own = all[index];
            let latency = &self.links.latency;
            let contacts = M::Routing::ideal_contacts(&all, index, k, latency, &mut self.random);
            let limits = Limits { ..self.config.table };
            let table = ideal_table(self.fresh_tables, self.now, own, &contacts, &limits, latency, &mut self.random);
            let node = M::build(self.config, self.random.bytes(), table, self.capacity);
            self.install(own.address, node);
            self.members.insert(own.id, own.address);
            tick();
        }
    }

    /// Adds a node that joins through the nodes at these addresses, and returns its address. Without any, it is a
    /// member at once, as a network's first node must be. The join is an operation, the node's first, and begins again
    /// for as long as it fails.
    pub fn join(&mut self, bootstraps: &[u32]) -> u32 {
        let address = self.hosts.len() as u32;
        let id = self.random.id();
        self.hosts.push(Host::new(id));
        self.start(address, id, bootstraps);
        address
    }

    /// A node leaves politely: its host goes on, and reports to every sender that nobody listens there.
    ///
    /// # Panics
    ///
    /// If the address was never given out.
    pub fn leave(&mut self, address: u32) {
        self.crash(address);
        self.hosts[address as usize].left = true;
    }

    /// A node dies at once, and no other node learns of it. Returns the node as its disk has it, for
    /// [`Network::restart`]; `None` if none lived there.
    pub fn crash(&mut self, address: u32) -> Option<Box<M>> {
        self.hosts.get(address as usize)?.node.as_ref()?;
        self.count_living();
        let host = &mut self.hosts[address as usize];
        let node = host.node.take();
        let running = core::mem::take(&mut host.running);
        let id = host.id;
        self.living -= 1;
        for running in running {
            self.expected.remove(&running.operation);
            self.results.push_back(OperationResult {
                operation: running.operation,
                address,
                at: self.now,
                outcome: OperationOutcome::Died,
                stats: QueryStats::default(),
            });
        }
        if self.members.remove(&id).is_some() {
            self.members_changed();
        }
        node
    }

    /// Starts a node again that crashed or left, and lets it join through `bootstraps`. With `disk` it keeps its
    /// identifier, its contacts and its records; without, it gets a new identifier. Does nothing where a node lives.
    ///
    /// # Panics
    ///
    /// If the address was never given out.
    pub fn restart(&mut self, address: u32, disk: Option<&M>, bootstraps: &[u32]) {
        if self.node(address).is_some() {
            return;
        }
        let host = &mut self.hosts[address as usize];
        host.incarnation += 1;
        if disk.is_none() {
            let id = self.random.id();
            host.former_ids.push(core::mem::replace(&mut host.id, id));
        }
        let id = host.id;
        self.start(address, id, bootstraps);
        let Some(disk) = disk else {
            return;
        };
        self.with(address, |node, now| {
            for peer in disk.routing().peers() {
                node.restore_contact(now, peer.contact);
            }
            for stored in (0..disk.store().len()).filter_map(|slot| disk.store().get(slot)) {
                let left = stored.metadata.expires.since(now);
                // The store took all of these before, so it takes them again.
                let _ = node.restore_record(now, &stored.record(now), left, stored.metadata.pinned);
            }
        });
    }

    /// Attaches an application to a node. It replaces the one that was there.
    ///
    /// # Panics
    ///
    /// If the address was never given out.
    pub fn attach(&mut self, address: u32, application: Box<dyn Application<M>>) {
        let host = &mut self.hosts[address as usize];
        (host.application, host.application_at) = (Some(application), self.now);
        self.queue.push(self.now, Scheduled::Application(address));
    }

    /// Starts a node with an empty table.
    fn start(&mut self, address: u32, id: Id, bootstraps: &[u32]) {
        let mut table = M::Routing::EMPTY;
        table
            .start(self.now, id, &self.config.table, self.random.number())
            .expect("the network's limits are in their ranges");
        let node = M::build(self.config, self.random.bytes(), table, self.capacity);
        self.install(address, node);
        self.hosts[address as usize].bootstraps = bootstraps.to_vec();
        if bootstraps.is_empty() {
            self.members.insert(id, address);
            self.members_changed();
        } else {
            self.begin_join(address);
        }
    }

    fn install(&mut self, address: u32, node: Box<M>) {
        self.count_living();
        self.living += 1;
        self.hosts[address as usize].install(node);
        self.with(address, |_, _| ());
    }
}
