//! smoltcp UDP sockets for kadlet: `no_std`, no allocator, no async.
//!
//! [`Driver::poll`] carries datagrams between a node and one or two UDP sockets of a smoltcp `SocketSet`, does what is due, and
//! says when to be called next. The interface, the socket set, the device and the clock stay the caller's, who may run other
//! sockets beside. This is a whole superloop:
//!
//! ```
//! use core::net::SocketAddrV4;
//! use kadlet::{Event, FixedStore, Kademlia, Dht, Node};
//! use kadlet_smoltcp::Driver;
//! use smoltcp::iface::{Interface, SocketSet, SocketStorage};
//! use smoltcp::phy::Device;
//! use smoltcp::socket::udp;
//! use smoltcp::time::Instant;
//!
//! type Mote = Node<Kademlia<SocketAddrV4, 128>, FixedStore<32, 8192>, 4>;
//!
//! /// `node` lies in `.bss`, is started and was told to bootstrap; `wfi_until` sleeps until an interrupt or that time.
//! fn run(node: &mut Mote, iface: &mut Interface, device: &mut impl Device, clock: fn() -> Instant, wfi_until: fn(Option<Instant>)) -> ! {
//!     // Answers: room for two of the largest. Questions: for one, and to receive next to nothing.
//!     let (mut rx_meta, mut rx) = ([udp::PacketMetadata::EMPTY; 8], [0; 2560]);
//!     let (mut tx_meta, mut tx) = ([udp::PacketMetadata::EMPTY; 8], [0; 2560]);
//!     let (mut ask_rx_meta, mut ask_rx) = ([udp::PacketMetadata::EMPTY; 1], [0; 64]);
//!     let (mut ask_meta, mut ask) = ([udp::PacketMetadata::EMPTY; 2], [0; 1232]);
//!     let mut responses = udp::Socket::new(
//!         udp::PacketBuffer::new(&mut rx_meta[..], &mut rx[..]),
//!         udp::PacketBuffer::new(&mut tx_meta[..], &mut tx[..]),
//!     );
//!     let mut requests = udp::Socket::new(
//!         udp::PacketBuffer::new(&mut ask_rx_meta[..], &mut ask_rx[..]),
//!         udp::PacketBuffer::new(&mut ask_meta[..], &mut ask[..]),
//!     );
//!     responses.bind(4000).expect("a fresh socket and a port");
//!     requests.bind(4000).expect("a fresh socket and a port");
//!
//!     let mut storage = [SocketStorage::EMPTY; 2];
//!     let mut sockets = SocketSet::new(&mut storage[..]);
//!     // What arrives goes to the first socket added that is bound to its port: the answers'.
//!     let mut driver = Driver::new(sockets.add(responses)).with_requests(sockets.add(requests));
//!     loop {
//!         let now = clock();
//!         iface.poll(now, device, &mut sockets);
//!         while let Some(event) = node.poll_event() {
//!             if let Event::QueryResult(done) = event { /* a get ended, or a put, or the bootstrap */ }
//!         }
//!         // Commands go here: node.get(kadlet_smoltcp::time(now), key, &options).
//!         let due = driver.poll(now, node, &mut sockets);
//!         // The earlier of what the node and what smoltcp wait for. An instant that is past: don't sleep.
//!         let wake = due.into_iter().chain(iface.poll_at(now, &sockets)).min();
//!         if wake.is_none_or(|wake| wake > now) {
//!             // With interrupts masked, if no frame waits: arm the timer, `wfi`, unmask. The driver's interrupt wakes it too.
//!             wfi_until(wake);
//!         }
//!     }
//! }
//! ```
//!
//! # Neighbours
//!
//! smoltcp 0.14 looks for one unknown neighbour a second in a whole interface (ARP, NDP), remembers eight, and holds a socket's
//! queue back behind a datagram whose neighbour it doesn't know, for ever if that one is gone. Behind a gateway, which is the
//! only neighbour, this is never met. On one segment with other nodes it is, every time a ninth is spoken to. So:
//!
//! - **Questions get a socket of their own** ([`Driver::with_requests`]), on the same port. A neighbour that is being looked for
//!   then delays questions, and no answer. What arrives is read from both.
//! - **One question at a time is in its socket's queue.** The others wait in the node, where their clocks don't run. So a search
//!   for a neighbour costs the question that waits for it one of its attempts (`Config::attempts`, three) at most, and no other
//!   question anything but time.
//! - **The other side searches too**, when it has forgotten who asks, and that can't be seen from here: the question's clock runs.
//!   Set `Config::timeout_min` to 1 s where more than eight nodes share a segment. With its default of 100 ms, ten nodes without
//!   loss took about one question in 33 for unanswered (its three attempts end after 0.7 s); with 1 s none.
//! - **A queue from which nothing leaves for [`PATIENCE`] is emptied**, by closing and binding the socket again. Its question's
//!   node is told to be unreachable, and so is it at once if it is asked again within [`SHUNNED`]:
//!   a neighbour that is gone costs one search, not one for each attempt. Without this, one datagram with a forged sender on
//!   the own segment would silence a board for good.
//!
//! A bigger memory for neighbours saves most searches: set `SMOLTCP_IFACE_NEIGHBOR_CACHE_COUNT=32` in the build's environment.
//! Answers to an asker that is gone, or never was, hold the answers after them up for [`PATIENCE`] and are lost together with them.
//! A node with one socket for both works as well where a gateway is the only neighbour.
//!
//! # What is lost
//!
//! - No answer for want of room: no datagram is taken from a socket before the largest answer fits the answers' socket. One that
//!   doesn't fit after all, because the ring's room is in two pieces, waits in the driver.
//! - What arrives while a socket's receive buffer is full is dropped by smoltcp, as on any full link, and counted by nobody.
//! - What was in an emptied queue, and what a socket refused; both are counted in [`Losses`].
//!
//! # Features
//!
//! smoltcp's, by the same names: `proto-ipv4`, `proto-ipv6`, `medium-ethernet`, `medium-ip`, `medium-ieee802154`. Both families over Ethernet by default:
//! a board takes `default-features = false` and what it has.

#![no_std]
#![forbid(unsafe_code)]

mod address;
mod driver;
mod queue;

pub use address::Endpoint;
pub use driver::{DATAGRAMS, Driver, Losses, PATIENCE, SHUNNED};

/// smoltcp's time as the node's, for its commands: `node.get(time(now), ..)`. What is before zero is zero.
#[must_use]
pub fn time(now: smoltcp::time::Instant) -> kadlet::Instant {
    kadlet::Instant::from_micros(u64::try_from(now.total_micros()).unwrap_or(0))
}
