//! Memory for the datagrams of one call: a received batch and a batch to send.

use core::fmt;
use core::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use kadlet::wire::MAX_DATAGRAM;

/// Datagrams in a batch.
pub(crate) const BATCH: usize = 32;

/// Bytes for one received datagram: at least one more than the largest valid datagram, so that an oversized one is
/// noticed, rounded up to a whole number of cache lines.
const RECEIVED: usize = MAX_DATAGRAM + 48;

/// Fills unused places.
const NO_ADDRESS: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0));

/// Memory for 32 received datagrams and 32 datagrams to send, about 80 KB. One `Buffers` serves all drivers of an event
/// loop: nothing stays in it between calls.
///
/// ```
/// use core::net::{Ipv4Addr, SocketAddr};
/// use kadlet::{Config, FixedStore, Instant, Kademlia, Node};
/// use kadlet_udp::{Buffers, Driver, random_id, seed};
///
/// type MyNode = Node<Kademlia<SocketAddr, 128>, FixedStore<32, 8192>>;
///
/// # fn main() -> Result<(), Box<dyn core::error::Error>> {
/// let driver = || {
///     let node = MyNode::new(Instant::ZERO, Config::default(), random_id()?, seed()?)?;
///     Ok::<_, Box<dyn core::error::Error>>(Driver::bind((Ipv4Addr::LOCALHOST, 0).into(), node)?)
/// };
/// let mut buffers = Buffers::new();
/// for driver in &mut [driver()?, driver()?] {
///     assert!(!driver.on_readable(&mut buffers), "nothing came in");
/// }
/// # Ok(())
/// # }
/// ```
pub struct Buffers {
    pub(crate) inbox: Inbox,
    pub(crate) outbox: Outbox,
}

/// A received batch.
pub(crate) struct Inbox {
    pub(crate) bytes: Box<[[u8; RECEIVED]; BATCH]>,
    /// The length of each datagram in bytes, and its sender.
    pub(crate) heads: [(usize, SocketAddr); BATCH],
}

/// A batch to send.
pub(crate) struct Outbox {
    bytes: Box<[[u8; MAX_DATAGRAM]; BATCH]>,
    /// The length of each datagram in bytes, and its destination.
    heads: [(usize, SocketAddr); BATCH],
    len: usize,
}

impl Buffers {
    /// Allocates empty buffers.
    #[must_use]
    pub fn new() -> Self {
        Self {
            inbox: Inbox { bytes: Box::new([[0; RECEIVED]; BATCH]), heads: [(0, NO_ADDRESS); BATCH] },
            outbox: Outbox { bytes: Box::new([[0; MAX_DATAGRAM]; BATCH]), heads: [(0, NO_ADDRESS); BATCH], len: 0 },
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

    /// The place for the next datagram, [`MAX_DATAGRAM`] bytes; `None` if the batch is full.
    pub(crate) fn free(&mut self) -> Option<&mut [u8]> {
        self.bytes.get_mut(self.len).map(<[u8; _]>::as_mut_slice)
    }

    /// Adds the datagram whose `len` bytes were written to [`free`](Self::free).
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

    /// The destination of the datagram at `index`.
    pub(crate) fn to(&self, index: usize) -> Option<SocketAddr> {
        self.heads.get(..self.len)?.get(index).map(|(_, to)| *to)
    }

    /// The datagrams from index `first` on, with their destinations.
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
    fn an_outbox_holds_only_what_was_pushed_since_it_was_cleared() {
        let Buffers { mut outbox, .. } = Buffers::new();
        for len in 0..BATCH {
            assert_eq!((outbox.len(), outbox.to(len)), (len, None), "old datagrams are not sent again");
            outbox.push(len, NO_ADDRESS);
        }
        assert!(outbox.is_full() && outbox.free().is_none());
        outbox.push(7, NO_ADDRESS);
        assert_eq!(outbox.datagrams(30).map(|(bytes, _)| bytes.len()).collect::<Vec<_>>(), [30, 31]);
        outbox.clear();
        assert_eq!((outbox.to(0), outbox.datagrams(0).count()), (None, 0));
    }
}
