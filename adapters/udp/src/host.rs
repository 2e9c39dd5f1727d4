//! A ready node for hosts.

use core::fmt;
use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use core::time::Duration;
use std::io;
use std::net::ToSocketAddrs;
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use kadlet::{Config, ConfigError, HashStore, Id, Kademlia, Node, Routing};

use crate::async_handle::AsyncHandle;
use crate::bootstraps::{BOOTSTRAPS, Bootstraps, Given, Resolver, reaches};
use crate::driver::Driver;
use crate::handle::Handle;
use crate::joining::{self, NoNetwork, Step};
use crate::life::panicked;
use crate::mailbox::{mailbox, wait};
use crate::outcome::Error;
use crate::queue::LONGEST;
use crate::random::{random_id, seed};
use crate::server::{PLACES, Server};

/// The node of a [`Host`]: Kademlia over IPv4 and IPv6 with at most 512 contacts and 64 replacements, a store on the
/// heap, 16 operations and 16 gets at once, 16 bootstrap addresses and 16 relay requests.
pub type HostNode = Node<Kademlia<SocketAddr, 512, 64>, HashStore, 16, 24, 16, 64, 256, BOOTSTRAPS, 16>;

/// How long after its time limit [`Host::join`] still waits for its result.
const GRACE: Duration = Duration::from_secs(5);

/// Bytes of stack on which a host is made.
const STACK: usize = 8 << 20;

/// A ready node for hosts: a [`Server`] with a [`HostNode`], which looks for its network by itself.
///
/// The bootstrap addresses can have names. They are looked up in the background, and again while the node knows no
/// other: after 5 s, and then after pauses that double up to 15 minutes. No call waits longer than its time limit.
///
/// A node that serves others should have a fixed port, and be kept running. What it holds it has in memory: the feature
/// `snapshot` of [`kadlet`] saves it.
///
/// ```
/// use core::time::Duration;
/// use kadlet_udp::Host;
/// use kadlet_udp::kadlet::{Options, Record};
///
/// # fn main() -> Result<(), Box<dyn core::error::Error>> {
/// let first = Host::builder().listen("127.0.0.1:0").start()?;
/// let second = Host::builder().listen("127.0.0.1:0").bootstrap(first.local_addr()).store(1_000, 1 << 20).start()?;
/// second.join(Duration::from_secs(10))?;
///
/// let record = Record::immutable(b"hello world");
/// second.handle().put(&record, &Options::default())?;
/// let got = first.handle().get(record.key(), &Options::default())?;
/// assert_eq!(got.record.value, b"hello world");
/// # Ok(())
/// # }
/// ```
pub struct Host {
    joining: Stop,
    server: Server<HostNode>,
}

/// Ends the thread that looks for the network, when it is dropped.
struct Stop(mpsc::Sender<Step>);

/// The settings of a [`Host`]. [`start`](HostBuilder::start) checks them.
///
/// ```
/// use kadlet_udp::{Host, HostError};
///
/// let mistake = Host::builder().bootstrap("example.org").start().map(|_| ());
/// assert!(matches!(mistake, Err(HostError::Setting(_))));
/// println!("{}", mistake.unwrap_err());
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct HostBuilder {
    listen: Option<String>,
    bootstraps: Vec<String>,
    records: usize,
    bytes: usize,
    id: Option<Id>,
    config: Config,
    queue: usize,
    resolver: Resolver,
}

/// Why a host did not start, or not join. The text says what to try.
#[derive(Debug)]
#[non_exhaustive]
pub enum HostError {
    /// A setting of the builder can't be used. Nothing was started.
    Setting(String),
    /// A value of the [`Config`] is out of its range. Nothing was started.
    Config(ConfigError),
    /// The system refuses the address to listen on. Nothing was started.
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's reason.
        error: io::Error,
    },
    /// The system has no random numbers, threads or descriptors left. Nothing was started.
    System(io::Error),
    /// The host has no bootstrap address, and no other node has come by itself.
    NoAddresses,
    /// No node responded at the bootstrap addresses, within the time limit or at all; and what else went wrong. The
    /// node goes on trying.
    NoResponse(String),
    /// The node has ended: [`Error::Stopped`] or [`Error::Died`].
    Ended(Error<SocketAddr>),
}

