//! The right result of a lookup.

use kadlet::Id;

use crate::overlay::{Members, Overlay};

/// The nodes that were responsible for a target at any instant of a lookup. The requester itself never counts.
#[derive(Clone, Debug)]
pub(crate) struct ExpectedNodes {
    requester: u32,
    target: Id,
    nodes: Vec<u32>,
}

impl ExpectedNodes {
    pub(super) fn new<R: Overlay>(members: &Members, requester: u32, target: Id) -> Self {
        let mut expected = Self { requester, target, nodes: Vec::new() };
        expected.update::<R>(members);
        expected
    }

    /// Adds the node that is responsible now. Must be called whenever the members change.
    pub(super) fn update<R: Overlay>(&mut self, members: &Members) {
        let best = R::responsible(members, &self.target, 2).into_iter().find(|host| *host != self.requester);
        if let Some(best) = best.filter(|best| !self.nodes.contains(best)) {
            self.nodes.push(best);
        }
    }

    pub(super) fn contains(&self, host: u32) -> bool {
        self.nodes.contains(&host)
    }
}
