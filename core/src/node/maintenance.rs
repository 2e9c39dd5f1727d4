//! What a node does without being asked: it joins again, refreshes its table, publishes its records, and looks after others'.

use super::operation::{Operation, Phase, Task};
use super::request::Purpose;
use super::{Node, Options};
use crate::record::Key;
use crate::routing::{self, Maintenance, Routing};
use crate::store::{Store, StoredRecord};
use crate::time::Micros;
use crate::{Address, Instant};

/// The first pause before bootstrap addresses are tried again, and the last of those that each take twice as long.
const PAUSE: (Micros, Micros) = (Micros::from_secs(5), Micros::from_secs(15 * 60));

/// One that answered is asked again so long after: all who joined through it do.
const VISIT: Micros = Micros::from_secs(30 * 60);

/// A holder looks after a record so much later for each node that is more responsible for it.
const TURN: Micros = Micros::from_secs(3);

/// How many records are looked at in one call, so that a call's work is bounded.
const STRIDE: usize = 64;

/// The bootstrap addresses, and when to try them again.
#[derive(Debug)]
pub(super) struct Bootstraps<A, const N: usize> {
    addresses: heapless::Vec<A, N>,
    /// Never, while there are none.
    due: Instant,
    pause: Micros,
    next: u8,
}

impl<A: Address, const N: usize> Bootstraps<A, N> {
    /// Zeros, to be cleared before they are used.
    pub(super) const EMPTY: Self =
        Self { addresses: heapless::Vec::new(), due: Instant::ZERO, pause: Micros::ZERO, next: 0 };

    pub(super) fn clear(&mut self) {
        self.addresses.clear();
        (self.due, self.next) = (Instant::NEVER, 0);
    }

    pub(super) fn remember(&mut self, now: Instant, addresses: &[A]) {
        self.addresses.clear();
        for address in addresses {
            // The caller has checked that they fit.
            let _ = self.addresses.push(address.canonical());
        }
        self.again(now);
    }

    /// They are tried soon, then ever later, until one has answered.
    pub(super) fn again(&mut self, now: Instant) {
        self.pause = PAUSE.0;
        self.due = now + self.pause;
    }

    /// One of them answered: from now on they are only asked now and then, so that halves of a split network meet again.
    pub(super) fn verified(&mut self, now: Instant, address: A) {
        if self.addresses.contains(&address) {
            self.pause = PAUSE.1;
            self.due = now + VISIT;
        }
    }

    pub(super) const fn due(&self) -> Instant {
        self.due
    }

    /// The next address to try; the pause until the one after it is longer.
    fn next(&mut self, now: Instant) -> Option<A> {
        self.pause = Micros(2 * self.pause.0).max(PAUSE.0).min(PAUSE.1);
        self.due = now + self.pause;
        self.next = self.next.wrapping_add(1);
        self.addresses.get(usize::from(self.next).checked_rem(self.addresses.len())?).copied()
    }
}

/// When the next record ends, is to be published, or is to be looked after.
#[derive(Debug)]
pub(super) struct Chores {
    /// No record ends before this.
    expiry: Instant,
    /// No own record is to be published before this.
    publish: Instant,
    tending: Tending,
}

/// A pass over the store: each record's turn comes once for each rank its holder may have, the most responsible one's first.
#[derive(Clone, Copy, Debug)]
struct Tending {
    /// When the turn of this rank is; never, between passes.
    due: Instant,
    rank: usize,
    /// Slots still to be seen in this turn.
    slot: usize,
}

impl Chores {
    /// Zeros, to be cleared before it is used.
    pub(super) const EMPTY: Self = Self {
        expiry: Instant::ZERO,
        publish: Instant::ZERO,
        tending: Tending { due: Instant::ZERO, rank: 0, slot: 0 },
    };

    pub(super) const fn clear(&mut self) {
        (self.expiry, self.publish, self.tending.due) = (Instant::NEVER, Instant::NEVER, Instant::NEVER);
    }

    pub(super) fn stored(&mut self, expires: Instant) {
        self.expiry = self.expiry.min(expires);
    }

    pub(super) const fn expiry(&self) -> Instant {
        self.expiry
    }

    pub(super) fn publish_by(&mut self, at: Instant) {
        self.publish = self.publish.min(at);
    }

    /// The neighbourhood was checked: see that its records are where they belong.
    pub(super) const fn begin_replicating(&mut self, now: Instant) {
        self.tending = Tending { due: now, rank: 0, slot: usize::MAX };
    }

