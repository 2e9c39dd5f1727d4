//! The calls of [`Dht`], implemented for every node.

use core::time::Duration;

use super::bounds::{Parts, Slots};
use super::command_error::{BeginError, GetError, PutError, RestoreError};
use super::config::{Mode, Options};
use super::dht::Dht;
use super::inner::NodeInner;
use super::operation::Operation;
use super::query::{Event, Joining, Progress, QueryId, QueryResult, Transmit, WakeReason};
use super::records::held_in;
use super::shared::{Op, Shared, TIMEOUT};
use super::stats::Stats;
use super::task::Task;
use crate::address::Address;
use crate::contact::Contact;
use crate::id::Id;
use crate::record::{Key, Kind, Record};
use crate::routing::{Origin, Routing};
use crate::store::{Metadata, Store};
use crate::time::Instant;
use crate::wire::Wire;

/// The shortest lifetime of a record: messages have lifetimes in seconds.
const SHORTEST: Duration = Duration::from_secs(1);

impl<P: Parts> Dht for NodeInner<P> {
    type Address = P::Address;
    type Routing = P::Routing;
    type Store = P::Store;

    fn id(&self) -> Id {
        self.shared.table.own()
    }

    fn bootstrap(&mut self, now: Instant, addresses: &[P::Address]) -> Result<Joining, BeginError> {
        self.reclaim();
        if !self.shared.started {
            return Err(BeginError::NotStarted);
        }
        if addresses.is_empty() {
            return Err(BeginError::NoAddresses);
        }
        let (shared, operation) = self.free_slot(now).ok_or(BeginError::Busy(P::Operations::LEN))?;
        let taken = shared.bootstraps.remember(now, addresses);
        shared.begin_join(now, operation, Task::Bootstrap);
        let query = operation.query();
        self.drive(now);
        Ok(Joining { query, taken })
    }

    fn ping(&mut self, now: Instant, address: P::Address) -> Result<QueryId, BeginError> {
        self.reclaim();
        if !self.shared.started {
            return Err(BeginError::NotStarted);
        }
        let (shared, operation) = self.free_slot(now).ok_or(BeginError::Busy(P::Operations::LEN))?;
        let own = shared.table.own();
        operation.begin(now, Task::Ping, TIMEOUT);
        operation.lookup.restart(own, shared.lookup_limits());
        // The identifier of the node is not known yet; its response tells it.
        operation.lookup.insert(Contact::new(own, address.canonical()));
        let query = operation.query();
        self.drive(now);
        Ok(query)
    }

    fn find_node(&mut self, now: Instant, target: Id, options: &Options) -> Result<QueryId, BeginError> {
        self.reclaim();
        if !self.shared.started {
            return Err(BeginError::NotStarted);
        }
        if !forwards::<P>(options) {
            return Err(BeginError::NoRelays);
        }
        if self.shared.is_table_empty() {
            return Err(BeginError::NoContacts);
        }
        let (shared, operation) = self.free_slot(now).ok_or(BeginError::Busy(P::Operations::LEN))?;
        shared.begin_lookup(now, operation, Task::FindNode, target, options.timeout);
        operation.recursion = options.mode.into();
        let query = operation.query();
        self.drive(now);
        Ok(query)
    }

    fn get(&mut self, now: Instant, key: Key, options: &Options) -> Result<QueryId, GetError> {
        self.reclaim();
        if !self.shared.started {
            return Err(GetError::NotStarted);
        }
        if !self.shared.supports(key.kind) {
            return Err(GetError::Unsupported(key.kind));
        }
        if !forwards::<P>(options) {
            return Err(GetError::NoRelays);
        }
        if self.shared.is_table_empty() && self.shared.held(now, &key).is_none() {
            return Err(GetError::NoContacts);
        }
        let index = self.free_buffer(now).ok_or(GetError::NoBuffer(self.shared.buffers.len()))?;
        let (shared, operation) = self.free_slot(now).ok_or(GetError::Busy(P::Operations::LEN))?;
        shared.begin_lookup(now, operation, Task::Get, key.id, options.timeout);
        operation.key = key;
        operation.buffer = Some(index);
        operation.recursion = options.mode.into();
        if let Some(buffer) = shared.buffers.get_mut(usize::from(index)) {
            buffer.take();
            if let Some(held) = held_in(&shared.store, now, &key) {
                let (version, lifetime) = (held.version(now), held.metadata.expires.micros_since(now).secs());
                operation.set_best(now, version);
                buffer.fill(now, key, &held.record(now), version, lifetime);
            }
        }
        let query = operation.query();
        self.drive(now);
        Ok(query)
    }

