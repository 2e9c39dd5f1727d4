//! Operations: one slot of work each, with a lookup, its task, and its state. Zeros when idle.

use core::cmp::Ordering;
use core::time::Duration;

use super::buffer::Buffer;
use super::config::Mode;
use super::query::{Failure, Outcome, Progress, QueryId, QueryStats};
use super::task::{Ending, Task};
use crate::address::Address;
use crate::geometry::Geometry;
use crate::id::Id;
use crate::lookup::{Candidate, Found, Lookup, LookupView, Shortlist, Which};
use crate::message::ErrorCode;
use crate::record::{Key, Kind, Version};
use crate::time::Instant;

/// An operation whose shortlist holds at most `N` contacts.
pub(super) type SizedOperation<G, A, T, const N: usize> = OperationInner<Lookup<G, A, T, N>>;

/// An operation with any bound of its shortlist.
pub(super) type Operation<G, A, T> = OperationInner<LookupView<G, A, T>>;

#[derive(Debug)]
// The lookup, which is large, comes last: a Cortex-M needs shorter instructions to access fields at small offsets.
#[repr(C)]
pub struct OperationInner<L: ?Sized> {
    pub(super) phase: Phase,
    pub(super) task: Task,
    ending: Ending,
    pub(super) publish: bool,
    /// The number of this operation's slot.
    pub(super) slot: u8,
    /// The index of the buffer that a get fills.
    pub(super) buffer: Option<u8>,
    /// How many of the nodes asked by their addresses have not responded yet.
    pub(super) bootstraps_asked: u8,
    /// How many nodes should hold the record of a put.
    pub(super) wanted: u8,
    pub(super) recursion: Recursion,
    /// How often the relay request was forwarded.
    pub(super) hops: u8,
    generation: u32,
    pub(super) deadline: Instant,
    began: Instant,
    ended: Instant,
    pub(super) tally: Tally,
    pub(super) compare: Option<u64>,
    /// The newest version found of the record, and when it was found.
    best: Option<(Version, Instant)>,
    /// The key of the record.
    pub(super) key: Key,
    /// The node that the newest version is being fetched from. No other node is asked until it is slow, so that the
    /// value is sent only once.
    pub(super) fetching: Option<Id>,
    pub(super) lookup: L,
}

/// The state of an operation. An operation goes down this list, and can skip states. After a state with a lent result
/// it is `Storing` or `Idle` again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Phase {
    Idle,
    /// It looks for nodes.
    Searching,
    /// It stores its record at the nodes found.
    Storing,
    /// Its result waits for the user, while it stores the record where it is missing.
    WritingBack,
    /// Its result waits for the user.
    Ended,
    /// As `WritingBack`, but the result is lent to the caller. From the next call on, the rest is maintenance.
    LentWritingBack,
    /// Its result is lent to the caller. From the next call on, the slot is idle.
    Lent,
}

/// The state of a recursive lookup.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Recursion {
    /// The lookup is iterative.
    #[default]
    Unwanted,
    /// The relay request was not sent yet.
    Wanted,
    /// The relay request is on its way.
    Forwarded,
    /// The nodes that the result named must be asked; or no node is nearer than the own one.
    Over,
    /// The result is the result of the lookup.
    Relayed,
    /// The result is a signed record. Nodes on the way may hold older versions, so a few are asked for a newer one.
    Checked,
    /// No result came, or not in time: the lookup continues iteratively.
    FellBack,
}

impl From<Mode> for Recursion {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Iterative => Self::Unwanted,
            Mode::Recursive => Self::Wanted,
        }
    }
}

/// Counts of what has happened so far.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tally {
    pub(super) asked: u16,
    pub(super) responded: u16,
    pub(super) timed_out: u16,
    pub(super) refused: u16,
    pub(super) stored: u16,
    /// The shortest lifetime that a node granted to the record, in seconds. 0 if none told it.
    granted: u32,
    /// The last reason for a refusal, if there was any. An `Option` would not be all zeros while it is `None`.
    refusal: ErrorCode,
    refusal_detail: u64,
    /// The highest number of a record that nodes hold instead of the one that is put. Only of records that were fetched
    /// and verified.
    pub(super) held_instead: Option<u64>,
    /// The length of a response with a record that is too large for this node.
    pub(super) too_large: u16,
    /// Whether a node that claims to hold the record was slow to deliver it. From then on, all claims are fetched at
    /// once.
    pub(super) stalled: bool,
    /// How many bootstrap addresses were asked.
    pub(super) bootstraps: u8,
    /// How often a join has notified the node that must know this one.
    notified: u8,
}

/// How often a join notifies the node that must know this one, before it ends without that.
const NOTIFICATIONS: u8 = 8;

impl Tally {
    const EMPTY: Self = Self {
        asked: 0,
        responded: 0,
        timed_out: 0,
        refused: 0,
        stored: 0,
        granted: 0,
        refusal: ErrorCode::Token,
        refusal_detail: 0,
        held_instead: None,
        too_large: 0,
        stalled: false,
        bootstraps: 0,
        notified: 0,
    };

