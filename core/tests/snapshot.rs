//! Snapshots: entries as they are written and read back, what a torn end is, and what damage is.
#![cfg(feature = "snapshot")]

use core::time::Duration;

use kadlet::record::Proof;
use kadlet::snapshot::{
    Clock, Damage, Entry, Fault, MAX_FRAME, MAX_GEOMETRY, Owner, Reader, SavedRecord, VERSION, entries, restore,
};
use kadlet::{Config, Contact, Dht, FixedStore, Id, Instant, Kademlia, Key, Node, Record, RestoreError, Store};
use proptest::prelude::*;

type TestNode = Node<Kademlia<u16, 64>, FixedStore<8, 2_048>>;
type TestEntry<'a> = Entry<'a, u16>;

const ID: Id = Id::from_bytes([7; 20]);

fn node() -> TestNode {
    let config = Config { plain: true, ..Config::default() };
    TestNode::new(Instant::ZERO, config, ID, [1; 32]).unwrap()
}

fn saved(record: Record<'_>) -> SavedRecord<'_> {
    let (stored_at, expires) = (Instant::from_secs(10), Instant::from_secs(3_610));
    SavedRecord { record, stored_at, expires, publish: true }
}

/// One entry of each kind.
fn all() -> Vec<TestEntry<'static>> {
    let signed = Proof::Signed { public_key: &[1; 32], salt: b"salt", sequence: u64::MAX, signature: &[2; 64] };
    let contact = Contact::new(ID, 4_000);
    vec![
        Entry::Node(Owner { id: ID, network: 5, geometry: "kademlia", starts: 3 }),
        Entry::Clock(Clock { now: Instant::from_secs(20), wall: Some(1_700_000_000_000) }),
        Entry::Clock(Clock { now: Instant::from_secs(20), wall: None }),
        Entry::Contact(contact),
        Entry::Forgotten(contact),
        Entry::Record(saved(Record::plain(b"name", b"\0value\xff"))),
        Entry::Record(saved(Record { value: &[4; 996], proof: signed })),
        Entry::Renewed { key: Key::signed(&[1; 32], b"salt"), expires: Instant::from_secs(9), publish: false },
        Entry::Removed(Key::immutable(&[3; 1_000])),
        Entry::Record(saved(Record::immutable(&[3; 1_000]))),
    ]
}

/// The journal of these entries, and where each frame ends.
fn journal(entries: &[TestEntry<'_>]) -> (Vec<u8>, Vec<usize>) {
    let (mut bytes, mut ends, mut frame) = (Vec::new(), Vec::new(), [0; MAX_FRAME]);
    for entry in entries {
        bytes.extend_from_slice(entry.frame(&mut frame));
        ends.push(bytes.len());
    }
    (bytes, ends)
}

fn read(bytes: &[u8]) -> (Vec<TestEntry<'_>>, Option<Damage>) {
    let (mut entries, mut damage) = (Vec::new(), None);
    for entry in Reader::new(bytes) {
        match entry {
            Ok(entry) => entries.push(entry),
            Err(found) => damage = Some(found),
        }
    }
    (entries, damage)
}

#[test]
fn entries_are_the_same_after_writing_and_reading() {
    let (bytes, _) = journal(&all());
    assert_eq!(read(&bytes), (all(), None));
}

#[test]
fn a_journal_that_is_cut_anywhere_ends_after_its_last_whole_entry() {
    let (bytes, ends) = journal(&all());
    for length in 0..bytes.len() {
        let whole = ends.iter().filter(|end| **end <= length).count();
        let mut reader = Reader::<u16>::new(&bytes[..length]);
        assert_eq!(reader.by_ref().map(Result::unwrap).count(), whole, "cut to {length} bytes");
        assert_eq!(reader.offset(), whole.checked_sub(1).map_or(0, |last| ends[last]));
        // A file system may have made the file longer. An entry that lacks only zeros is then whole.
        let longer = [&bytes[..length], &[0; 40]].concat();
        let (kept, damage) = read(&longer);
        assert!(damage.is_none() && kept.len() >= whole && kept == all()[..kept.len()], "cut to {length} bytes");
    }
    // Flash is full of ones where nothing was written.
    let erased = [&bytes[..], &[0xff; 40]].concat();
    assert_eq!(read(&erased), (all(), None));
}

#[test]
fn damage_before_the_last_entry_names_the_entry_and_keeps_what_was_read_before_it() {
    let (bytes, ends) = journal(&all());
    // The last entry is a long one: where less follows, a wrong length can't be told from a torn end.
    for at in 0..ends[ends.len() - 2] {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1;
        let damaged = ends.iter().filter(|end| **end <= at).count();
        let (kept, damage) = read(&flipped);
        let damage = damage.unwrap_or_else(|| panic!("a bit flipped in byte {at}"));
        assert_eq!(kept, all()[..damaged], "a bit flipped in byte {at}");
        let offset = damaged.checked_sub(1).map_or(0, |last| ends[last]);
        assert_eq!((damage.entry, damage.offset), (damaged, offset));
    }
    let mut flipped = bytes.clone();
    flipped[ends[1] + 10] ^= 1;
    let text = read(&flipped).1.unwrap().to_string();
    assert_eq!(text, format!("entry 2, at byte {}, has a wrong checksum", ends[1]));
}

#[test]
fn a_snapshot_of_something_else_is_refused() {
    let fault = |bytes: &[u8]| read(bytes).1.map(|damage| damage.fault);
    assert_eq!(fault(b"kadlet state 1 5ba93c"), Some(Fault::Length(u16::from_le_bytes(*b"ka"))));
    // Of another version, with a checksum that matches.
    let framed = |entry: &[u8]| {
        let sum = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC).checksum(entry);
        [&(entry.len() as u16).to_le_bytes(), &sum.to_le_bytes()[..], entry].concat()
    };
    assert_eq!(fault(&framed(&[VERSION + 1, 0])), Some(Fault::Version(VERSION + 1)));
    assert_eq!(fault(&framed(&[VERSION, 99])), Some(Fault::Foreign));
    assert_eq!(fault(&framed(&[VERSION])), Some(Fault::Foreign));
    // Of a node with addresses of another type.
    let mut frame = [0; MAX_FRAME];
    let foreign = Entry::Contact(Contact::new(ID, 7_u32)).frame(&mut frame);
    assert_eq!(fault(foreign), Some(Fault::Foreign));
}

