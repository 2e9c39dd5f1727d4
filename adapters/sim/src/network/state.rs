//! What a network consists of, and what can be read from it.

use core::fmt;
use core::time::Duration;
use std::collections::{BTreeMap, HashMap, VecDeque};

use kadlet::{Config, Dht, Id, Instant, Mode};

use super::datagrams::{Datagram, DatagramPool};
use super::directory::Directory;
use super::expected::ExpectedNodes;
use super::host::Host;
use super::queue::EventQueue;
use super::results::{OperationId, OperationResult};
use crate::address::{HostAddress, IdRule};
use crate::checks::Checks;
use crate::links::Links;
use crate::node::{Capacity, SimulatedNode};
use crate::overlay::Members;
use crate::random::Random;

/// Every network begins at this time: ideal tables need a past in which they came about.
const START: Duration = Duration::from_secs(12 * 3_600);

/// Nodes on hosts, which have the numbers 0, 1, 2 .., and the links between them. Each host has an address:
/// [`HostAddress::spread`] of its number, unless it is added at another or [moves](Network::renumber).
///
/// Time passes only in [`run_until`](Network::run_until) and [`step`](Network::step). The same seed and the same calls
/// give the same history, on every machine.
///
/// ```
/// use core::time::Duration;
/// use kadlet::{Config, Key, Options, Record};
/// use kadlet_sim::{Latency, Links, Network, OperationOutcome, Peer};
///
/// let config = Config { plain: true, ..Config::DEFAULT };
/// let mut network = Network::<Peer>::new(1, Links::new(Latency::INTERNET), config);
/// network.add_ideal(100, || ());
/// let newcomer = network.join(&[0]);
/// network.run_until(network.now() + Duration::from_secs(10));
/// assert_eq!(network.next_result().map(|result| result.outcome), Some(OperationOutcome::Joined));
///
/// network.put(newcomer, &Record::plain(b"hello", b"world"), &Options::DEFAULT)?;
/// network.run_until(network.now() + Duration::from_secs(10));
/// network.get(50, Key::plain(b"hello"))?;
/// network.run_until(network.now() + Duration::from_secs(10));
/// let [put, get] = [(); 2].map(|()| network.next_result().expect("it ended").outcome);
/// assert!(matches!(put, OperationOutcome::Stored { holders: 8, .. }));
/// assert!(matches!(get, OperationOutcome::Value { value, .. } if value == b"world"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Network<M: Dht> {
    pub(super) now: Instant,
    /// The links. They can be changed at any time.
    pub links: Links,
    /// The configuration of nodes that are added from now on.
    pub config: Config,
    /// The store's capacity of nodes that are added from now on.
    pub capacity: Capacity,
    /// How nodes get their identifiers: bound to their addresses unless set. Free ones need a `config` with `bind_ids`
    /// off.
    pub ids: IdRule,
    /// How lookups and gets run: iteratively unless set.
    pub lookup: Mode,
    /// Whether nodes with ideal tables begin as new nodes do, which check their contacts often. Otherwise they begin as
    /// nodes that have been in a calm network for hours.
    pub(crate) fresh_tables: bool,
    /// The one stream of random numbers. To draw from it changes the history.
    pub random: Random,
    pub(super) hosts: Vec<Host<M>>,
    pub(super) directory: Directory,
    /// All live nodes whose join has ended.
    pub(super) members: Members,
    /// How many nodes live.
    pub(super) living: u64,
    pub(super) queue: EventQueue,
    pub(super) datagrams: DatagramPool,
    /// The datagrams that reached attackers.
    pub(super) received: VecDeque<Datagram>,
    pub(super) checks: Checks,
    /// The right result of each lookup under way.
    pub(super) expected: BTreeMap<OperationId, ExpectedNodes>,
    /// The host of the node that began each operation, by the operation's number.
    pub(super) requesters: Vec<u32>,
    /// The numbers of the operations that run recursively, by their target.
    pub(super) relayed: HashMap<Id, u32>,
    pub(super) results: VecDeque<OperationResult>,
    pub(super) counts: Counts,
    /// Up to when `counts` includes the time that nodes lived.
    counted_until: Instant,
}

/// What was sent since [`Network::count_from_now`]. Bytes are UDP payload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// The datagrams that operations of the network caused, responses included.
    pub test_datagrams: u64,
    /// The bytes in them.
    pub test_bytes: u64,
    /// Those of them that the requester itself sent or received.
    pub requester_datagrams: u64,
    /// The bytes in them.
    pub requester_bytes: u64,
    /// All other datagrams.
    pub maintenance_datagrams: u64,
    /// The bytes in them.
    pub maintenance_bytes: u64,
    /// The time that all nodes lived, together, in microseconds.
    pub node_micros: u128,
}

