//! Whether a node can be reached from outside. One that can't, because of a NAT or a firewall, must not serve: others
//! would wait for it in vain.
//!
//! A node can't find this out alone. It asks a contact, the *helper*, to have a third node, of another address prefix,
//! ping it: a *probe*. The ping has a transaction that the node chose. If it arrives, a stranger has reached the node.
//!
//! - Probes follow one another until four in a row have arrived, or six in a row were missed: one may arrive because
//!   the node has contacted the third node before, and one may be lost. A probe counts as missed only if the helper
//!   said that it forwarded the request.
//! - A node that can be reached checks again after three hours, and when its external address changes.
//! - One that can't is a client. It tries again after a minute, then after twice as long each time, up to an hour.
//! - A node that finds no helper, as in a network of few prefixes, stays what it is.
//!
//! For others a node probes an address prefix, or forwards the request, at most once a minute.
//!
//! This does not defend against helpers that lie: four in a row can let a node serve in vain, six make it a client.

use crate::address::{Address, Prefix};
use crate::message::ErrorCode;
use crate::time::{Instant, Micros};
use crate::wire::Wire;

/// This many probes in a row must arrive.
const ARRIVED: i8 = 4;
/// This many in a row are missed by a node that can't be reached.
const MISSED: i8 = -6;
/// How long a probe can take.
const PROBE: Micros = Micros::from_secs(8);
/// From one check to the next, if the node can be reached.
const CALM: Micros = Micros::from_secs(3 * 60 * 60);
/// The first and the longest pause between two checks otherwise.
const PAUSE: (Micros, Micros) = (Micros::from_secs(60), Micros::from_secs(60 * 60));
/// How many probes a check has, at most.
const MOST_PROBES: u8 = 16;
/// Probes of how many address prefixes are forwarded in [`PER_PREFIX`] seconds.
const FORWARDED: usize = 8;
/// Probes of how many are sent in that time. It is more: one that was forwarded should not be refused.
const SENT: usize = 16;
/// How many other nodes a helper asks in place of one that refuses: those that many know have too much to send.
const OTHERS: u8 = 3;
/// Between two probes of one address prefix, in seconds.
const PER_PREFIX: u32 = 60;

/// A probe that this node asks another one for.
#[derive(Debug)]
pub(crate) struct Errand<A, W: Wire> {
    /// The address to be probed; [`Address::EMPTY`] for that of this node.
    pub(crate) address: A,
    /// Gives the transaction of the probe. 0 while there is no errand.
    pub(crate) nonce: u64,
    /// The token of the node that is asked.
    pub(crate) token: W::Token,
    /// How many other nodes can still be asked, if this one refuses.
    pub(crate) left: u8,
}

impl<A: Address, W: Wire> Errand<A, W> {
    const EMPTY: Self = Self { address: A::EMPTY, nonce: 0, token: W::NO_TOKEN, left: 0 };

    pub(crate) const fn begin(&mut self, address: A, nonce: u64) {
        *self = Self { address, nonce: nonce | 1, token: W::NO_TOKEN, left: OTHERS };
    }
}

/// What a node knows of its reachability, and the probes that it takes part in. All zeros before the start.
#[derive(Debug)]
pub(crate) struct Reachability<A, W: Wire> {
    /// Whether the node serves if it can be reached.
    pub(crate) automatic: bool,
    /// Whether the user was not told yet that the node became a server or a client.
    pub(crate) unreported: bool,
    /// Whether the helper has forwarded the own probe.
    pub(crate) accepted: bool,
    /// How many probes in a row have arrived, or, if below 0, were missed.
    score: i8,
    /// How many probes this check still has.
    left: u8,
    /// Which contact of the table is told next that the node is a client now; [`u8::MAX`] if none is.
    pub(crate) told: u8,
    due: Instant,
    pause: Micros,
    /// The own probe, and the one that is forwarded for another node.
    pub(crate) errands: [Errand<A, W>; 2],
    /// The numbers of the prefixes whose probes were forwarded last, cut to 32 bits, and the second until which none of
    /// each is forwarded again.
    forwarded: [(u32, u32); FORWARDED],
    /// The same of the probes that were sent.
    sent: [(u32, u32); SENT],
}

impl<A: Address, W: Wire> Reachability<A, W> {
    pub(crate) const EMPTY: Self = Self {
        automatic: false,
        unreported: false,
        accepted: false,
        score: 0,
        left: 0,
        told: 0,
        due: Instant::ZERO,
        pause: Micros::ZERO,
        errands: [const { Errand::EMPTY }; 2],
        forwarded: [(0, 0); FORWARDED],
        sent: [(0, 0); SENT],
    };

