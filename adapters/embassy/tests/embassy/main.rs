//! Networks of embassy-net stacks in one thread, over an in-memory switch.
#![allow(missing_docs)]

mod lan;

use core::error::Error as _;
use core::future::poll_fn;
use core::net::{Ipv4Addr, SocketAddrV4, SocketAddrV6};
use core::pin::pin;
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::sync::Arc;

use embassy_futures::join::{join, join_array};
use embassy_futures::select::{Either, select};
use embassy_net::udp::{PacketMetadata, UdpMetadata, UdpSocket};
use embassy_time::{Instant, Timer};
use kadlet::wire::MAX_DATAGRAM;
use kadlet::{
    Address, BeginError, Config, Contact, Dht, Failure, FixedStore, Id, Kademlia, Key, Node, Options, Outcome, Record,
    Store,
};
use kadlet_embassy::{Error, Handle, News, PATIENCE, Resources};
use lan::{Bell, Lan, Medium, PORT, id};

type On<A> = Node<Kademlia<A, 64>, FixedStore<8, 2_048>, 4, 24, 4>;
type Mote = On<SocketAddrV4>;
type MoteHandle = Handle<'static, Mote>;

const CONFIG: Config = Config { plain: true, timeout_initial: Duration::from_millis(100), ..Config::DEFAULT };
const OPTIONS: Options = Options::DEFAULT;

fn mote(lan: &mut Lan, n: u8) -> (MoteHandle, Arc<Bell>) {
    lan.node(Mote::empty(), move |node, now| node.start(now, CONFIG, id(n), [n; 32]))
}

fn motes(lan: &mut Lan, count: u8) -> Vec<MoteHandle> {
    (1..=count).map(|n| mote(lan, n).0).collect()
}

fn at(n: u8) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, n), PORT)
}

async fn join_all(nodes: &[MoteHandle]) {
    for node in nodes.iter().skip(1) {
        assert!(node.bootstrap(&[at(1)]).await.unwrap().neighbours >= 1);
    }
}

async fn ping<A: Address>(dht: Handle<'_, On<A>>, to: A) -> Result<Contact<A>, Error> {
    let begin = |node: &mut On<A>, now| node.ping(now, to);
    dht.call(begin, |result| match result.outcome {
        Outcome::Pong { contact, .. } => Ok(contact),
        _ => Err(result.into()),
    })
    .await?
}

async fn put_and_get<A: Address>(a: Handle<'static, On<A>>, b: Handle<'static, On<A>>, address: A) {
    assert_eq!(b.bootstrap(&[address]).await.map(|joined| (joined.neighbours, joined.taken)), Ok((1, 1)));
    assert_eq!(ping(b, address).await.unwrap(), Contact::new(a.id(), address));
    let stored = b.put(&Record::plain(b"kitchen", b"21.5"), &OPTIONS).await.unwrap();
    assert_eq!((stored.holders, stored.wanted), (1, 1));
    let mut value = [0; 64];
    let got = a.get(Key::plain(b"kitchen"), &OPTIONS, &mut value).await.unwrap();
    assert_eq!(&value[..got.len], b"21.5");
}

#[test]
fn two_nodes_join_put_and_get_over_ethernet() {
    let mut lan = Lan::new(Medium::Ethernet);
    let nodes = motes(&mut lan, 2);
    lan.run(put_and_get(nodes[0], nodes[1], at(1)));
}

#[test]
fn two_nodes_join_put_and_get_over_ipv6() {
    let mut lan = Lan::new(Medium::Ethernet);
    let [a, b] = [1, 2].map(|n| {
        let node = On::<SocketAddrV6>::empty();
        lan.node(node, move |node, now| node.start(now, CONFIG, id(n), [n; 32])).0
    });
    lan.run(put_and_get(a, b, SocketAddrV6::new(lan::v6(1), PORT, 0, 0)));
}

#[test]
fn several_tasks_put_and_get_at_once() {
    let mut lan = Lan::new(Medium::Ip);
    let nodes = motes(&mut lan, 8);
    lan.run(async move {
        join_all(&nodes).await;
        let nodes = &nodes;
        let put = |n: u8| async move { nodes[2].put(&Record::plain(&[n], &[n; 200]), &OPTIONS).await.unwrap().holders };
        assert!(join_array([0, 1, 2, 3].map(put)).await.iter().all(|holders| *holders >= 6));
        let get = |n: u8| async move {
            let mut value = [0; 200];
            let got = nodes[6].get(Key::plain(&[n]), &OPTIONS, &mut value).await.unwrap();
            assert_eq!((got.len, value), (200, [n; 200]));
        };
        join_array([0, 1, 2, 3].map(get)).await;
        let mut found = [Contact::EMPTY; 8];
        assert_eq!(nodes[6].find_node(id(3), &OPTIONS, &mut found).await, Ok(7));
        assert_eq!(found[0], Contact::new(id(3), at(3)));
    });
}

