//! One slot of work: a lookup, what it is for, and how it stands. Zeros when idle.

use core::time::Duration;

use super::Mode;
use super::buffer::Buffer;
use super::event::{Failure, Outcome, Progress, QueryId, QueryStats};
use crate::lookup::{Candidate, Lookup};
use crate::record::{Key, Kind, Version};
use crate::wire::ErrorCode;
use crate::{Address, Geometry, Id, Instant};

#[derive(Debug)]
// As the node's: the lookup, which is large, comes last.
#[repr(C)]
pub(super) struct Operation<G, A, const N: usize> {
    pub(super) phase: Phase,
    pub(super) task: Task,
    ending: Ending,
    /// Whether the nodes are found and the record is being stored at them.
    pub(super) storing: bool,
    /// Whether the search was widened past the k closest.
    pub(super) widened: bool,
    pub(super) publish: bool,
    /// The buffer that is filled.
    pub(super) buffer: Option<u8>,
    /// Bootstrap addresses asked that have not answered yet.
    pub(super) bootstraps_asked: u8,
    /// How many nodes could have stored the record.
    pub(super) wanted: u8,
    generation: u32,
    pub(super) deadline: Instant,
    began: Instant,
    ended: Instant,
    pub(super) tally: Tally,
    pub(super) compare: Option<u64>,
    /// The newest version seen of what is looked for, and when.
    best: Option<(Version, Instant)>,
    /// What is got, put or tended.
    pub(super) key: Key,
    /// Whom the newest version is being fetched from; nobody else is asked meanwhile, so that one value travels once.
    pub(super) fetching: Option<Id>,
    pub(super) lookup: Lookup<G, A, N>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Phase {
    Idle,
    Running,
    /// Its event waits.
    Ended,
    /// Its event is lent to the caller until the next call.
    Lent,
}

/// What a slot works at. Those after `Put` are upkeep, which gives way to a user's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Task {
    Ping,
    Bootstrap,
    FindNode,
    Get,
    Put,
    /// Join again through the bootstrap addresses.
    Rejoin,
    /// Look up what the table wants to be looked up.
    Refresh,
    /// Look the own id up, then look after the records.
    Neighbourhood,
    /// See that the co-holders of a record have it.
    Tend,
    /// Put an own record again.
    Republish,
    /// What is left of a get whose event was taken: put the record where it was missing or older.
    WriteBack,
}

/// How a lookup stands that is to ask recursively first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Recursion {
    /// It isn't.
    #[default]
    Unwanted,
    /// It hasn't asked yet.
    Wanted,
    /// The question is on its way.
    Asking,
    /// It was answered with nodes to be asked, or ends at the own node.
    Over,
    /// What was looked for came back.
    Relayed,
    /// It wasn't, or not in time: the lookup goes on iteratively.
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Ending {
    Pong,
    Joined,
    Nodes,
    Value,
    NotFound,
    Stored,
    Conflict,
    NoResponse,
    TimedOut,
    Replaced,
    Refused,
    TooLarge,
}

/// What has happened so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    pub(super) asked: u16,
    pub(super) responded: u16,
    pub(super) timed_out: u16,
    pub(super) refused: u16,
    pub(super) stored: u16,
    /// The last reason given, as its number; zero: none.
    refusal: u8,
    refusal_detail: u64,
    /// Records in the way of a put: the highest number held.
    pub(super) in_the_way: Option<u64>,
    /// The size of an answer that was too large for us.
    pub(super) too_large: u16,
    /// How often a store was sent again with a fresh token, or a join has asked again the one that is to know this node first.
    asked_again: u8,
    /// How it stands with asking recursively, and how often the question was passed on.
    pub(super) recursion: Recursion,
    pub(super) hops: u8,
}

/// The most stores of one operation that are sent again with a fresh token.
const RENEWALS: u8 = 64;

/// How often a join asks the one that is to know this node first, before it ends without.
const PRESENTATIONS: u8 = 8;

