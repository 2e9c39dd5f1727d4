//! Room for the datagrams of one turn: a batch that came in and a batch that goes out.

use core::fmt;
use core::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use kadlet::wire::MAX_DATAGRAM;

/// Datagrams in a batch.
pub(crate) const BATCH: usize = 32;

/// One byte more than the largest datagram, so that a larger one shows, and up to a cache line.
const RECEIVED: usize = MAX_DATAGRAM + 48;

const NOWHERE: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0));

/// Room for 32 datagrams in and 32 out, some 80 KB. One serves all drivers of an event loop: nothing stays in it between calls.
pub struct Buffers {
    pub(crate) inbox: Inbox,
    pub(crate) outbox: Outbox,
}

/// A batch that came in.
pub(crate) struct Inbox {
    pub(crate) bytes: Box<[[u8; RECEIVED]; BATCH]>,
    /// How long each is, and where it came from.
    pub(crate) heads: [(usize, SocketAddr); BATCH],
}

/// A batch that goes out.
pub(crate) struct Outbox {
    bytes: Box<[[u8; MAX_DATAGRAM]; BATCH]>,
    /// How long each is, and whereto.
    heads: [(usize, SocketAddr); BATCH],
    len: usize,
}

impl Buffers {
    /// Allocates them.
    #[must_use]
    pub fn new() -> Self {
        Self {
            inbox: Inbox { bytes: Box::new([[0; RECEIVED]; BATCH]), heads: [(0, NOWHERE); BATCH] },
            outbox: Outbox { bytes: Box::new([[0; MAX_DATAGRAM]; BATCH]), heads: [(0, NOWHERE); BATCH], len: 0 },
        }
    }
}

impl Inbox {
    /// The first `count` datagrams.
    pub(crate) fn datagrams(&self, count: usize) -> impl Iterator<Item = (SocketAddr, &[u8])> {
        self.heads
            .iter()
            .zip(self.bytes.iter())
            .take(count)
            .map(|((len, from), bytes)| (*from, bytes.get(..*len).unwrap_or(bytes)))
    }
}

impl Outbox {
    pub(crate) fn clear(&mut self) {
        self.len = 0;
    }

    /// Room for one more datagram, if there is any.
    pub(crate) fn room(&mut self) -> Option<&mut [u8]> {
        self.bytes.get_mut(self.len).map(<[u8; _]>::as_mut_slice)
    }

    /// Takes the datagram that was written into the room.
    pub(crate) fn push(&mut self, len: usize, to: SocketAddr) {
        if let Some(head) = self.heads.get_mut(self.len) {
            *head = (len, to);
            self.len += 1;
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.len == BATCH
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Whereto the datagram at `index` goes.
    pub(crate) fn to(&self, index: usize) -> Option<SocketAddr> {
        self.heads.get(..self.len)?.get(index).map(|(_, to)| *to)
    }

    /// All datagrams from `first` on.
    pub(crate) fn datagrams(&self, first: usize) -> impl Iterator<Item = (&[u8], SocketAddr)> {
        let heads = self.heads.iter().zip(self.bytes.iter()).take(self.len).skip(first);
        heads.map(|((len, to), bytes)| (bytes.get(..*len).unwrap_or(bytes), *to))
    }
}

impl Default for Buffers {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Buffers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffers").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outbox_ends_where_it_was_filled() {
        let Buffers { mut outbox, .. } = Buffers::new();
        for len in 0..BATCH {
            assert_eq!((outbox.len(), outbox.to(len)), (len, None), "what was sent before is not sent again");
            outbox.push(len, NOWHERE);
        }
        assert!(outbox.is_full() && outbox.room().is_none());
        outbox.push(7, NOWHERE);
        assert_eq!(outbox.datagrams(30).map(|(bytes, _)| bytes.len()).collect::<Vec<_>>(), [30, 31]);
        outbox.clear();
        assert_eq!((outbox.to(0), outbox.datagrams(0).count()), (None, 0));
    }
}
