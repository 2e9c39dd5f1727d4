//! What a node knows of its own identity: its external address, and what its identifier is bound to.
//!
//! Other nodes tell at which address they see this one. Each can lie, so the node asks several, of different address
//! prefixes, and believes two thirds of them. It asks in *rounds*:
//!
//! - The first round begins when a node has responded. Its result counts at once, however few have voted: nothing is
//!   lost by it.
//! - Between rounds one contact is asked every 90 s. If it sees another address prefix than was settled, a round
//!   begins.
//! - Another prefix is settled only if three voters agree on it, in each of three rounds within two minutes. So a
//!   provider's NAT whose exits change all the time changes nothing.
//!
//! This does not defend against liars that are two thirds of the voters. While the node knows no contact, its bootstrap
//! addresses vote, and one alone decides.

mod votes;

use crate::address::{Address, Prefix};
use crate::time::{Instant, Micros};
use votes::Votes;

/// How many contacts are asked in a round, at most.
const ROUND: u8 = 6;
/// How many voters must agree to change the address.
const QUORUM: usize = 3;
/// In how many rounds.
const ROUNDS: u8 = 3;
/// Between two contacts that are asked in a round.
const PAUSE: Micros = Micros::from_secs(1);
/// From the last contact that is asked to the end of a round.
const LAST_PAUSE: Micros = Micros::from_secs(2);
/// Between two contacts that are asked while there is no round.
const CALM: Micros = Micros::from_secs(90);
/// Between the rounds that must agree on another address.
const CONFIRM: Micros = Micros::from_secs(60);

/// A node that has had its seat for this long is settled in it.
const SETTLED_SEAT: Micros = Micros::from_secs(10 * 60);
/// A node waits this long, up to three times, for another one to leave its seat.
const PATIENCE: Micros = Micros::from_secs(90);
/// After this time without a sign of the other one, it has left.
const GONE: Micros = Micros(3 * PATIENCE.0);
/// How often a node that left a seat tries a first-class one.
const TRIES: u8 = 6;

/// The state of a node's identity. All zeros before the start.
#[derive(Clone, Debug)]
pub(crate) struct Identity<A> {
    /// Whether the table knows so few address prefixes that all seats of a prefix count.
    pub(crate) is_crowded: bool,
    /// Whether the user was not told of the external address yet.
    pub(crate) unreported: bool,
    in_round: bool,
    /// How many contacts can still be asked in this round.
    left: u8,
    /// How many rounds in a row have found the candidate.
    rounds: u8,
    /// In which second it was found out last whether the table is crowded; one more, to tell it from never.
    pub(crate) counted: u32,
    /// When to ask the next contact, or to end the round.
    due: Instant,
    /// The external address; [`Address::EMPTY`] until it is settled.
    external: A,
    /// Another address, which further rounds must confirm.
    candidate: A,
    /// When the node took its seat.
    seated: Instant,
    /// How often it has left a seat that was taken.
    left_seats: u8,
    /// Another node in the same seat; [`Address::EMPTY`] if none is known.
    rival: A,
    /// Since when there are others in it, and when one was seen last.
    contested: Instant,
    rival_seen: Instant,
    votes: Votes<A>,
}

impl<A: Address> Identity<A> {
    pub(crate) const EMPTY: Self = Self {
        is_crowded: false,
        unreported: false,
        in_round: false,
        left: 0,
        rounds: 0,
        counted: 0,
        due: Instant::ZERO,
        external: A::EMPTY,
        candidate: A::EMPTY,
        seated: Instant::ZERO,
        left_seats: 0,
        rival: A::EMPTY,
        contested: Instant::ZERO,
        rival_seen: Instant::ZERO,
        votes: Votes::EMPTY,
    };

    /// Forgets everything.
    pub(crate) fn restart(&mut self) {
        // Two steps: zeros take no flash, but another value would be copied from a constant as large as this.
        *self = Self::EMPTY;
        self.due = Instant::NEVER;
    }

    /// A node responded that can tell the external address: begins the first round.
    pub(crate) fn begin(&mut self, now: Instant) {
        if self.due == Instant::NEVER {
            self.due = now + PAUSE;
            // Others may have taken the seat meanwhile.
            self.seated = now;
        }
    }

    /// When [`step`](Self::step) has something to do.
    pub(crate) const fn due(&self) -> Instant {
        self.due
    }

