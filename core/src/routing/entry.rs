//! What a table of whichever geometry knows of one contact.

use super::clock::NEVER;
use super::{Peer, State};
use crate::{Address, Contact, Group, Instant, RoundTrip};

/// One contact and what is known of it.
#[derive(Clone, Copy, Debug)]
pub struct Entry<A> {
    pub(super) contact: Contact<A>,
    pub(super) rtt: RoundTrip,
    /// Questions in a row that it did not answer: none makes it verified. [`HEARD`] if it never answered one.
    pub(super) failures: u8,
    /// When it first answered, in units of 256 s that wrap; see [`Entry::age`].
    since: u8,
    /// The second at which to ask it; [`NEVER`] if there is no need.
    pub(super) due: u32,
}

/// In place of a count of failures: it never answered.
const HEARD: u8 = u8::MAX;
/// The age at which all contacts are equally old: 14 hours. The rest of the byte's range is for silence.
const OLD: u8 = 200;

const _: () = assert!(size_of::<Entry<core::net::SocketAddrV4>>() == 36);

impl<A: Address> Entry<A> {
    /// One that has just answered for the first time.
    pub(super) fn new(now: Instant, contact: Contact<A>) -> Self {
        let mut entry = Self::heard(contact, NEVER);
        entry.set_age(now, 0);
        entry
    }

    /// One that was only heard of.
    pub(super) fn heard(contact: Contact<A>, due: u32) -> Self {
        Self { contact, rtt: RoundTrip::UNKNOWN, failures: HEARD, since: 0, due }
    }

    pub(super) fn is_verified(&self) -> bool {
        self.failures == 0
    }

    pub(super) fn state(&self) -> State {
        match self.failures {
            0 => State::Verified,
            HEARD => State::Heard,
            _ => State::Failing,
        }
    }

    pub(super) fn peer(&self) -> Peer<A> {
        Peer { contact: self.contact, state: self.state(), rtt: self.rtt.smoothed(), timeout: self.rtt.timeout() }
    }

    /// It answered, after such a round trip if one was measured.
    pub(super) fn answer(&mut self, now: Instant, rtt: Option<core::time::Duration>) {
        self.failures = 0;
        self.set_age(now, self.age(epoch(now)));
        if let Some(rtt) = rtt {
            self.rtt.sample(rtt);
        }
    }

    /// A failure costs half of what its age is worth.
    pub(super) fn fail(&mut self, now: Instant) {
        self.failures = self.failures.saturating_add(1).min(HEARD - 1);
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

    pub(super) fn is_of(&self, group: Group) -> bool {
        self.contact.address.group() == Some(group)
    }

    fn set_age(&mut self, now: Instant, age: u8) {
        self.since = epoch(now).wrapping_sub(age);
    }
}

/// The time in units of 256 s, which wrap.
pub(super) fn epoch(now: Instant) -> u8 {
    (now.stamp() >> 8).to_le_bytes()[0]
}
