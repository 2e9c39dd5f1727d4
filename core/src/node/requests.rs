//! The node's own requests: what each asks for is decided when it is sent.

use super::bounds::{Parts, TransactionOf};
use super::buffer::Buffer;
use super::operation::Operation;
use super::purpose::Purpose;
use super::query::Transmit;
use super::sending::{Outgoing, Outlet};
use super::shared::{Op, Shared};
use super::task::RecordSource;
use crate::address::Address;
use crate::geometry::Geometry;
use crate::id::Id;
use crate::message::Request;
use crate::record::Record;
use crate::routing::Routing;
use crate::rpc::Ready;
use crate::store::Store;
use crate::time::{Instant, Micros};

/// Why a request is not sent. It then counts as a request without a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unsent {
    /// Its operation doesn't need it any more.
    Past,
    /// The caller's buffer is too small for it.
    NoRoom,
}

impl<P: Parts> Shared<P> {
    /// Sends a request that is ready. `operation` is the operation that it belongs to, if there is one.
    pub(super) fn send_request(
        &mut self,
        now: Instant,
        ready: &Ready<P::Address, Purpose, TransactionOf<P>>,
        operation: Option<&Op<P>>,
        buf: &mut [u8],
    ) -> Result<Transmit<P::Address>, Unsent> {
        let own = self.table.own();
        let token = match ready.owner {
            Purpose::Relay { .. } => ready.expect.and_then(|id| self.forwarding.token(&id)),
            _ => operation.zip(ready.expect).and_then(|(operation, id)| operation.lookup.token(&id)),
        };
        let request = match ready.owner {
            Purpose::Ping { .. } | Purpose::Check | Purpose::Survey => Request::Ping,
            Purpose::Bootstrap { .. } | Purpose::Table => Request::FindNode { target: own },
            Purpose::Search { .. } => {
                let operation = operation.ok_or(Unsent::Past)?;
                if self.asks_for_record(operation) {
                    Request::FindValue { key: operation.key, have: operation.best(now) }
                } else {
                    Request::FindNode { target: operation.lookup.target() }
                }
            }
            Purpose::Verify { .. } => Request::FindValue { key: operation.ok_or(Unsent::Past)?.key, have: None },
            Purpose::Store { .. } if is_told(operation, ready.expect) => {
                let operation = operation.ok_or(Unsent::Past)?;
                Request::FindValue { key: operation.key, have: operation.best(now) }
            }
            Purpose::Store { .. } => {
                let operation = operation.ok_or(Unsent::Past)?;
                let (record, lifetime) = record_of(now, operation, &self.store, &self.buffers).ok_or(Unsent::Past)?;
                let handover = operation.task.traits().record == RecordSource::Replicated;
                Request::Store { record, lifetime, compare: operation.compare, handover }
            }
            Purpose::Relay { relay } => self.relay_request(now, relay).ok_or(Unsent::Past)?,
        };
        let wants_ping = self.may_serve() && operation.is_none_or(|operation| operation.task.traits().wants_ping);
        let finds = matches!(request, Request::FindNode { .. } | Request::FindValue { .. });
        let least = if finds && token.is_none() { self.padded_len(ready.to, wants_ping) } else { 0 };
        let largest = match ready.owner {
            // What the previous hop can't take must not come back to here.
            Purpose::Relay { relay } if P::FORWARDS => {
                self.forwarding.get(relay).map_or(u16::MAX, |relay| relay.largest())
            }
            _ => u16::MAX,
        };
        let outgoing = Outgoing::<P> { to: ready.to, transaction: ready.transaction, token, request, largest, least };
        let outlet = Outlet::<P> { stats: &mut self.stats, config: &self.config, table: &self.table };
        outlet.request(outgoing, buf).ok_or(Unsent::NoRoom)
    }
}

/// Whether a node gets no record from an operation, but only learns that it is replicated.
fn is_told<G: Geometry, A: Address, T: Copy + Sync>(operation: Option<&Operation<G, A, T>>, to: Option<Id>) -> bool {
    operation.zip(to).is_some_and(|(operation, id)| operation.tells(&id))
}

/// The record that an operation stores at other nodes, and the seconds left of its lifetime.
fn record_of<'a, G: Geometry, A: Address, T: Copy + Sync, S: Store>(
    now: Instant,
    operation: &Operation<G, A, T>,
    store: &'a S,
    buffers: &'a [Buffer],
) -> Option<(Record<'a>, u32)> {
    let source = operation.task.traits().record;
    let (record, left) = if source == RecordSource::Buffer {
        let (record, left) = buffers.get(usize::from(operation.buffer?))?.record(now)?;
        (record, Micros::of(left))
    } else {
        let held = store.get(store.find(&operation.key)?)?;
        let left = held.metadata.expires.micros_since(now);
        // An own record must not be held for less than the user asked for, although the search took time. A record of
        // another publisher must not be held for longer than here.
        let rounded = if source == RecordSource::Published { 999_999 } else { 0 };
        (held.record(now), Micros(left.0.saturating_add(rounded)))
    };
    Some((record, left.secs())).filter(|(_, lifetime)| *lifetime != 0)
}
