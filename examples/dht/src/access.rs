//! How a command reaches the network: as a client of its own, or through a node on this machine.

use core::time::Duration;

use kadlet::{Id, Key, Options, Record};

use crate::args::{ClientArgs, Common, Lookup};
use crate::control::{Call, Local, Request};
use crate::error::{Error, Exit};
use crate::get;
use crate::network::{Client, OperationError, Table, stats};
use crate::output::Success;
use crate::put;
use crate::trace::{GET, PUT};

/// A way to the network.
pub(crate) enum Access<R: Table> {
    /// A client, which joins through `--bootstrap`.
    Client(Client<R>),
    /// A node on this machine, which has joined already.
    Local { node: Local, call: Call },
}

impl<R: Table> Access<R> {
    /// Joins through the bootstrap addresses. If there are none, connects to a node on this machine.
    pub(crate) fn open(args: &ClientArgs, common: &Common) -> Result<Self, Error> {
        if !args.bootstrap.is_empty() {
            return Client::join(args, common).map(Self::Client);
        }
        if args.listen.is_some() {
            return Err(Error::new(Exit::Usage, "--listen is the address of a client, which needs --bootstrap too"));
        }
        let call = call(common.timeout, args.lookup == Lookup::Recursive);
        Local::of_network(common).map(|node| Self::Local { node, call })
    }

    pub(crate) fn get(&mut self, key: Key) -> Result<Success, Error> {
        match self {
            Self::Client(client) => {
                let doing = format!("looking for the record with id {}", key.id);
                let found = client.search(&doing, key.id, GET).get(key, &client.options());
                let (stats, nearest) = match &found {
                    Ok(got) => (got.stats, &got.holders[..]),
                    Err(error @ OperationError::NotFound { closest, .. }) => (stats(error), &closest[..]),
                    Err(error) => (stats(error), &[][..]),
                };
                client.end(&stats, nearest);
                get::got(key, &found)
            }
            Self::Local { node, call } => node.ask_within(&put::get_request(key, *call), call.limit()?),
        }
    }

    /// The sequence number of the record under a key; 0 if there is none.
    pub(crate) fn held_sequence(&mut self, key: Key) -> Result<u64, Error> {
        held_sequence(match self {
            Self::Client(client) => {
                let handle = client.search("looking for the stored sequence number", key.id, GET);
                get::got(key, &handle.get(key, &client.options()))
            }
            Self::Local { .. } => self.get(key),
        })
    }

    pub(crate) fn put(
        &mut self,
        record: &Record<'_>,
        lifetime: Duration,
        compare: Option<u64>,
    ) -> Result<Success, Error> {
        match self {
            Self::Client(client) => {
                let id = record.key().id;
                let options = Options { lifetime, compare, ..client.options() };
                let handle = client.search(&format!("putting the record with id {id}"), id, PUT);
                put::done(record, &handle.put(record, &options), &options)
            }
            Self::Local { node, call } => {
                node.ask_within(&put::put_request(record, lifetime, compare, false, *call), call.limit()?)
            }
        }
    }

    pub(crate) fn find(&mut self, target: Id) -> Result<Success, Error> {
        match self {
            Self::Client(client) => {
                let handle = client.search(&format!("looking for the nodes nearest to {target}"), target, "");
                let found = handle.find_node(target, &client.options());
                if let Ok(found) = &found {
                    client.end(&found.stats, &found.nodes);
                }
                get::found::<R>(target, &found)
            }
            Self::Local { node, call } => {
                node.ask_within(&Request::Find { id: target.to_string(), call: *call }, call.limit()?)
            }
        }
    }
}

/// How a node on this machine is to do an operation.
pub(crate) fn call(timeout: Duration, recursive: bool) -> Call {
    Call { timeout_ms: u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX), recursive }
}

/// The sequence number of the record that a get found; 0 if it found none.
pub(crate) fn held_sequence(got: Result<Success, Error>) -> Result<u64, Error> {
    match got {
        Ok(done) => Ok(done.object["sequence"].as_u64().unwrap_or(0)),
        Err(error) if error.exit() == Exit::NotFound => Ok(0),
        Err(error) => Err(error),
    }
}