#[test]
fn a_value_is_found_while_one_frame_in_ten_is_lost() {
    let mut lan = Lan::new(Medium::Ip);
    let nodes = motes(&mut lan, 6);
    lan.lose(10);
    lan.run(async move {
        join_all(&nodes).await;
        let record = Record::immutable(b"hello");
        assert!(nodes[1].put(&record, &OPTIONS).await.unwrap().holders >= 3);
        let mut value = [0; 5];
        assert_eq!(nodes[5].get(record.key(), &OPTIONS, &mut value).await.unwrap().len, 5);
        assert_eq!(&value, b"hello");
    });
}

#[test]
fn a_call_reports_the_errors_and_failures_of_the_core() {
    let mut lan = Lan::new(Medium::Ip);
    let nodes = motes(&mut lan, 2);
    lan.run(async move {
        let (a, b) = (nodes[0], nodes[1]);
        let mut value = [0; 4];
        assert_eq!(b.get(Key::plain(b"x"), &OPTIONS, &mut value).await, Err(Error::Get(kadlet::GetError::NoContacts)));
        assert_eq!(b.bootstrap(&[]).await, Err(Error::Begin(BeginError::NoAddresses)));
        join_all(&nodes).await;
        assert!(matches!(b.get(Key::plain(b"x"), &OPTIONS, &mut value).await, Err(Error::NotFound(_))));
        assert!(matches!(ping(b, at(9)).await, Err(Error::Failed { failure: Failure::NoResponse, .. })));
        b.put(&Record::plain(b"x", b"12345"), &OPTIONS).await.unwrap();
        assert_eq!(a.get(Key::plain(b"x"), &OPTIONS, &mut value).await, Err(Error::Buffer(5)));
        let length = |result: kadlet::QueryResult<'_, SocketAddrV4>| match result.outcome {
            Outcome::Value { record, .. } => record.value.len(),
            _ => 0,
        };
        assert_eq!(a.call(|node, now| node.get(now, Key::plain(b"x"), &OPTIONS), length).await, Ok(5));
        let unpublish = || b.with(|node, _| node.unpublish(&Key::plain(b"x")));
        assert!(unpublish() && !unpublish());
        a.with(|node, now| node.restore_record(now, &Record::immutable(b"old"), Duration::from_secs(60), true))
            .unwrap();
        assert_eq!(a.with(|node, _| node.store().len()), 2);
    });
}

#[test]
fn a_fifth_call_is_refused_and_dropped_calls_free_their_places() {
    let mut lan = Lan::new(Medium::Ip);
    let (dht, _) = mote(&mut lan, 1);
    lan.run(async move {
        let dead = || async { ping(dht, at(9)).await };
        {
            let mut calls = pin!(join(join(dead(), dead()), join(dead(), dead())));
            assert!(matches!(select(&mut calls, Timer::after_millis(10)).await, Either::Second(())));
            assert_eq!(dead().await, Err(Error::Calls(4)));
        }
        // All four are dropped, and cancelled in the node. So four others can begin, and run to their end.
        let sent = dht.stats().sent;
        let four = join(join(dead(), dead()), join(dead(), dead())).await;
        let ((first, _), (_, last)) = four;
        assert!(matches!((first, last), (Err(Error::Failed { .. }), Err(Error::Failed { .. }))));
        assert!(dht.stats().sent > sent);
    });
}

#[test]
fn a_call_that_ends_after_it_was_dropped_leaves_nothing_behind() {
    let mut lan = Lan::new(Medium::Ip);
    let nodes = motes(&mut lan, 2);
    lan.run(async move {
        join_all(&nodes).await;
        for round in 0..40 {
            let mut ping = Box::pin(ping(nodes[1], at(1)));
            // Dropped before it has ended, or after it has ended but before its task was polled.
            let begun = poll_fn(|cx| Poll::Ready(ping.as_mut().poll(cx).is_pending())).await;
            assert!(begun);
            Timer::after_millis(round % 3).await;
        }
        assert!(ping(nodes[1], at(1)).await.is_ok());
    });
}

/// A ping from an unknown node, as a datagram.
fn ping_from_unknown_node() -> Vec<u8> {
    let mut sender = Mote::new(kadlet::Instant::ZERO, CONFIG, id(99), [99; 32]).unwrap();
    sender.ping(kadlet::Instant::ZERO, at(1)).unwrap();
    let mut buffer = [0; MAX_DATAGRAM];
    let out = sender.poll_transmit(kadlet::Instant::ZERO, &mut buffer).unwrap();
    buffer[..out.len].to_vec()
}

