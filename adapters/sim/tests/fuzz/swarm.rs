//! Four nodes of some geometry that put and get, iteratively or recursively,
//! through a network that drops, repeats, reorders, delays and spoils what they send, and in which they crash and a stranger
//! meddles, against a model of what may be read back.

#[path = "../../../../core/tests/fuzz/input.rs"]
mod input;
#[path = "../../../../core/tests/fuzz/record.rs"]
mod record;

use core::time::Duration;

use input::Input;
use kadlet::record::{Proof, Version};
use kadlet::wire::{self, Body, Contacts, Features, Header, Message, Request, Response, Token, Transaction};
use kadlet::{
    Chord, Config, Contact, Geometry, GetError, HashStore, Id, Instant, Kademlia, Key, Kind, Mode, Node, Options,
    Pastry, PutError, Record, Routing,
};
use kadlet_sim::{Ending, Latency, Links, Network, Operation, Overlay, Room};
use record::{Parts, VERIFY};

type Mote<R> = Node<R, HashStore, LOOKUPS, 12, VALUES, 16, 16, 4, 2>;

const LOOKUPS: usize = 3;
const VALUES: usize = 2;
const NODES: u32 = 4;
/// Room for every record there is: what is turned out of a full store is another test's.
const ROOM: Room = Room { records: 16, bytes: 4_096 };
/// A history longer than this finds nothing that a shorter one doesn't.
const STEPS: usize = 200;
/// Well within the lifetime of every record.
const LONGEST: Duration = Duration::from_secs(12 * 60 * 60);
/// Long enough for everybody to find everybody and to repair what is missing.
const SETTLED: Duration = Duration::from_secs(120);
/// How far the ages of plain records may be off for what the network took to carry them.
const TRANSIT: Duration = Duration::from_secs(5);
const QUICK: Latency = Latency::Constant(Duration::from_millis(5));

/// Runs the history that `data` spells.
///
/// # Panics
///
/// If something is read back that may not be, or one of the network's own checks is violated.
pub fn run(data: &[u8]) {
    let choice = data.first().map_or(0, |seed| seed >> 5);
    let lookup = if matches!(choice, 3 | 5 | 7) { Mode::Recursive } else { Mode::Iterative };
    match choice {
        4 | 5 => run_on::<Chord<u32, 3, 8>>(data, lookup),
        6 | 7 => run_on::<Pastry<u32, 4, 2, 8>>(data, lookup),
        _ => run_on::<Kademlia<u32, 8>>(data, lookup),
    }
}

fn run_on<R: Overlay>(data: &[u8], lookup: Mode) {
    let mut swarm = Swarm::<R>::new(data, lookup);
    swarm.join();
    for _ in 0..STEPS {
        if swarm.input.is_empty() {
            break;
        }
        swarm.step();
        swarm.events();
    }
    swarm.run(SETTLED);
    assert!(swarm.running.is_empty(), "in a quiet network every operation ends");
    for number in 0..7 {
        swarm.get_in_quiet(u32::from(number) % NODES, number);
    }
    swarm.network.check_overdue();
    if swarm.intact {
        assert_eq!(swarm.network.checks().violations(), [""; 0]);
    }
}

struct Swarm<'a, R: Overlay> {
    input: Input<'a>,
    network: Network<Mote<R>>,
    began: Instant,
    stranger: u32,
    running: Vec<Running>,
    puts: Vec<Put>,
    /// What the stranger may show.
    tokens: [Option<Token>; NODES as usize],
    /// No datagram was spoiled.
    intact: bool,
    /// Nobody but the nodes put a plain record.
    trusted: bool,
    /// No datagram was older than a second when it was delivered.
    prompt: bool,
}

struct Running {
    node: u32,
    operation: Operation,
    what: What,
}

enum What {
    /// The put of this number.
    Put(usize),
    Get {
        /// Of what.
        key: Key,
        /// Whether it began and ends in a network without faults.
        quiet: bool,
    },
}

struct Put {
    key: Key,
    version: Version,
    value: Vec<u8>,
    begun: Instant,
    stored: bool,
}

