use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use std::net::UdpSocket;
use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use kadlet::{BeginError, Config, Dht, Event, GetError, Key, Options, Record, Store};
use kadlet_udp::{Driver, Error, Server};

use crate::fake::{Fake, Mote, mote, mote_with};
use crate::has_ipv6;

const LOCAL: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 0);
const LIMIT: Duration = Duration::from_secs(20);

fn server(address: impl Into<SocketAddr>) -> Server<Mote> {
    Server::bind(address.into(), mote()).unwrap()
}

/// Servers that have all joined through the first.
fn network(size: usize) -> Vec<Server<Mote>> {
    let servers: Vec<_> = (0..size).map(|_| server(LOCAL)).collect();
    for server in &servers[1..] {
        server.handle().bootstrap(&[servers[0].local_addr()], LIMIT).unwrap();
    }
    servers
}

/// A socket that never responds, and its address.
fn silent() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind(LOCAL).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

#[test]
fn a_record_put_through_one_node_is_got_through_every_other() {
    let servers = network(8);
    let record = Record::immutable(b"hello world");
    let stored = servers[1].handle().put(&record, &Options::default()).unwrap();
    assert!(!stored.holders.is_empty() && stored.holders.len() == stored.wanted, "{stored:?}");
    for server in &servers {
        let got = server.handle().get(record.key(), &Options::default()).unwrap();
        assert_eq!(got.record.as_record(), record);
    }
}

#[test]
fn a_server_that_is_dropped_after_a_get_still_writes_the_record_back() {
    let plain = || Server::bind(LOCAL.into(), mote_with(Config { plain: true, ..Config::default() })).unwrap();
    let servers = [plain(), plain(), plain()];
    for server in &servers[1..] {
        server.handle().bootstrap(&[servers[0].local_addr()], LIMIT).unwrap();
    }
    let record = Record::plain(b"key", b"value");
    let held = |server: &Server<Mote>| server.handle().with(|node, _| node.store().len()).unwrap();
    servers[1].handle().with(move |node, now| node.restore_record(now, &record, LIMIT, false)).unwrap().unwrap();
    let requester = plain();
    requester.handle().bootstrap(&[servers[0].local_addr()], LIMIT).unwrap();
    assert_eq!(requester.handle().get(record.key(), &Options::default()).unwrap().record.value, b"value");
    drop(requester);
    let began = Instant::now();
    while servers.iter().any(|server| held(server) == 0) {
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", servers.iter().map(held).collect::<Vec<_>>());
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn nodes_of_both_families_meet_at_a_dual_stack_node() {
    if !has_ipv6() {
        return;
    }
    let both = server((Ipv6Addr::UNSPECIFIED, 0));
    let port = both.local_addr().port();
    let (v4, v6) = (server(LOCAL), server((Ipv6Addr::LOCALHOST, 0)));
    v4.handle().bootstrap(&[(Ipv4Addr::LOCALHOST, port).into()], LIMIT).unwrap();
    v6.handle().bootstrap(&[(Ipv6Addr::LOCALHOST, port).into()], LIMIT).unwrap();
    let record = Record::immutable(b"over there");
    v4.handle().put(&record, &Options::default()).unwrap();
    assert_eq!(v6.handle().get(record.key(), &Options::default()).unwrap().record.value, b"over there");
}

#[test]
fn a_record_that_no_node_holds_is_not_found_and_the_error_counts_the_nodes_asked() {
    let servers = network(3);
    match servers[2].handle().get(Key::immutable(b"never put"), &Options::default()) {
        Err(Error::NotFound { closest, stats }) => {
            assert_eq!(closest.len(), 2);
            assert_eq!((stats.asked, stats.responded), (2, 2));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_call_that_cannot_begin_returns_the_reason() {
    let alone = server(LOCAL).handle();
    let alone_server = server(LOCAL);
    let handle = alone_server.handle();
    assert_eq!(alone.losses(), Err(Error::Stopped), "a handle outlives its server");
    assert_eq!(handle.bootstrap(&[], LIMIT).map(|_| ()), Err(Error::Begin(BeginError::NoAddresses)));
    assert_eq!(
        handle.get(Key::immutable(b"x"), &Options::default()).map(|_| ()),
        Err(Error::Get(GetError::NoContacts))
    );
    let stored = handle.put(&Record::immutable(b"x"), &Options::default()).unwrap();
    assert_eq!((stored.holders.len(), stored.wanted), (0, 0), "it is stored here, and published when others come");
    assert_eq!(handle.get(Key::immutable(b"x"), &Options::default()).unwrap().record.value, b"x");
}

#[test]
fn a_ping_finds_a_live_node_and_fails_at_once_at_an_unused_address() {
    let servers = network(2);
    let pong = servers[0].handle().ping(servers[1].local_addr(), LIMIT).unwrap();
    assert_eq!(pong.contact.address, servers[1].local_addr());
    let (socket, gone) = silent();
    drop(socket);
    let start = Instant::now();
    let failed = servers[0].handle().ping(gone, LIMIT);
    assert!(matches!(failed, Err(Error::Failed { .. })), "{failed:?}");
    assert!(start.elapsed() < LIMIT / 2);
}

/// On Linux a host has all addresses of 127.0.0.0/8.
#[cfg(target_os = "linux")]
#[test]
fn a_server_with_all_addresses_of_the_host_responds_at_each_of_them() {
    let asking = server(LOCAL);
    for any in [SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)), SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0))] {
        if any.is_ipv6() && !has_ipv6() {
            continue;
        }
        let everywhere = server(any);
        for last in [1, 2, 3] {
            let address = SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), everywhere.local_addr().port()));
            let pong = asking.handle().ping(address, LIMIT).unwrap();
            assert_eq!(pong.contact.address, address);
        }
    }
}

