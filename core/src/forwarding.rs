//! Forwarding of the relay requests of recursive lookups: which are under way, which nodes they were forwarded to,
//! and which node is next.
//!
//! ```text
//!               relay            relay            relay
//!  requester  ------->  hop 1  ------->  hop 2  ------->  hop 3: knows no nearer node, or holds the record
//!             <-------         <-------         <-------
//!             accepted         accepted         relayed: the record, or the k closest
//!             <----------------<----------------
//!             relayed          relayed
//! ```
//!
//! Each node forwards the request to the best next hop in its table, and sends it twice at most. If no acknowledgement
//! comes within the timeout of that node, it also asks the next best. The first result counts. If no next hop is left,
//! the node responds itself: with its closest contacts, without the next hops that were silent. If a next hop was busy,
//! or not all could be asked, it responds `Busy`, because another way can lead further. A node keeps its own recursive
//! lookups in the same table as the requests that it forwards for others.
//!
//! These are the bounds. A node takes a relay request only with a valid token, so only from a requester that receives
//! what is sent to its address, and the response goes only there. A request is as long after it was forwarded as
//! before, except for the token. Each node forwards it to at most [`TRIES`] nodes. At most [`MOST_HOPS`] nodes in a row
//! forward it, each to one nearer to the target by its own table, and all within [`MOST_TIME`]. The table has a fixed
//! size, of which the previous hops of one address prefix take at most half, and relay requests take at most half of
//! the request slots; further ones get the response `Busy`. A request
//! that comes again from the same previous hop is acknowledged again. One that comes from another hop has gone in a
//! circle, and gets the response `Busy`.

use core::num::NonZeroU8;
use core::ops::{Deref, DerefMut};

use heapless::Vec;

use crate::address::Address;
use crate::contact::Contact;
use crate::id::Id;
use crate::message::{RelayId, Target};
use crate::naming::{MAX_NAMED, Named};
use crate::record::{Key, Kind};
use crate::routing::Routing;
use crate::time::{Instant, Micros};
use crate::wire::Wire;

/// How many nodes in a row forward a request at most.
pub(crate) const MOST_HOPS: u8 = 32;
/// How long a request can take at most, with all its hops.
pub(crate) const MOST_TIME: Micros = Micros::from_secs(10);
/// How long a get waits for its own request. Then it goes on iteratively, so that nodes that accept a request and do
/// nothing don't keep its user waiting.
pub(crate) const GET_TIME: Micros = Micros::from_millis(1_500);
/// How many next hops one node tries at most.
pub(crate) const TRIES: usize = 8;
/// How often a request is sent to one next hop at most.
pub(crate) const ATTEMPTS: NonZeroU8 = NonZeroU8::MIN.saturating_add(1);
/// How many tokens each place keeps.
const TOKENS: usize = 8;

/// At most `N` relay requests under way, and the tokens that other nodes gave last, which relay requests need.
/// Zeros when idle.
pub(crate) type Forwarding<A, W, const N: usize> = ForwardingInner<[ForwardingSlot<A, W>; N]>;

/// [`Forwarding`] with any bound. Its methods are compiled once for all bounds.
pub(crate) type ForwardingView<A, W> = ForwardingInner<[ForwardingSlot<A, W>]>;

/// The type behind [`Forwarding`] and [`ForwardingView`].
#[derive(Debug)]
pub struct ForwardingInner<P: ?Sized> {
    places: P,
}

/// A place for one request, and for the tokens of those nodes whose identifiers map to this place, the latest first.
#[derive(Debug)]
pub struct ForwardingSlot<A, W: Wire> {
    request: RelayedRequest<A, W>,
    tokens: [KnownToken<W>; TOKENS],
}

/// A relay request under way.
#[derive(Debug)]
pub(crate) struct RelayedRequest<A, W: Wire> {
    stage: Stage,
    relay_id: RelayId,
    key: Key,
    /// Whether it looks for the nodes nearest to the key's identifier, not for the record.
    nodes: bool,
    /// Whether it was forwarded, and the user was not told of it yet.
    unreported: bool,
    /// Where it came from.
    pub(crate) previous: Previous<A, W>,
    /// How often it can still be forwarded.
    pub(crate) hops: u8,
    pub(crate) deadline: Instant,
    /// The nodes that it was forwarded to.
    pub(crate) next_hops: Vec<NextHop, TRIES, u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Stage {
    Idle,
    /// It was forwarded, and its result is awaited.
    Forwarded,
    /// No next hop is left: this node must respond itself.
    Ending,
}

/// Where a relay request came from.
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
pub(crate) enum Previous<A, W: Wire> {
    /// From this node's operation in this slot.
    Operation { slot: u8 },
    /// From another node.
    Hop(PreviousHop<A, W>),
}

/// The node that a relay request came from, and that its result goes to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PreviousHop<A, W: Wire> {
    pub(crate) contact: Contact<A>,
    pub(crate) transaction: W::Transaction,
    /// The largest message that the node takes, in bytes.
    pub(crate) largest: u16,
}

