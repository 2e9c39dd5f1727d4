//! Encodes messages as datagrams.

use core::error::Error;
use core::fmt;

use postcard::Serializer;
use postcard::ser_flavors::Flavor;
use serde::Serialize;

use super::head::Head;
use super::tags::{NODES, error_code, error_tag, is_unknown, is_version_of, kind};
use super::types::{Kadlet, VERSION};
use crate::address::{Address, EncodedAddress};
use crate::id::Id;
use crate::message::{Contacts, ErrorCode, Features, Request, Response, Target};
use crate::record::{Proof, Record, RecordError, Version};
use crate::wire::format::{Body, Header, MAX_DATAGRAM, Message};

/// Why a message can't be encoded. The content of the buffer is then unspecified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EncodeError {
    /// The buffer is too small. [`encoded_len`] returns how large it must be.
    Buffer,
    /// The message is larger than [`MAX_DATAGRAM`] bytes.
    TooLarge,
    /// The record exceeds a bound of all records.
    Record(RecordError),
    /// The version number of an immutable record is not 0.
    ImmutableNumber,
    /// [`Request::Unknown`] has a kind that is known, or that is a response. It holds the number of the kind.
    KnownKind(u8),
    /// [`Request::Unknown`] is padded. Its padding couldn't be distinguished from its payload.
    Padding,
    /// [`ErrorCode::Other`] has a code that has a name. It holds the code.
    KnownCode(u8),
}

/// Encodes a message to the beginning of `buf`, and returns its length in bytes.
///
/// # Errors
///
/// [`EncodeError`]: the buffer is too small, or the message can't be encoded. A buffer of [`MAX_DATAGRAM`] bytes is
/// large enough for every message that can be encoded.
pub fn encode<A: Address>(message: &Message<'_, A, Kadlet>, buf: &mut [u8]) -> Result<usize, EncodeError> {
    let room = buf.len();
    let mut to = Writer { buf, len: 0, error: None };
    write(message, &mut to);
    match to.error {
        Some(error) => Err(error),
        None if to.len <= room.min(MAX_DATAGRAM) => Ok(to.len),
        None if room < MAX_DATAGRAM => Err(EncodeError::Buffer),
        None => Err(EncodeError::TooLarge),
    }
}

/// Encodes a message, and pads it with zeros to `least` bytes if it is shorter and the buffer is large enough.
pub(super) fn encode_padded<A: Address>(
    message: &Message<'_, A, Kadlet>,
    least: usize,
    buf: &mut [u8],
) -> Result<usize, EncodeError> {
    let len = encode(message, buf)?;
    match buf.get_mut(len..least) {
        Some(padding) => {
            padding.fill(0);
            Ok(least)
        }
        None => Ok(len),
    }
}

/// The length of an encoded message in bytes, even if it is too long for a datagram. [`usize::MAX`] if a length in it
/// doesn't fit its field.
#[must_use]
pub fn encoded_len<A: Address>(message: &Message<'_, A, Kadlet>) -> usize {
    let mut to = Writer { buf: &mut [], len: 0, error: None };
    write(message, &mut to);
    to.len
}

fn write<A: Address>(message: &Message<'_, A, Kadlet>, to: &mut Writer<'_>) {
    let Header { geometry, network, transaction, sender, features: Features(features) } = message.header;
    to.fixed(&Head { version: VERSION, geometry, network });
    to.bytes(&transaction.0);
    to.byte(match &message.body {
        Body::Request { request, .. } => request_kind(request),
        Body::Response { response, .. } => response_kind(response),
    });
    to.id(&sender);
    to.u16(features);
    match &message.body {
        Body::Request { largest, token, request, padding } => {
            to.u16(*largest);
            to.fixed(&token.is_some());
            if let Some(token) = token {
                to.bytes(&token.0);
            }
            write_request(request, to);
            if matches!(request, Request::Unknown { .. }) && *padding > 0 {
                to.fail(EncodeError::Padding);
            }
            to.zeros(usize::from(*padding));
        }
        Body::Response { token, response } => {
            to.bytes(&token.0);
            write_response(response, to);
        }
    }
}

