//! What happens to a datagram on its way: latency, loss, duplication, reordering, address translation, partitions.

use core::time::Duration;
use std::collections::HashMap;

use kadlet::Instant;

use crate::Random;

/// How long a datagram takes, one way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Latency {
    /// Always the same.
    Constant(Duration),
    /// Any time from the first to the second.
    Uniform(Duration, Duration),
    /// Internet-like: nodes are points in a square, drawn once for all; a datagram takes `base`, the distance, of which `across` is
    /// one side of the square, and on top of that a jitter drawn from the exponential distribution.
    Plane {
        /// What even neighbours take.
        base: Duration,
        /// One side of the square.
        across: Duration,
        /// The mean jitter.
        jitter: Duration,
    },
}

impl Latency {
    /// The Internet as a plane: a round trip of 118 ms in the mean, 4 to some 300.
    pub const INTERNET: Self = Self::Plane {
        base: Duration::from_millis(2),
        across: Duration::from_millis(100),
        jitter: Duration::from_millis(5),
    };

    /// How long this datagram takes.
    fn draw(&self, from: u32, to: u32, random: &mut Random) -> Duration {
        match *self {
            Self::Constant(latency) => latency,
            Self::Uniform(least, most) => least + random.within(most.saturating_sub(least)),
            Self::Plane { jitter, .. } => self.fixed(from, to) + random.exponential(jitter),
        }
    }

    /// What a round trip takes in the mean.
    #[must_use]
    pub fn round_trip(&self, a: u32, b: u32) -> Duration {
        match *self {
            Self::Constant(latency) => latency * 2,
            Self::Uniform(least, most) => least + most,
            Self::Plane { jitter, .. } => (self.fixed(a, b) + jitter) * 2,
        }
    }

    fn fixed(&self, a: u32, b: u32) -> Duration {
        let Self::Plane { base, across, .. } = *self else {
            return Duration::ZERO;
        };
        let ((ax, ay), (bx, by)) = (point(a), point(b));
        // A square root is exact to the last bit everywhere, by IEEE 754.
        base + across.mul_f64(((ax - bx) * (ax - bx) + (ay - by) * (ay - by)).sqrt())
    }
}

/// Where a node lies in the unit square: SplitMix64 (Steele, Lea and Flood, 2014) of its address.
fn point(address: u32) -> (f64, f64) {
    let mixed = u64::from(address).wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    let mixed = mixed ^ (mixed >> 31);
    let side = |part: u64| (part & 0xFFFF_FFFF) as f64 / (1_u64 << 32) as f64;
    (side(mixed >> 32), side(mixed))
}

/// A translated address takes a datagram only from whom its owner sent one to within this time: RFC 4787 asks for two minutes at least.
const BINDING: Duration = Duration::from_secs(120);

/// The links between all nodes. The public fields may be changed at any time; what is on its way then arrives as it would have.
#[derive(Debug)]
pub struct Links {
    /// How long datagrams take.
    pub latency: Latency,
    /// How many datagrams are lost: 0 to 1.
    pub loss: f64,
    /// How many arrive twice: 0 to 1.
    pub duplication: f64,
    /// How many are held up, so that later ones overtake them: 0 to 1.
    pub reordering: f64,
    /// For how long at most they are held up.
    pub hold_up: Duration,
    /// The bytes a second that one node can send, if that is limited: what exceeds it waits.
    pub bandwidth: Option<u64>,
    /// The part of a split network that each node is in; those beyond the end are in part 0.
    parts: Vec<u8>,
    /// From which part none gets through to which.
    cuts: Vec<(u8, u8)>,
    /// When each translated node last sent to whom.
    bindings: HashMap<(u32, u32), Instant>,
    translated: Vec<bool>,
    /// Until when each node's link is busy with what it sent.
    busy: HashMap<u32, Instant>,
}

/// When the copies of a datagram arrive.
pub(crate) type Arrivals = [Option<Instant>; 2];

