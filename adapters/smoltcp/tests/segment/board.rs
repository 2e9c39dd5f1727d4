//! Boards on one Ethernet segment in simulated time: each has its own smoltcp interface, with real ARP and NDP, and
//! runs the superloop of the crate's page. The switch between them loses frames from a seed.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use std::collections::VecDeque;

use kadlet::{Config, FixedStore, Id, Kademlia, Node};
use kadlet_smoltcp::{Driver, time};
use smoltcp::iface::{Config as InterfaceConfig, Interface, SocketHandle, SocketSet, SocketStorage};
use smoltcp::phy::{self, ChecksumCapabilities, Device, DeviceCapabilities, Medium};
use smoltcp::socket::udp;
use smoltcp::time::Instant;
use smoltcp::wire::{
    EthernetAddress, EthernetFrame, EthernetProtocol, EthernetRepr, HardwareAddress, IpCidr, IpProtocol, Ipv4Packet,
    Ipv4Repr, UdpPacket, UdpRepr,
};

pub(crate) const PORT: u16 = 4000;
/// The time from a frame's sending to its arrival, in microseconds.
const TRIP: i64 = 100;

pub(crate) type Mote = Node<Kademlia<SocketAddr, 128>, FixedStore<32, 8192>, 4>;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    V4,
    V6,
}

pub(crate) struct Board {
    pub(crate) node: Mote,
    pub(crate) driver: Driver,
    pub(crate) sockets: SocketSet<'static>,
    handles: [SocketHandle; 2],
    pub(crate) iface: Interface,
    pub(crate) plugged: bool,
    /// Turns of the superloop.
    pub(crate) turns: u64,
    port: Port,
    wake: Option<Instant>,
}

pub(crate) struct Segment {
    pub(crate) boards: Vec<Board>,
    pub(crate) now: Instant,
    /// How many of 1,000 frames are lost.
    pub(crate) loss: u64,
    family: Family,
    random: u64,
    /// Frames in flight: their time of arrival and the index of the board that they arrive at.
    wire: VecDeque<(Instant, usize, Vec<u8>)>,
}

impl Segment {
    pub(crate) fn new(family: Family, count: u8, seed: u64) -> Self {
        let boards = (0..count).map(|number| Board::new(family, number)).collect();
        Self { boards, now: Instant::ZERO, loss: 0, family, random: seed, wire: VecDeque::new() }
    }

    pub(crate) fn address(&self, board: usize) -> SocketAddr {
        SocketAddr::new(ip(self.family, u8::try_from(board).unwrap()), PORT)
    }

    pub(crate) fn node(&mut self, board: usize) -> (kadlet::Instant, &mut Mote) {
        // The caller gives the node a command between two turns: the board's loop must run at once.
        let board = &mut self.boards[board];
        board.wake = Some(Instant::ZERO);
        (time(self.now), &mut board.node)
    }

    /// Runs until `done` returns true, or until `limit` has passed. Returns whether `done` did.
    pub(crate) fn run(&mut self, limit: Duration, mut done: impl FnMut(&mut Self) -> bool) -> bool {
        let end = self.now + limit.into();
        while self.now < end {
            if done(self) {
                return true;
            }
            self.step(end);
        }
        false
    }

    /// Moves on to the next time at which something happens, and lets every board take a turn.
    fn step(&mut self, end: Instant) {
        let wakes = self.boards.iter().filter(|board| board.plugged).filter_map(|board| board.wake);
        let next = wakes.chain(self.wire.front().map(|(at, ..)| *at)).min().unwrap_or(end);
        // A turn takes time, so that a loop that never sleeps reaches the end.
        self.now = next.max(self.now + Duration::from_micros(10).into()).min(end);
        while self.wire.front().is_some_and(|(at, ..)| *at <= self.now) {
            let (_, to, frame) = self.wire.pop_front().unwrap();
            self.boards[to].port.received.push_back(frame);
        }
        for from in 0..self.boards.len() {
            self.boards[from].turn(self.now);
            while let Some(frame) = self.boards[from].port.sent.pop_front() {
                self.forward(from, &frame);
            }
        }
    }

    /// Sends a datagram to a board, in a frame whose sender doesn't exist: the host of this number.
    pub(crate) fn forge(&mut self, number: u8, to: usize, datagram: &[u8]) {
        let addresses = [ip(self.family, number), ip(self.family, u8::try_from(to).unwrap())];
        let [IpAddr::V4(from_ip), IpAddr::V4(to_ip)] = addresses else { panic!("IPv4 only") };
        let udp = UdpRepr { src_port: PORT, dst_port: PORT };
        let ip = Ipv4Repr {
            src_addr: from_ip,
            dst_addr: to_ip,
            next_header: IpProtocol::Udp,
            payload_len: udp.header_len() + datagram.len(),
            hop_limit: 64,
        };
        let ethernet = EthernetRepr {
            src_addr: mac(number),
            dst_addr: mac(u8::try_from(to).unwrap()),
            ethertype: EthernetProtocol::Ipv4,
        };
        let mut bytes = vec![0; ethernet.buffer_len() + ip.buffer_len() + ip.payload_len];
        let mut frame = EthernetFrame::new_unchecked(&mut bytes);
        ethernet.emit(&mut frame);
        let mut packet = Ipv4Packet::new_unchecked(frame.payload_mut());
        ip.emit(&mut packet, &ChecksumCapabilities::default());
        let mut segment = UdpPacket::new_unchecked(packet.payload_mut());
        let fill = |to: &mut [u8]| to.copy_from_slice(datagram);
        udp.emit(&mut segment, &from_ip.into(), &to_ip.into(), datagram.len(), fill, &ChecksumCapabilities::default());
        self.wire.push_back((self.now, to, bytes));
    }

