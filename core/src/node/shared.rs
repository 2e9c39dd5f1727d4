//! What the operations of a node share: the table, the store, the requests in flight, and so on.
//!
//! An operation is borrowed once, beside this, and worked on.

use core::time::Duration;

use heapless::Vec;

use super::config::Config;
use super::operation::Operation;
use super::parts::{Part, Parts, TokenOf};
use super::stats::Stats;
use crate::guard::Tokens;
use crate::lookup::LookupLimits;
use crate::random::Random;
use crate::record::Key;
use crate::replication::{Placement, Replication};
use crate::routing::{ContactState, Routing};
use crate::rpc::RequestLimits;
use crate::time::Micros;

/// An operation of a node made of `P`.
pub(super) type Op<P> = Operation<<P as Parts>::Geometry, <P as Parts>::Address, TokenOf<P>>;

/// All of a node but its operations.
// The small fields come first, and in this order: a Cortex-M reaches what is near with shorter instructions.
#[repr(C)]
pub(crate) struct Shared<P: Parts> {
    pub(super) started: bool,
    /// Whether the result of an operation is lent to the caller, to be freed at the next call.
    pub(super) lent: bool,
    /// Whether an operation that is over, or a request that can't be sent, left request slots that others may have
    /// waited for.
    pub(super) requests_freed: bool,
    /// Whether the user must still be told of `own_id_seen`.
    pub(super) own_id_news: bool,
    pub(super) config: Config,
    pub(super) stats: Stats,
    pub(super) replication: Replication,
    pub(super) tokens: Tokens,
    pub(super) random: Random,
    // At most one each. An `Option` of these is not zeros while it is `None`, and the whole node would lie in flash.
    pub(super) own_id_seen: Vec<P::Address, 1, u8>,
    pub(super) superseded: Vec<Key, 1, u8>,
    pub(super) bootstraps: P::Bootstraps,
    pub(super) limiter: P::RateLimiter,
    pub(super) requests: P::Requests,
    pub(super) buffers: P::Buffers,
    pub(super) forwarding: P::Forwarding,
    pub(super) table: P::Routing,
    pub(super) store: P::Store,
}

impl<P: Parts> Shared<P> {
    pub(super) const fn new(table: P::Routing, store: P::Store) -> Self {
        Self {
            started: false,
            lent: false,
            requests_freed: false,
            own_id_news: false,
            config: Config::ZERO,
            stats: Stats::ZERO,
            replication: Replication::EMPTY,
            tokens: Tokens::EMPTY,
            random: Random::EMPTY,
            own_id_seen: Vec::new(),
            superseded: Vec::new(),
            bootstraps: P::Bootstraps::EMPTY,
            limiter: P::RateLimiter::EMPTY,
            requests: P::Requests::EMPTY,
            buffers: P::Buffers::EMPTY,
            forwarding: P::Forwarding::EMPTY,
            table,
            store,
        }
    }

    /// Takes a configuration that was checked, and forgets everything but the table and the store.
    pub(super) fn configure(&mut self, config: Config, seeds: Seeds) {
        self.config = config;
        self.random = seeds.random;
        self.tokens.start(seeds.tokens);
        self.limiter.restart(config.rate_limit);
        self.requests.restart(RequestLimits {
            min: config.timeout_min,
            initial: config.timeout_initial,
            max: config.timeout_max,
            attempts: config.attempts,
        });
        for buffer in &mut *self.buffers {
            buffer.free();
        }
        self.bootstraps.clear();
        self.forwarding.clear();
        self.replication.clear();
        self.stats = Stats::ZERO;
        self.started = true;
        self.lent = false;
        self.requests_freed = false;
        self.own_id_news = false;
        self.own_id_seen.clear();
        self.superseded.clear();
    }

    /// How many nodes hold a record.
    pub(super) fn k(&self) -> usize {
        usize::from(self.config.table.k)
    }

    pub(super) const fn lookup_limits(&self) -> LookupLimits {
        let Config { alpha, table, .. } = &self.config;
        LookupLimits { k: table.k, alpha: *alpha, prefix: table.per_prefix_in_table }
    }

    pub(super) fn placement(&self) -> Placement {
        Placement { k: self.k(), republish: Micros::of(self.config.republish) }
    }

    /// Whether the table is empty.
    pub(super) fn knows_nobody(&self) -> bool {
        self.table.peers().next().is_none()
    }

    /// Whether any contact has responded and not failed since.
    pub(super) fn knows_verified(&self) -> bool {
        self.table.peers().any(|peer| peer.state == ContactState::Verified)
    }

    /// Frees a buffer, if there is one.
    pub(super) fn free_buffer(&mut self, index: Option<u8>) {
        if let Some(buffer) = index.and_then(|index| self.buffers.get_mut(usize::from(index))) {
            buffer.free();
        }
    }
}

/// What a node makes of its seed.
pub(super) struct Seeds {
    pub(super) random: Random,
    pub(super) tokens: [u8; 16],
}

impl Seeds {
    pub(super) fn of(seed: [u8; 32]) -> Self {
        let (mut random, mut tokens) = ([0; 16], [0; 16]);
        random.copy_from_slice(&seed[..16]);
        tokens.copy_from_slice(&seed[16..]);
        Self { random: Random::new(random), tokens }
    }
}

/// The time in which an operation that no user set a limit for must end.
pub(super) const TIMEOUT: Duration = super::config::Options::DEFAULT.timeout;
