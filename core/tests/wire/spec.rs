//! `SPEC.md` agrees with the code: its examples, its table of sizes and its table of timers.

use core::net::SocketAddr;
use core::time::Duration;

use kadlet::message::*;
use kadlet::record::{Key, Proof, Record, Version};
use kadlet::wire::*;
use kadlet::{Address, Config, Contact, EncodedAddress, Id, Options};

const SPEC: &str = include_str!("../../SPEC.md");

/// The examples of `SPEC.md`: the title and the bytes of each.
pub(crate) fn examples() -> Vec<(&'static str, Vec<u8>)> {
    let blocks = SPEC.split("```hex ").skip(1).map(|block| block.split_once("```").expect("a block ends").0);
    blocks
        .map(|block| block.split_once('\n').expect("a block has a title"))
        .map(|(title, lines)| (title, hex(lines)))
        .collect()
}

/// The example of a sealed datagram in `SPEC.md`.
#[cfg(feature = "sealed")]
pub(crate) fn sealed_example() -> Vec<u8> {
    let block = SPEC.split("```sealed ping\n").nth(1).expect("an example");
    hex(block.split_once("```").expect("a block ends").0)
}

fn hex(lines: &str) -> Vec<u8> {
    let digits: String = lines.lines().flat_map(|line| line.split('#').next()).collect();
    let digits: Vec<u32> =
        digits.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_digit(16).expect("a digit")).collect();
    digits.chunks(2).map(|pair| u8::try_from(pair[0] << 4 | pair[1]).expect("a byte")).collect()
}

fn array<const N: usize>(digits: &str) -> [u8; N] {
    hex(digits).try_into().expect("two digits for each byte")
}

fn header(sender: u8) -> Header<Kadlet> {
    let transaction = Transaction([0, 1, 2, 3, 4, 5, 6, 7]);
    Header { geometry: 1, network: 0, transaction, sender: Id::from_bytes([sender; 20]), features: Features::SERVES }
}

const TOKEN: Token = Token([0xC0, 0xC1, 0xC2, 0xC3, 0xC4, 0xC5, 0xC6, 0xC7]);

