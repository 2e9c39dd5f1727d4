//! What every store can do: the trait, and the results of a put.

use core::error::Error;
use core::fmt;

use super::stored_record::{Metadata, StoredRecord};
use crate::address::Prefix;
use crate::id::{Distance, Id};
use crate::record::{Key, Record, Version};
use crate::time::Instant;

/// The order by which nodes are responsible for a key: a geometry's `rank`.
pub type Rank = fn(target: &Id, id: &Id) -> Distance;

/// A bounded store of records.
///
/// Records lie in slots `0..len()`, in an order that depends on nothing but the calls made. Removing a record moves the
/// last one into its slot, and a new or replaced record goes into the last slot.
///
/// A record that has expired is found until [`expire`](Store::expire) or the next record that is stored removes it.
///
/// This is how a node drives its store, whichever it is:
///
/// ```
/// use core::time::Duration;
/// use kadlet::store::{Metadata, Put, StoreError};
/// use kadlet::{FixedStore, Geometry, Id, Instant, Key, Prefix, Record, Store, Xor};
///
/// fn drive<S: Store>(mut store: S) {
///     let now = Instant::ZERO;
///     store.start(Id::ZERO, Xor::rank, [7; 16]);
///     let from = |source| {
///         let expires = now + Duration::from_secs(3_600);
///         Metadata { source: Prefix::new(source), ..Metadata::until(expires) }
///     };
///
///     // A newer version replaces the stored one, and an older one is refused.
///     assert_eq!(store.put(now, &Record::plain(b"name", b"one"), from(1)), Ok(Put::New));
///     let later = now + Duration::from_secs(10);
///     assert_eq!(store.put(later, &Record::plain(b"name", b"two"), from(1)), Ok(Put::Replaced));
///     let slot = store.find(&Key::plain(b"name")).expect("it is stored");
///     let stored = store.get(slot).expect("it is stored");
///     assert_eq!(stored.record(later).value, b"two");
///     let age = stored.version(later + Duration::from_secs(2)).number;
///     assert_eq!(age, 2_000, "the version of a plain record is its age in milliseconds");
///
///     // A full store evicts a record of the source that has stored the most.
///     store.remove(slot);
///     for (source, value) in [(1, [1; 100]), (1, [2; 100]), (2, [3; 100])] {
///         assert_eq!(store.put(later, &Record::immutable(&value), from(source)), Ok(Put::New));
///     }
///     assert_eq!(store.bytes(), 200);
///     assert!(store.find(&Key::immutable(&[3; 100])).is_some());
///     assert_eq!(store.put(later, &Record::immutable(&[4; 300]), from(3)), Err(StoreError::TooLarge(200)));
///
///     // Records expire. The store returns when the next one does.
///     let hour = now + Duration::from_secs(3_600);
///     assert_eq!(store.expire(later), hour);
///     assert_eq!(store.expire(hour), Instant::NEVER);
///     assert!(store.is_empty());
/// }
///
/// drive(FixedStore::<8, 200>::EMPTY);
/// # #[cfg(feature = "alloc")]
/// drive(kadlet::HashStore::new(8, 200));
/// ```
pub trait Store {
    /// An empty store, all zeros, which lies in `.bss`. It takes no record until it is started.
    const EMPTY: Self;

    /// Forgets everything and begins as the store of the node `own`. `rank` says which records are farthest from it,
    /// `random` keys hash tables.
    fn start(&mut self, own: Id, rank: Rank, random: [u8; 16]);

    /// Continues as the store of a node with another identifier.
    fn rekey(&mut self, own: Id);

    /// How many records are stored.
    fn len(&self) -> usize;

    /// The slot of the record under `key`.
    fn find(&self, key: &Key) -> Option<usize>;

    /// The record in a slot.
    fn get(&self, slot: usize) -> Option<StoredRecord<'_>>;

    /// The metadata of the record in a slot, to be changed.
    fn metadata_mut(&mut self, slot: usize) -> Option<&mut Metadata>;

