//! How many bytes a node sends to an address that is not proved.
//!
//! This does not defend a third party against the responses of many nodes, each to a request with its forged address.

/// The most bytes sent for each byte received from an address that is not proved (3, as in RFC 9000, section 8).
pub const AMPLIFICATION: usize = 3;

/// The most bytes that can be sent to the sender of a datagram of `received` bytes. No limit if it has `proved` its
/// address.
#[must_use]
pub const fn most_bytes_to(received: usize, proved: bool) -> usize {
    if proved { usize::MAX } else { AMPLIFICATION.saturating_mul(received) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_bytes_are_sent_for_one_received_until_the_address_is_proved() {
        assert_eq!((most_bytes_to(100, false), most_bytes_to(100, true)), (300, usize::MAX));
    }
}