const fn request_kind(request: &Request<'_>) -> u8 {
    match request {
        Request::Ping => kind::PING,
        Request::FindNode { .. } => kind::FIND_NODE,
        Request::FindValue { .. } => kind::FIND_VALUE,
        Request::Store { .. } => kind::STORE,
        Request::Relay { .. } => kind::RELAY,
        Request::Probe { .. } => kind::PROBE,
        Request::Unknown { kind, .. } => *kind,
    }
}

const fn response_kind<A: Address>(response: &Response<'_, A>) -> u8 {
    match response {
        Response::Pong { .. } => kind::PONG,
        Response::Nodes { .. } => kind::NODES,
        Response::Value { .. } => kind::VALUE,
        Response::Held { .. } => kind::HELD,
        Response::Stored { .. } => kind::STORED,
        Response::Accepted => kind::ACCEPTED,
        Response::Relayed { .. } => kind::RELAYED,
        Response::Error { .. } => kind::ERROR,
    }
}

fn write_request(request: &Request<'_>, to: &mut Writer<'_>) {
    match request {
        Request::Ping => {}
        Request::FindNode { target } => to.id(target),
        Request::FindValue { key, have } => {
            if have.is_some_and(|version| !is_version_of(key.kind, version)) {
                to.fail(EncodeError::ImmutableNumber);
            }
            to.byte(key.kind as u8);
            to.id(&key.id);
            to.fixed(&have.is_some());
            if let Some(version) = have {
                write_version(version, to);
            }
        }
        Request::Store { record, lifetime, compare, handover } => {
            write_found(record, *lifetime, to);
            to.fixed(&compare.is_some());
            if let Some(number) = compare {
                to.u64(*number);
            }
            to.fixed(handover);
        }
        Request::Relay { relay_id, target, hops, time } => {
            to.byte(match target {
                Target::Nodes(_) => NODES,
                Target::Value(key) => key.kind as u8,
            });
            to.id(target.id());
            to.bytes(&relay_id.0);
            to.byte(*hops);
            to.u16(*time);
        }
        Request::Probe { nonce, address } => {
            to.u64(*nonce);
            write_address(address, to);
        }
        Request::Unknown { kind, payload } => {
            if !is_unknown(*kind, payload) {
                to.fail(EncodeError::KnownKind(*kind));
            }
            to.bytes(payload);
        }
    }
}

fn write_response<A: Address>(response: &Response<'_, A>, to: &mut Writer<'_>) {
    match response {
        Response::Pong { observed } => write_address(&observed.encoded(), to),
        Response::Nodes { contacts } => write_contacts(contacts, to),
        Response::Value { record, lifetime, contacts } => {
            write_found(record, *lifetime, to);
            write_contacts(contacts, to);
        }
        Response::Held { version, size, contacts } => {
            write_version(version, to);
            to.u16(*size);
            write_contacts(contacts, to);
        }
        Response::Stored { lifetime } => to.u32(*lifetime),
        Response::Accepted => {}
        Response::Relayed { hops, found, contacts } => {
            to.byte(*hops);
            to.fixed(&found.is_some());
            if let Some((record, lifetime)) = found {
                write_found(record, *lifetime, to);
            }
            write_contacts(contacts, to);
        }
        Response::Error { code, detail } => {
            if let ErrorCode::Other(code) = *code
                && error_code(code) != ErrorCode::Other(code)
            {
                to.fail(EncodeError::KnownCode(code));
            }
            to.byte(error_tag(*code));
            to.u64(*detail);
        }
    }
}

fn write_contacts<A: Address>(contacts: &Contacts<'_, A>, to: &mut Writer<'_>) {
    to.count(contacts.count());
    let (own, received) = contacts.parts();
    for contact in own {
        to.id(&contact.id);
        write_address(&contact.address.encode(), to);
    }
    for contact in received {
        to.id(&contact.id);
        write_address(&contact.address, to);
    }
}

#[inline]
fn write_address(address: &EncodedAddress, to: &mut Writer<'_>) {
    to.byte(address.family);
    to.byte(address.len);
    to.bytes(address.as_bytes());
}

fn write_version(version: &Version, to: &mut Writer<'_>) {
    to.u64(version.number);
    to.u64(version.digest);
}

