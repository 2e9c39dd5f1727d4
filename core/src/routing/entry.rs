//! One contact in a table of any geometry, and what the table knows of it.

use core::time::Duration;

use super::peer::{ContactState, Peer};
use super::stamp::Stamp;
use crate::address::{Address, Prefix};
use crate::contact::Contact;
use crate::round_trip::RoundTrip;
use crate::time::Instant;

/// A contact and what is known of it.
#[derive(Clone, Copy, Debug)]
pub struct TableEntry<A> {
    pub(super) contact: Contact<A>,
    pub(super) rtt: RoundTrip,
    /// Requests in a row that it did not respond to; 0 makes it verified. [`NEVER_RESPONDED`] until its first response.
    pub(super) failures: u8,
    /// When it first responded, in units of 256 s that wrap; see [`TableEntry::age`].
    since: u8,
    /// When to ask it next.
    pub(super) due: Stamp,
}

/// Takes the place of the number of failures: the contact never responded.
const NEVER_RESPONDED: u8 = u8::MAX;
/// The age from which on all contacts are equally old: 14 hours. The rest of the byte's range is for silence.
const OLD: u8 = 200;

const _: () = assert!(size_of::<TableEntry<core::net::SocketAddrV4>>() == 36);

impl<A: Address> TableEntry<A> {
    /// A contact that has just responded for the first time.
    pub(super) fn new(now: Instant, contact: Contact<A>) -> Self {
        let mut entry = Self::unverified(contact, Stamp::NEVER);
        entry.set_age(now, 0);
        entry
    }

    /// A contact that has not responded yet.
    pub(super) fn unverified(contact: Contact<A>, due: Stamp) -> Self {
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

    /// The contact responded, after the round trip `rtt` if one was measured.
    pub(super) fn note_response(&mut self, now: Instant, rtt: Option<Duration>) {
        self.failures = 0;
        self.set_age(now, self.age(epoch(now)));
        if let Some(rtt) = rtt {
            self.rtt.sample(rtt);
        }
    }

    /// The contact did not respond, which halves its age.
    pub(super) fn note_failure(&mut self, now: Instant) {
        self.failures = self.failures.saturating_add(1).min(NEVER_RESPONDED - 1);
        self.set_age(now, self.age(epoch(now)) / 2);
    }

    /// How long it has been known to respond, in units of 256 s up to [`OLD`]. Correct while the contact is asked every
    /// four hours; after a longer silence the byte may have wrapped, and the age is a guess.
    pub(super) fn age(&self, epoch: u8) -> u8 {
        epoch.wrapping_sub(self.since).min(OLD)
    }

    /// The contact with the highest rank is evicted first: an unverified one, then the one that failed most often, then
    /// the newest.
    pub(super) fn eviction_rank(&self, epoch: u8) -> u16 {
        u16::from_be_bytes([self.failures, OLD.saturating_sub(self.age(epoch))])
    }

    pub(super) fn has_prefix(&self, prefix: Prefix) -> bool {
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
