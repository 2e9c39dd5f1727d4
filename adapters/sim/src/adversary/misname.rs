//! Attackers that name honest nodes at their own addresses.

use std::rc::Rc;

use kadlet::Contact;

use super::policy::{Adversary, Arrival, Reaction, Seats, name_only, nearest};
use crate::address::HostAddress;

/// Names the honest nodes that are nearest to each target, but at addresses in its own /24, where it claims their
/// identifiers.
#[derive(Clone, Debug)]
pub struct Misname {
    /// All honest nodes.
    pub victims: Rc<[Contact<HostAddress>]>,
    /// The identifiers that are claimed.
    pub seats: Seats,
    /// The last address that was used, counted in the /24.
    pub last: u8,
    /// How many contacts a response names.
    pub count: usize,
}

impl Adversary for Misname {
    fn handle(&mut self, arrival: &Arrival<'_>) -> Reaction {
        name_only(arrival, self.seats.claimed(arrival), |target| {
            let mut named = nearest(self.victims.iter().copied(), target, self.count);
            for contact in &mut named {
                self.last = self.last.wrapping_add(1);
                contact.address = arrival.own.address.in_same_prefix(self.last);
                self.seats.take(*contact);
            }
            named
        })
    }
}
