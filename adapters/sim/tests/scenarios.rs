//! Small runs of all scenarios, and what must hold whatever the seed.

use core::time::Duration;

use kadlet::{Address, Config, Dht, Kademlia, Key, Mode, Options, Record, Routing};
use kadlet_sim::progress::Progress;
use kadlet_sim::scenario::{self, Figures, Geometry, LookupMode, Scenario, Spec};
use kadlet_sim::{
    ChordTable, Divergence, Filtering, HostAddress, IdRule, Latency, Links, Network, OperationOutcome, Overlay,
    PastryTable, Peer,
};

fn run(spec: &Spec) -> Figures {
    let figures = scenario::run(spec, &mut Progress::silent()).expect("the specification is valid");
    assert_eq!(figures.violated, [""; 0]);
    Figures { wall_seconds: 0.0, peak_memory_bytes: 0, ..figures }
}

/// The same specification for each geometry and each kind of lookup.
fn in_all(spec: &Spec) -> impl Iterator<Item = Spec> {
    let geometries = [Geometry::Kademlia, Geometry::Chord, Geometry::Pastry].into_iter();
    let lookups = [LookupMode::Iterative, LookupMode::Recursive];
    let variants = geometries.flat_map(move |geometry| lookups.map(|lookup| (geometry, lookup)));
    variants.map(|(geometry, lookup)| Spec { geometry, lookup, ..spec.clone() })
}

fn small(scenario: Scenario) -> Spec {
    Spec { nodes: 60, lookups: 60, minutes: Some(1.0), ..Spec::new(scenario) }
}

#[test]
fn one_seed_is_one_history_and_another_seed_is_another() {
    let scenarios = [Scenario::Stale, Scenario::Churn, Scenario::Replace, Scenario::Storm];
    for (spec, scenario) in in_all(&Spec { nodes: 16, loss: 0.05, minutes: Some(0.5), ..small(Scenario::Static) })
        .zip(scenarios.into_iter().cycle())
    {
        let spec = Spec { scenario, ..spec };
        let figures = run(&spec);
        let elsewhere = std::thread::scope(|scope| scope.spawn(|| run(&spec)).join().expect("the run ends"));
        assert_eq!(figures, elsewhere, "{spec:?}");
        assert_ne!(figures, run(&Spec { seed: 2, ..spec.clone() }), "{spec:?}");
    }
}

#[test]
fn all_lookups_in_ideal_tables_are_right() {
    for spec in in_all(&Spec { nodes: 150, ..small(Scenario::Static) }) {
        let figures = run(&spec);
        assert_eq!((figures.success, figures.lookups), (1.0, 60), "{spec:?}");
        assert!(figures.depth_mean > 1.0 && figures.datagrams_mean >= 2.0 * figures.rpcs_mean, "{spec:?}");
    }
}

#[test]
fn the_requester_sends_or_receives_all_datagrams_of_an_iterative_get_but_few_of_a_recursive_one() {
    for spec in in_all(&Spec { nodes: 100, lookups: 30, ..small(Scenario::Gets) }) {
        let figures = run(&spec);
        assert_eq!((figures.success, figures.lookups), (1.0, 30), "{spec:?}");
        let (of_all, of_requester) = (
            (figures.datagrams_mean, figures.bytes_mean),
            (figures.requester_datagrams_mean, figures.requester_bytes_mean),
        );
        match spec.lookup {
            LookupMode::Recursive => {
                assert!(of_requester.0 > 0.0 && of_requester.0 < of_all.0 && of_requester.1 < of_all.1, "{spec:?}")
            }
            _ => assert_eq!(of_requester, of_all, "{spec:?}"),
        }
    }
}

#[test]
fn all_nodes_join_through_one_node_in_turn_or_at_once() {
    for burst in [false, true] {
        for spec in in_all(&Spec { nodes: 24, burst, ..small(Scenario::Join) }) {
            let figures = run(&spec);
            assert_eq!((figures.not_joined, figures.success), (0, 1.0), "{spec:?}");
        }
    }
}

#[test]
fn a_healed_network_converges_and_loses_no_record() {
    for spec in in_all(&Spec { nodes: 24, minutes: Some(5.0), ..small(Scenario::Partition) }) {
        let figures = run(&spec);
        assert!(figures.converged_seconds.is_some(), "{spec:?}");
        assert_eq!(figures.records_lost, 0, "{spec:?}");
    }
}

#[test]
fn the_limits_of_a_table_count_the_simulated_nodes_of_one_prefix() {
    // Where identifiers are bound, the limits don't decide: a prefix has two first-class seats.
    let config = Config { bind_ids: false, ..Config::DEFAULT };
    let mut network = Network::<Peer>::new(6, Links::new(Latency::INTERNET), config);
    network.ids = IdRule::FREE;
    network.add_ideal(40, || ());
    let crowd: Vec<u32> = (0..30).map(|host| network.join_at(HostAddress::in_prefix(1, host), &[host])).collect();
    network.run_until(network.now() + Duration::from_secs(600));
    let most = usize::from(Config::DEFAULT.table.per_prefix_in_table);
    let prefix = HostAddress::in_prefix(1, 0).prefix();
    for host in 0..40 {
        let peers = network.node(host).expect("it lives").routing().peers();
        let of_crowd = peers.filter(|peer| peer.contact.address.prefix() == prefix).count();
        assert!((1..=most).contains(&of_crowd), "{of_crowd} of {} in the table of {host}", crowd.len());
    }
}

