//! Nodes that don't know their address, or get another one.

use core::time::Duration;

use kadlet::{Address, Config, Dht, Event, Id, Kademlia, Key, Options, Outcome, Record, Routing};

use crate::host::{Host, MOVED};
use crate::net::{MoteWith, Net, config};

type Mote = MoteWith<Kademlia<Host<1>, 128>>;
type Mote2 = MoteWith<Kademlia<Host<2>, 128>>;

const MINUTE: Duration = Duration::from_secs(60);

fn bound() -> Config {
    Config { bind_ids: true, ..config() }
}

/// The addresses that a node reported since the last call, and whether its identifier fits the last of them.
fn reported(net: &mut Net<Mote>, at: Host<1>) -> Vec<Host<1>> {
    let mut reported = Vec::new();
    while let Some(event) = net.node(at).poll_event() {
        if let Event::ExternalAddress { address, id } = event {
            assert!(id.is_bound(&address));
            reported.push(address);
        }
    }
    reported
}

/// How many nodes have a contact with this identifier in their tables.
fn known(net: &mut Net<Mote>, id: &Id) -> usize {
    net.living()
        .iter()
        .filter(|at| net.nodes[usize::from(at.0) - 1].as_ref().unwrap().routing().get(id).is_some())
        .count()
}

#[test]
fn a_node_that_does_not_know_its_address_takes_the_id_that_belongs_to_it() {
    let mut net = Net::<Mote>::grown(1, core::iter::repeat_n(bound(), 20));
    let newcomer = net.add(|now, _, seed| Box::new(Mote::new(now, bound(), Id::from_bytes([7; 20]), seed).unwrap()));
    let now = net.now;
    net.node(newcomer).bootstrap(now, &[Host(1)]).unwrap();
    net.run(Duration::from_secs(20));
    let id = Id::bound(newcomer.prefix().unwrap(), 0);
    assert_eq!((net.node(newcomer).id(), reported(&mut net, newcomer)), (id, vec![newcomer]));
    let knows = known(&mut net, &id);
    assert!(knows >= 8, "{knows} nodes know it");
}

#[test]
fn nodes_of_which_none_knows_its_address_become_a_network() {
    let mut net = Net::<Mote>::new(2);
    for _ in 0..10 {
        net.add(|now, _, seed| {
            Box::new(Mote::new(now, bound(), Id::from_bytes(seed[..20].try_into().unwrap()), seed).unwrap())
        });
    }
    let now = net.now;
    for at in net.living() {
        if at != Host(1) {
            net.node(at).bootstrap(now, &[Host(1)]).unwrap();
        }
    }
    net.run(2 * MINUTE);
    for at in net.living() {
        let (id, contacts) = (net.node(at).id(), net.node(at).routing().peers().count());
        assert!(id.is_bound(&at) && contacts == 9, "{id} at {at:?} knows {contacts}");
    }
}

#[test]
fn nodes_that_get_another_address_are_back_in_the_tables_within_five_minutes() {
    let mut net = Net::<Mote>::grown(3, core::iter::repeat_n(bound(), 40));
    let options = Options::default();
    net.run(MINUTE);
    net.drain_events();
    for key in 0..40 {
        let (now, by) = (net.now, Host(u16::from(key) + 1));
        let query = net.node(by).put(now, &Record::plain(&[key], b"value"), &options).unwrap();
        net.wait(by, query, |result| assert!(matches!(result.outcome, Outcome::Stored { .. })));
    }
    let moved: Vec<_> = (5..=40).step_by(5).map(Host).collect();
    let before: Vec<_> = moved.iter().map(|at| net.node(*at).id()).collect();
    for at in &moved {
        net.moved.insert(usize::from(at.0), Host(at.0 + MOVED));
    }
    net.run(5 * MINUTE);
    for (at, before) in moved.iter().zip(before) {
        let now_at = Host(at.0 + MOVED);
        assert_eq!(reported(&mut net, *at), [now_at]);
        let id = net.node(*at).id();
        assert_ne!(id, before);
        let knows = known(&mut net, &id);
        assert!(knows >= 8, "{knows} nodes know {id} at {now_at:?}");
    }
    for key in 0..40 {
        let (now, by) = (net.now, Host(40 - u16::from(key)));
        let query = net.node(by).get(now, Key::plain(&[key]), &options).unwrap();
        net.wait(by, query, |result| assert!(matches!(result.outcome, Outcome::Value { .. }), "{:?}", result.outcome));
    }
}

#[test]
fn where_no_address_has_a_prefix_nobody_is_asked_for_the_own_one() {
    let mut net = Net::<crate::net::Mote>::grown(4, core::iter::repeat_n(bound(), 5));
    net.tap = Some(Vec::new());
    net.run(10 * MINUTE);
    let pings = net.tap.iter().flatten().filter(|seen| seen.bytes[12] == 1).count();
    assert_eq!(pings, 0);
}

#[test]
fn two_nodes_of_one_prefix_that_take_the_same_seat_find_out_and_settle_it() {
    for seed in 10..14 {
        let mut net = Net::<Mote2>::grown(seed, core::iter::repeat_n(bound(), 23));
        let newcomers = [0, 1].map(|_| {
            net.add(|now, _, seed| {
                let id = Id::from_bytes(seed[..20].try_into().unwrap());
                Box::new(Mote2::new(now, bound(), id, seed).unwrap())
            })
        });
        assert_eq!(newcomers[0].prefix(), newcomers[1].prefix());
        let now = net.now;
        for at in newcomers {
            net.node(at).bootstrap(now, &[Host(1)]).unwrap();
        }
        net.run(10 * MINUTE);
        let ids = newcomers.map(|at| net.node(at).id());
        assert!(ids[0] != ids[1], "both have {}", ids[0]);
        for (at, id) in newcomers.iter().zip(ids) {
            assert!(id.is_bound(at), "{id} at {at:?}");
            let tables = net.nodes.iter().flatten().filter(|node| node.routing().get(&id).is_some()).count();
            assert!(tables >= 8, "{tables} nodes know {id} at {at:?}");
        }
    }
}

#[test]
fn a_request_that_comes_back_from_the_own_external_address_is_no_other_node() {
    let (own, now) = (Host::<2>(5), kadlet::Instant::from_secs(1));
    let mut node = Mote2::new(now, bound(), Id::bound(own.prefix().unwrap(), 1), [7; 32]).unwrap();
    let mut buf = [0; kadlet::wire::MAX_DATAGRAM];
    node.ping(now, own).unwrap();
    let out = node.poll_transmit(now, &mut buf).unwrap();
    let request = buf[..out.len].to_vec();
    assert_eq!(node.handle_datagram(now, own, &request, &mut buf), None);
    assert!(node.poll_event().is_none(), "it is the node itself");
}