    fn forward(&mut self, from: usize, frame: &[u8]) {
        let is_multicast = frame[0] & 1 == 1;
        for to in (0..self.boards.len()).filter(|to| *to != from) {
            let arrives = self.boards[from].plugged
                && self.boards[to].plugged
                && (is_multicast || frame[..6] == mac(u8::try_from(to).unwrap()).0);
            if arrives && self.random() % 1000 >= self.loss {
                self.wire.push_back((self.now + Duration::from_micros(TRIP.unsigned_abs()).into(), to, frame.to_vec()));
            }
        }
    }

    /// SplitMix64.
    fn random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

impl Board {
    fn new(family: Family, number: u8) -> Self {
        let mut port = Port::default();
        let config = InterfaceConfig::new(HardwareAddress::Ethernet(mac(number)));
        let mut iface = Interface::new(config, &mut port, Instant::ZERO);
        let prefix = if family == Family::V4 { 24 } else { 64 };
        iface.update_ip_addrs(|addresses| addresses.push(IpCidr::new(ip(family, number).into(), prefix)).unwrap());
        let mut sockets = SocketSet::new(Vec::from([SocketStorage::EMPTY; 2]).leak());
        let handles = [sockets.add(socket(8, 2560, 2560)), sockets.add(socket(2, 64, 1232))];
        let driver = Driver::new(handles[0]).with_requests(handles[1]);
        // The crate's page recommends this timeout for a segment of more than eight nodes.
        let config = Config { plain: true, timeout_min: Duration::from_secs(1), ..Config::default() };
        let id = Id::from_bytes([number.wrapping_mul(37).wrapping_add(11); 20]);
        let node = Mote::new(kadlet::Instant::ZERO, config, id, [number + 1; 32]).unwrap();
        Self { node, driver, sockets, handles, iface, plugged: true, turns: 0, port, wake: Some(Instant::ZERO) }
    }

    /// Moves the sockets to a driver that knows nothing of them.
    pub(crate) fn renew_driver(&mut self) {
        self.driver = Driver::new(self.handles[0]).with_requests(self.handles[1]);
    }

    /// Takes a turn of the superloop if a frame or the time wakes the board.
    fn turn(&mut self, now: Instant) {
        if !self.plugged || (self.port.received.is_empty() && self.wake.is_none_or(|wake| wake > now)) {
            return;
        }
        self.turns += 1;
        self.iface.poll(now, &mut self.port, &mut self.sockets);
        let due = self.driver.poll(now, &mut self.node, &mut self.sockets);
        self.wake = due.into_iter().chain(self.iface.poll_at(now, &self.sockets)).min();
    }
}

fn socket(datagrams: usize, receive: usize, transmit: usize) -> udp::Socket<'static> {
    let buffer =
        |bytes| udp::PacketBuffer::new(vec![udp::PacketMetadata::EMPTY; datagrams].leak(), vec![0; bytes].leak());
    let mut socket = udp::Socket::new(buffer(receive), buffer(transmit));
    socket.bind(PORT).unwrap();
    socket
}

fn mac(number: u8) -> EthernetAddress {
    EthernetAddress([2, 0, 0, 0, 1, number])
}

fn ip(family: Family, number: u8) -> IpAddr {
    match family {
        Family::V4 => IpAddr::from([10, 77, 0, number + 1]),
        Family::V6 => IpAddr::from([0xfd00, 0x77, 0, 0, 0, 0, 0, u16::from(number) + 1]),
    }
}

#[derive(Default)]
struct Port {
    received: VecDeque<Vec<u8>>,
    sent: VecDeque<Vec<u8>>,
}

struct Received(Vec<u8>);
struct Sent<'a>(&'a mut VecDeque<Vec<u8>>);

impl Device for Port {
    type RxToken<'a> = Received;
    type TxToken<'a> = Sent<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Received, Sent<'_>)> {
        Some((Received(self.received.pop_front()?), Sent(&mut self.sent)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Sent<'_>> {
        Some(Sent(&mut self.sent))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = 1514;
        capabilities
    }
}

impl phy::RxToken for Received {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

impl phy::TxToken for Sent<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut frame = vec![0; len];
        let result = f(&mut frame);
        self.0.push_back(frame);
        result
    }
}
