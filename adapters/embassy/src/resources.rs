//! The memory of a node and its sockets, and the part that its runner and handles share.

use core::cell::RefCell;

use embassy_net::udp::PacketMetadata;
use embassy_sync::waitqueue::WakerRegistration;
use heapless::{Vec, VecView};
use kadlet::wire::MAX_DATAGRAM;
use kadlet::{Dht, Instant, QueryId};

use crate::outcome::{Losses, News};

/// The most datagrams in each of the sockets' buffers, whatever their size.
pub(crate) const DATAGRAMS: usize = 8;

/// All memory of a node and its sockets. Put it in a static: with an [`empty`](kadlet::Node::empty) node it is all
/// zeros, and lies in `.bss`.
///
/// | bound | what it limits | default |
/// |---|---|---|
/// | `CALLS` | calls at once, at least 1; more than the node's `OPERATIONS` are of no use | 4 |
/// | `BUFFER` | bytes of each of the three socket buffers (received, responses, requests), at least 1,232 | 2,560 |
///
/// ```
/// use core::net::SocketAddrV4;
///
/// use kadlet::{Config, FixedStore, Id, Kademlia, Node};
/// use kadlet_embassy::Resources;
/// # let loopback = || include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/embassy/loopback.rs"));
///
/// type Mote = Node<Kademlia<SocketAddrV4, 128>, FixedStore<32, 8192>, 4>;
/// // Two calls at once. Each buffer holds one datagram of the largest size, or several smaller ones.
/// type Memory = Resources<Mote, 2, 1_232>;
/// const _: () = assert!(size_of::<Memory>() <= 34 * 1024);
///
/// // On a board, with the crate static_cell:
/// // static NODE: ConstStaticCell<Memory> = ConstStaticCell::new(Memory::new(Mote::empty()));
/// // let memory = NODE.take();
/// let memory = Box::leak(Box::new(Memory::new(Mote::empty())));
/// # let (stack, _) = loopback();
/// # let (config, id, seed) = (Config::default(), Id::from_bytes([1; 20]), [1; 32]);
/// let (dht, runner) = kadlet_embassy::new(memory, stack, 4000, |node, now| node.start(now, config, id, seed))?;
/// assert_eq!(dht.id(), id);
/// # Ok::<(), kadlet::ConfigError>(())
/// ```
#[derive(Debug)]
pub struct Resources<D: Dht, const CALLS: usize = 4, const BUFFER: usize = 2_560> {
    pub(crate) shared: RefCell<Shared<D, Vec<Call, CALLS>>>,
    // Empty metadata isn't all zeros, so it is written when the node starts.
    pub(crate) metadata: Vec<PacketMetadata, { 3 * DATAGRAMS }>,
    pub(crate) buffers: [[u8; BUFFER]; 3],
    pub(crate) datagram: [u8; MAX_DATAGRAM],
}

/// The node, and the wakers of the tasks that wait for it.
#[derive(Debug)]
pub(crate) struct Shared<D: Dht, C: ?Sized = VecView<Call>> {
    pub(crate) node: D,
    /// The node's time when embassy-time's clock is zero, in microseconds.
    pub(crate) epoch: u64,
    pub(crate) losses: Losses,
    pub(crate) runner: WakerRegistration,
    pub(crate) listener: WakerRegistration,
    /// Events that no task has waited for yet.
    pub(crate) news: Vec<News<D::Address>, 2>,
    pub(crate) calls: C,
}

/// The operation that a call waits for, and the waker of the call's task.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) query: QueryId,
    pub(crate) waker: WakerRegistration,
}

impl<D: Dht, const CALLS: usize, const BUFFER: usize> Resources<D, CALLS, BUFFER> {
    /// Memory with this node, which [`new`](crate::new) starts.
    #[must_use]
    pub const fn new(node: D) -> Self {
        const { assert!(CALLS >= 1 && BUFFER >= MAX_DATAGRAM, "CALLS must be at least 1, and BUFFER at least 1,232") };
        Self {
            shared: RefCell::new(Shared {
                node,
                epoch: 0,
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

    /// Sets the node's time when embassy-time's clock is zero. The default is zero: the node's time starts with the
    /// chip.
    ///
    /// A node's time must not go back. So call this before [`new`](crate::new) if the node is kept while embassy-time's
    /// clock starts anew, as in a deep sleep: the epoch is then the node's time before the sleep, plus the duration of
    /// the sleep.
    ///
    /// ```
    /// # use core::net::SocketAddrV4;
    /// use core::time::Duration;
    ///
    /// use embassy_net::Stack;
    /// use kadlet::{ConfigError, Instant};
    /// # use kadlet::{FixedStore, Kademlia, Node};
    /// use kadlet_embassy::{Handle, Resources, Runner};
    /// # type Mote = Node<Kademlia<SocketAddrV4, 128>, FixedStore<32, 8192>, 4>;
    ///
    /// /// `kept` has a started node. Before the sleep, `before` was read by `dht.with(|_, now| now)`. A clock that
    /// /// runs on, such as an RTC, tells how long the chip slept.
    /// fn wake(
    ///     kept: &'static mut Resources<Mote>,
    ///     stack: Stack<'static>,
    ///     before: Instant,
    ///     slept: Duration,
    /// ) -> Result<(Handle<'static, Mote>, Runner<'static, Mote>), ConfigError> {
    ///     kept.set_epoch(before + slept);
    ///     kadlet_embassy::new(kept, stack, 4000, |_, _| Ok(()))
    /// }
    /// ```
    pub fn set_epoch(&mut self, epoch: Instant) {
        self.shared.get_mut().epoch = epoch.as_micros();
    }
}

/// The node's time.
#[inline(never)]
pub(crate) fn now(epoch: u64) -> Instant {
    Instant::from_micros(epoch.saturating_add(embassy_time::Instant::now().as_micros()))
}
