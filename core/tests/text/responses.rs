//! Responses that differ from kadlet's: without a kind, without a sender, without a token, and with names of any
//! length.

use core::net::SocketAddrV4;

use kadlet::message::{Contacts, ErrorCode, Observed, Request, Response};
use kadlet::record::Version;
use kadlet::routing::ContactState;
use kadlet::wire::{Body, Wire};
use kadlet::{Dht, Failure, Key, Options, Outcome, Record, Routing};

use crate::format::*;
use crate::network::{Node, config};
use crate::peer::{NOW, Peer, alone, decode, deliver, request_of, response_of, sent};

const RECORD: Record<'_> = Record::immutable(b"world");
const PONG: Response<'_, SocketAddrV4> = Response::Pong { observed: Observed::UNKNOWN };
const NODES: Response<'_, SocketAddrV4> = Response::Nodes { contacts: Contacts::EMPTY };

const fn error(code: ErrorCode) -> Response<'static, SocketAddrV4> {
    Response::Error { code, detail: 0 }
}

/// A node with one contact.
fn pair<W: Wire>() -> (Box<Node<W>>, Peer<W>) {
    let (mut node, peer) = (alone::<W>(config()), Peer::new(1, 4_000));
    peer.meet(&mut node);
    (node, peer)
}

/// Makes a peer respond to all requests of a node, as long as there are any. Returns how many of them were about a
/// record.
fn respond_to_all<'a, W: Wire>(
    node: &mut Node<W>,
    peer: &Peer<W>,
    response: impl Fn(&Request<'_>) -> (W::Token, Response<'a, SocketAddrV4>),
) -> usize {
    let mut requests = 0;
    loop {
        let sent = sent(node);
        if sent.is_empty() {
            return requests;
        }
        for (_, datagram) in sent {
            let request = request_of::<W>(&datagram).1;
            requests += usize::from(matches!(request, Request::FindValue { .. } | Request::Store { .. }));
            assert!(requests < 100, "there is no end of them");
            let (token, response) = response(&request);
            peer.respond(node, &datagram, token, response);
        }
    }
}

/// How a put ends whose store is responded to by a pong.
fn put_with_pong<W: Wire>() -> bool {
    let (mut node, peer) = pair::<W>();
    let query = node.put(NOW, &RECORD, &Options::default()).unwrap();
    respond_to_all(&mut node, &peer, |request| match request {
        Request::Store { .. } => (W::NO_TOKEN, PONG),
        _ => (W::token(1), NODES),
    });
    matches!(node.take_result(query).unwrap().outcome, Outcome::Stored { .. })
}

#[test]
fn a_pong_acknowledges_a_store_only_where_responses_do_not_tell_their_kind() {
    assert!(!put_with_pong::<Text<0>>());
    assert!(put_with_pong::<Text<NO_KINDS>>());
}

/// The effect of an error under another identifier, sent by the only peer that a find_node asks: how many requests
/// count as refused, and the state of the peer in the table.
fn find_with_error_of_another<W: Wire>(state: ContactState) -> (u16, Option<ContactState>) {
    let (mut node, mut peer) = (alone::<W>(config()), Peer::<W>::new(1, 4_000));
    let contact = peer.contact;
    match state {
        ContactState::Verified => peer.meet(&mut node),
        _ => node.restore_contact(NOW, contact),
    }
    let query = node.find_node(NOW, contact.id, &Options::default()).unwrap();
    peer.contact.id = Peer::<W>::new(99, 1).contact.id;
    respond_to_all(&mut node, &peer, |_| (W::NO_TOKEN, error(ErrorCode::Other(202))));
    let refused = node.take_result(query).expect("it ended").stats.refused;
    (refused, node.routing().get(&contact.id).map(|peer| peer.state))
}

#[test]
fn an_error_without_a_sender_counts_as_one_from_the_node_that_was_asked_and_does_not_verify_it() {
    use ContactState::{Unverified, Verified};
    let named = find_with_error_of_another::<Text<0>>;
    assert_eq!(named(Verified), (0, None), "it is by another node, so the one that was asked is gone");
    let nameless = find_with_error_of_another::<Text<NAMELESS_ERRORS>>;
    assert_eq!(nameless(Verified), (1, Some(Verified)));
    assert_eq!(nameless(Unverified), (1, Some(Unverified)));
}

