//! The socket of `batch.rs` for systems other than Linux, by quinn-udp: most of them take one system call for each
//! datagram.

use core::net::SocketAddr;
use std::io::{self, IoSliceMut};
use std::net::UdpSocket;

use quinn_udp::{RecvMeta, Transmit, UdpSocketState};

use crate::buffers::{BATCH, Inbox, Outbox, Route};

#[derive(Debug)]
pub(crate) struct Socket {
    socket: UdpSocket,
    state: UdpSocketState,
    /// Whether the socket is bound to all of the host's addresses.
    has_all: bool,
}

impl Socket {
    /// Takes a socket that is bound to `local`.
    pub(crate) fn new(socket: UdpSocket, local: SocketAddr) -> io::Result<Self> {
        let state = UdpSocketState::new((&socket).into())?;
        Ok(Self { socket, state, has_all: local.ip().is_unspecified() })
    }

    pub(crate) const fn get(&self) -> &UdpSocket {
        &self.socket
    }

    pub(crate) fn into_inner(self) -> UdpSocket {
        self.socket
    }

    /// Receives up to one batch. Returns the number of datagrams, and whether more may wait.
    pub(crate) fn receive(&self, inbox: &mut Inbox) -> io::Result<(usize, bool)> {
        let mut slices = inbox.bytes.each_mut().map(|bytes| IoSliceMut::new(bytes));
        let mut received = [RecvMeta::default(); BATCH];
        let (mut count, mut more) = (0, true);
        while let (Some(slices @ [_, ..]), Some(received)) = (slices.get_mut(count..), received.get_mut(count..)) {
            match self.state.recv((&self.socket).into(), slices, received) {
                Ok(datagrams) => count += datagrams,
                Err(error) if count == 0 => return Err(error),
                // Any other error may be about an earlier datagram.
                Err(error) => {
                    more = error.kind() != io::ErrorKind::WouldBlock;
                    break;
                }
            }
        }
        for (head, RecvMeta { addr, len, dst_ip, .. }) in inbox.heads.iter_mut().zip(received).take(count) {
            *head = (len, Route::between(addr, dst_ip.filter(|_| self.has_all)));
        }
        Ok((count, more))
    }

    /// Sends the datagrams from index `first` on that leave from the same address. Returns how many the system took, at
    /// least one. An error is about the first.
    pub(crate) fn send(&self, outbox: &Outbox, first: usize) -> io::Result<usize> {
        let src_ip = outbox.route(first).and_then(|route| route.local);
        let mut count = 0;
        for (contents, destination) in outbox.datagrams(first) {
            let datagram = Transmit { destination, ecn: None, contents, segment_size: None, src_ip };
            match self.state.try_send((&self.socket).into(), &datagram) {
                Ok(()) => count += 1,
                Err(error) if count == 0 => return Err(error),
                Err(_) => break,
            }
        }
        Ok(count)
    }

    /// Returns 0: most of these systems report a refusal as the error of the next call, and don't say which peer it is
    /// about.
    pub(crate) fn refusals(&self, _: impl FnMut(SocketAddr)) -> usize {
        0
    }
}

/// Whether the error means that the send buffer or the link's queue is full.
pub(crate) fn is_full(error: &io::Error) -> bool {
    // 55 is ENOBUFS on the BSDs and macOS, 10055 is WSAENOBUFS on Windows.
    error.kind() == io::ErrorKind::WouldBlock || matches!(error.raw_os_error(), Some(55 | 10_055))
}

#[cfg(test)]
mod tests {
    use core::net::Ipv4Addr;

    use super::*;
    use crate::buffers::Buffers;

    fn bind(address: Ipv4Addr) -> Socket {
        let socket = UdpSocket::bind((address, 0)).unwrap();
        let local = socket.local_addr().unwrap();
        Socket::new(socket, local).unwrap()
    }

    #[test]
    fn a_batch_is_sent_and_received() {
        let (here, there, mut buffers) = (bind(Ipv4Addr::LOCALHOST), bind(Ipv4Addr::LOCALHOST), Buffers::new());
        assert!(is_full(&there.receive(&mut buffers.inbox).unwrap_err()));

        let to = there.get().local_addr().unwrap();
        while let Some(room) = buffers.outbox.free() {
            room[..2].copy_from_slice(b"hi");
            buffers.outbox.push(2, Route::to(to));
        }
        assert_eq!(here.send(&buffers.outbox, 0).unwrap(), BATCH);
        assert_eq!(here.send(&buffers.outbox, BATCH - 2).unwrap(), 2);
        assert_eq!(there.receive(&mut buffers.inbox).unwrap(), (BATCH, true));
        assert_eq!(there.receive(&mut buffers.inbox).unwrap(), (2, false));
        let from = Route::to(here.into_inner().local_addr().unwrap());
        assert_eq!(buffers.inbox.datagrams(2).collect::<Vec<_>>(), [(from, b"hi".as_slice()); 2]);
        assert_eq!(there.refusals(|_| {}), 0);
    }

    /// On Linux a host has all addresses of 127.0.0.0/8.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_response_leaves_from_the_address_that_was_asked() {
        let (server, client, mut buffers) = (bind(Ipv4Addr::UNSPECIFIED), bind(Ipv4Addr::LOCALHOST), Buffers::new());
        let server_at = |last| (Ipv4Addr::new(127, 0, 0, last), server.get().local_addr().unwrap().port()).into();
        buffers.outbox.push(2, Route::to(server_at(2)));
        assert_eq!(client.send(&buffers.outbox, 0).unwrap(), 1);
        assert_eq!(server.receive(&mut buffers.inbox).unwrap(), (1, false));
        let (route, _) = buffers.inbox.datagrams(1).next().unwrap();
        assert_eq!(route.local, Some(Ipv4Addr::new(127, 0, 0, 2).into()));
        buffers.outbox.clear();
        buffers.outbox.push(2, route);
        assert_eq!(server.send(&buffers.outbox, 0).unwrap(), 1);
        assert_eq!(client.receive(&mut buffers.inbox).unwrap(), (1, false));
        assert_eq!(buffers.inbox.datagrams(1).next().unwrap().0, Route::to(server_at(2)));
    }
}
