//! The application for the flash figures: it calls every function of a node, with input that the compiler can't
//! predict.
//!
//! `without` is the application alone, `node` is the same with a node, `signed` with a node that checks signatures, and
//! `sealed` with one whose datagrams are sealed. The difference is the node's flash. None of them prints anything, so
//! that every call that can still panic shows in the image.

#![no_std]

use core::hint::black_box;
use core::net::{Ipv4Addr, SocketAddrV4};
use core::panic::PanicInfo;

use kadlet::wire::MAX_DATAGRAM;
use kadlet::{Config, Dht, FixedStore, Id, Instant, Kademlia, Key, Node, Options, Record};

/// A node for a microcontroller.
pub type Mote = Node<Kademlia<SocketAddrV4, 128>, FixedStore<32, 8192>, 4>;
/// The same node for both IPv4 and IPv6.
pub type Dual = Node<Kademlia<core::net::SocketAddr, 128>, FixedStore<32, 8192>, 4>;
/// The smallest useful node: 64 contacts, 8 replacements, 8 records in 1 KiB, 1 operation, 8 requests in flight, 8
/// sources, 2 bootstrap addresses. With its shortlist of 18 it stores at six nodes, not at eight: k is a third of the
/// shortlist.
pub type Small = Node<Kademlia<SocketAddrV4, 64, 8>, FixedStore<8, 1024>, 1, 18, 1, 8, 8, 2>;

/// The configuration of the nodes.
pub const CONFIG: Config = Config { plain: true, ..Config::DEFAULT };

/// Input from outside, which the compiler can't predict.
#[derive(Debug)]
pub struct Input {
    /// Selects the function to call.
    pub command: u8,
    /// The time in microseconds.
    pub micros: u64,
    /// A datagram, a value or a name.
    pub bytes: [u8; MAX_DATAGRAM],
    /// The length of `bytes` in use.
    pub len: usize,
}

impl Input {
    /// Reads the next input, and returns its bytes.
    #[inline(never)]
    pub fn next(&mut self) -> &[u8] {
        black_box(&mut *self);
        self.bytes.get(..self.len).unwrap_or(&[])
    }
}

/// The first input of an application.
#[must_use]
pub const fn input() -> Input {
    Input { command: 0, micros: 0, bytes: [0; MAX_DATAGRAM], len: 0 }
}

/// Starts the node, and calls it with one input after another, for ever.
pub fn drive(node: &mut Mote, config: Config) -> ! {
    let mut input = input();
    let mut buf = [0; MAX_DATAGRAM];
    let seed = black_box([42; 32]);
    let _ = node.start(Instant::ZERO, config, Id::from_bytes(black_box([7; 20])), seed);
    loop {
        input.next();
        step(node, &input, &mut buf);
    }
}

fn step(node: &mut Mote, input: &Input, buf: &mut [u8]) {
    let (now, options) = (Instant::from_micros(input.micros), Options::DEFAULT);
    let bytes = input.bytes.get(..input.len).unwrap_or(&[]);
    let from = SocketAddrV4::new(Ipv4Addr::from_bits(input.micros as u32), input.len as u16);
    let query = match input.command {
        0 => node.bootstrap(now, &[from]).ok().map(|joining| joining.query),
        1 => node.ping(now, from).ok(),
        2 => node.find_node(now, Key::plain(bytes).id, &options).ok(),
        3 => node.get(now, Key::plain(bytes), &options).ok(),
        4 => node.put(now, &Record::plain(bytes, bytes), &options).ok(),
        5 => {
            node.unpublish(&Key::immutable(bytes));
            None
        }
        6 => {
            node.handle_timeout(now);
            None
        }
        7 => {
            node.handle_unreachable(now, from);
            None
        }
        8 => {
            black_box(node.poll_transmit(now, buf));
            None
        }
        9 => {
            black_box(node.poll_event());
            None
        }
        10 => {
            black_box(node.poll_timeout());
            None
        }
        _ => {
            black_box(node.handle_datagram(now, from, bytes, buf));
            None
        }
    };
    if let Some(query) = query {
        black_box(node.progress(query));
        black_box(node.take_result(query));
        node.cancel(query);
    }
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    loop {}
}
