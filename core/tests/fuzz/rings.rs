//! The same for the tables around a ring.

use core::net::SocketAddrV4;
use core::time::Duration;
use std::collections::BTreeMap;

use kadlet::routing::{ContactState, Maintenance, Origin, Peer};
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
            0 => discovered(&mut table, now, who, Origin::Requester, &before),
            1 => discovered(&mut table, now, who, Origin::Named, &before),
            2..=7 => {
                let known = model.entry(who.id).or_default();
                known.addresses.insert(who.address);
                known.responses = true;
                let expected = neighbours(&table, Some(&who.id), ahead, behind);
                table.responded(now, who, (call & 0x80 != 0).then(|| Duration::from_millis(u64::from(next()))));
                for id in expected {
                    assert!(
                        table.get(&id).is_some_and(|peer| peer.state == ContactState::Verified),
                        "the neighbours are always kept"
                    );
                }
            }
            8..=10 => {
                model.entry(who.id).or_default().responses = false;
                table.failed(now, &who.id);
            }
            11 => {
                model.remove(&who.id);
                table.evict(now, &who.id);
                assert_eq!(table.get(&who.id), None);
            }
            12 => now = now + Duration::from_millis(1 << (next() % 24)),
            13 => now = now.max(table.next_maintenance().min(now + Duration::from_secs(4_000))),
            14 => table.looked_up(now, if next() % 2 == 0 { &OWN } else { &who.id }),
            _ => table.disturbed(now),
        }
        if neighbours(&table, None, ahead, behind) != neighbours_before {
            assert_eq!(table.changed(), now, "it tells when the neighbourhood changed");
        } else {
            assert!(table.changed() == changed || table.changed() == now);
        }
        if call & 0x40 != 0 {
            maintenance(&mut table, now);
        }
        check(&table, &model, ahead, behind);
        check_orders(&table, &who.id, may_pass);
    }
}

/// Those next to the own node of all that answer, and of one more.
fn neighbours<R: Routing<Address = SocketAddrV4>>(
    table: &R,
    more: Option<&Id>,
    ahead: usize,
    behind: usize,
) -> Vec<Id> {
    let verified = table.peers().filter(|peer| peer.state == ContactState::Verified).map(|peer| peer.contact.id);
    let mut around: Vec<Id> = verified.chain(more.copied().filter(|id| *id != OWN)).collect();
    around.sort_by_key(|id| OWN.clockwise(id));
    around.dedup();
    let count = around.len();
    around.into_iter().enumerate().filter(|(at, _)| *at < ahead || count - at <= behind).map(|(_, id)| id).collect()
}

fn discovered<R: Routing<Address = SocketAddrV4> + Clone>(
    table: &mut R,
    now: Instant,
    who: Who,
    how: Origin,
    before: &[Peer<SocketAddrV4>],
) {
    let worth_asking = table.discovered(now, who, how);
    assert!(how != Origin::Requester || table.peers().eq(before.iter().copied()), "asking makes nobody known");
    for peer in before {
        assert_eq!(table.get(&peer.contact.id), Some(*peer), "one heard of changes and displaces nobody");
    }
    if worth_asking {
        let mut sequel = table.clone();
        sequel.responded(now, who, None);
        let taken = sequel.peers().any(|peer| peer.contact == who && peer.state == ContactState::Verified);
        let moving = before.iter().any(|peer| peer.contact.id == who.id);
        assert!(taken || moving, "{who:?} was worth asking, and is not taken");
    }
}

/// Asks for all upkeep that is due, and finds an end.
fn maintenance<R: Routing<Address = SocketAddrV4>>(table: &mut R, now: Instant) {
    for _ in 0..128 {
        match table.maintenance(now) {
            Some(Maintenance::Ask(contact)) => {
                assert!(table.get(&contact.id).is_some_and(|peer| peer.contact == contact))
            }
            Some(Maintenance::Lookup { target }) => assert_ne!(target, OWN),
            Some(Maintenance::Neighbourhood) => assert!(table.peers().next().is_some()),
            None => {
                assert!(
                    table.next_maintenance() > now,
                    "due at {:?}, and nothing to do at {now:?}",
                    table.next_maintenance()
                );
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
        let responded = known.is_some_and(|known| known.addresses.contains(&peer.contact.address));
        assert!(peer.state == ContactState::Unverified || responded);
        assert!(peer.state != ContactState::Verified || known.is_some_and(|known| known.responses));
    }
    let near = neighbours(table, None, ahead, behind);
    let far = || peers.iter().filter(|peer| peer.state == ContactState::Verified && !near.contains(&peer.contact.id));
    for peer in far().filter(|peer| peer.contact.address.prefix().is_some()) {
        let same = far().filter(|other| other.contact.address.prefix() == peer.contact.address.prefix()).count();
        assert!(same <= LIMITS.per_prefix_in_table.into());
    }
    let mut ranks: Vec<_> = peers.iter().filter(|peer| peer.state == ContactState::Verified).collect();
    ranks.sort_by_key(|peer| R::Geometry::rank(&OWN, &peer.contact.id));
    assert_eq!(table.expected_reach(), ranks.get(K - 1).map(|peer| R::Geometry::rank(&OWN, &peer.contact.id)));
}

fn check_orders<R: Routing<Address = SocketAddrV4>>(table: &R, target: &Id, may_pass: MayPass) {
    let verified: Vec<Who> =
        table.peers().filter(|peer| peer.state == ContactState::Verified).map(|peer| peer.contact).collect();
    for room in [0, 4, 30] {
        for name in [R::closest, R::toward] {
            let mut named = vec![Who::EMPTY; room];
            let count = name(table, target, &mut named);
            assert!(
                named[..count].iter().all(|contact| verified.contains(contact)),
                "only those that answer are named"
            );
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
