//! What a lookup knows of each contact, and views on them.

use core::mem::size_of;
use core::net::SocketAddrV4;

use crate::wire::Token;
use crate::{Address, Contact, Distance, Id};

/// A geometry's `rank`.
pub(super) type Rank = fn(target: &Id, id: &Id) -> Distance;

// A shortlist is most of a lookup's memory.
const _: () = assert!(size_of::<Entry<SocketAddrV4>>() <= 38);

/// A contact in a shortlist.
#[derive(Clone, Copy, Debug)]
pub struct Entry<A> {
    pub(super) contact: Contact<A>,
    pub(super) token: Option<Token>,
    pub(super) state: State,
    pub(super) depth: u8,
    pub(super) newest: bool,
}

/// How far a lookup has come with a contact. The order matters: from `Answered` on it has answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum State {
    Unasked,
    Asked,
    Slow,
    Failed,
    Answered,
    /// It is to store the record.
    Wanted,
    /// It was sent the record.
    Sent,
    Stored,
    Refused,
}

impl<A: Address> Entry<A> {
    pub(super) const fn new(contact: Contact<A>, depth: u8) -> Self {
        Self { contact, token: None, state: State::Unasked, depth, newest: false }
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
    pub fn has_answered(&self) -> bool {
        self.state >= State::Answered
    }

    /// Whether it has not failed; it need not have been asked.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.state != State::Failed
    }
}

/// Contacts of a lookup, best first. Knows neither the lookup's geometry nor its bound.
#[derive(Clone, Copy, Debug)]
pub struct Found<'a, A> {
    entries: &'a [Entry<A>],
    target: Id,
    rank: Option<Rank>,
    which: Which,
    limit: usize,
}

/// Which of a shortlist's contacts a view shows.
#[derive(Clone, Copy, Debug)]
pub(super) enum Which {
    Answered,
    Holding,
    Stored,
    Live,
}

impl<'a, A: Address> Found<'a, A> {
    pub(super) const fn new(entries: &'a [Entry<A>], target: Id, rank: Option<Rank>, which: Which, limit: usize) -> Self {
        Self { entries, target, rank, which, limit }
    }

    /// They, best first.
    pub fn iter(&self) -> impl Iterator<Item = Contact<A>> + use<'a, A> {
        let which = self.which;
        by_rank(self.entries, self.target, self.rank, move |entry| which.shows(entry)).take(self.limit).map(|(_, entry)| entry.contact)
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
    fn shows<A: Address>(self, entry: &Entry<A>) -> bool {
        match self {
            Self::Answered => entry.has_answered(),
            Self::Holding => entry.newest,
            Self::Stored => entry.state == State::Stored,
            Self::Live => entry.is_live(),
        }
    }
}

/// The entries that match, by rank and then by place, each with its place. Without a `rank`, their order is that of rank already.
pub(super) fn by_rank<A: Address>(
    entries: &[Entry<A>],
    target: Id,
    rank: Option<Rank>,
    matches: impl Fn(&Entry<A>) -> bool,
) -> impl Iterator<Item = (usize, &Entry<A>)> {
    let mut last: Option<(Distance, usize)> = None;
    core::iter::from_fn(move || {
        let passed = match (rank, last) {
            (None, Some((_, place))) => place + 1,
            _ => 0,
        };
        let mut candidates = entries.iter().enumerate().skip(passed).filter(|(_, entry)| matches(entry));
        let (distance, place) = match rank {
            None => (Distance::ZERO, candidates.next()?.0),
            // A shortlist is short, so the least that is greater than the last costs less than a sorted copy.
            Some(rank) => candidates
                .map(|(place, entry)| (rank(&target, &entry.contact.id), place))
                .filter(|at| last.is_none_or(|last| *at > last))
                .min()?,
        };
        last = Some((distance, place));
        Some((place, entries.get(place)?))
    })
}
