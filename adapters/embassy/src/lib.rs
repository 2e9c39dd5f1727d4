//! kadlet over embassy-net, without an allocator: the node's task, and calls to await from as many others as you allow.
//!
//! ```
//! use core::net::SocketAddrV4;
//! use kadlet::{Config, FixedStore, Id, Kademlia, Node, Options, Record};
//! use kadlet_embassy::{Error, Handle, Resources, Runner};
//!
//! type Mote = Node<Kademlia<SocketAddrV4, 128>, FixedStore<32, 8192>, 4>;
//!
//! // All of it in .bss: static_cell's `static NODE: ConstStaticCell<Resources<Mote>> = ConstStaticCell::new(Resources::new(Mote::empty()))`.
//! fn begin(resources: &'static mut Resources<Mote>, stack: embassy_net::Stack<'static>, id: Id, seed: [u8; 32]) -> (Handle<'static, Mote>, Runner<'static, Mote>) {
//!     let config = Config { plain: true, ..Config::default() };
//!     kadlet_embassy::new(resources, stack, 4000, |node, now| node.start(now, config, id, seed))
//! }
//!
//! // #[embassy_executor::task]
//! async fn node(mut runner: Runner<'static, Mote>) -> ! {
//!     runner.run().await
//! }
//!
//! // #[embassy_executor::task]
//! async fn sensor(stack: embassy_net::Stack<'static>, dht: Handle<'static, Mote>) -> Result<(), Error> {
//!     stack.wait_config_up().await;
//!     dht.bootstrap(&["10.0.0.1:4000".parse().unwrap()]).await?;
//!     dht.put(&Record::plain(b"kitchen", b"21.5"), &Options::default()).await?;
//!
//!     let mut value = [0; 64];
//!     let got = dht.get(kadlet::Key::plain(b"garden"), &Options::default(), &mut value).await?;
//!     let _garden = &value[..got.len];
//!     Ok(())
//! }
//! ```
//!
//! # What holds
//!
//! - **One executor.** Handles and the runner share the node by a `RefCell` that is never borrowed across an await, so they aren't
//!   `Send`: their tasks run on one executor. In return no critical section surrounds the node's work, of which a signature's check
//!   takes 140 ms at 12.5 MHz: interrupts, and executors of higher priority, go on.
//! - **A call is an operation of the node's.** It begins when it is first polled and ends for the reasons that the core has.
//!   Dropped half-way, it is cancelled, and its slot is free. With all slots taken, a call is refused at once: it doesn't queue.
//! - **It sleeps.** The runner wakes for datagrams, for calls, and at the node's next deadline; there is no tick. (embassy-time's
//!   queue keeps a task's earliest time: a deadline that was put off costs one wake-up more.)
//! - **Receiving goes on** whatever can't be sent. An answer that finds the stack's transmit buffer full waits 10 ms for room and is
//!   then dropped and counted in [`Losses`]; questions wait in the node.
//! - **Two sockets on one port.** smoltcp holds a whole socket's queue back while it looks for one unknown neighbour, one question a
//!   second, and for ever if nobody answers. So answers, whose askers are known neighbours, leave by one socket, and questions, one
//!   at a time, by another; a queue that stands for 1.5 s is thrown away, and the node told that the one asked was not reached. Let
//!   the stack's `StackResources` have room for both. On a flat network of more than 8 nodes set
//!   `SMOLTCP_IFACE_NEIGHBOR_CACHE_COUNT` in the build's environment to as many as the node has contacts.
//!
//! # Features
//!
//! `proto-ipv4`, `proto-ipv6`, `medium-ethernet` and `medium-ip` are embassy-net's; the first and the third are on by default. Name
//! the protocols here, not only there: what isn't named here isn't asked.

#![no_std]
#![forbid(unsafe_code)]

mod handle;
mod outcome;
mod resources;
mod runner;
mod shared;

pub use handle::Handle;
pub use outcome::{Error, Got, Losses, News, Pong, Stored};
pub use resources::{Resources, new};
pub use runner::Runner;
