//! Every message has exactly one encoding. Anything else is refused, with an error that names the reason.

use core::error::Error;
use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4};

use kadlet::message::*;
use kadlet::record::{Key, Kind, Proof, Record, RecordError, Version};
use kadlet::wire::*;
use kadlet::{Address, Contact, EncodedAddress, Id};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::{fuzz_decode, spec};

/// The parts that a random message is made of.
#[derive(Clone, Debug)]
struct Parts {
    shape: u8,
    header: Header<Kadlet>,
    id: [u8; 20],
    short: [u8; 8],
    public_key: [u8; 32],
    numbers: (u64, u64, u32, u16),
    tag: u8,
    maybe: Option<u64>,
    flag: bool,
    value: Vec<u8>,
    salt: Vec<u8>,
    contacts: Vec<Contact<SocketAddr>>,
    padding: u16,
}

fn header() -> impl Strategy<Value = Header<Kadlet>> {
    any::<(u8, u16, [u8; 8], [u8; 20], u16)>().prop_map(|(geometry, network, transaction, sender, features)| Header {
        geometry,
        network,
        transaction: Transaction(transaction),
        sender: Id::from_bytes(sender),
        features: Features(features),
    })
}

fn contact() -> impl Strategy<Value = Contact<SocketAddr>> {
    let v4 = (any::<Ipv4Addr>(), any::<u16>()).prop_map(SocketAddr::from);
    let v6 = (any::<Ipv6Addr>(), any::<u16>()).prop_map(SocketAddr::from);
    (any::<[u8; 20]>(), prop_oneof![v4, v6]).prop_map(|(id, address)| Contact::new(Id::from_bytes(id), address))
}

/// Random parts: usually short, sometimes at or beyond the bounds.
fn parts() -> impl Strategy<Value = Parts> {
    let fixed =
        (any::<u8>(), header(), any::<[u8; 20]>(), any::<[u8; 8]>(), any::<[u8; 32]>(), any::<(u64, u64, u32, u16)>());
    let tags = (prop_oneof![0..10_u8, any::<u8>()], any::<Option<u64>>(), any::<bool>());
    let long = prop_oneof![4 => vec(any::<u8>(), 0..40), 1 => vec(any::<u8>(), 900..1_003)];
    let salt = prop_oneof![4 => vec(any::<u8>(), 0..20), 1 => vec(any::<u8>(), 60..67)];
    let contacts = prop_oneof![9 => vec(contact(), 0..9), 1 => vec(contact(), 20..45)];
    let padding = prop_oneof![Just(0), 0..100_u16, 1_100..1_240_u16];
    (fixed, tags, long, salt, contacts, padding).prop_map(|(fixed, tags, value, salt, contacts, padding)| {
        let (shape, header, id, short, public_key, numbers) = fixed;
        let (tag, maybe, flag) = tags;
        Parts { shape, header, id, short, public_key, numbers, tag, maybe, flag, value, salt, contacts, padding }
    })
}

const SIGNATURE: [u8; 64] = [0x5A; 64];

fn record(parts: &Parts) -> Record<'_> {
    let number = parts.numbers.0;
    let proof = match parts.tag % 3 {
        0 => Proof::Plain { id: Id::from_bytes(parts.id), age: number },
        1 => Proof::Immutable,
        _ => {
            Proof::Signed { public_key: &parts.public_key, salt: &parts.salt, sequence: number, signature: &SIGNATURE }
        }
    };
    Record { value: &parts.value, proof }
}

