//! A running `kadlet node` under a million hostile datagrams: its memory before and after, and whether it still
//! responds.
//!
//! `cargo bench -p kadlet-cli --bench flood [-- DATAGRAMS]`, on Linux. One million datagrams are, a third each, random
//! bytes, requests with some bytes changed, and responses without a request. Another million are relay requests,
//! most of them with a valid token. The node forwards these to its contacts. Some contacts are silent, some promise a
//! response that never comes, and some send the request back in a circle. The memory before is measured after the first
//! tenth, when the node has touched all memory that it needs to serve.

// A measurement may panic.
#![allow(clippy::disallowed_methods)]

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("not measured on this system: memory is read from /proc");
}

#[cfg(target_os = "linux")]
fn main() -> Result<(), Box<dyn core::error::Error>> {
    linux::main()
}

#[cfg(target_os = "linux")]
mod linux {
    use core::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
    use core::sync::atomic::{AtomicUsize, Ordering};
    use core::time::Duration;
    use std::io::{BufRead, BufReader, Read};
    use std::net::UdpSocket;
    use std::process::{Child, Command, Stdio};

    use std::thread;
    use std::time::Instant;

    use kadlet::message::{Contacts, ErrorCode, Features, Observed, RelayId, Request, Response, Target};
    use kadlet::wire::{self, Body, Header, Kadlet, MAX_DATAGRAM, Message, Token, Transaction};
    use kadlet::{Contact, Id, Key, Record};

    type Error = Box<dyn core::error::Error>;

    /// Hostile datagrams of each kind.
    const DATAGRAMS: usize = 1_000_000;
    /// Hostile datagrams between two valid pings. Their responses show that the node keeps up, so that none is lost.
    const ROUND: usize = 100;
    /// Hostile datagrams between two renewals of the tokens: long before the tokens expire.
    const RENEWAL: usize = 100_000;
    /// The most KiB that the node's memory can grow by: what the allocator may take for one of its pools.
    const LIMIT: usize = 64;

    /// relay requests that the node forwarded to a contact.
    static FORWARDED: AtomicUsize = AtomicUsize::new(0);

    pub(super) fn main() -> Result<(), Error> {
        let datagrams = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(DATAGRAMS);
        let (mut node, address) = Node::start()?;
        for number in 0..8 {
            let contact = Requester::new(address, Id::from_bytes([32 * number + 16; 20]))?;
            contact.meet()?;
            thread::spawn(move || contact.serve());
        }
        let requester = Requester::new(address, Id::ZERO)?;
        let mut random = Random(1);
        let mut requesters: Vec<Requester> =
            (0..16).map(|_| Requester::new(address, Id::from_bytes(random.bytes()))).collect::<Result<_, _>>()?;
        let mut flood = |count: usize| -> Result<(), Error> {
            for number in 0..2 * count {
                if number.is_multiple_of(RENEWAL) {
                    for requester in &mut requesters {
                        requester.token = requester.ping()?;
                    }
                }
                let at = random.next() as usize % requesters.len();
                let bytes = match number % 2 {
                    0 => hostile(&mut random, number / 2),
                    _ => relay(&mut random, &requesters, at),
                };
                // If the node's socket refused an earlier datagram, the error of this one is about that.
                let _ = requesters[at].socket.send(&bytes);
                if number.is_multiple_of(ROUND) {
                    requester.ping()?;
                }
            }
            requester.ping().map(|_| ())
        };
        flood(datagrams / 10)?;
        let before = node.resident()?;
        let began = Instant::now();
        flood(datagrams)?;
        let after = node.resident()?;
        println!(
            "{datagrams} hostile datagrams and as many relay requests in {:.1} s, and the node responds",
            began.elapsed().as_secs_f64()
        );
        let forwarded = FORWARDED.load(Ordering::Relaxed);
        println!("{forwarded} requests forwarded to its contacts");
        println!("memory before {before} KiB, after {after} KiB");
        println!("{}", node.stop()?.lines().last().unwrap_or("no statistics"));
        if forwarded == 0 {
            return Err("the node forwarded no request".into());
        }
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
            // Reads a byte at a time, because `stop` reads what follows the line.
            BufReader::with_capacity(1, stdout).read_line(&mut first)?;
            let object: serde_json::Value = serde_json::from_str(&first)?;
            let address = object["address"].as_str().ok_or_else(|| format!("no address in: {first}"))?.parse()?;
            Ok((node, address))
        }

