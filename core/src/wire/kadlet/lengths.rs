//! The lengths of messages, so that a node can plan a message before it encodes it.
//!
//! `SPEC.md` has the same numbers, and tests compare them with encoded messages.

use crate::address::MAX_ADDRESS;
use crate::id::Id;
use crate::record::{MAX_VALUE, Proof, Record};
use crate::wire::format::{Lengths, MAX_DATAGRAM, MIN_DATAGRAM, SEAL};

/// The header.
const HEADER: usize = 35;
/// The offset of the sender's identifier.
pub(super) const SENDER: usize = 13;
/// A request without the fields of its kind, and without a token, which takes 8 bytes more.
const REQUEST: usize = HEADER + 2 + 1;
/// A response without the fields of its kind.
const RESPONSE: usize = HEADER + 8;
/// A contact without the bytes of its address: the identifier, the family, the length.
const BESIDE_ADDRESS: usize = Id::LEN + 2;

pub(super) const LENGTHS: Lengths = Lengths {
    ping: REQUEST,
    probe: REQUEST + 8 + 8 + 2 + MAX_ADDRESS,
    store: REQUEST + 8 + 4 + 1 + 1,
    compare: 8,
    error: RESPONSE + 1 + 8,
    nodes: RESPONSE + 1,
    value: RESPONSE + 4 + 1,
    held: RESPONSE + 16 + 2 + 1,
    relayed: RESPONSE + 1 + 1 + 1,
    found: 4,
};

const LARGEST_RECORD: usize = 1 + 32 + 8 + 64 + 1 + 2 + MAX_VALUE;
const LARGEST_STORE: usize = LENGTHS.store + LENGTHS.compare + LARGEST_RECORD;
const LARGEST_VALUE: usize = LENGTHS.value + LARGEST_RECORD;
const LARGEST_FIND_VALUE: usize = REQUEST + 8 + 21 + 17;
const RELAY: usize = REQUEST + 8 + 21 + 8 + 1 + 2;
const LARGEST_RELAYED: usize = LENGTHS.relayed + LENGTHS.found + LARGEST_RECORD;
const HELD_AND_CONTACT: usize = LENGTHS.held + BESIDE_ADDRESS + MAX_ADDRESS;
const _: () = assert!(LARGEST_STORE + SEAL <= MAX_DATAGRAM && LARGEST_VALUE + SEAL <= MAX_DATAGRAM);
const _: () = assert!(LARGEST_RELAYED + SEAL <= MAX_DATAGRAM && RELAY + SEAL <= MIN_DATAGRAM);
const _: () = assert!(LARGEST_FIND_VALUE + SEAL <= MIN_DATAGRAM && HELD_AND_CONTACT + SEAL <= MIN_DATAGRAM);

pub(super) const fn contact_len(address: usize) -> usize {
    address.saturating_add(BESIDE_ADDRESS)
}

pub(super) fn record_len(record: &Record<'_>) -> usize {
    let proof = match record.proof {
        Proof::Plain { .. } => Id::LEN + 8,
        Proof::Immutable => 0,
        Proof::Signed { salt, .. } => salt.len().saturating_add(32 + 8 + 64 + 1),
    };
    record.value.len().saturating_add(proof).saturating_add(1 + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers are from the table in `SPEC.md`.
    #[test]
    fn the_lengths_are_those_of_the_specification() {
        assert_eq!((LENGTHS.ping, LENGTHS.error, LENGTHS.held), (46 - 8, 52, 62));
        assert_eq!((LARGEST_STORE, LARGEST_VALUE), (168 + 1_000, 156 + 1_000));
        assert_eq!((LARGEST_FIND_VALUE, HELD_AND_CONTACT), (84, 62 + 40));
        let nodes = |count, address| LENGTHS.nodes + count * contact_len(address);
        assert_eq!((nodes(0, 6), nodes(8, 6), nodes(8, 18)), (44, 268, 364));
    }

    #[test]
    fn the_length_of_a_record_depends_on_its_kind_and_its_value() {
        let [plain, immutable] = [Record::plain(b"name", b"hello"), Record::immutable(b"hello")];
        let value = |record| LENGTHS.value + record_len(record);
        let store = |record| LENGTHS.store + record_len(record);
        assert_eq!((value(&plain), store(&plain)), (79 + 5, 83 + 5));
        assert_eq!((value(&immutable), store(&immutable) + LENGTHS.compare), (51 + 5, 55 + 8 + 5));
    }
}
