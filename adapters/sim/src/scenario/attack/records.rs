//! Records of three kinds, and what gets of them find.

use core::time::Duration;
use std::collections::BTreeMap;

use kadlet::{Key, Kind, Options, Record};

use super::figures::Tally;
use crate::network::{OperationId, OperationOutcome, OperationResult};
use crate::node::SimulatedNode;
use crate::scenario::runner::Runner;
use crate::signed::SignedRecord;

/// The time between two puts, and between two gets.
const PAUSE: Duration = Duration::from_millis(50);
/// How many requesters are drawn before a get counts as one that found nothing, and the time between two draws: a
/// requester can be busy.
const DRAWS: usize = 50;
const AGAIN: Duration = Duration::from_millis(100);

/// One record. Its value follows from its number; that of the old version, which only signed records have, differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::scenario) struct TestRecord {
    pub(super) kind: Kind,
    number: u32,
}

impl TestRecord {
    /// This many records of each kind.
    pub(in crate::scenario) fn of_each_kind(count: u32) -> Vec<Self> {
        let kinds = [Kind::Plain, Kind::Immutable, Kind::Signed];
        (0..count).flat_map(|number| kinds.map(|kind| Self { kind, number })).collect()
    }

    pub(super) fn key(&self) -> Key {
        match self.kind {
            Kind::Plain => Key::plain(&self.name()),
            Kind::Immutable => Key::immutable(&self.value()),
            Kind::Signed => self.signed(true).key(),
        }
    }

    /// The new or the old version of a signed record.
    pub(super) fn signed(&self, new: bool) -> SignedRecord {
        let [a, b, c, d] = self.name();
        let mut public_key = [0x5A; 32];
        public_key[..4].copy_from_slice(&[a, b, c, d]);
        let value = if new { self.value() } else { b"an old version".to_vec() };
        SignedRecord::new(public_key, 1 + u64::from(new), &value)
    }

    /// Puts the record at a node, or its old version if it has one. `None` if it can't begin.
    fn put<M: SimulatedNode>(
        &self,
        runner: &mut Runner<'_, M>,
        host: u32,
        new: bool,
        publish: bool,
    ) -> Option<OperationId> {
        let options = Options { publish, mode: runner.network.lookup, ..Options::DEFAULT };
        let (name, value, signed) = (self.name(), self.value(), self.signed(new));
        let record = match self.kind {
            Kind::Plain => Record::plain(&name, &value),
            Kind::Immutable => Record::immutable(&value),
            Kind::Signed => signed.record(),
        };
        runner.network.put(host, &record, &options).ok()
    }

    const fn name(&self) -> [u8; 4] {
        self.number.to_be_bytes()
    }

    fn value(&self) -> Vec<u8> {
        [b"value of record ".as_slice(), &self.name()].concat()
    }
}

/// A record that was put, at which host, and how that ended. `None` if it did not.
pub(in crate::scenario) type Put = (TestRecord, u32, Option<OperationOutcome>);

/// Puts each record at one of these hosts in turn, and waits until all puts have ended.
pub(in crate::scenario) fn put_all<M: SimulatedNode>(
    runner: &mut Runner<'_, M>,
    records: &[TestRecord],
    hosts: &[u32],
    new: bool,
    publish: bool,
) -> Vec<Put> {
    let mut begun = BTreeMap::new();
    let mut puts: Vec<Put> = Vec::new();
    for (index, record) in records.iter().enumerate() {
        let free = (0..hosts.len().min(DRAWS)).find_map(|draw| {
            let host = hosts[(index + draw) % hosts.len()];
            Some((host, record.put(runner, host, new, publish)?))
        });
        if let Some((host, operation)) = free {
            begun.insert(operation, puts.len());
            puts.push((*record, host, None));
        }
        runner.run_for(PAUSE);
    }
    runner.run_until_all_ended();
    for OperationResult { operation, outcome, .. } in core::mem::take(&mut runner.results) {
        if let Some(index) = begun.get(&operation) {
            puts[*index].2 = Some(outcome);
        }
    }
    puts
}

/// Gets each record in turn until each kind was got `gets` times, at hosts drawn from these, waits until all gets have
/// ended, and counts what they found. A get that found no free requester found nothing.
pub(in crate::scenario) fn get_all<M: SimulatedNode>(
    runner: &mut Runner<'_, M>,
    records: &[TestRecord],
    hosts: &[u32],
    gets: u32,
) -> Tally {
    let (mut begun, mut tally) = (BTreeMap::new(), Tally::default());
    for record in records.iter().cycle().take(3 * gets as usize) {
        tally.by_kind[record.kind as usize].gets += 1;
        for _ in 0..DRAWS {
            let host = hosts[runner.random().below(hosts.len())];
            if let Ok(operation) = runner.network.get(host, record.key()) {
                begun.insert(operation, *record);
                break;
            }
            runner.run_for(AGAIN);
        }
        runner.run_for(PAUSE);
    }
    runner.run_until_all_ended();
    for result in core::mem::take(&mut runner.results) {
        if let Some(record) = begun.get(&result.operation) {
            let kind = &mut tally.by_kind[record.kind as usize];
            if let OperationOutcome::Value { value, .. } = &result.outcome {
                let right = *value == record.value() || record.kind == Kind::Plain;
                *(if right { &mut kind.right } else { &mut kind.wrong }) += 1;
            }
            tally.took.push(result.stats.took);
            tally.asked += u64::from(result.stats.asked);
        }
    }
    tally
}
