//! The state file, which keeps a node's id, contacts and records from one run to the next.
//!
//! A state file is one line with a checksum, and then JSON. Times in it are wall-clock times, in milliseconds since
//! 1970, because a node's own clock starts at zero in each run.

use core::hash::{Hash, Hasher};
use core::net::SocketAddr;
use core::time::Duration;
use std::fs::{self, File};
use std::hash::DefaultHasher;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use kadlet::record::Proof;
use kadlet::routing::ContactState;
use kadlet::{Contact, Dht, Id, Instant, Key, Record, Routing, Store};
use serde::{Deserialize, Serialize};

use crate::args::{BOOTSTRAPS, Geometry};
use crate::error::{Error, Exit};

const MAGIC: &str = "kadlet state 1";

/// What a state file holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    id: String,
    /// Kademlia if the file names none.
    #[serde(default)]
    geometry: Geometry,
    /// A file that names no network can be used in any.
    #[serde(default)]
    network: Option<u16>,
    contacts: Vec<SavedContact>,
    records: Vec<SavedRecord>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct SavedContact {
    id: String,
    address: SocketAddr,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct SavedRecord {
    #[serde(with = "hex::serde")]
    value: Vec<u8>,
    /// When the record expires.
    expires: u64,
    /// Whether this node publishes the record.
    publish: bool,
    #[serde(flatten)]
    proof: SavedProof,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum SavedProof {
    Plain {
        id: String,
        /// When the record was put: its age grows while no node runs.
        put: u64,
    },
    Immutable,
    Signed {
        #[serde(with = "hex::serde")]
        public_key: [u8; 32],
        #[serde(with = "hex::serde")]
        salt: Vec<u8>,
        sequence: u64,
        #[serde(with = "hex::serde")]
        signature: [u8; 64],
    },
}

/// What was restored.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Restored {
    /// All contacts of the file: the verified ones first.
    pub(crate) contacts: Vec<Contact<SocketAddr>>,
    /// The number of records that the node took: those that have not expired and fit into its store.
    pub(crate) records: usize,
}

impl State {
    /// The state of a node without contacts and records.
    #[cfg(test)]
    pub(crate) fn new(id: Id) -> Self {
        Self {
            id: id.to_string(),
            geometry: Geometry::default(),
            network: None,
            contacts: Vec::new(),
            records: Vec::new(),
        }
    }

    /// The state of `node` at `now`.
    pub(crate) fn of<M: Dht<Address = SocketAddr>>(node: &M, now: Instant, geometry: Geometry, network: u16) -> Self {
        let wall = wall();
        let in_state = |state| node.routing().peers().filter(move |peer| peer.state == state).map(|peer| peer.contact);
        // Failing contacts responded once. If the link was down at the end of the run, they are the only way back.
        let contacts = in_state(ContactState::Verified).chain(in_state(ContactState::Failing));
        let contacts = contacts.map(|Contact { id, address }| SavedContact { id: id.to_string(), address }).collect();
        let store = node.store();
        let records = (0..store.len()).filter_map(|slot| store.get(slot)).map(|entry| SavedRecord {
            value: entry.stored.value.to_vec(),
            expires: wall.saturating_add(millis(entry.metadata.expires.since(now))),
            publish: entry.metadata.pinned,
            proof: match entry.stored.proof {
                Proof::Plain { id, age } => SavedProof::Plain {
                    id: id.to_string(),
                    put: wall.saturating_sub(age.saturating_add(millis(now.since(entry.stored_at)))),
                },
                Proof::Immutable => SavedProof::Immutable,
                Proof::Signed { public_key, salt, sequence, signature } => {
                    SavedProof::Signed { public_key: *public_key, salt: salt.to_vec(), sequence, signature: *signature }
                }
            },
        });
        Self { id: node.id().to_string(), geometry, network: Some(network), contacts, records: records.collect() }
    }

    /// Adds contacts of an earlier state if few contacts have responded so far: the link may be down.
    pub(crate) fn add_contacts(&mut self, earlier: &Self) {
        let missing = earlier.contacts.iter().filter(|contact| !self.contacts.contains(contact));
        let missing: Vec<_> = missing.take(BOOTSTRAPS.saturating_sub(self.contacts.len())).cloned().collect();
        self.contacts.extend(missing);
    }

    /// The same state without its records, which takes little memory.
    pub(crate) fn without_records(self) -> Self {
        Self { records: Vec::new(), ..self }
    }

    /// The node's identifier.
    pub(crate) fn id(&self) -> Option<Id> {
        self.id.parse().ok()
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
        if self.geometry == geometry {
            return Ok(());
        }
        let what = format!("the state file {path} is of a {} node, but this is a {geometry} node", self.geometry);
        Err(Error::new(Exit::Usage, what).tip(format!("--geometry {}, or another --state file", self.geometry)))
    }

    /// Gives the saved contacts and records to a node.
    pub(crate) fn restore<M: Dht<Address = SocketAddr>>(&self, node: &mut M, now: Instant) -> Restored {
        let wall = wall();
        let contacts = self
            .contacts
            .iter()
            .filter_map(|saved| Some(Contact { id: saved.id.parse().ok()?, address: saved.address }));
        let contacts: Vec<_> = contacts.collect();
        contacts.iter().for_each(|contact| node.restore_contact(now, *contact));
        let mut records = 0;
        for saved in &self.records {
            let left = Duration::from_millis(saved.expires.saturating_sub(wall));
            let Some(record) = saved.record(wall).filter(|_| !left.is_zero()) else { continue };
            if node.restore_record(now, &record, left, saved.publish).is_ok() {
                records += 1;
            }
        }
        Restored { contacts, records }
    }

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
        Self::decode(&bytes).map(Some).map_err(|why| {
            let what = format!("the state file {} is damaged: {why}; it was not changed", path.display());
            Error::new(Exit::Usage, what).tip("restore it from a backup, or move it away to start with a new id")
        })
    }

    /// Writes a state file. A reader finds either the old file or the new one, complete, even after a crash.
    pub(crate) fn save(&self, path: &Path) -> Result<(), Error> {
        self.write(path).map_err(|error| {
            let what = format!("can't write the state file {}: {error}", path.display());
            Error::new(Exit::Usage, what).tip("check that its folder exists, is writable and has free space")
        })
    }

    fn write(&self, path: &Path) -> io::Result<()> {
        let temporary = beside(path);
        let mut file = File::create(&temporary)?;
        file.write_all(&self.encode()?)?;
        file.sync_all()?;
        drop(file);
        fs::rename(&temporary, path)?;
        // The rename is on disk only after its folder is synced.
        #[cfg(unix)]
        File::open(path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")))?
            .sync_all()?;
        Ok(())
    }

    fn encode(&self) -> io::Result<Vec<u8>> {
        let json = serde_json::to_vec(self)?;
        let mut bytes = format!("{MAGIC} {}\n", checksum(&json)).into_bytes();
        bytes.extend_from_slice(&json);
        Ok(bytes)
    }

    fn decode(bytes: &[u8]) -> Result<Self, String> {
        let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let json = bytes.get(line.len() + 1..).ok_or("its first line has no end")?;
        let line = str::from_utf8(line).ok().and_then(|line| line.strip_prefix(MAGIC));
        let sum = line.ok_or_else(|| format!("it doesn't begin with `{MAGIC}`"))?;
        if sum.trim().parse() != Ok(checksum(json)) {
            return Err("its checksum doesn't match".to_owned());
        }
        let state: Self = serde_json::from_slice(json).map_err(|error| error.to_string())?;
        state.id().map(|_| state).ok_or_else(|| "its id is invalid".to_owned())
    }
}

impl SavedRecord {
    fn record(&self, wall: u64) -> Option<Record<'_>> {
        let proof = match &self.proof {
            SavedProof::Plain { id, put } => Proof::Plain { id: id.parse().ok()?, age: wall.saturating_sub(*put) },
            SavedProof::Immutable => Proof::Immutable,
            SavedProof::Signed { public_key, salt, sequence, signature } => {
                Proof::Signed { public_key, salt, sequence: *sequence, signature }
            }
        };
        Some(Record { value: &self.value, proof }).filter(|record| record.check().is_ok())
    }
}

