//! The body of the fuzz target `store`: any sequence of operations against every store, compared with a naive model
//! that says what each must do.
//!
//! `core/tests/store.rs` drives it with proptest too.

use std::collections::BTreeMap;

use kadlet::record::{Proof, Version};
use kadlet::store::{Metadata, Put, Rank, StoreError, StoredRecord};
use kadlet::{
    Clockwise, Digits, Distance, FixedStore, Geometry, HashStore, Id, Instant, Key, Kind, Prefix, Record, Store, Xor,
};

/// A call of a store, or a step of the clock.
#[derive(Clone, Debug)]
pub enum Operation {
    /// Put a record.
    Put {
        /// The record.
        sample: Sample,
        /// Seconds from now until it expires.
        lifetime: u8,
        /// The address prefix whose quota it counts against: one of three, or none for 0.
        source: u8,
        /// Whether the own node publishes it.
        pinned: bool,
    },
    /// Remove the record in a slot. The slot may be empty.
    Remove(u8),
    /// Pin the record in a slot, or unpin it.
    Pin(u8, bool),
    /// Remove expired records.
    Expire,
    /// Move the clock by this many milliseconds, back if negative.
    Wait(i16),
}

/// A record out of a few, so that several often have the same key.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Plain, immutable or signed.
    pub kind: u8,
    /// The name or the public key.
    pub name: u8,
    /// The byte that fills the value.
    pub fill: u8,
    /// The value's length in bytes.
    pub len: u16,
    /// The salt's length in bytes.
    pub salt: u8,
    /// The age in units of 300 ms, or the sequence number.
    pub number: u8,
}

/// The ranks of Kademlia, Chord and Pastry.
pub const RANKS: [Rank; 3] = [Xor::rank, Clockwise::rank, <Digits>::rank];

/// The bounds of the stores, so small that both are reached.
const RECORDS: usize = 6;
const BYTES: usize = 900;
const OWN: Id = Id::from_bytes([0x55; 20]);
/// The numbers of the sources' prefixes: none, two /24s of one /16, and one of another /8.
const SOURCES: [u64; 4] = [0, 0x0401_0101, 0x0401_0102, 0x0402_0101];

/// Reads the bytes as operations, and plays them with the rank of one geometry. A first byte of 0x12 or 0x22, which is
/// an `Expire`, chooses Chord's or Pastry's rank. Any other chooses Kademlia's.
///
/// # Panics
///
/// As [`play`].
pub fn run(data: &[u8]) {
    let mut bytes = data.iter().copied();
    let mut operations = Vec::new();
    while let Some(tag) = bytes.next() {
        let mut next = || bytes.next().unwrap_or(0);
        operations.push(match tag % 16 {
            0 => Operation::Remove(next()),
            1 => Operation::Pin(next(), tag & 0x10 != 0),
            2 => Operation::Expire,
            3 | 4 => Operation::Wait(i16::from_be_bytes([next(), next()])),
            _ => {
                let (name, len) = (next(), u16::from_be_bytes([next(), next()]));
                let sample = Sample { kind: tag >> 4, name, fill: name >> 4, len, salt: next(), number: next() };
                let source = next();
                Operation::Put { sample, lifetime: next(), source, pinned: source >= 0xE0 }
            }
        });
    }
    let rank = match data.first() {
        Some(0x12) => RANKS[1],
        Some(0x22) => RANKS[2],
        _ => RANKS[0],
    };
    play(rank, &operations);
}

/// Plays the operations on every store.
///
/// # Panics
///
/// If a store differs from the model, or the stores put records into different slots.
pub fn play(rank: Rank, operations: &[Operation]) {
    let mut fixed = FixedStore::<RECORDS, BYTES>::EMPTY;
    let order = play_on(&mut fixed, rank, [0; 16], operations);
    for random in [[1; 16], [2; 16]] {
        assert_eq!(play_on(&mut HashStore::new(RECORDS, BYTES), rank, random, operations), order);
    }
}

