//! A node over `std::net::UdpSocket`, without an adapter: the README's loop as a complete program.
//!
//! Three nodes run on loopback: the first serves on a thread, the second puts a record, the third gets it.

use core::net::{Ipv4Addr, SocketAddr};
use std::io::{self, ErrorKind};
use std::net::UdpSocket;
use std::thread;

use kadlet::wire::MAX_DATAGRAM;
use kadlet::{Config, Dht, Event, FixedStore, Instant, Kademlia, Node, Options, Outcome, QueryId, Record};

type Mote = Node<Kademlia<SocketAddr, 128>, FixedStore<32, 8192>>;

fn main() -> Result<(), Box<dyn core::error::Error>> {
    let mut first = Peer::new()?;
    let seed = first.socket.local_addr()?;
    thread::spawn(move || first.run(None));

    let record = Record::immutable(b"hello world");
    let mut second = Peer::new()?;
    let join = second.node.bootstrap(second.now(), &[seed])?.query;
    second.run(Some(join))?;
    let put = second.node.put(second.now(), &record, &Options::default())?;
    second.run(Some(put))?;

    let mut third = Peer::new()?;
    let join = third.node.bootstrap(third.now(), &[seed])?.query;
    third.run(Some(join))?;
    let get = third.node.get(third.now(), record.key(), &Options::default())?;
    third.run(Some(get))?;
    Ok(())
}

struct Peer {
    node: Mote,
    socket: UdpSocket,
    start: std::time::Instant,
}

impl Peer {
    fn new() -> Result<Self, Box<dyn core::error::Error>> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        let node = Mote::new(Instant::ZERO, Config::default(), kadlet_udp::random_id()?, kadlet_udp::seed()?)?;
        Ok(Self { node, socket, start: std::time::Instant::now() })
    }

    fn now(&self) -> Instant {
        Instant::ZERO + self.start.elapsed()
    }

    /// Runs the node until the operation has ended.
    fn run(&mut self, until: Option<QueryId>) -> io::Result<()> {
        let (mut datagram, mut buf) = ([0; MAX_DATAGRAM + 1], [0; MAX_DATAGRAM]);
        loop {
            while let Some(out) = self.node.poll_transmit(self.now(), &mut buf) {
                if self.socket.send_to(&buf[..out.len], out.to).is_err() {
                    self.node.handle_unreachable(self.now(), out.to);
                }
            }
            while let Some(event) = self.node.poll_event() {
                let Event::Finished(done) = event else {
                    continue;
                };
                match done.outcome {
                    Outcome::Joined { .. } => {
                        println!("joined: {} asked, {} responded", done.stats.asked, done.stats.responded)
                    }
                    Outcome::Stored { wanted, .. } => println!("stored at {} of {wanted} nodes", done.stats.stored),
                    Outcome::Value { record, .. } => println!("{}", String::from_utf8_lossy(record.value)),
                    other => return Err(io::Error::other(format!("{other:?}"))),
                }
                if Some(done.query) == until {
                    return Ok(());
                }
            }
            // std refuses a timeout of zero.
            let wait =
                self.node.poll_timeout().map(|(at, _)| at.since(self.now()).max(core::time::Duration::from_micros(1)));
            self.socket.set_read_timeout(wait)?;
            match self.socket.recv_from(&mut datagram) {
                Ok((len, from)) => {
                    if let Some(out) = self.node.handle_datagram(self.now(), from, &datagram[..len], &mut buf) {
                        self.socket.send_to(&buf[..out.len], out.to)?;
                    }
                }
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    self.node.handle_timeout(self.now())
                }
                Err(error) => return Err(error),
            }
        }
    }
}
