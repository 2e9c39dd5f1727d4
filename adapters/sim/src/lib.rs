//! A deterministic network of simulated links, of up to a million nodes. It drives the same [`Node`](kadlet::Node) that
//! runs on sockets and boards. One seed is one history, on every machine.
//!
//! It serves two purposes:
//!
//! - The command `kadlet-sim` runs [scenarios](scenario) and [gates] at sizes at which no one can test a deployment.
//! - A test of your own application runs it on a [`Network`] whose [`Links`] the test can break at will:
//!
//! ```
//! use std::{cell::Cell, rc::Rc};
//! use core::time::Duration;
//! use kadlet::{Config, Dht, Event, Instant, Key, Options, Outcome, Record};
//! use kadlet_sim::{Application, Latency, Links, Network, Peer};
//!
//! /// Gets the news every minute until it has them, then counts itself as done.
//! struct Reader {
//!     done: Rc<Cell<u32>>,
//!     next_get: Instant,
//! }
//!
//! impl<M: Dht> Application<M> for Reader {
//!     fn handle_event(&mut self, _: Instant, event: &Event<'_, M::Address>) {
//!         if let Event::Finished(result) = event && matches!(result.outcome, Outcome::Value { .. }) {
//!             self.done.set(self.done.get() + 1);
//!             self.next_get = Instant::NEVER;
//!         }
//!     }
//!
//!     fn act(&mut self, now: Instant, node: &mut M) -> Option<Instant> {
//!         if now >= self.next_get && node.get(now, Key::plain(b"news"), &Options::DEFAULT).is_ok() {
//!             self.next_get = now + Duration::from_secs(60);
//!         }
//!         Some(self.next_get).filter(|at| *at != Instant::NEVER)
//!     }
//! }
//!
//! let config = Config { plain: true, ..Config::DEFAULT };
//! let mut network = Network::<Peer>::new(7, Links::new(Latency::INTERNET), config);
//! network.links.loss = 0.1;
//! network.add_ideal(100, || ());
//! let done = Rc::new(Cell::new(0));
//! for host in 50..60 {
//!     network.attach(host, Box::new(Reader { done: done.clone(), next_get: Instant::ZERO }));
//! }
//! network.put(0, &Record::plain(b"news", b"none"), &Options::DEFAULT).expect("node 0 has a free slot");
//! for host in 1..40 {
//!     network.run_until(network.now() + Duration::from_secs(10));
//!     network.crash(host); // No other node learns of it.
//!     network.join(&[0]); // A new node joins.
//! }
//! assert_eq!(done.get(), 10, "every reader has the news");
//! assert_eq!(network.checks().violations(), [""; 0]);
//! ```
//!
//! # How it is built
//!
//! Imports and calls run down only:
//!
//! | floor | module | what it is |
//! |---|---|---|
//! | 6 | `kadlet-sim` | the command |
//! | 5 | [`gates`], [`plot`] | many runs at once, as targets and as curves |
//! | 4 | [`scenario`] | one run: what happens to a network, and what is measured |
//! | 3 | [`Network`] | nodes, datagrams in flight, and time; each node can have an [`Application`] |
//! | 2 | [`Peer`], [`Overlay`] | node types, ideal tables, and the right result of a lookup in each geometry |
//! | 1 | [`HostAddress`], [`Links`], [`Random`], [`Checks`] | addresses, what happens to a datagram on its way, chance, and the invariants of every history |

#![forbid(unsafe_code)]

mod address;
pub mod adversary;
mod application;
mod checks;
#[cfg(feature = "cli")]
pub mod gates;
mod links;
mod network;
mod node;
mod overlay;
#[cfg(feature = "cli")]
mod parallel;
#[cfg(feature = "cli")]
pub mod plot;
pub mod progress;
mod random;
pub mod scenario;
mod signed;
mod table;
#[cfg(feature = "cli")]
mod thousands;

/// Compiles and runs the README's code.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

pub use address::{HostAddress, IdRule};
pub use application::Application;
pub use checks::Checks;
pub use links::{Filtering, Latency, Links};
pub use network::{Counts, Datagram, Divergence, Network, OperationId, OperationOutcome, OperationResult};
pub use node::{Capacity, ChordTable, PastryTable, Peer, SimulatedNode, SmallPeer, WidePeer};
pub use overlay::{Members, Overlay, RoundTrips};
pub use random::Random;
pub use signed::SignedRecord;