#[test]
fn a_full_transmit_buffer_does_not_stop_receiving_and_is_freed() {
    let mut lan = Lan::new(Medium::Ethernet);
    let nodes = motes(&mut lan, 2);
    let stack = lan.stack();
    lan.run(async move {
        join_all(&nodes).await;
        let meta = || Box::leak(Box::new([PacketMetadata::EMPTY; 8]));
        let mut socket =
            UdpSocket::new(stack, meta(), Box::leak(Box::new([0; 64])), meta(), Box::leak(Box::new([0; 4_096])));
        socket.bind(PORT).unwrap();
        // The forged sender doesn't exist, so no search finds its hardware address.
        let to = (Ipv4Addr::new(10, 0, 0, 1), PORT);
        let forged = UdpMetadata { local_address: Some(Ipv4Addr::new(10, 0, 0, 77).into()), ..to.into() };
        let (datagram, before) = (ping_from_unknown_node(), nodes[0].stats().received);
        for _ in 0..100 {
            socket.send_to(&datagram, forged).await.unwrap();
            Timer::after_millis(1).await;
        }
        let (received, lost) = (nodes[0].stats().received - before, nodes[0].losses());
        assert!(received >= 80 && lost.unsent >= 50 && lost.failed == 0, "{received} {lost:?}");
        // The node pings the forged sender and gives that up. Then it sends its other requests, while the flood goes
        // on.
        let flood = async {
            loop {
                socket.send_to(&datagram, forged).await.unwrap();
                Timer::after_millis(1).await;
            }
        };
        let (limit, began) = (PATIENCE + embassy_time::Duration::from_secs(2), Instant::now());
        let first = select(flood, ping(nodes[0], at(2))).await;
        assert!(matches!(first, Either::Second(Ok(_))) && began.elapsed() < limit, "{first:?} {:?}", began.elapsed());
        Timer::after_secs(3).await;
        assert!(ping(nodes[1], at(1)).await.is_ok(), "it must respond again");
    });
}

#[test]
fn a_neighbour_that_is_not_there_delays_no_response_and_requests_only_for_a_while() {
    let mut lan = Lan::new(Medium::Ethernet);
    let nodes = motes(&mut lan, 2);
    lan.run(async move {
        join_all(&nodes).await;
        {
            let mut dead = pin!(ping(nodes[0], at(200)));
            assert!(matches!(select(&mut dead, Timer::after_millis(20)).await, Either::Second(())));
        }
        // The socket for its requests is held up now. Its responses still leave at once.
        for _ in 0..10 {
            let began = Instant::now();
            ping(nodes[1], at(1)).await.unwrap();
            assert!(began.elapsed() < embassy_time::Duration::from_millis(80));
        }
        assert!(ping(nodes[0], at(2)).await.is_ok());
        assert!(nodes[0].losses().failed >= 1);
        // The same neighbour was given up a moment ago: it delays nothing now.
        let began = Instant::now();
        assert!(ping(nodes[0], at(200)).await.is_err());
        assert!(ping(nodes[0], at(2)).await.is_ok());
        assert!(began.elapsed() < embassy_time::Duration::from_millis(1_500), "{:?}", began.elapsed());
    });
}

#[test]
fn an_idle_node_sleeps() {
    let mut lan = Lan::new(Medium::Ip);
    let (a, bell) = mote(&mut lan, 1);
    let (b, _) = mote(&mut lan, 2);
    lan.run(async move {
        join_all(&[a, b]).await;
        let datagrams = || a.stats().received + a.stats().sent;
        Timer::after_millis(500).await;
        let (polls, before) = (bell.polls(), datagrams());
        Timer::after_secs(3).await;
        let (polls, datagrams) = (bell.polls() - polls, datagrams() - before);
        assert!(polls <= 2 * datagrams + 3, "polled {polls} times for {datagrams} datagrams");
    });
}

#[test]
fn a_task_that_waits_for_news_learns_of_a_copied_id() {
    let mut lan = Lan::new(Medium::Ip);
    let (a, _) = mote(&mut lan, 1);
    let (copy, _) = lan.node(Mote::empty(), |node, now| node.start(now, CONFIG, id(1), [9; 32]));
    lan.run(async move {
        let (news, _) = join(a.news(), ping(copy, at(1))).await;
        assert_eq!(news, News::OwnIdSeen { address: at(2) });
    });
}

#[test]
fn a_task_that_waits_for_news_learns_of_the_external_address() {
    let global = |n: u8| SocketAddrV4::new(Ipv4Addr::new(8, 0, n, n), PORT);
    let bound = move |n| Id::bound(global(n).prefix().unwrap(), 0);
    let mut lan = Lan::global();
    let [others @ .., a] =
        [1, 2, 3, 4].map(|n| lan.node(Mote::empty(), move |node, now| node.start(now, CONFIG, bound(n), [n; 32])).0);
    lan.run(async move {
        for node in others.iter().skip(1).chain([&a]) {
            node.bootstrap(&[global(1)]).await.unwrap();
        }
        assert_eq!(a.news().await, News::ExternalAddress { address: global(4), id: bound(4) });
    });
}

