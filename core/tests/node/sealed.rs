//! Sealed networks: nodes with one key work as others do, and nothing else gets in.

use core::net::SocketAddrV4;
use core::time::Duration;
use std::collections::HashSet;

use kadlet::wire::sealed::{NetworkKey, open, seal};
use kadlet::wire::{Kadlet, MAX_DATAGRAM, MIN_DATAGRAM, SEAL};
use kadlet::{Config, Dht, Id, Instant, Kademlia, Mode, Node, On, Options, Outcome, Record, Routing};

use crate::by_hand::{NOW, Peer, at, deliver, id, node4, sent};
use crate::geometries::{get, once, put};
use crate::net::{Mote, MoteWith, Net, Place, Seen, config};

const KEY: NetworkKey = NetworkKey::new([7; 32]);

fn sealed() -> Config {
    Config { seal: Some(KEY), ..config() }
}

/// The nonce of a sealed datagram: the first 16 bytes of the sender's identifier, and the number.
fn nonce<A>(seen: &Seen<A>) -> [u8; 24] {
    let (sender, number) = (&seen.bytes[..16], &seen.bytes[seen.bytes.len() - SEAL..][..8]);
    [sender, number].concat().try_into().unwrap()
}

/// Panics if two datagrams have the same nonce and are not the same datagram.
fn check_nonces<A>(seen: &[Seen<A>]) {
    let nonces: HashSet<_> = seen.iter().map(nonce).collect();
    assert_eq!(nonces.len(), seen.len());
}

#[test]
fn a_sealed_network_puts_gets_and_finds_and_nothing_can_be_read_on_the_way() {
    let mut net: Net = Net::new(1);
    net.tap = Some(Vec::new());
    for _ in 0..12 {
        net.join(sealed());
    }
    put(&mut net, 3, b"hello", b"a value that nobody else may read", &once());
    for at in 1..=12 {
        assert_eq!(get(&mut net, at, b"hello").as_deref(), Some(&b"a value that nobody else may read"[..]));
    }
    let (now, target) = (net.now, net.node(9).id());
    let query = net.node(2).find_node(now, target, &Options::default()).unwrap();
    net.wait(2, query, |result| {
        let Outcome::Nodes(nodes) = &result.outcome else { panic!("{result:?}") };
        assert_eq!(nodes.iter().next().map(|node| node.address), Some(9));
    });
    let seen = net.tap.take().unwrap();
    check_nonces(&seen);
    for Seen { from, bytes, .. } in &seen {
        assert!(!bytes.windows(6).any(|window| window == b"nobody"));
        assert!(bytes.len() <= MAX_DATAGRAM);
        assert_eq!(bytes[..20], net.node(*from).id().as_bytes()[..]);
        assert!(open::<Kadlet>(&KEY, bytes, &mut [0; MAX_DATAGRAM]).is_some());
    }
    for at in net.living() {
        let stats = net.node(at).stats();
        assert_eq!((stats.unopened, stats.malformed), (0, 0));
        let bytes = seen.iter().filter(|seen| seen.from == at).map(|seen| seen.bytes.len() as u64).sum::<u64>();
        assert_eq!(stats.sent_bytes, bytes, "what is counted is what leaves");
    }
}

#[test]
fn a_recursive_lookup_works_in_a_sealed_network() {
    let mut net: Net<MoteWith<Kademlia<u16, 128>, 4>> = Net::grown(2, [sealed(); 30]);
    let (now, options) = (net.now, Options { mode: Mode::Recursive, ..once() });
    let query = net.node(3).put(now, &Record::plain(b"hello", b"world"), &options).unwrap();
    net.wait(3, query, |result| assert!(matches!(result.outcome, Outcome::Stored { .. }), "{result:?}"));
    assert_eq!(get(&mut net, 20, b"hello").as_deref(), Some(&b"world"[..]));
}

