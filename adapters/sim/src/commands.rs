//! What a test may do to a network: add, remove and restart nodes, and begin operations at them.

use core::time::Duration;

use kadlet::routing::Limits;
use kadlet::{
    Contact, FindError, GetError, Id, Instant, Key, Mode, Options, PutError, QueryId, QueryStats, Record, Routing,
    Store,
};

use crate::judge::Watch;
use crate::network::Place;
use crate::operation::{Running, Task};
use crate::overlay::settled;
use crate::queue::What;
use crate::{Application, Ended, Ending, Make, Network, Operation, Overlay};

/// An operation ends so long after its time limit at the latest.
const LATE: Duration = Duration::from_secs(1);
/// A node whose join failed tries again after this.
const JOIN_AGAIN: Duration = Duration::from_secs(1);

/// Nodes.
impl<M: Make> Network<M> {
    /// Adds so many nodes that know each other as well as can be: see [`Overlay::ideal`]. `tick` is called after each.
    pub fn add_ideal(&mut self, count: u32, mut tick: impl FnMut()) {
        let first = self.places.len() as u32;
        let mut all: Vec<_> = (first..first + count).map(|address| Contact::new(self.random.id(), address)).collect();
        self.places.reserve_exact(count as usize);
        self.places.extend(all.iter().map(|contact| Place::new(contact.id)));
        all.sort_unstable_by_key(|contact| contact.id);
        let mut order = vec![0; all.len()];
        for (place, contact) in all.iter().enumerate() {
            order[(contact.address - first) as usize] = place;
        }
        let k = usize::from(self.config.table.k);
        for place in order {
            let own = all[place];
            let contacts = M::Routing::ideal(&all, place, k, &self.links.latency, &mut self.random);
            let limits = Limits { ..self.config.table };
            let table = settled(self.alert, self.now, own, &contacts, &limits, &self.links.latency, &mut self.random);
            let node = M::make(self.config, self.random.bytes(), table, self.room);
            self.begin(own.address, node);
            self.members.insert(own.id, own.address);
            tick();
        }
    }

    /// Adds a node that joins through those at these addresses; through nobody if there are none, as a network's first does.
    /// Its join is an operation, the node's first, and is begun again for as long as it fails.
    pub fn join(&mut self, known: &[u32]) -> u32 {
        let address = self.places.len() as u32;
        let id = self.random.id();
        self.places.push(Place::new(id));
        self.start(address, id, known);
        address
    }

    /// A node leaves politely: its host goes on, and tells whoever sends to it that nobody is there.
    pub fn leave(&mut self, address: u32) {
        self.crash(address);
        self.places[address as usize].closed = true;
    }

    /// A node dies at once, and nobody is told. What is returned is what it had stored on its disk, for [`Network::restart`].
    pub fn crash(&mut self, address: u32) -> Option<Box<M>> {
        self.places.get(address as usize)?.node.as_ref()?;
        self.count_living();
        let place = &mut self.places[address as usize];
        let node = place.node.take();
        let running = core::mem::take(&mut place.running);
        let id = place.id;
        self.living -= 1;
        for running in running {
            self.watches.remove(&running.operation);
            self.ended.push_back(Ended {
                operation: running.operation,
                address,
                at: self.now,
                ending: Ending::Died,
                stats: QueryStats::default(),
            });
        }
        if self.members.remove(&id).is_some() {
            self.members_changed();
        }
        node
    }