    /// Forgets everything.
    pub(crate) fn restart(&mut self, automatic: bool) {
        *self = Self::EMPTY;
        self.automatic = automatic && W::RULES.probes;
        self.due = Instant::NEVER;
        self.told = u8::MAX;
    }

    /// A node responded that can help, or the external address changed: checks after a minute. Where many nodes join at
    /// once, the few that all know then have more probes to send than they may.
    pub(crate) fn check(&mut self, now: Instant) {
        if self.automatic {
            self.due = self.due.min(now + PAUSE.0);
            self.pause = PAUSE.0;
            self.left = MOST_PROBES;
        }
    }

    /// The same, if there was no check yet.
    pub(crate) fn begin(&mut self, now: Instant) {
        if self.due == Instant::NEVER {
            self.check(now);
        }
    }

    /// When [`step`](Self::step) has something to do.
    pub(crate) const fn due(&self) -> Instant {
        self.due
    }

    /// The time has come. Returns whether the node, which `serves`, changes that; and whether a helper is asked now.
    pub(crate) fn step(&mut self, now: Instant, serves: bool, nonce: u64) -> (bool, bool) {
        if self.told != u8::MAX {
            self.due = now + Micros::from_millis(500);
            return (false, false);
        }
        let changes = core::mem::take(&mut self.accepted) && self.count(now, false, serves);
        if self.left == 0 {
            self.wait(now);
        }
        let asks = self.due.is_due(now);
        if asks {
            self.left -= 1;
            self.due = now + PROBE;
            self.errands[0].begin(A::EMPTY, nonce);
        }
        (changes, asks)
    }

    /// A ping arrived. Returns whether the node, which `serves`, changes that, because it was the own probe.
    pub(crate) fn arrived(&mut self, now: Instant, transaction: W::Transaction, serves: bool) -> bool {
        let nonce = core::mem::take(&mut self.errands[0].nonce);
        if nonce == 0 || W::transaction(nonce) != transaction {
            self.errands[0].nonce = nonce;
            return false;
        }
        self.count(now, true, serves)
    }

    /// A request for a probe was refused, or got no response.
    pub(crate) fn failed(&mut self, now: Instant, passed: bool) {
        let nonce = core::mem::take(&mut self.errands[usize::from(passed)].nonce);
        if !passed && nonce != 0 {
            self.due = self.due.min(now + Micros::from_secs(1));
        }
    }

    /// Whether a probe of this prefix can be sent, or forwarded, for another node now. If so, none can for a minute.
    /// Each is counted apart: one that was forwarded should not be refused, because it would count as missed.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Busy`]
    pub(crate) fn take_turn(&mut self, now: Instant, prefix: Prefix, passes: bool) -> Result<(), ErrorCode> {
        let (prefix, now) = (prefix.number() as u32, now.stamp());
        let probed: &mut [(u32, u32)] = if passes { &mut self.forwarded } else { &mut self.sent };
        let recent = |probed: &(u32, u32)| probed.1 > now;
        if probed.iter().any(|probed| recent(probed) && probed.0 == prefix) {
            return Err(ErrorCode::Busy);
        }
        let place = probed.iter_mut().find(|probed| !recent(probed)).ok_or(ErrorCode::Busy)?;
        *place = (prefix, now.saturating_add(PER_PREFIX));
        Ok(())
    }

    /// A probe arrived or was missed. Returns whether the node, which `serves`, changes that.
    fn count(&mut self, now: Instant, arrived: bool, serves: bool) -> bool {
        (self.errands[0].nonce, self.accepted) = (0, false);
        self.score = if arrived { self.score.max(0) + 1 } else { self.score.min(0).saturating_sub(1) };
        self.due = now;
        let decides = if arrived { self.score >= ARRIVED } else { !serves || self.score <= MISSED };
        if !decides {
            return false;
        }
        self.score = 0;
        if serves || arrived {
            self.pause = PAUSE.0;
        }
        self.wait(now);
        if arrived {
            (self.due, self.pause) = (now + CALM, PAUSE.0);
        }
        serves != arrived
    }

    /// Ends a check. The pause after the next one is twice as long.
    fn wait(&mut self, now: Instant) {
        self.left = MOST_PROBES;
        self.due = now + self.pause;
        self.pause = Micros(2 * self.pause.0).min(PAUSE.1);
    }
}

#[cfg(test)]
mod tests;
