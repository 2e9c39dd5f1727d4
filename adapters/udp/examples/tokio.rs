//! A host in a tokio program: forty tasks put and get at once, one call is cancelled, and another task reads events.

use core::net::SocketAddr;
use core::time::Duration;

use kadlet_udp::kadlet::{Dht, Options, Record};
use kadlet_udp::{AsyncHandle, Events, Host, HostNode};
use tokio::net::UdpSocket;
use tokio::time::timeout;

type Result<T> = core::result::Result<T, Box<dyn core::error::Error + Send + Sync>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let first = Host::builder().listen("127.0.0.1:0").start()?;
    let second = Host::builder().listen("127.0.0.1:0").bootstrap(first.local_addr()).queue(8).start()?;
    second.joined(Duration::from_secs(10)).await?;

    // There is room for eight calls that wait: those of a patient handle wait for room.
    let dht = second.async_handle().patient();
    let events = tokio::spawn(print(dht.events(16).await?));
    let tasks: Vec<_> = (0..40).map(|number| tokio::spawn(exchange(dht.clone(), number))).collect();
    for task in tasks {
        task.await??;
    }
    println!("forty values put and got");

    // To drop a call is to cancel it. Here tokio drops a ping of a socket that doesn't respond.
    let silent = UdpSocket::bind("127.0.0.1:0").await?;
    let ping = dht.ping(silent.local_addr()?, Duration::from_secs(60));
    match timeout(Duration::from_millis(50), ping).await {
        Err(_) => println!("a ping was cancelled"),
        Ok(pong) => return Err(format!("a response of nobody: {pong:?}").into()),
    }
    let id = dht.with(|node, _| node.id()).await?;
    drop(second);
    println!("node {id} has stopped: {}", dht.ended().await);
    Ok(events.await?)
}

async fn exchange(dht: AsyncHandle<HostNode>, number: u8) -> Result<()> {
    let value = [number; 100];
    let record = Record::immutable(&value);
    dht.put(&record, &Options::default()).await?;
    let got = dht.get(record.key(), &Options::default()).await?;
    if got.record.value != value { Err("another value".into()) } else { Ok(()) }
}

/// Prints events until the node ends. On loopback there are none: no node is told its external address there.
async fn print(mut events: Events<SocketAddr>) {
    while let Some(event) = events.next().await {
        println!("{event}");
    }
}
