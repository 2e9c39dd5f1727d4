//! What a node counts. The core logs nothing.

/// Counters since the start of a node. They wrap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Datagrams given to `handle_datagram`.
    pub received: u64,
    /// Bytes in them.
    pub received_bytes: u64,
    /// Datagrams that were to be sent.
    pub sent: u64,
    /// Bytes in them.
    pub sent_bytes: u64,
    /// Requests answered, errors included.
    pub responded: u64,
    /// Questions of our own that were answered.
    pub responses: u64,
    /// Questions of our own that were sent again.
    pub retransmits: u64,
    /// Questions of our own that nobody answered.
    pub timeouts: u64,
    /// Dropped: not a message of kadlet's, or not in its one canonical form.
    pub malformed: u64,
    /// Dropped: another version of the format.
    pub wrong_version: u64,
    /// Dropped: another geometry.
    pub wrong_geometry: u64,
    /// Dropped: another network.
    pub wrong_network: u64,
    /// Dropped: an answer to nothing that was asked, or come too late.
    pub unsolicited: u64,
    /// Dropped: an answer from another address than was asked, or by another node than was expected there.
    pub spoofed: u64,
    /// Requests over their source's budget: answered with a fresh token alone, or dropped if they showed one.
    pub rate_limited: u64,
    /// Requests that showed a token that is not, or no longer, valid.
    pub bad_tokens: u64,
    /// Stores refused, for whatever reason.
    pub refused_stores: u64,
    /// Records taken from others.
    pub stored: u64,
    /// Recursive questions of others passed on.
    pub forwarded: u64,
    /// Recursive questions of others refused: their table is full, they came round in a circle, or too few requests are free.
    pub busy: u64,
    /// Requests dropped because the node is a client.
    pub not_serving: u64,
    /// Datagrams not written because the caller's buffer was smaller than `MIN_DATAGRAM` or than the one due, or because the asker
    /// takes no answer as small as an error.
    pub small_buffers: u64,
    /// Contacts named to us that were not taken up: our own id, an address of narrower scope than the one who named it.
    pub bad_contacts: u64,
}

impl Stats {
    /// Nothing counted yet.
    pub const ZERO: Self = Self {
        received: 0,
        received_bytes: 0,
        sent: 0,
        sent_bytes: 0,
        responded: 0,
        responses: 0,
        retransmits: 0,
        timeouts: 0,
        malformed: 0,
        wrong_version: 0,
        wrong_geometry: 0,
        wrong_network: 0,
        unsolicited: 0,
        spoofed: 0,
        rate_limited: 0,
        bad_tokens: 0,
        refused_stores: 0,
        stored: 0,
        forwarded: 0,
        busy: 0,
        not_serving: 0,
        small_buffers: 0,
        bad_contacts: 0,
    };
}

/// One more. Out of line, for a microcontroller's sum of 64 bits takes twice the room of this call.
#[inline(never)]
pub(super) const fn count_up(counter: &mut u64) {
    *counter = counter.wrapping_add(1);
}
