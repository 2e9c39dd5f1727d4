//! Output on stdout, as text or as JSON.

use core::net::SocketAddr;
use std::io::{self, Write};

use kadlet::{Contact, QueryStats, Stats};
use serde::Serialize;

use crate::error::{Error, Exit};

/// Where results go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    /// Whether to write JSON.
    pub(crate) json: bool,
}

impl Output {
    /// Writes these bytes and nothing else, and flushes.
    pub(crate) fn bytes(&self, bytes: &[u8]) -> Result<(), Error> {
        let mut out = io::stdout().lock();
        out.write_all(bytes)?;
        Ok(out.flush()?)
    }

    /// Writes a line.
    pub(crate) fn line(&self, line: &str) -> Result<(), Error> {
        self.bytes(format!("{line}\n").as_bytes())
    }

    /// Writes the object of a command without a result, if the output is JSON, and returns its error. A command with
    /// wrong arguments writes no object.
    pub(crate) fn nothing(&self, object: &impl Serialize, error: Error) -> Error {
        match self.json && error.exit() != Exit::Usage {
            true => self.object(object).err().unwrap_or(error),
            false => error,
        }
    }

    /// Writes a JSON object on a line of its own.
    pub(crate) fn object(&self, object: &impl Serialize) -> Result<(), Error> {
        self.line(&serde_json::to_string(object).map_err(io::Error::from)?)
    }
}

/// A node in JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct NodeObject {
    pub(crate) id: String,
    pub(crate) address: SocketAddr,
}

impl From<&Contact<SocketAddr>> for NodeObject {
    fn from(contact: &Contact<SocketAddr>) -> Self {
        Self { id: contact.id.to_string(), address: contact.address }
    }
}

/// A [`QueryStats`] in JSON: the counts of every lookup.
#[derive(Debug, Serialize)]
pub(crate) struct QueryStatsObject {
    asked: u16,
    responded: u16,
    timed_out: u16,
    refused: u16,
    hops: u8,
    relayed: bool,
    fell_back: bool,
}

impl From<&QueryStats> for QueryStatsObject {
    fn from(stats: &QueryStats) -> Self {
        let QueryStats { asked, responded, timed_out, refused, hops, relayed, fell_back, .. } = *stats;
        Self { asked, responded, timed_out, refused, hops, relayed, fell_back }
    }
}

/// [`Stats`] in JSON, with the sizes of the node's table and store.
#[derive(Debug, Serialize)]
pub(crate) struct StatsObject {
    pub(crate) contacts: usize,
    pub(crate) records: usize,
    pub(crate) record_bytes: usize,
    received: u64,
    received_bytes: u64,
    sent: u64,
    sent_bytes: u64,
    responded: u64,
    responses: u64,
    retransmits: u64,
    timeouts: u64,
    malformed: u64,
    wrong_version: u64,
    wrong_geometry: u64,
    wrong_network: u64,
    unsolicited: u64,
    spoofed: u64,
    rate_limited: u64,
    bad_tokens: u64,
    refused_stores: u64,
    stored: u64,
    forwarded: u64,
    busy: u64,
    not_serving: u64,
    small_buffers: u64,
    bad_contacts: u64,
}

impl StatsObject {
    pub(crate) fn new(contacts: usize, records: usize, record_bytes: usize, stats: &Stats) -> Self {
        Self {
            contacts,
            records,
            record_bytes,
            received: stats.received,
            received_bytes: stats.received_bytes,
            sent: stats.sent,
            sent_bytes: stats.sent_bytes,
            responded: stats.responses_sent,
            responses: stats.responses_received,
            retransmits: stats.retransmits,
            timeouts: stats.timeouts,
            malformed: stats.malformed,
            wrong_version: stats.wrong_version,
            wrong_geometry: stats.wrong_geometry,
            wrong_network: stats.wrong_network,
            unsolicited: stats.unsolicited,
            spoofed: stats.spoofed,
            rate_limited: stats.rate_limited,
            bad_tokens: stats.bad_tokens,
            refused_stores: stats.refused_stores,
            stored: stats.records_stored,
            forwarded: stats.forwarded,
            busy: stats.busy,
            not_serving: stats.not_serving,
            small_buffers: stats.small_buffers,
            bad_contacts: stats.bad_contacts,
        }
    }
}
