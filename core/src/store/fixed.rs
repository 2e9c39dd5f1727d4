//! A store of fixed size, whose values share one arena.

use heapless::{Vec, VecView};

use super::room::{Load, Owner, Recounted, decide};
use super::slot::{Slot, len_within};
use super::{Metadata, Put, Rank, Store, StoreError, StoredRecord};
use crate::record::{Key, Record};
use crate::{Id, Instant};

/// At most `RECORDS` records in `BYTES` bytes (below 2^32) of values, salts, public keys and signatures, ever; no allocator.
///
/// A record takes as many of the `BYTES` as it has, and 88 bytes in its slot: `FixedStore<32, 8192>` is 11 KB. The bytes of
/// all records lie side by side, and close up when one leaves. Finding a record compares keys one by one, and choosing
/// who gives way in a full store compares each with all, which suits up to some hundreds of records.
///
/// ```
/// use core::time::Duration;
/// use kadlet::store::{Metadata, Put};
/// use kadlet::{FixedStore, Id, Instant, Key, Record, Store};
///
/// let now = Instant::ZERO;
/// let mut store = FixedStore::<4, 512>::EMPTY;
/// store.start(Id::ZERO, |target, id| target.xor(id), [7; 16]);
///
/// let metadata = Metadata { expires: now + Duration::from_secs(60), source: None, pinned: false, last_replicated: now };
/// assert_eq!(store.put(now, &Record::plain(b"hello", b"world"), metadata), Ok(Put::New));
/// assert_eq!(store.bytes(), 5);
///
/// let later = now + Duration::from_secs(10);
/// assert_eq!(store.put(later, &Record::plain(b"hello", b"there"), metadata), Ok(Put::Replaced));
/// let held = store.find(&Key::plain(b"hello")).and_then(|slot| store.get(slot)).unwrap();
/// assert_eq!(held.stored.value, b"there");
///
/// store.expire(now + Duration::from_secs(60));
/// assert!(store.is_empty());
/// ```
#[derive(Debug)]
pub struct FixedStore<const RECORDS: usize, const BYTES: usize> {
    slots: Vec<Slot<u32>, RECORDS>,
    /// No gaps: each slot's `place` is where its bytes begin.
    arena: Vec<u8, BYTES>,
    owner: Owner,
}

impl<const RECORDS: usize, const BYTES: usize> Store for FixedStore<RECORDS, BYTES> {
    const EMPTY: Self = {
        assert!(BYTES as u64 <= u32::MAX as u64, "a FixedStore holds less than 2^32 bytes");
        Self { slots: Vec::new(), arena: Vec::new(), owner: Owner { id: Id::ZERO, rank: None } }
    };

    fn start(&mut self, own: Id, rank: Rank, _random: [u8; 16]) {
        self.slots.clear();
        self.arena.clear();
        self.owner = Owner { id: own, rank: Some(rank) };
    }

    fn len(&self) -> usize {
        self.slots.len()
    }

    fn find(&self, key: &Key) -> Option<usize> {
        find(&self.slots, key)
    }

    fn get(&self, slot: usize) -> Option<StoredRecord<'_>> {
        let slot = self.slots.get(slot)?;
        let start = slot.place as usize;
        slot.held(self.arena.get(start..start.checked_add(slot.size())?)?)
    }

    fn metadata_mut(&mut self, slot: usize) -> Option<&mut Metadata> {
        self.slots.get_mut(slot).map(|slot| &mut slot.metadata)
    }

    fn put(&mut self, now: Instant, record: &Record<'_>, metadata: Metadata) -> Result<Put, StoreError> {
        put(&mut self.slots, &mut self.arena, &self.owner, now, record, metadata)
    }

    fn remove(&mut self, slot: usize) {
        remove(&mut self.slots, &mut self.arena, slot);
    }

    fn bytes(&self) -> usize {
        self.arena.len()
    }

    fn capacity(&self) -> usize {
        BYTES
    }
}

fn find(slots: &[Slot<u32>], key: &Key) -> Option<usize> {
    slots.iter().position(|slot| slot.key == *key)
}

fn put(
    slots: &mut VecView<Slot<u32>>,
    arena: &mut VecView<u8>,
    owner: &Owner,
    now: Instant,
    record: &Record<'_>,
    metadata: Metadata,
) -> Result<Put, StoreError> {
    let most = Load { bytes: arena.capacity(), records: slots.capacity() };
    let len = len_within(most.bytes, record)?;
    let mut offer = Slot::new(now, record, len, metadata, 0);
    let held = find(slots, &offer.key);
    let load = Load { bytes: arena.len(), records: slots.len() };
    let put = decide::<_, Recounted>(now, slots, held, load, most, owner, &offer)?;
    if put == Put::Renewed {
        return Ok(put);
    }
    for slot in (0..slots.len()).rev() {
        if slots.get(slot).is_some_and(|slot| slot.leaving) {
            remove(slots, arena, slot);
        }
    }
    offer.place = u32::try_from(arena.len()).map_err(|_| StoreError::Full)?;
    record.keep(arena).ok_or(StoreError::Full)?;
    slots.push(offer).map_err(|_| StoreError::Full)?;
    Ok(put)
}

fn remove(slots: &mut VecView<Slot<u32>>, arena: &mut VecView<u8>, slot: usize) {
    let Some((place, len)) = slots.get(slot).map(|gone| (gone.place, gone.len)) else {
        return;
    };
    slots.swap_remove(slot);
    let (start, size) = (place as usize, usize::from(len));
    let end = start.saturating_add(size);
    if end <= arena.len() {
        arena.copy_within(end.., start);
        arena.truncate(arena.len().saturating_sub(size));
    }
    for slot in slots.iter_mut().filter(|slot| slot.place > place) {
        slot.place = slot.place.saturating_sub(u32::from(len));
    }
}