/// Writes a record and its lifetime.
fn write_found(record: &Record<'_>, lifetime: u32, to: &mut Writer<'_>) {
    write_record(record, to);
    to.u32(lifetime);
}

fn write_record(record: &Record<'_>, to: &mut Writer<'_>) {
    if let Err(error) = record.check() {
        to.fail(EncodeError::Record(error));
    }
    to.byte(record.kind() as u8);
    match record.proof {
        Proof::Plain { id, age } => {
            to.id(&id);
            to.u64(age);
        }
        Proof::Immutable => {}
        Proof::Signed { public_key, salt, sequence, signature } => {
            to.bytes(public_key);
            to.u64(sequence);
            to.bytes(signature);
            to.count(salt.len());
            to.bytes(salt);
        }
    }
    match u16::try_from(record.value.len()) {
        Ok(len) => to.u16(len),
        Err(_) => to.len = usize::MAX,
    }
    to.bytes(record.value);
}

/// Writes as much of a message as fits into a buffer. Counts its length, and keeps the first error.
struct Writer<'b> {
    buf: &'b mut [u8],
    len: usize,
    error: Option<EncodeError>,
}

impl Writer<'_> {
    #[inline(never)]
    fn fail(&mut self, error: EncodeError) {
        self.error.get_or_insert(error);
    }

    #[inline(never)]
    fn byte(&mut self, byte: u8) {
        if let Some(to) = self.buf.get_mut(self.len) {
            *to = byte;
        }
        self.len = self.len.saturating_add(1);
    }

    /// A count in one byte. A larger count wouldn't fit into a datagram.
    fn count(&mut self, count: usize) {
        match u8::try_from(count) {
            Ok(count) => self.byte(count),
            Err(_) => self.len = usize::MAX,
        }
    }

    fn bytes(&mut self, bytes: &[u8]) {
        let end = self.len.checked_add(bytes.len());
        if let Some(to) = end.and_then(|end| self.buf.get_mut(self.len..end)) {
            // Both have the same length. But if the compiler doesn't see this, `copy_from_slice` contains a panic.
            to.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        }
        self.len = end.unwrap_or(usize::MAX);
    }

    /// An identifier, which is written faster than bytes of a length that the compiler doesn't know.
    fn id(&mut self, id: &Id) {
        let end = self.len.checked_add(Id::LEN);
        if let Some(to) = end.and_then(|end| self.buf.get_mut(self.len..end)?.first_chunk_mut()) {
            *to = *id.as_bytes();
        }
        self.len = end.unwrap_or(usize::MAX);
    }

    fn u16(&mut self, number: u16) {
        self.bytes(&number.to_be_bytes());
    }

    fn u32(&mut self, number: u32) {
        self.bytes(&number.to_be_bytes());
    }

    fn u64(&mut self, number: u64) {
        self.bytes(&number.to_be_bytes());
    }

    fn zeros(&mut self, count: usize) {
        let end = self.len.saturating_add(count);
        if let Some(to) = self.buf.get_mut(self.len..end) {
            to.fill(0);
        }
        self.len = end;
    }

    fn fixed(&mut self, part: &impl Serialize) {
        // It can't fail: the writer takes everything, and all that is written has a known length.
        let _ = part.serialize(&mut Serializer { output: self });
    }
}

impl Flavor for &mut Writer<'_> {
    type Output = ();

    #[inline]
    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.byte(byte);
        Ok(())
    }

    #[inline]
    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.bytes(bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Buffer => f.write_str("the buffer is too small for the message"),
            Self::TooLarge => write!(f, "the message is larger than {MAX_DATAGRAM} bytes"),
            Self::Record(_) => f.write_str("the message contains a record that is too long"),
            Self::ImmutableNumber => f.write_str("the version number of an immutable record is not 0"),
            Self::KnownKind(kind) => write!(f, "kind {kind} can't be encoded as an unknown kind of request"),
            Self::Padding => f.write_str("an unknown kind of request can't be padded"),
            Self::KnownCode(code) => write!(f, "error code {code} can't be encoded as an unknown code"),
        }
    }
}

impl Error for EncodeError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Record(error) => Some(error),
            _ => None,
        }
    }
}
