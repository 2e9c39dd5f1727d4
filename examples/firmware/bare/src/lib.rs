//! The bare image: a node of the DHT in a superloop over smoltcp. It joins, then it serves, publishes a sensor's value
//! under the board's name, and gets the values that its arguments name. It never ends, and sleeps whenever there is
//! nothing to do.

#![no_std]

mod ethernet;
mod sensor;

use core::net::SocketAddrV4;

use board::identity::{self, Arguments, Number};
use board::nic::{MAX_FRAME, Nic};
use board::{Board, host, stack};
use kadlet::record::Verifier;
use kadlet::{Config, Dht, FixedStore, Id, Kademlia, Node};
use kadlet_smoltcp::Driver;
use smoltcp::iface::{Interface, SocketHandle, SocketSet, SocketStorage};
use smoltcp::socket::udp;
use smoltcp::time::Instant;
use smoltcp::wire::{EthernetAddress, IpCidr, Ipv4Cidr};
use static_cell::{ConstStaticCell, StaticCell};

use ethernet::Ethernet;
use sensor::Sensor;

/// A node with the default bounds, except for the last: it forwards two relay requests at once, its own included.
type Mote = Node<Kademlia<SocketAddrV4, 128>, FixedStore<32, 8192>, 4, 24, 1, 16, 16, 4, 2>;

/// The most frames received in one turn of the loop, so that a flood of frames doesn't keep the node from its timers.
const FRAMES: usize = 8;
/// The time from one report of the counters to the next, in microseconds.
const REPORT: u64 = 10_000_000;

static NODE: ConstStaticCell<Mote> = ConstStaticCell::new(Mote::empty());
static DRIVER: StaticCell<Driver> = StaticCell::new();
static BUFFERS: ConstStaticCell<Buffers> = ConstStaticCell::new(Buffers {
    line: [0; host::MAX_LINE],
    frames: [[0; MAX_FRAME]; 2],
    received: [0; 2_560],
    responses: [0; 2_560],
    requests: [0; 1_232],
});

/// The buffers, which would take too much of the stack.
struct Buffers {
    line: [u8; host::MAX_LINE],
    frames: [[u8; MAX_FRAME]; 2],
    received: [u8; 2_560],
    responses: [u8; 2_560],
    requests: [u8; 1_232],
}

/// Runs a board. Without `verify`, the node does not put, get or store signed records.
pub fn run<N: Nic + 'static>(board: Board<N>, verify: Option<Verifier>) -> ! {
    let Board { name, mut nic, mut clock, mut sleep } = board;
    let buffers = BUFFERS.take();
    let arguments = Arguments::parse(host::command_line(&mut buffers.line));
    let mac = nic.mac();
    let number = Number::of(mac);
    let seed = identity::seed(mac, arguments.boot, clock.ticks(), &[]);

    let node = NODE.take();
    let config = Config { plain: true, verify, ..Config::DEFAULT };
    node.start(kadlet::Instant::from_micros(clock.now()), config, Id::from_bytes(identity::id(mac)), seed)
        .unwrap_or_else(|error| panic!("{error}"));

    let mut device = Ethernet::new(nic, &mut buffers.frames);
    let mut config = smoltcp::iface::Config::new(EthernetAddress(mac).into());
    config.random_seed = u64::from_le_bytes([seed[0], seed[1], seed[2], seed[3], seed[4], seed[5], seed[6], seed[7]]);
    let mut iface = Interface::new(config, &mut device, instant(clock.now()));
    iface.update_ip_addrs(|all| {
        let _ = all.push(IpCidr::Ipv4(Ipv4Cidr::new(number.address(), identity::PREFIX)));
    });
    let _ = iface.routes_mut().add_default_ipv4_route(number.gateway());

    let mut metadata = [[udp::PacketMetadata::EMPTY; 8]; 3];
    let [received, responses, requests] = &mut metadata;
    let ring = udp::PacketBuffer::new;
    let mut responses = udp::Socket::new(
        ring(&mut received[..], &mut buffers.received[..]),
        ring(&mut responses[..], &mut buffers.responses[..]),
    );
    let mut requests =
        udp::Socket::new(ring(&mut [][..], &mut [][..]), ring(&mut requests[..], &mut buffers.requests[..]));
    // Neither can fail: the sockets are new, and the port isn't 0.
    let _ = responses.bind(identity::PORT);
    let _ = requests.bind(identity::PORT);
    let mut storage = [SocketStorage::EMPTY; 2];
    let mut sockets = SocketSet::new(&mut storage[..]);
    let driver = make_driver(sockets.add(responses), sockets.add(requests));

    host::line!("up board-{} bare on {} at {}:{} id {}", number.0, name, number.address(), identity::PORT, node.id());
    let mut sensor = Sensor::new(number, &arguments);
    let mut report = REPORT;
    loop {
        let now = clock.now();
        for _ in 0..FRAMES {
            if iface.poll_ingress_single(instant(now), &mut device, &mut sockets)
                == smoltcp::iface::PollIngressSingleResult::None
            {
                break;
            }
        }
        sensor.read_events(node);
        let next_command = sensor.begin_next(now, node);
        let due = driver.poll(instant(now), node, &mut sockets);
        iface.poll_egress(instant(now), &mut device, &mut sockets);

        if now >= report {
            report = now + REPORT;
            let (stats, (wakes, for_the_clock)) = (node.stats(), sleep.wakes());
            host::line!(
                "counts seconds {} wakes {} clock {} received {} {} sent {} {} stored {} stack {} {}",
                now / 1_000_000,
                wakes,
                for_the_clock,
                stats.received,
                stats.received_bytes,
                stats.sent,
                stats.sent_bytes,
                stats.records_stored,
                stack::used(),
                stack::room()
            );
        }
        let due = due
            .into_iter()
            .chain(iface.poll_at(instant(now), &sockets))
            .map(|due| due.total_micros().max(0) as u64)
            .min();
        let due = due.into_iter().chain(next_command).chain([report]).min();
        // If a frame waits, this returns at once.
        sleep.until(due, &mut device.nic, &mut clock);
    }
}

/// Makes the driver in its static. Inlined, this would reserve another 1.4 KiB in the stack frame of [`run`], for ever.
#[inline(never)]
fn make_driver(responses: SocketHandle, requests: SocketHandle) -> &'static mut Driver {
    DRIVER.init(Driver::new(responses).with_requests(requests))
}

fn instant(micros: u64) -> Instant {
    Instant::from_micros(i64::try_from(micros).unwrap_or(i64::MAX))
}
