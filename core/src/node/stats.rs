//! The counters of a node. The core logs nothing.

/// Counters since the start of a node. They wrap at 2^64.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Datagrams given to `handle_datagram`.
    pub received: u64,
    /// Bytes in the datagrams received.
    pub received_bytes: u64,
    /// Datagrams written to be sent.
    pub sent: u64,
    /// Bytes in the datagrams sent.
    pub sent_bytes: u64,
    /// Responses to requests of other nodes, including errors.
    pub responses_sent: u64,
    /// Responses to own requests.
    pub responses_received: u64,
    /// Retransmissions of own requests.
    pub retransmits: u64,
    /// Own requests that got no response after their last attempt.
    pub timeouts: u64,
    /// Datagrams dropped because they are not a message of the wire format, or not in its one canonical form.
    pub malformed: u64,
    /// Datagrams dropped because they are of another version of the wire format.
    pub wrong_version: u64,
    /// Datagrams dropped because they are of another geometry.
    pub wrong_geometry: u64,
    /// Datagrams dropped because they are of another network.
    pub wrong_network: u64,
    /// Responses dropped because they belong to no request in flight, or are too late.
    pub unsolicited: u64,
    /// Responses dropped because they are from another address than was asked, or from another node than was expected.
    pub spoofed: u64,
    /// Requests over the rate limit of their address prefix or of all, and stores over that of signature checks, which
    /// are refused as busy. Without a valid token, a requester gets only a fresh
    /// token, if the wire format's requests [show tokens](crate::wire::AddressProof::Token). All others are dropped.
    pub rate_limited: u64,
    /// Requests with an invalid or expired token.
    pub bad_tokens: u64,
    /// Stores refused, for any reason.
    pub refused_stores: u64,
    /// Records of other nodes stored.
    pub records_stored: u64,
    /// Relay requests of other nodes forwarded.
    pub forwarded: u64,
    /// Relay requests of other nodes refused: no place is free, the request went in a circle, or too few request slots
    /// are free.
    pub busy: u64,
    /// Requests dropped because the node is a client.
    pub not_serving: u64,
    /// Datagrams not written because the caller's buffer is smaller than the wire format's `MIN_DATAGRAM` or than the
    /// datagram, or because the requester takes no response that is as large as an error.
    pub small_buffers: u64,
    /// Contacts that other nodes named and this node did not accept: their address has a narrower scope than the one of
    /// the node that named them, or their identifier doesn't fit their address.
    pub bad_contacts: u64,
    /// Datagrams dropped because they don't open with the [key](crate::Config::seal) of the network.
    #[cfg(feature = "sealed")]
    pub unopened: u64,
}

impl Stats {
    /// All counters at 0.
    pub const ZERO: Self = Self {
        received: 0,
        received_bytes: 0,
        sent: 0,
        sent_bytes: 0,
        responses_sent: 0,
        responses_received: 0,
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
        records_stored: 0,
        forwarded: 0,
        busy: 0,
        not_serving: 0,
        small_buffers: 0,
        bad_contacts: 0,
        #[cfg(feature = "sealed")]
        unopened: 0,
    };
}

/// Adds one. It is not inlined: on a microcontroller, a 64-bit sum takes twice as much flash as this call.
#[inline(never)]
pub(super) const fn count_up(counter: &mut u64) {
    *counter = counter.wrapping_add(1);
}