#[test]
fn a_node_that_is_kept_over_a_deep_sleep_sees_its_time_go_on() {
    let mut lan = Lan::new(Medium::Ip);
    let stack = lan.stack();
    let mut resources = Resources::<Mote>::new(Mote::empty());
    let hour = Duration::from_secs(3_600);
    let epoch = kadlet::Instant::from_secs(1_000_000);
    resources.set_epoch(epoch);
    let start = |node: &mut Mote, now| node.start(now, CONFIG, id(1), [1; 32]);
    let (dht, runner) = kadlet_embassy::new(&mut resources, stack, PORT, start).unwrap();
    let short = Record::immutable(b"short");
    dht.with(|node, now| node.restore_record(now, &short, hour, true)).unwrap();
    dht.with(|node, now| node.restore_record(now, &Record::immutable(b"long"), 3 * hour, true)).unwrap();
    // A call that is never dropped, and an event that no task waits for, don't outlive the sleep.
    let mut call = Box::pin(ping(dht, at(9)));
    assert!(call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    core::mem::forget(call);
    let before = dht.with(|_, now| now);
    assert!(before >= epoch);
    drop(runner);

    // embassy-time's clock starts anew in the sleep. Here it can't, so the epoch alone moves.
    resources.set_epoch(before + hour);
    let (dht, mut runner) = kadlet_embassy::new(Box::leak(Box::new(resources)), stack, PORT, |_, now| {
        assert!(now >= before + hour, "time must go on: {before:?}, {now:?}");
        Ok(())
    })
    .unwrap();
    lan.spawn(async move { runner.run().await });
    let (other, _) = mote(&mut lan, 2);
    lan.run(async move {
        other.bootstrap(&[at(1)]).await.unwrap();
        assert_eq!(dht.with(|node, _| node.store().len()), 1, "the short record's lifetime is over");
        dht.slept(2 * hour);
        Timer::after_millis(50).await;
        assert_eq!(dht.with(|node, _| node.store().len()), 0, "the long record's lifetime is over");
        let calls = [(); 4].map(|()| ping(dht, at(2)));
        assert!(join_array(calls).await.iter().all(Result::is_ok), "all places for calls are free");
    });
}

#[test]
fn a_call_that_has_ended_but_is_not_polled_blocks_no_event_and_keeps_its_result() {
    let mut lan = Lan::new(Medium::Ip);
    let (a, _) = mote(&mut lan, 1);
    let (b, _) = mote(&mut lan, 2);
    let (copy, _) = lan.node(Mote::empty(), |node, now| node.start(now, CONFIG, id(1), [9; 32]));
    lan.run(async move {
        join_all(&[a, b]).await;
        let mut call = pin!(ping(a, at(2)));
        assert!(poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx).is_pending())).await);
        Timer::after_millis(100).await;
        ping(copy, at(1)).await.ok();
        let news = select(a.news(), Timer::after_secs(2)).await;
        assert!(matches!(news, Either::First(News::OwnIdSeen { address }) if address == at(3)), "{news:?}");
        // Operations that no call waits for end too, and free their slots.
        for _ in 0..8 {
            a.with(|node, now| node.ping(now, at(2))).unwrap();
            Timer::after_millis(50).await;
        }
        assert!(call.await.is_ok());
    });
}

#[test]
fn an_operation_that_no_call_waits_for_frees_its_slot() {
    let mut lan = Lan::new(Medium::Ip);
    let (a, _) = mote(&mut lan, 1);
    let (b, _) = mote(&mut lan, 2);
    lan.run(async move {
        join_all(&[a, b]).await;
        for _ in 0..20 {
            b.with(|node, now| node.find_node(now, id(1), &OPTIONS)).unwrap();
            Timer::after_millis(50).await;
        }
    });
}

#[test]
fn an_error_that_holds_another_returns_it_as_its_source_and_shows_its_text() {
    let error = Error::from(BeginError::NoContacts);
    assert!(error.source().is_some_and(|source| source.is::<BeginError>()));
    assert_eq!(error.to_string(), BeginError::NoContacts.to_string());

    let error = Error::Failed { failure: Failure::TimedOut, stats: Default::default() };
    assert!(error.source().is_some_and(|source| source.is::<Failure>()));
    assert!(error.to_string().starts_with(&Failure::TimedOut.to_string()));

    assert!(Error::Calls(4).source().is_none());
}

#[test]
fn news_have_a_text() {
    let news = News::OwnIdSeen { address: at(2) };
    assert_eq!(news.to_string(), "the node at 10.0.0.2:4000 uses this node's identifier");
}
