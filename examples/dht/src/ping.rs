//! `ping`: whether a node responds, and how fast.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::time::Duration;
use std::thread;
use std::time::Instant;

use serde::Serialize;
use serde_json::json;

use crate::args::{Common, HostPort, Ping};
use crate::bootstraps::sendable;
use crate::control::Local;
use crate::error::{Error, Exit};
use crate::network::{Client, Table};
use crate::output::Output;

/// From one ping to the next.
const PAUSE: Duration = Duration::from_secs(1);

#[derive(Serialize)]
struct PingObject {
    id: String,
    address: SocketAddr,
    rtt_ms: f64,
}

/// What came of several pings.
#[derive(Serialize)]
struct PingsObject {
    sent: u32,
    responded: u32,
    min_ms: f64,
    mean_ms: f64,
    max_ms: f64,
}

pub(crate) fn run<R: Table>(args: &Ping, common: &Common, out: &Output) -> Result<(), Error> {
    let address = args.address.clone().map_or_else(|| local(common), Ok)?;
    let nothing = |error: Error| error.with(&json!({ "id": null, "address": address.to_string(), "rtt_ms": null }));
    address.ip().iter().try_for_each(sendable).map_err(nothing)?;
    let (client, mut peers) = Client::<R>::reaching(&address, args.listen.as_ref(), common).map_err(nothing)?;
    let mut rtts = Vec::new();
    for number in 1..=args.count {
        let began = Instant::now();
        let limit = if number == 1 { client.left() } else { common.timeout };
        let pong = client.ping(&address, &peers, common, limit);
        client.be_quiet();
        match pong {
            Ok(pong) => {
                let (id, address) = (pong.contact.id, pong.contact.address);
                let rtt_ms = pong.rtt.as_secs_f64() * 1_000.0;
                match out.json {
                    true => out.object(&PingObject { id: id.to_string(), address, rtt_ms })?,
                    false => out.line(&format!("{address} is node {id}, {rtt_ms:.2} ms away"))?,
                }
                rtts.push(rtt_ms);
                // Of the addresses of a name, the one that responds.
                peers = vec![address];
            }
            Err(error) if args.count == 1 => return Err(nothing(error)),
            Err(error) if out.json => out.object(&nothing(error).into_object())?,
            Err(error) => out.line(error.what())?,
        }
        if number < args.count {
            thread::sleep(PAUSE.saturating_sub(began.elapsed()));
        }
    }
    if args.count == 1 { Ok(()) } else { end(&address, args.count, &rtts, out) }
}

/// Prints what came of all pings. It is an error if nobody responded.
fn end(address: &HostPort, sent: u32, rtts: &[f64], out: &Output) -> Result<(), Error> {
    let count = rtts.len() as u32;
    if count == 0 {
        let object = json!({ "sent": sent, "responded": 0 });
        return Err(
            Error::new(Exit::Network, format!("none of {sent} pings of {address} got a response")).with(&object)
        );
    }
    let (min_ms, max_ms) =
        rtts.iter().fold((f64::MAX, 0.0), |(min, max), rtt| (f64::min(min, *rtt), f64::max(max, *rtt)));
    let mean_ms = rtts.iter().sum::<f64>() / f64::from(count);
    match out.json {
        true => out.object(&PingsObject { sent, responded: count, min_ms, mean_ms, max_ms }),
        false => out.line(&format!(
            "{sent} sent, {count} responded; {min_ms:.2} ms at least, {mean_ms:.2} on average, {max_ms:.2} at most"
        )),
    }
}

/// The address of a node on this machine.
fn local(common: &Common) -> Result<HostPort, Error> {
    let mut address = Local::of_network(common)?.address();
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
            SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        });
    }
    Ok(address.into())
}