    /// Stores a record. The caller must have checked its proof.
    ///
    /// If a record is stored under its key and has not expired, [`Kind::contest`](crate::Kind::contest) decides as of
    /// `now`:
    /// - The offered record wins: it replaces the stored one with all its metadata. So a record of the own node that is
    ///   replaced by another node's newer one is no longer pinned.
    /// - They are the same: the later expiry counts and, for a plain record, the lower age. A caller that must not
    ///   extend the time (at a handover) passes the expiry that is stored already. Whether the node is responsible is
    ///   taken from the offered one, and all else stays. If the offered record is pinned, it replaces all metadata but
    ///   the expiry.
    /// - The stored record wins: the offered one is [`StoreError::Outdated`].
    ///
    /// A record that is stored removes all that have expired. While there is no room, one more record is evicted, up to
    /// 8 times: records that the own node is not responsible for come first. Of these, the /8 with the largest share
    /// loses a record, in it the /16 with the largest, in it the /24 with the largest (of IPv6: /32, /40 and /48), and
    /// in this source it is the one that is farthest from the own node. A share is counted
    /// in bytes, to which each record adds the mean of the bytes that there are for one; the offered record counts.
    /// Pinned records are not evicted and don't count. If the offered record is the one to be evicted, or none is left,
    /// the put fails with [`StoreError::Full`].
    ///
    /// # Errors
    ///
    /// [`StoreError`]; the store is as it was.
    fn put(&mut self, now: Instant, record: &Record<'_>, metadata: Metadata) -> Result<Put, StoreError>;

    /// Removes the record in a slot, if there is one.
    fn remove(&mut self, slot: usize);

    /// Removes all records that have expired, pinned or not, and returns when the next one does ([`Instant::NEVER`] if
    /// none is stored).
    fn expire(&mut self, now: Instant) -> Instant {
        let (mut slot, mut next) = (0, Instant::NEVER);
        while let Some(stored) = self.get(slot) {
            let expires = stored.metadata.expires;
            if expires <= now {
                self.remove(slot);
            } else {
                next = next.min(expires);
                slot += 1;
            }
        }
        next
    }

    /// How many records and how many bytes the records of one source take, without pinned ones. A store of many records
    /// keeps these totals.
    fn taken_by(&self, source: Prefix) -> (usize, usize) {
        let held = (0..self.len()).filter_map(|slot| self.get(slot));
        let of_source = held.filter(|held| held.metadata.source == Some(source) && !held.metadata.pinned);
        of_source.fold((0, 0), |(records, bytes), held| (records + 1, bytes + held.size()))
    }

    /// How many bytes are in use, of values, salts, public keys and signatures.
    fn bytes(&self) -> usize;

    /// How many of these bytes there is room for.
    fn capacity(&self) -> usize;

    /// Whether no record is stored.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The result of a put. There are no others, so it can be matched exhaustively.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// No record was stored under its key, or one that has expired.
    New,
    /// It replaced an older version.
    Replaced,
    /// It was stored already; its expiry is now the later one of the two.
    Renewed,
}

impl fmt::Display for Put {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::New => "new",
            Self::Replaced => "replaced",
            Self::Renewed => "renewed",
        })
    }
}

/// Why a record was not stored. The store is as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreError {
    /// Its parts exceed the bounds of any record, or it is larger than the whole store. It holds the limit in bytes.
    TooLarge(usize),
    /// All room is taken by records that are not evicted for this one.
    Full,
    /// A version that wins over the offered one is stored: a newer one, or one that is as new and has a higher hash. It
    /// holds that version.
    Outdated(Version),
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge(limit) => write!(f, "the record is larger than the limit of {limit} bytes"),
            Self::Full => f.write_str("the store is full of records that are not evicted for this one"),
            Self::Outdated(version) => {
                write!(
                    f,
                    "a record that wins is stored (number {}: a sequence number, or an age in ms)",
                    version.number
                )
            }
        }
    }
}

impl Error for StoreError {}
