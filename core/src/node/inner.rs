//! The type of a node: its operations and what they share, and the functions that start it.

use core::fmt;

use super::bounds::{Parts, Slots};
use super::config::Config;
use super::operation::Phase;
use super::shared::{Op, Seeds, Shared};
use super::task::Task;
use crate::config_error::ConfigError;
use crate::geometry::Geometry;
use crate::id::Id;
use crate::routing::Routing;
use crate::store::Store;
use crate::time::Instant;
#[cfg(feature = "sealed")]
use crate::wire::MAX_DATAGRAM;

/// The type behind [`Node`](super::Node): a node with the parts `P`.
// The small fields come first: a Cortex-M needs shorter instructions to access fields at small offsets.
#[repr(C)]
pub struct NodeInner<P: Parts> {
    pub(super) shared: Shared<P>,
    pub(super) operations: P::Operations,
    /// The message of the datagram that arrived last, if datagrams are sealed.
    #[cfg(feature = "sealed")]
    pub(super) opened: [u8; MAX_DATAGRAM],
}

impl<P: Parts> NodeInner<P> {
    /// A node of zeros. As a static, it lies in `.bss`. It does nothing until it is [started](Self::start).
    #[must_use]
    pub const fn empty() -> Self {
        Self::of(P::Routing::EMPTY, P::Store::EMPTY)
    }

    const fn of(table: P::Routing, store: P::Store) -> Self {
        const { P::BOUNDS_ARE_IN_RANGE }
        Self {
            shared: Shared::new(table, store),
            operations: P::Operations::EMPTY,
            #[cfg(feature = "sealed")]
            opened: [0; MAX_DATAGRAM],
        }
    }

    /// A started node, for hosts. A microcontroller should [`start`](Self::start) an [`empty`](Self::empty) node in
    /// place, which needs less stack.
    ///
    /// # Errors
    ///
    /// [`ConfigError`]: a value of the configuration is out of its range.
    pub fn new(now: Instant, config: Config, id: Id, seed: [u8; 32]) -> Result<Self, ConfigError> {
        let mut node = Self::empty();
        node.start(now, config, id, seed)?;
        Ok(node)
    }

    /// A node with a table and a store that are already started and filled, as a simulator makes them.
    ///
    /// # Errors
    ///
    /// [`ConfigError`]: a value of the configuration is out of its range.
    pub fn from_parts(config: Config, seed: [u8; 32], table: P::Routing, store: P::Store) -> Result<Self, ConfigError> {
        let mut node = Self::of(table, store);
        config.check::<P::Wire>(node.shortlist_bound())?;
        node.forget();
        node.shared.configure(config, Seeds::of(seed));
        Ok(node)
    }

    /// Starts as the node `id`, and forgets everything from before.
    ///
    /// `seed` is the source of all random numbers: those of transactions, of tokens and of the keys of hash tables. It
    /// must be secret, and be used only once: after a reboot, mix in a counter. The same seed and the same calls give
    /// the same bytes.
    ///
    /// # Errors
    ///
    /// [`ConfigError`]: a value of the configuration is out of its range. The node is as it was.
    pub fn start(&mut self, now: Instant, config: Config, id: Id, seed: [u8; 32]) -> Result<(), ConfigError> {
        config.check::<P::Wire>(self.shortlist_bound())?;
        let mut seeds = Seeds::of(seed);
        self.shared.table.start(now, id, &config.table, seeds.random.next())?;
        self.shared.store.start(id, P::Geometry::rank, seeds.random.key());
        self.shared.configure(config, seeds);
        self.forget();
        Ok(())
    }

    /// The bound of every shortlist.
    fn shortlist_bound(&self) -> usize {
        self.operations.get(0).map_or(0, |operation| operation.lookup.capacity())
    }

    /// Ends all operations without a result.
    fn forget(&mut self) {
        for (slot, operation) in (0..).zip(self.operations.iter_mut()) {
            operation.slot = slot;
            operation.phase = Phase::Idle;
        }
    }

    /// Frees what the last call lent to the caller.
    pub(super) fn reclaim(&mut self) {
        if !self.shared.lent {
            return;
        }
        self.shared.lent = false;
        for operation in self.operations.iter_mut() {
            match operation.phase {
                Phase::Lent => {
                    operation.phase = Phase::Idle;
                    self.shared.free_buffer(operation.buffer.take());
                }
                Phase::LentWritingBack => {
                    operation.phase = Phase::Storing;
                    operation.task = Task::WriteBack;
                }
                _ => {}
            }
        }
    }

    /// The first operation that matches.
    pub(super) fn find(&self, matches: impl Fn(&Op<P>) -> bool) -> Option<u8> {
        (0..P::Operations::LEN as u8).find(|slot| self.operations.get(*slot).is_some_and(&matches))
    }

    /// Whether any operation matches.
    pub(super) fn any(&self, matches: impl Fn(&Op<P>) -> bool) -> bool {
        self.find(matches).is_some()
    }
}

impl<P: Parts> fmt::Debug for NodeInner<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shared { table, stats, .. } = &self.shared;
        f.debug_struct("Node").field("id", &table.own()).field("stats", stats).finish_non_exhaustive()
    }
}