        /// The node's memory in KiB.
        fn resident(&self) -> Result<usize, Error> {
            let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id()))?;
            let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
            Ok(line.trim().trim_end_matches(" kB").parse()?)
        }

        /// Ends the node, and returns what it printed.
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

    /// A requester of the node, which can become its contact.
    struct Requester {
        socket: UdpSocket,
        id: Id,
        /// The token that the node sent last.
        token: Token,
    }

    impl Requester {
        fn new(node: SocketAddr, id: Id) -> Result<Self, Error> {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
            socket.connect(node)?;
            socket.set_read_timeout(Some(Duration::from_secs(5)))?;
            let mut requester = Self { socket, id, token: Token::default() };
            requester.token = requester.ping()?;
            Ok(requester)
        }

        fn send(
            &self,
            transaction: Transaction,
            features: Features,
            body: Body<'_, SocketAddrV4, Kadlet>,
        ) -> Result<(), Error> {
            let mut buf = [0; MAX_DATAGRAM];
            let header = Header { transaction, sender: self.id, features, ..HEADER };
            let len = wire::encode(&Message { header, body }, &mut buf)?;
            self.socket.send(&buf[..len])?;
            Ok(())
        }

        /// Pings the node, and returns the token in its response.
        fn ping(&self) -> Result<Token, Error> {
            const PING: Transaction = Transaction(*b"the ping");
            let mut buf = [0; MAX_DATAGRAM];
            // Datagrams that came before could leave no space in the socket's buffer.
            self.socket.set_nonblocking(true)?;
            while self.socket.recv(&mut buf).is_ok() {}
            self.socket.set_nonblocking(false)?;
            // From a client, which the node does not ping back.
            self.send(PING, Features::default(), body(None, Request::Ping))?;
            loop {
                let len = self.socket.recv(&mut buf).map_err(|error| format!("the node doesn't respond: {error}"))?;
                match wire::decode::<SocketAddrV4>(&buf[..len]) {
                    Ok(Message { header, body: Body::Response { token, response } }) if header.transaction == PING => {
                        match response {
                            Response::Pong { .. } => return Ok(token),
                            other => return Err(format!("not a pong: {other:?}").into()),
                        }
                    }
                    _ => {}
                }
            }
        }

        /// Becomes a contact of the node: sends a request, and responds when the node pings back.
        fn meet(&self) -> Result<(), Error> {
            self.send(Transaction::default(), Features::SERVES, body(None, Request::Ping))?;
            let mut buf = [0; MAX_DATAGRAM];
            loop {
                let len = self.socket.recv(&mut buf).map_err(|error| format!("the node doesn't ping back: {error}"))?;
                let message = wire::decode::<SocketAddrV4>(&buf[..len])?;
                if let Body::Request { request: Request::Ping, .. } = message.body {
                    return self.respond(&message.header, pong());
                }
            }
        }

        fn respond(&self, request: &Header<Kadlet>, response: Response<'_, SocketAddrV4>) -> Result<(), Error> {
            self.send(request.transaction, Features::SERVES, Body::Response { token: Token(*b"mine too"), response })
        }

        /// Responds to the node as a contact that handles relay requests badly.
        fn serve(mut self) {
            let mut buf = [0; MAX_DATAGRAM];
            let mut random = Random(self.id.as_bytes()[0].into());
            loop {
                // A timeout is no error: the node may send nothing for a long time.
                let Ok(len) = self.socket.recv(&mut buf) else { continue };
                let Ok(Message { header, body: received }) = wire::decode::<SocketAddrV4>(&buf[..len]) else {
                    continue;
                };
                let request = match received {
                    Body::Response { token, .. } => {
                        self.token = token;
                        continue;
                    }
                    Body::Request { request, .. } => request,
                };
                let busy = Response::Error { code: ErrorCode::Busy, detail: 0 };
                let response = match (request, random.next() % 64) {
                    (Request::Ping, _) => pong(),
                    (Request::Relay { .. }, behaviour) => {
                        FORWARDED.fetch_add(1, Ordering::Relaxed);
                        match behaviour {
                            0 => continue,
                            1 => Response::Accepted,
                            2..8 => busy,
                            8..24 => {
                                let _ = self.send(
                                    Transaction(random.bytes()),
                                    Features::SERVES,
                                    body(Some(self.token), request),
                                );
                                busy
                            }
                            _ => {
                                Response::Relayed { hops: random.next() as u8, found: None, contacts: Contacts::EMPTY }
                            }
                        }
                    }
                    _ => Response::Nodes { contacts: Contacts::EMPTY },
                };
                let _ = self.respond(&header, response);
            }
        }
    }

    fn pong() -> Response<'static, SocketAddrV4> {
        Response::Pong { observed: Observed::new(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 4000)) }
    }

    /// A relay request. Its relay id may be that of another requester's request. Its token is the requester's own,
    /// another requester's, made up, or missing.
    fn relay(random: &mut Random, requesters: &[Requester], at: usize) -> Vec<u8> {
        let token = match random.next() % 8 {
            0 => None,
            1 => Some(Token(random.bytes())),
            2 => Some(requesters[(at + 1) % requesters.len()].token),
            _ => Some(requesters[at].token),
        };
        let relay_id = match random.next() % 4 {
            0 => RelayId([random.next() as u8 % 16; 8]),
            _ => RelayId(random.bytes()),
        };
        let id = Id::from_bytes(random.bytes());
        let target = match random.next() % 2 {
            0 => Target::Nodes(id),
            _ => Target::Value(Key { id, ..Key::plain(b"") }),
        };
        let (hops, time) = (random.next() as u8, random.next() as u16 >> (random.next() % 16));
        let header = Header { transaction: Transaction(random.bytes()), sender: requesters[at].id, ..HEADER };
        encoded(&Message { header, body: body(token, Request::Relay { relay_id, target, hops, time }) })
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
        let body = match (number % 3, random.next() % 6) {
            (1, 0) => body(token, Request::Ping),
            (1, 1) => body(None, Request::FindNode { target }),
            (1, 2) => body(token, Request::FindValue { key: Key::plain(&value), have: None }),
            (1, _) => {
                let record = Record::immutable(&value);
                body(token, Request::Store { record, lifetime: 3_600, compare: None, handover: false })
            }
            (_, 0) => response(Response::Pong { observed: Observed::new(contact[0].address) }),
            (_, 1) => response(Response::Nodes { contacts: Contacts::new(&contact) }),
            (_, 2) => response(Response::Value {
                record: Record::immutable(&value),
                lifetime: 3_600,
                contacts: Contacts::EMPTY,
            }),
            (_, 3) => response(Response::Accepted),
            (_, 4) => response(Response::Relayed { hops: 3, found: None, contacts: Contacts::new(&contact) }),
            (_, _) => response(Response::Stored { lifetime: 3_600 }),
        };
        let header = Header { transaction: Transaction(random.bytes()), sender, ..HEADER };
        let mut bytes = encoded(&Message { header, body });
        if number % 3 == 1 {
            for _ in 0..random.next() % 4 {
                let at = random.next() as usize % bytes.len();
                bytes[at] = random.next() as u8;
            }
        }
        bytes
    }

    const HEADER: Header<Kadlet> = Header {
        geometry: 1,
        network: 0,
        transaction: Transaction([0; 8]),
        sender: Id::ZERO,
        features: Features::SERVES,
    };

    fn body(token: Option<Token>, request: Request<'_>) -> Body<'_, SocketAddrV4, Kadlet> {
        Body::Request { largest: 1_208, token, request, padding: 0 }
    }

    fn response<'a>(response: Response<'a, SocketAddrV4>) -> Body<'a, SocketAddrV4, Kadlet> {
        Body::Response { token: Token::default(), response }
    }

    fn encoded(message: &Message<'_, SocketAddrV4, Kadlet>) -> Vec<u8> {
        let mut bytes = vec![0; MAX_DATAGRAM];
        let len = wire::encode(message, &mut bytes).expect("it fits");
        bytes.truncate(len);
        bytes
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
