//! The node addresses that smoltcp's UDP sockets can reach.

use core::net::{SocketAddr, SocketAddrV4, SocketAddrV6};

use kadlet::Address;
use smoltcp::wire::{IpAddress, IpEndpoint};

/// A node's address type that converts to and from smoltcp's endpoint: `SocketAddrV4`, `SocketAddrV6`, or `SocketAddr`
/// for both.
///
/// smoltcp must be built with the address family (`proto-ipv4`, `proto-ipv6`). The interface should have an address and
/// a route of that family: a datagram without a route holds up its queue like one to an [unknown
/// neighbour](crate#neighbours).
pub trait Endpoint: Address {
    /// Converts a socket's endpoint to the node's address, in its canonical form. `None` if the node's address type
    /// lacks the endpoint's family.
    fn from_endpoint(endpoint: IpEndpoint) -> Option<Self>;

    /// Converts the node's address to a socket's endpoint. `None` if smoltcp was built without the address's family.
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
            #[allow(unreachable_patterns, reason = "with both features the arms above match every address")]
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
