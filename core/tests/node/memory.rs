//! The memory of a node: its size, which is known at compile time, and that threads can share it.

use core::net::{SocketAddr, SocketAddrV4};

use kadlet::{Event, FixedStore, Kademlia, Node, QueryId, Stats};

type Table<A> = Kademlia<A, 128>;
type Values = FixedStore<32, 8192>;
type Mote = Node<Table<SocketAddrV4>, Values, 4>;
type DualStack = Node<Table<SocketAddr>, Values, 4>;

/// A datagram that is opened, and the key.
const SEALED: usize = if cfg!(feature = "sealed") { 2 * 1024 } else { 0 };
const _: () = assert!(size_of::<Mote>() <= 25 * 1024 + SEALED);
const _: () = assert!(size_of::<DualStack>() <= 40 * 1024 + SEALED);

/// A node in .bss, as on a microcontroller.
static SPACE: std::sync::Mutex<Mote> = std::sync::Mutex::new(Mote::empty());

#[test]
fn a_mote_takes_25_kib_and_a_dual_stack_node_40() {
    println!("{} and {} bytes", size_of::<Mote>(), size_of::<DualStack>());
    assert_eq!(kadlet::Dht::stats(&*SPACE.lock().unwrap()), &Stats::ZERO);
}

#[test]
fn nodes_and_the_events_that_they_lend_are_send_and_sync() {
    const fn is_send_and_sync<T: Send + Sync>() {}
    is_send_and_sync::<Mote>();
    is_send_and_sync::<DualStack>();
    is_send_and_sync::<QueryId>();
    is_send_and_sync::<Event<'_, SocketAddr>>();
    #[cfg(feature = "alloc")]
    is_send_and_sync::<Node<Table<SocketAddr>, kadlet::HashStore, 4>>();
}
