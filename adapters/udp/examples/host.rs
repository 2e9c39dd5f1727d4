//! A ready node in ten lines: two hosts on loopback, of which one puts a record and the other gets it.

use core::time::Duration;

use kadlet_udp::Host;
use kadlet_udp::kadlet::{Options, Record};

fn main() -> Result<(), Box<dyn core::error::Error>> {
    let first = Host::builder().listen("127.0.0.1:0").start()?;
    let host = Host::builder().listen("127.0.0.1:0").bootstrap(first.local_addr()).store(10_000, 4 << 20).start()?;
    host.join(Duration::from_secs(10))?;

    let record = Record::immutable(b"hello world");
    let stored = host.handle().put(&record, &Options::default())?;
    println!("stored at {} of {} nodes for {:?}", stored.holders.len(), stored.wanted, stored.lifetime);
    let got = first.handle().get(record.key(), &Options::default())?;
    println!("{}", String::from_utf8_lossy(&got.record.value));
    assert_eq!(got.record.as_record(), record);
    Ok(())
}
