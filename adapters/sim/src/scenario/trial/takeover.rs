//! The identifier of a node is used by others.

use core::cell::RefCell;
use core::time::Duration;
use std::rc::Rc;

use kadlet::message::Request;
use kadlet::routing::ContactState;
use kadlet::{Contact, Dht, Event, Instant, Routing};

use super::place::{Peers, attach, contact, empty, header, honest, measures};
use super::spec::{Measure, TrialSpec};
use crate::address::HostAddress;
use crate::adversary::{Impostor, ask};
use crate::application::Application;
use crate::node::Peer;
use crate::progress::Progress;

/// The node whose identifier it is.
const OWNER: u32 = 0;
/// How long it is offline, and after what time from its return the tables are looked at.
const OFFLINE: Duration = Duration::from_secs(3_600);
const BACK: Duration = Duration::from_secs(1_800);
/// How often the other node announces itself.
const AGAIN: Duration = Duration::from_secs(120);
/// How long forged requests arrive, and how often.
const FORGING: Duration = Duration::from_secs(600);
const OFTEN: Duration = Duration::from_secs(1);

pub(super) fn take_over(spec: &TrialSpec, same_prefix: bool, progress: &mut Progress) -> Vec<Measure> {
    let mut runner = empty(&spec.network, progress);
    runner.add_ideal();
    runner.run_for(AGAIN);
    let stolen = contact(&runner, OWNER);
    let disk = runner.network.crash(OWNER);
    let elsewhere = HostAddress::in_prefix(0, 0);
    let thief = if same_prefix { stolen.address.in_same_prefix(100) } else { elsewhere };
    impersonate(&mut runner, Contact::new(stolen.id, thief), None, AGAIN);
    runner.run_for(OFFLINE);
    let before = tables_with(&runner, stolen.id, thief);
    let bootstraps = honest(&runner);
    runner.network.restart(OWNER, disk.as_deref(), &bootstraps[..2]);
    let seen = watch(&mut runner, OWNER);
    runner.run_for(BACK);
    // The owner may have taken another identifier.
    let owner = contact(&runner, OWNER);
    let (with_thief, with_owner) =
        (tables_with(&runner, owner.id, thief), tables_with(&runner, owner.id, owner.address));
    let told = seen.borrow().len() as f64;
    let moved = f64::from(u8::from(owner.id != stolen.id));
    measures(
        &runner,
        [
            ("tables_with_thief", with_thief),
            ("tables_with_owner", with_owner),
            ("tables_with_thief_before", before),
            ("events", told),
            ("moved", moved),
        ],
    )
}

pub(super) fn forge(spec: &TrialSpec, progress: &mut Progress) -> Vec<Measure> {
    let mut runner = empty(&spec.network, progress);
    runner.add_ideal();
    runner.run_for(AGAIN);
    let owner = contact(&runner, OWNER);
    for number in 0..spec.attackers {
        let elsewhere = HostAddress::in_prefix(number, 0);
        let address = if number % 2 == 0 { elsewhere } else { owner.address.in_same_prefix(100 + number as u8) };
        impersonate(&mut runner, Contact::new(owner.id, address), Some(owner.address), OFTEN);
    }
    let header = header(&mut runner, owner.id, true);
    let forged = ask(&header, None, Request::FindNode { target: owner.id });
    let seen = watch(&mut runner, OWNER);
    let seconds = FORGING.as_secs() as u32;
    for second in 0..seconds {
        // Later, so that they can't hide the others.
        let forging = if second < seconds / 2 { 0 } else { spec.attackers };
        for number in 0..forging {
            let nobody = HostAddress::spread(spec.network.nodes + 1 + second * spec.attackers + number);
            runner.network.send_as(nobody, owner.address, &forged);
        }
        runner.run_for(Duration::from_secs(1));
    }
    let times = seen.borrow();
    let in_a_minute =
        |first: &Instant| times.iter().filter(|at| *at >= first && at.since(*first) < Duration::from_secs(60)).count();
    let most = times.iter().map(in_a_minute).max().unwrap_or(0);
    measures(&runner, [("events_in_a_minute", most as f64), ("events", times.len() as f64)])
}

/// Adds a minimal node with this identifier. It announces itself to one node, or to all.
fn impersonate(runner: &mut Peers<'_>, own: Contact<HostAddress>, told: Option<HostAddress>, every: Duration) {
    let known: Rc<[_]> = honest(runner).into_iter().map(|host| contact(runner, host)).collect();
    let told = told.map_or_else(|| known.iter().map(|contact| contact.address).collect(), |one| [one].into());
    let (header, count) = (header(runner, own.id, true), usize::from(runner.spec.k));
    attach(runner, own, Impostor { header, known, count, told, every });
}

/// In how many tables of other honest nodes a contact is verified.
fn tables_with(runner: &Peers<'_>, id: kadlet::Id, address: HostAddress) -> f64 {
    let has = |host: &u32| {
        let peer = runner.network.node(*host).and_then(|node| node.routing().get(&id));
        peer.is_some_and(|peer| peer.contact.address == address && peer.state == ContactState::Verified)
    };
    honest(runner).iter().filter(|host| **host != OWNER && has(host)).count() as f64
}

/// When a node reported that another one has its identifier.
fn watch(runner: &mut Peers<'_>, host: u32) -> Rc<RefCell<Vec<Instant>>> {
    let seen = Rc::default();
    runner.network.attach(host, Box::new(Watch(Rc::clone(&seen))));
    seen
}

struct Watch(Rc<RefCell<Vec<Instant>>>);

impl Application<Peer> for Watch {
    fn handle_event(&mut self, now: Instant, event: &Event<'_, <Peer as Dht>::Address>) {
        if let Event::OwnIdSeen { .. } = event {
            self.0.borrow_mut().push(now);
        }
    }

    fn act(&mut self, _: Instant, _: &mut Peer) -> Option<Instant> {
        None
    }
}
