//! What a node counts. The core logs nothing.

/// Counters since the start of a node. They wrap at 2^64.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Datagrams given to `handle_datagram`.
    pub received: u64,
    /// Bytes in them.
    pub received_bytes: u64,
    /// Datagrams written to be sent.
    pub sent: u64,
    /// Bytes in them.
    pub sent_bytes: u64,
    /// Requests of other nodes responded to, errors included.
    pub responded: u64,
    /// Responses to own requests.
    pub responses: u64,
    /// Own requests sent again.
    pub retransmits: u64,
    /// Own requests without a response after their last attempt.
    pub timeouts: u64,
    /// Datagrams dropped: not a message of the wire format, or not in its one canonical form.
    pub malformed: u64,
    /// Datagrams dropped: another version of the wire format.
    pub wrong_version: u64,
    /// Datagrams dropped: another geometry.
    pub wrong_geometry: u64,
    /// Datagrams dropped: another network.
    pub wrong_network: u64,
    /// Responses dropped: to no request in flight, or too late.
    pub unsolicited: u64,
    /// Responses dropped: from another address than was asked, or from another node than was expected there.
    pub spoofed: u64,
    /// Requests over the rate limit of their address prefix. One without a valid token gets a fresh token, nothing else; one with a
    /// valid token is dropped.
    pub rate_limited: u64,
    /// Requests that showed a token that is not valid, or not any more.
    pub bad_tokens: u64,
    /// Stores refused, for any reason.
    pub refused_stores: u64,
    /// Records taken from other nodes.
    pub stored: u64,
    /// Recursive requests of other nodes forwarded.
    pub forwarded: u64,
    /// Recursive requests of other nodes refused: no place for them, a circle, or too few free request slots.
    pub busy: u64,
    /// Requests dropped because the node is a client.
    pub not_serving: u64,
    /// Datagrams not written, because the caller's buffer was smaller than `MIN_DATAGRAM` or than the datagram, or because the requester
    /// takes no response as small as an error.
    pub small_buffers: u64,
    /// Contacts named by other nodes that were not taken up: an address that means less than the namer's own, or an identifier that
    /// doesn't fit its address.
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

/// Adds one. Out of line: on a microcontroller a sum of 64 bits takes twice the room of this call.
#[inline(never)]
pub(super) const fn count_up(counter: &mut u64) {
    *counter = counter.wrapping_add(1);
}
