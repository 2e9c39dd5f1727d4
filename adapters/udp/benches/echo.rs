//! The cost of a node on a socket compared with a plain echo: the server's CPU time for each find_node response.
//!
//! `cargo bench -p kadlet-udp --bench echo`. One side is a [`Server`] with 250 contacts, which responds with eight. In
//! one turn it is bound to one address, in another to all of the host's, where it must find out which one was asked.
//! The other side is an echo that waits, receives and sends with the same system calls in the same batches, and sends
//! as many bytes as the node. Each has a thread, whose CPU time is measured. One client sends requests to each in turn,
//! with the same number in flight. The times are noisy; their ratio, taken from neighbouring turns, is much less so. No
//! median ratio may exceed the limit.

#[cfg(target_os = "linux")]
fn main() -> Result<(), Box<dyn core::error::Error>> {
    linux::main()
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("not measured on this system: the echo needs Linux's system calls");
}

#[cfg(target_os = "linux")]
mod linux {
    use core::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
    use core::time::Duration;
    use std::io::{self, IoSlice, IoSliceMut};
    use std::net::UdpSocket;
    use std::os::fd::AsRawFd;
    use std::sync::mpsc::{self, Receiver, Sender};
    use std::thread;
    use std::time::Instant;

    use kadlet::message::{Contacts, Features, Request, Response};
    use kadlet::routing::Limits;
    use kadlet::wire::{self, Body, Header, Kadlet, MAX_DATAGRAM, Message, Transaction};
    use kadlet::{Config, Contact, Dht, FixedStore, Geometry, Id, Kademlia, Node, Routing, Store, Xor};
    use kadlet_udp::Server;
    use mio::unix::SourceFd;
    use mio::{Events, Interest, Poll, Token};
    use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg, sendmmsg};
    use nix::time::{ClockId, clock_gettime};

    type Mote = Node<Kademlia<SocketAddrV4, 256>, FixedStore<32, 8192>>;
    type Error = Box<dyn core::error::Error>;

    /// The highest median ratio that passes.
    const LIMIT: f64 = 1.25;
    const CONTACTS: usize = 250;
    /// Bytes of a request, padded to a third of its response.
    const REQUEST: usize = 90;
    /// Bytes of a response with eight IPv4 contacts.
    const RESPONSE: usize = 268;
    /// Datagrams in one of the adapter's batches.
    const BATCH: usize = 32;
    /// Requests in flight.
    const IN_FLIGHT: usize = 64;
    /// Turns of the node and as many of the echo.
    const TURNS: usize = 20;
    /// Requests in a turn.
    const REQUESTS: usize = 20_000;

    pub(super) fn main() -> Result<(), Error> {
        let quick = std::env::args().any(|argument| argument == "--quick");
        let turns = if quick { TURNS / 4 } else { TURNS };
        let servers =
            [Ipv4Addr::LOCALHOST, Ipv4Addr::UNSPECIFIED].map(|address| Server::bind((address, 0).into(), node()));
        let [one, all] = servers;
        let (one, all, echo) = (one?, all?, Echo::start()?);
        let (mut client, mut other) = (Client::new()?, Client::new()?);
        let mut measure = |server: &Server<Mote>| -> Result<Turn, Error> {
            let cpu = || server.handle().with(|_, _| cpu_time());
            let (began, port) = (cpu()?, server.local_addr().port());
            let took = client.run((Ipv4Addr::LOCALHOST, port).into())?;
            Ok(Turn { cpu: cpu()? - began, took })
        };
        // The first turns warm up.
        for server in [&one, &all] {
            measure(server)?;
        }
        echo.measure(&mut other)?;
        let mut measured = Vec::new();
        for _ in 0..turns {
            measured.push((measure(&one)?, echo.measure(&mut other)?, measure(&all)?));
        }
        for server in [&one, &all] {
            let responded = server.handle().with(|node, _| node.stats().responses_sent)?;
            assert!(responded >= ((turns + 1) * REQUESTS) as u64, "only {responded} requests got a response");
        }

        let each = |time: Duration| time.as_secs_f64() * 1e9 / REQUESTS as f64;
        let ratio = |node: &Turn, echo: &Turn| each(node.cpu) / each(echo.cpu);
        print("node, CPU ns a response", measured.iter().map(|(node, ..)| each(node.cpu)), 0);
        print("the same, all addresses", measured.iter().map(|(_, _, node)| each(node.cpu)), 0);
        print("echo, CPU ns a response", measured.iter().map(|(_, echo, _)| each(echo.cpu)), 0);
        print("node without a socket", (0..turns).map(|_| each(node_alone())), 0);
        print("node, responses/second", measured.iter().map(|(node, ..)| 1e9 / each(node.took)), 0);
        print("echo, responses/second", measured.iter().map(|(_, echo, _)| 1e9 / each(echo.took)), 0);
        let one = print("CPU, node / echo", measured.iter().map(|(node, echo, _)| ratio(node, echo)), 2);
        let all = print("the same, all addresses", measured.iter().map(|(_, echo, node)| ratio(node, echo)), 2);
        if one.max(all) > LIMIT {
            return Err(format!("a median ratio is above {LIMIT}: {one:.2}, or {all:.2} with all addresses").into());
        }
        Ok(())
    }

    /// Prints the minimum, median and maximum; returns the median.
    fn print(what: &str, values: impl Iterator<Item = f64>, digits: usize) -> f64 {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        let (least, median, most) = (values[0], values[values.len() / 2], values[values.len() - 1]);
        println!("{what:24} min {least:>9.digits$}  median {median:>9.digits$}  max {most:>9.digits$}");
        median
    }

    struct Turn {
        /// CPU time of the server's thread.
        cpu: Duration,
        took: Duration,
    }

    /// Sends requests and counts the responses.
    struct Client {
        socket: UdpSocket,
        requests: Vec<Vec<u8>>,
    }

    impl Client {
        fn new() -> io::Result<Self> {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
            socket.set_read_timeout(Some(Duration::from_secs(1)))?;
            Ok(Self { socket, requests: requests() })
        }

        /// Sends a turn's requests. Returns the time until all responses were there.
        fn run(&mut self, to: SocketAddr) -> Result<Duration, Error> {
            self.socket.connect(to)?;
            let began = Instant::now();
            let (mut sent, mut received) = (0, 0);
            let mut bytes = [[0; MAX_DATAGRAM]; BATCH];
            while received < REQUESTS {
                while sent < REQUESTS && sent + BATCH <= received + IN_FLIGHT {
                    let slices: [[IoSlice<'_>; 1]; BATCH] = core::array::from_fn(|index| {
                        [IoSlice::new(&self.requests[(sent + index) % self.requests.len()])]
                    });
                    let mut headers = MultiHeaders::<SockaddrStorage>::preallocate(BATCH, None);
                    sent +=
                        sendmmsg(self.socket.as_raw_fd(), &mut headers, &slices, [None; BATCH], [], MsgFlags::empty())?
                            .count();
                }
                let mut headers = MultiHeaders::<SockaddrStorage>::preallocate(BATCH, None);
                let mut slices = bytes.each_mut().map(|bytes| [IoSliceMut::new(bytes)]);
                let batch =
                    recvmmsg(self.socket.as_raw_fd(), &mut headers, slices.iter_mut(), MsgFlags::MSG_WAITFORONE, None)?;
                for message in batch {
                    assert_eq!(message.bytes, RESPONSE);
                    received += 1;
                }
            }
            Ok(began.elapsed())
        }
    }

    /// A thread that sends back what it receives, enlarged to the size of a response.
    struct Echo {
        address: SocketAddr,
        request_cpu: Sender<()>,
        cpu: Receiver<Duration>,
        waker: mio::Waker,
    }

    impl Echo {
        fn start() -> io::Result<Self> {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
            socket.set_nonblocking(true)?;
            let address = socket.local_addr()?;
            let poll = Poll::new()?;
            let waker = mio::Waker::new(poll.registry(), Token(1))?;
            poll.registry().register(&mut SourceFd(&socket.as_raw_fd()), Token(0), Interest::READABLE)?;
            let (request_cpu, requests) = mpsc::channel();
            let (send_cpu, cpu) = mpsc::channel();
            thread::spawn(move || Self::run(poll, &socket, &requests, &send_cpu));
            Ok(Self { address, request_cpu, cpu, waker })
        }

        fn run(
            mut poll: Poll,
            socket: &UdpSocket,
            cpu_requests: &Receiver<()>,
            send_cpu: &Sender<Duration>,
        ) -> io::Result<()> {
            let mut events = Events::with_capacity(4);
            let mut bytes = vec![[0; MAX_DATAGRAM]; BATCH];
            loop {
                poll.poll(&mut events, None)?;
                while Self::turn(socket, &mut bytes)? == BATCH {}
                for () in cpu_requests.try_iter() {
                    let _ = send_cpu.send(cpu_time());
                }
            }
        }

        /// Receives a batch and sends it back.
        fn turn(socket: &UdpSocket, bytes: &mut [[u8; MAX_DATAGRAM]]) -> io::Result<usize> {
            let mut headers = MultiHeaders::<SockaddrStorage>::preallocate(BATCH, None);
            let mut slices: [[IoSliceMut<'_>; 1]; BATCH] = {
                let mut rest = bytes.iter_mut();
                core::array::from_fn(|_| [IoSliceMut::new(rest.next().map_or(&mut [][..], |bytes| &mut bytes[..]))])
            };
            let mut from = [None; BATCH];
            let mut count = 0;
            match recvmmsg(socket.as_raw_fd(), &mut headers, slices.iter_mut(), MsgFlags::empty(), None) {
                Ok(batch) => {
                    for (from, message) in from.iter_mut().zip(batch) {
                        *from = message.address;
                        count += 1;
                    }
                }
                Err(nix::errno::Errno::EAGAIN) => return Ok(0),
                Err(error) => return Err(error.into()),
            }
            let mut slices = [[IoSlice::new(&[])]; BATCH];
            for (slice, bytes) in slices.iter_mut().zip(&*bytes).take(count) {
                *slice = [IoSlice::new(&bytes[..RESPONSE])];
            }
            let mut headers = MultiHeaders::<SockaddrStorage>::preallocate(count, None);
            let sent =
                sendmmsg(socket.as_raw_fd(), &mut headers, &slices[..count], &from[..count], [], MsgFlags::empty())?
                    .count();
            assert_eq!(sent, count);
            Ok(count)
        }

        fn cpu_time(&self) -> Result<Duration, Error> {
            self.request_cpu.send(())?;
            self.waker.wake()?;
            Ok(self.cpu.recv()?)
        }

        fn measure(&self, client: &mut Client) -> Result<Turn, Error> {
            let began = self.cpu_time()?;
            let took = client.run(self.address)?;
            Ok(Turn { cpu: self.cpu_time()? - began, took })
        }
    }

    /// The CPU time of this thread.
    fn cpu_time() -> Duration {
        clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("Linux has this clock").into()
    }

    /// The CPU time of a turn's responses without a socket.
    fn node_alone() -> Duration {
        let (mut node, requests) = (node(), requests());
        let mut buf = [0; MAX_DATAGRAM];
        let began = cpu_time();
        for number in 0..REQUESTS {
            let now = kadlet::Instant::from_micros(number as u64);
            let from = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 4000);
            let response = node.handle_datagram(now, from, &requests[number % requests.len()], &mut buf);
            assert_eq!(response.map(|response| response.len), Some(RESPONSE));
        }
        cpu_time() - began
    }

    /// A node that has no maintenance due: it only responds.
    fn node() -> Mote {
        let mut random = Random(1);
        let own = random.id();
        let hour = Duration::from_secs(60 * 60);
        let limits = Limits { neighbourhood_min: hour, neighbourhood_max: hour, ..Limits::DEFAULT };
        let mut table = Kademlia::EMPTY;
        table.start(kadlet::Instant::ZERO, own, &limits, 1).unwrap();
        for number in 0..CONTACTS {
            let (depth, mut id) = (number / 8, *random.id().as_bytes());
            for bit in 0..=depth {
                let (byte, mask) = (bit / 8, 0x80 >> (bit % 8));
                let same = own.as_bytes()[byte] & mask;
                id[byte] = id[byte] & !mask | if bit < depth { same } else { same ^ mask };
            }
            let address = SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, number as u8), 4000);
            table.responded(kadlet::Instant::ZERO, Contact::new(Id::from_bytes(id), address), None);
        }
        while table.maintenance(kadlet::Instant::ZERO).is_some() {}
        assert_eq!(table.peers().count(), CONTACTS);
        let mut store = FixedStore::EMPTY;
        store.start(own, Xor::rank, [0; 16]);
        Node::from_parts(Config { table: limits, ..Config::default() }, [1; 32], table, store).unwrap()
    }

    /// Requests from nodes that the node doesn't know, for random targets.
    fn requests() -> Vec<Vec<u8>> {
        let mut random = Random(2);
        let request = |_| {
            let header = Header {
                geometry: 1,
                network: 0,
                transaction: Transaction([7; 8]),
                sender: random.id(),
                features: Features::SERVES,
            };
            let request = Request::FindNode { target: random.id() };
            let message = |padding| Message::<SocketAddrV4, Kadlet> {
                header,
                body: Body::Request { largest: 1_208, token: None, request, padding },
            };
            let padding = REQUEST - wire::encoded_len(&message(0));
            let mut bytes = vec![0; REQUEST];
            assert_eq!(wire::encode(&message(padding as u16), &mut bytes), Ok(REQUEST));
            bytes
        };
        // Enough random targets to fall into each of the first buckets.
        let requests: Vec<_> = (0..8 * BATCH).map(request).collect();
        assert!(matches!(contacts_in_response(&requests[0]), Some(8)));
        requests
    }

    /// The number of contacts in the response to `request`.
    fn contacts_in_response(request: &[u8]) -> Option<usize> {
        let mut buf = [0; MAX_DATAGRAM];
        let out = node().handle_datagram(
            kadlet::Instant::ZERO,
            SocketAddrV4::new(Ipv4Addr::LOCALHOST, 4000),
            request,
            &mut buf,
        )?;
        match wire::decode::<SocketAddrV4>(&buf[..out.len]).ok()?.body {
            Body::Response { response: Response::Nodes { contacts }, .. } => Some(Contacts::count(&contacts)),
            _ => None,
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
}
