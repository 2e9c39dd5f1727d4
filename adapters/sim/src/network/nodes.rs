//! Adds, removes and restarts nodes.

use kadlet::routing::Limits;
use kadlet::{Contact, Id, QueryStats, Routing, Store};

use super::host::Host;
use super::queue::Scheduled;
use super::results::{OperationOutcome, OperationResult};
use super::state::Network;
use crate::address::HostAddress;
use crate::application::Application;
use crate::node::SimulatedNode;
use crate::overlay::Overlay;
use crate::table::ideal_table;

/// Nodes.
impl<M: SimulatedNode> Network<M> {
    /// Adds `count` nodes whose tables are as if each had met all others: see [`Overlay::ideal_contacts`]. Calls `tick`
    /// after each node.
    pub fn add_ideal(&mut self, count: u32, tick: impl FnMut()) {
        let first = self.hosts.len() as u32;
        let addresses: Vec<_> = (first..first + count).map(HostAddress::spread).collect();
        self.add_ideal_at(&addresses, tick);
    }

    /// The same with a node at each of these addresses.
    ///
    /// # Panics
    ///
    /// If another host has one of them.
    pub fn add_ideal_at(&mut self, addresses: &[HostAddress], mut tick: impl FnMut()) {
        let first = self.hosts.len();
        self.hosts.reserve_exact(addresses.len());
        self.directory.reserve(addresses.len());
        let mut all = Vec::with_capacity(addresses.len());
        for address in addresses {
            let id = (self.ids.assigned)(*address, &mut self.random);
            self.directory.add(*address);
            self.hosts.push(Host::new(id));
            all.push((Contact::new(id, *address), all.len()));
        }
        all.sort_unstable_by_key(|(contact, _)| contact.id);
        let (all, order): (Vec<_>, Vec<_>) = all.into_iter().unzip();
        let mut index_of = vec![0; all.len()];
        for (index, nth) in order.into_iter().enumerate() {
            index_of[nth] = index;
        }
        let k = usize::from(self.config.table.k);
        for (nth, index) in index_of.into_iter().enumerate() {
            let (own, host) = (all[index], (first + nth) as u32);
            let (directory, latency) = (&self.directory, &self.links.latency);
            let place = |address| directory.host_at(address).unwrap_or(host);
            let round_trip = |a, b| latency.round_trip(place(a), place(b));
            let contacts = M::Routing::ideal_contacts(&all, index, k, &round_trip, &mut self.random);
            let limits = Limits { ..self.config.table };
            let fresh = self.fresh_tables;
            let table = ideal_table(fresh, self.now, own, &contacts, &limits, &round_trip, &mut self.random);
            let node = M::build(self.config, self.random.bytes(), table, self.capacity);
            self.install(host, node);
            self.members.insert(own.id, host);
            tick();
        }
    }

    /// Adds a node that joins through the nodes at these hosts, and returns its host. Without any, it is a member at
    /// once, as a network's first node must be. The join is an operation, the node's first, and begins again for as
    /// long as it fails.
    pub fn join(&mut self, bootstraps: &[u32]) -> u32 {
        self.join_at(HostAddress::spread(self.hosts.len() as u32), bootstraps)
    }

    /// The same with a node at this address.
    ///
    /// # Panics
    ///
    /// If another host has the address.
    pub fn join_at(&mut self, address: HostAddress, bootstraps: &[u32]) -> u32 {
        let id = (self.ids.assigned)(address, &mut self.random);
        self.join_as(Contact::new(id, address), bootstraps)
    }

    /// The same with a node that has this identifier, whatever the [rule](Network::ids) says.
    ///
    /// # Panics
    ///
    /// If another host has the address.
    pub fn join_as(&mut self, own: Contact<HostAddress>, bootstraps: &[u32]) -> u32 {
        let host = self.directory.add(own.address);
        self.hosts.push(Host::new(own.id));
        self.start(host, own.id, bootstraps);
        host
    }

    /// A host gets another address at once, as from a provider that renumbers. Its node isn't told. What is on its way
    /// to the old address is lost.
    ///
    /// # Panics
    ///
    /// If there is no such host, or another host has the address.
    pub fn renumber(&mut self, host: u32, address: HostAddress) {
        let id = self.hosts[host as usize].id;
        self.directory.renumber(host, id, address);
    }

    /// A node leaves politely: its host goes on, and reports to every sender that nobody listens there.
    ///
    /// # Panics
    ///
    /// If there is no such host.
    pub fn leave(&mut self, host: u32) {
        self.crash(host);
        self.hosts[host as usize].left = true;
    }

    /// A node dies at once, and no other node learns of it. Returns the node as its disk has it, for
    /// [`Network::restart`]; `None` if none lived there.
    pub fn crash(&mut self, host: u32) -> Option<Box<M>> {
        self.hosts.get(host as usize)?.node.as_ref()?;
        self.count_living();
        let state = &mut self.hosts[host as usize];
        let node = state.node.take();
        let running = core::mem::take(&mut state.running);
        let id = state.id;
        self.living -= 1;
        for running in running {
            self.expected.remove(&running.operation);
            self.results.push_back(OperationResult {
                operation: running.operation,
                host,
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
    /// If there is no such host.
    pub fn restart(&mut self, host: u32, disk: Option<&M>, bootstraps: &[u32]) {
        if self.node(host).is_some() {
            return;
        }
        let state = &mut self.hosts[host as usize];
        state.incarnation += 1;
        if disk.is_none() {
            let id = (self.ids.assigned)(self.directory.address(host), &mut self.random);
            self.directory.remember(host, core::mem::replace(&mut state.id, id));
        }
        let id = state.id;
        self.start(host, id, bootstraps);
        let Some(disk) = disk else {
            return;
        };
        self.with(host, |node, now| {
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
    /// If there is no such host.
    pub fn attach(&mut self, host: u32, application: Box<dyn Application<M>>) {
        let state = &mut self.hosts[host as usize];
        (state.application, state.application_at) = (Some(application), self.now);
        self.queue.push(self.now, Scheduled::Application(host));
    }

    /// Starts a node with an empty table.
    fn start(&mut self, host: u32, id: Id, bootstraps: &[u32]) {
        let mut table = M::Routing::EMPTY;
        table
            .start(self.now, id, &self.config.table, self.random.number())
            .expect("the network's limits are in their ranges");
        let node = M::build(self.config, self.random.bytes(), table, self.capacity);
        self.install(host, node);
        self.hosts[host as usize].bootstraps = bootstraps.iter().map(|host| self.address(*host)).collect();
        if bootstraps.is_empty() {
            self.members.insert(id, host);
            self.members_changed();
        } else {
            self.begin_join(host);
        }
    }

    fn install(&mut self, host: u32, node: Box<M>) {
        self.count_living();
        self.living += 1;
        self.hosts[host as usize].install(node);
        self.with(host, |_, _| ());
    }
}
