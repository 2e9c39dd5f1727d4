//! Two nodes join, put, get, ping, look up and let records expire, without an allocation.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::Cell;
use core::net::{Ipv4Addr, SocketAddrV4};
use core::time::Duration;
use std::alloc::System;

use kadlet::wire::MAX_DATAGRAM;
use kadlet::{
    Config, Dht, FixedStore, Id, Instant, Kademlia, Key, Node, Options, Outcome, QueryId, Record, Routing, Store,
};

/// The system's allocator. It counts what a thread allocates while `ARMED` is set. It doesn't panic, because unwinding
/// out of an allocator is undefined behaviour.
struct Watched;

std::thread_local! {
    static ARMED: Cell<bool> = const { Cell::new(false) };
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

#[allow(unsafe_code, reason = "a global allocator needs it; this one hands every call to the system's")]
// SAFETY: every call goes to `System` unchanged.
unsafe impl GlobalAlloc for Watched {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if ARMED.get() {
            ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        }
        // SAFETY: the caller keeps the promises that `System` needs.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Watched = Watched;

type Mote = Node<Kademlia<SocketAddrV4, 128>, FixedStore<32, 8192>, 4>;

const ADDRESSES: [SocketAddrV4; 2] =
    [SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 1), 1), SocketAddrV4::new(Ipv4Addr::new(198, 51, 100, 1), 1)];

/// Two nodes, and a clock.
struct Pair {
    nodes: [Box<Mote>; 2],
    now: Instant,
}

impl Pair {
    /// Carries datagrams until neither node has one to send. Each takes a millisecond.
    fn exchange(&mut self) {
        let (mut there, mut back) = ([0; MAX_DATAGRAM], [0; MAX_DATAGRAM]);
        loop {
            let sender = (0..2).find_map(|from| Some((from, self.nodes[from].poll_transmit(self.now, &mut there)?)));
            let Some((from, request)) = sender else {
                return;
            };
            assert_eq!(request.to, ADDRESSES[1 - from]);
            self.now = self.now + Duration::from_millis(1);
            let response =
                self.nodes[1 - from].handle_datagram(self.now, ADDRESSES[from], &there[..request.len], &mut back);
            if let Some(response) = response {
                assert!(
                    self.nodes[from]
                        .handle_datagram(self.now, ADDRESSES[1 - from], &back[..response.len], &mut there)
                        .is_none()
                );
            }
        }
    }

    /// Lets time pass.
    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            self.exchange();
            let due = self.nodes.iter().filter_map(|node| node.poll_timeout()).map(|(at, _)| at).min().unwrap_or(end);
            self.now = due.max(self.now).min(end);
            if self.now == end {
                return;
            }
            for node in &mut self.nodes {
                node.handle_timeout(self.now);
            }
        }
    }

    /// Runs until an operation ends, for ten seconds at most. Returns what `check` says of its outcome, or false.
    fn ends(&mut self, at: usize, query: QueryId, check: impl Fn(&Outcome<'_, SocketAddrV4>) -> bool) -> bool {
        for _ in 0..100 {
            if let Some(result) = self.nodes[at].take_result(query) {
                return check(&result.outcome);
            }
            self.run(Duration::from_millis(100));
        }
        false
    }
}

/// Does all that a node can do. Returns false or `None` if something goes wrong, because a failed assertion would
/// allocate.
fn live(pair: &mut Pair, value: &[u8]) -> Option<bool> {
    let options = Options { lifetime: Duration::from_secs(600), ..Options::default() };
    let now = pair.now;
    let joined = pair.nodes[1].bootstrap(now, &ADDRESSES[..1]).ok()?.query;
    let mut well = pair.ends(1, joined, |outcome| matches!(outcome, Outcome::Joined { .. }));
    let now = pair.now;
    let pinged = pair.nodes[1].ping(now, ADDRESSES[0]).ok()?;
    well &= pair.ends(1, pinged, |outcome| matches!(outcome, Outcome::Pong { .. }));
    let now = pair.now;
    let found = pair.nodes[1].find_node(now, Id::ZERO, &options).ok()?;
    well &= pair.ends(1, found, |outcome| matches!(outcome, Outcome::Nodes(nodes) if nodes.len() == 1));
    let now = pair.now;
    let put = pair.nodes[1].put(now, &Record::plain(b"hello", value), &options).ok()?;
    well &= pair.ends(1, put, |outcome| matches!(outcome, Outcome::Stored { holders, .. } if holders.len() == 1));
    let now = pair.now;
    let got = pair.nodes[0].get(now, Key::plain(b"hello"), &options).ok()?;
    well &= pair.ends(0, got, |outcome| matches!(outcome, Outcome::Value { record, .. } if record.value == value));
    let now = pair.now;
    let missed = pair.nodes[0].get(now, Key::plain(b"other"), &options).ok()?;
    well &= pair.ends(0, missed, |outcome| matches!(outcome, Outcome::NotFound { .. }));
    well &= pair.nodes.iter().all(|node| node.store().len() == 1);
    pair.run(Duration::from_secs(3 * 3_600));
    well &= pair.nodes.iter().all(|node| node.store().is_empty() && node.routing().peers().count() == 1);
    Some(well)
}

#[test]
fn two_nodes_live_without_allocating() {
    let node = |n: u8| {
        let config = Config { plain: true, bind_ids: false, ..Config::default() };
        Box::new(Mote::new(Instant::ZERO, config, Id::from_bytes([n; 20]), [n; 32]).unwrap())
    };
    let mut pair = Pair { nodes: [node(1), node(200)], now: Instant::from_secs(1) };
    let value = [7; 1_000];

    ALLOCATIONS.set(0);
    ARMED.set(true);
    let went = live(&mut pair, &value);
    ARMED.set(false);

    assert_eq!(went, Some(true));
    assert_eq!(ALLOCATIONS.get(), 0);
    ARMED.set(true);
    drop(Box::new(pair.now));
    ARMED.set(false);
    assert_eq!(ALLOCATIONS.get(), 1, "the allocator counts");
}
