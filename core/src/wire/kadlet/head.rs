//! How every message begins, as postcard reads and writes it.

use serde::{Deserialize, Serialize};

/// Before the transaction, in all versions of the format. The number is in network byte order.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Head {
    pub(super) version: u8,
    pub(super) geometry: u8,
    #[serde(with = "postcard::fixint::be")]
    pub(super) network: u16,
}
