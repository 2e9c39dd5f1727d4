//! `demo`: a network on this machine, a value put into it and read back from another node, told step by step.

use core::cell::RefCell;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Instant;

use kadlet::{
    Contact, Dht, Geometry, Id, Key, Mode, Options, Outcome, Progress, QueryId, QueryResult, QueryStats, Record, Store,
};
use serde_json::{Value, json};

use crate::args::{Common, Demo};
use crate::error::{Error, Exit};
use crate::network::{Table, account, config, nodes, source};
use crate::output::{NodeObject, Output};
use crate::put::check;
use crate::swarm::Swarm;
use crate::trace::{GET, PUT, Round, Trace, Turn, line, power};

/// The local node, which the story is about.
const LOCAL: usize = 0;
/// The node that all others join through.
const ENTRY: usize = 1;

pub(crate) fn run<R: Table>(args: &Demo, common: &Common, out: &Output) -> Result<(), Error> {
    let (name, value) = (args.key.as_encoded_bytes(), args.value.as_encoded_bytes());
    check(value.len(), 0)?;
    let key = Key::plain(name);
    let tale = Tale { out: *out, key, mode: args.lookup.into() };
    let mut swarm = Swarm::<R>::start(&places(args, &key.id)?, config(common), common.timeout)?;

    tale.introduce(&swarm)?;
    join(&mut swarm, &tale)?;
    let holders = put(&mut swarm, &tale, &args.key.to_string_lossy(), &Record::plain(name, value))?;
    swarm.forwarded = (tale.mode == Mode::Recursive).then(Vec::new);
    let read = get(&mut swarm, &tale, &holders)?;
    if read != value {
        return Err(Error::new(Exit::NotFound, "the value that was read back is not the one that was put"));
    }
    if out.json {
        out.object(&json!({ "step": "value", "value": hex::encode(&read) }))
    } else {
        out.bytes(&[&read[..], b"\n"].concat())
    }
}

/// The local node's address and free ports beside it, with ids of their own.
fn places(args: &Demo, key: &Id) -> Result<Vec<(SocketAddr, Id)>, Error> {
    let [listen, ..] = args.listen.resolve()?[..] else {
        return Err(Error::new(Exit::Usage, "--listen names no address"));
    };
    let beside = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    let mut places = Vec::new();
    for index in 0..usize::from(args.nodes) {
        let mut id = *kadlet_udp::random_id()?.as_bytes();
        if index == LOCAL {
            // Far from the key, so that there is some way to go: in the other half of all ids.
            id[0] = id[0] & 0x7F | !key.as_bytes()[0] & 0x80;
        }
        let address = if index == LOCAL { listen } else { SocketAddr::new(beside, 0) };
        places.push((address, Id::from_bytes(id)));
    }
    Ok(places)
}

/// All nodes join through one, the local one last, so that it finds the others there.
fn join<R: Table>(swarm: &mut Swarm<R>, tale: &Tale) -> Result<(), Error> {
    let entry = swarm.nodes[ENTRY].local_addr();
    let began = Instant::now();
    tale.say(
        &format!("\nThey join the network, knowing nothing but {entry}:"),
        || json!({ "step": "join", "through": entry }),
    )?;
    let others: Vec<_> = (0..swarm.nodes.len()).filter(|node| ![LOCAL, ENTRY].contains(node)).collect();
    for nodes in [&others[..], &[LOCAL]] {
        let mut queries = Vec::new();
        for node in nodes {
            let query = swarm.command(*node, |node, now| node.bootstrap(now, &[entry]));
            queries.push((*node, query.map_err(|error| Error::new(Exit::Network, error.to_string()))?));
        }
        for (node, query) in queries {
            if !swarm.finish(node, query, |_| Ok(()), |done| matches!(done.outcome, Outcome::Joined { .. }))? {
                let what = format!("the node at {} could not join", swarm.nodes[node].local_addr());
                return Err(Error::new(Exit::Network, what)
                    .tip("check that this machine's firewall lets loopback datagrams pass"));
            }
        }
    }
    let contacts = swarm.nodes[LOCAL].node().routing().peers().count();
    let took = began.elapsed();
    let text = format!("  all are in after {took:.0?}; the local node, the last to come, knows {contacts} of them");
    tale.say(
        &text,
        || json!({ "step": "joined", "nodes": swarm.nodes.len(), "contacts": contacts, "seconds": took.as_secs_f64() }),
    )
}

