//! Bytes to messages.

use core::fmt;

use serde::Deserialize;

use super::fixed::{Answering, Asking, Head, Length, Number, Passed, Passing, Refusal, Seconds, Terms, Which};
use super::{
    Answer, Body, Contacts, ErrorCode, Features, Header, MAX_DATAGRAM, Message, NODES, Observed, Question, Request, Target, Token,
};
use super::{Transaction, VERSION, can_be, is_unknown, kind, record_kind};
use crate::record::{Key, Kind, Proof, Record, RecordError};
use crate::{Address, Id};

/// Why a datagram is no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// It is of another version of the format: this one. Nothing else of it was looked at.
    Version(u8),
    /// It is longer than [`MAX_DATAGRAM`].
    TooLong,
    /// It ends before what it must contain.
    Truncated,
    /// Bytes follow the end of an answer.
    Trailing,
    /// Bytes other than zero follow the end of a request.
    Padding,
    /// It is an answer of a kind that this version doesn't know: this one. (Of requests these are [`Request::Unknown`].)
    UnknownAnswer(u8),
    /// The record answered with is of a kind that this version doesn't know: this one.
    UnknownRecord(u8),
    /// A byte that says whether something is so, or is there, is neither 0 nor 1.
    Flag,
    /// A record exceeds a bound of all records.
    Record(RecordError),
    /// The version number of an immutable record is not 0.
    ImmutableNumber,
    /// An address is longer than [`MAX_ADDRESS`](crate::MAX_ADDRESS).
    AddressTooLong,
}

/// The message that a datagram is. It borrows from the datagram; nothing is copied but what has a fixed size.
///
/// # Errors
///
/// [`DecodeError`], for any bytes that are not the one encoding of a message.
pub fn decode<A: Address>(datagram: &[u8]) -> Result<Message<'_, A>, DecodeError> {
    match datagram.first() {
        Some(&VERSION) if datagram.len() > MAX_DATAGRAM => return Err(DecodeError::TooLong),
        Some(&VERSION) => {}
        Some(other) => return Err(DecodeError::Version(*other)),
        None => return Err(DecodeError::Truncated),
    }
    let mut from = Reader::new(datagram);
    let head: Head = from.fixed()?;
    let sender = Id::from_bytes(*from.array()?);
    let (features, body) = if head.kind < kind::ANSWERS { read_request(head.kind, &mut from)? } else { read_answer(head.kind, &mut from)? };
    let transaction = Transaction(head.transaction);
    let header = Header { geometry: head.geometry, network: head.network, transaction, sender, features: Features(features) };
    Ok(Message { header, body })
}

fn read_request<'a, A: Address>(kind: u8, from: &mut Reader<'a>) -> Result<(u16, Body<'a, A>), DecodeError> {
    let Asking { features, largest, token } = from.fixed()?;
    let request =
        if is_unknown(kind, from.rest()) { Request::Unknown { kind, payload: from.take_rest() } } else { read_known_request(kind, from)? };
    let padding = from.take_rest();
    // No early exit: the compiler makes wide words of it.
    if padding.iter().fold(0, |any, byte| any | byte) != 0 {
        return Err(DecodeError::Padding);
    }
    let padding = u16::try_from(padding.len()).map_err(|_| DecodeError::TooLong)?;
    Ok((features, Body::Request { largest, token: token.map(Token), request, padding }))
}

fn read_known_request<'a>(kind: u8, from: &mut Reader<'a>) -> Result<Request<'a>, DecodeError> {
    match kind {
        kind::FIND_NODE => Ok(Request::FindNode { target: Id::from_bytes(*from.array()?) }),
        kind::FIND_VALUE => {
            let kind = read_kind(from)?;
            let key = Key { kind, id: Id::from_bytes(*from.array()?) };
            let have = from.fixed::<Option<Which>>()?.map(Into::into);
            if have.is_some_and(|version| !can_be(kind, version)) {
                return Err(DecodeError::ImmutableNumber);
            }
            Ok(Request::FindValue { key, have })
        }
        kind::STORE => {
            let record = read_record(from)?;
            let Terms { lifetime, compare, handover } = from.fixed()?;
            Ok(Request::Store { record, lifetime, compare: compare.map(|number| number.0), handover })
        }
        kind::RELAY => {
            let kind = match from.byte()? {
                NODES => None,
                tag => Some(record_kind(tag).ok_or(DecodeError::UnknownRecord(tag))?),
            };
            let id = Id::from_bytes(*from.array()?);
            let Passing { question, hops, time } = from.fixed()?;
            let target = kind.map_or(Target::Nodes(id), |kind| Target::Value(Key { kind, id }));
            Ok(Request::Relay { question: Question(question), target, hops, time })
        }
        _ => Ok(Request::Ping),
    }
}

