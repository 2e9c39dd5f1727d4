//! A store on the heap, for hosts.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::hash::BuildHasher;

use hashbrown::HashMap;
use siphasher::sip::SipHasher13;

use super::eviction::{Counted, Load, Owner, decide};
use super::interface::{Put, Rank, Store, StoreError};
use super::slot::{Slot, len_within};
use super::stored_record::{Metadata, StoredRecord};
use crate::id::Id;
use crate::record::{Key, Record};
use crate::time::Instant;

/// A bounded number of records in a bounded number of bytes, which are taken from the heap as records come.
///
/// A record is found in constant time, by a hash that is keyed with the `random` of [`Store::start`], so that nobody
/// can choose keys that collide. The slots lie side by side in an array of their own, so that no result depends on the
/// hash. A slot and its index take some 180 bytes in addition to the record's own. A put that needs room in a full
/// store looks at every slot for each record that is evicted.
///
/// ```
/// use core::time::Duration;
/// use kadlet::store::{Metadata, Put, StoreError};
/// use kadlet::{HashStore, Id, Instant, Key, Record, Store};
///
/// let now = Instant::ZERO;
/// let mut store = HashStore::new(1_000, 1_000_000);
/// store.start(Id::ZERO, |target, id| target.xor(id), [7; 16]);
///
/// let expires = now + Duration::from_secs(60);
/// let metadata = Metadata { expires, source: None, pinned: false, last_replicated: now };
/// assert_eq!(store.put(now, &Record::immutable(b"hello"), metadata), Ok(Put::New));
/// assert_eq!(store.put(now, &Record::immutable(&[0; 1_001]), metadata), Err(StoreError::TooLarge(1_000)));
/// assert_eq!(store.find(&Key::immutable(b"hello")), Some(0));
/// ```
#[derive(Debug)]
pub struct HashStore {
    slots: Vec<Slot<Box<[u8]>>>,
    index: HashMap<Key, usize, Seed>,
    bytes: usize,
    capacity: Load,
    owner: Owner,
}

impl HashStore {
    /// A store of at most `max_records` records in `max_bytes` bytes of values, salts, public keys and signatures. It
    /// takes nothing until it is started, and allocates nothing until the first record is stored.
    #[must_use]
    pub const fn new(max_records: usize, max_bytes: usize) -> Self {
        Self {
            slots: Vec::new(),
            index: HashMap::with_hasher(Seed([0; 16])),
            bytes: 0,
            capacity: Load { bytes: max_bytes, records: max_records },
            owner: Owner { id: Id::ZERO, rank: None },
        }
    }
}

impl Store for HashStore {
    /// At most 4,096 records in 1 MiB; [`HashStore::new`] sets other bounds. Not all zeros: an empty hash table isn't.
    const EMPTY: Self = Self::new(4_096, 1 << 20);

    fn start(&mut self, own: Id, rank: Rank, random: [u8; 16]) {
        self.slots.clear();
        self.index = HashMap::with_hasher(Seed(random));
        self.bytes = 0;
        self.owner = Owner { id: own, rank: Some(rank) };
    }

    fn len(&self) -> usize {
        self.slots.len()
    }

    fn find(&self, key: &Key) -> Option<usize> {
        self.index.get(key).copied()
    }

    fn get(&self, slot: usize) -> Option<StoredRecord<'_>> {
        self.slots.get(slot).and_then(|slot| slot.stored(&slot.place))
    }

    fn metadata_mut(&mut self, slot: usize) -> Option<&mut Metadata> {
        self.slots.get_mut(slot).map(|slot| &mut slot.metadata)
    }

    fn put(&mut self, now: Instant, record: &Record<'_>, metadata: Metadata) -> Result<Put, StoreError> {
        let len = len_within(self.capacity.bytes, record)?;
        let mut offer = Slot::new(now, record, len, metadata, Box::default());
        let stored = self.find(&offer.key);
        let load = Load { bytes: self.bytes, records: self.slots.len() };
        let put = decide::<_, Counted>(now, &mut self.slots, stored, load, self.capacity, &self.owner, &offer)?;
        if put == Put::Renewed {
            return Ok(put);
        }
        for slot in (0..self.slots.len()).rev() {
            if self.slots.get(slot).is_some_and(|slot| slot.leaving) {
                self.remove(slot);
            }
        }
        offer.place = record.parts().concat().into_boxed_slice();
        self.bytes = self.bytes.saturating_add(offer.size());
        self.index.insert(offer.key, self.slots.len());
        self.slots.push(offer);
        Ok(put)
    }

    fn remove(&mut self, slot: usize) {
        if slot >= self.slots.len() {
            return;
        }
        let gone = self.slots.swap_remove(slot);
        self.bytes = self.bytes.saturating_sub(gone.size());
        self.index.remove(&gone.key);
        if let Some(moved) = self.slots.get(slot) {
            self.index.insert(moved.key, slot);
        }
    }

    fn bytes(&self) -> usize {
        self.bytes
    }

    fn capacity(&self) -> usize {
        self.capacity.bytes
    }
}

/// The key of the hash.
#[derive(Clone, Copy, Debug)]
struct Seed([u8; 16]);

impl BuildHasher for Seed {
    type Hasher = SipHasher13;

    fn build_hasher(&self) -> SipHasher13 {
        SipHasher13::new_with_key(&self.0)
    }
}
