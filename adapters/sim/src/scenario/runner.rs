//! Runs a scenario: a network, a schedule of actions, and the lookups that were evaluated.

use core::time::Duration;
use std::collections::BTreeMap;

use kadlet::{Id, Instant, Key, Mode, Options, Record};

use super::figures::{Figures, LookupTally};
use super::forwarded::forwarded_lookup;
use super::spec::{LookupMode, MOST_WITH_RECORDS, Spec};
use crate::address::HostAddress;
use crate::links::{Latency, Links};
use crate::network::{Counts, Divergence, Network, OperationId, OperationOutcome, OperationResult};
use crate::node::{Capacity, SimulatedNode};
use crate::progress::Progress;
use crate::random::Random;

/// An operation that finds no node with a free slot is tried again after this time.
const AGAIN: Duration = Duration::from_millis(100);
/// More than any operation takes.
const ALL_ENDED: Duration = Duration::from_secs(32);
/// How often a runner looks whether the network has converged.
const CONVERGENCE_CHECK: Duration = Duration::from_secs(5);
/// How many members are drawn before none counts as free.
const DRAWS: usize = 10;

/// A network, its schedule and its tally.
#[derive(Debug)]
pub(super) struct Runner<'a, M: SimulatedNode> {
    pub(super) network: Network<M>,
    pub(super) spec: Spec,
    schedule: BTreeMap<(Instant, u64), Action>,
    /// The number of the last action that was scheduled: actions of the same time run in this order.
    sequence: u64,
    pub(super) tally: LookupTally,
    progress: &'a mut Progress,
    /// When the phase began whose progress is shown, and how long it takes.
    phase: (Instant, Duration),
    /// The results of operations other than lookups.
    pub(super) results: Vec<OperationResult>,
}

/// What a schedule has done at a certain time.
#[derive(Clone, Copy, Debug)]
pub(super) enum Action {
    /// A member drawn at random looks up a random identifier.
    Lookup,
    /// The node at this host looks up a random identifier.
    LookupFrom(u32),
    /// A node dies, and a new one joins in its place: once, or again and again.
    Replace { host: u32, repeats: bool },
}

impl<'a, M: SimulatedNode> Runner<'a, M> {
    /// An empty network with the specified links and configuration.
    pub(super) fn new(spec: &Spec, progress: &'a mut Progress) -> Self {
        let mut links = Links::new(Latency::INTERNET);
        links.loss = spec.loss;
        let mut network = Network::new(spec.seed, links, spec.config());
        if spec.nodes > MOST_WITH_RECORDS {
            network.capacity = Capacity::NONE;
        }
        network.lookup = match spec.lookup {
            LookupMode::Iterative | LookupMode::Forwarded => Mode::Iterative,
            LookupMode::Recursive => Mode::Recursive,
        };
        let now = network.now();
        Self {
            network,
            spec: spec.clone(),
            schedule: BTreeMap::new(),
            sequence: 0,
            tally: LookupTally::default(),
            progress,
            phase: (now, Duration::ZERO),
            results: Vec::new(),
        }
    }

    /// Fills the network with nodes whose tables are ideal.
    pub(super) fn add_ideal(&mut self) {
        let addresses: Vec<_> = (0..self.spec.nodes).map(HostAddress::spread).collect();
        self.add_ideal_at(&addresses);
    }

    /// The same with a node at each of these addresses.
    pub(super) fn add_ideal_at(&mut self, addresses: &[HostAddress]) {
        let (nodes, mut done) = (addresses.len() as u32, 0);
        self.progress.begin(format!("making {nodes} nodes"));
        let progress = &mut *self.progress;
        self.network.add_ideal_at(addresses, || {
            done += 1;
            if done % 256 == 0 {
                progress.at(f64::from(done) / f64::from(nodes));
            }
        });
    }

    pub(super) fn random(&mut self) -> &mut Random {
        &mut self.network.random
    }

    /// Begins a phase: progress is shown as the part of `time` that has passed.
    pub(super) fn begin_phase(&mut self, what: &str, time: Duration) {
        self.phase = (self.network.now(), time);
        self.progress.begin(what);
    }

    /// Shows progress where simulated time doesn't tell it: 0 to 1.
    pub(super) fn progress_at(&mut self, part: f64) {
        self.progress.at(part);
    }

