//! All that the operations of a node share: the table, the store, the requests in flight, and so on.
//!
//! Most functions of a node are methods of [`Shared`] and borrow the operation they work on beside it.

use core::time::Duration;

use heapless::Vec;

use super::bounds::{Part, Parts, TokenOf};
use super::config::{Config, Serve};
use super::operation::Operation;
use super::put_time::LastPut;
use super::silence::Silence;
use super::stats::Stats;
use crate::address::Address;
use crate::guard::density::Density;
use crate::guard::{Tokens, admission};
use crate::identity::Identity;
use crate::lookup::LookupLimits;
use crate::random::Random;
use crate::reachability::Reachability;
use crate::record::Key;
use crate::replication::{Placement, Replication};
use crate::routing::{ContactState, Routing};
use crate::rpc::RequestLimits;
use crate::time::{Instant, Micros};

/// An operation of a node with the parts `P`.
pub(super) type Op<P> = Operation<<P as Parts>::Geometry, <P as Parts>::Address, TokenOf<P>>;

/// A node without its operations.
// The small fields come first, and in this order: a Cortex-M needs shorter instructions to access fields at small
// offsets.
#[repr(C)]
pub(crate) struct Shared<P: Parts> {
    pub(super) started: bool,
    /// Whether the result of an operation is lent to the caller. The next call frees it.
    pub(super) lent: bool,
    /// Whether an operation ended, or a request could not be sent, so that request slots are free which other
    /// operations may wait for.
    pub(super) requests_freed: bool,
    /// Whether any node at an address with a prefix has responded.
    pub(super) is_global: bool,
    pub(super) config: Config,
    pub(super) stats: Stats,
    pub(super) replication: Replication,
    pub(super) last_put: LastPut,
    pub(super) silence: Silence,
    pub(super) density: Density,
    pub(super) tokens: Tokens,
    pub(super) random: Random,
    /// The number of the next seal.
    #[cfg(feature = "sealed")]
    pub(super) next_seal: u64,
    /// When the user can be told again that another node has the own identifier.
    pub(super) own_id_reported: Instant,
    /// When a requester that claims the own identifier can be checked again.
    pub(super) own_id_checked: Instant,
    // At most one element each. An `Option` of these would not be all zeros while it is `None`, and the whole node
    // would lie in flash.
    /// The address of a node that has the own identifier, until it is reported to the user.
    pub(super) own_id_seen: Vec<P::Address, 1, u8>,
    pub(super) superseded: Vec<Key, 1, u8>,
    pub(super) identity: Identity<P::Address>,
    pub(super) reachability: Reachability<P::Address, P::Wire>,
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
            is_global: false,
            config: Config::ZERO,
            stats: Stats::ZERO,
            replication: Replication::EMPTY,
            last_put: LastPut::EMPTY,
            silence: Silence::NONE,
            density: Density::EMPTY,
            tokens: Tokens::EMPTY,
            random: Random::EMPTY,
            #[cfg(feature = "sealed")]
            next_seal: 0,
            own_id_reported: Instant::ZERO,
            own_id_checked: Instant::ZERO,
            own_id_seen: Vec::new(),
            superseded: Vec::new(),
            identity: Identity::EMPTY,
            reachability: Reachability::EMPTY,
            bootstraps: P::Bootstraps::EMPTY,
            limiter: P::RateLimiter::EMPTY,
            requests: P::Requests::EMPTY,
            buffers: P::Buffers::EMPTY,
            forwarding: P::Forwarding::EMPTY,
            table,
            store,
        }
    }

    /// Takes a configuration, which the caller has checked, and forgets everything but the table and the store.
    pub(super) fn configure(&mut self, config: Config, seeds: Seeds) {
        self.config = config;
        self.random = seeds.random;
        #[cfg(feature = "sealed")]
        if config.seal.is_some() {
            self.next_seal = self.random.next();
        }
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
        self.is_global = false;
        (self.own_id_reported, self.own_id_checked) = (Instant::ZERO, Instant::ZERO);
        self.last_put.clear();
        self.silence = Silence::NONE;
        self.density = Density::EMPTY;
        self.own_id_seen.clear();
        self.superseded.clear();
        self.identity.restart();
        self.reachability.restart(config.serve == Serve::Automatic);
        // Nothing is known of the table yet.
        self.set_crowded(config.bind_ids);
    }

    /// Whether the table knows so few address prefixes that all their seats count. Then no limit on prefixes applies.
    pub(super) fn set_crowded(&mut self, crowded: bool) {
        self.identity.is_crowded = crowded;
        let limits = &self.config.table;
        let (in_bucket, in_table) =
            if crowded { (u8::MAX, u8::MAX) } else { (limits.per_prefix_in_bucket, limits.per_prefix_in_table) };
        self.table.limit_prefixes(in_bucket, in_table);
    }

    /// How many nodes hold a record.
    pub(super) fn k(&self) -> usize {
        usize::from(self.config.table.k)
    }

    /// The limits of a lookup. Where this node knows few address prefixes, any number of contacts of one count.
    pub(super) fn lookup_limits(&self) -> LookupLimits {
        let Config { alpha, table, .. } = &self.config;
        let prefixes = self.table.peers().map(|peer| peer.contact.address.prefix());
        let many = admission::are_many(prefixes, 2 * self.k());
        LookupLimits { k: table.k, alpha: *alpha, prefix: if many { table.per_prefix_in_bucket } else { u8::MAX } }
    }

    /// The settings of replication.
    pub(super) fn placement(&self) -> Placement {
        Placement { k: self.k(), republish: Micros::of(self.config.republish) }
    }

    /// Whether the table is empty.
    pub(super) fn is_table_empty(&self) -> bool {
        self.table.peers().next().is_none()
    }

    /// Whether any contact is verified: it has responded, and not failed since.
    #[inline(never)]
    pub(super) fn has_verified_contact(&self) -> bool {
        self.table.peers().any(|peer| peer.state == ContactState::Verified)
    }

    /// Frees a buffer, if there is one.
    pub(super) fn free_buffer(&mut self, index: Option<u8>) {
        if let Some(buffer) = index.and_then(|index| self.buffers.get_mut(usize::from(index))) {
            buffer.free();
        }
    }
}

/// The two parts of a node's seed.
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

/// The time limit of operations without a user's own limit.
pub(super) const TIMEOUT: Duration = super::config::Options::DEFAULT.timeout;
