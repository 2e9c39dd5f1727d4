//! The command line, the environment, and the file `kadlet.toml`. Of what they say, an argument counts first, then a
//! variable `KADLET_*`, then the file, then the default.
//!
//! The keys of the file are the long names of the options of `kadlet node`, and `lookup`. They are the defaults of all
//! commands that have these options, except that `listen` is for nodes alone. So the file needs no list of its own:
//! what becomes an option becomes a key.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use clap::builder::Resettable;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command, CommandFactory, FromArgMatches};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::args::Cli;
use crate::error::{Error, Exit};

/// The most bytes of a file that are read.
const MOST: u64 = 1 << 20;
/// Options of `node` that are no keys of the file.
const NO_KEYS: [&str; 3] = ["config", "help", "version"];
/// Keys that other commands than `node` have too, of those that are not for all commands.
const OF_CLIENTS: [&str; 2] = ["bootstrap", "lookup"];

/// Why there is no command.
pub(crate) enum Refused {
    /// The command line is wrong, or asks for help.
    Line(clap::Error),
    /// The file is wrong.
    File(Error),
}

/// A key of the file.
struct Setting {
    key: String,
    values: Vec<String>,
}

/// The command that these arguments, the environment and the file say.
pub(crate) fn parse(args: &[OsString]) -> Result<Cli, Refused> {
    let command = without_empty_variables(Cli::command());
    let first = command.clone().try_get_matches_from(args).map_err(Refused::Line)?;
    let given = first.get_one::<PathBuf>("config").cloned();
    let path = given.clone().or_else(place);
    let text = path.as_deref().map_or(Ok(None), |path| read(path, given.is_some())).map_err(Refused::File)?;
    let matches = match (&path, text) {
        (Some(path), Some(text)) => {
            let settings = settings(&command, path, &text).map_err(Refused::File)?;
            let settings: Vec<_> = settings.into_iter().filter(|setting| !is_overruled(setting, &first)).collect();
            let command = settings.iter().fold(command, with_default);
            command.try_get_matches_from(args).map_err(Refused::Line)?
        }
        _ => first,
    };
    Cli::from_arg_matches(&matches).map_err(Refused::Line)
}

/// The file's place if none is given: in the user's folder of configurations.
fn place() -> Option<PathBuf> {
    let absolute = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let folder = match cfg!(windows) {
        true => absolute("APPDATA"),
        false => absolute("XDG_CONFIG_HOME").or_else(|| absolute("HOME").map(|home| home.join(".config"))),
    };
    folder.map(|folder| folder.join("kadlet").join("kadlet.toml"))
}

/// Reads the file. One that need not be there can be missing, also in a folder that this user can't enter.
fn read(path: &Path, must: bool) -> Result<Option<String>, Error> {
    if !must && fs::metadata(path).is_err() {
        return Ok(None);
    }
    let mut text = String::new();
    File::open(path).and_then(|file| file.take(MOST).read_to_string(&mut text)).map_err(|error| {
        let what = format!("can't read the configuration {}: {error}", path.display());
        Error::new(Exit::Usage, what).tip("check its path and its permissions, or another --config")
    })?;
    Ok(Some(text))
}

/// What the file says.
fn settings(command: &Command, path: &Path, text: &str) -> Result<Vec<Setting>, Error> {
    let known = keys(command);
    let line = |offset: usize| 1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count();
    let table = DeTable::parse(text).map_err(|error| {
        let line = line(error.span().map_or(0, |span| span.start));
        wrong(path, line, error.message()).tip("a line is `key = value`; `kadlet help node` has an example")
    })?;
    let mut settings = Vec::new();
    for (key, value) in table.get_ref() {
        let (name, line) = (key.get_ref().to_string(), line(key.span().start));
        let Some(option) = known.iter().find(|option| option.get_long() == Some(&name)) else {
            let names: Vec<_> = known.iter().filter_map(|option| option.get_long()).collect();
            return Err(wrong(path, line, &format!("there is no key `{name}`"))
                .tip(format!("the keys are {}", names.join(", "))));
        };
        let values = values(option, value).map_err(|what| wrong(path, line, &format!("`{name}` {what}")))?;
        settings.push(Setting { key: name, values });
    }
    Ok(settings)
}