impl Task {
    pub(super) fn is_maintenance(self) -> bool {
        self > Self::Put
    }
}

impl Tally {
    const EMPTY: Self = Self {
        asked: 0,
        responded: 0,
        timed_out: 0,
        refused: 0,
        stored: 0,
        refusal: 0,
        refusal_detail: 0,
        in_the_way: None,
        too_large: 0,
        asked_again: 0,
        recursion: Recursion::Unwanted,
        hops: 0,
    };

    pub(super) fn refuse(&mut self, code: ErrorCode, detail: u64) {
        self.refused = self.refused.saturating_add(1);
        self.refusal = code.tag();
        self.refusal_detail = detail;
        if matches!(code, ErrorCode::Outdated | ErrorCode::Conflict) {
            self.in_the_way = self.in_the_way.max(Some(detail));
        }
    }

    pub(super) const fn may_renew_token(&mut self) -> bool {
        self.asked_again = self.asked_again.saturating_add(1);
        self.asked_again <= RENEWALS
    }

    pub(super) const fn may_present(&mut self) -> bool {
        self.asked_again = self.asked_again.saturating_add(1);
        self.asked_again <= PRESENTATIONS
    }

    pub(super) fn refusal(&self) -> Option<(ErrorCode, u64)> {
        match self.refusal {
            0 => None,
            number => Some((ErrorCode::from_tag(number), self.refusal_detail)),
        }
    }
}

impl<G: Geometry, A: Address, const N: usize> Operation<G, A, N> {
    pub(super) const EMPTY: Self = Self {
        phase: Phase::Idle,
        task: Task::Ping,
        generation: 0,
        lookup: Lookup::EMPTY,
        key: Key { kind: Kind::Plain, id: Id::ZERO },
        best: None,
        fetching: None,
        buffer: None,
        bootstraps_asked: 0,
        storing: false,
        widened: false,
        publish: false,
        compare: None,
        deadline: Instant::ZERO,
        tally: Tally::EMPTY,
        ending: Ending::Pong,
        wanted: 0,
        began: Instant::ZERO,
        ended: Instant::ZERO,
    };

    /// Begins a task in this slot. The lookup is started by the caller.
    pub(super) fn begin(&mut self, now: Instant, task: Task, timeout: Duration) {
        self.phase = Phase::Running;
        self.task = task;
        self.generation = self.generation.wrapping_add(1);
        self.best = None;
        self.fetching = None;
        self.buffer = None;
        self.bootstraps_asked = 0;
        self.storing = false;
        self.widened = false;
        self.publish = false;
        self.compare = None;
        self.deadline = now + timeout;
        self.tally = Tally::EMPTY;
        self.began = now;
        self.ended = now;
    }

    pub(super) fn end(&mut self, now: Instant, ending: Ending) {
        self.phase = if self.task.is_maintenance() { Phase::Idle } else { Phase::Ended };
        self.ending = ending;
        self.ended = now;
    }

    pub(super) fn is_running(&self) -> bool {
        self.phase == Phase::Running
    }

    /// Whether it is a get that has ended, and still writes the record back to those that lagged.
    pub(super) fn is_writing_back(&self) -> bool {
        matches!(self.phase, Phase::Ended | Phase::Lent) && self.storing && !self.lookup.stores_done()
    }

    /// Whether there is something to do for it.
    pub(super) fn works(&self) -> bool {
        self.is_running() || self.is_writing_back()
    }

    /// Whether a user waits for none of what it does now, so that others come first.
    pub(super) fn comes_second(&self) -> bool {
        self.task.is_maintenance() || !self.is_running()
    }

    /// Whether a user's command may begin here: idle, or at upkeep, which gives way.
    pub(super) fn is_free(&self) -> bool {
        self.phase == Phase::Idle || (self.is_running() && self.task.is_maintenance())
    }

