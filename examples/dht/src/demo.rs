//! `demo`: runs a network on this machine, puts a value into it, reads it back from another node, and shows every step.

use core::cell::RefCell;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Instant;

use anstyle::{AnsiColor, Color, Style};
use kadlet::{
    Contact, Dht, Geometry, Id, Key, Mode, Options, Outcome, Progress, QueryId, QueryResult, QueryStats, Record, Store,
};
use serde_json::{Value, json};

use crate::args::{Common, Demo};
use crate::bootstraps::resolve;
use crate::error::{Error, Exit};
use crate::network::{Table, config, nodes, source, summary};
use crate::output::{NodeObject, Output, is_terminal};
use crate::put::check;
use crate::swarm::Swarm;
use crate::trace::{GET, PUT, Round, Step, Trace, line, power};

/// The index of the local node, which puts the value.
const LOCAL: usize = 0;
/// The index of the node that all others join through.
const ENTRY: usize = 1;

/// What happens next.
const HEADING: Style = Style::new().bold().fg_color(Some(Color::Ansi(AnsiColor::Cyan)));
/// The lines of a lookup.
const DETAIL: Style = Style::new().dimmed();
/// What it ends with.
const RESULT: Style = Style::new().fg_color(Some(Color::Ansi(AnsiColor::Green)));
/// How lines begin that say what a part ended with.
const RESULTS: [&str; 4] = ["  all have joined", "  stored at", "  found at", "  relayed by"];
/// The value itself.
const VALUE: Style = RESULT.bold();

pub(crate) fn run<R: Table>(args: &Demo, common: &Common, out: &Output) -> Result<(), Error> {
    let (name, value) = (args.key.as_encoded_bytes(), args.value.as_encoded_bytes());
    check(value.len(), 0)?;
    let key = Key::plain(name);
    let narration = Narration { out: *out, key, mode: args.lookup.into() };
    let places = places(args, &key.id, common)?;
    let mut swarm = Swarm::<R>::start(&places, config(common), common.timeout)?;

    narration.introduce(&swarm)?;
    join(&mut swarm, &narration)?;
    let holders = put(&mut swarm, &narration, &args.key.to_string_lossy(), &Record::plain(name, value))?;
    swarm.forwarded = (narration.mode == Mode::Recursive).then(Vec::new);
    let read = get(&mut swarm, &narration, &holders)?;
    if read != value {
        return Err(Error::new(Exit::NotFound, "the value read back differs from the value put"));
    }
    if out.json {
        out.object(&json!({ "step": "value", "value": hex::encode(&read) }))
    } else if is_terminal() {
        out.styled(VALUE, &String::from_utf8_lossy(&read))
    } else {
        out.bytes(&[&read[..], b"\n"].concat())
    }
}

/// The nodes' addresses and ids: the local node's address as given, the others at free ports of the same IP address.
fn places(args: &Demo, key: &Id, common: &Common) -> Result<Vec<(SocketAddr, Id)>, Error> {
    let [listen, ..] = resolve(&args.listen, common, common.timeout)?[..] else {
        return Err(Error::new(Exit::Usage, "--listen names no address"));
    };
    let others = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    let mut places = Vec::new();
    for index in 0..usize::from(args.nodes) {
        let mut id = *kadlet_udp::random_id()?.as_bytes();
        if index == LOCAL {
            // In the other half of all ids than the key, so that the lookup takes several rounds.
            id[0] = id[0] & 0x7F | !key.as_bytes()[0] & 0x80;
        }
        let address = if index == LOCAL { listen } else { SocketAddr::new(others, 0) };
        places.push((address, Id::from_bytes(id)));
    }
    Ok(places)
}