/// The options that are keys of the file.
fn keys(command: &Command) -> Vec<&Arg> {
    let of = |name| command.find_subcommand(name).into_iter().flat_map(Command::get_arguments);
    let lookup = of("get").filter(|option| option.get_long() == Some("lookup"));
    let all = command.get_arguments().chain(of("node")).chain(lookup);
    all.filter(|option| option.get_long().is_some_and(|key| !NO_KEYS.contains(&key))).collect()
}

/// The values of an option, as the command line would have them. An error says what they must be.
fn values(option: &Arg, value: &Spanned<DeValue<'_>>) -> Result<Vec<String>, String> {
    let text = |value: &DeValue<'_>| match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => Some(number.to_string()),
        DeValue::Float(number) => Some(number.to_string()),
        _ => None,
    };
    let one = || text(value.get_ref()).map(|text| vec![text]);
    let (values, must) = match (option.get_action(), value.get_ref()) {
        (ArgAction::SetTrue, DeValue::Boolean(is)) => return Ok(vec![is.to_string()]),
        (ArgAction::SetTrue, _) => (None, "must be true or false"),
        (ArgAction::Append, DeValue::Array(list)) => {
            (list.iter().map(|value| text(value.get_ref())).collect(), "must be a list of strings")
        }
        (ArgAction::Append, _) => (one(), "must be a string, or a list of strings"),
        _ => (one(), "must be a string or a number"),
    };
    let values: Vec<_> = values.ok_or_else(|| must.to_owned())?;
    // What clap says of the same values on a command line.
    let alone = Arg::new("value")
        .long("value")
        .action(ArgAction::Append)
        .value_parser(option.get_value_parser().clone())
        .value_delimiter(option.get_value_delimiter());
    let args = values.iter().map(|value| format!("--value={value}"));
    match Command::new("kadlet").no_binary_name(true).arg(alone).try_get_matches_from(args) {
        Ok(_) => Ok(values),
        Err(error) => {
            let text = error.render().to_string();
            let text = text.split("\n\n").next().unwrap_or_default().trim_start_matches("error: ");
            Err(format!("has an {}", text.replace(" for '--value <value>'", "")))
        }
    }
}

/// Whether the command line or the environment says the opposite.
fn is_overruled(setting: &Setting, first: &ArgMatches) -> bool {
    setting.key == "no-control" && is_explicit(first, "control")
}

/// Whether the command line or the environment has an option.
fn is_explicit(matches: &ArgMatches, id: &str) -> bool {
    let source = |matches: &ArgMatches| matches.try_contains_id(id).is_ok().then(|| matches.value_source(id)).flatten();
    let own = source(matches).or_else(|| matches.subcommand().and_then(|(_, matches)| source(matches)));
    own.is_some_and(|source| source != ValueSource::DefaultValue)
}

/// Makes a setting the default of the options that it is for.
fn with_default(command: Command, setting: &Setting) -> Command {
    let has = |command: &Command| command.get_arguments().any(|arg| arg.get_long() == Some(&setting.key));
    let set = |command: Command| {
        let id = setting.key.replace('-', "_");
        command.mut_arg(id, |arg| arg.default_values(setting.values.clone()))
    };
    if has(&command) {
        return set(command);
    }
    command.mut_subcommands(|command| {
        let is_for = command.get_name() == "node" || OF_CLIENTS.contains(&&setting.key[..]);
        if is_for && has(&command) { set(command) } else { command }
    })
}

fn wrong(path: &Path, line: usize, what: &str) -> Error {
    Error::new(Exit::Usage, format!("{}:{line}: {what}", path.display()))
}

/// A variable that is empty counts as one that isn't set.
fn without_empty_variables(command: Command) -> Command {
    let is_empty = |name: &OsStr| env::var_os(name).is_some_and(|value| value.is_empty());
    command
        .mut_args(|arg| match arg.get_env().is_some_and(is_empty) {
            true => arg.env(Resettable::Reset),
            false => arg,
        })
        .mut_subcommands(without_empty_variables)
}
