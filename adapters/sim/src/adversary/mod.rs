//! Adversaries: what a hostile host does with the datagrams that reach it.
//!
//! An [`Adversary`] is attached to a host by [`Network::turn_hostile`](crate::Network::turn_hostile). It sees each
//! datagram first, and either sends datagrams in place of the node on the host, or lets that node handle it, which is
//! as honest as any other. So a policy has only what it lies about. It knows what an attacker can know at best: who its
//! accomplices are, and, where its attack needs it, all nodes of the network.
//!
//! | file | attack |
//! |---|---|
//! | `invent` | responses name identifiers next to every target, at addresses of the attackers |
//! | `collude` | responses name only attackers; what they are asked to store is dropped |
//! | `misname` | responses name honest identifiers, at addresses of the attackers |
//! | `refuse` | stores are refused as outdated or in conflict, without proof |
//! | `stale` | the first version of a record is served for good; an old version is planted at other nodes |
//! | `impostor` | a minimal node with any identifier; one that comes and goes; a holder that claims to replicate |
//! | `flood` | one node is sent more records, or requests, than it can take |
//! | `stall` | a record is claimed and never delivered; a relay request is accepted and dropped |
//! | `policy` | the trait, and what all policies use |
//!
//! A policy of a few lines, which responds to nothing but pings:
//!
//! ```
//! use core::time::Duration;
//! use kadlet::message::Request;
//! use kadlet::{Config, Id};
//! use kadlet_sim::adversary::{Adversary, Arrival, Reaction, request_in};
//! use kadlet_sim::{Latency, Links, Network, OperationOutcome, Peer};
//!
//! struct Silent;
//!
//! impl Adversary for Silent {
//!     fn handle(&mut self, arrival: &Arrival<'_>) -> Reaction {
//!         match request_in(arrival.datagram) {
//!             Some((_, Request::Ping)) | None => Reaction::Honest,
//!             Some(_) => Reaction::Send(Vec::new()),
//!         }
//!     }
//! }
//!
//! let mut network = Network::<Peer>::new(1, Links::new(Latency::INTERNET), Config::DEFAULT);
//! network.add_ideal(2, || ());
//! network.turn_hostile(1, Box::new(Silent));
//! network.find_node(0, Id::ZERO)?;
//! network.run_until(network.now() + Duration::from_secs(31));
//! let found = network.next_result().map(|result| result.outcome);
//! assert_eq!(found, Some(OperationOutcome::Found { closest: None, right: false }));
//! # Ok::<(), kadlet::BeginError>(())
//! ```

mod collude;
mod flood;
mod impostor;
mod invent;
mod misname;
mod policy;
mod refuse;
mod stale;
mod stall;

pub use collude::{Collude, Naming};
pub use flood::{Flood, Flooding, Stuff};
pub use impostor::{Claim, Flap, Impostor};
pub use invent::Invent;
pub use misname::Misname;
pub use policy::{Adversary, Arrival, Outgoing, Reaction, Seats, ask, draw, nearest, request_in, respond, response_in};
pub use refuse::Refuse;
pub use stale::{Plant, Stale};
pub use stall::Stall;
