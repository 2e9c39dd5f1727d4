//! The application that the flash figures are taken of: it calls all that a node can do, with input from who knows where.
//!
//! `without` is the application alone, `node` the same with a node, `signed` with one that checks signatures. What a node takes
//! is the difference. None of the three has a message to print, so that whatever could still panic shows in the image.

#![no_std]

use core::hint::black_box;
use core::net::{Ipv4Addr, SocketAddrV4};
use core::panic::PanicInfo;

use kadlet::wire::MAX_DATAGRAM;
use kadlet::{Config, Dht, FixedStore, Id, Instant, Kademlia, Key, Node, Options, Record};

/// A microcontroller's node.
pub type Mote = Node<Kademlia<SocketAddrV4, 128>, FixedStore<32, 8192>, 4>;
/// The same that reaches and is reached by IPv4 and IPv6.
pub type Dual = Node<Kademlia<core::net::SocketAddr, 128>, FixedStore<32, 8192>, 4>;
/// The smallest useful one: 64 contacts, 8 spares, 8 records in 1 KiB, 1 operation, 8 questions in flight, 8 sources, 2 bootstrap
/// addresses. Its shortlist of 18 makes it store at six nodes (k is a third of it), not at eight.
pub type Small = Node<Kademlia<SocketAddrV4, 64, 8>, FixedStore<8, 1024>, 1, 18, 1, 8, 8, 2>;

/// What comes in from outside: the compiler knows nothing of it.
#[derive(Debug)]
pub struct Input {
    /// What is to be done.
    pub command: u8,
    /// When.
    pub micros: u64,
    /// A datagram, a value, a name.
    pub bytes: [u8; MAX_DATAGRAM],
    /// How many of them.
    pub len: usize,
}

impl Input {
    /// The next input.
    #[inline(never)]
    pub fn next(&mut self) -> &[u8] {
        black_box(&mut *self);
        self.bytes.get(..self.len).unwrap_or(&[])
    }
}

/// Input for an application.
#[must_use]
pub const fn input() -> Input {
    Input { command: 0, micros: 0, bytes: [0; MAX_DATAGRAM], len: 0 }
}

/// The application's way with its node, as often as there is input.
pub fn drive(node: &mut Mote, verify: Option<kadlet::record::Verifier>) -> ! {
    let mut input = input();
    let mut buf = [0; MAX_DATAGRAM];
    let seed = black_box([42; 32]);
    node.start(
        Instant::ZERO,
        Config { plain: true, verify, ..Config::DEFAULT },
        Id::from_bytes(black_box([7; 20])),
        seed,
    );
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
        0 => node.bootstrap(now, &[from]).ok(),
        1 => node.ping(now, from).ok(),
        2 => node.find_node(now, Key::plain(bytes).id, &options).ok(),
        3 => node.get(now, Key::plain(bytes), &options).ok(),
        4 => node.put(now, &Record::plain(bytes, bytes), &options).ok(),
        5 => {
            node.unpublish(now, &Key::immutable(bytes));
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
