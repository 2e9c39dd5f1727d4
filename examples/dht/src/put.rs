//! `put`: puts a plain, an immutable or a signed record once.

use core::net::SocketAddr;
use core::time::Duration;
use std::io::{self, Read};
use std::time::{SystemTime, UNIX_EPOCH};

use kadlet::message::ErrorCode;
use kadlet::record::{MAX_SALT, MAX_VALUE, Proof};
use kadlet::{Contact, Failure, Id, Key, Kind, Options, QueryStats, Record};
use kadlet_udp::{ProofBuf, RecordBuf, Stored};
use serde::Serialize;
use serde_json::json;

use crate::access::Access;
use crate::args::{Common, Put, RecordArgs};
use crate::control::{Local, Request};
use crate::error::{Error, Exit};
use crate::key_file;
use crate::network::{OperationError, Table, explain, nodes, stats, summary};
use crate::output::{Output, QueryStatsObject, Success, cell};

#[derive(Serialize)]
struct PutObject {
    id: String,
    /// How many nodes store the record.
    stored: usize,
    /// How many nodes should store it: min(k, nodes that responded to the lookup).
    wanted: usize,
    holders: Vec<SocketAddr>,
    #[serde(flatten)]
    stats: QueryStatsObject,
    #[serde(skip_serializing_if = "Option::is_none")]
    public_key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence: Option<u64>,
    /// The sequence number of a record that is held in place of this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    held_sequence: Option<u64>,
    /// The age, in milliseconds, of a plain record that is held in place of this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    held_age_ms: Option<u64>,
    /// For how many seconds all that store the record hold it.
    #[serde(skip_serializing_if = "Option::is_none")]
    lifetime_seconds: Option<u64>,
    /// Whether the node keeps the record alive.
    #[serde(skip_serializing_if = "Option::is_none")]
    published: Option<bool>,
}

impl PutObject {
    /// The object of a put that did not begin.
    fn nothing(id: Id, signer: Option<&Signer>) -> Self {
        let public_key = signer.map(|signer| hex::encode(signer.public_key));
        let (holders, stats) = (Vec::new(), QueryStatsObject::from(&QueryStats::default()));
        Self {
            id: id.to_string(),
            stored: 0,
            wanted: 0,
            holders,
            stats,
            public_key,
            sequence: None,
            held_sequence: None,
            held_age_ms: None,
            lifetime_seconds: None,
            published: None,
        }
    }
}

/// The key pair and salt of a signed record.
struct Signer {
    secret: [u8; 32],
    public_key: [u8; 32],
    salt: Vec<u8>,
}

pub(crate) fn run<R: Table>(args: &Put, common: &Common, out: &Output) -> Result<(), Error> {
    let made = Made::of(&args.record)?;
    let nothing = |error: Error| error.with(&PutObject::nothing(made.key.id, made.signer.as_ref()));
    let mut access = Access::<R>::open(&args.client, common).map_err(nothing)?;
    let record = made.record(&args.record, common.network, |key| access.held_sequence(key)).map_err(nothing)?;
    let done = access.put(&record.as_record(), args.record.ttl, args.record.cas)?;
    drop(access);
    done.show(common.verbose, out, made.text())
}

/// Lets a node on this machine publish a record.
pub(crate) fn publish(args: &RecordArgs, local: &mut Local, common: &Common, out: &Output) -> Result<(), Error> {
    let made = Made::of(args)?;
    let nothing = |error: Error| error.with(&PutObject::nothing(made.key.id, made.signer.as_ref()));
    let network = local.network();
    let call = crate::access::call(common.timeout, false);
    let held = |key: Key| crate::access::held_sequence(local.ask_within(&get_request(key, call), common.timeout));
    let record = made.record(args, network, held).map_err(nothing)?;
    let request = put_request(&record.as_record(), args.ttl, args.cas, true, call);
    local.ask_within(&request, common.timeout)?.show(common.verbose, out, made.text())
}

pub(crate) fn get_request(key: Key, call: crate::control::Call) -> Request {
    Request::Get { key: key.into(), call }
}