    pub(super) fn schedule(&mut self, time: Instant, action: Action) {
        self.sequence += 1;
        self.schedule.insert((time, self.sequence), action);
    }

    /// Schedules this many lookups, evenly from now on.
    pub(super) fn schedule_lookups(&mut self, lookups: u32, over: Duration) {
        let now = self.network.now();
        for lookup in 0..lookups {
            self.schedule(now + over.mul_f64(f64::from(lookup) / f64::from(lookups)), Action::Lookup);
        }
    }

    /// Schedules the specified lookups, evenly from now on, at the nodes whose numbers are multiples of `every`, in
    /// turn.
    pub(super) fn schedule_lookups_from(&mut self, every: u32, over: Duration) {
        let (now, lookups) = (self.network.now(), self.spec.lookups);
        let requesters = self.spec.nodes.div_ceil(every);
        for lookup in 0..lookups {
            let requester = lookup % requesters * every;
            let at = now + over.mul_f64(f64::from(lookup) / f64::from(lookups));
            self.schedule(at, Action::LookupFrom(requester));
        }
    }

    /// Schedules a node's death for the end of its session. The node that joins in its place will die as well.
    pub(super) fn schedule_death(&mut self, host: u32) {
        let session = self.spec.draw_session(&mut self.network.random);
        let at = self.network.now() + session;
        self.schedule(at, Action::Replace { host, repeats: true });
    }

    /// Runs the network and the schedule for this time.
    pub(super) fn run_for(&mut self, time: Duration) {
        let end = self.network.now() + time;
        loop {
            let next = self.schedule.first_key_value().map(|((at, _), _)| *at).filter(|at| *at <= end);
            self.run_until(next.unwrap_or(end));
            if next.is_none() {
                return;
            }
            if let Some((_, action)) = self.schedule.pop_first() {
                self.perform(action);
            }
        }
    }

    /// Runs until every operation under way has ended.
    pub(super) fn run_until_all_ended(&mut self) {
        self.run_for(ALL_ENDED);
    }

    /// Runs until every specified lookup is evaluated, or can't be because its requester died.
    pub(super) fn run_until_evaluated(&mut self) {
        let most = self.network.now() + ALL_ENDED;
        while self.tally.evaluated() < u64::from(self.spec.lookups) && self.network.now() < most {
            self.run_for(AGAIN);
        }
    }

    /// Runs until the network has converged, for `most` at the longest. Returns how many seconds after `since` that
    /// was; `None` if it has not.
    pub(super) fn run_until_converged(&mut self, since: Instant, most: Duration) -> Option<f64> {
        let end = self.network.now() + most;
        while self.network.now() < end {
            self.run_for(CONVERGENCE_CHECK);
            if self.network.not_joined() == 0 && self.network.divergence() == Divergence::default() {
                return Some(self.network.now().since(since).as_secs_f64());
            }
        }
        None
    }

    /// Puts a plain record at a node. `None` if it can't begin.
    pub(super) fn put(&mut self, host: u32, name: &[u8], value: &[u8], publish: bool) -> Option<OperationId> {
        let options = Options { publish, mode: self.network.lookup, ..Options::DEFAULT };
        self.network.put(host, &Record::plain(name, value), &options).ok()
    }

    /// Puts a value of this length under each name, each at a member drawn at random, and waits until all puts have
    /// ended.
    pub(super) fn put_all(&mut self, names: &[[u8; 4]], bytes: usize, pause: Duration) {
        for name in names {
            let value = value_of(name, bytes);
            // Nearly always one of these members is free. A record that none can put shows as lost when it is got.
            let _ = (0..DRAWS).find_map(|_| {
                let host = self.network.any_member()?;
                self.put(host, name, &value, false)
            });
            self.run_for(pause);
        }
        self.run_until_all_ended();
    }

    /// Gets these keys, each at a member drawn at random, waits until all gets have ended, and counts those that found
    /// no value.
    pub(super) fn count_lost(&mut self, keys: &[Key], pause: Duration) -> u64 {
        self.get_all(keys, pause).iter().filter(|value| value.is_none()).count() as u64
    }

    /// Gets these keys in the same way, and returns the values.
    pub(super) fn get_all(&mut self, keys: &[Key], pause: Duration) -> Vec<Option<Vec<u8>>> {
        let value = |result: Option<OperationResult>| match result?.outcome {
            OperationOutcome::Value { value, .. } => Some(value),
            _ => None,
        };
        self.get_each(keys, pause).into_iter().map(value).collect()
    }

