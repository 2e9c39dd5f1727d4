//! The state machine that a user drives. It wires the rooms together: how to search, which contacts to keep and which record wins are
//! theirs. Its own are the rules between them, such as what a stranger may cause and when an operation stores, ends or yields.
//!
//! From top to bottom; each file calls only those below it:
//!
//! | file | what is in it |
//! |---|---|
//! | `api` | the calls of the trait [`Dht`] |
//! | `drive` | operations go on, what is due is done, what waits is sent |
//! | `receiving` | the inlet: a datagram is decoded, counted, and goes to the server or to the operation that waits for it |
//! | `server` | another node's request, and the response to it |
//! | `responses` | what responses to own requests do, and requests without a response |
//! | `requests` | what own requests say |
//! | `maintenance`, `joining` | what is done without being told: joining again, refreshing, publishing, replicating |
//! | `search` | an operation asks the nodes that its lookup names, then stores |
//! | `values` | a record comes in while an operation looks for the newest |
//! | `relaying` | recursive lookups: requests are forwarded, and results carried back |
//! | `finishing` | an operation ends, with or without a result, and what becomes of its record |
//! | `records`, `contacts` | what is held, and which contacts are taken up |
//! | `sending` | the outlet: every datagram is encoded and counted here |
//! | `inner`, `shared`, `parts` | what a node is made of, and how large each part is |
//! | `operation`, `task` | one slot of work, and all that depends on its kind |

mod api;
mod bootstraps;
mod buffer;
mod command_error;
mod config;
mod contacts;
mod dht;
mod drive;
mod finishing;
mod inner;
mod joining;
mod maintenance;
mod network;
mod operation;
mod parts;
mod purpose;
mod query;
mod receiving;
mod records;
mod relaying;
mod requests;
mod responses;
mod search;
mod sending;
mod server;
mod shared;
mod stats;
mod task;
mod values;

pub use command_error::{FindError, GetError, PutError, RestoreError};
pub use config::{Config, Mode, Options};
pub use dht::Dht;
pub use inner::NodeInner;
pub use network::{Network, On};
pub use parts::{Parts, Sizes};
pub use query::{Event, Failure, Joining, Outcome, Progress, QueryId, QueryResult, QueryStats, Transmit, WakeReason};
pub use stats::Stats;

/// A node of a DHT: a [`Network`] (a table for a geometry, and a wire format), a store, and bounds for everything else.
///
/// | bound | of what | default |
/// |---|---|---|
/// | `LOOKUPS` | operations at once, the user's and maintenance | 4 |
/// | `SHORTLIST` | contacts that one lookup keeps: 3k | 24 |
/// | `VALUES` | records found, waiting for the user: gets at once | 1 |
/// | `REQUESTS` | requests in flight: some 4 for each lookup | 16 |
/// | `SOURCES` | address prefixes whose requests are rate-limited at once | 16 |
/// | `BOOTSTRAPS` | bootstrap addresses remembered | 4 |
/// | `RELAYS` | relayed requests under way, those of own recursive lookups among them, and an eighth of the tokens kept for it | 0: it takes no part in recursive lookups, and their code isn't linked |
///
/// Its size is a constant. [`Dht`] has its calls; [`NodeInner`] is what it is made of.
///
/// ```
/// use core::net::SocketAddrV4;
/// use kadlet::{Config, Dht, FixedStore, Id, Instant, Kademlia, Node};
///
/// type Mote = Node<Kademlia<SocketAddrV4, 128>, FixedStore<32, 8192>, 4>;
/// const _: () = assert!(size_of::<Mote>() <= 24 * 1024);
///
/// static SPACE: std::sync::Mutex<Mote> = std::sync::Mutex::new(Mote::empty()); // in .bss
/// let mut node = SPACE.lock().unwrap();
/// node.start(Instant::ZERO, Config::default(), Id::from_bytes([7; 20]), [42; 32])?;
/// assert!(node.poll_event().is_none());
/// # Ok::<(), kadlet::ConfigError>(())
/// ```
pub type Node<
    N,
    S,
    const LOOKUPS: usize = 4,
    const SHORTLIST: usize = 24,
    const VALUES: usize = 1,
    const REQUESTS: usize = 16,
    const SOURCES: usize = 16,
    const BOOTSTRAPS: usize = 4,
    const RELAYS: usize = 0,
> = NodeInner<Sizes<N, S, LOOKUPS, SHORTLIST, VALUES, REQUESTS, SOURCES, BOOTSTRAPS, RELAYS>>;
