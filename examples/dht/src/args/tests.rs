use super::*;
use clap::CommandFactory;

fn refused(args: &str) -> bool {
    Cli::try_parse_from(args.split(' ')).is_err()
}

#[test]
fn the_arguments_are_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn the_only_positional_argument_of_put_is_the_value() {
    let cli = Cli::try_parse_from(["kadlet", "put", "-", "--immutable", "--bootstrap", "127.0.0.1:1"]);
    let Ok(Command::Put(put)) = cli.map(|cli| cli.command) else { panic!("not a put") };
    assert!(put.record.first == "-" && put.record.second.is_none());
}

#[test]
fn what_follows_two_dashes_is_taken_as_it_is() {
    let cli = Cli::try_parse_from("kadlet put --bootstrap 127.0.0.1:1 -- -key --value".split(' '));
    let Ok(Command::Put(put)) = cli.map(|cli| cli.command) else { panic!("not a put") };
    let RecordArgs { first, second, .. } = put.record;
    assert!(first == "-key" && second.is_some_and(|second| second == "--value"));
    for args in ["get --bootstrap 127.0.0.1:1 -- -k", "find --bootstrap 127.0.0.1:1 -- -k", "demo -- -k --v"] {
        assert!(!refused(&format!("kadlet {args}")), "{args}");
    }
}

#[test]
fn inconsistent_arguments_are_refused() {
    for args in [
        "kadlet put key value --immutable --bootstrap 127.0.0.1:1",
        "kadlet put value --immutable --sign file --bootstrap 127.0.0.1:1",
        "kadlet put key value --seq 1 --bootstrap 127.0.0.1:1",
        "kadlet put value --immutable --cas 1 --bootstrap 127.0.0.1:1",
        "kadlet put value --salt text --bootstrap 127.0.0.1:1",
        "kadlet get --bootstrap 127.0.0.1:1",
        "kadlet get key --id 0011223344556677889900112233445566778899 --bootstrap 127.0.0.1:1",
        "kadlet get --id 00 --bootstrap 127.0.0.1:1",
        "kadlet get key --salt text --bootstrap 127.0.0.1:1",
        "kadlet get --id 0011223344556677889900112233445566778899 --salt text --bootstrap 127.0.0.1:1",
        "kadlet get key --bootstrap 127.0.0.1",
        "kadlet get key --bootstrap 127.0.0.256:1",
        "kadlet get key --bootstrap 127.0.0.1:65536",
        "kadlet get key --bootstrap 127.0.0.1:1 --network 65536",
        "kadlet get key --bootstrap 127.0.0.1:1 --timeout 0",
        "kadlet get key --bootstrap 127.0.0.1:1 --network-key /nowhere/network.key",
        "kadlet get key --bootstrap 127.0.0.1:1 --network-key Cargo.toml",
        "kadlet keygen --network",
        "kadlet demo key value --nodes 1",
    ] {
        assert!(refused(args), "{args}");
    }
}

#[test]
fn keygen_makes_the_key_of_a_network_only_if_told_and_whatever_the_number_of_the_network() {
    for (args, expected) in [
        ("kadlet keygen file", false),
        ("kadlet --network 7 keygen file", false),
        ("kadlet keygen --network file", true),
        ("kadlet keygen file --network", true),
    ] {
        let cli = Cli::try_parse_from(args.split(' ')).unwrap();
        let Command::Keygen(keygen) = cli.command else { panic!("not a keygen") };
        assert_eq!(keygen.makes_network_key(), expected, "{args}");
    }
}

#[test]
fn bootstrap_addresses_can_be_repeated_or_separated_by_commas() {
    let cli = Cli::try_parse_from("kadlet find key --bootstrap [::1]:1,localhost:2 --bootstrap 127.0.0.1:3".split(' '))
        .unwrap();
    let Command::Find(find) = cli.command else { panic!("not a find") };
    assert_eq!(find.client.bootstrap.len(), 3);
}

#[test]
fn a_duration_without_a_unit_is_in_seconds() {
    assert_eq!(duration("5"), Ok(Duration::from_secs(5)));
    assert_eq!(duration("1m 30s"), Ok(Duration::from_secs(90)));
    assert!(duration("soon").is_err());
    assert_eq!(time_limit("365d"), Ok(LONGEST));
    assert!(time_limit("18446744073709551615").is_err() && time_limit("366d").is_err());
    assert!(lifetime("500ms").is_err());
}
