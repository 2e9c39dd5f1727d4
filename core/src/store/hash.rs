//! A store on the heap, for hosts.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::cmp::Reverse;
use core::hash::BuildHasher;

use hashbrown::HashMap;
use siphasher::sip::SipHasher13;

use super::eviction::{Load, MOST_EVICTED, Owner, contest};
use super::interface::{Put, Rank, Store, StoreError};
use super::shares::Shares;
use super::slot::{Slot, len_within};
use super::stored_record::{Metadata, StoredRecord};
use crate::address::Prefix;
use crate::id::Id;
use crate::record::{Key, Kind, Record};
use crate::time::Instant;

/// A bounded number of records in a bounded number of bytes, which are taken from the heap as records come.
///
/// A record is found in constant time, by a hash that is keyed with the `random` of [`Store::start`], so that nobody
/// can choose keys that collide. The slots lie side by side in an array of their own, so that no result depends on the
/// hash. What each source takes, and in what order records are evicted, is kept in search trees, so that a put into a
/// full store takes logarithmic time. All this takes some 500 bytes for each record in addition to its own.
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
/// let metadata = Metadata::until(expires);
/// assert_eq!(store.put(now, &Record::immutable(b"hello"), metadata), Ok(Put::New));
/// assert_eq!(store.put(now, &Record::immutable(&[0; 1_001]), metadata), Err(StoreError::TooLarge(1_000)));
/// assert_eq!(store.find(&Key::immutable(b"hello")), Some(0));
/// ```
#[derive(Debug)]
pub struct HashStore {
    slots: Vec<Slot<Box<[u8]>>>,
    index: HashMap<Key, usize, Seed>,
    /// When each record expires.
    expiries: BTreeSet<(Instant, Reverse<Key>)>,
    shares: Shares,
    /// The slot whose metadata was lent to the caller. It is on neither of the two lists above until the next call.
    lent: Option<usize>,
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
            expiries: BTreeSet::new(),
            shares: Shares::EMPTY,
            lent: None,
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
        *self = Self {
            index: HashMap::with_hasher(Seed(random)),
            owner: Owner { id: own, rank: Some(rank) },
            ..Self::new(self.capacity.records, self.capacity.bytes)
        };
    }

    fn rekey(&mut self, own: Id) {
        self.owner.id = own;
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
        self.settle();
        self.unlist(slot);
        self.lent = Some(slot);
        self.slots.get_mut(slot).map(|slot| &mut slot.metadata)
    }

    fn put(&mut self, now: Instant, record: &Record<'_>, metadata: Metadata) -> Result<Put, StoreError> {
        let len = len_within(self.capacity.bytes, record)?;
        if self.owner.rank.is_none() {
            return Err(StoreError::Full);
        }
        self.settle();
        let mut offer = Slot::new(now, record, len, metadata, Box::default());
        let stored = self.find(&offer.key);
        let mut leaving = Vec::from_iter(stored);
        stored.into_iter().for_each(|slot| self.unlist(slot));
        let mut put = contest(now, stored.and_then(|slot| self.slots.get_mut(slot)), &offer);
        if put.is_ok_and(|put| put != Put::Renewed) {
            put = self.make_room(now, &offer, &mut leaving).and(put);
        }
        if put.is_err() || put == Ok(Put::Renewed) {
            leaving.into_iter().for_each(|slot| self.list(slot));
            return put;
        }
        // From the last slot down: what moves into a slot stays.
        leaving.sort_unstable();
        leaving.into_iter().rev().for_each(|slot| self.take(slot));
        offer.place = record.parts().concat().into_boxed_slice();
        self.bytes = self.bytes.saturating_add(offer.size());
        self.index.insert(offer.key, self.slots.len());
        self.expiries.insert((offer.metadata.expires, Reverse(offer.key)));
        self.slots.push(offer);
        put
    }

    fn remove(&mut self, slot: usize) {
        self.settle();
        self.unlist(slot);
        self.take(slot);
    }

    fn expire(&mut self, now: Instant) -> Instant {
        self.settle();
        let mut slots = BTreeSet::from_iter(self.expired(now));
        // In the order of the slots, as all stores do: the last record moves into the slot that is freed.
        while let Some(slot) = slots.pop_first() {
            let last = self.slots.len() - 1;
            self.remove(slot);
            if slots.remove(&last) {
                slots.insert(slot);
            }
        }
        self.expiries.first().map_or(Instant::NEVER, |(expires, _)| *expires)
    }

    fn taken_by(&self, source: Prefix) -> (usize, usize) {
        let lent = self.lent.and_then(|slot| self.slots.get(slot));
        let lent = lent.filter(|slot| slot.metadata.source == Some(source) && !slot.metadata.pinned);
        let taken = self.shares.taken_by(source).plus(lent.map_or(Load::default(), Slot::load));
        (taken.records, taken.bytes)
    }

    fn bytes(&self) -> usize {
        self.bytes
    }

    fn capacity(&self) -> usize {
        self.capacity.bytes
    }
}

impl HashStore {
    /// Counts the offered record among the shares, chooses the slots that must be removed so that it has room, and
    /// takes them off the lists. After an error, they must be listed again.
    fn make_room(&mut self, now: Instant, offer: &Slot<Box<[u8]>>, leaving: &mut Vec<usize>) -> Result<(), StoreError> {
        for slot in self.expired(now) {
            self.unlist(slot);
            leaving.push(slot);
        }
        let of = |slot: &usize| self.slots.get(*slot).map_or(Load::default(), Slot::load);
        let held = Load { bytes: self.bytes, records: self.slots.len() };
        let mut taken = leaving.iter().map(of).fold(held.plus(offer.load()), Load::minus);
        if offer.is_evictable() {
            self.shares.add(self.capacity, &self.owner, offer);
        }
        for _ in 0..MOST_EVICTED {
            let heaviest = self.shares.heaviest().filter(|key| *key != offer.key && !taken.fits(self.capacity));
            let Some(slot) = heaviest.and_then(|key| self.find(&key)) else { break };
            self.unlist(slot);
            leaving.push(slot);
            taken = taken.minus(self.slots.get(slot).map_or(Load::default(), Slot::load));
        }
        if taken.fits(self.capacity) {
            return Ok(());
        }
        if offer.is_evictable() {
            self.shares.remove(self.capacity, &self.owner, offer);
        }
        Err(StoreError::Full)
    }

    /// The slots of the records that have expired.
    fn expired(&self, now: Instant) -> Vec<usize> {
        let until = (now, Reverse(Key { kind: Kind::Plain, id: Id::ZERO }));
        self.expiries.range(..=until).filter_map(|(_, key)| self.find(&key.0)).collect()
    }

    /// Lists the slot whose metadata was lent to the caller, who may have changed it.
    fn settle(&mut self) {
        if let Some(slot) = self.lent.take() {
            self.list(slot);
        }
    }

    /// Puts a slot on the lists by which records expire and are evicted.
    fn list(&mut self, slot: usize) {
        let Some(slot) = self.slots.get(slot) else { return };
        self.expiries.insert((slot.metadata.expires, Reverse(slot.key)));
        if slot.is_evictable() {
            self.shares.add(self.capacity, &self.owner, slot);
        }
    }

    /// Takes a slot off these lists.
    fn unlist(&mut self, slot: usize) {
        let Some(slot) = self.slots.get(slot) else { return };
        self.expiries.remove(&(slot.metadata.expires, Reverse(slot.key)));
        if slot.is_evictable() {
            self.shares.remove(self.capacity, &self.owner, slot);
        }
    }

    /// Removes a slot that is on no list.
    fn take(&mut self, slot: usize) {
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
