//! Snapshots: what a node keeps from one run to the next, as entries that are written and read one at a time. A board
//! needs room for one entry, and can write it to flash; a host appends to a file (feature `snapshot`).
//!
//! A snapshot is a sequence of frames. A frame is the length of an entry (2 bytes), the CRC-32 of the entry (4 bytes),
//! both least significant byte first, and the entry: the [`VERSION`] in one byte, then the fields in postcard's
//! encoding. The first entries are [`Entry::Node`] and [`Entry::Clock`].
//!
//! A snapshot can be continued as a journal: a later entry about a contact or a record counts, and a change costs its
//! size. What is written last can be torn by a loss of power; that is the normal end of a journal. Damage before it is
//! an error that names the entry. Only a damaged length can be taken for the torn end, if fewer bytes follow than an
//! entry can have.
//!
//! Times in it are those of the node's own clock. [`Clock`] says which time that was in the world outside, as far as
//! this is known. So a wall clock that is wrong, or is corrected, never makes a lifetime longer than it was.
//!
//! ```
//! use core::time::Duration;
//! use kadlet::snapshot::{Clock, Entry, MAX_FRAME, Owner, Reader, entries, restore};
//! use kadlet::{Config, Dht, FixedStore, Id, Instant, Kademlia, Key, Node, Record, Store};
//!
//! type Mote = Node<Kademlia<u16, 64>, FixedStore<8, 2_048>>;
//! let config = Config { plain: true, ..Config::default() };
//! let mut node = Mote::new(Instant::ZERO, config, Id::from_bytes([7; 20]), [1; 32]).unwrap();
//! let hour = Duration::from_secs(3_600);
//! node.restore_record(Instant::ZERO, &Record::plain(b"kitchen", b"21.5"), hour, true).unwrap();
//!
//! // Written: to flash or to a file.
//! let now = Instant::from_secs(600);
//! let owner = Owner { id: node.id(), network: config.network, geometry: "kademlia", starts: 1 };
//! let (mut flash, mut frame) = (Vec::new(), [0; MAX_FRAME]);
//! let first = [Entry::Node(owner), Entry::Clock(Clock { now, wall: None })];
//! for entry in first.into_iter().chain(entries(&node)) {
//!     flash.extend_from_slice(entry.frame(&mut frame));
//! }
//!
//! // Read, in the next run.
//! let (mut again, mut then) = (None, Instant::ZERO);
//! for entry in Reader::new(&flash) {
//!     match entry.unwrap() {
//!         Entry::Node(owner) => {
//!             // A seed is used once only: here it contains the number of starts.
//!             let seed = [owner.starts as u8 + 1; 32];
//!             again = Some(Mote::new(Instant::ZERO, config, owner.id, seed).unwrap());
//!         }
//!         Entry::Clock(clock) => then = clock.resume(None),
//!         entry => restore(again.as_mut().unwrap(), Instant::ZERO, then, &entry).unwrap(),
//!     }
//! }
//! let again = again.unwrap();
//! let slot = again.store().find(&Key::plain(b"kitchen")).unwrap();
//! let kept = again.store().get(slot).unwrap();
//! assert_eq!(kept.metadata.expires, Instant::from_secs(3_000), "ten minutes of the hour had passed");
//! assert_eq!(kept.stored.number(), 600_000, "a plain record's age in milliseconds");
//! ```

use core::error::Error;
use core::fmt;
use core::iter::FusedIterator;
use core::marker::PhantomData;
use core::time::Duration;

use crc::{CRC_32_ISO_HDLC, Crc};
use serde::{Deserialize, Serialize};

use crate::address::{Address, EncodedAddress};
use crate::contact::Contact;
use crate::id::Id;
use crate::node::{Dht, RestoreError};
use crate::record::{Key, Kind, Proof, Record};
use crate::routing::{ContactState, Routing};
use crate::store::{Store, StoredRecord};
use crate::time::Instant;

/// The version of the entries, which is the first byte of each.
pub const VERSION: u8 = 1;
/// The most bytes of a frame.
pub const MAX_FRAME: usize = HEAD + MAX_ENTRY;
/// The most bytes of [`Owner::geometry`].
pub const MAX_GEOMETRY: usize = 32;

/// A frame's length and checksum.
const HEAD: usize = 6;
/// A signed record: value and salt, key and signature, and less than 64 bytes beside them.
const MAX_ENTRY: usize = crate::record::MAX_VALUE + 32 + 64 + 64;
const CHECKSUM: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);

