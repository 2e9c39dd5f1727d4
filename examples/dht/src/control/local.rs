//! The other end of a control socket: a command that asks a node on this machine.

use core::net::SocketAddr;
use core::time::Duration;
use std::io;
use std::path::{Path, PathBuf};

use super::connection::Connection;
use super::{Reply, Request, Status, place};
use crate::args::Common;
use crate::error::{Error, Exit};
use crate::output::{Success, note};

/// The longest response, in bytes: a full store has 65,536 records.
const RESPONSE: usize = 64 << 20;
/// How long a node may take for what needs no network.
const PROMPT: Duration = Duration::from_secs(5);
/// How much longer than its time limit a node may take for an operation.
const GRACE: Duration = Duration::from_secs(10);

/// A node on this machine, asked over its control socket.
pub(crate) struct Local {
    path: PathBuf,
    connection: Connection,
    status: Success,
    known: Status,
}

impl Local {
    /// Connects to a node of the network in `common`: at `--control`, or else at the first place that has one.
    pub(crate) fn of_network(common: &Common) -> Result<Self, Error> {
        let of_network = |node: &Self| node.known.network == common.network && node.known.geometry == common.geometry;
        let nodes = Self::all(common)?;
        let Some(found) = nodes.into_iter().find(of_network) else {
            let what = format!(
                "no --bootstrap is given, and no node of network {} with the geometry {} runs here",
                common.network, common.geometry
            );
            return Err(Error::new(Exit::Usage, what)
                .tip("--bootstrap ADDR, or $KADLET_BOOTSTRAP; or start a node with `kadlet node`"));
        };
        if common.verbose {
            let Self { path, known, .. } = &found;
            note(format!("no --bootstrap: through the node {} of this machine ({})", known.address, path.display()));
        }
        Ok(found)
    }

    /// Connects to the node at `--control`, or else to the only one of this user.
    pub(crate) fn only(common: &Common) -> Result<Self, Error> {
        let mut nodes = Self::all(common)?;
        let paths: Vec<_> = nodes.iter().map(|node| node.path.display().to_string()).collect();
        match nodes.pop() {
            Some(node) if nodes.is_empty() => Ok(node),
            Some(_) => Err(Error::new(Exit::Usage, format!("{} nodes run here", paths.len()))
                .tip(format!("--control with one of {}", paths.join(", ")))),
            None => Err(Error::new(Exit::Usage, "no node with a control socket runs here").tip(
                "start one with `kadlet node`, or give --control PATH if it was started with that or by another user",
            )),
        }
    }

    fn all(common: &Common) -> Result<Vec<Self>, Error> {
        match &common.control {
            Some(path) => Ok(vec![Self::connect(path).map_err(|error| unreachable(path, &error))?]),
            None => Ok(place::all().iter().filter_map(|path| Self::connect(path).ok()).collect()),
        }
    }

    fn connect(path: &Path) -> io::Result<Self> {
        let mut connection = Connection::new(place::connect(path)?)?;
        match ask(&mut connection, &Request::Status {}, PROMPT)? {
            Reply::Succeeded(status) => {
                let known = serde_json::from_value(status.object.clone())?;
                Ok(Self { path: path.to_owned(), connection, status, known })
            }
            Reply::Failed(error) => Err(io::Error::other(error.what().to_owned())),
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.known.address
    }

    pub(crate) fn network(&self) -> u16 {
        self.known.network
    }

    /// What the node said of itself.
    pub(crate) fn status(self) -> Success {
        self.status
    }

    /// Asks for something that needs no network.
    pub(crate) fn ask(&mut self, request: &Request) -> Result<Success, Error> {
        self.ask_within(request, PROMPT)
    }

    /// Asks for an operation with this time limit.
    pub(crate) fn ask_within(&mut self, request: &Request, limit: Duration) -> Result<Success, Error> {
        match ask(&mut self.connection, request, limit + GRACE) {
            Ok(Reply::Succeeded(done)) => Ok(done),
            Ok(Reply::Failed(error)) => Err(error),
            Err(error) => Err(unreachable(&self.path, &error)),
        }
    }

    /// Waits until the node's process has ended.
    pub(crate) fn ended(mut self, limit: Duration) -> Result<(), Error> {
        match self.connection.receive(RESPONSE, limit) {
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                Err(Error::new(Exit::Network, "the node has not ended within the time limit").tip("a longer --timeout"))
            }
            _ => Ok(()),
        }
    }
}

fn ask(connection: &mut Connection, request: &Request, limit: Duration) -> io::Result<Reply> {
    connection.send(request, PROMPT)?;
    let line = connection.receive(RESPONSE, limit)?;
    let line = line.ok_or_else(|| io::Error::other("the node has closed the connection"))?;
    Ok(serde_json::from_slice(&line)?)
}

fn unreachable(path: &Path, error: &io::Error) -> Error {
    Error::new(Exit::Usage, format!("can't ask a node over the control socket {}: {error}", path.display()))
        .tip("check that a node runs, that it was started with this --control, and by the same user")
}
