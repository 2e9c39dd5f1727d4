//! Scenarios in which tables are ideal at the beginning.

use core::time::Duration;

use kadlet::{Chord, Key};

use super::figures::Figures;
use super::runner::{Runner, value_of};
use super::spec::{Scenario, Spec};
use crate::address::HostAddress;
use crate::network::OperationOutcome;
use crate::node::{Peer, SimulatedNode, WidePeer};
use crate::progress::Progress;

/// The length of the values in [`Scenario::Gets`], in bytes.
pub(crate) const VALUE: usize = 64;
/// The time between two puts.
const PUT_PAUSE: Duration = Duration::from_millis(20);
/// The time between two gets of the same value: the traffic of two at once could not be told apart.
const SAME_VALUE_PAUSE: Duration = Duration::from_secs(5);

/// Lookups in a network where nothing happens, except that datagrams can get lost.
pub(super) fn run<M: SimulatedNode>(mut runner: Runner<'_, M>) -> Figures {
    runner.add_ideal();
    look_up(&mut runner);
    runner.figures()
}

/// A part of the nodes dies at once. All lookups begin within ten seconds.
pub(super) fn stale<M: SimulatedNode>(mut runner: Runner<'_, M>) -> Figures {
    runner.add_ideal();
    kill(&mut runner);
    look_up(&mut runner);
    runner.figures()
}

/// Every node has a value put, or as many nodes as there are gets. Then the values are got in turn. The traffic counted
/// is that of the gets alone: the puts are over, and what holders send each other belongs to no operation.
pub(super) fn gets<M: SimulatedNode>(mut runner: Runner<'_, M>) -> Figures {
    runner.add_ideal();
    let Spec { nodes, lookups, .. } = runner.spec;
    let names: Vec<[u8; 4]> = (0..nodes.min(lookups)).map(u32::to_be_bytes).collect();
    runner.begin_phase("putting values", PUT_PAUSE * names.len() as u32);
    runner.put_all(&names, VALUE, PUT_PAUSE);
    let pause = SAME_VALUE_PAUSE / names.len() as u32;
    let names: Vec<[u8; 4]> = names.into_iter().cycle().take(lookups as usize).collect();
    let keys: Vec<Key> = names.iter().map(|name| Key::plain(name)).collect();
    runner.begin_phase("getting values", pause * lookups);
    runner.network.count_from_now();
    for (get, name) in runner.get_each(&keys, pause).into_iter().zip(names) {
        // A get that no node could begin counts as wrong.
        let stats = get.as_ref().map(|get| get.stats).unwrap_or_default();
        let right = get.is_some_and(
            |get| matches!(get.outcome, OperationOutcome::Value { value, .. } if value == value_of(&name, VALUE)),
        );
        runner.tally.add(&stats, right, None);
    }
    runner.figures()
}

/// [`Scenario::Stale`] on a Chord with 20 successors. `converged_seconds` in the figures is the time until the ring was
/// whole again; it is watched for an hour.
pub fn half_dead_chord(spec: &Spec, progress: &mut Progress) -> Figures {
    let mut runner = Runner::<WidePeer<Chord<HostAddress, 20, 192>>>::new(spec, progress);
    runner.add_ideal();
    kill(&mut runner);
    let died = runner.network.now();
    look_up(&mut runner);
    let counts = runner.network.counts();
    let converged_seconds = runner.run_until_converged(died, Duration::from_secs(3_600));
    Figures { converged_seconds, ..runner.figures_with(&counts) }
}

/// Lookups in a network whose links take small datagrams only (see [`Spec::max_datagram`]), after `records` values of
/// `value` bytes were put and got, each by any node. `records_lost` in the figures counts the values that could not be
/// put or not be got.
pub fn small_datagrams(spec: &Spec, progress: &mut Progress, records: u32, value: usize) -> Figures {
    let mut runner = Runner::<Peer>::new(spec, progress);
    runner.add_ideal();
    let names: Vec<[u8; 4]> = (0..records).map(u32::to_be_bytes).collect();
    runner.put_all(&names, value, PUT_PAUSE);
    let keys: Vec<Key> = names.iter().map(|name| Key::plain(name)).collect();
    let values = runner.get_all(&keys, Duration::from_millis(20));
    let lost = values.iter().filter(|found| found.as_ref().is_none_or(|found| found.len() != value)).count();
    look_up(&mut runner);
    Figures { records: u64::from(records), records_lost: lost as u64, ..runner.figures() }
}

/// Kills the specified part of the nodes, drawn at random.
fn kill<M: SimulatedNode>(runner: &mut Runner<'_, M>) {
    let mut hosts: Vec<u32> = (0..runner.spec.nodes).collect();
    for index in 0..hosts.len() {
        let other = index + runner.random().below(hosts.len() - index);
        hosts.swap(index, other);
    }
    for host in &hosts[runner.spec.survivors() as usize..] {
        runner.network.crash(*host);
    }
}

/// Runs the specified lookups, and counts their traffic.
fn look_up<M: SimulatedNode>(runner: &mut Runner<'_, M>) {
    let longest = if runner.spec.scenario == Scenario::Stale { Duration::from_secs(10) } else { Duration::MAX };
    let time = lookup_time(&runner.spec).min(longest);
    runner.network.count_from_now();
    runner.begin_phase("looking up", time);
    runner.schedule_lookups(runner.spec.lookups, time);
    runner.run_for(time);
    runner.run_until_evaluated();
}

/// The time over which lookups are spread. A second has at least one for each hundred nodes, so that a large network
/// needn't be simulated for long.
fn lookup_time(spec: &Spec) -> Duration {
    let per_second = (spec.nodes / 100).clamp(100, 10_000);
    Duration::from_secs(1).mul_f64(f64::from(spec.lookups) / f64::from(per_second))
}
