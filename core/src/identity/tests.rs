use super::*;
use core::net::SocketAddrV4;
use core::time::Duration;
use proptest::prelude::*;

type Ours = Identity<SocketAddrV4>;

fn at(prefix: u8) -> SocketAddrV4 {
    SocketAddrV4::new([203, 0, prefix, 1].into(), 4000)
}

fn voter(number: u8) -> Prefix {
    SocketAddrV4::new([198, 18, number, 1].into(), 4000).prefix().unwrap()
}

/// Runs for a time, in which all voters respond at once: voter `n` sees what `sees(n)` returns. Returns the addresses
/// that were settled.
fn run(identity: &mut Ours, now: &mut Instant, time: u64, sees: impl Fn(u8) -> Option<u8>) -> std::vec::Vec<u8> {
    let end = *now + Duration::from_secs(time);
    let mut settled = std::vec::Vec::new();
    let mut turn = 0_u8;
    while identity.due() <= end {
        *now = identity.due().max(*now);
        let step = identity.step(*now);
        turn = (turn + 1) % 20;
        let next = (0..20).map(|n| (turn + n) % 20).find(|n| sees(*n).is_some() && !identity.has_voted(voter(*n)));
        match (step, next) {
            (Some(_), Some(n)) => identity.observe(*now, voter(n), at(sees(n).unwrap())),
            _ if identity.end_round(*now) => settled.push(identity.external().ip().octets()[2]),
            _ => {}
        }
    }
    *now = end;
    settled
}

fn begun() -> (Ours, Instant) {
    let (mut identity, now) = (Ours::EMPTY, Instant::from_secs(1));
    identity.restart();
    identity.begin(now);
    (identity, now)
}

#[test]
fn the_first_address_is_settled_within_seconds_even_by_one_voter() {
    for voters in [1, 2, 20] {
        let (mut identity, mut now) = begun();
        assert_eq!(run(&mut identity, &mut now, 10, |n| (n < voters).then_some(1)), [1], "{voters} voters");
    }
}

#[test]
fn another_address_is_settled_after_it_was_seen_for_two_minutes() {
    let (mut identity, mut now) = begun();
    run(&mut identity, &mut now, 60, |_| Some(1));
    assert_eq!(run(&mut identity, &mut now, 110, |_| Some(2)), [], "not at once");
    assert_eq!(run(&mut identity, &mut now, 130, |_| Some(2)), [2], "within four minutes");
}

#[test]
fn an_address_that_changes_back_is_not_settled() {
    let (mut identity, mut now) = begun();
    run(&mut identity, &mut now, 60, |_| Some(1));
    for _ in 0..20 {
        assert_eq!(run(&mut identity, &mut now, 100, |_| Some(2)), []);
        assert_eq!(run(&mut identity, &mut now, 100, |_| Some(1)), []);
    }
}

#[test]
fn the_exits_of_a_provider_in_several_prefixes_settle_nothing() {
    let (mut identity, mut now) = begun();
    assert_eq!(run(&mut identity, &mut now, 10_000, |n| Some(n % 4)), []);
}

#[test]
fn two_voters_can_not_change_the_address_but_after_a_cut_one_can() {
    let (mut identity, mut now) = begun();
    run(&mut identity, &mut now, 60, |_| Some(1));
    assert_eq!(run(&mut identity, &mut now, 10_000, |n| (n < 2).then_some(2)), []);
    identity.cut_off();
    assert_eq!(run(&mut identity, &mut now, 100, |n| (n < 1).then_some(2)), [2]);
}

proptest! {
    /// Each round asks eight of twenty, by turns. Whatever a quarter of them says at any time, it moves nothing.
    #[test]
    fn lies_of_a_quarter_do_not_move_the_address(
        lies in proptest::collection::vec((0_u8..5, 2_u8..5, 1_u64..400), 30),
    ) {
        let (mut identity, mut now) = begun();
        run(&mut identity, &mut now, 60, |_| Some(1));
        for (shift, lie, time) in lies {
            let lies = |n: u8| (n + shift).is_multiple_of(4);
            prop_assert_eq!(run(&mut identity, &mut now, time, |n| Some(if lies(n) { lie } else { 1 })), []);
        }
        prop_assert_eq!(identity.external(), at(1));
    }

    /// Each prefix has one vote, however often it casts one.
    #[test]
    fn an_address_wins_only_with_two_thirds_of_the_prefixes_that_vote(
        casts in proptest::collection::vec((0_u8..9, 0_u8..3), 0..40),
    ) {
        let mut votes = Votes::<SocketAddrV4>::EMPTY;
        let mut counted = std::collections::BTreeMap::new();
        for (from, sees) in casts {
            votes.cast(voter(from), at(sees));
            if counted.len() < usize::from(ROUND) || counted.contains_key(&from) {
                counted.entry(from).or_insert(sees);
            }
        }
        let of = |sees| counted.values().filter(|other| **other == sees).count();
        let winner = (0..3).find(|sees| of(*sees) > 0 && 3 * of(*sees) >= 2 * counted.len());
        prop_assert_eq!(votes.winner(), winner.map(|sees| (at(sees), of(sees))));
    }

    /// Two prefixes lie as they like, while the others are honest or silent. They are too few, whatever they say.
    #[test]
    fn liars_of_two_prefixes_do_not_move_the_address_even_when_all_others_are_silent(
        lies in proptest::collection::vec((2_u8..4, 2_u8..4, any::<bool>(), 1_u64..600), 20),
    ) {
        let (mut identity, mut now) = begun();
        run(&mut identity, &mut now, 60, |_| Some(1));
        for (one, other, silent, time) in lies {
            let sees = |n: u8| match n {
                0 => Some(one),
                1 => Some(other),
                _ => (!silent).then_some(1),
            };
            prop_assert_eq!(run(&mut identity, &mut now, time, sees), []);
        }
        prop_assert_eq!(identity.external(), at(1));
    }
}
