//! What a table tells about one contact.

use core::fmt;
use core::time::Duration;

use crate::contact::Contact;

/// A contact in a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer<A> {
    /// Its identifier and address.
    pub contact: Contact<A>,
    /// Whether it can be expected to respond.
    pub state: ContactState,
    /// Its smoothed round trip, if one was measured.
    pub rtt: Option<Duration>,
    /// How long to wait for its response before another way is tried (RFC 6298), if a round trip was measured.
    pub timeout: Option<Duration>,
}

/// Whether a contact can be expected to respond.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContactState {
    /// Another node named it, or it sent a request; it has not responded to a request of the own node.
    Unverified,
    /// It responded to the last request that the own node sent it.
    Verified,
    /// It responded before, but not to the last request.
    Failing,
}

impl fmt::Display for ContactState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unverified => "unverified",
            Self::Verified => "verified",
            Self::Failing => "failing",
        })
    }
}

/// How a contact was discovered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// It sent a request. The requester may have forged its address, so the table does not remember it for that; it
    /// only says whether a request to it is worth sending.
    Requester,
    /// Another node named it in a response to a maintenance request.
    Named,
    /// The caller restored it from an earlier run.
    Restored,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Requester => "requester",
            Self::Named => "named",
            Self::Restored => "restored",
        })
    }
}
