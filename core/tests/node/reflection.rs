//! Reflection: an attacker names a third party as a contact, and the nodes that believe it send requests there. The
//! third party must get hardly more bytes than the attacker spends.

use core::net::SocketAddrV4;
use core::time::Duration;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use kadlet::message::{Contacts, Request, Response};
use kadlet::wire::{Body, Transaction};
use kadlet::{Contact, Dht, Id, Kademlia, Options};

use crate::by_hand::{decode, encode};
use crate::net::{MoteWith, Net, Place, config};

const NODES: u16 = 40;
const NAMED: usize = 8;

/// The `nth` address of the third party, in one prefix or in as many as there are addresses.
fn third_party(nth: usize, one_prefix: bool) -> SocketAddrV4 {
    let [high, low] = (nth as u16).to_be_bytes();
    if one_prefix { SocketAddrV4::new([203, 0, 113, low].into(), 80) } else { at_prefix(high, low) }
}

fn at_prefix(high: u8, low: u8) -> SocketAddrV4 {
    SocketAddrV4::new([198, high, low, 1].into(), 80)
}

/// Identifiers next to the target, nearest first.
fn next_to(target: &Id, nth: usize) -> Id {
    let mut bytes = *target.as_bytes();
    bytes[19] ^= nth as u8 + 1;
    Id::from_bytes(bytes)
}

/// How many bytes the third party gets for each byte of the attackers' responses. Some nodes of a network are
/// attackers: they are as others, but name `named` addresses of the third party for every target.
fn reflected(attackers: u16, named: usize, one_prefix: bool) -> f64 {
    let mut net = Net::<MoteWith<Kademlia<SocketAddrV4, 128>>>::grown(7, [config(); NODES as usize]);
    let is_attacker = move |address: SocketAddrV4| (2..2 + attackers).contains(&(address.number() as u16));
    let targets = Arc::new(Mutex::new(HashMap::<(SocketAddrV4, Transaction), Id>::new()));
    net.forge = Some(Box::new(move |from, to, bytes| {
        let message = decode::<SocketAddrV4>(bytes);
        let transaction = message.header.transaction;
        match message.body {
            Body::Request { request: Request::FindNode { target }, .. } if is_attacker(to) => {
                targets.lock().unwrap().insert((from, transaction), target);
                None
            }
            Body::Response { token, .. } if is_attacker(from) => {
                let target = targets.lock().unwrap().remove(&(to, transaction))?;
                let contacts: Vec<_> =
                    (0..named).map(|nth| Contact::new(next_to(&target, nth), third_party(nth, one_prefix))).collect();
                let response = Response::Nodes { contacts: Contacts::new(&contacts) };
                let body = Body::Response { token, response };
                Some(encode(&kadlet::wire::Message { header: message.header, body }))
            }
            _ => None,
        }
    }));
    net.tap = Some(Vec::new());
    for _ in 0..40 {
        let honest = SocketAddrV4::nth(2 + attackers + net.random.below(usize::from(NODES - attackers) - 2) as u16);
        let (now, target) = (net.now, Id::from_bytes(net.random.bytes()));
        net.node(honest).find_node(now, target, &Options::default()).unwrap();
        net.run(Duration::from_secs(10));
        net.drain_events();
    }
    let (mut received, mut spent) = (0, 0);
    for seen in net.tap.take().unwrap() {
        if seen.to.number() == 0 {
            received += seen.bytes.len();
        }
        let is_response = matches!(decode::<SocketAddrV4>(&seen.bytes).body, Body::Response { .. });
        if is_attacker(seen.from) && is_response {
            spent += seen.bytes.len();
        }
    }
    let factor = received as f64 / spent as f64;
    println!("{attackers} attackers, {named} named, one prefix: {one_prefix}: {factor:.2}");
    factor
}

#[test]
fn a_third_party_that_attackers_name_gets_hardly_more_bytes_than_they_spend() {
    for one_prefix in [true, false] {
        for attackers in [1, 2, 4, 8] {
            let factor = reflected(attackers, NAMED, one_prefix);
            assert!(factor <= 1.5, "{attackers} attackers, one prefix: {one_prefix}: {factor}");
        }
    }
}

#[test]
fn an_attacker_that_names_few_addresses_at_once_gets_little_more() {
    for named in [1, 3] {
        let factor = reflected(4, named, false);
        assert!(factor <= 2.6, "{named} named: {factor}");
    }
}
