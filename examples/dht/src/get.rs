//! `get`, `find` and `ping`: the commands that only read.

use core::net::SocketAddr;

use kadlet::record::Kind;
use kadlet::{Contact, Geometry, Id, Key, QueryStats};
use kadlet_udp::{Got, ProofBuf};
use serde::Serialize;
use serde_json::json;

use crate::args::{Common, Find, Get, Ping};
use crate::bootstraps::sendable;
use crate::error::{Error, Exit};
use crate::network::{Client, OperationError, Table, explain, source, stats, summary};
use crate::output::{NodeObject, Output, QueryStatsObject, note};
use crate::trace::{GET, line, power};

#[derive(Serialize)]
struct GetObject {
    id: String,
    found: bool,
    /// The value in hex.
    value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence: Option<u64>,
    holders: Vec<SocketAddr>,
    #[serde(flatten)]
    stats: QueryStatsObject,
    /// The distance of the closest node that responded, in hex.
    closest: Option<String>,
}

#[derive(Serialize)]
struct FindObject {
    id: String,
    nodes: Vec<NodeObject>,
    #[serde(flatten)]
    stats: QueryStatsObject,
}

#[derive(Serialize)]
struct PingObject {
    id: String,
    address: SocketAddr,
    rtt_ms: f64,
}

pub(crate) fn get<R: Table>(args: &Get, common: &Common, out: &Output) -> Result<(), Error> {
    let key = key(args)?;
    let client = Client::<R>::join(&args.client, common)
        .map_err(|error| error.with(&object(key, &QueryStats::default(), None)))?;
    let found =
        client.search(&format!("looking for the record with id {}", key.id), key.id, GET).get(key, &client.options());
    let (stats, nearest) = match &found {
        Ok(got) => (got.stats, &got.holders[..]),
        Err(error @ OperationError::NotFound { closest, .. }) => (stats(error), &closest[..]),
        Err(error) => (stats(error), &[][..]),
    };
    client.end(&stats, nearest);
    if let Ok(got) = &found
        && common.verbose
    {
        note(source(got.holders.len(), &stats));
    }
    match &found {
        Ok(got) if out.json => out.object(&object(key, &stats, Some(got))),
        Ok(got) => out.bytes(&got.record.value),
        Err(OperationError::NotFound { stats, .. }) => Err(not_found(key, stats).with(&object(key, stats, None))),
        Err(error) => Err(explain(error).with(&object(key, &stats, None))),
    }
}

pub(crate) fn find<R: Table>(args: &Find, common: &Common, out: &Output) -> Result<(), Error> {
    let named = || args.key.as_ref().map(|key| Key::plain(key.as_encoded_bytes()).id);
    let target = args.id.or_else(named).unwrap_or(Id::ZERO);
    let object = |nodes: &[Contact<SocketAddr>], stats: &QueryStats| FindObject {
        id: target.to_string(),
        nodes: nodes.iter().map(NodeObject::from).collect(),
        stats: stats.into(),
    };
    let client =
        Client::<R>::join(&args.client, common).map_err(|error| error.with(&object(&[], &QueryStats::default())))?;
    let handle = client.search(&format!("looking for the nodes nearest to {target}"), target, "");
    let found = handle.find_node(target, &client.options());
    let found = found.map_err(|error| explain(&error).with(&object(&[], &stats(&error))))?;
    client.end(&found.stats, &found.nodes);
    if common.verbose || !out.json {
        note(format!("the nodes nearest to {target}, with their distances ({})", summary(&found.stats)));
    }
    if out.json {
        return out.object(&object(&found.nodes, &found.stats));
    }
    found.nodes.iter().try_for_each(|contact| out.line(&line(R::Geometry::rank, &target, contact)))
}

pub(crate) fn ping<R: Table>(args: &Ping, common: &Common, out: &Output) -> Result<(), Error> {
    args.address.ip().iter().try_for_each(sendable)?;
    let nothing = || json!({ "id": null, "address": args.address.to_string(), "rtt_ms": null });
    let pong =
        Client::<R>::ping(&args.address, args.listen.as_ref(), common).map_err(|error| error.with(&nothing()))?;
    let (id, address) = (pong.contact.id, pong.contact.address);
    let rtt_ms = pong.rtt.as_secs_f64() * 1_000.0;
    match out.json {
        true => out.object(&PingObject { id: id.to_string(), address, rtt_ms }),
        false => out.line(&format!("{address} is node {id}, {rtt_ms:.2} ms away")),
    }
}

fn key(args: &Get) -> Result<Key, Error> {
    if let Some(id) = args.id {
        return Ok(Key { kind: Kind::Immutable, id });
    }
    if let Some(public_key) = &args.public_key {
        let salt = args.salt.as_deref().unwrap_or_default().as_encoded_bytes();
        crate::put::check_salt(salt)?;
        return Ok(Key::signed(public_key, salt));
    }
    Ok(Key::plain(args.key.as_deref().unwrap_or_default().as_encoded_bytes()))
}

fn object(key: Key, stats: &QueryStats, got: Option<&Got<SocketAddr>>) -> GetObject {
    let sequence = got.and_then(|got| match got.record.proof {
        ProofBuf::Signed { sequence, .. } => Some(sequence),
        _ => None,
    });
    GetObject {
        id: key.id.to_string(),
        found: got.is_some(),
        value: got.map(|got| hex::encode(&got.record.value)),
        sequence,
        holders: got.map_or_else(Vec::new, |got| got.holders.iter().map(|holder| holder.address).collect()),
        stats: stats.into(),
        closest: stats.closest.map(|distance| distance.to_string()),
    }
}

fn not_found(key: Key, stats: &QueryStats) -> Error {
    let kind = match key.kind {
        Kind::Plain => "a plain record under that key",
        Kind::Immutable => "an immutable record with that id",
        Kind::Signed => "a record signed with that key and salt",
    };
    let near =
        stats.closest.map_or_else(String::new, |distance| format!(", the nearest at distance {}", power(&distance)));
    let what = format!("no node that responded holds {kind} (id {}): {}{near}", key.id, summary(stats));
    let tip = match key.kind {
        Kind::Plain => {
            "the key exactly as it was put; --id or --public-key if the record has no name; it may have expired"
        }
        Kind::Immutable => "the id that `put --immutable` printed; the record may have expired",
        Kind::Signed => "the same --salt as in the put; the record may have expired",
    };
    Error::new(Exit::NotFound, what).tip(tip)
}
