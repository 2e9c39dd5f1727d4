//! Sixteen nodes in one mio loop, on one thread: all join through the first, one puts a record, another gets it.

use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::io;
use std::time::Instant;

use kadlet::{Config, Dht, Event, FixedStore, Kademlia, Node, Options, Outcome, QueryId, Record};
use kadlet_udp::{Buffers, Driver};
use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token};

const NODES: usize = 16;

type Mote = Node<Kademlia<SocketAddr, 128>, FixedStore<32, 8192>>;

fn main() -> Result<(), Box<dyn core::error::Error>> {
    let mut nodes = Loop::new()?;
    let seed = nodes.drivers[0].local_addr();
    let mut joins = Vec::new();
    for index in 1..NODES {
        let driver = &mut nodes.drivers[index];
        let now = driver.now();
        joins.push((index, driver.node_mut().bootstrap(now, &[seed])?.query));
    }
    nodes.run(joins)?;

    let record = Record::immutable(b"hello world");
    let now = nodes.drivers[1].now();
    let put = nodes.drivers[1].node_mut().put(now, &record, &Options::default())?;
    nodes.run(vec![(1, put)])?;

    let last = NODES - 1;
    let now = nodes.drivers[last].now();
    let get = nodes.drivers[last].node_mut().get(now, record.key(), &Options::default())?;
    nodes.run(vec![(last, get)])
}

struct Loop {
    poll: Poll,
    drivers: Vec<Driver<Mote>>,
    /// The drivers' sockets, for mio to wait on.
    sockets: Vec<UdpSocket>,
    /// Shared by all drivers.
    buffers: Buffers,
    /// Nodes whose socket may still hold datagrams: mio reports a readable socket only once.
    readable: Vec<usize>,
}

impl Loop {
    fn new() -> Result<Self, Box<dyn core::error::Error>> {
        let (poll, mut drivers, mut sockets) = (Poll::new()?, Vec::new(), Vec::new());
        for index in 0..NODES {
            let node =
                Mote::new(kadlet::Instant::ZERO, Config::default(), kadlet_udp::random_id()?, kadlet_udp::seed()?)?;
            let driver = Driver::bind((Ipv4Addr::LOCALHOST, 0).into(), node)?;
            let mut socket = UdpSocket::from_std(driver.socket().try_clone()?);
            poll.registry().register(&mut socket, Token(index), Interest::READABLE)?;
            drivers.push(driver);
            sockets.push(socket);
        }
        Ok(Self { poll, drivers, sockets, buffers: Buffers::new(), readable: Vec::new() })
    }

    /// Runs all nodes until these operations have ended.
    fn run(&mut self, mut until: Vec<(usize, QueryId)>) -> Result<(), Box<dyn core::error::Error>> {
        let mut events = Events::with_capacity(NODES);
        loop {
            let now = Instant::now();
            for (index, driver) in self.drivers.iter_mut().enumerate() {
                if driver.deadline().is_some_and(|at| at <= now) {
                    driver.on_timeout(&mut self.buffers);
                }
                while let Some(event) = driver.node_mut().poll_event() {
                    let Event::Finished(done) = event else {
                        continue;
                    };
                    match done.outcome {
                        Outcome::Joined { .. } => {
                            println!("{index}: joined, {} of {} responded", done.stats.responded, done.stats.asked)
                        }
                        Outcome::Stored { wanted, .. } => {
                            println!("{index}: stored at {} of {wanted} nodes", done.stats.stored)
                        }
                        Outcome::Value { record, .. } => println!("{index}: {}", String::from_utf8_lossy(record.value)),
                        other => return Err(format!("{index}: {other:?}").into()),
                    }
                    until.retain(|ended| *ended != (index, done.query));
                }
            }
            if until.is_empty() {
                return Ok(());
            }
            let wait = self
                .drivers
                .iter()
                .filter_map(Driver::deadline)
                .min()
                .map(|at| at.saturating_duration_since(Instant::now()));
            let wait = if self.readable.is_empty() { wait } else { Some(Duration::ZERO) };
            match self.poll.poll(&mut events, wait) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error.into()),
                _ => self.readable.extend(events.iter().map(|event| event.token().0)),
            }
            self.readable.retain(|index| {
                let more = self.drivers[*index].on_readable(&mut self.buffers);
                if !more {
                    // On Windows mio reports the socket again only after a call that would block; elsewhere this does
                    // nothing.
                    let _ = self.sockets[*index].try_io(|| Err::<(), _>(io::ErrorKind::WouldBlock.into()));
                }
                more
            });
        }
    }
}
