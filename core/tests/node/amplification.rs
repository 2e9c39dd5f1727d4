//! Amplification: an attacker with a forged source address can't make a node send more than three bytes to that address
//! for each byte that the attacker sends (RFC 9000, section 8).

use core::net::{SocketAddr, SocketAddrV4, SocketAddrV6};
use core::time::Duration;
use std::collections::HashMap;

use kadlet::message::{Features, RelayId, Request, Target};
use kadlet::record::{Proof, Version};
use kadlet::wire::{Body, Header, Kadlet, MAX_DATAGRAM, MIN_DATAGRAM, Message, SEAL, Token, Transaction, encoded_len};
use kadlet::{
    Address, Config, Contact, Dht, EncodedAddress, FixedStore, Id, Instant, Kademlia, Key, Node, Record, Routing,
    Store, routing, store::Metadata,
};

use crate::by_hand::{NOW, Peer, deliver, encode, id, sent};
use crate::net::config;

const OWN: Id = Id::from_bytes([0x55; 20]);
const LIFETIME: Duration = Duration::from_secs(48 * 3_600);

/// Global addresses, each with an address prefix of its own.
trait Global: Address {
    fn global(n: u32) -> Self;
}

impl Global for SocketAddrV4 {
    fn global(n: u32) -> Self {
        let [_, a, b, c] = n.to_be_bytes();
        Self::new([20 + a, b, c, 1].into(), 4_000)
    }
}

/// IPv4 and IPv6 in turn.
impl Global for SocketAddr {
    fn global(n: u32) -> Self {
        let [a, b, c, d] = n.to_be_bytes();
        match n % 2 {
            0 => Self::V4(SocketAddrV4::global(n)),
            _ => Self::V6(SocketAddrV6::new(
                [0x2001, 0x100 + u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]), 0, 0, 0, 0, 1].into(),
                1,
                0,
                0,
            )),
        }
    }
}

/// The `nth` contact of those whose identifiers share `depth` bits with the node's.
fn contact<A: Global>(depth: u32, nth: u32) -> Contact<A> {
    let mut bytes = *OWN.as_bytes();
    bytes[depth as usize / 8] ^= 0x80 >> (depth % 8);
    bytes[19] = nth as u8;
    Contact::new(Id::from_bytes(bytes), A::global(0x40_0000 + depth * 32 + nth))
}

/// A node whose table has 16 contacts of each of the first `depths` depths, or as many as k allows, and whose store has
/// small and large records.
fn filled<A: Global, const SHORTLIST: usize, const RELAYS: usize>(
    config: Config,
    depths: u32,
) -> Wide<A, SHORTLIST, RELAYS> {
    let mut table = Kademlia::EMPTY;
    table.start(NOW, OWN, &config.table, 42).unwrap();
    for depth in 0..depths {
        for nth in 0..16 {
            table.responded(NOW, contact::<A>(depth, nth), Some(Duration::from_millis(20)));
        }
    }
    let mut store = FixedStore::EMPTY;
    store.start(OWN, |target, id| target.xor(id), [0; 16]);
    let metadata = Metadata { last_replicated: NOW, ..Metadata::until(NOW + LIFETIME) };
    for size in SIZES {
        store.put(NOW, &Record::plain(&[size as u8], &vec![7; size]), metadata).unwrap();
    }
    store.put(NOW, &Record::immutable(b"immutable"), metadata).unwrap();
    let mut node = Node::from_parts(config, [42; 32], table, store).unwrap();
    node.handle_timeout(NOW);
    node
}

type Wide<A, const SHORTLIST: usize, const RELAYS: usize> =
    Node<Kademlia<A, 128>, FixedStore<32, 8192>, 4, SHORTLIST, 1, 16, 16, 4, RELAYS>;

const SIZES: [usize; 5] = [0, 40, 200, 500, 1_000];

/// Bytes that the node received from an address, and bytes that it sent there.
#[derive(Clone, Copy, Debug, Default)]
struct Account {
    received: usize,
    sent: usize,
}

