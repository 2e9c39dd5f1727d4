//! The records that are held: bounded, and turned out by a stated rule when there is no room.
//!
//! [`FixedStore`] needs no allocator; `HashStore` (feature `alloc`) is for hosts. Both follow the rules of [`Store::put`].

mod fixed;
#[cfg(feature = "alloc")]
mod hash;
mod room;
mod slot;

use crate::record::{Key, Proof, Record, Version};
use crate::{Distance, Id, Instant, Prefix};

pub use fixed::FixedStore;
#[cfg(feature = "alloc")]
pub use hash::HashStore;

/// The order by which nodes are responsible for a key: a geometry's `rank`.
pub type Rank = fn(target: &Id, id: &Id) -> Distance;

/// A bounded store of records.
///
/// Records lie in slots `0..len()`, in an order that depends on nothing but the calls made. Removing one moves the last into
/// its slot, and what is new or replaced goes into the last slot.
///
/// A record whose time has ended is found until [`expire`](Store::expire) takes it out or a newcomer needs its room.
pub trait Store {
    /// A store of zeros that lies in `.bss`. It takes nothing until it is started.
    const EMPTY: Self;

    /// Forgets everything and begins as the store of the node `own`; `rank` tells which records are farthest from it, `random`
    /// keys hash tables.
    fn start(&mut self, own: Id, rank: Rank, random: [u8; 16]);

    /// Records held.
    fn len(&self) -> usize;

    /// The slot of the record under `key`.
    fn find(&self, key: &Key) -> Option<usize>;

    /// The record in a slot.
    fn get(&self, slot: usize) -> Option<StoredRecord<'_>>;

    /// What is noted beside the record in a slot, to be changed.
    fn metadata_mut(&mut self, slot: usize) -> Option<&mut Metadata>;

    /// Puts a record in. Its proof is the caller's to check.
    ///
    /// Where a record is held under its key and its time has not ended, [`Kind::contest`](crate::Kind::contest) decides as of `now`:
    /// - the offered one wins: it replaces the other with all its notes, so that an own record met by a newer one of
    ///   somebody else is no longer pinned;
    /// - it is the same: the later end of the two counts, and of a plain record the younger age. Who must not extend it (a
    ///   handover) passes the end that is noted already. Whose quota it counts against stays, and it stays pinned, when it was
    ///   tended being the owner's to say; put again as pinned, it takes over all notes but the end;
    /// - the held one wins: it is [`StoreError::Outdated`].
    ///
    /// Where there is no room, first all go whose time has ended. Then, one after the other, of the source with the largest
    /// share (of bytes; of records while it is a slot that lacks; the newcomer counted) the one farthest from the own node. No
    /// pinned record gives way or counts as a share. When the newcomer's turn comes, or nobody's, the store is full.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; the store is as it was.
    fn put(&mut self, now: Instant, record: &Record<'_>, metadata: Metadata) -> Result<Put, StoreError>;

    /// Takes the record in a slot out; nothing happens if there is none.
    fn remove(&mut self, slot: usize);

    /// Takes out all whose time has ended, pinned or not, and says when the next one's will ([`Instant::NEVER`] if none is held).
    fn expire(&mut self, now: Instant) -> Instant {
        let (mut slot, mut next) = (0, Instant::NEVER);
        while let Some(held) = self.get(slot) {
            let expires = held.metadata.expires;
            if expires <= now {
                self.remove(slot);
            } else {
                next = next.min(expires);
                slot += 1;
            }
        }
        next
    }

    /// Bytes in use, of values, salts, public keys and signatures.
    fn bytes(&self) -> usize;

    /// How many such bytes there is room for.
    fn capacity(&self) -> usize;

    /// Whether nothing is held.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A record that is held.
#[derive(Clone, Copy, Debug)]
pub struct StoredRecord<'a> {
    /// Its key.
    pub key: Key,
    /// Its version as of when it was stored; [`StoredRecord::version`] tells today's.
    pub stored_version: Version,
    /// When that was, for the age of a plain record.
    pub stored_at: Instant,
    /// The record as it was stored; [`StoredRecord::record`] tells it with today's age.
    pub stored: Record<'a>,
    /// What is noted beside it.
    pub metadata: &'a Metadata,
}

impl<'a> StoredRecord<'a> {
    /// Its version as of `now`.
    #[must_use]
    pub fn version(&self, now: Instant) -> Version {
        self.key.kind.as_of(now, self.stored_version, self.stored_at)
    }

    /// The record as of `now`: a plain one with the age it has come to.
    #[must_use]
    pub fn record(&self, now: Instant) -> Record<'a> {
        match self.stored.proof {
            Proof::Plain { id, .. } => {
                Record { proof: Proof::Plain { id, age: self.version(now).number }, ..self.stored }
            }
            Proof::Immutable | Proof::Signed { .. } => self.stored,
        }
    }
}

/// What a store notes beside a record, for its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// When its time ends.
    pub expires: Instant,
    /// Whose quota it counts against: the address group it came from; `None` for the own node's, an exempt source's or a handover's.
    pub source: Option<Prefix>,
    /// Whether it is the own node's, which never gives way.
    pub pinned: bool,
    /// When it was last seen to be looked after, by us or a co-holder; when it is pinned, when it was last published.
    pub last_replicated: Instant,
}

/// What became of a put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// It is new here.
    New,
    /// It took the place of an older version.
    Replaced,
    /// It was held already; its time was extended if that was less.
    Renewed,
}

/// Why a record was not taken. The store is as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreError {
    /// Its parts exceed the bounds of any record, or it is larger than the whole store: the limit in bytes.
    TooLarge(usize),
    /// All room is taken by records that this one may not turn out.
    Full,
    /// A newer version is held: this one.
    Outdated(Version),
}

impl core::fmt::Display for StoreError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::TooLarge(limit) => write!(f, "the record is larger than the limit of {limit} bytes"),
            Self::Full => f.write_str("the store is full of records that this one may not turn out"),
            Self::Outdated(version) => write!(f, "a newer record is held (number {})", version.number),
        }
    }
}

impl core::error::Error for StoreError {}
