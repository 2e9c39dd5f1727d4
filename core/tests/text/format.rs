//! The format itself: a [`Wire`] with kadlet's rules, except for those that its parameter names.

use core::fmt::Debug;
use core::marker::PhantomData;

use kadlet::message::{Features, Observed, RelayId, Request, Response, Target};
use kadlet::record::Proof;
use kadlet::wire::{AddressProof, Body, Header, Lengths, Message, Rules, SEAL, TokenBinding, TokenSource, Wire};
use kadlet::{Address, Id, MAX_ADDRESS, Record};

use crate::lines::{Fields, Hex, TextError, Writer, unhex};
use crate::parts::{
    Encoded, read_address, read_code, read_contacts, read_id, read_key, read_lifetime, read_network, read_record,
    read_version, write_code, write_contacts, write_key, write_record, write_version,
};

/// Only responses to find_value carry a token.
pub const TOKENS_BY_FIND_VALUE: u16 = 1;
/// A token is bound to the host.
pub const TOKENS_OF_HOSTS: u16 = 2;
/// A verified contact proves its address.
pub const CONTACTS_PROVE: u16 = 4;
/// Requests are not padded.
pub const UNPADDED: u16 = 8;
/// There is no `held`.
pub const NO_HELD: u16 = 16;
/// Records have no lifetimes.
pub const NO_LIFETIMES: u16 = 32;
/// There are no relay requests, and no requests for probes.
pub const NO_RELAYS: u16 = 64;
/// Messages don't name the network.
pub const NO_NETWORK: u16 = 128;
/// Responses don't tell their kind.
pub const NO_KINDS: u16 = 256;
/// Errors don't name their sender.
pub const NAMELESS_ERRORS: u16 = 512;
/// All of these, as in Mainline.
pub const ALL: u16 = 1_023;

/// The text format: rules that `DIFFER` from kadlet's, transactions `T` and tokens `K`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Text<const DIFFER: u16, T = [u8; 4], K = [u8; 12]>(PhantomData<fn() -> (T, K)>);

/// The text format with what Mainline has: transactions and tokens of any length.
pub type Opaque<const DIFFER: u16> = Text<DIFFER, Short<20>, Short<40>>;

/// What names an exchange: some bytes.
pub trait Name: Copy + Eq + Debug + Send + Sync + 'static {
    const NONE: Self;

    fn of(bytes: &[u8]) -> Option<Self>;

    fn bytes(&self) -> &[u8];
}

impl<const N: usize> Name for [u8; N] {
    const NONE: Self = [0; N];

    fn of(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok()
    }

    fn bytes(&self) -> &[u8] {
        self
    }
}

/// At most `N` bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Short<const N: usize> {
    len: u8,
    bytes: [u8; N],
}

impl<const N: usize> Name for Short<N> {
    const NONE: Self = Self { len: 0, bytes: [0; N] };

