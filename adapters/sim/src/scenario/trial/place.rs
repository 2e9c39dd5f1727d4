//! What several trials use: networks, attackers outside of them, records near a node.

use kadlet::message::Features;
use kadlet::wire::{Header, Kadlet, Transaction};
use kadlet::{Address, Contact, Dht, Geometry, Id, Key, Routing};

use super::spec::Measure;
use crate::address::HostAddress;
use crate::adversary::{Adversary, Arrival, Reaction};
use crate::node::Peer;
use crate::progress::Progress;
use crate::scenario::runner::Runner;
use crate::scenario::spec::Spec;
use crate::signed::SignedRecord;

/// A runner of nodes with Kademlia tables.
pub(super) type Peers<'a> = Runner<'a, Peer>;

/// An empty network whose nodes verify signatures.
pub(super) fn empty<'a>(spec: &Spec, progress: &'a mut Progress) -> Peers<'a> {
    let mut runner = Runner::new(spec, progress);
    runner.network.config.verify = Some(SignedRecord::VERIFY);
    runner
}

/// The measures of a run, and how often it violated an invariant.
pub(super) fn measures<const N: usize>(runner: &Peers<'_>, figures: [(&'static str, f64); N]) -> Vec<Measure> {
    let checks = runner.network.checks();
    checks.violations().iter().for_each(|violated| eprintln!("{violated}"));
    let violations = ("violations", checks.count() as f64);
    figures.into_iter().chain([violations]).map(|(figure, value)| Measure { figure, value }).collect()
}

/// Adds an attacker without a node.
pub(super) fn attach(runner: &mut Peers<'_>, own: Contact<HostAddress>, adversary: impl Adversary + 'static) -> u32 {
    let host = runner.network.add_attacker_at(own);
    runner.network.turn_hostile(host, Box::new(adversary));
    host
}

/// The header of an attacker's requests, as a node that serves or as a client.
pub(super) fn header(runner: &mut Peers<'_>, sender: Id, serves: bool) -> Header<Kadlet> {
    Header {
        geometry: <<Peer as Dht>::Routing as Routing>::Geometry::TAG,
        network: 0,
        transaction: Transaction(runner.random().bytes()),
        sender,
        features: if serves { Features::SERVES } else { Features(0) },
    }
}

/// The contact of a host.
pub(super) fn contact(runner: &Peers<'_>, host: u32) -> Contact<HostAddress> {
    Contact::new(runner.network.id(host).unwrap_or(Id::ZERO), runner.network.address(host))
}

/// All live members that are not hostile.
pub(super) fn honest(runner: &Peers<'_>) -> Vec<u32> {
    let mut hosts: Vec<u32> = runner.network.members().values().copied().collect();
    hosts.retain(|host| !runner.network.is_hostile(*host));
    hosts.sort_unstable();
    hosts
}

/// The contacts of the `count` honest members that are nearest to a target.
pub(super) fn honest_next_to(runner: &Peers<'_>, target: &Id, count: usize) -> Vec<Contact<HostAddress>> {
    let near = runner.network.responsible(target, runner.network.members().len());
    let honest = near.into_iter().filter(|host| !runner.network.is_hostile(*host));
    honest.take(count).map(|host| contact(runner, host)).collect()
}

/// The identifiers in both seats of this many /24s, each at an address there.
pub(super) fn both_seats(prefixes: u32) -> impl Iterator<Item = Contact<HostAddress>> {
    let seats = (0..prefixes).flat_map(|prefix| [0, 1].map(|seat| (HostAddress::in_prefix(prefix, seat), seat as u16)));
    seats.filter_map(|(address, seat)| Some(Contact::new(Id::bound(address.prefix()?, seat), address)))
}

/// Values of this length of immutable records for which the node `own` is responsible in a network of `nodes`. Another
/// `salt` gives others.
pub(super) fn values_next_to(own: &Id, nodes: u32, count: usize, len: usize, salt: u32) -> Vec<Vec<u8>> {
    let value = |number: u32| {
        let mut value = [salt.to_be_bytes(), number.to_be_bytes()].concat();
        value.resize(len.max(value.len()), b'.');
        value
    };
    // Of the candidates, one in a quarter of the nodes is taken, and eight in all nodes hold a record.
    let candidates = (0..count as u32 * (nodes / 4).max(1)).map(value);
    let mut candidates: Vec<_> = candidates.map(|value| (Key::immutable(&value).id.xor(own), value)).collect();
    candidates.sort_unstable();
    candidates.into_iter().take(count).map(|(_, value)| value).collect()
}

/// An address at which nobody responds.
pub(super) struct Silent;

impl Adversary for Silent {
    fn handle(&mut self, _: &Arrival<'_>) -> Reaction {
        Reaction::Send(Vec::new())
    }
}
