//! What a user may set, and what it is unless they do.

use core::time::Duration;

use crate::record::Verifier;
use crate::routing::Limits;
use crate::wire::{MAX_DATAGRAM, MIN_DATAGRAM, SEAL};

/// How a node behaves. The defaults serve a network of five on a LAN and one of millions alike.
///
/// Values out of range are clamped to it, not refused.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Nodes of different networks are strangers, even at the same addresses. 0 by default.
    pub network: u16,
    /// Whether to answer requests and be put into tables. A client (`false`) asks, and leaves no trace. `true` by default.
    pub serve: bool,
    /// Whether to take plain records, which anyone may replace: for networks whose members trust each other. `false` by default.
    pub plain: bool,
    /// What checks signatures; without one, signed records can neither be put nor got. `None` by default.
    pub verify: Option<Verifier>,
    /// The table's limits. Its `k` is also how many replicas a record has: at most a third of the `SHORTLIST` bound.
    pub table: Limits,
    /// Questions under way at once in one lookup: 1 to 16; 3 by default (the Kademlia paper's alpha).
    pub alpha: u8,
    /// The largest datagram sent or asked for, in bytes: 127 to 1,232; 1,232 by default. [`SEAL`] bytes of it stay free.
    pub max_datagram: usize,
    /// The shortest time to wait for an answer before asking again or another: 100 ms by default.
    pub timeout_min: Duration,
    /// The same for nodes of which nothing is known yet and in a network of which nothing is known yet: 1 s by default (RFC 6298).
    pub timeout_initial: Duration,
    /// The longest such time: 3 s by default.
    pub timeout_max: Duration,
    /// How often a question is sent before its node has failed, waiting twice as long the second time and four times from the third on:
    /// 1 to 5; 3 by default. Up to three times as often where repeats show that much is lost.
    pub attempts: u8,
    /// The longest that records of others are held: 24 hours by default.
    pub max_lifetime: Duration,
    /// Own records are published again so often, or after a third of their lifetime if that is sooner: 1 hour by default.
    pub republish: Duration,
    /// Requests a second taken from one address group, with bursts of twice as many: 64 by default.
    pub rate_limit: u16,
    /// Bytes of records held for one address group, each record counted as its value and 100 bytes: 0, the default, is a quarter of
    /// the store's capacity.
    pub quota: usize,
    /// Whether ids must fit their addresses (BEP 42's rule). `false` by default.
    pub bind_ids: bool,
}

/// How nodes are found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// The asker asks a few at a time, and gets nearer by what they say.
    #[default]
    Iterative,
    /// Each node passes the question on to the best it knows, and the answer returns the way it came. Costs the asker one question and
    /// one answer; goes on iteratively where it fails, or is slow. A record or, of `find_node`, the nodes that came this way were
    /// seen by others only: [`QueryStats::relayed`](crate::QueryStats::relayed). Takes a `RELAYS` bound of 1 at least.
    Recursive,
}

impl Config {
    /// The defaults above.
    pub const DEFAULT: Self = Self {
        network: 0,
        serve: true,
        plain: false,
        verify: None,
        table: Limits::DEFAULT,
        alpha: 3,
        max_datagram: MAX_DATAGRAM,
        timeout_min: Duration::from_millis(100),
        timeout_initial: Duration::from_secs(1),
        timeout_max: Duration::from_secs(3),
        attempts: 3,
        max_lifetime: Duration::from_secs(24 * 60 * 60),
        republish: Duration::from_secs(60 * 60),
        rate_limit: 64,
        quota: 0,
        bind_ids: false,
    };

    /// The largest message, in bytes: [`SEAL`] less than the largest datagram.
    pub(super) const fn largest_message(&self) -> usize {
        self.max_datagram.saturating_sub(SEAL)
    }

    /// All zeros, for a node that isn't started.
    pub(super) const ZERO: Self = Self {
        network: 0,
        serve: false,
        plain: false,
        verify: None,
        table: Limits::ZERO,
        alpha: 0,
        max_datagram: 0,
        timeout_min: Duration::ZERO,
        timeout_initial: Duration::ZERO,
        timeout_max: Duration::ZERO,
        attempts: 0,
        max_lifetime: Duration::ZERO,
        republish: Duration::ZERO,
        rate_limit: 0,
        quota: 0,
        bind_ids: false,
    };

    /// The same with every value in its range, for a node whose shortlists hold `shortlist` contacts.
    pub(super) fn clamped(mut self, shortlist: usize) -> Self {
        let replicas = u8::try_from(shortlist / 3).unwrap_or(u8::MAX).clamp(1, 32);
        self.table.k = self.table.k.clamp(1, replicas);
        self.alpha = self.alpha.clamp(1, 16);
        self.max_datagram = self.max_datagram.clamp(MIN_DATAGRAM, MAX_DATAGRAM);
        self.timeout_min = self.timeout_min.max(Duration::from_millis(1)).min(Duration::from_secs(60));
        self.timeout_max = self.timeout_max.max(self.timeout_min).min(Duration::from_secs(60));
        self.timeout_initial = self.timeout_initial.max(self.timeout_min).min(self.timeout_max);
        self.attempts = self.attempts.clamp(1, 5);
        self.max_lifetime = self.max_lifetime.max(Duration::from_secs(1)).min(Duration::from_secs(u32::MAX as u64));
        self.republish = self.republish.max(Duration::from_secs(1));
        self.rate_limit = self.rate_limit.max(1);
        self
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// How one operation behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// When to give up and tell what was reached so far: after 30 s by default.
    pub timeout: Duration,
    /// Put: how long the record is to be held. 24 hours by default; holders may cap it.
    pub lifetime: Duration,
    /// Put: whether to publish the record again and again until its time ends or [`unpublish`](crate::Dht::unpublish).
    /// Without, it is put once. `true` by default.
    pub publish: bool,
    /// Put of a signed record: only where the sequence number held is this one (0 where none is held). `None` by default.
    pub compare: Option<u64>,
    /// How the nodes are found: iteratively by default.
    pub mode: Mode,
}

impl Options {
    /// The defaults above.
    pub const DEFAULT: Self = Self {
        timeout: Duration::from_secs(30),
        lifetime: Duration::from_secs(24 * 60 * 60),
        publish: true,
        compare: None,
        mode: Mode::Iterative,
    };
}

impl Default for Options {
    fn default() -> Self {
        Self::DEFAULT
    }
}
