//! Three hosts in a smol program: two join at once, one puts a record, the other gets it.

use core::time::Duration;

use kadlet_udp::Host;
use kadlet_udp::kadlet::{Options, Record};
use smol::future::try_zip;

fn main() -> Result<(), Box<dyn core::error::Error>> {
    let first = Host::builder().listen("127.0.0.1:0").start()?;
    let [second, third] = [(); 2].map(|()| Host::builder().listen("127.0.0.1:0").bootstrap(first.local_addr()).start());
    let (second, third) = (second?, third?);
    smol::block_on(async {
        let limit = Duration::from_secs(10);
        try_zip(second.joined(limit), third.joined(limit)).await?;

        let record = Record::immutable(b"hello world");
        let stored = second.async_handle().put(&record, &Options::default()).await?;
        println!("stored at {} of {} nodes for {:?}", stored.holders.len(), stored.wanted, stored.lifetime);
        let got = third.async_handle().get(record.key(), &Options::default()).await?;
        println!("{}", String::from_utf8_lossy(&got.record.value));
        assert_eq!(got.record.as_record(), record);
        Ok(())
    })
}