    pub(super) const fn query(&self, slot: u8) -> QueryId {
        QueryId { slot, generation: self.generation }
    }

    pub(super) fn is(&self, query: QueryId) -> bool {
        self.generation == query.generation && self.phase != Phase::Idle && !self.task.is_maintenance()
    }

    /// Whether it looks for records, not just for nodes: who publishes one that others may replace looks whether they did.
    pub(super) fn finds_value(&self) -> bool {
        match self.task {
            Task::Get | Task::Tend => true,
            Task::Republish => self.key.kind != Kind::Immutable,
            _ => false,
        }
    }

    /// The newest version seen, as of `now`.
    pub(super) fn best(&self, now: Instant) -> Option<Version> {
        self.best.map(|(version, then)| self.key.kind.as_of(now, version, then))
    }

    /// Whether the newest version came from this node or won't, it is not waited for any more.
    pub(super) fn stop_fetching(&mut self, from: &Id) {
        if self.fetching.as_ref() == Some(from) {
            self.fetching = None;
        }
    }

    pub(super) const fn set_best(&mut self, now: Instant, version: Version) {
        self.best = Some((version, now));
    }

    pub(super) fn stats(&self) -> QueryStats {
        let best = self.lookup.best();
        QueryStats {
            asked: self.tally.asked,
            responded: self.tally.responded,
            timed_out: self.tally.timed_out,
            refused: self.tally.refused,
            stored: self.tally.stored,
            refusal: self.tally.refusal().map(|(code, _)| code),
            depth: best.map_or(0, Candidate::depth),
            closest: best.map(|entry| G::rank(&self.lookup.target(), &entry.contact().id)),
            hops: self.tally.hops,
            relayed: self.tally.recursion == Recursion::Relayed,
            fell_back: self.tally.recursion == Recursion::FellBack,
            began: self.began,
            took: self.ended.since(self.began),
        }
    }

    pub(super) fn progress(&self) -> Progress<'_, A> {
        Progress { stats: self.stats(), responded: self.lookup.closest(), storing: self.storing }
    }

    pub(super) fn outcome<'a>(&'a self, buffers: &'a [Buffer]) -> Outcome<'a, A> {
        match self.ending {
            Ending::Pong => match self.lookup.best() {
                Some(entry) => Outcome::Pong { contact: entry.contact(), rtt: self.ended.since(self.began) },
                None => Outcome::Failed(Failure::NoResponse),
            },
            Ending::Joined => Outcome::Joined { neighbours: self.lookup.closest() },
            Ending::Nodes => Outcome::Nodes(self.lookup.closest()),
            Ending::Value => {
                let buffer = self.buffer.and_then(|index| buffers.get(usize::from(index)));
                match buffer.and_then(|buffer| buffer.record(self.ended)) {
                    Some((record, lifetime)) => Outcome::Value { record, lifetime, holders: self.lookup.holders() },
                    None => Outcome::NotFound { closest: self.lookup.closest() },
                }
            }
            Ending::NotFound => Outcome::NotFound { closest: self.lookup.closest() },
            Ending::Stored => Outcome::Stored { holders: self.lookup.stored_at(), wanted: usize::from(self.wanted) },
            Ending::Conflict => {
                Outcome::Conflict { holders: self.lookup.stored_at(), held: self.tally.in_the_way.unwrap_or(0) }
            }
            Ending::NoResponse => Outcome::Failed(Failure::NoResponse),
            Ending::TimedOut => Outcome::Failed(Failure::TimedOut),
            Ending::Replaced => Outcome::Failed(Failure::Replaced),
            Ending::Refused => match self.tally.refusal() {
                Some((code, detail)) => Outcome::Failed(Failure::Refused(code, detail)),
                None => Outcome::Failed(Failure::NoResponse),
            },
            Ending::TooLarge => Outcome::Failed(Failure::TooLarge(usize::from(self.tally.too_large))),
        }
    }
}