impl Host {
    /// The settings of a new host: any port of all addresses, no bootstrap address, at most 65,536 records in 16 MiB, a
    /// random identifier, and [`Config::DEFAULT`] with [`ed25519::verify`](kadlet::ed25519::verify).
    pub fn builder() -> HostBuilder {
        HostBuilder {
            listen: None,
            bootstraps: Vec::new(),
            records: 65_536,
            bytes: 16 << 20,
            id: None,
            config: Config { verify: Some(kadlet::ed25519::verify), ..Config::DEFAULT },
            queue: PLACES,
            resolver: |name| name.to_socket_addrs().map(Vec::from_iter),
        }
    }

    /// The address that the socket is bound to.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.server.local_addr()
    }

    /// A handle for calls that block.
    #[must_use]
    pub fn handle(&self) -> Handle<HostNode> {
        self.server.handle()
    }

    /// A handle for calls of tasks.
    #[must_use]
    pub fn async_handle(&self) -> AsyncHandle<HostNode> {
        self.server.async_handle()
    }

    /// Waits until the node knows another one, at most for `limit`. Without an error calls can begin.
    ///
    /// # Errors
    ///
    /// [`HostError::NoAddresses`], [`HostError::NoResponse`], [`HostError::Ended`]. If all addresses have failed, it
    /// doesn't wait for the time limit. The node goes on trying, and this can be called again.
    pub fn join(&self, limit: Duration) -> Result<(), HostError> {
        let until = Instant::now() + limit.min(LONGEST) + GRACE;
        wait(self.joined(limit), Some(until)).unwrap_or_else(|| Err(HostError::NoResponse("no result in time".into())))
    }

    /// As [`join`](Host::join), for a task.
    ///
    /// # Errors
    ///
    /// Those of [`join`](Host::join).
    pub async fn joined(&self, limit: Duration) -> Result<(), HostError> {
        let (sender, mut joined) = mailbox(1);
        let _ = self.joining.0.send(Step::Join(Instant::now() + limit.min(LONGEST), sender));
        match joined.receive().await {
            Some(Ok(())) => Ok(()),
            Some(Err(NoNetwork::NoAddresses)) => Err(HostError::NoAddresses),
            Some(Err(NoNetwork::NoResponse(why))) => Err(HostError::NoResponse(why)),
            Some(Err(NoNetwork::Ended(error))) => Err(HostError::Ended(error)),
            None => Err(HostError::Ended(self.async_handle().ended().await)),
        }
    }

    /// Ends the host and returns its node, whose contacts and records can then be saved. The calls that still wait
    /// return [`Error::Stopped`].
    ///
    /// # Errors
    ///
    /// Those of [`Server::shutdown`].
    pub fn shutdown(self) -> io::Result<HostNode> {
        self.server.shutdown()
    }
}

impl HostBuilder {
    /// The address to listen on: `IP:PORT`. With `0.0.0.0` these are all IPv4 addresses of the host, with `[::]` all
    /// IPv6 and IPv4 addresses. With port 0 the system chooses one. By default `[::]:0`, or `0.0.0.0:0` on a host
    /// without IPv6.
    pub fn listen(mut self, address: impl ToString) -> Self {
        self.listen = Some(address.to_string());
        self
    }

    /// Adds an address at which a node of the network runs: `NAME:PORT` or `IP:PORT`. At most 16.
    pub fn bootstrap(mut self, address: impl ToString) -> Self {
        self.bootstraps.push(address.to_string());
        self
    }

    /// The bounds of the store: at most `records` records in `bytes` bytes of values, salts, keys and signatures, which
    /// are taken from the heap as records come, with some 500 bytes more for each.
    pub fn store(mut self, records: usize, bytes: usize) -> Self {
        (self.records, self.bytes) = (records, bytes);
        self
    }

