//! Messages to bytes.

use core::fmt;

use postcard::Serializer;
use postcard::ser_flavors::{Flavor, Size, Slice};
use serde::Serialize;

use super::contacts::Source;
use super::fixed::{Answering, Asking, Head, Length, Number, Passed, Passing, Refusal, Seconds, Terms, Which};
use super::{Answer, Body, Contacts, ErrorCode, MAX_DATAGRAM, Message, NODES, Request, Target, VERSION, can_be, is_unknown, kind};
use crate::record::{Proof, Record, RecordError};
use crate::{Address, EncodedAddress};

/// Why a message can't be encoded. What the buffer holds then is unspecified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EncodeError {
    /// The buffer is too small; [`encoded_len`] tells how large it must be.
    Buffer,
    /// The message is larger than [`MAX_DATAGRAM`].
    TooLarge,
    /// The record exceeds a bound of all records.
    Record(RecordError),
    /// A version of an immutable record has a number other than 0.
    ImmutableNumber,
    /// [`Request::Unknown`] of a kind that is known, or is an answer's: this one.
    KnownKind(u8),
    /// [`Request::Unknown`] is padded: it couldn't be told from its payload.
    Padding,
    /// [`ErrorCode::Other`] with a code that has a name: this one.
    KnownCode(u8),
}

/// Writes a message to the beginning of `buf`, and says how many bytes it takes.
///
/// # Errors
///
/// [`EncodeError`]: the buffer is too small, or no datagram may hold the message. A buffer of [`MAX_DATAGRAM`] always
/// suffices for messages that may be.
pub fn encode<A: Address>(message: &Message<'_, A>, buf: &mut [u8]) -> Result<usize, EncodeError> {
    let full = if buf.len() < MAX_DATAGRAM { EncodeError::Buffer } else { EncodeError::TooLarge };
    let within = buf.len().min(MAX_DATAGRAM);
    let mut to = Serializer { output: Slice::new(buf.get_mut(..within).unwrap_or_default()) };
    check(message)?;
    write(message, &mut to).map_err(|_| full)?;
    Ok(to.output.finalize().map_err(|_| full)?.len())
}

/// How many bytes a message takes, even if that is too many for any datagram; [`usize::MAX`] if a length in it exceeds its field.
#[must_use]
pub fn encoded_len<A: Address>(message: &Message<'_, A>) -> usize {
    let mut to = Serializer { output: Size::default() };
    match write(message, &mut to).and_then(|()| to.output.finalize()) {
        Ok(len) => len,
        Err(_) => usize::MAX,
    }
}

/// Whether it is a message that [`decode`](super::decode) could return.
fn check<A: Address>(message: &Message<'_, A>) -> Result<(), EncodeError> {
    let record = match &message.body {
        Body::Request { request: Request::Store { record, .. }, .. }
        | Body::Answer { answer: Answer::Value { record, .. } | Answer::Relayed { found: Some((record, _)), .. }, .. } => record,
        Body::Request { request: Request::Unknown { kind, payload }, .. } if !is_unknown(*kind, payload) => {
            return Err(EncodeError::KnownKind(*kind));
        }
        Body::Request { request: Request::Unknown { .. }, padding: 1.., .. } => return Err(EncodeError::Padding),
        Body::Request { request: Request::FindValue { key, have: Some(version) }, .. } if !can_be(key.kind, *version) => {
            return Err(EncodeError::ImmutableNumber);
        }
        Body::Answer { answer: Answer::Error { code: ErrorCode::Other(code), .. }, .. }
            if ErrorCode::from_tag(*code) != ErrorCode::Other(*code) =>
        {
            return Err(EncodeError::KnownCode(*code));
        }
        _ => return Ok(()),
    };
    record.check().map_err(EncodeError::Record)
}