/// Joins all nodes through one, the local node last, so that it finds the others.
fn join<R: Table>(swarm: &mut Swarm<R>, narration: &Narration) -> Result<(), Error> {
    let entry = swarm.nodes[ENTRY].local_addr();
    let began = Instant::now();
    narration.say(
        &format!("\nThe other nodes join the network through {entry}:"),
        || json!({ "step": "join", "through": entry }),
    )?;
    let others: Vec<_> = (0..swarm.nodes.len()).filter(|node| ![LOCAL, ENTRY].contains(node)).collect();
    for nodes in [&others[..], &[LOCAL]] {
        let mut queries = Vec::new();
        for node in nodes {
            let query = swarm.command(*node, |node, now| node.bootstrap(now, &[entry]).map(|joining| joining.query));
            queries.push((*node, query.map_err(|error| Error::new(Exit::Network, error.to_string()))?));
        }
        for (node, query) in queries {
            let failure = swarm.finish(
                node,
                query,
                |_| Ok(()),
                |done| match done.outcome {
                    Outcome::Failed(failure) => Some(failure),
                    _ => None,
                },
            )?;
            if let Some(failure) = failure {
                let what = format!("the node at {} could not join: {failure}", swarm.nodes[node].local_addr());
                return Err(Error::new(Exit::Network, what)
                    .tip("fewer --nodes; check that this machine's firewall lets loopback datagrams pass"));
            }
        }
    }
    let contacts = swarm.nodes[LOCAL].node().routing().peers().count();
    let took = began.elapsed();
    let text =
        format!("  all have joined after {took:.0?}; the local node, which joined last, knows {contacts} of them");
    narration.say(
        &text,
        || json!({ "step": "joined", "nodes": swarm.nodes.len(), "contacts": contacts, "seconds": took.as_secs_f64() }),
    )
}

/// Puts the record from the local node. Returns the nodes whose stores hold it, nearest first.
fn put<R: Table>(
    swarm: &mut Swarm<R>,
    narration: &Narration,
    name: &str,
    record: &Record<'_>,
) -> Result<Vec<usize>, Error> {
    let id = narration.key.id;
    let text = format!("\nThe local node puts a value under the key {name:?}, whose id is {id}:");
    narration.say(&text, || json!({ "step": "put", "key": name, "id": id.to_string() }))?;
    let options = Options { publish: false, mode: narration.mode, ..Options::DEFAULT };
    let query = swarm.command(LOCAL, |node, now| node.put(now, record, &options));
    let query = query.map_err(|error| Error::new(Exit::Network, error.to_string()))?;
    let stored = narration.follow(swarm, LOCAL, query, PUT, |done| match done.outcome {
        Outcome::Stored { holders, wanted, .. } => Ok((holders.len(), wanted)),
        _ => Err(failed("the value could not be stored", &done.stats)),
    })?;
    let (stored, wanted) = stored?;

    let mut holders: Vec<_> =
        (0..swarm.nodes.len()).filter(|node| *node != LOCAL && holds(swarm, *node, &narration.key)).collect();
    holders.sort_by_key(|node| R::Geometry::rank(&id, &swarm.nodes[*node].node().id()));
    let found: Vec<_> = holders.iter().map(|node| contact(swarm, *node)).collect();
    let text = format!("  stored at {stored} of {}; these nodes hold it now:", nodes(wanted));
    narration
        .say(&text, || json!({ "step": "stored", "stored": stored, "wanted": wanted, "holders": objects(&found) }))?;
    found.iter().try_for_each(|node| narration.text(&format!("  {}", line(R::Geometry::rank, &id, node))))?;
    Ok(holders)
}