/// An entry of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Entry<'a, A> {
    /// The node itself. In a journal, the last one counts.
    Node(Owner<'a>),
    /// The time. In a journal, the last one counts.
    Clock(Clock),
    /// A contact that has responded.
    Contact(Contact<A>),
    /// A contact that is no longer kept.
    Forgotten(Contact<A>),
    /// A record, in place of an earlier one under its key.
    Record(SavedRecord<'a>),
    /// An earlier record has another expiry, or is no longer published or published again.
    Renewed {
        /// The key of the record.
        key: Key,
        /// When it expires now.
        expires: Instant,
        /// Whether the node publishes it now.
        publish: bool,
    },
    /// The record under this key is no longer stored.
    Removed(Key),
}

/// Which node a snapshot is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner<'a> {
    /// Its identifier.
    pub id: Id,
    /// The number of its network: a node of another one has no use for the snapshot.
    pub network: u16,
    /// The name of its geometry, or whatever tells kinds of nodes apart: at most [`MAX_GEOMETRY`] bytes.
    pub geometry: &'a str,
    /// How often it was started. A board without entropy mixes this into its seed, which must never be used twice.
    pub starts: u32,
}

/// The node's clock, and the time in the world outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    /// The time on the node's clock.
    pub now: Instant,
    /// The same on a wall clock, in milliseconds since 1970, if there is one.
    pub wall: Option<u64>,
}

/// A record of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SavedRecord<'a> {
    /// The record; a plain one with its age at `stored_at`.
    pub record: Record<'a>,
    /// When it was stored.
    pub stored_at: Instant,
    /// When it expires.
    pub expires: Instant,
    /// Whether the node publishes it.
    pub publish: bool,
}

/// Damage to a snapshot, or an entry of something else. What was read before it is whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Damage {
    /// The number of the entry: 0 is the first.
    pub entry: usize,
    /// Where its frame begins, in bytes.
    pub offset: usize,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What is wrong with an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Its length is 0, or more than any entry has. It holds the length.
    Length(u16),
    /// Its checksum doesn't match.
    Checksum,
    /// It is of another version. It holds that version.
    Version(u8),
    /// Its checksum matches, but it is no entry of such a node: an address of another type, for example.
    Foreign,
}

impl Clock {
    /// The present time, on the clock of the snapshot: when the node would be if it had not stopped. If either wall
    /// time is unknown, or if the wall clock went back, no time has passed.
    #[must_use]
    pub fn resume(self, wall: Option<u64>) -> Instant {
        let passed = wall.zip(self.wall).map_or(0, |(now, then)| now.saturating_sub(then));
        self.now + Duration::from_millis(passed)
    }
}

impl<'a> SavedRecord<'a> {
    /// The record in a store.
    #[must_use]
    pub fn of(stored: &StoredRecord<'a>) -> Self {
        let StoredRecord { stored: record, stored_at, metadata, .. } = *stored;
        Self { record, stored_at, expires: metadata.expires, publish: metadata.pinned }
    }
}

/// The entries of a node's contacts and records: contacts that have responded, verified ones first, then all records.
/// Contacts that fail now are among them: if the link is down, they are the only way back.
pub fn entries<D: Dht>(node: &D) -> impl Iterator<Item = Entry<'_, D::Address>> {
    let contacts = |state| {
        let peers = node.routing().peers().filter(move |peer| peer.state == state);
        peers.map(|peer| Entry::Contact(peer.contact))
    };
    let store = node.store();
    let records = (0..store.len()).filter_map(|slot| store.get(slot));
    contacts(ContactState::Verified)
        .chain(contacts(ContactState::Failing))
        .chain(records.map(|stored| Entry::Record(SavedRecord::of(&stored))))
}

/// Gives a contact or a record of a snapshot to a node. `then` is the present time on the clock of the snapshot:
/// [`Clock::resume`]. All else is left to the caller: the entries `Node` and `Clock`, and what changes an earlier entry
/// of a journal.
///
/// # Errors
///
/// [`RestoreError`]: the node didn't take the record. If less than a second is left of its lifetime, that is
/// [`RestoreError::Lifetime`].
pub fn restore<D: Dht>(
    node: &mut D,
    now: Instant,
    then: Instant,
    entry: &Entry<'_, D::Address>,
) -> Result<(), RestoreError> {
    match entry {
        Entry::Contact(contact) => node.restore_contact(now, *contact),
        Entry::Record(SavedRecord { record, stored_at, expires, publish }) => {
            let proof = match record.proof {
                Proof::Plain { id, age } => {
                    let passed = then.since(*stored_at).as_millis().try_into().unwrap_or(u64::MAX);
                    Proof::Plain { id, age: age.saturating_add(passed) }
                }
                proof => proof,
            };
            node.restore_record(now, &Record { proof, ..*record }, expires.since(then), *publish)?;
        }
        _ => {}
    }
    Ok(())
}