impl Links {
    /// Links of this latency, without a fault.
    #[must_use]
    pub fn new(latency: Latency) -> Self {
        Self {
            latency,
            loss: 0.0,
            duplication: 0.0,
            reordering: 0.0,
            hold_up: Duration::from_millis(200),
            bandwidth: None,
            parts: Vec::new(),
            cuts: Vec::new(),
            bindings: HashMap::new(),
            translated: Vec::new(),
            busy: HashMap::new(),
        }
    }

    /// Puts a node behind a translator of addresses: from then on it gets datagrams only from whom it sent one within two minutes.
    pub fn translate(&mut self, address: u32) {
        let index = address as usize;
        self.translated.resize(self.translated.len().max(index + 1), false);
        self.translated[index] = true;
    }

    /// Puts a node into a part of the network. That alone separates nobody; see [`cut`](Links::cut).
    pub fn put_in_part(&mut self, address: u32, part: u8) {
        let index = address as usize;
        self.parts.resize(self.parts.len().max(index + 1), 0);
        self.parts[index] = part;
    }

    /// The part that a node is in.
    #[must_use]
    pub fn part(&self, address: u32) -> u8 {
        self.parts.get(address as usize).copied().unwrap_or(0)
    }

    /// Nothing gets through from one part to another any more. The way back is a cut of its own.
    pub fn cut(&mut self, from: u8, to: u8) {
        self.cuts.push((from, to));
    }

    /// Mends all cuts.
    pub fn heal(&mut self) {
        self.cuts.clear();
    }

    /// Whether a datagram from one to another arrives now, if it isn't lost.
    pub(crate) fn connects(&self, now: Instant, from: u32, to: u32) -> bool {
        if !self.cuts.is_empty() && self.cuts.contains(&(self.part(from), self.part(to))) {
            return false;
        }
        let translated = self.translated.get(to as usize).copied().unwrap_or(false);
        !translated || self.bindings.get(&(to, from)).is_some_and(|at| now.since(*at) < BINDING)
    }

    /// When a datagram of so many bytes, sent now, arrives: not at all, once or twice.
    pub(crate) fn send(&mut self, now: Instant, from: u32, to: u32, bytes: usize, random: &mut Random) -> Arrivals {
        if self.translated.get(from as usize).copied().unwrap_or(false) {
            self.bindings.insert((from, to), now);
        }
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
        let busy = self.busy.entry(from).or_insert(Instant::ZERO);
        *busy = (*busy).max(now) + Duration::from_micros(bytes as u64 * 1_000_000 / bandwidth.max(1));
        *busy
    }

    fn arrival(&self, departure: Instant, from: u32, to: u32, random: &mut Random) -> Instant {
        let held_up = if random.happens(self.reordering) { random.within(self.hold_up) } else { Duration::ZERO };
        departure + self.latency.draw(from, to, random) + held_up
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_is_one_way_and_a_translated_node_must_speak_first() {
        let now = Instant::from_secs(1);
        let mut links = Links::new(Latency::Constant(Duration::from_millis(1)));
        links.put_in_part(1, 1);
        links.cut(0, 1);
        assert!(!links.connects(now, 0, 1) && links.connects(now, 1, 0));
        links.heal();
        links.translate(1);
        assert!(!links.connects(now, 0, 1));
        let _ = links.send(now, 1, 0, 100, &mut Random::new(1));
        assert!(links.connects(now, 0, 1) && !links.connects(now, 2, 1));
        assert!(!links.connects(now + BINDING, 0, 1));
    }

    #[test]
    fn a_link_of_so_many_bytes_a_second_takes_them_one_after_another() {
        let mut links = Links::new(Latency::Constant(Duration::ZERO));
        links.bandwidth = Some(1_000);
        let random = &mut Random::new(1);
        let mut arrival = || links.send(Instant::ZERO, 0, 1, 500, random)[0];
        assert_eq!([arrival(), arrival()], [Some(Instant::from_millis(500)), Some(Instant::from_secs(1))]);
    }
}