/// The local node puts the record. Returns who holds it, by the holders' own word.
fn put<R: Table>(swarm: &mut Swarm<R>, tale: &Tale, name: &str, record: &Record<'_>) -> Result<Vec<usize>, Error> {
    let id = tale.key.id;
    let text = format!("\nThe local node puts {name:?}, whose id is {id}:");
    tale.say(&text, || json!({ "step": "put", "key": name, "id": id.to_string() }))?;
    let options = Options { publish: false, mode: tale.mode, ..Options::DEFAULT };
    let query = swarm.command(LOCAL, |node, now| node.put(now, record, &options));
    let query = query.map_err(|error| Error::new(Exit::Network, error.to_string()))?;
    let stored = tale.follow(swarm, LOCAL, query, PUT, |done| match done.outcome {
        Outcome::Stored { holders, wanted } => Ok((holders.len(), wanted)),
        _ => Err(failed("the value could not be stored", &done.stats)),
    })?;
    let (stored, wanted) = stored?;

    let mut holders: Vec<_> =
        (0..swarm.nodes.len()).filter(|node| *node != LOCAL && holds(swarm, *node, &tale.key)).collect();
    holders.sort_by_key(|node| R::Geometry::rank(&id, &swarm.nodes[*node].node().id()));
    let found: Vec<_> = holders.iter().map(|node| contact(swarm, *node)).collect();
    let text = format!("  stored at {stored} of {}, and these hold it now:", nodes(wanted));
    tale.say(&text, || json!({ "step": "stored", "stored": stored, "wanted": wanted, "holders": objects(&found) }))?;
    found.iter().try_for_each(|node| tale.text(&format!("  {}", line(R::Geometry::rank, &id, node))))?;
    Ok(holders)
}

/// Another node, which doesn't hold the record if there is one, gets it: the farthest from it, which has the most to ask.
fn get<R: Table>(swarm: &mut Swarm<R>, tale: &Tale, holders: &[usize]) -> Result<Vec<u8>, Error> {
    let distance = |node: usize| R::Geometry::progress(&tale.key.id, &swarm.nodes[node].node().id());
    let others = (0..swarm.nodes.len()).filter(|node| *node != LOCAL);
    let reader = others.max_by_key(|node| (!holders.contains(node), distance(*node))).unwrap_or(ENTRY);
    let node = contact(swarm, reader);
    let text = format!("\nAnother node, {} with id {}, gets it:", node.address, node.id);
    tale.say(&text, || json!({ "step": "get", "node": NodeObject::from(&node) }))?;
    let options = Options { mode: tale.mode, ..Options::DEFAULT };
    let query = swarm.command(reader, |node, now| node.get(now, tale.key, &options));
    let query = query.map_err(|error| Error::new(Exit::Network, error.to_string()))?;
    let got = tale.follow(swarm, reader, query, GET, |done| match done.outcome {
        Outcome::Value { record, holders, .. } => {
            Ok((record.value.to_vec(), holders.iter().collect::<Vec<_>>(), done.stats))
        }
        _ => Err(failed("the value was not found", &done.stats)),
    })?;
    let (value, holders, stats) = got?;
    let everybody: Vec<_> = (0..swarm.nodes.len()).map(|node| contact(swarm, node)).collect();
    for (number, (from, to)) in (1..).zip(swarm.forwarded.take().unwrap_or_default()) {
        let (Some(from), Some(to)) = (everybody.get(from), everybody.iter().find(|node| node.id == to)) else {
            continue;
        };
        let distance = power(&R::Geometry::rank(&tale.key.id, &to.id));
        let text = format!("  question {number}: {} asks {}, at distance {distance}", from.address, to.address);
        tale.say(&text, || json!({ "step": "hop", "from": NodeObject::from(from), "to": NodeObject::from(to) }))?;
    }
    let text = format!("  {}; its {} bytes are:", source(holders.len(), &stats), value.len());
    let QueryStats { asked, responded, hops, relayed, fell_back, .. } = stats;
    tale.say(&text, || {
        json!({
            "step": "found",
            "holders": objects(&holders),
            "asked": asked,
            "answered": responded,
            "hops": hops,
            "relayed": relayed,
            "fell_back": fell_back,
        })
    })?;
    Ok(value)
}

