//! A socket that receives and sends batches with Linux's system calls: up to 32 datagrams in one call. It reads ICMP
//! errors for each peer.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::io::{self, IoSlice, IoSliceMut};
use std::net::UdpSocket;
use std::os::fd::AsRawFd;

use nix::cmsg_space;
use nix::errno::Errno;
use nix::libc::{in_addr, in_pktinfo, in6_addr, in6_pktinfo};
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, MultiHeaders, RecvMsg, SockaddrStorage, recvmmsg, recvmsg, sendmmsg,
    setsockopt, sockopt,
};

use crate::buffers::{BATCH, Inbox, Outbox, Route};

/// The most entries of the error queue read in one call of [`refusals`](Socket::refusals).
const REFUSALS: usize = 64;

/// A socket, and whether the system tells of each datagram which of the host's addresses it came to.
#[derive(Debug)]
pub(crate) struct Socket {
    socket: UdpSocket,
    destinations: Option<Family>,
}

/// The family of a socket that is bound to all of the host's addresses.
#[derive(Clone, Copy, Debug)]
enum Family {
    V4,
    /// IPv6, or both families.
    V6,
}

impl Socket {
    /// Takes a socket that is bound to `local`.
    pub(crate) fn new(socket: UdpSocket, local: SocketAddr) -> io::Result<Self> {
        // Keeps ICMP errors in the socket's error queue, each with the address that it is about. A dual-stack socket
        // needs the option of each family. Where setting one fails, that family has nothing to report.
        let _ = setsockopt(&socket, sockopt::Ipv4RecvErr, &true);
        let _ = setsockopt(&socket, sockopt::Ipv6RecvErr, &true);
        let destinations = match local.ip() {
            IpAddr::V4(Ipv4Addr::UNSPECIFIED) => {
                setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?;
                Some(Family::V4)
            }
            IpAddr::V6(Ipv6Addr::UNSPECIFIED) => {
                setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?;
                Some(Family::V6)
            }
            _ => None,
        };
        Ok(Self { socket, destinations })
    }

    pub(crate) const fn get(&self) -> &UdpSocket {
        &self.socket
    }

    pub(crate) fn into_inner(self) -> UdpSocket {
        self.socket
    }

    /// Receives up to one batch. Returns the number of datagrams, and whether more may wait.
    pub(crate) fn receive(&self, inbox: &mut Inbox) -> io::Result<(usize, bool)> {
        // Allocated for each call, which takes 80 ns: nix's type isn't `Send`, and a driver must be.
        let control = self.destinations.map(Family::control);
        let mut headers = MultiHeaders::<SockaddrStorage>::preallocate(BATCH, control);
        let mut slices = inbox.bytes.each_mut().map(|bytes| [IoSliceMut::new(bytes)]);
        let received = recvmmsg(self.socket.as_raw_fd(), &mut headers, slices.iter_mut(), MsgFlags::empty(), None)?;
        let mut count = 0;
        for (head, message) in inbox.heads.iter_mut().zip(received) {
            let local = self.destinations.and_then(|_| destination(&message));
            let route = message.address.as_ref().and_then(socket_address).map(|from| Route::between(from, local));
            // A datagram without a sender's IP address gets a length of zero, which no valid message has.
            *head = route.map_or((0, head.1), |route| (message.bytes, route));
            count += 1;
        }
        Ok((count, count == BATCH))
    }

    /// Sends the datagrams from index `first` on that leave from the same address. Returns how many the system took, at
    /// least one. An error is about the first.
    pub(crate) fn send(&self, outbox: &Outbox, first: usize) -> io::Result<usize> {
        let mut datagrams = outbox.datagrams(first);
        let mut slices = [[IoSlice::new(&[])]; BATCH];
        let mut addresses: [Option<SockaddrStorage>; BATCH] = [None; BATCH];
        let mut count = 0;
        for ((slice, address), (bytes, to)) in slices.iter_mut().zip(&mut addresses).zip(&mut datagrams) {
            *slice = [IoSlice::new(bytes)];
            *address = Some(to.into());
            count += 1;
        }
        let headers = |control| MultiHeaders::<SockaddrStorage>::preallocate(count, control);
        let (socket, flags, addresses) = (self.socket.as_raw_fd(), MsgFlags::empty(), addresses.as_slice());
        let sent = match outbox.route(first).and_then(|route| route.local) {
            None => sendmmsg(socket, &mut headers(None), &slices, addresses, [], flags)?.count(),
            Some(IpAddr::V4(local)) => {
                let (source, mut headers) = (v4_source(local), headers(Some(Family::V4.control())));
                let source = [ControlMessage::Ipv4PacketInfo(&source)];
                sendmmsg(socket, &mut headers, &slices, addresses, source, flags)?.count()
            }
            Some(IpAddr::V6(local)) => {
                let (source, mut headers) = (v6_source(local), headers(Some(Family::V6.control())));
                let source = [ControlMessage::Ipv6PacketInfo(&source)];
                sendmmsg(socket, &mut headers, &slices, addresses, source, flags)?.count()
            }
        };
        Ok(sent)
    }

    /// Reads the socket's error queue, and calls `each` with every address that could not be reached. Returns how many
    /// entries it read.
    pub(crate) fn refusals(&self, mut each: impl FnMut(SocketAddr)) -> usize {
        for taken in 0..REFUSALS {
            // The address is the refused datagram's destination; its content isn't needed.
            let refused = recvmsg::<SockaddrStorage>(self.socket.as_raw_fd(), &mut [], None, MsgFlags::MSG_ERRQUEUE);
            let Ok(refused) = refused else {
                return taken;
            };
            if let Some(to) = refused.address.as_ref().and_then(socket_address) {
                each(to);
            }
        }
        REFUSALS
    }
}

impl Family {
    /// Memory for the control message with an address of this family.
    fn control(self) -> Vec<u8> {
        match self {
            Self::V4 => cmsg_space!(in_pktinfo),
            Self::V6 => cmsg_space!(in6_pktinfo),
        }
    }
}

/// Whether the error means that the send buffer or the link's queue is full.
pub(crate) fn is_full(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock || error.raw_os_error() == Some(Errno::ENOBUFS as i32)
}

/// The host's own address that a datagram came to. That of a broadcast datagram is the one of its interface; an IPv6
/// socket shows an IPv4 address as an IPv4-mapped one.
fn destination(message: &RecvMsg<'_, '_, SockaddrStorage>) -> Option<IpAddr> {
    message.cmsgs().ok()?.find_map(|control| match control {
        ControlMessageOwned::Ipv4PacketInfo(info) => {
            Some(Ipv4Addr::from(info.ipi_spec_dst.s_addr.to_ne_bytes()).into())
        }
        ControlMessageOwned::Ipv6PacketInfo(info) => Some(Ipv6Addr::from(info.ipi6_addr.s6_addr).into()),
        _ => None,
    })
}

fn v4_source(local: Ipv4Addr) -> in_pktinfo {
    let address = in_addr { s_addr: u32::from_ne_bytes(local.octets()) };
    in_pktinfo { ipi_ifindex: 0, ipi_spec_dst: address, ipi_addr: in_addr { s_addr: 0 } }
}

fn v6_source(local: Ipv6Addr) -> in6_pktinfo {
    in6_pktinfo { ipi6_addr: in6_addr { s6_addr: local.octets() }, ipi6_ifindex: 0 }
}

fn socket_address(address: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = || Some(SocketAddrV4::from(*address.as_sockaddr_in()?).into());
    let v6 = || Some(SocketAddrV6::from(*address.as_sockaddr_in6()?).into());
    v4().or_else(v6)
}