#[test]
fn what_exceeds_the_bounds_is_not_written() {
    let geometry = "x".repeat(MAX_GEOMETRY + 1);
    let owner = Owner { id: ID, network: 0, geometry: &geometry, starts: 0 };
    let too_long = saved(Record::immutable(&[0; 1_001]));
    for entry in [TestEntry::Node(owner), Entry::Record(too_long)] {
        assert!(entry.frame(&mut [0; MAX_FRAME]).is_empty());
    }
}

#[test]
fn a_node_has_its_records_and_contacts_again_with_the_lifetimes_that_are_left() {
    let (mut before, now) = (node(), Instant::from_secs(5));
    let (plain, immutable) = (Record::plain(b"name", b"value"), Record::immutable(b"fixed"));
    before.restore_record(now, &plain, Duration::from_secs(60), true).unwrap();
    before.restore_record(now, &immutable, Duration::from_secs(3_600), false).unwrap();
    let entries: Vec<_> = entries(&before).collect();
    assert_eq!(entries.len(), 2);

    // The node was off for ten seconds, at least.
    let clock = Clock { now: Instant::from_secs(25), wall: Some(1_000_000) };
    let (mut after, then) = (node(), clock.resume(Some(1_010_000)));
    entries.iter().for_each(|entry| restore(&mut after, Instant::ZERO, then, entry).unwrap());
    let held = |key: Key| after.store().get(after.store().find(&key).unwrap()).unwrap();
    let held_plain = held(plain.key());
    assert_eq!(held_plain.metadata.expires, Instant::from_secs(30));
    assert_eq!(held_plain.stored.number(), 30_000);
    assert!(held_plain.metadata.pinned);
    assert_eq!(held(immutable.key()).metadata.expires, Instant::from_secs(3_570));
    assert!(!held(immutable.key()).metadata.pinned);

    let late = clock.resume(Some(1_050_000));
    assert_eq!(restore(&mut node(), Instant::ZERO, late, &entries[0]), Err(RestoreError::Lifetime));
}

#[test]
fn a_wall_clock_that_went_back_or_is_unknown_makes_no_lifetime_longer() {
    let now = Instant::from_secs(25);
    let clock = Clock { now, wall: Some(1_700_000_000_000) };
    assert_eq!(clock.resume(Some(1_070_000_000_000)), now);
    assert_eq!(clock.resume(None), now);
    assert_eq!(Clock { wall: None, ..clock }.resume(Some(5)), now);
    assert_eq!(clock.resume(Some(u64::MAX)), Instant::NEVER);
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes: Vec<u8>) {
        let (bytes, body) = (bytes.clone(), [&[VERSION], &bytes[..]].concat());
        let sum = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC).checksum(&body);
        let framed = [&(body.len() as u16).to_le_bytes(), &sum.to_le_bytes()[..], &body].concat();
        read(&bytes);
        read(&framed);
    }
}
