//! Three nodes in one completion-based loop (io_uring on Linux, IOCP on Windows): the first serves, the second puts a
//! record, the third gets it.

use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::time::Instant;

use compio::BufResult;
use compio::net::UdpSocket;
use compio::runtime::{Runtime, spawn};
use compio::time::timeout;
use kadlet::wire::MAX_DATAGRAM;
use kadlet::{Config, Dht, Event, FixedStore, Kademlia, Node, Options, Outcome, QueryId, Record};
use kadlet_udp::{Detached, random_id, seed};

type Mote = Node<Kademlia<SocketAddr, 128>, FixedStore<32, 8192>>;
type Result<T> = core::result::Result<T, Box<dyn core::error::Error>>;

fn main() -> Result<()> {
    Runtime::new()?.block_on(async {
        let mut first = Peer::new().await?;
        let bootstrap = first.node.local_addr();
        spawn(async move { first.run(None).await.map_err(|error| error.to_string()) }).detach();

        let record = Record::immutable(b"hello world");
        let mut second = Peer::join(bootstrap).await?;
        let now = second.node.now();
        let put = second.node.node_mut().put(now, &record, &Options::default())?;
        second.run(Some(put)).await?;

        let mut third = Peer::join(bootstrap).await?;
        let now = third.node.now();
        let get = third.node.node_mut().get(now, record.key(), &Options::default())?;
        third.run(Some(get)).await
    })
}

struct Peer {
    node: Detached<Mote>,
    socket: UdpSocket,
}

impl Peer {
    async fn new() -> Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let node = Mote::new(kadlet::Instant::ZERO, Config::default(), random_id()?, seed()?)?;
        Ok(Self { node: Detached::new(socket.local_addr()?, node), socket })
    }

    async fn join(bootstrap: SocketAddr) -> Result<Self> {
        let mut peer = Self::new().await?;
        let now = peer.node.now();
        let join = peer.node.node_mut().bootstrap(now, &[bootstrap])?.query;
        peer.run(Some(join)).await?;
        Ok(peer)
    }

    /// Runs the node until the operation has ended.
    async fn run(&mut self, until: Option<QueryId>) -> Result<()> {
        let Self { node, socket } = self;
        let mut buf = [0; MAX_DATAGRAM];
        let receive = || Box::pin(socket.recv_from(Vec::with_capacity(MAX_DATAGRAM + 1)));
        let mut receiving = receive();
        loop {
            while let Some((len, to)) = node.datagram_out(&mut buf) {
                // What isn't sent is lost, and the node asks again.
                let _ = socket.send_to(buf[..len].to_vec(), to).await;
            }
            while let Some(event) = node.node_mut().poll_event() {
                let Event::Finished(done) = event else {
                    continue;
                };
                match done.outcome {
                    Outcome::Joined { .. } => {
                        println!("joined: {} of {} responded", done.stats.responded, done.stats.asked)
                    }
                    Outcome::Stored { wanted, .. } => println!("stored at {} of {wanted} nodes", done.stats.stored),
                    Outcome::Value { record, .. } => println!("{}", String::from_utf8_lossy(record.value)),
                    other => return Err(format!("{other}").into()),
                }
                if Some(done.query) == until {
                    return Ok(());
                }
            }
            let wait = node.deadline().map(|at| at.saturating_duration_since(Instant::now()));
            match timeout(wait.unwrap_or(Duration::from_secs(3_600)), receiving.as_mut()).await {
                Ok(BufResult(received, datagram)) => {
                    receiving = receive();
                    // An error is about a datagram that was sent earlier.
                    if let Ok((_, from)) = received
                        && let Some((len, to)) = node.datagram_in(&datagram, from, &mut buf)
                    {
                        let _ = socket.send_to(buf[..len].to_vec(), to).await;
                    }
                }
                Err(_) => node.on_timeout(),
            }
        }
    }
}
