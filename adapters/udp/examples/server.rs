//! Three servers on loopback: the second and the third join through the first, the second puts a record, the third gets
//! it.

use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;

use kadlet::{Config, FixedStore, Instant, Kademlia, Node, Options, Record};
use kadlet_udp::{Server, random_id, seed};

type MyNode = Node<Kademlia<SocketAddr, 192>, FixedStore<256, 65_536>>;

fn main() -> Result<(), Box<dyn core::error::Error>> {
    let (first, second, third) = (server()?, server()?, server()?);
    for server in [&second, &third] {
        let joined = server.handle().bootstrap(&[first.local_addr()], Duration::from_secs(10))?;
        println!("{} joined: {} neighbours", server.local_addr(), joined.neighbours.len());
    }

    let record = Record::immutable(b"hello world");
    let stored = second.handle().put(&record, &Options::default())?;
    println!("stored at {} of {} nodes", stored.holders.len(), stored.wanted);

    let got = third.handle().get(record.key(), &Options::default())?;
    println!("{}", String::from_utf8_lossy(&got.record.value));
    assert_eq!(got.record.as_record(), record);
    Ok(())
}

fn server() -> Result<Server<MyNode>, Box<dyn core::error::Error>> {
    let node = MyNode::new(Instant::ZERO, Config::default(), random_id()?, seed()?)?;
    Ok(Server::bind((Ipv4Addr::LOCALHOST, 0).into(), node)?)
}