    fn put(&mut self, now: Instant, record: &Record<'_>, options: &Options) -> Result<QueryId, PutError> {
        self.reclaim();
        self.shared.check_put(record, options)?;
        if !self.any(Operation::is_free) {
            return Err(PutError::Busy(P::Operations::LEN));
        }
        let key = record.key();
        let held = self.shared.stored(&key);
        let held_since = held.as_ref().map_or(Instant::ZERO, |held| held.stored_at);
        if let Some((held, compare)) = held.map(|held| held.version(now)).zip(options.compare)
            && held.number != compare
            && held != record.version()
        {
            return Err(PutError::Conflict(held.number));
        }
        let expires = now + options.lifetime;
        let metadata = Metadata { pinned: true, last_replicated: now, ..Metadata::until(expires) };
        let at = if key.kind == Kind::Plain { self.shared.last_put.next(now, &key.id, held_since) } else { now };
        self.shared.store.put(at, record, metadata).map_err(PutError::Store)?;
        self.shared.replication.stored(expires);
        self.replace_stores(now, &key);
        let (shared, operation) = self.free_slot(now).ok_or(PutError::Busy(P::Operations::LEN))?;
        shared.begin_lookup(now, operation, Task::Put, key.id, options.timeout);
        operation.key = key;
        operation.publish = options.publish;
        operation.compare = options.compare;
        operation.recursion = options.mode.into();
        operation.set_best(at, record.version());
        let query = operation.query();
        self.drive(now);
        Ok(query)
    }

    fn unpublish(&mut self, key: &Key) -> bool {
        self.reclaim();
        let metadata = self.shared.metadata_mut(key);
        metadata.is_some_and(|metadata| core::mem::replace(&mut metadata.pinned, false))
    }

    fn cancel(&mut self, query: QueryId) {
        self.reclaim();
        if let Some(operation) = self.operations.get_mut(query.slot).filter(|operation| operation.is(query)) {
            self.shared.abandon(operation);
        }
    }

    fn handle_datagram(
        &mut self,
        now: Instant,
        from: P::Address,
        datagram: &[u8],
        buf: &mut [u8],
    ) -> Option<Transmit<P::Address>> {
        self.reclaim();
        let (sent, goes_on) = self.receive(now, from.canonical(), datagram, buf);
        if goes_on {
            self.drive(now);
        }
        sent
    }

    fn handle_unreachable(&mut self, now: Instant, to: P::Address) {
        self.reclaim();
        self.shared.requests.unreachable(now, to.canonical());
        self.handle_timeout(now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.reclaim();
        if self.shared.started {
            self.do_due(now);
        }
    }

    fn poll_transmit(&mut self, now: Instant, buf: &mut [u8]) -> Option<Transmit<P::Address>> {
        self.reclaim();
        self.transmit(now, buf)
    }

    fn poll_event_except(&mut self, is_awaited: &dyn Fn(QueryId) -> bool) -> Option<Event<'_, P::Address>> {
        self.reclaim();
        let shared = &mut self.shared;
        if core::mem::take(&mut shared.identity.unreported) {
            return Some(Event::ExternalAddress { address: shared.identity.external(), id: shared.table.own() });
        }
        if core::mem::take(&mut shared.reachability.unreported) {
            return Some(Event::Serves { serves: shared.config.serve.serves() });
        }
        if let Some(address) = shared.own_id_seen.pop() {
            return Some(Event::OwnIdSeen { address });
        }
        if let Some(key) = shared.superseded.pop() {
            return Some(Event::Superseded { key });
        }
        if let Some((target, to)) = shared.forwarding.take_unreported() {
            return Some(Event::Forwarded { target, to });
        }
        let slot = self.find(|operation| operation.has_result() && !is_awaited(operation.query()))?;
        self.lend(slot).map(Event::Finished)
    }

