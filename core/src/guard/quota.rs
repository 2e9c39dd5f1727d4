//! How much of a store the records of one address prefix can take.
//!
//! This does not defend against an attacker with addresses of many prefixes, nor where addresses have no prefix.

use crate::address::Prefix;
use crate::record::Record;
use crate::store::{Store, StoredRecord};

/// The bytes that each record counts in addition to its own, so that many small records are not free.
pub const RECORD_COST: usize = 100;

/// Whether a record from `source` would exceed the quota of its prefix. `quota` is in bytes; 0 stands for a quarter of
/// the store's capacity. `held` is the record that it would replace.
///
/// The quota applies once all records in the store together count at least as much as the quota. A record that replaces
/// one of the same prefix and counts no more is always within the quota. So a prefix can't exceed its quota by letting
/// small records grow, or by replacing those of another prefix.
pub fn exceeds<S: Store>(
    store: &S,
    quota: usize,
    record: &Record<'_>,
    source: Option<Prefix>,
    held: Option<&StoredRecord<'_>>,
) -> bool {
    let quota = match quota {
        0 => store.capacity() / 4,
        set => set,
    };
    let own = held.filter(|held| held.metadata.source == source).map_or(0, |held| held.size() + RECORD_COST);
    let size = record.parts().iter().map(|part| part.len()).sum::<usize>();
    size + RECORD_COST > own
        && source.is_some_and(|source| {
            let (records, bytes) = store.taken_by(source);
            store.bytes() + store.len() * RECORD_COST >= quota
                && (bytes + records * RECORD_COST).saturating_sub(own) >= quota
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Id;
    use crate::store::{FixedStore, Metadata};
    use crate::time::Instant;
    use core::time::Duration;
    use proptest::prelude::*;

    #[test]
    fn a_prefix_is_limited_once_its_records_and_the_whole_store_reach_the_quota() {
        let (now, one, other) = (Instant::ZERO, Prefix::new(1), Prefix::new(2));
        let mut store = FixedStore::<8, 4_096>::EMPTY;
        store.start(Id::ZERO, |target, id| target.xor(id), [0; 16]);
        let (first, second) = (Record::plain(b"first", &[1; 400]), Record::plain(b"second", &[2; 10]));
        assert!(!exceeds(&store, 500, &first, one, None), "no prefix is limited while the store is empty");
        let metadata = Metadata { source: one, ..Metadata::until(now + Duration::from_secs(9)) };
        store.put(now, &first, metadata).unwrap();
        assert!(exceeds(&store, 500, &second, one, None));
        assert!(!exceeds(&store, 500, &second, other, None), "another prefix has a quota of its own");
        assert!(!exceeds(&store, 500, &second, None, None), "a source without a prefix has no quota");
        assert!(!exceeds(&store, 0, &second, one, None), "0 stands for a quarter of 4,096 bytes");
        let held = store.find(&first.key()).and_then(|slot| store.get(slot));
        assert!(!exceeds(&store, 500, &first, one, held.as_ref()), "the same record again counts no more");
    }

    proptest! {
        /// Records come from four prefixes and from a source without one. They replace each other, grow and shrink.
        #[test]
        fn no_prefix_exceeds_its_quota_by_more_than_one_record(
            quota in 150_usize..1_500,
            offers in proptest::collection::vec((0_u64..5, 0_u8..12, 0_usize..300), 1..80),
        ) {
            let mut store = FixedStore::<16, 4_096>::EMPTY;
            store.start(Id::ZERO, |target, id| target.xor(id), [0; 16]);
            for (turn, (source, name, len)) in offers.into_iter().enumerate() {
                let (now, value) = (Instant::from_secs(turn as u64), [turn as u8; 300]);
                let source = Prefix::new(source << 16);
                let record = Record::plain(&[name], &value[..len]);
                let held = store.find(&record.key()).and_then(|slot| store.get(slot));
                if !exceeds(&store, quota, &record, source, held.as_ref()) {
                    let metadata = Metadata { source, ..Metadata::until(now + Duration::from_secs(900)) };
                    _ = store.put(now, &record, metadata);
                }
                for prefix in (1..5).filter_map(|source| Prefix::new(source << 16)) {
                    let (records, bytes) = store.taken_by(prefix);
                    prop_assert!(bytes + records * RECORD_COST < quota + 300 + RECORD_COST);
                }
            }
        }
    }
}
