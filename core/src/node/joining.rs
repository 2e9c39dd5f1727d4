//! Joining: how a node joins its network, and how it joins again after it lost all contacts.

use super::bounds::Parts;
use super::purpose::Purpose;
use super::shared::{Op, Shared, TIMEOUT};
use super::task::Task;
use crate::routing::Routing;
use crate::rpc::Attempts;
use crate::time::Instant;

impl<P: Parts> Shared<P> {
    /// Begins to join: `search` asks the bootstrap addresses and the contacts of the table for the nodes nearest to the
    /// own identifier.
    pub(super) fn begin_join(&mut self, now: Instant, operation: &mut Op<P>, task: Task) {
        let own = self.table.own();
        self.begin_lookup(now, operation, task, own, TIMEOUT);
    }

    /// Joins again through the bootstrap addresses, if no contact is verified. If one is, or if no node responds for
    /// long, asks one of them for the nodes nearest to the own identifier. Returns whether the operation began.
    pub(super) fn visit_bootstraps(&mut self, now: Instant, operation: &mut Op<P>) -> bool {
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
}
