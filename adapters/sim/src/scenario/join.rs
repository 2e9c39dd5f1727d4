//! A network forms.

use core::time::Duration;

use super::figures::Figures;
use super::runner::Runner;
use crate::network::OperationOutcome;
use crate::node::SimulatedNode;

/// The time between the last join and the first lookup.
const CALM: Duration = Duration::from_secs(60);
/// A node that has not joined after this time is not waited for.
const PATIENCE: Duration = Duration::from_secs(120);

/// All nodes join through the first, one after another or at once. Then every hundredth node looks up, and the requests
/// that each node serves are counted.
pub(super) fn run<M: SimulatedNode>(mut runner: Runner<'_, M>) -> Figures {
    let nodes = runner.spec.nodes;
    let first = runner.network.join(&[]);
    runner.begin_phase("joining", Duration::ZERO);
    for joined in 1..nodes {
        let host = runner.network.join(&[first]);
        if !runner.spec.burst {
            run_until_joined(&mut runner, host);
        }
        runner.progress_at(f64::from(joined) / f64::from(nodes));
    }
    let patience = runner.network.now() + PATIENCE;
    while runner.network.not_joined() > 0 && runner.network.now() < patience {
        runner.run_for(Duration::from_secs(1));
    }
    runner.results.clear();
    let measured = runner.spec.measured();
    runner.begin_phase("looking up", CALM + measured);
    runner.run_for(CALM);
    runner.network.count_from_now();
    runner.schedule_lookups_from(100, measured);
    runner.run_for(measured);
    runner.run_until_evaluated();
    runner.figures()
}

/// Runs until this node has joined. Results of others are dropped.
fn run_until_joined<M: SimulatedNode>(runner: &mut Runner<'_, M>, host: u32) {
    let patience = runner.network.now() + PATIENCE;
    while runner.network.step(patience) {
        while let Some(result) = runner.network.next_result() {
            if result.host == host && result.outcome == OperationOutcome::Joined {
                return;
            }
        }
    }
}