    /// A node refused.
    pub(super) fn note_refusal(&mut self, code: ErrorCode, detail: u64) {
        count_one(&mut self.refused);
        self.refusal = code;
        self.refusal_detail = detail;
    }

    /// A node stored the record, for `lifetime` seconds. 0 if it did not tell.
    pub(super) fn note_stored(&mut self, lifetime: u32) {
        count_one(&mut self.stored);
        self.granted = match self.granted {
            0 => lifetime,
            least => least.min(lifetime),
        };
    }

    fn refusal(&self) -> Option<ErrorCode> {
        (self.refused != 0).then_some(self.refusal)
    }

    /// Whether a join can notify a node once more. Counts it.
    pub(super) const fn may_notify(&mut self) -> bool {
        self.notified = self.notified.saturating_add(1);
        self.notified <= NOTIFICATIONS
    }
}

/// Adds one to a count of a tally. Not inlined, as it is called in many places.
#[inline(never)]
pub(super) const fn count_one(count: &mut u16) {
    *count = count.saturating_add(1);
}

impl<G: Geometry, A: Address, T: Copy, const N: usize> SizedOperation<G, A, T, N> {
    pub(super) const EMPTY: Self = Self {
        phase: Phase::Idle,
        task: Task::Ping,
        ending: Ending::Pong,
        publish: false,
        slot: 0,
        buffer: None,
        bootstraps_asked: 0,
        wanted: 0,
        recursion: Recursion::Unwanted,
        hops: 0,
        generation: 0,
        deadline: Instant::ZERO,
        began: Instant::ZERO,
        ended: Instant::ZERO,
        tally: Tally::EMPTY,
        compare: None,
        best: None,
        key: Key { kind: Kind::Plain, id: Id::ZERO },
        fetching: None,
        lookup: Lookup::<G, A, T, N>::EMPTY,
    };
}

impl<G: Geometry, A: Address, T: Copy + Sync> Operation<G, A, T> {
    /// Begins a task in this slot. The caller starts the lookup.
    pub(super) fn begin(&mut self, now: Instant, task: Task, timeout: Duration) {
        self.phase = Phase::Searching;
        self.task = task;
        self.generation = self.generation.wrapping_add(1);
        self.best = None;
        self.fetching = None;
        self.buffer = None;
        self.bootstraps_asked = 0;
        self.publish = false;
        self.recursion = Recursion::Unwanted;
        self.hops = 0;
        self.compare = None;
        self.deadline = now + timeout;
        self.tally = Tally::EMPTY;
        self.began = now;
        self.ended = now;
    }

    /// Ends the operation with a result, or without one if it is maintenance. With `writes_back`, it continues to store
    /// its record.
    pub(super) fn end(&mut self, now: Instant, ending: Ending, writes_back: bool) {
        self.phase = match (self.task.is_maintenance(), writes_back) {
            (true, _) => Phase::Idle,
            (false, true) => Phase::WritingBack,
            (false, false) => Phase::Ended,
        };
        self.ending = ending;
        self.ended = now;
    }

    /// Lends the result to the caller.
    pub(super) const fn lend(&mut self) {
        self.phase = match self.phase {
            Phase::WritingBack => Phase::LentWritingBack,
            _ => Phase::Lent,
        };
    }

    /// Whether it has not reached its result yet.
    pub(super) const fn is_running(&self) -> bool {
        matches!(self.phase, Phase::Searching | Phase::Storing)
    }

    /// Whether it is storing a record.
    pub(super) const fn is_storing(&self) -> bool {
        matches!(self.phase, Phase::Storing | Phase::WritingBack)
    }

    /// Whether there is work to do for it.
    pub(super) const fn works(&self) -> bool {
        matches!(self.phase, Phase::Searching | Phase::Storing | Phase::WritingBack)
    }

    /// Whether it has a result that waits for the user.
    pub(super) const fn has_result(&self) -> bool {
        matches!(self.phase, Phase::WritingBack | Phase::Ended)
    }

    /// Whether no user waits for what it does now. Then other operations come first.
    pub(super) fn comes_second(&self) -> bool {
        self.task.is_maintenance() || !self.is_running()
    }

    pub(super) fn is_idle(&self) -> bool {
        self.phase == Phase::Idle
    }

    /// Whether a user's command can begin in this slot: it is idle, or its operation is maintenance, which yields.
    pub(super) fn is_free(&self) -> bool {
        self.phase == Phase::Idle || (self.is_running() && self.task.is_maintenance())
    }

    /// The query that this operation is.
    pub(super) const fn query(&self) -> QueryId {
        QueryId { slot: self.slot, generation: self.generation }
    }

    /// Whether this operation is that query.
    pub(super) fn is(&self, query: QueryId) -> bool {
        self.generation == query.generation && self.phase != Phase::Idle && !self.task.is_maintenance()
    }

