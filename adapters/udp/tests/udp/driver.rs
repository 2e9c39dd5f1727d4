use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use core::time::Duration;
use std::net::UdpSocket;
use std::thread::sleep;
use std::time::Instant;

use kadlet::wire::MAX_DATAGRAM;
use kadlet_udp::{Buffers, Detached, Driver};
#[cfg(target_os = "linux")]
use nix::sys::socket::{setsockopt, sockopt};

use crate::fake::Fake;
use crate::has_ipv6;

const ANY_V4: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 0);
const ANY_V6: (Ipv6Addr, u16) = (Ipv6Addr::LOCALHOST, 0);

fn driver(address: impl Into<SocketAddr>) -> Driver<Fake> {
    Driver::bind(address.into(), Fake::new()).unwrap()
}

/// A socket whose reads fail after 10 seconds without a datagram.
fn peer(address: impl Into<SocketAddr>) -> UdpSocket {
    let socket = UdpSocket::bind(address.into()).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    socket
}

/// An address that no socket is bound to.
fn unused(address: impl Into<SocketAddr>) -> SocketAddr {
    peer(address).local_addr().unwrap()
}

/// Reads datagrams until `done` is true, at most 10 seconds.
fn until(driver: &mut Driver<Fake>, done: impl Fn(&Driver<Fake>) -> bool) {
    let (mut buffers, start) = (Buffers::new(), Instant::now());
    while !done(driver) {
        assert!(start.elapsed() < Duration::from_secs(10), "waited in vain: {:?}", driver.losses());
        while driver.on_readable(&mut buffers) {}
        sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_response_goes_to_the_address_that_the_request_came_from() {
    for address in [SocketAddr::from(ANY_V4), SocketAddr::from(ANY_V6)] {
        if address.is_ipv6() && !has_ipv6() {
            continue;
        }
        let (mut driver, peer) = (driver(address), peer(address));
        peer.send_to(b"request!", driver.local_addr()).unwrap();
        until(&mut driver, |driver| !driver.node().received.is_empty());
        assert_eq!(driver.node().received, [(peer.local_addr().unwrap(), b"request!".to_vec())]);
        let mut response = [0; 16];
        assert_eq!(peer.recv_from(&mut response).unwrap(), (8, driver.local_addr()));
        assert_eq!(&response[..8], b"request!");
    }
}

/// On Linux a host has all addresses of 127.0.0.0/8.
#[cfg(target_os = "linux")]
#[test]
fn a_response_leaves_from_the_address_that_was_asked_on_a_host_with_several() {
    let loopback = |last| Ipv4Addr::new(127, 0, 0, last);
    for local in [SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)), SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0))] {
        if local.is_ipv6() && !has_ipv6() {
            continue;
        }
        let mut driver = driver(local);
        let port = driver.local_addr().port();
        // As seen by the peers, an IPv4 address is never an IPv4-mapped one.
        let mut asked: Vec<(UdpSocket, SocketAddr)> =
            [1, 2, 3, 2, 1].map(|last| (peer(ANY_V4), (loopback(last), port).into())).into();
        if local.is_ipv6() {
            asked.insert(2, (peer(ANY_V6), (Ipv6Addr::LOCALHOST, port).into()));
        }
        for (peer, address) in &asked {
            peer.send_to(b"request!", address).unwrap();
        }
        // They come in one batch, so that their responses are sent in groups.
        until(&mut driver, |driver| driver.node().received.len() == asked.len());
        for (peer, address) in &asked {
            assert_eq!(peer.recv_from(&mut [0; 16]).unwrap(), (8, *address), "of {local}");
        }
        assert_eq!(*driver.losses(), Default::default());
        assert!(driver.node().unreachable.is_empty());
    }
}

