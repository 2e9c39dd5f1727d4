//! The configuration of a node, the options of a query, and their defaults.

use core::fmt;
use core::time::Duration;

use crate::config_error::{ConfigError, Unit, millis, secs};
use crate::record::Verifier;
use crate::routing::Limits;
#[cfg(feature = "sealed")]
use crate::wire::sealed::NetworkKey;
use crate::wire::{MAX_DATAGRAM, SEAL, Wire};

/// The configuration of a node. The defaults suit a network of five nodes on a LAN and one of millions alike.
///
/// If a value is out of its range, the node doesn't start, and returns a [`ConfigError`].
///
/// ```
/// use core::time::Duration;
/// use kadlet::Config;
///
/// // For a network whose members trust each other, on links with long round trips:
/// let config = Config { plain: true, timeout_initial: Duration::from_secs(2), ..Config::default() };
/// assert_eq!(config.table.k, 8);
/// ```
///
/// Two configurations are equal if all values are, and their `verify` functions have the same address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(unpredictable_function_pointer_comparisons, reason = "the docs state how `verify` is compared")]
pub struct Config {
    /// The number of the network. Nodes of different networks ignore each other, even at the same addresses, if the
    /// wire format names the network, as kadlet's does. 0 by default.
    pub network: u16,
    /// Whether to respond to requests and to be in the tables of other nodes. A client only sends requests, and no
    /// table keeps it. Automatic by default.
    pub serve: Serve,
    /// Whether to accept plain records, which any node can replace: for networks whose members trust each other.
    /// `false` by default.
    pub plain: bool,
    /// The function that checks signatures. Without it, signed records can't be put, got or stored. `None` by default.
    pub verify: Option<Verifier>,
    /// The limits of the table. Its `k` is also how many nodes hold a record: at least 1, and at most the least of 32,
    /// a third of the `SHORTLIST` bound and the number of places in the table.
    pub table: Limits,
    /// How many requests of one lookup are in flight at once: 1 to 16. 3 by default (the Kademlia paper's alpha).
    pub alpha: u8,
    /// The largest datagram that the node sends and accepts as a response, in bytes: 127 to 1,232, or the wire format's
    /// own range. 1,232 by default. [`SEAL`] bytes of it stay free.
    pub max_datagram: usize,
    /// The shortest time to wait for a response before the request is retransmitted or another node is asked: 1 ms to
    /// 60 s. 100 ms by default.
    pub timeout_min: Duration,
    /// How long to wait while no round trip was measured: `timeout_min` to `timeout_max`. 1 s by default (RFC 6298).
    pub timeout_initial: Duration,
    /// The longest time to wait for a response to one attempt: `timeout_min` to 60 s. 3 s by default.
    pub timeout_max: Duration,
    /// How often a request is sent before its node counts as failed: 1 to 5. The second wait is twice as long as the
    /// first, all further ones four times. If much is lost, a request is sent up to three times as often. A request to
    /// a node that was only named by others is sent two times less, but at least once. 3 by default.
    pub attempts: u8,
    /// The longest lifetime of a record of another node: at least 1 s. 24 hours by default.
    pub max_lifetime: Duration,
    /// The time after which an own record is published again, or after a third of its lifetime if that is sooner, and
    /// after which a holder replicates a record although its holders are the same: at least 1 s. 1 hour by default.
    pub republish: Duration,
    /// How many requests per second one address prefix can send, with bursts of twice as many: at least 1. 64 by
    /// default. All prefixes together can send sixteen times as many. A check of a signature counts as 8 requests,
    /// and all prefixes together can cause a quarter as many checks as one can send requests.
    pub rate_limit: u16,
    /// How many bytes of records are held for one address prefix. A record counts its bytes and 100 more. 0, the
    /// default, stands for a quarter of the store's capacity.
    pub quota: usize,
    /// Whether identifiers are [bound](crate::Id::bound) to addresses. Contacts whose identifier doesn't fit their
    /// global address are ignored. Private networks, in which no node lies, can turn it off; all nodes of a network
    /// must have the same setting. Addresses without a prefix are exempt. `true` by default.
    pub bind_ids: bool,
    /// The key with which all datagrams of the network are [sealed](crate::wire::sealed). A datagram that doesn't open
    /// with it is dropped. All nodes of a network must have the same key. `None`, the default, seals nothing. Needs a
    /// wire format whose [`SENDER`](Wire::SENDER) is not `None`.
    #[cfg(feature = "sealed")]
    pub seal: Option<NetworkKey>,
}