fn ask(largest: u16, token: Option<Token>, request: Request<'_>, padding: u16) -> Message<'_, SocketAddr, Kadlet> {
    Message { header: header(0xA1), body: Body::Request { largest, token, request, padding } }
}

fn response(response: Response<'_, SocketAddr>) -> Message<'_, SocketAddr, Kadlet> {
    Message { header: header(0xB2), body: Body::Response { token: TOKEN, response } }
}

#[cfg(feature = "ed25519")]
#[test]
fn the_signed_example_has_a_valid_signature() {
    let examples = examples();
    let (_, datagram) = examples.iter().find(|(title, _)| *title == "store signed").unwrap();
    let message = decode::<SocketAddr>(datagram).unwrap();
    let Body::Request { request: Request::Store { record, .. }, .. } = message.body else { panic!("{message:?}") };
    assert!(record.verify(0, kadlet::ed25519::verify));
    assert!(!record.verify(1, kadlet::ed25519::verify), "it is signed for the example's network");
    assert!(!Record { value: b"ho", ..record }.verify(0, kadlet::ed25519::verify));
}

#[test]
fn each_example_decodes_to_the_message_in_the_spec_and_encodes_to_the_same_bytes() {
    let contacts = [
        Contact::new(Id::from_bytes([0x11; 20]), "192.0.2.7:4000".parse().unwrap()),
        Contact::new(Id::from_bytes([0x22; 20]), "[2001:db8::7]:4000".parse().unwrap()),
    ];
    let world = Record::immutable(b"world");
    let plain = Record { value: b"world", proof: Proof::Plain { id: Key::plain(b"hello").id, age: 1_500 } };
    let public_key = array("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
    let signature = array(
        "6f6df190a7fab8e8496ca2b1e0a036e1724c8fa7758c636c4db201897c2886478076f02db98c05db5bda819973826e424382fc53a337d0567a36531fbb40f109",
    );
    let signed = Record {
        value: b"hi",
        proof: Proof::Signed { public_key: &public_key, salt: b"me", sequence: 3, signature: &signature },
    };
    let target = "00112233445566778899aabbccddeeff00112233".parse().unwrap();
    let hello = Request::FindValue { key: Key::plain(b"hello"), have: None };
    let have_world = Request::FindValue { key: world.key(), have: Some(world.version()) };
    let hand_over = Request::Store { record: plain, lifetime: 86_400, compare: None, handover: true };
    let swap = Request::Store { record: signed, lifetime: 3_600, compare: Some(2), handover: false };
    let unknown = Request::Unknown { kind: 7, payload: &[0xDE, 0xAD, 0xBE, 0xEF] };
    let value_of_target = Target::Value(Key { kind: kadlet::Kind::Plain, id: target });
    let relay_id = RelayId([0xD0, 0xD1, 0xD2, 0xD3, 0xD4, 0xD5, 0xD6, 0xD7]);
    let relay = Request::Relay { relay_id, target: value_of_target, hops: 32, time: 10_000 };
    let probe = |address| Request::Probe { nonce: 0x0A0B_0C0D_0E0F_1011, address };
    let probed: SocketAddr = "198.51.100.9:4242".parse().unwrap();
    let version = Version { number: 3, digest: 0x0123_4567_89AB_CDEF };
    let expected = [
        ("ping", ask(1_208, None, Request::Ping, 0)),
        ("find_node", ask(268, None, Request::FindNode { target }, 32)),
        ("find_value plain", ask(1_208, Some(TOKEN), hello, 0)),
        ("find_value immutable", ask(1_208, Some(TOKEN), have_world, 0)),
        ("store plain", ask(1_208, Some(TOKEN), hand_over, 0)),
        ("store signed", ask(1_208, Some(TOKEN), swap, 0)),
        ("unknown request", ask(1_208, None, unknown, 0)),
        ("relay", ask(1_208, Some(TOKEN), relay, 0)),
        ("probe of the requester", ask(1_208, Some(TOKEN), probe(EncodedAddress::NONE), 18)),
        ("probe of another node", ask(1_208, Some(TOKEN), probe(probed.encode()), 12)),
        ("pong", response(Response::Pong { observed: Observed::new("198.51.100.9:4242".parse().unwrap()) })),
        ("nodes", response(Response::Nodes { contacts: Contacts::new(&contacts) })),
        ("value", response(Response::Value { record: world, lifetime: 60, contacts: Contacts::new(&contacts[..1]) })),
        ("held", response(Response::Held { version, size: 1_152, contacts: Contacts::EMPTY })),
        ("stored", response(Response::Stored { lifetime: 86_400 })),
        ("accepted", response(Response::Accepted)),
        (
            "relayed",
            response(Response::Relayed { hops: 2, found: Some((world, 60)), contacts: Contacts::new(&contacts[..1]) }),
        ),
        ("error", response(Response::Error { code: ErrorCode::TooLarge, detail: 1_000 })),
    ];

    let examples = examples();
    assert_eq!(examples.len(), expected.len());
    for ((title, bytes), (name, message)) in examples.iter().zip(&expected) {
        assert_eq!(title, name);
        let decoded: Message<'_, SocketAddr, Kadlet> = decode(bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut buf = [0; MAX_DATAGRAM];
        let len = encode(&decoded, &mut buf).unwrap();
        assert_eq!(&buf[..len], bytes, "{name}");
        match decoded.body {
            // The third contact has an unknown address family. It is counted and carried, but not decoded.
            Body::Response { response: Response::Nodes { contacts: decoded }, .. } => {
                assert_eq!(decoded.count(), 3);
                assert_eq!(decoded.iter().collect::<Vec<_>>(), contacts);
            }
            _ => assert_eq!(decoded, *message, "{name}"),
        }
    }
}

/// A row of the table of sizes. `len` gives the encoded size with n contacts or bytes, where n is at most `most`.
fn row(name: &str, most: usize, len: impl Fn(usize) -> usize) -> String {
    let each = len(1) - len(0);
    let bytes = if most == 0 { len(0).to_string() } else { format!("{} + {}n", len(0), each).replace("1n", "n") };
    let cell = |datagram: usize| {
        let n = (0..=most).rev().find(|n| len(*n) <= datagram - SEAL);
        match n {
            Some(0) if most == 0 => len(0).to_string(),
            None | Some(0) => "none".to_string(),
            Some(n) => format!("{}, n = {n}", len(n)),
        }
    };
    format!("| {name} | {bytes} | {} | {} | {} |", cell(MAX_DATAGRAM), cell(548), cell(MIN_DATAGRAM))
}

#[test]
fn the_table_of_sizes_has_the_encoded_sizes() {
    let ip = |text: &str| text.parse::<SocketAddr>().unwrap();
    let (v4, v6) =
        ([Contact::new(Id::ZERO, ip("192.0.2.7:1")); 60], [Contact::new(Id::ZERO, ip("[2001:db8::7]:1")); 60]);
    let value = [0; 1_001];
    let plain = |n: usize| Record { value: &value[..n], proof: Proof::Plain { id: Id::ZERO, age: 0 } };
    let immutable = |n: usize| Record::immutable(&value[..n]);
    let proof = Proof::Signed { public_key: &[0; 32], salt: &[], sequence: 0, signature: &[0; 64] };
    let signed = |n: usize| Record { value: &value[..n], proof };
    let version = Version { number: 0, digest: 0 };
    let key = Key::plain(b"");

    let request = |request: Request<'_>| encoded_len(&ask(0, Some(TOKEN), request, 0));
    let store = |record, compare| request(Request::Store { record, lifetime: 0, compare, handover: false });
    let response = |body: Response<'_, SocketAddr>| encoded_len(&response(body));
    let value = |record| response(Response::Value { record, lifetime: 0, contacts: Contacts::EMPTY });
    let nodes = |contacts| response(Response::Nodes { contacts: Contacts::new(contacts) });
    let held = |contacts| response(Response::Held { version, size: 0, contacts: Contacts::new(contacts) });
    let pong = |address| response(Response::Pong { observed: Observed::new(address) });

    let table = [
        row("ping", 0, |_| request(Request::Ping)),
        row("find_node", 0, |_| request(Request::FindNode { target: Id::ZERO })),
        row("find_value", 0, |_| request(Request::FindValue { key, have: Some(version) })),
        row("store, plain, no compare", 1_000, |n| store(plain(n), None)),
        row("store, immutable, no compare", 1_000, |n| store(immutable(n), None)),
        row("store, signed, no compare", 1_000, |n| store(signed(n), None)),
        row("store, signed, compare", 1_000, |n| store(signed(n), Some(0))),
        row("pong, IPv4", 0, |_| pong(v4[0].address)),
        row("pong, IPv6", 0, |_| pong(v6[0].address)),
        row("nodes, IPv4", 59, |n| nodes(&v4[..n])),
        row("nodes, IPv6", 59, |n| nodes(&v6[..n])),
        row("value, plain, no contacts", 1_000, |n| value(plain(n))),
        row("value, immutable, no contacts", 1_000, |n| value(immutable(n))),
        row("value, signed, no contacts", 1_000, |n| value(signed(n))),
        row("held, IPv4", 59, |n| held(&v4[..n])),
        row("held, IPv6", 59, |n| held(&v6[..n])),
        row("stored", 0, |_| response(Response::Stored { lifetime: 0 })),
        row("relay", 0, |_| {
            request(Request::Relay { relay_id: RelayId([0; 8]), target: Target::Nodes(Id::ZERO), hops: 0, time: 0 })
        }),
        row("probe, IPv6", 0, |_| request(Request::Probe { nonce: 0, address: v6[0].address.encode() })),
        row("accepted", 0, |_| response(Response::Accepted)),
        row("relayed, no record, IPv4", 60, |n| {
            response(Response::Relayed { hops: 0, found: None, contacts: Contacts::new(&v4[..n]) })
        }),
        row("relayed, signed, no contacts", 1_000, |n| {
            response(Response::Relayed { hops: 0, found: Some((signed(n), 0)), contacts: Contacts::EMPTY })
        }),
        row("error", 0, |_| response(Response::Error { code: ErrorCode::Full, detail: 0 })),
    ]
    .join("\n");
    assert!(SPEC.contains(&table), "the table must be\n{table}");
}

#[test]
fn the_tables_of_parameters_and_timers_have_the_defaults() {
    let config = Config::DEFAULT;
    let (table, options) = (config.table, Options::default());
    let waits = [
        ("timeout_initial", config.timeout_initial),
        ("timeout_min", config.timeout_min),
        ("timeout_max", config.timeout_max),
        ("Options::timeout", options.timeout),
        ("neighbourhood_min", table.neighbourhood_min),
        ("neighbourhood_max", table.neighbourhood_max),
        ("quiet", table.quiet),
        ("refresh", table.refresh),
        ("Options::lifetime", options.lifetime),
        ("max_lifetime", config.max_lifetime),
        ("republish", config.republish),
    ];
    let values = waits.map(|(name, wait)| (name, with_unit(wait)));
    let counts = [
        ("attempts", config.attempts.to_string()),
        ("k", table.k.to_string()),
        ("alpha", config.alpha.to_string()),
        ("rate_limit", config.rate_limit.to_string()),
        ("per_prefix_in_bucket", table.per_prefix_in_bucket.to_string()),
        ("per_prefix_in_table", table.per_prefix_in_table.to_string()),
    ];
    for (name, value) in values.into_iter().chain(counts) {
        let rows: Vec<&str> =
            SPEC.lines().filter(|line| line.starts_with("| ") && line.contains(&format!("`{name}`"))).collect();
        assert!(
            rows.iter().any(|row| row.contains(&value)),
            "{name} is {value}, but none of these rows says so: {rows:?}"
        );
    }
}

fn with_unit(wait: Duration) -> String {
    match wait.as_secs() {
        0 => format!("{} ms", wait.as_millis()),
        3600 => "1 hour".to_owned(),
        secs if secs % 3600 == 0 => format!("{} hours", secs / 3600),
        secs if secs % 60 == 0 => format!("{} minutes", secs / 60),
        secs => format!("{secs} s"),
    }
}
