//! `get` and `find`: the commands that only read.

use core::net::SocketAddr;
use core::time::Duration;

use kadlet::record::Kind;
use kadlet::{Contact, Geometry, Id, Key, QueryStats};
use kadlet_udp::{Got, Nodes, ProofBuf};
use serde::Serialize;
use serde_json::Value;

use crate::access::Access;
use crate::args::{Common, Find, Get, KeyArgs, TargetArgs};
use crate::error::{Error, Exit};
use crate::network::{OperationError, Table, explain, source, stats, summary};
use crate::output::{NodeObject, Output, QueryStatsObject, Success, cell, is_terminal, rows, table};
use crate::trace::power;

#[derive(Serialize)]
struct GetObject {
    id: String,
    found: bool,
    /// The value in hex.
    value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence: Option<u64>,
    /// How long the record is still valid.
    lifetime_seconds: Option<u64>,
    /// The time since the put of a plain record.
    #[serde(skip_serializing_if = "Option::is_none")]
    age_ms: Option<u64>,
    holders: Vec<SocketAddr>,
    #[serde(flatten)]
    stats: QueryStatsObject,
    /// The distance of the closest node that responded, in hex.
    closest: Option<String>,
}

#[derive(Serialize)]
struct FindObject {
    id: String,
    nodes: Vec<FoundObject>,
    #[serde(flatten)]
    stats: QueryStatsObject,
}

#[derive(Serialize)]
struct FoundObject {
    #[serde(flatten)]
    node: NodeObject,
    /// Its distance from the target, as a power of two.
    distance: String,
}

pub(crate) fn get<R: Table>(args: &Get, common: &Common, out: &Output) -> Result<(), Error> {
    let key = key(&args.key)?;
    let mut access = Access::<R>::open(&args.client, common)
        .map_err(|error| error.with(&object(key, &QueryStats::default(), None)))?;
    let done = access.get(key)?;
    drop(access);
    done.show(common.verbose, out, value)
}

pub(crate) fn find<R: Table>(args: &Find, common: &Common, out: &Output) -> Result<(), Error> {
    let target = target(&args.target);
    let mut access = Access::<R>::open(&args.client, common)
        .map_err(|error| error.with(&find_object(target, &[], &QueryStats::default())))?;
    let done = access.find(target)?;
    drop(access);
    done.show(common.verbose || !out.json, out, nearest)
}

/// What came of a get.
pub(crate) fn got(key: Key, found: &Result<Got<SocketAddr>, OperationError>) -> Result<Success, Error> {
    match found {
        Ok(got) => {
            let mut details = vec![source(got.holders.len(), &got.stats)];
            let left = humantime::format_duration(Duration::from_secs(got.lifetime.as_secs()));
            details.push(match got.record.proof {
                ProofBuf::Plain { age, .. } => {
                    format!("put {} ago, valid for {left}", humantime::format_duration(Duration::from_millis(age)))
                }
                ProofBuf::Immutable => format!("valid for {left}"),
                ProofBuf::Signed { sequence, .. } => format!("sequence number {sequence}, valid for {left}"),
            });
            Ok(Success { details, ..Success::new(object(key, &got.stats, Some(got))) })
        }
        Err(OperationError::NotFound { stats, .. }) => Err(not_found(key, stats).with(&object(key, stats, None))),
        Err(error) => Err(explain(error).with(&object(key, &stats(error), None))),
    }
}

/// What came of a lookup of nodes: those nearest to the target first.
pub(crate) fn found<R: Table>(target: Id, found: &Result<Nodes<SocketAddr>, OperationError>) -> Result<Success, Error> {
    match found {
        Ok(found) => {
            let mut object = find_object(target, &found.nodes, &found.stats);
            for (node, contact) in object.nodes.iter_mut().zip(&found.nodes) {
                node.distance = power(&R::Geometry::rank(&target, &contact.id));
            }
            let caption = format!("the nodes nearest to {target} ({})", summary(&found.stats));
            Ok(Success { details: vec![caption], ..Success::new(object) })
        }
        Err(error) => Err(explain(error).with(&find_object(target, &[], &stats(error)))),
    }
}

/// Prints a value: its bytes and nothing else, except that a person's terminal goes on with a new line.
pub(crate) fn value(object: &Value, out: &Output) -> Result<(), Error> {
    let mut value = hex::decode(cell(object, "value")).unwrap_or_default();
    if is_terminal() && value.last().is_some_and(|last| *last != b'\n') {
        value.push(b'\n');
    }
    out.bytes(&value)
}

/// Prints the nodes that were found as a table.
pub(crate) fn nearest(object: &Value, out: &Output) -> Result<(), Error> {
    let header = ["DISTANCE", "ADDRESS", "ID"].map(str::to_owned).to_vec();
    let nodes = rows(object, "nodes").map(|node| ["distance", "address", "id"].map(|name| cell(node, name)).to_vec());
    out.bytes(table(&[header].into_iter().chain(nodes).collect::<Vec<_>>()).as_bytes())
}

/// What a find looks for.
pub(crate) fn target(args: &TargetArgs) -> Id {
    let named = || args.key.as_ref().map(|key| Key::plain(key.as_encoded_bytes()).id);
    args.id.or_else(named).unwrap_or(Id::ZERO)
}

/// The key of a record.
pub(crate) fn key(args: &KeyArgs) -> Result<Key, Error> {
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

fn find_object(target: Id, nodes: &[Contact<SocketAddr>], stats: &QueryStats) -> FindObject {
    let found = |contact| FoundObject { node: NodeObject::from(contact), distance: String::new() };
    FindObject { id: target.to_string(), nodes: nodes.iter().map(found).collect(), stats: stats.into() }
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
        lifetime_seconds: got.map(|got| got.lifetime.as_secs()),
        age_ms: got.and_then(|got| match got.record.proof {
            ProofBuf::Plain { age, .. } => Some(age),
            _ => None,
        }),
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