    fn of(bytes: &[u8]) -> Option<Self> {
        let mut short = Self { len: bytes.len() as u8, ..Self::NONE };
        short.bytes.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(short)
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

/// What the tokens of this node begin with.
const MINE: &[u8] = b"mine";
/// How many bytes its tokens and transactions take.
const OWN_TOKEN: usize = MINE.len() + 8;
const OWN_TRANSACTION: usize = 4;

impl<const DIFFER: u16, T: Name, K: Name> Wire for Text<DIFFER, T, K> {
    type Transaction = T;
    type Token = K;
    type DecodeError = TextError;

    const NO_TOKEN: K = K::NONE;
    const RULES: Rules = rules(DIFFER);
    const LENGTHS: Lengths = lengths(size_of::<T>(), size_of::<K>());
    const MAX_DATAGRAM: usize = 1_200;
    const MIN_DATAGRAM: usize = 512;

    fn transaction(random: u64) -> T {
        T::of(&random.to_be_bytes()[8 - OWN_TRANSACTION..]).expect("a transaction has room for 4 bytes")
    }

    fn token(mac: u64) -> K {
        K::of(&[MINE, &mac.to_be_bytes()].concat()).expect("a token has room for 12 bytes")
    }

    fn mac(token: &K) -> Option<u64> {
        Some(u64::from_be_bytes(token.bytes().strip_prefix(MINE)?.try_into().ok()?))
    }

    fn decode<A: Address>(datagram: &[u8]) -> Result<Message<'_, A, Self>, TextError> {
        let fields = Fields::of(datagram)?;
        let is_error = fields.has("error");
        let (geometry, network) = if Self::RULES.names_network { fields.read("net", read_network)? } else { (0, 0) };
        let header = Header {
            geometry,
            network,
            transaction: fields.read("tx", |text| T::of(&unhex(text)?))?,
            sender: if is_error && !Self::RULES.errors_name_sender {
                Id::ZERO
            } else {
                fields.read("from", read_id)?
            },
            features: Features(fields.number("can")?),
        };
        let token = fields.optional("token", |text| K::of(&unhex(text)?))?;
        let body = if fields.has("largest") {
            let (largest, request) = (fields.number("largest")?, read_request(&fields, &Self::RULES)?);
            Body::Request { largest, token, request, padding: fields.padding as u16 }
        } else {
            Body::Response { token: token.unwrap_or(K::NONE), response: read_response(&fields, &Self::RULES)? }
        };
        Ok(Message { header, body })
    }

    fn is_of_another_version(error: &TextError) -> bool {
        *error == TextError::Version
    }

    fn encode<A: Address>(message: &Message<'_, A, Self>, least: usize, buf: &mut [u8]) -> Option<usize> {
        let room = buf.len().min(Self::MAX_DATAGRAM);
        let (header, rules) = (&message.header, &Self::RULES);
        let (word, is_error) = match &message.body {
            Body::Request { request, .. } => (request_word(request, rules)?, false),
            Body::Response { response, .. } => {
                (response_word(response, rules)?, matches!(response, Response::Error { .. }))
            }
        };
        let mut to = Writer::new(&mut buf[..room], word);
        if rules.names_network {
            to.pair("net", format_args!("{}.{}", header.geometry, header.network));
        }
        to.pair("tx", Hex(header.transaction.bytes()));
        if rules.errors_name_sender || !is_error {
            to.pair("from", header.sender);
        }
        to.pair("can", header.features.0);
        match &message.body {
            Body::Request { largest, token, request, padding } => {
                to.pair("largest", largest);
                if let Some(token) = token {
                    to.pair("token", Hex(token.bytes()));
                }
                write_request(request, rules, &mut to);
                to.end(usize::from(*padding), if rules.padding { least.min(room) } else { 0 })
            }
            Body::Response { token, response } => {
                if *token != K::NONE {
                    to.pair("token", Hex(token.bytes()));
                }
                write_response(response, rules, &mut to);
                to.end(0, 0)
            }
        }
    }

    fn record_len(record: &Record<'_>) -> usize {
        let proof = match record.proof {
            Proof::Plain { .. } => " record=plain..".len() + ID + U64,
            Proof::Immutable => " record=immutable".len(),
            Proof::Signed { salt, .. } => {
                " record=signed.\npublic_key=32:\nsignature=64:\nsalt=64:".len() + U64 + 32 + 64 + salt.len()
            }
        };
        proof + "\nvalue=1000:".len() + record.value.len()
    }

    fn contact_len(address: usize) -> usize {
        ID + "@255.,".len() + 2 * address
    }
}

const fn rules(differ: u16) -> Rules {
    const fn has(set: u16, rule: u16) -> bool {
        set & rule != 0
    }
    Rules {
        tokens: if has(differ, TOKENS_BY_FIND_VALUE) { TokenSource::FindValue } else { TokenSource::EveryResponse },
        token_binding: if has(differ, TOKENS_OF_HOSTS) { TokenBinding::Host } else { TokenBinding::Sender },
        address_proof: if has(differ, CONTACTS_PROVE) { AddressProof::TokenOrContact } else { AddressProof::Token },
        padding: !has(differ, UNPADDED),
        held: !has(differ, NO_HELD),
        lifetimes: !has(differ, NO_LIFETIMES),
        relays: !has(differ, NO_RELAYS),
        probes: !has(differ, NO_RELAYS),
        names_network: !has(differ, NO_NETWORK),
        response_kinds: !has(differ, NO_KINDS),
        errors_name_sender: !has(differ, NAMELESS_ERRORS),
    }
}

/// The longest an identifier, and numbers of 64 and 32 bits, can be.
const ID: usize = 2 * Id::LEN;
const U64: usize = 20;
const U32: usize = 10;

/// The longest that messages can be that this node encodes. In its requests the transaction is its own and the token
/// another node's, of at most `token` bytes; in its responses the token is its own and the transaction another node's.
const fn lengths(transaction: usize, token: usize) -> Lengths {
    let header = "text/1 find_value net=255.65535 tx= from= can=65535\n".len() + ID;
    let token = " token=".len() + 2 * token;
    let request = header + 2 * OWN_TRANSACTION + " largest=65535".len();
    let response = header + 2 * transaction + " token=".len() + 2 * OWN_TOKEN;
    let nodes = response + " contacts=".len();
    let lifetime = " lifetime=".len() + U32;
    Lengths {
        ping: request,
        probe: request + token + " nonce= address=255.".len() + U64 + 2 * MAX_ADDRESS,
        store: request + token + lifetime + " handover".len(),
        compare: " compare=".len() + U64,
        error: response + " error=unsupported detail=".len() + U64,
        nodes,
        value: nodes + lifetime,
        held: nodes + " version=. size=65535".len() + 2 * U64,
        relayed: nodes + " hops=255".len(),
        found: lifetime,
    }
}

// The longest messages without records, and a `held` with a contact, fit the smallest datagram.
const LONGEST: Lengths = lengths(size_of::<Short<20>>(), size_of::<Short<40>>());
const _: () = assert!(LONGEST.store + " key=immutable. have=.".len() + ID + 2 * U64 + SEAL <= 512);
const _: () = assert!(LONGEST.held + ID + "@255.,".len() + 2 * MAX_ADDRESS + SEAL <= 512);

const fn request_word(request: &Request<'_>, rules: &Rules) -> Option<&'static str> {
    Some(match request {
        Request::Ping => "ping",
        Request::FindNode { .. } => "find_node",
        Request::FindValue { .. } => "find_value",
        Request::Store { .. } => "store",
        Request::Relay { .. } if rules.relays => "relay",
        Request::Probe { .. } if rules.probes => "probe",
        Request::Relay { .. } | Request::Probe { .. } => return None,
        Request::Unknown { .. } => "other",
    })
}

fn read_request<'a>(fields: &Fields<'a>, rules: &Rules) -> Result<Request<'a>, TextError> {
    Ok(match fields.word {
        "ping" => Request::Ping,
        "find_node" => Request::FindNode { target: fields.read("target", read_id)? },
        "find_value" => {
            Request::FindValue { key: fields.read("key", read_key)?, have: fields.optional("have", read_version)? }
        }
        "store" => Request::Store {
            record: read_record(fields)?,
            lifetime: read_lifetime(fields, rules)?,
            compare: fields.optional("compare", |text| text.parse().ok())?,
            handover: fields.has("handover"),
        },
        "relay" if rules.relays => Request::Relay {
            relay_id: fields.read("relay", |text| Some(RelayId(unhex(text)?.try_into().ok()?)))?,
            target: match fields.optional("key", read_key)? {
                Some(key) => Target::Value(key),
                None => Target::Nodes(fields.read("target", read_id)?),
            },
            hops: fields.number("hops")?,
            time: fields.number("time")?,
        },
        "probe" if rules.probes => {
            Request::Probe { nonce: fields.number("nonce")?, address: fields.read("address", read_address)? }
        }
        // Of another word there is no more to tell.
        _ => Request::Unknown {
            kind: fields.number("kind").unwrap_or(0),
            payload: fields.raw("payload").unwrap_or_default(),
        },
    })
}

