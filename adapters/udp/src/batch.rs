//! Batches in and out by the system calls of Linux: one call for up to 32 datagrams, and what ICMP said of each peer.

use core::net::{SocketAddr, SocketAddrV4, SocketAddrV6};
use std::io::{self, IoSlice, IoSliceMut};
use std::net::UdpSocket;
use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg, recvmsg, sendmmsg, setsockopt, sockopt};

use crate::buffers::{BATCH, Inbox, Outbox};

/// Refusals read at once.
const REFUSALS: usize = 64;

/// Asks the system to keep what ICMP reports in the socket's error queue, each with the address that it is about.
pub(crate) fn keep_refusals(socket: &UdpSocket) {
    // On a socket for both, each family has its own. Where one is refused there is nothing to report.
    let _ = setsockopt(socket, sockopt::Ipv4RecvErr, &true);
    let _ = setsockopt(socket, sockopt::Ipv6RecvErr, &true);
}

/// Receives up to a batch, and says how many, and whether more may wait.
pub(crate) fn receive(socket: &UdpSocket, inbox: &mut Inbox) -> io::Result<(usize, bool)> {
    // Made anew each time, in 80 ns: nix's can't be sent to another thread, which a driver must be.
    let mut headers = MultiHeaders::<SockaddrStorage>::preallocate(BATCH, None);
    let mut slices = inbox.bytes.each_mut().map(|bytes| [IoSliceMut::new(bytes)]);
    let received = recvmmsg(socket.as_raw_fd(), &mut headers, slices.iter_mut(), MsgFlags::empty(), None)?;
    let mut count = 0;
    for (head, message) in inbox.heads.iter_mut().zip(received) {
        // What has no address that could be answered is left with a length of zero, which no message has.
        *head = message.address.as_ref().and_then(socket_address).map_or((0, head.1), |from| (message.bytes, from));
        count += 1;
    }
    Ok((count, count == BATCH))
}

/// Sends the datagrams from `first` on, and says how many were taken: at least one. The error is the first one's.
pub(crate) fn send(socket: &UdpSocket, outbox: &Outbox, first: usize) -> io::Result<usize> {
    let mut datagrams = outbox.datagrams(first);
    let mut slices = [[IoSlice::new(&[])]; BATCH];
    let mut addresses: [Option<SockaddrStorage>; BATCH] = [None; BATCH];
    let mut count = 0;
    for ((slice, address), (bytes, to)) in slices.iter_mut().zip(&mut addresses).zip(&mut datagrams) {
        *slice = [IoSlice::new(bytes)];
        *address = Some(to.into());
        count += 1;
    }
    let mut headers = MultiHeaders::<SockaddrStorage>::preallocate(count, None);
    Ok(sendmmsg(socket.as_raw_fd(), &mut headers, &slices, addresses.as_slice(), [], MsgFlags::empty())?.count())
}

/// Takes refusals out of the socket's error queue: `each` is told who could not be reached. Says how many there were.
pub(crate) fn refusals(socket: &UdpSocket, mut each: impl FnMut(SocketAddr)) -> usize {
    for taken in 0..REFUSALS {
        // The address is where the refused datagram went; the datagram itself isn't needed.
        let refused = recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut [], None, MsgFlags::MSG_ERRQUEUE);
        let Ok(refused) = refused else {
            return taken;
        };
        if let Some(to) = refused.address.as_ref().and_then(socket_address) {
            each(to);
        }
    }
    REFUSALS
}

/// Whether the error says that there is no room to send, now.
pub(crate) fn is_full(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock || error.raw_os_error() == Some(Errno::ENOBUFS as i32)
}

fn socket_address(address: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = || Some(SocketAddrV4::from(*address.as_sockaddr_in()?).into());
    let v6 = || Some(SocketAddrV6::from(*address.as_sockaddr_in6()?).into());
    v4().or_else(v6)
}
