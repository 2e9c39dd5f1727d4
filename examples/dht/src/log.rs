//! The log of a node, on stderr: lines with a time and a level. Under systemd, which adds the time itself, without one.

use core::fmt;
use std::env;
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

use clap::ValueEnum;
use tracing::Level;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};

use crate::error::{Error, Exit};
use crate::output::Lines;

/// How much is logged: lines of this level and of those above it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogLevel {
    /// What ends the node or loses data.
    Error,
    /// What the operator should look at.
    Warn,
    /// What the node does that is not everyday: it joins, its address changes.
    Info,
    /// Also what it is asked over its control socket, and which nodes it joined.
    Debug,
    /// Also each request that it forwards.
    Trace,
}

impl From<LogLevel> for Level {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Error => Self::ERROR,
            LogLevel::Warn => Self::WARN,
            LogLevel::Info => Self::INFO,
            LogLevel::Debug => Self::DEBUG,
            LogLevel::Trace => Self::TRACE,
        }
    }
}

/// Where the log goes until [`end`].
static LINES: Mutex<Option<Lines>> = Mutex::new(None);

/// Begins the log.
pub(crate) fn start(level: LogLevel, lines: Lines) -> Result<(), Error> {
    *LINES.lock().unwrap_or_else(PoisonError::into_inner) = Some(lines);
    let journal = env::var_os("JOURNAL_STREAM").is_some();
    let log = tracing_subscriber::fmt()
        .with_max_level(Level::from(level))
        .with_target(false)
        .with_ansi(false)
        .with_timer(Clock { journal })
        .with_writer(|| Line)
        .try_init();
    log.map_err(|error| Error::new(Exit::Usage, format!("can't begin the log: {error}")))
}

/// Ends the log: what waits is still written.
pub(crate) fn end() {
    drop(LINES.lock().unwrap_or_else(PoisonError::into_inner).take());
}

/// One line of the log, which a thread of its own writes: a reader that stops reading keeps nobody waiting.
struct Line;

impl Write for Line {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if let Some(lines) = &*LINES.lock().unwrap_or_else(PoisonError::into_inner) {
            lines.line(String::from_utf8_lossy(line).trim_end());
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Clock {
    journal: bool,
}

impl FormatTime for Clock {
    fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
        if self.journal { Ok(()) } else { SystemTime.format_time(writer) }
    }
}