impl<'a, A: Address> Entry<'a, A> {
    /// The entry as a frame, which is written to `buf`. Empty if it exceeds the bounds of any entry: a record that
    /// fails its [check](Record::check), or a geometry with a longer name than [`MAX_GEOMETRY`].
    pub fn frame<'b>(&self, buf: &'b mut [u8; MAX_FRAME]) -> &'b [u8] {
        let Some((head, body)) = buf.split_first_chunk_mut::<HEAD>() else { return &[] };
        let Some((version, fields)) = body.split_first_mut() else { return &[] };
        *version = VERSION;
        let address;
        let encoded = match *self {
            Self::Node(Owner { geometry, .. }) if geometry.len() > MAX_GEOMETRY => return &[],
            Self::Node(Owner { id, network, geometry, starts }) => {
                Encoded::Node { id: *id.as_bytes(), network, geometry, starts }
            }
            Self::Clock(Clock { now, wall }) => Encoded::Clock { now: now.as_micros(), wall },
            Self::Contact(contact) | Self::Forgotten(contact) => {
                address = contact.address.encode();
                let EncodedAddress { family, .. } = address;
                let keep = matches!(self, Self::Contact(_));
                Encoded::Contact { id: *contact.id.as_bytes(), family, address: address.as_bytes(), keep }
            }
            Self::Record(SavedRecord { record, .. }) if record.check().is_err() => return &[],
            Self::Record(saved) => Encoded::record(saved),
            Self::Renewed { key, expires, publish } => {
                Encoded::Renewed { kind: key.kind as u8, id: *key.id.as_bytes(), expires: expires.as_micros(), publish }
            }
            Self::Removed(key) => Encoded::Removed { kind: key.kind as u8, id: *key.id.as_bytes() },
        };
        let Ok(fields) = postcard::to_slice(&encoded, fields) else { return &[] };
        let length = 1 + fields.len();
        let [a, b] = (length as u16).to_le_bytes();
        let [c, d, e, f] = CHECKSUM.checksum(body.get(..length).unwrap_or_default()).to_le_bytes();
        *head = [a, b, c, d, e, f];
        buf.get(..HEAD + length).unwrap_or_default()
    }

    /// Reads the frame at the beginning of these bytes: the entry, and how many bytes it takes. `None` if there is no
    /// whole frame, but at most one that was torn when it was written: one that is cut, or has a wrong checksum and
    /// nothing but zeros after it; or if no byte was written, so that all are 0, or all are 255, as in erased flash.
    ///
    /// # Errors
    ///
    /// [`Fault`].
    pub fn read(bytes: &'a [u8]) -> Result<Option<(Self, usize)>, Fault> {
        let blank = |bytes: &[u8], with| bytes.iter().all(|byte| *byte == with);
        let Some((&[a, b, c, d, e, f], body)) = bytes.split_first_chunk::<HEAD>() else { return Ok(None) };
        if blank(bytes, 0) || blank(bytes, 0xff) {
            return Ok(None);
        }
        let length = u16::from_le_bytes([a, b]);
        if length == 0 || usize::from(length) > MAX_ENTRY {
            return Err(Fault::Length(length));
        }
        let length = usize::from(length);
        let Some((entry, after)) = body.split_at_checked(length) else { return Ok(None) };
        if CHECKSUM.checksum(entry) != u32::from_le_bytes([c, d, e, f]) {
            return if blank(after, 0) { Ok(None) } else { Err(Fault::Checksum) };
        }
        match entry.split_first() {
            Some((&VERSION, fields)) => Ok(Some((Self::decode(fields).ok_or(Fault::Foreign)?, HEAD + length))),
            version => Err(Fault::Version(version.map_or(0, |(version, _)| *version))),
        }
    }

    fn decode(fields: &'a [u8]) -> Option<Self> {
        let (encoded, rest) = postcard::take_from_bytes(fields).ok()?;
        if !rest.is_empty() {
            return None;
        }
        Some(match encoded {
            Encoded::Node { id, network, geometry, starts } => {
                Self::Node(Owner { id: Id::from_bytes(id), network, geometry, starts })
            }
            Encoded::Clock { now, wall } => Self::Clock(Clock { now: Instant::from_micros(now), wall }),
            Encoded::Contact { id, family, address, keep } => {
                let contact = Contact::new(Id::from_bytes(id), A::decode(family, address)?);
                if keep { Self::Contact(contact) } else { Self::Forgotten(contact) }
            }
            Encoded::Record { value, proof, stored_at, expires, publish } => {
                let proof = match proof {
                    EncodedProof::Plain { id, age } => Proof::Plain { id: Id::from_bytes(id), age },
                    EncodedProof::Immutable => Proof::Immutable,
                    EncodedProof::Signed { public_key, salt, sequence, signature } => Proof::Signed {
                        public_key: public_key.try_into().ok()?,
                        salt,
                        sequence,
                        signature: signature.try_into().ok()?,
                    },
                };
                let record = Record { value, proof };
                record.check().ok()?;
                let (stored_at, expires) = (Instant::from_micros(stored_at), Instant::from_micros(expires));
                Self::Record(SavedRecord { record, stored_at, expires, publish })
            }
            Encoded::Renewed { kind, id, expires, publish } => {
                Self::Renewed { key: key(kind, id)?, expires: Instant::from_micros(expires), publish }
            }
            Encoded::Removed { kind, id } => Self::Removed(key(kind, id)?),
        })
    }
}

