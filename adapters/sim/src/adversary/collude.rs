//! Attackers that name only each other.

use std::rc::Rc;

use kadlet::{Contact, Id};

use super::policy::{Adversary, Arrival, Reaction, Seats, draw, name_only, nearest};
use crate::address::HostAddress;
use crate::random::Random;

/// Which accomplices attackers name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naming {
    /// The nearest to the target.
    Nearest,
    /// Drawn from this many of the nearest. It is harder to resist: each response has new contacts.
    SpreadOver(usize),
}

/// Names only accomplices. It pretends to store what it is given, and finds nothing.
#[derive(Clone, Debug)]
pub struct Collude {
    /// All attackers, in all seats that they have.
    pub accomplices: Rc<[Contact<HostAddress>]>,
    /// The identifiers that they claim at addresses other than those of their hosts.
    pub seats: Seats,
    /// Which of them are named.
    pub naming: Naming,
    /// How many contacts a response names.
    pub count: usize,
    /// What contacts are drawn by.
    pub random: Random,
}

impl Collude {
    fn name(&mut self, own: &Id, target: &Id) -> Vec<Contact<HostAddress>> {
        let others = self.accomplices.iter().copied().filter(|contact| contact.id != *own);
        match self.naming {
            Naming::Nearest => nearest(others, target, self.count),
            Naming::SpreadOver(of) => draw(nearest(others, target, of), self.count, &mut self.random),
        }
    }
}

impl Adversary for Collude {
    fn handle(&mut self, arrival: &Arrival<'_>) -> Reaction {
        let claimed = self.seats.claimed(arrival);
        name_only(arrival, claimed, |target| self.name(&claimed, target))
    }
}
