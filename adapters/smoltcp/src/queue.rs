//! A socket's transmit buffer, as far as it can be seen from outside.

use kadlet::Instant;
use smoltcp::iface::{SocketHandle, SocketSet};
use smoltcp::socket::udp::{SendError, Socket, UdpMetadata};

use crate::PATIENCE;

/// How many bytes were in a socket's transmit buffer when it was last looked at, and since when none has left.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Queue {
    pub(crate) handle: SocketHandle,
    bytes: usize,
    since: Instant,
}

/// What became of a queue since it was looked at before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// Its first datagram left, at least.
    Moved,
    /// Nothing left, or there was nothing.
    Still,
    /// Nothing left for [`PATIENCE`].
    Stuck,
}

impl Queue {
    pub(crate) const fn new(handle: SocketHandle) -> Self {
        Self { handle, bytes: 0, since: Instant::ZERO }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Sees what has left.
    pub(crate) fn look(&mut self, now: Instant, sockets: &SocketSet<'_>) -> Seen {
        let bytes = sockets.get::<Socket<'_>>(self.handle).send_queue();
        if bytes < self.bytes {
            (self.bytes, self.since) = (bytes, now);
            return Seen::Moved;
        }
        match self.deadline() {
            Some(deadline) if deadline <= now => Seen::Stuck,
            _ => Seen::Still,
        }
    }

    pub(crate) fn send(
        &mut self,
        now: Instant,
        sockets: &mut SocketSet<'_>,
        datagram: &[u8],
        meta: UdpMetadata,
    ) -> Result<(), SendError> {
        let socket = sockets.get_mut::<Socket<'_>>(self.handle);
        socket.send_slice(datagram, meta)?;
        if self.is_empty() {
            self.since = now;
        }
        self.bytes = socket.send_queue();
        Ok(())
    }

    /// When it is given up unless something leaves before.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        (!self.is_empty()).then(|| self.since + PATIENCE)
    }

    /// Forgets what is in it: smoltcp has no other way than to close the socket, which forgets what was received too. Says how
    /// many datagrams those were.
    pub(crate) fn empty(&mut self, sockets: &mut SocketSet<'_>) -> u32 {
        let socket = sockets.get_mut::<Socket<'_>>(self.handle);
        let mut received = 0;
        while socket.recv().is_ok() {
            received += 1;
        }
        let endpoint = socket.endpoint();
        socket.close();
        // It was bound there before; a port that is not zero and a closed socket are all that is asked.
        let _ = socket.bind(endpoint);
        self.bytes = 0;
        received
    }
}
