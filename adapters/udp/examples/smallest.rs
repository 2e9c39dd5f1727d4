//! The smallest program that joins, puts and gets: two nodes over `std::net::UdpSocket` take turns in one loop, on one
//! thread.
//!
//! `cargo build --profile smallest -p kadlet-udp --example smallest`. It prints nothing with `Debug`, whose code is
//! larger than that of a routing table.

use core::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use core::time::Duration;
use std::io::{self, ErrorKind, Write};
use std::net::UdpSocket;

use kadlet::wire::MAX_DATAGRAM;
use kadlet::{Config, Dht, Event, FixedStore, Instant, Kademlia, Node, Options, Outcome, Record};

type Mote = Node<Kademlia<SocketAddrV4, 128>, FixedStore<32, 8192>>;

/// How long a node waits for a datagram before it is the other node's turn.
const TURN: Duration = Duration::from_millis(1);

fn main() -> io::Result<()> {
    let mut peers = [Peer::new()?, Peer::new()?];
    let [first, second] = &mut peers;
    let SocketAddr::V4(address) = first.socket.local_addr()? else {
        return Err(ErrorKind::Unsupported.into());
    };
    let record = Record::immutable(b"hello world\n");

    begun(second.node.bootstrap(second.now(), &[address]))?;
    run(&mut peers)?;
    let [_, second] = &mut peers;
    begun(second.node.put(second.now(), &record, &Options::default()))?;
    run(&mut peers)?;
    let [first, second] = &mut peers;
    second.node.unpublish(&record.key());
    begun(first.node.get(first.now(), record.key(), &Options::default()))?;
    run(&mut peers)
}

fn begun<T, E>(result: Result<T, E>) -> io::Result<()> {
    result.map(|_| ()).map_err(|_| ErrorKind::InvalidInput.into())
}

/// Runs the nodes until an operation has ended.
fn run(peers: &mut [Peer]) -> io::Result<()> {
    loop {
        for peer in &mut *peers {
            if peer.turn()? {
                return Ok(());
            }
        }
    }
}

struct Peer {
    node: Mote,
    socket: UdpSocket,
    start: std::time::Instant,
}

impl Peer {
    fn new() -> io::Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.set_read_timeout(Some(TURN))?;
        let node = Mote::new(Instant::ZERO, Config::default(), kadlet_udp::random_id()?, kadlet_udp::seed()?)
            .map_err(io::Error::other)?;
        Ok(Self { node, socket, start: std::time::Instant::now() })
    }

    fn now(&self) -> Instant {
        Instant::ZERO + self.start.elapsed()
    }

    /// Sends what is due and receives one datagram. Returns whether an operation has ended.
    fn turn(&mut self) -> io::Result<bool> {
        let mut buf = [0; MAX_DATAGRAM];
        while let Some(event) = self.node.poll_event() {
            if let Event::Finished(done) = event {
                match done.outcome {
                    Outcome::Joined { .. } | Outcome::Stored { .. } => {}
                    Outcome::Value { record, .. } => io::stdout().write_all(record.value)?,
                    _ => return Err(ErrorKind::NotFound.into()),
                }
                return Ok(true);
            }
        }
        while let Some(out) = self.node.poll_transmit(self.now(), &mut buf) {
            self.socket.send_to(&buf[..out.len], out.to)?;
        }
        let mut datagram = [0; MAX_DATAGRAM + 1];
        match self.socket.recv_from(&mut datagram) {
            Ok((len, SocketAddr::V4(from))) => {
                if let Some(out) = self.node.handle_datagram(self.now(), from, &datagram[..len], &mut buf) {
                    self.socket.send_to(&buf[..out.len], out.to)?;
                }
            }
            Err(error) if !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return Err(error),
            _ => self.node.handle_timeout(self.now()),
        }
        Ok(false)
    }
}
