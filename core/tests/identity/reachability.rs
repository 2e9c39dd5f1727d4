//! Nodes that find out whether they can be reached from outside.

use core::cell::Cell;
use core::time::Duration;
use std::rc::Rc;

use kadlet::wire::{self, Body, Message};
use kadlet::{Address, Config, Dht, EncodedAddress, Event, Id, Kademlia, Routing, Serve};

use crate::host::Host;
use crate::net::{MoteWith, Net, config};

type Mote = MoteWith<Kademlia<Host<1>, 128>>;

const MINUTE: Duration = Duration::from_secs(60);

fn automatic() -> Config {
    Config { bind_ids: true, serve: Serve::Automatic, ..config() }
}

/// Whether a datagram is a request.
fn is_request<A: Address>(bytes: &[u8]) -> bool {
    matches!(wire::decode::<A>(bytes), Ok(Message { body: Body::Request { .. }, .. }))
}

/// What a node said of its reachability since the last call.
fn told(net: &mut Net<Mote>, at: Host<1>) -> Vec<bool> {
    let mut told = Vec::new();
    while let Some(event) = net.node(at).poll_event() {
        if let Event::Serves { serves } = event {
            told.push(serves);
        }
    }
    told
}

/// How many nodes have this one in their tables.
fn known(net: &mut Net<Mote>, id: &Id) -> usize {
    let nodes = net.nodes.iter().flatten();
    nodes.filter(|node| node.routing().get(id).is_some()).count()
}

#[test]
fn a_node_that_nobody_can_reach_leaves_all_tables_and_comes_back_when_it_can_be_reached() {
    let mut net = Net::<Mote>::grown(1, core::iter::repeat_n(automatic(), 30));
    let newcomer = net.add(|now, id, seed| Box::new(Mote::new(now, automatic(), id, seed).unwrap()));
    let (closed, firewall) = (Rc::new(Cell::new(true)), newcomer);
    let is_closed = closed.clone();
    net.forge = Some(Box::new(move |_, to, bytes| {
        (is_closed.get() && to == firewall && is_request::<Host<1>>(bytes)).then(Vec::new)
    }));
    let now = net.now;
    net.node(newcomer).bootstrap(now, &[Host(1)]).unwrap();
    net.run(3 * MINUTE);
    assert_eq!(told(&mut net, newcomer), [false]);
    net.run(7 * MINUTE);
    let id = net.node(newcomer).id();
    assert_eq!(known(&mut net, &id), 0);
    for n in 1..=30 {
        assert_eq!(told(&mut net, Host(n)), [], "node {n} can be reached");
    }
    closed.set(false);
    net.run(60 * MINUTE);
    assert_eq!(told(&mut net, newcomer), [true]);
    let knows = known(&mut net, &id);
    assert!(knows >= 8, "{knows} nodes know it");
}

#[test]
fn a_node_that_is_to_serve_always_or_never_asks_nobody() {
    for serve in [Serve::Always, Serve::Never] {
        let mut net = Net::<Mote>::grown(2, core::iter::repeat_n(Config { serve: Serve::Always, ..automatic() }, 20));
        let client = net.join(Config { serve, ..automatic() });
        net.tap = Some(Vec::new());
        net.run(10 * MINUTE);
        let tap = net.tap.take().unwrap();
        assert!(tap.iter().all(|seen| seen.bytes[12] != 6), "{serve:?}");
        assert_eq!(told(&mut net, client), []);
    }
}

#[test]
fn where_addresses_have_no_prefix_all_nodes_serve_and_none_asks() {
    let private = Config { serve: Serve::Automatic, ..config() };
    let mut net = Net::<crate::net::Mote>::grown(3, core::iter::repeat_n(private, 10));
    net.tap = Some(Vec::new());
    net.run(30 * MINUTE);
    let tap = net.tap.take().unwrap();
    assert!(!tap.is_empty() && tap.iter().all(|seen| seen.bytes[12] != 6 && seen.bytes[34] == 1));
}

#[test]
fn a_probe_takes_no_more_bytes_than_were_asked_with_and_reaches_only_an_address_that_has_shown_a_token() {
    let mut net = Net::<Mote>::grown(4, core::iter::repeat_n(automatic(), 20));
    net.tap = Some(Vec::new());
    let newcomer = net.join(automatic());
    net.run(5 * MINUTE);
    let tap = net.tap.take().unwrap();
    let (mut passed, mut arrived) = (0, 0);
    for seen in &tap {
        let Ok(Message { header, body: Body::Request { token, request, .. } }) = wire::decode::<Host<1>>(&seen.bytes)
        else {
            continue;
        };
        match request {
            kadlet::message::Request::Probe { address, .. } if address != EncodedAddress::NONE => {
                let asked = tap.iter().find(|asked| {
                    asked.to == seen.from
                        && Host::<1>::decode(address.family, address.as_bytes()) == Some(asked.from)
                        && asked.bytes[12] == 6
                        && asked.bytes[37] == 1
                });
                let asked = asked.expect("the address to be probed has shown a token");
                assert!(seen.bytes.len() <= asked.bytes.len() && seen.to != asked.from);
                passed += usize::from(token.is_some() && asked.from == newcomer);
            }
            kadlet::message::Request::Ping if seen.to == newcomer => {
                let asked = tap.iter().filter(|asked| asked.to == seen.from && asked.bytes[12] == 6);
                let asked = asked.filter(|asked| {
                    wire::decode::<Host<1>>(&asked.bytes).is_ok_and(|message| match message.body {
                        Body::Request { request: kadlet::message::Request::Probe { nonce, .. }, .. } => {
                            nonce.to_be_bytes() == header.transaction.0
                        }
                        _ => false,
                    })
                });
                for asked in asked {
                    assert!(seen.bytes.len() <= asked.bytes.len());
                    arrived += 1;
                }
            }
            _ => {}
        }
    }
    assert!(passed >= 4 && arrived >= 4, "{passed} were forwarded, {arrived} arrived");
    assert_eq!(told(&mut net, newcomer), []);
}
