//! One node is sent more requests than it may serve.

use core::cell::Cell;
use core::time::Duration;
use std::rc::Rc;

use kadlet::{Contact, Id, Key};

use super::place::{attach, contact, empty, header, measures};
use super::spec::{Flood as Kind, Measure, TrialSpec};
use crate::address::HostAddress;
use crate::adversary::{Flood, Flooding};
use crate::progress::Progress;

const VICTIM: u32 = 0;
/// All prefixes together can send this many times as much as one; checks of signatures: see
/// [`Config::rate_limit`](kadlet::Config::rate_limit).
const ALL: u32 = 16;
const CHECK: u32 = 8;
const ALL_CHECKS: u32 = 4;
/// How many times as much as it may serve the node is sent.
const EXCESS: u32 = 4;
/// The time in which the node hears from another one, in which bursts are over, and that is measured.
const SETTLING: Duration = Duration::from_secs(60);
const BURST: Duration = Duration::from_secs(5);
const MEASURED: Duration = Duration::from_secs(10);
/// Of how many public keys the one is taken whose record is nearest to the node.
const CANDIDATES: u32 = 4_000;

pub(super) fn run(spec: &TrialSpec, kind: Kind, private: bool, progress: &mut Progress) -> Vec<Measure> {
    let mut runner = empty(&spec.network, progress);
    runner.add_ideal();
    // It has heard from a global address, so it limits what private ones send.
    let pinged = runner.network.ping(VICTIM, VICTIM + 1);
    assert!(pinged.is_ok(), "an idle node can ping: {pinged:?}");
    runner.run_for(SETTLING);
    let (rate, attackers) = (u32::from(runner.network.config.rate_limit), spec.attackers.max(1));
    // All sources in private networks share the limit of one prefix.
    let prefixes = if private { 1 } else { attackers };
    let limit = match kind {
        Kind::Signatures => (rate / CHECK * prefixes).min(rate / ALL_CHECKS),
        Kind::Unproved | Kind::Proved => rate * prefixes.min(ALL),
    };
    let victim = contact(&runner, VICTIM);
    let flooding = match kind {
        Kind::Unproved => Flooding::Unproved,
        Kind::Proved => Flooding::Proved,
        Kind::Signatures => Flooding::Signatures(public_key_next_to(&victim.id)),
    };
    let pause = Duration::from_secs(1) * attackers / (limit * EXCESS);
    let served = Rc::new(Cell::new(0));
    for number in 0..attackers {
        let id = runner.random().id();
        let next = HostAddress::spread(runner.network.len() as u32);
        let address = if private { HostAddress::private(number) } else { next };
        let (header, served) = (header(&mut runner, id, false), served.clone());
        let flood = Flood { header, victim: victim.address, flooding, pause, served, token: None };
        attach(&mut runner, Contact::new(id, address), flood);
        runner.run_for(pause / attackers);
    }
    runner.run_for(BURST);
    served.set(0);
    runner.run_for(MEASURED);
    let per_second = served.get() as f64 / MEASURED.as_secs_f64();
    measures(&runner, [("times_limit", per_second / f64::from(limit)), ("limit_per_second", f64::from(limit))])
}

/// A public key whose record the node is responsible for.
fn public_key_next_to(own: &Id) -> [u8; 32] {
    let key = |number: u32| core::array::from_fn(|index| number.to_be_bytes()[index % 4]);
    let nearest = (0..CANDIDATES).map(key).min_by_key(|public_key| Key::signed(public_key, &[]).id.xor(own));
    nearest.unwrap_or_default()
}
