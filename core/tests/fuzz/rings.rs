//! What `routing` does for Kademlia's table, for the tables around a ring: Chord's and Pastry's.

use core::net::SocketAddrV4;
use core::time::Duration;
use std::collections::BTreeMap;

use kadlet::routing::{ContactState, Origin, Peer};
use kadlet::{Address, Geometry, Id, Instant, Routing};

use super::{CONTACTS, Contact4, K, Known, LIMITS, OWN, contact, discovered, maintenance};

/// Whether a request about a target may be forwarded to `hop`, given all verified contacts.
type MayForward = fn(target: &Id, hop: &Contact4, verified: &[Contact4]) -> bool;

/// Chord forwards to a contact before the target, or to the first verified contact after it, but never beyond that one.
pub fn chord_may_forward(target: &Id, hop: &Contact4, verified: &[Contact4]) -> bool {
    let first = verified.iter().min_by_key(|contact| target.clockwise(&contact.id));
    OWN.clockwise(&hop.id) < OWN.clockwise(target) || first == Some(hop)
}

/// Pastry, with digits of two bits, forwards to a contact that shares more digits with the target than the own node
/// does. Or the contact is numerically closer, and either shares as many digits or is the closest of all verified
/// contacts.
pub fn pastry_may_forward(target: &Id, hop: &Contact4, verified: &[Contact4]) -> bool {
    let shared = |id: &Id| id.common_prefix_len(target) / 2;
    let closer = hop.id.ring(target) < OWN.ring(target);
    let closest = verified.iter().all(|other| hop.id.ring(target) <= other.id.ring(target));
    shared(&hop.id) > shared(&OWN) || closer && (shared(&hop.id) == shared(&OWN) || closest)
}

/// Runs the calls that `data` encodes against a table that keeps `ahead` and `behind` neighbours on its two sides.
///
/// # Panics
///
/// When a rule is broken.
pub fn run<R: Routing<Address = SocketAddrV4> + Clone>(
    data: &[u8],
    ahead: usize,
    behind: usize,
    may_forward: MayForward,
) {
    let mut bytes = data.iter().copied();
    let mut table = R::EMPTY;
    let mut model = BTreeMap::<Id, Known>::new();
    let mut now = Instant::from_millis(bytes.next().unwrap_or(0).into());
    table.start(now, OWN, &LIMITS, bytes.next().unwrap_or(0).into()).unwrap();
    while let Some(call) = bytes.next() {
        let mut next = || bytes.next().unwrap_or(0);
        let contact = contact(next(), next(), next());
        let before: Vec<Peer<SocketAddrV4>> = table.peers().collect();
        let near = || neighbours(&table, None, ahead, behind);
        let (neighbours_before, changed) = (near(), table.changed());
        match call % 16 {
            0 => discovered(&mut table, now, contact, Origin::Requester, &before),
            1 => discovered(&mut table, now, contact, Origin::Named, &before),
            2..=7 => {
                let known = model.entry(contact.id).or_default();
                known.addresses.insert(contact.address);
                known.responds = true;
                let expected = neighbours(&table, Some(&contact.id), ahead, behind);
                table.responded(now, contact, (call & 0x80 != 0).then(|| Duration::from_millis(u64::from(next()))));
                for id in expected {
                    assert!(
                        table.get(&id).is_some_and(|peer| peer.state == ContactState::Verified),
                        "the neighbours are always kept"
                    );
                }
            }
            8..=10 => {
                model.entry(contact.id).or_default().responds = false;
                table.failed(now, &contact.id);
            }
            11 => {
                model.remove(&contact.id);
                table.evict(now, &contact.id);
                assert_eq!(table.get(&contact.id), None);
            }
            12 => now = now + Duration::from_millis(1 << (next() % 24)),
            13 => now = now.max(table.next_maintenance().min(now + Duration::from_secs(4_000))),
            14 => table.looked_up(now, if next() % 2 == 0 { &OWN } else { &contact.id }),
            _ => table.check_neighbourhood_soon(now),
        }
        if neighbours(&table, None, ahead, behind) != neighbours_before {
            assert_eq!(table.changed(), now, "the table must note when the neighbourhood changed");
        } else {
            assert!(table.changed() == changed || table.changed() == now);
        }
        if call & 0x40 != 0 {
            maintenance(&mut table, now, 128);
        }
        check(&table, &model, ahead, behind);
        check_orders(&table, &contact.id, may_forward);
    }
}

/// The own node's neighbours among the verified contacts and `more`.
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
        assert!(peer.state != ContactState::Verified || known.is_some_and(|known| known.responds));
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

fn check_orders<R: Routing<Address = SocketAddrV4>>(table: &R, target: &Id, may_forward: MayForward) {
    let verified: Vec<Contact4> =
        table.peers().filter(|peer| peer.state == ContactState::Verified).map(|peer| peer.contact).collect();
    for room in [0, 4, 30] {
        for name in [R::closest, R::next_hops] {
            let mut named = vec![Contact4::EMPTY; room];
            let count = name(table, target, &mut named);
            assert!(
                named[..count].iter().all(|contact| verified.contains(contact)),
                "only verified contacts are named"
            );
            assert!((1..count).all(|at| !named[..at].contains(&named[at])), "each once");
        }
        let mut named = vec![Contact4::EMPTY; room];
        assert_eq!(table.closest(target, &mut named), verified.len().min(room));
    }
    let rank = |id: &Id| R::Geometry::rank(target, id);
    let nearer = verified.iter().filter(|contact| rank(&contact.id) < rank(&OWN)).count();
    assert_eq!(table.rank_of_own(target, CONTACTS), nearer);
    let mut hop = [Contact4::EMPTY; 1];
    let hops = table.next_hops(target, &mut hop);
    assert_eq!(hops == 0, nearer == 0, "a request must end where no nearer contact is known, and only there");
    assert!(hops == 0 || may_forward(target, &hop[0], &verified), "{target:?} forwarded to {:?}", hop[0]);
}
