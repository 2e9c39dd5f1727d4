//! The parts of messages in text: identifiers, keys, versions, addresses, contacts, records.

use core::fmt;

use kadlet::message::{Contacts, ErrorCode, ReceivedContact};
use kadlet::record::{Proof, Version};
use kadlet::wire::Rules;
use kadlet::{Address, EncodedAddress, Id, Key, Kind, MAX_ADDRESS, Record};

use crate::lines::{Fields, Hex, TextError, Writer, unhex};

/// The lifetime of all records where the format tells none, in seconds.
pub const LIFETIME: u32 = 7_200;

pub fn read_id(text: &str) -> Option<Id> {
    text.parse().ok()
}

pub fn read_network(text: &str) -> Option<(u8, u16)> {
    let (geometry, network) = text.split_once('.')?;
    Some((geometry.parse().ok()?, network.parse().ok()?))
}

pub fn read_version(text: &str) -> Option<Version> {
    let (number, digest) = text.split_once('.')?;
    Some(Version { number: number.parse().ok()?, digest: digest.parse().ok()? })
}

pub fn write_version(name: &str, version: &Version, to: &mut Writer<'_>) {
    to.pair(name, format_args!("{}.{}", version.number, version.digest));
}

pub fn read_key(text: &str) -> Option<Key> {
    let (kind, id) = text.split_once('.')?;
    let kind = [Kind::Plain, Kind::Immutable, Kind::Signed].into_iter().find(|known| kind_name(*known) == kind)?;
    Some(Key { kind, id: id.parse().ok()? })
}

pub fn write_key(key: &Key, to: &mut Writer<'_>) {
    to.pair("key", format_args!("{}.{}", kind_name(key.kind), key.id));
}

const fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Plain => "plain",
        Kind::Immutable => "immutable",
        Kind::Signed => "signed",
    }
}

/// An address: its family, and its bytes in hexadecimal digits.
#[derive(Debug)]
pub struct Encoded(pub EncodedAddress);

impl fmt::Display for Encoded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0.family, Hex(self.0.as_bytes()))
    }
}

pub fn read_address(text: &str) -> Option<EncodedAddress> {
    let (family, digits) = text.split_once('.')?;
    let bytes = unhex(digits).filter(|bytes| bytes.len() <= MAX_ADDRESS)?;
    Some(EncodedAddress::new(family.parse().ok()?, &bytes))
}

/// Contacts: `id@address`, with commas between them.
pub fn read_contacts<A: Address>(text: &str) -> Option<Contacts<'_, A>> {
    let mut rest = text.as_bytes();
    while !rest.is_empty() {
        next_contact(&mut rest)?;
    }
    Some(Contacts::received(text.as_bytes(), next_contact))
}

fn next_contact(bytes: &mut &[u8]) -> Option<ReceivedContact> {
    let text = core::str::from_utf8(bytes).ok()?;
    let (first, rest) = text.split_once(',').unwrap_or((text, ""));
    let (id, address) = first.split_once('@')?;
    *bytes = rest.as_bytes();
    Some(ReceivedContact { id: id.parse().ok()?, address: read_address(address)? })
}

pub fn write_contacts<A: Address>(contacts: &Contacts<'_, A>, to: &mut Writer<'_>) {
    let texts: Vec<_> = contacts.encoded().map(|(id, address)| format!("{id}@{}", Encoded(address))).collect();
    to.pair("contacts", texts.join(","));
}

pub fn read_lifetime(fields: &Fields<'_>, rules: &Rules) -> Result<u32, TextError> {
    if rules.lifetimes { fields.number("lifetime") } else { Ok(LIFETIME) }
}

pub fn read_record<'a>(fields: &Fields<'a>) -> Result<Record<'a>, TextError> {
    let mut parts = fields.text("record")?.split('.');
    let mut part = || parts.next().unwrap_or_default();
    let wrong = TextError::Field("record");
    let proof = match part() {
        "plain" => Proof::Plain { id: read_id(part()).ok_or(wrong)?, age: part().parse().map_err(|_| wrong)? },
        "immutable" => Proof::Immutable,
        "signed" => Proof::Signed {
            public_key: fields.raw("public_key")?.try_into().map_err(|_| wrong)?,
            salt: fields.raw("salt")?,
            sequence: part().parse().map_err(|_| wrong)?,
            signature: fields.raw("signature")?.try_into().map_err(|_| wrong)?,
        },
        _ => return Err(wrong),
    };
    let record = Record { value: fields.raw("value")?, proof };
    record.check().map_err(|_| wrong)?;
    Ok(record)
}

pub fn write_record(record: &Record<'_>, to: &mut Writer<'_>) {
    match record.proof {
        Proof::Plain { id, age } => to.pair("record", format_args!("plain.{id}.{age}")),
        Proof::Immutable => to.pair("record", "immutable"),
        Proof::Signed { public_key, salt, sequence, signature } => {
            to.pair("record", format_args!("signed.{sequence}"));
            to.raw("public_key", public_key);
            to.raw("salt", salt);
            to.raw("signature", signature);
        }
    }
    to.raw("value", record.value);
}

/// The names of errors. Others have their number.
const CODES: [(ErrorCode, &str); 8] = [
    (ErrorCode::Token, "token"),
    (ErrorCode::Unsupported, "unsupported"),
    (ErrorCode::Busy, "busy"),
    (ErrorCode::TooLarge, "too_large"),
    (ErrorCode::Full, "full"),
    (ErrorCode::Outdated, "outdated"),
    (ErrorCode::Conflict, "conflict"),
    (ErrorCode::Invalid, "invalid"),
];

pub fn read_code(text: &str) -> Option<ErrorCode> {
    let named = CODES.iter().find(|(_, name)| *name == text).map(|(code, _)| *code);
    named.or_else(|| Some(ErrorCode::Other(text.parse().ok()?)))
}

pub fn write_code(code: ErrorCode, to: &mut Writer<'_>) {
    match (CODES.iter().find(|(known, _)| *known == code), code) {
        (Some((_, name)), _) => to.pair("error", name),
        (None, ErrorCode::Other(number)) => to.pair("error", number),
        (None, code) => unreachable!("{code} has a name"),
    }
}
