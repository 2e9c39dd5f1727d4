//! Why a command failed: what happened, what the user can try, and the exit code.

use core::fmt;
use std::io;
use std::process::ExitCode;

/// The exit codes of a command that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// No node that responded holds the record.
    NotFound = 1,
    /// The command can't be executed as given, or this system refused something.
    Usage = 2,
    /// No node responded, or fewer nodes store the record than should.
    Network = 3,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// What happened, and what the user can try.
#[derive(Debug)]
pub(crate) struct Error {
    exit: Exit,
    what: String,
    tip: Option<String>,
    silent: bool,
}

impl Error {
    pub(crate) fn new(exit: Exit, what: impl Into<String>) -> Self {
        Self { exit, what: what.into(), tip: None, silent: false }
    }

    /// Adds what the user can try.
    pub(crate) fn tip(mut self, tip: impl Into<String>) -> Self {
        self.tip = Some(tip.into());
        self
    }

    pub(crate) fn exit(&self) -> Exit {
        self.exit
    }

    /// Whether to print nothing, because the reader of the output has closed the pipe.
    pub(crate) fn is_silent(&self) -> bool {
        self.silent
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "kadlet: {}", self.what)?;
        self.tip.as_ref().map_or(Ok(()), |tip| write!(f, "\n  try: {tip}"))
    }
}

/// An error of the system: stdout can't be written to, or there are no random bytes.
impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        let silent = error.kind() == io::ErrorKind::BrokenPipe;
        Self { silent, ..Self::new(Exit::Usage, format!("system error: {error}")) }
    }
}
