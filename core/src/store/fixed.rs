//! A store of fixed size, whose records share one arena.

use heapless::{Vec, VecView};

use super::eviction::{Load, Owner, contest, make_room};
use super::interface::{Put, Rank, Store, StoreError};
use super::slot::{Slot, len_within};
use super::stored_record::{Metadata, StoredRecord};
use crate::id::Id;
use crate::record::{Key, Record};
use crate::time::Instant;

/// At most `RECORDS` records in `BYTES` bytes (below 2^32) of values, salts, public keys and signatures, without an
/// allocator.
///
/// A record takes as many of the `BYTES` as it has, and 88 bytes in its slot: `FixedStore<32, 8192>` takes 11 KB. The
/// bytes of all records lie side by side, and close up when one is removed. Finding a record compares keys one by one,
/// and choosing the records to evict from a full store compares each with all others, which suits up to some hundreds
/// of records.
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
/// let expires = now + Duration::from_secs(60);
/// let metadata = Metadata::until(expires);
/// assert_eq!(store.put(now, &Record::plain(b"hello", b"world"), metadata), Ok(Put::New));
/// assert_eq!(store.bytes(), 5);
///
/// let later = now + Duration::from_secs(10);
/// assert_eq!(store.put(later, &Record::plain(b"hello", b"there"), metadata), Ok(Put::Replaced));
/// let stored = store.find(&Key::plain(b"hello")).and_then(|slot| store.get(slot)).unwrap();
/// assert_eq!(stored.stored.value, b"there");
///
/// store.expire(now + Duration::from_secs(60));
/// assert!(store.is_empty());
/// ```
#[derive(Debug)]
pub struct FixedStore<const RECORDS: usize, const BYTES: usize> {
    /// The bytes of all records, without gaps: each begins at its slot's `place`.
    arena: Vec<u8, BYTES>,
    slots: RecordSlots<Vec<Slot<u32>, RECORDS>>,
}

/// The slots of a store. The array is the last field, so that slots of any number can be used as the unsized type
/// `RecordSlots`: the code is compiled once for all sizes, as with heapless's `VecView`.
#[derive(Debug)]
struct RecordSlots<V: ?Sized = VecView<Slot<u32>>> {
    owner: Owner,
    slots: V,
}

impl<const RECORDS: usize, const BYTES: usize> FixedStore<RECORDS, BYTES> {
    fn slots(&self) -> &RecordSlots {
        &self.slots
    }

    /// Both parts, whatever their sizes.
    fn both(&mut self) -> (&mut RecordSlots, &mut VecView<u8>) {
        (&mut self.slots, &mut self.arena)
    }
}

impl<const RECORDS: usize, const BYTES: usize> Store for FixedStore<RECORDS, BYTES> {
    const EMPTY: Self = {
        assert!(BYTES as u64 <= u32::MAX as u64, "a FixedStore holds less than 2^32 bytes");
        Self { arena: Vec::new(), slots: RecordSlots { owner: Owner { id: Id::ZERO, rank: None }, slots: Vec::new() } }
    };

    fn start(&mut self, own: Id, rank: Rank, _random: [u8; 16]) {
        let (slots, arena) = self.both();
        arena.clear();
        slots.slots.clear();
        slots.owner = Owner { id: own, rank: Some(rank) };
    }

    fn rekey(&mut self, own: Id) {
        self.slots.owner.id = own;
    }

    fn len(&self) -> usize {
        self.slots.slots.len()
    }

    fn find(&self, key: &Key) -> Option<usize> {
        self.slots().find(key)
    }

    fn get(&self, slot: usize) -> Option<StoredRecord<'_>> {
        let slot = self.slots.slots.get(slot)?;
        let start = slot.place as usize;
        slot.stored(self.arena.get(start..start.checked_add(slot.size())?)?)
    }

    fn metadata_mut(&mut self, slot: usize) -> Option<&mut Metadata> {
        self.slots.slots.get_mut(slot).map(|slot| &mut slot.metadata)
    }

    fn put(&mut self, now: Instant, record: &Record<'_>, metadata: Metadata) -> Result<Put, StoreError> {
        let (slots, arena) = self.both();
        slots.put(arena, now, record, metadata)
    }

    fn remove(&mut self, slot: usize) {
        let (slots, arena) = self.both();
        slots.remove(arena, slot);
    }

    fn bytes(&self) -> usize {
        self.arena.len()
    }

    fn capacity(&self) -> usize {
        BYTES
    }
}

impl RecordSlots {
    fn put(
        &mut self,
        arena: &mut VecView<u8>,
        now: Instant,
        record: &Record<'_>,
        metadata: Metadata,
    ) -> Result<Put, StoreError> {
        let capacity = Load { bytes: arena.capacity(), records: self.slots.capacity() };
        let len = len_within(capacity.bytes, record)?;
        let mut offer = Slot::new(now, record, len, metadata, 0);
        if self.owner.rank.is_none() {
            return Err(StoreError::Full);
        }
        let mut stored = self.slots.iter_mut().find(|slot| slot.key == offer.key);
        let put = contest(now, stored.as_deref_mut(), &offer)?;
        if put == Put::Renewed {
            return Ok(put);
        }
        if let Some(stored) = stored {
            stored.leaving = true;
        }
        make_room(now, &mut self.slots, capacity, &self.owner, &offer)?;
        for slot in (0..self.slots.len()).rev() {
            if self.slots.get(slot).is_some_and(|slot| slot.leaving) {
                self.remove(arena, slot);
            }
        }
        offer.place = u32::try_from(arena.len()).map_err(|_| StoreError::Full)?;
        record.keep(arena).ok_or(StoreError::Full)?;
        self.slots.push(offer).map_err(|_| StoreError::Full)?;
        Ok(put)
    }

    fn find(&self, key: &Key) -> Option<usize> {
        self.slots.iter().position(|slot| slot.key == *key)
    }

    fn remove(&mut self, arena: &mut VecView<u8>, slot: usize) {
        let Some((place, len)) = self.slots.get(slot).map(|gone| (gone.place, gone.len)) else {
            return;
        };
        self.slots.swap_remove(slot);
        let (start, size) = (place as usize, usize::from(len));
        let end = start.saturating_add(size);
        if end <= arena.len() {
            arena.copy_within(end.., start);
            arena.truncate(arena.len().saturating_sub(size));
        }
        for slot in self.slots.iter_mut().filter(|slot| slot.place > place) {
            slot.place = slot.place.saturating_sub(u32::from(len));
        }
    }
}
