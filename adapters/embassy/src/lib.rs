//! kadlet over embassy-net, without an allocator: a task that runs the node, and calls that other tasks await.
//!
//! ```
//! use core::net::SocketAddrV4;
//!
//! use kadlet::{Config, ConfigError, FixedStore, Id, Kademlia, Key, Node, Options, Record};
//! use kadlet_embassy::{Error, Handle, Resources, Runner};
//!
//! type Mote = Node<Kademlia<SocketAddrV4, 128>, FixedStore<32, 8192>, 4>;
//!
//! // With the crate static_cell, all memory lies in `.bss`:
//! // static NODE: ConstStaticCell<Resources<Mote>> = ConstStaticCell::new(Resources::new(Mote::empty()));
//! fn start(
//!     resources: &'static mut Resources<Mote>, // NODE.take()
//!     stack: embassy_net::Stack<'static>,
//!     id: Id,
//!     seed: [u8; 32],
//! ) -> Result<(Handle<'static, Mote>, Runner<'static, Mote>), ConfigError> {
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
//!     let got = dht.get(Key::plain(b"garden"), &Options::default(), &mut value).await?;
//!     let _garden = &value[..got.len];
//!     Ok(())
//! }
//! ```
//!
//! # What holds
//!
//! - **One executor.** Handles and the runner share the node through a `RefCell` that is never borrowed across an
//!   await. So they are not `Send`, and their tasks must run on one executor. In return, the node works outside of any
//!   critical section: interrupts and executors of higher priority go on, even during the check of a signature, which
//!   takes 140 ms at 12.5 MHz.
//! - **A call is an operation of the node.** It begins when it is first polled, and ends for the reasons that the core
//!   defines. If it is dropped before its end, the operation is cancelled and its slot is free. If all slots are taken,
//!   a call returns an error at once: it doesn't wait.
//! - **It sleeps.** The runner wakes for datagrams, for calls, and at the node's next deadline. There is no periodic
//!   tick. (embassy-time's queue keeps a task's earliest time. So a deadline that was moved to a later time costs one
//!   additional wake-up.)
//! - **Time is embassy-time's**, from an epoch of the caller. A node that is kept over a deep sleep sees its time go
//!   on: [`Resources::set_epoch`], [`Handle::slept`].
//! - **Receiving goes on**, even if nothing can be sent. A response that doesn't fit into the stack's transmit buffer
//!   is dropped, and counted in [`Losses`]. Requests wait in the node.
//!
//! # Neighbours
//!
//! smoltcp searches for one unknown neighbour a second, remembers eight, and lets a datagram to an unknown one hold up
//! its socket. This matters wherever other nodes share the board's segment. [The page of `kadlet-smoltcp`] explains it,
//! the rules by which both adapters cope with it, and what to set: `Config::timeout_min` and
//! `SMOLTCP_IFACE_NEIGHBOR_CACHE_COUNT`. This adapter differs in the following:
//!
//! - **It always has two sockets**, one for responses and one for requests. The stack's `StackResources` must have room
//!   for both. smoltcp gives all received datagrams to the first socket, so the second has no receive buffer.
//! - **It goes on receiving while its responses are held up**, and drops the responses that don't fit, also those to
//!   verified contacts. So a flood of requests from forged neighbours that don't exist costs this node its responses
//!   while the flood lasts, and the search for neighbours that it doesn't know. It can still send requests to the
//!   neighbours that it knows.
//! - **It empties a queue that was not seen empty for [`PATIENCE`]**, even if datagrams left it in that time: the stack
//!   doesn't show more. A node whose request was in the queue counts as unreachable for [`SHUNNED`], as there.
//!
//! [The page of `kadlet-smoltcp`]: https://docs.rs/kadlet-smoltcp/latest/kadlet_smoltcp/#neighbours
//!
//! # Features
//!
//! `proto-ipv4`, `proto-ipv6`, `medium-ethernet` and `medium-ip` are embassy-net's, by the same names. `proto-ipv4` and
//! `medium-ethernet` are on by default. Enable the address families on this crate, not only on embassy-net: it sends
//! nothing to an address of another family.

#![no_std]
#![forbid(unsafe_code)]

mod handle;
mod outcome;
mod resources;
mod runner;

/// Compiles the README's code.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

/// Compiles and runs the code of the project's README. `tests/project.md` is a link to it, which `cargo package`
/// replaces with the file.
#[cfg(doctest)]
#[doc = include_str!("../tests/project.md")]
mod project_readme {}

pub use handle::Handle;
pub use outcome::{Error, Got, Joined, Losses, News, Stored};
pub use resources::Resources;
pub use runner::{PATIENCE, Runner, SHUNNED, new};
