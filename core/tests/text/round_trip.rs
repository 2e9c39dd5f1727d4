//! What is encoded decodes to the same message and is no longer than planned, whatever the format's rules are.

use core::net::SocketAddr;

use kadlet::message::{Contacts, ErrorCode, Features, Observed, RelayId, Request, Response, Target};
use kadlet::record::{MAX_SALT, Proof, Version};
use kadlet::wire::{Body, Header, Lengths, MAX_DATAGRAM, Message, Rules, SEAL, Wire};
use kadlet::{Address, Contact, EncodedAddress, Id, Key, Kind, Record};

use crate::format::{ALL, Name, Opaque, Short, Text};
use crate::lines::TextError;
use crate::parts::LIFETIME;

const ID: Id = Id::from_bytes([0xFE; 20]);
const KEY: Key = Key { kind: Kind::Immutable, id: ID };
const VERSION: Version = Version { number: u64::MAX, digest: u64::MAX };
const PLAIN: Record<'_> = Record { value: b"world", proof: Proof::Plain { id: ID, age: u64::MAX } };
/// With bytes that would end a line or a pair.
const SIGNED: Record<'_> = Record {
    value: &[b'\n'; 200],
    proof: Proof::Signed {
        public_key: &[b' '; 32],
        salt: &[b'='; MAX_SALT],
        sequence: u64::MAX,
        signature: &[0xFF; 64],
    },
};

/// The requests that a format of these rules can carry, with numbers as long as they can be.
fn requests(rules: &Rules) -> Vec<Request<'static>> {
    let store = |record, compare, handover| {
        let lifetime = if rules.lifetimes { u32::MAX } else { LIFETIME };
        Request::Store { record, lifetime, compare, handover: handover && rules.lifetimes }
    };
    let relay = |target| Request::Relay { relay_id: RelayId([0xAB; 8]), target, hops: u8::MAX, time: u16::MAX };
    let mut requests = vec![
        Request::Ping,
        Request::FindNode { target: ID },
        Request::FindValue { key: KEY, have: None },
        Request::FindValue { key: Key { kind: Kind::Signed, id: ID }, have: Some(VERSION) },
        store(PLAIN, None, true),
        store(Record::immutable(b""), None, false),
        store(SIGNED, Some(u64::MAX), true),
        Request::Unknown { kind: 6, payload: b"text/1 ping=\n" },
    ];
    if rules.probes {
        let address = EncodedAddress::new(4, &[192, 0, 2, 7, 0, 1]);
        requests.push(Request::Probe { nonce: u64::MAX, address });
    }
    if rules.relays {
        requests.extend([relay(Target::Nodes(ID)), relay(Target::Value(KEY))]);
    }
    requests
}

/// The responses that a format of these rules can carry.
fn responses<'a>(rules: &Rules, contacts: Contacts<'a, SocketAddr>) -> Vec<Response<'a, SocketAddr>> {
    let lifetime = if rules.lifetimes { u32::MAX } else { LIFETIME };
    let mut responses = vec![
        Response::Pong { observed: Observed::new("192.0.2.7:4000".parse().unwrap()) },
        Response::Pong { observed: Observed::UNKNOWN },
        Response::Nodes { contacts },
        Response::Nodes { contacts: Contacts::EMPTY },
        Response::Value { record: SIGNED, lifetime, contacts },
        Response::Value { record: PLAIN, lifetime, contacts: Contacts::EMPTY },
        Response::Error { code: ErrorCode::Unsupported, detail: u64::MAX },
        Response::Error { code: ErrorCode::Other(203), detail: 0 },
    ];
    if rules.response_kinds {
        responses.push(Response::Stored { lifetime });
    }
    if rules.held {
        responses.push(Response::Held { version: VERSION, size: u16::MAX, contacts });
    }
    if rules.relays {
        responses.push(Response::Accepted);
        responses.push(Response::Relayed { hops: u8::MAX, found: Some((SIGNED, lifetime)), contacts });
        responses.push(Response::Relayed { hops: 0, found: None, contacts });
    }
    responses
}

/// How long a response may be, without its contacts.
fn planned<W: Wire>(response: &Response<'_, SocketAddr>) -> usize {
    let Lengths { error, nodes, value, held, relayed, found, .. } = W::LENGTHS;
    match response {
        Response::Nodes { .. } => nodes,
        Response::Value { record, .. } => value + W::record_len(record),
        Response::Held { .. } => held,
        Response::Relayed { found: Some((record, _)), .. } => relayed + found + W::record_len(record),
        Response::Relayed { .. } => relayed,
        Response::Error { .. } => error,
        Response::Pong { .. } | Response::Stored { .. } | Response::Accepted => usize::MAX,
    }
}

