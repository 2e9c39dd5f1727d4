//! What a state file has of a node already, so that a change costs its own size and not that of the whole state.

use core::mem;
use core::net::SocketAddr;
use std::collections::{HashMap, HashSet};

use kadlet::record::Version;
use kadlet::snapshot::{Clock, Entry, MAX_FRAME, Owner, SavedRecord, entries};
use kadlet::{Contact, Dht, Id, Instant, Key, Store};

use crate::args::BOOTSTRAPS;

/// The journal is replaced by the state alone when it has grown to twice that and this: the bytes written are then at
/// most some three times those that changed, and the file has at most some twice the size of the state.
const SLACK: u64 = 64 * 1024;
/// The wall clock has moved if it has gained or lost more than this against the node's clock, in milliseconds.
const MOVED: u64 = 1_000;

/// What the journal has of a node.
#[derive(Debug, Default)]
pub(crate) struct Saved {
    network: u16,
    geometry: String,
    starts: u32,
    /// The contacts in the journal.
    contacts: Vec<Contact<SocketAddr>>,
    records: HashMap<Key, Mark>,
    id: Option<Id>,
    /// The time in the journal: on the node's clock, and the wall clock's, in milliseconds.
    clock: Option<(u64, u64)>,
    /// How long the journal is, and how long it was when it was replaced last: 0 if it must be replaced.
    length: u64,
    base: u64,
}

/// What the journal has of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark {
    version: Version,
    stored_at: Instant,
    expires: Instant,
    publish: bool,
}

/// What must be written.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// To the end of the journal.
    Append(Vec<u8>),
    /// In place of the journal.
    Replace(Vec<u8>),
}

impl Saved {
    /// Nothing is in the journal yet. The contacts are those of an earlier run.
    pub(crate) fn new(network: u16, geometry: String, starts: u32, contacts: Vec<Contact<SocketAddr>>) -> Self {
        Self { network, geometry, starts, contacts, ..Self::default() }
    }

    /// What must be written so that the journal has the state of `node`: nothing, if nothing has changed. `last` is
    /// whether the run ends: then the time is always written.
    pub(crate) fn change<D>(&mut self, node: &D, now: Instant, wall: u64, last: bool) -> Option<Change>
    where
        D: Dht<Address = SocketAddr>,
    {
        let whole = self.base == 0 || self.length > 2 * self.base + SLACK;
        let mut journal = Writer { bytes: Vec::new(), frame: [0; MAX_FRAME] };
        let earlier = mem::take(&mut self.contacts);
        if whole {
            (self.id, self.clock) = (None, None);
            self.records.clear();
        }
        let id = node.id();
        if self.id != Some(id) {
            let (network, starts) = (self.network, self.starts);
            journal.add(&Entry::Node(Owner { id, network, geometry: &self.geometry, starts }));
        }
        // A node without changes writes nothing, unless its wall clock was set.
        let expected = self.clock.map(|(then, wall)| wall.saturating_add(now.as_millis().saturating_sub(then)));
        let moved = expected.is_none_or(|expected| expected.abs_diff(wall) > MOVED);
        let must = last || moved || self.id != Some(id);
        journal.add(&Entry::Clock(Clock { now, wall: Some(wall) }));
        let least = journal.bytes.len();
        self.contacts = contacts(node, &earlier);
        journal.add_contacts(if whole { &[] } else { &earlier }, &self.contacts);
        self.add_records(node, now, &mut journal);
        if !must && journal.bytes.len() == least {
            return None;
        }
        (self.id, self.clock) = (Some(id), Some((now.as_millis(), wall)));
        let length = journal.bytes.len() as u64;
        if whole {
            (self.base, self.length) = (length, length);
            return Some(Change::Replace(journal.bytes));
        }
        self.length += length;
        Some(Change::Append(journal.bytes))
    }

    /// What was returned last could not be written: the journal must be replaced.
    pub(crate) fn failed(&mut self) {
        self.base = 0;
    }

    fn add_records<D: Dht<Address = SocketAddr>>(&mut self, node: &D, now: Instant, journal: &mut Writer) {
        let mut before = mem::take(&mut self.records);
        let store = node.store();
        for stored in (0..store.len()).filter_map(|slot| store.get(slot)) {
            let (version, stored_at) = (stored.stored_version, stored.stored_at);
            let (expires, publish) = (stored.metadata.expires, stored.metadata.pinned);
            let mark = Mark { version, stored_at, expires, publish };
            match before.remove(&stored.key) {
                Some(same) if same == mark => {}
                Some(earlier) if (earlier.version, earlier.stored_at) == (version, stored_at) => {
                    journal.add(&Entry::Renewed { key: stored.key, expires, publish });
                }
                _ => journal.add(&Entry::Record(SavedRecord::of(&stored))),
            }
            self.records.insert(stored.key, mark);
        }
        // Records that have expired are no longer restored anyway.
        let removed = before.into_iter().filter(|(_, mark)| mark.expires > now);
        removed.for_each(|(key, _)| journal.add(&Entry::Removed(key)));
    }
}

