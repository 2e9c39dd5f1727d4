//! Questions of ours: who asked them, and what they say when they are polled.

use super::operation::Task;
use super::stats::count_up;
use super::{Node, Transmit};
use crate::record::Record;
use crate::routing::Routing;
use crate::store::Store;
use crate::time::Micros;
use crate::wire::{self, Body, Features, Header, Message, Request, Token, Transaction};
use crate::{Address, Geometry, Id, Instant};

/// On whose behalf a question is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A lookup asks one of its contacts.
    Search { slot: u8 },
    /// An operation stores its record at one of the nodes it found.
    Store { slot: u8 },
    /// A join asks a bootstrap address.
    Bootstrap { slot: u8 },
    /// The user's ping.
    Ping { slot: u8 },
    /// The table asks one contact what is near the own id.
    Table,
    /// One who asked us, and would be put into the table, is asked whether it is there; or one to whom a question couldn't be passed on.
    Introduction,
    /// A question is passed on.
    Relay { relay: u8 },
}

/// Why a question is not sent. It counts as unanswered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unsent {
    /// Its operation is past it.
    Past,
    /// The caller's buffer is too small for it.
    NoRoom,
}

impl Purpose {
    /// The slot of the operation that asks, if one does.
    pub(super) const fn slot(self) -> Option<u8> {
        match self {
            Self::Search { slot } | Self::Store { slot } | Self::Bootstrap { slot } | Self::Ping { slot } => Some(slot),
            Self::Table | Self::Introduction | Self::Relay { .. } => None,
        }
    }
}

impl<
    R: Routing,
    S: Store,
    const LOOKUPS: usize,
    const SHORTLIST: usize,
    const VALUES: usize,
    const REQUESTS: usize,
    const SOURCES: usize,
    const BOOTSTRAPS: usize,
    const RELAYS: usize,
> Node<R, S, LOOKUPS, SHORTLIST, VALUES, REQUESTS, SOURCES, BOOTSTRAPS, RELAYS>
{
    /// Encodes the next question into `buf`.
    pub(super) fn transmit(&mut self, now: Instant, buf: &mut [u8]) -> Option<Transmit<R::Address>> {
        if self.requests.has_ready() && buf.len() < wire::MIN_DATAGRAM {
            count_up(&mut self.stats.small_buffers);
            return None;
        }
        while let Some(ready) = self.requests.ready() {
            let len = match self.encode_ready(now, ready.owner, ready.to, ready.expect, ready.transaction, buf) {
                Ok(len) => len,
                Err(unsent) => {
                    self.stats.small_buffers += u64::from(unsent == Unsent::NoRoom);
                    self.requests.drop(ready.index);
                    self.requests_freed = true;
                    self.failed(now, ready.owner, ready.expect.as_ref());
                    if let Some(slot) = ready.owner.slot() {
                        self.step(now, slot);
                    }
                    continue;
                }
            };
            self.requests.sent(now, ready.index);
            if let Purpose::Relay { relay } = ready.owner {
                self.relays.forwarded(relay);
            }
            if ready.retransmit {
                count_up(&mut self.stats.retransmits);
            }
            return Some(self.count_sent(ready.to, len));
        }
        None
    }

    fn encode_ready(
        &mut self,
        now: Instant,
        owner: Purpose,
        to: R::Address,
        expect: Option<Id>,
        transaction: Transaction,
        buf: &mut [u8],
    ) -> Result<usize, Unsent> {
        let own = self.table.own();
        let operation = owner.slot().and_then(|slot| self.operations.get(usize::from(slot)));
        let token = match owner {
            Purpose::Relay { .. } => expect.and_then(|id| self.relays.token(&id)),
            _ => operation.zip(expect).and_then(|(operation, id)| operation.lookup.token(&id)),
        };
        let request = match owner {
            Purpose::Ping { .. } | Purpose::Introduction => Request::Ping,
            Purpose::Bootstrap { .. } | Purpose::Table => Request::FindNode { target: own },
            Purpose::Search { .. } => {
                let operation = operation.ok_or(Unsent::Past)?;
                match operation.finds_value() {
                    true => Request::FindValue { key: operation.key, have: operation.best(now) },
                    false => Request::FindNode { target: operation.lookup.target() },
                }
            }
            Purpose::Store { .. } => {
                let operation = operation.ok_or(Unsent::Past)?;
                let (record, lifetime) =
                    self.record_of(now, operation.task, operation.key, operation.buffer).ok_or(Unsent::Past)?;
                let compare = operation.compare.filter(|_| operation.task == Task::Put);
                Request::Store { record, lifetime, compare, handover: operation.task == Task::Tend }
            }
            Purpose::Relay { relay } => self.relay_request(now, relay).ok_or(Unsent::Past)?,
        };
        let introduce = self.config.serve
            && operation.is_none_or(|operation| operation.task.is_maintenance() || operation.task == Task::Bootstrap);
        let padded = matches!(request, Request::FindNode { .. } | Request::FindValue { .. }) && token.is_none();
        let wanted = if padded { self.padded_len(to, introduce) } else { 0 };
        self.encode_request(buf, transaction, token, request, wanted).ok_or(Unsent::NoRoom)
    }

    /// The record that an operation stores at others, and the seconds left to it: the user's get has it in its buffer, the rest in the own store.
    fn record_of(&self, now: Instant, task: Task, key: crate::Key, buffer: Option<u8>) -> Option<(Record<'_>, u32)> {
        let (record, left) = match task {
            Task::Get | Task::WriteBack => {
                let (record, left) = self.buffers.get(usize::from(buffer?))?.record(now)?;
                (record, Micros::of(left))
            }
            _ => {
                let held = self.stored(&key)?;
                let left = held.metadata.expires.micros_since(now);
                // Its own publisher has it held no shorter than asked for, though the search took time; others hold it no longer.
                let rounded = if matches!(task, Task::Put | Task::Republish) { 999_999 } else { 0 };
                (held.record(now), Micros(left.0.saturating_add(rounded)))
            }
        };
        Some((record, left.secs())).filter(|(_, lifetime)| *lifetime != 0)
    }

    /// How long a request must be so that three times its length hold the `nodes` answer asked for, and, where this node wants to be
    /// known, the ping that asks it whether it is there.
    fn padded_len(&self, to: R::Address, introduce: bool) -> usize {
        let nodes = wire::nodes_len(usize::from(self.config.table.k), to.encode().as_bytes().len())
            .min(self.config.largest_message());
        let ping = if introduce { wire::PING_LEN } else { 0 };
        (nodes + ping).div_ceil(3)
    }

    fn encode_request(
        &self,
        buf: &mut [u8],
        transaction: Transaction,
        token: Option<Token>,
        request: Request<'_>,
        wanted: usize,
    ) -> Option<usize> {
        let largest = u16::try_from(self.config.largest_message()).unwrap_or(u16::MAX);
        let body = Body::Request { largest, token, request, padding: 0 };
        let room = buf.len().min(self.config.largest_message());
        let buf = buf.get_mut(..room)?;
        wire::encode_padded(&Message::<R::Address> { header: self.header(transaction), body }, wanted.min(room), buf)
            .ok()
    }

    pub(super) fn header(&self, transaction: Transaction) -> Header {
        Header {
            geometry: R::Geometry::TAG,
            network: self.config.network,
            transaction,
            sender: self.table.own(),
            features: if self.config.serve { Features::SERVES } else { Features::default() },
        }
    }
}