#[test]
fn no_two_datagrams_have_one_nonce_although_nodes_restart_and_share_an_identifier() {
    for seed in 1..=20 {
        let mut net: Net = Net::grown(seed, [sealed(); 8]);
        net.tap = Some(Vec::new());
        for round in 0..6_u16 {
            let address = 1 + round % 3;
            // The identifier of a node that still runs, or the own one from before.
            let id = if round % 2 == 0 { net.node(8).id() } else { net.node(address).id() };
            let seed = net.random.bytes();
            let now = net.now;
            net.replace(address, Box::new(Mote::new(now, sealed(), id, seed).unwrap()));
            let _ = net.node(address).bootstrap(now, &[8, 7]).unwrap();
            net.run(Duration::from_secs(5));
        }
        let seen = net.tap.take().unwrap();
        assert!(seen.len() > 100, "{}", seen.len());
        check_nonces(&seen);
    }
}

#[test]
fn the_numbers_of_a_node_begin_at_random_and_go_up_by_one() {
    let mut first = HashSet::new();
    for seed in 0..50 {
        let mut node = Mote::new(NOW, sealed(), Id::from_bytes([7; 20]), [seed; 32]).unwrap();
        let mut numbers = Vec::new();
        for peer in 1..=4 {
            node.ping(NOW, peer).unwrap();
        }
        for (to, bytes) in sent(&mut node, NOW) {
            let nonce = nonce(&Seen { at: NOW, from: 0, to, bytes });
            numbers.push(u64::from_be_bytes(nonce[16..].try_into().unwrap()));
        }
        assert_eq!(numbers, (0..4).map(|n| numbers[0].wrapping_add(n)).collect::<Vec<_>>());
        first.insert(numbers[0] >> 32);
    }
    assert_eq!(first.len(), 50, "also their upper halves differ");
}

#[test]
fn a_stranger_without_the_key_is_ignored_and_counted() {
    for stranger in [config(), Config { seal: Some(NetworkKey::new([8; 32])), ..config() }] {
        let mut net = Net::joined(3, 4, sealed());
        let outside = net.add(|now, id, seed| Box::new(Mote::new(now, stranger, id, seed).unwrap()));
        let now = net.now;
        let query = net.node(outside).bootstrap(now, &[1]).unwrap().query;
        net.wait(outside, query, |result| assert!(matches!(result.outcome, Outcome::Failed(_)), "{result:?}"));
        assert!(net.node(1).stats().unopened > 0);
        let (inside, id) = (net.node(2).id(), net.node(outside).id());
        assert!(net.node(1).routing().get(&id).is_none());

        // The stranger drops what the nodes of the network send, too.
        let (now, before) = (net.now, *net.node(outside).stats());
        net.node(1).ping(now, outside).unwrap();
        net.run(Duration::from_secs(20));
        let after = *net.node(outside).stats();
        let dropped = |stats: kadlet::Stats| stats.malformed + stats.wrong_version + stats.unopened;
        assert!(dropped(after) > dropped(before));
        assert_eq!(after.responses_sent, before.responses_sent);
        assert!(net.node(outside).routing().get(&inside).is_none());
    }
}

#[test]
fn a_replayed_request_gets_a_response_as_one_with_a_forged_source_does_and_changes_nothing_else() {
    let mut net = Net::joined(4, 3, sealed());
    net.tap = Some(Vec::new());
    let now = net.now;
    net.node(2).ping(now, 1).unwrap();
    net.run(Duration::from_secs(1));
    let seen = net.tap.take().unwrap();
    let ping = seen.iter().find(|seen| (seen.from, seen.to) == (2, 1)).unwrap();
    let now = net.now;
    let (to, response) = deliver(net.node(1), now, 99, &ping.bytes).unwrap();
    assert!(to == 99 && response.len() <= 3 * ping.bytes.len());
    let sender = net.node(2).id();
    assert_eq!(net.node(1).routing().get(&sender).unwrap().contact.address, 2);
}

#[test]
fn a_sealed_request_is_padded_so_that_three_times_its_length_suffice_for_the_response_and_a_ping() {
    for (configuration, nodes, ping) in [(config(), 268, 38), (sealed(), 268 + SEAL, 38 + SEAL)] {
        let mut node = node4(configuration);
        node.bootstrap(NOW, &[at("60.1.1.1:4000")]).unwrap();
        let (_, request) = sent(&mut *node, NOW).remove(0);
        assert_eq!(request.len(), (nodes + ping).div_ceil(3));
    }
}

