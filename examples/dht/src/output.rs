//! Output on stdout, as text or as JSON, and texts on stderr. A stream that can't be written to never panics.

use core::convert::Infallible;
use core::fmt::Display;
use core::net::SocketAddr;
use core::time::Duration;
use std::io::{self, IsTerminal, Write};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::thread;

use anstyle::Style;
use kadlet::routing::ContactState;
use kadlet::{Contact, Dht, QueryStats, Routing, Stats, Store};
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

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

    /// Writes a line in a style, which is left out where stdout has none: in a file or a pipe, or with `NO_COLOR`.
    pub(crate) fn styled(&self, style: Style, line: &str) -> Result<(), Error> {
        let mut out = anstream::stdout().lock();
        writeln!(out, "{style}{line}{style:#}").and_then(|()| out.flush()).map_err(|error| Error::stdout(&error))
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

/// The first line of a node in JSON.
#[derive(Debug, Serialize)]
pub(crate) struct StartObject {
    #[serde(flatten)]
    pub(crate) node: NodeObject,
    /// The address of the page for Prometheus.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) metrics: Option<SocketAddr>,
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
#[derive(Clone, Copy, Debug)]
pub(crate) struct StatsObject {
    pub(crate) contacts: usize,
    /// Contacts that responded to the last request that the node sent them.
    pub(crate) verified: usize,
    pub(crate) records: usize,
    pub(crate) record_bytes: usize,
    /// Records that this node publishes.
    pub(crate) published: usize,
    pub(crate) operations: usize,
    pub(crate) stats: Stats,
}

/// A counter of a node: its name, what it counts, and its value.
pub(crate) type Counter = (&'static str, &'static str, fn(&Stats) -> u64);

/// All counters of [`Stats`].
pub(crate) const COUNTERS: [Counter; 24] = [
    ("received", "Datagrams received", |stats| stats.received),
    ("received_bytes", "Bytes of the datagrams received", |stats| stats.received_bytes),
    ("sent", "Datagrams sent", |stats| stats.sent),
    ("sent_bytes", "Bytes of the datagrams sent", |stats| stats.sent_bytes),
    ("responses_sent", "Responses to requests of other nodes, errors included", |stats| stats.responses_sent),
    ("responses_received", "Responses to own requests", |stats| stats.responses_received),
    ("retransmits", "Retransmissions of own requests", |stats| stats.retransmits),
    ("timeouts", "Own requests without a response after their last attempt", |stats| stats.timeouts),
    ("malformed", "Datagrams dropped because they are no message", |stats| stats.malformed),
    ("wrong_version", "Datagrams dropped because they are of another version", |stats| stats.wrong_version),
    ("wrong_geometry", "Datagrams dropped because they are of another geometry", |stats| stats.wrong_geometry),
    ("wrong_network", "Datagrams dropped because they are of another network", |stats| stats.wrong_network),
    ("unsolicited", "Responses dropped because nobody waits for them", |stats| stats.unsolicited),
    ("spoofed", "Responses dropped because they are from another address or node than asked", |stats| stats.spoofed),
    ("rate_limited", "Requests over the rate limit", |stats| stats.rate_limited),
    ("bad_tokens", "Requests with an invalid or expired token", |stats| stats.bad_tokens),
    ("refused_stores", "Stores of other nodes refused", |stats| stats.refused_stores),
    ("records_stored", "Records of other nodes stored", |stats| stats.records_stored),
    ("forwarded", "Relay requests of other nodes forwarded", |stats| stats.forwarded),
    ("busy", "Relay requests of other nodes refused", |stats| stats.busy),
    ("not_serving", "Requests dropped because the node is a client", |stats| stats.not_serving),
    ("small_buffers", "Datagrams not written because there was no room for them", |stats| stats.small_buffers),
    ("bad_contacts", "Contacts named by other nodes and not accepted", |stats| stats.bad_contacts),
    ("unopened", "Datagrams dropped because the network's key does not open them", |stats| stats.unopened),
];

impl StatsObject {
    /// Those of a node now.
    pub(crate) fn of<M: Dht>(node: &M) -> Self {
        let (table, store) = (node.routing(), node.store());
        let published = (0..store.len()).filter(|slot| store.get(*slot).is_some_and(|stored| stored.metadata.pinned));
        Self {
            contacts: table.peers().count(),
            verified: table.peers().filter(|peer| peer.state == ContactState::Verified).count(),
            records: store.len(),
            record_bytes: store.bytes(),
            published: published.count(),
            operations: node.operations(),
            stats: *node.stats(),
        }
    }

    /// The sizes: name, what it is, and value.
    pub(crate) fn sizes(&self) -> [(&'static str, &'static str, usize); 6] {
        [
            ("contacts", "Contacts in the table", self.contacts),
            ("verified_contacts", "Contacts that responded to the last request", self.verified),
            ("records", "Records in the store", self.records),
            ("record_bytes", "Bytes of the records in the store", self.record_bytes),
            ("published_records", "Records that this node publishes", self.published),
            ("operations", "Operations that run now, those of maintenance among them", self.operations),
        ]
    }
}

impl Serialize for StatsObject {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        self.sizes().iter().try_for_each(|(name, _, size)| map.serialize_entry(name, size))?;
        COUNTERS.iter().try_for_each(|(name, _, value)| map.serialize_entry(name, &value(&self.stats)))?;
        map.end()
    }
}

/// What a command has done or found out. A node on this machine makes it as the command itself does.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Success {
    /// Its JSON object, from which its text is made too.
    pub(crate) object: Value,
    /// Lines for stderr.
    pub(crate) notes: Vec<String>,
    /// Further lines for stderr with `--verbose`.
    pub(crate) details: Vec<String>,
}

impl Success {
    pub(crate) fn new(object: impl Serialize) -> Self {
        let object = serde_json::to_value(object).unwrap_or_default();
        Self { object, notes: Vec::new(), details: Vec::new() }
    }

    /// Prints it: as JSON, or as the text that `text` makes of its object.
    pub(crate) fn show(
        &self,
        verbose: bool,
        out: &Output,
        text: impl FnOnce(&Value, &Output) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.notes.iter().for_each(note);
        self.details.iter().filter(|_| verbose).for_each(note);
        if out.json { out.object(&self.object) } else { text(&self.object, out) }
    }
}

/// Whether a person reads stdout.
pub(crate) fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Rows as text, each column as wide as its widest cell. The first row is the header.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<_> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}

/// The value under a name in an object as text: nothing for what is missing or null.
pub(crate) fn cell(object: &Value, name: &str) -> String {
    match &object[name] {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The objects of an array under a name.
pub(crate) fn rows<'a>(object: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    object[name].as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_counter_of_a_node_has_a_name() {
        let fields = format!("{:?}", Stats::ZERO);
        assert_eq!(fields.matches(':').count(), COUNTERS.len(), "{fields}");
        for (name, _, value) in COUNTERS {
            assert!(fields.contains(&format!(" {name}: ")), "{name} in {fields}");
            assert_eq!(value(&Stats::ZERO), 0);
        }
    }

    #[test]
    fn the_columns_of_a_table_are_as_wide_as_their_widest_cells() {
        let rows = [vec!["a".into(), "b".into()], vec!["long".into(), "c".into()]];
        assert_eq!(table(&rows), "a     b\nlong  c\n");
    }
}