/// A node that a request was forwarded to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NextHop {
    pub(crate) id: Id,
    pub(crate) state: HopState,
    /// Whether it was asked again with a fresh token.
    renewed: bool,
}

/// The state of a request at a next hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HopState {
    /// Its response or its result is awaited.
    Waiting,
    /// It did not respond in time.
    Silent,
    /// It responded `Busy`: it has the request from another node, or no room for it.
    Busy,
    /// It refused for another reason.
    Refused,
}

#[derive(Clone, Copy, Debug)]
struct KnownToken<W: Wire> {
    id: u32,
    token: W::Token,
}

/// A relay request to be forwarded, of another node or of this one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RelayRequest {
    pub(crate) relay_id: RelayId,
    pub(crate) target: Target,
    pub(crate) hops: u8,
    pub(crate) deadline: Instant,
}

impl<A: Address, W: Wire> RelayedRequest<A, W> {
    const EMPTY: Self = Self {
        stage: Stage::Idle,
        relay_id: RelayId([0; 8]),
        key: Key { kind: Kind::Plain, id: Id::ZERO },
        nodes: false,
        unreported: false,
        previous: Previous::Operation { slot: 0 },
        hops: 0,
        deadline: Instant::ZERO,
        next_hops: Vec::new(),
    };

    pub(crate) const fn relay_id(&self) -> RelayId {
        self.relay_id
    }

    pub(crate) const fn target(&self) -> Target {
        if self.nodes { Target::Nodes(self.key.id) } else { Target::Value(self.key) }
    }

    /// The node that it came from. `None` if it is this node's own.
    pub(crate) const fn previous_id(&self) -> Option<&Id> {
        match &self.previous {
            Previous::Operation { .. } => None,
            Previous::Hop(hop) => Some(&hop.contact.id),
        }
    }

    /// The largest response that the previous hop takes, in bytes.
    pub(crate) const fn largest(&self) -> u16 {
        match &self.previous {
            Previous::Operation { .. } => u16::MAX,
            Previous::Hop(hop) => hop.largest,
        }
    }

    /// Ends it, because no next hop is left: this node must respond itself.
    pub(crate) fn end(&mut self) {
        self.stage = Stage::Ending;
    }

    /// Whether any next hop is in this state.
    pub(crate) fn any(&self, state: HopState) -> bool {
        self.next_hops.iter().any(|hop| hop.state == state)
    }

    /// The next hops that were silent.
    pub(crate) fn silent(&self) -> Vec<Id, TRIES> {
        self.next_hops.iter().filter(|hop| hop.state == HopState::Silent).map(|hop| hop.id).collect()
    }

    /// Remembers that the request was forwarded to a node. False if it was forwarded to [`TRIES`] nodes already.
    pub(crate) fn forwarded_to(&mut self, id: Id) -> bool {
        self.next_hops.push(NextHop { id, state: HopState::Waiting, renewed: false }).is_ok()
    }

    /// Changes the state of a next hop.
    pub(crate) fn set_state(&mut self, id: &Id, state: HopState) {
        if let Some(hop) = self.next_hops.iter_mut().find(|hop| hop.id == *id) {
            hop.state = state;
        }
    }

    /// Whether a next hop that wants a fresh token can be asked again. True only once for each.
    pub(crate) fn may_renew_token(&mut self, id: &Id) -> bool {
        let hop = self.next_hops.iter_mut().find(|hop| hop.id == *id);
        hop.is_some_and(|hop| !core::mem::replace(&mut hop.renewed, true))
    }

    /// How many milliseconds a next hop with this round trip can take: what is left until the deadline, less the round
    /// trip. `None` if nothing is left, so that there is no point in asking it.
    pub(crate) fn time_left(&self, now: Instant, round_trip: Micros) -> Option<u16> {
        let millis = self.deadline.micros_since(now + round_trip).millis();
        Some(u16::try_from(millis).unwrap_or(u16::MAX)).filter(|millis| *millis != 0)
    }