    /// A node that crashed or left starts again at its address and joins through `known`: with what was on its disk (its identifier,
    /// its contacts, its records), or as another without. Nothing happens where a node lives.
    pub fn restart(&mut self, address: u32, disk: Option<&M>, known: &[u32]) {
        if self.node(address).is_some() {
            return;
        }
        let place = &mut self.places[address as usize];
        place.incarnation += 1;
        if disk.is_none() {
            let id = self.random.id();
            place.former.push(core::mem::replace(&mut place.id, id));
        }
        let id = place.id;
        self.start(address, id, known);
        let Some(disk) = disk else {
            return;
        };
        self.with(address, |node, now| {
            for peer in disk.routing().peers() {
                node.restore_contact(now, peer.contact);
            }
            for held in (0..disk.store().len()).filter_map(|slot| disk.store().get(slot)) {
                let left = held.metadata.expires.since(now);
                // What the store took before it takes again.
                let _ = node.restore_record(now, &held.record(now), left, held.metadata.pinned);
            }
        });
    }

    /// Attaches an application to a node, in the place of the one there was.
    pub fn attach(&mut self, address: u32, application: Box<dyn Application<M>>) {
        let place = &mut self.places[address as usize];
        (place.application, place.called) = (Some(application), self.now);
        self.queue.push(self.now, What::Call(address));
    }

    /// The node at an address, if one lives there.
    #[must_use]
    pub fn node(&self, address: u32) -> Option<&M> {
        self.places.get(address as usize)?.node.as_deref()
    }

    /// The identifier of the node at an address, alive or not.
    #[must_use]
    pub fn id(&self, address: u32) -> Option<Id> {
        Some(self.places.get(address as usize)?.id)
    }

    /// How many addresses were given to nodes so far.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there never was a node.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// A living node whose join has ended, drawn at random; `None` if there is none.
    pub fn any_member(&mut self) -> Option<u32> {
        if self.members.is_empty() {
            return None;
        }
        // Of ten draws nearly always one is a member; if not, the next after a random identifier is as good.
        for _ in 0..10 {
            let address = self.random.below(self.places.len()) as u32;
            if self.is_member(address) {
                return Some(address);
            }
        }
        let from = self.random.id();
        self.members.range(from..).chain(&self.members).next().map(|(_, address)| *address)
    }

    /// Whether the node at this address lives and its join has ended.
    #[must_use]
    pub fn is_member(&self, address: u32) -> bool {
        self.places
            .get(address as usize)
            .is_some_and(|place| place.node.is_some() && self.members.contains_key(&place.id))
    }

    fn start(&mut self, address: u32, id: Id, known: &[u32]) {
        let mut table = M::Routing::EMPTY;
        table.start(self.now, id, &self.config.table, self.random.number());
        let node = M::make(self.config, self.random.bytes(), table, self.room);
        self.begin(address, node);
        self.places[address as usize].known = known.to_vec();
        if known.is_empty() {
            self.members.insert(id, address);
            self.members_changed();
        } else {
            self.join_through_known(address);
        }
    }

    fn begin(&mut self, address: u32, node: Box<M>) {
        self.count_living();
        self.living += 1;
        self.places[address as usize].begin(node);
        self.with(address, |_, _| ());
    }

    fn join_through_known(&mut self, address: u32) {
        let known = self.places[address as usize].known.clone();
        let begun = self.begin_operation(address, Task::Join, |node, now| node.bootstrap(now, &known));
        self.checks
            .require(matches!(begun, Some(Ok(_))), || format!("{address} can't join through {known:?}: {begun:?}"));
    }
}

/// Operations. Each ends once, by [`Network::next_ended`].
impl<M: Make> Network<M> {
    /// Looks up the nodes responsible for `target`, and judges what is found.
    ///
    /// # Errors
    ///
    /// [`FindError`]: what the node says; `NotStarted` if none lives there.
    pub fn find_node(&mut self, address: u32, target: Id) -> Result<Operation, FindError> {
        let next = self.next_operation();
        self.watches.insert(next, Watch::new::<M::Routing>(&self.members, address, target));
        let options = Options { mode: self.lookup, ..Options::DEFAULT };
        let begun =
            self.begin_operation(address, Task::Find(target), |node, now| node.find_node(now, target, &options));
        if begun.is_none_or(|begun| begun.is_err()) {
            self.watches.remove(&next);
        }
        begun.unwrap_or(Err(FindError::NotStarted))
    }

