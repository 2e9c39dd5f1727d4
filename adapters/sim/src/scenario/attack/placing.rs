//! Where attackers are, and what they do.

use core::time::Duration;
use std::rc::Rc;

use kadlet::message::Features;
use kadlet::wire::{Header, Transaction};
use kadlet::{Contact, Geometry, Id, Kind, Routing};

use super::records::TestRecord;
use super::spec::{Attack, AttackSpec};
use crate::address::HostAddress;
use crate::adversary::{Adversary, Collude, Invent, Misname, Naming, Plant, Seats, Stale, Stall};
use crate::node::SimulatedNode;
use crate::random::Random;
use crate::scenario::runner::Runner;

/// The time that new nodes have to join and to become known.
const JOINING: Duration = Duration::from_secs(120);
/// The time in which a client plants one record.
const PLANTING: Duration = Duration::from_secs(2);
/// How many nodes join through bad bootstrap addresses.
const NEWCOMERS: u32 = 50;
/// Of how many of the nearest accomplices some are drawn.
const SPREAD: usize = 32;

/// Turns the first hosts hostile, as many as the attack has attackers.
pub(super) fn turn_hostile<M: SimulatedNode>(runner: &mut Runner<'_, M>, spec: &AttackSpec) {
    let network = &runner.network;
    let contact = |host: u32| Contact::new(network.id(host).unwrap_or(Id::ZERO), network.address(host));
    let accomplices: Rc<[_]> = (0..spec.attackers).map(contact).collect();
    let addresses: Rc<[_]> = accomplices.iter().map(|contact| contact.address).collect();
    let victims: Rc<[_]> = (spec.attackers..spec.network.nodes).map(contact).collect();
    let (seats, ids, count) = (Seats::default(), network.ids, usize::from(spec.network.k));
    for host in 0..spec.attackers {
        let adversary: Box<dyn Adversary> = match spec.attack {
            Attack::Invent | Attack::BootstrapInvent => {
                let (accomplices, seats, random) = (addresses.clone(), seats.clone(), Random::new(u64::from(host)));
                Box::new(Invent { accomplices, ids, seats, count, random })
            }
            Attack::Misname => Box::new(Misname { victims: victims.clone(), seats: seats.clone(), last: 0, count }),
            Attack::Collude | Attack::Bootstrap => colluder(&accomplices, Naming::Nearest, count, host),
            Attack::ColludeSpread => colluder(&accomplices, Naming::SpreadOver(SPREAD), count, host),
            Attack::ServeOld => Box::new(Stale::default()),
            Attack::Stall => Box::new(Stall),
            _ => return,
        };
        runner.network.turn_hostile(host, adversary);
        runner.network.own_prefix(host);
    }
}

/// New nodes join next to each key and name only each other; if the attack has them, others join next to the key's
/// publisher, of these hosts in turn, and are honest.
pub(super) fn surround<M: SimulatedNode>(
    runner: &mut Runner<'_, M>,
    spec: &AttackSpec,
    records: &[TestRecord],
    publishers: &[u32],
) {
    let count = usize::from(spec.network.k);
    for (index, record) in records.iter().enumerate() {
        let crowd = (spec.attack == Attack::SybilsOfOnePrefix).then_some(index as u32);
        let sybils = join_next_to(runner, &record.key().id, spec.attackers, crowd);
        let contact =
            |host: &u32| Contact::new(runner.network.id(*host).unwrap_or(Id::ZERO), runner.network.address(*host));
        let accomplices: Rc<[_]> = sybils.iter().map(contact).collect();
        for sybil in sybils {
            runner.network.turn_hostile(sybil, colluder(&accomplices, Naming::Nearest, count, sybil));
        }
        if spec.attack == Attack::Density
            && let Some(publisher) = runner.network.id(publishers[index % publishers.len()])
        {
            join_next_to(runner, &publisher, spec.attackers, None);
        }
    }
    runner.run_for(JOINING);
}

/// New nodes join, three of whose four bootstrap addresses are attackers. Returns their hosts.
pub(super) fn join_through_attackers<M: SimulatedNode>(
    runner: &mut Runner<'_, M>,
    spec: &AttackSpec,
    honest: &[u32],
) -> Vec<u32> {
    let mut newcomers = Vec::new();
    for _ in 0..NEWCOMERS {
        let mut bad = || runner.random().below(spec.attackers.max(1) as usize) as u32;
        let mut bootstraps = vec![bad(), bad(), bad()];
        bootstraps.push(honest[runner.random().below(honest.len())]);
        newcomers.push(runner.network.join(&bootstraps));
        runner.run_for(Duration::from_secs(1));
    }
    runner.run_for(JOINING);
    newcomers
}

/// A client stores the old version of each signed record at the nodes that are next after its holders.
pub(super) fn plant_old<M: SimulatedNode>(runner: &mut Runner<'_, M>, spec: &AttackSpec, records: &[TestRecord]) {
    let k = usize::from(spec.network.k);
    for record in records.iter().filter(|record| record.kind == Kind::Signed) {
        let sender = runner.random().id();
        let header = Header {
            geometry: <M::Routing as Routing>::Geometry::TAG,
            network: 0,
            transaction: Transaction(runner.random().bytes()),
            sender,
            features: Features(0),
        };
        let plant = Plant { header, record: record.signed(false) };
        let client = runner.network.add_attacker(sender);
        let (from, probe) = (runner.network.address(client), plant.probe(record.key().id));
        runner.network.turn_hostile(client, Box::new(plant));
        let near = runner.network.responsible(&record.key().id, k + spec.attackers as usize);
        for host in near.into_iter().skip(k) {
            let to = runner.network.address(host);
            runner.network.send_as(from, to, &probe);
        }
        runner.run_for(PLANTING);
    }
}

/// This many nodes join with identifiers next to a target: in the /24 with this number, or else in one each. Returns
/// their hosts.
fn join_next_to<M: SimulatedNode>(
    runner: &mut Runner<'_, M>,
    target: &Id,
    count: u32,
    prefix: Option<u32>,
) -> Vec<u32> {
    let join = |number| {
        let next = runner.network.len() as u32;
        let address = prefix.map_or(HostAddress::spread(next), |prefix| HostAddress::in_prefix(prefix, number));
        let id = (runner.network.ids.claimed)(address, target);
        let bootstraps: Vec<u32> = (0..2).filter_map(|_| runner.network.any_member()).collect();
        runner.network.join_as(Contact::new(id, address), &bootstraps)
    };
    (0..count).map(join).collect()
}

fn colluder(accomplices: &Rc<[Contact<HostAddress>]>, naming: Naming, count: usize, seed: u32) -> Box<dyn Adversary> {
    let random = Random::new(u64::from(seed));
    Box::new(Collude { accomplices: accomplices.clone(), naming, count, random })
}
