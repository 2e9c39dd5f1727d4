//! Trials on small networks, and what the adversaries in them do.

use core::time::Duration;
use std::collections::HashMap;
use std::rc::Rc;

use kadlet::message::{ErrorCode, Features, Request, Response};
use kadlet::wire::{Header, Kadlet, Token, Transaction};
use kadlet::{Config, Contact, Id, Instant, Record};
use kadlet_sim::adversary::{
    Adversary, Arrival, Claim, Flap, Flood, Flooding, Impostor, Outgoing, Reaction, Stuff, ask, request_in, response_in,
};
use kadlet_sim::progress::Progress;
use kadlet_sim::scenario::{self, Crowd, Flood as Kind, Lifetime, Measure, Scenario, Spec, Trial, TrialSpec};
use kadlet_sim::{HostAddress, Latency, Links, Network, OperationOutcome, Peer};

const VALUE: &[u8] = b"value";

fn own() -> Contact<HostAddress> {
    Contact::new(Id::from_bytes([5; 20]), HostAddress::spread(5))
}

fn header() -> Header<Kadlet> {
    let transaction = Transaction([7; 8]);
    Header { geometry: 1, network: 0, transaction, sender: own().id, features: Features::SERVES }
}

fn impostor(told: &[HostAddress]) -> Impostor {
    let known = (10..20).map(|host| Contact::new(Id::from_bytes([host as u8; 20]), HostAddress::spread(host)));
    Impostor { header: header(), known: known.collect(), count: 8, told: told.into(), every: Duration::from_secs(60) }
}

fn react(adversary: &mut impl Adversary, at: u64, datagram: &[u8]) -> Vec<Outgoing> {
    let (now, from) = (Instant::from_secs(at), HostAddress::spread(6));
    match adversary.handle(&Arrival { now, at: own().address, own: own(), from, datagram }) {
        Reaction::Honest => panic!("there is no node"),
        Reaction::Send(sent) => sent,
    }
}

fn act(adversary: &mut impl Adversary, at: u64) -> (Vec<Outgoing>, Instant) {
    adversary.act(Instant::from_secs(at), own())
}

/// A response of node 6 to an adversary, as a datagram.
fn response(response: Response<'_, HostAddress>) -> Vec<u8> {
    use kadlet::wire::{self, Body, MAX_DATAGRAM, Message};
    let (mut buf, token) = ([0; MAX_DATAGRAM], Token([3; 8]));
    let message = Message { header: header(), body: Body::Response { token, response } };
    let len = wire::encode(&message, &mut buf).expect("it fits");
    buf[..len].to_vec()
}

#[test]
fn an_impostor_announces_itself_and_names_honest_nodes() {
    let told = [HostAddress::spread(1), HostAddress::spread(2)];
    let mut impostor = impostor(&told);
    let (sent, next) = act(&mut impostor, 100);
    assert_eq!((sent.iter().map(|out| out.to).collect::<Vec<_>>(), next), (told.to_vec(), Instant::from_secs(160)));
    let named = react(&mut impostor, 101, &ask(&header(), None, Request::FindNode { target: Id::ZERO }));
    let Some((_, Response::Nodes { contacts })) = response_in(&named[0].bytes) else { panic!("it names nodes") };
    assert_eq!(contacts.iter().count(), 8);
    assert!(react(&mut impostor, 101, &named[0].bytes).is_empty(), "a response gets none");
}

#[test]
fn a_flapping_adversary_is_silent_every_other_minute() {
    let minute = Duration::from_secs(60);
    let mut flap = Flap {
        inner: impostor(&[HostAddress::spread(1)]),
        first: Instant::from_secs(100),
        present: minute,
        absent: minute,
    };
    let ping = ask(&header(), None, Request::Ping);
    let responds = [99, 100, 159, 160, 219, 220].map(|at| react(&mut flap, at, &ping).len());
    assert_eq!(responds, [0, 1, 1, 0, 0, 1]);
    let acts = [0, 100, 160, 220].map(|at| {
        let (sent, next) = act(&mut flap, at);
        (sent.len(), next)
    });
    assert_eq!(acts, [(0, 100), (1, 160), (0, 220), (1, 280)].map(|(sent, next)| (sent, Instant::from_secs(next))));
}

#[test]
fn a_claim_shows_the_token_of_the_holder_and_is_repeated() {
    let holders: Rc<[_]> = [HostAddress::spread(6)].into();
    let mut claim = Claim { node: impostor(&[]), value: VALUE.into(), holders, tokens: HashMap::new() };
    assert_eq!(react(&mut claim, 100, &response(Response::Stored { lifetime: 1 })), []);
    let (sent, _) = act(&mut claim, 100);
    let record = Record::immutable(VALUE);
    let requests: Vec<_> = sent.iter().map(|out| request_in(&out.bytes).expect("a request").1).collect();
    assert!(requests.contains(&Request::FindValue { key: record.key(), have: Some(record.version()) }));
    assert!(requests.iter().any(|request| matches!(request, Request::Store { handover: true, .. })));
    let find = ask(&header(), None, Request::FindValue { key: record.key(), have: None });
    let held = react(&mut claim, 101, &find);
    assert!(matches!(response_in(&held[0].bytes), Some((_, Response::Held { .. }))), "it never gives it away");
}

