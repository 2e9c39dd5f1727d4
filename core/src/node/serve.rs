//! Requests of others: each is answered at once or dropped. Nothing is kept but the record it stores or the question it has passed on;
//! and whoever asks may be asked whether it is there.

use core::cmp::Ordering;

use super::relays::Passing;
use super::request::Purpose;
use super::stats::count_up;
use super::{MAX_NAMED, Node, Transmit};
use crate::record::{Key, Record, Version};
use crate::routing::{ContactState, Origin, Routing};
use crate::store::{Metadata, Put, Store, StoreError, StoredRecord};
use crate::time::Micros;
use crate::wire::{self, Body, Contacts, ErrorCode, Features, Header, Message, Observed, Request, Response, Token};
use crate::{Address, Contact, Id, Instant};

/// A request's circumstances.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a, A> {
    pub(super) now: Instant,
    pub(super) from: A,
    pub(super) header: &'a Header,
    pub(super) largest: u16,
    pub(super) token: Option<Token>,
    /// How long the datagram is.
    pub(super) len: usize,
}

/// Bytes out for each byte in toward an address that has not proved itself (RFC 9000, section 8).
const AMPLIFICATION: usize = 3;

/// What a record costs its source beside its value, in bytes, so that many small ones are not free.
const RECORD_COST: usize = 100;

/// Of the request slots, one in so many may be asking strangers whether they are there.
const INTRODUCTIONS: usize = 4;

