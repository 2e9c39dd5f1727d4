//! Attackers that name identifiers next to every target.

use std::rc::Rc;

use kadlet::{Contact, Id};

use super::policy::{Adversary, Arrival, Reaction, Seats, draw, name_only, nearest};
use crate::address::{HostAddress, IdRule};
use crate::random::Random;

/// How many addresses each attacker claims identifiers at for one target: one for each first-class seat of its /24.
const SEATS: u8 = 2;
/// From how many of the nearest identifiers some are drawn: lookups that ask more nodes than usual meet others still.
const SPREAD: usize = 40;

/// Names identifiers next to each target that its accomplices can claim, at addresses in the /24s of all of them. For
/// every target they use others of their 254 addresses.
#[derive(Clone, Debug)]
pub struct Invent {
    /// The addresses of all attackers. Each owns its /24.
    pub accomplices: Rc<[HostAddress]>,
    /// Which identifiers they can claim.
    pub ids: IdRule,
    /// The identifiers that they do claim.
    pub seats: Seats,
    /// How many contacts a response names.
    pub count: usize,
    /// What contacts are drawn by.
    pub random: Random,
}

impl Adversary for Invent {
    fn handle(&mut self, arrival: &Arrival<'_>) -> Reaction {
        let Self { accomplices, ids, seats, count, random } = self;
        name_only(arrival, seats.claimed(arrival), |target| {
            // An even number, so that the addresses of one target are those of both seats.
            let first = SEATS * (target.as_bytes()[Id::LEN - 1] % 127);
            let of_target = move |seat| first + seat;
            let addresses = accomplices
                .iter()
                .flat_map(|address| (0..SEATS).map(move |seat| address.in_same_prefix(of_target(seat))));
            let claimed = addresses.map(|address| Contact::new((ids.claimed)(address, target), address));
            let named = draw(nearest(claimed, target, SPREAD), *count, random);
            named.iter().for_each(|contact| seats.take(*contact));
            named
        })
    }
}