#[test]
fn a_client_that_floods_counts_what_is_served() {
    let (stored, served) = (Rc::default(), Rc::default());
    let (victim, values) = (HostAddress::spread(6), vec![VALUE.to_vec(), b"other".to_vec()]);
    let pause = Duration::from_secs(1);
    let mut stuff =
        Stuff { header: header(), victim, values, handover: true, pause, stored: Rc::clone(&stored), token: None };
    let kind =
        |sent: &[Outgoing]| request_in(&sent[0].bytes).map(|(_, request)| matches!(request, Request::Store { .. }));
    assert_eq!(kind(&act(&mut stuff, 1).0), Some(false), "it asks for a token first");
    react(&mut stuff, 2, &response(Response::Stored { lifetime: 9 }));
    assert_eq!([3, 4].map(|at| kind(&act(&mut stuff, at).0)), [Some(true); 2]);
    assert_eq!((act(&mut stuff, 5), stored.get()), ((Vec::new(), Instant::NEVER), 1));

    let flooding = Flooding::Signatures([9; 32]);
    let mut flood = Flood { header: header(), victim, flooding, pause, served: Rc::clone(&served), token: None };
    assert_eq!(kind(&act(&mut flood, 1).0), Some(false));
    for code in [ErrorCode::Token, ErrorCode::Busy, ErrorCode::Invalid] {
        react(&mut flood, 2, &response(Response::Error { code, detail: 0 }));
    }
    assert_eq!((kind(&act(&mut flood, 3).0), served.get()), (Some(true), 1), "only a signature that was checked");
}

#[test]
fn a_minimal_node_needs_no_node_and_its_bytes_are_counted() {
    let mut network = Network::<Peer>::new(2, Links::new(Latency::INTERNET), Config::DEFAULT);
    network.add_ideal(3, || ());
    let address = HostAddress::in_prefix(0, 0);
    let id = address.index_in_prefix() as u16;
    let id = Id::bound(kadlet::Address::prefix(&address).expect("it is global"), id);
    let host = network.add_attacker_at(Contact::new(id, address));
    let header = Header { sender: id, ..header() };
    network.turn_hostile(host, Box::new(Impostor { header, ..impostor(&[network.address(0)]) }));
    network.run_until(network.now() + Duration::from_secs(2));
    let known = kadlet::Dht::routing(network.node(0).expect("it lives"));
    assert!(kadlet::Routing::get(known, &id).is_some(), "node 0 has pinged it");
    network.ping(1, host).expect("it has a free slot");
    network.run_until(network.now() + Duration::from_secs(2));
    assert_eq!(network.next_result().map(|result| result.outcome), Some(OperationOutcome::Pong));
    let (sent, received) = network.bytes(host);
    assert!(sent > 100 && received > 100, "{sent} {received}");
    network.count_from_now();
    assert_eq!((network.bytes(host), network.next_received()), ((0, 0), None));
}

fn small(trial: Trial, attackers: u32) -> TrialSpec {
    let session = Spec::median(Lifetime::Exponential, Duration::from_secs(3_600));
    let network = Spec { nodes: 40, lookups: 20, minutes: Some(5.0), session, ..Spec::new(Scenario::Gets) };
    TrialSpec { network, trial, attackers }
}

fn run(spec: &TrialSpec) -> HashMap<&'static str, f64> {
    let measures = scenario::trial(spec, &mut Progress::silent()).expect("the specification is valid");
    let measures: HashMap<_, _> = measures.into_iter().map(|Measure { figure, value }| (figure, value)).collect();
    assert_eq!(measures["violations"], 0.0, "{spec:?}");
    measures
}

#[test]
fn without_attackers_every_get_is_right_and_the_closest_are_found_under_churn() {
    let measures = run(&small(Trial::Eclipse { spread: false }, 0));
    assert!(measures["right"] > 0.97 && measures["closest_found"] > 0.95, "{measures:?}");
}

#[test]
fn every_trial_runs_its_course_and_one_seed_is_one_history() {
    for (trial, attackers, figure) in [
        (Trial::Eclipse { spread: true }, 10, "closest_found"),
        (Trial::ThirdParty { one_prefix: true, wide: true, named: 2 }, 4, "bytes_for_one"),
        (Trial::Handovers { small: false }, 0, "taken"),
        (Trial::Stuffing { small: true }, 20, "honest_kept"),
        (Trial::Flapping, 8, "times_calm"),
        (Trial::Limits { flood: Kind::Proved, private: false }, 17, "times_limit"),
        (Trial::Crowd(Crowd::BehindOne), 10, "serving"),
        (Trial::Crowd(Crowd::Tens), 20, "right"),
    ] {
        let spec = small(trial, attackers);
        let measures = run(&spec);
        assert!(measures.get(figure).is_some_and(|value| value.is_finite()), "{trial:?}: {measures:?}");
        if trial == Trial::Flapping {
            assert_eq!(measures, run(&spec), "{trial:?}");
        }
    }
}

#[test]
fn the_attacks_of_trials_reach_their_victims() {
    let claims = run(&small(Trial::ClaimedReplication, 1));
    assert!(claims["believed"] > 0.0, "{claims:?}");
    let taken = run(&small(Trial::TakenOver { same_prefix: true }, 0));
    assert!(taken["tables_with_thief_before"] > 0.0, "{taken:?}");
    let forged = run(&small(Trial::Forgeries, 4));
    assert!(forged["events"] > 0.0, "{forged:?}");
}

#[test]
fn a_trial_out_of_range_is_refused() {
    let spec = small(Trial::Flapping, 21);
    assert_eq!(spec.check().map_err(|invalid| invalid.parameter), Err("attackers"));
    let spec = small(Trial::Crowd(Crowd::Private), 41);
    assert!(scenario::trial(&spec, &mut Progress::silent()).is_err());
}
