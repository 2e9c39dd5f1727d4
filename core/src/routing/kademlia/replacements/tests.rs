use super::*;
use crate::contact::Contact;
use crate::routing::entry::epoch;
use crate::routing::limits::Limits;
use crate::time::Instant;

const SIXTH_HOUR: Instant = Instant::from_secs(6 * 3_600);

type Cache = Replacements<u16, Vec<TableEntry<u16>, 16>>;

fn buckets() -> Buckets<u16, Vec<TableEntry<u16>, 4>> {
    let mut buckets = Buckets::EMPTY;
    let table: &mut Buckets<u16> = &mut buckets;
    table.start(Id::ZERO, &Limits::DEFAULT, 1);
    buckets
}

/// A verified contact of the bucket of this depth.
fn verified(depth: usize, number: u8) -> TableEntry<u16> {
    let mut id = [number; Id::LEN];
    id[0] = 0x80 >> depth;
    let mut entry = TableEntry::new(Instant::ZERO, Contact::new(Id::from_bytes(id), u16::from(number)));
    entry.note_response(Instant::ZERO, None);
    entry
}

/// A contact that first responded in this hour, and failed in the sixth.
fn lost(number: u8, hour: u64) -> TableEntry<u16> {
    let first = Instant::from_secs(3_600 * hour);
    let mut entry = TableEntry::new(first, verified(1, number).contact);
    entry.note_response(first, None);
    entry.note_failure(SIXTH_HOUR);
    entry
}

fn keep(cache: &mut Cache, entry: TableEntry<u16>) -> bool {
    let cache: &mut Replacements<u16> = cache;
    let room = cache.make_room(&buckets(), epoch(SIXTH_HOUR), &entry);
    if room {
        cache.insert(entry);
    }
    room
}

fn numbers(cache: &Cache) -> std::vec::Vec<u16> {
    cache.entries.iter().map(|entry| entry.contact.address).collect()
}

#[test]
fn a_bucket_has_a_quarter_of_the_waiting_contacts_at_most_and_its_oldest_is_evicted() {
    let mut cache = Cache::EMPTY;
    for number in 1..=5 {
        assert!(keep(&mut cache, verified(1, number)));
    }
    assert_eq!(numbers(&cache), [5, 4, 3]);
}

#[test]
fn when_all_places_are_taken_the_oldest_waiting_contact_of_all_is_evicted() {
    let mut cache = Cache::EMPTY;
    for number in 1..=13 {
        assert!(keep(&mut cache, verified(usize::from(number % 5), number)));
    }
    assert_eq!(numbers(&cache), [13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2]);
}

#[test]
fn lost_contacts_take_a_quarter_and_the_one_known_for_the_shortest_time_is_evicted() {
    let mut cache = Cache::EMPTY;
    for (number, hour) in [(1, 1), (2, 4), (3, 3), (4, 2), (5, 0)] {
        assert!(keep(&mut cache, lost(number, hour)));
    }
    assert_eq!(numbers(&cache), [1, 3, 4, 5]);
    assert!(!keep(&mut cache, lost(6, 4)), "all others are known for longer");
}

#[test]
fn an_unverified_contact_is_not_kept() {
    let (mut cache, contact) = (Cache::EMPTY, Contact::new(Id::from_bytes([7; 20]), 7));
    assert!(!keep(&mut cache, TableEntry::unverified(contact, Stamp::ZERO)));
}