/// Plays the operations on one store and on the model. Returns the keys in the order of their slots after each
/// operation.
fn play_on<S: Store>(store: &mut S, rank: Rank, random: [u8; 16], operations: &[Operation]) -> Vec<Vec<Key>> {
    store.start(OWN, rank, random);
    let mut model = Model { rank, items: BTreeMap::new() };
    let mut now = Instant::from_secs(1_000);
    let mut order = vec![Vec::new()];
    for operation in operations {
        match operation {
            Operation::Put { sample, lifetime, source, pinned } => {
                let (value, salt) = (sample.value(), sample.salt());
                let (public_key, signature) = ([sample.name % 4; 32], [sample.number; 64]);
                let record = sample.record(&value, &salt, &public_key, &signature);
                let expires = now + core::time::Duration::from_secs(u64::from(*lifetime));
                let source = Prefix::new(SOURCES[usize::from(*source % 4)]);
                let responsible = lifetime % 2 == 0;
                let metadata = Metadata {
                    source,
                    pinned: *pinned,
                    last_replicated: now,
                    claimed: *lifetime > 6,
                    holders: (*lifetime).into(),
                    responsible,
                    ..Metadata::until(expires)
                };
                let put = store.put(now, &record, metadata);
                assert_eq!(put, model.put(now, &record, metadata), "{operation:?}");
                if put.is_err() || put == Ok(Put::Renewed) {
                    assert_eq!(keys(store), order[order.len() - 1], "nothing moved");
                } else {
                    assert_eq!(store.find(&record.key()), Some(store.len() - 1));
                }
            }
            Operation::Remove(slot) => {
                let slot = usize::from(*slot) % (RECORDS + 1);
                let last = store.len().checked_sub(1).and_then(|last| store.get(last)).map(|held| held.key);
                if let Some(held) = store.get(slot) {
                    model.items.remove(&held.key);
                }
                store.remove(slot);
                if slot < store.len() {
                    assert_eq!(store.get(slot).map(|held| held.key), last);
                }
            }
            Operation::Pin(slot, pinned) => {
                let slot = usize::from(*slot) % (RECORDS + 1);
                if let Some(key) = store.get(slot).map(|held| held.key) {
                    store.metadata_mut(slot).unwrap().pinned = *pinned;
                    model.items.get_mut(&key).unwrap().metadata.pinned = *pinned;
                }
            }
            Operation::Expire => assert_eq!(store.expire(now), model.expire(now)),
            Operation::Wait(millis) => {
                let millis = now.as_millis().saturating_add_signed(i64::from(*millis));
                now = Instant::from_millis(millis);
            }
        }
        model.compare(now, store);
        order.push(keys(store));
    }
    order
}

fn keys<S: Store>(store: &S) -> Vec<Key> {
    (0..store.len()).map(|slot| store.get(slot).unwrap().key).collect()
}

impl Sample {
    fn value(&self) -> Vec<u8> {
        // Few lengths, so that values recur. Some exceed the store, or every bound.
        let len = if self.len.is_multiple_of(64) { self.len / 32 } else { self.len % 6 * 70 };
        vec![self.fill % 4; usize::from(len)]
    }

    fn salt(&self) -> Vec<u8> {
        let len = if self.salt >= 0xF8 { self.salt } else { self.salt % 3 };
        vec![self.name % 4; usize::from(len)]
    }

    fn record<'a>(
        &self,
        value: &'a [u8],
        salt: &'a [u8],
        public_key: &'a [u8; 32],
        signature: &'a [u8; 64],
    ) -> Record<'a> {
        let proof = match self.kind % 3 {
            0 => Proof::Plain { id: Key::plain(&[self.name % 8]).id, age: u64::from(self.number) * 300 },
            1 => Proof::Immutable,
            _ => Proof::Signed { public_key, salt, sequence: u64::from(self.number % 4), signature },
        };
        Record { value, proof }
    }
}

/// The records that a store must hold, in the simplest form.
#[derive(Clone)]
struct Model {
    rank: Rank,
    items: BTreeMap<Key, Item>,
}

#[derive(Clone)]
struct Item {
    version: Version,
    /// The time at which `version` was right: a plain record's age grows from then on.
    at: Instant,
    value: Vec<u8>,
    /// Public key, signature and salt.
    signed: Option<([u8; 32], [u8; 64], Vec<u8>)>,
    metadata: Metadata,
}

impl Model {
    fn put(&mut self, now: Instant, record: &Record<'_>, metadata: Metadata) -> Result<Put, StoreError> {
        let new = Item::new(now, record, metadata);
        let salt = new.signed.as_ref().map_or(0, |(_, _, salt)| salt.len());
        if salt > 64 {
            return Err(StoreError::TooLarge(64));
        } else if new.value.len() + salt > 1_000 {
            return Err(StoreError::TooLarge(1_000));
        } else if new.size() > BYTES {
            return Err(StoreError::TooLarge(BYTES));
        }
        let key = record.key();
        let mut put = Put::New;
        if let Some(held) = self.items.get_mut(&key).filter(|held| held.metadata.expires > now) {
            let version = held.version(key.kind, now);
            match key.kind.contest(version, new.version).offered {
                core::cmp::Ordering::Less => return Err(StoreError::Outdated(version)),
                core::cmp::Ordering::Greater => put = Put::Replaced,
                core::cmp::Ordering::Equal => {
                    held.renew(key.kind, now, &new);
                    return Ok(Put::Renewed);
                }
            }
        }
        let before = self.clone();
        self.items.insert(key, new);
        self.items.retain(|other, item| *other == key || item.metadata.expires > now);
        while !self.fits() {
            match self.victim() {
                Some(victim) if victim != key => self.items.remove(&victim),
                _ => {
                    *self = before;
                    return Err(StoreError::Full);
                }
            };
        }
        Ok(put)
    }