pub(crate) fn put_request(
    record: &Record<'_>,
    lifetime: Duration,
    compare: Option<u64>,
    publish: bool,
    call: crate::control::Call,
) -> Request {
    let lifetime_seconds = u32::try_from(lifetime.as_secs()).unwrap_or(u32::MAX);
    Request::Put { record: record.into(), lifetime_seconds, compare, publish, call }
}

/// What the arguments say of a record, before any node is asked.
struct Made {
    value: Vec<u8>,
    signer: Option<Signer>,
    key: Key,
}

impl Made {
    fn of(args: &RecordArgs) -> Result<Self, Error> {
        let value = value(args)?;
        let signer = args.sign.as_deref().map(|file| Signer::read(file, args)).transpose()?;
        check(value.len(), signer.as_ref().map_or(0, |signer| signer.salt.len()))?;
        let key = match &signer {
            Some(signer) => Key::signed(&signer.public_key, &signer.salt),
            None if args.immutable => Key::immutable(&value),
            None => Key::plain(args.first.as_encoded_bytes()),
        };
        Ok(Self { value, signer, key })
    }

    /// The record. `held` looks up the sequence number of the one that is stored, for one that is signed.
    fn record(
        &self,
        args: &RecordArgs,
        network: u16,
        held: impl FnOnce(Key) -> Result<u64, Error>,
    ) -> Result<RecordBuf, Error> {
        let proof = match &self.signer {
            Some(signer) => {
                let Signer { secret, public_key, salt } = signer;
                let sequence = sequence_number(args, || held(self.key))?;
                let signature = kadlet::ed25519::sign(secret, network, salt, sequence, &self.value);
                ProofBuf::Signed { public_key: *public_key, salt: salt.clone(), sequence, signature }
            }
            None if args.immutable => ProofBuf::Immutable,
            None => ProofBuf::Plain { id: self.key.id, age: 0 },
        };
        Ok(RecordBuf { value: self.value.clone(), proof })
    }

    /// What stdout shows: the id of an immutable record, which nobody knows before.
    fn text(&self) -> impl FnOnce(&serde_json::Value, &Output) -> Result<(), Error> {
        let is_immutable = self.key.kind == Kind::Immutable;
        move |object, out| if is_immutable { out.line(&cell(object, "id")) } else { Ok(()) }
    }
}

/// What came of a put; an error if the record was stored at too few nodes.
pub(crate) fn done(
    record: &Record<'_>,
    put: &Result<Stored<SocketAddr>, OperationError>,
    options: &Options,
) -> Result<Success, Error> {
    let id = record.key().id;
    let stored = match put {
        Ok(stored) => stored,
        Err(error) => return Err(failed(record, id, error)),
    };
    let held = stored.held.filter(|_| sequence(record).is_some());
    let object = PutObject {
        held_sequence: held,
        held_age_ms: stored.held.filter(|_| sequence(record).is_none()),
        lifetime_seconds: Some(stored.lifetime.as_secs()),
        published: options.publish.then_some(true),
        ..object(record, id, &stored.holders, stored.wanted, &stored.stats)
    };
    let (count, wanted) = (stored.holders.len(), stored.wanted);
    let mut notes = Vec::new();
    match wanted {
        0 => {
            notes.push("stored at this node alone: it knows no other, and publishes the record when others come".into())
        }
        _ => notes.push(format!("stored at {count} of {} ({})", nodes(wanted), summary(&stored.stats))),
    }
    let ttl = options.lifetime;
    if count > 0 && stored.lifetime < Duration::from_secs(ttl.as_secs()) {
        notes.push(format!("the nodes hold it for {:?} only, not for {ttl:?}", stored.lifetime));
    }
    if options.publish {
        let ttl = humantime::format_duration(ttl);
        notes.push(format!("this node keeps it alive for {ttl}, or until `kadlet ctl unpublish`"));
    }
    if count < wanted {
        return Err(partial(record, count, wanted, held, stored.stats.refusal).with(&object).after(notes));
    }
    if let Proof::Signed { public_key, salt, sequence, .. } = record.proof {
        let salted = if salt.is_empty() { "" } else { " --salt TEXT" };
        notes.push(format!("sequence number {sequence}; get it with --public-key {}{salted}", hex::encode(public_key)));
    }
    Ok(Success { notes, ..Success::new(object) })
}