fn write<A: Address, F: Flavor>(message: &Message<'_, A>, to: &mut Serializer<F>) -> postcard::Result<()> {
    let header = &message.header;
    let kind = match &message.body {
        Body::Request { request, .. } => request_kind(request),
        Body::Answer { answer, .. } => answer_kind(answer),
    };
    let head = Head { version: VERSION, geometry: header.geometry, network: header.network, transaction: header.transaction.0, kind };
    head.serialize(&mut *to)?;
    to.output.try_extend(header.sender.as_bytes())?;
    let features = header.features.0;
    match &message.body {
        Body::Request { largest, token, request, padding } => {
            Asking { features, largest: *largest, token: token.map(|token| token.0) }.serialize(&mut *to)?;
            write_request(request, to)?;
            write_zeros(usize::from(*padding), to)
        }
        Body::Answer { token, answer } => {
            Answering { features, token: token.0 }.serialize(&mut *to)?;
            write_answer(answer, to)
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
        Request::Unknown { kind, .. } => *kind,
    }
}

const fn answer_kind<A: Address>(answer: &Answer<'_, A>) -> u8 {
    match answer {
        Answer::Pong { .. } => kind::PONG,
        Answer::Nodes { .. } => kind::NODES,
        Answer::Value { .. } => kind::VALUE,
        Answer::Held { .. } => kind::HELD,
        Answer::Stored { .. } => kind::STORED,
        Answer::Accepted => kind::ACCEPTED,
        Answer::Relayed { .. } => kind::RELAYED,
        Answer::Error { .. } => kind::ERROR,
    }
}

fn write_request<F: Flavor>(request: &Request<'_>, to: &mut Serializer<F>) -> postcard::Result<()> {
    match request {
        Request::Ping => Ok(()),
        Request::FindNode { target } => to.output.try_extend(target.as_bytes()),
        Request::FindValue { key, have } => {
            to.output.try_push(key.kind as u8)?;
            to.output.try_extend(key.id.as_bytes())?;
            have.map(Which::from).serialize(to)
        }
        Request::Store { record, lifetime, compare, handover } => {
            write_record(record, to)?;
            Terms { lifetime: *lifetime, compare: compare.map(Number), handover: *handover }.serialize(to)
        }
        Request::Relay { question, target, hops, time } => {
            to.output.try_push(match target {
                Target::Nodes(_) => NODES,
                Target::Value(key) => key.kind as u8,
            })?;
            to.output.try_extend(target.id().as_bytes())?;
            Passing { question: question.0, hops: *hops, time: *time }.serialize(to)
        }
        Request::Unknown { payload, .. } => to.output.try_extend(payload),
    }
}

fn write_zeros<F: Flavor>(mut count: usize, to: &mut Serializer<F>) -> postcard::Result<()> {
    let zeros = [0; 32];
    while let Some(left) = count.checked_sub(zeros.len()) {
        to.output.try_extend(&zeros)?;
        count = left;
    }
    to.output.try_extend(zeros.get(..count).unwrap_or_default())
}

fn write_answer<A: Address, F: Flavor>(answer: &Answer<'_, A>, to: &mut Serializer<F>) -> postcard::Result<()> {
    match answer {
        Answer::Pong { observed } => write_address(&observed.encoded, to),
        Answer::Nodes { contacts } => write_contacts(contacts, to),
        Answer::Value { record, lifetime, contacts } => {
            write_record(record, to)?;
            Seconds(*lifetime).serialize(&mut *to)?;
            write_contacts(contacts, to)
        }
        Answer::Held { version, size, contacts } => {
            Which::from(*version).serialize(&mut *to)?;
            Length(*size).serialize(&mut *to)?;
            write_contacts(contacts, to)
        }
        Answer::Stored { lifetime } => Seconds(*lifetime).serialize(to),
        Answer::Accepted => Ok(()),
        Answer::Relayed { hops, found, contacts } => {
            Passed { hops: *hops, found: found.is_some() }.serialize(&mut *to)?;
            if let Some((record, lifetime)) = found {
                write_record(record, to)?;
                Seconds(*lifetime).serialize(&mut *to)?;
            }
            write_contacts(contacts, to)
        }
        Answer::Error { code, detail } => Refusal { code: code.tag(), detail: *detail }.serialize(to),
    }
}

fn write_contacts<A: Address, F: Flavor>(contacts: &Contacts<'_, A>, to: &mut Serializer<F>) -> postcard::Result<()> {
    match contacts.0 {
        Source::Own(contacts) => {
            to.output.try_push(count(contacts.len())?)?;
            for contact in contacts {
                to.output.try_extend(contact.id.as_bytes())?;
                write_address(&contact.address.encode(), to)?;
            }
            Ok(())
        }
        Source::Arrived { count, bytes } => {
            to.output.try_push(count)?;
            to.output.try_extend(bytes)
        }
    }
}

fn write_address<F: Flavor>(address: &EncodedAddress, to: &mut Serializer<F>) -> postcard::Result<()> {
    let bytes = address.as_bytes();
    to.output.try_extend(&[address.family, count(bytes.len())?])?;
    to.output.try_extend(bytes)
}

fn write_record<F: Flavor>(record: &Record<'_>, to: &mut Serializer<F>) -> postcard::Result<()> {
    to.output.try_push(record.kind() as u8)?;
    match record.proof {
        Proof::Plain { id, age } => {
            to.output.try_extend(id.as_bytes())?;
            Number(age).serialize(&mut *to)?;
        }
        Proof::Immutable => {}
        Proof::Signed { public_key, salt, sequence, signature } => {
            to.output.try_extend(public_key)?;
            Number(sequence).serialize(&mut *to)?;
            to.output.try_extend(signature)?;
            to.output.try_push(count(salt.len())?)?;
            to.output.try_extend(salt)?;
        }
    }
    let len = u16::try_from(record.value.len()).map_err(|_| postcard::Error::SerializeBufferFull)?;
    Length(len).serialize(&mut *to)?;
    to.output.try_extend(record.value)
}

/// A count in its one byte. More would fit no datagram.
fn count(count: usize) -> postcard::Result<u8> {
    u8::try_from(count).map_err(|_| postcard::Error::SerializeBufferFull)
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Buffer => f.write_str("the buffer is too small for the message"),
            Self::TooLarge => write!(f, "the message is larger than {MAX_DATAGRAM} bytes"),
            Self::Record(error) => error.fmt(f),
            Self::ImmutableNumber => f.write_str("an immutable record has a version number other than 0"),
            Self::KnownKind(kind) => write!(f, "{kind} is no unknown kind of request"),
            Self::Padding => f.write_str("a request of unknown kind can't be padded"),
            Self::KnownCode(code) => write!(f, "{code} is no unknown error code"),
        }
    }
}

impl core::error::Error for EncodeError {}
