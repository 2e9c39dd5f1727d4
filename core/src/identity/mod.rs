//! What a node knows of its own identity: its external address, and what its identifier is bound to.
//!
//! Other nodes tell at which address they see this one. Each can lie, so the node asks one after another, of different
//! address prefixes. It keeps one *candidate* for another address and its *lead*: two more for each voter that sees the
//! candidate, one less for each that is asked, and one less again for each that sees another address. So the candidate
//! leads only if more than two thirds of the voters agree.
//!
//! - The first address needs the lead of three voters, or of all that there are: nothing is lost by it.
//! - After that a contact is asked every 90 s, or every 10 s while there is a candidate. It is settled with the lead of
//!   ten voters, which takes a minute and a half. So a provider's NAT whose exits change all the time changes nothing.
//!
//! This does not defend against liars that are more than two thirds of the voters. While the node knows no contact, its
//! bootstrap addresses vote, and one alone decides. A node asked for a probe can withhold it.

use crate::address::{Address, Prefix};
use crate::time::{Instant, Micros};

/// The lead that settles the first address: that of three voters who agree.
const FIRST_LEAD: u8 = 4;
/// The lead that settles another address: that of ten.
const LEAD: u8 = 11;
/// Between two contacts that are asked for the first address.
const FIRST_PAUSE: Micros = Micros::from_secs(1);
/// The same, to find out whether others can reach the node: a probe takes three ways.
const PROBE_PAUSE: Micros = Micros::from_secs(2);
/// The same, while there is a candidate for another address.
const PAUSE: Micros = Micros::from_secs(10);
/// The same, while there is none.
const CALM: Micros = Micros::from_secs(90);
/// How long a client waits until it tries again to serve, and a node in a second-class seat to get a better one.
const HOUR: Micros = Micros::from_secs(60 * 60);

/// After this many probes in vain, one after another, a node can't be reached.
const VAIN: u8 = 3;
/// In place of their number: a probe arrived.
const REACHED: u8 = u8::MAX;

/// A node that has had its seat for this long keeps it.
const SETTLED_SEAT: Micros = Micros::from_secs(10 * 60);
/// How often a node tries a first-class seat.
const TRIES: u8 = 6;

/// The state of a node's identity. All zeros before the start.
#[derive(Clone, Debug)]
pub(crate) struct Identity<A> {
    /// Whether the table knows so few address prefixes that all seats of a prefix count.
    pub(crate) is_crowded: bool,
    /// Whether the user was not told of the external address yet.
    pub(crate) unreported: bool,
    /// How far the candidate leads.
    lead: u8,
    /// Whether the node serves only if others can reach it.
    pub(crate) probes: bool,
    /// How many probes in a row did not arrive. [`REACHED`] once one did, and while none is asked for.
    vain: u8,
    /// How many seats the node has tried since its external address was settled.
    tries: u8,
    /// In which second it was found out last whether the table is crowded; one more, to tell it from never.
    pub(crate) counted: u32,
    /// When to ask the next contact.
    due: Instant,
    /// The external address; [`Address::EMPTY`] until it is settled.
    external: A,
    /// Another address, which further voters must confirm.
    candidate: A,
    /// When the node took its seat.
    seated: Instant,
    /// The address prefixes that were asked last. They are not asked again yet, so three must agree on another address.
    asked: [Option<Prefix>; 2],
}

impl<A: Address> Identity<A> {
    pub(crate) const EMPTY: Self = Self {
        is_crowded: false,
        unreported: false,
        lead: 0,
        probes: false,
        vain: 0,
        tries: 0,
        counted: 0,
        due: Instant::ZERO,
        external: A::EMPTY,
        candidate: A::EMPTY,
        seated: Instant::ZERO,
        asked: [None; 2],
    };

    /// Forgets everything. Of the table, nothing is known yet. With `probes`, the node must find out whether others can
    /// reach it.
    pub(crate) fn restart(&mut self, probes: bool) {
        // Step by step: zeros take no flash, but other values would be copied from a constant as large as this.
        *self = Self::EMPTY;
        self.is_crowded = true;
        self.probes = probes;
        self.vain = REACHED;
        self.due = Instant::NEVER;
    }

