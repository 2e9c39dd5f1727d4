//! Addresses of simulated hosts: socket addresses in four bytes.

use core::fmt;
use core::net::{Ipv4Addr, SocketAddrV4};

use kadlet::Id;
use kadlet::address::{Address, EncodedAddress, Prefix, Scope};

use crate::random::Random;

/// The port of a host that has an IP address to itself.
const PORT: u16 = 4_000;
/// The first octets of the IP addresses that have one host in each /24, and of those that have several.
const SPREAD: (u32, u32) = (11, 89);
const CROWDED: (u32, u32) = (129, 32);
/// How many /24s have the same first octet.
const PREFIXES: u32 = 1 << 16;
/// In the four bytes, a first octet from here on stands for one that is less by `SHARED_IP`, and the last octet for a
/// port.
const SHARED: u32 = 224;
const SHARED_IP: u32 = 24;

/// The address of a simulated host: an IPv4 address and a port, with the prefix and the scope that these have.
///
/// It takes four bytes, also in messages, so that a million nodes fit into memory. For this, hosts have the port 4000,
/// except those that [share](HostAddress::shared) an IP address.
///
/// ```
/// use core::net::Ipv4Addr;
/// use kadlet::{Address, Scope};
/// use kadlet_sim::HostAddress;
///
/// let [one, other] = [0, 1].map(HostAddress::spread);
/// assert_ne!(one.prefix(), other.prefix(), "each has a /24 to itself");
/// let crowd = [0, 1].map(|host| HostAddress::in_prefix(7, host));
/// assert_eq!(crowd[0].prefix(), crowd[1].prefix());
/// let behind_one = [0, 1].map(|port| HostAddress::shared(7, port));
/// assert_eq!(behind_one[0].without_port(), behind_one[1].without_port());
/// assert_eq!(HostAddress::private(3).scope(), Scope::Private);
/// assert_eq!(HostAddress::new(Ipv4Addr::new(192, 0, 2, 7)).to_string(), "192.0.2.7:4000");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostAddress(u32);

impl HostAddress {
    /// This IP address, with port 4000.
    ///
    /// # Panics
    ///
    /// No host can have the address: it is 0.0.0.0/8, or multicast or reserved (from 224.0.0.0 on).
    #[must_use]
    pub const fn new(ip: Ipv4Addr) -> Self {
        let bits = ip.to_bits();
        assert!(bits >> 24 != 0 && bits >> 24 < SHARED, "no host can have this address");
        Self(bits)
    }

    /// The address that the host with this number has by default: one host in each /24. Hosts with near numbers are far
    /// apart: they fill 89 of the networks /8 evenly, and in each of these the /16s.
    #[must_use]
    pub const fn spread(host: u32) -> Self {
        Self(nth_prefix(host, SPREAD) << 8 | (1 + host / (SPREAD.1 * PREFIXES)))
    }

    /// One of up to 255 hosts in a /24 that others of [`spread`](HostAddress::spread) are not in: 0 to 254, in one of
    /// two million prefixes, spread in the same way. More hosts than that begin from the first again.
    #[must_use]
    pub const fn in_prefix(prefix: u32, host: u32) -> Self {
        Self(nth_prefix(prefix, CROWDED) << 8 | (1 + host % 255))
    }

    /// One of up to 256 ports of an IP address that several hosts share, as behind one NAT. Each such address has a /24
    /// of its own; there are half a million of them.
    #[must_use]
    pub const fn shared(ip: u32, port: u32) -> Self {
        Self(nth_prefix(ip, (SHARED, 8)) << 8 | (port % 256))
    }

    /// A host in the private network 10.0.0.0/8: 0 to 16 million.
    #[must_use]
    pub const fn private(host: u32) -> Self {
        Self(10 << 24 | ((host + 1) & 0xFF_FFFF))
    }

    /// An address in 127.0.0.0/8: 0 to 16 million.
    #[must_use]
    pub const fn loopback(host: u32) -> Self {
        Self(127 << 24 | ((host + 1) & 0xFF_FFFF))
    }

    /// The socket address that this one stands for.
    #[must_use]
    pub const fn socket(self) -> SocketAddrV4 {
        let octet = self.0 >> 24;
        if octet < SHARED {
            return SocketAddrV4::new(Ipv4Addr::from_bits(self.0), PORT);
        }
        let ip = (octet - SHARED_IP) << 24 | self.0 & 0xFF_FF00 | 1;
        SocketAddrV4::new(Ipv4Addr::from_bits(ip), PORT + 1 + (self.0 & 0xFF) as u16)
    }

    /// How far the host is from the first in its prefix: 0, 1, 2 ..
    #[must_use]
    pub const fn index_in_prefix(self) -> u32 {
        if self.0 >> 24 < SHARED { (self.0 & 0xFF).saturating_sub(1) } else { self.0 & 0xFF }
    }

    /// Another address in the same /24: 254 of them, and `number` beyond that begins from the first again.
    #[must_use]
    pub const fn in_same_prefix(self, number: u8) -> Self {
        let others = if number == 255 { 0 } else { number };
        let own = self.0 & 0xFF;
        Self(self.0 & !0xFF | ((own + 1 + others as u32) & 0xFF))
    }

