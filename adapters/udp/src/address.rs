//! The addresses that a UDP socket reaches.

use core::net::{SocketAddr, SocketAddrV4, SocketAddrV6};

use kadlet::Address;

/// An address of a machine's that is also a socket's: `SocketAddrV4`, `SocketAddrV6`, or `SocketAddr` for both.
pub trait IpAddress: Address {
    /// The socket's address as a machine's, in its canonical form; `None` if it is of a family that the machine lacks.
    fn from_socket(address: SocketAddr) -> Option<Self>;

    /// The machine's address as a socket's.
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
