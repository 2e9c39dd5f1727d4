//! Instruction counts by callgrind of the response to a find_node, from incoming to outgoing datagram, and of its
//! parts; and of a put into a full store on the heap.
//!
//! `cargo bench -p kadlet --features alloc --bench instructions` needs valgrind and gungraun's runner of the same
//! version. With one compiler, counts are the same on every machine of one architecture. A count above its limit is an
//! error.
//!
//! Tables are filled as a network of any size fills them: eight contacts for each length of the prefix that they share
//! with the own identifier, from zero bits on. Responses name eight contacts. With 512 contacts the last eight share 63
//! bits with the own identifier, which happens in no real network. A response that names these eight (`crowded`) costs
//! the most that an attacker who chooses identifiers can cause.

// For the code that gungraun's macros generate.
#![allow(missing_docs, unused_qualifications)]

use core::hint::black_box;
use core::net::{Ipv4Addr, SocketAddrV4};

use gungraun::prelude::*;
use gungraun::{Callgrind, EventKind};
use kadlet::guard::quota::exceeds;
use kadlet::message::{Contacts, Features, Request, Response};
use kadlet::routing::Limits;
use kadlet::store::{Metadata, Put, StoreError};
use kadlet::wire::{self, Body, Header, Kadlet, MAX_DATAGRAM, Message, SEAL, Token, Transaction};
use kadlet::{
    Address, Config, Contact, Dht, FixedStore, Geometry, HashStore, Id, Instant, Kademlia, Key, Node, Options, Prefix,
    Record, Routing, Store, Transmit, Xor,
};

type Table<const CONTACTS: usize> = Kademlia<SocketAddrV4, CONTACTS>;
type Server<const CONTACTS: usize> = Node<Table<CONTACTS>, FixedStore<32, 8192>>;

const OWN: Id = Id::from_bytes([0x5A; 20]);
const REQUESTER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 255, 2, 1), 4000);
const NOW: Instant = Instant::from_secs(1);
/// The bytes of a request: a third of a response of eight IPv4 contacts, which has 268 bytes. A shorter one gets fewer
/// contacts.
const REQUEST: usize = 90;

/// A node, a datagram for it, and a buffer for its response.
struct Scene<const CONTACTS: usize> {
    node: Box<Server<CONTACTS>>,
    datagram: Vec<u8>,
    buf: [u8; MAX_DATAGRAM],
}

#[library_benchmark(config = limit(10_000))]
#[bench::without_token(scene(false, target()))]
#[bench::with_token(scene(true, target()))]
#[bench::near_own(scene(false, near_own()))]
fn find_node_of_128(scene: Scene<128>) -> (Option<Transmit<SocketAddrV4>>, Scene<128>) {
    respond(scene)
}

#[library_benchmark(config = limit(10_000))]
#[bench::without_token(scene(false, target()))]
#[bench::with_token(scene(true, target()))]
#[bench::crowded(scene(false, near_own()))]
fn find_node_of_512(scene: Scene<512>) -> (Option<Transmit<SocketAddrV4>>, Scene<512>) {
    respond(scene)
}

#[library_benchmark(config = limit(1_000))]
#[bench::find_node(request(target(), None))]
fn decode(datagram: Vec<u8>) -> Vec<u8> {
    let _ = black_box(wire::decode::<SocketAddrV4>(black_box(&datagram)));
    datagram
}

#[library_benchmark(config = limit(4_000))]
#[bench::with_8((contacts(8), [0; MAX_DATAGRAM]))]
#[bench::with_20((contacts(20), [0; MAX_DATAGRAM]))]
fn encode_nodes((contacts, mut buf): (Vec<Contact<SocketAddrV4>>, [u8; MAX_DATAGRAM])) -> usize {
    let response = Response::Nodes { contacts: Contacts::new(black_box(&contacts)) };
    let len = wire::encode(
        &Message { header: header(), body: Body::Response { token: Token::default(), response } },
        &mut buf,
    );
    core::mem::forget(contacts);
    len.unwrap_or(0)
}

#[library_benchmark(config = limit(4_000))]
#[bench::of_128((table(128), target()))]
#[bench::of_250((table(250), target()))]
#[bench::of_512((table(512), target()))]
#[bench::of_512_near_own((table(512), near_own()))]
fn closest((table, target): (Box<Table<512>>, Id)) -> ([Contact<SocketAddrV4>; 8], Box<Table<512>>) {
    let mut named = [Contact::EMPTY; 8];
    table.closest(black_box(&target), &mut named);
    (named, table)
}

