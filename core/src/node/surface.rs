//! The surface: [`Dht`], implemented for every [`Node`].

use core::time::Duration;

use super::operation::{Operation, Phase, Task};
use super::serve::Asked;
use super::stats::count_up;
use super::{
    Dht, Event, FindError, GetError, Node, Options, Progress, PutError, QueryId, QueryResult, RestoreError, Stats,
    Transmit, WakeReason,
};
use crate::record::{Key, Record};
use crate::routing::{Origin, Routing};
use crate::store::{Metadata, Store, StoreError};
use crate::wire::{self, Body, DecodeError, Header};
use crate::{Address, Contact, Geometry, Id, Instant};

/// The shortest lifetime of a record: they travel in seconds.
const SHORTEST: Duration = Duration::from_secs(1);

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
> Dht for Node<R, S, LOOKUPS, SHORTLIST, VALUES, REQUESTS, SOURCES, BOOTSTRAPS, RELAYS>
{
    type Address = R::Address;
    type Routing = R;
    type Store = S;

    fn id(&self) -> Id {
        self.table.own()
    }

    fn bootstrap(&mut self, now: Instant, addresses: &[R::Address]) -> Result<QueryId, FindError> {
        self.reclaim();
        if !self.started {
            return Err(FindError::NotStarted);
        }
        if addresses.is_empty() || addresses.len() > BOOTSTRAPS {
            return Err(FindError::Addresses(BOOTSTRAPS));
        }
        let slot = self.free_slot(now).ok_or(FindError::Busy(LOOKUPS))?;
        self.bootstraps.remember(now, addresses);
        self.begin_join(now, slot, Task::Bootstrap);
        self.drive(now);
        self.query_in(slot).ok_or(FindError::Busy(LOOKUPS))
    }

    fn ping(&mut self, now: Instant, address: R::Address) -> Result<QueryId, FindError> {
        self.reclaim();
        if !self.started {
            return Err(FindError::NotStarted);
        }
        let slot = self.free_slot(now).ok_or(FindError::Busy(LOOKUPS))?;
        let own = self.table.own();
        let limits = self.lookup_limits();
        if let Some(operation) = self.operation(slot) {
            operation.begin(now, Task::Ping, Options::DEFAULT.timeout);
            operation.lookup.start(own, limits);
            // Whose id it has is what the answer will tell.
            operation.lookup.insert(Contact::new(own, address.canonical()));
        }
        self.drive(now);
        self.query_in(slot).ok_or(FindError::Busy(LOOKUPS))
    }

    fn find_node(&mut self, now: Instant, target: Id, options: &Options) -> Result<QueryId, FindError> {
        self.reclaim();
        if self.knows_nobody() {
            return Err(FindError::NoContacts);
        }
        let slot = self.free_slot(now).ok_or(FindError::Busy(LOOKUPS))?;
        self.begin(now, slot, Task::FindNode, target, options.timeout);
        if let Some(operation) = self.operation(slot) {
            operation.tally.recursion = options.mode.into();
        }
        self.drive(now);
        self.query_in(slot).ok_or(FindError::Busy(LOOKUPS))
    }

    fn get(&mut self, now: Instant, key: Key, options: &Options) -> Result<QueryId, GetError> {
        self.reclaim();
        if !self.supports(key.kind) {
            return Err(GetError::Unsupported(key.kind));
        }
        if self.knows_nobody() && self.held(now, &key).is_none() {
            return Err(GetError::NoContacts);
        }
        let buffer = self.free_buffer(now).ok_or(GetError::NoBuffer(VALUES))?;
        let slot = self.free_slot(now).ok_or(GetError::Busy(LOOKUPS))?;
        self.begin(now, slot, Task::Get, key.id, options.timeout);
        let (Some(operation), Some(filled)) =
            (self.operations.get_mut(usize::from(slot)), self.buffers.get_mut(usize::from(buffer)))
        else {
            return Err(GetError::Busy(LOOKUPS));
        };
        operation.key = key;
        operation.buffer = Some(buffer);
        operation.tally.recursion = options.mode.into();
        filled.take();
        // As `held`, which would borrow the whole node.
        let held =
            self.store.find(&key).and_then(|slot| self.store.get(slot)).filter(|held| held.metadata.expires > now);
        if let Some(held) = held {
            operation.set_best(now, held.version(now));
            filled.fill(now, key, &held.record(now), held.version(now), held.metadata.expires.micros_since(now).secs());
        }
        self.drive(now);
        self.query_in(slot).ok_or(GetError::Busy(LOOKUPS))
    }

    fn put(&mut self, now: Instant, record: &Record<'_>, options: &Options) -> Result<QueryId, PutError> {
        self.reclaim();
        if !self.supports(record.kind()) {
            return Err(PutError::Unsupported(record.kind()));
        }
        record.check().map_err(PutError::Record)?;
        let excess = wire::store_len(record, options.compare.is_some()).saturating_sub(self.config.largest_message());
        if excess > 0 {
            return Err(PutError::TooLarge(record.value.len().saturating_sub(excess)));
        }
        if options.lifetime < SHORTEST {
            return Err(PutError::Lifetime);
        }
        if self.config.verify.is_some_and(|verify| !record.verify(verify)) {
            return Err(PutError::Signature);
        }
        if self.knows_nobody() {
            return Err(PutError::NoContacts);
        }
        if !self.operations.iter().any(Operation::is_free) {
            return Err(PutError::Busy(LOOKUPS));
        }
        let key = record.key();
        let held = self.stored(&key).map(|held| held.version(now));
        if let Some((held, compare)) = held.zip(options.compare)
            && held.number != compare
        {
            return Err(PutError::Store(StoreError::Outdated(held)));
        }
        let metadata = Metadata { expires: now + options.lifetime, source: None, pinned: true, last_replicated: now };
        self.store.put(now, record, metadata).map_err(PutError::Store)?;
        self.chores.stored(metadata.expires);
        self.replace_stores(now, &key);
        let slot = self.free_slot(now).ok_or(PutError::Busy(LOOKUPS))?;
        self.begin(now, slot, Task::Put, key.id, options.timeout);
        if let Some(operation) = self.operation(slot) {
            operation.key = key;
            operation.publish = options.publish;
            operation.tally.recursion = options.mode.into();
            operation.compare = options.compare;
            operation.set_best(now, record.version());
        }
        self.drive(now);
        self.query_in(slot).ok_or(PutError::Busy(LOOKUPS))
    }

    fn unpublish(&mut self, _now: Instant, key: &Key) -> bool {
        self.reclaim();
        self.metadata_mut(key).is_some_and(|metadata| core::mem::replace(&mut metadata.pinned, false))
    }

    fn cancel(&mut self, query: QueryId) {
        self.reclaim();
        if self.running(query).is_some() {
            self.abandon(query.slot);
        }
    }

    fn handle_datagram(
        &mut self,
        now: Instant,
        from: R::Address,
        datagram: &[u8],
        buf: &mut [u8],
    ) -> Option<Transmit<R::Address>> {
        self.reclaim();
        count_up(&mut self.stats.received);
        self.stats.received_bytes += datagram.len() as u64;
        let from = from.canonical();
        if !self.started {
            return None;
        }
        // Moves of a whole message from one result to another are a tenth of what a microcontroller's answer costs.
        let message = wire::decode(datagram);
        let message = match &message {
            Ok(message) => message,
            Err(error) => {
                self.unreadable(*error);
                return None;
            }
        };
        if !self.is_ours(&message.header) {
            return None;
        }
        match &message.body {
            Body::Request { largest, token, request, .. } => {
                let asked =
                    Asked { now, from, header: &message.header, largest: *largest, token: *token, len: datagram.len() };
                self.serve(&asked, request, buf)
            }
            Body::Response { token, response } => {
                let transmit = self.responded(now, from, &message.header, *token, response, buf);
                self.drive(now);
                transmit
            }
        }
    }

    fn handle_unreachable(&mut self, now: Instant, to: R::Address) {
        self.reclaim();
        self.requests.unreachable(now, to.canonical());
        self.handle_timeout(now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.reclaim();
        if !self.started {
            return;
        }
        while let Some(due) = self.requests.due(now) {
            self.unanswered(now, due);
        }
        self.end_overdue(now);
        self.expire_records(now);
        self.drive(now);
    }

    fn poll_transmit(&mut self, now: Instant, buf: &mut [u8]) -> Option<Transmit<R::Address>> {
        self.reclaim();
        self.response_relayed(now, buf).or_else(|| self.transmit(now, buf))
    }

    fn poll_event(&mut self) -> Option<Event<'_, R::Address>> {
        self.reclaim();
        if core::mem::take(&mut self.own_id_news)
            && let Some(address) = self.own_id_seen.first().copied()
        {
            return Some(Event::OwnIdSeen { address });
        }
        if let Some(key) = self.superseded.pop() {
            return Some(Event::Superseded { key });
        }
        if let Some((target, to)) = self.relays.news() {
            return Some(Event::Forwarded { target, to });
        }
        let slot = self.operations.iter().position(|operation| operation.phase == Phase::Ended)?;
        self.lend(slot).map(Event::QueryResult)
    }

    fn take_result(&mut self, query: QueryId) -> Option<QueryResult<'_, R::Address>> {
        self.reclaim();
        self.running(query).filter(|operation| operation.phase == Phase::Ended)?;
        self.lend(usize::from(query.slot))
    }

    fn progress(&self, query: QueryId) -> Option<Progress<'_, R::Address>> {
        self.running(query).filter(|operation| operation.is_running()).map(Operation::progress)
    }

    fn poll_timeout(&self) -> Option<(Instant, WakeReason)> {
        if !self.started {
            return None;
        }
        if self.requests.has_ready() || self.relays.last().is_some() {
            return Some((Instant::ZERO, WakeReason::Transmit));
        }
        if self.requests_freed {
            return Some((Instant::ZERO, WakeReason::Operation));
        }
        let operation =
            self.operations.iter().filter(|operation| operation.is_running()).map(|operation| operation.deadline).min();
        let mut next = (self.requests.deadline(), WakeReason::Request);
        let mut or = |at, wake| {
            if at < next.0 {
                next = (at, wake);
            }
        };
        or(operation.unwrap_or(Instant::NEVER), WakeReason::Operation);
        or(self.chores.expiry(), WakeReason::Record);
        if self.can_begin_maintenance() {
            or(self.next_table_maintenance(), WakeReason::Maintenance);
            or(self.chores.due(), WakeReason::Record);
            or(self.bootstraps.due(), WakeReason::Bootstrap);
        }
        Some(next).filter(|(at, _)| *at != Instant::NEVER)
    }

    fn restore_contact(&mut self, now: Instant, contact: Contact<R::Address>) {
        self.reclaim();
        self.table.discovered(now, Contact { address: contact.address.canonical(), ..contact }, Origin::Restored);
    }

    fn restore_record(
        &mut self,
        now: Instant,
        record: &Record<'_>,
        lifetime: Duration,
        publish: bool,
    ) -> Result<(), RestoreError> {
        self.reclaim();
        if !self.started {
            return Err(RestoreError::NotStarted);
        }
        if !self.supports(record.kind()) {
            return Err(RestoreError::Unsupported(record.kind()));
        }
        if lifetime < SHORTEST {
            return Err(RestoreError::Lifetime);
        }
        if record.check().is_ok() && self.config.verify.is_some_and(|verify| !record.verify(verify)) {
            return Err(RestoreError::Signature);
        }
        let metadata =
            Metadata { expires: now + lifetime, source: None, pinned: publish, last_replicated: Instant::ZERO };
        self.store.put(now, record, metadata).map_err(RestoreError::Store)?;
        self.chores.stored(metadata.expires);
        if publish {
            self.chores.publish_by(now);
        }
        Ok(())
    }

    fn stats(&self) -> &Stats {
        &self.stats
    }

    fn routing(&self) -> &R {
        &self.table
    }

    fn store(&self) -> &S {
        &self.store
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
    const fn unreadable(&mut self, error: DecodeError) {
        match error {
            DecodeError::Version(_) => count_up(&mut self.stats.wrong_version),
            _ => count_up(&mut self.stats.malformed),
        }
    }

    /// Whether a message is of this network; counts why not.
    fn is_ours(&mut self, header: &Header) -> bool {
        if header.geometry != R::Geometry::TAG {
            count_up(&mut self.stats.wrong_geometry);
            return false;
        }
        if header.network != self.config.network {
            count_up(&mut self.stats.wrong_network);
            return false;
        }
        true
    }

    fn query_in(&self, slot: u8) -> Option<QueryId> {
        Some(self.operations.get(usize::from(slot))?.query(slot))
    }
}
