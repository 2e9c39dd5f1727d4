//! Nodes on boards that share an Ethernet segment: smoltcp's own ARP and NDP, eight neighbours remembered, one asked for a second.

mod board;

use core::time::Duration;

use kadlet::{Machine, Options, Outcome, Query, Record};

use board::{Family, Segment};

const MINUTE: Duration = Duration::from_secs(60);

/// Waits for the end of an operation, and says whether it came to what was hoped for.
fn ends(segment: &mut Segment, board: usize, query: Query, hoped: impl Fn(&Outcome<'_, core::net::SocketAddr>) -> bool) -> bool {
    let mut good = false;
    let ended = segment.run(MINUTE, |segment| match segment.boards[board].node.take(query) {
        Some(done) => {
            good = hoped(&done.outcome);
            if !good {
                println!("board {board}: {:?}, {:?}", done.outcome, done.report);
            }
            true
        }
        None => false,
    });
    ended && good
}

fn join_all(segment: &mut Segment) {
    let first = segment.address(0);
    let joins: Vec<Query> = (1..segment.boards.len())
        .map(|board| {
            let (now, node) = segment.node(board);
            node.bootstrap(now, &[first]).unwrap()
        })
        .collect();
    for (board, query) in (1..).zip(joins) {
        assert!(ends(segment, board, query, |outcome| matches!(outcome, Outcome::Joined { .. })), "board {board} joins");
    }
    // Until the first has asked the others whether they are there.
    segment.run(MINUTE, |_| false);
}

fn put(segment: &mut Segment, board: usize, name: &[u8], value: &[u8]) -> bool {
    let (now, node) = segment.node(board);
    let query = node.put(now, &Record::plain(name, value), &Options::default()).unwrap();
    ends(segment, board, query, |outcome| matches!(outcome, Outcome::Stored { holders, .. } if holders.len() > 0))
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
            println!("{:?} {:?}", board.node.stats(), board.driver.losses());
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
