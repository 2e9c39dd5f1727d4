//! Joining: how a node joins its network, and how it joins again after it lost all contacts.
//!
//! Contacts of all bootstrap addresses get into the table, so that it can be used at once. Then the addresses are
//! compared, and if one leads into a clearly denser network than another, only contacts of that network remain. A node
//! that knew contacts before the join keeps them.

use super::bounds::Parts;
use super::purpose::Purpose;
use super::shared::{Op, Shared, TIMEOUT};
use super::task::Task;
use crate::contact::Contact;
use crate::guard::density::Density;
use crate::routing::Routing;
use crate::rpc::Attempts;
use crate::time::Instant;

impl<P: Parts> Shared<P> {
    /// Begins to join: `search` asks the bootstrap addresses and the contacts of the table for the nodes nearest to the
    /// own identifier.
    pub(super) fn begin_join(&mut self, now: Instant, operation: &mut Op<P>, task: Task) {
        if self.is_table_empty() {
            self.bootstraps.comparison.expect();
        }
        let own = self.table.own();
        self.begin_lookup(now, operation, task, own, TIMEOUT);
    }

    /// Joins again through the bootstrap addresses, if no contact is verified. If one is, or if no node responds for
    /// long, asks one of them for the nodes nearest to the own identifier. Returns whether the operation began.
    pub(super) fn visit_bootstraps(&mut self, now: Instant, operation: &mut Op<P>) -> bool {
        if let Some((index, target)) = self.bootstraps.comparison.next(self.table.own()) {
            let Some(address) = self.bootstraps.get(index) else { return false };
            operation.begin(now, Task::Compare, TIMEOUT);
            operation.lookup.restart(target, self.lookup_limits());
            let purpose = Purpose::Bootstrap { slot: operation.slot };
            operation.bootstraps_asked = self.begin_request(purpose, address, None, Attempts::Known).into();
            return true;
        }
        let address = self.bootstraps.next(now);
        if !self.silence.is_long() && !self.has_verified_contact() {
            self.begin_join(now, operation, Task::Rejoin);
            return true;
        }
        if let Some(address) = address {
            self.begin_request(Purpose::Table, address, None, Attempts::Known);
        }
        false
    }

    /// The densest of the bootstrap addresses responded. Its network takes the table, and own records are published
    /// there.
    pub(super) fn adopt(&mut self, now: Instant, first: Contact<P::Address>) {
        let own = self.table.own();
        let random = self.random.next();
        if self.table.start(now, own, &self.config.table, random).is_ok() {
            self.set_crowded(self.identity.is_crowded);
            self.density = Density::EMPTY;
            self.table.responded(now, first, None);
            self.publish_all_again(now);
        }
    }
}
