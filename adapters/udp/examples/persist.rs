//! A node that keeps its id, its contacts and its records in a file. It is stopped and started again, alone, and still
//! has what it held.

use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use kadlet::snapshot::{Clock, Entry, MAX_FRAME, Owner, Reader, entries, restore};
use kadlet::{Config, Dht, FixedStore, Instant, Kademlia, Node, Options, Record};
use kadlet_udp::{Server, random_id, seed};

type MyNode = Node<Kademlia<SocketAddr, 192>, FixedStore<256, 65_536>>;
type Result<T> = core::result::Result<T, Box<dyn core::error::Error>>;

fn main() -> Result<()> {
    let path = std::env::temp_dir().join(format!("kadlet-persist-{}", std::process::id()));
    let record = Record::immutable(b"hello world");
    let first = {
        let (other, server) = (start(Path::new(""))?, start(&path)?);
        server.handle().bootstrap(&[other.local_addr()], Duration::from_secs(10))?;
        server.handle().put(&record, &Options::default())?;
        save(&server, &path)?;
        server.handle().with(|node, _| node.id())?
    };

    let again = start(&path)?;
    assert_eq!(again.handle().with(|node, _| node.id())?, first);
    let key = record.key();
    let held = again.handle().with(move |node, _| kadlet::Store::find(node.store(), &key).is_some())?;
    assert!(held);
    println!("node {first} has its record again");
    Ok(fs::remove_file(path)?)
}

/// Starts a node with what the file has, or as a new one if there is none.
fn start(path: &Path) -> Result<Server<MyNode>> {
    let bytes = fs::read(path).unwrap_or_default();
    let (mut id, mut then) = (random_id()?, Instant::ZERO);
    for entry in Reader::<SocketAddr>::new(&bytes) {
        match entry? {
            Entry::Node(owner) => id = owner.id,
            Entry::Clock(clock) => then = clock.resume(wall()),
            _ => {}
        }
    }
    let mut node = MyNode::new(Instant::ZERO, Config::default(), id, seed()?)?;
    for entry in Reader::new(&bytes) {
        // A record can have expired meanwhile.
        let _ = restore(&mut node, Instant::ZERO, then, &entry?);
    }
    Ok(Server::bind((Ipv4Addr::LOCALHOST, 0).into(), node)?)
}

/// Writes the file. A program that runs for long does this regularly, to a new file that replaces the old one, or
/// appends what has changed.
fn save(server: &Server<MyNode>, path: &Path) -> Result<()> {
    let bytes = server.handle().with(|node, now| {
        let owner = Owner { id: node.id(), network: 0, geometry: "kademlia", starts: 1 };
        let first = [Entry::Node(owner), Entry::Clock(Clock { now, wall: wall() })];
        let (mut bytes, mut frame) = (Vec::new(), [0; MAX_FRAME]);
        for entry in first.into_iter().chain(entries(node)) {
            bytes.extend_from_slice(entry.frame(&mut frame));
        }
        bytes
    })?;
    Ok(fs::write(path, bytes)?)
}

/// The wall-clock time in milliseconds since 1970.
fn wall() -> Option<u64> {
    SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_millis().try_into().ok()
}
