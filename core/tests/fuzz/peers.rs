//! What a fuzzed node is configured with and meets: bounds and waits of all sizes, peers with addresses of several
//! kinds, and records of a few names.

use core::net::{Ipv4Addr, SocketAddrV4};
use core::time::Duration;

use kadlet::routing::Limits;
use kadlet::{Address, Config, Contact, Id, Kind, Serve, wire};

use super::input::Input;
use super::record::{Parts, VERIFY};

pub(crate) const OWN: Id = Id::from_bytes([0x5A; 20]);
/// How many peers there are. Each has a port of its own.
pub(crate) const PEERS: u8 = 32;

pub(crate) fn config(input: &mut Input<'_>) -> Config {
    let (modes, times) = (input.byte(), input.byte());
    let seconds = |seconds| Duration::from_secs(seconds);
    let table = Limits {
        k: input.pick(&[4, 1, 2, 255, 0]),
        neighbourhood_min: input.pick(&[seconds(30), Duration::ZERO, Duration::MAX]),
        neighbourhood_max: input.pick(&[seconds(900), Duration::ZERO, Duration::MAX]),
        refresh: input.pick(&[seconds(3_600), Duration::ZERO, Duration::MAX]),
        quiet: input.pick(&[seconds(900), Duration::ZERO, Duration::MAX]),
        ..Limits::DEFAULT
    };
    let mut config = Config {
        serve: if modes & 1 == 0 { Serve::Automatic } else { Serve::Never },
        plain: modes & 2 == 0,
        verify: (modes & 4 == 0).then_some(VERIFY),
        bind_ids: modes & 8 != 0,
        max_datagram: if modes & 16 == 0 { wire::MAX_DATAGRAM } else { [127, 160, 548, 200][usize::from(modes >> 6)] },
        rate_limit: if modes & 32 == 0 { 64 } else { 1 },
        quota: if modes & 64 == 0 { 0 } else { 100 },
        table,
        ..Config::DEFAULT
    };
    if times & 1 != 0 {
        (config.timeout_min, config.timeout_initial, config.timeout_max) =
            (Duration::ZERO, Duration::MAX, Duration::MAX);
    }
    if times & 2 != 0 {
        (config.alpha, config.attempts) = (times >> 4, times >> 2 & 7);
    }
    if times & 8 != 0 {
        (config.republish, config.max_lifetime) = (Duration::ZERO, Duration::ZERO);
    }
    config
}

/// The same with every value in its range, for shortlists of `shortlist` contacts.
pub(crate) fn in_range(mut config: Config, shortlist: usize) -> Config {
    let seconds = Duration::from_secs;
    config.table.k = config.table.k.clamp(1, (shortlist / 3).min(Limits::MAX_K) as u8);
    config.alpha = config.alpha.clamp(1, 16);
    config.timeout_min = config.timeout_min.clamp(Duration::from_millis(1), seconds(60));
    config.timeout_max = config.timeout_max.clamp(config.timeout_min, seconds(60));
    config.timeout_initial = config.timeout_initial.clamp(config.timeout_min, config.timeout_max);
    config.attempts = config.attempts.clamp(1, 5);
    config.max_lifetime = config.max_lifetime.clamp(seconds(1), seconds(u32::MAX.into()));
    config.republish = config.republish.max(seconds(1));
    let (table, longest) = (&mut config.table, seconds(1 << 31));
    table.neighbourhood_min = table.neighbourhood_min.clamp(seconds(1), longest);
    table.neighbourhood_max = table.neighbourhood_max.clamp(table.neighbourhood_min, longest);
    table.refresh = table.refresh.clamp(seconds(1), longest);
    table.quiet = table.quiet.clamp(seconds(1), longest);
    config
}

/// One of the peers: several in one /24, some on private addresses, some on loopback.
pub(crate) fn peer(number: u8, config: &Config) -> Contact<SocketAddrV4> {
    let number = number % PEERS;
    let ip = match number {
        n @ 0..8 => Ipv4Addr::new(192, 0, 2, n + 1),
        n @ 8..12 => Ipv4Addr::new(10, 0, 0, n),
        n @ 12..14 => Ipv4Addr::new(127, 0, 0, n),
        n => Ipv4Addr::new(203, 0, n, 1),
    };
    let address = SocketAddrV4::new(ip, 4_000 + u16::from(number));
    let id = id_near(number);
    let bound = address.prefix().filter(|_| config.bind_ids);
    // Of the first eight peers, which share a prefix, two are in first-class seats.
    Contact::new(bound.map_or(id, |prefix| Id::bound(prefix, if number < 8 { number.into() } else { 0 })), address)
}

/// The peer at an address.
pub(crate) fn peer_at(address: SocketAddrV4, config: &Config) -> Contact<SocketAddrV4> {
    peer(u8::try_from(address.port() - 4_000).unwrap_or(0), config)
}

/// An id that shares up to ten bits with the node's own.
pub(crate) fn id_near(number: u8) -> Id {
    let mut bytes = *OWN.as_bytes();
    let depth = usize::from(number % 11);
    bytes[depth / 8] ^= 0x80 >> (depth % 8);
    bytes[3] ^= number;
    Id::from_bytes(bytes)
}

/// A record out of a few names and values, usually with a valid proof.
pub(crate) fn record(input: &mut Input<'_>) -> Parts {
    let kind = input.pick(&[Kind::Plain, Kind::Immutable, Kind::Signed]);
    let (name, fill) = (input.byte() % 4, input.byte() % 4);
    let len = match input.byte() {
        0xFF => 1_001,
        0xFE => 1_000,
        len => usize::from(len),
    };
    let age_or_sequence = if kind == Kind::Immutable { 0 } else { number(input) };
    let (salt, forged) = match kind {
        Kind::Signed => (vec![name; input.pick(&[0, 1, 64, 65])], input.once_in(8)),
        _ => (Vec::new(), false),
    };
    let mut parts = Parts::signed(name, &salt, age_or_sequence, &vec![fill; len]);
    parts.kind = kind;
    parts.signature[63] ^= u8::from(forged);
    parts
}

/// A number of any size, small ones more often.
pub(crate) fn number(input: &mut Input<'_>) -> u64 {
    let size = input.byte();
    let fine = u64::from(input.byte());
    match size {
        0xFF => u64::MAX - fine,
        _ => (fine + 1) << (size % 56),
    }
}