/// Where the story is told, and which key it is about.
struct Tale {
    out: Output,
    key: Key,
    mode: Mode,
}

impl Tale {
    fn introduce<R: Table>(&self, swarm: &Swarm<R>) -> Result<(), Error> {
        let local = contact(swarm, LOCAL);
        let count = swarm.nodes.len();
        self.say(
            &format!("{count} nodes run on this machine, each with a UDP socket of its own."),
            || json!({ "step": "start", "nodes": count }),
        )?;
        self.say(
            &format!("The local node is {} with id {}.", local.address, local.id),
            || json!({ "step": "local", "id": local.id.to_string(), "address": local.address }),
        )
    }

    /// Follows a search to its end, and tells its rounds.
    fn follow<R: Table, T>(
        &self,
        swarm: &mut Swarm<R>,
        node: usize,
        query: QueryId,
        then: &'static str,
        end: impl FnOnce(QueryResult<'_, SocketAddr>) -> T,
    ) -> Result<T, Error> {
        let id = self.key.id;
        let own = R::Geometry::rank(&id, &swarm.nodes[node].node().id());
        let text = format!("  start: this node itself, at distance {}", power(&own));
        self.say(&text, || json!({ "step": "round", "round": 0, "closest": own.to_string() }))?;
        let trace = RefCell::new(Trace::new(id, then, R::Geometry::rank));
        let look = |progress: Progress<'_, SocketAddr>| {
            let turns = trace.borrow_mut().look(&progress);
            turns.iter().try_for_each(|turn| self.turn(&trace.borrow(), turn))
        };
        let (result, last) = swarm.finish(node, query, look, |done| {
            let last = trace.borrow_mut().end(&done.stats, &found(&done.outcome));
            (end(done), last)
        })?;
        last.iter().try_for_each(|turn| self.turn(&trace.borrow(), turn))?;
        Ok(result)
    }

    fn turn(&self, trace: &Trace, turn: &Turn) -> Result<(), Error> {
        self.say(&format!("  {}", trace.words(turn, false)), || match turn {
            Turn::Storing => json!({ "step": "storing" }),
            Turn::Round(Round { number, asked, responded, timed_out, closest, newcomers }) => json!({
                "step": "round",
                "round": number,
                "asked": asked,
                "answered": responded,
                "timed_out": timed_out,
                "closest": closest.map(|distance| distance.to_string()),
                "newcomers": objects(newcomers),
            }),
        })
    }

    /// Tells one thing, in words or as an object.
    fn say(&self, text: &str, object: impl FnOnce() -> Value) -> Result<(), Error> {
        if self.out.json { self.out.object(&object()) } else { self.out.line(text) }
    }

    /// Tells what the objects have told already.
    fn text(&self, text: &str) -> Result<(), Error> {
        if self.out.json { Ok(()) } else { self.out.line(text) }
    }
}

/// The nodes that an operation ended at.
fn found(outcome: &Outcome<'_, SocketAddr>) -> Vec<Contact<SocketAddr>> {
    match *outcome {
        Outcome::Value { holders: found, .. } | Outcome::NotFound { closest: found } => found.iter().collect(),
        _ => Vec::new(),
    }
}

fn failed(what: &str, stats: &QueryStats) -> Error {
    Error::new(Exit::Network, format!("{what}: {}", account(stats))).tip("more --timeout, or fewer --nodes")
}

fn holds<R: Table>(swarm: &Swarm<R>, node: usize, key: &Key) -> bool {
    swarm.nodes[node].node().store().find(key).is_some()
}

fn contact<R: Table>(swarm: &Swarm<R>, node: usize) -> Contact<SocketAddr> {
    let driver = &swarm.nodes[node];
    Contact { id: driver.node().id(), address: driver.local_addr() }
}

fn objects(contacts: &[Contact<SocketAddr>]) -> Vec<NodeObject> {
    contacts.iter().map(NodeObject::from).collect()
}
