//! Questions that are being passed on, and the tokens of those whom they are passed on to. Zeros when idle.

use heapless::Vec;

use super::serve::Asked;
use crate::record::{Key, Kind};
use crate::wire::{RelayId, Target, Token, Transaction};
use crate::{Address, Contact, Id, Instant};

/// How many nodes one question is passed on to by one node.
pub(super) const TRIES: usize = 8;
/// Tokens kept for each question that may be under way.
const WAYS: usize = 8;

/// Questions under way, and the tokens that others gave last, to pass questions on with.
#[derive(Debug)]
pub(super) struct Relays<A, const N: usize> {
    slots: [Relay<A>; N],
    /// By the end of the identifier, the latest first.
    tokens: [[Known; WAYS]; N],
}

#[derive(Debug)]
pub(super) struct Relay<A> {
    stage: Stage,
    relay_id: RelayId,
    key: Key,
    /// Whether nodes are looked for, not the record under the key.
    nodes: bool,
    pub(super) previous: Previous<A>,
    /// How often it may be passed on from here.
    pub(super) hops: u8,
    pub(super) deadline: Instant,
    pub(super) tried: Vec<Tried, TRIES, u8>,
    /// Whether the user is to be told that it was passed on.
    news: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Stage {
    Idle,
    /// Somebody is being asked, or passes it on.
    Passed,
    /// Nobody is left to ask: to be answered by this node itself.
    Last,
}

/// Who asked.
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
pub(super) enum Previous<A> {
    /// The operation in this slot.
    Own { slot: u8 },
    /// Another node.
    Hop(Hop<A>),
}

/// A node that asked, and is to be answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hop<A> {
    pub(super) contact: Contact<A>,
    pub(super) transaction: Transaction,
    pub(super) largest: u16,
}

/// A node to whom a question was passed on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tried {
    pub(super) id: Id,
    pub(super) said: Said,
    /// Whether it was asked again with a fresh token.
    pub(super) renewed: bool,
}

/// What it said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// Nothing yet, or that it passes the question on.
    Waiting,
    /// Nothing.
    Silent,
    /// It has the question from elsewhere, or no room for it.
    Busy,
    /// It refused otherwise.
    Refused,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    id: u32,
    token: Token,
}

/// A question as it is taken in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Passing {
    pub(super) relay_id: RelayId,
    pub(super) target: Target,
    pub(super) hops: u8,
    pub(super) deadline: Instant,
}

impl<A: Address> Hop<A> {
    pub(super) const fn of(asked: &Asked<'_, A>) -> Self {
        Self {
            contact: Contact { id: asked.header.sender, address: asked.from },
            transaction: asked.header.transaction,
            largest: asked.largest,
        }
    }
}

impl<A: Address> Relay<A> {
    const EMPTY: Self = Self {
        stage: Stage::Idle,
        relay_id: RelayId([0; 8]),
        key: Key { kind: Kind::Plain, id: Id::ZERO },
        nodes: false,
        previous: Previous::Own { slot: 0 },
        hops: 0,
        deadline: Instant::ZERO,
        tried: Vec::new(),
        news: false,
    };

    pub(super) const fn relay_id(&self) -> RelayId {
        self.relay_id
    }

    pub(super) const fn target(&self) -> Target {
        if self.nodes { Target::Nodes(self.key.id) } else { Target::Value(self.key) }
    }

    /// Who asked, if it was another node.
    pub(super) const fn previous_id(&self) -> Option<&Id> {
        match &self.previous {
            Previous::Own { .. } => None,
            Previous::Hop(hop) => Some(&hop.contact.id),
        }
    }

    /// Nobody is left to ask.
    pub(super) fn end(&mut self) {
        self.stage = Stage::Last;
    }

    /// Whether anybody said this.
    pub(super) fn any(&self, said: Said) -> bool {
        self.tried.iter().any(|tried| tried.said == said)
    }

    pub(super) fn says(&mut self, id: &Id, said: Said) {
        if let Some(tried) = self.tried.iter_mut().find(|tried| tried.id == *id) {
            tried.said = said;
        }
    }

    /// Whether a node that wants a fresh token shown may be asked again: once.
    pub(super) fn renews(&mut self, id: &Id) -> bool {
        let tried = self.tried.iter_mut().find(|tried| tried.id == *id);
        tried.is_some_and(|tried| !core::mem::replace(&mut tried.renewed, true))
    }
}

impl<A: Address, const N: usize> Relays<A, N> {
    pub(super) const EMPTY: Self = Self {
        slots: [const { Relay::EMPTY }; N],
        tokens: [[const { Known { id: 0, token: Token([0; 8]) } }; WAYS]; N],
    };

    pub(super) fn clear(&mut self) {
        for relay in &mut self.slots {
            relay.free();
        }
        for known in self.tokens.iter_mut().flatten() {
            known.token = Token::default();
        }
    }

    /// Remembers the token that a node gave; the oldest of those that share its place is forgotten.
    pub(super) fn note_token(&mut self, id: &Id, token: Token) {
        let (place, id) = place::<N>(id);
        let Some(known) = self.tokens.get_mut(place) else {
            return;
        };
        let at = known.iter().position(|known| known.id == id).unwrap_or(WAYS - 1);
        if let Some(newer) = known.get_mut(..=at) {
            newer.rotate_right(1);
        }
        known[0] = Known { id, token };
    }