fn message(parts: &Parts) -> Message<'_, SocketAddr, Kadlet> {
    let (number, digest, lifetime, size) = parts.numbers;
    let version = Version { number, digest };
    let id = Id::from_bytes(parts.id);
    let token = Token(parts.short);
    let contacts = Contacts::new(&parts.contacts);
    let ask =
        |request| Body::Request { largest: size, token: parts.flag.then_some(token), request, padding: parts.padding };
    let response = |response| Body::Response { token, response };
    let body = match parts.shape % 16 {
        0 => ask(Request::Ping),
        1 => ask(Request::FindNode { target: id }),
        2 => {
            let kind = [Kind::Plain, Kind::Immutable, Kind::Signed][usize::from(parts.tag) % 3];
            let number = if kind == Kind::Immutable && parts.tag < 10 { 0 } else { number };
            ask(Request::FindValue { key: Key { kind, id }, have: parts.maybe.map(|_| Version { number, digest }) })
        }
        3 => ask(Request::Store { record: record(parts), lifetime, compare: parts.maybe, handover: parts.flag }),
        4 => ask(Request::Unknown { kind: parts.tag, payload: &parts.value }),
        5 => response(Response::Pong {
            observed: Observed::new(
                parts.contacts.first().map_or(SocketAddrV4::new([192, 0, 2, 7].into(), 1).into(), |c| c.address),
            ),
        }),
        6 => response(Response::Nodes { contacts }),
        7 => response(Response::Value { record: record(parts), lifetime, contacts }),
        8 => response(Response::Held { version, size, contacts }),
        9 => response(Response::Stored { lifetime }),
        11 => response(Response::Accepted),
        12 => response(Response::Relayed {
            hops: parts.tag,
            found: parts.flag.then(|| (record(parts), lifetime)),
            contacts,
        }),
        13 => {
            let kind = [Kind::Plain, Kind::Immutable, Kind::Signed][usize::from(parts.tag) % 3];
            let target = if parts.flag { Target::Nodes(id) } else { Target::Value(Key { kind, id }) };
            ask(Request::Relay { relay_id: RelayId(parts.short), target, hops: parts.tag, time: size })
        }
        14 => ask(Request::Probe {
            nonce: number,
            address: parts.contacts.first().map_or(EncodedAddress::NONE, |contact| contact.address.encode()),
        }),
        10 => response(Response::Error { code: ErrorCode::Outdated, detail: number }),
        _ => response(Response::Error { code: ErrorCode::Other(parts.tag), detail: number }),
    };
    Message { header: parts.header, body }
}

/// The error that `encode` must return for a message, written a second time from its documentation.
fn refusal(message: &Message<'_, SocketAddr, Kadlet>) -> Option<EncodeError> {
    match message.body {
        Body::Request { request: Request::Store { record, .. }, .. }
        | Body::Response {
            response: Response::Value { record, .. } | Response::Relayed { found: Some((record, _)), .. },
            ..
        } if record.check().is_err() => record.check().err().map(EncodeError::Record),
        Body::Request { request: Request::Unknown { kind, payload }, .. }
            if kind > 127
                || kind == 1
                || kind == 2
                || kind == 6
                || (kind == 3 || kind == 4) && matches!(payload.first(), None | Some(0..=2))
                || kind == 5 && matches!(payload.first(), None | Some(0..=2 | 0xFF)) =>
        {
            Some(EncodeError::KnownKind(kind))
        }
        Body::Request { request: Request::Unknown { .. }, padding, .. } if padding > 0 => Some(EncodeError::Padding),
        Body::Request { request: Request::FindValue { key, have: Some(version) }, .. }
            if key.kind == Kind::Immutable && version.number != 0 =>
        {
            Some(EncodeError::ImmutableNumber)
        }
        Body::Response { response: Response::Error { code: ErrorCode::Other(code @ 1..=8), .. }, .. } => {
            Some(EncodeError::KnownCode(code))
        }
        _ => (encoded_len(message) > MAX_DATAGRAM).then_some(EncodeError::TooLarge),
    }
}