    /// The best contact to forward the request to. `None` if no next hop is left.
    pub(crate) fn next_hop<R: Routing<Address = A>>(&self, table: &R, serves: bool) -> Option<Contact<A>> {
        next_hop(table, self.target().id(), &self.next_hops, self.previous_id(), serves)
    }

    /// Whether there may be next hops that were not tried. Then the request must not end at this node.
    pub(crate) fn has_untried_hops<R: Routing<Address = A>>(&self, table: &R, serves: bool) -> bool {
        self.next_hops.is_full() || self.next_hop(table, serves).is_some()
    }

    fn free(&mut self) {
        self.stage = Stage::Idle;
        self.unreported = false;
    }
}

/// The best contact to forward a request about `target` to, without those that were tried and the previous hop. `None`
/// if the request ends at this node.
pub(crate) fn next_hop<R: Routing>(
    table: &R,
    target: &Id,
    tried: &[NextHop],
    previous: Option<&Id>,
    serves: bool,
) -> Option<Contact<R::Address>> {
    if tried.len() >= TRIES {
        return None;
    }
    let mut named: Named<R::Address> = const { [Contact::EMPTY; MAX_NAMED] };
    let mut count = table.next_hops(target, &mut named);
    // A client is responsible for nothing, however near its identifier is. So it forwards its own request. A node that
    // has no verified contact can't know whether it is responsible: it begins with those that it has.
    if count == 0 && previous.is_none() && (!serves || table.closest(target, &mut named) == 0) {
        count = table.initial_contacts(target, &mut named);
    }
    let fresh =
        |contact: &&Contact<R::Address>| previous != Some(&contact.id) && !tried.iter().any(|hop| hop.id == contact.id);
    named.get(..count)?.iter().find(fresh).copied()
}

impl<A: Address, W: Wire, const N: usize> Forwarding<A, W, N> {
    /// No requests.
    pub const EMPTY: Self = Self {
        places: [const {
            ForwardingSlot {
                request: RelayedRequest::EMPTY,
                tokens: [const { KnownToken { id: 0, token: W::NO_TOKEN } }; TOKENS],
            }
        }; N],
    };
}

impl<A, W: Wire, const N: usize> Deref for Forwarding<A, W, N> {
    type Target = ForwardingView<A, W>;

    fn deref(&self) -> &ForwardingView<A, W> {
        self
    }
}

impl<A, W: Wire, const N: usize> DerefMut for Forwarding<A, W, N> {
    fn deref_mut(&mut self) -> &mut ForwardingView<A, W> {
        self
    }
}

impl<A: Address, W: Wire> ForwardingView<A, W> {
    /// Forgets all requests and tokens.
    pub(crate) fn clear(&mut self) {
        for place in &mut self.places {
            place.request.free();
            place.tokens.iter_mut().for_each(|known| known.token = W::NO_TOKEN);
        }
    }

    /// Remembers the token that a node gave last. If its place is full, the oldest token there is forgotten.
    pub(crate) fn note_token(&mut self, id: &Id, token: W::Token) {
        let (place, id) = self.place(id);
        let Some(ForwardingSlot { tokens, .. }) = self.places.get_mut(place) else {
            return;
        };
        let at = tokens.iter().position(|known| known.id == id).unwrap_or(TOKENS - 1);
        if let Some(newer) = tokens.get_mut(..=at) {
            newer.rotate_right(1);
        }
        tokens[0] = KnownToken { id, token };
    }

    /// The token that a node gave last, if it is remembered.
    pub(crate) fn token(&self, id: &Id) -> Option<W::Token> {
        let (place, id) = self.place(id);
        let tokens = &self.places.get(place)?.tokens;
        Some(tokens.iter().find(|known| known.id == id && known.token != W::NO_TOKEN)?.token)
    }

    /// The request in this place was sent to a next hop.
    pub(crate) fn sent(&mut self, index: u8) {
        if let Some(request) = self.get_mut(index) {
            request.unreported = true;
        }
    }

    /// A request that was forwarded and not reported by this function since: its target, and the next hop.
    pub(crate) fn take_unreported(&mut self) -> Option<(Id, Id)> {
        let request = self.places.iter_mut().map(|place| &mut place.request).find(|request| request.unreported)?;
        request.unreported = false;
        Some((request.key.id, request.next_hops.last()?.id))
    }

