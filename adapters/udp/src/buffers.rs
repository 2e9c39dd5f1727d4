//! Memory for the datagrams of one call: a received batch and a batch to send.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};

use kadlet::wire::MAX_DATAGRAM;

/// Datagrams in a batch.
pub(crate) const BATCH: usize = 32;

/// Bytes for one received datagram: at least one more than the largest valid datagram, so that an oversized one is
/// noticed, rounded up to a whole number of cache lines.
const RECEIVED: usize = MAX_DATAGRAM + 48;

/// The two ends of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    /// The other node's address.
    pub(crate) peer: SocketAddr,
    /// The host's own address that it came to, or must leave from. `None`: the socket is bound to one address, or the
    /// system's routes choose.
    pub(crate) local: Option<IpAddr>,
}

impl Route {
    /// Fills unused places.
    const EMPTY: Self = Self::to(SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0)));

    /// To or from `peer`, by the address that the system chooses.
    pub(crate) const fn to(peer: SocketAddr) -> Self {
        Self { peer, local: None }
    }

    /// Of a datagram from `peer` that came to the host's address `local`: the response must leave from there, as the
    /// requester drops any other. Not from a multicast address. Nor from a link-local one to another scope, for which
    /// the system needs to know the link.
    pub(crate) fn between(peer: SocketAddr, local: Option<IpAddr>) -> Self {
        let is_source = |local: &IpAddr| match (local.to_canonical(), peer) {
            (local, _) if local.is_multicast() => false,
            (IpAddr::V6(local), SocketAddr::V6(peer)) => {
                !local.is_unicast_link_local() || peer.ip().is_unicast_link_local()
            }
            _ => true,
        };
        Self { peer, local: local.filter(is_source) }
    }
}

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
    /// The length of each datagram in bytes, and where it came from.
    pub(crate) heads: [(usize, Route); BATCH],
}

/// A batch to send.
pub(crate) struct Outbox {
    bytes: Box<[[u8; MAX_DATAGRAM]; BATCH]>,
    heads: [Head; BATCH],
    len: usize,
}

/// A datagram to send.
#[derive(Clone, Copy)]
struct Head {
    /// Its index in the bytes.
    slot: usize,
    /// Its length in bytes.
    len: usize,
    route: Route,
}

impl Buffers {
    /// Allocates empty buffers.
    #[must_use]
    pub fn new() -> Self {
        let head = Head { slot: 0, len: 0, route: Route::EMPTY };
        Self {
            inbox: Inbox { bytes: Box::new([[0; RECEIVED]; BATCH]), heads: [(0, Route::EMPTY); BATCH] },
            outbox: Outbox { bytes: Box::new([[0; MAX_DATAGRAM]; BATCH]), heads: [head; BATCH], len: 0 },
        }
    }
}

impl Inbox {
    /// The first `count` datagrams.
    pub(crate) fn datagrams(&self, count: usize) -> impl Iterator<Item = (Route, &[u8])> {
        self.heads
            .iter()
            .zip(self.bytes.iter())
            .take(count)
            .map(|((len, route), bytes)| (*route, bytes.get(..*len).unwrap_or(bytes)))
    }
}

impl Outbox {
    pub(crate) fn clear(&mut self) {
        self.len = 0;
    }

    /// The place for the next datagram, [`MAX_DATAGRAM`] bytes; `None` if the batch is full.
    pub(crate) fn free(&mut self) -> Option<&mut [u8]> {
        self.bytes.get_mut(self.len).map(|bytes| bytes.as_mut_slice())
    }

    /// Adds the datagram whose `len` bytes were written to [`free`](Self::free).
    pub(crate) fn push(&mut self, len: usize, route: Route) {
        if let Some(head) = self.heads.get_mut(self.len) {
            *head = Head { slot: self.len, len, route };
            self.len += 1;
        }
    }