/// What came of an attempt to stop publishing.
pub(crate) fn unpublished(key: Key, unpublished: bool) -> Result<Success, Error> {
    let object = json!({ "id": key.id.to_string(), "unpublished": unpublished });
    match unpublished {
        true => Ok(Success { notes: vec!["the node no longer keeps it alive".into()], ..Success::new(object) }),
        false => Err(Error::new(Exit::NotFound, format!("the node publishes no record under id {}", key.id))
            .tip("`kadlet ctl records` lists what it publishes")
            .with(&object)),
    }
}

/// The error of a put that only some of the responsible nodes took.
fn partial(record: &Record<'_>, count: usize, wanted: usize, held: Option<u64>, refusal: Option<ErrorCode>) -> Error {
    let what = format!("only {count} of the {wanted} nodes that should store the record do");
    let network = |what: String| Error::new(Exit::Network, what);
    match (refusal, held) {
        (Some(ErrorCode::Outdated | ErrorCode::Conflict), Some(held)) => {
            network(format!("{what}; others hold a record with sequence number {held}")).tip(put_above(held))
        }
        (Some(ErrorCode::Outdated), None) if sequence(record).is_none() => {
            network(format!("{what}; others hold a record put at the same time or later"))
                .tip("get it, and put again if the new value should replace it")
        }
        (Some(ErrorCode::Outdated | ErrorCode::Conflict), None) => {
            network(format!("{what}; others hold a record with another sequence number"))
                .tip("get it, and put again with a higher --seq")
        }
        _ => network(what).tip("put it again; `kadlet -v put` shows which nodes responded"),
    }
}

/// The error of a put that failed, with its JSON object.
fn failed(record: &Record<'_>, id: Id, error: &OperationError) -> Error {
    let stats = stats(error);
    let OperationError::Conflict { holders, held, .. } = error else {
        let error = match error {
            OperationError::Failed { failure: Failure::Refused(ErrorCode::Conflict, held), .. } => {
                lagging(*held, &stats)
            }
            _ => explain(error),
        };
        return error.with(&object(record, id, &[], usize::from(stats.responded), &stats));
    };
    let held = *held;
    let object = object(record, id, holders, usize::from(stats.responded), &stats);
    let what = |obstacle: String| {
        let what =
            format!("{obstacle}; {} stored the new record nevertheless ({})", nodes(holders.len()), summary(&stats));
        Error::new(Exit::Network, what)
    };
    match record.proof {
        Proof::Signed { .. } => what(format!("the network holds a record with sequence number {held}"))
            .tip(put_above(held))
            .with(&PutObject { held_sequence: Some(held), ..object }),
        _ => what(format!(
            "the network holds another record under this key, put at the same time or later ({held} ms before it \
             refused this one)"
        ))
        .tip("get it, and put again if the new value should replace it")
        .with(&PutObject { held_age_ms: Some(held), ..object }),
    }
}

/// The error of a put with --cas where all nodes hold an earlier record, or none. They can't prove that it is the
/// latest.
fn lagging(held: u64, stats: &QueryStats) -> Error {
    let (record, tip) = match held {
        0 => ("no record with a sequence number above 0".to_owned(), "put again without --cas".to_owned()),
        _ => (format!("a record with sequence number {held}"), put_above(held)),
    };
    let what = format!("the nodes hold {record}, not the one to be replaced ({})", summary(stats));
    Error::new(Exit::Network, what).tip(tip)
}

/// How to replace a record with this sequence number.
fn put_above(held: u64) -> String {
    match held.checked_add(1) {
        Some(next) => format!("get it, and put again with --cas {held}, or with --seq {next} or higher"),
        None => {
            "another --salt: this sequence number is the highest, so that no record can replace that one".to_owned()
        }
    }
}

fn sequence(record: &Record<'_>) -> Option<u64> {
    match record.proof {
        Proof::Signed { sequence, .. } => Some(sequence),
        _ => None,
    }
}