/// A header with the longest of everything that the format can carry.
fn header<W: Wire>(transaction: W::Transaction, is_error: bool) -> Header<W> {
    let (geometry, network) = if W::RULES.names_network { (u8::MAX, u16::MAX) } else { (0, 0) };
    let sender = if is_error && !W::RULES.errors_name_sender { Id::ZERO } else { ID };
    Header { geometry, network, transaction, sender, features: Features(u16::MAX) }
}

/// Encodes a message, and checks that it decodes to itself. Returns its length.
fn there_and_back<W: Wire>(message: Message<'_, SocketAddr, W>) -> usize {
    let mut buf = [0; MAX_DATAGRAM];
    let len = W::encode(&message, 0, &mut buf).unwrap_or_else(|| panic!("{message:?} can't be encoded"));
    let text = String::from_utf8_lossy(&buf[..len]);
    assert_eq!(W::decode(&buf[..len]).ok(), Some(message), "{text}");
    for room in 0..len {
        assert_eq!(W::encode(&message, 0, &mut buf[..room]), None);
    }
    len
}

fn every_message_decodes_to_itself_and_is_no_longer_than_planned<W: Wire>() {
    let transaction = W::transaction(u64::MAX);
    let token = W::token(u64::MAX);
    assert_eq!(W::mac(&token), Some(u64::MAX));
    assert_eq!(W::mac(&W::NO_TOKEN), None);
    for request in requests(&W::RULES) {
        for token in [None, Some(token)] {
            for padding in [0, 100] {
                let body = Body::Request { largest: u16::MAX, token, request, padding };
                let len = there_and_back(Message { header: header::<W>(transaction, false), body });
                let planned = match &request {
                    Request::Ping if token.is_none() => W::LENGTHS.ping,
                    Request::Store { record, compare, .. } => {
                        let compare = if compare.is_some() { W::LENGTHS.compare } else { 0 };
                        W::LENGTHS.store + compare + W::record_len(record)
                    }
                    _ => W::MIN_DATAGRAM - SEAL,
                };
                assert!(len <= planned + usize::from(padding), "{request:?}: {len} bytes, planned {planned}");
            }
        }
    }
    let addresses: [SocketAddr; 2] = ["192.0.2.7:4000".parse().unwrap(), "[2001:db8::7]:4000".parse().unwrap()];
    let contacts = addresses.map(|address| Contact::new(ID, address));
    let contact_lens = contacts.map(|contact| W::contact_len(contact.address.encode().as_bytes().len()));
    for response in responses(&W::RULES, Contacts::new(&contacts)) {
        for token in [W::NO_TOKEN, token] {
            let is_error = matches!(response, Response::Error { .. });
            let body = Body::Response { token, response };
            let len = there_and_back(Message { header: header::<W>(transaction, is_error), body });
            let planned = planned::<W>(&response).saturating_add(contact_lens.iter().sum());
            assert!(len <= planned, "{response:?}: {len} bytes, planned {planned}");
        }
    }
}

in_each_format!(every_message_decodes_to_itself_and_is_no_longer_than_planned);

#[test]
fn what_a_format_lacks_cannot_be_encoded() {
    type All = Text<ALL>;
    let with_all = &<Text<0> as Wire>::RULES;
    let mut lacking = 0;
    for response in responses(with_all, Contacts::EMPTY) {
        let body = Body::Response { token: All::NO_TOKEN, response };
        let message = Message { header: header(All::transaction(1), false), body };
        let encoded = All::encode(&message, 0, &mut [0; MAX_DATAGRAM]);
        lacking += usize::from(encoded.is_none());
    }
    assert_eq!(lacking, 4, "held, accepted and two that are relayed");
}

#[test]
fn names_of_any_length_come_back_as_they_were() {
    type Any = Opaque<0>;
    for len in 0..=40_u8 {
        let bytes: Vec<u8> = (0..len).collect();
        let token = Short::of(&bytes).unwrap();
        let transaction = Short::of(&bytes[..usize::from(len.min(20))]).unwrap();
        let body = Body::Request { largest: 1_000, token: Some(token), request: Request::Ping, padding: 0 };
        there_and_back::<Any>(Message { header: header(transaction, false), body });
    }
}

#[test]
fn other_versions_and_other_datagrams_are_told_apart() {
    let decode = |datagram: &str| Text::<0>::decode::<SocketAddr>(datagram.as_bytes()).unwrap_err();
    assert!(Text::<0>::is_of_another_version(&decode("text/2 ping\n")));
    for malformed in ["", "text/1 ping", "text/1 ping\n", "ping\n", "text/1 ping net=1.1 tx=00 from=00 can=1\n"] {
        let error = decode(malformed);
        assert!(!Text::<0>::is_of_another_version(&error) && error != TextError::Version, "{malformed}: {error}");
    }
}
