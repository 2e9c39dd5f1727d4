//! What each adversary does with a datagram, and attacks on small networks.

use core::time::Duration;

use kadlet::message::{ErrorCode, Features, Request, Response};
use kadlet::wire::{self, Body, Header, Kadlet, MAX_DATAGRAM, Message, Token, Transaction};
use kadlet::{Config, Contact, Id, Instant};
use kadlet_sim::adversary::{
    Adversary, Arrival, Collude, Invent, Misname, Naming, Plant, Reaction, Refuse, Seats, Stale, Stall,
};
use kadlet_sim::progress::Progress;
use kadlet_sim::scenario::{self, Attack, AttackFigures, AttackSpec, Geometry, LookupMode, Scenario, Spec};
use kadlet_sim::{HostAddress, IdRule, Latency, Links, Network, OperationOutcome, Peer, Random, SignedRecord};

const COUNT: usize = 8;

fn header() -> Header<Kadlet> {
    let (transaction, sender) = (Transaction([7; 8]), Id::from_bytes([3; 20]));
    Header { geometry: 1, network: 0, transaction, sender, features: Features::SERVES }
}

fn request(token: Option<Token>, request: Request<'_>) -> Vec<u8> {
    let mut buf = [0; MAX_DATAGRAM];
    let body = Body::Request { largest: 1_208, token, request, padding: 0 };
    let len = wire::encode::<HostAddress>(&Message { header: header(), body }, &mut buf).expect("it fits");
    buf[..len].to_vec()
}

/// What an adversary at host 5 does with a datagram from host 6 to this address.
fn react(adversary: &mut impl Adversary, at: HostAddress, datagram: &[u8]) -> Reaction {
    let own = Contact::new(Id::from_bytes([5; 20]), HostAddress::spread(5));
    let arrival = Arrival { now: Instant::from_secs(1), at, own, from: HostAddress::spread(6), datagram };
    adversary.handle(&arrival)
}

/// The one datagram of a reaction.
fn sent(reaction: Reaction) -> Vec<u8> {
    let Reaction::Send(sent) = reaction else { panic!("the node handles it") };
    let [one] = <[_; 1]>::try_from(sent).expect("one datagram is sent");
    assert_eq!(one.to, HostAddress::spread(6));
    one.bytes
}

/// The sender of a response, and the contacts that it names.
fn named(datagram: &[u8]) -> (Id, Vec<Contact<HostAddress>>) {
    let message = wire::decode::<HostAddress>(datagram).expect("it is a message");
    let Body::Response { response: Response::Nodes { contacts }, .. } = message.body else {
        panic!("no nodes: {message:?}")
    };
    assert_eq!(message.header.transaction, header().transaction);
    (message.header.sender, contacts.iter().collect())
}

fn find(target: Id) -> Vec<u8> {
    request(None, Request::FindNode { target })
}

fn contacts(hosts: core::ops::Range<u32>) -> Vec<Contact<HostAddress>> {
    let mut random = Random::new(9);
    hosts.map(|host| Contact::new(random.id(), HostAddress::spread(host))).collect()
}

#[test]
fn invented_contacts_are_next_to_the_target_and_respond_by_their_names() {
    let accomplices = (5..15).map(HostAddress::spread).collect();
    let (seats, random) = (Seats::default(), Random::new(1));
    let mut adversary = Invent { accomplices, ids: IdRule::FREE, seats, count: COUNT, random };
    let target = Random::new(4).id();
    let (sender, invented) = named(&sent(react(&mut adversary, HostAddress::spread(5), &find(target))));
    assert_eq!((sender, invented.len()), (Id::from_bytes([5; 20]), COUNT));
    for contact in invented {
        assert!(contact.id.common_prefix_len(&target) >= 128, "{contact:?}");
        assert_eq!(named(&sent(react(&mut adversary, contact.address, &find(target)))).0, contact.id);
    }
}

#[test]
fn colluders_name_only_each_other() {
    let all = contacts(5..105);
    let target = Random::new(4).id();
    let mut nearest = all.clone();
    nearest.sort_by_key(|contact| contact.id.xor(&target));
    for (naming, of) in [(Naming::Nearest, COUNT), (Naming::SpreadOver(32), 32)] {
        let mut adversary = Collude {
            accomplices: all.clone().into(),
            seats: Seats::default(),
            naming,
            count: COUNT,
            random: Random::new(1),
        };
        let (_, named) = named(&sent(react(&mut adversary, HostAddress::spread(5), &find(target))));
        assert_eq!(named.len(), COUNT);
        assert!(named.iter().all(|contact| nearest[..of].contains(contact)), "{naming:?}");
    }
}

