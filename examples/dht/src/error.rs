//! Why a command ended as it did: what happened, what to try, and the exit code.

use core::fmt;
use std::io;
use std::process::ExitCode;

/// The exit codes, but for 0: done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Nobody holds the record.
    NotFound = 1,
    /// The command can't be carried out as it was given.
    Usage = 2,
    /// Nobody answered, or fewer nodes than should hold the record do.
    Network = 3,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// What happened, and what to try.
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

    /// With what to try.
    pub(crate) fn tip(mut self, tip: impl Into<String>) -> Self {
        self.tip = Some(tip.into());
        self
    }

    pub(crate) fn exit(&self) -> Exit {
        self.exit
    }

    /// Whether there is nobody to tell: the reader of our output went away.
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

/// The system failed us: stdout can't be written to, or there are no random bytes.
impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        let silent = error.kind() == io::ErrorKind::BrokenPipe;
        Self { silent, ..Self::new(Exit::Usage, format!("the system refuses: {error}")) }
    }
}
