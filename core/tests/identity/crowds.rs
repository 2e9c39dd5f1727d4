//! Honest crowds: many nodes of one address prefix, alone and among others.

use kadlet::{Address, Config, Dht, Id, Kademlia, Key, Options, Outcome, Record, Routing};

use crate::host::Host;
use crate::net::{MoteWith, Net, Place, config};

type Crowd<const EACH: u16> = MoteWith<Kademlia<Host<EACH>, 128>>;

fn bound() -> Config {
    Config { bind_ids: true, ..config() }
}

/// How many of `keys` records that random nodes put are found by other nodes.
fn found<const EACH: u16>(net: &mut Net<Crowd<EACH>>, keys: u8) -> usize {
    let options = Options { publish: false, ..Options::default() };
    let living = net.living();
    for key in 0..keys {
        let (now, by) = (net.now, living[net.random.below(living.len())]);
        let query = net.node(by).put(now, &Record::plain(&[key], b"value"), &options).unwrap();
        net.wait(by, query, |result| assert!(matches!(result.outcome, Outcome::Stored { .. }), "{:?}", result.outcome));
    }
    (0..keys)
        .filter(|key| {
            let (now, by) = (net.now, living[net.random.below(living.len())]);
            let query = net.node(by).get(now, Key::plain(&[*key]), &options).unwrap();
            net.wait(by, query, |result| matches!(result.outcome, Outcome::Value { .. }))
        })
        .count()
}

#[test]
fn a_crowd_alone_in_one_prefix_finds_everything() {
    let mut net = Net::<Crowd<1_000>>::grown(1, core::iter::repeat_n(bound(), 100));
    let contacts: Vec<_> = net.living().iter().map(|at| net.node(*at).routing().peers().count()).collect();
    assert!(contacts.iter().all(|count| *count >= 20), "no limit on the prefix starves a table: {contacts:?}");
    assert_eq!(found(&mut net, 100), 100);
}

#[test]
fn in_a_network_of_many_prefixes_only_first_class_seats_are_in_the_tables() {
    let mut net = Net::<Crowd<3>>::grown(2, core::iter::repeat_n(bound(), 150));
    net.run(core::time::Duration::from_secs(120));
    for at in net.living() {
        let own = net.node(at).id();
        let excess = net.node(at).routing().peers().filter(|peer| !peer.contact.id.is_first_class()).count();
        assert_eq!(excess, 0, "{own} at {at:?}");
    }
    assert_eq!(found(&mut net, 50), 50, "those in other seats put and get too");
}

#[test]
fn an_id_that_is_not_bound_to_its_address_is_in_no_table_but_can_put_and_get() {
    let mut net = Net::<Crowd<1>>::grown(3, core::iter::repeat_n(bound(), 20));
    let taken = Id::bound(Host::<1>::nth(5).prefix().unwrap(), 1);
    let known = net.living()[0];
    let liar = net.add(|now, _, seed| Box::new(Crowd::new(now, bound(), taken, seed).unwrap()));
    let now = net.now;
    let query = net.node(liar).bootstrap(now, &[known]).unwrap().query;
    net.wait(liar, query, |result| assert!(matches!(result.outcome, Outcome::Joined { .. })));
    assert_eq!(found(&mut net, 20), 20);
    for at in net.living() {
        assert!(net.node(at).routing().get(&taken).is_none(), "{at:?} knows it");
    }
}
