//! Receives and sends batches with Linux's system calls: up to 32 datagrams in one call. Reads ICMP errors for each
//! peer.

use core::net::{SocketAddr, SocketAddrV4, SocketAddrV6};
use std::io::{self, IoSlice, IoSliceMut};
use std::net::UdpSocket;
use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg, recvmsg, sendmmsg, setsockopt, sockopt};

use crate::buffers::{BATCH, Inbox, Outbox};

/// The most entries of the error queue read in one call of [`refusals`].
const REFUSALS: usize = 64;

/// Asks the system to keep ICMP errors in the socket's error queue, each with the address that it is about.
pub(crate) fn keep_refusals(socket: &UdpSocket) {
    // A dual-stack socket needs the option of each family. Where setting one fails, that family has nothing to report.
    let _ = setsockopt(socket, sockopt::Ipv4RecvErr, &true);
    let _ = setsockopt(socket, sockopt::Ipv6RecvErr, &true);
}

/// Receives up to one batch. Returns the number of datagrams, and whether more may wait.
pub(crate) fn receive(socket: &UdpSocket, inbox: &mut Inbox) -> io::Result<(usize, bool)> {
    // Allocated for each call, which takes 80 ns: nix's type isn't `Send`, and a driver must be.
    let mut headers = MultiHeaders::<SockaddrStorage>::preallocate(BATCH, None);
    let mut slices = inbox.bytes.each_mut().map(|bytes| [IoSliceMut::new(bytes)]);
    let received = recvmmsg(socket.as_raw_fd(), &mut headers, slices.iter_mut(), MsgFlags::empty(), None)?;
    let mut count = 0;
    for (head, message) in inbox.heads.iter_mut().zip(received) {
        // A datagram without a sender's IP address gets a length of zero, which no valid message has.
        *head = message.address.as_ref().and_then(socket_address).map_or((0, head.1), |from| (message.bytes, from));
        count += 1;
    }
    Ok((count, count == BATCH))
}

/// Sends the datagrams from index `first` on. Returns how many the system took, at least one. An error is about the
/// first.
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

/// Reads the socket's error queue, and calls `each` with every address that could not be reached. Returns how many
/// entries it read.
pub(crate) fn refusals(socket: &UdpSocket, mut each: impl FnMut(SocketAddr)) -> usize {
    for taken in 0..REFUSALS {
        // The address is the refused datagram's destination; its content isn't needed.
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

/// Whether the error means that the send buffer or the link's queue is full.
pub(crate) fn is_full(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock || error.raw_os_error() == Some(Errno::ENOBUFS as i32)
}

fn socket_address(address: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = || Some(SocketAddrV4::from(*address.as_sockaddr_in()?).into());
    let v6 = || Some(SocketAddrV6::from(*address.as_sockaddr_in6()?).into());
    v4().or_else(v6)
}
