//! What a user may set, and the defaults.

use core::time::Duration;

use crate::config_error::{ConfigError, Unit, millis, secs};
use crate::record::Verifier;
use crate::routing::Limits;
use crate::wire::{MAX_DATAGRAM, SEAL, Wire};

/// How a node behaves. The defaults serve a network of five on a LAN and one of millions alike.
///
/// A value out of its range is refused by a [`ConfigError`] when the node starts.
///
/// ```
/// use core::time::Duration;
/// use kadlet::Config;
///
/// // A node among trusted peers on a link with large round trips.
/// let config = Config { plain: true, timeout_initial: Duration::from_secs(2), ..Config::default() };
/// assert_eq!(config.table.k, 8);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// The number of the network. Nodes of different networks are strangers, even at the same addresses. 0 by default.
    pub network: u16,
    /// Whether to respond to requests and be put into tables. A client (`false`) sends requests, and leaves no trace. `true` by default.
    pub serve: bool,
    /// Whether to take plain records, which anyone may replace: for networks whose members trust each other. `false` by default.
    pub plain: bool,
    /// Checks signatures. Without it, signed records can neither be put nor got. `None` by default.
    pub verify: Option<Verifier>,
    /// The table's limits. Its `k` is also how many replicas a record has: 1 to a third of the `SHORTLIST` bound, and not more than 32 or the places of the table.
    pub table: Limits,
    /// How many requests of one lookup are in flight at once: 1 to 16; 3 by default (the Kademlia paper's alpha).
    pub alpha: u8,
    /// The largest datagram sent or asked for, in bytes: 127 to 1,232; 1,232 by default. [`SEAL`] bytes of it stay free.
    pub max_datagram: usize,
    /// The shortest time to wait for a response before the request is retransmitted or another node is asked: 1 ms to 60 s; 100 ms by
    /// default.
    pub timeout_min: Duration,
    /// The first wait of all, while no round trip was measured: `timeout_min` to `timeout_max`; 1 s by default (RFC 6298).
    pub timeout_initial: Duration,
    /// The longest time to wait for a response to one attempt: `timeout_min` to 60 s; 3 s by default.
    pub timeout_max: Duration,
    /// How often a request is sent before its node has failed, where the second wait is twice as long and all further ones four times:
    /// 1 to 5; 3 by default. Up to three times as often where the loss that was measured asks for it.
    pub attempts: u8,
    /// The longest lifetime of a record of another node: 1 s to 2^32 - 1 s; 24 hours by default.
    pub max_lifetime: Duration,
    /// Own records are published again after this time, or after a third of their lifetime if that is sooner: at least 1 s; 1 hour by
    /// default.
    pub republish: Duration,
    /// Requests per second taken from one address prefix, with bursts of twice as many: at least 1; 64 by default.
    pub rate_limit: u16,
    /// Bytes of records held for one address prefix, where each record counts as its value and 100 bytes. 0, the default, stands for a
    /// quarter of the store's capacity.
    pub quota: usize,
    /// Whether identifiers must fit their addresses (BEP 42's rule). `false` by default.
    pub bind_ids: bool,
}

/// How a lookup finds its nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// The requester asks a few nodes at a time, and gets nearer by the contacts that they name.
    #[default]
    Iterative,
    /// Each node forwards the request to the best contact it knows, and the result returns the same way. It costs the requester one
    /// request and one response. Where it fails, or is slow, the lookup goes on iteratively. A record or, for `find_node`, the nodes that
    /// came this way were seen by other nodes only: see [`QueryStats::relayed`](crate::QueryStats::relayed). It needs a `RELAYS` bound of
    /// at least 1, and is refused without.
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

    /// The largest message, in bytes: [`SEAL`] less than the largest datagram.
    pub(super) const fn largest_message(&self) -> usize {
        self.max_datagram.saturating_sub(SEAL)
    }

    /// Checks that every value is in its range, for a node whose shortlists hold `shortlist` contacts. The table checks
    /// its own limits. With a constant configuration, the compiler sees the result, and the image holds no check.
    #[inline]
    pub(super) fn check<W: Wire>(&self, shortlist: usize) -> Result<(), ConfigError> {
        let datagram = u32::try_from(self.max_datagram).unwrap_or(u32::MAX);
        let [min, initial, max] = [self.timeout_min, self.timeout_initial, self.timeout_max].map(millis);
        let number = |field, value, least, most| ConfigError::check(field, value, least, most, Unit::One);
        let timeout = |field, value, least, most| ConfigError::check(field, value, least, most, Unit::Milliseconds);
        let time = |field, value: Duration| ConfigError::check(field, secs(value), 1, u32::MAX, Unit::Seconds);
        number("k", self.table.k.into(), 1, (shortlist / 3).min(Limits::MAX_K) as u32)?;
        number("alpha", self.alpha.into(), 1, 16)?;
        number("max_datagram", datagram, W::MIN_DATAGRAM as u32, W::MAX_DATAGRAM as u32)?;
        number("attempts", self.attempts.into(), 1, 5)?;
        number("rate_limit", self.rate_limit.into(), 1, u16::MAX.into())?;
        timeout("timeout_min", min, 1, 60_000)?;
        timeout("timeout_max", max, min, 60_000)?;
        timeout("timeout_initial", initial, min, max)?;
        time("max_lifetime", self.max_lifetime)?;
        time("republish", self.republish)
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// How one operation behaves.
///
/// ```
/// use core::time::Duration;
/// use kadlet::{Mode, Options};
///
/// // Give up after 5 s, find the nodes recursively, and put the record once, for an hour.
/// let lifetime = Duration::from_secs(3_600);
/// let options = Options { timeout: Duration::from_secs(5), mode: Mode::Recursive, publish: false, lifetime, ..Options::default() };
/// assert_eq!(options.compare, None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// When to give up and report what was reached so far: after 30 s by default.
    pub timeout: Duration,
    /// Put: how long the record shall be held, at least 1 s. 24 hours by default; holders may grant less.
    pub lifetime: Duration,
    /// Put: whether to publish the record again until its lifetime ends or [`unpublish`](crate::Dht::unpublish) is called.
    /// Without, it is put once. `true` by default.
    pub publish: bool,
    /// Put of a signed record, compare-and-swap: only where the sequence number held is this one (0: where none is held). `None` by
    /// default.
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
