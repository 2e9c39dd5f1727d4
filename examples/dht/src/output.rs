//! Output on stdout, as text or as JSON, and texts on stderr. A stream that can't be written to never panics.

use core::convert::Infallible;
use core::fmt::Display;
use core::net::SocketAddr;
use core::time::Duration;
use std::io::{self, Write};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::thread;

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
        out.write_all(bytes).and_then(|()| out.flush()).map_err(|error| Error::stdout(&error))
    }

    /// Writes a line.
    pub(crate) fn line(&self, line: &str) -> Result<(), Error> {
        self.bytes(format!("{line}\n").as_bytes())
    }

    /// Writes a text of many lines: as it is, or as the `text` of a JSON object.
    pub(crate) fn text(&self, text: &[u8]) -> Result<(), Error> {
        match self.json {
            true => self.object(&serde_json::json!({ "text": String::from_utf8_lossy(text) })),
            false => self.bytes(text),
        }
    }

    /// Writes a JSON object on a line of its own.
    pub(crate) fn object(&self, object: &impl Serialize) -> Result<(), Error> {
        self.line(&json(object)?)
    }
}

/// An object as a line of JSON.
pub(crate) fn json(object: &impl Serialize) -> Result<String, Error> {
    Ok(serde_json::to_string(object).map_err(io::Error::from)?)
}

/// Writes a line on stderr. A line that can't be written is lost, and nothing else.
pub(crate) fn note(line: impl Display) {
    let _ = io::stderr().write_all(format!("{line}\n").as_bytes());
}

/// Starts a thread.
pub(crate) fn spawn(run: impl FnOnce() + Send + 'static) -> Result<(), Error> {
    thread::Builder::new().spawn(run).map(drop).map_err(|error| cannot_start("a thread", &error))
}

/// The system has no thread or file descriptor left.
pub(crate) fn cannot_start(what: &str, error: &io::Error) -> Error {
    Error::new(Exit::Usage, format!("can't start {what}: {error}"))
        .tip("end other programs of this user, or raise the limits (`ulimit -u`, `ulimit -n`)")
}

/// The most lines that wait for their thread. Further ones are lost.
const QUEUE: usize = 256;
/// How long the end waits for the lines that are not yet written.
const LAST: Duration = Duration::from_secs(1);

/// Lines that a thread of its own writes: a reader that stops reading keeps nothing else waiting.
#[derive(Clone, Debug)]
pub(crate) struct Lines(SyncSender<String>);

/// The thread that writes them.
#[derive(Debug)]
pub(crate) struct Writer(Receiver<Infallible>);

impl Lines {
    /// Starts the thread, which gives each line to `write` until that returns `false`.
    pub(crate) fn start(mut write: impl FnMut(&str) -> bool + Send + 'static) -> Result<(Self, Writer), Error> {
        let (lines, queue) = mpsc::sync_channel::<String>(QUEUE);
        let (running, ended) = mpsc::channel();
        spawn(move || {
            let _ = queue.iter().all(|line| write(&line));
            drop(running);
        })?;
        Ok((Self(lines), Writer(ended)))
    }

    /// Adds a line. It is lost if the queue is full.
    pub(crate) fn line(&self, line: impl Display) {
        let _ = self.0.try_send(line.to_string());
    }
}

impl Writer {
    /// Waits until all lines are written, after all [`Lines`] are dropped. Returns `false` if that takes too long: then
    /// whatever else writes to that stream waits too.
    pub(crate) fn finish(self) -> bool {
        matches!(self.0.recv_timeout(LAST), Err(RecvTimeoutError::Disconnected))
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

/// An event of a node in JSON.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum EventObject {
    ExternalAddress { address: SocketAddr, id: String },
    Serves { serves: bool },
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
    responses_sent: u64,
    responses_received: u64,
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
    records_stored: u64,
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
            responses_sent: stats.responses_sent,
            responses_received: stats.responses_received,
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
            records_stored: stats.records_stored,
            forwarded: stats.forwarded,
            busy: stats.busy,
            not_serving: stats.not_serving,
            small_buffers: stats.small_buffers,
            bad_contacts: stats.bad_contacts,
        }
    }
}