    /// The number of the host that has this address by default.
    pub(crate) const fn default_host(self) -> Option<u32> {
        let (octet, b, c, d) = (self.0 >> 24, self.0 >> 16 & 0xFF, self.0 >> 8 & 0xFF, self.0 & 0xFF);
        if octet < SPREAD.0 || octet >= SPREAD.0 + SPREAD.1 || d == 0 {
            return None;
        }
        Some((((d - 1) * 256 + c) * 256 + b) * SPREAD.1 + octet - SPREAD.0)
    }
}

/// How the nodes of a network get their identifiers.
#[derive(Clone, Copy, Debug)]
pub struct IdRule {
    /// The identifier of a new node at an address.
    pub assigned: fn(HostAddress, &mut Random) -> Id,
    /// The identifier that a liar at an address claims, if it can choose, to be as near as possible to a target.
    pub claimed: fn(HostAddress, &Id) -> Id,
}

impl IdRule {
    /// Any node can have any identifier: new nodes have random ones, and a liar is next to every target.
    pub const FREE: Self = Self {
        assigned: |_, random| random.id(),
        claimed: |address, target| {
            let mut bytes = *target.as_bytes();
            if let Some(end) = bytes.last_chunk_mut() {
                // A liar at another address claims another identifier, and for each target another liar is nearest.
                *end = (u32::from_be_bytes(*end) ^ address.0).wrapping_mul(0x9E37_79B1).to_be_bytes();
            }
            Id::from_bytes(bytes)
        },
    };
}

impl IdRule {
    /// Identifiers are bound to addresses, as a node's [`Config::bind_ids`](kadlet::Config::bind_ids) asks for: the n-th
    /// host of a prefix has the n-th seat. Liars claim the two first-class seats of a prefix at its addresses in turn.
    /// Hosts without a prefix have random identifiers.
    pub const BOUND: Self = Self {
        assigned: |address, random| {
            let free = random.id();
            address.prefix().map_or(free, |prefix| Id::bound(prefix, address.index_in_prefix() as u16))
        },
        claimed: |address, target| {
            let seat = address.prefix().map(|prefix| Id::bound(prefix, (address.index_in_prefix() % 2) as u16));
            seat.unwrap_or_else(|| (Self::FREE.claimed)(address, target))
        },
    };
}

/// The first three octets of the prefix with this number, spread over `count` first octets from `first` on.
const fn nth_prefix(number: u32, (first, count): (u32, u32)) -> u32 {
    let (octet, rest) = (first + number % count, number / count);
    octet << 16 | (rest & 0xFF) << 8 | rest >> 8 & 0xFF
}

impl Address for HostAddress {
    const EMPTY: Self = Self(0);

    fn encode(&self) -> EncodedAddress {
        self.0.encode()
    }

    fn decode(family: u8, bytes: &[u8]) -> Option<Self> {
        u32::decode(family, bytes).filter(|bits| (1..SHARED + 8).contains(&(bits >> 24))).map(Self)
    }

    fn without_port(self) -> Self {
        if self.0 >> 24 < SHARED { self } else { Self(self.0 & !0xFF) }
    }

    fn prefix(&self) -> Option<Prefix> {
        self.socket().prefix()
    }

    fn scope(&self) -> Scope {
        self.socket().scope()
    }
}

impl fmt::Display for HostAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.socket().fmt(f)
    }
}

impl fmt::Debug for HostAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.socket().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn four_million_hosts_have_a_global_24_each_and_are_found_by_it() {
        let mut seen = HashSet::new();
        for host in (0..4_000_000).step_by(7) {
            let address = HostAddress::spread(host);
            assert!(seen.insert(address.prefix().expect("it is global")));
            assert_eq!(address.default_host(), Some(host));
        }
        let beyond = SPREAD.1 * PREFIXES + 3;
        assert_eq!(HostAddress::spread(beyond).default_host(), Some(beyond), "the second host in its /24");
    }

    #[test]
    fn hosts_of_one_prefix_or_one_ip_address_have_nothing_in_common_with_others() {
        let crowd: HashSet<_> = (0..255).map(|host| HostAddress::in_prefix(9, host)).collect();
        let behind_one: HashSet<_> = (0..256).map(|port| HostAddress::shared(9, port)).collect();
        assert_eq!((crowd.len(), behind_one.len()), (255, 256));
        let prefixes = |hosts: &HashSet<HostAddress>| hosts.iter().map(Address::prefix).collect::<HashSet<_>>();
        assert_eq!((prefixes(&crowd).len(), prefixes(&behind_one).len()), (1, 1));
        assert!(crowd.iter().chain(&behind_one).all(|host| host.scope() == Scope::Global));
        assert!(crowd.iter().chain(&behind_one).all(|host| host.default_host().is_none()));
        assert_eq!(behind_one.iter().map(|host| *host.socket().ip()).collect::<HashSet<_>>().len(), 1);
        let in_order = (0..255).all(|host| HostAddress::in_prefix(9, host).index_in_prefix() == host)
            && (0..256).all(|port| HostAddress::shared(9, port).index_in_prefix() == port);
        assert!(in_order);
    }

    #[test]
    fn an_address_takes_four_bytes_and_is_decoded_as_it_was_encoded() {
        for address in [HostAddress::spread(5), HostAddress::shared(5, 6), HostAddress::private(0)] {
            let encoded = address.encode();
            assert_eq!(encoded.as_bytes().len(), 4);
            assert_eq!(HostAddress::decode(encoded.family, encoded.as_bytes()), Some(address));
        }
        assert_eq!(HostAddress::decode(32, &[0, 0, 0, 1]), None);
        assert_eq!(HostAddress::decode(32, &[240, 0, 0, 1]), None);
    }
}
