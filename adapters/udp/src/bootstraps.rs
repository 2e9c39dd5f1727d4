//! The addresses that a host joins its network through, and those that names among them stand for.

use core::net::{IpAddr, SocketAddr};
use core::str::FromStr;
use std::collections::HashSet;
use std::io;
use std::thread;

/// The most bootstrap addresses that a host uses at once.
pub(crate) const BOOTSTRAPS: usize = 16;

/// Looks up `NAME:PORT`. It may block for as long as it likes.
pub(crate) type Resolver = fn(&str) -> io::Result<Vec<SocketAddr>>;

/// What came of the lookup of a name: addresses, or why there are none.
pub(crate) type Resolved = Result<Vec<SocketAddr>, String>;

/// A bootstrap address as it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Given {
    Address(SocketAddr),
    /// `NAME:PORT`
    Name(String),
}

/// The bootstrap addresses of a host whose socket is bound to `local`.
#[derive(Debug)]
pub(crate) struct Bootstraps {
    local: SocketAddr,
    given: Vec<SocketAddr>,
    names: Vec<Name>,
}

#[derive(Debug)]
struct Name {
    text: String,
    /// Whether it is being looked up.
    pending: bool,
    /// What it resolved to when that last worked.
    addresses: Vec<SocketAddr>,
    /// Why its last lookup found nothing.
    failure: Option<String>,
}

impl Bootstraps {
    pub(crate) fn new(local: SocketAddr, all: Vec<Given>) -> Self {
        let (mut given, mut names) = (Vec::new(), Vec::new());
        for one in all {
            match one {
                Given::Address(address) => given.push(address),
                Given::Name(text) => names.push(Name { text, pending: false, addresses: Vec::new(), failure: None }),
            }
        }
        Self { local, given, names }
    }

    /// Begins to look all names up that are not being looked up, each on a thread of its own: one that doesn't exist,
    /// or a name server that doesn't respond, keeps nothing else waiting. `report` gets each result with its index.
    pub(crate) fn look_up(&mut self, resolver: Resolver, report: impl Fn(usize, Resolved) + Clone + Send + 'static) {
        for (index, name) in self.names.iter_mut().enumerate().filter(|(_, name)| !name.pending) {
            let (text, reply) = (name.text.clone(), report.clone());
            let look_up = move || reply(index, resolver(&text).map_err(|error| error.to_string()));
            match thread::Builder::new().name("kadlet-name".into()).spawn(look_up) {
                Ok(_) => name.pending = true,
                Err(error) => name.failure = Some(error.to_string()),
            }
        }
    }

    /// Takes what came of the name with this index.
    pub(crate) fn take(&mut self, index: usize, resolved: Resolved) {
        let Some(name) = self.names.get_mut(index) else { return };
        name.pending = false;
        let usable = resolved.and_then(|mut addresses| {
            addresses.retain(|address| is_sendable(address) && reaches(self.local, address));
            let none = || format!("it has no address that {} can send to", self.local);
            if addresses.is_empty() { Err(none()) } else { Ok(addresses) }
        });
        match usable {
            Ok(addresses) => (name.addresses, name.failure) = (addresses, None),
            // What it was before is better than nothing.
            Err(why) => name.failure = Some(why),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.given.is_empty() && self.names.is_empty()
    }

    pub(crate) fn has_names(&self) -> bool {
        !self.names.is_empty()
    }

    /// Whether a name is still being looked up.
    pub(crate) fn is_pending(&self) -> bool {
        self.names.iter().any(|name| name.pending)
    }

    /// The addresses to use now: those given, and then one of each name in turn, so that a name with many addresses
    /// leaves room for the others.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        let most = self.names.iter().map(|name| name.addresses.len()).max().unwrap_or(0);
        let turn = |turn| self.names.iter().filter_map(move |name| name.addresses.get(turn));
        let mut seen = HashSet::new();
        let all = self.given.iter().chain((0..most).flat_map(turn)).copied();
        all.filter(|address| reaches(self.local, address) && seen.insert(*address)).take(BOOTSTRAPS).collect()
    }