    /// Whether its result came through other nodes.
    pub(super) fn is_relayed(&self) -> bool {
        matches!(self.recursion, Recursion::Relayed | Recursion::Checked)
    }

    /// Whether it asks nodes for a record, not only for nodes.
    pub(super) fn finds_record(&self) -> bool {
        self.task.finds_record(self.key.kind)
    }

    /// Whether a node has the record that this operation replicates already. Then it is only told.
    pub(super) fn tells(&self, id: &Id) -> bool {
        self.task == Task::Replicate && self.lookup.is_holder(id)
    }

    /// The newest version found, as of `now`.
    pub(super) fn best(&self, now: Instant) -> Option<Version> {
        self.best.map(|(version, then)| self.key.kind.as_of(now, version, then))
    }

    /// Whether a version that was found wins over the newest so far. Of a compare-and-swap, a later version than the
    /// one to be replaced wins: it proves that the swap has failed. An earlier one only shows that a node lags.
    pub(super) fn contest(&self, now: Instant, found: Version) -> Ordering {
        match (self.best(now), self.compare) {
            (None, _) => Ordering::Greater,
            (Some(best), Some(compare)) if best != found => {
                if found.number > compare {
                    Ordering::Greater
                } else {
                    Ordering::Less
                }
            }
            (Some(best), _) => self.key.kind.contest(best, found).offered,
        }
    }

    /// When the newest version was found. Of a put: when it takes effect.
    pub(super) fn best_at(&self) -> Instant {
        self.best.map_or(Instant::ZERO, |(_, at)| at)
    }

    pub(super) const fn set_best(&mut self, now: Instant, version: Version) {
        self.best = Some((version, now));
    }

    /// The newest version is not fetched from this node any more: it came, or won't come. Returns whether it was.
    pub(super) fn stop_fetching(&mut self, from: &Id) -> bool {
        self.fetching.take_if(|fetching| *fetching == *from).is_some()
    }

    pub(super) fn stats(&self) -> QueryStats {
        let best = self.lookup.best();
        QueryStats {
            asked: self.tally.asked,
            responded: self.tally.responded,
            timed_out: self.tally.timed_out,
            refused: self.tally.refused,
            stored: self.tally.stored,
            refusal: self.tally.refusal(),
            depth: best.map_or(0, Candidate::depth),
            closest: best.map(|best| G::rank(&self.lookup.target(), &best.contact().id)),
            hops: self.hops,
            relayed: self.is_relayed(),
            fell_back: self.recursion == Recursion::FellBack,
            began: self.began,
            took: self.ended.since(self.began),
        }
    }

    pub(super) fn progress<'a>(&'a self, shortlist: &'a dyn Shortlist<A>) -> Progress<'a, A> {
        let storing = self.is_storing();
        Progress { stats: self.stats(), responded: Found::new(shortlist, Which::Closest), storing }
    }

    pub(super) fn outcome<'a>(&self, shortlist: &'a dyn Shortlist<A>, buffer: Option<&'a Buffer>) -> Outcome<'a, A> {
        let found = |which| Found::new(shortlist, which);
        match self.ending {
            Ending::Pong => match self.lookup.best() {
                Some(best) => Outcome::Pong { contact: best.contact(), rtt: self.ended.since(self.began) },
                None => Outcome::Failed(Failure::NoResponse),
            },
            Ending::Joined => Outcome::Joined { neighbours: found(Which::Closest) },
            Ending::Nodes => Outcome::Nodes(found(Which::Closest)),
            Ending::Value => match buffer.and_then(|buffer| buffer.record(self.ended)) {
                Some((record, left)) => {
                    Outcome::Value { record, lifetime: left.duration(), holders: found(Which::Holders) }
                }
                None => Outcome::NotFound { closest: found(Which::Closest) },
            },
            Ending::NotFound => Outcome::NotFound { closest: found(Which::Closest) },
            Ending::Stored => Outcome::Stored {
                holders: found(Which::Stored),
                wanted: usize::from(self.wanted),
                lifetime: Duration::from_secs(self.tally.granted.into()),
                held: self.tally.held_instead,
            },
            Ending::Conflict => {
                Outcome::Conflict { holders: found(Which::Stored), held: self.tally.held_instead.unwrap_or(0) }
            }
            Ending::NoResponse => Outcome::Failed(Failure::NoResponse),
            Ending::TimedOut => Outcome::Failed(Failure::TimedOut),
            Ending::Replaced => Outcome::Failed(Failure::Replaced),
            Ending::Refused => match self.tally.refusal() {
                Some(code) => Outcome::Failed(Failure::Refused(code, self.tally.refusal_detail)),
                None => Outcome::Failed(Failure::NoResponse),
            },
            Ending::TooLarge => Outcome::Failed(Failure::TooLarge(usize::from(self.tally.too_large))),
        }
    }
}