    /// Puts the datagrams that leave from the same address next to each other: one system call sends them.
    pub(crate) fn group(&mut self) {
        let heads = self.heads.get_mut(..self.len).unwrap_or_default();
        if !heads.is_sorted_by_key(|head| head.route.local) {
            heads.sort_unstable_by_key(|head| (head.route.local, head.slot));
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.len == BATCH
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Where the datagram at `index` goes.
    pub(crate) fn route(&self, index: usize) -> Option<Route> {
        self.heads.get(..self.len)?.get(index).map(|head| head.route)
    }

    /// The datagrams from index `first` on that leave from the same address as the first of them. After
    /// [`group`](Self::group) these are all that do.
    pub(crate) fn datagrams(&self, first: usize) -> impl Iterator<Item = (&[u8], SocketAddr)> {
        let heads = self.heads.get(first..self.len).unwrap_or(&[]);
        let local = heads.first().map(|head| head.route.local);
        heads.iter().take_while(move |head| Some(head.route.local) == local).map(|head| {
            let bytes = self.bytes.get(head.slot).map_or(&[][..], |bytes| bytes.as_slice());
            (bytes.get(..head.len).unwrap_or(bytes), head.route.peer)
        })
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
            assert_eq!((outbox.len(), outbox.route(len)), (len, None), "old datagrams are not sent again");
            outbox.push(len, Route::EMPTY);
        }
        assert!(outbox.is_full() && outbox.free().is_none());
        outbox.push(7, Route::EMPTY);
        assert_eq!(outbox.datagrams(30).map(|(bytes, _)| bytes.len()).collect::<Vec<_>>(), [30, 31]);
        outbox.clear();
        assert_eq!((outbox.route(0), outbox.datagrams(0).count()), (None, 0));
    }

    #[test]
    fn datagrams_of_one_local_address_are_together_and_in_their_order() {
        let Buffers { mut outbox, .. } = Buffers::new();
        let local = |number: usize| [None, Some([127, 0, 0, 1].into()), Some([127, 0, 0, 2].into())][number % 3];
        for number in 0..BATCH {
            outbox.free().expect("room")[0] = number as u8;
            outbox.push(1, Route { local: local(number), ..Route::EMPTY });
        }
        outbox.group();
        let (mut sent, mut calls) = (Vec::new(), 0);
        while sent.len() < BATCH {
            let call: Vec<_> = outbox.datagrams(sent.len()).map(|(bytes, _)| usize::from(bytes[0])).collect();
            assert!(call.is_sorted() && call.iter().all(|number| local(*number) == local(calls)), "{call:?}");
            (sent, calls) = ([sent, call].concat(), calls + 1);
        }
        assert_eq!((sent.len(), calls), (BATCH, 3));
    }

    #[test]
    fn a_response_leaves_from_the_address_that_was_asked_if_a_datagram_can_leave_from_there() {
        let route = |peer: &str, local: &str| Route::between(peer.parse().unwrap(), Some(local.parse().unwrap()));
        for (peer, local) in [
            ("192.0.2.1:4000", "192.0.2.2"),
            ("[::ffff:192.0.2.1]:4000", "::ffff:192.0.2.2"),
            ("[2001:db8::1]:4000", "2001:db8::2"),
            ("[fe80::1%3]:4000", "fe80::2"),
            ("[fe80::1%3]:4000", "2001:db8::2"),
        ] {
            assert_eq!(route(peer, local).local, Some(local.parse().unwrap()), "{local} to {peer}");
        }
        for (peer, local) in [
            ("192.0.2.1:4000", "224.0.0.1"),
            ("[::ffff:192.0.2.1]:4000", "::ffff:224.0.0.1"),
            ("[fe80::1%3]:4000", "ff02::1"),
            ("[2001:db8::1]:4000", "fe80::2"),
        ] {
            assert_eq!(route(peer, local).local, None, "{local} to {peer}");
        }
    }
}