    /// The place of the request that the operation in `slot` sent.
    pub(crate) fn of_operation(&self, slot: u8) -> Option<u8> {
        let own = |request: &RelayedRequest<A, W>| {
            request.stage != Stage::Idle && matches!(request.previous, Previous::Operation { slot: own } if own == slot)
        };
        Some(self.places.iter().position(|place| own(&place.request))? as u8)
    }

    /// Forgets the request in this place.
    pub(crate) fn free(&mut self, index: u8) {
        if let Some(request) = self.get_mut(index) {
            request.free();
        }
    }

    /// The next request that this node must respond to itself.
    pub(crate) fn ending(&self) -> Option<u8> {
        Some(self.places.iter().position(|place| place.request.stage == Stage::Ending)? as u8)
    }

    /// The request in this place, if there is one.
    pub(crate) fn get(&self, index: u8) -> Option<&RelayedRequest<A, W>> {
        let request = &self.places.get(usize::from(index))?.request;
        Some(request).filter(|request| request.stage != Stage::Idle)
    }

    /// The request in this place, to be changed.
    pub(crate) fn get_mut(&mut self, index: u8) -> Option<&mut RelayedRequest<A, W>> {
        let request = &mut self.places.get_mut(usize::from(index))?.request;
        Some(request).filter(|request| request.stage != Stage::Idle)
    }

    /// The request with this identifier, if it is under way.
    pub(crate) fn find(&mut self, relay_id: RelayId) -> Option<&mut RelayedRequest<A, W>> {
        let mut requests = self.places.iter_mut().map(|place| &mut place.request);
        requests.find(|request| request.stage != Stage::Idle && request.relay_id == relay_id)
    }

    /// Keeps a request, and returns its place. `None` if no place is free: a quarter of them is reserved for this
    /// node's own requests, and the previous hops of one address prefix take at most half of the others. Where
    /// addresses have no prefix, each counts alone.
    pub(crate) fn keep(&mut self, relay: &RelayRequest, previous: Previous<A, W>) -> Option<u8> {
        let reserved = match &previous {
            Previous::Operation { .. } => 0,
            Previous::Hop(hop) => {
                let reserved = self.places.len() / 4;
                if self.count_from(hop.contact.address) >= (self.places.len() - reserved).div_ceil(2) {
                    return None;
                }
                reserved
            }
        };
        let mut idle = self.places.iter_mut().enumerate().filter(|(_, place)| place.request.stage == Stage::Idle);
        let (index, ForwardingSlot { request, .. }) = idle.nth(reserved)?;
        request.stage = Stage::Forwarded;
        request.relay_id = relay.relay_id;
        (request.key, request.nodes) = match relay.target {
            Target::Nodes(id) => (Key { kind: Kind::Plain, id }, true),
            Target::Value(key) => (key, false),
        };
        request.previous = previous;
        request.hops = relay.hops;
        request.deadline = relay.deadline;
        request.next_hops.clear();
        Some(index as u8)
    }

    /// How many requests came from the prefix of this address.
    fn count_from(&self, address: A) -> usize {
        let is_same = |other: A| match (other.prefix(), address.prefix()) {
            (None, None) => other == address,
            (other, prefix) => other == prefix,
        };
        let requests = self.places.iter().map(|place| &place.request).filter(|request| request.stage != Stage::Idle);
        let hops = requests.filter(|request| match &request.previous {
            Previous::Operation { .. } => false,
            Previous::Hop(hop) => is_same(hop.contact.address),
        });
        hops.count()
    }