/// A node among contacts that respond, and an account for each address that only sends requests.
struct Scene<A, M> {
    node: M,
    now: Instant,
    contacts: HashMap<A, Id>,
    accounts: HashMap<A, Account>,
    /// Requests that the node sent to such addresses.
    asked_back: usize,
    seal: Seal,
}

/// How a network makes a datagram of a message, and a message of a datagram.
#[derive(Clone, Copy)]
struct Seal {
    seal: fn(&[u8]) -> Vec<u8>,
    open: fn(&[u8]) -> Vec<u8>,
}

const NO_SEAL: Seal = Seal { seal: <[u8]>::to_vec, open: <[u8]>::to_vec };

impl<A: Global, const SHORTLIST: usize, const RELAYS: usize> Scene<A, Wide<A, SHORTLIST, RELAYS>> {
    fn new(node: Wide<A, SHORTLIST, RELAYS>) -> Self {
        let contacts = node.routing().peers().map(|peer| (peer.contact.address, peer.contact.id)).collect();
        Self { node, now: NOW, contacts, accounts: HashMap::new(), asked_back: 0, seal: NO_SEAL }
    }

    fn receive(&mut self, from: A, message: &[u8]) {
        let bytes = &(self.seal.seal)(message);
        let account = self.accounts.entry(from).or_default();
        account.received += bytes.len();
        if let Some((to, response)) = deliver(&mut self.node, self.now, from, bytes) {
            assert_eq!(to, from, "a response goes to the requester");
            account.sent += response.len();
        }
    }

    /// Lets time pass. The contacts respond, the requesters never do.
    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            for (to, bytes) in sent(&mut self.node, self.now) {
                if let Some(account) = self.accounts.get_mut(&to) {
                    account.sent += bytes.len();
                    self.asked_back += 1;
                } else {
                    let id = self.contacts.get(&to).expect("a node sends only to contacts and requesters");
                    let response = Peer::new(*id, to).empty_response(&(self.seal.open)(&bytes));
                    let _ = deliver(&mut self.node, self.now, to, &(self.seal.seal)(&response));
                }
            }
            match self.node.poll_timeout() {
                Some((at, _)) if at <= end => self.now = self.now.max(at),
                _ => break,
            }
            self.node.handle_timeout(self.now);
        }
        self.now = end;
    }

    fn check(&mut self) {
        self.run(Duration::from_secs(3_600));
        for (address, account) in &self.accounts {
            assert!(account.sent <= 3 * account.received, "{address:?}: {account:?}");
        }
        let most = self.accounts.values().map(|account| account.sent * 100 / account.received).max();
        println!(
            "{} requesters, {} requests to them, at most {:?} % of the bytes that they sent",
            self.accounts.len(),
            self.asked_back,
            most
        );
    }
}

/// Requests of every kind, with all that can make a response large.
fn requests() -> Vec<Request<'static>> {
    let mut requests = vec![Request::Ping];
    for target in [OWN, Id::ZERO, id(&[0xFF; 20])] {
        requests.push(Request::FindNode { target });
    }
    let old = Version { number: 1 << 40, digest: 1 };
    let new = Version { number: 0, digest: 1 };
    for size in SIZES {
        for have in [None, Some(old), Some(new)] {
            requests.push(Request::FindValue { key: Key::plain(&[size as u8]), have });
        }
    }
    requests.push(Request::FindValue { key: Key::immutable(b"immutable"), have: None });
    requests.push(Request::FindValue { key: Key::plain(b"unknown"), have: None });
    let signed = Proof::Signed { public_key: &[1; 32], salt: b"", sequence: 1, signature: &[2; 64] };
    for record in [Record::plain(&[40], b"x"), Record::immutable(b"y"), Record { value: b"z", proof: signed }] {
        for (compare, handover) in [(None, false), (Some(7), false), (None, true)] {
            requests.push(Request::Store { record, lifetime: 60, compare, handover });
        }
    }
    for kind in [0, 7, 8, 0x7F] {
        for payload in [&[][..], &[7; 200]] {
            requests.push(Request::Unknown { kind, payload });
        }
    }
    requests.push(Request::Unknown { kind: 3, payload: &[9] });
    requests.push(Request::Unknown { kind: 5, payload: &[9] });
    requests.push(Request::Probe { nonce: 1, address: EncodedAddress::NONE });
    requests.push(Request::Probe { nonce: 2, address: EncodedAddress::new(4, &[192, 0, 2, 7, 0, 1]) });
    let relay_id = RelayId([3; 8]);
    for target in [
        Target::Nodes(Id::from_bytes([9; 20])),
        Target::Value(Key::plain(b"unknown")),
        Target::Value(Key::immutable(b"immutable")),
    ] {
        for hops in [0, 9, 255] {
            requests.push(Request::Relay { relay_id, target, hops, time: 9_000 });
        }
    }
    requests
}

