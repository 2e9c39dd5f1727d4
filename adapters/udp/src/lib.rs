//! A ready node for hosts, and std UDP sockets for other nodes and event loops of kadlet.
//!
//! - [`Host`] is a ready node. It finds its network by addresses or names.
//! - [`Server`] runs a node of any type and its socket on a thread of its own. The calls of its [`Handle`]s, such as
//!   `get`, `put` and `find_node`, block until their result is there, or until a time limit. Those of an
//!   [`AsyncHandle`] are `async fn`s, for tasks of any runtime.
//! - [`Driver`] has no thread: it is for your own event loop (mio, tokio or another), and for many nodes in one loop.
//! - [`Detached`] has no socket either: it is for event loops that receive and send by themselves.
//!
//! ```
//! use core::time::Duration;
//! use kadlet_udp::Host;
//! use kadlet_udp::kadlet::{Options, Record};
//!
//! # fn main() -> Result<(), Box<dyn core::error::Error>> {
//! // In earnest: .listen("0.0.0.0:4000") and .bootstrap("example.org:4000")
//! let first = Host::builder().listen("127.0.0.1:0").start()?;
//! let host = Host::builder().listen("127.0.0.1:0").bootstrap(first.local_addr()).start()?;
//! host.join(Duration::from_secs(10))?;
//!
//! let record = Record::immutable(b"hello world");
//! host.handle().put(&record, &Options::default())?;
//! let got = first.handle().get(record.key(), &Options::default())?;
//! assert_eq!(got.record.value, b"hello world");
//! # Ok(())
//! # }
//! ```
//!
//! The others are generic over [`kadlet::Dht`], whose address type decides which peers the node can have:
//! `SocketAddrV4`, `SocketAddrV6`, or `SocketAddr` for both. Everything is bounded: datagrams handled in one call,
//! calls that wait, events, buffers. Datagrams that can't be sent are lost, as on any link, and counted in [`Losses`].
//! An error that the system reports for one peer affects only the requests to that peer.
//!
//! A response leaves from the address that the request was sent to, also where the socket is bound to all addresses of
//! the host (`0.0.0.0` or `[::]`). This costs the system some 8 % more time for a response on Linux.
//!
//! On Linux and Android one system call receives up to 32 datagrams and another sends their responses, and ICMP errors
//! are related to their peers. On other systems the crate quinn-udp does the system calls, on most of them one for each
//! datagram. There IPv4 datagrams are not fragmented on their way either: one that is larger than the link's limit is
//! lost, which `Config::max_datagram` avoids.

#![forbid(unsafe_code)]

mod address;
mod async_handle;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod batch;
mod bootstraps;
mod buffers;
mod detached;
mod driver;
mod events;
mod handle;
mod host;
mod joining;
mod life;
mod mailbox;
mod outcome;
mod queue;
mod random;
mod record;
mod server;
#[cfg(any(test, not(any(target_os = "linux", target_os = "android"))))]
mod single;

/// Compiles and runs the README's code.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

pub use address::IpAddress;
pub use async_handle::AsyncHandle;
pub use buffers::Buffers;
pub use detached::{Detached, Losses};
pub use driver::Driver;
pub use events::Events;
pub use handle::Handle;
pub use host::{Host, HostBuilder, HostError, HostNode};
pub use kadlet;
pub use outcome::{Error, Got, Joined, Nodes, Pong, Stored};
pub use random::{random_id, seed};
pub use record::{ProofBuf, RecordBuf};
pub use server::Server;
