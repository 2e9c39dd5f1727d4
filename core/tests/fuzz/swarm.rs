//! Four nodes that put and get through a network that drops, repeats, reorders, delays and spoils what they send, with a stranger
//! in it, against a model of what may be read back.

#[allow(clippy::duplicate_mod, reason = "each target's body brings what it uses")]
mod input;
#[allow(clippy::duplicate_mod, reason = "each target's body brings what it uses")]
mod record;

use core::time::Duration;

use input::Input;
use kadlet::record::{Proof, Version};
use kadlet::wire::{self, Answer, Body, Contacts, Features, Header, Message, Request, Token, Transaction};
use kadlet::{
    Config, Done, Event, FixedStore, GetError, Id, Instant, Kademlia, Key, Kind, Machine, Node, Options, Outcome, PutError, Query, Record,
};
use record::{Parts, VERIFY};

/// With room for every record there is: what is turned out of a full store is another test's.
type Mote = Node<Kademlia<u16, 8>, FixedStore<16, 4_096>, LOOKUPS, 12, VALUES>;

const LOOKUPS: usize = 3;
const VALUES: usize = 2;
const NODES: u16 = 4;
const STRANGER: u16 = 99;
/// A history longer than this finds nothing that a shorter one doesn't.
const STEPS: usize = 200;
/// Well within the lifetime of every record.
const LONGEST: Instant = Instant::from_secs(12 * 60 * 60);
/// Long enough for everybody to find everybody and to repair what is missing.
const SETTLED: Duration = Duration::from_secs(120);
/// How far the ages of plain records may be off for what the network took to carry them.
const TRANSIT: Duration = Duration::from_secs(5);

/// Runs the history that `data` spells.
///
/// # Panics
///
/// If something is read back that may not be.
pub fn run(data: &[u8]) {
    let mut swarm = Swarm::new(data);
    swarm.join();
    for _ in 0..STEPS {
        if swarm.input.is_empty() {
            break;
        }
        swarm.step();
        swarm.flush();
        swarm.events();
    }
    swarm.run(SETTLED);
    assert!(swarm.running.is_empty(), "in a quiet network every operation ends");
    for number in 0..7 {
        swarm.get_in_quiet(number % NODES, number as u8);
    }
}

struct Swarm<'a> {
    input: Input<'a>,
    now: Instant,
    nodes: Vec<Box<Mote>>,
    flights: Vec<Flight>,
    /// Some that were delivered.
    past: Vec<Flight>,
    running: Vec<Running>,
    puts: Vec<Put>,
    tokens: [Option<Token>; NODES as usize],
    /// No datagram was spoiled.
    intact: bool,
    /// Nobody but the nodes put a plain record.
    trusted: bool,
    /// No datagram was older than a second when it was delivered.
    prompt: bool,
}

#[derive(Clone)]
struct Flight {
    sent: Instant,
    from: u16,
    to: u16,
    datagram: Vec<u8>,
}

struct Running {
    node: u16,
    query: Query,
    what: What,
}

enum What {
    Join,
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

impl<'a> Swarm<'a> {
    fn new(data: &'a [u8]) -> Self {
        let now = Instant::from_secs(1);
        let config = Config { plain: true, verify: Some(VERIFY), ..Config::DEFAULT };
        let node = |address: u16| Box::new(Mote::new(now, config, Id::from_bytes([0x35 << address; 20]), [address as u8; 32]));
        Self {
            input: Input::new(data),
            now,
            nodes: (0..NODES).map(node).collect(),
            flights: Vec::new(),
            past: Vec::new(),
            running: Vec::new(),
            puts: Vec::new(),
            tokens: [None; NODES as usize],
            intact: true,
            trusted: true,
            prompt: true,
        }
    }

    fn join(&mut self) {
        for node in 1..NODES {
            let query = self.nodes[usize::from(node)].bootstrap(self.now, &[0]).expect("a new node is idle");
            self.running.push(Running { node, query, what: What::Join });
            self.run(Duration::from_secs(1));
        }
        self.run(Duration::from_secs(60));
    }

