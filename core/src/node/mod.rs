//! The state machine that a user drives. It wires the rooms together: how to search, what to remember, who wins are theirs. Its own
//! are the rules between them, such as what a stranger may cause and when an operation stores, ends or gives way.
//!
//! - `node`: the surface, a trait; `surface` implements it;
//! - `serve`: a request of another's comes in, and our answer goes out at once;
//! - `search`: an operation asks whom its lookup names, then stores;
//! - `request`: a request of ours is encoded when it is polled;
//! - `responded`: another's answer to it comes in, or none does;
//! - `relay`: a question is passed on from node to node, and its answer carried back; `relays` keeps it meanwhile;
//! - `ending`: an operation ends, with or without an event, and what becomes of its record;
//! - `maintenance`: what is done without being asked: joining again, refreshing, publishing, looking after records.

mod buffer;
mod config;
mod dht;
mod ending;
mod event;
mod maintenance;
mod operation;
mod relay;
mod relays;
mod request;
mod responses;
mod search;
mod serve;
mod stats;
mod surface;

use core::fmt;
use core::time::Duration;

use crate::random::Random;
use crate::rate_limiter::RateLimiter;
use crate::record::{Key, Kind};
use crate::routing::Routing;
use crate::rpc::{self, Requests};
use crate::store::{Metadata, Store, StoredRecord};
use crate::token::Tokens;
use crate::{Contact, Geometry, Id, Instant};

use buffer::Buffer;
use maintenance::{Bootstraps, Chores};
use operation::{Operation, Phase, Task};
use relays::Relays;
use request::Purpose;
use stats::count_up;

pub use config::{Config, Mode, Options};
pub use dht::Dht;
pub use event::{
    Event, Failure, FindError, GetError, Outcome, Progress, PutError, QueryId, QueryResult, QueryStats, RestoreError,
    Transmit, WakeReason,
};
pub use stats::Stats;

/// The most contacts ever named in one answer, whatever `k` is.
const MAX_NAMED: usize = 33;

/// A node of a DHT: a table for a geometry, a store, and bounds for everything else.
///
/// | bound | of what | default |
/// |---|---|---|
/// | `LOOKUPS` | operations at once, the user's and upkeep's | 4 |
/// | `SHORTLIST` | contacts that one lookup keeps: 3k | 24 |
/// | `VALUES` | records found, waiting for the user: gets at once | 1 |
/// | `REQUESTS` | questions in flight: some 4 for each lookup | 16 |
/// | `SOURCES` | address prefixes whose requests are budgeted at once | 16 |
/// | `BOOTSTRAPS` | bootstrap addresses remembered | 4 |
/// | `RELAYS` | questions passed on at once, those of recursive lookups of the own among them, and an eighth of the tokens kept for it | 0: it takes no part in recursive lookups, and its code isn't linked |
///
/// Its size is a constant. [`Dht`] is its surface; see there.
///
/// ```
/// use core::net::SocketAddrV4;
/// use kadlet::{Config, FixedStore, Id, Instant, Kademlia, Dht, Node};
///
/// type Mote = Node<Kademlia<SocketAddrV4, 128>, FixedStore<32, 8192>, 4>;
/// const _: () = assert!(size_of::<Mote>() <= 24 * 1024);
///
/// static SPACE: std::sync::Mutex<Mote> = std::sync::Mutex::new(Mote::empty()); // in .bss
/// let mut node = SPACE.lock().unwrap();
/// node.start(Instant::ZERO, Config::default(), Id::from_bytes([7; 20]), [42; 32]);
/// assert!(node.poll_event().is_none());
/// ```
// The small fields come first, and in this order, for a Cortex-M reaches what is near with shorter instructions.
#[repr(C)]
pub struct Node<
    R: Routing,
    S,
    const LOOKUPS: usize = 4,
    const SHORTLIST: usize = 24,
    const VALUES: usize = 1,
    const REQUESTS: usize = 16,
    const SOURCES: usize = 16,
    const BOOTSTRAPS: usize = 4,
    const RELAYS: usize = 0,
> {
    started: bool,
    /// Whether an operation's end is lent to the caller, to be freed at the next call.
    lent: bool,
    /// Whether an operation that is over, or a question that can't be sent, left request slots that others may have waited for.
    requests_freed: bool,
    /// Whether the user is to be told of `own_id_seen`.
    own_id_news: bool,
    config: Config,
    stats: Stats,
    chores: Chores,
    tokens: Tokens,
    random: Random,
    // At most one each. In an `Option`, none of these is not zeros, and the whole node would lie in flash.
    own_id_seen: heapless::Vec<R::Address, 1, u8>,
    superseded: heapless::Vec<Key, 1, u8>,
    bootstraps: Bootstraps<R::Address, BOOTSTRAPS>,
    rate_limiter: RateLimiter<SOURCES>,
    requests: Requests<R::Address, Purpose, REQUESTS>,
    buffers: [Buffer; VALUES],
    operations: [Operation<R::Geometry, R::Address, SHORTLIST>; LOOKUPS],
    relays: Relays<R::Address, RELAYS>,
    table: R,
    store: S,
}