type Named<A> = [Contact<A>; MAX_NAMED];

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
    /// Answers a request into `buf`.
    pub(super) fn serve(
        &mut self,
        asked: &Asked<'_, R::Address>,
        request: &Request<'_>,
        buf: &mut [u8],
    ) -> Option<Transmit<R::Address>> {
        if !self.config.serve {
            count_up(&mut self.stats.not_serving);
            return None;
        }
        if asked.header.sender == self.table.own() {
            self.meet_own_id(asked.from);
            return None;
        }
        let Asked { now, from, header, .. } = *asked;
        let (proved, token) = self.tokens.renew(now, &from, &header.sender, asked.token);
        if asked.token.is_some() && !proved {
            count_up(&mut self.stats.bad_tokens);
        }
        let within = self.rate_limiter.take(now, from.prefix(), proved);
        if !within {
            count_up(&mut self.stats.rate_limited);
            if proved {
                return None;
            }
        }
        let unproved = if proved { usize::MAX } else { AMPLIFICATION.saturating_mul(asked.len) };
        let room = usize::from(asked.largest).min(self.config.largest_message()).min(buf.len());
        if room < wire::ERROR_LEN {
            count_up(&mut self.stats.small_buffers);
            return None;
        }
        let buf = buf.get_mut(..room.min(unproved))?;
        let len = match (within, request) {
            (false, _) => self.reply(asked, token, Response::Error { code: ErrorCode::Token, detail: 0 }, buf),
            (true, Request::Ping) => self.reply(asked, token, Response::Pong { observed: Observed::new(from) }, buf),
            (true, Request::FindNode { target }) => self.response_nodes(asked, token, target, buf),
            (true, Request::FindValue { key, have }) => self.response_value(asked, token, key, *have, buf),
            (true, Request::Store { record, lifetime, compare, handover }) => {
                let offer = Offer { record, lifetime: *lifetime, compare: *compare, handover: *handover };
                let response = match self.take_record(asked, proved, &offer) {
                    Ok(lifetime) => Response::Stored { lifetime },
                    Err((code, detail)) => {
                        count_up(&mut self.stats.refused_stores);
                        Response::Error { code, detail }
                    }
                };
                self.reply(asked, token, response, buf)
            }
            (true, Request::Relay { relay_id, target, hops, time }) => {
                let deadline = now + Micros::from_millis(u64::from(*time));
                let passing = Passing { relay_id: *relay_id, target: *target, hops: *hops, deadline };
                self.response_relay(asked, proved, token, &passing, buf)
            }
            (true, Request::Unknown { .. }) => {
                self.reply(asked, token, Response::Error { code: ErrorCode::Unsupported, detail: 0 }, buf)
            }
        }?;
        count_up(&mut self.stats.responded);
        let transmit = self.count_sent(from, len);
        if within && header.features.contains(Features::SERVES) {
            self.introduce(now, Contact::new(header.sender, from), unproved - len);
        }
        Some(transmit)
    }

    pub(super) fn reply(
        &self,
        asked: &Asked<'_, R::Address>,
        token: Token,
        response: Response<'_, R::Address>,
        buf: &mut [u8],
    ) -> Option<usize> {
        let header = self.header(asked.header.transaction);
        wire::encode(&Message { header, body: Body::Response { token, response } }, buf).ok()
    }

    fn response_nodes(
        &self,
        asked: &Asked<'_, R::Address>,
        token: Token,
        target: &Id,
        buf: &mut [u8],
    ) -> Option<usize> {
        let mut named = const { [Contact::EMPTY; MAX_NAMED] };
        let contacts = self.nearest(asked, target, wire::nodes_len(0, 0), buf.len(), &mut named);
        self.reply(asked, token, Response::Nodes { contacts }, buf)
    }

    fn response_value(
        &mut self,
        asked: &Asked<'_, R::Address>,
        token: Token,
        key: &Key,
        have: Option<Version>,
        buf: &mut [u8],
    ) -> Option<usize> {
        let now = asked.now;
        let Some(slot) = self.store.find(key) else {
            return self.response_nodes(asked, token, &key.id, buf);
        };
        let held = self.store.get(slot).filter(|held| held.metadata.expires > now);
        let Some(held) = held else {
            return self.response_nodes(asked, token, &key.id, buf);
        };
        let (version, lifetime) = (held.version(now), held.metadata.expires.micros_since(now).secs());
        let compared = have.map(|have| key.kind.contest(have, version).offered);
        let response_len = wire::value_len(&held.stored);
        let mut named = const { [Contact::EMPTY; MAX_NAMED] };
        let response = match compared {
            None | Some(Ordering::Greater) if response_len <= buf.len() => {
                let contacts = self.nearest(asked, &key.id, response_len, buf.len(), &mut named);
                Response::Value { record: held.record(now), lifetime, contacts }
            }
            _ => {
                let contacts = self.nearest(asked, &key.id, wire::HELD_LEN, buf.len(), &mut named);
                Response::StoredRecord { version, size: u16::try_from(response_len).unwrap_or(u16::MAX), contacts }
            }
        };
        let len = self.reply(asked, token, response, buf);
        if compared == Some(Ordering::Equal) && self.is_co_holder(asked) && self.table.rank_of_own(&key.id, 1) > 0 {
            // Somebody who has the same version is seeing that its holders have it. Who that is may be forged, so the most responsible
            // holder doesn't rely on it.
            if let Some(metadata) = self.store.metadata_mut(slot).filter(|metadata| !metadata.pinned) {
                metadata.last_replicated = now;
            }
        }
        len
    }

    /// The contacts nearest to `target` but the asker: k of them, or as many as leave room in `room` beside `other` bytes of answer. Where
    /// not all fit, those of the asker's own address family come first.
    fn nearest<'a>(
        &self,
        asked: &Asked<'_, R::Address>,
        target: &Id,
        other: usize,
        room: usize,
        named: &'a mut Named<R::Address>,
    ) -> Contacts<'a, R::Address> {
        // One more than k: the asker may be among them.
        let k = usize::from(self.config.table.k);
        let count = named.get_mut(..=k).map_or(0, |named| self.table.closest(target, named));
        let named = named.get_mut(..count).unwrap_or_default();
        let others = to_front(named, |contact| contact.id != asked.header.sender).min(k);
        let named = named.get_mut(..others).unwrap_or_default();
        let room = (room + 1).saturating_sub(other);
        if Contacts::fitting(named, room).count() == named.len() {
            return Contacts::new(named);
        }
        let family = asked.from.encode().family;
        to_front(named, |contact| contact.address.encode().family == family);
        Contacts::fitting(named, room)
    }

    /// Whether the asker is a node that has answered us from this address, and so may look after the same records.
    fn is_co_holder(&self, asked: &Asked<'_, R::Address>) -> bool {
        self.table
            .get(&asked.header.sender)
            .is_some_and(|peer| peer.state == ContactState::Verified && peer.contact.address == asked.from)
    }

    /// Takes a record in: token, then bounds, then who wins, and the signature last, since it costs most. Tells for how many seconds it is held.
    fn take_record(
        &mut self,
        asked: &Asked<'_, R::Address>,
        proved: bool,
        offer: &Offer<'_>,
    ) -> Result<u32, (ErrorCode, u64)> {
        let (now, record) = (asked.now, offer.record);
        if !proved {
            return Err((ErrorCode::Token, 0));
        }
        if !self.supports(record.kind()) {
            return Err((ErrorCode::Unsupported, 0));
        }
        if record.check().is_err() {
            return Err((ErrorCode::TooLarge, crate::record::MAX_VALUE as u64));
        }
        let excess = wire::value_len(record).saturating_sub(self.config.largest_message());
        if excess > 0 {
            return Err((ErrorCode::TooLarge, record.value.len().saturating_sub(excess) as u64));
        }
        let lifetime = Micros::from_secs(u64::from(offer.lifetime)).min(Micros::of(self.config.max_lifetime));
        if lifetime == Micros::ZERO {
            return Err((ErrorCode::Invalid, 0));
        }
        let source = asked.from.prefix().filter(|_| !(offer.handover && self.is_co_holder(asked)));
        let mut expires = now + lifetime;
        let held = self.held(now, &record.key());
        if let Some(held) = &held {
            self.check_against(now, held, offer)?;
            if offer.handover && held.version(now).digest == record.version().digest {
                expires = expires.min(held.metadata.expires);
            }
        } else if offer.compare.is_some_and(|compare| compare != 0) {
            return Err((ErrorCode::Conflict, 0));
        }
        let quota = match self.config.quota {
            0 => self.store.capacity() / 4,
            set => set,
        };
        // Nobody gets round it by letting small records grow, or by taking another source's over.
        let own = held
            .as_ref()
            .filter(|held| held.metadata.source == source)
            .map_or(0, |held| held.stored.value.len() + RECORD_COST);
        if record.value.len() + RECORD_COST > own
            && source.is_some_and(|source| {
                self.store.bytes() + self.store.len() * RECORD_COST >= quota
                    && self.bytes_from(source).saturating_sub(own) >= quota
            })
        {
            return Err((ErrorCode::Full, 0));
        }
        if self.config.verify.is_some_and(|verify| !record.verify(verify)) {
            return Err((ErrorCode::Invalid, 0));
        }
        let put = self.keep(now, record, Metadata { expires, source, pinned: false, last_replicated: now });
        match put {
            Ok(Put::New | Put::Replaced) => self.table.disturbed(now),
            Ok(Put::Renewed) => {}
            Err(StoreError::TooLarge(limit)) => return Err((ErrorCode::TooLarge, limit as u64)),
            Err(StoreError::Full) => return Err((ErrorCode::Full, 0)),
            Err(StoreError::Outdated(version)) => return Err((ErrorCode::Outdated, version.number)),
        }
        count_up(&mut self.stats.stored);
        Ok(expires.micros_since(now).secs())
    }

    /// Whether what is offered may take the place of what is held.
    fn check_against(&self, now: Instant, held: &StoredRecord<'_>, offer: &Offer<'_>) -> Result<(), (ErrorCode, u64)> {
        let version = held.version(now);
        if offer.compare.is_some_and(|compare| compare != version.number) {
            return Err((ErrorCode::Conflict, version.number));
        }
        match held.key.kind.contest(version, offer.record.version()).offered {
            Ordering::Less => Err((ErrorCode::Outdated, version.number)),
            Ordering::Equal | Ordering::Greater => Ok(()),
        }
    }

    /// Puts another's record into the own store. Where it takes the place of one that is published here, publishing stops.
    pub(super) fn keep(&mut self, now: Instant, record: &Record<'_>, metadata: Metadata) -> Result<Put, StoreError> {
        let published = self.stored(&record.key()).is_some_and(|held| held.metadata.pinned);
        let put = self.store.put(now, record, metadata)?;
        self.chores.stored(metadata.expires);
        if published && !metadata.pinned && put == Put::Replaced {
            self.superseded = [record.key()].into();
        }
        Ok(put)
    }

    fn bytes_from(&self, source: crate::Prefix) -> usize {
        let held = (0..self.store.len()).filter_map(|slot| self.store.get(slot));
        held.filter(|held| held.metadata.source == Some(source)).map(|held| held.stored.value.len() + RECORD_COST).sum()
    }

    /// Asks a stranger who serves whether it is there, if the table would take it: only once it has proved its address, or within what
    /// the answer to it left of the amplification limit.
    fn introduce(&mut self, now: Instant, contact: Contact<R::Address>, left: usize) {
        if left < wire::PING_LEN || !self.may_be_known(&contact) {
            return;
        }
        if self.requests.free() <= REQUESTS - REQUESTS.div_ceil(INTRODUCTIONS) {
            return;
        }
        if self.table.discovered(now, contact, Origin::Requester) {
            // Never repeated: that would exceed the limit.
            self.ask(Purpose::Introduction, contact.address, Some(contact.id), Some(1));
        }
    }

    /// Notes that another uses this node's id, for the user to be told of once.
    pub(super) fn meet_own_id(&mut self, address: R::Address) {
        if self.own_id_seen.first() != Some(&address) {
            self.own_id_seen = [address].into();
            self.own_id_news = true;
        }
    }
}

/// What a store request offers.
struct Offer<'a> {
    record: &'a Record<'a>,
    lifetime: u32,
    compare: Option<u64>,
    handover: bool,
}

/// Moves the contacts that match to the front, each kind in its order, and says how many they are.
fn to_front<A>(contacts: &mut [Contact<A>], matches: impl Fn(&Contact<A>) -> bool) -> usize {
    let mut front = 0;
    for index in 0..contacts.len() {
        if !contacts.get(index).is_some_and(&matches) {
            continue;
        }
        for at in (front..index).rev() {
            if let Some([before, after]) = contacts.get_mut(at..at + 2) {
                core::mem::swap(before, after);
            }
        }
        front += 1;
    }
    front
}