    /// The record to evict next: one that the node is not responsible for, of the /8 with the largest share, in it of
    /// the /16 and of the /24 with the largest, the farthest.
    fn victim(&self) -> Option<Key> {
        let unpinned = || self.items.iter().filter(|(_, item)| !item.metadata.pinned);
        let weight = |(key, item): &(&Key, &Item)| -> (bool, [usize; 3], Distance) {
            let responsible = item.metadata.responsible;
            let shares = [16, 8, 0].map(|bits| {
                let of = |item: &Item| item.metadata.source.map(|source| source.number() >> bits);
                let same = |other: &Item| other.metadata.responsible == responsible && of(other) == of(item);
                let sizes = || unpinned().filter(|(_, other)| same(other)).map(|(_, other)| other.size());
                sizes().count() * (BYTES / RECORDS) + sizes().sum::<usize>()
            });
            (!responsible, shares, (self.rank)(&key.id, &OWN))
        };
        unpinned().max_by_key(weight).map(|(key, _)| *key)
    }

    fn fits(&self) -> bool {
        self.items.len() <= RECORDS && self.bytes() <= BYTES
    }

    fn bytes(&self) -> usize {
        self.items.values().map(Item::size).sum()
    }

    fn expire(&mut self, now: Instant) -> Instant {
        self.items.retain(|_, item| item.metadata.expires > now);
        self.items.values().map(|item| item.metadata.expires).min().unwrap_or(Instant::NEVER)
    }

    fn compare<S: Store>(&self, now: Instant, store: &S) {
        assert_eq!(store.len(), self.items.len());
        assert_eq!(store.is_empty(), self.items.is_empty());
        assert_eq!(store.bytes(), self.bytes());
        assert!(store.get(store.len()).is_none());
        for (key, item) in &self.items {
            let slot = store.find(key).expect("the store has every record of the model");
            let held: StoredRecord<'_> = store.get(slot).unwrap();
            assert_eq!(held.key, *key);
            assert_eq!(held.version(now), item.version(key.kind, now));
            assert_eq!(held.record(now), item.record(*key, now));
            assert_eq!(*held.metadata, item.metadata);
            assert_eq!(held.stored.key(), *key);
        }
    }
}

impl Item {
    fn new(now: Instant, record: &Record<'_>, metadata: Metadata) -> Self {
        let signed = match record.proof {
            Proof::Signed { public_key, salt, signature, .. } => Some((*public_key, *signature, salt.to_vec())),
            _ => None,
        };
        Self { version: record.version(), at: now, value: record.value.to_vec(), signed, metadata }
    }

    fn size(&self) -> usize {
        self.value.len() + self.signed.as_ref().map_or(0, |(_, _, salt)| 96 + salt.len())
    }

    fn version(&self, kind: Kind, now: Instant) -> Version {
        let millis = if kind == Kind::Plain { now.as_millis().saturating_sub(self.at.as_millis()) } else { 0 };
        Version { number: self.version.number + millis, ..self.version }
    }

    fn record(&self, key: Key, now: Instant) -> Record<'_> {
        let number = self.version(key.kind, now).number;
        let proof = match (key.kind, &self.signed) {
            (Kind::Plain, _) => Proof::Plain { id: key.id, age: number },
            (Kind::Signed, Some((public_key, signature, salt))) => {
                Proof::Signed { public_key, salt, sequence: number, signature }
            }
            _ => Proof::Immutable,
        };
        Record { value: &self.value, proof }
    }

    fn renew(&mut self, kind: Kind, now: Instant, new: &Self) {
        if new.version.number < self.version(kind, now).number {
            (self.version, self.at) = (new.version, now);
        }
        self.metadata.expires = self.metadata.expires.max(new.metadata.expires);
        self.metadata.responsible = new.metadata.responsible;
        if new.metadata.pinned {
            self.metadata = Metadata { expires: self.metadata.expires, ..new.metadata };
        }
    }
}