impl<
    R: Routing,
    S: Store,
    const LOOKUPS: usize,
    const SHORTLIST: usize,
    const VALUES: usize,
    const REQUESTS: usize,
    const SOURCES: usize,
    const BOOTSTRAPS: usize,
    const RELAYS: usize,
> Node<R, S, LOOKUPS, SHORTLIST, VALUES, REQUESTS, SOURCES, BOOTSTRAPS, RELAYS>
{
    /// A node of zeros, which lies in `.bss` as a static. It does nothing until it is [started](Node::start).
    #[must_use]
    pub const fn empty() -> Self {
        Self::from_empty(R::EMPTY, S::EMPTY)
    }

    const fn from_empty(table: R, store: S) -> Self {
        const {
            assert!(LOOKUPS >= 1 && LOOKUPS <= 255, "LOOKUPS is 1 to 255");
            assert!(SHORTLIST >= 3 && SHORTLIST <= 255, "SHORTLIST is 3 to 255: three times k");
            assert!(VALUES <= 255, "VALUES is 0 to 255");
            assert!(REQUESTS >= 2 && REQUESTS <= 4_096, "REQUESTS is 2 to 4,096");
            assert!(BOOTSTRAPS >= 1 && BOOTSTRAPS <= 255, "BOOTSTRAPS is 1 to 255");
            assert!(RELAYS <= 255, "RELAYS is 0 to 255");
        }
        Self {
            config: Config::ZERO,
            table,
            store,
            tokens: Tokens::EMPTY,
            random: Random::EMPTY,
            rate_limiter: RateLimiter::EMPTY,
            requests: Requests::EMPTY,
            operations: [const { Operation::EMPTY }; LOOKUPS],
            buffers: [const { Buffer::EMPTY }; VALUES],
            bootstraps: Bootstraps::EMPTY,
            relays: Relays::EMPTY,
            chores: Chores::EMPTY,
            stats: Stats::ZERO,
            started: false,
            lent: false,
            requests_freed: false,
            own_id_news: false,
            own_id_seen: heapless::Vec::new(),
            superseded: heapless::Vec::new(),
        }
    }

    /// A started node, for hosts; a microcontroller starts an [`empty`](Node::empty) one in place.
    #[must_use]
    pub fn new(now: Instant, config: Config, id: Id, seed: [u8; 32]) -> Self {
        let mut node = Self::empty();
        node.start(now, config, id, seed);
        node
    }

    /// A node around a table and a store that are started and filled already, as a simulator makes them.
    #[must_use]
    pub fn from_parts(config: Config, seed: [u8; 32], table: R, store: S) -> Self {
        let mut node = Self::from_empty(table, store);
        node.configure(config, seed);
        node
    }

    /// Begins as the node `id`. Whatever this node was before is forgotten.
    ///
    /// `seed` is where all randomness comes from: transaction ids, tokens, the keys of hash tables. Use each seed once: after a
    /// reboot mix in a counter. The same seed and the same calls give the same bytes.
    pub fn start(&mut self, now: Instant, config: Config, id: Id, seed: [u8; 32]) {
        self.configure(config, seed);
        let random = self.random.next();
        self.table.start(now, id, &self.config.table, random);
        let key = self.random.key();
        self.store.start(id, R::Geometry::rank, key);
    }

    fn configure(&mut self, config: Config, seed: [u8; 32]) {
        let (mut first, mut second) = ([0; 16], [0; 16]);
        first.copy_from_slice(&seed[..16]);
        second.copy_from_slice(&seed[16..]);
        self.config = config.clamped(SHORTLIST);
        self.random = Random::new(first);
        self.tokens.start(second);
        self.rate_limiter.start(self.config.rate_limit);
        self.requests.start(rpc::RequestLimits {
            min: self.config.timeout_min,
            initial: self.config.timeout_initial,
            max: self.config.timeout_max,
            attempts: self.config.attempts,
        });
        for operation in &mut self.operations {
            operation.phase = Phase::Idle;
        }
        for buffer in &mut self.buffers {
            buffer.free();
        }
        self.bootstraps.clear();
        self.relays.clear();
        self.chores.clear();
        self.stats = Stats::ZERO;
        self.started = true;
        self.lent = false;
        self.requests_freed = false;
        self.own_id_news = false;
        self.own_id_seen.clear();
        self.superseded.clear();
    }

    /// Frees what was lent to the caller by the last call.
    fn reclaim(&mut self) {
        if !self.lent {
            return;
        }
        self.lent = false;
        for operation in &mut self.operations {
            if operation.is_writing_back() && operation.phase == Phase::Lent {
                operation.phase = Phase::Running;
                operation.task = Task::WriteBack;
            } else if operation.phase == Phase::Lent {
                operation.phase = Phase::Idle;
                free_buffer(&mut self.buffers, operation.buffer.take());
            }
        }
    }

    /// A slot for a user's command: an idle one, or one whose upkeep gives way.
    fn free_slot(&mut self, now: Instant) -> Option<u8> {
        let idle = self.operations.iter().position(|operation| operation.phase == Phase::Idle);
        let slot = u8::try_from(idle.or_else(|| self.operations.iter().position(Operation::is_free))?).ok()?;
        self.give_way(now, slot);
        Some(slot)
    }

    /// A buffer for a user's get: a free one, or one whose upkeep gives way.
    fn free_buffer(&mut self, now: Instant) -> Option<u8> {
        let free = |buffers: &[Buffer]| buffers.iter().position(|buffer| !buffer.taken);
        if free(&self.buffers).is_none() {
            let slot =
                self.operations.iter().position(|operation| operation.is_free() && operation.buffer.is_some())?;
            self.give_way(now, u8::try_from(slot).ok()?);
        }
        u8::try_from(free(&self.buffers)?).ok()
    }

    /// Begins a lookup in a slot, from the table's contacts; false if there are none.
    fn begin(&mut self, now: Instant, slot: u8, task: Task, target: Id, timeout: Duration) -> bool {
        let mut first = const { [Contact::EMPTY; MAX_NAMED] };
        let count = first.get_mut(..SHORTLIST.min(MAX_NAMED)).map_or(0, |room| self.table.first_asked(&target, room));
        let first = first.get(..count).unwrap_or(&[]);
        if first.is_empty() && task.is_maintenance() && task != Task::Rejoin {
            return false;
        }
        let limits = self.lookup_limits();
        if let Some(operation) = self.operation(slot) {
            operation.begin(now, task, timeout);
            operation.lookup.start(target, limits);
            for contact in first {
                operation.lookup.insert(*contact);
            }
        }
        !first.is_empty()
    }

    const fn lookup_limits(&self) -> crate::lookup::LookupLimits {
        crate::lookup::LookupLimits {
            k: self.config.table.k,
            alpha: self.config.alpha,
            prefix: self.config.table.per_prefix_in_table,
        }
    }

    /// The record held under a key, unless its time is over.
    fn held(&self, now: Instant, key: &Key) -> Option<StoredRecord<'_>> {
        self.stored(key).filter(|held| held.metadata.expires > now)
    }

    /// The record in the store, its time over or not.
    fn stored(&self, key: &Key) -> Option<StoredRecord<'_>> {
        self.store.get(self.store.find(key)?)
    }

    fn metadata_mut(&mut self, key: &Key) -> Option<&mut Metadata> {
        self.store.metadata_mut(self.store.find(key)?)
    }

    fn operation(&mut self, slot: u8) -> Option<&mut Operation<R::Geometry, R::Address, SHORTLIST>> {
        self.operations.get_mut(usize::from(slot))
    }

    /// A datagram of so many bytes was written, to be sent.
    fn count_sent(&mut self, to: R::Address, len: usize) -> Transmit<R::Address> {
        count_up(&mut self.stats.sent);
        self.stats.sent_bytes += len as u64;
        Transmit { to, len }
    }

    fn supports(&self, kind: Kind) -> bool {
        match kind {
            Kind::Plain => self.config.plain,
            Kind::Immutable => true,
            Kind::Signed => self.config.verify.is_some(),
        }
    }

    fn knows_nobody(&self) -> bool {
        self.table.peers().next().is_none()
    }

    fn running(&self, query: QueryId) -> Option<&Operation<R::Geometry, R::Address, SHORTLIST>> {
        self.operations.get(usize::from(query.slot)).filter(|operation| operation.is(query))
    }

    fn lend(&mut self, slot: usize) -> Option<QueryResult<'_, R::Address>> {
        self.lent = true;
        let operation = self.operations.get_mut(slot)?;
        operation.phase = Phase::Lent;
        let operation = &*operation;
        Some(QueryResult {
            query: operation.query(u8::try_from(slot).ok()?),
            outcome: operation.outcome(&self.buffers),
            stats: operation.stats(),
        })
    }
}

fn free_buffer(buffers: &mut [Buffer], index: Option<u8>) {
    if let Some(buffer) = index.and_then(|index| buffers.get_mut(usize::from(index))) {
        buffer.free();
    }
}

impl<
    R: Routing,
    S: fmt::Debug,
    const LOOKUPS: usize,
    const SHORTLIST: usize,
    const VALUES: usize,
    const REQUESTS: usize,
    const SOURCES: usize,
    const BOOTSTRAPS: usize,
    const RELAYS: usize,
> fmt::Debug for Node<R, S, LOOKUPS, SHORTLIST, VALUES, REQUESTS, SOURCES, BOOTSTRAPS, RELAYS>
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node").field("id", &self.table.own()).field("stats", &self.stats).finish_non_exhaustive()
    }
}
