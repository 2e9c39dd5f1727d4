//! The numbers of message kinds, record kinds and error codes.

use crate::message::ErrorCode;
use crate::record::{Kind, Version};

/// The kinds of requests and responses. Those below [`kind::RESPONSES`] are requests.
pub(super) mod kind {
    pub(in super::super) const PING: u8 = 1;
    pub(in super::super) const FIND_NODE: u8 = 2;
    pub(in super::super) const FIND_VALUE: u8 = 3;
    pub(in super::super) const STORE: u8 = 4;
    pub(in super::super) const RELAY: u8 = 5;
    pub(in super::super) const PROBE: u8 = 6;
    pub(in super::super) const RESPONSES: u8 = 0x80;
    pub(in super::super) const PONG: u8 = 0x81;
    pub(in super::super) const NODES: u8 = 0x82;
    pub(in super::super) const VALUE: u8 = 0x83;
    pub(in super::super) const HELD: u8 = 0x84;
    pub(in super::super) const STORED: u8 = 0x85;
    pub(in super::super) const ACCEPTED: u8 = 0x86;
    pub(in super::super) const RELAYED: u8 = 0x87;
    pub(in super::super) const ERROR: u8 = 0xFF;
}

/// In place of a record kind in a relay request: it looks for nodes.
pub(super) const NODES: u8 = 0xFF;

/// Whether a request of this kind, with these bytes after the token, is a
/// [`Request::Unknown`](crate::message::Request::Unknown). A node responds to these with an error, so that a newer node
/// can distinguish a node that doesn't support a request from one that isn't there.
pub(super) fn is_unknown(kind: u8, payload: &[u8]) -> bool {
    match kind {
        kind::PING | kind::FIND_NODE | kind::PROBE => false,
        kind::FIND_VALUE | kind::STORE => payload.first().is_some_and(|tag| record_kind(*tag).is_none()),
        kind::RELAY => payload.first().is_some_and(|tag| *tag != NODES && record_kind(*tag).is_none()),
        _ => kind < kind::RESPONSES,
    }
}

pub(super) fn record_kind(tag: u8) -> Option<Kind> {
    match tag {
        0 => Some(Kind::Plain),
        1 => Some(Kind::Immutable),
        2 => Some(Kind::Signed),
        _ => None,
    }
}

/// Whether a record of this kind can have this version: the number of an immutable record is always 0.
pub(super) fn is_version_of(kind: Kind, version: Version) -> bool {
    kind != Kind::Immutable || version.number == 0
}

pub(super) fn error_code(tag: u8) -> ErrorCode {
    match tag {
        1 => ErrorCode::Token,
        2 => ErrorCode::Unsupported,
        3 => ErrorCode::Busy,
        4 => ErrorCode::TooLarge,
        5 => ErrorCode::Full,
        6 => ErrorCode::Outdated,
        7 => ErrorCode::Conflict,
        8 => ErrorCode::Invalid,
        _ => ErrorCode::Other(tag),
    }
}

pub(super) fn error_tag(code: ErrorCode) -> u8 {
    match code {
        ErrorCode::Token => 1,
        ErrorCode::Unsupported => 2,
        ErrorCode::Busy => 3,
        ErrorCode::TooLarge => 4,
        ErrorCode::Full => 5,
        ErrorCode::Outdated => 6,
        ErrorCode::Conflict => 7,
        ErrorCode::Invalid => 8,
        ErrorCode::Other(tag) => tag,
    }
}