impl<'a, R: Overlay> Swarm<'a, R> {
    fn new(data: &'a [u8], lookup: Mode) -> Self {
        let mut input = Input::new(data);
        let config = Config { plain: true, verify: Some(VERIFY), ..Config::DEFAULT };
        let mut network = Network::new(u64::from(input.byte()), Links::new(QUICK), config);
        network.room = ROOM;
        network.lookup = lookup;
        Self {
            input,
            began: network.now(),
            network,
            stranger: NODES,
            running: Vec::new(),
            puts: Vec::new(),
            tokens: [None; NODES as usize],
            intact: true,
            trusted: true,
            prompt: true,
        }
    }

    fn join(&mut self) {
        for node in 0..NODES {
            self.network.join(if node == 0 { &[] } else { &[0] });
            self.run(Duration::from_secs(1));
        }
        self.stranger = self.network.add_stranger(Id::from_bytes([9; 20]));
        self.run(Duration::from_secs(60));
    }

    fn step(&mut self) {
        let step = self.input.byte();
        let flights = self.network.in_flight();
        let which = self.input.below(flights.clamp(1, 256));
        match step % 16 {
            0..=2 => self.network.hasten(which),
            3 => self.network.lose(which),
            4 => {
                let after = self.input.pick(&[0, 10, 100, 1_000, 60_000, 600_000]);
                self.prompt &= after < 1_000 || flights == 0;
                self.network.repeat(which, Duration::from_millis(after));
            }
            5 => {
                let (at, flaw) = (usize::from(self.input.byte()) + usize::from(step & 0x80), self.input.byte());
                if let Some(byte) = self.network.flight_mut(which).get_mut(at) {
                    *byte ^= flaw;
                    self.intact &= flaw == 0;
                }
            }
            6 => self.crash(),
            7 => self.intrude(),
            8 => self.wait(),
            9 | 10 => self.put(),
            11 => {
                let (node, key) = (self.node(), self.key());
                self.get(node, key, false);
            }
            12 => {
                self.run(if step & 0x80 == 0 { SETTLED } else { Duration::from_secs(2) });
                let (node, number) = (self.node(), self.input.byte());
                self.get_in_quiet(node, number);
            }
            13 => self.change_links(),
            14 => (0..flights).for_each(|_| self.network.lose(0)),
            _ => self.run(Duration::from_millis(200)),
        }
    }

    fn change_links(&mut self) {
        let slow = Latency::Uniform(Duration::ZERO, Duration::from_secs(4));
        let latency = self.input.pick(&[QUICK, Latency::INTERNET, slow]);
        self.prompt &= latency != slow;
        let links = &mut self.network.links;
        links.latency = latency;
        links.loss = self.input.pick(&[0.0, 0.2, 0.9, 1.0]);
        links.duplication = self.input.pick(&[0.0, 0.3]);
        links.reordering = self.input.pick(&[0.0, 0.5]);
    }

    /// A node crashes, and begins again after a while with what was on its disk.
    fn crash(&mut self) {
        let (node, pause) = (self.node(), self.input.pick(&[0, 1, 60]));
        let Some(disk) = self.network.crash(node) else {
            return;
        };
        self.network.run_until(self.network.now() + Duration::from_secs(pause));
        self.network.restart(node, Some(&disk), &[(node + 1) % NODES]);
    }

    fn wait(&mut self) {
        let now = self.network.now();
        let time = self.input.pick(&[
            Duration::ZERO,
            Duration::from_millis(100),
            Duration::from_secs(10),
            Duration::from_secs(10 * 60),
        ]);
        if time.is_zero() {
            self.network.step(now + Duration::from_secs(60));
        } else if now.since(self.began) < LONGEST {
            self.network.run_until(now + time);
        }
    }

