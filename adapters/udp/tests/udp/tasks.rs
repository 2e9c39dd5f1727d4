//! Calls of tasks, and the queue in which they wait.

use core::future::Future;
use core::net::{Ipv4Addr, SocketAddr};
use core::pin::{Pin, pin};
use core::task::{Context, Waker};
use core::time::Duration;
use std::io;
use std::net::UdpSocket;
use std::time::Instant;

use kadlet::{Dht, Event, Id, Key, Options, Record};
use kadlet_udp::{AsyncHandle, Driver, Error, Handle, Pong, Server};
use smol::future::{self, FutureExt};

use crate::fake::{Fake, Mote, mote};

const LOCAL: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 0);
const LIMIT: Duration = Duration::from_secs(20);
/// The operation slots of a [`Mote`].
const SLOTS: u64 = 4;

type Ping = Pin<Box<dyn Future<Output = Result<Pong<SocketAddr>, Error<SocketAddr>>> + Send>>;

fn server(queue: usize) -> Server<Mote> {
    Server::start_queued(Driver::bind(LOCAL.into(), mote()).unwrap(), queue, |_| {}).unwrap()
}

/// A server with these events, of which `start` adds those that come later.
fn with_events(events: impl IntoIterator<Item = Event<'static, SocketAddr>>) -> Server<Fake> {
    let mut fake = Fake::new();
    fake.events.extend(events);
    Server::bind(LOCAL.into(), fake).unwrap()
}

/// A ping that has begun, or waits, and isn't awaited.
fn begun(dht: &AsyncHandle<Mote>, address: SocketAddr, limit: Duration) -> Ping {
    let dht = dht.clone();
    let mut ping: Ping = Box::pin(async move { dht.ping(address, limit).await });
    assert!(ping.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    ping
}

/// Takes all slots of a node by pings of a socket that never responds.
fn busy(server: &Server<Mote>, silent: SocketAddr) -> Vec<Ping> {
    let dht = server.async_handle();
    let ping = |number| {
        let ping = begun(&dht, silent, LIMIT);
        sent(&server.handle(), number);
        ping
    };
    (1..=SLOTS).map(ping).collect()
}

/// Waits until a node has sent this many datagrams.
fn sent(handle: &Handle<Mote>, count: u64) {
    let start = Instant::now();
    while handle.patient().with(|node, _| node.stats().sent).unwrap() < count {
        assert!(start.elapsed() < LIMIT);
    }
}

fn silent() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind(LOCAL).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

fn address_event(port: u16) -> Event<'static, SocketAddr> {
    Event::ExternalAddress { address: ([192, 0, 2, 1], port).into(), id: Id::from_bytes([7; 20]) }
}

#[test]
fn tasks_join_put_and_get_on_any_runtime() {
    let (first, second) = (server(256), server(256));
    let exchange = |value: &'static [u8]| {
        let (dht, other) = (second.async_handle(), first.local_addr());
        async move {
            dht.bootstrap(&[other], LIMIT).await.unwrap();
            let record = Record::immutable(value);
            assert_eq!(dht.put(&record, &Options::default()).await.unwrap().holders.len(), 1);
            let got = dht.get(record.key(), &Options::default()).await.unwrap();
            assert_eq!(got.record.as_record(), record);
            assert_eq!(dht.ping(other, LIMIT).await.unwrap().contact.address, other);
            assert!(!dht.find_node(Id::ZERO, &Options::default()).await.unwrap().nodes.is_empty());
            assert!(dht.with(|node, _| node.stats().sent).await.unwrap() > 0);
            assert_eq!(dht.losses().await.unwrap().failed, 0);
        }
    };
    smol::block_on(smol::spawn(exchange(b"smol")));
    let tokio = tokio::runtime::Builder::new_current_thread().build().unwrap();
    tokio.block_on(async { tokio::spawn(exchange(b"tokio")).await.unwrap() });
}

#[test]
fn dropping_a_call_cancels_its_operation() {
    let (server, other) = (server(256), server(256));
    let (_socket, silent) = silent();
    let pings = busy(&server, silent);
    // They would go on for 6 s.
    let start = Instant::now();
    drop(pings);
    server.handle().ping(other.local_addr(), LIMIT).unwrap();
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
}

#[test]
fn dropping_a_call_that_waits_frees_its_place() {
    let server = server(1);
    let (_socket, silent) = silent();
    let _busy = busy(&server, silent);
    let waiting = begun(&server.async_handle(), silent, LIMIT);
    assert_eq!(server.handle().losses(), Err(Error::Busy(1)));
    let start = Instant::now();
    drop(waiting);
    assert!(server.handle().patient().losses().is_ok());
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
}

#[test]
fn a_call_that_finds_no_place_fails_or_waits_as_asked() {
    let server = server(2);
    let (_socket, silent) = silent();
    let _busy = busy(&server, silent);
    let dht = server.async_handle();
    let mut waiting = vec![begun(&dht, silent, LIMIT), begun(&dht, silent, LIMIT)];
    assert_eq!(server.handle().ping(silent, LIMIT).map(|_| ()), Err(Error::Busy(2)));

    let start = Instant::now();
    let short = Duration::from_millis(200);
    assert_eq!(server.handle().patient().ping(silent, short).map(|_| ()), Err(Error::TimedOut));
    assert!(start.elapsed() >= short && start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());

    let patient = dht.patient();
    let mut losses = pin!(patient.losses());
    assert!(smol::block_on(future::poll_once(&mut losses)).is_none());
    drop(waiting.pop());
    let timeout = async { smol::Timer::after(LIMIT).await.elapsed().as_secs().to_string() };
    let ended =
        smol::block_on(async { losses.await.map_err(|error| error.to_string()) }.or(async { Err(timeout.await) }));
    assert!(ended.is_ok(), "{ended:?}");
}

