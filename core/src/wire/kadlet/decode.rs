//! Decodes datagrams as messages.

use core::error::Error;
use core::fmt;

use postcard::Deserializer;
use postcard::de_flavors::Flavor;
use serde::Deserialize;

use super::head::Head;
use super::tags::{error_code, is_unknown, is_version_of, kind, record_kind};
use super::types::{Kadlet, Token, Transaction, VERSION};
use crate::address::{Address, EncodedAddress, MAX_ADDRESS};
use crate::id::Id;
use crate::message::{Contacts, Features, Observed, ReceivedContact, RelayId, Request, Response, Target};
use crate::record::{Key, Kind, Proof, Record, RecordError, Version};
use crate::wire::format::{Body, Header, MAX_DATAGRAM, Message};

/// Why a datagram is not a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeError {
    /// The datagram is of another version of the format. It holds that version. The rest was not read.
    Version(u8),
    /// The datagram is longer than [`MAX_DATAGRAM`] bytes.
    TooLong,
    /// The datagram ends too early.
    Truncated,
    /// Bytes follow the end of a response.
    Trailing,
    /// Bytes other than zeros follow the end of a request.
    Padding,
    /// The response is of a kind that this version doesn't know. It holds the number of the kind. (An unknown kind of
    /// request is [`Request::Unknown`].)
    UnknownResponse(u8),
    /// The record in a response is of a kind that this version doesn't know. It holds the number of the kind.
    UnknownRecord(u8),
    /// A flag is neither 0 nor 1.
    Flag,
    /// A record exceeds a bound of all records.
    Record(RecordError),
    /// The version number of an immutable record is not 0.
    ImmutableNumber,
    /// An address is longer than [`MAX_ADDRESS`] bytes.
    AddressTooLong,
}

/// Decodes a datagram. The message borrows from it. Only parts of a fixed size are copied.
///
/// # Errors
///
/// [`DecodeError`], for any bytes that are not the one encoding of a message.
pub fn decode<A: Address>(datagram: &[u8]) -> Result<Message<'_, A, Kadlet>, DecodeError> {
    match datagram.first() {
        Some(&VERSION) if datagram.len() > MAX_DATAGRAM => return Err(DecodeError::TooLong),
        Some(&VERSION) => {}
        Some(other) => return Err(DecodeError::Version(*other)),
        None => return Err(DecodeError::Truncated),
    }
    let mut from = Reader::new(datagram);
    let message = read(&mut from);
    match from.error {
        None => Ok(message),
        Some(error) => Err(error),
    }
}

fn read<'a, A: Address>(from: &mut Reader<'a>) -> Message<'a, A, Kadlet> {
    let Head { geometry, network, .. } = from.fixed();
    let transaction = Transaction(*from.array());
    let kind = from.byte();
    let sender = from.id();
    let features = Features(from.u16());
    let header = Header { geometry, network, transaction, sender, features };
    Message { header, body: if kind < kind::RESPONSES { read_request(kind, from) } else { read_response(kind, from) } }
}

fn read_request<'a, A: Address>(kind: u8, from: &mut Reader<'a>) -> Body<'a, A, Kadlet> {
    let largest = from.u16();
    let token = from.flag().then(|| Token(*from.array()));
    let request = if is_unknown(kind, from.rest) {
        Request::Unknown { kind, payload: from.take_rest() }
    } else {
        read_known_request(kind, from)
    };
    let padding = from.take_rest();
    // Without an early exit, so that the compiler can read whole words.
    if padding.iter().fold(0, |any, byte| any | byte) != 0 {
        from.fail(DecodeError::Padding);
    }
    let padding = u16::try_from(padding.len()).unwrap_or(u16::MAX);
    Body::Request { largest, token, request, padding }
}

