//! The functions of `batch.rs` with std alone, one system call for each datagram: for systems other than Linux.

use core::net::SocketAddr;
use std::io;
use std::net::UdpSocket;

use crate::buffers::{Inbox, Outbox};

/// Does nothing: most systems report a refusal as the error of the next call, and don't say which peer it is about.
pub(crate) fn keep_refusals(_: &UdpSocket) {}

/// Receives up to one batch. Returns the number of datagrams, and whether more may wait.
pub(crate) fn receive(socket: &UdpSocket, inbox: &mut Inbox) -> io::Result<(usize, bool)> {
    let mut count = 0;
    while let (Some(head), Some(bytes)) = (inbox.heads.get_mut(count), inbox.bytes.get_mut(count)) {
        match socket.recv_from(bytes) {
            Ok(received) => *head = received,
            Err(error) if count == 0 => return Err(error),
            Err(error) => return Ok((count, error.kind() != io::ErrorKind::WouldBlock)),
        }
        count += 1;
    }
    Ok((count, true))
}

/// Sends the datagrams from index `first` on. Returns how many the system took, at least one. An error is about the
/// first.
pub(crate) fn send(socket: &UdpSocket, outbox: &Outbox, first: usize) -> io::Result<usize> {
    let mut count = 0;
    for (bytes, to) in outbox.datagrams(first) {
        match socket.send_to(bytes, to) {
            Ok(_) => count += 1,
            Err(error) if count == 0 => return Err(error),
            Err(_) => break,
        }
    }
    Ok(count)
}

/// Returns 0: these systems have no error queue.
pub(crate) fn refusals(_: &UdpSocket, _: impl FnMut(SocketAddr)) -> usize {
    0
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
    use crate::Buffers;
    use crate::buffers::BATCH;

    #[test]
    fn a_batch_is_sent_and_received_one_datagram_at_a_time() {
        let bind = || UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let (here, there, mut buffers) = (bind(), bind(), Buffers::new());
        there.set_nonblocking(true).unwrap();
        keep_refusals(&there);
        assert!(is_full(&receive(&there, &mut buffers.inbox).unwrap_err()));

        let to = there.local_addr().unwrap();
        while let Some(room) = buffers.outbox.free() {
            room[..2].copy_from_slice(b"hi");
            buffers.outbox.push(2, to);
        }
        assert_eq!(send(&here, &buffers.outbox, 0).unwrap(), BATCH);
        assert_eq!(send(&here, &buffers.outbox, BATCH - 2).unwrap(), 2);
        assert_eq!(receive(&there, &mut buffers.inbox).unwrap(), (BATCH, true));
        assert_eq!(receive(&there, &mut buffers.inbox).unwrap(), (2, false));
        let from = here.local_addr().unwrap();
        assert_eq!(buffers.inbox.datagrams(2).collect::<Vec<_>>(), [(from, b"hi".as_slice()); 2]);
        assert_eq!(refusals(&there, |_| {}), 0);
    }
}
