//! The node: the state machine that a user drives. It connects the other modules. These decide how to search, which
//! contacts to keep and which record wins. The node has only the rules between them: what a request of another node can
//! cause, and when an operation stores, ends or yields.
//!
//! The files from top to bottom; each calls only those below it:
//!
//! | file | what it does |
//! |---|---|
//! | `api` | implements the calls of the trait [`Dht`] |
//! | `drive` | lets operations proceed, does what is due, and sends what waits |
//! | `receiving` | the inlet: counts, opens and decodes a datagram, and passes it to the server or to the operation that waits for it |
//! | `server` | handles a request of another node, and responds |
//! | `responses` | handles responses to own requests |
//! | `timeouts` | handles requests that are slow to get a response, or got none |
//! | `requests` | makes own requests, when they are sent |
//! | `maintenance`, `joining` | begin work that no user asked for: joining again, refreshing, publishing, replicating |
//! | `search` | asks the bootstrap addresses of a join and the nodes that a lookup returns, then stores |
//! | `claims` | verifies what nodes claim to hold instead of a record that they refuse |
//! | `values` | handles records that arrive while an operation looks for the newest |
//! | `relaying` | recursive lookups: forwards requests, and sends results back |
//! | `finishing` | ends an operation, with or without a result, and decides what becomes of its record |
//! | `offers` | decides which nodes a record that is replicated goes to |
//! | `records`, `contacts` | decide which records and contacts the node accepts |
//! | `identity` | the node's own identifier and those of others: which count, and what the own one follows from |
//! | `reachability` | whether the node can be reached from outside, and so can serve |
//! | `sending` | the outlet: encodes, seals and counts every datagram that is sent |
//! | `inner`, `shared`, `bounds` | the fields of a node, and the size of each |
//! | `operation`, `task` | one operation, and all that depends on its kind |
//!
//! Below these are the plain types: `dht` (the trait), `config`, `network`, `query`, `command_error`, `buffer`,
//! `purpose`, `put_time`, `silence` and `stats`.

mod api;
mod bounds;
mod buffer;
mod claims;
mod command_error;
mod config;
mod contacts;
mod dht;
mod drive;
mod finishing;
mod identity;
mod inner;
mod joining;
mod maintenance;
mod network;
mod offers;
mod operation;
mod purpose;
mod put_time;
mod query;
mod reachability;
mod receiving;
mod records;
mod relaying;
mod requests;
mod responses;
mod search;
mod sending;
mod server;
mod shared;
mod silence;
mod stats;
mod task;
mod timeouts;
mod values;

pub use bounds::{Bounds, Parts};
pub use command_error::{BeginError, GetError, PutError, RestoreError};
pub use config::{Config, Mode, Options, Serve};
pub use dht::Dht;
pub use inner::NodeInner;
pub use network::{Network, On};
pub use query::{Event, Failure, Joining, Outcome, Progress, QueryId, QueryResult, QueryStats, Transmit, WakeReason};
pub use stats::Stats;

/// A node of a DHT: a [`Network`] (a table and a wire format), a store, and a bound for everything else.
///
/// | bound | how many | range | default |
/// |---|---|---|---|
/// | `OPERATIONS` | operations at once, of the user and of maintenance | 1 to 255 | 4 |
/// | `SHORTLIST` | contacts that one lookup keeps: at least 3k | 3 to 255 | 24 |
/// | `VALUES` | records that were found and wait for the user: gets at once | 0 to 255 | 1 |
/// | `REQUESTS` | requests in flight: some 4 for each operation | 2 to 4,096 | 16 |
/// | `SOURCES` | address prefixes whose rates are known at once. With 0, no rate is limited | any | 16 |
/// | `BOOTSTRAPS` | bootstrap addresses | 1 to 255 | 4 |
/// | `RELAYS` | relay requests under way, including those of own recursive lookups, each with 8 tokens. With 0, there are no recursive lookups, and their code isn't linked | 0 to 255; 0 if the wire format has no relay requests | 0 |
///
/// The size of a node is a constant. The trait [`Dht`] has its calls. [`NodeInner`] is the type behind it, and has the
/// functions that start a node.
///
/// ```
/// use core::net::SocketAddrV4;
/// use kadlet::{Config, Dht, FixedStore, Id, Instant, Kademlia, Node};
///
/// type Mote = Node<Kademlia<SocketAddrV4, 128>, FixedStore<32, 8192>, 4>;
/// const _: () = assert!(size_of::<Mote>() <= 27 * 1024);
///
/// static NODE: std::sync::Mutex<Mote> = std::sync::Mutex::new(Mote::empty()); // It lies in .bss.
/// let mut node = NODE.lock().unwrap();
/// node.start(Instant::ZERO, Config::default(), Id::from_bytes([7; 20]), [42; 32])?;
/// assert!(node.poll_event().is_none());
/// # Ok::<(), kadlet::ConfigError>(())
/// ```
pub type Node<
    N,
    S,
    const OPERATIONS: usize = 4,
    const SHORTLIST: usize = 24,
    const VALUES: usize = 1,
    const REQUESTS: usize = 16,
    const SOURCES: usize = 16,
    const BOOTSTRAPS: usize = 4,
    const RELAYS: usize = 0,
> = NodeInner<Bounds<N, S, OPERATIONS, SHORTLIST, VALUES, REQUESTS, SOURCES, BOOTSTRAPS, RELAYS>>;
