//! Nodes next to one come and go.

use core::time::Duration;
use std::rc::Rc;

use kadlet::{Options, Record};

use super::place::{Peers, attach, both_seats, contact, empty, header, honest, honest_next_to, measures};
use super::spec::{Measure, TrialSpec};
use crate::adversary::{Flap, Impostor, nearest};
use crate::progress::Progress;

/// The node whose neighbours come and go, and how many honest nodes next to it are measured, it included.
const VICTIM: u32 = 0;
const NEIGHBOURS: usize = 16;
/// For how long an attacker is there, and then silent.
const PRESENT: Duration = Duration::from_secs(60);
const ABSENT: Duration = Duration::from_secs(60);
/// The network has a record for this many nodes, so that each node holds four. Their length, and the time from one put
/// to the next.
const NODES_FOR_A_RECORD: u32 = 2;
const LEN: usize = 200;
const PUT: Duration = Duration::from_millis(200);
/// Before anything is counted.
const SETTLING: Duration = Duration::from_secs(600);
/// An attacker has a whole /24 for each four nodes.
const NODES_FOR_A_PREFIX: u32 = 4;

pub(super) fn run(spec: &TrialSpec, progress: &mut Progress) -> Vec<Measure> {
    let [(calm, _), (attacked, mut measures)] = [false, true].map(|attacked| traffic(spec, attacked, progress));
    let figures = [
        ("times_calm", attacked.near / calm.near.max(1.0)),
        ("network_times_calm", attacked.all / calm.all.max(1.0)),
        ("calm_bytes_per_second", calm.near / spec.network.measured().as_secs_f64() / NEIGHBOURS as f64),
    ];
    measures.extend(figures.into_iter().map(|(figure, value)| Measure { figure, value }));
    measures
}

/// The bytes that honest nodes send.
struct Traffic {
    /// A node and its neighbours.
    near: f64,
    all: f64,
}

fn traffic(spec: &TrialSpec, attacked: bool, progress: &mut Progress) -> (Traffic, Vec<Measure>) {
    let mut runner = empty(&spec.network, progress);
    runner.add_ideal();
    for number in 0..spec.network.nodes / NODES_FOR_A_RECORD {
        let mut value = number.to_be_bytes().to_vec();
        value.resize(LEN, b'.');
        let hosts = honest(&runner);
        let host = hosts[runner.random().below(hosts.len())];
        // With one record more or less, nothing changes.
        let _ = runner.network.put(host, &Record::immutable(&value), &Options { publish: false, ..Options::DEFAULT });
        runner.run_for(PUT);
    }
    let neighbours = honest_next_to(&runner, &contact(&runner, VICTIM).id, NEIGHBOURS);
    if attacked {
        flap(&mut runner, spec);
    }
    runner.run_for(SETTLING);
    runner.network.count_from_now();
    runner.run_for(spec.network.measured());
    let sent = |host: u32| runner.network.bytes(host).0 as f64;
    let hosts = neighbours.iter().filter_map(|contact| runner.network.host_at(contact.address));
    let traffic = Traffic { near: hosts.map(sent).sum(), all: (0..spec.network.nodes).map(sent).sum() };
    (traffic, measures(&runner, []))
}

/// Adds the attackers. One after another they are there, evenly.
fn flap(runner: &mut Peers<'_>, spec: &TrialSpec) {
    let (victim, k) = (contact(runner, VICTIM).id, usize::from(spec.network.k));
    let seats = both_seats(spec.network.nodes / NODES_FOR_A_PREFIX);
    let known: Rc<[_]> = honest(runner).into_iter().map(|host| contact(runner, host)).collect();
    let near = honest_next_to(runner, &victim, NEIGHBOURS);
    let told: Rc<[_]> = near.into_iter().map(|contact| contact.address).collect();
    for (number, own) in nearest(seats, &victim, spec.attackers as usize).into_iter().enumerate() {
        let header = header(runner, own.id, true);
        let inner = Impostor { header, known: known.clone(), count: k, told: told.clone(), every: PRESENT };
        let first = runner.network.now() + (PRESENT + ABSENT) * number as u32 / spec.attackers.max(1);
        attach(runner, own, Flap { inner, first, present: PRESENT, absent: ABSENT });
    }
}
