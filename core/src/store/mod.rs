//! The records that are held: bounded, and turned out by a stated rule when there is no room.

mod fixed;
#[cfg(feature = "alloc")]
mod hash;

use crate::record::{Key, Record, Version};
use crate::{Distance, Group, Id, Instant};

pub use fixed::FixedStore;
#[cfg(feature = "alloc")]
pub use hash::HashStore;

/// The order by which nodes are responsible for a key: a geometry's `rank`.
pub type Rank = fn(target: &Id, id: &Id) -> Distance;

/// A bounded store of records.
///
/// Records lie in slots `0..len()`, in an order that depends on nothing but the calls made; removing one moves the last into
/// its slot.
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
    fn get(&self, slot: usize) -> Option<Held<'_>>;

    /// What is noted beside the record in a slot, to be changed.
    fn notes_mut(&mut self, slot: usize) -> Option<&mut Notes>;

    /// Puts a record in, in place of an older one under its key. Where there is no room, records give way: of the source that
    /// holds the most bytes (the newcomer counted) the farthest first, never a pinned one.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; the store is as it was.
    fn put(&mut self, now: Instant, record: &Record<'_>, notes: Notes) -> Result<Put, StoreError>;

    /// Takes the record in a slot out.
    fn remove(&mut self, slot: usize);

    /// Takes out all whose time has ended, and says when the next one's will ([`Instant::NEVER`] if none is held).
    fn expire(&mut self, now: Instant) -> Instant;

    /// Bytes in use, of values, salts, public keys and signatures.
    fn bytes(&self) -> usize;

    /// Whether nothing is held.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A record that is held.
#[derive(Clone, Copy, Debug)]
pub struct Held<'a> {
    /// Its key.
    pub key: Key,
    /// Its version as of when it was stored; [`Held::version`] tells today's.
    pub stored_version: Version,
    /// When that was, for the age of a plain record.
    pub stored_at: Instant,
    /// The record as it was stored; [`Held::record`] tells it with today's age.
    pub stored: Record<'a>,
    /// What is noted beside it.
    pub notes: &'a Notes,
}

/// What a store notes beside a record, for its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notes {
    /// When its time ends.
    pub expires: Instant,
    /// Whose quota it counts against: the address group it came from; `None` for the own node's, an exempt source's or a handover's.
    pub source: Option<Group>,
    /// Whether it is the own node's, which never gives way.
    pub pinned: bool,
    /// When it was last seen to be looked after, by us or a co-holder; when it is pinned, when it was last published.
    pub tended: Instant,
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
