//! The memory of a node and its sockets, and what its runner and handles share of it.

use core::cell::RefCell;

use embassy_net::udp::PacketMetadata;
use embassy_sync::waitqueue::WakerRegistration;
use heapless::{Vec, VecView};
use kadlet::wire::MAX_DATAGRAM;
use kadlet::{Dht, QueryId};

use crate::{Losses, News};

/// Datagrams that each of a socket's buffers holds, whatever their size.
pub(crate) const DATAGRAMS: usize = 8;

/// All memory that a node takes: put it in a static. With an [`empty`](kadlet::Node::empty) node it is all zeros, and lies in `.bss`.
///
/// | bound | of what | default |
/// |---|---|---|
/// | `CALLS` | calls awaited at once: no more than the node's `LOOKUPS` are of use | 4 |
/// | `BUFFER` | bytes of each of the three socket buffers, for datagrams received, answers and questions: 1,232 at least | 2,560 |
#[derive(Debug)]
pub struct Resources<M: Dht, const CALLS: usize = 4, const BUFFER: usize = 2_560> {
    pub(crate) shared: RefCell<Shared<M, Vec<Call, CALLS>>>,
    // Empty metadata isn't zeros: it is written when the node begins.
    pub(crate) metadata: Vec<PacketMetadata, { 3 * DATAGRAMS }>,
    pub(crate) buffers: [[u8; BUFFER]; 3],
    pub(crate) datagram: [u8; MAX_DATAGRAM],
}

/// The node, and who waits for what.
#[derive(Debug)]
pub(crate) struct Shared<M: Dht, C: ?Sized = VecView<Call>> {
    pub(crate) node: M,
    pub(crate) losses: Losses,
    pub(crate) runner: WakerRegistration,
    pub(crate) listener: WakerRegistration,
    /// What nobody has waited for yet.
    pub(crate) news: Vec<News<M::Address>, 2>,
    pub(crate) calls: C,
}

/// The operation that a call waits for, and whom to wake when it ends.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) query: QueryId,
    pub(crate) waker: WakerRegistration,
}

impl<M: Dht, const CALLS: usize, const BUFFER: usize> Resources<M, CALLS, BUFFER> {
    /// Memory for this node, which [`new`](crate::new) starts.
    #[must_use]
    pub const fn new(node: M) -> Self {
        const { assert!(CALLS >= 1 && BUFFER >= MAX_DATAGRAM, "CALLS is at least 1, BUFFER a datagram: 1,232 bytes") };
        Self {
            shared: RefCell::new(Shared {
                node,
                losses: Losses { unsent: 0, failed: 0 },
                runner: WakerRegistration::new(),
                listener: WakerRegistration::new(),
                news: Vec::new(),
                calls: Vec::new(),
            }),
            metadata: Vec::new(),
            buffers: [[0; BUFFER]; 3],
            datagram: [0; MAX_DATAGRAM],
        }
    }
}

/// The node's time: since the chip's start.
pub(crate) fn now() -> kadlet::Instant {
    kadlet::Instant::from_micros(embassy_time::Instant::now().as_micros())
}