    /// A node responded that can tell the external address.
    pub(crate) fn begin(&mut self, now: Instant) {
        if self.due == Instant::NEVER {
            self.due = now + FIRST_PAUSE;
        }
    }

    /// When to ask the next contact.
    pub(crate) const fn due(&self) -> Instant {
        self.due
    }

    /// The external address; [`Address::EMPTY`] until it is settled.
    pub(crate) const fn external(&self) -> A {
        self.external
    }

    /// Whether a contact of this address prefix can be asked next.
    pub(crate) fn may_vote(&self, prefix: Option<Prefix>) -> bool {
        prefix.is_some() && !self.asked.contains(&prefix)
    }

    /// A contact of this address prefix is asked now.
    pub(crate) fn ask(&mut self, now: Instant, prefix: Option<Prefix>) {
        self.asked = [prefix, self.asked[0]];
        self.add_lead(now, -1);
        // If it doesn't respond, another one is asked soon.
        self.due = self.due.min(now + PAUSE);
    }

    /// No contact is left that can vote: begins anew when a node responds. Returns whether the external address was
    /// settled by this.
    pub(crate) fn all_asked(&mut self) -> bool {
        let is_settled = self.external == A::EMPTY && self.settle(1);
        (self.lead, self.asked, self.due) = (0, [None; 2], Instant::NEVER);
        is_settled
    }

    /// A contact that was asked sees this node at `observed`. Returns whether the external address was settled by this.
    pub(crate) fn observe(&mut self, now: Instant, observed: A) -> bool {
        if observed.prefix().is_none() {
            // A neighbour in a private network sees a private address, which tells nothing.
            return false;
        }
        if self.lead == 0 {
            self.candidate = observed;
        }
        let agrees = self.candidate.prefix() == observed.prefix() && !self.is_settled(observed);
        self.add_lead(now, if agrees { 2 } else { -1 });
        self.settle(if self.external == A::EMPTY { FIRST_LEAD } else { LEAD })
    }

    fn add_lead(&mut self, now: Instant, votes: i8) {
        self.lead = self.lead.saturating_add_signed(votes);
        let pause = match self.lead {
            0 if self.vain == VAIN => HOUR,
            0 if self.wants_probe() => PROBE_PAUSE,
            0 => CALM,
            _ if self.external == A::EMPTY => FIRST_PAUSE,
            _ => PAUSE,
        };
        self.due = now + pause;
    }

    /// Whether to ask for a probe: it is not known that others can reach the node at its external address.
    pub(crate) const fn wants_probe(&self) -> bool {
        self.vain != REACHED
    }

    /// A probe arrived.
    pub(crate) const fn reached(&mut self) {
        self.vain = REACHED;
    }

    /// A probe did not arrive. Returns whether this shows that the node can't be reached.
    pub(crate) fn missed_probe(&mut self) -> bool {
        self.vain = self.vain.saturating_add(1).min(VAIN);
        self.vain == VAIN
    }

    /// No contact is asked for a while.
    pub(crate) fn wait(&mut self, now: Instant) {
        self.due = now + CALM;
    }

    /// Settles the candidate, if it leads by this much.
    fn settle(&mut self, least: u8) -> bool {
        let wins = self.lead >= least;
        if wins {
            self.external = self.candidate;
            (self.lead, self.tries, self.unreported) = (0, 0, true);
            self.vain = if self.probes { 0 } else { REACHED };
        }
        wins
    }

    /// The node at this address has the own identifier. Returns whether this node must take another seat: it has not
    /// had its own for long, and the other one has a right to it.
    pub(crate) fn leaves_seat(&self, now: Instant, other: A) -> bool {
        self.is_settled(other) && now < self.seated + SETTLED_SEAT
    }

    /// The next seat to try, by chance, as another node of the prefix may look for one at the same time.
    pub(crate) fn try_seat(&mut self, now: Instant, random: u16) -> u16 {
        self.seated = now;
        self.tries = self.tries.saturating_add(1);
        if self.tries > TRIES { random } else { random & 1 }
    }

    fn is_settled(&self, address: A) -> bool {
        self.external.prefix() == address.prefix()
    }
}

#[cfg(test)]
mod tests;
