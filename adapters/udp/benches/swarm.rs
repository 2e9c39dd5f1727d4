//! 200 nodes in one process and one thread, each with its socket on loopback. Measures how long all take to join, the
//! memory of a node, and then 1,000 puts, gets and find_nodes, one after the other, from random nodes.
//!
//! `cargo bench -p kadlet-udp --bench swarm [-- SEED] [-- --at-once]`. The seed decides the ids, the nodes that ask and
//! the targets; the timing of the sockets is the system's. Each node must join, each put must be stored at eight nodes,
//! and each get must find its record. A median above its limit is an error too; the limits are several times the aims,
//! because machines differ.
//!
//! Each node begins to join when the one before has joined. With `--at-once` all begin together, through a node that
//! knows no other node: then the time that counts is the time until each node knows the eight nodes nearest to it.

#[cfg(unix)]
fn main() -> Result<(), Box<dyn core::error::Error>> {
    unix::main()
}

#[cfg(not(unix))]
fn main() {
    println!("not measured on this system: the poll needs the drivers' file descriptors");
}

#[cfg(unix)]
mod unix {
    use core::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
    use core::time::Duration;
    use std::io;
    use std::os::fd::AsRawFd;
    use std::time::Instant;

    use kadlet::routing::ContactState;
    use kadlet::{
        Config, Dht, Event, FixedStore, Id, Kademlia, Node, Options, Outcome, QueryId, QueryResult, Record, Routing,
    };
    use kadlet_udp::{Buffers, Driver};
    use mio::unix::SourceFd;
    use mio::{Events, Interest, Poll, Token};

    type Mote = Node<Kademlia<SocketAddrV4, 128>, FixedStore<128, 16_384>>;
    type Error = Box<dyn core::error::Error>;

    const NODES: usize = 200;
    const OPERATIONS: usize = 1_000;
    const VALUE: usize = 64;

    pub(super) fn main() -> Result<(), Error> {
        let seed = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(1);
        println!("seed {seed}");
        let mut random = Random(seed);
        let before = resident()?;
        let mut swarm = Swarm::new(&mut random)?;

        let at_once = std::env::args().any(|argument| argument == "--at-once");
        let joined = swarm.join(if at_once { NODES } else { 1 })?;
        println!("all of {NODES} joined after        {:9.3} s", joined.as_secs_f64());
        println!("neighbours known               {:9.1} %", swarm.neighbours_known());
        if at_once {
            println!("all neighbours known after     {:9.3} s", swarm.settle()?.as_secs_f64());
        }
        println!(
            "memory per node, joined        {:9.1} KiB (size_of {:.1})",
            swarm.memory(before)?,
            size_of::<Mote>() as f64 / 1_024.0
        );

        let values: Vec<[u8; VALUE]> = (0..OPERATIONS).map(|_| random.bytes()).collect();
        let put = swarm.measure("put", &mut random, |node, now, number, _| {
            Ok(node.put(now, &Record::immutable(&values[number]), &Options::default())?)
        })?;
        let get = swarm.measure("get", &mut random, |node, now, number, _| {
            Ok(node.get(now, Record::immutable(&values[number]).key(), &Options::default())?)
        })?;
        swarm.measure("find_node", &mut random, |node, now, _, random| {
            Ok(node.find_node(now, Id::from_bytes(random.bytes()), &Options::default())?)
        })?;
        println!("memory per node, at the end    {:9.1} KiB", swarm.memory(before)?);

        let late = [("joining", joined, 10_000), ("a put", put, 20), ("a get", get, 10)];
        match late.iter().find(|(_, took, limit)| *took > Duration::from_millis(*limit)) {
            Some((what, took, limit)) => Err(format!("{what} took {took:?}, which is above {limit} ms").into()),
            None => Ok(()),
        }
    }

    struct Swarm {
        poll: Poll,
        events: Events,
        drivers: Vec<Driver<Mote>>,
        /// Each driver's deadline, read again only after the driver did something.
        deadlines: Vec<Option<Instant>>,
        /// Shared by all drivers.
        buffers: Buffers,
        /// Nodes whose socket may still hold datagrams: mio reports a readable socket only once.
        readable: Vec<usize>,
    }

