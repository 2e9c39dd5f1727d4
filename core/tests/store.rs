//! The stores: a test for each rule, and all rules together against a naive model.

#![cfg(feature = "alloc")]

use core::time::Duration;

use kadlet::record::Proof;
use kadlet::store::{Metadata, Put, Rank, StoreError};
use kadlet::{FixedStore, HashStore, Id, Instant, Key, Prefix, Record, Store};
use proptest::prelude::*;

#[path = "fuzz/store.rs"]
pub mod fuzz;

use fuzz::{Operation, Sample};

const NOW: Instant = Instant::from_secs(1_000);
const OWN: Id = Id::ZERO;
const HOUR: Duration = Duration::from_secs(3_600);

// The RAM of a store: the arena, and at most 100 bytes more for each record.
const _: () = assert!(size_of::<FixedStore<32, 8_192>>() <= 8_192 + 3_200);
const _: () = assert!(size_of::<FixedStore<256, 0>>() <= 256 * 88 + 64);

fn sample() -> impl Strategy<Value = Sample> {
    let salt = prop_oneof![9 => 0..3_u8, 1 => Just(250)];
    (0..3_u8, 0..8_u8, 0..4_u8, prop_oneof![0..350_u16, any::<u16>()], salt, 0..12_u8)
        .prop_map(|(kind, name, fill, len, salt, number)| Sample { kind, name, fill, len, salt, number })
}

fn operation() -> impl Strategy<Value = Operation> {
    let put = (sample(), 0..20_u8, 0..4_u8, prop::bool::weighted(0.15))
        .prop_map(|(sample, lifetime, source, pinned)| Operation::Put { sample, lifetime, source, pinned });
    prop_oneof![
        12 => put,
        1 => any::<u8>().prop_map(Operation::Remove),
        1 => any::<(u8, bool)>().prop_map(|(slot, pinned)| Operation::Pin(slot, pinned)),
        1 => Just(Operation::Expire),
        3 => (-300..3_000_i16).prop_map(Operation::Wait),
    ]
}

proptest! {
    #[test]
    fn every_store_agrees_with_the_model(
        geometry in 0..3_usize,
        operations in prop::collection::vec(operation(), 1..60),
    ) {
        fuzz::play(fuzz::RANKS[geometry], &operations);
    }

    #[test]
    fn every_store_agrees_with_the_model_on_any_bytes(data in prop::collection::vec(any::<u8>(), 0..400)) {
        fuzz::run(&data);
    }
}

/// The part of the capacity that a prefix takes, as a store counts it: its bytes, and the mean of the bytes that there
/// are for one record. Checks that `taken_by` is the sum of the records.
fn share(store: &impl Store, source: Prefix, mean: usize) -> usize {
    let of = (0..store.len()).filter_map(|slot| store.get(slot)).filter(|held| held.metadata.source == Some(source));
    let (records, bytes) = of.fold((0, 0), |(records, bytes), held| (records + 1, bytes + held.size()));
    assert_eq!(store.taken_by(source), (records, bytes));
    bytes + records * mean
}

