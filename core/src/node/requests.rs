//! The node's own requests: what each asks for is decided when it is sent.

use super::bounds::{Parts, TransactionOf};
use super::buffer::Buffer;
use super::operation::Operation;
use super::purpose::Purpose;
use super::query::Transmit;
use super::sending::Outlet;
use super::shared::{Op, Shared};
use super::task::RecordSource;
use crate::address::Address;
use crate::geometry::Geometry;
use crate::message::Request;
use crate::record::Record;
use crate::routing::Routing;
use crate::rpc::Ready;
use crate::store::Store;
use crate::time::{Instant, Micros};
use crate::wire::Body;

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
        let token = match ready.owner {
            Purpose::Relay { .. } => ready.expect.as_ref().and_then(|id| self.forwarding.token(id)),
            _ => operation.zip(ready.expect.as_ref()).and_then(|(operation, id)| operation.lookup.token(id)),
        };
        let request = match (ready.owner, operation) {
            (Purpose::Ping { .. } | Purpose::Check | Purpose::Survey, _) => Request::Ping,
            (Purpose::Bootstrap { .. }, Some(operation)) => Request::FindNode { target: operation.lookup.target() },
            (Purpose::Table, _) => Request::FindNode { target: self.table.own() },
            (Purpose::Relay { relay }, _) => self.relay_request(now, relay).ok_or(Unsent::Past)?,
            (_, None) => return Err(Unsent::Past),
            (Purpose::Search { .. }, Some(operation)) if !self.asks_for_record(operation) => {
                Request::FindNode { target: operation.lookup.target() }
            }
            (Purpose::Store { .. }, Some(operation))
                if !ready.expect.as_ref().is_some_and(|id| operation.tells(id)) =>
            {
                let (record, lifetime) = record_of(now, operation, &self.store, &self.buffers).ok_or(Unsent::Past)?;
                let handover = operation.task.traits().record == RecordSource::Replicated;
                Request::Store { record, lifetime, compare: operation.compare, handover }
            }
            (purpose, Some(operation)) => {
                let have = if matches!(purpose, Purpose::Verify { .. }) { None } else { operation.best(now) };
                Request::FindValue { key: operation.key, have }
            }
        };
        let wants_ping = self.config.serve && operation.is_none_or(|operation| operation.task.traits().wants_ping);
        let finds = matches!(request, Request::FindNode { .. } | Request::FindValue { .. });
        let least = if finds && token.is_none() { self.padded_len(ready.to, wants_ping) } else { 0 };
        let own_largest = u16::try_from(self.config.largest_message()).unwrap_or(u16::MAX);
        let largest = match ready.owner {
            // What the previous hop can't take must not come back to here.
            Purpose::Relay { relay } if P::FORWARDS => {
                self.forwarding.get(relay).map_or(own_largest, |relay| relay.largest().min(own_largest))
            }
            _ => own_largest,
        };
        let body = Body::Request { largest, token, request, padding: 0 };
        let outlet = Outlet::<P> { stats: &mut self.stats, config: &self.config, table: &self.table };
        outlet.request(ready.to, ready.transaction, body, least, buf).ok_or(Unsent::NoRoom)
    }
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
        buffers.get(usize::from(operation.buffer?))?.record(now)?
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