/// Sends requests of every kind to a node, with many lengths, limits, tokens, senders and features, each from an
/// address of its own.
fn every_request<A: Global, const SHORTLIST: usize, const RELAYS: usize>(
    scene: &mut Scene<A, Wide<A, SHORTLIST, RELAYS>>,
) {
    let mut n = 0_u32;
    for request in requests() {
        let minimum = minimum::<A>(request);
        let lengths: &[usize] = match request {
            Request::Unknown { .. } => &[0],
            _ => &[0, 70, 90, 103, 122, 200, 500, MAX_DATAGRAM],
        };
        for (index, length) in lengths.iter().enumerate() {
            if index > 0 && *length <= minimum {
                continue;
            }
            for largest in [0, 51, 52, 127, 500, u16::MAX] {
                n += 1;
                let padding = length.saturating_sub(minimum) as u16;
                let token = (n.is_multiple_of(3) && *length != MAX_DATAGRAM).then_some(Token([7; 8]));
                let sender = match n % 5 {
                    0 => contact::<A>(1, 1).id,
                    1 => id(&n.to_be_bytes()),
                    // So near that the table has a place for it.
                    _ => {
                        let mut bytes = *OWN.as_bytes();
                        bytes[17..].copy_from_slice(&n.to_be_bytes()[1..]);
                        Id::from_bytes(bytes)
                    }
                };
                let features = if n.is_multiple_of(7) { Features::default() } else { Features::SERVES };
                let header =
                    Header { geometry: 1, network: 0, transaction: Transaction([n as u8; 8]), sender, features };
                let message = Message::<A, Kadlet> { header, body: Body::Request { largest, token, request, padding } };
                scene.receive(A::global(n), &encode(&message));
                scene.run(Duration::from_millis(1_300));
            }
        }
    }
    assert!(n > 700, "{n}");
}

fn minimum<A: Address>(request: Request<'_>) -> usize {
    let header = Header {
        geometry: 1,
        network: 0,
        transaction: Transaction::default(),
        sender: OWN,
        features: Features::SERVES,
    };
    encoded_len(&Message::<A, Kadlet> { header, body: Body::Request { largest: 0, token: None, request, padding: 0 } })
}

#[test]
fn a_node_with_a_full_table_sends_at_most_three_bytes_for_each_received() {
    let mut scene = Scene::new(filled::<SocketAddrV4, 24, 0>(config(), 16));
    assert_eq!(scene.node.routing().peers().count(), 128);
    every_request(&mut scene);
    assert!(scene.asked_back > 50, "unknown requesters must be asked back: {}", scene.asked_back);
    scene.check();
}

#[test]
fn a_node_with_few_contacts_sends_at_most_three_bytes_for_each_received() {
    let mut scene = Scene::new(filled::<SocketAddrV4, 24, 0>(config(), 1));
    every_request(&mut scene);
    assert!(scene.asked_back > 50, "unknown requesters must be asked back: {}", scene.asked_back);
    scene.check();
}

#[test]
fn a_node_that_forwards_requests_sends_at_most_three_bytes_for_each_received() {
    let mut scene = Scene::new(filled::<SocketAddrV4, 24, 2>(config(), 16));
    every_request(&mut scene);
    assert_eq!((scene.node.stats().forwarded, scene.node.stats().busy), (0, 0), "no requester has shown a valid token");
    scene.check();
}

