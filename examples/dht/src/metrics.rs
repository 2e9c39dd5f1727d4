//! `node --metrics`: a page with the counters of a node and the sizes of what it holds, for Prometheus.
//!
//! The page is small and has no arguments, so it needs no HTTP library: one request a connection, which must be
//! complete within two seconds. Four threads serve it; further connections wait in the system's queue.

use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Instant;

use kadlet_udp::{Handle, Losses};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, prometheus_text};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use crate::args::Common;
use crate::network::{Node, Table};
use crate::output::{COUNTERS, StatsObject};

/// How many requests are served at once.
const THREADS: usize = 4;
/// How long a connection may take for its request, and again for the response.
const LIMIT: Duration = Duration::from_secs(2);
/// The longest request, in bytes.
const REQUEST: usize = 8 << 10;
/// How long to wait when the system has no file descriptor left.
const PAUSE: Duration = Duration::from_millis(200);

/// A counter of a driver: its name, what it counts, and its value.
type Loss = (&'static str, &'static str, fn(&Losses) -> u64);

/// What is lost between a node and the network: its name, what it counts, and its value.
const LOSSES: [Loss; 5] = [
    ("lost_unsent", "Datagrams not sent because a queue of the system was full", |losses| losses.unsent),
    ("lost_failed", "Datagrams that the system refused to send", |losses| losses.failed),
    ("lost_refused", "Datagrams that ICMP reported as not delivered", |losses| losses.refused),
    ("lost_oversized", "Datagrams received and dropped because they were too large", |losses| losses.oversized),
    ("receive_errors", "Errors while receiving that belong to no peer", |losses| losses.errors),
];

/// Serves the page at the first of these addresses that the system can bind. Returns which.
pub(crate) fn serve<R: Table>(
    addresses: &[SocketAddr],
    common: &Common,
    handle: &Handle<Node<R>>,
) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind(addresses)?;
    let labels = [("network", common.network.to_string()), ("geometry", common.geometry.to_string())];
    for _ in 0..THREADS {
        let (listener, handle, labels) = (listener.try_clone()?, handle.clone(), labels.clone());
        thread::Builder::new().spawn(move || {
            loop {
                match listener.accept() {
                    Ok((stream, _)) => drop(respond(&stream, || page(&handle, &labels))),
                    Err(_) => thread::sleep(PAUSE),
                }
            }
        })?;
    }
    listener.local_addr()
}

/// Responds to one request.
fn respond(mut stream: &TcpStream, page: impl FnOnce() -> Option<String>) -> io::Result<()> {
    let deadline = Instant::now() + LIMIT;
    let (mut request, mut chunk) = (Vec::new(), [0; 1024]);
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() || request.len() > REQUEST {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut chunk)? {
            0 => return Ok(()),
            received => request.extend(chunk.iter().take(received)),
        }
    }
    let line = String::from_utf8_lossy(&request);
    let mut words = line.split_whitespace();
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (status, body) = match (method, path.split('?').next()) {
        ("GET" | "HEAD", Some("/" | "/metrics")) => match page() {
            Some(page) => ("200 OK", page),
            None => ("503 Service Unavailable", "the node has stopped or is busy\n".to_owned()),
        },
        ("GET" | "HEAD", _) => ("404 Not Found", "the page is /metrics\n".to_owned()),
        _ => ("405 Method Not Allowed", "only GET and HEAD\n".to_owned()),
    };
    let (kind, length) = (prometheus_text::CONTENT_TYPE, body.len());
    let head =
        format!("HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    stream.set_write_timeout(Some(LIMIT))?;
    stream.write_all(head.as_bytes())?;
    if method == "HEAD" { Ok(()) } else { stream.write_all(body.as_bytes()) }
}

/// The page. `None` if the node can't be asked.
fn page<R: Table>(handle: &Handle<Node<R>>, labels: &[(&'static str, String)]) -> Option<String> {
    let (id, stats) = handle.with(|node, _| (kadlet::Dht::id(node), StatsObject::of(node))).ok()?;
    let sample = Sample { stats, losses: handle.losses().ok()? };
    let mut registry = Registry::with_prefix("kadlet");
    let own = [("id", id.to_string()), ("version", env!("CARGO_PKG_VERSION").to_owned())];
    registry.register("node", "Which node this is", Info::new([&own[..], labels].concat()));
    registry.register_collector(Box::new(sample));
    let mut page = String::new();
    prometheus_text::encode(&mut page, &registry).ok()?;
    Some(page)
}

/// What a node has counted until now, and the sizes of what it holds.
#[derive(Debug)]
struct Sample {
    stats: StatsObject,
    losses: Losses,
}

impl Collector for Sample {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        for (name, help, size) in self.stats.sizes() {
            let gauge = ConstGauge::new(i64::try_from(size).unwrap_or(i64::MAX));
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        let counters = COUNTERS.iter().map(|(name, help, value)| (name, help, value(&self.stats.stats)));
        let losses = LOSSES.iter().map(|(name, help, value)| (name, help, value(&self.losses)));
        for (name, help, value) in counters.chain(losses) {
            let counter = ConstCounter::new(value);
            counter.encode(encoder.encode_descriptor(name, help, None, counter.metric_type())?)?;
        }
        Ok(())
    }
}