/// Reads the entries of a snapshot, in order. It ends after the last whole entry, or at damage, which is an error.
#[derive(Clone, Debug)]
pub struct Reader<'a, A> {
    bytes: &'a [u8],
    entry: usize,
    offset: usize,
    ended: bool,
    addresses: PhantomData<A>,
}

impl<'a, A> Reader<'a, A> {
    /// Reads these bytes.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, entry: 0, offset: 0, ended: false, addresses: PhantomData }
    }

    /// How many bytes the whole entries that were read take: a journal is continued there.
    #[must_use]
    pub const fn offset(&self) -> usize {
        self.offset
    }
}

impl<'a, A: Address> Iterator for Reader<'a, A> {
    type Item = Result<Entry<'a, A>, Damage>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.bytes.get(self.offset..).filter(|_| !self.ended)?;
        match Entry::read(rest) {
            Ok(Some((entry, length))) => {
                self.entry += 1;
                self.offset += length;
                Some(Ok(entry))
            }
            Ok(None) => {
                self.ended = true;
                None
            }
            Err(fault) => {
                self.ended = true;
                Some(Err(Damage { entry: self.entry, offset: self.offset, fault }))
            }
        }
    }
}

impl<A: Address> FusedIterator for Reader<'_, A> {}

/// The fields of an entry, as they are encoded.
#[derive(Serialize, Deserialize)]
enum Encoded<'a> {
    Node { id: [u8; Id::LEN], network: u16, geometry: &'a str, starts: u32 },
    Clock { now: u64, wall: Option<u64> },
    Contact { id: [u8; Id::LEN], family: u8, address: &'a [u8], keep: bool },
    Record { value: &'a [u8], proof: EncodedProof<'a>, stored_at: u64, expires: u64, publish: bool },
    Renewed { kind: u8, id: [u8; Id::LEN], expires: u64, publish: bool },
    Removed { kind: u8, id: [u8; Id::LEN] },
}

#[derive(Serialize, Deserialize)]
enum EncodedProof<'a> {
    Plain { id: [u8; Id::LEN], age: u64 },
    Immutable,
    Signed { public_key: &'a [u8], salt: &'a [u8], sequence: u64, signature: &'a [u8] },
}

impl<'a> Encoded<'a> {
    fn record(SavedRecord { record, stored_at, expires, publish }: SavedRecord<'a>) -> Self {
        let proof = match record.proof {
            Proof::Plain { id, age } => EncodedProof::Plain { id: *id.as_bytes(), age },
            Proof::Immutable => EncodedProof::Immutable,
            Proof::Signed { public_key, salt, sequence, signature } => {
                EncodedProof::Signed { public_key, salt, sequence, signature }
            }
        };
        let (stored_at, expires) = (stored_at.as_micros(), expires.as_micros());
        Self::Record { value: record.value, proof, stored_at, expires, publish }
    }
}

fn key(kind: u8, id: [u8; Id::LEN]) -> Option<Key> {
    let kind = [Kind::Plain, Kind::Immutable, Kind::Signed].into_iter().find(|known| *known as u8 == kind)?;
    Some(Key { kind, id: Id::from_bytes(id) })
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "entry {}, at byte {}, {}", self.entry, self.offset, self.fault)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length(length) => write!(f, "has the invalid length {length}"),
            Self::Checksum => f.write_str("has a wrong checksum"),
            Self::Version(version) => write!(f, "is of version {version}, and this program reads version {VERSION}"),
            Self::Foreign => f.write_str("is not an entry of such a node"),
        }
    }
}

impl Error for Damage {}
impl Error for Fault {}
