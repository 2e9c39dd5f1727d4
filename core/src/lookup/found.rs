//! What a lookup knows of each contact, and views on them.

use core::fmt;
use core::mem::size_of;
use core::net::SocketAddrV4;

use crate::address::Address;
use crate::contact::Contact;

// A shortlist is most of a lookup's memory.
const _: () = assert!(size_of::<Candidate<SocketAddrV4, [u8; 8]>>() <= 38);

/// A contact in a shortlist.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<A, T> {
    pub(super) contact: Contact<A>,
    pub(super) token: Option<T>,
    pub(super) state: CandidateState,
    pub(super) depth: u8,
    pub(super) newest: bool,
}

/// How far a lookup has come with a contact. The order matters: from `Responded` on it has responded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum CandidateState {
    Unasked,
    Asked,
    Slow,
    Failed,
    Responded,
    /// The record must be stored there.
    Wanted,
    /// The record was sent.
    Sent,
    Stored,
    Refused,
}

impl<A: Address, T: Copy> Candidate<A, T> {
    pub(super) const fn new(contact: Contact<A>, depth: u8) -> Self {
        Self { contact, token: None, state: CandidateState::Unasked, depth, newest: false }
    }

    /// The contact.
    #[must_use]
    pub const fn contact(&self) -> Contact<A> {
        self.contact
    }

    /// How many steps from the own table it is, whose contacts are at 1.
    #[must_use]
    pub const fn depth(&self) -> u8 {
        self.depth
    }

    /// Whether it responded.
    #[must_use]
    pub fn has_responded(&self) -> bool {
        self.state >= CandidateState::Responded
    }

    /// Whether it has not failed. It may not have been asked yet.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.state != CandidateState::Failed
    }
}

/// Which contacts of a shortlist are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// Those that responded: k of them, or as many as the lookup was widened to.
    Closest,
    /// Those that hold the newest record seen.
    Holders,
    /// Those that stored the record.
    Stored,
    /// All that have not failed, whether they responded or not.
    Candidates,
}

/// A shortlist to be read, whatever its geometry, its bound and its tokens.
pub trait Shortlist<A>: Sync {
    /// The contact of this kind that comes after `nth` others, best first.
    fn nth(&self, which: Which, nth: usize) -> Option<Contact<A>>;
}

/// Contacts of a lookup, best first.
#[derive(Clone, Copy)]
pub struct Found<'a, A> {
    shortlist: &'a dyn Shortlist<A>,
    which: Which,
}

impl<'a, A> Found<'a, A> {
    /// The contacts of one kind in a shortlist.
    pub const fn new(shortlist: &'a dyn Shortlist<A>, which: Which) -> Self {
        Self { shortlist, which }
    }

    /// The contacts, best first.
    pub fn iter(&self) -> impl Iterator<Item = Contact<A>> + use<'a, A> {
        let Self { shortlist, which } = *self;
        (0..).map_while(move |nth| shortlist.nth(which, nth))
    }

    /// How many contacts there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }
}

impl<A: fmt::Debug> fmt::Debug for Found<'_, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl Which {
    pub(super) fn shows<A: Address, T: Copy>(self, candidate: &Candidate<A, T>) -> bool {
        match self {
            Self::Closest => candidate.has_responded(),
            Self::Holders => candidate.newest,
            Self::Stored => candidate.state == CandidateState::Stored,
            Self::Candidates => candidate.is_live(),
        }
    }
}