#[test]
fn the_smallest_datagrams_have_room_for_a_seal() {
    let small = Config { max_datagram: MIN_DATAGRAM, ..sealed() };
    let mut net = Net::joined(5, 10, small);
    net.tap = Some(Vec::new());
    put(&mut net, 3, b"hello", b"world", &once());
    assert_eq!(get(&mut net, 8, b"hello").as_deref(), Some(&b"world"[..]));
    let longest = net.tap.take().unwrap().iter().map(|seen| seen.bytes.len()).max().unwrap();
    assert!(longest > MIN_DATAGRAM - SEAL && longest <= MIN_DATAGRAM, "{longest}");
}

#[test]
fn a_response_fits_a_small_buffer_with_its_seal() {
    let requester = Peer::new(id(&[0x99]), SocketAddrV4::nth(9));
    let mut node = node4(sealed());
    for n in 1..=8 {
        let peer = kadlet::Contact::new(id(&[n]), SocketAddrV4::nth(u16::from(n)));
        node.restore_contact(NOW, peer);
    }
    let plain = requester.padded(kadlet::message::Request::FindNode { target: Id::ZERO }, None, 100);
    let mut request = [0; MAX_DATAGRAM];
    request[..plain.len()].copy_from_slice(&plain);
    let len = seal::<Kadlet>(&KEY, 1, plain.len(), &mut request).unwrap();
    for room in 0..MAX_DATAGRAM {
        let mut buf = vec![0; room];
        let out = node.handle_datagram(
            Instant::from_secs(1_000 + room as u64),
            requester.contact.address,
            &request[..len],
            &mut buf,
        );
        assert_eq!(out.is_some(), room >= 52 + SEAL, "{room}");
        if let Some(out) = out {
            assert!(out.len <= room && open::<Kadlet>(&KEY, &buf[..out.len], &mut [0; MAX_DATAGRAM]).is_some());
        }
    }
}

/// A format that doesn't say where its messages have the sender's identifier.
mod elsewhere {
    use kadlet::wire::{Kadlet, Lengths, Message, Rules, Wire};
    use kadlet::{Address, Record};

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(super) struct Elsewhere;

    impl Wire for Elsewhere {
        type Transaction = <Kadlet as Wire>::Transaction;
        type Token = <Kadlet as Wire>::Token;
        type DecodeError = <Kadlet as Wire>::DecodeError;
        const NO_TOKEN: Self::Token = Kadlet::NO_TOKEN;
        const RULES: Rules = Kadlet::RULES;
        const LENGTHS: Lengths = Kadlet::LENGTHS;
        const MAX_DATAGRAM: usize = Kadlet::MAX_DATAGRAM;
        const MIN_DATAGRAM: usize = Kadlet::MIN_DATAGRAM;

        fn transaction(random: u64) -> Self::Transaction {
            Kadlet::transaction(random)
        }
        fn token(mac: u64) -> Self::Token {
            Kadlet::token(mac)
        }
        fn mac(token: &Self::Token) -> Option<u64> {
            Kadlet::mac(token)
        }
        fn decode<A: Address>(datagram: &[u8]) -> Result<Message<'_, A, Self>, Self::DecodeError> {
            Kadlet::decode::<A>(&datagram[..0]).map(|_| unreachable!())
        }
        fn is_of_another_version(_: &Self::DecodeError) -> bool {
            false
        }
        fn encode<A: Address>(_: &Message<'_, A, Self>, _: usize, _: &mut [u8]) -> Option<usize> {
            None
        }
        fn record_len(record: &Record<'_>) -> usize {
            Kadlet::record_len(record)
        }
        fn contact_len(address: usize) -> usize {
            Kadlet::contact_len(address)
        }
    }
}

#[test]
fn a_key_is_refused_where_the_format_cannot_be_sealed() {
    type Other = Node<On<Kademlia<u16, 128>, elsewhere::Elsewhere>, kadlet::FixedStore<32, 8192>>;
    let start = |config| Other::new(NOW, config, Id::ZERO, [7; 32]).map(drop).map_err(|error| error.to_string());
    assert_eq!(start(config()), Ok(()));
    assert_eq!(start(sealed()), Err("seal is 1; it must be 0 to 0".to_owned()));
}