    fn step(&mut self) {
        let step = self.input.byte();
        let which = self.input.below(self.flights.len().clamp(1, 256));
        match step % 16 {
            0..=2 if !self.flights.is_empty() => {
                let flight = self.flights.remove(which);
                self.deliver(flight);
            }
            3 if !self.flights.is_empty() => drop(self.flights.remove(which)),
            4 if !self.flights.is_empty() => {
                let flight = self.flights[which].clone();
                self.deliver(flight);
            }
            5 if !self.flights.is_empty() => {
                let (at, flaw) = (usize::from(self.input.byte()) + usize::from(step & 0x80), self.input.byte());
                if let Some(byte) = self.flights[which].datagram.get_mut(at) {
                    *byte ^= flaw;
                    self.intact &= flaw == 0;
                }
            }
            6 if !self.past.is_empty() => {
                let which = self.input.below(self.past.len());
                let flight = self.past[which].clone();
                self.deliver(flight);
            }
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
            13 => self.flights.reverse(),
            14 => self.flights.clear(),
            _ => self.run(Duration::from_millis(200)),
        }
    }

    fn wait(&mut self) {
        let due = self.nodes.iter().filter_map(|node| node.poll_timeout()).map(|(at, _)| at).min();
        let now = match self.input.below(4) {
            0 => due.unwrap_or(self.now).max(self.now),
            1 => self.now + Duration::from_millis(100),
            2 => self.now + Duration::from_secs(10),
            _ => self.now + Duration::from_secs(10 * 60),
        };
        self.now = now.min(LONGEST);
        for node in &mut self.nodes {
            node.handle_timeout(self.now);
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
        let options = Options { publish: choice & 0x20 != 0, ..Options::DEFAULT };
        let newest = self.puts.iter().all(|put| put.key != key || put.version.number < sequence);
        match self.nodes[usize::from(node)].put(self.now, &record, &options) {
            Ok(query) => {
                self.running.push(Running { node, query, what: What::Put(self.puts.len()) });
                let value = record.value.to_vec();
                self.puts.push(Put { key, version: record.version(), value, begun: self.now, stored: false });
            }
            Err(PutError::Busy(_)) => {}
            Err(error) => assert!(key.kind == Kind::Plain || (key.kind == Kind::Signed && !newest), "{error}"),
        }
    }

    fn get(&mut self, node: u16, key: Key, quiet: bool) {
        let running = |gets: bool| {
            let wanted = |running: &&Running| running.node == node && (!gets || matches!(running.what, What::Get { .. }));
            self.running.iter().filter(wanted).count()
        };
        match self.nodes[usize::from(node)].get(self.now, key, &Options::DEFAULT) {
            Ok(query) => self.running.push(Running { node, query, what: What::Get { key, quiet } }),
            Err(GetError::Busy(LOOKUPS)) => assert_eq!(running(false), LOOKUPS),
            Err(GetError::NoBuffer(VALUES)) => assert_eq!(running(true), VALUES),
            Err(error) => panic!("a get did not begin: {error}"),
        }
    }

    fn get_in_quiet(&mut self, node: u16, number: u8) {
        self.get(node, key(number), true);
        self.run(Duration::from_secs(31));
    }

    /// Lets some time pass without a fault.
    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        for _ in 0..10_000 {
            self.flush();
            for flight in core::mem::take(&mut self.flights) {
                self.deliver(flight);
            }
            self.flush();
            self.events();
            let due = self.nodes.iter().filter_map(|node| node.poll_timeout()).map(|(at, _)| at).min().unwrap_or(Instant::NEVER);
            let next = if self.flights.is_empty() { due } else { due.min(self.now + Duration::from_millis(5)) };
            if next > end {
                self.now = end;
                return;
            }
            self.now = self.now.max(next);
            for node in &mut self.nodes {
                if node.poll_timeout().is_some_and(|(at, _)| at <= self.now) {
                    node.handle_timeout(self.now);
                }
            }
        }
        panic!("no end of datagrams");
    }

    fn flush(&mut self) {
        let mut buf = [0; wire::MAX_DATAGRAM];
        for from in 0..NODES {
            while let Some(out) = self.nodes[usize::from(from)].poll_transmit(self.now, &mut buf) {
                self.flights.push(Flight { sent: self.now, from, to: out.to, datagram: buf[..out.len].to_vec() });
            }
        }
    }

