//! Colluders that stay, in a network whose honest nodes come and go.

use core::cell::RefCell;
use core::time::Duration;
use std::collections::HashSet;
use std::rc::Rc;

use kadlet::{Dht, Event, Id, Instant, Options, Outcome, QueryId};

use super::place::{Peers, contact, empty, honest, measures};
use super::spec::{Measure, TrialSpec};
use crate::address::HostAddress;
use crate::application::Application;
use crate::progress::Progress;
use crate::scenario::attack::placing::turn_hostile;
use crate::scenario::attack::records::{TestRecord, get_all, put_all};
use crate::scenario::attack::{Attack, AttackSpec};

/// From the puts to the gets.
const LATER: Duration = Duration::from_secs(600);
/// How many lookups for the closest nodes run at once, and how long they may take.
const AT_ONCE: u32 = 20;
const LOOKUP: Duration = Duration::from_secs(20);
/// Of how many of the closest nodes the honest ones are expected.
const CLOSEST: usize = 8;

pub(super) fn run(spec: &TrialSpec, spread: bool, progress: &mut Progress) -> Vec<Measure> {
    let network = spec.network.clone();
    let (attackers, gets) = (spec.attackers, network.lookups);
    let mut runner = empty(&network, progress);
    runner.network.fresh_tables = true;
    runner.add_ideal();
    let attack = if spread { Attack::ColludeSpread } else { Attack::Collude };
    turn_hostile(&mut runner, &AttackSpec { network, attack, attackers, records: 1 });
    for host in attackers..spec.network.nodes {
        runner.schedule_death(host);
    }
    runner.run_for(spec.network.measured());
    let records = TestRecord::of_each_kind(gets.div_ceil(5));
    let publishers = honest(&runner);
    put_all(&mut runner, &records, &publishers, true, true);
    runner.run_for(LATER);
    runner.results.clear();
    let requesters = honest(&runner);
    let right = get_all(&mut runner, &records, &requesters, gets).figures().right;
    let (expected, found) = closest(&mut runner, gets);
    measures(&runner, [("right", right), ("closest_found", found as f64 / f64::from(expected.max(1)))])
}

/// Looks up random targets. Returns how many honest nodes are among the true closest, and how many of these were found.
fn closest(runner: &mut Peers<'_>, lookups: u32) -> (u32, usize) {
    let (mut expected, mut right) = (0, 0);
    for _ in 0..lookups.div_ceil(AT_ONCE) {
        let mut hosts = honest(runner);
        let mut searches = Vec::new();
        for _ in 0..AT_ONCE.min(hosts.len() as u32) {
            let host = hosts.swap_remove(runner.random().below(hosts.len()));
            let (target, found) = (runner.random().id(), Rc::new(RefCell::new(None)));
            let before = closest_honest(runner, &target, host);
            runner.network.attach(host, Box::new(Search { target, query: None, found: found.clone() }));
            searches.push((host, target, before, found));
        }
        runner.run_for(LOOKUP);
        for (host, target, mut closest, found) in searches {
            closest.retain(|address| closest_honest(runner, &target, host).contains(address));
            let found = found.borrow();
            // The requester may have died.
            if let Some(found) = found.as_ref() {
                expected += closest.len() as u32;
                right += closest.iter().filter(|address| found.contains(*address)).count();
            }
        }
    }
    (expected, right)
}

/// The honest nodes among the true closest to a target, but for the requester.
fn closest_honest(runner: &Peers<'_>, target: &Id, requester: u32) -> HashSet<HostAddress> {
    let near = runner.network.responsible(target, CLOSEST + 1).into_iter().filter(|host| *host != requester);
    let honest = near.take(CLOSEST).filter(|host| !runner.network.is_hostile(*host));
    honest.map(|host| contact(runner, host).address).collect()
}

/// Looks up a target, and keeps the addresses of the nodes that are found.
struct Search {
    target: Id,
    query: Option<QueryId>,
    found: Rc<RefCell<Option<Vec<HostAddress>>>>,
}

impl<M: Dht<Address = HostAddress>> Application<M> for Search {
    fn handle_event(&mut self, _: Instant, event: &Event<'_, HostAddress>) {
        let Event::Finished(result) = event else { return };
        if self.query == Some(result.query) {
            let found = match &result.outcome {
                Outcome::Nodes(found) => found.iter().map(|contact| contact.address).collect(),
                _ => Vec::new(),
            };
            *self.found.borrow_mut() = Some(found);
        }
    }

    fn act(&mut self, now: Instant, node: &mut M) -> Option<Instant> {
        if self.query.is_none() {
            self.query = node.find_node(now, self.target, &Options::DEFAULT).ok();
        }
        None
    }
}
