//! The application: it publishes a value under the board's name again and again, and gets the values that the arguments
//! name.

use core::fmt::Write;

use board::host::line;
use board::identity::{Arguments, MAX_LISTED, Number};
use board::stack;
use embassy_time::{Duration, Instant, Ticker, Timer};
use heapless::{String, Vec};
use kadlet::{Key, Mode, Options, Record};

use crate::{Dht, Network, time};

/// The longest value that can be got, in bytes.
const VALUE: usize = 128;

#[embassy_executor::task]
pub(crate) async fn run(number: Number, arguments: &'static Arguments<'static>, network: Network, dht: Dht) {
    let pause = Duration::from_secs(u64::from(arguments.every.max(1)));
    let bootstrap: Vec<_, MAX_LISTED> = arguments.bootstrap.iter().collect();
    network.wait_config_up().await;
    loop {
        match dht.bootstrap(&bootstrap).await {
            Ok(joined) => break line!("joined board-{} with {} neighbours", number.0, joined.neighbours),
            Err(error) => line!("not joined: {}", error),
        }
        Timer::after(pause).await;
    }
    if arguments.every == 0 {
        return;
    }

    let mut name = String::<16>::new();
    let _ = write!(name, "board-{}", number.0);
    let mode = if arguments.recursive { Mode::Recursive } else { Mode::Iterative };
    let options = Options { lifetime: core::time::Duration::from_secs(3_600), mode, ..Options::DEFAULT };
    let mut ticker = Ticker::every(pause);
    let mut samples = 0;
    while arguments.quiet == 0 || Instant::now().as_secs() < u64::from(arguments.quiet) {
        samples += 1;
        let mut value = String::<64>::new();
        let _ = write!(value, "{} boot {} sample {}", name, arguments.boot, samples);
        match dht.put(&Record::plain(name.as_bytes(), value.as_bytes()), &options).await {
            Ok(stored) => line!("published {} sample {} at {} of {}", name, samples, stored.holders, stored.wanted),
            Err(error) => line!("not published: {}", error),
        }
        for name in arguments.get.iter() {
            let mut value = [0; VALUE];
            match dht.get(Key::plain(name.as_bytes()), &options, &mut value).await {
                Ok(got) => {
                    let value = core::str::from_utf8(&value[..got.len]).unwrap_or("(bytes)");
                    line!(
                        "got {} = {} from {}{}",
                        name,
                        value,
                        got.holders,
                        if got.stats.relayed { ", relayed" } else { "" }
                    );
                }
                Err(error) => line!("missed {}: {}", name, error),
            }
        }
        ticker.next().await;
    }
}

#[embassy_executor::task]
pub(crate) async fn stats(dht: Dht) {
    let mut ticker = Ticker::every(Duration::from_secs(10));
    loop {
        ticker.next().await;
        let (stats, (wakes, for_the_clock)) = (dht.stats(), time::wakes());
        line!(
            "counts seconds {} wakes {} clock {} received {} {} sent {} {} stored {} stack {} {}",
            Instant::now().as_secs(),
            wakes,
            for_the_clock,
            stats.received,
            stats.received_bytes,
            stats.sent,
            stats.sent_bytes,
            stats.records_stored,
            stack::used(),
            stack::room()
        );
    }
}
