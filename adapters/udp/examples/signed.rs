//! Signed records: the owner of a secret key puts two versions of a record, and another node gets the newer one.
//!
//! Needs kadlet's feature `ed25519`. A signed record's key is the hash of the public key and a salt: to get it, a node
//! needs those two alone, and no node can replace it without the secret key.

use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;

use kadlet::record::Proof;
use kadlet::{Config, FixedStore, Instant, Kademlia, Key, Node, Options, Record, ed25519};
use kadlet_udp::{ProofBuf, Server, random_id, seed};

type MyNode = Node<Kademlia<SocketAddr, 192>, FixedStore<256, 65_536>>;

/// Tells this record apart from the other records of the same public key.
const SALT: &[u8] = b"temperature";

fn main() -> Result<(), Box<dyn core::error::Error>> {
    let (owner, reader) = (server()?, server()?);
    reader.handle().bootstrap(&[owner.local_addr()], Duration::from_secs(10))?;

    // A secret key is 32 bytes from a good random number generator, as a seed is.
    let secret = seed()?;
    let public_key = ed25519::public_key(&secret);
    for (sequence, value) in [(1, &b"21 degrees"[..]), (2, b"22 degrees")] {
        let signature = ed25519::sign(&secret, 0, SALT, sequence, value);
        let proof = Proof::Signed { public_key: &public_key, salt: SALT, sequence, signature: &signature };
        let stored = owner.handle().put(&Record { value, proof }, &Options::default())?;
        println!("put number {sequence}: stored at {} of {} nodes", stored.holders.len(), stored.wanted);
    }

    // Each node that stored the record has checked its signature. The node that gets it checks it again.
    let got = reader.handle().get(Key::signed(&public_key, SALT), &Options::default())?;
    println!("got {} ({})", String::from_utf8_lossy(&got.record.value), got.record.proof);
    assert_eq!(got.record.value, b"22 degrees");
    assert!(matches!(got.record.proof, ProofBuf::Signed { sequence: 2, .. }));
    Ok(())
}

/// A node that takes signed records: its configuration has a verifier.
fn server() -> Result<Server<MyNode>, Box<dyn core::error::Error>> {
    let config = Config { verify: Some(ed25519::verify), ..Config::default() };
    let node = MyNode::new(Instant::ZERO, config, random_id()?, seed()?)?;
    Ok(Server::bind((Ipv4Addr::LOCALHOST, 0).into(), node)?)
}
