//! One node is sent more records than it can hold.

use core::cell::Cell;
use core::net::Ipv4Addr;
use core::time::Duration;
use std::rc::Rc;

use kadlet::{Contact, Key, Store};

use super::place::{Peers, attach, contact, empty, header, measures, values_next_to};
use super::spec::{Measure, TrialSpec};
use crate::address::HostAddress;
use crate::adversary::Stuff;
use crate::node::Capacity;
use crate::progress::Progress;

/// The node whose store it is.
const VICTIM: u32 = 0;
/// How many honest nodes store a record each, and its length.
const HONEST: usize = 20;
const LEN: usize = 64;
/// How many records a hostile holder hands over.
const HANDED_OVER: usize = 400;
/// The store of the node in the README.
const SMALL: Capacity = Capacity { records: 32, bytes: 8_192 };
const LARGE_LEN: usize = 1_000;
/// The time from one record of an attacker to the next, and the time that honest nodes have to store one each.
const PAUSE: Duration = Duration::from_millis(100);
const STORING: Duration = Duration::from_secs(30);

pub(super) fn hand_over(spec: &TrialSpec, small: bool, progress: &mut Progress) -> Vec<Measure> {
    let mut runner = empty(&spec.network, progress);
    if small {
        runner.network.capacity = SMALL;
    }
    runner.add_ideal();
    let honest = store_honest(&mut runner, true);
    let values = values_of(&runner, HANDED_OVER, if small { LEN } else { LARGE_LEN }, 1);
    let hostile: Vec<_> = values.iter().map(|value| Key::immutable(value)).collect();
    let taken = store(&mut runner, HostAddress::in_prefix(0, 0), values, true);
    runner.run_for(PAUSE * HANDED_OVER as u32 + STORING);
    let figures = [
        ("taken", f64::from(taken.get())),
        ("taken_and_held", kept(&runner, &hostile)),
        ("honest_kept", kept(&runner, &honest)),
    ];
    measures(&runner, figures)
}

pub(super) fn stuff(spec: &TrialSpec, small: bool, progress: &mut Progress) -> Vec<Measure> {
    let mut runner = empty(&spec.network, progress);
    runner.add_ideal();
    let honest = store_honest(&mut runner, false);
    let (each, len) = if small { (4, LEN) } else { (1, LARGE_LEN) };
    let mut values = values_of(&runner, spec.attackers as usize * each, len, 1);
    let mut taken = 0;
    for number in 0..spec.attackers {
        let address = HostAddress::new(Ipv4Addr::new(170, 10, number as u8, 1));
        let own = values.split_off(values.len() - each);
        let stored = store(&mut runner, address, own, false);
        runner.run_for(STORING / 10);
        taken += stored.get();
    }
    measures(&runner, [("taken", f64::from(taken)), ("honest_kept", kept(&runner, &honest))])
}

/// Honest clients, each in a prefix of its own, store a record each. Returns the keys of those that were taken.
fn store_honest(runner: &mut Peers<'_>, handover: bool) -> Vec<Key> {
    let values = values_of(runner, HONEST, LEN, 0);
    let keys = values.iter().map(|value| Key::immutable(value)).collect();
    for value in values {
        let address = HostAddress::spread(runner.network.len() as u32);
        store(runner, address, vec![value], handover);
    }
    runner.run_for(STORING);
    keys
}

fn values_of(runner: &Peers<'_>, count: usize, len: usize, salt: u32) -> Vec<Vec<u8>> {
    values_next_to(&contact(runner, VICTIM).id, runner.spec.nodes, count, len, salt)
}

/// A client at this address begins to store these values. Returns how many it has stored, which grows.
fn store(runner: &mut Peers<'_>, from: HostAddress, values: Vec<Vec<u8>>, handover: bool) -> Rc<Cell<u32>> {
    let id = runner.random().id();
    let (header, victim, stored) = (header(runner, id, false), runner.network.address(VICTIM), Rc::default());
    let stuff = Stuff { header, victim, values, handover, pause: PAUSE, stored: Rc::clone(&stored), token: None };
    attach(runner, Contact::new(id, from), stuff);
    stored
}

/// How many of these records the node holds.
fn kept(runner: &Peers<'_>, keys: &[Key]) -> f64 {
    let store = runner.network.node(VICTIM).map(kadlet::Dht::store);
    store.map_or(0, |store| keys.iter().filter(|key| store.find(key).is_some()).count()) as f64
}
