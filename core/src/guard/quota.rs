//! How much of a store the records of one address prefix may take.

use crate::address::Prefix;
use crate::record::Record;
use crate::store::{Store, StoredRecord};

/// What a record costs its prefix beside its value, in bytes, so that many small records are not free.
pub const RECORD_COST: usize = 100;

/// Whether a record from `source` would exceed the quota of its prefix, in bytes; 0 is a quarter of the store's
/// capacity. `held` is the record that it would replace.
///
/// A quota limits nobody before the whole store holds as much. A record that takes no more than the one of the same
/// prefix that it replaces is always within it; so nobody gets round the quota by letting small records grow, or by
/// replacing another prefix's.
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
    let own = held.filter(|held| held.metadata.source == source).map_or(0, cost);
    record.value.len() + RECORD_COST > own
        && source.is_some_and(|source| {
            store.bytes() + store.len() * RECORD_COST >= quota && cost_of(store, source).saturating_sub(own) >= quota
        })
}

/// What the records of one prefix cost.
fn cost_of<S: Store>(store: &S, source: Prefix) -> usize {
    let held = (0..store.len()).filter_map(|slot| store.get(slot));
    held.filter(|held| held.metadata.source == Some(source)).map(|held| cost(&held)).sum()
}

fn cost(held: &StoredRecord<'_>) -> usize {
    held.stored.value.len() + RECORD_COST
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Id;
    use crate::store::{FixedStore, Metadata};
    use crate::time::Instant;
    use core::time::Duration;

    #[test]
    fn a_prefix_is_limited_once_it_and_the_store_hold_as_much_as_the_quota() {
        let (now, one, other) = (Instant::ZERO, Prefix::new(1), Prefix::new(2));
        let mut store = FixedStore::<8, 4_096>::EMPTY;
        store.start(Id::ZERO, |target, id| target.xor(id), [0; 16]);
        let (first, second) = (Record::plain(b"first", &[1; 400]), Record::plain(b"second", &[2; 10]));
        assert!(!exceeds(&store, 500, &first, one, None), "an empty store limits nobody");
        let metadata =
            Metadata { expires: now + Duration::from_secs(9), source: one, pinned: false, last_replicated: now };
        store.put(now, &first, metadata).unwrap();
        assert!(exceeds(&store, 500, &second, one, None));
        assert!(!exceeds(&store, 500, &second, other, None), "another prefix has a quota of its own");
        assert!(!exceeds(&store, 500, &second, None, None), "exempt sources have none");
        assert!(!exceeds(&store, 0, &second, one, None), "0 stands for a quarter of 4,096 bytes");
        let held = store.find(&first.key()).and_then(|slot| store.get(slot));
        assert!(!exceeds(&store, 500, &first, one, held.as_ref()), "the same record again takes no more");
    }
}
