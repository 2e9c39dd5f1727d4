//! Records that change all the time.

use core::time::Duration;
use std::collections::BTreeMap;

use kadlet::{Key, Options, Record};

use super::figures::Figures;
use super::runner::Runner;
use super::spec::Spec;
use crate::network::{OperationId, OperationOutcome};
use crate::node::Peer;
use crate::progress::Progress;

/// The time between two puts of the same record.
const PUT_PAUSE: Duration = Duration::from_secs(5);

/// In a network under churn, each of these records is put again every 5 s by a node drawn at random, and between any
/// two puts some record is got. `records` in the figures counts the gets that began after a put of their record had
/// ended, and `records_lost` those of them that returned an older version or none.
pub fn versions(spec: &Spec, progress: &mut Progress, records: u32) -> Figures {
    let mut runner = Runner::<Peer>::new(spec, progress);
    runner.add_ideal();
    for host in 0..runner.spec.nodes {
        runner.schedule_death(host);
    }
    runner.network.count_from_now();
    let measured = runner.spec.measured();
    runner.begin_phase("putting new versions", measured);
    let steps = (measured.as_secs_f64() / PUT_PAUSE.as_secs_f64()) as u32 * records;
    let mut history = VersionHistory { newest: vec![None; records as usize], ..VersionHistory::default() };
    for step in 0..steps {
        let (record, round) = (step % records, step / records);
        let (name, value) = (record.to_be_bytes(), round.to_be_bytes());
        let options = Options { publish: false, ..Options::DEFAULT };
        let writer = runner.network.any_member();
        if let Some(operation) =
            writer.and_then(|writer| runner.network.put(writer, &Record::plain(&name, &value), &options).ok())
        {
            history.puts.insert(operation, (record, round));
        }
        runner.run_for(PUT_PAUSE / records);
        history.collect(&mut runner);
        let read = runner.random().below(records as usize);
        let reader = runner.network.any_member();
        if let Some(expected) = history.newest[read]
            && let Some(reader) = reader
            && let Ok(operation) = runner.network.get(reader, Key::plain(&(read as u32).to_be_bytes()))
        {
            history.gets.insert(operation, expected);
        }
    }
    runner.run_until_all_ended();
    history.collect(&mut runner);
    Figures { records: history.evaluated, records_lost: history.wrong, ..runner.figures() }
}

/// The versions that were put, and what gets must return.
#[derive(Debug, Default)]
struct VersionHistory {
    /// The puts under way: the record, and its version.
    puts: BTreeMap<OperationId, (u32, u32)>,
    /// The gets under way: the oldest version that each may return.
    gets: BTreeMap<OperationId, u32>,
    /// The newest version of each record whose put has ended.
    newest: Vec<Option<u32>>,
    /// How many gets were evaluated.
    evaluated: u64,
    /// How many of them returned an older version or none.
    wrong: u64,
}

impl VersionHistory {
    /// Takes in the results that came since the last call.
    fn collect(&mut self, runner: &mut Runner<'_, Peer>) {
        for result in core::mem::take(&mut runner.results) {
            if let Some((record, round)) = self.puts.remove(&result.operation)
                && result.outcome.is_success()
            {
                let newest = &mut self.newest[record as usize];
                *newest = (*newest).max(Some(round));
            }
            if let Some(expected) = self.gets.remove(&result.operation) {
                let found = match &result.outcome {
                    OperationOutcome::Value { value, .. } => value.as_slice().try_into().map(u32::from_be_bytes).ok(),
                    _ => None,
                };
                self.evaluated += 1;
                self.wrong += u64::from(found < Some(expected));
            }
        }
    }
}
