//! A network splits, and heals.

use core::time::Duration;

use kadlet::Key;

use super::figures::Figures;
use super::runner::Runner;
use crate::node::SimulatedNode;

/// The network splits into halves for the measured time. Records are put in both halves, half of them under the same
/// names. Then the network heals, and is watched for as long again.
pub(super) fn run<M: SimulatedNode>(mut runner: Runner<'_, M>) -> Figures {
    runner.add_ideal();
    let (nodes, measured) = (runner.spec.nodes, runner.spec.measured());
    runner.begin_phase("a split network", measured * 2);
    for host in (1..nodes).step_by(2) {
        runner.network.links.assign_partition(host, 1);
    }
    runner.network.links.cut(0, 1);
    runner.network.links.cut(1, 0);
    let records = (nodes / 10).max(2);
    let mut keys = Vec::new();
    for record in 0..records {
        let (half, number) = (record % 2, record / 2);
        // Every other name is the same in both halves.
        let name = [number, if number % 2 == 0 { 0 } else { half }].map(u32::to_be_bytes).concat();
        let writer = runner.random().below((nodes / 2) as usize) as u32 * 2 + half;
        runner.put(writer, &name, &record.to_be_bytes(), false);
        keys.push(Key::plain(&name));
        runner.run_for(measured.mul_f64(0.9 / f64::from(records)));
    }
    runner.run_for(measured.mul_f64(0.1));
    runner.network.links.heal();
    let healed = runner.network.now();
    runner.network.count_from_now();
    let converged_seconds = runner.run_until_converged(healed, measured);
    let minute = Duration::from_secs(60);
    runner.schedule_lookups(runner.spec.lookups, minute);
    runner.run_for(minute);
    runner.run_until_evaluated();
    let counts = runner.network.counts();
    keys.sort_unstable();
    keys.dedup();
    let records_lost = runner.count_lost(&keys, Duration::from_millis(50));
    Figures { records: keys.len() as u64, records_lost, converged_seconds, ..runner.figures_with(&counts) }
}