fn read_known_request<'a>(kind: u8, from: &mut Reader<'a>) -> Request<'a> {
    match kind {
        kind::FIND_NODE => Request::FindNode { target: from.id() },
        kind::FIND_VALUE => {
            let key = Key { kind: read_kind(from), id: from.id() };
            let have = from.flag().then(|| read_version(from));
            if have.is_some_and(|version| !is_version_of(key.kind, version)) {
                from.fail(DecodeError::ImmutableNumber);
            }
            Request::FindValue { key, have }
        }
        kind::STORE => {
            let (record, lifetime) = read_found(from);
            let compare = from.flag().then(|| from.u64());
            Request::Store { record, lifetime, compare, handover: from.flag() }
        }
        kind::RELAY => {
            // `None` stands for nodes: a request with any other tag is an unknown request.
            let kind = record_kind(from.byte());
            let id = from.id();
            let relay_id = RelayId(*from.array());
            let target = kind.map_or(Target::Nodes(id), |kind| Target::Value(Key { kind, id }));
            Request::Relay { relay_id, target, hops: from.byte(), time: from.u16() }
        }
        kind::PROBE => {
            let nonce = from.u64();
            let (family, address) = read_address(from);
            Request::Probe { nonce, address: EncodedAddress::new(family, address) }
        }
        _ => Request::Ping,
    }
}

fn read_response<'a, A: Address>(kind: u8, from: &mut Reader<'a>) -> Body<'a, A, Kadlet> {
    let token = Token(*from.array());
    let response = match kind {
        kind::PONG => Response::Pong { observed: read_observed(from) },
        kind::NODES => Response::Nodes { contacts: read_contacts(from) },
        kind::VALUE => {
            let (record, lifetime) = read_found(from);
            Response::Value { record, lifetime, contacts: read_contacts(from) }
        }
        kind::HELD => Response::Held { version: read_version(from), size: from.u16(), contacts: read_contacts(from) },
        kind::STORED => Response::Stored { lifetime: from.u32() },
        kind::RELAYED => {
            let hops = from.byte();
            let found = from.flag().then(|| read_found(from));
            Response::Relayed { hops, found, contacts: read_contacts(from) }
        }
        kind::ERROR => Response::Error { code: error_code(from.byte()), detail: from.u64() },
        _ => {
            if kind != kind::ACCEPTED {
                from.fail(DecodeError::UnknownResponse(kind));
            }
            Response::Accepted
        }
    };
    if !from.rest.is_empty() {
        from.fail(DecodeError::Trailing);
    }
    Body::Response { token, response }
}

/// Reads a record and its lifetime.
fn read_found<'a>(from: &mut Reader<'a>) -> (Record<'a>, u32) {
    (read_record(from), from.u32())
}

fn read_record<'a>(from: &mut Reader<'a>) -> Record<'a> {
    let proof = match read_kind(from) {
        Kind::Plain => Proof::Plain { id: from.id(), age: from.u64() },
        Kind::Immutable => Proof::Immutable,
        Kind::Signed => {
            let public_key = from.array();
            let sequence = from.u64();
            let signature = from.array();
            let salt_len = from.byte();
            Proof::Signed { public_key, salt: from.bytes(usize::from(salt_len)), sequence, signature }
        }
    };
    let value_len = from.u16();
    let record = Record { value: from.bytes(usize::from(value_len)), proof };
    if let Err(error) = record.check() {
        from.fail(DecodeError::Record(error));
    }
    record
}

/// Reads a count and this many contacts.
fn read_contacts<'a, A: Address>(from: &mut Reader<'a>) -> Contacts<'a, A> {
    let count = from.byte();
    let before = from.rest;
    for _ in 0..count {
        from.bytes(Id::LEN);
        read_address(from);
        if from.error.is_some() {
            break;
        }
    }
    let bytes = before.get(..before.len().saturating_sub(from.rest.len())).unwrap_or(before);
    Contacts::received(bytes, next_contact)
}

/// Splits the first contact off bytes that [`read_contacts`] has checked.
fn next_contact(bytes: &mut &[u8]) -> Option<ReceivedContact> {
    let ([id @ .., family, len], rest) = bytes.split_first_chunk::<{ Id::LEN + 2 }>()?;
    let (address, rest) = rest.split_at_checked(usize::from(*len))?;
    *bytes = rest;
    Some(ReceivedContact { id: Id::from_bytes(*id), address: EncodedAddress::new(*family, address) })
}

fn read_observed<A: Address>(from: &mut Reader<'_>) -> Observed<A> {
    let (family, address) = read_address(from);
    Observed::received(EncodedAddress::new(family, address))
}

fn read_address<'a>(from: &mut Reader<'a>) -> (u8, &'a [u8]) {
    let [family, len] = *from.array();
    if usize::from(len) > MAX_ADDRESS {
        from.fail(DecodeError::AddressTooLong);
    }
    (family, from.bytes(usize::from(len)))
}

