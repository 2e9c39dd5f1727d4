//! The addresses that a node joins its network through, and those that names among them stand for.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::HashSet;
use std::sync::mpsc;

use crate::args::{BOOTSTRAPS, Common, HostPort};
use crate::error::{Error, Exit};
use crate::resolver::{Resolved, Resolver, look_up};

/// The bootstrap addresses of a command.
#[derive(Debug)]
pub(crate) struct Bootstraps {
    /// The addresses that were given as such.
    given: Vec<SocketAddr>,
    names: Vec<Name>,
    /// Addresses that a node knows from its last run. They take what room the others leave.
    pub(crate) contacts: Vec<SocketAddr>,
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
    /// Takes the addresses as the user wrote them. No name is looked up yet.
    pub(crate) fn new(written: &[HostPort]) -> Result<Self, Error> {
        let given: Vec<_> = written.iter().filter_map(HostPort::ip).collect();
        given.iter().try_for_each(sendable)?;
        let mut texts: Vec<_> =
            written.iter().filter(|address| address.ip().is_none()).map(HostPort::to_string).collect();
        let mut seen = HashSet::new();
        texts.retain(|text| seen.insert(text.clone()));
        let name = |text| Name { text, pending: false, addresses: Vec::new(), failure: None };
        Ok(Self { given, names: texts.into_iter().map(name).collect(), contacts: Vec::new() })
    }

    /// The addresses that were given as such.
    pub(crate) fn given(&self) -> &[SocketAddr] {
        &self.given
    }

    pub(crate) fn has_names(&self) -> bool {
        !self.names.is_empty()
    }

    /// Refuses addresses none of which a socket bound to `local` can send to.
    pub(crate) fn check(&self, local: SocketAddr) -> Result<(), Error> {
        if self.has_names() || self.given.is_empty() || self.given.iter().any(|address| reaches(local, address)) {
            return Ok(());
        }
        let what = format!("{local} is of another address family than the bootstrap addresses");
        Err(Error::new(Exit::Usage, what).tip("--listen [::]:0 for both IPv4 and IPv6, or leave it out"))
    }

    /// Begins to look all names up. `report` gets each result, which is for [`take`](Self::take).
    pub(crate) fn look_up(&mut self, resolver: Resolver, report: impl Fn(Resolved) + Clone + Send + 'static) {
        self.names.iter_mut().for_each(|name| name.pending = true);
        look_up(self.names.iter().map(|name| name.text.clone()).collect(), resolver, report);
    }

    /// Takes what came of a name.
    pub(crate) fn take(&mut self, Resolved { name, found }: Resolved, local: SocketAddr) {
        let Some(name) = self.names.iter_mut().find(|known| known.text == name) else { return };
        name.pending = false;
        let usable = found.and_then(|mut addresses| {
            addresses.retain(|address| sendable(address).is_ok() && reaches(local, address));
            if addresses.is_empty() { Err(format!("{local} can send to none of its addresses")) } else { Ok(addresses) }
        });
        match usable {
            Ok(addresses) => (name.addresses, name.failure) = (addresses, None),
            // What it was before is better than nothing.
            Err(why) => name.failure = Some(why),
        }
    }

    /// Whether a name is still being looked up.
    pub(crate) fn is_pending(&self) -> bool {
        self.names.iter().any(|name| name.pending)
    }

    /// The addresses to use now, at most as many as a node remembers.
    pub(crate) fn addresses(&self, local: SocketAddr) -> Vec<SocketAddr> {
        let mut all = self.all(local);
        all.extend(self.contacts.iter().filter(|address| reaches(local, address)));
        let mut seen = HashSet::new();
        all.retain(|address| seen.insert(*address));
        all.truncate(BOOTSTRAPS);
        all
    }

    /// What is wrong: names that found nothing, and addresses that are too many.
    pub(crate) fn problems(&self, local: SocketAddr) -> Vec<String> {
        let failed = |name: &Name| name.failure.as_ref().map(|why| format!("can't resolve {}: {why}", name.text));
        let mut problems: Vec<_> = self.names.iter().filter_map(failed).collect();
        let all = self.all(local).len();
        if all > BOOTSTRAPS {
            problems.push(format!("{all} bootstrap addresses: only {BOOTSTRAPS} of them are used"));
        }
        problems
    }

    /// The names that are still being looked up.
    pub(crate) fn pending(&self) -> impl Iterator<Item = &str> {
        self.names.iter().filter(|name| name.pending).map(|name| &name.text[..])
    }

    /// All that a socket bound to `local` can send to: those given, and then one of each name in turn, so that a name
    /// with many addresses leaves room for the others.
    fn all(&self, local: SocketAddr) -> Vec<SocketAddr> {
        let most = self.names.iter().map(|name| name.addresses.len()).max().unwrap_or(0);
        let turn = |turn| self.names.iter().filter_map(move |name| name.addresses.get(turn));
        let given = self.given.iter().filter(|address| reaches(local, address));
        let mut seen = HashSet::new();
        given.chain((0..most).flat_map(turn)).filter(|address| seen.insert(**address)).copied().collect()
    }
}