#[test]
fn an_error_without_a_sender_is_no_response_to_a_request_that_any_node_can_respond_to() {
    type Nameless = Text<NAMELESS_ERRORS>;
    let (mut node, peer) = (alone::<Nameless>(config()), Peer::new(1, 4_000));
    let queries =
        [node.bootstrap(NOW, &[peer.contact.address]).unwrap().query, node.ping(NOW, peer.contact.address).unwrap()];
    respond_to_all(&mut node, &peer, |_| (Nameless::NO_TOKEN, error(ErrorCode::Busy)));
    for query in queries {
        let outcome = node.take_result(query).expect("it ended at once").outcome;
        assert!(matches!(outcome, Outcome::Failed(Failure::NoResponse)), "{outcome:?}");
    }
    assert!(
        node.poll_event().is_none(),
        "it is not taken for the own identifier, which is the zero that stands for none"
    );
}

/// How many requests about a record a get and a put send to a peer that gives them no token. The peer responds to the
/// get with `response`, and to the store with error `Token`.
fn requests_without_a_token<W: Wire>(response: Response<'_, SocketAddrV4>, key: Key) -> [usize; 2] {
    let (mut node, peer) = pair::<W>();
    let get = node.get(NOW, key, &Options::default()).unwrap();
    let got = respond_to_all(&mut node, &peer, |_| (W::NO_TOKEN, response));
    assert!(node.take_result(get).is_some(), "it ended");
    let put = node.put(NOW, &RECORD, &Options::default()).unwrap();
    let asked = respond_to_all(&mut node, &peer, |request| match request {
        Request::Store { .. } => (W::NO_TOKEN, error(ErrorCode::Token)),
        _ => (W::token(1), NODES),
    });
    let outcome = node.take_result(put).expect("it ended").outcome;
    assert!(matches!(outcome, Outcome::Failed(Failure::Refused(ErrorCode::Token, _))), "{outcome:?}");
    [got, asked]
}

#[test]
fn a_request_is_not_sent_again_where_no_token_came_with_the_response() {
    type ByFindValue = Text<TOKENS_BY_FIND_VALUE>;
    let held = Response::Held { version: Version { number: 1, digest: 1 }, size: 900, contacts: Contacts::EMPTY };
    for response in [error(ErrorCode::Token), held] {
        assert_eq!(requests_without_a_token::<ByFindValue>(response, Key::plain(b"hello")), [1, 2]);
    }
}

#[test]
fn a_transaction_of_any_length_is_echoed() {
    type Mainline = Opaque<ALL>;
    let (mut node, peer) = (alone::<Mainline>(config()), Peer::<Mainline>::client(1));
    for len in 0..=20 {
        let transaction = Short::of(&vec![0xEE; len]).unwrap();
        let body = Body::Request { largest: 1_000, token: None, request: Request::Ping, padding: 0 };
        let response = deliver(&mut node, peer.contact.address, &peer.encode(transaction, body)).unwrap();
        assert_eq!(decode::<Mainline>(&response).header.transaction, transaction);
    }
}

#[test]
fn a_token_of_any_length_is_shown_as_it_was_given() {
    type Mainline = Opaque<ALL>;
    for len in [1, 4, 8, 20, 40] {
        let (mut node, peer) = pair::<Mainline>();
        let given = Short::of(&vec![0xEE; len]).unwrap();
        let query = node.put(NOW, &RECORD, &Options::default()).unwrap();
        let mut shown = Vec::new();
        for _ in 0..2 {
            for (_, request) in sent(&mut node) {
                let (token, about) = request_of::<Mainline>(&request);
                let response = match about {
                    Request::Store { .. } => (Short::NONE, PONG),
                    Request::FindValue { .. } => (given, NODES),
                    _ => continue,
                };
                shown.push(token);
                peer.respond(&mut node, &request, response.0, response.1);
            }
        }
        assert_eq!(shown, [None, Some(given)]);
        assert!(matches!(node.take_result(query).unwrap().outcome, Outcome::Stored { .. }));
    }
}

#[test]
fn a_token_that_the_node_cannot_have_made_is_counted_and_refused() {
    type Mainline = Opaque<ALL>;
    let (mut node, peer) = (alone::<Mainline>(config()), Peer::<Mainline>::client(1));
    let request = Request::Store { record: RECORD, lifetime: 60, compare: None, handover: false };
    let response = peer.ask(&mut node, request, Short::of(&[0xEE; 40])).unwrap();
    let (token, response) = response_of::<Mainline>(&response);
    assert!(matches!(response, Response::Error { code: ErrorCode::Token, .. }), "{response:?}");
    assert_eq!((token, node.stats().bad_tokens), (Short::NONE, 1));
}