#[test]
fn one_socket_serves_peers_of_both_families_by_their_canonical_addresses() {
    if !has_ipv6() {
        return;
    }
    let mut driver = driver((Ipv6Addr::UNSPECIFIED, 0));
    let port = driver.local_addr().port();
    let (v4, v6) = (peer(ANY_V4), peer(ANY_V6));
    v4.send_to(b"four", (Ipv4Addr::LOCALHOST, port)).unwrap();
    v6.send_to(b"six", (Ipv6Addr::LOCALHOST, port)).unwrap();
    until(&mut driver, |driver| driver.node().received.len() == 2);
    let (v4_address, v6_address) = (v4.local_addr().unwrap(), v6.local_addr().unwrap());
    assert!(driver.node().received.contains(&(v4_address, b"four".to_vec())));
    assert!(driver.node().received.contains(&(v6_address, b"six".to_vec())));

    driver.node_mut().outgoing.extend([(v4_address, b"more".to_vec()), (v6_address, b"more".to_vec())]);
    driver.flush(&mut Buffers::new());
    for (peer, first) in [(v4, 4), (v6, 3)] {
        let mut bytes = [0; 16];
        assert_eq!(peer.recv(&mut bytes).unwrap(), first);
        assert_eq!(peer.recv(&mut bytes).unwrap(), 4);
    }
}

#[test]
fn a_call_receives_at_most_128_datagrams_and_reports_that_more_wait() {
    let (mut driver, peer, mut buffers) = (driver(ANY_V4), peer(ANY_V4), Buffers::new());
    for number in 0..150_u8 {
        peer.send_to(&[number], driver.local_addr()).unwrap();
    }
    assert!(driver.on_readable(&mut buffers));
    assert_eq!(driver.node().received.len(), 128);
    assert!(!driver.on_readable(&mut buffers));
    let received: Vec<u8> = driver.node().received.iter().map(|(_, datagram)| datagram[0]).collect();
    assert_eq!(received, (0..150).collect::<Vec<u8>>());
}

#[test]
fn a_call_sends_at_most_128_datagrams_and_is_due_again_until_all_are_sent() {
    let (mut driver, peer, mut buffers) = (driver(ANY_V4), peer(ANY_V4), Buffers::new());
    let to = peer.local_addr().unwrap();
    driver.node_mut().outgoing.extend((0..150).map(|number| (to, vec![number])));
    driver.flush(&mut buffers);
    assert_eq!(driver.node().outgoing.len(), 150 - 128);
    assert!(driver.deadline().unwrap() <= Instant::now());
    driver.on_timeout(&mut buffers);
    assert_eq!(driver.deadline(), None);
    let mut bytes = [0; 16];
    assert!((0..150).all(|number| peer.recv(&mut bytes).unwrap() == 1 && bytes[0] == number));
}

#[test]
fn a_datagram_larger_than_any_message_is_dropped_and_counted() {
    let (mut driver, peer) = (driver(ANY_V4), peer(ANY_V4));
    for len in [MAX_DATAGRAM + 1, MAX_DATAGRAM + 500, 60_000, MAX_DATAGRAM] {
        peer.send_to(&vec![7; len], driver.local_addr()).unwrap();
    }
    until(&mut driver, |driver| !driver.node().received.is_empty());
    assert_eq!(driver.node().received, [(peer.local_addr().unwrap(), vec![7; MAX_DATAGRAM])]);
    assert_eq!(driver.losses().oversized, 3);
}

#[test]
fn a_datagram_that_cannot_be_sent_is_reported_for_its_peer_and_does_not_stop_the_others() {
    let (mut driver, peer) = (driver(ANY_V4), peer(ANY_V4));
    let to = peer.local_addr().unwrap();
    let port_zero = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let other_family = SocketAddr::from((Ipv6Addr::LOCALHOST, 4000));
    for address in [to, port_zero, to, other_family, to] {
        driver.node_mut().outgoing.push_back((address, vec![7]));
    }
    driver.flush(&mut Buffers::new());
    let mut unreachable = driver.node().unreachable.clone();
    unreachable.sort();
    assert_eq!(unreachable, [port_zero, other_family]);
    assert_eq!(driver.losses().failed, 2);
    let mut bytes = [0; 16];
    assert!((0..3).all(|_| peer.recv(&mut bytes).unwrap() == 1));
}

