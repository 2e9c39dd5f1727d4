//! Where attackers are, and what they do.

use core::time::Duration;
use std::rc::Rc;

use kadlet::message::Features;
use kadlet::wire::{Header, Transaction};
use kadlet::{Address, Contact, Geometry, Id, Kind, Routing};

use super::records::TestRecord;
use super::spec::{Attack, AttackSpec};
use crate::address::HostAddress;
use crate::adversary::{Adversary, Collude, Invent, Misname, Naming, Plant, Seats, Stale, Stall, nearest};
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
/// An attacker of single keys has a whole /24 for each four nodes: 250 of them in a network of 1,000.
const NODES_FOR_A_PREFIX: u32 = 4;

/// Turns the first hosts hostile, as many as the attack has attackers.
pub(in crate::scenario) fn turn_hostile<M: SimulatedNode>(runner: &mut Runner<'_, M>, spec: &AttackSpec) {
    let network = &runner.network;
    let contact = |host: u32| Contact::new(network.id(host).unwrap_or(Id::ZERO), network.address(host));
    let seats = Seats::default();
    let accomplices: Rc<[_]> = (0..spec.attackers).map(contact).flat_map(|own| in_both_seats(own, &seats)).collect();
    let addresses: Rc<[_]> = (0..spec.attackers).map(|host| network.address(host)).collect();
    let victims: Rc<[_]> = (spec.attackers..spec.network.nodes).map(contact).collect();
    let (ids, count) = (network.ids, usize::from(spec.network.k));
    for host in 0..spec.attackers {
        let adversary: Box<dyn Adversary> = match spec.attack {
            Attack::Invent | Attack::BootstrapInvent => {
                let (accomplices, seats, random) = (addresses.clone(), seats.clone(), Random::new(u64::from(host)));
                Box::new(Invent { accomplices, ids, seats, count, random })
            }
            Attack::Misname => Box::new(Misname { victims: victims.clone(), seats: seats.clone(), last: 0, count }),
            Attack::Collude | Attack::Bootstrap => colluder(&accomplices, &seats, Naming::Nearest, count, host),
            Attack::ColludeSpread => colluder(&accomplices, &seats, Naming::SpreadOver(SPREAD), count, host),
            Attack::ServeOld => Box::new(Stale::default()),
            Attack::Stall => Box::new(Stall),
            _ => return,
        };
        runner.network.turn_hostile(host, adversary);
        runner.network.own_prefix(host);
    }
}

/// New nodes join next to each key and name only each other; if the attack has them, others join next to the key's
/// publisher, of these hosts in turn, and are honest. All are nodes of one attacker.
pub(super) fn surround<M: SimulatedNode>(
    runner: &mut Runner<'_, M>,
    spec: &AttackSpec,
    records: &[TestRecord],
    publishers: &[u32],
) {
    let (count, attackers) = (usize::from(spec.network.k), spec.attackers as usize);
    let mut owned: Vec<_> = if spec.attack == Attack::SybilsOfOnePrefix {
        Vec::new()
    } else {
        (0..spec.network.nodes / NODES_FOR_A_PREFIX).flat_map(|prefix| seats_of(prefix, 2)).collect()
    };
    let mut take_nearest = |target: &Id, prefix: usize| {
        if spec.attack == Attack::SybilsOfOnePrefix {
            // Any of the seats of one /24, at any of its addresses.
            let nearest = nearest(seats_of(prefix as u32, u16::MAX), target, attackers);
            let at = |(host, contact): (usize, Contact<_>)| {
                Contact::new(contact.id, HostAddress::in_prefix(prefix as u32, host as u32))
            };
            return nearest.into_iter().enumerate().map(at).collect();
        }
        let nearest = nearest(owned.iter().copied(), target, attackers);
        owned.retain(|contact| !nearest.contains(contact));
        nearest
    };
    let mut sybils = Vec::new();
    for (index, record) in records.iter().enumerate() {
        for sybil in take_nearest(&record.key().id, index) {
            sybils.push((join_as(runner, sybil), sybil));
        }
        if spec.attack == Attack::Density
            && let Some(publisher) = runner.network.id(publishers[index % publishers.len()])
        {
            for honest in take_nearest(&publisher, index) {
                join_as(runner, honest);
            }
        }
    }
    let accomplices: Rc<[_]> = sybils.iter().map(|(_, contact)| *contact).collect();
    for (sybil, _) in sybils {
        let adversary = colluder(&accomplices, &Seats::default(), Naming::Nearest, count, sybil);
        runner.network.turn_hostile(sybil, adversary);
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

/// A node joins through two others. Returns its host.
fn join_as<M: SimulatedNode>(runner: &mut Runner<'_, M>, own: Contact<HostAddress>) -> u32 {
    let bootstraps: Vec<u32> = (0..2).filter_map(|_| runner.network.any_member()).collect();
    runner.network.join_as(own, &bootstraps)
}

/// The first of the identifiers that are bound to the /24 with this number, each at an address there.
fn seats_of(prefix: u32, count: u16) -> impl Iterator<Item = Contact<HostAddress>> {
    (0..count).filter_map(move |seat| {
        let address = HostAddress::in_prefix(prefix, u32::from(seat));
        Some(Contact::new(Id::bound(address.prefix()?, seat), address))
    })
}

/// An attacker in both first-class seats of its /24, if it is in one of them.
fn in_both_seats(own: Contact<HostAddress>, seats: &Seats) -> impl Iterator<Item = Contact<HostAddress>> + use<> {
    let prefix = own.address.prefix().filter(|_| own.id.is_bound(&own.address) && own.id.is_first_class());
    let other = prefix.map(|prefix| Contact::new(Id::bound(prefix, own.id.seat() ^ 1), own.address.in_same_prefix(0)));
    if let Some(other) = other {
        seats.take(other);
    }
    [own].into_iter().chain(other)
}

fn colluder(
    accomplices: &Rc<[Contact<HostAddress>]>,
    seats: &Seats,
    naming: Naming,
    count: usize,
    seed: u32,
) -> Box<dyn Adversary> {
    let (accomplices, seats, random) = (accomplices.clone(), seats.clone(), Random::new(u64::from(seed)));
    Box::new(Collude { accomplices, seats, naming, count, random })
}