    /// Gets these keys in the same way, and returns the results; `None` for a get that no node could begin, or that has
    /// no result.
    pub(super) fn get_each(&mut self, keys: &[Key], pause: Duration) -> Vec<Option<OperationResult>> {
        let mut begun = BTreeMap::new();
        for (index, key) in keys.iter().enumerate() {
            for _ in 0..DRAWS {
                let operation = self.network.any_member().and_then(|requester| self.network.get(requester, *key).ok());
                if let Some(operation) = operation {
                    begun.insert(operation, index);
                    break;
                }
                self.run_for(AGAIN);
            }
            self.run_for(pause);
        }
        self.run_until_all_ended();
        let mut gets = vec![None; keys.len()];
        for result in core::mem::take(&mut self.results) {
            if let Some(index) = begun.get(&result.operation) {
                gets[*index] = Some(result);
            }
        }
        gets
    }

    /// The figures since [`Network::count_from_now`].
    pub(super) fn figures(mut self) -> Figures {
        let counts = self.network.counts();
        self.figures_with(&counts)
    }

    /// The figures, with traffic that was counted up to an earlier instant.
    pub(super) fn figures_with(mut self, counts: &Counts) -> Figures {
        self.network.check_overdue();
        let checks = self.network.checks();
        Figures {
            load_max_over_mean: self.network.load_max_over_mean(),
            not_joined: self.network.not_joined(),
            violations: checks.count(),
            violated: checks.violations().to_vec(),
            seed: self.spec.seed,
            ..self.tally.figures(counts)
        }
    }

    /// Runs the network up to a time, shows progress, and collects results.
    fn run_until(&mut self, end: Instant) {
        let (from, time) = self.phase;
        let second = Duration::from_secs(1);
        while self.network.now() < end {
            let next = end.min(self.network.now() + second);
            self.network.run_until(next);
            if !time.is_zero() {
                self.progress.at((next.since(from).as_secs_f64() / time.as_secs_f64()).min(1.0));
            }
            self.collect();
        }
        self.collect();
    }

    fn collect(&mut self) {
        while let Some(result) = self.network.next_result() {
            match result.outcome {
                OperationOutcome::Found { right, closest } => {
                    let direct = closest.map(|closest| self.network.links.latency.round_trip(result.host, closest));
                    self.tally.add(&result.stats, right, direct);
                }
                // Whether it would have been right is unknown.
                OperationOutcome::Died => {}
                _ => self.results.push(result),
            }
        }
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::Lookup => {
                let target = self.random().id();
                let begun = (0..DRAWS)
                    .any(|_| self.network.any_member().is_some_and(|requester| self.look_up(requester, target)));
                if !begun {
                    let later = self.network.now() + AGAIN;
                    self.schedule(later, Action::Lookup);
                }
            }
            Action::LookupFrom(requester) => {
                let target = self.random().id();
                if !self.look_up(requester, target) {
                    let later = self.network.now() + AGAIN;
                    self.schedule(later, action);
                }
            }
            Action::Replace { host, repeats } => self.replace(host, repeats),
        }
    }

    /// Begins a lookup; false if the requester has no free slot.
    fn look_up(&mut self, requester: u32, target: Id) -> bool {
        if self.spec.lookup != LookupMode::Forwarded {
            return self.network.find_node(requester, target).is_ok();
        }
        let (last, stats) = forwarded_lookup(&mut self.network, requester, target);
        let direct = last.map(|last| self.network.links.latency.round_trip(requester, last));
        let right = last.is_some() && last == self.network.responsible(&target, 1).first().copied();
        self.tally.add(&stats, right, direct);
        true
    }

    fn replace(&mut self, host: u32, repeats: bool) {
        self.network.crash(host);
        // With a single bootstrap address, a newcomer could never join if the node there dies first.
        let bootstraps: Vec<u32> = (0..2).filter_map(|_| self.network.any_member()).collect();
        let newcomer = self.network.join(&bootstraps);
        if repeats {
            self.schedule_death(newcomer);
        }
    }
}

/// The value that is put under a name.
pub(super) fn value_of(name: &[u8; 4], bytes: usize) -> Vec<u8> {
    name.iter().copied().cycle().take(bytes).collect()
}