    /// When the next own record is to be published or a held one looked after.
    pub(super) fn due(&self) -> Instant {
        self.publish.min(self.tending.due)
    }
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
    pub(super) fn expire_records(&mut self, now: Instant) {
        if self.chores.expiry.is_due(now) {
            self.chores.expiry = self.store.expire(now);
        }
    }

    /// Whether there is room for a further piece of upkeep: it takes at most half of the slots (one where there is only one), and leaves
    /// request slots to the user.
    pub(super) fn can_begin_maintenance(&self) -> bool {
        let busy = self
            .operations
            .iter()
            .filter(|operation| operation.is_running() && operation.task.is_maintenance())
            .count();
        // What is lent is free from the next call on.
        let frees =
            |operation: &Operation<_, _, SHORTLIST>| operation.phase == Phase::Lent && !operation.is_writing_back();
        let idle = self.operations.iter().any(|operation| operation.phase == Phase::Idle || frees(operation));
        idle && busy < LOOKUPS.div_ceil(2) && self.requests.free() > usize::from(self.config.alpha)
    }

    /// A client keeps no table for others: its own lookups keep it fresh enough. And while a node joins, that is upkeep enough.
    pub(super) fn next_table_maintenance(&self) -> Instant {
        let joins = |operation: &Operation<_, _, SHORTLIST>| {
            operation.is_running() && matches!(operation.task, Task::Bootstrap | Task::Rejoin)
        };
        if !self.config.serve || self.operations.iter().any(joins) {
            return Instant::NEVER;
        }
        self.table.next_maintenance()
    }

    /// Begins what upkeep is due, as far as there is room.
    pub(super) fn begin_maintenance(&mut self, now: Instant) {
        for _ in 0..STRIDE {
            if !self.can_begin_maintenance() {
                return;
            }
            let Some(slot) = self.operations.iter().position(|operation| operation.phase == Phase::Idle) else {
                return;
            };
            let slot = slot as u8;
            let begun = if self.bootstraps.due().is_due(now) {
                self.visit_bootstraps(now, slot)
            } else if self.next_table_maintenance().is_due(now) {
                self.replicate_table(now, slot)
            } else if self.chores.due().is_due(now) {
                self.publish_next(now, slot) || self.replicate_next(now, slot)
            } else {
                return;
            };
            if begun {
                self.step(now, slot);
            }
        }
    }

    /// Begins to join: asks the bootstrap addresses, and whom the table knows, for what is near the own id.
    pub(super) fn begin_join(&mut self, now: Instant, slot: u8, task: Task) {
        let own = self.table.own();
        self.begin(now, slot, task, own, Options::DEFAULT.timeout);
        for index in 0..self.bootstraps.addresses.len() {
            let Some(address) = self.bootstraps.addresses.get(index).copied() else {
                return;
            };
            let asked = self.ask(Purpose::Bootstrap { slot }, address, None, None);
            if let Some(operation) = self.operation(slot).filter(|_| asked) {
                operation.bootstraps_asked += 1;
                operation.tally.asked += 1;
            }
        }
    }

    /// While nobody is known, joins through the bootstrap addresses again; otherwise asks one of them what it knows near here.
    fn visit_bootstraps(&mut self, now: Instant, slot: u8) -> bool {
        let address = self.bootstraps.next(now);
        if !self.table.peers().any(|peer| peer.state == routing::ContactState::Verified) {
            self.begin_join(now, slot, Task::Rejoin);
            return true;
        }
        if let Some(address) = address {
            self.ask(Purpose::Table, address, None, None);
        }
        false
    }

    fn replicate_table(&mut self, now: Instant, slot: u8) -> bool {
        let own = self.table.own();
        match self.table.maintenance(now) {
            Some(Maintenance::Ask(contact)) => {
                self.ask(Purpose::Table, contact.address, Some(contact.id), None);
                false
            }
            Some(Maintenance::Lookup { target }) => {
                self.begin(now, slot, Task::Refresh, target, Options::DEFAULT.timeout)
            }
            Some(Maintenance::Neighbourhood) => {
                self.begin(now, slot, Task::Neighbourhood, own, Options::DEFAULT.timeout)
            }
            None => false,
        }
    }

    /// A record was put to be published: does so again when its time comes.
    pub(super) fn publish_later(&mut self, key: &Key) {
        if let Some(held) = self.stored(key).filter(|held| held.metadata.pinned) {
            self.chores.publish_by(publish_at(&held, Micros::of(self.config.republish)));
        }
    }