    /// The node's identifier. At a global address the node takes one that is [bound](Id::bound) to it later.
    pub fn id(mut self, id: Id) -> Self {
        self.id = Some(id);
        self
    }

    /// Changes the node's configuration, for example `.configure(|config| config.plain = true)`.
    pub fn configure(mut self, change: impl FnOnce(&mut Config)) -> Self {
        change(&mut self.config);
        self
    }

    /// How many calls can wait for a slot of the node: 1 to 65,536; 256 by default.
    pub fn queue(mut self, calls: usize) -> Self {
        self.queue = calls;
        self
    }

    /// Starts the node, and begins to look for its network.
    ///
    /// # Errors
    ///
    /// [`HostError::Setting`], [`HostError::Config`], [`HostError::Listen`], [`HostError::System`].
    pub fn start(self) -> Result<Host, HostError> {
        // A node is large, and moved a few times before it is on the heap: too large for the stacks of some threads.
        let starting = thread::Builder::new().stack_size(STACK).spawn(move || self.start_here());
        let started = starting.map_err(HostError::System)?.join();
        started.unwrap_or_else(|panic| Err(HostError::System(panicked(panic.as_ref()))))
    }

    fn start_here(self) -> Result<Host, HostError> {
        let bootstraps = self.given()?;
        if self.records == 0 || self.bytes == 0 {
            let what = format!("a store of {} records in {} bytes holds nothing", self.records, self.bytes);
            return Err(HostError::Setting(format!("{what}: set at least 1 record and its bytes")));
        }
        let driver = self.bind()?;
        let local = driver.local_addr();
        let unreachable = |given: &Given| matches!(given, Given::Address(address) if !reaches(local, address));
        if let Some(Given::Address(address)) = bootstraps.iter().find(|given| unreachable(given)) {
            let what = format!("{local} can't send to the bootstrap address {address}, of another family");
            return Err(HostError::Setting(format!("{what}: listen on [::]:{} for both", local.port())));
        }
        let server = Server::start_queued(driver, self.queue, |_| {}).map_err(|error| match error.kind() {
            io::ErrorKind::InvalidInput => HostError::Setting(error.to_string()),
            _ => HostError::System(error),
        })?;
        let joining = joining::start(server.handle(), Bootstraps::new(local, bootstraps), self.resolver);
        Ok(Host { joining: Stop(joining.map_err(HostError::System)?), server })
    }

    fn given(&self) -> Result<Vec<Given>, HostError> {
        if self.bootstraps.len() > BOOTSTRAPS {
            let what = format!("{} bootstrap addresses: give at most {BOOTSTRAPS}", self.bootstraps.len());
            return Err(HostError::Setting(what));
        }
        let parse = |text: &String| {
            text.parse().map_err(|why| HostError::Setting(format!("the bootstrap address {text:?}: {why}")))
        };
        self.bootstraps.iter().map(parse).collect()
    }

    /// Binds the node to the address that was given, or to the first default that the system has.
    fn bind(&self) -> Result<Driver<HostNode>, HostError> {
        let Some(text) = &self.listen else {
            let (both, v4) = ((Ipv6Addr::UNSPECIFIED, 0).into(), (Ipv4Addr::UNSPECIFIED, 0).into());
            return self.bind_to(both).or_else(|_| self.bind_to(v4));
        };
        let address = text.parse().map_err(|_| {
            let example = "0.0.0.0:4000, or [::]:4000 for IPv6 and IPv4";
            HostError::Setting(format!("the address to listen on {text:?}: it must be IP:PORT, such as {example}"))
        })?;
        self.bind_to(address)
    }

    fn bind_to(&self, address: SocketAddr) -> Result<Driver<HostNode>, HostError> {
        let id = self.id.map_or_else(random_id, Ok).map_err(HostError::System)?;
        let seed = seed().map_err(HostError::System)?;
        let store = HashStore::new(self.records, self.bytes);
        let node = HostNode::from_parts(self.config, [0; 32], Kademlia::EMPTY, store);
        let mut node = node.map_err(HostError::Config)?;
        node.start(kadlet::Instant::ZERO, self.config, id, seed).map_err(HostError::Config)?;
        Driver::bind(address, node).map_err(|error| HostError::Listen { address, error })
    }
}