/// Whether a node serves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Serve {
    /// While it can be reached from outside. The node serves at first. It asks other nodes to probe its address, when
    /// it has started, when its external address has changed, and every three hours. Once it knows that it can't be
    /// reached, as behind a NAT, it is a client until it can. An [event](crate::Event::Serves) tells. A node that only
    /// knows nodes at addresses without a [prefix](crate::Address::prefix), as in a private network, always serves.
    #[default]
    Automatic,
    /// Always: it can be reached, for example because a port is forwarded to it.
    Always,
    /// Never: it is a client.
    Never,
}

impl Serve {
    pub(super) const fn serves(self) -> bool {
        !matches!(self, Self::Never)
    }
}

/// How a lookup finds the nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mode {
    /// The requester asks a few nodes at a time, and gets nearer to the target by the contacts that they name.
    #[default]
    Iterative,
    /// Each node forwards the request to the best contact it knows, and the result returns the same way. It costs the
    /// requester one request and one response, and for a signed record three or a few more. If it fails or is slow, the
    /// lookup continues iteratively. Nodes and plain records are not checked with the nodes that they come from: see
    /// [`QueryStats::relayed`](crate::QueryStats::relayed). The mode needs a `RELAYS` bound of at least 1, and is
    /// refused without it.
    Recursive,
}

impl Config {
    /// The defaults, as the fields document them.
    pub const DEFAULT: Self = Self {
        network: 0,
        serve: Serve::Automatic,
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
        bind_ids: true,
        #[cfg(feature = "sealed")]
        seal: None,
    };

    /// All zeros, for a node that is not started.
    pub(super) const ZERO: Self = Self {
        network: 0,
        serve: Serve::Automatic,
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
        #[cfg(feature = "sealed")]
        seal: None,
    };

    /// The largest message, in bytes: [`SEAL`] less than the largest datagram.
    pub(super) const fn largest_message(&self) -> usize {
        self.max_datagram.saturating_sub(SEAL)
    }

    /// The largest message whose datagram also fits into `buf`, in bytes.
    pub(super) fn largest_message_in(&self, buf: &[u8]) -> usize {
        buf.len().saturating_sub(self.seal_len()).min(self.largest_message())
    }

    /// How many bytes a datagram is longer than its message.
    pub(super) const fn seal_len(&self) -> usize {
        #[cfg(feature = "sealed")]
        if self.seal.is_some() {
            return SEAL;
        }
        0
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
        #[cfg(feature = "sealed")]
        number("seal", self.seal.is_some().into(), 0, W::SENDER.is_some().into())?;
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

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Iterative => "iterative",
            Self::Recursive => "recursive",
        })
    }
}

/// The options of one query.
///
/// ```
/// use core::time::Duration;
/// use kadlet::{Mode, Options};
///
/// // Find the nodes recursively, give up after 5 s, and put the record once, for an hour.
/// let (timeout, lifetime) = (Duration::from_secs(5), Duration::from_secs(3_600));
/// let options = Options { timeout, lifetime, mode: Mode::Recursive, publish: false, ..Options::default() };
/// assert_eq!(options.compare, None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// The time limit, at which the query ends with what it has reached. With 0 it ends at the next call of the node.
    /// 30 s by default.
    pub timeout: Duration,
    /// Put: how long the nodes should hold the record, at least 1 s. They can hold it for less. 24 hours by default.
    pub lifetime: Duration,
    /// Put: whether to publish the record again until its lifetime ends or [`unpublish`](crate::Dht::unpublish) is
    /// called. If not, it is put once. `true` by default.
    pub publish: bool,
    /// Put of a signed record, compare-and-swap: a node stores the record only if the record it holds has this sequence
    /// number, or, for 0, if it holds none. `None` by default.
    pub compare: Option<u64>,
    /// How the nodes are found. Iteratively by default.
    pub mode: Mode,
}

impl Options {
    /// The defaults, as the fields document them.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configurations_are_equal_if_all_their_values_are() {
        let same = Config::DEFAULT;
        assert_eq!(same, Config::default());
        assert_ne!(same, Config { alpha: 4, ..same });
        assert_ne!(same, Config { verify: Some(|_, _, _| true), ..same });
    }
}