fn encoded(message: &Message<'_, SocketAddr, Kadlet>) -> Result<Vec<u8>, EncodeError> {
    let mut buf = [0xEE; 2 * MAX_DATAGRAM];
    encode(message, &mut buf).map(|len| buf[..len].to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn a_valid_message_decodes_to_itself_and_an_invalid_one_is_refused_by_name(parts in parts()) {
        let message = message(&parts);
        let bytes = encoded(&message);
        prop_assert_eq!(bytes.as_ref().err().copied(), refusal(&message));
        if let Ok(bytes) = bytes {
            prop_assert_eq!(bytes.len(), encoded_len(&message));
            prop_assert_eq!(decode(&bytes), Ok(message));
        }
    }

    #[test]
    fn a_buffer_one_byte_too_small_is_refused(parts in parts()) {
        let message = message(&parts);
        let len = encoded_len(&message);
        if refusal(&message).is_none() {
            let mut buf = vec![0; len];
            prop_assert_eq!(encode(&message, &mut buf), Ok(len));
            prop_assert_eq!(encode(&message, &mut buf[..len - 1]), Err(EncodeError::Buffer));
        }
    }

    #[test]
    fn a_truncated_message_is_refused(mut parts in parts(), cut in any::<proptest::sample::Index>()) {
        parts.padding = 0;
        parts.shape = if parts.shape % 16 == 4 { 0 } else { parts.shape };
        if let Ok(bytes) = encoded(&message(&parts)) {
            prop_assert_eq!(decode::<SocketAddr>(&bytes[..cut.index(bytes.len())]), Err(DecodeError::Truncated));
        }
    }

    #[test]
    fn mutated_messages_that_decode_encode_to_the_same_bytes(
        parts in parts(),
        changes in vec((any::<proptest::sample::Index>(), prop_oneof![0..4_u8, any::<u8>()]), 0..4),
        tail in prop_oneof![3 => Just(vec![]), 1 => vec(0..2_u8, 0..6)],
    ) {
        if let Ok(mut bytes) = encoded(&message(&parts)) {
            for (at, to) in changes {
                let at = at.index(bytes.len());
                bytes[at] = to;
            }
            bytes.extend(tail);
            fuzz_decode::run(&bytes);
        }
    }

    #[test]
    fn any_bytes_that_decode_encode_to_the_same_bytes(
        kind in prop_oneof![0..8_u8, 0x80..0x88_u8, Just(0xFF), any::<u8>()],
        mut bytes in vec(prop_oneof![3 => 0..3_u8, 1 => any::<u8>()], 0..200),
    ) {
        if let Some([version, .., at]) = bytes.first_chunk_mut::<13>() {
            (*version, *at) = (VERSION, kind);
        }
        fuzz_decode::run(&bytes);
    }

    #[test]
    fn fitting_takes_as_many_contacts_as_the_room_allows(parts in parts(), room in 0..1_300_usize) {
        let size = |count: usize| {
            let response = Response::Nodes { contacts: Contacts::new(&parts.contacts[..count]) };
            let body = Body::Response { token: Token([0; 8]), response };
            encoded_len(&Message { header: parts.header, body }) - 44
        };
        let len = |address: &SocketAddr| Kadlet::contact_len(address.encode().as_bytes().len());
        let fitting = Contacts::fitting(&parts.contacts, room, len);
        let most = (0..=parts.contacts.len()).rev().find(|count| size(*count) <= room).unwrap_or(0);
        prop_assert_eq!(fitting, Contacts::new(&parts.contacts[..most]));
    }
}

/// Changes the bytes of one of `SPEC.md`'s examples, and decodes them.
fn changed(title: &str, change: impl FnOnce(&mut Vec<u8>)) -> Result<(), DecodeError> {
    let mut bytes = spec::examples().into_iter().find(|(name, _)| *name == title).expect("an example of that name").1;
    change(&mut bytes);
    decode::<SocketAddr>(&bytes).map(|_| ())
}

#[test]
fn the_examples_truncated_at_every_length_are_refused() {
    for (title, bytes) in spec::examples() {
        // Padding and unknown payloads may have any length.
        let shortest = match title {
            "find_node" => bytes.len() - 32,
            "probe of the requester" => bytes.len() - 18,
            "probe of another node" => bytes.len() - 12,
            "unknown request" => bytes.len() - 4,
            _ => bytes.len(),
        };
        for cut in 0..bytes.len() {
            let decoded = decode::<SocketAddr>(&bytes[..cut]);
            assert_eq!(
                decoded.err(),
                (cut < shortest).then_some(DecodeError::Truncated),
                "{title} truncated to {cut} bytes"
            );
        }
    }
}

#[test]
fn extra_bytes_after_a_response_are_refused_and_after_a_request_are_padding_of_zeros() {
    for (title, mut bytes) in spec::examples() {
        let (is_response, is_known) = (bytes[12] >= 0x80, bytes[12] != 7);
        bytes.push(0);
        let zero = decode::<SocketAddr>(&bytes).err();
        assert_eq!(zero, is_response.then_some(DecodeError::Trailing), "{title}");
        *bytes.last_mut().unwrap() = 1;
        let one = if is_response { Some(DecodeError::Trailing) } else { is_known.then_some(DecodeError::Padding) };
        assert_eq!(decode::<SocketAddr>(&bytes).err(), one, "{title}");
    }
}

#[test]
fn another_version_is_recognized_whatever_follows_it() {
    assert_eq!(decode::<SocketAddr>(&[2]), Err(DecodeError::Version(2)));
    assert_eq!(decode::<SocketAddr>(&[0; 5_000]), Err(DecodeError::Version(0)));
    assert_eq!(decode::<SocketAddr>(&[]), Err(DecodeError::Truncated));
}

#[test]
fn a_datagram_larger_than_any_message_is_refused() {
    let pad_to = |len: usize| changed("ping", |bytes| bytes.resize(len, 0));
    assert_eq!(pad_to(MAX_DATAGRAM), Ok(()));
    assert_eq!(pad_to(MAX_DATAGRAM + 1), Err(DecodeError::TooLong));
}

#[test]
fn flags_are_zero_or_one() {
    let flag = |title, from_end: usize| {
        changed(title, |bytes| {
            let at = bytes.len() - from_end;
            bytes[at] = 2;
        })
    };
    assert_eq!(flag("ping", 1), Err(DecodeError::Flag), "the token's flag");
    assert_eq!(flag("find_value plain", 1), Err(DecodeError::Flag), "the flag of the requester's version");
    assert_eq!(flag("store plain", 2), Err(DecodeError::Flag), "compare's flag");
    assert_eq!(flag("store plain", 1), Err(DecodeError::Flag), "handover's flag");
}

#[test]
fn decode_refuses_values_salts_and_addresses_beyond_their_bounds() {
    let value = |len: u16| {
        changed("value", |bytes| {
            bytes.splice(44..51, len.to_be_bytes().into_iter().chain(core::iter::repeat_n(b'v', len.into())));
        })
    };
    assert_eq!(value(1_000), Ok(()));
    assert_eq!(value(1_001), Err(DecodeError::Record(RecordError::TooLong(1_001))));
    let salt = |len: u8| {
        changed("store signed", |bytes| {
            bytes.splice(151..154, core::iter::once(len).chain(core::iter::repeat_n(b's', len.into())));
        })
    };
    assert_eq!(salt(64), Ok(()));
    assert_eq!(salt(65), Err(DecodeError::Record(RecordError::SaltTooLong(65))));
    let address = |len: u8| {
        changed("pong", |bytes| {
            bytes.truncate(44);
            bytes.extend(core::iter::once(len).chain(core::iter::repeat_n(1, len.into())));
        })
    };
    assert_eq!(address(18), Ok(()));
    assert_eq!(address(19), Err(DecodeError::AddressTooLong));
    assert_eq!(changed("find_value immutable", |bytes| bytes[68] = 1), Err(DecodeError::ImmutableNumber));
}

#[test]
fn an_unknown_kind_of_request_keeps_its_payload_and_an_unknown_kind_of_response_is_refused() {
    for (title, mut bytes) in spec::examples() {
        let is_response = bytes[12] >= 0x80;
        for kind in
            (0..=0xFF_u8).filter(|kind| (*kind >= 0x80) == is_response && !matches!(kind, 1..=6 | 0x81..=0x87 | 0xFF))
        {
            bytes[12] = kind;
            let decoded = decode::<SocketAddr>(&bytes);
            if is_response {
                assert_eq!(decoded, Err(DecodeError::UnknownResponse(kind)), "{title}");
                continue;
            }
            let Ok(Message { body: Body::Request { request, padding: 0, token, .. }, .. }) = decoded else {
                panic!("{title} as {kind}: {decoded:?}");
            };
            let payload = &bytes[if token.is_some() { 46 } else { 38 }..];
            assert_eq!(request, Request::Unknown { kind, payload }, "{title}");
        }
    }
}

#[test]
fn a_request_with_an_unknown_kind_of_record_is_an_unknown_request() {
    for (title, at) in [("find_value plain", 46), ("store plain", 46), ("relay", 46)] {
        let mut bytes = spec::examples().into_iter().find(|(name, _)| *name == title).unwrap().1;
        bytes[at] = 3;
        let message = decode::<SocketAddr>(&bytes).unwrap();
        let Body::Request { request: Request::Unknown { kind, payload }, .. } = message.body else {
            panic!("{message:?}");
        };
        assert_eq!((kind, payload), (bytes[12], &bytes[at..]));
        assert_eq!(encoded(&message), Ok(bytes));
    }
    assert_eq!(changed("value", |bytes| bytes[43] = 3), Err(DecodeError::UnknownRecord(3)));
}

#[test]
fn unknown_feature_bits_and_error_codes_are_kept() {
    let mut bytes = spec::examples().pop().unwrap().1;
    (bytes[33], bytes[43]) = (0x80, 200);
    let message = decode::<SocketAddr>(&bytes).unwrap();
    assert!(message.header.features.contains(Features(0x8001)) && message.header.features.contains(Features::SERVES));
    assert!(matches!(
        message.body,
        Body::Response { response: Response::Error { code: ErrorCode::Other(200), detail: 1_000 }, .. }
    ));
    assert_eq!(encoded(&message), Ok(bytes));
}

#[test]
fn a_node_with_ipv4_only_skips_other_address_families_and_loses_no_bytes() {
    let bytes = spec::examples().into_iter().find(|(name, _)| *name == "nodes").unwrap().1;
    let message = decode::<SocketAddrV4>(&bytes).unwrap();
    let Body::Response { response: Response::Nodes { contacts }, .. } = message.body else {
        panic!("{message:?}");
    };
    assert_eq!(contacts.count(), 3);
    assert_eq!(contacts.iter().map(|contact| contact.address).collect::<Vec<_>>(), ["192.0.2.7:4000".parse().unwrap()]);
    let mut buf = [0; MAX_DATAGRAM];
    let len = encode(&message, &mut buf).unwrap();
    assert_eq!(buf[..len], bytes);
}

#[test]
fn error_texts_name_the_version_or_the_limit() {
    assert!(DecodeError::Version(7).to_string().contains("version 7"));
    assert!(DecodeError::AddressTooLong.to_string().contains("18"));
    assert!(EncodeError::TooLarge.to_string().contains("1232"));
    let too_long = RecordError::TooLong(1_001);
    for error in [&DecodeError::Record(too_long) as &dyn Error, &EncodeError::Record(too_long)] {
        assert!(!error.to_string().contains("1000"), "the text of a chain of errors has each only once");
        assert_eq!(error.source().map(ToString::to_string), Some(too_long.to_string()));
        assert!(too_long.to_string().contains("1000"));
    }
}
