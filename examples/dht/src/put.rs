//! `put`: puts a plain, an immutable or a signed record once.

use core::net::SocketAddr;
use core::time::Duration;
use std::io::{self, Read};
use std::time::{SystemTime, UNIX_EPOCH};

use kadlet::message::ErrorCode;
use kadlet::record::{MAX_SALT, MAX_VALUE, Proof};
use kadlet::{Contact, Failure, Id, Key, Options, QueryStats, Record};
use kadlet_udp::{ProofBuf, Stored};
use serde::Serialize;

use crate::args::{Common, Put};
use crate::error::{Error, Exit};
use crate::key_file;
use crate::network::{Client, OperationError, Table, explain, nodes, stats, summary};
use crate::output::{Output, QueryStatsObject, note};
use crate::trace::{GET, PUT};

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
    let value = value(args)?;
    let signer = args.sign.as_deref().map(|file| Signer::read(file, args)).transpose()?;
    check(value.len(), signer.as_ref().map_or(0, |signer| signer.salt.len()))?;

    let key = match &signer {
        Some(signer) => Key::signed(&signer.public_key, &signer.salt),
        None if args.immutable => Key::immutable(&value),
        None => Key::plain(args.first.as_encoded_bytes()),
    };
    let nothing = |error: Error| error.with(&PutObject::nothing(key.id, signer.as_ref()));
    let client = Client::<R>::join(&args.client, common).map_err(nothing)?;
    let signature;
    let record = match &signer {
        Some(signer) => {
            let sequence = signer.sequence(args, &client).map_err(nothing)?;
            signature = kadlet::ed25519::sign(&signer.secret, common.network, &signer.salt, sequence, &value);
            let proof =
                Proof::Signed { public_key: &signer.public_key, salt: &signer.salt, sequence, signature: &signature };
            Record { value: &value, proof }
        }
        None if args.immutable => Record::immutable(&value),
        None => Record::plain(args.first.as_encoded_bytes(), &value),
    };
    let id = key.id;
    let options = Options { lifetime: args.ttl, compare: args.cas, ..client.options() };
    let stored = client.search(&format!("putting the record with id {id}"), id, PUT).put(&record, &options);
    let stored = match stored {
        Ok(stored) => stored,
        Err(error) => return Err(failed(&record, id, &error)),
    };
    drop(client);
    print(&record, id, &stored, args.ttl, out)
}

/// Prints what was stored; fails if it was stored at too few nodes. `ttl` is the lifetime that was asked for.
fn print(record: &Record<'_>, id: Id, stored: &Stored<SocketAddr>, ttl: Duration, out: &Output) -> Result<(), Error> {
    let held = stored.held.filter(|_| sequence(record).is_some());
    let object = PutObject {
        held_sequence: held,
        held_age_ms: stored.held.filter(|_| sequence(record).is_none()),
        lifetime_seconds: Some(stored.lifetime.as_secs()),
        ..object(record, id, &stored.holders, stored.wanted, &stored.stats)
    };
    let (count, wanted) = (stored.holders.len(), stored.wanted);
    if matches!(record.proof, Proof::Immutable) && !out.json {
        out.line(&id.to_string())?;
    }
    note(format!("stored at {count} of {} ({})", nodes(wanted), summary(&stored.stats)));
    if count > 0 && stored.lifetime < Duration::from_secs(ttl.as_secs()) {
        note(format!("the nodes hold it for {:?} only, not for {ttl:?}", stored.lifetime));
    }
    if count < wanted || count == 0 {
        return Err(partial(record, count, wanted, held, stored.stats.refusal).with(&object));
    }
    if out.json {
        out.object(&object)?;
    }
    if let Proof::Signed { public_key, salt, sequence, .. } = record.proof {
        let salted = if salt.is_empty() { "" } else { " --salt TEXT" };
        note(format!("sequence number {sequence}; get it with --public-key {}{salted}", hex::encode(public_key)));
    }
    Ok(())
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
    }
}

fn value(args: &Put) -> Result<Vec<u8>, Error> {
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
    fn read(file: &std::path::Path, args: &Put) -> Result<Self, Error> {
        let salt = args.salt.as_deref().unwrap_or_default().as_encoded_bytes().to_vec();
        check_salt(&salt)?;
        let secret = key_file::read(file, "kadlet keygen")?;
        Ok(Self { secret, public_key: kadlet::ed25519::public_key(&secret), salt })
    }

    /// The sequence number: the Unix time, so that it keeps rising after all holders have forgotten the record, but
    /// always above the stored record's.
    fn sequence<R: Table>(&self, args: &Put, client: &Client<R>) -> Result<u64, Error> {
        if let Some(sequence) = args.seq {
            return Ok(sequence);
        }
        let held = match args.cas {
            Some(held) => held,
            None => self.stored_sequence(client)?,
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let next = held.checked_add(1).ok_or_else(|| {
            Error::new(Exit::Usage, format!("the record to replace has sequence number {held}")).tip(put_above(held))
        })?;
        Ok(next.max(now))
    }

    /// The sequence number of the stored record; 0 if there is none.
    fn stored_sequence<R: Table>(&self, client: &Client<R>) -> Result<u64, Error> {
        let key = Key::signed(&self.public_key, &self.salt);
        let handle = client.search("looking for the stored sequence number", key.id, GET);
        match handle.get(key, &client.options()) {
            Ok(got) => Ok(match got.record.proof {
                ProofBuf::Signed { sequence, .. } => sequence,
                _ => 0,
            }),
            Err(OperationError::NotFound { .. }) => Ok(0),
            Err(error) => Err(explain(&error)),
        }
    }
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
