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
//! - **Receiving goes on** whatever can't be sent. An answer that finds no room in the stack's transmit buffer is dropped and counted
//!   in [`Losses`]; questions wait in the node.
//!
//! # Neighbours
//!
//! smoltcp looks for one unknown neighbour a second in a whole interface (ARP, NDP), remembers eight, and holds a socket's queue back
//! behind a datagram whose neighbour it doesn't know, for ever if that one is gone. Behind a gateway, which is the only neighbour,
//! this is never met. On one segment with other nodes it is, every time a ninth is spoken to. So:
//!
//! - **Questions get a socket of their own**, on the same port. A neighbour that is being looked for then delays questions, and no
//!   answer. Let the stack's `StackResources` have room for both.
//! - **One question at a time is in its socket's queue.** The others wait in the node, where their clocks don't run.
//! - **The other side searches too**, when it has forgotten who asks, and that can't be seen from here: the question's clock runs.
//!   Set `Config::timeout_min` to 1 s where more than eight nodes share a segment.
//! - **A queue that isn't empty for [`PATIENCE`] is emptied.** Its question's node is told to be unreachable, and so is it at once if
//!   it is asked again within [`SHUNNED`]: a neighbour that is gone costs one search, not one for each attempt. Of several that are
//!   gone, the last is remembered.
//!
//! A bigger memory for neighbours saves most searches: set `SMOLTCP_IFACE_NEIGHBOR_CACHE_COUNT=32` in the build's environment.
//! Whoever floods a node in the name of neighbours that aren't there costs it the answers of that time and, as long as it lasts, the
//! search for neighbours that it doesn't know; those it knows it can ask.
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

pub use handle::Handle;
pub use outcome::{Error, Got, Losses, News, Stored};
pub use resources::Resources;
pub use runner::{PATIENCE, Runner, SHUNNED, new};
