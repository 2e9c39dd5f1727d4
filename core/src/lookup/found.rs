//! The limits of a lookup, and the contacts in its shortlist: what it knows of each, and how its user reads them.

use core::fmt;
use core::mem::size_of;
use core::net::SocketAddrV4;

use crate::address::Address;
use crate::contact::Contact;

// A shortlist is most of a lookup's memory.
const _: () = assert!(size_of::<Candidate<SocketAddrV4, [u8; 8]>>() <= 38);

/// The limits of a lookup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LookupLimits {
    /// How many of the closest nodes to find: 1 to the shortlist's bound; best is a third of it or less.
    pub k: u8,
    /// How many responses to wait for at once, those of slow nodes not counted: 1 to 255.
    pub alpha: u8,
    /// How many contacts of one [`Prefix`](crate::Prefix) count, the nearest ones: 0 to 255. Others are neither asked nor found.
    /// With two orders, as many before the target, and as many after it.
    pub prefix: u8,
}

/// A contact in a shortlist.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<A, T> {
    pub(super) contact: Contact<A>,
    pub(super) token: Option<T>,
    pub(super) state: CandidateState,
    pub(super) depth: u8,
    /// The branch, and the bits [`NEWEST`], [`SURPLUS`] and [`STRANGER`].
    marks: u8,
}

/// The node holds the newest record found.
const NEWEST: u8 = 0x80;
/// The contact is more than its branch or its prefix can have.
const SURPLUS: u8 = 0x40;
/// The node was asked while no named contact of its branch had responded.
const STRANGER: u8 = 0x20;
/// A lookup begins with fewer contacts of the own table.
const MAX_BRANCH: u8 = 0x1F;

/// How far a lookup has come with a contact. The order matters: `Responded` and all that follow have responded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum CandidateState {
    /// Another address of the contact before it, to be asked if that one fails.
    Rival,
    Unasked,
    Asked,
    Slow,
    Failed,
    Responded,
    /// The record must be stored there.
    Wanted,
    /// The record was sent, or the one that the node claims to hold was asked for.
    Sent,
    /// The record must be sent again, with a fresh token.
    WantedAgain,
    /// The record was sent again.
    SentAgain,
    /// The node claims to hold another record, which must be verified.
    Claimed,
    Stored,
    Refused,
}

impl<A: Address, T: Copy> Candidate<A, T> {
    pub(super) fn new(contact: Contact<A>, depth: u8, branch: u8) -> Self {
        Self { contact, token: None, state: CandidateState::Unasked, depth, marks: branch.min(MAX_BRANCH) }
    }

    /// The contact.
    #[must_use]
    pub const fn contact(&self) -> Contact<A> {
        self.contact
    }

    /// The number of steps from the own table, whose contacts are at 1.
    #[must_use]
    pub const fn depth(&self) -> u8 {
        self.depth
    }

    /// Whether the node has responded.
    #[must_use]
    pub fn has_responded(&self) -> bool {
        self.state >= CandidateState::Responded
    }

    /// Whether the node can be among the closest: it has not failed, and is not more than its branch or its prefix can
    /// have. Maybe it was not asked yet.
    #[must_use]
    pub fn counts(&self) -> bool {
        self.is_live() && self.marks & SURPLUS == 0
    }

    /// Whether it has not failed.
    pub(super) fn is_live(&self) -> bool {
        !matches!(self.state, CandidateState::Failed | CandidateState::Rival)
    }

    /// Whether it takes one of the places that its branch and its prefix have: it is neither failed nor slow.
    pub(super) fn takes_place(&self) -> bool {
        self.is_live() && self.state != CandidateState::Slow
    }

    /// Whether it has responded and can be among the closest.
    pub(super) fn is_close(&self) -> bool {
        self.has_responded() && self.counts()
    }

    /// Whether it doesn't count and was not asked.
    pub(super) fn is_idle(&self) -> bool {
        self.state == CandidateState::Unasked && self.marks & SURPLUS != 0
    }

    /// The contact of the own table through which it was found, by number; 0 if that one has been evicted.
    pub(super) const fn branch(&self) -> u8 {
        self.marks & MAX_BRANCH
    }

    /// Whether it is from the own table.
    pub(super) const fn is_own(&self) -> bool {
        self.branch() != 0 && self.depth == 1
    }

    /// Whether the node holds the newest record found.
    pub(super) const fn is_newest(&self) -> bool {
        self.marks & NEWEST != 0
    }

    pub(super) const fn set_newest(&mut self, newest: bool) {
        self.mark(NEWEST, newest);
    }

    /// Whether the node was asked while no named contact of its branch had responded.
    pub(super) const fn is_stranger(&self) -> bool {
        self.marks & STRANGER != 0
    }

    pub(super) const fn set_stranger(&mut self, stranger: bool) {
        self.mark(STRANGER, stranger);
    }

    pub(super) const fn set_surplus(&mut self, surplus: bool) {
        self.mark(SURPLUS, surplus);
    }

    pub(super) fn set_branch(&mut self, branch: u8) {
        self.marks = self.marks & !MAX_BRANCH | branch.min(MAX_BRANCH);
    }

    const fn mark(&mut self, bit: u8, set: bool) {
        self.marks = self.marks & !bit | if set { bit } else { 0 };
    }
}

/// Selects contacts of a shortlist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Which {
    /// Those that responded: k of them, or as many as the lookup was widened to.
    Closest,
    /// Those that hold the newest record found.
    Holders,
    /// Those that have stored the record.
    Stored,
    /// All that count and have not failed, whether they responded or not.
    Candidates,
}

/// A shortlist that can be read, with any geometry, bound and token type.
pub trait Shortlist<A>: Sync {
    /// The contact after `nth` others, best first, of those that `which` selects.
    fn nth(&self, which: Which, nth: usize) -> Option<Contact<A>>;
}

/// Contacts of a lookup, best first.
#[derive(Clone, Copy)]
pub struct Found<'a, A> {
    shortlist: &'a dyn Shortlist<A>,
    which: Which,
}

impl<'a, A> Found<'a, A> {
    /// The contacts of a shortlist that `which` selects.
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
    /// Whether this selects a contact.
    pub(super) fn selects<A: Address, T: Copy>(self, candidate: &Candidate<A, T>) -> bool {
        match self {
            Self::Closest => candidate.is_close(),
            Self::Holders => candidate.is_newest(),
            Self::Stored => candidate.state == CandidateState::Stored,
            Self::Candidates => candidate.counts(),
        }
    }
}
