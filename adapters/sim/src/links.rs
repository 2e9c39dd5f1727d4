//! What happens to a datagram on its way: latency, loss, duplication, reordering, limited bandwidth, NAT, partitions.

use core::time::Duration;
use std::collections::HashMap;

use kadlet::{Address, Instant};

use crate::address::HostAddress;
use crate::random::Random;

/// How long a datagram takes, one way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Latency {
    /// Always the same.
    Constant(Duration),
    /// Uniformly distributed from the first to the second.
    Uniform(Duration, Duration),
    /// As on the Internet. Hosts are points in a square, which depend on their numbers alone. A datagram takes `base`,
    /// plus the distance, plus an exponentially distributed jitter.
    Plane {
        /// What a datagram takes between two nodes at the same point.
        base: Duration,
        /// What it takes along one side of the square, in addition.
        side: Duration,
        /// The mean jitter.
        jitter: Duration,
    },
}

impl Latency {
    /// The Internet as a plane: round trips of 4 to some 300 ms, 118 ms on average.
    pub const INTERNET: Self = Self::Plane {
        base: Duration::from_millis(2),
        side: Duration::from_millis(100),
        jitter: Duration::from_millis(5),
    };

    /// The mean round-trip time between two hosts.
    #[must_use]
    pub fn round_trip(&self, a: u32, b: u32) -> Duration {
        match *self {
            Self::Constant(latency) => latency * 2,
            Self::Uniform(least, most) => least + most,
            Self::Plane { jitter, .. } => (self.without_jitter(a, b) + jitter) * 2,
        }
    }

    /// How long one datagram takes.
    fn draw(&self, from: u32, to: u32, random: &mut Random) -> Duration {
        match *self {
            Self::Constant(latency) => latency,
            Self::Uniform(least, most) => least + random.within(most.saturating_sub(least)),
            Self::Plane { jitter, .. } => self.without_jitter(from, to) + random.exponential(jitter),
        }
    }

    fn without_jitter(&self, a: u32, b: u32) -> Duration {
        let Self::Plane { base, side, .. } = *self else {
            return Duration::ZERO;
        };
        let ((ax, ay), (bx, by)) = (point(a), point(b));
        // IEEE 754 defines a square root to the last bit, so it is the same on every machine.
        base + side.mul_f64(((ax - bx) * (ax - bx) + (ay - by) * (ay - by)).sqrt())
    }
}

/// A node's point in the unit square: SplitMix64 (Steele, Lea and Flood, 2014) of its host's number.
fn point(host: u32) -> (f64, f64) {
    let mixed = u64::from(host).wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    let mixed = mixed ^ (mixed >> 31);
    let coordinate = |half: u64| (half & 0xFFFF_FFFF) as f64 / (1_u64 << 32) as f64;
    (coordinate(mixed >> 32), coordinate(mixed))
}

/// What the NAT or the firewall of a node lets in (RFC 4787, section 5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Filtering {
    /// Everything.
    #[default]
    EndpointIndependent,
    /// Datagrams from IP addresses that the node has lately sent to.
    AddressDependent,
    /// Datagrams from IP addresses and ports that the node has lately sent to.
    AddressAndPortDependent,
}

impl Filtering {
    /// What it remembers of an address that a node sends to. `None` if it lets everything in.
    fn remembers(self, address: HostAddress) -> Option<HostAddress> {
        match self {
            Self::EndpointIndependent => None,
            Self::AddressDependent => Some(address.without_port()),
            Self::AddressAndPortDependent => Some(address),
        }
    }
}

/// The links between all hosts, which are named by their numbers here. Everything can be changed at any time; it
/// applies to datagrams that are sent from then on.
///
/// ```
/// use core::time::Duration;
/// use kadlet::Config;
/// use kadlet_sim::{Latency, Links, Network, OperationOutcome, Peer};
///
/// let mut network = Network::<Peer>::new(1, Links::new(Latency::INTERNET), Config::DEFAULT);
/// network.add_ideal(2, || ());
/// network.links.loss = 0.05;
/// network.links.assign_partition(1, 1);
/// network.links.cut(0, 1); // From partition 0 to partition 1; the other direction stays open.
/// network.ping(0, 1)?;
/// network.run_until(network.now() + Duration::from_secs(31));
/// let outcome = network.next_result().expect("it ended").outcome;
/// assert!(matches!(outcome, OperationOutcome::Failed(_)));
/// # Ok::<(), kadlet::BeginError>(())
/// ```
#[derive(Debug)]
pub struct Links {
    /// How long datagrams take.
    pub latency: Latency,
    /// The fraction of datagrams that are lost: 0 to 1.
    pub loss: f64,
    /// The fraction that arrives twice: 0 to 1.
    pub duplication: f64,
    /// The fraction that is delayed, so that later datagrams overtake them: 0 to 1.
    pub reordering: f64,
    /// The longest such delay.
    pub reordering_delay: Duration,
    /// How many bytes a second each node can send; `None` for no limit. Datagrams beyond it wait.
    pub bandwidth: Option<u64>,
    /// Each node's partition; nodes beyond the end are in partition 0.
    partitions: Vec<u8>,
    /// Pairs of partitions: nothing gets from the first to the second.
    cuts: Vec<(u8, u8)>,
    /// How long a filter lets datagrams in from an address after one went out to it: two minutes, the least that RFC
    /// 4787 asks for (REQ-5).
    pub binding: Duration,
    /// Each node's filter; nodes beyond the end have none.
    filters: Vec<Filtering>,
    /// When each node with a filter last sent to another address.
    bindings: HashMap<(u32, HostAddress), Instant>,
    /// When each node's link will have sent what waits there.
    busy_until: HashMap<u32, Instant>,
}