fn object(
    record: &Record<'_>,
    id: Id,
    holders: &[Contact<SocketAddr>],
    wanted: usize,
    stats: &QueryStats,
) -> PutObject {
    let public_key = match record.proof {
        Proof::Signed { public_key, .. } => Some(hex::encode(public_key)),
        _ => None,
    };
    PutObject {
        id: id.to_string(),
        stored: holders.len(),
        wanted,
        holders: holders.iter().map(|holder| holder.address).collect(),
        stats: stats.into(),
        public_key,
        sequence: sequence(record),
        held_sequence: None,
        held_age_ms: None,
        lifetime_seconds: None,
        published: None,
    }
}

fn value(args: &RecordArgs) -> Result<Vec<u8>, Error> {
    let value = match &args.second {
        Some(value) => value,
        None if args.immutable || args.sign.is_some() => &args.first,
        None => {
            return Err(Error::new(Exit::Usage, "a plain record needs a KEY and a VALUE")
                .tip("`put KEY VALUE`, or --immutable or --sign FILE"));
        }
    };
    if value != "-" {
        return Ok(value.as_encoded_bytes().to_vec());
    }
    // A longer value is too long anyway, and a pipe can't fill the memory.
    let mut value = Vec::new();
    match io::stdin().lock().take(1 << 20).read_to_end(&mut value) {
        Ok(_) => Ok(value),
        Err(error) => Err(Error::new(Exit::Usage, format!("can't read stdin: {error}")).tip("give the value itself")),
    }
}

/// Refuses a value that is too long, before anything is sent.
pub(crate) fn check(value: usize, salt: usize) -> Result<(), Error> {
    match value.saturating_add(salt) {
        0..=MAX_VALUE => Ok(()),
        length => {
            let salted = if salt > 0 { " with its salt" } else { "" };
            let what = format!("the value{salted} is {length} bytes; the limit is {MAX_VALUE} bytes");
            Err(Error::new(Exit::Usage, what).tip("put the parts as immutable records, and their ids as the value"))
        }
    }
}

/// Refuses a salt that is too long.
pub(crate) fn check_salt(salt: &[u8]) -> Result<(), Error> {
    match salt.len() {
        0..=MAX_SALT => Ok(()),
        length => Err(Error::new(Exit::Usage, format!("the salt is {length} bytes; the limit is {MAX_SALT} bytes"))
            .tip("a shorter salt")),
    }
}

impl Signer {
    fn read(file: &std::path::Path, args: &RecordArgs) -> Result<Self, Error> {
        let salt = args.salt.as_deref().unwrap_or_default().as_encoded_bytes().to_vec();
        check_salt(&salt)?;
        let secret = key_file::read(file, "kadlet keygen")?;
        Ok(Self { secret, public_key: kadlet::ed25519::public_key(&secret), salt })
    }
}

/// The sequence number: the Unix time, so that it keeps rising after all holders have forgotten the record, but always
/// above the stored record's.
fn sequence_number(args: &RecordArgs, stored: impl FnOnce() -> Result<u64, Error>) -> Result<u64, Error> {
    if let Some(sequence) = args.seq {
        return Ok(sequence);
    }
    let held = args.cas.map_or_else(stored, Ok)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let next = held.checked_add(1).ok_or_else(|| {
        Error::new(Exit::Usage, format!("the record to replace has sequence number {held}")).tip(put_above(held))
    })?;
    Ok(next.max(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_puts_within_a_millisecond_none_is_called_newer() {
        let error = OperationError::Conflict { holders: Vec::new(), held: 0, stats: QueryStats::default() };
        let error = failed(&Record::plain(b"key", b"value"), Id::ZERO, &error);
        assert!(error.what().contains("put at the same time or later"), "{error}");
        assert!(!error.what().contains("newer"), "{error}");
        assert_eq!(error.into_object()["held_age_ms"], 0);

        let error = partial(&Record::plain(b"key", b"value"), 6, 8, None, Some(ErrorCode::Outdated));
        assert!(error.what().contains("put at the same time or later") && !error.what().contains("newer"), "{error}");
        let mut stats = QueryStats::default();
        (stats.refused, stats.refusal) = (1, Some(ErrorCode::Outdated));
        assert!(!summary(&stats).contains("newer"), "{}", summary(&stats));
    }

    #[test]
    fn the_highest_sequence_number_has_no_next() {
        assert!(put_above(100).contains("--seq 101"));
        assert!(put_above(u64::MAX).contains("another --salt"));
    }
}
