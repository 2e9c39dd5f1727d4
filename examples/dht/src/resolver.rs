//! Names are looked up in the background, each for itself: a name that doesn't exist, or a name server that doesn't
//! respond, keeps nothing else waiting.

use core::net::SocketAddr;
use std::io;
use std::net::ToSocketAddrs;

use crate::output::spawn;

/// Looks up `HOST:PORT`. It may block for as long as it likes.
pub(crate) type Resolver = fn(&str) -> io::Result<Vec<SocketAddr>>;

/// The system's resolver.
pub(crate) const SYSTEM: Resolver = |name| name.to_socket_addrs().map(Vec::from_iter);

/// The most names that are looked up at once.
const AT_ONCE: usize = 16;

/// What came of the lookup of one name: at least one address, or why there is none.
#[derive(Debug)]
pub(crate) struct Resolved {
    pub(crate) name: String,
    pub(crate) found: Result<Vec<SocketAddr>, String>,
}

/// Looks names up on threads, at most [`AT_ONCE`] of them, each of which takes one name after the other.
pub(crate) fn look_up(names: Vec<String>, resolver: Resolver, report: impl Fn(Resolved) + Clone + Send + 'static) {
    for first in 0..names.len().min(AT_ONCE) {
        let mine: Vec<_> = names.iter().skip(first).step_by(AT_ONCE).cloned().collect();
        let (work, found) = (mine.clone(), report.clone());
        let started = spawn(move || {
            for name in work {
                let addresses = resolver(&name).map_err(|error| error.to_string());
                let addresses =
                    addresses.and_then(|all| if all.is_empty() { Err("it has no address".into()) } else { Ok(all) });
                found(Resolved { name, found: addresses });
            }
        });
        if let Err(error) = started {
            mine.into_iter().for_each(|name| report(Resolved { name, found: Err(error.what().to_owned()) }));
        }
    }
}

/// A resolver without a network.
#[cfg(test)]
pub(crate) mod fake {
    use core::net::Ipv4Addr;
    use core::sync::atomic::{AtomicU16, Ordering};
    use core::time::Duration;
    use std::thread;

    use super::*;

    pub(crate) const RESOLVER: Resolver = |name| {
        let (host, port) = name.split_once(':').unwrap_or_default();
        let port = port.parse().unwrap_or_default();
        let loopback = |port: u16| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        match host {
            "loopback.test" => Ok(vec![loopback(port)]),
            "moving.test" => Ok(vec![loopback(MOVING.load(Ordering::Relaxed))]),
            "many.test" => Ok((1..=20).map(loopback).collect()),
            "unusable.test" => Ok(vec![(Ipv4Addr::UNSPECIFIED, 1).into(), loopback(0)]),
            "empty.test" => Ok(Vec::new()),
            "silent.test" => {
                thread::sleep(Duration::from_secs(60));
                Err(io::ErrorKind::TimedOut.into())
            }
            // `p1.test:2` has two addresses, with the ports 1 and 2.
            _ => match host.strip_prefix('p').and_then(|host| host.strip_suffix(".test")?.parse().ok()) {
                Some(first) => Ok(vec![loopback(first), loopback(port)]),
                None => Err(io::Error::other("no such name")),
            },
        }
    };

    /// The port of `moving.test`.
    pub(crate) static MOVING: AtomicU16 = AtomicU16::new(1);
}