#[test]
fn misnamed_contacts_are_honest_nodes_at_addresses_of_the_attacker_that_respond_in_their_names() {
    let victims = contacts(20..60);
    let mut adversary = Misname { victims: victims.clone().into(), seats: Seats::default(), last: 0, count: COUNT };
    let target = Random::new(4).id();
    let (_, misnamed) = named(&sent(react(&mut adversary, HostAddress::spread(5), &find(target))));
    assert_eq!(misnamed.len(), COUNT);
    for contact in misnamed {
        assert!(victims.iter().any(|victim| victim.id == contact.id && victim.address != contact.address));
        assert_eq!(named(&sent(react(&mut adversary, contact.address, &find(target)))).0, contact.id);
    }
}

#[test]
fn refusals_and_stalls_are_claims_without_proof() {
    let record = SignedRecord::new([7; 32], 4, b"value");
    let store = Request::Store { record: record.record(), lifetime: 60, compare: None, handover: false };
    let refused = sent(react(&mut Refuse(ErrorCode::Outdated), HostAddress::spread(5), &request(None, store)));
    let refusal = Response::Error { code: ErrorCode::Outdated, detail: 5 };
    assert!(matches!(response(&refused), Body::Response { response, .. } if response == refusal));
    let find = Request::FindValue { key: record.key(), have: None };
    assert_eq!(react(&mut Refuse(ErrorCode::Outdated), HostAddress::spread(5), &request(None, find)), Reaction::Honest);

    let held = sent(react(&mut Stall, HostAddress::spread(5), &request(None, find)));
    assert!(matches!(response(&held), Body::Response { response: Response::Held { .. }, .. }));
    let fetched = react(&mut Stall, HostAddress::spread(5), &request(Some(Token([1; 8])), find));
    assert_eq!(fetched, Reaction::Send(Vec::new()), "it is never delivered");
}

fn response(datagram: &[u8]) -> Body<'_, HostAddress, Kadlet> {
    wire::decode(datagram).expect("it is a message").body
}

#[test]
fn a_stale_holder_serves_the_first_version_for_good() {
    let versions = [1, 2].map(|sequence| SignedRecord::new([7; 32], sequence, &[sequence as u8]));
    let mut adversary = Stale::default();
    for version in &versions {
        let store = Request::Store { record: version.record(), lifetime: 60, compare: None, handover: false };
        let stored = sent(react(&mut adversary, HostAddress::spread(5), &request(Some(Token([1; 8])), store)));
        assert!(matches!(response(&stored), Body::Response { response: Response::Stored { .. }, .. }));
    }
    let find = request(None, Request::FindValue { key: versions[0].key(), have: None });
    let found = sent(react(&mut adversary, HostAddress::spread(5), &find));
    let Body::Response { response: Response::Value { record, .. }, .. } = response(&found) else { panic!("no value") };
    assert_eq!(record, versions[0].record());
}

#[test]
fn a_planted_record_is_stored_at_the_nodes_that_were_probed() {
    let config = Config { verify: Some(SignedRecord::VERIFY), ..Config::DEFAULT };
    let mut network = Network::<Peer>::new(2, Links::new(Latency::INTERNET), config);
    network.add_ideal(20, || ());
    let record = SignedRecord::new([7; 32], 1, b"old");
    let client = network.add_attacker(header().sender);
    let plant = Plant { header: header(), record: record.clone() };
    let probe = plant.probe(record.key().id);
    network.turn_hostile(client, Box::new(plant));
    for host in [3, 4] {
        network.send_as(network.address(client), network.address(host), &probe);
    }
    network.run_until(network.now() + Duration::from_secs(2));
    let holders: Vec<u32> = (0..20).filter(|host| network.stored_version(*host, &record.key()).is_some()).collect();
    assert_eq!(holders, [3, 4]);
    assert_eq!(network.checks().violations(), [""; 0]);
}

