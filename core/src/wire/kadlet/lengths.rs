//! How many bytes messages take, so that they can be planned before they are encoded.
//!
//! `SPEC.md` has the same numbers, and tests compare them with what is encoded.

use crate::address::{Address, MAX_ADDRESS};
use crate::id::Id;
use crate::message::{Request, Response};
use crate::record::{MAX_VALUE, Proof, Record};
use crate::wire::format::{MAX_DATAGRAM, MIN_DATAGRAM, SEAL};

/// The header.
const HEADER: usize = 35;
/// A request without what only its kind has, and without a token; a token takes 8 bytes more.
const REQUEST: usize = HEADER + 2 + 1;
/// A response without what only its kind has.
const RESPONSE: usize = HEADER + 8;
/// A contact without its address's own bytes: the identifier, the family, the length.
pub(super) const BESIDE_ADDRESS: usize = Id::LEN + 2;

const LARGEST_RECORD: usize = 1 + 32 + 8 + 64 + 1 + 2 + MAX_VALUE;
const LARGEST_STORE: usize = REQUEST + 8 + LARGEST_RECORD + 4 + 9 + 1;
const LARGEST_VALUE: usize = RESPONSE + LARGEST_RECORD + 4 + 1;
const LARGEST_FIND_VALUE: usize = REQUEST + 8 + 21 + 17;
const RELAY: usize = REQUEST + 8 + 21 + 8 + 1 + 2;
const LARGEST_RELAYED: usize = RESPONSE + 1 + 1 + LARGEST_RECORD + 4 + 1;
const HELD_AND_CONTACT: usize = RESPONSE + 16 + 2 + 1 + 20 + 2 + MAX_ADDRESS;
const _: () = assert!(LARGEST_STORE + SEAL <= MAX_DATAGRAM && LARGEST_VALUE + SEAL <= MAX_DATAGRAM);
const _: () = assert!(LARGEST_RELAYED + SEAL <= MAX_DATAGRAM && RELAY + SEAL <= MIN_DATAGRAM);
const _: () = assert!(LARGEST_FIND_VALUE + SEAL <= MIN_DATAGRAM && HELD_AND_CONTACT + SEAL <= MIN_DATAGRAM);

// Always: most calls have a constant result, and need no message in memory then.
#[inline(always)]
pub(super) fn request_len(request: &Request<'_>, token: bool) -> usize {
    let token = if token { 8 } else { 0 };
    let fields = match request {
        Request::Ping => 0,
        Request::FindNode { .. } => Id::LEN,
        Request::FindValue { have: Some(_), .. } => 1 + Id::LEN + 1 + 16,
        Request::FindValue { have: None, .. } => 1 + Id::LEN + 1,
        Request::Store { record, compare: Some(_), .. } => record_len(record).saturating_add(4 + 1 + 8 + 1),
        Request::Store { record, compare: None, .. } => record_len(record).saturating_add(4 + 1 + 1),
        Request::Relay { .. } => 1 + Id::LEN + 8 + 1 + 2,
        Request::Unknown { payload, .. } => payload.len(),
    };
    fields.saturating_add(REQUEST).saturating_add(token)
}

// Always: most calls have a constant result, and need no message in memory then.
#[inline(always)]
pub(super) fn response_len<A: Address>(response: &Response<'_, A>) -> usize {
    let (fields, contacts) = match response {
        Response::Pong { observed } => (2_usize.saturating_add(observed.encoded().as_bytes().len()), None),
        Response::Nodes { contacts } => (1, Some(contacts)),
        Response::Value { record, contacts, .. } => (record_len(record).saturating_add(4 + 1), Some(contacts)),
        Response::Held { contacts, .. } => (16 + 2 + 1, Some(contacts)),
        Response::Stored { .. } => (4, None),
        Response::Accepted => (0, None),
        Response::Relayed { found, contacts, .. } => {
            let found = found.as_ref().map_or(0, |(record, _)| record_len(record).saturating_add(4));
            (found.saturating_add(1 + 1 + 1), Some(contacts))
        }
        Response::Error { .. } => (1 + 8, None),
    };
    let contacts = contacts.map_or(0, |contacts| {
        let (own, received) = contacts.parts();
        let own = own.iter().map(|contact| contact_len(contact.address.encode().as_bytes().len()));
        own.chain(received.map(|contact| contact_len(contact.address.len()))).fold(0, usize::saturating_add)
    });
    contacts.saturating_add(fields).saturating_add(RESPONSE)
}

#[inline]
pub(super) const fn contact_len(address: usize) -> usize {
    address.saturating_add(BESIDE_ADDRESS)
}

fn record_len(record: &Record<'_>) -> usize {
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
    use crate::message::{Contacts, ErrorCode};
    use crate::record::Version;

    fn value(record: Record<'_>) -> usize {
        response_len::<u16>(&Response::Value { record, lifetime: 0, contacts: Contacts::EMPTY })
    }

    /// The numbers are those of the table in `SPEC.md`.
    #[test]
    fn messages_are_planned_with_the_sizes_of_the_specification() {
        let error = Response::Error { code: ErrorCode::Token, detail: 0 };
        let held = Response::Held { version: Version { number: 0, digest: 0 }, size: 0, contacts: Contacts::EMPTY };
        let lens = (request_len(&Request::Ping, false), response_len::<u16>(&error), response_len::<u16>(&held));
        assert_eq!(lens, (46 - 8, 52, 62));
        assert_eq!((LARGEST_STORE, LARGEST_VALUE), (168 + 1_000, 156 + 1_000));
        assert_eq!((LARGEST_FIND_VALUE, HELD_AND_CONTACT), (84, 62 + 40));
        let nodes = response_len::<u16>(&Response::Nodes { contacts: Contacts::EMPTY });
        assert_eq!((nodes, nodes + 8 * contact_len(6), nodes + 8 * contact_len(18)), (44, 268, 364));
    }

    #[test]
    fn a_record_is_planned_with_the_size_of_its_message() {
        let (plain, immutable) = (Record::plain(b"name", b"hello"), Record::immutable(b"hello"));
        let store =
            |record, compare| request_len(&Request::Store { record, lifetime: 0, compare, handover: false }, true);
        assert_eq!((value(plain), store(plain, None)), (79 + 5, 83 + 5));
        assert_eq!((value(immutable), store(immutable, Some(1))), (51 + 5, 55 + 8 + 5));
    }
}