/// Resolves one address within `limit`.
pub(crate) fn resolve(address: &HostPort, common: &Common, limit: Duration) -> Result<Vec<SocketAddr>, Error> {
    if let Some(address) = address.ip() {
        return Ok(vec![address]);
    }
    let (sender, found) = mpsc::channel();
    let report = move |resolved: Resolved| drop(sender.send(resolved.found));
    look_up(vec![address.to_string()], common.resolver, report);
    let found = found.recv_timeout(limit).unwrap_or_else(|_| Err("the time limit was reached".to_owned()));
    found.map_err(|why| Error::new(Exit::Network, format!("can't resolve {address}: {why}")).tip("give IP:PORT"))
}

/// Refuses an address that no datagram can be sent to.
pub(crate) fn sendable(address: &SocketAddr) -> Result<(), Error> {
    let broadcast = matches!(address, SocketAddr::V4(address) if address.ip().is_broadcast());
    if address.port() != 0 && !address.ip().is_unspecified() && !address.ip().is_multicast() && !broadcast {
        return Ok(());
    }
    Err(Error::new(Exit::Usage, format!("no datagram can be sent to {address}")).tip(
        "give the IP address of the machine that the node runs on (127.0.0.1 is this machine), and the port that the \
         node prints in its first line",
    ))
}

/// Whether a socket bound to `local` can send to an address of this family.
pub(crate) fn reaches(local: SocketAddr, address: &SocketAddr) -> bool {
    let both = local.is_ipv6() && local.ip().is_unspecified();
    both || address.is_ipv4() == local.is_ipv4()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resolver::fake;

    const LOCAL: &str = "127.0.0.1:4000";

    /// The bootstrap addresses of a command after the lookup of all names.
    fn resolved(written: &[&str]) -> Bootstraps {
        let written: Vec<HostPort> = written.iter().map(|text| text.parse().unwrap()).collect();
        let mut bootstraps = Bootstraps::new(&written).unwrap();
        let (sender, found) = mpsc::channel();
        bootstraps.look_up(fake::RESOLVER, move |resolved| drop(sender.send(resolved)));
        found.iter().for_each(|resolved| bootstraps.take(resolved, LOCAL.parse().unwrap()));
        assert!(!bootstraps.is_pending());
        bootstraps
    }

    fn addresses(bootstraps: &Bootstraps) -> Vec<String> {
        bootstraps.addresses(LOCAL.parse().unwrap()).iter().map(SocketAddr::to_string).collect()
    }

    #[test]
    fn a_name_with_many_addresses_leaves_room_for_the_others() {
        let bootstraps = resolved(&["many.test:1", "127.0.0.1:200", "loopback.test:300"]);
        let all = addresses(&bootstraps);
        assert_eq!(all.len(), BOOTSTRAPS);
        assert_eq!(all[..4], ["127.0.0.1:200", "127.0.0.1:1", "127.0.0.1:300", "127.0.0.1:2"]);
        assert_eq!(bootstraps.problems(LOCAL.parse().unwrap()), ["22 bootstrap addresses: only 16 of them are used"]);
    }

    #[test]
    fn more_names_than_threads_are_all_looked_up() {
        let names: Vec<_> = (1..=100).map(|port| format!("loopback.test:{port}")).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let all = resolved(&names).all(LOCAL.parse().unwrap());
        assert_eq!(all.len(), 100);
    }

    #[test]
    fn contacts_take_what_room_is_left_and_are_no_reason_to_complain() {
        let mut bootstraps = resolved(&["loopback.test:1", "127.0.0.1:2"]);
        bootstraps.contacts = (2..50).map(|port| SocketAddr::from(([127, 0, 0, 1], port))).collect();
        let all = addresses(&bootstraps);
        assert_eq!(all.len(), BOOTSTRAPS);
        assert_eq!(all[..3], ["127.0.0.1:2", "127.0.0.1:1", "127.0.0.1:3"]);
        assert!(bootstraps.problems(LOCAL.parse().unwrap()).is_empty());
    }

    #[test]
    fn a_name_that_no_longer_resolves_keeps_its_address() {
        let mut bootstraps = resolved(&["loopback.test:1"]);
        let lost = Resolved { name: "loopback.test:1".into(), found: Err("no such name".into()) };
        bootstraps.take(lost, LOCAL.parse().unwrap());
        assert_eq!(addresses(&bootstraps), ["127.0.0.1:1"]);
        assert_eq!(bootstraps.problems(LOCAL.parse().unwrap()).len(), 1);
    }
}
