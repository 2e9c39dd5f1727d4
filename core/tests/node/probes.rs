//! Probes, by which other nodes find out whether they can be reached.

use core::time::Duration;

use kadlet::message::{ErrorCode, Request, Response};
use kadlet::{Address, Dht, Routing};

use crate::by_hand::{NOW, Node4, Peer, at, deliver, id, node4, request_of, response_of, transaction_of};
use crate::net::config;

const MINUTE: Duration = Duration::from_secs(60);

/// A node with four verified contacts of four prefixes, the first of which is that of the requester.
fn acquainted() -> (Box<Node4>, Peer<core::net::SocketAddrV4>) {
    let mut node = node4(config());
    for n in 1..=4 {
        Peer::new(id(&[n]), at(&format!("192.0.{n}.1:4000"))).meet(&mut *node, NOW);
    }
    (node, Peer::new(id(&[9]), at("192.0.1.9:4000")))
}

fn probe(address: &str) -> Request<'static> {
    Request::Probe { address: at(address).encode() }
}

fn refusal(node: &mut Node4, requester: &Peer<core::net::SocketAddrV4>, request: &[u8]) -> ErrorCode {
    let (to, response) = deliver(node, NOW, requester.contact.address, request).expect("a refusal");
    assert_eq!(to, requester.contact.address);
    let Response::Error { code, .. } = response_of::<core::net::SocketAddrV4>(&response) else { panic!("no refusal") };
    code
}

#[test]
fn a_request_for_a_probe_with_a_token_is_forwarded_to_a_node_of_another_prefix() {
    let (mut node, requester) = acquainted();
    let own = probe("192.0.1.9:4000");
    assert_eq!(refusal(&mut node, &requester, &requester.request(own, None)), ErrorCode::Token);
    let token = Some(requester.token(&mut *node, NOW));
    let request = requester.request(own, token);
    // A contact of the requester's own prefix may be drawn: then it is refused.
    let forwarded = (0..20).find_map(|minute| {
        let out = deliver(&mut *node, NOW + minute * MINUTE, requester.contact.address, &request)?;
        (out.0 != requester.contact.address).then_some((minute, out))
    });
    let (minute, (to, bytes)) = forwarded.expect("it is forwarded");
    assert_eq!(request_of::<core::net::SocketAddrV4>(&bytes), own);
    assert_ne!(to.prefix(), requester.contact.address.prefix());
    assert_eq!(transaction_of::<core::net::SocketAddrV4>(&bytes), transaction_of::<core::net::SocketAddrV4>(&request));
    assert!(bytes.len() <= request.len());
    let again = deliver(&mut *node, NOW + minute * MINUTE, requester.contact.address, &request).expect("a refusal");
    let again = response_of::<core::net::SocketAddrV4>(&again.1);
    assert!(matches!(again, Response::Error { code: ErrorCode::Busy, .. }), "once a minute: {again:?}");
}

#[test]
fn a_request_for_a_probe_of_another_node_is_one_ping_to_it_in_a_minute() {
    let (mut node, requester) = acquainted();
    let request = requester.request(probe("198.51.100.7:4000"), None);
    let (to, bytes) = deliver(&mut *node, NOW, requester.contact.address, &request).expect("a ping");
    assert_eq!((to, request_of::<core::net::SocketAddrV4>(&bytes)), (at("198.51.100.7:4000"), Request::Ping));
    assert_eq!(transaction_of::<core::net::SocketAddrV4>(&bytes), transaction_of::<core::net::SocketAddrV4>(&request));
    assert!(bytes.len() < request.len());
    assert_eq!(refusal(&mut node, &requester, &request), ErrorCode::Busy);
    let same_prefix = requester.request(probe("198.51.100.8:4000"), None);
    assert_eq!(refusal(&mut node, &requester, &same_prefix), ErrorCode::Busy);
    assert!(
        deliver(&mut *node, NOW + MINUTE, requester.contact.address, &request)
            .is_some_and(|(to, _)| to != requester.contact.address)
    );
}

#[test]
fn a_private_address_is_not_probed() {
    let (mut node, requester) = acquainted();
    for address in ["10.0.0.1:4000", "127.0.0.1:4000", "169.254.0.1:4000"] {
        assert_eq!(
            refusal(&mut node, &requester, &requester.request(probe(address), None)),
            ErrorCode::Invalid,
            "{address}"
        );
    }
}

#[test]
fn a_contact_that_no_longer_serves_loses_its_place_once_its_pong_shows_it() {
    let (mut node, _) = acquainted();
    let mut client = Peer::new(id(&[2]), at("192.0.2.1:4000"));
    client.features = kadlet::message::Features::default();
    client.ask(&mut *node, NOW, Request::Ping, None);
    let pings = crate::by_hand::sent(&mut *node, NOW);
    assert_eq!(pings.len(), 1, "its word alone changes nothing");
    assert!(node.routing().get(&id(&[2])).is_some());
    deliver(&mut *node, NOW, pings[0].0, &client.empty_response(&pings[0].1));
    assert!(node.routing().get(&id(&[2])).is_none());
}
