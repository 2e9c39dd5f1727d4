//! Answers to our questions, and questions that nobody answered.

use core::cmp::Ordering;

use super::operation::{Ending, Task};
use super::relays::Said;
use super::request::Purpose;
use super::stats::count_up;
use super::{Node, Transmit};
use crate::record::{Kind, Record, Version};
use crate::routing::{Origin, Routing};
use crate::rpc::{Accepted, Due};
use crate::store::{Metadata, Store};
use crate::time::Micros;
use crate::wire::{Contacts, ErrorCode, Features, Header, Response, Token};
use crate::{Address, Contact, Id, Instant};

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
    /// An answer came in. It counts only with the right transaction, from the right address, by the expected node. What was asked on
    /// another's behalf is carried back in `buf`.
    pub(super) fn responded(
        &mut self,
        now: Instant,
        from: R::Address,
        header: &Header,
        token: Token,
        response: &Response<'_, R::Address>,
        buf: &mut [u8],
    ) -> Option<Transmit<R::Address>> {
        let more = match response {
            Response::Accepted => self.requests.owner(header.transaction).and_then(|owner| self.waits_until(owner)),
            _ => None,
        };
        let accepted = match more {
            Some(until) => self.requests.acknowledge(now, from, &header.sender, header.transaction, until),
            None => self.requests.accept(now, from, &header.sender, header.transaction),
        };
        let (owner, rtt) = match accepted {
            Accepted::Response { owner, rtt } => (owner, rtt),
            Accepted::WrongId { owner, expected } => {
                count_up(&mut self.stats.spoofed);
                if self.knows_at(&expected, from) {
                    self.table.evict(now, &expected);
                }
                if let Some(owner) = owner {
                    self.failed(now, owner, Some(&expected));
                }
                return None;
            }
            Accepted::WrongAddress => {
                count_up(&mut self.stats.spoofed);
                return None;
            }
            Accepted::Unknown => {
                count_up(&mut self.stats.unsolicited);
                return None;
            }
        };
        count_up(&mut self.stats.responses);
        if header.sender == self.table.own() {
            self.meet_own_id(from);
            if let Some(owner) = owner {
                self.failed(now, owner, None);
            }
            return None;
        }
        self.relays.note_token(&header.sender, token);
        let contact = Contact::new(header.sender, from);
        if header.features.contains(Features::SERVES) && self.may_be_known(&contact) {
            self.table.responded(now, contact, rtt);
            self.bootstraps.verified(now, from);
        }
        match owner {
            Some(Purpose::Search { slot }) => self.search_responded(now, slot, contact, token, response),
            Some(Purpose::Store { slot }) => self.store_responded(slot, &contact.id, token, response),
            Some(Purpose::Bootstrap { slot }) => self.bootstrap_responded(slot, contact, token, response),
            Some(Purpose::Ping { slot }) => self.ping_responded(now, slot, contact),
            Some(Purpose::Table) => {
                for named in contacts_of(response).iter().take(usize::from(self.config.table.k)) {
                    if self.is_acceptable(from, &named) {
                        self.table.discovered(now, named, Origin::Named);
                    }
                }
            }
            Some(Purpose::Relay { relay }) => return self.relay_responded(now, relay, contact, response, buf),
            Some(Purpose::Introduction) | None => {}
        }
        None
    }

    /// A question was slow to be answered, or never was.
    pub(super) fn unanswered(&mut self, now: Instant, due: Due<R::Address, Purpose>) {
        match due {
            Due::Slow { owner: Purpose::Relay { relay }, .. } => self.relay_slow(now, relay),
            Due::Slow { owner, expect } => {
                let slot = owner.slot().map(usize::from);
                if let Some((operation, id)) = slot.and_then(|slot| self.operations.get_mut(slot)).zip(expect) {
                    operation.lookup.slow(&id);
                    operation.stop_fetching(&id);
                }
            }
            Due::Failed { owner, expect, to, acknowledged } => {
                count_up(&mut self.stats.timeouts);
                if let Some(id) = expect.filter(|id| !acknowledged && self.knows_at(id, to)) {
                    match owner {
                        // It was asked but twice.
                        Some(Purpose::Relay { .. }) => self.check_silent(to, id),
                        _ => self.table.failed(now, &id),
                    }
                }
                if let Some(owner) = owner {
                    self.failed(now, owner, expect.as_ref());
                }
            }
        }
    }

    /// Nobody answers an operation's question any more.
    pub(super) fn failed(&mut self, now: Instant, owner: Purpose, id: Option<&Id>) {
        if let Purpose::Relay { relay } = owner {
            if let Some(id) = id {
                self.relay_failed(now, relay, id, Said::Silent);
            }
            return;
        }
        let Some((slot, operation)) = owner.slot().and_then(|slot| Some((slot, self.operation(slot)?))) else {
            return;
        };
        operation.tally.timed_out = operation.tally.timed_out.saturating_add(1);
        match owner {
            Purpose::Bootstrap { .. } => operation.bootstraps_asked = operation.bootstraps_asked.saturating_sub(1),
            Purpose::Ping { .. } => self.end(now, slot, Ending::NoResponse),
            _ => {
                if let Some(id) = id {
                    self.lookup_failed(slot, id);
                }
            }
        }
    }

    /// A node that an operation asked will not answer.
    fn lookup_failed(&mut self, slot: u8, id: &Id) {
        let Some(operation) = self.operation(slot) else {
            return;
        };
        if operation.storing {
            operation.lookup.refused(id);
        } else {
            operation.lookup.failed(id);
        }
        operation.stop_fetching(id);
    }

    fn search_responded(
        &mut self,
        now: Instant,
        slot: u8,
        from: Contact<R::Address>,
        token: Token,
        response: &Response<'_, R::Address>,
    ) {
        let largest = self.config.largest_message();
        self.take_named(slot, from, response);
        let Some(operation) = self.operation(slot) else {
            return;
        };
        let asked_with_token = operation.lookup.token(&from.id).is_some();
        operation.stop_fetching(&from.id);
        match *response {
            Response::Error { code: ErrorCode::Token, .. } if !asked_with_token => {
                operation.lookup.set_token(&from.id, token);
                operation.lookup.unasked(&from.id);
                operation.tally.asked = operation.tally.asked.saturating_sub(1);
                return;
            }
            Response::Error { code, detail } => {
                operation.tally.refuse(code, detail);
                operation.lookup.failed(&from.id);
                return;
            }
            Response::StoredRecord { version, size, .. } if operation.finds_value() => {
                let best = operation.best(now);
                match best.map_or(Ordering::Greater, |best| operation.key.kind.contest(best, version).offered) {
                    Ordering::Less => {}
                    Ordering::Equal => operation.lookup.holds_newest(&from.id),
                    Ordering::Greater if usize::from(size) > largest => operation.tally.too_large = size,
                    Ordering::Greater if asked_with_token => {}
                    Ordering::Greater => return self.fetch(slot, from, token),
                }
            }
            Response::Value { ref record, lifetime, .. } if operation.finds_value() => {
                self.value_found(now, slot, &from.id, record, lifetime)
            }
            _ => {}
        }
        if let Some(operation) = self.operation(slot) {
            operation.tally.responded = operation.tally.responded.saturating_add(1);
            operation.lookup.responded(&from.id, Some(token));
        }
    }

    /// Asks a holder again, with its token, for a record too large to answer a stranger with. One holder at a time: the others are
    /// asked again once the record is here, and needn't send it.
    fn fetch(&mut self, slot: u8, from: Contact<R::Address>, token: Token) {
        let Some(operation) = self.operation(slot) else {
            return;
        };
        operation.lookup.set_token(&from.id, token);
        if operation.fetching.is_none() {
            operation.fetching = Some(from.id);
            if self.ask(Purpose::Search { slot }, from.address, Some(from.id), None) {
                return;
            }
        }
        if let Some(operation) = self.operation(slot) {
            operation.stop_fetching(&from.id);
            operation.lookup.unasked(&from.id);
        }
    }

    /// A record came in: it counts if it is the one asked for, holds, and is newer than what is known.
    pub(super) fn value_found(&mut self, now: Instant, slot: u8, from: &Id, record: &Record<'_>, lifetime: u32) {
        let (verify, max_lifetime) = (self.config.verify, Micros::of(self.config.max_lifetime));
        let Some(operation) = self.operation(slot) else {
            return;
        };
        if record.key() != operation.key || record.check().is_err() {
            return operation.tally.refuse(ErrorCode::Invalid, 0);
        }
        let version = record.version();
        match operation.best(now).map_or(Ordering::Greater, |best| operation.key.kind.contest(best, version).offered) {
            Ordering::Less => return,
            Ordering::Equal => return operation.lookup.holds_newest(from),
            Ordering::Greater => {}
        }
        if verify.is_some_and(|verify| !record.verify(verify)) {
            return operation.tally.refuse(ErrorCode::Invalid, 0);
        }
        operation.set_best(now, version);
        operation.lookup.newest(from);
        let (task, key, buffer) = (operation.task, operation.key, operation.buffer);
        let lifetime = lifetime.min(max_lifetime.secs());
        if task == Task::Get {
            if let Some(buffer) = buffer.and_then(|index| self.buffers.get_mut(usize::from(index))) {
                buffer.fill(now, key, record, version, lifetime);
            }
        } else {
            self.keep_newer(now, slot, record, version, lifetime);
        }
    }

    /// Upkeep met a newer record than the one held here. Whoever publishes that one stops, unless this is the same plain value: its
    /// holders' clocks were slower.
    fn keep_newer(&mut self, now: Instant, slot: u8, record: &Record<'_>, version: Version, lifetime: u32) {
        let key = record.key();
        let own = self.stored(&key).filter(|held| held.metadata.pinned);
        let same = own
            .filter(|own| key.kind == Kind::Plain && own.stored_version.digest == version.digest)
            .map(|own| *own.metadata);
        let expires = now + Micros::from_secs(u64::from(lifetime));
        let others = Metadata { expires, source: None, pinned: false, last_replicated: Instant::ZERO };
        // Where the own store is too full for it, the co-holders that lag get what is held here, and others hold the newer one.
        let _ = self.keep(now, record, same.unwrap_or(others));
        if same.is_none()
            && self.operations.get(usize::from(slot)).is_some_and(|operation| operation.task == Task::Republish)
        {
            self.end(now, slot, Ending::Conflict);
        }
    }

    fn store_responded(&mut self, slot: u8, from: &Id, token: Token, response: &Response<'_, R::Address>) {
        let Some(operation) = self.operation(slot) else {
            return;
        };
        match *response {
            Response::Stored { .. } => {
                operation.tally.stored = operation.tally.stored.saturating_add(1);
                operation.lookup.stored(from);
            }
            // The token became too old since the search, or its maker began anew.
            Response::Error { code: ErrorCode::Token, .. } if operation.tally.may_renew_token() => {
                operation.lookup.set_token(from, token);
                operation.lookup.unstored(from);
            }
            Response::Error { code, detail } => {
                operation.tally.refuse(code, detail);
                operation.lookup.refused(from);
            }
            _ => operation.lookup.refused(from),
        }
    }

    fn bootstrap_responded(
        &mut self,
        slot: u8,
        from: Contact<R::Address>,
        token: Token,
        response: &Response<'_, R::Address>,
    ) {
        let Some(operation) = self.operation(slot) else {
            return;
        };
        operation.bootstraps_asked = operation.bootstraps_asked.saturating_sub(1);
        operation.lookup.insert(from);
        match response {
            // Its budget for strangers is used up: the lookup asks it again, with the token.
            Response::Error { code: ErrorCode::Token, .. } => operation.lookup.set_token(&from.id, token),
            Response::Error { code, detail } => {
                operation.tally.refuse(*code, *detail);
                operation.lookup.failed(&from.id);
            }
            _ => {
                operation.tally.responded = operation.tally.responded.saturating_add(1);
                operation.lookup.responded(&from.id, Some(token));
                self.take_named(slot, from, response);
            }
        }
    }

    fn ping_responded(&mut self, now: Instant, slot: u8, from: Contact<R::Address>) {
        if let Some(operation) = self.operation(slot) {
            operation.lookup.insert(from);
            operation.lookup.responded(&from.id, None);
            operation.tally.responded = 1;
        }
        self.end(now, slot, Ending::Pong);
    }

    /// Puts the contacts that an answer names onto the shortlist.
    fn take_named(&mut self, slot: u8, from: Contact<R::Address>, response: &Response<'_, R::Address>) {
        for named in contacts_of(response).iter().take(usize::from(self.config.table.k)) {
            if !self.is_acceptable(from.address, &named) {
                continue;
            }
            if let Some(operation) = self.operation(slot) {
                operation.lookup.named(&from.id, named);
            }
        }
    }

    /// Whether to take up a contact that a node names: not ourselves, no address that means less than the namer's own, and an id that fits.
    pub(super) fn is_acceptable(&mut self, by: R::Address, named: &Contact<R::Address>) -> bool {
        if named.id == self.table.own() {
            return false;
        }
        let acceptable = named.address.scope() >= by.scope() && self.may_be_known(named);
        if !acceptable {
            count_up(&mut self.stats.bad_contacts);
        }
        acceptable
    }

    /// Whether the table knows a contact at this address. Of one that was named at another, nothing that happens there tells anything.
    fn knows_at(&self, id: &Id, address: R::Address) -> bool {
        self.table.get(id).is_some_and(|peer| peer.contact.address.canonical() == address.canonical())
    }

    /// Whether an id may stand at an address.
    pub(super) fn may_be_known(&self, contact: &Contact<R::Address>) -> bool {
        !self.config.bind_ids || contact.address.bind(contact.id) == contact.id
    }
}

fn contacts_of<'a, A: Address>(response: &Response<'a, A>) -> Contacts<'a, A> {
    match *response {
        Response::Nodes { contacts } | Response::Value { contacts, .. } | Response::StoredRecord { contacts, .. } => {
            contacts
        }
        // What was passed on is taken up by whom it was asked for.
        Response::Pong { .. }
        | Response::Stored { .. }
        | Response::Accepted
        | Response::Relayed { .. }
        | Response::Error { .. } => Contacts::EMPTY,
    }
}