#[test]
fn a_call_ends_at_its_time_limit() {
    let (_socket, address) = silent();
    let server = server(LOCAL);
    let start = Instant::now();
    let ended = server.handle().ping(address, Duration::from_millis(300));
    assert_eq!(ended.map(|_| ()), Err(Error::TimedOut));
    assert!(
        start.elapsed() >= Duration::from_millis(300) && start.elapsed() < Duration::from_secs(5),
        "{:?}",
        start.elapsed()
    );
}

#[test]
fn calls_wait_for_a_free_slot() {
    let servers = network(4);
    let puts: Vec<_> = (0..32_u8)
        .map(|number| {
            let handle = servers[usize::from(number) % 2].handle();
            thread::spawn(move || {
                handle.put(&Record::immutable(&[number; 9]), &Options::default()).map(|stored| stored.wanted)
            })
        })
        .collect();
    for put in puts {
        assert_eq!(put.join().unwrap(), Ok(3));
    }
}

#[test]
fn a_shutdown_ends_the_waiting_calls_and_returns_the_node() {
    let (_socket, address) = silent();
    let server = server(LOCAL);
    let waiting: Vec<_> = (0..8)
        .map(|_| {
            let handle = server.handle();
            thread::spawn(move || handle.ping(address, Duration::from_secs(60)).map(|_| ()))
        })
        .collect();
    let handle = server.handle();
    let id = handle.with(|node, _| node.id()).unwrap();
    while handle.with(|node, _| node.stats().sent).unwrap() == 0 {
        thread::yield_now();
    }
    let start = Instant::now();
    assert_eq!(server.shutdown().unwrap().id(), id);
    for call in waiting {
        assert_eq!(call.join().unwrap(), Err(Error::Stopped));
    }
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_panic_in_a_function_of_the_caller_ends_the_server_and_every_call_tells_why() {
    let server = server(LOCAL);
    let handle = server.handle();
    let died = Error::Died("it panicked: expected by the test".into());
    assert_eq!(handle.with(|_, _| -> u8 { panic!("expected by the test") }), Err(died.clone()));
    assert_eq!(handle.losses(), Err(died));
    assert_eq!(server.shutdown().unwrap_err().to_string(), "it panicked: expected by the test");
}

#[test]
fn a_call_that_waits_returns_at_once_when_the_thread_dies() {
    let (_socket, address) = silent();
    let server = server(LOCAL);
    let handle = server.handle();
    let waiting = thread::spawn(move || handle.ping(address, Duration::from_secs(60)).map(|_| ()));
    let handle = server.handle();
    while handle.with(|node, _| node.stats().sent).unwrap() == 0 {
        thread::yield_now();
    }
    let start = Instant::now();
    let _ = handle.with(|_, _| panic!("{}", "expected by the test"));
    assert_eq!(waiting.join().unwrap(), Err(Error::Died("it panicked: expected by the test".into())));
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

#[test]
fn a_program_notices_that_the_thread_has_ended_and_why() {
    let (dying, stopping) = (server(LOCAL), server(LOCAL));
    let handle = dying.handle();
    assert_eq!(handle.ended(Duration::ZERO), None);
    let watcher = thread::spawn(move || handle.ended(LIMIT));
    // An event function that panics, as one does that prints to a closed pipe, is the same.
    let _ = dying.handle().with(|_, _| panic!("expected by the test"));
    assert_eq!(watcher.join().unwrap(), Some(Error::Died("it panicked: expected by the test".into())));

    let handle = stopping.handle();
    drop(stopping);
    assert_eq!(handle.ended(Duration::ZERO), Some(Error::Stopped));
}

#[test]
fn a_server_that_is_dropped_on_its_own_thread_ends() {
    let server = server(LOCAL);
    let handle = server.handle();
    let sender = server.handle();
    assert_eq!(sender.with(move |_, _| drop(server)), Ok(()));
    assert_eq!(handle.ended(LIMIT), Some(Error::Stopped));
}

#[test]
fn a_call_on_the_server_s_own_thread_is_an_error_and_does_not_wait_for_itself() {
    let server = server(LOCAL);
    let handle = server.handle();
    assert_eq!(server.handle().with(move |_, _| handle.losses()), Ok(Err(Error::OwnThread)));
}

/// The child process of the next test.
#[test]
#[ignore = "the next test runs it"]
fn start_a_server_without_a_thread() {
    let error = Server::bind(LOCAL.into(), mote()).map(|_| ()).unwrap_err();
    println!("an error: {error}");
}

#[test]
fn a_server_that_the_system_gives_no_thread_is_an_error() {
    let mut child = Command::new(std::env::current_exe().unwrap());
    // No system has memory for such a stack. With one test at a time, the child needs no thread of its own.
    child.args(["server::start_a_server_without_a_thread", "--exact", "--ignored", "--nocapture", "--test-threads=1"]);
    let output = child.env("RUST_MIN_STACK", (1_u64 << 46).to_string()).output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && printed.contains("an error: "), "{output:?}");
}

#[test]
fn a_watcher_receives_the_progress_of_a_call() {
    let servers = network(8);
    let reports = Arc::new(AtomicUsize::new(0));
    let count = reports.clone();
    let watched = servers[7].handle().watch(move |progress| {
        assert!(progress.stats.responded <= progress.stats.asked);
        count.fetch_add(1, Ordering::Relaxed);
    });
    watched.put(&Record::immutable(b"watched"), &Options::default()).unwrap();
    assert!(reports.load(Ordering::Relaxed) > 0);
}

#[test]
fn an_event_that_no_call_waits_for_goes_to_the_event_function() {
    let (sender, events) = std::sync::mpsc::channel();
    let driver = Driver::bind(LOCAL.into(), mote()).unwrap();
    let server = Server::start_with(driver, move |event| drop(sender.send(format!("{event:?}")))).unwrap();
    let (socket, gone) = silent();
    drop(socket);
    server.handle().with(move |node, now| node.ping(now, gone).map(|_| ())).unwrap().unwrap();
    assert!(events.recv_timeout(LIMIT).unwrap().contains("QueryResult"));
}

#[test]
fn an_event_of_the_node_s_own_address_goes_to_the_event_function() {
    let (sender, events) = std::sync::mpsc::channel();
    let (mut node, address) = (Fake::new(), "192.0.2.1:4000".parse().unwrap());
    node.events.push_back(Event::ExternalAddress { address, id: node.id() });
    let driver = Driver::bind(LOCAL.into(), node).unwrap();
    let server = Server::start_with(driver, move |event| drop(sender.send(format!("{event:?}")))).unwrap();
    server.handle().with(|_, _| ()).unwrap();
    assert!(events.recv_timeout(LIMIT).unwrap().contains("ExternalAddress { address: 192.0.2.1:4000"));
}

#[test]
fn a_get_succeeds_under_a_flood_of_random_datagrams() {
    let servers = network(4);
    let record = Record::immutable(b"behind the noise");
    servers[1].handle().put(&record, &Options::default()).unwrap();
    let late = server(LOCAL);
    late.handle().bootstrap(&[servers[0].local_addr()], LIMIT).unwrap();
    let targets: Vec<_> = servers.iter().chain([&late]).map(Server::local_addr).collect();
    let stop = Arc::new(AtomicUsize::new(0));
    let (stopped, socket) = (stop.clone(), UdpSocket::bind(LOCAL).unwrap());
    let flood = thread::spawn(move || {
        let mut noise = [0; 200];
        // Bounded, so that the thread ends even if the test fails.
        for round in 0..200_000_u32 {
            if stopped.load(Ordering::Relaxed) != 0 {
                break;
            }
            noise[..4].copy_from_slice(&round.wrapping_mul(0x9E37_79B9).to_be_bytes());
            let _ = socket.send_to(&noise, targets[round as usize % targets.len()]);
        }
    });
    while late.handle().with(|node, _| node.stats().wrong_version).unwrap() == 0 {
        thread::yield_now();
    }
    let got = late.handle().get(record.key(), &Options::default());
    stop.store(1, Ordering::Relaxed);
    flood.join().unwrap();
    assert_eq!(got.unwrap().record.value, b"behind the noise");
}