// A full store of 65,536 records, of 4,096 address prefixes.
#[library_benchmark(config = limit(60_000))]
#[bench::evicts_1(full_store(16))]
fn put((store, record): (HashStore, Vec<u8>)) -> (Result<Put, StoreError>, HashStore) {
    put_into(store, &record)
}

// The most that one put can evict.
#[library_benchmark(config = limit(130_000))]
#[bench::evicts_8(full_store(128))]
fn large_put((store, record): (HashStore, Vec<u8>)) -> (Result<Put, StoreError>, HashStore) {
    put_into(store, &record)
}

fn put_into(mut store: HashStore, record: &[u8]) -> (Result<Put, StoreError>, HashStore) {
    let metadata = Metadata { source: Prefix::new(7), ..Metadata::until(Instant::NEVER) };
    let put = store.put(NOW, &Record::immutable(black_box(record)), metadata);
    (put, store)
}

// The same, for a prefix that has reached its quota.
#[library_benchmark(config = limit(60_000))]
#[bench::is_reached(full_store(16))]
fn quota((store, record): (HashStore, Vec<u8>)) -> (bool, HashStore) {
    let exceeds = exceeds(&store, 500, &Record::immutable(black_box(&record)), Prefix::new(1 << 8), None);
    (exceeds, store)
}

// The datagrams that cost most, from a peer that chooses what it sends, in a global network. Beside these there is only
// the check of a signature, and the hashes of a long value.
#[library_benchmark(config = limit(10_000))]
#[bench::find_node(worst(Worst::FindNode))]
#[bench::claim(worst(Worst::Claim))]
#[bench::store(worst(Worst::Store { evicts: false }))]
fn worst_datagram(attack: Attack) -> (Option<Transmit<SocketAddrV4>>, Attack) {
    attack.send()
}

// Each contact that is named is held against the shares of all in the shortlist.
#[library_benchmark(config = limit(155_000))]
#[bench::names_8(worst(Worst::Response))]
fn worst_response(attack: Attack) -> (Option<Transmit<SocketAddrV4>>, Attack) {
    attack.send()
}

// The store of a record into a full store of 32, without a heap: it looks at all pairs of records.
#[library_benchmark(config = limit(80_000))]
#[bench::evicts_1(worst(Worst::Store { evicts: true }))]
fn worst_eviction(attack: Attack) -> (Option<Transmit<SocketAddrV4>>, Attack) {
    attack.send()
}

library_benchmark_group!(
    name = instructions,
    benchmarks = [
        find_node_of_128,
        find_node_of_512,
        decode,
        encode_nodes,
        closest,
        put,
        large_put,
        quota,
        worst_datagram,
        worst_response,
        worst_eviction
    ]
);
main!(library_benchmark_groups = instructions);

/// A store of 65,536 records of 16 bytes each, in which a record of `len` bytes must evict others, and that record.
fn full_store(len: usize) -> (HashStore, Vec<u8>) {
    const RECORDS: u32 = 65_536;
    let mut store = HashStore::new(RECORDS as usize, 16 * RECORDS as usize);
    store.start(OWN, Xor::rank, [0; 16]);
    for number in 0..RECORDS {
        let mut value = [0; 16];
        value[..4].copy_from_slice(&number.to_be_bytes());
        let metadata =
            Metadata { source: Prefix::new(u64::from(number % 4_096 + 1) << 8), ..Metadata::until(Instant::NEVER) };
        store.put(NOW, &Record::immutable(&value), metadata).unwrap();
    }
    (store, vec![0xFF; len])
}

/// Makes a count above this many instructions an error.
fn limit(instructions: u64) -> LibraryBenchmarkConfig {
    let mut callgrind = Callgrind::default();
    callgrind.hard_limits([(EventKind::Ir, instructions)]);
    let mut config = LibraryBenchmarkConfig::default();
    config.tool(callgrind);
    config
}

/// Gives the scene's datagram to its node.
fn respond<const CONTACTS: usize>(mut scene: Scene<CONTACTS>) -> (Option<Transmit<SocketAddrV4>>, Scene<CONTACTS>) {
    let out = scene.node.handle_datagram(NOW, REQUESTER, &scene.datagram, &mut scene.buf);
    (out, scene)
}

