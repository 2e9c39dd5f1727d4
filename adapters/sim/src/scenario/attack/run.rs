//! One attack: records are put, then got, while it lasts.

use kadlet::{Kademlia, Kind};

use super::crowds::{addresses, filter, renumber};
use super::figures::AttackFigures;
use super::placing::{join_through_attackers, plant_old, surround, turn_hostile};
use super::records::{Put, TestRecord, get_all, put_all};
use super::refusals::publish;
use super::spec::{Attack, AttackSpec};
use crate::address::HostAddress;
use crate::network::OperationOutcome;
use crate::node::{ChordTable, PastryTable, Peer, SimulatedNode};
use crate::progress::Progress;
use crate::scenario::runner::Runner;
use crate::scenario::spec::{Geometry, InvalidSpec};
use crate::signed::SignedRecord;

/// Runs an attack: records of each kind are put by honest nodes while it lasts, then got by honest nodes.
///
/// ```
/// use kadlet_sim::progress::Progress;
/// use kadlet_sim::scenario::{self, Attack, AttackSpec, Scenario, Spec};
///
/// let network = Spec { nodes: 100, lookups: 20, ..Spec::new(Scenario::Gets) };
/// let spec = AttackSpec { network, attack: Attack::None, attackers: 0, records: 5 };
/// let figures = scenario::attack(&spec, &mut Progress::silent())?;
/// assert_eq!((figures.right, figures.gets), (1.0, 60));
/// # Ok::<(), scenario::InvalidSpec>(())
/// ```
///
/// # Errors
///
/// [`InvalidSpec`]: a parameter is out of its range. Nothing was run.
pub fn attack(spec: &AttackSpec, progress: &mut Progress) -> Result<AttackFigures, InvalidSpec> {
    spec.check()?;
    Ok(match spec.network.geometry {
        Geometry::Kademlia => run::<Peer<Kademlia<HostAddress, 192>>>(spec, progress),
        Geometry::Chord => run::<Peer<ChordTable>>(spec, progress),
        Geometry::Pastry => run::<Peer<PastryTable>>(spec, progress),
    })
}

fn run<M: SimulatedNode>(spec: &AttackSpec, progress: &mut Progress) -> AttackFigures {
    let mut runner = Runner::<M>::new(&spec.network, progress);
    runner.network.config.verify = Some(SignedRecord::VERIFY);
    runner.add_ideal_at(&addresses(spec));
    let records = TestRecord::of_each_kind(spec.records);
    turn_hostile(&mut runner, spec);
    let is_honest = |host: &u32| !runner.network.is_hostile(*host);
    let mut honest: Vec<u32> = (0..spec.network.nodes).filter(is_honest).collect();
    let unreachable_contacts = if spec.attack == Attack::Nat { filter(&mut runner, spec) } else { 0.0 };
    let (puts, withdrawn) = put(&mut runner, spec, &records, &honest);
    match spec.attack {
        Attack::Renumber => renumber(&mut runner, spec),
        Attack::PlantOld => plant_old(&mut runner, spec, &records),
        Attack::Bootstrap | Attack::BootstrapInvent => honest = join_through_attackers(&mut runner, spec, &honest),
        _ => {}
    }
    runner.results.clear();
    let tally = get_all(&mut runner, &records, &honest, spec.network.lookups);
    let ended = |matches: fn(&OperationOutcome) -> bool| {
        puts.iter().filter(|(.., outcome)| outcome.as_ref().is_some_and(matches)).count() as u64
    };
    let checks = runner.network.checks();
    AttackFigures {
        puts: puts.len() as u64,
        puts_stored: ended(|outcome| matches!(outcome, OperationOutcome::Stored { .. })),
        puts_conflict: ended(|outcome| *outcome == OperationOutcome::Conflict),
        withdrawn,
        unreachable_contacts,
        violations: checks.count(),
        violated: checks.violations().to_vec(),
        seed: spec.network.seed,
        ..tally.figures()
    }
}

/// Puts all records at honest hosts, and returns how each put ended, and how many records were withdrawn in vain.
fn put<M: SimulatedNode>(
    runner: &mut Runner<'_, M>,
    spec: &AttackSpec,
    records: &[TestRecord],
    honest: &[u32],
) -> (Vec<Put>, u64) {
    match spec.attack {
        Attack::RefuseOutdated | Attack::RefuseConflict => return publish(runner, spec, records, honest),
        Attack::Sybils | Attack::SybilsOfOnePrefix | Attack::Density => surround(runner, spec, records, honest),
        Attack::ServeOld => {
            let signed: Vec<_> = records.iter().copied().filter(|record| record.kind == Kind::Signed).collect();
            put_all(runner, &signed, honest, false, false);
        }
        _ => {}
    }
    (put_all(runner, records, honest, true, false), 0)
}
