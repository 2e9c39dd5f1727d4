//! What a lookup has found.

use super::Lookup;
use super::found::{Found, Shortlist, Which};
use crate::address::Address;
use crate::contact::Contact;
use crate::geometry::Geometry;

impl<G: Geometry, A: Address, T: Copy + Sync + 'static, const N: usize> Lookup<G, A, T, N> {
    /// The nodes that responded, best first: k of them, or as many as the lookup was widened to.
    #[must_use]
    pub fn closest(&self) -> Found<'_, A> {
        Found::new(self, Which::Closest)
    }

    /// The nodes that hold the newest record found, best first.
    #[must_use]
    pub fn holders(&self) -> Found<'_, A> {
        Found::new(self, Which::Holders)
    }

    /// The nodes that have stored the record, best first.
    #[must_use]
    pub fn stored_at(&self) -> Found<'_, A> {
        Found::new(self, Which::Stored)
    }

    /// All contacts in the shortlist that have not failed, whether they responded or not, best first.
    #[must_use]
    pub fn candidates(&self) -> Found<'_, A> {
        Found::new(self, Which::Candidates)
    }
}

impl<G: Geometry, A: Address, T: Copy + Sync + 'static, const N: usize> Shortlist<A> for Lookup<G, A, T, N> {
    fn nth(&self, which: Which, nth: usize) -> Option<Contact<A>> {
        self.contacts(which).nth(nth)
    }
}
