//! smoltcp UDP sockets for kadlet: `no_std`, no allocator, no async.
//!
//! [`Driver::poll`] moves datagrams between a node and one or two UDP sockets of a smoltcp `SocketSet`. It runs the
//! node's timers that are due, and returns when it must be called next. The caller owns the interface, the socket set,
//! the device and the clock, and can use the same set for other sockets. This is a whole superloop:
//!
//! ```
//! use core::net::SocketAddrV4;
//! use kadlet::{Dht, Event, FixedStore, Kademlia, Node};
//! use kadlet_smoltcp::Driver;
//! use smoltcp::iface::{Interface, SocketSet, SocketStorage};
//! use smoltcp::phy::Device;
//! use smoltcp::socket::udp;
//! use smoltcp::time::Instant;
//!
//! type Mote = Node<Kademlia<SocketAddrV4, 128>, FixedStore<32, 8192>, 4>;
//!
//! /// `node` lies in `.bss`, is started and has begun to bootstrap. `wfi_until` sleeps until an interrupt or a time.
//! fn run(
//!     node: &mut Mote,
//!     iface: &mut Interface,
//!     device: &mut impl Device,
//!     clock: fn() -> Instant,
//!     wfi_until: fn(Option<Instant>),
//! ) -> ! {
//!     // For responses: room for two of the largest. For requests: room for one, and almost nothing for receiving.
//!     let (mut rx_meta, mut rx) = ([udp::PacketMetadata::EMPTY; 8], [0; 2560]);
//!     let (mut tx_meta, mut tx) = ([udp::PacketMetadata::EMPTY; 8], [0; 2560]);
//!     let (mut request_rx_meta, mut request_rx) = ([udp::PacketMetadata::EMPTY; 1], [0; 64]);
//!     let (mut request_tx_meta, mut request_tx) = ([udp::PacketMetadata::EMPTY; 2], [0; 1232]);
//!     let mut responses = udp::Socket::new(
//!         udp::PacketBuffer::new(&mut rx_meta[..], &mut rx[..]),
//!         udp::PacketBuffer::new(&mut tx_meta[..], &mut tx[..]),
//!     );
//!     let mut requests = udp::Socket::new(
//!         udp::PacketBuffer::new(&mut request_rx_meta[..], &mut request_rx[..]),
//!         udp::PacketBuffer::new(&mut request_tx_meta[..], &mut request_tx[..]),
//!     );
//!     responses.bind(4000).expect("the socket is new and the port is not 0");
//!     requests.bind(4000).expect("the socket is new and the port is not 0");
//!
//!     let mut storage = [SocketStorage::EMPTY; 2];
//!     let mut sockets = SocketSet::new(&mut storage[..]);
//!     // smoltcp gives a received datagram to the first socket of the set with its port: add `responses` first.
//!     let mut driver = Driver::new(sockets.add(responses)).with_requests(sockets.add(requests));
//!     loop {
//!         let now = clock();
//!         iface.poll(now, device, &mut sockets);
//!         while let Some(event) = node.poll_event() {
//!             match event {
//!                 Event::Finished(result) => { /* a get, a put or the bootstrap has ended */ }
//!                 Event::ExternalAddress { address, id } => { /* others see the node there; its id may be another */ }
//!                 Event::Serves { serves } => { /* whether it can be reached from outside, and so serves */ }
//!                 _ => {}
//!             }
//!         }
//!         // Commands go here: node.get(kadlet_smoltcp::time(now), key, &options).
//!         let due = driver.poll(now, node, &mut sockets);
//!         // The earlier of the node's and smoltcp's deadlines. If it is not in the future, don't sleep.
//!         let wake = due.into_iter().chain(iface.poll_at(now, &sockets)).min();
//!         if wake.is_none_or(|wake| wake > now) {
//!             // With interrupts masked: unless a frame waits, arm the timer, `wfi`, unmask. A frame wakes it too.
//!             wfi_until(wake);
//!         }
//!     }
//! }
//! ```
//!
//! # Neighbours
//!
//! A neighbour is a host on the same segment. To send to it, smoltcp (0.13 and 0.14) first needs its hardware
//! address, and searches for that with ARP or NDP. Three limits of smoltcp matter to a DHT:
//!
//! - An interface sends one search a second, whatever the number of unknown neighbours.
//! - It remembers eight neighbours.
//! - A socket sends its datagrams in order. A datagram to an unknown neighbour holds up all those behind it, for ever
//!   if that neighbour is gone.
//!
//! A board behind a gateway has the gateway as its only neighbour, and meets none of these limits. A board that shares
//! a segment with other nodes meets them each time it sends to a ninth. So this adapter and `kadlet-embassy` do the
//! following:
//!
//! - **Requests have a socket of their own** ([`Driver::with_requests`]), on the same port. A search for a neighbour
//!   then delays requests, but no response. Datagrams are received from both sockets.
//! - **One request at a time is in that socket's queue.** The others wait in the node, where their timeouts don't run.
//!   So a search costs the request that waits for it at most one of its attempts (`Config::attempts`, three), and costs
//!   the other requests nothing but time.
//! - **The responder searches too**, if it has forgotten the requester's hardware address. The requester can't see
//!   that, and its timeout runs. Set `Config::timeout_min` to 1 s where more than eight nodes share a segment. With the
//!   default of 100 ms, ten nodes without loss counted about one request in 33 as timed out (its three attempts end
//!   after 0.7 s); with 1 s, none.
//! - **A queue that doesn't move for [`PATIENCE`] is emptied**: the adapter closes the socket and binds it again. The
//!   node is told that the destination of the request in that queue is unreachable. Another request to the same
//!   destination within [`SHUNNED`] is not sent, and the node is told the same at once. So a neighbour that is gone
//!   costs one search, not one for each attempt. If several are gone, only the last one is remembered. Without this
//!   rule, one datagram with a forged sender on the board's own segment would silence the board for good.
//! - **A response doesn't wait behind one to a requester that is gone**, or that never existed, if it goes to a
//!   verified contact: it takes the requests' socket. A response to a stranger is delayed by up to [`PATIENCE`], or
//!   lost.
//! - **Receiving goes on while the responses are held up**, after [`STALL`] at the latest. From then on, responses
//!   that don't fit are dropped. If a request was given up too, requests go to verified contacts only: in a flood of
//!   requests from forged neighbours, the node and its contacts still reach each other.
//!
//! A larger neighbour cache avoids most searches: set `SMOLTCP_IFACE_NEIGHBOR_CACHE_COUNT=32` in the build's
//! environment. Where a gateway is the only neighbour, one socket for requests and responses works as well.
//!
//! The page of `kadlet-embassy` says what it does differently.
//!
//! # What is lost
//!
//! - While the responses' queue moves, no response is lost because the buffer is full: the driver takes no datagram
//!   from a socket before the largest response fits into the transmit buffer of the responses' socket. A response that
//!   doesn't fit after all, because the ring buffer's free space is in two pieces, waits in the driver.
//! - The responses that don't fit while the queue is held up for [`STALL`] or longer are dropped.
//! - smoltcp drops the datagrams that arrive while a socket's receive buffer is full, as any full link does. Nothing
//!   counts them.
//! - The datagrams in an emptied queue and those that a socket refused are lost.
//!
//! [`Losses`] counts all but the second.
//!
//! # Features
//!
//! smoltcp's, by the same names: `proto-ipv4`, `proto-ipv6`, `medium-ethernet`, `medium-ip`, `medium-ieee802154`. The
//! default is both address families over Ethernet. For a smaller image, use `default-features = false` and enable what
//! the board has.

#![no_std]
#![forbid(unsafe_code)]

mod address;
mod driver;
mod queue;

/// Compiles the README's code.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

pub use address::Endpoint;
pub use driver::{DATAGRAMS, Driver, Losses, SHUNNED, time};
pub use queue::{PATIENCE, STALL};
