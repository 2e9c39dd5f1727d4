//! The parts of messages that have one shape, as postcard reads and writes them: numbers in network byte order, flags of one
//! byte, and for what may be absent a byte 0, or 1 and then it.

use serde::{Deserialize, Serialize};

use crate::record::Version;

/// Before the sender's identifier. All versions of the format have it.
#[derive(Serialize, Deserialize)]
pub(super) struct Head {
    pub(super) version: u8,
    pub(super) geometry: u8,
    #[serde(with = "postcard::fixint::be")]
    pub(super) network: u16,
    pub(super) transaction: [u8; 8],
    pub(super) kind: u8,
}

/// After the sender's identifier, in a request.
#[derive(Serialize, Deserialize)]
pub(super) struct Asking {
    #[serde(with = "postcard::fixint::be")]
    pub(super) features: u16,
    #[serde(with = "postcard::fixint::be")]
    pub(super) largest: u16,
    pub(super) token: Option<[u8; 8]>,
}

/// After the sender's identifier, in an answer.
#[derive(Serialize, Deserialize)]
pub(super) struct Answering {
    #[serde(with = "postcard::fixint::be")]
    pub(super) features: u16,
    pub(super) token: [u8; 8],
}

/// How a record is to be stored.
#[derive(Serialize, Deserialize)]
pub(super) struct Terms {
    #[serde(with = "postcard::fixint::be")]
    pub(super) lifetime: u32,
    pub(super) compare: Option<Number>,
    pub(super) handover: bool,
}

/// How far and how long a question may be passed on.
#[derive(Serialize, Deserialize)]
pub(super) struct Passing {
    pub(super) question: [u8; 8],
    pub(super) hops: u8,
    #[serde(with = "postcard::fixint::be")]
    pub(super) time: u16,
}

/// How far a question was passed on, and whether a record was found.
#[derive(Serialize, Deserialize)]
pub(super) struct Passed {
    pub(super) hops: u8,
    pub(super) found: bool,
}

/// Which of the values that a key ever had.
#[derive(Serialize, Deserialize)]
pub(super) struct Which {
    #[serde(with = "postcard::fixint::be")]
    number: u64,
    #[serde(with = "postcard::fixint::be")]
    digest: u64,
}

/// Why a request can't be met.
#[derive(Serialize, Deserialize)]
pub(super) struct Refusal {
    pub(super) code: u8,
    #[serde(with = "postcard::fixint::be")]
    pub(super) detail: u64,
}

/// Eight bytes, where serde's attribute can't reach: within an `Option`.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(super) struct Number(#[serde(with = "postcard::fixint::be")] pub(super) u64);

/// Four bytes.
#[derive(Serialize, Deserialize)]
pub(super) struct Seconds(#[serde(with = "postcard::fixint::be")] pub(super) u32);

/// Two bytes.
#[derive(Serialize, Deserialize)]
pub(super) struct Length(#[serde(with = "postcard::fixint::be")] pub(super) u16);

impl From<Version> for Which {
    fn from(version: Version) -> Self {
        Self { number: version.number, digest: version.digest }
    }
}

impl From<Which> for Version {
    fn from(which: Which) -> Self {
        Self { number: which.number, digest: which.digest }
    }
}
