//! kadlet is a Distributed Hash Table: (key, value) pairs, each held by the nodes closest to its key, found in a few
//! steps, with no server, while nodes come, go and fail. This crate is its protocol: it decides whom to remember, whom
//! to ask, what to keep and what to answer, and does no I/O. It has no clock, no socket, no thread, no allocator and no
//! source of randomness of its own; datagrams, time and a seed go in, datagrams and events come out.
//!
//! Three users, three ways in:
//!
//! - An application on a host takes the `kadlet-udp` crate: a socket, a thread, and calls that block.
//! - Somebody's event loop, a microcontroller or a simulator drives a [`Node`] by the calls of [`Dht`]:
//!
//! ```
//! use core::net::SocketAddrV4;
//! use kadlet::{Config, Event, FixedStore, Id, Instant, Kademlia, Dht, Node, Options, Outcome, Record, wire::MAX_DATAGRAM};
//!
//! // At most 128 contacts, 32 records in 8 KiB, 4 operations at once. Nothing else grows either.
//! type Mote = Node<Kademlia<SocketAddrV4, 128>, FixedStore<32, 8192>, 4>;
//!
//! let config = Config { plain: true, ..Config::default() };
//! let now = Instant::ZERO;
//! let (a, b): (SocketAddrV4, SocketAddrV4) = ("10.0.0.1:4000".parse()?, "10.0.0.2:4000".parse()?);
//! let node = |n| Mote::new(now, config, Id::from_bytes([n; 20]), [n; 32]);
//! let mut nodes = [(a, node(1)?), (b, node(2)?)];
//! nodes[0].1.bootstrap(now, &[b])?;
//!
//! // A network of two, whose datagrams arrive at once: what one has to send, the other handles, and answers in place.
//! let mut deliver = |nodes: &mut [(SocketAddrV4, Mote); 2]| {
//!     let (mut request, mut response) = ([0; MAX_DATAGRAM], [0; MAX_DATAGRAM]);
//!     for (requester, asked) in [(0, 1), (1, 0), (0, 1)] {
//!         let (from, to) = (nodes[requester].0, nodes[asked].0);
//!         while let Some(out) = nodes[requester].1.poll_transmit(now, &mut request) {
//!             if let Some(back) = nodes[asked].1.handle_datagram(now, from, &request[..out.len], &mut response) {
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
//! let result = nodes[0].1.take_result(query).expect("it ended");
//! assert!(matches!(result.outcome, Outcome::Stored { holders, .. } if holders.len() == 1));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! - Somebody who needs a part takes the part. Each room below works without the rooms above it, and imports point down
//!   only:
//!
//! | floor | room | what it is |
//! |---|---|---|
//! | 4 | [`Node`], [`Dht`] | the state machine that a user drives; wires the rooms together and holds no algorithm of its own |
//! | 3 | [`lookup`] | one search: shortlist, parallelism, termination; contacts in, questions out |
//! | 3 | [`rpc`] | questions in flight: transactions, round trips, repeats, timeouts |
//! | 2 | [`routing`] | the tables [`Kademlia`], [`Chord`] and [`Pastry`]: whom to remember, whom to name, what upkeep is due |
//! | 2 | [`store`] | the records that are held, and who gives way when there is no room |
//! | 2 | [`token`], [`rate_limiter`] | proof that an asker is where it says, and what one network prefix may ask |
//! | 1 | [`Geometry`] | which identifiers are nearer |
//! | 1 | [`wire`] | messages as bytes; `SPEC.md` beside the source has them one by one |
//! | 0 | [`Id`], [`Address`], [`Contact`], [`record`], [`Instant`] | the nouns |
//!
//! # One datagram
//!
//! [`Dht::handle_datagram`] decodes it and drops what is not of this network. A request is answered into the caller's
//! buffer at once and leaves nothing behind but the record it stores or the question it has passed on. An answer must
//! fit a question in flight ([`rpc`]); its sender is then verified in the table ([`routing`]), whom it names goes to
//! the [`lookup`] that asked, and the lookup's next questions wait for [`Dht::poll_transmit`].
//!
//! # What holds
//!
//! - All memory is fixed when a node is made: its type's parameters are its bounds.
//! - No input panics: not a datagram, not a clock that jumps, not a command at a bad moment. Bad input is dropped and
//!   counted in [`Stats`]; a caller's mistake is an error that leaves the node as it was.
//! - The same seed and the same calls give the same bytes, on every machine.
//! - Toward an address that has not proved itself, at most three bytes go out for each byte that came in.
//!
//! # Features
//!
//! They add items and never change behaviour: `alloc` adds `HashStore`, a store on the heap; `ed25519` adds a verifier
//! and a signer for signed records.

#![no_std]
#![forbid(unsafe_code)]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod address;
mod array;
mod config_error;
mod contact;
#[cfg(feature = "ed25519")]
pub mod ed25519;
mod forwarding;
mod geometry;
pub mod guard;
mod id;
pub mod lookup;
pub mod message;
mod naming;
mod node;
mod random;
pub mod record;
mod replication;
pub mod routing;
pub mod rpc;
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
pub use routing::{Chord, Clockwise, Digits, Kademlia, Pastry, Routing, Xor};
#[cfg(feature = "alloc")]
pub use store::HashStore;
pub use store::{FixedStore, Store};
pub use time::{Instant, RoundTrip};

/// Compiles the README's code.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