    fn put(&mut self) {
        let (node, number, choice) = (self.node(), self.input.byte(), self.input.byte());
        let key = key(number);
        let unique = self.puts.len() as u8;
        let value = vec![unique; usize::from(choice % 32)];
        let sequence = 1 + self.puts.iter().filter(|put| put.key == key).count() as u64 - u64::from(choice >= 0xF0);
        let (name, signed) = (number % 2, Parts::signed(number % 2, b"", sequence, &value));
        let fixed = immutable(number);
        let record = match key.kind {
            Kind::Plain => Record::plain(&[name], &value),
            Kind::Immutable => Record::immutable(&fixed),
            Kind::Signed => signed.record(),
        };
        let options = Options { publish: choice & 0x20 != 0, mode: self.network.lookup, ..Options::DEFAULT };
        let newest = self.puts.iter().all(|put| put.key != key || put.version.number < sequence);
        match self.network.put(node, &record, &options) {
            Ok(operation) => {
                self.running.push(Running { node, operation, what: What::Put(self.puts.len()) });
                let (value, begun) = (record.value.to_vec(), self.network.now());
                self.puts.push(Put { key, version: record.version(), value, begun, stored: false });
            }
            Err(PutError::Busy(_) | PutError::NoContacts) => {}
            Err(error) => assert!(key.kind == Kind::Plain || (key.kind == Kind::Signed && !newest), "{error}"),
        }
    }

    fn get(&mut self, node: u32, key: Key, quiet: bool) {
        // A node that begins again is busy with its join as well.
        let busy = self.running.iter().filter(|running| running.node == node).count()
            + usize::from(!self.network.is_member(node));
        let gets = self
            .running
            .iter()
            .filter(|running| running.node == node && matches!(running.what, What::Get { .. }))
            .count();
        match self.network.get(node, key) {
            Ok(operation) => self.running.push(Running { node, operation, what: What::Get { key, quiet } }),
            Err(GetError::Busy(LOOKUPS)) => assert_eq!(busy, LOOKUPS),
            Err(GetError::NoBuffer(VALUES)) => assert_eq!(gets, VALUES),
            // It was cut off while it began again: those whom it only remembers go at the first failure.
            Err(GetError::NoContacts) if !quiet || !self.network.is_member(node) => {}
            Err(error) => panic!("a get did not begin: {error}"),
        }
    }

    fn get_in_quiet(&mut self, node: u32, number: u8) {
        self.get(node, key(number), true);
        self.run(Duration::from_secs(31));
    }

    /// Lets some time pass without a fault.
    fn run(&mut self, time: Duration) {
        self.network.links.latency = QUICK;
        self.network.links.loss = 0.0;
        self.network.links.duplication = 0.0;
        self.network.links.reordering = 0.0;
        self.network.run_until(self.network.now() + time);
        self.events();
    }

    /// The stranger asks, stores, or says what nobody asked for, under its own address or another's. It sees no datagrams but its own.
    fn intrude(&mut self) {
        let (to, from) = (self.node(), if self.input.once_in(4) { self.node() } else { self.stranger });
        let number = self.input.byte();
        let value = [number; 3];
        let old =
            self.puts.iter().rev().nth(usize::from(number)).map(|put| (put.key, put.version.number, put.value.clone()));
        let copy = old.filter(|(key, ..)| key.kind == Kind::Signed).map(|(key, sequence, value)| {
            let name = u8::from(key == Key::signed(&[1; 32], b""));
            Parts::signed(name, b"", sequence, &value)
        });
        let record = match (self.input.below(3), &copy) {
            (0, Some(copy)) => copy.record(),
            (1, _) => {
                let mut id = key(number).id;
                if key(number).kind != Kind::Plain {
                    id = Key::plain(b"the stranger's").id;
                }
                Record { value: &value, proof: Proof::Plain { id, age: 0 } }
            }
            _ => Record::immutable(b"the stranger's"),
        };
        let stores = Request::Store {
            record,
            lifetime: self.input.pick(&[86_400, 1]),
            compare: None,
            handover: self.input.once_in(2),
        };
        let token = self.tokens[to as usize];
        let contacts = [Contact::new(Id::from_bytes([number; 20]), u32::from(number))];
        let ask = |token, request| Body::Request { largest: 1_208, token, request, padding: 0 };
        let body = match self.input.below(4) {
            0 => ask(None, Request::FindNode { target: Id::ZERO }),
            1 => ask(token, stores),
            2 => ask(Some(Token(*b"a guess.")), stores),
            _ => Body::Response {
                token: Token::default(),
                response: Response::Nodes { contacts: Contacts::new(&contacts) },
            },
        };
        let header = Header {
            geometry: <R as Routing>::Geometry::TAG,
            network: 0,
            transaction: Transaction::default(),
            sender: Id::from_bytes([9; 20]),
            features: Features(1),
        };
        self.trusted &= record.kind() != Kind::Plain;
        let mut buf = [0; wire::MAX_DATAGRAM];
        if let Ok(len) = wire::encode::<u32>(&Message { header, body }, &mut buf) {
            self.network.send_as(from, to, &buf[..len]);
        }
    }

