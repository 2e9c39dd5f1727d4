//! A socket's transmit queue, and whether datagrams leave it. smoltcp shows only how many bytes are in it.

use core::time::Duration;

use kadlet::Instant;
use smoltcp::iface::{SocketHandle, SocketSet};
use smoltcp::socket::udp::{SendError, Socket, UdpMetadata};

/// After this time without a datagram that leaves it, the responses' queue is waited for no more: 1.1 s.
///
/// By then smoltcp has searched twice for a neighbour. One that is there has mostly responded to the first search.
pub const STALL: Duration = Duration::from_millis(1_100);

/// A transmit queue that no datagram has left for this long is emptied: 2.9 s.
///
/// smoltcp searches for an unknown neighbour once a second and keeps the socket silent in between. After 2.9 s it has
/// searched three times, and the silence after the third search ends 0.1 s later. With a little more than 3 s, a fourth
/// search would have begun, and the emptied queue would stay silent for almost another second.
pub const PATIENCE: Duration = Duration::from_millis(2_900);

/// A socket's transmit queue: the bytes in it at the last look, and the time since when no datagram has left.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Queue {
    pub(crate) handle: SocketHandle,
    bytes: usize,
    since: Instant,
    is_stalled: bool,
}

/// What happened to a queue since the last look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// At least its first datagram left.
    Moved,
    /// No datagram left, or the queue was empty.
    Still,
    /// No datagram has left for [`PATIENCE`].
    Stuck,
}

impl Queue {
    pub(crate) const fn new(handle: SocketHandle) -> Self {
        Self { handle, bytes: 0, since: Instant::ZERO, is_stalled: false }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Compares the queue with the last look.
    pub(crate) fn look(&mut self, now: Instant, sockets: &SocketSet<'_>) -> Seen {
        let bytes = sockets.get::<Socket<'_>>(self.handle).send_queue();
        if bytes < self.bytes {
            (self.bytes, self.since, self.is_stalled) = (bytes, now, false);
            return Seen::Moved;
        }
        // An earlier driver may have left datagrams behind.
        if self.is_empty() {
            (self.bytes, self.since) = (bytes, now);
        }
        self.is_stalled |= self.stalls_at().is_some_and(|at| at <= now);
        match self.deadline() {
            Some(deadline) if deadline <= now => Seen::Stuck,
            _ => Seen::Still,
        }
    }

    /// Puts a datagram into the queue.
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

    /// Whether no datagram left for [`STALL`], and none has left since. This holds until an emptied queue moves again.
    pub(crate) const fn is_stalled(&self) -> bool {
        self.is_stalled
    }

    /// The time at which the queue counts as stalled unless a datagram leaves before. `None` while it is empty.
    pub(crate) fn stalls_at(&self) -> Option<Instant> {
        (!self.is_empty()).then(|| self.since + STALL)
    }

    /// The time at which the queue counts as stuck unless a datagram leaves before. `None` while it is empty.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        (!self.is_empty()).then(|| self.since + PATIENCE)
    }

    /// Empties the queue. smoltcp's only way is to close the socket, which drops the received datagrams too. Returns
    /// how many received datagrams were dropped.
    pub(crate) fn empty(&mut self, sockets: &mut SocketSet<'_>) -> u32 {
        let socket = sockets.get_mut::<Socket<'_>>(self.handle);
        let mut received = 0;
        while socket.recv().is_ok() {
            received += 1;
        }
        let endpoint = socket.endpoint();
        socket.close();
        // Can't fail: the socket is closed, and the port isn't 0, as the socket was bound to it before.
        let _ = socket.bind(endpoint);
        self.bytes = 0;
        received
    }
}
