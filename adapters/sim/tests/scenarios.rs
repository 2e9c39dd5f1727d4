//! Small histories, and what must come of them whatever the seed.

use core::time::Duration;

use kadlet::{Config, Key, Options, Record};
use kadlet_sim::progress::Progress;
use kadlet_sim::scenario::{self, Figures, Geometry, Scenario, Spec};
use kadlet_sim::{Disorder, Ending, Latency, Links, Network, Peer};

fn run(spec: &Spec) -> Figures {
    let figures = scenario::run(spec, &mut Progress::silent()).expect("the specification is possible");
    assert_eq!(figures.violated, [""; 0]);
    Figures { wall_seconds: 0.0, peak_memory_bytes: 0, ..figures }
}

fn small(scenario: Scenario) -> Spec {
    Spec { nodes: 60, lookups: 60, minutes: Some(1.0), ..Spec::new(scenario) }
}

#[test]
fn one_seed_is_one_history_and_another_another() {
    for scenario in [Scenario::Stale, Scenario::Churn, Scenario::Replace, Scenario::Storm] {
        let spec = Spec { loss: 0.05, ..small(scenario) };
        let figures = run(&spec);
        let elsewhere = std::thread::scope(|scope| scope.spawn(|| run(&spec)).join().expect("it ends"));
        assert_eq!(figures, elsewhere, "{scenario:?}");
        assert_ne!(figures, run(&Spec { seed: 2, ..spec }), "{scenario:?}");
    }
}

#[test]
fn all_lookups_in_ideal_tables_are_right() {
    for geometry in [Geometry::Kademlia, Geometry::Chord, Geometry::Pastry] {
        let figures = run(&Spec { nodes: 300, geometry, ..small(Scenario::Static) });
        assert_eq!((figures.success, figures.lookups), (1.0, 60), "{geometry:?}");
        assert!(figures.depth_mean > 1.0 && figures.datagrams_mean >= 2.0 * figures.rpcs_mean);
    }
}

#[test]
fn all_nodes_join_through_one_whether_in_turn_or_at_once() {
    for burst in [false, true] {
        let figures = run(&Spec { burst, ..small(Scenario::Join) });
        assert_eq!((figures.not_joined, figures.success), (0, 1.0));
    }
}

#[test]
fn a_healed_network_is_one_again() {
    let figures = run(&Spec { minutes: Some(20.0), ..small(Scenario::Partition) });
    assert!(figures.settled_seconds.is_some());
    assert_eq!(figures.records_lost, 0);
}

#[test]
fn nodes_leave_and_restart_with_and_without_their_state() {
    let config = Config { plain: true, ..Config::DEFAULT };
    let mut network = Network::<Peer>::new(4, Links::new(Latency::INTERNET), config);
    network.add_ideal(40, || ());
    let put = network.put(3, &Record::plain(b"name", b"value"), &Options::DEFAULT).expect("node 3 is idle");
    network.run_until(network.now() + Duration::from_secs(10));
    let disk = network.crash(3).expect("it lived");
    network.leave(4);
    let (third, fourth) = (network.id(3), network.id(4));
    network.restart(3, Some(&disk), &[0]);
    network.restart(4, None, &[0]);
    assert_eq!(network.id(3), third);
    assert_ne!(network.id(4), fourth);
    network.run_until(network.now() + Duration::from_secs(600));
    assert_eq!(network.disorder(), Disorder::default());
    assert!(network.held(3, &Key::plain(b"name")).is_some(), "it published again what it had");
    let stored = core::iter::from_fn(|| network.next_ended()).find(|ended| ended.operation == put);
    assert!(stored.is_some_and(|ended| matches!(ended.ending, Ending::Stored { holders: 8, .. })));
    assert_eq!(network.checks().violations(), [""; 0]);
}