/// Gets the record from the farthest other node, whose lookup is the longest: one without the record, if there is one.
fn get<R: Table>(swarm: &mut Swarm<R>, narration: &Narration, holders: &[usize]) -> Result<Vec<u8>, Error> {
    let distance = |node: usize| R::Geometry::progress(&narration.key.id, &swarm.nodes[node].node().id());
    let others = (0..swarm.nodes.len()).filter(|node| *node != LOCAL);
    let reader = others.max_by_key(|node| (!holders.contains(node), distance(*node))).unwrap_or(ENTRY);
    let node = contact(swarm, reader);
    let text = format!("\nAnother node, {} with id {}, gets the value:", node.address, node.id);
    narration.say(&text, || json!({ "step": "get", "node": NodeObject::from(&node) }))?;
    let options = Options { mode: narration.mode, ..Options::DEFAULT };
    let query = swarm.command(reader, |node, now| node.get(now, narration.key, &options));
    let query = query.map_err(|error| Error::new(Exit::Network, error.to_string()))?;
    let got = narration.follow(swarm, reader, query, GET, |done| match done.outcome {
        Outcome::Value { record, holders, .. } => {
            Ok((record.value.to_vec(), holders.iter().collect::<Vec<_>>(), done.stats))
        }
        _ => Err(failed("the value was not found", &done.stats)),
    })?;
    let (value, holders, stats) = got?;
    let all: Vec<_> = (0..swarm.nodes.len()).map(|node| contact(swarm, node)).collect();
    for (number, (from, to)) in (1..).zip(swarm.forwarded.take().unwrap_or_default()) {
        let (Some(from), Some(to)) = (all.get(from), all.iter().find(|node| node.id == to)) else {
            continue;
        };
        let distance = power(&R::Geometry::rank(&narration.key.id, &to.id));
        let text = format!("  request {number}: {} asks {}, at distance {distance}", from.address, to.address);
        narration
            .say(&text, || json!({ "step": "hop", "from": NodeObject::from(from), "to": NodeObject::from(to) }))?;
    }
    let text = format!("  {}; its {} bytes:", source(holders.len(), &stats), value.len());
    let QueryStats { asked, responded, hops, relayed, fell_back, .. } = stats;
    narration.say(&text, || {
        json!({
            "step": "found",
            "holders": objects(&holders),
            "asked": asked,
            "responded": responded,
            "hops": hops,
            "relayed": relayed,
            "fell_back": fell_back,
        })
    })?;
    Ok(value)
}

/// Prints the demo's steps.
struct Narration {
    out: Output,
    key: Key,
    mode: Mode,
}

impl Narration {
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

    /// Runs a lookup to its end, and prints its rounds.
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
        let text = format!("  start: the node itself is at distance {}", power(&own));
        self.say(&text, || json!({ "step": "round", "round": 0, "closest": own.to_string() }))?;
        let trace = RefCell::new(Trace::new(id, then, R::Geometry::rank));
        let watch = |progress: Progress<'_, SocketAddr>| {
            let steps = trace.borrow_mut().update(&progress);
            steps.iter().try_for_each(|step| self.step(&trace.borrow(), step))
        };
        let (result, last) = swarm.finish(node, query, watch, |done| {
            let last = trace.borrow_mut().end(&done.stats, &found(&done.outcome));
            (end(done), last)
        })?;
        last.iter().try_for_each(|step| self.step(&trace.borrow(), step))?;
        Ok(result)
    }

    fn step(&self, trace: &Trace, step: &Step) -> Result<(), Error> {
        self.say(&format!("  {}", trace.text(step, false)), || match step {
            Step::Storing => json!({ "step": "storing" }),
            Step::Round(Round { number, asked, responded, timed_out, closest, newcomers }) => json!({
                "step": "round",
                "round": number,
                "asked": asked,
                "responded": responded,
                "timed_out": timed_out,
                "closest": closest.map(|distance| distance.to_string()),
                "newcomers": objects(newcomers),
            }),
        })
    }

    /// Prints one step, as text or as a JSON object.
    fn say(&self, text: &str, object: impl FnOnce() -> Value) -> Result<(), Error> {
        if self.out.json { self.out.object(&object()) } else { self.print(text) }
    }

    /// Prints text for which the JSON output has no object.
    fn text(&self, text: &str) -> Result<(), Error> {
        if self.out.json { Ok(()) } else { self.print(text) }
    }

    /// A line that begins a part comes after an empty one.
    fn print(&self, text: &str) -> Result<(), Error> {
        match text.strip_prefix('\n') {
            Some(heading) => self.out.line("").and_then(|()| self.out.styled(HEADING, heading)),
            None if RESULTS.iter().any(|result| text.starts_with(result)) => self.out.styled(RESULT, text),
            None if text.starts_with(' ') => self.out.styled(DETAIL, text),
            None => self.out.line(text),
        }
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
    Error::new(Exit::Network, format!("{what}: {}", summary(stats))).tip("a longer --timeout, or fewer --nodes")
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