    fn events(&mut self) {
        while let Some(letter) = self.network.next_letter() {
            if let Ok(Message { body: Body::Response { token, .. }, .. }) = wire::decode::<u32>(&letter.datagram) {
                self.tokens[letter.from as usize] = Some(token);
            }
        }
        while let Some(ended) = self.network.next_ended() {
            // A join is not of our own.
            let Some(at) = self.running.iter().position(|running| running.operation == ended.operation) else {
                continue;
            };
            match self.running.remove(at).what {
                What::Put(number) => self.puts[number].stored = ended.ending.is_success(),
                What::Get { key, quiet } if ended.ending != Ending::Died => {
                    let rules = Rules {
                        intact: self.intact,
                        trusted: self.trusted,
                        prompt: self.prompt,
                        quiet,
                        relayed: ended.stats.relayed,
                    };
                    rules.check(key, &ended.ending, &self.puts);
                }
                What::Get { .. } => {}
            }
        }
    }

    fn node(&mut self) -> u32 {
        u32::from(self.input.byte()) % NODES
    }

    fn key(&mut self) -> Key {
        key(self.input.byte())
    }
}

/// What may be relied on.
struct Rules {
    intact: bool,
    trusted: bool,
    prompt: bool,
    quiet: bool,
    /// It came by way of others, who may know an older version.
    relayed: bool,
}

impl Rules {
    fn check(&self, key: Key, ending: &Ending, puts: &[Put]) {
        let stored = || puts.iter().filter(|put| put.key == key && put.stored);
        // Anyone may put a plain record, and one that soon ends.
        let safe = self.intact && (self.trusted || key.kind != Kind::Plain);
        let Ending::Value { value, version, .. } = ending else {
            let lost = self.quiet && safe && stored().next().is_some();
            assert!(!lost, "{key:?} was stored, and its get ended as {ending:?}");
            return;
        };
        if key.kind == Kind::Immutable {
            assert_eq!(Key::immutable(value), key);
            return;
        }
        if key.kind == Kind::Plain && !safe {
            return;
        }
        let mut same = puts.iter().rev().filter(|put| put.key == key && put.value == *value);
        let found = same.find(|put| key.kind == Kind::Plain || put.version == *version);
        let found = found.unwrap_or_else(|| panic!("{value:?} was never put"));
        if !(self.quiet && self.intact) || self.relayed {
            return;
        }
        for put in stored() {
            match key.kind {
                Kind::Signed => assert!(
                    key.kind.contest(put.version, found.version).offered.is_ge(),
                    "{} is older",
                    found.version.number
                ),
                _ => assert!(
                    !self.prompt || found.begun + TRANSIT >= put.begun,
                    "older than what was put at {:?}",
                    put.begun
                ),
            }
        }
    }
}

/// One of a few keys.
fn key(number: u8) -> Key {
    match number % 7 {
        0 | 1 => Key::plain(&[number % 2]),
        2 | 3 => Key::signed(&[number % 2; 32], b""),
        _ => Key::immutable(&immutable(number)),
    }
}

fn immutable(number: u8) -> [u8; 2] {
    [number % 7; 2]
}
