//! Three nodes in tokio: the first serves in a task, the second puts a record, the third gets it.

use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::io;

use kadlet::{Config, Dht, Event, FixedStore, Instant, Kademlia, Node, Options, Outcome, QueryId, Record};
use kadlet_udp::{Buffers, Driver};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::time::sleep_until;

type Mote = Node<Kademlia<SocketAddr, 128>, FixedStore<32, 8192>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn core::error::Error>> {
    let mut first = Peer::new()?;
    let seed = first.driver.local_addr();
    tokio::spawn(async move { first.run(None).await });

    let record = Record::immutable(b"hello world");
    let mut second = Peer::new()?;
    let now = second.driver.now();
    let join = second.driver.node_mut().bootstrap(now, &[seed])?.query;
    second.run(Some(join)).await?;
    let now = second.driver.now();
    let put = second.driver.node_mut().put(now, &record, &Options::default())?;
    second.run(Some(put)).await?;

    let mut third = Peer::new()?;
    let now = third.driver.now();
    let join = third.driver.node_mut().bootstrap(now, &[seed])?.query;
    third.run(Some(join)).await?;
    let now = third.driver.now();
    let get = third.driver.node_mut().get(now, record.key(), &Options::default())?;
    third.run(Some(get)).await?;
    Ok(())
}

struct Peer {
    driver: Driver<Mote>,
    buffers: Buffers,
    /// The driver's socket, for tokio to wait on.
    readiness: UdpSocket,
}

impl Peer {
    fn new() -> Result<Self, Box<dyn core::error::Error>> {
        let node = Mote::new(Instant::ZERO, Config::default(), kadlet_udp::random_id()?, kadlet_udp::seed()?)?;
        let driver = Driver::bind((Ipv4Addr::LOCALHOST, 0).into(), node)?;
        let readiness = UdpSocket::from_std(driver.socket().try_clone()?)?;
        Ok(Self { driver, buffers: Buffers::new(), readiness })
    }

    /// Runs the node until the operation has ended.
    async fn run(&mut self, until: Option<QueryId>) -> io::Result<()> {
        let Self { driver, buffers, readiness } = self;
        loop {
            while let Some(event) = driver.node_mut().poll_event() {
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
            let deadline = driver.deadline().unwrap_or_else(|| std::time::Instant::now() + Duration::from_secs(3600));
            tokio::select! {
                ready = readiness.ready(Interest::READABLE | Interest::ERROR) => {
                    ready?;
                    // An error is an ICMP error about a peer. `WouldBlock` tells tokio that the socket is empty.
                    for interest in [Interest::READABLE, Interest::ERROR] {
                        let _ = readiness.try_io(interest, || match driver.on_readable(buffers) {
                            true => Ok(()),
                            false => Err(io::ErrorKind::WouldBlock.into()),
                        });
                    }
                }
                () = sleep_until(deadline.into()) => driver.on_timeout(buffers),
            }
        }
    }
}