/// The network as a whole.
impl<M: SimulatedNode> Network<M> {
    /// A network without nodes.
    #[must_use]
    pub fn new(seed: u64, links: Links, config: Config) -> Self {
        let now = Instant::ZERO + START;
        Self {
            now,
            links,
            config,
            capacity: Capacity::DEFAULT,
            ids: IdRule::BOUND,
            lookup: Mode::Iterative,
            fresh_tables: false,
            random: Random::new(seed),
            hosts: Vec::new(),
            directory: Directory::default(),
            members: Members::new(),
            living: 0,
            queue: EventQueue::default(),
            datagrams: DatagramPool::default(),
            received: VecDeque::new(),
            checks: Checks::default(),
            expected: BTreeMap::new(),
            requesters: Vec::new(),
            relayed: HashMap::new(),
            results: VecDeque::new(),
            counts: Counts::default(),
            counted_until: now,
        }
    }

    /// The simulated time.
    #[must_use]
    pub const fn now(&self) -> Instant {
        self.now
    }

    /// The checks, and what they found.
    #[must_use]
    pub const fn checks(&self) -> &Checks {
        &self.checks
    }

    /// How many hosts there are, with a node or without.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.hosts.len()
    }

    /// Whether there is no host yet.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.hosts.is_empty()
    }

    /// The node on a host; `None` if none lives there.
    #[must_use]
    pub fn node(&self, host: u32) -> Option<&M> {
        self.hosts.get(host as usize)?.node.as_deref()
    }

    /// The identifier of the node on a host, alive or not.
    #[must_use]
    pub fn id(&self, host: u32) -> Option<Id> {
        Some(self.hosts.get(host as usize)?.id)
    }

    /// The address of a host.
    ///
    /// # Panics
    ///
    /// If there is no such host.
    #[must_use]
    pub fn address(&self, host: u32) -> HostAddress {
        self.directory.address(host)
    }

    /// The host at an address; `None` if there is none.
    #[must_use]
    pub fn host_at(&self, address: HostAddress) -> Option<u32> {
        self.directory.host_at(address)
    }

    /// All members: the live nodes whose join has ended.
    #[must_use]
    pub const fn members(&self) -> &Members {
        &self.members
    }

    /// Whether the node at this host is a member.
    #[must_use]
    pub fn is_member(&self, host: u32) -> bool {
        self.hosts.get(host as usize).is_some_and(|state| state.node.is_some() && self.members.contains_key(&state.id))
    }

    /// A member drawn at random; `None` if there is none.
    pub fn any_member(&mut self) -> Option<u32> {
        if self.members.is_empty() {
            return None;
        }
        // Of ten draws nearly always one is a member; if not, the next after a random identifier is as good.
        for _ in 0..10 {
            let host = self.random.below(self.hosts.len()) as u32;
            if self.is_member(host) {
                return Some(host);
            }
        }
        let from = self.random.id();
        self.members.range(from..).chain(&self.members).next().map(|(_, host)| *host)
    }

    /// How many live nodes have not joined yet.
    #[must_use]
    pub fn not_joined(&self) -> u64 {
        self.living - self.members.len() as u64
    }

    /// The next result, in the order in which operations ended; `None` if there is none.
    pub fn next_result(&mut self) -> Option<OperationResult> {
        self.results.pop_front()
    }

    /// Counts from zero again: the traffic, and the requests that each node serves.
    pub fn count_from_now(&mut self) {
        self.counts = Counts::default();
        self.counted_until = self.now;
        for state in &mut self.hosts {
            state.requests_served = 0;
            state.bytes = (0, 0);
        }
    }

    /// The bytes that a host sent, and those that arrived there, since [`Network::count_from_now`].
    #[must_use]
    pub fn bytes(&self, host: u32) -> (u64, u64) {
        self.hosts.get(host as usize).map_or((0, 0), |state| state.bytes)
    }

    /// What was counted.
    pub fn counts(&mut self) -> Counts {
        self.count_living();
        self.counts
    }

    /// The number of requests that the busiest live node served, over the mean of all live nodes; 0 if there were no
    /// requests.
    #[must_use]
    pub fn load_max_over_mean(&self) -> f64 {
        let live = self.hosts.iter().filter(|state| state.node.is_some());
        let served = live.map(|state| u64::from(state.requests_served));
        let (max, sum) = served.fold((0, 0), |(max, sum), served| (served.max(max), sum + served));
        if sum == 0 { 0.0 } else { max as f64 * self.living as f64 / sum as f64 }
    }

    /// Adds the time that nodes lived up to now to the counts. Must be called before `living` changes.
    pub(super) fn count_living(&mut self) {
        self.counts.node_micros += self.now.since(self.counted_until).as_micros() * u128::from(self.living);
        self.counted_until = self.now;
    }

    /// Members came or went, so that other nodes can be responsible for the targets of the lookups under way.
    pub(super) fn members_changed(&mut self) {
        for expected in self.expected.values_mut() {
            expected.update::<M::Routing>(&self.members);
        }
    }
}

impl<M: Dht> fmt::Debug for Network<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network").field("now", &self.now).field("living", &self.living).finish_non_exhaustive()
    }
}
