use super::*;
use crate::wire::{Kadlet, Transaction};
use core::net::SocketAddrV4;

type State = Reachability<SocketAddrV4, Kadlet>;

/// A node whose first check is due, and when.
fn begun() -> (State, Instant) {
    let mut state = State::EMPTY;
    state.restart(true);
    state.begin(Instant::from_secs(1));
    let due = state.due();
    (state, due)
}

/// Asks for the probe that is due, and returns its transaction.
fn ask(state: &mut State, serves: bool) -> Transaction {
    assert_eq!(state.step(state.due(), serves, 7), (false, true), "a probe is due");
    Kadlet::transaction(state.errands[0].nonce)
}

/// A helper forwards the probe, and it does not arrive. Returns what the next step says.
fn miss(state: &mut State, serves: bool) -> (bool, bool) {
    ask(state, serves);
    state.accepted = true;
    state.step(state.due(), serves, 7)
}

#[test]
fn nothing_is_due_before_a_node_has_responded_nor_if_the_user_has_said_whether_to_serve() {
    let mut state = State::EMPTY;
    state.restart(true);
    assert_eq!(state.due(), Instant::NEVER);
    state.restart(false);
    state.begin(Instant::ZERO);
    state.check(Instant::ZERO);
    assert_eq!(state.due(), Instant::NEVER);
}

#[test]
fn four_probes_in_a_row_show_that_the_node_can_be_reached() {
    for serves in [true, false] {
        let (mut state, due) = begun();
        for nth in 1..=4 {
            let transaction = ask(&mut state, serves);
            assert_eq!(state.arrived(due, transaction, serves), nth == 4 && !serves);
            assert!(!state.arrived(due, transaction, serves), "each counts once");
        }
        assert_eq!(state.due(), due + CALM);
    }
}

#[test]
fn six_missed_probes_in_a_row_make_a_client_which_tries_again_after_longer_and_longer_pauses() {
    let (mut state, _) = begun();
    ask(&mut state, true);
    for nth in 1..=6 {
        state.accepted = true;
        let now = state.due();
        assert_eq!(state.step(now, true, 7), (nth == 6, nth != 6), "missed {nth}");
    }
    let mut pauses = std::vec::Vec::new();
    let mut last = state.due();
    for _ in 0..8 {
        assert_eq!(miss(&mut state, false), (false, false));
        pauses.push(state.due().since(last).as_secs() / 60);
        last = state.due();
    }
    assert_eq!(pauses, [2, 4, 8, 16, 32, 60, 60, 60]);
}

#[test]
fn a_probe_that_arrives_ends_a_row_of_missed_ones() {
    let (mut state, due) = begun();
    for _ in 0..3 {
        ask(&mut state, true);
        for _ in 0..4 {
            state.accepted = true;
            assert_eq!(state.step(state.due(), true, 7), (false, true));
        }
        let transaction = Kadlet::transaction(state.errands[0].nonce);
        assert!(!state.arrived(due, transaction, true));
    }
}

#[test]
fn probes_that_no_helper_forwarded_count_for_nothing_and_there_are_few_of_them() {
    let (mut state, due) = begun();
    let (mut asked, mut now) = (0, due);
    while now < due + Micros::from_secs(24 * 60 * 60) {
        let (changes, asks) = state.step(now, true, 7);
        assert!(!changes);
        asked += u32::from(asks);
        if asks {
            state.failed(now, false);
        }
        now = state.due();
    }
    assert!((100..500).contains(&asked), "{asked} in a day");
}

#[test]
fn a_response_that_comes_after_the_probe_does_not_make_it_a_missed_one() {
    let (mut state, due) = begun();
    let transaction = ask(&mut state, true);
    state.arrived(due, transaction, true);
    assert_eq!(state.errands[0].nonce, 0, "the node ignores what the helper says");
}

#[test]
fn a_prefix_is_probed_once_a_minute_and_few_prefixes_are_at_once() {
    let (mut state, now) = begun();
    let prefix = |number| Prefix::new(number).unwrap();
    for number in 1..=8 {
        assert_eq!(state.take_turn(now, prefix(number), true), Ok(()));
        assert_eq!(state.take_turn(now, prefix(number), true), Err(ErrorCode::Busy));
    }
    assert_eq!(state.take_turn(now, prefix(9), true), Err(ErrorCode::Busy), "there is no room");
    let later = now + Micros::from_secs(60);
    assert_eq!([true, false].map(|passes| state.take_turn(later, prefix(3), passes)), [Ok(()); 2], "counted apart");
    assert_eq!([1, 9].map(|number| state.take_turn(later, prefix(number), true)), [Ok(()); 2]);
}
