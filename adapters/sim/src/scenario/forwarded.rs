//! Lookups without acknowledgements. kadlet has none: they are computed from the tables, for comparison.

use kadlet::{Contact, Id, QueryStats, Routing};

use crate::network::Network;
use crate::node::SimulatedNode;

/// Where a request for `target` ends if each node, from the requester on, forwards it once to the best contact in its
/// table: the last node's host, or `None` if the request reaches a dead node or gets lost.
pub(super) fn forwarded_lookup<M: SimulatedNode>(
    network: &mut Network<M>,
    requester: u32,
    target: Id,
) -> (Option<u32>, QueryStats) {
    let (mut at, mut stats) = (requester, QueryStats::default());
    while let Some(node) = network.node(at) {
        let mut next = [Contact::EMPTY; 1];
        if node.routing().next_hops(&target, &mut next) == 0 {
            return (Some(at), stats);
        }
        let Some(next) = network.host_at(next[0].address) else {
            break;
        };
        stats.took += network.links.latency.round_trip(at, next);
        stats.hops = stats.hops.saturating_add(1);
        at = next;
        if network.random.happens(network.links.loss) {
            break;
        }
    }
    (None, stats)
}
