//! A holder claims to have replicated a record, so that the others don't.

use core::time::Duration;
use std::collections::HashMap;
use std::rc::Rc;

use kadlet::{Dht, Id, Key, Options, Record, Store};

use super::place::{Peers, contact, empty, header, honest, honest_next_to, measures};
use super::spec::{Measure, TrialSpec};
use crate::adversary::{Claim, Impostor};
use crate::progress::Progress;

/// How many holders of each record die, and the time from one to the next.
const DEATHS: usize = 24;
const PAUSE: Duration = Duration::from_secs(300);
/// How often an attacker claims.
const AGAIN: Duration = Duration::from_secs(30);
/// How many of the nodes that are next to a key hear its claims: the holders, and those that will be.
const TOLD: usize = 40;
const PUT: Duration = Duration::from_secs(10);

pub(super) fn run(spec: &TrialSpec, progress: &mut Progress) -> Vec<Measure> {
    let [without, with] = [false, true].map(|claims| survivors(spec, claims, progress));
    let (survive_without, ..) = without;
    let (survive, believed, mut measures) = with;
    let lost = survive_without.saturating_sub(survive);
    let figures =
        [("lost_by_claims", lost), ("survive_without", survive_without), ("survive", survive), ("believed", believed)];
    for (figure, value) in figures {
        measures.push(Measure { figure, value: f64::from(value) });
    }
    measures
}

/// How many records are left after their holders died, if the nearest of them makes claims, or else is dead from the
/// beginning; and how many holders believed a claim meanwhile.
fn survivors(spec: &TrialSpec, claims: bool, progress: &mut Progress) -> (u32, u32, Vec<Measure>) {
    let mut runner = empty(&spec.network, progress);
    runner.add_ideal();
    let k = usize::from(spec.network.k);
    let values: Vec<Rc<[u8]>> =
        (0..spec.attackers).map(|number| format!("record {number}").into_bytes().into()).collect();
    for value in &values {
        let options = Options { publish: false, ..Options::DEFAULT };
        let hosts = honest(&runner);
        let host = hosts[runner.random().below(hosts.len())];
        // A put that can't begin shows as a record that is lost without claims.
        let _ = runner.network.put(host, &Record::immutable(value), &options);
        runner.run_for(PUT);
        let key = Key::immutable(value).id;
        let nearest = runner.network.responsible(&key, 1);
        let Some(attacker) = nearest.first().copied() else { continue };
        runner.network.crash(attacker);
        if claims {
            let claim = claim(&mut runner, attacker, &key, value, k);
            runner.network.turn_hostile(attacker, Box::new(claim));
        }
    }
    runner.run_for(PAUSE);
    let believed = values.iter().map(|value| believing(&runner, &Key::immutable(value))).sum();
    for _ in 0..DEATHS {
        for value in &values {
            let holders = runner.network.responsible(&Key::immutable(value).id, k);
            let dies = holders[runner.random().below(holders.len())];
            runner.network.crash(dies);
        }
        runner.run_for(PAUSE);
    }
    let live = honest(&runner);
    let survives = |value: &Rc<[u8]>| {
        live.iter().any(|host| runner.network.stored_version(*host, &Key::immutable(value)).is_some())
    };
    let survivors = values.iter().filter(|value| survives(value)).count() as u32;
    (survivors, believed, measures(&runner, []))
}

/// How many nodes believe that another one has replicated a record.
fn believing(runner: &Peers<'_>, key: &Key) -> u32 {
    let nodes = (0..runner.network.len() as u32).filter_map(|host| runner.network.node(host));
    let stores = nodes.map(Dht::store);
    stores
        .filter(|store| store.find(key).and_then(|slot| store.get(slot)).is_some_and(|held| held.metadata.claimed))
        .count() as u32
}

fn claim(runner: &mut Peers<'_>, attacker: u32, key: &Id, value: &Rc<[u8]>, count: usize) -> Claim {
    let known: Rc<[_]> = honest(runner).into_iter().map(|host| contact(runner, host)).collect();
    let told: Rc<[_]> = honest_next_to(runner, key, TOLD).into_iter().map(|contact| contact.address).collect();
    let header = header(runner, contact(runner, attacker).id, true);
    let node = Impostor { header, known, count, told: told.clone(), every: AGAIN };
    Claim { node, value: value.clone(), holders: told, tokens: HashMap::new() }
}
