//! Nodes that others can reach unasked, and nodes behind NATs.

use core::cell::{Cell, RefCell};
use core::time::Duration;
use std::collections::{BTreeSet, VecDeque};
use std::rc::Rc;

use kadlet::{Config, Dht, Event, Kademlia, Routing, Serve};

use crate::host::Host;
use crate::net::{MoteWith, Net, config};

type Mote = MoteWith<Kademlia<Host<1>, 128>>;

const MINUTE: Duration = Duration::from_secs(60);
/// From how many datagrams of its node a NAT remembers where they went.
const LATELY: usize = 8;

fn bound() -> Config {
    Config { bind_ids: true, serve: Serve::Automatic, ..config() }
}

/// What the node at this address reported of its role since the last call.
fn roles(net: &mut Net<Mote>, at: Host<1>) -> Vec<bool> {
    let mut roles = Vec::new();
    while let Some(event) = net.node(at).poll_event() {
        if let Event::Serves(serves) = event {
            roles.push(serves);
        }
    }
    roles
}

/// Puts the node at this address behind a NAT, until the result is set to false: it lets in datagrams only from
/// addresses that the node has sent to lately.
fn filter(net: &mut Net<Mote>, inside: Host<1>) -> Rc<Cell<bool>> {
    let is_filtered = Rc::new(Cell::new(true));
    let (filters, known) = (Rc::clone(&is_filtered), RefCell::new(VecDeque::new()));
    net.forge = Some(Box::new(move |from, to, _| {
        if from == inside {
            known.borrow_mut().push_front(to);
            known.borrow_mut().truncate(LATELY);
        }
        (filters.get() && to == inside && !known.borrow().contains(&from)).then(Vec::new)
    }));
    is_filtered
}

#[test]
fn a_node_that_others_can_not_reach_becomes_a_client_and_serves_again_when_they_can() {
    let mut net = Net::<Mote>::grown(1, core::iter::repeat_n(bound(), 80));
    net.drain_events();
    let newcomer = Host(81);
    let is_filtered = filter(&mut net, newcomer);
    assert_eq!(net.join(bound()), newcomer);
    net.run(30 * MINUTE);
    assert_eq!(roles(&mut net, newcomer), [false]);
    let id = net.node(newcomer).id();
    let knows = |net: &Net<Mote>| net.nodes.iter().flatten().filter(|node| node.routing().get(&id).is_some()).count();
    assert_eq!(knows(&net), 0, "nodes still have it in their tables");
    for at in (1..=80).map(Host) {
        assert_eq!(roles(&mut net, at), [], "{at:?} can be reached");
    }
    is_filtered.set(false);
    net.run(90 * MINUTE);
    assert_eq!(roles(&mut net, newcomer), [true]);
    assert!(knows(&net) >= 8);
}

#[test]
fn a_node_that_always_serves_asks_for_no_probe_nor_does_one_that_was_reached() {
    let mut net = Net::<Mote>::grown(2, core::iter::repeat_n(bound(), 60));
    let always = net.join(Config { serve: Serve::Always, ..bound() });
    net.run(30 * MINUTE);
    net.tap = Some(Vec::new());
    net.run(10 * MINUTE);
    let probes: Vec<_> = net.tap.iter().flatten().filter(|seen| seen.bytes[12] == 6).map(|seen| seen.from).collect();
    assert!(!probes.contains(&always));
    // Of those that were reached by a node that they don't know, none asks again.
    let asking: BTreeSet<_> = probes.into_iter().collect();
    assert!(asking.len() < 20, "{asking:?}");
}