    /// Gets a record.
    ///
    /// # Errors
    ///
    /// [`GetError`]: what the node says; `NoContacts` if none lives there.
    pub fn get(&mut self, address: u32, key: Key) -> Result<Operation, GetError> {
        let options = Options { mode: self.lookup, ..Options::DEFAULT };
        let begun = self.begin_operation(address, Task::Get(key), |node, now| node.get(now, key, &options));
        begun.unwrap_or(Err(GetError::NoContacts))
    }

    /// Puts a record.
    ///
    /// # Errors
    ///
    /// [`PutError`]: what the node says; `NoContacts` if none lives there.
    pub fn put(&mut self, address: u32, record: &Record<'_>, options: &Options) -> Result<Operation, PutError> {
        let key = record.key();
        self.checks.put(key, record.version());
        let begun = self.begin_operation(address, Task::Put(key), |node, now| node.put(now, record, options));
        begun.unwrap_or(Err(PutError::NoContacts))
    }

    /// Asks the node at an address whether it is there.
    ///
    /// # Errors
    ///
    /// [`FindError`]: what the node says; `NotStarted` if none lives there.
    pub fn ping(&mut self, address: u32, to: u32) -> Result<Operation, FindError> {
        self.begin_operation(address, Task::Ping, |node, now| node.ping(now, to)).unwrap_or(Err(FindError::NotStarted))
    }

    /// Checks that no operation is under way that should have ended. Called by whoever has all that a history was made for.
    pub fn check_overdue(&mut self) {
        for (address, place) in self.places.iter().enumerate() {
            for running in &place.running {
                let words = || format!("{:?} at {address} should have ended by {:?}", running.task, running.latest_end);
                self.checks.require(running.latest_end >= self.now, words);
            }
        }
    }

    const fn next_operation(&self) -> Operation {
        Operation(self.requesters.len() as u32)
    }

    fn begin_operation<E>(
        &mut self,
        address: u32,
        task: Task,
        begin: impl FnOnce(&mut M, Instant) -> Result<QueryId, E>,
    ) -> Option<Result<Operation, E>> {
        let operation = self.next_operation();
        let mut node = self.places.get_mut(address as usize)?.node.take()?;
        let begun = begin(&mut node, self.now);
        // Its end may wait already, so it is noted before the node is asked.
        let place = &mut self.places[address as usize];
        place.node = Some(node);
        if let Ok(query) = &begun {
            self.requesters.push(address);
            if let (Mode::Recursive, Some(target)) = (self.lookup, task.target()) {
                self.requests.insert(target, operation.0);
            }
            let latest_end = self.now + Options::DEFAULT.timeout + LATE;
            place.running.push(Running { query: *query, operation, task, latest_end });
        }
        self.with(address, |_, _| ());
        Some(begun.map(|_| operation))
    }

    /// An operation ended at a node, which is taken out of its place.
    pub(crate) fn end(&mut self, address: u32, running: &Running, ending: Ending, stats: QueryStats) {
        self.watches.remove(&running.operation);
        if let Some(target) = running.task.target() {
            self.requests.remove(&target);
        }
        if running.task == Task::Join {
            if ending == Ending::Joined {
                let id = self.places[address as usize].id;
                self.members.insert(id, address);
                self.members_changed();
            } else {
                self.queue.push(self.now + JOIN_AGAIN, What::Join(address, self.places[address as usize].incarnation));
                return;
            }
        }
        self.ended.push_back(Ended { operation: running.operation, address, at: self.now, ending, stats });
    }

    /// A join failed: once more.
    pub(crate) fn join_again(&mut self, address: u32, incarnation: u32) {
        let place = &self.places[address as usize];
        if place.node.is_some() && place.incarnation == incarnation {
            self.join_through_known(address);
        }
    }
}