#[test]
fn a_hostile_host_receives_in_its_whole_prefix_and_its_node_handles_what_the_adversary_leaves_to_it() {
    struct Counter(std::rc::Rc<core::cell::Cell<u32>>);

    impl Adversary for Counter {
        fn handle(&mut self, arrival: &Arrival<'_>) -> Reaction {
            self.0.set(self.0.get() + u32::from(arrival.at != arrival.own.address));
            Reaction::Honest
        }
    }

    let mut network = Network::<Peer>::new(2, Links::new(Latency::INTERNET), Config::DEFAULT);
    network.add_ideal(2, || ());
    let elsewhere = std::rc::Rc::default();
    network.turn_hostile(1, Box::new(Counter(std::rc::Rc::clone(&elsewhere))));
    network.own_prefix(1);
    let seat = network.address(1).in_same_prefix(200);
    assert_eq!((network.host_at(seat), network.is_hostile(1)), (Some(1), true));
    network.send_as(network.address(0), seat, &find(Id::ZERO));
    network.ping(0, 1).expect("it has a free slot");
    network.run_until(network.now() + Duration::from_secs(1));
    assert_eq!(network.next_result().map(|result| result.outcome), Some(OperationOutcome::Pong));
    assert_eq!(elsewhere.get(), 1);
}

fn attack(spec: &AttackSpec) -> AttackFigures {
    let figures = scenario::attack(spec, &mut Progress::silent()).expect("the specification is valid");
    assert_eq!(figures.violated, [""; 0], "{spec:?}");
    figures
}

fn small(attack: Attack, attackers: u32) -> AttackSpec {
    let network = Spec { nodes: 60, lookups: 6, ..Spec::new(Scenario::Gets) };
    AttackSpec { network, attack, attackers, records: 2 }
}

#[test]
fn without_attackers_all_gets_are_right() {
    for geometry in [Geometry::Kademlia, Geometry::Chord, Geometry::Pastry] {
        for lookup in [LookupMode::Iterative, LookupMode::Recursive] {
            let spec = small(Attack::None, 0);
            let figures = attack(&AttackSpec { network: Spec { geometry, lookup, ..spec.network }, ..spec });
            assert_eq!((figures.right, figures.gets, figures.puts_stored), (1.0, 18, 6), "{geometry:?} {lookup:?}");
        }
    }
}

#[test]
fn recursive_gets_among_nodes_that_serve_old_versions_find_the_newest() {
    for geometry in [Geometry::Kademlia, Geometry::Chord, Geometry::Pastry] {
        let spec = small(Attack::ServeOld, 12);
        let network = Spec { geometry, lookup: LookupMode::Recursive, lookups: 100, ..spec.network };
        let figures = attack(&AttackSpec { network, records: 20, ..spec });
        assert!(figures.old_signed <= 0.02, "{geometry:?} {figures:?}");
    }
}

#[test]
fn every_attack_runs_its_course_and_one_seed_is_one_history() {
    for (kind, attackers) in [
        (Attack::Invent, 6),
        (Attack::Sybils, 3),
        (Attack::SybilsOfOnePrefix, 3),
        (Attack::Misname, 6),
        (Attack::Collude, 6),
        (Attack::ColludeSpread, 6),
        (Attack::RefuseOutdated, 7),
        (Attack::RefuseConflict, 7),
        (Attack::Density, 3),
        (Attack::PlantOld, 8),
        (Attack::ServeOld, 6),
        (Attack::Bootstrap, 6),
        (Attack::BootstrapInvent, 6),
        (Attack::Stall, 6),
        (Attack::Crowd, 60),
        (Attack::BehindOne, 12),
        (Attack::Tens, 60),
        (Attack::Private, 0),
        (Attack::Nat, 18),
        (Attack::Renumber, 12),
    ] {
        let spec = small(kind, attackers);
        let figures = attack(&spec);
        assert_eq!(figures.gets, 18);
        assert!((figures.right + figures.wrong + figures.none - 1.0).abs() < 1e-9, "{figures:?}");
        if matches!(kind, Attack::Sybils | Attack::PlantOld) {
            assert_eq!(figures, attack(&spec), "{kind:?}");
        }
    }
}

#[test]
fn an_attack_out_of_range_is_refused() {
    for (spec, parameter) in [
        (small(Attack::Invent, 31), "attackers"),
        (small(Attack::RefuseOutdated, 9), "attackers"),
        (AttackSpec { records: 0, ..small(Attack::None, 0) }, "records"),
    ] {
        assert_eq!(spec.check().map_err(|invalid| invalid.parameter), Err(parameter));
    }
}