fn read_answer<'a, A: Address>(kind: u8, from: &mut Reader<'a>) -> Result<(u16, Body<'a, A>), DecodeError> {
    let Answering { features, token } = from.fixed()?;
    let answer = match kind {
        kind::PONG => Answer::Pong { observed: Observed::read(from)? },
        kind::NODES => Answer::Nodes { contacts: Contacts::read(from)? },
        kind::VALUE => {
            let record = read_record(from)?;
            let Seconds(lifetime) = from.fixed()?;
            Answer::Value { record, lifetime, contacts: Contacts::read(from)? }
        }
        kind::HELD => {
            let version = from.fixed::<Which>()?.into();
            let Length(size) = from.fixed()?;
            Answer::Held { version, size, contacts: Contacts::read(from)? }
        }
        kind::STORED => Answer::Stored { lifetime: from.fixed::<Seconds>()?.0 },
        kind::ACCEPTED => Answer::Accepted,
        kind::RELAYED => {
            let Passed { hops, found } = from.fixed()?;
            let found = if found { Some((read_record(from)?, from.fixed::<Seconds>()?.0)) } else { None };
            Answer::Relayed { hops, found, contacts: Contacts::read(from)? }
        }
        kind::ERROR => {
            let Refusal { code, detail } = from.fixed()?;
            Answer::Error { code: ErrorCode::from_tag(code), detail }
        }
        _ => return Err(DecodeError::UnknownAnswer(kind)),
    };
    if !from.rest().is_empty() {
        return Err(DecodeError::Trailing);
    }
    Ok((features, Body::Answer { token: Token(token), answer }))
}

fn read_record<'a>(from: &mut Reader<'a>) -> Result<Record<'a>, DecodeError> {
    let proof = match read_kind(from)? {
        Kind::Plain => {
            let id = Id::from_bytes(*from.array()?);
            let Number(age) = from.fixed()?;
            Proof::Plain { id, age }
        }
        Kind::Immutable => Proof::Immutable,
        Kind::Signed => {
            let public_key = from.array()?;
            let Number(sequence) = from.fixed()?;
            let signature = from.array()?;
            let salt_len = from.byte()?;
            Proof::Signed { public_key, salt: from.bytes(usize::from(salt_len))?, sequence, signature }
        }
    };
    let Length(value_len) = from.fixed()?;
    let record = Record { value: from.bytes(usize::from(value_len))?, proof };
    record.check().map_err(DecodeError::Record)?;
    Ok(record)
}

fn read_kind(from: &mut Reader<'_>) -> Result<Kind, DecodeError> {
    let tag = from.byte()?;
    record_kind(tag).ok_or(DecodeError::UnknownRecord(tag))
}

/// What is left of a datagram.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) const EMPTY: Self = Self(&[]);

    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) const fn rest(&self) -> &'a [u8] {
        self.0
    }

    fn take_rest(&mut self) -> &'a [u8] {
        core::mem::take(&mut self.0)
    }

    pub(super) fn byte(&mut self) -> Result<u8, DecodeError> {
        let (first, rest) = self.0.split_first().ok_or(DecodeError::Truncated)?;
        self.0 = rest;
        Ok(*first)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<&'a [u8; N], DecodeError> {
        let (array, rest) = self.0.split_first_chunk().ok_or(DecodeError::Truncated)?;
        self.0 = rest;
        Ok(array)
    }

    pub(super) fn bytes(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        let (bytes, rest) = self.0.split_at_checked(len).ok_or(DecodeError::Truncated)?;
        self.0 = rest;
        Ok(bytes)
    }

    fn fixed<T: Deserialize<'a>>(&mut self) -> Result<T, DecodeError> {
        let (value, rest) = postcard::take_from_bytes(self.0).map_err(|error| match error {
            postcard::Error::DeserializeUnexpectedEnd => DecodeError::Truncated,
            _ => DecodeError::Flag,
        })?;
        self.0 = rest;
        Ok(value)
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version(version) => write!(f, "the datagram is of version {version} of the format; this is version {VERSION}"),
            Self::TooLong => write!(f, "the datagram is longer than {MAX_DATAGRAM} bytes"),
            Self::Truncated => f.write_str("the datagram ends too early"),
            Self::Trailing => f.write_str("bytes follow the end of the answer"),
            Self::Padding => f.write_str("the request is padded with other bytes than zeros"),
            Self::UnknownAnswer(kind) => write!(f, "{kind} is no kind of answer"),
            Self::UnknownRecord(kind) => write!(f, "{kind} is no kind of record"),
            Self::Flag => f.write_str("a flag is neither 0 nor 1"),
            Self::Record(error) => error.fmt(f),
            Self::ImmutableNumber => f.write_str("an immutable record has a version number other than 0"),
            Self::AddressTooLong => write!(f, "an address is longer than {} bytes", crate::MAX_ADDRESS),
        }
    }
}

impl core::error::Error for DecodeError {}
