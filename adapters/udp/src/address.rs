//! The node addresses that a UDP socket can reach.

use core::net::{SocketAddr, SocketAddrV4, SocketAddrV6};

use kadlet::Address;

/// A node's address type that converts to and from a socket address: `SocketAddrV4`, `SocketAddrV6`, or `SocketAddr`
/// for both.
///
/// ```
/// use core::net::{SocketAddr, SocketAddrV4};
/// use kadlet_udp::IpAddress;
///
/// // A dual-stack socket shows an IPv4 peer by its IPv4-mapped IPv6 address.
/// let peer: SocketAddr = "[::ffff:192.0.2.7]:4000".parse()?;
/// assert_eq!(SocketAddrV4::from_socket(peer), Some("192.0.2.7:4000".parse()?));
/// assert_eq!(SocketAddrV4::from_socket("[2001:db8::7]:4000".parse()?), None);
/// # Ok::<(), core::net::AddrParseError>(())
/// ```
pub trait IpAddress: Address {
    /// Converts a socket address to its canonical form as a node's address; `None` if the node has no such address
    /// family.
    fn from_socket(address: SocketAddr) -> Option<Self>;

    /// Converts the node's address to a socket address.
    fn to_socket(self) -> SocketAddr;
}

impl IpAddress for SocketAddr {
    fn from_socket(address: SocketAddr) -> Option<Self> {
        Some(address.canonical())
    }

    fn to_socket(self) -> SocketAddr {
        self
    }
}

impl IpAddress for SocketAddrV4 {
    fn from_socket(address: SocketAddr) -> Option<Self> {
        match address.canonical() {
            SocketAddr::V4(address) => Some(address),
            SocketAddr::V6(_) => None,
        }
    }

    fn to_socket(self) -> SocketAddr {
        self.into()
    }
}

impl IpAddress for SocketAddrV6 {
    fn from_socket(address: SocketAddr) -> Option<Self> {
        match address.canonical() {
            SocketAddr::V4(_) => None,
            SocketAddr::V6(address) => Some(address),
        }
    }

    fn to_socket(self) -> SocketAddr {
        self.into()
    }
}
