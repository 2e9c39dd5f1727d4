//! The memory of a node and its sockets, and how they begin.

use core::cell::RefCell;

use embassy_net::Stack;
use embassy_net::udp::{PacketMetadata, UdpSocket};
use embassy_sync::waitqueue::WakerRegistration;
use kadlet::Machine;
use kadlet::wire::MAX_DATAGRAM;

use crate::shared::{Call, Shared};
use crate::{Handle, Losses, Runner};

/// Datagrams that each of a socket's buffers holds, whatever their size.
const DATAGRAMS: usize = 8;

/// All memory that a node takes: put it in a static. With an [`empty`](kadlet::Node::empty) node it is all zeros, and lies in `.bss`.
///
/// | bound | of what | default |
/// |---|---|---|
/// | `CALLS` | calls awaited at once: no more than the node's `LOOKUPS` are of use | 4 |
/// | `BUFFER` | bytes of each of the three socket buffers, for datagrams received, answers and questions: 1,232 at least | 2,560 |
#[derive(Debug)]
pub struct Resources<M: Machine, const CALLS: usize = 4, const BUFFER: usize = 2_560> {
    shared: RefCell<Shared<M, [Call; CALLS]>>,
    // Empty metadata isn't zeros: it is written when the node begins.
    metadata: heapless::Vec<PacketMetadata, { 3 * DATAGRAMS }>,
    received: [u8; BUFFER],
    answers: [u8; BUFFER],
    questions: [u8; BUFFER],
    datagram: [u8; MAX_DATAGRAM],
}

impl<M: Machine, const CALLS: usize, const BUFFER: usize> Resources<M, CALLS, BUFFER> {
    /// Memory for this node, which [`new`] starts.
    #[must_use]
    pub const fn new(node: M) -> Self {
        const {
            assert!(CALLS >= 1, "CALLS is at least 1");
            assert!(BUFFER >= MAX_DATAGRAM, "BUFFER is at least a datagram: 1,232 bytes");
        }
        Self {
            shared: RefCell::new(Shared {
                node,
                losses: Losses { unsent: 0, failed: 0 },
                runner: WakerRegistration::new(),
                listener: WakerRegistration::new(),
                news: heapless::Vec::new(),
                calls: [const { Call::FREE }; CALLS],
            }),
            metadata: heapless::Vec::new(),
            received: [0; BUFFER],
            answers: [0; BUFFER],
            questions: [0; BUFFER],
            datagram: [0; MAX_DATAGRAM],
        }
    }
}

/// A node on a port of the stack's (0: the stack chooses one), with two of its sockets. Nothing happens until the runner runs.
///
/// `start` starts the node in place, and may remind it of contacts and records of an earlier run
/// ([`restore_contact`](Machine::restore_contact), [`restore_record`](Machine::restore_record)):
/// `|node, now| node.start(now, config, id, seed)`. The seed is 32 random bytes, never used before: where the chip has no source of
/// randomness, hash what is unique to the board with a counter of boots.
///
/// # Panics
///
/// embassy-net's, if its `StackResources` have no room for two more sockets.
pub fn new<'d, M: Machine, const CALLS: usize, const BUFFER: usize>(
    resources: &'d mut Resources<M, CALLS, BUFFER>,
    stack: Stack<'d>,
    port: u16,
    start: impl FnOnce(&mut M, kadlet::Instant),
) -> (Handle<'d, M>, Runner<'d, M>) {
    start(&mut resources.shared.get_mut().node, crate::shared::now());
    // It always fits: the length is the capacity.
    let _ = resources.metadata.resize(3 * DATAGRAMS, PacketMetadata::EMPTY);
    let (received, sent) = resources.metadata.split_at_mut(DATAGRAMS);
    let (answers, questions) = sent.split_at_mut(DATAGRAMS);
    // Of two sockets on a port, smoltcp gives all datagrams to the one that was added first, so the other needs no memory for any.
    let mut answers = UdpSocket::new(stack, received, &mut resources.received, answers, &mut resources.answers);
    let mut questions = UdpSocket::new(stack, &mut [], &mut [], questions, &mut resources.questions);
    // Neither fails: the sockets are new, and port 0 has become another by the time of the second.
    let _ = answers.bind(port);
    let _ = questions.bind(answers.endpoint().port);
    let handle = Handle { shared: &resources.shared };
    (handle, Runner::new(handle, [answers, questions], &mut resources.datagram))
}
