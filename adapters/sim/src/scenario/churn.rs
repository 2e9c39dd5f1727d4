//! Nodes come and go.

use core::time::Duration;

use kadlet::Key;

use super::figures::Figures;
use super::runner::{Action, Runner};
use crate::node::SimulatedNode;

/// The part of the nodes that is replaced: what OpenDHT claims to survive.
const REPLACED: f64 = 0.85;

/// Each node dies at the end of its session, and a new one joins through others. The network warms up for a third of
/// the measured time first.
pub(super) fn run<M: SimulatedNode>(mut runner: Runner<'_, M>) -> Figures {
    // Nodes from a calm network would notice too late that most of their contacts are gone.
    runner.network.fresh_tables = true;
    runner.add_ideal();
    let measured = runner.spec.measured();
    runner.begin_phase("nodes come and go", measured + measured / 3);
    for host in 0..runner.spec.nodes {
        runner.schedule_death(host);
    }
    runner.run_for(measured / 3);
    runner.network.count_from_now();
    runner.schedule_lookups(runner.spec.lookups, measured);
    runner.run_for(measured);
    let counts = runner.network.counts();
    runner.run_until_evaluated();
    runner.figures_with(&counts)
}

/// A network stores as many records as it has nodes. 85 % of the nodes are replaced, evenly over the measured time.
/// Then every record is got.
pub(super) fn replace<M: SimulatedNode>(mut runner: Runner<'_, M>) -> Figures {
    runner.add_ideal();
    let (nodes, measured) = (runner.spec.nodes, runner.spec.measured());
    let names: Vec<[u8; 4]> = (0..nodes).map(u32::to_be_bytes).collect();
    runner.begin_phase("putting records", Duration::ZERO);
    runner.put_all(&names, 64, Duration::from_millis(20));
    runner.begin_phase("replacing nodes", measured);
    let replaced = (f64::from(nodes) * REPLACED) as u32;
    let mut hosts: Vec<u32> = (0..nodes).collect();
    for index in 0..replaced {
        let other = index as usize + runner.random().below((nodes - index) as usize);
        hosts.swap(index as usize, other);
        let at = runner.network.now() + measured.mul_f64(f64::from(index) / f64::from(replaced));
        runner.schedule(at, Action::Replace { host: hosts[index as usize], repeats: false });
    }
    runner.network.count_from_now();
    runner.schedule_lookups(runner.spec.lookups, measured);
    runner.run_for(measured);
    let counts = runner.network.counts();
    runner.run_until_evaluated();
    let keys: Vec<Key> = names.iter().map(|name| Key::plain(name)).collect();
    runner.begin_phase("getting records", Duration::ZERO);
    let records_lost = runner.count_lost(&keys, Duration::from_millis(5));
    Figures { records: u64::from(nodes), records_lost, ..runner.figures_with(&counts) }
}
