//! What a table of whichever geometry knows of one contact.

use super::clock::NEVER;
use super::{ContactState, Peer};
use crate::{Address, Contact, Instant, Prefix, RoundTrip};

/// One contact and what is known of it.
#[derive(Clone, Copy, Debug)]
pub struct TableEntry<A> {
    pub(super) contact: Contact<A>,
    pub(super) rtt: RoundTrip,
    /// Questions in a row that it did not answer: none makes it verified. [`NEVER_RESPONDED`] if it never answered one.
    pub(super) failures: u8,
    /// When it first answered, in units of 256 s that wrap; see [`TableEntry::age`].
    since: u8,
    /// The second at which to ask it; [`NEVER`] if there is no need.
    pub(super) due: u32,
}

/// In place of a count of failures: it never answered.
const NEVER_RESPONDED: u8 = u8::MAX;
/// The age at which all contacts are equally old: 14 hours. The rest of the byte's range is for silence.
const OLD: u8 = 200;

const _: () = assert!(size_of::<TableEntry<core::net::SocketAddrV4>>() == 36);

impl<A: Address> TableEntry<A> {
    /// One that has just answered for the first time.
    pub(super) fn new(now: Instant, contact: Contact<A>) -> Self {
        let mut entry = Self::unverified(contact, NEVER);
        entry.set_age(now, 0);
        entry
    }

    /// One that was only heard of.
    pub(super) fn unverified(contact: Contact<A>, due: u32) -> Self {
        Self { contact, rtt: RoundTrip::UNKNOWN, failures: NEVER_RESPONDED, since: 0, due }
    }

    pub(super) fn is_verified(&self) -> bool {
        self.failures == 0
    }

    pub(super) fn state(&self) -> ContactState {
        match self.failures {
            0 => ContactState::Verified,
            NEVER_RESPONDED => ContactState::Unverified,
            _ => ContactState::Failing,
        }
    }

    pub(super) fn peer(&self) -> Peer<A> {
        Peer { contact: self.contact, state: self.state(), rtt: self.rtt.smoothed(), timeout: self.rtt.timeout() }
    }

    /// It answered, after such a round trip if one was measured.
    pub(super) fn response(&mut self, now: Instant, rtt: Option<core::time::Duration>) {
        self.failures = 0;
        self.set_age(now, self.age(epoch(now)));
        if let Some(rtt) = rtt {
            self.rtt.sample(rtt);
        }
    }

    /// A failure costs half of what its age is worth.
    pub(super) fn fail(&mut self, now: Instant) {
        self.failures = self.failures.saturating_add(1).min(NEVER_RESPONDED - 1);
        self.set_age(now, self.age(epoch(now)) / 2);
    }

    /// How long it has been known to answer, in units of 256 s up to [`OLD`]. True as long as the contact is asked every four
    /// hours; after a longer silence it is a guess.
    pub(super) fn age(&self, epoch: u8) -> u8 {
        epoch.wrapping_sub(self.since).min(OLD)
    }

    /// Who goes first: one only heard of, then the one that failed most often, then the newest.
    pub(super) fn dispensability(&self, epoch: u8) -> u16 {
        u16::from_be_bytes([self.failures, OLD.saturating_sub(self.age(epoch))])
    }

    pub(super) fn is_of(&self, prefix: Prefix) -> bool {
        self.contact.address.prefix() == Some(prefix)
    }

    fn set_age(&mut self, now: Instant, age: u8) {
        self.since = epoch(now).wrapping_sub(age);
    }
}

/// The time in units of 256 s, which wrap.
pub(super) fn epoch(now: Instant) -> u8 {
    (now.stamp() >> 8).to_le_bytes()[0]
}
