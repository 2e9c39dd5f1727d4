//! Addresses, at which nodes are reached: IPv4, IPv6, both, or the address type of your own link.
//!
//! Nodes that have only IPv4 and nodes that have only IPv6 don't share all records, even if others have both: which
//! nodes are responsible for a key depends on which can be reached. Section 10.10 of `core/SPEC.md` says more.
//!
//! ```
//! use core::net::SocketAddr;
//! use kadlet::Address;
//!
//! let mapped: SocketAddr = "[::ffff:192.0.2.7]:4000".parse()?;
//! let peer = mapped.canonical();
//! assert_eq!(peer, "192.0.2.7:4000".parse()?);
//! assert_eq!(SocketAddr::decode(4, peer.encode().as_bytes()), Some(peer));
//! # Ok::<(), core::net::AddrParseError>(())
//! ```

use core::fmt::{self, Debug};
use core::hash::Hash;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use core::num::NonZeroU64;

/// The most bytes that an address can take in a message.
pub const MAX_ADDRESS: usize = 18;

/// An address that datagrams can be sent to.
///
/// Implemented for `SocketAddrV4`, `SocketAddrV6` and `SocketAddr` (both families), which are the types of `std::net`,
/// and for `u16` and `u32` (an index, as in a simulator). Implement it for your own link (a MAC address, for example)
/// with a family from 128 to 255.
pub trait Address: Copy + Eq + Hash + Debug + Send + Sync + 'static {
    /// No address. All zeros, so that empty tables lie in `.bss`.
    const EMPTY: Self;

    /// Encodes the address for a message.
    fn encode(&self) -> EncodedAddress;

    /// Decodes an address that arrived in a message. `None` if this type lacks the family, if the bytes are not in
    /// their one canonical form, or if no datagram can be sent to the address (unspecified, multicast, broadcast, port
    /// 0).
    fn decode(family: u8, bytes: &[u8]) -> Option<Self>;

    /// The canonical form of the address. An IPv4-mapped IPv6 address becomes an IPv4 address, and flow label and scope
    /// id become 0, so that one node doesn't count as two. Only a link-local address keeps its scope id: without it,
    /// nothing can be sent there.
    #[must_use]
    fn canonical(self) -> Self {
        self
    }

    /// The address, as a node at `namer` means it when it names it: a link-local IPv6 address is on the link over which
    /// that node is reached, so it has the scope id of `namer`.
    #[must_use]
    fn on_link_of(self, namer: Self) -> Self {
        let _ = namer;
        self
    }

    /// The address of the host alone, without what distinguishes its programs: for IP addresses, with port 0.
    #[must_use]
    fn without_port(self) -> Self {
        self
    }

    /// The network prefix of the address, for limits on one network and for [bound identifiers](crate::Id::bound): the
    /// /24 of a global IPv4 address, the /48 of a global IPv6 address. `None`, as for private and loopback addresses,
    /// exempts the address from both.
    fn prefix(&self) -> Option<Prefix> {
        None
    }

    /// The scope in which the address is valid.
    fn scope(&self) -> Scope {
        Scope::Global
    }
}

/// A network prefix, as a number: the same number for all addresses with the same prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix(NonZeroU64);

impl Prefix {
    /// The prefix with this number. `None` if it is 0.
    #[must_use]
    pub fn new(number: u64) -> Option<Self> {
        NonZeroU64::new(number).map(Self)
    }

    /// The number of the prefix.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0.get()
    }
}

/// The scope in which an address is valid. Narrower scopes are less.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// One machine.
    Loopback,
    /// One link or one private network (RFC 1918, RFC 4193, RFC 6598, link-local).
    Private,
    /// Everywhere.
    Global,
}

/// An address as it is in a message: a family tag and up to [`MAX_ADDRESS`] bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncodedAddress {
    /// The family: 4 for IPv4, 6 for IPv6, 16 for `u16`, 32 for `u32`, 128 to 255 for other links.
    pub family: u8,
    pub(crate) len: u8,
    bytes: [u8; MAX_ADDRESS],
}

impl EncodedAddress {
    /// No address of any family: family 0, and no bytes.
    pub const NONE: Self = Self { family: 0, len: 0, bytes: [0; MAX_ADDRESS] };

    /// An address of `family` with these bytes. Bytes after the first [`MAX_ADDRESS`] are ignored.
    #[must_use]
    pub fn new(family: u8, bytes: &[u8]) -> Self {
        let mut encoded = Self { family, len: bytes.len().min(MAX_ADDRESS) as u8, bytes: [0; MAX_ADDRESS] };
        encoded.bytes.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        encoded
    }

    /// The same for a number of bytes known at compile time: every contact named in a response is encoded by this.
    #[inline]
    fn of<const N: usize>(family: u8, from: [u8; N]) -> Self {
        const { assert!(N <= MAX_ADDRESS) };
        let mut bytes = [0; MAX_ADDRESS];
        if let Some(to) = bytes.first_chunk_mut() {
            *to = from;
        }
        Self { family, len: N as u8, bytes }
    }