#[test]
fn a_thousand_calls_share_two_places() {
    let servers = [server(2), server(256)];
    let dht = servers[0].async_handle().patient();
    let key = Key::immutable(b"never put");
    smol::block_on(async {
        dht.bootstrap(&[servers[1].local_addr()], LIMIT).await.unwrap();
        let calls = (0..1_000).map(|_| {
            let dht = dht.clone();
            smol::spawn(async move { dht.get(key, &Options { timeout: 3 * LIMIT, ..Options::default() }).await })
        });
        let calls: Vec<_> = calls.collect();
        for call in calls {
            assert!(matches!(call.await, Err(Error::NotFound { .. })));
        }
    });
}

#[test]
fn a_caller_that_gives_up_passes_its_turn_on() {
    let server = server(1);
    let (_socket, silent) = silent();
    let _busy = busy(&server, silent);
    let waiting = begun(&server.async_handle(), silent, LIMIT);
    let patient = server.async_handle().patient();
    let first = begun(&patient, silent, LIMIT / 2);
    let second = std::thread::spawn({
        let patient = server.handle().patient();
        move || patient.losses()
    });
    drop(waiting);
    drop(first);
    assert!(second.join().unwrap().is_ok());
}

#[test]
fn a_queue_out_of_its_range_is_refused() {
    for queue in [0, 65_537] {
        let error = Server::start_queued(Driver::bind(LOCAL.into(), mote()).unwrap(), queue, |_| {}).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{error}");
    }
}

#[test]
fn a_caller_in_a_task_that_is_not_polled_keeps_no_place_from_others() {
    let server = server(1);
    let (_socket, silent) = silent();
    let _busy = busy(&server, silent);
    let waiting = begun(&server.async_handle(), silent, LIMIT);
    let _not_polled = begun(&server.async_handle().patient(), silent, LIMIT / 2);
    let other = std::thread::spawn({
        let patient = server.handle().patient();
        move || patient.losses()
    });
    drop(waiting);
    assert!(other.join().unwrap().is_ok());
}

#[test]
fn the_end_of_the_server_ends_the_calls_of_tasks() {
    let server = server(1);
    let (_socket, silent) = silent();
    let mut calls = busy(&server, silent);
    calls.push(begun(&server.async_handle(), silent, LIMIT));
    calls.push(begun(&server.async_handle().patient(), silent, LIMIT));
    let dht = server.async_handle();
    drop(server);
    for call in calls {
        assert_eq!(smol::block_on(call).map(|_| ()), Err(Error::Stopped));
    }
    assert_eq!(smol::block_on(dht.ended()), Error::Stopped);
}

#[test]
fn the_death_of_the_server_ends_the_calls_of_tasks_and_tells_why() {
    let server = server(2);
    let (_socket, silent) = silent();
    let mut calls = busy(&server, silent);
    calls.push(begun(&server.async_handle(), silent, LIMIT));
    let dht = server.async_handle();
    let died = Error::Died("it panicked: expected by the test".into());
    let ended = smol::spawn({
        let dht = dht.clone();
        async move { dht.ended().await }
    });
    let panic: Result<(), _> = smol::block_on(dht.with(|_, _| panic!("expected by the test")));
    assert_eq!(panic, Err(died.clone()));
    for call in calls {
        assert_eq!(smol::block_on(call).map(|_| ()), Err(died.clone()));
    }
    assert_eq!(smol::block_on(ended), died);
}

#[test]
fn the_external_address_is_told_to_those_who_ask_and_those_who_read_events() {
    let server = with_events([address_event(1), address_event(2)]);
    let handle = server.handle();
    let start = Instant::now();
    while handle.external_address().unwrap() != Some(([192, 0, 2, 1], 2).into()) {
        assert!(start.elapsed() < LIMIT);
    }
    let mut events = handle.events(3).unwrap();
    assert_eq!(event(events.next_within(LIMIT)), event(Some(address_event(2))));
    assert!(events.next_within(Duration::from_millis(20)).is_none());

    let more = |ports: core::ops::Range<u16>| {
        let more = move |node: &mut Fake, _| node.events.extend(ports.map(address_event));
        handle.with(more).unwrap();
    };
    more(3..4);
    assert_eq!(event(smol::block_on(events.next())), event(Some(address_event(3))));
    more(4..10);
    assert_eq!(smol::block_on(server.async_handle().external_address()), Ok(Some(([192, 0, 2, 1], 9).into())));
    assert_eq!(events.missed(), 3, "there is room for three");
    for port in 7..10 {
        assert_eq!(event(events.next_within(LIMIT)), event(Some(address_event(port))));
    }
    drop(server);
    assert!(smol::block_on(events.next()).is_none());
}

fn event(event: Option<Event<'static, SocketAddr>>) -> String {
    event.map_or_else(String::new, |event| event.to_string())
}
