//! Honest nodes in hard places: crowds in one prefix, nodes behind NATs, nodes that are renumbered.

use core::time::Duration;

use kadlet::Routing;

use super::spec::{Attack, AttackSpec};
use crate::address::HostAddress;
use crate::links::Filtering;
use crate::node::SimulatedNode;
use crate::scenario::runner::Runner;

/// The time in which tables drop the nodes that can't be reached.
const DROPPED: Duration = Duration::from_secs(600);
/// The time in which renumbered nodes are known again.
const KNOWN_AGAIN: Duration = Duration::from_secs(300);
/// How many nodes are in each prefix of [`Attack::Tens`].
const TEN: u32 = 10;

/// The addresses of all nodes.
pub(super) fn addresses(spec: &AttackSpec) -> Vec<HostAddress> {
    let address = |host| match spec.attack {
        Attack::Private => HostAddress::private(host),
        Attack::Crowd if host < spec.attackers => HostAddress::in_prefix(0, host),
        Attack::BehindOne if host < spec.attackers => HostAddress::shared(0, host),
        Attack::Tens if host < spec.attackers => HostAddress::in_prefix(host / TEN, host % TEN),
        _ => HostAddress::spread(host),
    };
    (0..spec.network.nodes).map(address).collect()
}

/// Puts the first hosts behind NATs, and lets the tables notice. Returns the fraction of contacts, in the tables of the
/// others, that are behind one.
pub(super) fn filter<M: SimulatedNode>(runner: &mut Runner<'_, M>, spec: &AttackSpec) -> f64 {
    for host in 0..spec.attackers {
        runner.network.links.filter(host, Filtering::AddressAndPortDependent);
    }
    runner.run_for(DROPPED);
    let (mut contacts, mut filtered) = (0_u64, 0_u64);
    for node in (spec.attackers..spec.network.nodes).filter_map(|host| runner.network.node(host)) {
        for peer in node.routing().peers() {
            contacts += 1;
            let host = runner.network.host_at(peer.contact.address);
            filtered += u64::from(host.is_some_and(|host| host < spec.attackers));
        }
    }
    if contacts == 0 { 0.0 } else { filtered as f64 / contacts as f64 }
}

/// Gives the first hosts other addresses, and lets the network notice.
pub(super) fn renumber<M: SimulatedNode>(runner: &mut Runner<'_, M>, spec: &AttackSpec) {
    for host in 0..spec.attackers {
        runner.network.renumber(host, HostAddress::in_prefix(host, 0));
    }
    runner.run_for(KNOWN_AGAIN);
}