/// A node with a filled table, and a find_node request for it, with a valid token if `proved`.
fn scene<const CONTACTS: usize>(proved: bool, target: Id) -> Scene<CONTACTS> {
    let mut store = FixedStore::EMPTY;
    store.start(OWN, Xor::rank, [0; 16]);
    let mut scene = Scene {
        node: Box::new(Node::from_parts(Config::default(), [1; 32], *table(CONTACTS), store).unwrap()),
        datagram: request(target, None),
        buf: [0; MAX_DATAGRAM],
    };
    // A first request takes the cold paths, so that the measured one does not. Its response has a token.
    let (out, first) = respond(scene);
    scene = first;
    let first = &scene.buf[..out.expect("a response").len];
    let Ok(Message { body: Body::Response { token, response: Response::Nodes { contacts } }, .. }) =
        wire::decode::<SocketAddrV4>(first)
    else {
        panic!("the response must be nodes");
    };
    assert_eq!((contacts.count(), first.len()), (8, 268));
    scene.datagram = request(target, proved.then_some(token));
    scene
}

/// What an attacker sends.
#[derive(Clone, Copy)]
enum Worst {
    /// A find_node with a token, from a node that the table doesn't know and that must be pinged.
    FindNode,
    /// A find_value, from a co-holder that claims to have replicated the record.
    Claim,
    /// A store of a plain record.
    Store { evicts: bool },
    /// A response to a lookup, which names eight contacts that are all nearer, the farthest first.
    Response,
}

/// A node, and the datagram that an attacker at this address sends.
struct Attack {
    node: Box<Server<128>>,
    from: SocketAddrV4,
    datagram: Vec<u8>,
    buf: [u8; MAX_DATAGRAM],
}

impl Attack {
    fn send(mut self) -> (Option<Transmit<SocketAddrV4>>, Self) {
        let out = self.node.handle_datagram(NOW, self.from, &self.datagram, &mut self.buf);
        (out, self)
    }

    /// Sends a request of the node `sender`, and returns the token that came with the response.
    fn ask(&mut self, sender: Contact<SocketAddrV4>, token: Option<Token>, request: Request<'_>) -> Token {
        let datagram = message_of(sender, Body::Request { largest: 1_200, token, request, padding: 0 });
        let out = self.node.handle_datagram(NOW, sender.address, &datagram, &mut self.buf).expect("a response");
        self.token(out.len)
    }

    /// The token that came with the response in the buffer, which is no refusal.
    fn token(&self, len: usize) -> Token {
        let message = wire::decode::<SocketAddrV4>(&self.buf[..len]).expect("a message");
        match message.body {
            Body::Response { token, response } if !matches!(response, Response::Error { .. }) => token,
            other => panic!("{other:?}"),
        }
    }
}

fn worst(worst: Worst) -> Attack {
    // What is measured must not be a refusal.
    if let (Some(out), attack) = scene_of(worst).send() {
        attack.token(out.len);
    }
    scene_of(worst)
}

fn scene_of(worst: Worst) -> Attack {
    let mut table = Box::new(Table::<128>::EMPTY);
    table.start(Instant::ZERO, OWN, &Limits::DEFAULT, 1).unwrap();
    for number in 0..5_000 {
        table.responded(Instant::ZERO, global(45, number), None);
    }
    let mut store = FixedStore::EMPTY;
    store.start(OWN, Xor::rank, [0; 16]);
    let known = table.peers().last().expect("a contact").contact;
    let node = Box::new(Node::from_parts(Config { plain: true, ..Config::default() }, [1; 32], *table, store).unwrap());
    let stranger = global(46, 1);
    let mut attack = Attack { node, from: stranger.address, datagram: Vec::new(), buf: [0; MAX_DATAGRAM] };
    // Names of keys for which the node is responsible.
    let is_near = |name: &u32| Key::plain(&name.to_be_bytes()).id.xor(&OWN).leading_zeros() >= 10;
    let names: Vec<u32> = (0..).filter(is_near).take(51).collect();
    let record = |name: u8| {
        Record::plain(&names[usize::from(name)].to_be_bytes(), &[7; 200][..if name == 0 { 200 } else { 16 }])
    };
    let stored = |record| Request::Store { record, lifetime: 3_600, compare: None, handover: false };
    let request = |token, request| Body::Request { largest: 1_200, token: Some(token), request, padding: 0 };
    let (sender, body) = match worst {
        Worst::FindNode => {
            let token = attack.ask(stranger, None, Request::Ping);
            (stranger, request(token, Request::FindNode { target: near_own() }))
        }
        Worst::Claim => {
            let token = attack.ask(known, None, Request::Ping);
            let record = record(1);
            attack.ask(known, Some(token), stored(record));
            let have = Some(record.version());
            (known, request(token, Request::FindValue { key: record.key(), have }))
        }
        Worst::Store { evicts } => {
            for name in 1..if evicts { 33 } else { 2 } {
                let sender = global(47, u16::from(name));
                let token = attack.ask(sender, None, Request::Ping);
                attack.ask(sender, Some(token), stored(record(name)));
            }
            let token = attack.ask(stranger, None, Request::Ping);
            (stranger, request(token, stored(record(if evicts { 0 } else { 50 }))))
        }
        Worst::Response => {
            attack.node.find_node(NOW, target(), &Options::default()).unwrap();
            let out = attack.node.poll_transmit(NOW, &mut attack.buf).expect("a request");
            let transaction = wire::decode::<SocketAddrV4>(&attack.buf[..out.len]).unwrap().header.transaction;
            let asked = attack.node.routing().peers().find(|peer| peer.contact.address == out.to).unwrap().contact;
            let mut named: Vec<_> = (0..20_000).map(|number| global(48, number)).collect();
            named.sort_by_key(|contact| target().xor(&contact.id));
            named.truncate(8);
            named.reverse();
            let response = Response::Nodes { contacts: Contacts::new(&named) };
            let header = Header { transaction, ..header_of(asked) };
            let mut datagram = vec![0; MAX_DATAGRAM];
            let message = Message { header, body: Body::Response { token: Token([5; 8]), response } };
            let len = wire::encode(&message, &mut datagram).unwrap();
            datagram.truncate(len);
            return Attack { from: asked.address, datagram, ..attack };
        }
    };
    Attack { from: sender.address, datagram: message_of(sender, body), ..attack }
}