/// A hash that changes when a node has something new to save.
pub(crate) fn fingerprint<M: Dht<Address = SocketAddr>>(node: &M) -> u64 {
    let mut hasher = DefaultHasher::new();
    for peer in node.routing().peers().filter(|peer| peer.state != ContactState::Unverified) {
        peer.contact.hash(&mut hasher);
    }
    let store = node.store();
    for entry in (0..store.len()).filter_map(|slot| store.get(slot)) {
        (entry.key, entry.stored_version, entry.metadata.expires, entry.metadata.pinned).hash(&mut hasher);
    }
    hasher.finish()
}

/// The file's checksum: 160 bits of SHA-256, which is an immutable record's id.
fn checksum(json: &[u8]) -> Id {
    Key::immutable(json).id
}

/// The temporary file beside `path`.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".tmp");
    path.with_file_name(name)
}

/// The wall-clock time in milliseconds since 1970.
fn wall() -> u64 {
    millis(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> State {
        let id = Id::from_bytes([7; 20]);
        let contact = SavedContact { id: id.to_string(), address: "[::1]:4000".parse().unwrap() };
        let record = |proof| SavedRecord { value: b"\0value\xff".to_vec(), expires: u64::MAX, publish: true, proof };
        let signed =
            SavedProof::Signed { public_key: [1; 32], salt: b"salt".to_vec(), sequence: u64::MAX, signature: [2; 64] };
        let records = vec![
            record(SavedProof::Plain { id: id.to_string(), put: 5_000 }),
            record(SavedProof::Immutable),
            record(signed),
        ];
        State { contacts: vec![contact], records, ..State::new(id) }
    }

    #[test]
    fn a_state_is_the_same_after_writing_and_reading() {
        assert_eq!(State::decode(&state().encode().unwrap()), Ok(state()));
    }

    #[test]
    fn a_state_is_refused_in_another_network_or_geometry() {
        let state = State { network: Some(5), ..state() };
        assert!(state.check(Geometry::Kademlia, 5, None).is_ok());
        assert!(state.check(Geometry::Kademlia, 0, None).is_err());
        assert!(state.check(Geometry::Chord, 5, None).is_err());
        let unnamed = State { network: None, ..state };
        assert!(unnamed.check(Geometry::Kademlia, 7, None).is_ok());
    }

    #[test]
    fn any_damage_is_detected() {
        let whole = state().encode().unwrap();
        for length in 0..whole.len() {
            assert!(State::decode(&whole[..length]).is_err(), "cut to {length} bytes");
        }
        for at in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[at] ^= 1;
            assert!(State::decode(&flipped).is_err(), "a bit flipped in byte {at}");
        }
    }

    #[test]
    fn a_node_without_contacts_keeps_those_of_its_earlier_state() {
        let mut fresh = State::new(Id::ZERO);
        fresh.add_contacts(&state());
        fresh.add_contacts(&state());
        assert_eq!(fresh.contacts, state().contacts);
    }

    #[test]
    fn a_plain_record_ages_while_no_node_runs() {
        let state = state();
        let record = state.records[0].record(65_000).unwrap();
        assert!(matches!(record.proof, Proof::Plain { age: 60_000, .. }));
    }
}