fn write_request(request: &Request<'_>, rules: &Rules, to: &mut Writer<'_>) {
    match request {
        Request::Ping => {}
        Request::FindNode { target } => to.pair("target", target),
        Request::FindValue { key, have } => {
            write_key(key, to);
            if let Some(version) = have {
                write_version("have", version, to);
            }
        }
        Request::Store { record, lifetime, compare, handover } => {
            if rules.lifetimes {
                to.pair("lifetime", lifetime);
            }
            if let Some(compare) = compare {
                to.pair("compare", compare);
            }
            if *handover && rules.lifetimes {
                to.pair("handover", "");
            }
            write_record(record, to);
        }
        Request::Relay { relay_id, target, hops, time } => {
            to.pair("relay", Hex(&relay_id.0));
            match target {
                Target::Nodes(id) => to.pair("target", id),
                Target::Value(key) => write_key(key, to),
            }
            to.pair("hops", hops);
            to.pair("time", time);
        }
        Request::Probe { nonce, address } => {
            to.pair("nonce", nonce);
            to.pair("address", Encoded(*address));
        }
        Request::Unknown { kind, payload } => {
            to.pair("kind", kind);
            to.raw("payload", payload);
        }
    }
}

fn response_word<A: Address>(response: &Response<'_, A>, rules: &Rules) -> Option<&'static str> {
    let word = match response {
        Response::Pong { .. } => "pong",
        Response::Nodes { .. } => "nodes",
        Response::Value { .. } => "value",
        Response::Held { .. } if rules.held => "held",
        Response::Stored { .. } => "stored",
        Response::Accepted if rules.relays => "accepted",
        Response::Relayed { .. } if rules.relays => "relayed",
        Response::Held { .. } | Response::Accepted | Response::Relayed { .. } => return None,
        Response::Error { .. } => "error",
    };
    Some(if rules.response_kinds { word } else { "response" })
}

/// The kind of a response that doesn't tell it.
fn kind_by_content(fields: &Fields<'_>) -> &'static str {
    let kinds = [
        ("error", "error"),
        ("hops", "relayed"),
        ("accepted", "accepted"),
        ("version", "held"),
        ("record", "value"),
        ("contacts", "nodes"),
    ];
    kinds.iter().find(|(field, _)| fields.has(field)).map_or("pong", |(_, kind)| kind)
}

fn read_response<'a, A: Address>(fields: &Fields<'a>, rules: &Rules) -> Result<Response<'a, A>, TextError> {
    let kind = if rules.response_kinds { fields.word } else { kind_by_content(fields) };
    let contacts = || fields.read("contacts", read_contacts);
    Ok(match kind {
        "pong" => {
            let observed = fields.optional("seen", read_address)?;
            Response::Pong { observed: observed.map_or(Observed::UNKNOWN, Observed::received) }
        }
        "nodes" => Response::Nodes { contacts: contacts()? },
        "value" => Response::Value {
            record: read_record(fields)?,
            lifetime: read_lifetime(fields, rules)?,
            contacts: contacts()?,
        },
        "held" => Response::Held {
            version: fields.read("version", read_version)?,
            size: fields.number("size")?,
            contacts: contacts()?,
        },
        "stored" => Response::Stored { lifetime: read_lifetime(fields, rules)? },
        "accepted" => Response::Accepted,
        "relayed" => Response::Relayed {
            hops: fields.number("hops")?,
            found: match fields.has("record") {
                true => Some((read_record(fields)?, read_lifetime(fields, rules)?)),
                false => None,
            },
            contacts: contacts()?,
        },
        "error" => Response::Error { code: fields.read("error", read_code)?, detail: fields.number("detail")? },
        _ => return Err(TextError::Field("kind")),
    })
}

