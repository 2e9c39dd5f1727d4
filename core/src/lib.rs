//! kadlet is a Distributed Hash Table (DHT). A network of equal nodes holds (key, value) pairs, without a server. Each
//! pair is held by the nodes closest to its key, and is found in a few steps, while nodes come, go and fail.
//!
//! This crate is the protocol. It decides which contacts to remember, which node to ask, which records to store and
//! what to respond. It does no I/O, and it has no clock, no socket, no thread, no allocator and no source of random
//! numbers. Datagrams, time and a seed go in; datagrams and events come out.
//!
//! # Three ways in
//!
//! **A ready node.** Four crates connect a node to something that carries datagrams: `kadlet-udp` (a server on a thread
//! with calls that block, or a driver for an event loop), `kadlet-smoltcp`, `kadlet-embassy`, and `kadlet-sim` (a
//! simulator).
//!
//! **A state machine.** Any event loop can drive a [`Node`] by the calls of the trait [`Dht`]:
//!
//! ```
//! use core::net::SocketAddrV4;
//! use kadlet::wire::MAX_DATAGRAM;
//! use kadlet::{Config, Dht, Event, FixedStore, Id, Instant, Kademlia, Node, Options, Outcome, Record};
//!
//! // At most 128 contacts, 32 records in 8 KiB, and 4 operations at once. All its memory is in this type.
//! type Mote = Node<Kademlia<SocketAddrV4, 128>, FixedStore<32, 8192>, 4>;
//!
//! let config = Config { plain: true, ..Config::default() };
//! let now = Instant::ZERO;
//! let (a, b): (SocketAddrV4, SocketAddrV4) = ("10.0.0.1:4000".parse()?, "10.0.0.2:4000".parse()?);
//! let node = |n| Mote::new(now, config, Id::from_bytes([n; 20]), [n; 32]);
//! let mut nodes = [(a, node(1)?), (b, node(2)?)];
//! nodes[0].1.bootstrap(now, &[b])?;
//!
//! // A network of two nodes, in which datagrams take no time: what one node sends, the other handles at once.
//! let deliver = |nodes: &mut [(SocketAddrV4, Mote); 2]| {
//!     let (mut request, mut response) = ([0; MAX_DATAGRAM], [0; MAX_DATAGRAM]);
//!     // The responder may have a request of its own: it pings the requester. Its response can cause one more.
//!     for (requester, responder) in [(0, 1), (1, 0), (0, 1)] {
//!         let (from, to) = (nodes[requester].0, nodes[responder].0);
//!         while let Some(out) = nodes[requester].1.poll_transmit(now, &mut request) {
//!             if let Some(back) = nodes[responder].1.handle_datagram(now, from, &request[..out.len], &mut response) {
//!                 let _ = nodes[requester].1.handle_datagram(now, to, &response[..back.len], &mut request);
//!             }
//!         }
//!     }
//! };
//! deliver(&mut nodes);
//! let joined = nodes[0].1.poll_event();
//! assert!(matches!(joined, Some(Event::Finished(result)) if matches!(result.outcome, Outcome::Joined { .. })));
//!
//! let query = nodes[0].1.put(now, &Record::plain(b"hello", b"world"), &Options::default())?;
//! deliver(&mut nodes);
//! let result = nodes[0].1.take_result(query).expect("the put has ended");
//! assert!(matches!(result.outcome, Outcome::Stored { holders, .. } if holders.len() == 1));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! **A part.** Each public module below can be used without the modules above it. Imports and calls run down only:
//!
//! | floor | module | what it is |
//! |---|---|---|
//! | 7 | `lib.rs` | this page |
//! | 6 | [`Node`], [`Dht`] (`node`) | the state machine that a user drives. It connects the other modules and has no algorithm of its own |
//! | 5 | [`lookup`] | one search for the nodes responsible for an identifier: shortlist, parallelism, end |
//! | 5 | [`rpc`] | requests in flight: transactions, round trips, retransmissions, timeouts |
//! | 5 | [`guard`] | admission: tokens, rate limiter, which contacts and records are accepted |
//! | 5 | `replication` | when a record is published again, and when its holders replicate it |
//! | 5 | `forwarding` | relay requests under way, and their next hops |
//! | 5 | `bootstraps` | when the bootstrap addresses are asked again, and which of them leads into the densest network |
//! | 5 | `identity` | the external address, and what the own identifier follows from |
//! | 5 | `naming` | which contacts a response names |
//! | 4 | [`routing`] | the tables [`Kademlia`], [`Chord`] and [`Pastry`]: which contacts to remember, which to name, when maintenance is due |
//! | 4 | [`store`] | the records that a node holds, and which of them are evicted |
//! | 3 | [`wire`] | wire formats: messages as bytes. `core/SPEC.md` describes kadlet's own byte by byte |
//! | 2 | [`message`] | requests and responses, without bytes |
//! | 1 | [`record`], [`Address`], [`Contact`], [`Geometry`], [`Id`], `binding`, [`Instant`], `random` | the nouns |
//!
//! # One datagram
//!
//! What [`Dht::handle_datagram`] does, by the files of `node`:
//!
//! 1. `receiving`, the inlet, decodes the datagram with the [`wire`] format and counts it. It drops what is not a
//!    message, or is of another network.
//! 2. A **request** goes to `server`. [`guard`] checks its token, and the rate of the requester's address prefix. The
//!    content of the response comes from the [`routing`] table and the [`store`]. A record to be stored is checked and
//!    stored; a relay request goes on to the next hop. Nothing else of the request is kept. If the table would take
//!    the requester, the node pings it, to see that it is there.
//! 3. A **response** goes to `responses`. It counts only if it belongs to a request in flight ([`rpc`]): its
//!    transaction, its address and its sender must match. Then the table verifies the sender. The contacts that the
//!    response names go into the [`lookup`] of the operation that sent the request, and `search` begins requests to the
//!    next nodes.
//! 4. `sending`, the outlet, encodes every datagram that leaves the node. The response to a request is in the caller's
//!    buffer when `handle_datagram` returns. New requests wait for [`Dht::poll_transmit`].
//!
//! # One get
//!
//! 1. [`Dht::get`] (`api`) takes a slot for the operation and a buffer for the record. It begins a [`lookup`] of the
//!    key's identifier with the closest contacts of the table.
//! 2. `search` takes the best nodes from the lookup, at most alpha at once, and begins a request to each in [`rpc`].
//!    [`Dht::poll_transmit`] (`drive`) sends them; `requests` decides what they ask for, and `sending` encodes them.
//! 3. Each response (`responses`) names contacts that are closer to the key, or has a record. `values` keeps the newest
//!    valid record in the buffer. A record too large for an address that isn't proved is announced by `held`, with a
//!    token: the node then asks again with the token. A node that doesn't respond in time is slow: the lookup asks the
//!    next one meanwhile.
//! 4. The lookup is over when the k closest nodes have responded; for an immutable key, when the first record arrives.
//!    If nothing was found where the nodes are closer together or farther apart than elsewhere, the lookup widens, to
//!    2k and 3k nodes. `finishing` ends the query. The user gets its result by [`Dht::poll_event`] or
//!    [`Dht::take_result`].
//! 5. Unless the key is immutable, the record is written back to those of the k closest nodes that lack it.
//!
//! # What holds
//!
//! - All memory is fixed when a node is made. The parameters of its type are its bounds.
//! - No input causes a panic: no datagram, no clock that jumps, no call at a bad moment. Bad input is dropped and
//!   counted in [`Stats`]. A mistake of the caller is an error that leaves the node as it was.
//! - A setting is obeyed, or refused with a [`ConfigError`].
//! - The same seed and the same calls give the same bytes, on every machine.
//! - At most three bytes are sent for each byte received from an address that is not proved.
//!
//! # Features
//!
//! Features add items and never change behaviour:
//!
//! - `alloc`: `HashStore`, a store on the heap
//! - `ed25519`: a verifier and a signer for signed records
//! - `snapshot`: what a node keeps from one run to the next, as entries for flash or a file
//!
//! # Glossary
//!
//! The last column has the word of a paper or a specification, if it is another one.
//!
//! | term | meaning | elsewhere |
//! |---|---|---|
//! | node | a member of the network, with an identifier and an address | peer |
//! | identifier, id | 160 bits; nodes and keys both have one | |
//! | contact | a node as another node knows it: id and address | node info (BEP 5) |
//! | unverified | state of a contact that has not responded to this node yet | |
//! | verified | state of a contact that responded to the last request | good (BEP 5) |
//! | failing | state of a contact that responded before, but not to the last request | bad (BEP 5) |
//! | table | the contacts of a node, kept by the rules of its geometry | routing table |
//! | bucket | in Kademlia: the contacts that share a prefix of the same length with the own id | k-bucket |
//! | replacement | a contact that waits for a place in the table, in the replacement cache | replacement cache (Kademlia) |
//! | neighbourhood | the contacts nearest to the own id | sibling list (S/Kademlia), successor list (Chord), leaf set (Pastry) |
//! | address prefix | the /24 of a global IPv4 address, the /48 of a global IPv6 address: limits on one network count by it | |
//! | bound id, seat | an id that follows from the address prefix of its node and the number of a seat; two seats of a prefix are first class | node ID extension (BEP 42) |
//! | geometry | the order of ids around a target: by progress, in which a lookup converges, and by rank, in which nodes are responsible | metric |
//! | responsible | the k nodes that come first by rank are responsible for a key, and should hold its record | |
//! | k | how many nodes are responsible for a key | k (Kademlia) |
//! | alpha | how many responses a lookup waits for at once | α (Kademlia) |
//! | lookup | a search for the nodes responsible for an id | node lookup; traversal (libtorrent) |
//! | iterative lookup | the requester asks node after node | |
//! | recursive lookup | each node forwards the request to the next | |
//! | shortlist | the contacts that a lookup knows, best first; each is a candidate | |
//! | branch | a contact of the own table in a shortlist, and all that it and these have named | disjoint paths (S/Kademlia) |
//! | stranger | a named contact in a branch of which no named contact has responded | |
//! | external address | the address at which other nodes see a node | |
//! | request, response | a message that asks, and the message that it causes | query, response (BEP 5) |
//! | purpose | why a request was sent: what its response goes to | |
//! | transaction | the bytes by which a response is matched with its request | transaction ID (BEP 5) |
//! | attempt, retransmit | one sending of a request; to send it again after a timeout | |
//! | token | bytes that prove that a requester receives what is sent to its address | token (BEP 5); address validation token (QUIC) |
//! | amplification limit | at most three bytes are sent for each byte from an address that is not proved | anti-amplification limit (QUIC) |
//! | requester, responder | the node that sent a request, and the node that responds | querying node, queried node (BEP 5) |
//! | to name | to put a contact into a response | |
//! | client | a node that sends requests and serves none | read-only node (BEP 43); client mode (libp2p) |
//! | record | a key, a value and the proof that they belong together | |
//! | plain, immutable, signed record | one without a proof, one whose key is the hash of its value, and one with a signature | -, immutable item, mutable item (BEP 44) |
//! | version | what decides which of two records under a key wins: age or sequence number, then hash | seq (BEP 44) |
//! | compare-and-swap | to store a record only if the one held has a given sequence number | cas (BEP 44) |
//! | put, get | to store a record in the network; to find one | STORE, FIND_VALUE (Kademlia); announce, get_peers (BEP 5) |
//! | holder, co-holder | a node that has a record in its store; another holder of the same record | |
//! | publish | to put a record, and put it again before its lifetime ends: to republish | republish (Kademlia) |
//! | replicate | what holders do: they make sure that all responsible nodes have a record | republish (Kademlia) |
//! | pinned | the mark of a record that the node's user put: it is never evicted for another | |
//! | handover | a store request by which a holder replicates a record, without extending its lifetime | |
//! | write back | after a get: to store the newest record at the responsible nodes that lack it | caching (Kademlia), read repair (Dynamo) |
//! | lifetime | the time after which holders remove a record | expiration time |
//! | evict | to remove a contact or a record because another one needs its place | |
//! | relay request | a request of a recursive lookup, on its way through several nodes; a `RelayId` identifies it | |
//! | previous hop, next hop | the node that a relay request came from, and the node that it is forwarded to | |
//! | query | work that a user's call began: a bootstrap, ping, find_node, get or put | |
//! | maintenance | work that no user waits for: it keeps the table fresh and the records alive | stabilisation (Chord), bucket refresh (Kademlia) |
//! | operation | a query, or maintenance that needs a lookup | |
//! | slot | room for one operation, request in flight, relay request or stored record; a bound says how many there are | |
//! | task, phase | what an operation is for; how far it is | |
//! | yield | maintenance yields its slot to a user's call, and is done later | |
//! | wake reason | why a node must be called at a certain time | |
//! | wire format | how messages are encoded as datagrams | |

#![no_std]
#![forbid(unsafe_code)]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod address;
mod array;
mod binding;
mod bootstraps;
mod config_error;
mod contact;
#[cfg(feature = "ed25519")]
pub mod ed25519;
mod forwarding;
mod geometry;
pub mod guard;
mod id;
mod identity;
pub mod lookup;
pub mod message;
mod naming;
mod node;
mod random;
pub mod record;
mod replication;
mod round_trip;
pub mod routing;
pub mod rpc;
#[cfg(feature = "snapshot")]
pub mod snapshot;
pub mod store;
mod time;
pub mod wire;

pub use address::{Address, EncodedAddress, MAX_ADDRESS, Prefix, Scope};
pub use config_error::{ConfigError, Unit};
pub use contact::Contact;
pub use geometry::Geometry;
pub use id::{Distance, Id, ParseIdError};
pub use node::*;
pub use record::{Key, Kind, Record};
pub use round_trip::RoundTrip;
pub use routing::{Chord, Clockwise, Digits, Kademlia, Pastry, Routing, Xor};
#[cfg(feature = "alloc")]
pub use store::HashStore;
pub use store::{FixedStore, Store};
pub use time::Instant;

/// Compiles the README's code.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
