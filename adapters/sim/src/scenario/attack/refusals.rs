//! Holders that refuse records without proof, and what publishers make of it.

use core::time::Duration;

use kadlet::message::ErrorCode;
use kadlet::{Key, Store};

use super::records::{Put, TestRecord, put_all};
use super::spec::{Attack, AttackSpec};
use crate::adversary::Refuse;
use crate::node::SimulatedNode;
use crate::scenario::runner::Runner;

/// The time in which each publisher has published its record again.
const PUBLISHED_AGAIN: Duration = Duration::from_secs(4_200);

/// Publishers put their records while all nodes are honest. Then holders of each turn hostile, and an hour later all
/// records are put again, the signed ones with a new version. Returns the last puts, and how many records were
/// withdrawn in vain before or after them.
pub(super) fn publish<M: SimulatedNode>(
    runner: &mut Runner<'_, M>,
    spec: &AttackSpec,
    records: &[TestRecord],
    publishers: &[u32],
) -> (Vec<Put>, u64) {
    let code = if spec.attack == Attack::RefuseConflict { ErrorCode::Conflict } else { ErrorCode::Outdated };
    let first = put_all(runner, records, publishers, false, true);
    for (record, publisher, _) in &first {
        let holders = runner.network.responsible(&record.key().id, usize::from(spec.network.k));
        for holder in holders.into_iter().filter(|holder| holder != publisher).take(spec.attackers as usize) {
            runner.network.turn_hostile(holder, Box::new(Refuse(code)));
        }
    }
    runner.run_for(PUBLISHED_AGAIN);
    let publishes = |runner: &Runner<'_, M>, (record, publisher, _): &Put| publishes(runner, *publisher, &record.key());
    let mut withdrawn: Vec<bool> = first.iter().map(|put| !publishes(runner, put)).collect();
    let again = put_all(runner, records, publishers, true, true);
    for (withdrawn, put) in withdrawn.iter_mut().zip(&again) {
        *withdrawn |= !publishes(runner, put);
    }
    (again, withdrawn.into_iter().filter(|withdrawn| *withdrawn).count() as u64)
}

/// Whether a node still has the record under a key as its own.
fn publishes<M: SimulatedNode>(runner: &Runner<'_, M>, publisher: u32, key: &Key) -> bool {
    let store = runner.network.node(publisher).map(|node| node.store());
    store.is_some_and(|store| {
        let held = store.find(key).and_then(|slot| store.get(slot));
        held.is_some_and(|held| held.metadata.pinned)
    })
}
