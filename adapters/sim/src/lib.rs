//! A deterministic network of simulated links, of up to a million nodes: feeds datagrams in and out of the same
//! [`Node`](kadlet::Node) that runs on sockets and boards. One seed is one history, on every machine.
//!
//! Two kinds of people use it: kadlet's makers, to know that it works at sizes that nobody can deploy for a test (the command
//! `kadlet-sim`); and its users, to test their own application on a network that they can break at will:
//! ```
//! use std::{cell::Cell, rc::Rc};
//! use core::time::Duration;
//! use kadlet::{Config, Event, Instant, Key, Dht, Options, Outcome, Record};
//! use kadlet_sim::{Application, Latency, Links, Network, Peer};
//!
//! /// Asks every minute for what it was told to wait for, until it has it.
//! struct Reader(Rc<Cell<u32>>, Instant);
//!
//! impl<M: Dht> Application<M> for Reader {
//!     fn event(&mut self, _: Instant, event: &Event<'_, M::Address>) {
//!         if let Event::QueryResult(done) = event && matches!(done.outcome, Outcome::Value { .. }) {
//!             self.0.set(self.0.get() + 1);
//!             self.1 = Instant::NEVER;
//!         }
//!     }
//!
//!     fn act(&mut self, now: Instant, node: &mut M) -> Option<Instant> {
//!         if now >= self.1 && node.get(now, Key::plain(b"news"), &Options::DEFAULT).is_ok() {
//!             self.1 = now + Duration::from_secs(60);
//!         }
//!         Some(self.1).filter(|at| *at != Instant::NEVER)
//!     }
//! }
//!
//! let config = Config { plain: true, ..Config::DEFAULT };
//! let mut network = Network::<Peer>::new(7, Links::new(Latency::INTERNET), config);
//! network.links.loss = 0.1;
//! network.add_ideal(100, || ());
//! let readers = Rc::new(Cell::new(0));
//! (50..60).for_each(|address| network.attach(address, Box::new(Reader(readers.clone(), Instant::ZERO))));
//! network.put(0, &Record::plain(b"news", b"none"), &Options::DEFAULT).expect("node 0 is idle");
//! for address in 1..40 {
//!     network.run_until(network.now() + Duration::from_secs(10));
//!     network.crash(address); // nobody is told,
//!     network.join(&[0]); // and another comes.
//! }
//! assert_eq!(readers.get(), 10, "everybody has the news");
//! assert_eq!(network.checks().violations(), [""; 0]);
//! ```

#![forbid(unsafe_code)]

mod application;
mod arena;
mod checks;
mod commands;
pub mod gates;
mod judge;
mod links;
mod make;
mod meddling;
mod network;
mod operation;
mod overlay;
pub mod plot;
pub mod progress;
mod queue;
mod random;
pub mod scenario;

pub use application::Application;
pub use checks::Checks;
pub use judge::Disorder;
pub use links::{Latency, Links};
pub use make::{ChordTable, Make, PastryTable, Peer, Room, SmallPeer, WidePeer};
pub use meddling::Letter;
pub use network::{Counts, Network};
pub use operation::{Ended, Ending, Operation};
pub use overlay::{Members, Overlay};
pub use random::Random;