/// A contact with a global address, and an identifier that is bound to it.
fn global(high: u8, number: u16) -> Contact<SocketAddrV4> {
    let [middle, low] = number.to_be_bytes();
    let address = SocketAddrV4::new(Ipv4Addr::new(high, middle, low, 1), 4000);
    Contact::new(Id::bound(address.prefix().expect("it is global"), 0), address)
}

fn message_of(sender: Contact<SocketAddrV4>, body: Body<'_, SocketAddrV4, Kadlet>) -> Vec<u8> {
    let mut datagram = vec![0; MAX_DATAGRAM];
    let len = wire::encode(&Message { header: header_of(sender), body }, &mut datagram).unwrap();
    datagram.truncate(len);
    datagram
}

fn header_of(sender: Contact<SocketAddrV4>) -> Header<Kadlet> {
    Header { sender: sender.id, ..header() }
}

/// A table of `count` contacts.
fn table<const CONTACTS: usize>(count: usize) -> Box<Table<CONTACTS>> {
    let mut table = Box::new(Table::<CONTACTS>::EMPTY);
    table.start(Instant::ZERO, OWN, &Limits::DEFAULT, 1).unwrap();
    for contact in contacts(count) {
        table.responded(Instant::ZERO, contact, None);
    }
    assert_eq!(table.peers().count(), count);
    table
}

/// `count` contacts, eight for each length of the prefix shared with the own identifier.
fn contacts(count: usize) -> Vec<Contact<SocketAddrV4>> {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let contact = |number: usize| {
        let mut id = *random.id().as_bytes();
        let depth = number / 8;
        for bit in 0..=depth {
            let (byte, mask) = (bit / 8, 0x80 >> (bit % 8));
            let own = OWN.as_bytes()[byte] & mask;
            id[byte] = id[byte] & !mask | if bit < depth { own } else { own ^ mask };
        }
        Contact::new(
            Id::from_bytes(id),
            SocketAddrV4::new(Ipv4Addr::new(10, 0, (number >> 8) as u8, number as u8), 4000),
        )
    };
    (0..count).map(contact).collect()
}

/// A random target.
fn target() -> Id {
    Random(42).id()
}

/// A target as near to the own identifier as the nearest of a thousand million nodes. Nodes that join look up such
/// targets.
fn near_own() -> Id {
    let mut id = *OWN.as_bytes();
    id[3] ^= 2;
    Id::from_bytes(id)
}

fn request(target: Id, token: Option<Token>) -> Vec<u8> {
    let message = |padding| {
        let body = Body::Request {
            largest: (MAX_DATAGRAM - SEAL) as u16,
            token,
            request: Request::FindNode { target },
            padding,
        };
        Message::<SocketAddrV4, Kadlet> { header: header(), body }
    };
    let padding = REQUEST - wire::encoded_len(&message(0));
    let mut datagram = vec![0; REQUEST];
    assert_eq!(wire::encode(&message(padding as u16), &mut datagram), Ok(REQUEST));
    datagram
}

fn header() -> Header<Kadlet> {
    Header {
        geometry: 1,
        network: 0,
        transaction: Transaction([3; 8]),
        sender: Random(7).id(),
        features: Features::SERVES,
    }
}

/// Marsaglia's xorshift.
struct Random(u64);

impl Random {
    fn id(&mut self) -> Id {
        Id::from_bytes(core::array::from_fn(|_| {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            (self.0 >> 32) as u8
        }))
    }
}