fn read_version(from: &mut Reader<'_>) -> Version {
    Version { number: from.u64(), digest: from.u64() }
}

fn read_kind(from: &mut Reader<'_>) -> Kind {
    let tag = from.byte();
    record_kind(tag).unwrap_or_else(|| {
        from.fail(DecodeError::UnknownRecord(tag));
        Kind::Plain
    })
}

/// What is read after an error. One array for all lengths: of each, a constant would take flash.
static ZEROS: [u8; 64] = [0; 64];

/// The rest of a datagram to be read. After the first error nothing is left, and all further reads return
/// zeros. So a message is read without a check of each part, and the error is checked once, at the end. Functions that
/// are called in many places are not inlined, which saves flash.
#[derive(Clone, Copy)]
struct Reader<'a> {
    rest: &'a [u8],
    error: Option<DecodeError>,
}

impl<'a> Reader<'a> {
    const fn new(rest: &'a [u8]) -> Self {
        Self { rest, error: None }
    }

    #[inline(never)]
    fn fail(&mut self, error: DecodeError) {
        self.error.get_or_insert(error);
        self.rest = &[];
    }

    fn take_rest(&mut self) -> &'a [u8] {
        core::mem::take(&mut self.rest)
    }

    #[inline(never)]
    fn byte(&mut self) -> u8 {
        let [byte] = *self.array();
        byte
    }

    #[inline(never)]
    fn id(&mut self) -> Id {
        Id::from_bytes(*self.array())
    }

    fn array<const N: usize>(&mut self) -> &'a [u8; N] {
        self.bytes(N).first_chunk().or(ZEROS.first_chunk()).unwrap_or(const { &[0; N] })
    }

    fn bytes(&mut self, len: usize) -> &'a [u8] {
        let Some((bytes, rest)) = self.rest.split_at_checked(len) else {
            self.fail(DecodeError::Truncated);
            return &[];
        };
        self.rest = rest;
        bytes
    }

    fn u16(&mut self) -> u16 {
        u16::from_be_bytes(*self.array())
    }

    fn u32(&mut self) -> u32 {
        u32::from_be_bytes(*self.array())
    }

    fn u64(&mut self) -> u64 {
        u64::from_be_bytes(*self.array())
    }

    fn flag(&mut self) -> bool {
        self.fixed()
    }

    fn fixed<T: Deserialize<'a> + Default>(&mut self) -> T {
        let mut from = Deserializer::from_flavor(*self);
        let value = T::deserialize(&mut from);
        if let Ok(after) = from.finalize() {
            *self = after;
        }
        value.unwrap_or_else(|_| {
            self.fail(DecodeError::Flag);
            T::default()
        })
    }
}

impl<'a> Flavor<'a> for Reader<'a> {
    type Remainder = Self;
    type Source = &'a [u8];

    #[inline]
    fn pop(&mut self) -> postcard::Result<u8> {
        Ok(self.byte())
    }

    fn try_take_n(&mut self, len: usize) -> postcard::Result<&'a [u8]> {
        let bytes = self.bytes(len);
        if self.error.is_some() { Err(postcard::Error::DeserializeUnexpectedEnd) } else { Ok(bytes) }
    }

    fn finalize(self) -> postcard::Result<Self> {
        Ok(self)
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version(version) => {
                write!(f, "the datagram has version {version} of the wire format; this node has version {VERSION}")
            }
            Self::TooLong => write!(f, "the datagram is longer than {MAX_DATAGRAM} bytes"),
            Self::Truncated => f.write_str("the datagram ends too early"),
            Self::Trailing => f.write_str("bytes follow the end of the response"),
            Self::Padding => f.write_str("the request is padded with bytes other than zeros"),
            Self::UnknownResponse(kind) => write!(f, "unknown kind of response: {kind}"),
            Self::UnknownRecord(kind) => write!(f, "unknown kind of record: {kind}"),
            Self::Flag => f.write_str("a flag is neither 0 nor 1"),
            Self::Record(_) => f.write_str("the datagram contains a record that is too long"),
            Self::ImmutableNumber => f.write_str("the version number of an immutable record is not 0"),
            Self::AddressTooLong => write!(f, "an address is longer than {MAX_ADDRESS} bytes"),
        }
    }
}

impl Error for DecodeError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Record(error) => Some(error),
            _ => None,
        }
    }
}