    /// The external address; [`Address::EMPTY`] until it is settled.
    pub(crate) const fn external(&self) -> A {
        self.external
    }

    /// No contact is left: the node may be somewhere else, and any address is better than the one it had.
    pub(crate) const fn cut_off(&mut self) {
        self.external = A::EMPTY;
    }

    pub(crate) fn has_voted(&self, voter: Prefix) -> bool {
        self.votes.has_voted(voter)
    }

    /// The time has come. Returns which contact to ask now: one whose prefix has not voted, the one with this number
    /// since the round began. `None` if no more must be asked: then [`end_round`](Self::end_round).
    pub(crate) fn step(&mut self, now: Instant) -> Option<u8> {
        if !self.in_round {
            self.votes.clear();
            if self.external != A::EMPTY && self.rounds == 0 {
                self.due = now + CALM;
                return Some(0);
            }
            self.begin_round(now);
        }
        self.left = self.left.checked_sub(1)?;
        self.due = now + if self.left == 0 { LAST_PAUSE } else { PAUSE };
        Some(ROUND - 1 - self.left)
    }

    /// A contact that was asked, of the prefix `voter`, sees this node at `observed`.
    pub(crate) fn observe(&mut self, now: Instant, voter: Prefix, observed: A) {
        if observed.prefix().is_none() {
            // A neighbour in a private network sees a private address, which tells nothing.
        } else if self.in_round {
            self.votes.cast(voter, observed);
        } else if !self.is_settled(observed) {
            self.begin_round(now);
        }
    }

    /// Ends a round. Returns whether the external address was settled by this.
    pub(crate) fn end_round(&mut self, now: Instant) -> bool {
        if !self.in_round {
            return false;
        }
        self.in_round = false;
        self.due = now + CALM;
        let first = self.external == A::EMPTY;
        let winner = self.votes.winner().filter(|(_, agreeing)| first || *agreeing >= QUORUM);
        let Some((address, _)) = winner.filter(|(address, _)| !self.is_settled(*address)) else {
            self.rounds = 0;
            return false;
        };
        if self.candidate.prefix() != address.prefix() {
            self.rounds = 0;
        }
        self.candidate = address;
        self.rounds += 1;
        if !first && self.rounds < ROUNDS {
            self.due = now + CONFIRM;
            return false;
        }
        self.rounds = 0;
        self.external = address;
        self.unreported = true;
        true
    }

    /// The node at this address has the own identifier. Returns whether this node must take another seat now, if the
    /// other one has a right to it. Of two, the one leaves first that is not settled, and otherwise the one with the
    /// higher address. If the other one doesn't leave in its time, this one does: so a node of the same address prefix
    /// can take the seat of any other.
    pub(crate) fn leaves_seat(&mut self, now: Instant, other: A) -> bool {
        if other == self.external || !self.is_settled(other) {
            return false;
        }
        if self.rival == A::EMPTY || self.rival_seen + GONE <= now {
            self.contested = now;
        }
        (self.rival, self.rival_seen) = (other, now);
        let settled = self.seated + SETTLED_SEAT <= now;
        let lower = self.external.encode().as_bytes() < other.encode().as_bytes();
        self.contested + Micros(PATIENCE.0 * (2 * u64::from(settled) + u64::from(lower))) <= now
    }

    /// Another node that had the own identifier when it was seen last, not long ago.
    pub(crate) fn rival(&self, now: Instant) -> Option<A> {
        (self.rival != A::EMPTY && now < self.rival_seen + GONE).then_some(self.rival)
    }

    /// The node takes a seat, because its address changed or because another node has its seat.
    pub(crate) fn take_seat(&mut self, now: Instant, is_taken: bool) {
        (self.seated, self.rival) = (now, A::EMPTY);
        self.left_seats = if is_taken { self.left_seats.saturating_add(1) } else { 0 };
    }

    /// Whether the first-class seats were tried often enough.
    pub(crate) const fn gives_up_first_class(&self) -> bool {
        self.left_seats >= TRIES
    }

    fn begin_round(&mut self, now: Instant) {
        self.in_round = true;
        self.left = ROUND;
        self.due = now;
    }

    fn is_settled(&self, address: A) -> bool {
        self.external.prefix() == address.prefix()
    }
}

#[cfg(test)]
mod tests;