/// The contacts to be kept: those that have responded, and if they are few, earlier ones. The link may be down.
fn contacts<D>(node: &D, earlier: &[Contact<SocketAddr>]) -> Vec<Contact<SocketAddr>>
where
    D: Dht<Address = SocketAddr>,
{
    // Records come last.
    let of_node = entries(node).map_while(|entry| match entry {
        Entry::Contact(contact) => Some(contact),
        _ => None,
    });
    let mut kept: Vec<_> = of_node.collect();
    let missing = earlier.iter().filter(|contact| !kept.contains(contact));
    let missing: Vec<_> = missing.take(BOOTSTRAPS.saturating_sub(kept.len())).copied().collect();
    kept.extend(missing);
    kept
}

/// Writes frames one after the other.
struct Writer {
    bytes: Vec<u8>,
    frame: [u8; MAX_FRAME],
}

impl Writer {
    fn add(&mut self, entry: &Entry<'_, SocketAddr>) {
        self.bytes.extend_from_slice(entry.frame(&mut self.frame));
    }

    fn add_contacts(&mut self, before: &[Contact<SocketAddr>], now: &[Contact<SocketAddr>]) {
        let (had, has): (HashSet<_>, HashSet<_>) = (before.iter().collect(), now.iter().collect());
        before.iter().filter(|contact| !has.contains(contact)).for_each(|gone| self.add(&Entry::Forgotten(*gone)));
        now.iter().filter(|contact| !had.contains(contact)).for_each(|new| self.add(&Entry::Contact(*new)));
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;
    use std::fs;

    use kadlet::{Config, HashStore, Kademlia, Record, Routing};

    use super::*;
    use crate::journal::Journal;
    use crate::state::State;

    type TestNode = kadlet::Node<Kademlia<SocketAddr, 512, 64>, HashStore>;

    const HOUR: Duration = Duration::from_secs(3_600);
    const WALL: u64 = 1_700_000_000_000;

    fn node(records: usize) -> TestNode {
        let store = HashStore::new(records, 1_100 * records);
        let mut node = TestNode::from_parts(Config::default(), [0; 32], Kademlia::EMPTY, store).unwrap();
        node.start(Instant::ZERO, Config::default(), Id::from_bytes([7; 20]), [1; 32]).unwrap();
        node
    }

    fn hold(node: &mut TestNode, now: Instant, number: usize, length: usize, lifetime: Duration) {
        let mut value = vec![0; length];
        value[..8].copy_from_slice(&number.to_be_bytes());
        node.restore_record(now, &Record::immutable(&value), lifetime, false).unwrap();
    }

    /// The wall clock, where it goes as the node's.
    fn wall(now: Instant) -> u64 {
        WALL + now.as_millis()
    }

    /// What a node holds that is restored from a journal at a wall-clock time: how long each record still lives.
    fn restored(journal: &[u8], wall: u64) -> Vec<u64> {
        let mut after = node(1_000);
        State::read(journal.to_vec(), wall).unwrap().restore(&mut after, Instant::ZERO, wall);
        let store = after.store();
        (0..store.len()).map(|slot| store.get(slot).unwrap().metadata.expires.as_millis() / 1_000).collect()
    }

    fn bytes(change: Option<Change>) -> Vec<u8> {
        match change {
            Some(Change::Append(bytes) | Change::Replace(bytes)) => bytes,
            None => Vec::new(),
        }
    }

    #[test]
    fn a_change_costs_its_size_and_no_change_nothing() {
        let (mut saved, mut node) = (Saved::default(), node(1_000));
        let at = Instant::from_secs;
        (0..1_000).for_each(|number| hold(&mut node, at(1), number, 1_000, HOUR));
        let Some(Change::Replace(whole)) = saved.change(&node, at(5), wall(at(5)), false) else { panic!() };
        assert!(whole.len() > 1_000_000);
        assert_eq!(saved.change(&node, at(10), wall(at(10)), false), None);
        node.restore_record(at(11), &Record::immutable(b"new"), HOUR, false).unwrap();
        let Some(Change::Append(new)) = saved.change(&node, at(15), wall(at(15)), false) else { panic!() };
        // One more is evicted for it.
        assert!(new.len() < 150, "{} bytes", new.len());
        // Its lifetime grows: the value isn't written again.
        hold(&mut node, at(16), 999, 1_000, HOUR);
        let Some(Change::Append(renewed)) = saved.change(&node, at(20), wall(at(20)), false) else { panic!() };
        assert!(renewed.len() < 150, "{} bytes", renewed.len());
    }

    #[test]
    fn a_journal_that_could_not_be_written_is_replaced() {
        let (mut saved, node) = (Saved::default(), node(1));
        assert!(matches!(saved.change(&node, Instant::ZERO, WALL, false), Some(Change::Replace(_))));
        assert!(matches!(saved.change(&node, Instant::ZERO, WALL, true), Some(Change::Append(_))));
        saved.failed();
        assert!(matches!(saved.change(&node, Instant::ZERO, WALL, false), Some(Change::Replace(_))));
    }

    #[test]
    fn a_wall_clock_that_is_set_while_the_node_runs_costs_no_record_its_lifetime() {
        const MONTH: u64 = 30 * 24 * 3_600_000;
        let (mut saved, mut node) = (Saved::default(), node(10));
        let at = Instant::from_secs;
        hold(&mut node, at(0), 1, 100, HOUR);
        let mut journal = bytes(saved.change(&node, at(0), WALL, false));
        journal.extend(bytes(saved.change(&node, at(5), wall(at(5)) + MONTH, false)));
        assert_eq!(restored(&journal, wall(at(605)) + MONTH), [3_000 - 5]);
        // And back again: from one save to the next it is noticed, at the end in any case.
        journal.extend(bytes(saved.change(&node, at(10), wall(at(10)), true)));
        assert_eq!(restored(&journal, wall(at(10))), [3_590]);
    }

    #[test]
    fn a_wall_clock_that_is_years_behind_at_a_restart_makes_no_record_live_longer() {
        let (mut saved, mut node) = (Saved::default(), node(10));
        hold(&mut node, Instant::ZERO, 1, 100, HOUR);
        let journal = bytes(saved.change(&node, Instant::from_secs(3_540), WALL, false));
        assert_eq!(restored(&journal, WALL - 20 * 365 * 24 * 3_600_000), [60]);
        assert_eq!(restored(&journal, WALL + 61_000), [0; 0]);
    }

    #[test]
    fn a_node_without_contacts_keeps_those_of_its_earlier_state() {
        let contact = Contact::new(Id::from_bytes([9; 20]), "[::1]:4000".parse().unwrap());
        let (mut saved, node) = (Saved { contacts: vec![contact], ..Saved::default() }, node(1));
        for _ in 0..2 {
            let journal = bytes(saved.change(&node, Instant::ZERO, WALL, false));
            assert_eq!(State::read(journal, WALL).unwrap().contacts, [contact]);
            saved.failed();
        }
    }

    /// 50 puts of 1,000 bytes a second into a store that holds these many records, of which the oldest expire, saved
    /// every five seconds. Returns the bytes that were written, over those that were stored.
    fn written_over_stored(records: usize, seconds: u64) -> f64 {
        const PUTS: usize = 50;
        let (mut saved, mut node) = (Saved::default(), node(records + PUTS));
        let lifetime = |number: usize| Duration::from_secs((number / PUTS + 1) as u64);
        (0..records).for_each(|number| hold(&mut node, Instant::ZERO, number, 1_000, lifetime(number)));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let (mut journal, mut written) = (Journal::at(&path).unwrap(), 0);
        for second in 1..=seconds {
            let now = Instant::from_secs(second);
            let first = records + PUTS * second as usize;
            (first..first + PUTS).for_each(|number| hold(&mut node, now, number, 1_000, lifetime(records)));
            if second % 5 == 0 {
                match saved.change(&node, now, wall(now), false) {
                    Some(Change::Append(bytes)) => {
                        written += bytes.len();
                        journal.append(&bytes).unwrap();
                    }
                    Some(Change::Replace(bytes)) => {
                        written += bytes.len();
                        journal.replace(&bytes).unwrap();
                    }
                    None => {}
                }
            }
        }
        assert!(fs::metadata(&path).unwrap().len() < 3 * 1_100 * records as u64 + SLACK);
        written as f64 / (1_000 * PUTS as u64 * seconds) as f64
    }

    #[test]
    fn a_busy_node_writes_at_most_ten_times_what_it_stores() {
        let ratio = written_over_stored(1_000, 120);
        assert!(ratio < 10.0, "{ratio}");
    }

    /// In full:
    /// `cargo test --release -p kadlet-cli --bin kadlet -- --ignored --nocapture an_hour`
    #[test]
    #[ignore = "writes half a gigabyte to the temporary folder"]
    fn an_hour_of_a_busy_node_with_100_000_records_writes_at_most_ten_times_what_it_stores() {
        let ratio = written_over_stored(100_000, 3_600);
        crate::output::note(format!("{ratio:.2} bytes written for each byte stored"));
        assert!(ratio < 10.0);
    }
}