#[test]
fn a_dual_stack_node_with_k_of_20_sends_at_most_three_bytes_for_each_received() {
    let table = routing::Limits { k: 20, ..routing::Limits::DEFAULT };
    let mut scene = Scene::new(filled::<SocketAddr, 60, 2>(Config { table, ..config() }, 16));
    every_request(&mut scene);
    scene.check();
}

#[cfg(feature = "sealed")]
#[test]
fn a_node_of_a_sealed_network_sends_at_most_three_bytes_for_each_received() {
    use kadlet::wire::sealed::{NetworkKey, open, seal};

    const KEY: NetworkKey = NetworkKey::new([7; 32]);
    for max_datagram in [MAX_DATAGRAM, MIN_DATAGRAM] {
        let config = Config { max_datagram, seal: Some(KEY), ..config() };
        let mut scene = Scene::new(filled::<SocketAddrV4, 24, 2>(config, 16));
        scene.seal = Seal {
            seal: |message| {
                let mut buf = [0; MAX_DATAGRAM + SEAL];
                buf[..message.len()].copy_from_slice(message);
                let len = seal::<Kadlet>(&KEY, 1, message.len(), &mut buf).unwrap();
                buf[..len].to_vec()
            },
            open: |datagram| open::<Kadlet>(&KEY, datagram, &mut [0; MAX_DATAGRAM]).unwrap().to_vec(),
        };
        every_request(&mut scene);
        assert!(scene.asked_back > 50, "unknown requesters must be asked back: {}", scene.asked_back);
        assert!(scene.node.stats().responses_sent > 300);
        scene.check();
    }
}

#[test]
fn a_node_of_small_datagrams_keeps_to_three_bytes_for_each_received_and_to_its_datagram_size() {
    let mut scene = Scene::new(filled::<SocketAddrV4, 24, 0>(Config { max_datagram: MIN_DATAGRAM, ..config() }, 16));
    every_request(&mut scene);
    scene.check();
    let most = scene.accounts.values().map(|account| account.sent).max();
    assert!(most <= Some(2 * (MIN_DATAGRAM - SEAL)), "{most:?}");
}

#[test]
fn thousands_of_requests_from_one_forged_source_get_at_most_three_bytes_for_each_sent() {
    let mut scene = Scene::new(filled::<SocketAddrV4, 24, 2>(config(), 2));
    let mut near = *OWN.as_bytes();
    near[19] ^= 1;
    let forged = Peer::new(Id::from_bytes(near), SocketAddrV4::global(1));
    let requests = requests();
    for round in 0..4_000 {
        let request = requests[round * 7 % requests.len()];
        scene.receive(forged.contact.address, &forged.request(request, None));
        scene.run(Duration::from_millis([1, 5, 40, 700][round % 4]));
        let account = scene.accounts[&forged.contact.address];
        assert!(account.sent <= 3 * account.received, "after {round}: {account:?}");
    }
    scene.check();
}

#[test]
fn a_requester_that_shows_a_token_gets_a_full_response() {
    let mut node = filled::<SocketAddrV4, 24, 0>(config(), 16);
    let requester = Peer::new(id(&[0x99]), SocketAddrV4::global(1));
    let request = Request::FindValue { key: Key::plain(&[1_000_usize as u8]), have: None };
    let first = requester.ask(&mut node, NOW, request, None);
    assert!(first.len() <= 3 * minimum::<SocketAddrV4>(request));
    let token = requester.token(&mut node, NOW);
    assert!(requester.ask(&mut node, NOW, request, Some(token)).len() > 1_000);
}

#[test]
fn a_find_node_padded_to_a_third_of_its_response_gets_a_full_response() {
    let mut node = filled::<SocketAddrV4, 24, 0>(config(), 16);
    let requester = Peer::new(id(&[0x99]), SocketAddrV4::global(1));
    let request = Request::FindNode { target: Id::ZERO };
    let padding = 90 - minimum::<SocketAddrV4>(request);
    let (_, response) =
        deliver(&mut node, NOW, requester.contact.address, &requester.padded(request, None, padding as u16)).unwrap();
    assert_eq!(response.len(), 268, "eight contacts");
}
