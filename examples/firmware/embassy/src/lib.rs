//! The embassy image: a node of the DHT as tasks over embassy-net. It joins, then it serves, publishes a sensor's value
//! under the board's name, and gets the values that its arguments name. It never ends, and sleeps whenever no task has
//! anything to do.
//!
//! It uses embassy's raw executor, and sleeps with the package `board`'s WFI. embassy's thread-mode executor sleeps
//! with WFE, which QEMU ignores.

#![no_std]

mod ethernet;
mod sensor;
mod time;

use core::cell::RefCell;
use core::net::SocketAddrV4;
use core::ptr;
use core::sync::atomic::{AtomicBool, Ordering};

use board::identity::{self, Arguments, Number};
use board::nic::{MAX_FRAME, Nic};
use board::{Board, host};
use embassy_executor::raw::Executor;
use embassy_net::{Config, Ipv4Cidr, Runner, Stack, StackResources, StaticConfigV4};
use kadlet::{FixedStore, Id, Kademlia, Node};
use kadlet_embassy::Resources;
use static_cell::{ConstStaticCell, StaticCell};

use ethernet::{Ethernet, RECEIVED};

/// A node with the default bounds, except for the last: it forwards two relay requests at once, its own included.
type Mote = Node<Kademlia<SocketAddrV4, 128>, FixedStore<32, 8192>, 4, 24, 1, 16, 16, 4, 2>;

static NODE: ConstStaticCell<Resources<Mote>> = ConstStaticCell::new(Resources::new(Mote::empty()));
static LINE: ConstStaticCell<[u8; host::MAX_LINE]> = ConstStaticCell::new([0; host::MAX_LINE]);
static FRAMES: ConstStaticCell<[[u8; MAX_FRAME]; 2]> = ConstStaticCell::new([[0; MAX_FRAME]; 2]);
static ARGUMENTS: StaticCell<Arguments<'static>> = StaticCell::new();
static STACK: StaticCell<StackResources<2>> = StaticCell::new();
static NIC: StaticCell<RefCell<&'static mut dyn Nic>> = StaticCell::new();
static EXECUTOR: StaticCell<Executor> = StaticCell::new();

/// Whether a task was woken since the last poll of the executor.
static PENDING: AtomicBool = AtomicBool::new(true);

// SAFETY: embassy's executor calls the function of this name, with any context, to report that a task was woken.
#[unsafe(export_name = "__pender")]
fn pend(_: *mut ()) {
    PENDING.store(true, Ordering::Release);
}

/// Runs a board.
pub fn run(board: Board<&'static mut dyn Nic>) -> ! {
    let Board { name, nic, mut clock, mut sleep } = board;
    let arguments: &Arguments<'_> = ARGUMENTS.init(Arguments::parse(host::command_line(LINE.take())));
    let mac = nic.mac();
    let number = Number::of(mac);
    let seed = identity::seed(mac, arguments.boot, clock.ticks(), &[]);
    time::begin(clock);

    let nic: &RefCell<_> = NIC.init(RefCell::new(nic));
    let config = Config::ipv4_static(StaticConfigV4 {
        address: Ipv4Cidr::new(number.address(), identity::PREFIX),
        gateway: Some(number.gateway()),
        dns_servers: heapless::Vec::new(),
    });
    let random = u64::from_le_bytes([seed[0], seed[1], seed[2], seed[3], seed[4], seed[5], seed[6], seed[7]]);
    let (stack, network) =
        embassy_net::new(Ethernet::new(nic, mac, FRAMES.take()), config, STACK.init(StackResources::new()), random);
    let (dht, node) = kadlet_embassy::new(NODE.take(), stack, identity::PORT, |node, now| {
        node.start(
            now,
            kadlet::Config { plain: true, ..kadlet::Config::DEFAULT },
            Id::from_bytes(identity::id(mac)),
            seed,
        )
    })
    .unwrap_or_else(|error| panic!("{error}"));
    host::line!("up board-{} embassy on {} at {}:{} id {}", number.0, name, number.address(), identity::PORT, dht.id());

    let executor = EXECUTOR.init(Executor::new(ptr::null_mut()));
    let spawner = executor.spawner();
    spawner.spawn(run_network(network).expect("one task each"));
    spawner.spawn(run_node(node).expect("one task each"));
    spawner.spawn(sensor::run(number, arguments, stack, dht).expect("one task each"));
    spawner.spawn(sensor::stats(dht).expect("one task each"));
    loop {
        PENDING.store(false, Ordering::Relaxed);
        // SAFETY: only this loop polls the executor, so no call of `poll` is inside of another.
        unsafe { executor.poll() };
        let due = time::wake_due();
        if PENDING.load(Ordering::Acquire) {
            continue;
        }
        let mut nic = nic.borrow_mut();
        time::with_clock(|clock| sleep.until(due, &mut **nic, clock));
        time::note_wakes(sleep.wakes());
        if nic.arm() {
            RECEIVED.wake();
        }
    }
}

#[embassy_executor::task]
async fn run_network(mut network: Runner<'static, Ethernet>) -> ! {
    network.run().await
}

#[embassy_executor::task]
async fn run_node(mut node: kadlet_embassy::Runner<'static, Mote>) -> ! {
    node.run().await
}

/// The node, as the tasks call it.
type Dht = kadlet_embassy::Handle<'static, Mote>;
type Network = Stack<'static>;