#[test]
fn a_node_behind_a_nat_is_reached_only_by_nodes_that_it_sent_to() {
    let mut network = Network::<Peer>::new(6, Links::new(Latency::INTERNET), Config::DEFAULT);
    network.add_ideal(3, || ());
    network.links.filter(2, Filtering::AddressAndPortDependent);
    let pong = |network: &mut Network<Peer>, from, to| {
        network.ping(from, to).expect("it has a free slot");
        network.run_until(network.now() + Duration::from_secs(31));
        network.next_result().expect("it ended").outcome == OperationOutcome::Pong
    };
    assert!(!pong(&mut network, 0, 2), "nothing was sent from there");
    assert!(pong(&mut network, 2, 1));
    assert!(pong(&mut network, 1, 2), "the filter lets in what comes back");
}

#[test]
fn a_renumbered_node_is_reached_at_its_new_address_only() {
    let mut network = Network::<Peer>::new(6, Links::new(Latency::INTERNET), Config::DEFAULT);
    network.add_ideal(2, || ());
    let (old, new) = (network.address(1), HostAddress::in_prefix(3, 0));
    network.renumber(1, new);
    assert_eq!((network.host_at(old), network.host_at(new), network.address(1)), (None, Some(1), new));
    network.ping(0, 1).expect("it has a free slot");
    network.run_until(network.now() + Duration::from_secs(31));
    assert_eq!(network.next_result().map(|result| result.outcome), Some(OperationOutcome::Pong));
}

#[test]
fn nodes_leave_and_restart_with_and_without_their_state() {
    for lookup in [Mode::Iterative, Mode::Recursive] {
        leave_and_restart::<Kademlia<HostAddress, 192>>(lookup);
        leave_and_restart::<ChordTable>(lookup);
        leave_and_restart::<PastryTable>(lookup);
    }
}

fn leave_and_restart<R: Overlay>(lookup: Mode) {
    let config = Config { plain: true, ..Config::DEFAULT };
    let mut network = Network::<Peer<R>>::new(4, Links::new(Latency::INTERNET), config);
    network.lookup = lookup;
    network.add_ideal(24, || ());
    let options = Options { mode: lookup, ..Options::DEFAULT };
    let put = network.put(3, &Record::plain(b"name", b"value"), &options).expect("node 3 has a free slot");
    network.run_until(network.now() + Duration::from_secs(10));
    let disk = network.crash(3).expect("it lived");
    network.leave(4);
    let (third, fourth) = (network.id(3), network.id(4));
    network.restart(3, Some(&disk), &[0]);
    network.restart(4, None, &[0]);
    assert_eq!(network.id(3), third);
    assert_eq!(network.id(4), fourth, "its identifier is bound to its address");
    network.run_until(network.now() + Duration::from_secs(600));
    assert_eq!(network.divergence(), Divergence::default());
    assert!(network.stored_version(3, &Key::plain(b"name")).is_some(), "node 3 kept its record");
    let stored = core::iter::from_fn(|| network.next_result()).find(|result| result.operation == put);
    assert!(stored.is_some_and(|result| matches!(result.outcome, OperationOutcome::Stored { holders: 8, .. })));
    assert_eq!(network.checks().violations(), [""; 0]);
}

#[test]
fn a_record_outlives_its_holders_if_half_of_them_die_and_the_others_a_minute_later() {
    let mut lost = Vec::new();
    for seed in 1..=10 {
        let mut network = Network::<Peer>::new(
            seed,
            Links::new(Latency::Constant(Duration::from_micros(200))),
            Config { plain: true, ..Config::DEFAULT },
        );
        network.join(&[]);
        for _ in 1..24 {
            network.join(&[0]);
            network.run_until(network.now() + Duration::from_millis(30));
        }
        let record = Record::plain(b"name", b"value");
        let key = record.key();
        let putter = network.join(&[0]);
        network.run_until(network.now() + Duration::from_millis(5));
        network.put(putter, &record, &Options::DEFAULT).expect("it has a free slot");
        network.run_until(network.now() + Duration::from_millis(100));
        network.crash(putter);
        let holders: Vec<u32> = (0..24).filter(|host| network.stored_version(*host, &key).is_some()).collect();
        for four in holders.chunks(4) {
            four.iter().for_each(|host| drop(network.crash(*host)));
            if four[0] == holders[0] {
                network.run_until(network.now() + Duration::from_secs(60));
            }
        }
        let survivors: Vec<u32> = (0..24).filter(|host| !holders.contains(host)).collect();
        let held = survivors.iter().filter(|host| network.stored_version(**host, &key).is_some()).count();
        while network.next_result().is_some() {}
        let mut gets = Vec::new();
        for survivor in &survivors {
            let client = network.join(&[*survivor]);
            network.run_until(network.now() + Duration::from_micros(450));
            let get = network.get(client, key).expect("it has a free slot");
            network.run_until(network.now() + Duration::from_secs(15));
            while let Some(result) = network.next_result() {
                if result.operation == get && !result.outcome.is_success() {
                    gets.push((*survivor, result.stats));
                }
            }
        }
        if !gets.is_empty() {
            println!("seed {seed}: {} holders, {held} held, {} failed, first {:?}", holders.len(), gets.len(), gets[0]);
            lost.push(seed);
        }
    }
    assert_eq!(lost, [0_u64; 0]);
}