    /// The place in which the token of a node is kept, and the part of its identifier that the token is kept with.
    fn place(&self, id: &Id) -> (usize, u32) {
        let [.., a, b, c, d, e, f, g, h] = *id.as_bytes();
        let (place, id) = (u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h]));
        ((place as usize).checked_rem(self.places.len()).unwrap_or(0), id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::{Kademlia, Limits};
    use crate::wire::{Kadlet, Token, Transaction};

    fn relay(number: u8) -> RelayRequest {
        let relay_id = RelayId([number; 8]);
        RelayRequest { relay_id, target: Target::Nodes(Id::ZERO), hops: 3, deadline: Instant::from_secs(1) }
    }

    fn hop(number: u8) -> Previous<u16, Kadlet> {
        let contact = contact(number);
        Previous::Hop(PreviousHop { contact, transaction: Transaction([0; 8]), largest: 100 })
    }

    fn contact(number: u8) -> Contact<u16> {
        Contact::new(Id::from_bytes([number; 20]), u16::from(number))
    }

    #[test]
    fn a_quarter_of_the_places_is_reserved_for_own_requests() {
        let mut requests = Forwarding::<u16, Kadlet, 4>::EMPTY;
        assert!((0..3).all(|number| requests.keep(&relay(number), hop(number)).is_some()));
        assert_eq!(requests.keep(&relay(3), hop(3)), None);
        let own = requests.keep(&relay(4), Previous::Operation { slot: 9 });
        assert!(own.is_some());
        assert_eq!((requests.of_operation(9), requests.of_operation(0)), (own, None));
        assert_eq!(requests.keep(&relay(5), Previous::Operation { slot: 1 }), None);
        requests.free(1);
        assert_eq!(requests.of_operation(9), own);
        requests.clear();
        assert!((0..4).all(|index| requests.get(index).is_none()));
    }

    #[test]
    fn the_oldest_token_in_a_place_is_forgotten_for_a_new_one() {
        let mut requests = Forwarding::<u16, Kadlet, 1>::EMPTY;
        let id = |number: u8| Id::from_bytes([number; 20]);
        let token = |number: u8| Token([number; 8]);
        assert_eq!(requests.token(&Id::ZERO), None, "none was given");
        (1..=8).for_each(|number| requests.note_token(&id(number), token(number)));
        requests.note_token(&id(1), token(100));
        requests.note_token(&id(9), token(9));
        let known = (requests.token(&id(1)), requests.token(&id(2)), requests.token(&id(9)));
        assert_eq!(known, (Some(token(100)), None, Some(token(9))));
        requests.clear();
        assert_eq!(requests.token(&id(1)), None);
    }

    #[test]
    fn the_next_hop_is_the_nearest_node_that_was_not_tried_and_is_not_the_previous_hop() {
        let mut table = Kademlia::<u16, 16>::EMPTY;
        table.start(Instant::ZERO, contact(0x80).id, &Limits::DEFAULT, 1).unwrap();
        [1, 2, 4].map(contact).into_iter().for_each(|contact| table.responded(Instant::ZERO, contact, None));
        let mut requests = Forwarding::<u16, Kadlet, 2>::EMPTY;
        let index = requests.keep(&relay(1), hop(2)).unwrap();
        let request = requests.get_mut(index).unwrap();
        assert_eq!(request.next_hop(&table, true), Some(contact(1)));
        assert!(request.forwarded_to(contact(1).id) && request.has_untried_hops(&table, true));
        assert_eq!(request.next_hop(&table, true), Some(contact(4)), "2 is the previous hop");
        assert!(request.forwarded_to(contact(4).id) && !request.has_untried_hops(&table, true));
        request.set_state(&contact(4).id, HopState::Silent);
        assert_eq!(request.silent(), [contact(4).id]);
        assert!(request.may_renew_token(&contact(1).id));
        assert!(!request.may_renew_token(&contact(1).id), "a fresh token is shown only once");
    }

    #[test]
    fn a_client_forwards_its_own_request_even_if_its_identifier_is_the_nearest() {
        let mut table = Kademlia::<u16, 16>::EMPTY;
        table.start(Instant::ZERO, Id::ZERO, &Limits::DEFAULT, 1).unwrap();
        table.responded(Instant::ZERO, contact(1), None);
        assert_eq!(next_hop(&table, &Id::ZERO, &[], None, true), None, "the request ends at the own node");
        assert_eq!(next_hop(&table, &Id::ZERO, &[], None, false), Some(contact(1)));
        assert_eq!(next_hop(&table, &Id::ZERO, &[], Some(&contact(9).id), false), None);
    }

    #[test]
    fn the_next_hop_gets_the_time_that_is_left_less_a_round_trip() {
        let mut requests = Forwarding::<u16, Kadlet, 2>::EMPTY;
        let index = requests.keep(&relay(1), hop(2)).unwrap();
        let request = requests.get(index).unwrap();
        let trip = Micros::from_millis(300);
        assert_eq!(request.time_left(Instant::from_millis(500), trip), Some(200));
        assert_eq!(request.time_left(Instant::from_millis(700), trip), None, "there is no point in asking");
    }
}
