//! Measures a node on a Cortex-M3: its RAM, the stack that its start takes, and the instructions that a response takes.
//!
//! For QEMU's mps2-an385 with `-icount shift=6`, where an instruction takes 64 ns and SysTick counts at 25 MHz.

#![no_std]
#![no_main]

use core::hint::black_box;
use core::net::{Ipv4Addr, SocketAddrV4};

use board::host::{self, line};
use board::stack;
use cortex_m::peripheral::SYST;
use cortex_m::peripheral::syst::SystClkSource;
use cortex_m_rt::entry;
use figures::{Dual, Mote, Small};
use kadlet::message::{Features, Observed, Request, Response};
use kadlet::wire::{self, Body, Header, Kadlet, MAX_DATAGRAM, Message, SEAL, Token, Transaction};
use kadlet::{Config, Contact, Dht, Id, Instant, Routing};

const OWN: Id = Id::from_bytes([0x5A; 20]);
/// Private, as the contacts are: they are not named to a global requester.
const REQUESTER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 1, 0, 1), 4000);
const NOW: Instant = Instant::from_secs(1);
/// The length of the request in bytes. The response, with eight IPv4 contacts, has 268: at most three times as many are
/// allowed.
const REQUEST: usize = 90;

#[entry]
fn main() -> ! {
    static mut MOTE: Mote = Mote::empty();
    static mut DUAL: Dual = Dual::empty();

    start(MOTE, DUAL);
    let starting = stack::used();
    line!("ram.node {}", size_of::<Mote>());
    line!("ram.node_dual_stack {}", size_of::<Dual>());
    line!("ram.smallest_node {}", size_of::<Small>());
    line!("stack.start {}", starting);

    measure(MOTE)
}

#[inline(never)]
fn measure(node: &mut Mote) -> ! {
    let Some(mut timer) = cortex_m::Peripherals::take().map(|core| Timer::new(core.SYST)) else { host::exit(false) };
    fill(node);
    let mut buf = [0; MAX_DATAGRAM];
    // The first request also runs the code that only runs once. Its response has a token.
    let token = response(node, &request(None), &mut buf).and_then(|len| token(&buf[..len]));
    let Some(token) = token else {
        line!("the response has no token");
        host::exit(false)
    };
    for (name, token) in [("find_node", None), ("find_node_with_token", Some(token))] {
        let request = request(token);
        let began = timer.ticks();
        let len = response(node, black_box(&request), &mut buf);
        let ticks = timer.ticks().wrapping_sub(began);
        if len != Some(268) {
            line!("the response to {} has {:?} bytes", name, len);
            host::exit(false);
        }
        line!("instructions.{} {}", name, ticks * 40 / 64);
    }
    host::exit(true)
}

#[inline(never)]
fn start(mote: &mut Mote, dual: &mut Dual) {
    // `black_box` keeps the compiler from removing the calls.
    let _ = black_box(mote).start(Instant::ZERO, Config::DEFAULT, OWN, [42; 32]);
    let _ = black_box(dual).start(Instant::ZERO, Config::DEFAULT, OWN, [42; 32]);
}

/// Counts ticks of SysTick, for its longest period at most: 0.7 s.
struct Timer(SYST);

impl Timer {
    fn new(mut timer: SYST) -> Self {
        timer.set_clock_source(SystClkSource::Core);
        timer.set_reload(0x00FF_FFFF);
        timer.clear_current();
        timer.enable_counter();
        Self(timer)
    }

    fn ticks(&mut self) -> u32 {
        0x00FF_FFFF - SYST::get_current()
    }
}

#[inline(never)]
fn response(node: &mut Mote, request: &[u8], buf: &mut [u8]) -> Option<usize> {
    node.handle_datagram(NOW, REQUESTER, request, buf).map(|out| out.len)
}

/// Gives a node 128 contacts: it pings them, and this function makes their responses.
fn fill(node: &mut Mote) {
    let (mut request, mut reply, mut random) = ([0; MAX_DATAGRAM], [0; MAX_DATAGRAM], 0x9E37_79B9_7F4A_7C15);
    for number in 0..256 {
        if node.routing().peers().count() == 128 {
            return;
        }
        let contact = contact(number, &mut random);
        let Ok(query) = node.ping(NOW, contact.address) else { continue };
        let Some(out) = node.poll_transmit(NOW, &mut request) else { continue };
        let Ok(Message { header, .. }) = wire::decode::<SocketAddrV4>(&request[..out.len]) else { continue };
        let body =
            Body::Response { token: Token::default(), response: Response::Pong { observed: Observed::new(REQUESTER) } };
        let pong = Message { header: Header { sender: contact.id, ..header }, body };
        if let Ok(len) = wire::encode(&pong, &mut reply) {
            let _ = node.handle_datagram(NOW, contact.address, &reply[..len], &mut request);
        }
        node.cancel(query);
    }
    line!("the table has {} contacts", node.routing().peers().count());
    host::exit(false)
}

/// The contact of this number. Eight contacts share 0 bits of prefix with the own id, the next eight 1 bit, and so on,
/// as in the table of a node in a large network.
fn contact(number: usize, random: &mut u64) -> Contact<SocketAddrV4> {
    let mut id: [u8; 20] = core::array::from_fn(|_| next(random));
    let depth = number / 8;
    for bit in 0..=depth {
        let (byte, mask) = (bit / 8, 0x80 >> (bit % 8));
        let own = OWN.as_bytes()[byte] & mask;
        id[byte] = id[byte] & !mask | if bit < depth { own } else { own ^ mask };
    }
    Contact::new(Id::from_bytes(id), SocketAddrV4::new(Ipv4Addr::new(10, 0, (number >> 8) as u8, number as u8), 4000))
}

fn request(token: Option<Token>) -> [u8; REQUEST] {
    let mut random = 42;
    let target = Id::from_bytes(core::array::from_fn(|_| next(&mut random)));
    let header = Header {
        geometry: 1,
        network: 0,
        transaction: Transaction([3; 8]),
        sender: contact(0, &mut random).id,
        features: Features::SERVES,
    };
    let message = |padding| {
        let body = Body::Request {
            largest: (MAX_DATAGRAM - SEAL) as u16,
            token,
            request: Request::FindNode { target },
            padding,
        };
        Message::<SocketAddrV4, Kadlet> { header, body }
    };
    let mut datagram = [0; REQUEST];
    let padding = REQUEST - wire::encoded_len(&message(0));
    let _ = wire::encode(&message(padding as u16), &mut datagram);
    datagram
}

fn token(response: &[u8]) -> Option<Token> {
    match wire::decode::<SocketAddrV4>(response).ok()?.body {
        Body::Response { token, .. } => Some(token),
        Body::Request { .. } => None,
    }
}

/// Marsaglia's xorshift.
fn next(random: &mut u64) -> u8 {
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    (*random >> 32) as u8
}
