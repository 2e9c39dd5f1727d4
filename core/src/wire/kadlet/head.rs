//! The beginning of every message, as postcard reads and writes it.

use serde::{Deserialize, Serialize};

/// The fields before the transaction. They are the same in all versions of the format. The network is in network byte
/// order.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Head {
    pub(super) version: u8,
    pub(super) geometry: u8,
    #[serde(with = "postcard::fixint::be")]
    pub(super) network: u16,
}