    fn deliver(&mut self, flight: Flight) {
        let Flight { sent, from, to, ref datagram } = flight;
        if let Some(node) = self.nodes.get_mut(usize::from(to)) {
            self.prompt &= self.now.since(sent) < Duration::from_secs(1);
            let mut buf = [0; wire::MAX_DATAGRAM];
            if let Some(out) = node.handle_datagram(self.now, from, datagram, &mut buf) {
                self.flights.push(Flight { sent: self.now, from: to, to: out.to, datagram: buf[..out.len].to_vec() });
            }
            if self.past.len() < 64 {
                self.past.push(flight);
            }
        } else if to == STRANGER
            && let Ok(Message { body: Body::Answer { token, .. }, .. }) = wire::decode::<u16>(datagram)
        {
            self.tokens[usize::from(from)] = Some(token);
        }
    }

    /// The stranger asks, stores, or says what nobody asked for, under its own address or another's. It sees no datagrams but its own.
    fn intrude(&mut self) {
        let (to, from) = (self.node(), if self.input.once_in(4) { self.node() } else { STRANGER });
        let number = self.input.byte();
        let value = [number; 3];
        let old = self.puts.iter().rev().nth(usize::from(number)).map(|put| (put.key, put.version.number, put.value.clone()));
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
        let stores = Request::Store { record, lifetime: self.input.pick(&[86_400, 1]), compare: None, handover: self.input.once_in(2) };
        let token = self.tokens[usize::from(to)];
        let contacts = [kadlet::Contact::new(Id::from_bytes([number; 20]), u16::from(number))];
        let ask = |token, request| Body::Request { largest: 1_208, token, request, padding: 0 };
        let body = match self.input.below(4) {
            0 => ask(None, Request::FindNode { target: Id::ZERO }),
            1 => ask(token, stores),
            2 => ask(Some(Token(*b"a guess.")), stores),
            _ => Body::Answer { token: Token::default(), answer: Answer::Nodes { contacts: Contacts::new(&contacts) } },
        };
        let header =
            Header { geometry: 1, network: 0, transaction: Transaction::default(), sender: Id::from_bytes([9; 20]), features: Features(1) };
        self.trusted &= record.kind() != Kind::Plain;
        let mut buf = [0; wire::MAX_DATAGRAM];
        if let Ok(len) = wire::encode::<u16>(&Message { header, body }, &mut buf) {
            self.deliver(Flight { sent: self.now, from, to, datagram: buf[..len].to_vec() });
        }
    }

    fn events(&mut self) {
        for node in 0..NODES {
            while let Some(event) = self.nodes[usize::from(node)].poll_event() {
                if let Event::Done(done) = event {
                    let at = self.running.iter().position(|running| running.node == node && running.query == done.query);
                    let ended = self.running.remove(at.expect("an operation ends once"));
                    match ended.what {
                        What::Join => {}
                        What::Put(number) => self.puts[number].stored = matches!(done.outcome, Outcome::Stored { .. }),
                        What::Get { key, quiet } => {
                            let rules = Rules { intact: self.intact, trusted: self.trusted, prompt: self.prompt, quiet };
                            rules.check(key, &done, &self.puts);
                        }
                    }
                }
            }
        }
    }

    fn node(&mut self) -> u16 {
        u16::from(self.input.byte()) % NODES
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
}

impl Rules {
    fn check(&self, key: Key, done: &Done<'_, u16>, puts: &[Put]) {
        let stored = || puts.iter().filter(|put| put.key == key && put.stored);
        // Anyone may put a plain record, and one that soon ends.
        let safe = self.intact && (self.trusted || key.kind != Kind::Plain);
        let Outcome::Value { record, .. } = &done.outcome else {
            let lost = self.quiet && safe && stored().next().is_some();
            assert!(!lost, "{key:?} was stored, and its get ended as {done:?}");
            return;
        };
        assert_eq!(record.key(), key);
        assert!(record.check().is_ok() && record.verify(VERIFY), "{record:?}");
        if key.kind == Kind::Immutable || (key.kind == Kind::Plain && !safe) {
            return;
        }
        let mut same = puts.iter().rev().filter(|put| put.key == key && put.value == record.value);
        let found = same.find(|put| key.kind == Kind::Plain || put.version == record.version());
        let found = found.unwrap_or_else(|| panic!("{record:?} was never put"));
        if !(self.quiet && self.intact) {
            return;
        }
        for put in stored() {
            match key.kind {
                Kind::Signed => assert!(key.kind.contest(put.version, found.version).offered.is_ge(), "{} is older", found.version.number),
                _ => assert!(!self.prompt || found.begun + TRANSIT >= put.begun, "older than what was put at {:?}", put.begun),
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