/// Prefixes of different /8s store records until some are evicted. A record is evicted only from the prefix that takes
/// most, so none that takes less than another one loses any.
fn evicts_only_from_the_greatest_share<S: Store>(mut store: S, offers: &[(u8, u8, u8)]) {
    let (records, mean) = (8, 512 / 8);
    store.start(OWN, fuzz::RANKS[0], [7; 16]);
    let prefixes = || (1..7_u64).filter_map(|number| Prefix::new(number << 16 | number));
    for (turn, (source, name, len)) in offers.iter().enumerate() {
        let source = Prefix::new(u64::from(source % 6 + 1) << 16 | u64::from(source % 6 + 1));
        let value = vec![turn as u8; usize::from(*len)];
        let record = Record::plain(&[*name], &value);
        let snapshot = |store: &S| -> Vec<(Key, Option<Prefix>, usize)> {
            let held = (0..store.len()).filter_map(|slot| store.get(slot));
            held.map(|held| (held.key, held.metadata.source, held.size())).collect()
        };
        let before = snapshot(&store);
        let now = NOW + Duration::from_secs(turn as u64);
        let put = store.put(now, &record, Metadata { source, ..Metadata::until(NOW + HOUR) });
        let after = snapshot(&store);
        let all: (usize, usize) = prefixes()
            .map(|prefix| store.taken_by(prefix))
            .fold((0, 0), |all, taken| (all.0 + taken.0, all.1 + taken.1));
        assert_eq!(all, (store.len(), store.bytes()), "every record counts for one prefix");
        assert!(store.len() <= records);
        let gone =
            || before.iter().filter(|(key, ..)| *key != record.key() && !after.iter().any(|held| held.0 == *key));
        assert!(put.is_ok() || gone().next().is_none(), "a refused record evicts nothing");
        for loser in prefixes() {
            let lost = gone().filter(|(_, source, _)| *source == Some(loser)).map(|(.., size)| size + mean).max();
            let Some(lost) = lost else { continue };
            let before = share(&store, loser, mean) + lost;
            assert!(
                prefixes().all(|prefix| share(&store, prefix, mean) <= before),
                "{loser:?} lost a record, and another prefix takes more"
            );
        }
    }
}

proptest! {
    #[test]
    fn no_prefix_loses_a_record_while_another_takes_more(
        offers in prop::collection::vec((0..6_u8, 0..30_u8, prop_oneof![0..40_u8, any::<u8>()]), 1..80),
    ) {
        evicts_only_from_the_greatest_share(FixedStore::<8, 512>::EMPTY, &offers);
        evicts_only_from_the_greatest_share(HashStore::new(8, 512), &offers);
    }
}

/// Runs one test on each store, with room for `RECORDS` records and `BYTES` bytes, by the rank of each geometry.
fn on_each<const RECORDS: usize, const BYTES: usize>(test: fn(&mut dyn Small, Rank)) {
    for (geometry, rank) in ["Kademlia", "Chord", "Pastry"].into_iter().zip(fuzz::RANKS) {
        println!("by the rank of {geometry}");
        let mut fixed = FixedStore::<RECORDS, BYTES>::EMPTY;
        fixed.start(OWN, rank, [0; 16]);
        test(&mut fixed, rank);
        let mut hash = HashStore::new(RECORDS, BYTES);
        hash.start(OWN, rank, [7; 16]);
        test(&mut hash, rank);
    }
}

/// What the tests below need of either store.
trait Small {
    fn put(&mut self, now: Instant, record: &Record<'_>, metadata: Metadata) -> Result<Put, StoreError>;
    fn metadata(&self, key: &Key) -> Option<Metadata>;
    fn age(&self, now: Instant, key: &Key) -> Option<u64>;
    fn bytes(&self) -> usize;
}

impl<S: Store> Small for S {
    fn put(&mut self, now: Instant, record: &Record<'_>, metadata: Metadata) -> Result<Put, StoreError> {
        Store::put(self, now, record, metadata)
    }

    fn metadata(&self, key: &Key) -> Option<Metadata> {
        self.find(key).and_then(|slot| self.get(slot)).map(|held| *held.metadata)
    }

    fn age(&self, now: Instant, key: &Key) -> Option<u64> {
        self.find(key).and_then(|slot| self.get(slot)).map(|held| held.version(now).number)
    }

