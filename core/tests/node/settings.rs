//! Settings of a node: each is obeyed or refused, and a refusal names the field, its value and its range.

use core::net::SocketAddrV4;
use core::time::Duration;

use kadlet::routing::Limits;
use kadlet::{Config, ConfigError, Dht, FixedStore, Id, Kademlia, Node};

use crate::by_hand::{NOW, Node4, at, node4, picture};
use crate::net::config;

const OWN: Id = Id::from_bytes([7; 20]);

/// Its shortlist has room for three times as many contacts as the largest k of all.
type Wide = Node<Kademlia<SocketAddrV4, 64>, FixedStore<4, 512>, 1, 120>;
/// Its table has fewer places than a third of its shortlist.
type Narrow = Node<Kademlia<SocketAddrV4, 4>, FixedStore<4, 512>, 1, 24>;

type Change = fn(&mut Config);

fn error(change: impl FnOnce(&mut Config)) -> Option<ConfigError> {
    let mut config = config();
    change(&mut config);
    let mut node = node4(crate::net::config());
    node.bootstrap(NOW, &[at("192.0.2.1:4000")]).unwrap();
    let state = |node: &Node4| (node.id(), picture(node));
    let before = state(&node);
    let error = node.start(NOW, config, OWN, [9; 32]).err()?;
    assert_eq!(state(&node), before, "{error}: a start that is refused changes nothing");
    Some(error)
}

#[test]
fn each_setting_is_refused_beyond_its_range_and_obeyed_at_its_ends() {
    let ms = Duration::from_millis;
    let seconds = Duration::from_secs;
    let text = |change: Change| error(change).map(|error| error.to_string());
    let refused: [(Change, &str); 24] = [
        (|config| config.table.k = 0, "k is 0; it must be 1 to 8"),
        (|config| config.table.k = 9, "k is 9; it must be 1 to 8"),
        (|config| config.alpha = 0, "alpha is 0; it must be 1 to 16"),
        (|config| config.alpha = 17, "alpha is 17; it must be 1 to 16"),
        (|config| config.max_datagram = 126, "max_datagram is 126; it must be 127 to 1232"),
        (|config| config.max_datagram = usize::MAX, "max_datagram is 4294967295; it must be 127 to 1232"),
        (|config| config.attempts = 0, "attempts is 0; it must be 1 to 5"),
        (|config| config.attempts = 6, "attempts is 6; it must be 1 to 5"),
        (|config| config.rate_limit = 0, "rate_limit is 0; it must be 1 to 65535"),
        (|config| config.timeout_min = Duration::ZERO, "timeout_min is 0 ms; it must be 1 ms to 60000 ms"),
        (|config| config.timeout_min = Duration::MAX, "timeout_min is 4294967295 ms; it must be 1 ms to 60000 ms"),
        (
            |config| config.timeout_max = Duration::from_millis(99),
            "timeout_max is 99 ms; it must be 100 ms to 60000 ms",
        ),
        (
            |config| config.timeout_max = Duration::from_secs(61),
            "timeout_max is 61000 ms; it must be 100 ms to 60000 ms",
        ),
        (|config| config.timeout_initial = Duration::ZERO, "timeout_initial is 0 ms; it must be 100 ms to 3000 ms"),
        (
            |config| config.timeout_initial = Duration::MAX,
            "timeout_initial is 4294967295 ms; it must be 100 ms to 3000 ms",
        ),
        (|config| config.max_lifetime = Duration::ZERO, "max_lifetime is 0 s; it must be 1 s to 4294967295 s"),
        (|config| config.republish = Duration::from_millis(999), "republish is 0 s; it must be 1 s to 4294967295 s"),
        (
            |config| config.table.neighbourhood_min = Duration::ZERO,
            "neighbourhood_min is 0 s; it must be 1 s to 2147483648 s",
        ),
        (
            |config| config.table.neighbourhood_max = Duration::from_secs(29),
            "neighbourhood_max is 29 s; it must be 30 s to 2147483648 s",
        ),
        (|config| config.table.refresh = Duration::MAX, "refresh is 4294967295 s; it must be 1 s to 2147483648 s"),
        (|config| config.table.quiet = Duration::ZERO, "quiet is 0 s; it must be 1 s to 2147483648 s"),
        (|config| config.table.quiet = Duration::MAX, "quiet is 4294967295 s; it must be 1 s to 2147483648 s"),
        (|config| config.table.per_prefix_in_bucket = 0, "per_prefix_in_bucket is 0; it must be 1 to 255"),
        (|config| config.table.per_prefix_in_table = 0, "per_prefix_in_table is 0; it must be 1 to 255"),
    ];
    for (change, expected) in refused {
        assert_eq!(text(change).as_deref(), Some(expected));
    }

    let [shortest, longest] = [seconds(1), seconds(1 << 31)];
    let table = Limits {
        k: 1,
        neighbourhood_min: shortest,
        neighbourhood_max: shortest,
        refresh: shortest,
        quiet: shortest,
        per_prefix_in_bucket: 1,
        per_prefix_in_table: 1,
    };
    let least = Config {
        table,
        alpha: 1,
        max_datagram: 127,
        timeout_min: ms(1),
        timeout_initial: ms(1),
        timeout_max: ms(1),
        attempts: 1,
        max_lifetime: seconds(1),
        republish: seconds(1),
        rate_limit: 1,
        ..config()
    };
    assert_eq!(error(|config| *config = least), None);
    let table = Limits {
        k: 8,
        neighbourhood_min: longest,
        neighbourhood_max: longest,
        refresh: longest,
        quiet: longest,
        per_prefix_in_bucket: u8::MAX,
        per_prefix_in_table: u8::MAX,
    };
    let most = Config {
        table,
        alpha: 16,
        max_datagram: 1232,
        timeout_min: seconds(60),
        timeout_initial: seconds(60),
        timeout_max: seconds(60),
        attempts: 5,
        max_lifetime: Duration::MAX,
        republish: Duration::MAX,
        rate_limit: u16::MAX,
        ..config()
    };
    assert_eq!(error(|config| *config = most), None);
}

#[test]
fn k_is_limited_by_the_shortlist_the_table_and_the_largest_bucket() {
    let with_k = |k| Config { table: Limits { k, ..Limits::DEFAULT }, ..config() };
    assert!(Wide::new(NOW, with_k(32), OWN, [7; 32]).is_ok());
    assert_eq!(Wide::new(NOW, with_k(33), OWN, [7; 32]).unwrap_err().most, 32);
    assert!(Narrow::new(NOW, with_k(4), OWN, [7; 32]).is_ok());
    assert_eq!(Narrow::new(NOW, with_k(5), OWN, [7; 32]).unwrap_err().most, 4);
}
