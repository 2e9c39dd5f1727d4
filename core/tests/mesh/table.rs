//! A full mesh: a table in which every node knows every other, and each lookup takes one hop.

use core::time::Duration;

use kadlet::routing::{ContactState, Limits, Maintenance, Origin, Peer};
use kadlet::{ConfigError, Contact, Distance, Geometry, Id, Instant, Routing};

/// Kademlia's distance. A mesh works with any.
#[derive(Debug)]
pub struct Any;

impl Geometry for Any {
    const TAG: u8 = 200;
    const ONE_ORDER: bool = true;

    fn progress(target: &Id, id: &Id) -> Distance {
        target.xor(id)
    }

    fn rank(target: &Id, id: &Id) -> Distance {
        target.xor(id)
    }
}

/// A table of all contacts that respond, up to 64. It is on the heap, which a host can afford.
#[derive(Debug)]
pub struct Mesh {
    own: Id,
    peers: Vec<Peer<u16>>,
    /// The byte that fills the target of the next maintenance lookup.
    turn: u8,
    due: Instant,
    changed: Instant,
}

impl Mesh {
    fn sorted(&self, target: &Id, keep: impl Fn(&Peer<u16>) -> bool, out: &mut [Contact<u16>]) -> usize {
        let mut peers: Vec<_> = self.peers.iter().filter(|peer| keep(peer)).map(|peer| peer.contact).collect();
        peers.sort_by_key(|contact| contact.id.xor(target));
        out.iter_mut().zip(peers).map(|(place, contact)| *place = contact).count()
    }

    fn put(&mut self, contact: Contact<u16>, state: ContactState) {
        self.peers.retain(|peer| peer.contact.id != contact.id);
        if self.peers.len() < 64 && contact.id != self.own {
            self.peers.push(Peer { contact, state, rtt: None, timeout: None });
        }
    }
}

impl Routing for Mesh {
    type Address = u16;
    type Geometry = Any;

    const EMPTY: Self =
        Self { own: Id::ZERO, peers: Vec::new(), turn: 0xFF, due: Instant::ZERO, changed: Instant::ZERO };

    fn start(&mut self, now: Instant, own: Id, limits: &Limits, _: u64) -> Result<(), ConfigError> {
        limits.check(usize::MAX)?;
        *self = Self { own, due: now, ..Self::EMPTY };
        Ok(())
    }

    fn rekey(&mut self, now: Instant, own: Id) {
        self.own = own;
        self.peers.retain(|peer| peer.contact.id != own);
        (self.due, self.changed) = (now, now);
    }

    fn own(&self) -> Id {
        self.own
    }

    fn get(&self, id: &Id) -> Option<Peer<u16>> {
        self.peers.iter().find(|peer| peer.contact.id == *id).copied()
    }

    fn peers(&self) -> impl Iterator<Item = Peer<u16>> {
        self.peers.iter().copied()
    }

    fn discovered(&mut self, _: Instant, contact: Contact<u16>, how: Origin) -> bool {
        let worth_asking = self.get(&contact.id).is_none_or(|peer| peer.state != ContactState::Verified);
        if worth_asking && how != Origin::Requester {
            self.put(contact, ContactState::Unverified);
        }
        worth_asking
    }

    fn responded(&mut self, now: Instant, contact: Contact<u16>, _: Option<Duration>) {
        if self.get(&contact.id).is_none_or(|peer| peer.state != ContactState::Verified) {
            self.changed = now;
            self.put(contact, ContactState::Verified);
        }
    }

    fn failed(&mut self, now: Instant, id: &Id) {
        self.evict(now, id);
    }

    fn evict(&mut self, now: Instant, id: &Id) {
        self.peers.retain(|peer| peer.contact.id != *id);
        self.changed = now;
    }

    fn closest(&self, target: &Id, out: &mut [Contact<u16>]) -> usize {
        self.sorted(target, |peer| peer.state == ContactState::Verified, out)
    }

    fn initial_contacts(&self, target: &Id, out: &mut [Contact<u16>]) -> usize {
        self.sorted(target, |_| true, out)
    }

    fn rank_of_own(&self, key: &Id, limit: usize) -> usize {
        self.peers.iter().filter(|peer| peer.contact.id.xor(key) < self.own.xor(key)).take(limit).count()
    }

    fn expected_reach(&self) -> Option<Distance> {
        None
    }

    fn looked_up(&mut self, _: Instant, _: &Id) {}

    fn changed(&self) -> Instant {
        self.changed
    }

    fn check_neighbourhood_soon(&mut self, now: Instant) {
        self.due = self.due.min(now + Duration::from_secs(30));
    }

    fn maintenance(&mut self, now: Instant) -> Option<Maintenance<u16>> {
        if self.due > now {
            return None;
        }
        // Once around the identifiers in sixteen steps, then the own neighbourhood.
        self.due = now + Duration::from_secs(5);
        self.turn = self.turn.wrapping_add(0x11);
        Some(if self.turn == 0 {
            Maintenance::Neighbourhood
        } else {
            Maintenance::Lookup { target: Id::from_bytes([self.turn; 20]) }
        })
    }

    fn next_maintenance(&self) -> Instant {
        self.due
    }
}
