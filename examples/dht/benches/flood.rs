//! A running `kadlet node` under a million hostile datagrams: its memory before and after, and whether it still answers.
//!
//! `cargo bench -p kadlet-cli --bench flood [-- DATAGRAMS]`, on Linux. A third is random bytes, a third requests with some bytes changed, and
//! a third answers to what was never asked. Memory is taken after a first tenth, when all that is needed to serve was touched once.

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("not measured here: memory is read from /proc");
}

#[cfg(target_os = "linux")]
fn main() -> Result<(), Box<dyn core::error::Error>> {
    linux::main()
}

#[cfg(target_os = "linux")]
mod linux {
    use core::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
    use core::time::Duration;
    use std::io::{self, BufRead, BufReader, Read};
    use std::net::UdpSocket;
    use std::process::{Child, Command, Stdio};
    use std::time::Instant;

    use kadlet::wire::{self, Answer, Body, Contacts, Features, Header, MAX_DATAGRAM, Message, Observed, Request, Token, Transaction};
    use kadlet::{Contact, Id, Key, Record};

    type Error = Box<dyn core::error::Error>;

    const DATAGRAMS: usize = 1_000_000;
    /// After so many the node is asked something genuine, so that it keeps up and loses none.
    const ROUND: usize = 100;
    /// The most KiB that its memory may grow by: what the allocator may take for one of its pools.
    const LIMIT: usize = 64;

    pub(super) fn main() -> Result<(), Error> {
        let datagrams = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(DATAGRAMS);
        let (mut node, address) = Node::start()?;
        let sockets: Vec<UdpSocket> = (0..16).map(|_| socket(address)).collect::<Result<_, _>>()?;
        let asker = socket(address)?;
        let mut random = Random(1);
        let mut flood = |count: usize| -> Result<(), Error> {
            for number in 0..count {
                // What the node refuses comes back to a socket as an error of the next sending.
                let _ = sockets[number % sockets.len()].send(&hostile(&mut random, number));
                if number.is_multiple_of(ROUND) {
                    ping(&asker)?;
                }
            }
            ping(&asker)
        };
        flood(datagrams / 10)?;
        let before = node.resident()?;
        let began = Instant::now();
        flood(datagrams)?;
        let after = node.resident()?;
        println!("{datagrams} hostile datagrams in {:.1} s, and it answers", began.elapsed().as_secs_f64());
        println!("memory before {before} KiB, after {after} KiB");
        println!("{}", node.stop()?.lines().last().unwrap_or("no statistics"));
        if after > before + LIMIT {
            return Err(format!("memory grew by {} KiB", after - before).into());
        }
        Ok(())
    }

    struct Node(Child);

    impl Node {
        fn start() -> Result<(Self, SocketAddr), Error> {
            let mut command = Command::new(env!("CARGO_BIN_EXE_kadlet"));
            let child = command.args(["node", "--listen", "127.0.0.1:0", "--json"]).stdout(Stdio::piped()).spawn()?;
            let mut node = Self(child);
            let mut first = String::new();
            let stdout = node.0.stdout.as_mut().ok_or("its output is a pipe")?;
            // A byte at a time: what follows the line is read at the end.
            BufReader::with_capacity(1, stdout).read_line(&mut first)?;
            let address = first.split_whitespace().nth(2).ok_or_else(|| format!("no address in: {first}"))?.parse()?;
            Ok((node, address))
        }

        /// KiB in memory.
        fn resident(&self) -> Result<usize, Error> {
            let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id()))?;
            let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
            Ok(line.trim().trim_end_matches(" kB").parse()?)
        }

        /// Ends it, and returns what it printed.
        fn stop(&mut self) -> Result<String, Error> {
            Command::new("sh").arg("-c").arg(format!("kill -TERM {}", self.0.id())).status()?;
            let mut printed = String::new();
            self.0.stdout.as_mut().ok_or("its output is a pipe")?.read_to_string(&mut printed)?;
            self.0.wait()?;
            Ok(printed)
        }
    }

    impl Drop for Node {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    fn socket(to: SocketAddr) -> io::Result<UdpSocket> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.connect(to)?;
        socket.set_read_timeout(Some(Duration::from_secs(5)))?;
        Ok(socket)
    }

    /// Asks, and waits for the answer.
    fn ping(asker: &UdpSocket) -> Result<(), Error> {
        let mut buf = [0; MAX_DATAGRAM];
        // A client, which the node has no reason to ask back.
        let mut message = request(Id::ZERO, None, Request::Ping);
        message.header.features = Features::default();
        let len = wire::encode(&message, &mut buf)?;
        asker.send(&buf[..len])?;
        let len = asker.recv(&mut buf).map_err(|error| format!("the node doesn't answer: {error}"))?;
        match wire::decode::<SocketAddrV4>(&buf[..len]) {
            Ok(Message { body: Body::Answer { answer: Answer::Pong { .. }, .. }, .. }) => Ok(()),
            other => Err(format!("not a pong: {other:?}").into()),
        }
    }

    fn hostile(random: &mut Random, number: usize) -> Vec<u8> {
        if number.is_multiple_of(3) {
            let len = random.next() as usize % 1_400;
            return (0..len).map(|_| random.next() as u8).collect();
        }
        let (sender, target) = (Id::from_bytes(random.bytes()), Id::from_bytes(random.bytes()));
        let token = Some(Token(random.bytes()));
        let value: [u8; 200] = random.bytes();
        let contact = [Contact::new(target, SocketAddrV4::new(Ipv4Addr::LOCALHOST, random.next() as u16))];
        let body = match (number % 3, random.next() % 4) {
            (1, 0) => request(sender, token, Request::Ping).body,
            (1, 1) => request(sender, None, Request::FindNode { target }).body,
            (1, 2) => request(sender, token, Request::FindValue { key: Key::plain(&value), have: None }).body,
            (1, _) => {
                let record = Record::immutable(&value);
                request(sender, token, Request::Store { record, lifetime: 3_600, compare: None, handover: false }).body
            }
            (_, 0) => answer(Answer::Pong { observed: Observed::new(contact[0].address) }),
            (_, 1) => answer(Answer::Nodes { contacts: Contacts::new(&contact) }),
            (_, 2) => answer(Answer::Value { record: Record::immutable(&value), lifetime: 3_600, contacts: Contacts::EMPTY }),
            (_, _) => answer(Answer::Stored { lifetime: 3_600 }),
        };
        let header = Header { transaction: Transaction(random.bytes()), sender, ..HEADER };
        let mut bytes = vec![0; MAX_DATAGRAM];
        let len = wire::encode(&Message { header, body }, &mut bytes).expect("it fits");
        bytes.truncate(len);
        if number % 3 == 1 {
            for _ in 0..random.next() % 4 {
                let at = random.next() as usize % len;
                bytes[at] = random.next() as u8;
            }
        }
        bytes
    }

    const HEADER: Header =
        Header { geometry: 1, network: 0, transaction: Transaction([0; 8]), sender: Id::ZERO, features: Features::SERVES };

    fn request(sender: Id, token: Option<Token>, request: Request<'_>) -> Message<'_, SocketAddrV4> {
        Message { header: Header { sender, ..HEADER }, body: Body::Request { largest: 1_208, token, request, padding: 0 } }
    }

    fn answer<'a>(answer: Answer<'a, SocketAddrV4>) -> Body<'a, SocketAddrV4> {
        Body::Answer { token: Token::default(), answer }
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