    /// The bytes of the address.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or(&[])
    }
}

impl Address for SocketAddrV4 {
    const EMPTY: Self = Self::new(Ipv4Addr::UNSPECIFIED, 0);

    fn encode(&self) -> EncodedAddress {
        let ([a, b, c, d], [high, low]) = (self.ip().octets(), self.port().to_be_bytes());
        EncodedAddress::of(4, [a, b, c, d, high, low])
    }

    fn decode(family: u8, bytes: &[u8]) -> Option<Self> {
        let (4, [a, b, c, d, high, low]) = (family, bytes) else {
            return None;
        };
        let (ip, port) = (Ipv4Addr::new(*a, *b, *c, *d), u16::from_be_bytes([*high, *low]));
        let reachable = port != 0 && *a != 0 && !ip.is_multicast() && *a < 240;
        reachable.then(|| Self::new(ip, port))
    }

    fn without_port(self) -> Self {
        Self::new(*self.ip(), 0)
    }

    fn prefix(&self) -> Option<Prefix> {
        let [a, b, c, _] = self.ip().octets();
        Prefix::new(u64::from(u32::from_be_bytes([4, a, b, c]))).filter(|_| self.scope() == Scope::Global)
    }

    fn scope(&self) -> Scope {
        let ip = self.ip();
        let [a, b, ..] = ip.octets();
        if ip.is_loopback() {
            Scope::Loopback
        } else if ip.is_private() || ip.is_link_local() || (a == 100 && b & 0xC0 == 64) {
            Scope::Private
        } else {
            Scope::Global
        }
    }
}

impl Address for SocketAddrV6 {
    const EMPTY: Self = Self::new(Ipv6Addr::UNSPECIFIED, 0, 0, 0);

    fn encode(&self) -> EncodedAddress {
        let mut bytes = [0; 18];
        bytes[..16].copy_from_slice(&self.ip().octets());
        bytes[16..].copy_from_slice(&self.port().to_be_bytes());
        EncodedAddress::of(6, bytes)
    }

    fn decode(family: u8, bytes: &[u8]) -> Option<Self> {
        let (ip, port) = bytes.split_first_chunk::<16>()?;
        let port = u16::from_be_bytes(port.try_into().ok()?);
        let ip = Ipv6Addr::from(*ip);
        let reachable =
            family == 6 && port != 0 && !ip.is_unspecified() && !ip.is_multicast() && ip.to_ipv4_mapped().is_none();
        reachable.then(|| Self::new(ip, port, 0, 0))
    }

    fn canonical(self) -> Self {
        let scope = if self.ip().is_unicast_link_local() { self.scope_id() } else { 0 };
        Self::new(*self.ip(), self.port(), 0, scope)
    }

    fn on_link_of(self, namer: Self) -> Self {
        Self::new(*self.ip(), self.port(), 0, namer.scope_id()).canonical()
    }

    fn without_port(self) -> Self {
        Self::new(*self.ip(), 0, 0, 0)
    }

    fn prefix(&self) -> Option<Prefix> {
        let [a, b, c, ..] = self.ip().segments();
        let prefix = u64::from(a) << 32 | u64::from(b) << 16 | u64::from(c);
        Prefix::new(6 << 56 | prefix).filter(|_| self.scope() == Scope::Global)
    }

    fn scope(&self) -> Scope {
        let ip = self.ip();
        if ip.is_loopback() {
            Scope::Loopback
        } else if ip.is_unique_local() || ip.is_unicast_link_local() {
            Scope::Private
        } else {
            Scope::Global
        }
    }
}

impl Address for SocketAddr {
    const EMPTY: Self = Self::V4(SocketAddrV4::EMPTY);

    fn encode(&self) -> EncodedAddress {
        match self {
            Self::V4(v4) => v4.encode(),
            Self::V6(v6) => v6.encode(),
        }
    }

    fn decode(family: u8, bytes: &[u8]) -> Option<Self> {
        match family {
            4 => SocketAddrV4::decode(family, bytes).map(Self::V4),
            _ => SocketAddrV6::decode(family, bytes).map(Self::V6),
        }
    }

    fn canonical(self) -> Self {
        match self.ip().to_canonical() {
            IpAddr::V4(ip) => Self::V4(SocketAddrV4::new(ip, self.port())),
            IpAddr::V6(ip) => {
                let scope = if let Self::V6(v6) = self { v6.scope_id() } else { 0 };
                Self::V6(SocketAddrV6::new(ip, self.port(), 0, scope).canonical())
            }
        }
    }

    fn on_link_of(self, namer: Self) -> Self {
        match (self, namer) {
            (Self::V6(v6), Self::V6(namer)) => Self::V6(v6.on_link_of(namer)),
            _ => self,
        }
    }

