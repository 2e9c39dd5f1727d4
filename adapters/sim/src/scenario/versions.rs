//! Records that change all the time.

use core::time::Duration;
use std::collections::BTreeMap;

use kadlet::{Key, Options, Record};

use super::{Figures, Spec, Stage};
use crate::progress::Progress;
use crate::{Ending, Operation, Peer};

/// How long after a record was put it is put again.
const APART: Duration = Duration::from_secs(5);

/// In a churning network, each of these records is put again and again, 5 s apart, from nodes drawn at random, and some
/// record is got between any two puts. The figures' `records` are the gets that began after a put of their record had ended, and
/// `records_lost` those of them that returned an older version or none.
pub fn versions(spec: &Spec, progress: &mut Progress, records: u32) -> Figures {
    let mut stage = Stage::<Peer>::new(spec, progress);
    stage.add_ideal();
    for address in 0..stage.spec.nodes {
        stage.schedule_death(address);
    }
    stage.network.count_from_now();
    let measured = stage.spec.measured();
    stage.begin("putting again and again", measured);
    let steps = (measured.as_secs_f64() / APART.as_secs_f64()) as u32 * records;
    let mut book = Book { newest: vec![None; records as usize], ..Book::default() };
    for step in 0..steps {
        let (record, round) = (step % records, step / records);
        let (name, value) = (record.to_be_bytes(), round.to_be_bytes());
        let options = Options { publish: false, ..Options::DEFAULT };
        let writer = stage.network.any_member();
        if let Some(operation) =
            writer.and_then(|writer| stage.network.put(writer, &Record::plain(&name, &value), &options).ok())
        {
            book.puts.insert(operation, (record, round));
        }
        stage.play(APART / records);
        book.enter(&mut stage);
        let read = stage.random().below(records as usize);
        let reader = stage.network.any_member();
        if let Some(expected) = book.newest[read]
            && let Some(reader) = reader
            && let Ok(operation) = stage.network.get(reader, Key::plain(&(read as u32).to_be_bytes()))
        {
            book.gets.insert(operation, expected);
        }
    }
    stage.play_out();
    book.enter(&mut stage);
    Figures { records: book.judged, records_lost: book.wrong, ..stage.figures() }
}

/// What is under way, and what came of the rest.
#[derive(Debug, Default)]
struct Book {
    puts: BTreeMap<Operation, (u32, u32)>,
    /// Gets, and the version that each must return or a newer one.
    gets: BTreeMap<Operation, u32>,
    /// The newest version of each record whose put has ended.
    newest: Vec<Option<u32>>,
    judged: u64,
    wrong: u64,
}

impl Book {
    fn enter(&mut self, stage: &mut Stage<'_, Peer>) {
        for ended in core::mem::take(&mut stage.ended) {
            if let Some((record, round)) = self.puts.remove(&ended.operation)
                && ended.ending.is_success()
            {
                let newest = &mut self.newest[record as usize];
                *newest = (*newest).max(Some(round));
            }
            if let Some(expected) = self.gets.remove(&ended.operation) {
                let found = match &ended.ending {
                    Ending::Value { value, .. } => value.as_slice().try_into().map(u32::from_be_bytes).ok(),
                    _ => None,
                };
                self.judged += 1;
                self.wrong += u64::from(found < Some(expected));
            }
        }
    }
}
