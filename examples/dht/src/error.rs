//! Why a command failed: what happened, what the user can try, and the exit code.

use core::fmt;
use std::io;
use std::process::ExitCode;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The exit codes of a command that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
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
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Error {
    exit: Exit,
    what: String,
    tip: Option<String>,
    /// Lines that come before it on stderr.
    notes: Vec<String>,
    #[serde(skip)]
    silent: bool,
    /// What the command's JSON object has beside the error.
    object: Box<Map<String, Value>>,
}

impl Error {
    pub(crate) fn new(exit: Exit, what: impl Into<String>) -> Self {
        Self { exit, what: what.into(), tip: None, notes: Vec::new(), silent: false, object: Box::default() }
    }

    /// An error whose text is on stderr already.
    pub(crate) fn told(what: impl Into<String>) -> Self {
        Self { silent: true, ..Self::new(Exit::Usage, what) }
    }

    /// Stdout can't be written to. If its reader has closed the pipe, that is no news to anybody.
    pub(crate) fn stdout(error: &io::Error) -> Self {
        let silent = error.kind() == io::ErrorKind::BrokenPipe;
        Self { silent, ..Self::new(Exit::Usage, format!("can't write to stdout: {error}")) }
    }

    /// Prints its text in any case.
    pub(crate) fn aloud(self) -> Self {
        Self { silent: false, ..self }
    }

    /// Adds what the user can try.
    pub(crate) fn tip(mut self, tip: impl Into<String>) -> Self {
        self.tip = Some(tip.into());
        self
    }

    /// Adds lines that come before it on stderr.
    pub(crate) fn after(self, notes: Vec<String>) -> Self {
        Self { notes, ..self }
    }

    /// Adds what the command's JSON object has beside the error.
    pub(crate) fn with(mut self, object: &impl Serialize) -> Self {
        if let Ok(Value::Object(object)) = serde_json::to_value(object) {
            *self.object = object;
        }
        self
    }

    /// What happened.
    pub(crate) fn what(&self) -> &str {
        &self.what
    }

    /// What happened and what to try, on one line.
    pub(crate) fn brief(&self) -> String {
        self.tip.as_ref().map_or_else(|| self.what.clone(), |tip| format!("{}: {tip}", self.what))
    }

    pub(crate) fn exit(&self) -> Exit {
        self.exit
    }

    /// Whether to print no text: it is on stderr already, or nobody reads the output.
    pub(crate) fn is_silent(&self) -> bool {
        self.silent
    }

    /// The JSON object of the command that failed: its own keys, `error`, and `tip` if there is one.
    pub(crate) fn into_object(self) -> Value {
        let mut object = *self.object;
        object.insert("error".to_owned(), self.what.into());
        self.tip.map(|tip| object.insert("tip".to_owned(), tip.into()));
        Value::Object(object)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.notes.iter().try_for_each(|note| writeln!(f, "{note}"))?;
        write!(f, "kadlet: {}", self.what)?;
        self.tip.as_ref().map_or(Ok(()), |tip| write!(f, "\n  try: {tip}"))
    }
}

/// An error of the system: there are no random bytes, or a signal can't be waited for.
impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::new(Exit::Usage, format!("system error: {error}"))
    }
}