fn write_response<A: Address>(response: &Response<'_, A>, rules: &Rules, to: &mut Writer<'_>) {
    let mut found = None;
    match response {
        Response::Pong { observed } => {
            if observed.encoded() != Observed::<A>::UNKNOWN.encoded() {
                to.pair("seen", Encoded(observed.encoded()));
            }
        }
        Response::Nodes { contacts } => write_contacts(contacts, to),
        Response::Value { record, lifetime, contacts } => {
            write_contacts(contacts, to);
            found = Some((record, lifetime));
        }
        Response::Held { version, size, contacts } => {
            write_version("version", version, to);
            to.pair("size", size);
            write_contacts(contacts, to);
        }
        Response::Stored { lifetime } => {
            if rules.response_kinds && rules.lifetimes {
                to.pair("lifetime", lifetime);
            }
        }
        Response::Accepted => {
            if !rules.response_kinds {
                to.pair("accepted", "");
            }
        }
        Response::Relayed { hops, found: inner, contacts } => {
            to.pair("hops", hops);
            write_contacts(contacts, to);
            found = inner.as_ref().map(|(record, lifetime)| (record, lifetime));
        }
        Response::Error { code, detail } => {
            write_code(*code, to);
            to.pair("detail", detail);
        }
    }
    if let Some((record, lifetime)) = found {
        if rules.lifetimes {
            to.pair("lifetime", lifetime);
        }
        write_record(record, to);
    }
}