    impl Swarm {
        fn new(random: &mut Random) -> Result<Self, Error> {
            let (poll, mut drivers) = (Poll::new()?, Vec::with_capacity(NODES));
            for index in 0..NODES {
                let node =
                    Mote::new(kadlet::Instant::ZERO, Config::default(), Id::from_bytes(random.bytes()), random.bytes())
                        .unwrap();
                let driver = Driver::bind((Ipv4Addr::LOCALHOST, 0).into(), node)?;
                poll.registry().register(&mut SourceFd(&driver.as_raw_fd()), Token(index), Interest::READABLE)?;
                drivers.push(driver);
            }
            let events = Events::with_capacity(NODES);
            Ok(Self {
                poll,
                events,
                drivers,
                deadlines: vec![None; NODES],
                buffers: Buffers::new(),
                readable: Vec::new(),
            })
        }

        /// Joins all nodes through the first, `at_once` of them at a time.
        fn join(&mut self, at_once: usize) -> Result<Duration, Error> {
            let SocketAddr::V4(first) = self.drivers[0].local_addr() else {
                return Err("bound to IPv4".into());
            };
            let began = Instant::now();
            let all: Vec<usize> = (1..NODES).collect();
            for some in all.chunks(at_once) {
                let mut queries = Vec::new();
                for index in some {
                    queries.push((*index, self.begin(*index, |node, now| Ok(node.bootstrap(now, &[first])?.query))?));
                }
                self.run(queries, |done| matches!(done.outcome, Outcome::Joined { .. }))?;
            }
            Ok(began.elapsed())
        }

        /// How many of the eight nodes nearest to each node are verified in its table, in percent.
        fn neighbours_known(&self) -> f64 {
            let nodes = || self.drivers.iter().map(Driver::node);
            let known: usize = nodes()
                .map(|node| {
                    let mut others: Vec<Id> = nodes().map(Dht::id).filter(|id| *id != node.id()).collect();
                    others.sort_by_key(|id| id.xor(&node.id()));
                    let verified =
                        |id: &&Id| node.routing().get(id).is_some_and(|peer| peer.state == ContactState::Verified);
                    others.iter().take(8).filter(verified).count()
                })
                .sum();
            known as f64 * 100.0 / (8 * NODES) as f64
        }

        /// Runs until all nodes know their neighbours. Returns the time that it took.
        fn settle(&mut self) -> Result<Duration, Error> {
            let began = Instant::now();
            while self.neighbours_known() < 100.0 {
                if began.elapsed() > Duration::from_secs(300) {
                    return Err(format!("only {:.1} % of the neighbours are known", self.neighbours_known()).into());
                }
                let query =
                    self.begin(0, |node, now| Ok(node.ping(now, SocketAddrV4::new(Ipv4Addr::LOCALHOST, 9))?))?;
                self.run(vec![(0, query)], |_| true)?;
            }
            Ok(began.elapsed())
        }

        /// Runs operations one after the other, and returns their median duration.
        fn measure(
            &mut self,
            what: &str,
            random: &mut Random,
            mut begin: impl FnMut(&mut Mote, kadlet::Instant, usize, &mut Random) -> Result<QueryId, Error>,
        ) -> Result<Duration, Error> {
            let (mut times, mut asked) = (Vec::new(), 0);
            let (sent, retransmits) = self.sent();
            for number in 0..OPERATIONS {
                let index = random.next() as usize % NODES;
                let began = Instant::now();
                let query = self.begin(index, |node, now| begin(node, now, number, random))?;
                self.run(vec![(index, query)], |done| {
                    asked += usize::from(done.stats.asked);
                    match done.outcome {
                        Outcome::Stored { holders, wanted, .. } => holders.len() >= wanted && wanted == 8,
                        Outcome::Value { record, .. } => record.value.len() == VALUE,
                        Outcome::Nodes(nodes) => nodes.len() == 8,
                        _ => false,
                    }
                })?;
                times.push(began.elapsed());
            }
            times.sort();
            let (sent, retransmits) = (self.sent().0 - sent, self.sent().1 - retransmits);
            println!(
                "{what:9} median {:6.3} ms  p95 {:6.3} ms  datagrams {:5.1}  asked {:4.1}  retransmits {retransmits}",
                times[OPERATIONS / 2].as_secs_f64() * 1e3,
                times[OPERATIONS * 95 / 100].as_secs_f64() * 1e3,
                sent as f64 / OPERATIONS as f64,
                asked as f64 / OPERATIONS as f64,
            );
            Ok(times[OPERATIONS / 2])
        }

