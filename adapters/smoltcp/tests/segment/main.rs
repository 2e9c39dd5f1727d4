//! Nodes on boards that share an Ethernet segment: smoltcp's own ARP and NDP, eight neighbours remembered, one asked for a second.

mod board;

use core::net::SocketAddr;
use core::time::Duration;

use kadlet::routing::ContactState;
use kadlet::{Dht, Options, Outcome, QueryId, Record, Routing};

use board::{Family, Segment};

const MINUTE: Duration = Duration::from_secs(60);

/// Waits for the end of an operation, and says whether it came to what was hoped for, without a question in vain where nothing is lost.
fn ends(segment: &mut Segment, board: usize, query: QueryId, hoped: impl Fn(&Outcome<'_, SocketAddr>) -> bool) -> bool {
    let lossy = segment.loss > 0 || segment.boards.iter().any(|board| !board.plugged);
    let mut good = false;
    let ended = segment.run(MINUTE, |segment| match segment.boards[board].node.take_result(query) {
        Some(done) => {
            good = hoped(&done.outcome) && (lossy || done.stats.timed_out == 0);
            if !good {
                println!("board {board}: {:?}, {:?}", done.outcome, done.stats);
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
            node.bootstrap(now, &[first]).unwrap()
        })
        .collect();
    for (board, query) in (1..).zip(joins) {
        assert!(
            ends(segment, board, query, |outcome| matches!(outcome, Outcome::Joined { .. })),
            "board {board} joins"
        );
    }
    // Until the first has asked the others whether they are there.
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
        assert!(put(&mut segment, board, &name, b"a value"), "board {board} puts");
        for other in 0..segment.boards.len() {
            assert!(get(&mut segment, other, &name, b"a value"), "board {other} gets what board {board} put");
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
fn ten_boards_on_one_segment_take_nobody_for_dead() {
    for family in [Family::V4, Family::V6] {
        let segment = join_put_and_get(segment(family, 10, 0));
        for board in &segment.boards {
            // A stranger is asked once only, and may be missed; it becomes known by other ways.
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
fn the_same_seed_is_the_same_history() {
    let [one, other] = [(); 2].map(|()| join_put_and_get(segment(Family::V4, 3, 100)));
    assert_eq!(one.now, other.now);
    assert!(one.boards.iter().zip(&other.boards).all(|(one, other)| one.turns == other.turns));
}

#[test]
fn boards_that_are_unplugged_cost_a_search_each_and_stop_nobody() {
    let mut segment = segment(Family::V4, 10, 0);
    join_all(&mut segment);
    assert!(put(&mut segment, 1, b"name", b"a value"));
    for gone in 7..10 {
        segment.boards[gone].plugged = false;
    }
    // Nobody remembers where the others are.
    segment.boards.iter_mut().for_each(|board| board.iface.update_ip_addrs(|_| {}));
    for board in 0..7 {
        assert!(get(&mut segment, board, b"name", b"a value"), "board {board} gets");
        assert!(put(&mut segment, board, &[b'n', board as u8], b"another"), "board {board} puts");
    }
    let losses = segment.boards.iter().map(|board| *board.driver.losses());
    assert!(losses.map(|losses| losses.emptied).sum::<u32>() > 0, "somebody was looked for in vain");
}

#[test]
fn a_requester_that_is_gone_holds_responses_up_for_a_while_only() {
    let mut segment = segment(Family::V4, 3, 0);
    join_all(&mut segment);
    let served = segment.address(0);
    // Board 2 asks and is gone before it can be answered, as a forged sender is who never was there.
    let (now, node) = segment.node(2);
    node.ping(now, served).unwrap();
    segment.run(Duration::from_micros(50), |_| false);
    segment.boards[2].plugged = false;
    segment.boards[0].iface.update_ip_addrs(|_| {});
    segment.run(Duration::from_millis(500), |_| false);
    assert_eq!(segment.boards[0].driver.losses().emptied, 0);

    let (now, node) = segment.node(1);
    let query = node.ping(now, served).unwrap();
    let asked = segment.now;
    assert!(
        ends(&mut segment, 1, query, |outcome| matches!(outcome, Outcome::Pong { .. })),
        "the next asker is answered"
    );
    assert!(segment.now - asked < Duration::from_secs(4).into(), "answered after {}", segment.now - asked);
    assert_eq!(segment.boards[0].driver.losses().emptied, 1);
}

#[test]
fn requests_that_wait_for_a_neighbour_hold_no_response_up() {
    let mut segment = segment(Family::V4, 3, 0);
    join_all(&mut segment);
    let (requester, nowhere) = (segment.address(0), SocketAddr::from(([10, 77, 0, 200], 4000)));
    let (now, node) = segment.node(0);
    node.ping(now, nowhere).unwrap();
    segment.run(Duration::from_millis(10), |_| false);
    let (now, node) = segment.node(1);
    let query = node.ping(now, requester).unwrap();
    let asked = segment.now;
    assert!(ends(&mut segment, 1, query, |outcome| matches!(outcome, Outcome::Pong { .. })));
    assert!(segment.now - asked < Duration::from_millis(2).into(), "answered after {}", segment.now - asked);
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
