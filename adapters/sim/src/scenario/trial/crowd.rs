//! Honest nodes that share few address prefixes, or have none.

use core::time::Duration;
use std::collections::{HashMap, HashSet};

use kadlet::routing::ContactState;
use kadlet::{Contact, Dht, Id, Instant, Key, Options, Record, Routing};

use super::place::{Peers, contact, empty, measures};
use super::spec::{Crowd, Measure, TrialSpec};
use crate::address::HostAddress;
use crate::network::OperationOutcome;
use crate::progress::Progress;
use crate::scenario::attack::records::{TestRecord, get_all, put_all};

/// The time in which all nodes of the crowd join, and that they have to find their seats.
const JOINING: Duration = Duration::from_secs(300);
const SETTLING: Duration = Duration::from_secs(1_800);
const MINUTE: Duration = Duration::from_secs(60);
/// The time from the put of one node to that of the next.
const PAUSE: Duration = Duration::from_millis(200);
/// How many nodes are in each prefix of [`Crowd::Tens`].
const TEN: u32 = 10;

pub(super) fn run(spec: &TrialSpec, crowd: Crowd, progress: &mut Progress) -> Vec<Measure> {
    let (nodes, gets) = (spec.network.nodes, spec.network.lookups);
    let others = nodes - spec.attackers;
    let mut runner = empty(&spec.network, progress);
    runner.add_ideal_at(&(0..others).map(HostAddress::spread).collect::<Vec<_>>());
    let mut shared = Shared::default();
    for number in 0..spec.attackers {
        let address = match crowd {
            Crowd::OnePrefix => HostAddress::in_prefix(0, number),
            Crowd::BehindOne => HostAddress::shared(0, number),
            Crowd::Tens => HostAddress::in_prefix(number / TEN, number % TEN),
            Crowd::Private => HostAddress::private(number),
        };
        // A node without contacts has a random identifier.
        let own = Contact::new(runner.random().id(), address);
        let known = others + number;
        let bootstraps: Vec<u32> = (0..known.min(2)).map(|_| runner.random().below(known as usize) as u32).collect();
        runner.network.join_as(own, &bootstraps);
        runner.run_for(JOINING / spec.attackers);
        shared.look(&runner);
    }
    for _ in 0..SETTLING.as_secs() / MINUTE.as_secs() {
        runner.run_for(MINUTE);
        shared.look(&runner);
    }
    runner.results.clear();
    let crowd: Vec<u32> = (others..nodes).collect();
    let all: Vec<u32> = (0..nodes).collect();
    let (unable, short) = put_and_get(&mut runner, &crowd);
    let serving = serving(&runner);
    let serve = crowd.iter().filter(|host| serving.contains(host)).count();
    let records = TestRecord::of_each_kind(gets.div_ceil(5).min(200));
    put_all(&mut runner, &records, &all, true, false);
    let right = get_all(&mut runner, &records, &all, gets).figures().right;
    measures(
        &runner,
        [
            ("right", right),
            ("unable_to_put_or_get", f64::from(unable)),
            ("records_without_8_holders", f64::from(short)),
            ("serving", serve as f64),
            ("minutes_with_one_id", shared.longest.as_secs_f64() / 60.0),
        ],
    )
}

/// Each node puts a record, and gets that of the next one. Returns how many nodes could not do one of both, and how
/// many records are at fewer nodes than 8, or than all others.
fn put_and_get(runner: &mut Peers<'_>, crowd: &[u32]) -> (u32, u32) {
    let value = |host: u32| format!("record of {host}").into_bytes();
    let options = Options { publish: false, ..Options::DEFAULT };
    let mut failed = HashSet::new();
    let mut begun = HashMap::new();
    for host in crowd {
        match runner.network.put(*host, &Record::immutable(&value(*host)), &options) {
            Ok(operation) => _ = begun.insert(operation, *host),
            Err(_) => _ = failed.insert(*host),
        }
        runner.run_for(PAUSE);
    }
    runner.run_until_all_ended();
    let wanted = usize::from(runner.spec.k).min(runner.network.len() - 1);
    let holders = |key: Key| {
        let hosts = 0..runner.network.len() as u32;
        hosts.filter(|host| runner.network.stored_version(*host, &key).is_some()).count()
    };
    let short = crowd.iter().filter(|host| holders(Key::immutable(&value(**host))) < wanted).count() as u32;
    for (index, host) in crowd.iter().enumerate() {
        let next = crowd[(index + 1) % crowd.len()];
        match runner.network.get(*host, Key::immutable(&value(next))) {
            Ok(operation) => _ = begun.insert(operation, *host),
            Err(_) => _ = failed.insert(*host),
        }
        runner.run_for(PAUSE);
    }
    runner.run_until_all_ended();
    for result in core::mem::take(&mut runner.results) {
        let succeeded = matches!(result.outcome, OperationOutcome::Stored { .. } | OperationOutcome::Value { .. });
        if let Some(host) = begun.remove(&result.operation).filter(|_| !succeeded) {
            failed.insert(host);
        }
    }
    // What has no result failed as well.
    failed.extend(begun.into_values());
    (failed.len() as u32, short)
}

/// The hosts of the nodes that others have verified.
fn serving(runner: &Peers<'_>) -> HashSet<u32> {
    let nodes = (0..runner.network.len() as u32).filter_map(|host| runner.network.node(host));
    let peers = nodes.flat_map(|node| node.routing().peers().collect::<Vec<_>>());
    let verified = peers.filter(|peer| peer.state == ContactState::Verified);
    let hosts = verified.filter_map(|peer| {
        let host = runner.network.host_at(peer.contact.address)?;
        (runner.network.id(host) == Some(peer.contact.id)).then_some(host)
    });
    hosts.collect()
}

/// Since when nodes have had one identifier, and the longest that was.
#[derive(Default)]
struct Shared {
    since: HashMap<(u32, u32), Instant>,
    longest: Duration,
}

impl Shared {
    fn look(&mut self, runner: &Peers<'_>) {
        let mut first: HashMap<Id, u32> = HashMap::new();
        let now = runner.network.now();
        let mut shared = HashMap::new();
        for host in 0..runner.network.len() as u32 {
            let Contact { id, .. } = contact(runner, host);
            let one = *first.entry(id).or_insert(host);
            if one != host {
                let since = *self.since.get(&(one, host)).unwrap_or(&now);
                self.longest = self.longest.max(now.since(since));
                shared.insert((one, host), since);
            }
        }
        self.since = shared;
    }
}
