//! Four nodes of one geometry put and get, iteratively or recursively. The network drops, duplicates, reorders, delays
//! and corrupts their datagrams, nodes crash and restart, and an attacker sends requests and forged responses. What a
//! get returns is checked against a model of what it may return.

#[path = "../../../../core/tests/fuzz/input.rs"]
mod input;
#[path = "../../../../core/tests/fuzz/record.rs"]
mod record;

use core::time::Duration;

use input::Input;
use kadlet::message::{Contacts, Features, Request, Response};
use kadlet::record::{Proof, Version};
use kadlet::routing::Limits;
use kadlet::wire::{self, Body, Header, Message, Token, Transaction};
use kadlet::{
    Chord, Config, Contact, Geometry, GetError, HashStore, Id, Instant, Kademlia, Key, Kind, Mode, Node, Options,
    Pastry, PutError, Record, Routing,
};
use kadlet_sim::{Capacity, HostAddress, Latency, Links, Network, OperationId, OperationOutcome, Overlay};
use record::{Parts, VERIFY};

type SwarmNode<R> = Node<R, HashStore, OPERATIONS, 12, VALUES, 16, 16, 4, 2>;

const OPERATIONS: usize = 3;
const VALUES: usize = 2;
const NODES: u32 = 4;
/// Enough for every record of a run: the eviction of records has its own tests.
const CAPACITY: Capacity = Capacity { records: 16, bytes: 4_096 };
/// The most steps of a run. Longer runs find no faults that shorter ones don't.
const STEPS: usize = 200;
/// The most simulated time that a run waits. All records live longer.
const LONGEST: Duration = Duration::from_secs(12 * 60 * 60);
/// The time in which all nodes find each other, and repair missing replicas.
const CONVERGENCE: Duration = Duration::from_secs(120);
/// How far the age of a plain record can be off, because datagrams take time.
const TRANSIT: Duration = Duration::from_secs(5);
/// The attacker's name for its own records. Another would change what the inputs of the corpus do.
const ATTACKER_NAME: &[u8] = b"the stranger's";
const QUICK: Latency = Latency::Constant(Duration::from_millis(5));

/// Runs the steps that `data` encodes.
///
/// # Panics
///
/// If a get returns what it may not, or an invariant of the network is violated.
pub fn run(data: &[u8]) {
    let choice = data.first().map_or(0, |seed| seed >> 5);
    let lookup = if matches!(choice, 3 | 5 | 7) { Mode::Recursive } else { Mode::Iterative };
    match choice {
        4 | 5 => run_on::<Chord<HostAddress, 3, 8>>(data, lookup),
        6 | 7 => run_on::<Pastry<HostAddress, 4, 2, 8>>(data, lookup),
        _ => run_on::<Kademlia<HostAddress, 8>>(data, lookup),
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
        swarm.handle_results();
    }
    swarm.run(CONVERGENCE);
    assert!(swarm.running.is_empty(), "without faults every operation ends");
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
    network: Network<SwarmNode<R>>,
    began: Instant,
    attacker: u32,
    running: Vec<Running>,
    puts: Vec<Put>,
    /// The tokens that the attacker was given, by responder.
    tokens: [Option<Token>; NODES as usize],
    /// No datagram was corrupted.
    intact: bool,
    /// The attacker stored no plain record.
    trusted: bool,
    /// No datagram was older than a second when it arrived.
    prompt: bool,
}

struct Running {
    node: u32,
    operation: OperationId,
    task: Task,
}

enum Task {
    /// The put with this index.
    Put(usize),
    Get {
        key: Key,
        /// Whether there are no faults while it runs.
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
        let table = Limits { k: 4, ..Limits::DEFAULT };
        let config = Config { plain: true, verify: Some(VERIFY), table, ..Config::DEFAULT };
        let mut network = Network::new(u64::from(input.byte()), Links::new(QUICK), config);
        network.capacity = CAPACITY;
        network.lookup = lookup;
        Self {
            input,
            began: network.now(),
            network,
            attacker: NODES,
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
        self.attacker = self.network.add_attacker(Id::from_bytes([9; 20]));
        self.run(Duration::from_secs(60));
    }

    fn step(&mut self) {
        let step = self.input.byte();
        let in_flight = self.network.in_flight();
        let number = self.input.below(in_flight.clamp(1, 256));
        match step % 16 {
            0..=2 => self.network.deliver_now(number),
            3 => self.network.drop_datagram(number),
            4 => {
                let after = self.input.pick(&[0, 10, 100, 1_000, 60_000, 600_000]);
                self.prompt &= after < 1_000 || in_flight == 0;
                self.network.duplicate(number, Duration::from_millis(after));
            }
            5 => {
                let (at, flipped) = (usize::from(self.input.byte()) + usize::from(step & 0x80), self.input.byte());
                if let Some(byte) = self.network.datagram_mut(number).get_mut(at) {
                    *byte ^= flipped;
                    self.intact &= flipped == 0;
                }
            }
            6 => self.crash(),
            7 => self.attack(),
            8 => self.wait(),
            9 | 10 => self.put(),
            11 => {
                let (node, key) = (self.node(), self.key());
                self.get(node, key, false);
            }
            12 => {
                self.run(if step & 0x80 == 0 { CONVERGENCE } else { Duration::from_secs(2) });
                let (node, number) = (self.node(), self.input.byte());
                self.get_in_quiet(node, number);
            }
            13 => self.change_links(),
            14 => (0..in_flight).for_each(|_| self.network.drop_datagram(0)),
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

    /// A node crashes, and restarts from its disk after a pause.
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
                self.running.push(Running { node, operation, task: Task::Put(self.puts.len()) });
                let (value, begun) = (record.value.to_vec(), self.network.now());
                self.puts.push(Put { key, version: record.version(), value, begun, stored: false });
            }
            Err(PutError::Busy(_) | PutError::NoContacts) => {}
            Err(error) => assert!(key.kind == Kind::Plain || (key.kind == Kind::Signed && !newest), "{error}"),
        }
    }

