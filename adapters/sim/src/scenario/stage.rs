//! Where a history plays: a network, a script of what is to be done by when, and the tally of what came of it.

use core::time::Duration;
use std::collections::BTreeMap;

use kadlet::{Id, Instant, Key, Options, Record};

use super::figures::Tally;
use super::{Figures, Mode, Spec};
use crate::progress::Progress;
use crate::{Counts, Ended, Ending, Latency, Links, Make, Network, Operation, Random};

/// A lookup that finds no idle node to begin at is tried again after this.
const AGAIN: Duration = Duration::from_millis(100);
/// Longer than any operation takes.
pub(super) const ALL_ENDED: Duration = Duration::from_secs(32);

/// A network, its script and its tally.
#[derive(Debug)]
pub struct Stage<'a, M: Make> {
    /// The network.
    pub network: Network<M>,
    pub(super) spec: Spec,
    script: BTreeMap<(Instant, u64), Act>,
    written: u64,
    pub(super) tally: Tally,
    progress: &'a mut Progress,
    /// What the progress is shown of.
    span: (Instant, Duration),
    /// Operations other than lookups that ended.
    pub(super) ended: Vec<Ended>,
}

/// Something that is done at a certain time.
#[derive(Clone, Copy, Debug)]
pub(super) enum Act {
    /// Some member looks a random identifier up.
    Lookup,
    /// The node at this address does.
    LookupFrom(u32),
    /// A node dies, and a new one joins in its place; for ever on, or once.
    Replace { address: u32, for_ever: bool },
}

impl<'a, M: Make> Stage<'a, M> {
    /// An empty network on an Internet of the specified loss.
    pub fn new(spec: &Spec, progress: &'a mut Progress) -> Self {
        let mut links = Links::new(Latency::INTERNET);
        links.loss = spec.loss;
        let mut network = Network::new(spec.seed, links, spec.config());
        if spec.nodes > super::spec::MOST_WITH_RECORDS {
            network.room = crate::Room::NONE;
        }
        network.lookup = match spec.lookup {
            Mode::Iterative | Mode::Forwarded => kadlet::Mode::Iterative,
            Mode::Recursive => kadlet::Mode::Recursive,
        };
        let now = network.now();
        Self {
            network,
            spec: spec.clone(),
            script: BTreeMap::new(),
            written: 0,
            tally: Tally::default(),
            progress,
            span: (now, Duration::ZERO),
            ended: Vec::new(),
        }
    }

    /// Fills the network with nodes whose tables are ideal.
    pub fn add_ideal(&mut self) {
        let (nodes, mut done) = (self.spec.nodes, 0);
        self.progress.begin(format!("making {nodes} nodes"));
        let progress = &mut *self.progress;
        self.network.add_ideal(nodes, || {
            done += 1;
            if done % 256 == 0 {
                progress.at(f64::from(done) / f64::from(nodes));
            }
        });
    }

    pub(super) fn random(&mut self) -> &mut Random {
        &mut self.network.random
    }

    pub(super) fn at(&mut self, time: Instant, act: Act) {
        self.written += 1;
        self.script.insert((time, self.written), act);
    }

    /// From now on, progress is of so much time to come.
    pub(super) fn begin(&mut self, what: &str, time: Duration) {
        self.span = (self.network.now(), time);
        self.progress.begin(what);
    }

    /// It is so far, where that isn't told by time.
    pub(super) fn progress_at(&mut self, part: f64) {
        self.progress.at(part);
    }

    /// The lookups of the specification, from the nodes at every so-manieth address in turn, evenly spread over a time from now on.
    pub(super) fn look_up_from(&mut self, every: u32, over: Duration) {
        let (now, lookups) = (self.network.now(), self.spec.lookups);
        let requesters = self.spec.nodes.div_ceil(every);
        for lookup in 0..lookups {
            let requester = lookup % requesters * every;
            self.at(now + over.mul_f64(f64::from(lookup) / f64::from(lookups)), Act::LookupFrom(requester));
        }
    }

    /// So many lookups, evenly spread over a time from now on.
    pub(super) fn look_up(&mut self, lookups: u32, over: Duration) {
        let now = self.network.now();
        for lookup in 0..lookups {
            self.at(now + over.mul_f64(f64::from(lookup) / f64::from(lookups)), Act::Lookup);
        }
    }

    /// Plays for so long.
    pub(super) fn play(&mut self, time: Duration) {
        let end = self.network.now() + time;
        loop {
            let next = self.script.first_key_value().map(|((at, _), _)| *at).filter(|at| *at <= end);
            self.run_until(next.unwrap_or(end));
            if next.is_none() {
                return;
            }
            if let Some((_, act)) = self.script.pop_first() {
                self.perform(act);
            }
        }
    }

    /// Plays until all that is under way has ended, whose events then are told.
    pub(super) fn play_out(&mut self) {
        self.play(ALL_ENDED);
    }

    /// Plays until every lookup of the specification is judged, or its asker died.
    pub(super) fn play_until_judged(&mut self) {
        let most = self.network.now() + ALL_ENDED;
        while self.tally.judged() < u64::from(self.spec.lookups) && self.network.now() < most {
            self.play(AGAIN);
        }
    }

