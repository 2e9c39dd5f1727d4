//! Attackers name an address of somebody else, so that other nodes send there.

use core::net::Ipv4Addr;
use core::time::Duration;
use std::rc::Rc;

use kadlet::{Address, Contact, Id};

use super::place::{Silent, attach, empty, measures};
use super::spec::{Measure, TrialSpec};
use crate::address::HostAddress;
use crate::adversary::{Collude, Naming, Seats};
use crate::progress::Progress;
use crate::random::Random;
use crate::scenario::runner::Action;

/// The time over which the lookups are spread, and after which nothing comes of them any more.
const MEASURED: Duration = Duration::from_secs(600);
const REST: Duration = Duration::from_secs(60);
/// How many /24s a third party has that has a whole network.
const PREFIXES: u8 = 250;

pub(super) fn run(
    spec: &TrialSpec,
    one_prefix: bool,
    wide: bool,
    named: usize,
    progress: &mut Progress,
) -> Vec<Measure> {
    let (nodes, attackers, lookups) = (spec.network.nodes, spec.attackers, spec.network.lookups);
    let mut runner = empty(&spec.network, progress);
    let crowded = |host: &u32| one_prefix && *host < attackers;
    let address = |host| if crowded(&host) { HostAddress::in_prefix(0, host) } else { HostAddress::spread(host) };
    runner.add_ideal_at(&(0..nodes).map(address).collect::<Vec<_>>());
    let addresses = (0..if wide { PREFIXES } else { 1 }).map(|n| HostAddress::new(Ipv4Addr::new(170, 10, n, 1)));
    let seats = addresses.flat_map(|address| (0..if wide { 2 } else { named as u16 }).map(move |seat| (address, seat)));
    let named_as = |(address, seat): (HostAddress, _)| Some(Contact::new(Id::bound(address.prefix()?, seat), address));
    let accomplices: Rc<[_]> = seats.filter_map(named_as).collect();
    let mut victims: Vec<u32> = Vec::new();
    for victim in accomplices.iter() {
        if runner.network.host_at(victim.address).is_none() {
            victims.push(attach(&mut runner, *victim, Silent));
        }
    }
    for host in 0..attackers {
        // A minimal node sends less.
        runner.network.crash(host);
        let (seats, random) = (Seats::default(), Random::new(u64::from(host)));
        let adversary =
            Collude { accomplices: accomplices.clone(), seats, naming: Naming::Nearest, count: named, random };
        runner.network.turn_hostile(host, Box::new(adversary));
    }
    runner.network.count_from_now();
    for lookup in 0..lookups {
        let at = runner.network.now() + MEASURED.mul_f64(f64::from(lookup) / f64::from(lookups));
        runner.schedule(at, Action::LookupFrom(attackers + lookup % (nodes - attackers)));
    }
    runner.run_for(MEASURED + REST);
    let sent = (0..attackers).map(|host| runner.network.bytes(host).0).sum::<u64>().max(1);
    let received: u64 = victims.into_iter().map(|host| runner.network.bytes(host).1).sum();
    measures(&runner, [("bytes_for_one", received as f64 / sent as f64), ("bytes_sent", sent as f64)])
}