    fn take_result(&mut self, query: QueryId) -> Option<QueryResult<'_, P::Address>> {
        self.reclaim();
        let operation = self.operations.get(query.slot)?;
        if !operation.is(query) || !operation.has_result() {
            return None;
        }
        self.lend(query.slot)
    }

    fn progress(&self, query: QueryId) -> Option<Progress<'_, P::Address>> {
        let operation = self.operations.get(query.slot)?;
        let shortlist = self.operations.shortlist(query.slot)?;
        (operation.is(query) && operation.is_running()).then(|| operation.progress(shortlist))
    }

    fn poll_timeout(&self) -> Option<(Instant, WakeReason)> {
        if !self.shared.started {
            return None;
        }
        Some(self.next_due()).filter(|(at, _)| *at != Instant::NEVER)
    }

    fn restore_contact(&mut self, now: Instant, contact: Contact<P::Address>) {
        self.reclaim();
        let contact = Contact { address: contact.address.canonical(), ..contact };
        if self.shared.fits(&contact) {
            self.shared.table.discovered(now, contact, Origin::Restored);
        }
        self.shared.replication.publish_by(now);
    }

    fn restore_record(
        &mut self,
        now: Instant,
        record: &Record<'_>,
        lifetime: Duration,
        publish: bool,
    ) -> Result<(), RestoreError> {
        self.reclaim();
        let shared = &mut self.shared;
        if !shared.started {
            return Err(RestoreError::NotStarted);
        }
        if !shared.supports(record.kind()) {
            return Err(RestoreError::Unsupported(record.kind()));
        }
        if lifetime < SHORTEST {
            return Err(RestoreError::Lifetime);
        }
        if record.check().is_ok() && !shared.is_valid(record) {
            return Err(RestoreError::Signature);
        }
        let expires = now + lifetime;
        let metadata = Metadata { pinned: publish, ..Metadata::until(expires) };
        shared.store.put(now, record, metadata).map_err(RestoreError::Store)?;
        shared.replication.stored(expires);
        if publish {
            shared.replication.publish_by(now);
        }
        Ok(())
    }

    fn stats(&self) -> &Stats {
        &self.shared.stats
    }

    fn operations(&self) -> usize {
        self.operations.iter().filter(|operation| operation.works()).count()
    }

    fn routing(&self) -> &P::Routing {
        &self.shared.table
    }

    fn store(&self) -> &P::Store {
        &self.shared.store
    }
}

impl<P: Parts> NodeInner<P> {
    /// A slot for a user's command, and what all operations share. The slot is idle, or its maintenance has yielded.
    fn free_slot(&mut self, now: Instant) -> Option<(&mut Shared<P>, &mut Op<P>)> {
        let slot = self.find(Operation::is_idle).or_else(|| self.find(Operation::is_free))?;
        let operation = self.operations.get_mut(slot)?;
        self.shared.yield_slot(now, operation);
        Some((&mut self.shared, operation))
    }

    /// A buffer for a user's get. It is free, or its maintenance has yielded.
    fn free_buffer(&mut self, now: Instant) -> Option<u8> {
        if self.shared.buffers.iter().all(|buffer| buffer.taken) {
            let mut operations = self.operations.iter_mut();
            let operation = operations.find(|operation| operation.is_free() && operation.buffer.is_some())?;
            self.shared.yield_slot(now, operation);
        }
        u8::try_from(self.shared.buffers.iter().position(|buffer| !buffer.taken)?).ok()
    }

    /// A record is put: ends the operations that still store another one under its key.
    fn replace_stores(&mut self, now: Instant, key: &Key) {
        for operation in self.operations.iter_mut() {
            if operation.is_running() && operation.key == *key {
                self.shared.replace_store(now, operation);
            }
        }
    }

    /// Lends the result in a slot to the caller.
    fn lend(&mut self, slot: u8) -> Option<QueryResult<'_, P::Address>> {
        self.shared.lent = true;
        self.operations.get_mut(slot)?.lend();
        let (operation, shortlist) = (self.operations.get(slot)?, self.operations.shortlist(slot)?);
        let buffer = operation.buffer.and_then(|index| self.shared.buffers.get(usize::from(index)));
        let outcome = operation.outcome(shortlist, buffer);
        Some(QueryResult { query: operation.query(), outcome, stats: operation.stats() })
    }
}

impl<P: Parts> Shared<P> {
    /// Checks a put before it begins.
    fn check_put(&self, record: &Record<'_>, options: &Options) -> Result<(), PutError> {
        if !self.started {
            return Err(PutError::NotStarted);
        }
        if !self.supports(record.kind()) {
            return Err(PutError::Unsupported(record.kind()));
        }
        if !forwards::<P>(options) {
            return Err(PutError::NoRelays);
        }
        record.check().map_err(PutError::Record)?;
        if options.compare.is_some() && record.kind() != Kind::Signed {
            return Err(PutError::CompareUnsigned);
        }
        let compare = if options.compare.is_some() { P::Wire::LENGTHS.compare } else { 0 };
        let size = P::Wire::LENGTHS.store + compare + P::Wire::record_len(record);
        let excess = size.saturating_sub(self.config.largest_message());
        if excess > 0 {
            return Err(PutError::TooLarge(record.value.len().saturating_sub(excess)));
        }
        if options.lifetime < SHORTEST {
            return Err(PutError::Lifetime);
        }
        if !self.is_valid(record) {
            return Err(PutError::Signature);
        }
        if self.is_table_empty() && !self.config.serve.serves() && !options.publish {
            return Err(PutError::NoContacts);
        }
        Ok(())
    }
}

/// Whether a node supports the lookup mode of the options.
fn forwards<P: Parts>(options: &Options) -> bool {
    P::FORWARDS || options.mode == Mode::Iterative
}
