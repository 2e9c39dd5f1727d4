//! The state file, which keeps a node's id, contacts and records from one run to the next: a journal of
//! [snapshot entries](kadlet::snapshot).

use core::net::SocketAddr;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use kadlet::snapshot::{Clock, Entry, Reader, SavedRecord, restore};
use kadlet::{Contact, Dht, Id, Instant, Key};

use crate::args::Geometry;
use crate::error::{Error, Exit};
use crate::old_state;

/// What a state file holds.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) id: Id,
    /// A file that names no network can be used in any.
    network: Option<u16>,
    geometry: String,
    pub(crate) starts: u32,
    clock: Clock,
    pub(crate) contacts: Vec<Contact<SocketAddr>>,
    records: BTreeMap<Key, Place>,
    /// The file, in which the records are.
    bytes: Vec<u8>,
}

/// Where a record is, and what has changed since it was written there.
#[derive(Debug)]
struct Place {
    offset: usize,
    expires: Instant,
    publish: bool,
}

impl State {
    /// Reads a state file; `None` if there is none.
    pub(crate) fn load(path: &Path) -> Result<Option<Self>, Error> {
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                let what = format!("can't read the state file {}: {error}", path.display());
                return Err(Error::new(Exit::Usage, what).tip("check its path and its permissions"));
            }
        };
        Self::read(bytes, wall()).map(Some).map_err(|why| {
            let what = format!("the state file {} is damaged: {why}; it was not changed", path.display());
            Error::new(Exit::Usage, what).tip("restore it from a backup, or move it away to start with a new id")
        })
    }

    /// Reads what a state file has. A torn end is normal: the process was killed, or the machine lost power.
    pub(crate) fn read(bytes: Vec<u8>, wall: u64) -> Result<Self, String> {
        let old = old_state::journal(&bytes, wall).transpose()?;
        let network = old.as_ref().map(|old| old.network);
        let bytes = old.map_or(bytes, |old| old.journal);
        let mut owner = None;
        let mut clock = Clock { now: Instant::ZERO, wall: None };
        let (mut contacts, mut records) = (Vec::new(), BTreeMap::new());
        let (mut reader, mut offset) = (Reader::new(&bytes), 0);
        while let Some(entry) = reader.next() {
            match entry.map_err(|damage| damage.to_string())? {
                Entry::Node(found) => owner = Some(found),
                Entry::Clock(found) => clock = found,
                Entry::Contact(contact) => contacts.push(contact),
                Entry::Forgotten(gone) => contacts.retain(|contact| *contact != gone),
                Entry::Record(SavedRecord { record, expires, publish, .. }) => {
                    records.insert(record.key(), Place { offset, expires, publish });
                }
                Entry::Renewed { key, expires, publish } => {
                    records.entry(key).and_modify(|place| (place.expires, place.publish) = (expires, publish));
                }
                Entry::Removed(key) => drop(records.remove(&key)),
                _ => {}
            }
            offset = reader.offset();
        }
        let owner = owner.ok_or("it doesn't say which node it is of")?;
        let network = network.unwrap_or(Some(owner.network));
        let (id, geometry, starts) = (owner.id, owner.geometry.to_owned(), owner.starts);
        Ok(Self { id, network, geometry, starts, clock, contacts, records, bytes })
    }

    /// Refuses a state of another network or geometry: its contacts ignore this network, and its records belong
    /// elsewhere.
    pub(crate) fn check(&self, geometry: Geometry, network: u16, path: Option<&Path>) -> Result<(), Error> {
        let path = path.unwrap_or(Path::new("")).display();
        if let Some(own) = self.network.filter(|own| *own != network) {
            let what =
                format!("the state file {path} is of a node of network {own}, but this node is for network {network}");
            return Err(Error::new(Exit::Usage, what).tip(format!("--network {own}, or another --state file")));
        }
        if self.geometry == geometry.to_string() {
            return Ok(());
        }
        let what = format!("the state file {path} is of a {} node, but this is a {geometry} node", self.geometry);
        Err(Error::new(Exit::Usage, what).tip(format!("--geometry {}, or another --state file", self.geometry)))
    }

    /// Gives the saved contacts and records to a node. Returns the number of records that it took: those that have not
    /// expired and fit into its store.
    pub(crate) fn restore<M: Dht<Address = SocketAddr>>(&self, node: &mut M, now: Instant, wall: u64) -> usize {
        let then = self.clock.resume(Some(wall));
        self.contacts.iter().for_each(|contact| node.restore_contact(now, *contact));
        let taken = self.records.values().filter(|place| {
            let bytes = self.bytes.get(place.offset..).unwrap_or_default();
            let Ok(Some((Entry::Record(saved), _))) = Entry::<SocketAddr>::read(bytes) else { return false };
            let saved = SavedRecord { expires: place.expires, publish: place.publish, ..saved };
            restore(node, now, then, &Entry::Record(saved)).is_ok()
        });
        taken.count()
    }
}

/// The wall-clock time in milliseconds since 1970.
pub(crate) fn wall() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
