//! What an idle node costs: wake-ups, datagrams and bytes in an hour.

use core::time::Duration;

use kadlet::Dht;

use crate::net::{Net, config};

const NODES: usize = 20;

/// Counts for each node in the third hour: wake-ups (an incoming datagram or a deadline), datagrams and bytes in both
/// directions.
#[test]
fn an_idle_node_in_a_quiet_network_of_twenty_wakes_only_for_maintenance() {
    let mut net = Net::joined(1, NODES, config());
    net.run(Duration::from_secs(2 * 3_600));
    let end = net.now + Duration::from_secs(3_600);
    let counts = |net: &Net| -> Vec<(u64, u64, u64)> {
        let all = net.nodes.iter().flatten().map(|node| *node.stats());
        all.map(|stats| (stats.received, stats.received + stats.sent, stats.received_bytes + stats.sent_bytes))
            .collect()
    };
    let before = counts(&net);
    let mut wakes = 0;
    loop {
        let due: Vec<_> = net.nodes.iter().flatten().map(|node| node.poll_timeout()).collect();
        let was = counts(&net);
        let more = net.step(end);
        let is = counts(&net);
        wakes += (0..NODES).filter(|n| was[*n].0 != is[*n].0 || due[*n].is_some_and(|(at, _)| at <= net.now)).count();
        if !more {
            break;
        }
    }
    let after = counts(&net);
    let sum = |of: fn(&(u64, u64, u64)) -> u64| {
        (after.iter().map(of).sum::<u64>() - before.iter().map(of).sum::<u64>()) as usize / NODES
    };
    let (wakes, datagrams, bytes) = (wakes / NODES, sum(|c| c.1), sum(|c| c.2));
    println!("an hour of an idle node among {NODES}: {wakes} wake-ups, {datagrams} datagrams, {bytes} bytes");
    assert!(wakes <= datagrams, "{wakes} wake-ups for {datagrams} datagrams");
    assert!(wakes <= 400 && bytes <= 100_000, "{wakes} wake-ups, {bytes} bytes");
}