/// When the copies of a datagram arrive.
pub(crate) type Arrivals = [Option<Instant>; 2];

impl Links {
    /// Links of this latency, without faults.
    #[must_use]
    pub fn new(latency: Latency) -> Self {
        Self {
            latency,
            loss: 0.0,
            duplication: 0.0,
            reordering: 0.0,
            reordering_delay: Duration::from_millis(200),
            bandwidth: None,
            partitions: Vec::new(),
            cuts: Vec::new(),
            binding: Duration::from_secs(120),
            filters: Vec::new(),
            bindings: HashMap::new(),
            busy_until: HashMap::new(),
        }
    }

    /// Puts a node behind a NAT or a firewall that lets in only what its filtering says. The mapping is
    /// endpoint-independent: the node has one address for all others.
    pub fn filter(&mut self, node: u32, filtering: Filtering) {
        let index = node as usize;
        self.filters.resize(self.filters.len().max(index + 1), Filtering::EndpointIndependent);
        self.filters[index] = filtering;
    }

    /// What the filter of a node lets in.
    #[must_use]
    pub fn filtering(&self, node: u32) -> Filtering {
        self.filters.get(node as usize).copied().unwrap_or(Filtering::EndpointIndependent)
    }

    /// Assigns a node to a partition. That alone separates no nodes: see [`cut`](Links::cut).
    pub fn assign_partition(&mut self, node: u32, partition: u8) {
        let index = node as usize;
        self.partitions.resize(self.partitions.len().max(index + 1), 0);
        self.partitions[index] = partition;
    }

    /// The partition of a node.
    #[must_use]
    pub fn partition(&self, node: u32) -> u8 {
        self.partitions.get(node as usize).copied().unwrap_or(0)
    }

    /// Cuts the links from one partition to another, in this direction only.
    pub fn cut(&mut self, from: u8, to: u8) {
        self.cuts.push((from, to));
    }

    /// Heals all cuts.
    pub fn heal(&mut self) {
        self.cuts.clear();
    }

    /// Whether cuts and filters let a datagram through now, that a node sends and that seems to come from `source`.
    pub(crate) fn connects(&self, now: Instant, (from, source): (u32, HostAddress), to: u32) -> bool {
        if !self.cuts.is_empty() && self.cuts.contains(&(self.partition(from), self.partition(to))) {
            return false;
        }
        let Some(source) = self.filtering(to).remembers(source) else {
            return true;
        };
        self.bindings.get(&(to, source)).is_some_and(|at| now.since(*at) < self.binding)
    }

    /// A node sends a datagram to an address: its filter lets responses in.
    pub(crate) fn note_sent(&mut self, now: Instant, from: u32, to: HostAddress) {
        if let Some(to) = self.filtering(from).remembers(to) {
            self.bindings.insert((from, to), now);
        }
    }

    /// When a datagram of this length that is sent now arrives: never, once or twice.
    pub(crate) fn send(&mut self, now: Instant, from: u32, to: u32, bytes: usize, random: &mut Random) -> Arrivals {
        let departure = self.departure(now, from, bytes);
        if random.happens(self.loss) {
            return [None, None];
        }
        let first = self.arrival(departure, from, to, random);
        let second = random.happens(self.duplication).then(|| self.arrival(departure, from, to, random));
        [Some(first), second]
    }

    fn departure(&mut self, now: Instant, from: u32, bytes: usize) -> Instant {
        let Some(bandwidth) = self.bandwidth else {
            return now;
        };
        let busy = self.busy_until.entry(from).or_insert(Instant::ZERO);
        *busy = (*busy).max(now) + Duration::from_micros(bytes as u64 * 1_000_000 / bandwidth.max(1));
        *busy
    }

    fn arrival(&self, departure: Instant, from: u32, to: u32, random: &mut Random) -> Instant {
        let delay = if random.happens(self.reordering) { random.within(self.reordering_delay) } else { Duration::ZERO };
        departure + self.latency.draw(from, to, random) + delay
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_is_one_way_and_a_node_behind_a_nat_must_send_first() {
        let now = Instant::from_secs(1);
        let mut links = Links::new(Latency::Constant(Duration::from_millis(1)));
        links.assign_partition(1, 1);
        links.cut(0, 1);
        let connects = |links: &Links, now, from| links.connects(now, (from, HostAddress::spread(from)), 1);
        assert!(!connects(&links, now, 0) && links.connects(now, (1, HostAddress::spread(1)), 0));
        links.heal();
        links.filter(1, Filtering::AddressAndPortDependent);
        assert!(!connects(&links, now, 0));
        links.note_sent(now, 1, HostAddress::spread(0));
        assert!(connects(&links, now, 0) && !connects(&links, now, 2));
        assert!(!connects(&links, now + links.binding, 0));
        let [asked, other] = [5, 6].map(|port| (3, HostAddress::shared(0, port)));
        links.note_sent(now, 1, asked.1);
        assert!(links.connects(now, asked, 1) && !links.connects(now, other, 1));
        links.filter(1, Filtering::AddressDependent);
        links.note_sent(now, 1, asked.1);
        assert!(links.connects(now, other, 1), "another port of the same address");
    }

    #[test]
    fn a_link_of_limited_bandwidth_sends_datagrams_one_after_another() {
        let mut links = Links::new(Latency::Constant(Duration::ZERO));
        links.bandwidth = Some(1_000);
        let random = &mut Random::new(1);
        let mut arrival = || links.send(Instant::ZERO, 0, 1, 500, random)[0];
        assert_eq!([arrival(), arrival()], [Some(Instant::from_millis(500)), Some(Instant::from_secs(1))]);
    }
}
