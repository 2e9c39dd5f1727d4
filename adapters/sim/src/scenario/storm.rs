//! Many nodes restart at once.

use core::time::Duration;

use kadlet::Key;

use super::figures::Figures;
use super::runner::Runner;
use crate::node::SimulatedNode;

/// How many records each node that restarts publishes.
const RECORDS: u32 = 20;

/// A fifth of the nodes puts 20 records each. Then these nodes restart within a second, each with its state, and
/// publish their records again.
pub(super) fn run<M: SimulatedNode>(mut runner: Runner<'_, M>) -> Figures {
    runner.add_ideal();
    let restarting = (runner.spec.nodes / 5).max(1);
    runner.begin_phase("putting records", Duration::ZERO);
    for number in 0..RECORDS {
        for host in 0..restarting {
            runner.put(host, &name(host, number), &number.to_be_bytes(), true);
            runner.run_for(Duration::from_millis(20));
        }
        runner.progress_at(f64::from(number) / f64::from(RECORDS));
    }
    runner.run_until_all_ended();
    let measured = runner.spec.measured();
    runner.begin_phase("a storm of restarts", measured);
    runner.network.count_from_now();
    let began = runner.network.now();
    runner.schedule_lookups(runner.spec.lookups, Duration::from_secs(60));
    for host in 0..restarting {
        if let Some(disk) = runner.network.crash(host) {
            let bootstraps: Vec<u32> = runner.network.any_member().into_iter().collect();
            runner.network.restart(host, Some(&disk), &bootstraps);
        }
        runner.run_for(Duration::from_secs(1) / restarting);
    }
    let converged_seconds = runner.run_until_converged(began, measured);
    let rest = (began + Duration::from_secs(60)).since(runner.network.now());
    runner.run_for(rest);
    runner.run_until_evaluated();
    let counts = runner.network.counts();
    let keys: Vec<Key> =
        (0..restarting).flat_map(|host| (0..RECORDS).map(move |number| Key::plain(&name(host, number)))).collect();
    let records_lost = runner.count_lost(&keys, Duration::from_millis(5));
    Figures { records: keys.len() as u64, records_lost, converged_seconds, ..runner.figures_with(&counts) }
}

fn name(host: u32, number: u32) -> [u8; 8] {
    (u64::from(host) << 32 | u64::from(number)).to_be_bytes()
}