    fn bytes(&self) -> usize {
        Store::bytes(self)
    }
}

fn from(source: u64) -> Metadata {
    Metadata { source: Prefix::new(source), last_replicated: NOW, ..Metadata::until(NOW + HOUR) }
}

fn own() -> Metadata {
    Metadata { pinned: true, ..from(0) }
}

/// `count` immutable records of this many bytes each, the farthest from the own node first.
fn farthest_first(rank: Rank, count: u8, bytes: usize) -> Vec<(Key, Vec<u8>)> {
    let values = (0..count).map(|fill| vec![fill; bytes]);
    let mut records: Vec<_> = values.map(|value| (Key::immutable(&value), value)).collect();
    records.sort_by_key(|(key, _)| core::cmp::Reverse(rank(&key.id, &OWN)));
    records
}

#[test]
fn a_record_takes_its_value_salt_key_and_signature_in_bytes() {
    on_each::<4, 500>(|store, _| {
        let proof = Proof::Signed { public_key: &[1; 32], salt: b"abc", sequence: 1, signature: &[2; 64] };
        assert_eq!(store.put(NOW, &Record { value: &[0; 40], proof }, from(1)), Ok(Put::New));
        assert_eq!(store.bytes(), 40 + 3 + 32 + 64);
        assert_eq!(store.put(NOW, &Record::immutable(&[0; 40]), from(1)), Ok(Put::New));
        assert_eq!(store.bytes(), 2 * 40 + 3 + 32 + 64);
    });
}

#[test]
fn the_bytes_of_replaced_records_are_used_again() {
    on_each::<2, 100>(|store, _| {
        for round in 0..50_u8 {
            let now = NOW + Duration::from_secs(2 * u64::from(round));
            for name in [b"a", b"b"] {
                let put = if round == 0 { Put::New } else { Put::Replaced };
                assert_eq!(store.put(now, &Record::plain(name, &[round; 50]), from(1)), Ok(put));
            }
            assert_eq!(store.bytes(), 100);
        }
    });
}

#[test]
fn the_farthest_record_of_the_source_with_the_largest_share_is_evicted() {
    on_each::<9, 400>(|store, rank| {
        let records = farthest_first(rank, 5, 100);
        for (source, index) in [(1, 0), (2, 1), (2, 2), (1, 4)] {
            store.put(NOW, &Record::immutable(&records[index].1), from(source)).unwrap();
        }
        // Source 3 puts one record, sources 1 and 2 have two each. The farthest of those four is evicted.
        assert_eq!(store.put(NOW, &Record::immutable(&records[3].1), from(3)), Ok(Put::New));
        assert_eq!(store.metadata(&records[0].0), None);
        assert_eq!(store.bytes(), 400);
    });
}

#[test]
fn the_farthest_record_stays_while_its_source_holds_less_than_another() {
    on_each::<9, 300>(|store, rank| {
        let records = farthest_first(rank, 4, 100);
        for (source, index) in [(1, 1), (1, 2), (2, 0)] {
            store.put(NOW, &Record::immutable(&records[index].1), from(source)).unwrap();
        }
        assert_eq!(store.put(NOW, &Record::immutable(&records[3].1), from(3)), Ok(Put::New));
        assert_eq!([0, 1, 2].map(|index| store.metadata(&records[index].0).is_some()), [true, false, true]);
    });
}

#[test]
fn a_new_record_is_refused_if_its_source_has_the_most_bytes_and_it_is_the_farthest() {
    on_each::<9, 300>(|store, rank| {
        let records = farthest_first(rank, 4, 100);
        for (source, index) in [(1, 1), (1, 2), (2, 3)] {
            store.put(NOW, &Record::immutable(&records[index].1), from(source)).unwrap();
        }
        assert_eq!(store.put(NOW, &Record::immutable(&records[0].1), from(1)), Err(StoreError::Full));
        assert!(records[1..].iter().all(|(key, _)| store.metadata(key).is_some()));
    });
}

#[test]
fn a_source_of_many_tiny_records_cannot_keep_all_slots() {
    on_each::<4, 4_000>(|store, rank| {
        for (_, value) in farthest_first(rank, 4, 1) {
            store.put(NOW, &Record::immutable(&value), from(1)).unwrap();
        }
        assert_eq!(store.put(NOW, &Record::immutable(&[9; 900]), from(2)), Ok(Put::New));
    });
}

/// The /24 with these numbers, as the address prefix of an IPv4 address has them.
fn net24(a: u8, b: u8, c: u8) -> Metadata {
    from(u64::from(u32::from_be_bytes([4, a, b, c])))
}

#[test]
fn many_prefixes_of_one_16_or_one_8_cannot_evict_the_records_of_others() {
    // 130 prefixes of one /16, then of one /8, with a record each, into 32 places with 20 records of others.
    for spread in [|n: u8| net24(60, 1, n), |n: u8| net24(60, n, 1)] {
        let mut stores: [Box<dyn Small>; 2] =
            [Box::new(started32(FixedStore::<32, 8_192>::EMPTY)), Box::new(started32(HashStore::new(32, 8_192)))];
        for store in &mut stores {
            let keys: Vec<_> = (0..20)
                .map(|n| {
                    let record = [n, 1];
                    store.put(NOW, &Record::immutable(&record), net24(n + 1, n, n)).unwrap();
                    Key::immutable(&record)
                })
                .collect();
            for n in 0..130 {
                let _ = store.put(NOW, &Record::immutable(&[n, 2]), spread(n));
            }
            let kept = keys.iter().filter(|key| store.metadata(key).is_some()).count();
            assert_eq!(kept, 20);
        }
    }
}

fn started32<S: Store>(mut store: S) -> S {
    store.start(OWN, fuzz::RANKS[0], [7; 16]);
    store
}

#[test]
fn a_record_that_the_node_is_responsible_for_evicts_one_that_it_is_not() {
    on_each::<9, 300>(|store, rank| {
        let records = farthest_first(rank, 5, 100);
        let extra = Metadata { responsible: false, ..from(2) };
        store.put(NOW, &Record::immutable(&records[0].1), from(1)).unwrap();
        store.put(NOW, &Record::immutable(&records[1].1), from(1)).unwrap();
        store.put(NOW, &Record::immutable(&records[4].1), extra).unwrap();
        assert_eq!(store.put(NOW, &Record::immutable(&records[2].1), from(1)), Ok(Put::New));
        assert_eq!(store.metadata(&records[4].0), None, "it is the nearest, and of the smallest source");
        assert_eq!(store.put(NOW, &Record::immutable(&records[3].1), extra), Err(StoreError::Full));
    });
}

#[test]
fn a_put_evicts_eight_records_at_most() {
    on_each::<40, 400>(|store, _| {
        for n in 0..40 {
            store.put(NOW, &Record::immutable(&[n; 10]), from(1)).unwrap();
        }
        assert_eq!(store.put(NOW, &Record::immutable(&[41; 90]), from(2)), Err(StoreError::Full));
        assert_eq!(store.put(NOW, &Record::immutable(&[41; 80]), from(2)), Ok(Put::New));
        assert_eq!(store.bytes(), 400);
    });
}

#[test]
fn the_totals_of_a_source_are_those_of_its_records() {
    let (mut fixed, mut hash) = (FixedStore::<8, 300>::EMPTY, HashStore::new(8, 300));
    fixed.start(OWN, fuzz::RANKS[0], [0; 16]);
    hash.start(OWN, fuzz::RANKS[0], [7; 16]);
    let of = |source| Prefix::new(source).unwrap();
    for n in 0..40_u8 {
        let metadata = Metadata { responsible: n % 3 == 0, pinned: n % 11 == 0, ..from(1 + u64::from(n % 2)) };
        let put = Store::put(&mut fixed, NOW, &Record::immutable(&[n; 50]), metadata);
        assert_eq!(Store::put(&mut hash, NOW, &Record::immutable(&[n; 50]), metadata), put);
        if n % 5 == 0 {
            for metadata in [fixed.metadata_mut(0), hash.metadata_mut(0)].into_iter().flatten() {
                metadata.pinned ^= true;
            }
        }
        for source in [1, 2] {
            assert_eq!(fixed.taken_by(of(source)), hash.taken_by(of(source)));
        }
    }
    assert!(hash.taken_by(of(1)).0 > 0);
}

#[test]
fn pinned_records_are_never_evicted_before_they_expire() {
    on_each::<9, 200>(|store, rank| {
        let records = farthest_first(rank, 3, 100);
        store.put(NOW, &Record::immutable(&records[0].1), own()).unwrap();
        store.put(NOW, &Record::immutable(&records[1].1), own()).unwrap();
        assert_eq!(store.put(NOW, &Record::immutable(&records[2].1), own()), Err(StoreError::Full));
        let after = NOW + HOUR;
        assert_eq!(store.put(after, &Record::immutable(&records[2].1), from(1)), Ok(Put::New), "they expire");
    });
}

#[test]
fn a_pinned_record_stays_pinned_unless_a_newer_version_replaces_it() {
    on_each::<9, 900>(|store, _| {
        let key = Key::plain(b"name");
        store.put(NOW, &Record::plain(b"name", b"mine"), own()).unwrap();
        let later = NOW + Duration::from_millis(500);
        assert_eq!(store.put(later, &Record::plain(b"name", b"mine"), from(1)), Ok(Put::Renewed));
        assert_eq!(store.metadata(&key), Some(own()));
        let later = NOW + Duration::from_secs(2);
        assert_eq!(store.put(later, &Record::plain(b"name", b"other"), from(1)), Ok(Put::Replaced));
        assert_eq!(store.metadata(&key), Some(from(1)));
    });
}

#[test]
fn a_second_put_of_the_same_value_renews_the_record_and_can_make_it_younger() {
    on_each::<9, 900>(|store, _| {
        let id = Key::plain(b"name").id;
        let aged = |age| Record { value: b"value", proof: Proof::Plain { id, age } };
        store.put(NOW, &aged(5_000), from(1)).unwrap();
        let (soon, longer) = (NOW + Duration::from_secs(10), Metadata { expires: NOW + 2 * HOUR, ..from(2) });
        assert_eq!(store.put(soon, &aged(14_600), longer), Ok(Put::Renewed));
        assert_eq!(store.age(soon, &Key::plain(b"name")), Some(14_600));
        assert_eq!(store.put(soon, &aged(15_500), from(2)), Ok(Put::Renewed));
        assert_eq!(store.age(soon, &Key::plain(b"name")), Some(14_600));
        assert_eq!(store.metadata(&Key::plain(b"name")), Some(Metadata { expires: NOW + 2 * HOUR, ..from(1) }));
        let old = store.put(soon, &aged(20_000), from(2));
        assert!(matches!(old, Err(StoreError::Outdated(version)) if version.number == 14_600));
    });
}

#[test]
fn a_record_from_another_node_becomes_pinned_when_the_own_node_puts_it_too() {
    on_each::<9, 900>(|store, _| {
        let key = Key::immutable(b"value");
        let last_replicated = NOW + Duration::from_secs(60);
        store.put(NOW, &Record::immutable(b"value"), from(1)).unwrap();
        store.put(NOW, &Record::immutable(b"value"), Metadata { last_replicated, ..from(2) }).unwrap();
        assert_eq!(store.metadata(&key), Some(from(1)), "its source and its replication stay");
        let sooner = Metadata { expires: NOW + HOUR / 2, ..own() };
        assert_eq!(store.put(NOW, &Record::immutable(b"value"), sooner), Ok(Put::Renewed));
        assert_eq!(store.metadata(&key), Some(own()), "the later expiry stays");
    });
}

#[test]
fn a_store_that_was_not_started_or_has_no_room_stores_nothing() {
    let mut store = FixedStore::<4, 100>::EMPTY;
    assert_eq!(Store::put(&mut store, NOW, &Record::immutable(b"x"), from(1)), Err(StoreError::Full));
    let mut none = FixedStore::<0, 0>::EMPTY;
    none.start(OWN, fuzz::RANKS[0], [0; 16]);
    assert_eq!(Store::put(&mut none, NOW, &Record::immutable(b""), own()), Err(StoreError::Full));
    assert_eq!(Store::put(&mut none, NOW, &Record::immutable(b"x"), own()), Err(StoreError::TooLarge(0)));
    none.remove(0);
    assert_eq!(none.expire(NOW), Instant::NEVER);
}

#[test]
fn error_texts_name_the_reason() {
    assert!(StoreError::TooLarge(1_000).to_string().contains("1000 bytes"));
    assert!(StoreError::Full.to_string().contains("full"));
    let newer = kadlet::record::Version { number: 5, digest: 0 };
    assert!(StoreError::Outdated(newer).to_string().contains("number 5"));
}
