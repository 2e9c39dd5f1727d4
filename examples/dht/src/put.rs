//! `put`: puts a plain, an immutable or a signed record once.

use core::net::SocketAddr;
use std::io::{self, Read};
use std::time::{SystemTime, UNIX_EPOCH};

use kadlet::record::{MAX_SALT, MAX_VALUE, Proof};
use kadlet::{Id, Key, Options, QueryStats, Record};
use kadlet_udp::{ProofBuf, Stored};
use serde::Serialize;

use crate::args::{Common, Put};
use crate::error::{Error, Exit};
use crate::keygen;
use crate::network::{Client, OperationError, Table, explain, nodes, stats, summary};
use crate::output::{Output, QueryStatsObject};
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
}

impl PutObject {
    /// The object of a put that did not begin.
    fn nothing(id: Id, signer: Option<&Signer>) -> Self {
        let public_key = signer.map(|signer| hex::encode(signer.public_key));
        let (holders, stats) = (Vec::new(), QueryStatsObject::from(&QueryStats::default()));
        Self { id: id.to_string(), stored: 0, wanted: 0, holders, stats, public_key, sequence: None }
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
        None => Key::plain(args.key.as_deref().unwrap_or_default().as_encoded_bytes()),
    };
    let nothing = |error| out.nothing(&PutObject::nothing(key.id, signer.as_ref()), error);
    let client = Client::<R>::join(&args.client, common).map_err(nothing)?;
    let signature;
    let record = match &signer {
        Some(signer) => {
            let sequence = signer.sequence(args, &client).map_err(nothing)?;
            signature = kadlet::ed25519::sign(&signer.secret, &signer.salt, sequence, &value);
            let proof =
                Proof::Signed { public_key: &signer.public_key, salt: &signer.salt, sequence, signature: &signature };
            Record { value: &value, proof }
        }
        None if args.immutable => Record::immutable(&value),
        None => Record::plain(args.key.as_deref().unwrap_or_default().as_encoded_bytes(), &value),
    };
    let id = key.id;
    let options = Options { lifetime: args.ttl, compare: args.cas, ..client.options() };
    let stored = client.search(&format!("putting the record with id {id}"), id, PUT).put(&record, &options);
    drop(client);
    match stored {
        Ok(stored) => print(&record, id, &stored, out),
        Err(error) => Err(failed(&record, id, &error, out)?),
    }
}

/// Prints what was stored; fails if it was stored at too few nodes.
fn print(record: &Record<'_>, id: Id, stored: &Stored<SocketAddr>, out: &Output) -> Result<(), Error> {
    let holders: Vec<_> = stored.holders.iter().map(|holder| holder.address).collect();
    let (held, wanted) = (holders.len(), stored.wanted);
    if out.json {
        out.object(&object(record, id, holders, wanted, &stored.stats))?;
    } else if matches!(record.proof, Proof::Immutable) {
        out.line(&id.to_string())?;
    }
    eprintln!("stored at {held} of {} ({})", nodes(wanted), summary(&stored.stats));
    if held < wanted || held == 0 {
        let what = format!("only {held} of the {wanted} nodes that should store the record do");
        return Err(Error::new(Exit::Network, what).tip("put it again; `kadlet -v put` shows which nodes responded"));
    }
    if let Proof::Signed { public_key, salt, sequence, .. } = record.proof {
        let salted = if salt.is_empty() { "" } else { " --salt TEXT" };
        eprintln!("sequence number {sequence}; get it with --public-key {}{salted}", hex::encode(public_key));
    }
    Ok(())
}

/// Converts the error of a put, and prints its JSON object if the output is JSON.
fn failed(record: &Record<'_>, id: Id, error: &OperationError, out: &Output) -> Result<Error, Error> {
    if out.json {
        let (holders, stats) = match error {
            OperationError::Conflict { holders, .. } => {
                (holders.iter().map(|holder| holder.address).collect(), stats(error))
            }
            _ => (Vec::new(), stats(error)),
        };
        out.object(&object(record, id, holders, usize::from(stats.responded), &stats))?;
    }
    let OperationError::Conflict { holders, held, stats } = error else { return Ok(explain(error)) };
    let what = |obstacle: String| {
        format!("{obstacle}; {} stored the new record nevertheless ({})", nodes(holders.len()), summary(stats))
    };
    Ok(match record.proof {
        Proof::Signed { .. } => {
            Error::new(Exit::Network, what(format!("the network holds a record with sequence number {held}")))
                .tip(format!("get it, and put again with --cas {held}, or with a higher --seq"))
        }
        _ => Error::new(Exit::Network, what(format!("the network holds a newer record, put {held} ms ago")))
            .tip("get it, and put again if the new value should replace it"),
    })
}

fn object(record: &Record<'_>, id: Id, holders: Vec<SocketAddr>, wanted: usize, stats: &QueryStats) -> PutObject {
    let (public_key, sequence) = match record.proof {
        Proof::Signed { public_key, sequence, .. } => (Some(hex::encode(public_key)), Some(sequence)),
        _ => (None, None),
    };
    PutObject { id: id.to_string(), stored: holders.len(), wanted, holders, stats: stats.into(), public_key, sequence }
}

fn value(args: &Put) -> Result<Vec<u8>, Error> {
    match &args.key {
        None if !args.immutable && args.sign.is_none() => {
            return Err(Error::new(Exit::Usage, "a plain record needs a KEY")
                .tip("`put KEY VALUE`, or --immutable or --sign FILE"));
        }
        _ if args.value != "-" => return Ok(args.value.as_encoded_bytes().to_vec()),
        _ => {}
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
        let secret = keygen::read(file)?;
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
        Ok(held.saturating_add(1).max(now))
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
