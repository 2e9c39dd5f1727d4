//! Nodes on boards that share an Ethernet segment, with smoltcp's ARP and NDP: it remembers eight neighbours and
//! searches for one a second.

mod board;

use core::net::SocketAddr;
use core::time::Duration;

use kadlet::routing::ContactState;
use kadlet::{Dht, Options, Outcome, QueryId, Record, Routing};

use board::{Family, Segment};

const MINUTE: Duration = Duration::from_secs(60);

/// Waits for the end of an operation. Returns whether it has the expected outcome and, where no frame is lost, no
/// request of it timed out.
fn ends(
    segment: &mut Segment,
    board: usize,
    query: QueryId,
    expected: impl Fn(&Outcome<'_, SocketAddr>) -> bool,
) -> bool {
    let lossy = segment.loss > 0 || segment.boards.iter().any(|board| !board.plugged);
    let mut good = false;
    let ended = segment.run(MINUTE, |segment| match segment.boards[board].node.take_result(query) {
        Some(result) => {
            good = expected(&result.outcome) && (lossy || result.stats.timed_out == 0);
            if !good {
                println!("board {board}: {:?}, {:?}", result.outcome, result.stats);
            }
            true
        }
        None => false,
    });
    ended && good
}

fn join_all(segment: &mut Segment) {
    let first = segment.address(0);
    let joins: Vec<QueryId> = (1..segment.boards.len())
        .map(|board| {
            let (now, node) = segment.node(board);
            node.bootstrap(now, &[first]).unwrap().query
        })
        .collect();
    for (board, query) in (1..).zip(joins) {
        assert!(
            ends(segment, board, query, |outcome| matches!(outcome, Outcome::Joined { .. })),
            "board {board} must join"
        );
    }
    // Until the first board has pinged the others.
    segment.run(MINUTE, |_| false);
}

fn put(segment: &mut Segment, board: usize, name: &[u8], value: &[u8]) -> bool {
    let (now, node) = segment.node(board);
    let query = node.put(now, &Record::plain(name, value), &Options::default()).unwrap();
    ends(segment, board, query, |outcome| matches!(outcome, Outcome::Stored { holders, .. } if !holders.is_empty()))
}

fn get(segment: &mut Segment, board: usize, name: &[u8], value: &[u8]) -> bool {
    let (now, node) = segment.node(board);
    let query = node.get(now, Record::plain(name, b"").key(), &Options::default()).unwrap();
    ends(segment, board, query, |outcome| matches!(outcome, Outcome::Value { record, .. } if record.value == value))
}

fn join_put_and_get(mut segment: Segment) -> Segment {
    join_all(&mut segment);
    for board in 0..segment.boards.len() {
        let name = [b'n', u8::try_from(board).unwrap()];
        assert!(put(&mut segment, board, &name, b"a value"), "board {board} must put its value");
        for other in 0..segment.boards.len() {
            assert!(get(&mut segment, other, &name, b"a value"), "board {other} must get the value of board {board}");
        }
    }
    segment
}

fn segment(family: Family, count: u8, loss: u64) -> Segment {
    let mut segment = Segment::new(family, count, 1);
    segment.loss = loss;
    segment
}

#[test]
fn two_boards_join_put_and_get_over_ipv4() {
    join_put_and_get(segment(Family::V4, 2, 0));
}

#[test]
fn two_boards_join_put_and_get_over_ipv6() {
    join_put_and_get(segment(Family::V6, 2, 0));
}

#[test]
fn two_boards_join_put_and_get_while_one_frame_in_ten_is_lost() {
    join_put_and_get(segment(Family::V4, 2, 100));
}

#[test]
fn ten_boards_on_one_segment_all_verify_one_another() {
    for family in [Family::V4, Family::V6] {
        let segment = join_put_and_get(segment(family, 10, 0));
        for board in &segment.boards {
            // A node pings a new contact once only. If the response is late, a later request verifies the contact.
            assert_eq!(board.node.routing().peers().filter(|peer| peer.state == ContactState::Verified).count(), 9);
            assert_eq!(*board.driver.losses(), kadlet_smoltcp::Losses::default());
        }
    }
}

#[test]
fn ten_boards_on_one_segment_join_put_and_get_while_one_frame_in_twenty_is_lost() {
    join_put_and_get(segment(Family::V4, 10, 50));
}

#[test]
fn the_same_seed_gives_the_same_history() {
    let [one, other] = [(); 2].map(|()| join_put_and_get(segment(Family::V4, 3, 100)));
    assert_eq!(one.now, other.now);
    assert!(one.boards.iter().zip(&other.boards).all(|(one, other)| one.turns == other.turns));
}

#[test]
fn unplugged_boards_cost_a_search_each_and_stop_no_other_board() {
    let mut segment = segment(Family::V4, 10, 0);
    join_all(&mut segment);
    assert!(put(&mut segment, 1, b"name", b"a value"));
    for gone in 7..10 {
        segment.boards[gone].plugged = false;
    }
    // This empties every board's neighbour cache.
    segment.boards.iter_mut().for_each(|board| board.iface.update_ip_addrs(|_| {}));
    for board in 0..7 {
        assert!(get(&mut segment, board, b"name", b"a value"), "board {board} must get");
        assert!(put(&mut segment, board, &[b'n', board as u8], b"another"), "board {board} must put");
    }
    let losses = segment.boards.iter().map(|board| *board.driver.losses());
    assert!(losses.map(|losses| losses.emptied).sum::<u32>() > 0, "a search for an unplugged board must have failed");
}

/// A segment on which board 0 received a ping from a host that doesn't exist, when its own ping to that host had
/// failed. The response holds up its responses' socket. Boards 0 and 1 have verified each other; nobody knows board 2.
fn segment_with_a_response_to_nowhere() -> Segment {
    let mut segment = segment(Family::V4, 3, 0);
    let responder = segment.address(0);
    let (now, node) = segment.node(1);
    let query = node.bootstrap(now, &[responder]).unwrap().query;
    assert!(ends(&mut segment, 1, query, |outcome| matches!(outcome, Outcome::Joined { .. })));
    segment.run(MINUTE, |_| false);
    for millis in [3_200, 500] {
        segment.forge(100, 0, &ping_of_a_stranger());
        segment.run(Duration::from_millis(millis), |_| false);
    }
    assert_eq!(segment.boards[0].driver.losses().emptied, 2);
    segment
}

/// How long a board waits for the pong of board 0.
fn ping_the_first(segment: &mut Segment, board: usize) -> Duration {
    let responder = segment.address(0);
    let (now, node) = segment.node(board);
    let query = node.ping(now, responder).unwrap();
    let began = segment.now;
    assert!(ends(segment, board, query, |outcome| matches!(outcome, Outcome::Pong { .. })), "it must get its response");
    (segment.now - began).into()
}

#[test]
fn a_requester_that_is_gone_delays_no_response_to_a_verified_contact() {
    let mut segment = segment_with_a_response_to_nowhere();
    let took = ping_the_first(&mut segment, 1);
    assert!(took < Duration::from_millis(2), "the response took {took:?}");
    assert_eq!(segment.boards[0].driver.losses().emptied, 2);
}

#[test]
fn a_requester_that_is_gone_delays_responses_to_strangers_for_a_limited_time() {
    let mut segment = segment_with_a_response_to_nowhere();
    let took = ping_the_first(&mut segment, 2);
    assert!(took < Duration::from_secs(4), "the response took {took:?}");
    assert_eq!(segment.boards[0].driver.losses().emptied, 3);
}

#[test]
fn a_new_driver_frees_the_queue_that_the_one_before_left_behind() {
    let mut segment = segment_with_a_response_to_nowhere();
    // Until there is no room for another response.
    for _ in 0..40 {
        segment.forge(100, 0, &ping_of_a_stranger());
    }
    segment.run(Duration::from_millis(500), |_| false);
    segment.boards[0].renew_driver();
    let took = ping_the_first(&mut segment, 2);
    assert!(took < Duration::from_secs(4), "the response took {took:?}");
}

/// A ping from a node that nobody knows, as a datagram.
fn ping_of_a_stranger() -> Vec<u8> {
    let (now, id) = (kadlet::Instant::ZERO, kadlet::Id::from_bytes([99; 20]));
    let mut stranger = board::Mote::new(now, kadlet::Config::default(), id, [99; 32]).unwrap();
    stranger.ping(now, SocketAddr::from(([10, 77, 0, 1], 4000))).unwrap();
    let mut buf = [0; kadlet::wire::MAX_DATAGRAM];
    let out = stranger.poll_transmit(now, &mut buf).unwrap();
    buf[..out.len].to_vec()
}

/// Pings once, for 200 ms and until the ping has ended, while a board receives pings from 100 hosts that don't exist,
/// four every 5 ms. Returns the ping's duration if it was successful.
fn ping_in_a_flood(segment: &mut Segment, from: usize, to: usize, flooded: usize) -> Option<Duration> {
    let datagram = ping_of_a_stranger();
    let address = segment.address(to);
    let (now, node) = segment.node(from);
    let query = node.ping(now, address).unwrap();
    let (began, mut ended) = (segment.now, None);
    for round in 0_u32.. {
        if round >= 40 && ended.is_some() {
            break;
        }
        (0..4).for_each(|number| segment.forge(100 + (round % 25 * 4 + number) as u8, flooded, &datagram));
        segment.run(Duration::from_millis(5), |_| false);
        let result = segment.boards[from].node.take_result(query);
        let is_good = |result: kadlet::QueryResult<'_, _>| matches!(result.outcome, Outcome::Pong { .. });
        ended = ended.or_else(|| result.map(|result| (is_good(result), segment.now - began)));
    }
    ended.filter(|(is_good, _)| *is_good).map(|(_, took)| took.into())
}

#[test]
fn a_flood_from_forged_neighbours_stops_no_datagram_between_verified_contacts() {
    let mut segment = segment(Family::V4, 3, 0);
    join_all(&mut segment);
    for (from, to) in [(0, 1), (1, 0)] {
        let pings: Vec<_> = (0..20).map(|_| ping_in_a_flood(&mut segment, from, to, 0)).collect();
        assert!(pings.iter().all(Option::is_some), "from {from}: {pings:?}");
        // A ping of the flooded board to one of the forged hosts holds up its requests once.
        let fast = pings.iter().flatten().filter(|took| **took < Duration::from_millis(20)).count();
        assert!(fast >= 18, "from {from}: {pings:?}");
    }
}

#[test]
fn a_request_that_waits_for_a_neighbour_delays_no_response() {
    let mut segment = segment(Family::V4, 3, 0);
    join_all(&mut segment);
    let (requester, nowhere) = (segment.address(0), SocketAddr::from(([10, 77, 0, 200], 4000)));
    let (now, node) = segment.node(0);
    node.ping(now, nowhere).unwrap();
    segment.run(Duration::from_millis(10), |_| false);
    let (now, node) = segment.node(1);
    let query = node.ping(now, requester).unwrap();
    let began = segment.now;
    assert!(ends(&mut segment, 1, query, |outcome| matches!(outcome, Outcome::Pong { .. })));
    assert!(segment.now - began < Duration::from_millis(2).into(), "the response took {}", segment.now - began);
}

#[test]
fn an_idle_board_sleeps() {
    let mut segment = segment(Family::V4, 10, 0);
    join_all(&mut segment);
    segment.run(20 * MINUTE, |_| false);
    let before: Vec<u64> = segment.boards.iter().map(|board| board.turns).collect();
    segment.run(60 * MINUTE, |_| false);
    let turns: Vec<u64> = segment.boards.iter().zip(before).map(|(board, before)| board.turns - before).collect();
    assert!(turns.iter().all(|turns| *turns < 1_000), "{turns:?}");
}
