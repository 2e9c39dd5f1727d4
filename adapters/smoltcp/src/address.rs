//! The addresses that smoltcp's UDP sockets reach.

use core::net::{SocketAddr, SocketAddrV4, SocketAddrV6};

use kadlet::Address;
use smoltcp::wire::{IpAddress, IpEndpoint};

/// An address of a machine's that is also a socket's: `SocketAddrV4`, `SocketAddrV6`, or `SocketAddr` for both.
///
/// smoltcp must have the family (`proto-ipv4`, `proto-ipv6`), and so should the interface: what it has no route for holds up the
/// queue as an unknown neighbour does (see [`Driver`](crate::Driver)).
pub trait Endpoint: Address {
    /// The socket's address as a machine's, in its canonical form; `None` if it is of a family that the machine lacks.
    fn from_endpoint(endpoint: IpEndpoint) -> Option<Self>;

    /// The machine's address as a socket's; `None` if it is of a family that smoltcp was built without.
    fn to_endpoint(self) -> Option<IpEndpoint>;
}

impl Endpoint for SocketAddr {
    fn from_endpoint(endpoint: IpEndpoint) -> Option<Self> {
        Some(Self::new(endpoint.addr.into(), endpoint.port).canonical())
    }

    fn to_endpoint(self) -> Option<IpEndpoint> {
        let addr = match self.canonical() {
            #[cfg(feature = "proto-ipv4")]
            Self::V4(address) => IpAddress::Ipv4(*address.ip()),
            #[cfg(feature = "proto-ipv6")]
            Self::V6(address) => IpAddress::Ipv6(*address.ip()),
            #[allow(unreachable_patterns, reason = "with both families there is no other")]
            _ => return None,
        };
        Some(IpEndpoint::new(addr, self.port()))
    }
}

impl Endpoint for SocketAddrV4 {
    fn from_endpoint(endpoint: IpEndpoint) -> Option<Self> {
        match SocketAddr::from_endpoint(endpoint)? {
            SocketAddr::V4(address) => Some(address),
            SocketAddr::V6(_) => None,
        }
    }

    fn to_endpoint(self) -> Option<IpEndpoint> {
        SocketAddr::V4(self).to_endpoint()
    }
}

impl Endpoint for SocketAddrV6 {
    fn from_endpoint(endpoint: IpEndpoint) -> Option<Self> {
        match SocketAddr::from_endpoint(endpoint)? {
            SocketAddr::V4(_) => None,
            SocketAddr::V6(address) => Some(address),
        }
    }

    fn to_endpoint(self) -> Option<IpEndpoint> {
        SocketAddr::V6(self).to_endpoint()
    }
}