    fn get(&mut self, node: u32, key: Key, quiet: bool) {
        // A node that restarted also runs its join.
        let busy = self.running.iter().filter(|running| running.node == node).count()
            + usize::from(!self.network.is_member(node));
        let gets = self
            .running
            .iter()
            .filter(|running| running.node == node && matches!(running.task, Task::Get { .. }))
            .count();
        match self.network.get(node, key) {
            Ok(operation) => self.running.push(Running { node, operation, task: Task::Get { key, quiet } }),
            Err(GetError::Busy(OPERATIONS)) => assert_eq!(busy, OPERATIONS),
            Err(GetError::NoBuffer(VALUES)) => assert_eq!(gets, VALUES),
            // Its datagrams were lost while it joined: contacts restored from disk are removed at their first failure.
            Err(GetError::NoContacts) if !quiet || !self.network.is_member(node) => {}
            Err(error) => panic!("a get did not begin: {error}"),
        }
    }

    fn get_in_quiet(&mut self, node: u32, number: u8) {
        self.get(node, key(number), true);
        self.run(Duration::from_secs(31));
    }

    /// Lets this time pass without faults.
    fn run(&mut self, time: Duration) {
        self.network.links.latency = QUICK;
        self.network.links.loss = 0.0;
        self.network.links.duplication = 0.0;
        self.network.links.reordering = 0.0;
        self.network.run_until(self.network.now() + time);
        self.handle_results();
    }

    /// The attacker sends a request, a store or an unsolicited response, from its own address or a node's. It sees only
    /// its own datagrams.
    fn attack(&mut self) {
        let (to, from) = (self.node(), if self.input.once_in(4) { self.node() } else { self.attacker });
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
                    id = Key::plain(ATTACKER_NAME).id;
                }
                Record { value: &value, proof: Proof::Plain { id, age: 0 } }
            }
            _ => Record::immutable(ATTACKER_NAME),
        };
        let store = Request::Store {
            record,
            lifetime: self.input.pick(&[86_400, 1]),
            compare: None,
            handover: self.input.once_in(2),
        };
        let token = self.tokens[to as usize];
        let contacts = [Contact::new(Id::from_bytes([number; 20]), HostAddress::spread(number.into()))];
        let request = |token, request| Body::Request { largest: 1_208, token, request, padding: 0 };
        let body = match self.input.below(4) {
            0 => request(None, Request::FindNode { target: Id::ZERO }),
            1 => request(token, store),
            2 => request(Some(Token(*b"a guess.")), store),
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
        if let Ok(len) = wire::encode::<HostAddress>(&Message { header, body }, &mut buf) {
            let [from, to] = [from, to].map(|host| self.network.address(host));
            self.network.send_as(from, to, &buf[..len]);
        }
    }

    fn handle_results(&mut self) {
        while let Some(datagram) = self.network.next_received() {
            if let Ok(Message { body: Body::Response { token, .. }, .. }) = wire::decode::<HostAddress>(&datagram.bytes)
            {
                let responder = self.network.host_at(datagram.from).expect("a node responded");
                self.tokens[responder as usize] = Some(token);
            }
        }
        while let Some(result) = self.network.next_result() {
            // The network itself began the joins.
            let Some(at) = self.running.iter().position(|running| running.operation == result.operation) else {
                continue;
            };
            match self.running.remove(at).task {
                Task::Put(number) => self.puts[number].stored = result.outcome.is_success(),
                Task::Get { key, quiet } if result.outcome != OperationOutcome::Died => {
                    let rules = Rules {
                        intact: self.intact,
                        trusted: self.trusted,
                        prompt: self.prompt,
                        quiet,
                        relayed: result.stats.relayed,
                    };
                    rules.check(key, &result.outcome, &self.puts);
                }
                Task::Get { .. } => {}
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

/// What a get must return depends on these.
struct Rules {
    intact: bool,
    trusted: bool,
    prompt: bool,
    quiet: bool,
    /// The value was relayed by nodes that can have an older version.
    relayed: bool,
}

impl Rules {
    fn check(&self, key: Key, outcome: &OperationOutcome, puts: &[Put]) {
        let stored = || puts.iter().filter(|put| put.key == key && put.stored);
        // The attacker can replace a plain record, also by one of a short lifetime.
        let safe = self.intact && (self.trusted || key.kind != Kind::Plain);
        let OperationOutcome::Value { value, version, .. } = outcome else {
            let lost = self.quiet && safe && stored().next().is_some();
            assert!(!lost, "{key:?} was stored, and its get ended as {outcome:?}");
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
                    "version {} is older than one that was stored",
                    found.version.number
                ),
                _ => assert!(
                    !self.prompt || found.begun + TRANSIT >= put.begun,
                    "the value is older than the one that was put at {:?}",
                    put.begun
                ),
            }
        }
    }
}

/// One of seven keys.
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