#[cfg(target_os = "linux")]
#[test]
fn a_refusal_is_reported_only_for_the_peer_that_refused() {
    let sockets = [
        (SocketAddr::from(ANY_V4), SocketAddr::from(ANY_V4)),
        (SocketAddr::from(ANY_V6), SocketAddr::from(ANY_V6)),
        (SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)), SocketAddr::from(ANY_V4)),
        (SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)), SocketAddr::from(ANY_V6)),
    ];
    for (local, remote) in sockets {
        if local.is_ipv6() && !has_ipv6() {
            continue;
        }
        let (mut driver, peer, gone) = (driver(local), peer(remote), unused(remote));
        let (mut rounds, mut buffers, start) = (0, Buffers::new(), Instant::now());
        // Some kernels send at most 50 refusals at once.
        while driver.losses().refused < 20 {
            assert!(start.elapsed() < Duration::from_secs(10), "waited in vain: {:?}", driver.losses());
            for _ in 0..10 {
                for address in [gone, gone, peer.local_addr().unwrap()] {
                    driver.node_mut().outgoing.push_back((address, vec![7]));
                }
            }
            driver.flush(&mut buffers);
            while driver.on_readable(&mut buffers) {}
            let mut bytes = [0; 16];
            assert!((0..10).all(|_| peer.recv(&mut bytes).unwrap() == 1), "datagrams for the live peer are not lost");
            rounds += 1;
        }
        assert!(driver.losses().refused <= 20 * rounds);
        assert!(driver.node().unreachable.iter().all(|to| *to == gone), "of {local}: {:?}", driver.node().unreachable);
        assert_eq!(driver.node().unreachable.len() as u64, driver.losses().refused);
        assert_eq!((driver.losses().failed, driver.losses().unsent), (0, 0));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_peer_does_not_count_as_unreachable_because_other_peers_refused_earlier_datagrams() {
    let (mut driver, peer, gone) = (driver(ANY_V4), peer(ANY_V4), unused(ANY_V4));
    // Room for more refusals than one datagram waits for.
    if setsockopt(driver.socket(), sockopt::RcvBufForce, &(8 << 20)).is_err() {
        eprintln!("no right to enlarge the buffer: skipped");
        return;
    }
    // A send that fails reports a refusal, which stays in the queue.
    let (mut refusals, start) = (0, Instant::now());
    while refusals < 2_000 {
        assert!(start.elapsed() < Duration::from_secs(10), "waited in vain: {refusals} refusals");
        refusals += usize::from(driver.socket().send_to(&[7], gone).is_err());
    }
    // The next one fails too.
    while driver.socket().send_to(&[7], gone).is_err() {}
    driver.node_mut().outgoing.push_back((peer.local_addr().unwrap(), vec![7]));
    driver.flush(&mut Buffers::new());
    assert!(driver.losses().refused > 256, "{:?}", driver.losses());
    assert!(driver.node().unreachable.iter().all(|to| *to == gone), "{:?}", driver.node().unreachable.last());
}

#[test]
fn a_refusal_does_not_hide_the_datagrams_that_follow_it() {
    let (mut driver, peer, gone) = (driver(ANY_V4), peer(ANY_V4), unused(ANY_V4));
    driver.node_mut().outgoing.push_back((gone, vec![7]));
    driver.flush(&mut Buffers::new());
    peer.send_to(b"hello", driver.local_addr()).unwrap();
    sleep(Duration::from_millis(10));
    assert!(!driver.on_readable(&mut Buffers::new()));
    assert_eq!(driver.node().received.len(), 1);
}

#[test]
fn a_detached_node_passes_datagrams_on_and_counts_those_that_it_cannot() {
    let (local, peer) = (SocketAddr::from(([192, 0, 2, 1], 4000)), SocketAddr::from(([192, 0, 2, 2], 4000)));
    let (mut detached, mut buf) = (Detached::new(local, Fake::new()), [0; MAX_DATAGRAM]);
    assert_eq!(detached.datagram_in(b"request!", peer, &mut buf), Some((8, peer)));
    assert_eq!(&buf[..8], b"request!");
    assert_eq!(detached.datagram_in(&[7; MAX_DATAGRAM + 1], peer, &mut buf), None);
    assert_eq!((detached.node().received.len(), detached.losses().oversized), (1, 1));

    let other_family = SocketAddr::from((Ipv6Addr::LOCALHOST, 4000));
    assert_eq!(detached.deadline(), None);
    detached.node_mut().outgoing.extend([(other_family, vec![7]), (peer, vec![7; 3])]);
    assert!(detached.deadline().unwrap() <= Instant::now());
    assert_eq!(detached.datagram_out(&mut buf), Some((3, peer)));
    assert_eq!(detached.datagram_out(&mut buf), None);
    detached.unreachable(peer);
    assert_eq!(detached.losses().failed, 2);
    assert_eq!(detached.into_node().unreachable, [other_family, peer]);
}
