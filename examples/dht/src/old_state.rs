//! State files as they were before they were journals, which are read once: one line with a checksum, and then JSON.
//! Times in it are wall-clock times, in milliseconds since 1970.

use core::net::SocketAddr;

use kadlet::record::Proof;
use kadlet::snapshot::{Clock, Entry, MAX_FRAME, Owner, SavedRecord};
use kadlet::{Contact, Id, Instant, Key, Record};
use serde::Deserialize;

use crate::args::Geometry;

const MAGIC: &str = "kadlet state 1";
/// No lifetime is longer than this, in milliseconds: a wall clock may have been wrong when the file was written, or may
/// be now.
const LONGEST: u64 = 24 * 3_600_000;

#[derive(Deserialize)]
struct State {
    id: String,
    /// Kademlia if the file names none.
    #[serde(default)]
    geometry: Geometry,
    /// A file that names no network can be used in any.
    #[serde(default)]
    network: Option<u16>,
    contacts: Vec<SavedContact>,
    records: Vec<OldRecord>,
}

#[derive(Deserialize)]
struct SavedContact {
    id: String,
    address: SocketAddr,
}

#[derive(Deserialize)]
struct OldRecord {
    #[serde(with = "hex::serde")]
    value: Vec<u8>,
    /// When the record expires.
    expires: u64,
    /// Whether this node publishes the record.
    publish: bool,
    #[serde(flatten)]
    proof: OldProof,
}

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum OldProof {
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

/// A state as a journal.
#[derive(Debug)]
pub(crate) struct Converted {
    pub(crate) journal: Vec<u8>,
    /// The network, if the file names one.
    pub(crate) network: Option<u16>,
}

/// The same state as a journal. `None` if it is no such file.
pub(crate) fn journal(bytes: &[u8], wall: u64) -> Option<Result<Converted, String>> {
    bytes.starts_with(MAGIC.as_bytes()).then(|| {
        let state = decode(bytes)?;
        let network = state.network;
        Ok(Converted { journal: convert(state, wall)?, network })
    })
}

fn decode(bytes: &[u8]) -> Result<State, String> {
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let json = bytes.get(line.len() + 1..).ok_or("its first line has no end")?;
    let sum = str::from_utf8(line).ok().and_then(|line| line.strip_prefix(MAGIC)).unwrap_or_default();
    // 160 bits of SHA-256, which is an immutable record's id.
    if sum.trim().parse() != Ok(Key::immutable(json).id) {
        return Err("its checksum doesn't match".to_owned());
    }
    serde_json::from_slice(json).map_err(|error| error.to_string())
}

/// The clock of the node that it was is taken to be the wall clock.
fn convert(state: State, wall: u64) -> Result<Vec<u8>, String> {
    let parse = |id: &str| id.parse::<Id>().map_err(|error| error.to_string());
    let (mut bytes, mut frame) = (Vec::new(), [0; MAX_FRAME]);
    let mut add = |entry: Entry<'_, SocketAddr>| bytes.extend_from_slice(entry.frame(&mut frame));
    let geometry = state.geometry.to_string();
    let network = state.network.unwrap_or_default();
    add(Entry::Node(Owner { id: parse(&state.id)?, network, geometry: &geometry, starts: 0 }));
    add(Entry::Clock(Clock { now: Instant::from_millis(wall), wall: Some(wall) }));
    for SavedContact { id, address } in &state.contacts {
        add(Entry::Contact(Contact::new(parse(id)?, *address)));
    }
    for OldRecord { value, expires, publish, proof } in &state.records {
        let mut stored_at = wall;
        let proof = match proof {
            OldProof::Plain { id, put } => {
                stored_at = wall.min(*put);
                Proof::Plain { id: parse(id)?, age: 0 }
            }
            OldProof::Immutable => Proof::Immutable,
            OldProof::Signed { public_key, salt, sequence, signature } => {
                Proof::Signed { public_key, salt, sequence: *sequence, signature }
            }
        };
        let (stored_at, expires) = (Instant::from_millis(stored_at), wall.saturating_add(LONGEST).min(*expires));
        let record = Record { value, proof };
        add(Entry::Record(SavedRecord {
            record,
            stored_at,
            expires: Instant::from_millis(expires),
            publish: *publish,
        }));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use kadlet::snapshot::Reader;

    use super::*;

    const WALL: u64 = 1_700_000_000_000;

    fn file(json: &str) -> Vec<u8> {
        format!("{MAGIC} {}\n{json}", Key::immutable(json.as_bytes()).id).into_bytes()
    }

    #[test]
    fn a_state_file_of_an_earlier_version_is_read() {
        let (id, hex) = (Id::from_bytes([7; 20]), |byte: &str, count| byte.repeat(count));
        let json = format!(
            r#"{{"id":"{id}","geometry":"chord","network":5,"contacts":[{{"id":"{id}","address":"[::1]:4000"}}],
            "records":[{{"value":"00ff","expires":{},"publish":true,"kind":"plain","id":"{id}","put":{}}},
            {{"value":"01","expires":18446744073709551615,"publish":false,"kind":"immutable"}},
            {{"value":"02","expires":{},"publish":false,"kind":"signed","public_key":"{}","salt":"03","sequence":9,
            "signature":"{}"}}]}}"#,
            WALL + 60_000,
            WALL - 5_000,
            WALL + 1_000,
            hex("01", 32),
            hex("02", 64),
        );
        let file = file(&json);
        let Converted { journal, network } = journal(&file, WALL).unwrap().unwrap();
        assert_eq!(network, Some(5));
        let entries: Vec<Entry<'_, SocketAddr>> = Reader::new(&journal).map(Result::unwrap).collect();
        let at = |millis| Instant::from_millis(WALL + millis);
        let record = |value, proof, stored_at, expires, publish| {
            Entry::Record(SavedRecord { record: Record { value, proof }, stored_at, expires, publish })
        };
        let plain = Proof::Plain { id, age: 0 };
        let signed = Proof::Signed { public_key: &[1; 32], salt: &[3], sequence: 9, signature: &[2; 64] };
        let expected = [
            Entry::Node(Owner { id, network: 5, geometry: "chord", starts: 0 }),
            Entry::Clock(Clock { now: at(0), wall: Some(WALL) }),
            Entry::Contact(Contact::new(id, "[::1]:4000".parse().unwrap())),
            record(&[0, 0xff], plain, Instant::from_millis(WALL - 5_000), at(60_000), true),
            // A lifetime of 500 million years: it is capped.
            record(&[1], Proof::Immutable, at(0), at(LONGEST), false),
            record(&[2], signed, at(0), at(1_000), false),
        ];
        assert_eq!(entries, expected);
    }

    #[test]
    fn damage_to_a_state_file_of_an_earlier_version_is_detected() {
        let whole = file(r#"{"id":"0707070707070707070707070707070707070707","contacts":[],"records":[]}"#);
        assert!(journal(&whole, WALL).unwrap().is_ok());
        for length in MAGIC.len()..whole.len() {
            assert!(journal(&whole[..length], WALL).unwrap().is_err(), "cut to {length} bytes");
        }
        assert!(journal(b"something else", WALL).is_none());
    }
}
