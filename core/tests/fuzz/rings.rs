//! The same for the tables around a ring.

use core::net::SocketAddrV4;
use core::time::Duration;
use std::collections::BTreeMap;

use kadlet::routing::{Heard, Peer, State, Upkeep};
use kadlet::{Address, Geometry, Id, Instant, Routing};

use super::{CONTACTS, K, Known, LIMITS, OWN, Who, contact};

/// Whether a question about a target may be passed on to this one of all that answer.
type MayPass = fn(target: &Id, hop: &Who, verified: &[Who]) -> bool;

/// Chord: to one before the target, or to the first of those that follow it, but never past that one.
pub fn follows(target: &Id, hop: &Who, verified: &[Who]) -> bool {
    let first = verified.iter().min_by_key(|contact| target.clockwise(&contact.id));
    OWN.clockwise(&hop.id) < OWN.clockwise(target) || first == Some(hop)
}

/// Pastry, with digits of two bits: to one that shares more digits with the target, or as many and is numerically closer; or, among
/// the leaves, that is closer.
pub fn shares(target: &Id, hop: &Who, verified: &[Who]) -> bool {
    let shared = |id: &Id| id.common_prefix_len(target) / 2;
    let closer = hop.id.ring(target) < OWN.ring(target);
    let closest = verified.iter().all(|other| hop.id.ring(target) <= other.id.ring(target));
    shared(&hop.id) > shared(&OWN) || closer && (shared(&hop.id) == shared(&OWN) || closest)
}

/// Runs the calls that `data` spells against a table that keeps so many neighbours on either side.
///
/// # Panics
///
/// When a rule is broken.
pub fn run<R: Routing<Address = SocketAddrV4> + Clone>(data: &[u8], ahead: usize, behind: usize, may_pass: MayPass) {
    let mut bytes = data.iter().copied();
    let mut table = R::EMPTY;
    let mut model = BTreeMap::<Id, Known>::new();
    let mut now = Instant::from_millis(bytes.next().unwrap_or(0).into());
    table.start(now, OWN, &LIMITS, bytes.next().unwrap_or(0).into());
    while let Some(call) = bytes.next() {
        let mut next = || bytes.next().unwrap_or(0);
        let who = contact(next(), next(), next());
        let before: Vec<Peer<SocketAddrV4>> = table.peers().collect();
        let near = || neighbours(&table, None, ahead, behind);
        let (neighbours_before, changed) = (near(), table.changed());
        match call % 16 {
            0 => heard(&mut table, now, who, Heard::Asked, &before),
            1 => heard(&mut table, now, who, Heard::Named, &before),
            2..=7 => {
                let known = model.entry(who.id).or_default();
                known.addresses.insert(who.address);
                known.answers = true;
                let expected = neighbours(&table, Some(&who.id), ahead, behind);
                table.answered(now, who, (call & 0x80 != 0).then(|| Duration::from_millis(u64::from(next()))));
                for id in expected {
                    assert!(table.get(&id).is_some_and(|peer| peer.state == State::Verified), "the neighbours are always kept");
                }
            }
            8..=10 => {
                model.entry(who.id).or_default().answers = false;
                table.failed(now, &who.id);
            }
            11 => {
                model.remove(&who.id);
                table.evict(now, &who.id);
                assert_eq!(table.get(&who.id), None);
            }
            12 => now = now + Duration::from_millis(1 << (next() % 24)),
            13 => now = now.max(table.next_upkeep().min(now + Duration::from_secs(4_000))),
            14 => table.looked_up(now, if next() % 2 == 0 { &OWN } else { &who.id }),
            _ => table.disturbed(now),
        }
        if neighbours(&table, None, ahead, behind) != neighbours_before {
            assert_eq!(table.changed(), now, "it tells when the neighbourhood changed");
        } else {
            assert!(table.changed() == changed || table.changed() == now);
        }
        if call & 0x40 != 0 {
            upkeep(&mut table, now);
        }
        check(&table, &model, ahead, behind);
        check_orders(&table, &who.id, may_pass);
    }
}

/// Those next to the own node of all that answer, and of one more.
fn neighbours<R: Routing<Address = SocketAddrV4>>(table: &R, more: Option<&Id>, ahead: usize, behind: usize) -> Vec<Id> {
    let verified = table.peers().filter(|peer| peer.state == State::Verified).map(|peer| peer.contact.id);
    let mut around: Vec<Id> = verified.chain(more.copied().filter(|id| *id != OWN)).collect();
    around.sort_by_key(|id| OWN.clockwise(id));
    around.dedup();
    let count = around.len();
    around.into_iter().enumerate().filter(|(at, _)| *at < ahead || count - at <= behind).map(|(_, id)| id).collect()
}