    /// Begins to publish the own record that waits longest, if one's time has come.
    fn publish_next(&mut self, now: Instant, slot: u8) -> bool {
        if !self.chores.publish.is_due(now) {
            return false;
        }
        let (due, first) = self.next_published();
        self.chores.publish = due;
        let Some(held) = self.store.get(first).filter(|_| due.is_due(now)) else {
            return false;
        };
        let (key, version) = (held.key, held.version(now));
        if !self.begin(now, slot, Task::Republish, key.id, Options::DEFAULT.timeout) {
            // Nobody is known to store anything at: all that waits, waits on.
            self.chores.publish = now + Micros::from_secs(1);
            return false;
        }
        if let Some(operation) = self.operation(slot) {
            operation.key = key;
            operation.set_best(now, version);
        }
        // Noted at once, so that another record's turn comes even if this one can't be stored anywhere.
        self.note_replicated(now, &key);
        self.chores.publish = self.next_published().0;
        true
    }

    /// When the next own record is to be published, and its slot; never, if there is none.
    fn next_published(&self) -> (Instant, usize) {
        let republish = Micros::of(self.config.republish);
        let mut first = (Instant::NEVER, 0);
        for slot in 0..self.store.len() {
            if let Some(held) = self.store.get(slot).filter(|held| held.metadata.pinned) {
                first = first.min((publish_at(&held, republish), slot));
            }
        }
        first
    }

    /// Goes on with the pass over the store: begins to look after the next record whose turn it is, if it is ours to do.
    fn replicate_next(&mut self, now: Instant, slot: u8) -> bool {
        let mut pass = self.chores.tending;
        if !pass.due.is_due(now) {
            return false;
        }
        let k = usize::from(self.config.table.k);
        let republish = Micros::of(self.config.republish);
        for _ in 0..STRIDE {
            // From the last slot down: what is removed meanwhile has its place taken by one that was seen.
            pass.slot = pass.slot.min(self.store.len());
            let Some(held) = pass.slot.checked_sub(1).and_then(|slot| self.store.get(slot)) else {
                let due = if pass.rank < k { now + TURN } else { Instant::NEVER };
                pass = Tending { rank: pass.rank + 1, slot: usize::MAX, due };
                break;
            };
            pass.slot -= 1;
            let (key, version, pinned) = (held.key, held.version(now), held.metadata.pinned);
            let changed = held.metadata.last_replicated < self.table.changed()
                || now.micros_since(held.metadata.last_replicated) >= republish;
            let ours = !pinned && changed && self.supports(key.kind) && self.table.rank_of_own(&key.id, k) <= pass.rank;
            if ours && self.begin(now, slot, Task::Tend, key.id, Options::DEFAULT.timeout) {
                if let Some(operation) = self.operation(slot) {
                    operation.key = key;
                    operation.set_best(now, version);
                }
                self.chores.tending = pass;
                return true;
            }
        }
        self.chores.tending = pass;
        false
    }

    pub(super) fn note_replicated(&mut self, now: Instant, key: &Key) {
        if let Some(metadata) = self.metadata_mut(key) {
            metadata.last_replicated = now.max(Instant::from_micros(1));
        }
    }

    /// Publishing gave way to a user's command: it is done soon.
    pub(super) fn publish_soon(&mut self, now: Instant, key: &Key) {
        if let Some(metadata) = self.metadata_mut(key) {
            metadata.last_replicated = Instant::ZERO;
        }
        self.chores.publish_by(now + Micros::from_secs(1));
    }

    /// A newer record than the published one is out there: publishing stops.
    pub(super) fn supersede(&mut self, key: Key) {
        if let Some(metadata) = self.metadata_mut(&key).filter(|metadata| metadata.pinned) {
            metadata.pinned = false;
            self.superseded = [key].into();
        }
    }
}

/// When a record is to be published again: at once if it was not yet, as after a restart, otherwise after a third of its lifetime, or
/// after `republish` if that is sooner.
fn publish_at(held: &StoredRecord<'_>, republish: Micros) -> Instant {
    let third = Micros(held.metadata.expires.micros_since(held.stored_at).0 / 3);
    match held.metadata.last_replicated {
        Instant::ZERO => Instant::ZERO,
        last_replicated => last_replicated + republish.min(third).max(Micros::from_secs(1)),
    }
}