impl Drop for Stop {
    fn drop(&mut self) {
        let _ = self.0.send(Step::Stop);
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").field("server", &self.server).finish_non_exhaustive()
    }
}

impl fmt::Display for HostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Setting(what) => f.write_str(what),
            Self::Config(error) => error.fmt(f),
            Self::Listen { address, error } => {
                write!(f, "can't listen on {address}: {error}; try an address of this host, or port 0 for a free one")
            }
            Self::System(error) => {
                write!(f, "the system can't run another node: {error}; try higher limits of threads and open files")
            }
            Self::NoAddresses => f.write_str("no other node is known: give the bootstrap address of one"),
            Self::NoResponse(why) => write!(
                f,
                "{why}; check that a node of the same network and geometry runs there, and that no firewall drops UDP"
            ),
            Self::Ended(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for HostError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Config(error) => Some(error),
            Self::Listen { error, .. } | Self::System(error) => Some(error),
            Self::Ended(error) => Some(error),
            Self::Setting(_) | Self::NoAddresses | Self::NoResponse(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use core::sync::atomic::{AtomicU16, Ordering};
    use std::net::UdpSocket;

    use kadlet::record::Proof;
    use kadlet::{Dht, Mode, Options, Record};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(20);
    /// The port of `moving.test`.
    static MOVING: AtomicU16 = AtomicU16::new(0);
    /// The port of `later.test`. While it is 0, there is no such name.
    static LATER: AtomicU16 = AtomicU16::new(0);

    /// A resolver without a network.
    const FAKE: Resolver = |name| {
        let (host, port) = name.split_once(':').unwrap_or_default();
        let loopback = |port: u16| vec![SocketAddr::from((Ipv4Addr::LOCALHOST, port))];
        match host {
            "loopback.test" => Ok(loopback(port.parse().unwrap())),
            "moving.test" => Ok(loopback(MOVING.load(Ordering::Relaxed))),
            "later.test" if LATER.load(Ordering::Relaxed) != 0 => Ok(loopback(LATER.load(Ordering::Relaxed))),
            "silent.test" => {
                thread::sleep(3 * LIMIT);
                Ok(Vec::new())
            }
            _ => Err(io::Error::other("no such name")),
        }
    };

    fn builder() -> HostBuilder {
        HostBuilder { resolver: FAKE, ..Host::builder() }.listen("127.0.0.1:0")
    }

    /// A host with these bootstrap addresses.
    fn host(bootstraps: &[&str]) -> Host {
        bootstraps.iter().fold(builder(), HostBuilder::bootstrap).start().unwrap()
    }

    /// An address without a node.
    fn unused() -> SocketAddr {
        UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
    }

    #[test]
    fn hosts_put_and_get_signed_records_in_both_modes() {
        let first = builder().start().unwrap();
        let [second, third] = [(); 2].map(|()| builder().bootstrap(first.local_addr()).start().unwrap());
        second.join(LIMIT).unwrap();
        third.join(LIMIT).unwrap();
        let (public, value) = (kadlet::ed25519::public_key(&[7; 32]), b"signed");
        let signature = kadlet::ed25519::sign(&[7; 32], 0, b"", 1, value);
        let proof = Proof::Signed { public_key: &public, salt: b"", sequence: 1, signature: &signature };
        let record = Record { value, proof };
        second.handle().put(&record, &Options::default()).unwrap();
        for mode in [Mode::Iterative, Mode::Recursive] {
            let got = third.handle().get(record.key(), &Options { mode, ..Options::default() }).unwrap();
            assert_eq!(got.record.as_record(), record);
        }
    }

    #[test]
    fn mistakes_of_a_builder_are_errors_that_say_what_to_try() {
        let many = (1..=17).fold(builder(), |builder, port| builder.bootstrap(format!("127.0.0.1:{port}")));
        for (builder, tip) in [
            (builder().listen("localhost"), "it must be IP:PORT"),
            (builder().listen("192.0.2.1:0"), "try an address of this host"),
            (builder().bootstrap("example.org"), "it must be NAME:PORT"),
            (builder().bootstrap("127.0.0.1:0"), "no datagram can be sent to it"),
            (builder().bootstrap("[2001:db8::1]:4000"), "listen on [::]:"),
            (many, "at most 16"),
            (builder().store(0, 1_000), "at least 1 record"),
            (builder().queue(0), "must be 1 to 65536"),
            (builder().configure(|config| config.alpha = 0), "alpha is 0; it must be 1 to 16"),
        ] {
            let text = builder.clone().start().map(|_| ()).unwrap_err().to_string();
            assert!(text.contains(tip), "{builder:?}: {text}");
        }
    }

    #[test]
    fn a_host_joins_through_what_resolves_and_waits_for_nothing_else() {
        let first = host(&[]);
        let port = first.local_addr().port();
        let names = ["gone.test:1".into(), "silent.test:1".into(), format!("loopback.test:{port}")];
        let second = host(&names.each_ref().map(String::as_str));
        let start = Instant::now();
        second.join(3 * LIMIT).unwrap();
        assert!(start.elapsed() < LIMIT / 2, "{:?}", start.elapsed());
    }

    #[test]
    fn a_host_that_finds_nobody_says_why_and_waits_no_longer_than_it_must() {
        let start = Instant::now();
        let gone = host(&["gone.test:1"]).join(3 * LIMIT).unwrap_err().to_string();
        assert!(gone.contains("can't resolve gone.test:1: no such name; check that"), "{gone}");
        let silent = host(&["silent.test:1", "gone.test:1"]);
        let silent = smol::block_on(silent.joined(Duration::from_millis(300))).unwrap_err().to_string();
        assert!(silent.contains("silent.test:1 is not resolved yet; can't resolve gone.test:1"), "{silent}");
        let unused = unused().to_string();
        let nobody = host(&[&unused]).join(3 * LIMIT).unwrap_err().to_string();
        assert!(nobody.contains(&format!("no node responded at {unused}: ")), "{nobody}");
        assert!(start.elapsed() < LIMIT, "{:?}", start.elapsed());
    }

    #[test]
    fn a_host_without_bootstrap_addresses_has_joined_when_another_node_comes() {
        let first = host(&[]);
        assert!(matches!(first.join(LIMIT), Err(HostError::NoAddresses)));
        let second = builder().bootstrap(first.local_addr()).start().unwrap();
        second.join(LIMIT).unwrap();
        let start = Instant::now();
        while first.join(LIMIT).is_err() {
            assert!(start.elapsed() < LIMIT);
            thread::yield_now();
        }
        assert_eq!(second.shutdown().unwrap().routing().peers().count(), 1);
    }

    #[test]
    fn a_name_is_looked_up_again_for_the_next_call_and_followed_to_its_new_address() {
        MOVING.store(unused().port(), Ordering::Relaxed);
        let moving = host(&["moving.test:1"]);
        assert!(matches!(moving.join(LIMIT), Err(HostError::NoResponse(_))));
        let other = host(&[]);
        MOVING.store(other.local_addr().port(), Ordering::Relaxed);
        moving.join(LIMIT).unwrap();
    }

    #[test]
    fn a_name_that_was_not_found_is_looked_up_again_for_the_next_call() {
        LATER.store(0, Ordering::Relaxed);
        let (other, later) = (host(&[]), host(&["later.test:1"]));
        assert!(matches!(later.join(LIMIT), Err(HostError::NoResponse(_))));
        LATER.store(other.local_addr().port(), Ordering::Relaxed);
        later.join(LIMIT).unwrap();
    }

    #[test]
    fn a_call_of_a_host_whose_node_has_died_tells_why() {
        let dying = host(&["silent.test:1"]);
        let _ = dying.handle().with(|_, _| panic!("expected by the test"));
        let ended = dying.join(LIMIT).unwrap_err();
        assert!(matches!(&ended, HostError::Ended(Error::Died(_))), "{ended}");
        assert!(dying.shutdown().is_err());
    }
}
