//! Identifiers that count: those bound to an address prefix, in a first-class seat where there are enough of these.

use super::bounds::Parts;
use super::shared::Shared;
use crate::address::Address;
use crate::contact::Contact;
use crate::guard::{admission, diversity};
use crate::routing::Routing;
use crate::time::Instant;

impl<P: Parts> Shared<P> {
    /// Whether a contact counts here: its identifier fits its address.
    pub(super) fn fits(&self, contact: &Contact<P::Address>) -> bool {
        !self.config.bind_ids || admission::fits(contact, !self.identity.is_crowded)
    }

    /// The table may have changed: finds out whether second-class seats count, at most once a second. When they no
    /// longer do, the contacts in such seats lose their places.
    pub(super) fn note_diversity(&mut self, now: Instant) {
        let counted = (true, now.stamp());
        if !self.config.bind_ids || self.identity.counted == counted {
            return;
        }
        self.identity.counted = counted;
        let crowded = !diversity::is_diverse(self.table.peers(), self.k());
        if crowded == self.identity.is_crowded {
            return;
        }
        self.set_crowded(crowded);
        let is_excess = |contact: &Contact<P::Address>| {
            !crowded && !contact.id.is_first_class() && contact.address.prefix().is_some()
        };
        loop {
            let excess = self.table.peers().map(|peer| peer.contact).find(is_excess);
            let Some(excess) = excess else { return };
            self.table.evict(now, &excess.id);
        }
    }
}