        /// The datagrams that all nodes sent, and how many of them were retransmitted requests.
        fn sent(&self) -> (u64, u64) {
            let stats = self.drivers.iter().map(|driver| driver.node().stats());
            stats.fold((0, 0), |(sent, retransmits), stats| (sent + stats.sent, retransmits + stats.retransmits))
        }

        /// Memory for each node, in KiB.
        fn memory(&self, before: usize) -> io::Result<f64> {
            Ok(resident()?.saturating_sub(before) as f64 / NODES as f64)
        }

        fn begin(
            &mut self,
            index: usize,
            begin: impl FnOnce(&mut Mote, kadlet::Instant) -> Result<QueryId, Error>,
        ) -> Result<QueryId, Error> {
            let driver = &mut self.drivers[index];
            let now = driver.now();
            let query = begin(driver.node_mut(), now)?;
            driver.flush(&mut self.buffers);
            self.deadlines[index] = driver.deadline();
            Ok(query)
        }

        /// Runs all nodes until these operations have ended, each with a result that is `right`.
        fn run(
            &mut self,
            mut until: Vec<(usize, QueryId)>,
            mut right: impl FnMut(&QueryResult<'_, SocketAddrV4>) -> bool,
        ) -> Result<(), Error> {
            // An operation may have ended as soon as it began, without a datagram.
            let mut touched: Vec<usize> = until.iter().map(|(index, _)| *index).collect();
            loop {
                for index in touched.drain(..) {
                    let driver = &mut self.drivers[index];
                    while let Some(event) = driver.node_mut().poll_event() {
                        let Event::Finished(done) = event else {
                            continue;
                        };
                        let Some(ended) = until.iter().position(|awaited| *awaited == (index, done.query)) else {
                            continue;
                        };
                        until.swap_remove(ended);
                        if !right(&done) {
                            return Err(format!("node {index}: {:?}, {:?}", done.outcome, done.stats).into());
                        }
                    }
                    self.deadlines[index] = driver.deadline();
                }
                if until.is_empty() {
                    return Ok(());
                }
                let now = Instant::now();
                let wait = match self.deadlines.iter().flatten().min() {
                    _ if !self.readable.is_empty() => Some(Duration::ZERO),
                    first => first.map(|at| at.saturating_duration_since(now)),
                };
                match self.poll.poll(&mut self.events, wait) {
                    Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error.into()),
                    _ => self.readable.extend(self.events.iter().map(|event| event.token().0)),
                }
                touched.extend(&self.readable);
                self.readable.retain(|index| self.drivers[*index].on_readable(&mut self.buffers));
                let now = Instant::now();
                for (index, at) in self.deadlines.iter().enumerate() {
                    if at.is_some_and(|at| at <= now) {
                        self.drivers[index].on_timeout(&mut self.buffers);
                        touched.push(index);
                    }
                }
            }
        }
    }

    /// The memory of this process in KiB.
    fn resident() -> io::Result<usize> {
        let status = std::fs::read_to_string("/proc/self/status")?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.and_then(|line| line.split_whitespace().next()?.parse().ok()).ok_or_else(|| io::Error::other("no VmRSS"))
    }

    /// `SplitMix64`.
    struct Random(u64);

    impl Random {
        fn next(&mut self) -> u64 {
            self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            mixed ^ (mixed >> 31)
        }

        fn bytes<const N: usize>(&mut self) -> [u8; N] {
            core::array::from_fn(|_| self.next() as u8)
        }
    }
}