    /// The token that a node gave last, if it is remembered.
    pub(super) fn token(&self, id: &Id) -> Option<Token> {
        let (place, id) = place::<N>(id);
        let known = self.tokens.get(place)?.iter().find(|known| known.id == id && known.token != Token::default())?;
        Some(known.token)
    }

    /// The question in this slot was sent.
    pub(super) fn forwarded(&mut self, index: u8) {
        if let Some(relay) = self.get_mut(index) {
            relay.news = true;
        }
    }

    /// A question that was passed on since this was asked before: what it looks for, and to whom.
    pub(super) fn news(&mut self) -> Option<(Id, Id)> {
        let relay = self.slots.iter_mut().find(|relay| relay.news)?;
        relay.news = false;
        Some((relay.key.id, relay.tried.last()?.id))
    }

    /// Where an operation's question is kept.
    pub(super) fn of_operation(&self, slot: u8) -> Option<u8> {
        let own = |relay: &Relay<A>| {
            relay.stage != Stage::Idle && matches!(relay.previous, Previous::Own { slot: own } if own == slot)
        };
        Some(self.slots.iter().position(own)? as u8)
    }

    pub(super) fn free(&mut self, index: u8) {
        if let Some(relay) = self.get_mut(index) {
            relay.free();
        }
    }

    /// The next question that nobody else is left to answer.
    pub(super) fn last(&self) -> Option<u8> {
        Some(self.slots.iter().position(|relay| relay.stage == Stage::Last)? as u8)
    }

    pub(super) fn get(&self, index: u8) -> Option<&Relay<A>> {
        self.slots.get(usize::from(index)).filter(|relay| relay.stage != Stage::Idle)
    }

    pub(super) fn get_mut(&mut self, index: u8) -> Option<&mut Relay<A>> {
        self.slots.get_mut(usize::from(index)).filter(|relay| relay.stage != Stage::Idle)
    }

    pub(super) fn find(&mut self, relay_id: RelayId) -> Option<&mut Relay<A>> {
        self.slots.iter_mut().find(|relay| relay.stage != Stage::Idle && relay.relay_id == relay_id)
    }

    /// Keeps a question. A quarter of the slots is kept for the own ones.
    pub(super) fn keep(&mut self, passing: &Passing, previous: Previous<A>) -> Option<u8> {
        let spared = if matches!(previous, Previous::Own { .. }) { 0 } else { N / 4 };
        let (index, relay) =
            self.slots.iter_mut().enumerate().filter(|(_, relay)| relay.stage == Stage::Idle).nth(spared)?;
        relay.stage = Stage::Passed;
        relay.relay_id = passing.relay_id;
        (relay.key, relay.nodes) = match passing.target {
            Target::Nodes(id) => (Key { kind: Kind::Plain, id }, true),
            Target::Value(key) => (key, false),
        };
        relay.previous = previous;
        relay.hops = passing.hops;
        relay.deadline = passing.deadline;
        relay.tried.clear();
        Some(index as u8)
    }
}

impl<A> Relay<A> {
    fn free(&mut self) {
        self.stage = Stage::Idle;
        self.news = false;
    }
}

/// Where the token of a node is kept, and as what.
fn place<const N: usize>(id: &Id) -> (usize, u32) {
    let [.., a, b, c, d, e, f, g, h] = *id.as_bytes();
    let (place, id) = (u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h]));
    ((place as usize).checked_rem(N).unwrap_or(0), id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passing(number: u8) -> Passing {
        Passing { relay_id: RelayId([number; 8]), target: Target::Nodes(Id::ZERO), hops: 3, deadline: Instant::ZERO }
    }

    fn hop(number: u8) -> Previous<u16> {
        Previous::Hop(Hop {
            contact: Contact::new(Id::from_bytes([number; 20]), 7),
            transaction: Transaction([0; 8]),
            largest: 100,
        })
    }

    #[test]
    fn a_quarter_of_the_slots_is_kept_for_the_own_requests() {
        let mut relays = Relays::<u16, 4>::EMPTY;
        assert!((0..3).all(|number| relays.keep(&passing(number), hop(number)).is_some()));
        assert_eq!(relays.keep(&passing(3), hop(3)), None);
        let own = relays.keep(&passing(4), Previous::Own { slot: 9 });
        assert!(own.is_some());
        assert_eq!((relays.of_operation(9), relays.of_operation(0)), (own, None));
        assert_eq!(relays.keep(&passing(5), Previous::Own { slot: 1 }), None);
        relays.free(1);
        assert_eq!(relays.of_operation(9), own);
        relays.clear();
        assert!((0..4).all(|index| relays.get(index).is_none()));
    }

    #[test]
    fn of_the_tokens_in_one_place_the_oldest_is_forgotten() {
        let mut relays = Relays::<u16, 1>::EMPTY;
        let id = |number: u8| Id::from_bytes([number; 20]);
        let token = |number: u8| Token([number; 8]);
        assert_eq!(relays.token(&Id::ZERO), None, "none was given");
        (1..=8).for_each(|number| relays.note_token(&id(number), token(number)));
        relays.note_token(&id(1), token(100));
        relays.note_token(&id(9), token(9));
        assert_eq!(
            (relays.token(&id(1)), relays.token(&id(2)), relays.token(&id(9))),
            (Some(token(100)), None, Some(token(9)))
        );
        relays.clear();
        assert_eq!(relays.token(&id(1)), None);
    }
}