fn heard<R: Routing<Address = SocketAddrV4> + Clone>(table: &mut R, now: Instant, who: Who, how: Heard, before: &[Peer<SocketAddrV4>]) {
    let worth_asking = table.heard(now, who, how);
    assert!(how != Heard::Asked || table.peers().eq(before.iter().copied()), "asking makes nobody known");
    for peer in before {
        assert_eq!(table.get(&peer.contact.id), Some(*peer), "one heard of changes and displaces nobody");
    }
    if worth_asking {
        let mut sequel = table.clone();
        sequel.answered(now, who, None);
        let taken = sequel.peers().any(|peer| peer.contact == who && peer.state == State::Verified);
        let moving = before.iter().any(|peer| peer.contact.id == who.id);
        assert!(taken || moving, "{who:?} was worth asking, and is not taken");
    }
}

/// Asks for all upkeep that is due, and finds an end.
fn upkeep<R: Routing<Address = SocketAddrV4>>(table: &mut R, now: Instant) {
    for _ in 0..128 {
        match table.upkeep(now) {
            Some(Upkeep::Ask(contact)) => assert!(table.get(&contact.id).is_some_and(|peer| peer.contact == contact)),
            Some(Upkeep::Lookup { target }) => assert_ne!(target, OWN),
            Some(Upkeep::Neighbourhood) => assert!(table.peers().next().is_some()),
            None => {
                assert!(table.next_upkeep() > now, "due at {:?}, and nothing to do at {now:?}", table.next_upkeep());
                return;
            }
        }
    }
    panic!("upkeep without end");
}

fn check<R: Routing<Address = SocketAddrV4>>(table: &R, model: &BTreeMap<Id, Known>, ahead: usize, behind: usize) {
    let peers: Vec<Peer<SocketAddrV4>> = table.peers().collect();
    assert!(peers.len() <= CONTACTS);
    assert!(peers.is_sorted_by(|a, b| OWN.clockwise(&a.contact.id) < OWN.clockwise(&b.contact.id)));
    for peer in &peers {
        assert_ne!(peer.contact.id, OWN);
        assert_eq!(table.get(&peer.contact.id), Some(*peer));
        let known = model.get(&peer.contact.id);
        let answered = known.is_some_and(|known| known.addresses.contains(&peer.contact.address));
        assert!(peer.state == State::Heard || answered);
        assert!(peer.state != State::Verified || known.is_some_and(|known| known.answers));
    }
    let near = neighbours(table, None, ahead, behind);
    let far = || peers.iter().filter(|peer| peer.state == State::Verified && !near.contains(&peer.contact.id));
    for peer in far().filter(|peer| peer.contact.address.group().is_some()) {
        let same = far().filter(|other| other.contact.address.group() == peer.contact.address.group()).count();
        assert!(same <= LIMITS.group_in_table.into());
    }
    let mut ranks: Vec<_> = peers.iter().filter(|peer| peer.state == State::Verified).collect();
    ranks.sort_by_key(|peer| R::Geometry::rank(&OWN, &peer.contact.id));
    assert_eq!(table.expected_reach(), ranks.get(K - 1).map(|peer| R::Geometry::rank(&OWN, &peer.contact.id)));
}

fn check_orders<R: Routing<Address = SocketAddrV4>>(table: &R, target: &Id, may_pass: MayPass) {
    let verified: Vec<Who> = table.peers().filter(|peer| peer.state == State::Verified).map(|peer| peer.contact).collect();
    for room in [0, 4, 30] {
        for name in [R::closest, R::toward] {
            let mut named = vec![Who::EMPTY; room];
            let count = name(table, target, &mut named);
            assert!(named[..count].iter().all(|contact| verified.contains(contact)), "only those that answer are named");
            assert!((1..count).all(|at| !named[..at].contains(&named[at])), "each once");
        }
        let mut named = vec![Who::EMPTY; room];
        assert_eq!(table.closest(target, &mut named), verified.len().min(room));
    }
    let rank = |id: &Id| R::Geometry::rank(target, id);
    let nearer = verified.iter().filter(|contact| rank(&contact.id) < rank(&OWN)).count();
    assert_eq!(table.rank_of_own(target, CONTACTS), nearer);
    let mut hop = [Who::EMPTY; 1];
    let hops = table.toward(target, &mut hop);
    assert_eq!(hops == 0, nearer == 0, "a question ends where nobody nearer is known, and only there");
    assert!(hops == 0 || may_pass(target, &hop[0], &verified), "{target:?} passed on to {:?}", hop[0]);
}