    /// The names that found nothing, and why, and those that are being looked up.
    pub(crate) fn problems(&self) -> Vec<String> {
        let problem = |name: &Name| match &name.failure {
            _ if name.pending => Some(format!("{} is not resolved yet", name.text)),
            why => why.as_ref().map(|why| format!("can't resolve {}: {why}", name.text)),
        };
        self.names.iter().filter_map(problem).collect()
    }
}

impl FromStr for Given {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(address) = text.parse() {
            return if is_sendable(&address) {
                Ok(Self::Address(address))
            } else {
                Err("no datagram can be sent to it")
            };
        }
        match text.rsplit_once(':') {
            Some((name, port)) if !name.is_empty() && !name.contains([':', '[', ']', '/', ' ']) => match port.parse() {
                Ok(1..=u16::MAX) => Ok(Self::Name(text.into())),
                _ => Err("its port must be 1 to 65535"),
            },
            _ => Err("it must be NAME:PORT or IP:PORT, such as example.org:4000, 192.0.2.1:4000 or [2001:db8::1]:4000"),
        }
    }
}

fn is_sendable(address: &SocketAddr) -> bool {
    let broadcast = matches!(address.ip(), IpAddr::V4(ip) if ip.is_broadcast());
    address.port() != 0 && !address.ip().is_unspecified() && !address.ip().is_multicast() && !broadcast
}

/// Whether a socket bound to `local` can send to an address of this family.
pub(crate) fn reaches(local: SocketAddr, address: &SocketAddr) -> bool {
    let both = local.is_ipv6() && local.ip().is_unspecified();
    both || address.is_ipv4() == local.is_ipv4()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bootstraps(all: &[&str]) -> Bootstraps {
        let all = all.iter().map(|text| text.parse().unwrap()).collect();
        Bootstraps::new("127.0.0.1:4000".parse().unwrap(), all)
    }

    fn loopback(ports: core::ops::RangeInclusive<u16>) -> Vec<SocketAddr> {
        ports.map(|port| ([127, 0, 0, 1], port).into()).collect()
    }

    #[test]
    fn what_is_no_address_is_refused_with_a_reason() {
        for (text, why) in [
            ("example.org", "NAME:PORT"),
            ("example.org:", "port"),
            ("example.org:0", "port"),
            ("example.org:70000", "port"),
            (":4000", "NAME:PORT"),
            ("http://example.org:80", "NAME:PORT"),
            ("2001:db8::1:4000x", "NAME:PORT"),
            ("0.0.0.0:4000", "no datagram"),
            ("127.0.0.1:0", "no datagram"),
            ("255.255.255.255:1", "no datagram"),
            ("[ff02::1]:1", "no datagram"),
        ] {
            let error = text.parse::<Given>().unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
        assert_eq!("example.org:4000".parse(), Ok(Given::Name("example.org:4000".into())));
        assert!(matches!("[::1]:4000".parse(), Ok(Given::Address(_))));
    }

    #[test]
    fn a_name_with_many_addresses_leaves_room_for_the_others() {
        let mut bootstraps = bootstraps(&["many.test:1", "127.0.0.1:200", "other.test:1"]);
        bootstraps.take(0, Ok(loopback(1..=20)));
        bootstraps.take(1, Ok(loopback(300..=300)));
        let ports: Vec<_> = bootstraps.addresses().iter().map(SocketAddr::port).collect();
        assert_eq!(ports.len(), BOOTSTRAPS);
        assert_eq!(ports[..4], [200, 1, 300, 2]);
    }

    #[test]
    fn a_name_that_no_longer_resolves_keeps_its_addresses() {
        let mut bootstraps = bootstraps(&["moving.test:1"]);
        bootstraps.take(0, Ok(loopback(1..=1)));
        bootstraps.take(0, Err("no such name".into()));
        assert_eq!(bootstraps.addresses(), loopback(1..=1));
        assert_eq!(bootstraps.problems(), ["can't resolve moving.test:1: no such name"]);
        bootstraps.take(0, Ok(vec!["[2001:db8::1]:1".parse().unwrap()]));
        assert!(bootstraps.problems()[0].contains("no address that 127.0.0.1:4000 can send to"));
    }
}
