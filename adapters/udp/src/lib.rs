//! std UDP sockets for kadlet.
//!
//! - [`Server`] owns a socket and a thread; its [`Handle`]s' `get`, `put` and `find_node` wait for their result, up to a time limit.
//! - [`Driver`] has no thread: it is for an event loop of yours, mio's or tokio's or another, and for many nodes in one.
//!
//! ```
//! use core::net::{Ipv4Addr, SocketAddr};
//! use core::time::Duration;
//! use kadlet::{Config, FixedStore, Instant, Kademlia, Node, Options, Record};
//! use kadlet_udp::{Server, random_id, seed};
//!
//! type MyNode = Node<Kademlia<SocketAddr, 192>, FixedStore<256, 65_536>>;
//!
//! # fn main() -> Result<(), Box<dyn core::error::Error>> {
//! let node = || Ok::<_, std::io::Error>(MyNode::new(Instant::ZERO, Config::default(), random_id()?, seed()?));
//! let first = Server::bind((Ipv4Addr::LOCALHOST, 0).into(), node()?)?;
//! let second = Server::bind((Ipv4Addr::LOCALHOST, 0).into(), node()?)?;
//! second.handle().bootstrap(&[first.local_addr()], Duration::from_secs(10))?;
//!
//! let record = Record::immutable(b"hello world");
//! second.handle().put(&record, &Options::default())?;
//! let got = first.handle().get(record.key(), &Options::default())?;
//! assert_eq!(got.record.value, b"hello world");
//! # Ok(())
//! # }
//! ```
//!
//! Both are generic over [`kadlet::Dht`], whose address type says which of the socket's peers the node knows: `SocketAddrV4`,
//! `SocketAddrV6`, or `SocketAddr` for both. Everything is bounded: datagrams a call, calls that wait, buffers. What can't be sent
//! or held is lost as on any link, and counted in [`Losses`]; what the system reports of one peer reaches that peer's requests only.
//!
//! On Linux up to 32 datagrams are received by one system call and answered by another, and ICMP's refusals are known by their
//! peer. Elsewhere it is one call for each datagram.

#![forbid(unsafe_code)]

mod address;
#[cfg(target_os = "linux")]
mod batch;
mod buffers;
mod driver;
mod handle;
mod outcome;
mod record;
mod server;
#[cfg(any(test, not(target_os = "linux")))]
mod single;

use std::io;

pub use address::IpAddress;
pub use buffers::Buffers;
pub use driver::{Driver, Losses};
pub use handle::Handle;
pub use outcome::{Error, Got, Nodes, Pong, Stored};
pub use record::{ProofBuf, RecordBuf};
pub use server::Server;

/// A node's seed: 32 bytes from the system's source of randomness. Use each once.
///
/// # Errors
///
/// The system has no such source, or it failed.
pub fn seed() -> io::Result<[u8; 32]> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)?;
    Ok(seed)
}

/// A node's identifier, from the same source.
///
/// # Errors
///
/// As [`seed`].
pub fn random_id() -> io::Result<kadlet::Id> {
    let mut id = [0; kadlet::Id::LEN];
    getrandom::fill(&mut id)?;
    Ok(kadlet::Id::from_bytes(id))
}
