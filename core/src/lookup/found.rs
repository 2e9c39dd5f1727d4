//! What a lookup knows of each contact, and views on them.

use core::mem::size_of;
use core::net::SocketAddrV4;

use crate::wire::Token;
use crate::{Address, Contact};

// A shortlist is most of a lookup's memory.
const _: () = assert!(size_of::<Candidate<SocketAddrV4>>() <= 38);

/// A contact in a shortlist.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<A> {
    pub(super) contact: Contact<A>,
    pub(super) token: Option<Token>,
    pub(super) state: CandidateState,
    pub(super) depth: u8,
    pub(super) newest: bool,
}

/// How far a lookup has come with a contact. The order matters: from `Responded` on it has answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum CandidateState {
    Unasked,
    Asked,
    Slow,
    Failed,
    Responded,
    /// It is to store the record.
    Wanted,
    /// It was sent the record.
    Sent,
    Stored,
    Refused,
}

impl<A: Address> Candidate<A> {
    pub(super) const fn new(contact: Contact<A>, depth: u8) -> Self {
        Self { contact, token: None, state: CandidateState::Unasked, depth, newest: false }
    }

    /// Who it is.
    #[must_use]
    pub const fn contact(&self) -> Contact<A> {
        self.contact
    }

    /// How many steps from the own table it is, whose contacts are at 1.
    #[must_use]
    pub const fn depth(&self) -> u8 {
        self.depth
    }

    /// Whether it answered.
    #[must_use]
    pub fn has_responded(&self) -> bool {
        self.state >= CandidateState::Responded
    }

    /// Whether it has not failed; it need not have been asked.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.state != CandidateState::Failed
    }
}

/// Contacts of a lookup, best first. Knows neither the lookup's geometry nor its bound.
#[derive(Clone, Copy, Debug)]
pub struct Found<'a, A> {
    entries: &'a [Candidate<A>],
    which: Which,
    limit: usize,
}

/// Which of a shortlist's contacts a view shows.
#[derive(Clone, Copy, Debug)]
pub(super) enum Which {
    Responded,
    Holding,
    Stored,
    Live,
}

impl<'a, A: Address> Found<'a, A> {
    pub(super) const fn new(entries: &'a [Candidate<A>], which: Which, limit: usize) -> Self {
        Self { entries, which, limit }
    }

    /// They, best first.
    pub fn iter(&self) -> impl Iterator<Item = Contact<A>> + use<'a, A> {
        let which = self.which;
        self.entries.iter().filter(move |entry| which.shows(entry)).take(self.limit).map(|entry| entry.contact)
    }

    /// How many they are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.iter().filter(|entry| self.which.shows(entry)).count().min(self.limit)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Which {
    fn shows<A: Address>(self, entry: &Candidate<A>) -> bool {
        match self {
            Self::Responded => entry.has_responded(),
            Self::Holding => entry.newest,
            Self::Stored => entry.state == CandidateState::Stored,
            Self::Live => entry.is_live(),
        }
    }
}