    fn without_port(self) -> Self {
        match self {
            Self::V4(v4) => Self::V4(v4.without_port()),
            Self::V6(v6) => Self::V6(v6.without_port()),
        }
    }

    fn prefix(&self) -> Option<Prefix> {
        match self {
            Self::V4(v4) => v4.prefix(),
            Self::V6(v6) => v6.prefix(),
        }
    }

    fn scope(&self) -> Scope {
        match self {
            Self::V4(v4) => v4.scope(),
            Self::V6(v6) => v6.scope(),
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Loopback => "loopback",
            Self::Private => "private",
            Self::Global => "global",
        })
    }
}

macro_rules! integer_address {
    ($integer:ty, $family:literal) => {
        impl Address for $integer {
            const EMPTY: Self = 0;

            fn encode(&self) -> EncodedAddress {
                EncodedAddress::of($family, self.to_be_bytes())
            }

            fn decode(family: u8, bytes: &[u8]) -> Option<Self> {
                (family == $family).then_some(Self::from_be_bytes(bytes.try_into().ok()?))
            }
        }
    };
}
integer_address!(u16, 16);
integer_address!(u32, 32);

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded_and_decoded(address: SocketAddr) -> Option<SocketAddr> {
        let encoded = address.encode();
        SocketAddr::decode(encoded.family, encoded.as_bytes())
    }

    #[test]
    fn an_address_is_decoded_as_it_was_encoded() {
        for text in ["192.0.2.7:4000", "[2001:db8::7]:4000", "127.0.0.1:1"] {
            let address: SocketAddr = text.parse().unwrap();
            assert_eq!(encoded_and_decoded(address), Some(address));
        }
        assert_eq!(u32::decode(32, 7_u32.encode().as_bytes()), Some(7));
        assert_eq!(u16::decode(32, 7_u16.encode().as_bytes()), None);
    }

    #[test]
    fn an_address_that_no_datagram_can_be_sent_to_is_not_decoded() {
        for text in
            ["0.0.0.0:1", "224.0.0.1:1", "255.255.255.255:1", "192.0.2.7:0", "[::]:1", "[ff02::1]:1", "[2001:db8::7]:0"]
        {
            assert_eq!(encoded_and_decoded(text.parse().unwrap()), None, "{text}");
        }
    }

    #[test]
    fn one_node_has_one_canonical_address() {
        let plain: SocketAddr = "192.0.2.7:4000".parse().unwrap();
        let mapped: SocketAddr = "[::ffff:192.0.2.7]:4000".parse().unwrap();
        assert_eq!(mapped.canonical(), plain);
        assert_eq!(encoded_and_decoded(mapped), None, "only the canonical form is decoded");
        let v6 = |ip: &str, flow, scope| SocketAddr::V6(SocketAddrV6::new(ip.parse().unwrap(), 1, flow, scope));
        assert_eq!(v6("2001:db8::1", 2, 3).canonical(), v6("2001:db8::1", 0, 0));
    }

    #[test]
    fn a_link_local_address_keeps_its_scope_id_and_is_named_on_the_link_of_the_namer() {
        let v6 = |ip: &str, flow, scope| SocketAddr::V6(SocketAddrV6::new(ip.parse().unwrap(), 1, flow, scope));
        assert_eq!(v6("fe80::1", 2, 3).canonical(), v6("fe80::1", 0, 3));
        let named = encoded_and_decoded(v6("fe80::1", 0, 3)).unwrap();
        assert_eq!(named, v6("fe80::1", 0, 0), "a message has no scope ids");
        assert_eq!(named.on_link_of(v6("fe80::2", 0, 3)), v6("fe80::1", 0, 3));
        assert_eq!(named.on_link_of(v6("2001:db8::2", 0, 0)), named);
        assert_eq!(v6("2001:db8::1", 0, 0).on_link_of(v6("fe80::2", 0, 3)), v6("2001:db8::1", 0, 0));
    }

    #[test]
    fn a_prefix_is_a_24_of_ipv4_or_a_48_of_ipv6_and_local_addresses_have_none() {
        let prefix = |text: &str| text.parse::<SocketAddr>().unwrap().prefix();
        assert_eq!(prefix("192.0.2.7:1"), prefix("192.0.2.200:9"));
        assert_ne!(prefix("192.0.2.7:1"), prefix("192.0.3.7:1"));
        assert_eq!(prefix("[2001:db8:1:2::1]:1"), prefix("[2001:db8:1:3::1]:1"));
        assert_ne!(prefix("[2001:db8:1::1]:1"), prefix("[2001:db8:2::1]:1"));
        for text in
            ["10.1.2.3:1", "127.0.0.1:1", "100.64.0.1:1", "169.254.1.1:1", "[::1]:1", "[fd00::1]:1", "[fe80::1]:1"]
        {
            assert_eq!(prefix(text), None, "{text}");
        }
    }
}