    fn run_until(&mut self, end: Instant) {
        let (from, time) = self.span;
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
        while let Some(ended) = self.network.next_ended() {
            match ended.ending {
                Ending::Found { right, closest } => {
                    let direct = closest.map(|closest| self.network.links.latency.round_trip(ended.address, closest));
                    self.tally.add(&ended.stats, right, direct);
                }
                // Whether it would have been right nobody knows.
                Ending::Died => {}
                _ => self.ended.push(ended),
            }
        }
    }

    fn perform(&mut self, act: Act) {
        match act {
            Act::Lookup => {
                let target = self.random().id();
                let begun =
                    (0..10).any(|_| self.network.any_member().is_some_and(|requester| self.find(requester, target)));
                if !begun {
                    let later = self.network.now() + AGAIN;
                    self.at(later, Act::Lookup);
                }
            }
            Act::LookupFrom(requester) => {
                let target = self.random().id();
                if !self.find(requester, target) {
                    let later = self.network.now() + AGAIN;
                    self.at(later, act);
                }
            }
            Act::Replace { address, for_ever } => self.replace(address, for_ever),
        }
    }

    /// Begins a lookup; false if its asker has no room for it.
    fn find(&mut self, requester: u32, target: Id) -> bool {
        if self.spec.lookup != Mode::Forwarded {
            return self.network.find_node(requester, target).is_ok();
        }
        let (end, stats) = self.network.forward(requester, target);
        let direct = end.map(|end| self.network.links.latency.round_trip(requester, end));
        self.tally.add(&stats, end.is_some() && end == self.network.responsible(&target, 1).first().copied(), direct);
        true
    }

    fn replace(&mut self, address: u32, for_ever: bool) {
        self.network.crash(address);
        // Whoever knows one address only is lost with it.
        let known: Vec<u32> = (0..2).filter_map(|_| self.network.any_member()).collect();
        let newcomer = self.network.join(&known);
        if for_ever {
            self.schedule_death(newcomer);
        }
    }

    /// Has a node die, and be replaced, when its session ends.
    pub(super) fn schedule_death(&mut self, address: u32) {
        let session = self.spec.draw_session(&mut self.network.random);
        let at = self.network.now() + session;
        self.at(at, Act::Replace { address, for_ever: true });
    }

    /// Puts a plain record under a name at a node.
    pub(super) fn put(&mut self, address: u32, name: &[u8], value: &[u8], publish: bool) -> Option<Operation> {
        let options = Options { publish, mode: self.network.lookup, ..Options::DEFAULT };
        self.network.put(address, &Record::plain(name, value), &options).ok()
    }

    /// Puts a value of so many bytes under each name, one after another, each at a member drawn at random, and waits for all.
    pub(super) fn put_all(&mut self, names: &[[u8; 4]], bytes: usize, pause: Duration) {
        for name in names {
            let value = value_of(name, bytes);
            // Of ten members one is idle; a record that nobody can put is missed when it is got.
            let _ = (0..10).find_map(|_| {
                let address = self.network.any_member()?;
                self.put(address, name, &value, false)
            });
            self.play(pause);
        }
        self.play_out();
    }

    /// Gets all these, one after another, each at a member drawn at random, and tells what each get returned.
    pub(super) fn get_all(&mut self, keys: &[Key], pause: Duration) -> Vec<Option<Vec<u8>>> {
        let value = |ended: Option<Ended>| match ended?.ending {
            Ending::Value { value, .. } => Some(value),
            _ => None,
        };
        self.get_each(keys, pause).into_iter().map(value).collect()
    }

    /// The same, but tells how each get ended; `None` where nobody could begin it, or the asker died.
    pub(super) fn get_each(&mut self, keys: &[Key], pause: Duration) -> Vec<Option<Ended>> {
        let mut begun = BTreeMap::new();
        for (index, key) in keys.iter().enumerate() {
            for _ in 0..10 {
                let operation = self.network.any_member().and_then(|requester| self.network.get(requester, *key).ok());
                if let Some(operation) = operation {
                    begun.insert(operation, index);
                    break;
                }
                self.play(AGAIN);
            }
            self.play(pause);
        }
        self.play_out();
        let mut gets = vec![None; keys.len()];
        for ended in core::mem::take(&mut self.ended) {
            if let Some(index) = begun.get(&ended.operation) {
                gets[*index] = Some(ended);
            }
        }
        gets
    }

    /// The figures of all that was counted since [`Network::count_from_now`].
    pub(super) fn figures(mut self) -> Figures {
        let counts = self.network.counts();
        self.figures_of(&counts)
    }

    /// The figures, with the traffic that was counted up to an earlier instant.
    pub(super) fn figures_of(mut self, counts: &Counts) -> Figures {
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
}

/// What is put under a name.
pub(super) fn value_of(name: &[u8; 4], bytes: usize) -> Vec<u8> {
    name.iter().copied().cycle().take(bytes).collect()
}
