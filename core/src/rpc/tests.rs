use std::string::ToString;
use std::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::wire::Transaction;

const LIMITS: RequestLimits = RequestLimits {
    min: Duration::from_millis(100),
    initial: Duration::from_secs(1),
    max: Duration::from_secs(3),
    attempts: 3,
};

fn requests() -> Requests<u16, u8, Transaction, 4> {
    let mut requests = Requests::EMPTY;
    requests.start(LIMITS).unwrap();
    requests
}

fn id(first: u8) -> Id {
    Id::from_bytes([first; Id::LEN])
}

const fn transaction(first: u8) -> Transaction {
    Transaction([first; 8])
}

const fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

/// Begins a request whose owner, transaction, address and expected node have the same number.
fn times(number: u8) -> Attempts {
    Attempts::Times(NonZeroU8::new(number).unwrap())
}

fn begin(requests: &mut Requests<u16, u8, Transaction, 4>, owner: u8) -> Result<(), Full> {
    requests.begin(owner, u16::from(owner), Some(id(owner)), transaction(owner), None, Attempts::Known)
}

fn send(requests: &mut Requests<u16, u8, Transaction, 4>, now: Instant) -> Option<u8> {
    let ready = requests.ready()?;
    requests.sent(now, ready.index);
    Some(ready.owner)
}

fn response(requests: &mut Requests<u16, u8, Transaction, 4>, now: Instant, owner: u8) -> Match<u8> {
    requests.accept(now, u16::from(owner), &id(owner), transaction(owner))
}

const fn slow(owner: u8) -> Option<Due<u16, u8>> {
    Some(Due::Slow { owner, expect: Some(Id::from_bytes([owner; Id::LEN])) })
}

const fn failed(owner: Option<u8>, to: u8) -> Option<Due<u16, u8>> {
    Some(Due::Failed { owner, expect: Some(Id::from_bytes([to; Id::LEN])), to: to as u16, acknowledged: false })
}

#[test]
fn requests_are_sent_in_the_order_in_which_they_were_begun() {
    let requests = &mut requests();
    for owner in [3, 1, 2] {
        begin(requests, owner).unwrap();
    }
    assert_eq!([(); 3].map(|()| send(requests, at(0))), [Some(3), Some(1), Some(2)]);
    assert!(!requests.has_ready() && requests.ready().is_none());
}

#[test]
fn a_response_counts_only_from_the_asked_address_and_the_expected_node() {
    let requests = &mut requests();
    begin(requests, 1).unwrap();
    assert_eq!(response(requests, at(0), 1), Match::Unknown, "it was not sent yet");
    send(requests, at(0));
    assert_eq!(requests.accept(at(1), 1, &id(1), transaction(2)), Match::Unknown);
    assert_eq!(requests.accept(at(1), 2, &id(1), transaction(1)), Match::WrongAddress);
    assert_eq!(requests.len(), 1);
    assert_eq!(requests.accept(at(1), 1, &id(2), transaction(1)), Match::WrongId { owner: Some(1), expected: id(1) });
    assert!(requests.is_empty());
    assert_eq!(response(requests, at(2), 1), Match::Unknown);
}

#[test]
fn any_node_can_respond_if_none_is_expected() {
    let requests = &mut requests();
    requests.begin(1, 1, None, transaction(1), None, Attempts::Known).unwrap();
    send(requests, at(0));
    assert_eq!(
        requests.accept(at(7), 1, &id(9), transaction(1)),
        Match::Response { owner: Some(1), rtt: Some(Duration::from_millis(7)) }
    );
}

#[test]
fn a_round_trip_is_taken_only_from_a_request_that_was_sent_once() {
    let requests = &mut requests();
    begin(requests, 1).unwrap();
    send(requests, at(0));
    assert_eq!(requests.due(at(1_000)), slow(1));
    send(requests, at(1_000));
    assert_eq!(response(requests, at(1_005), 1), Match::Response { owner: Some(1), rtt: None });
    assert_eq!(requests.timeout(), LIMITS.initial, "no round trip was measured");

    begin(requests, 2).unwrap();
    send(requests, at(2_000));
    assert_eq!(requests.due(at(3_000)), slow(2));
    let rtt = Some(Duration::from_millis(1_010));
    assert_eq!(
        response(requests, at(3_010), 2),
        Match::Response { owner: Some(2), rtt },
        "the retransmission was not sent yet"
    );
    assert_eq!((requests.has_ready(), requests.timeout()), (false, LIMITS.max));
}

#[test]
fn the_first_timeout_of_an_unknown_node_follows_from_all_round_trips() {
    let requests = &mut requests();
    for owner in 0..20 {
        begin(requests, owner).unwrap();
        send(requests, at(0));
        response(requests, at(60), owner);
    }
    assert_eq!(requests.timeout(), LIMITS.min.max(requests.trip.timeout().unwrap()));
    begin(requests, 1).unwrap();
    send(requests, at(0));
    assert_eq!(requests.deadline(), at(0) + requests.timeout());
}

#[test]
fn the_second_attempt_waits_twice_as_long_and_slow_comes_before_failed() {
    let requests = &mut requests();
    requests.begin(1, 1, Some(id(1)), transaction(1), Some(Duration::from_millis(900)), times(4)).unwrap();
    let mut now = at(0);
    for (wait, reported) in [(900, slow(1)), (1_800, None), (3_000, None), (3_000, failed(Some(1), 1))] {
        assert_eq!(requests.ready().map(|ready| ready.retransmit), Some(wait != 900));
        send(requests, now);
        assert_eq!(requests.deadline(), now + Duration::from_millis(wait));
        let just_before = Instant::from_micros(requests.deadline().as_micros() - 1);
        assert_eq!(requests.due(just_before), None);
        now = requests.deadline();
        assert_eq!(requests.due(now), reported);
        assert_eq!(requests.due(now), None);
    }
    assert!(requests.is_empty() && !requests.has_ready());
    assert_eq!(requests.deadline(), Instant::NEVER);
}

#[test]
fn a_stranger_is_asked_once_and_awaited_for_two_attempts_and_shows_nothing_of_the_loss() {
    let requests = &mut requests();
    requests.begin(1, 1, Some(id(1)), transaction(1), None, Attempts::Stranger).unwrap();
    send(requests, at(0));
    assert_eq!(requests.due(at(1_000)), slow(1));
    assert_eq!((requests.ready(), requests.deadline()), (None, at(3_000)));
    assert_eq!(requests.due(at(3_000)), failed(Some(1), 1));
    let attempts = |requests: &Requests<u16, u8, Transaction, 4>| requests.loss.attempts(3);
    for (kind, expected) in [(Attempts::Stranger, 3), (Attempts::Known, 9)] {
        for owner in 0..50 {
            requests.begin(owner, owner.into(), Some(id(owner)), transaction(owner), None, kind).unwrap();
            send(requests, at(0));
            requests.unreachable(at(0), owner.into());
            let _ = requests.due(at(0));
            send(requests, at(0));
            response(requests, at(0), owner);
        }
        assert_eq!(attempts(requests), expected);
    }
}

#[test]
fn a_timeout_is_kept_between_the_limits() {
    let requests = &mut requests();
    for (owner, timeout, wait) in [(1, 1, 100), (2, 60_000, 3_000)] {
        requests.begin(owner, 0, None, transaction(owner), Some(Duration::from_millis(timeout)), times(1)).unwrap();
        send(requests, at(0));
        assert_eq!(requests.deadline(), at(wait));
        assert_eq!(
            requests.due(at(wait)),
            Some(Due::Failed { owner: Some(owner), expect: None, to: 0, acknowledged: false })
        );
    }
}

#[test]
fn a_request_that_was_not_delivered_times_out_at_once() {
    let requests = &mut requests();
    for owner in [1, 2] {
        begin(requests, owner).unwrap();
        send(requests, at(0));
    }
    requests.unreachable(at(5), 3);
    assert_eq!(requests.due(at(5)), None);
    requests.unreachable(at(5), 2);
    assert_eq!(requests.deadline(), at(5));
    assert_eq!(requests.due(at(5)), slow(2));
    assert_eq!(requests.due(at(5)), None);
    for reported in [None, failed(Some(2), 2)] {
        send(requests, at(6));
        requests.unreachable(at(6), 2);
        assert_eq!(requests.due(at(6)), reported);
    }
    assert_eq!((requests.len(), requests.deadline()), (1, at(1_000)));
}

#[test]
fn a_released_request_waits_for_its_response_and_is_not_retransmitted() {
    let requests = &mut requests();
    for owner in [1, 2, 3] {
        begin(requests, owner).unwrap();
    }
    send(requests, at(0));
    send(requests, at(0));
    assert_eq!(requests.free(), 1);
    requests.release(|owner| *owner != 2);
    assert_eq!(
        (requests.len(), requests.free(), requests.has_ready()),
        (2, 3, false),
        "a request that was never sent is forgotten"
    );
    assert_eq!(response(requests, at(20), 2), Match::Response { owner: Some(2), rtt: Some(Duration::from_millis(20)) });
    assert_eq!(requests.due(at(5_999)), None);
    assert!(!requests.has_ready());
    let rtt = Some(Duration::from_millis(5_999));
    assert_eq!(response(&mut requests.clone(), at(5_999), 1), Match::Response { owner: None, rtt });
    // It waits as long as three attempts would: 1, 2 and (the limit) 3 seconds.
    assert_eq!(requests.due(at(6_000)), failed(None, 1));
}

#[test]
fn a_request_released_before_it_is_retransmitted_still_waits() {
    let requests = &mut requests();
    begin(requests, 1).unwrap();
    send(requests, at(0));
    assert_eq!(requests.due(at(1_000)), slow(1));
    requests.release(|_| true);
    assert_eq!((requests.has_ready(), requests.deadline()), (false, at(3_000)));
    assert_eq!(response(requests, at(2_000), 1), Match::Response { owner: None, rtt: Some(Duration::from_secs(2)) });
}

#[test]
fn a_full_table_refuses_a_request_unless_another_was_released() {
    let requests = &mut requests();
    for owner in 1..=4 {
        begin(requests, owner).unwrap();
        send(requests, at(0));
    }
    assert_eq!(begin(requests, 5), Err(Full));
    assert_eq!((requests.len(), requests.free()), (4, 0));
    requests.release(|owner| *owner == 3);
    assert_eq!(requests.free(), 1);
    assert_eq!(begin(requests, 5), Ok(()));
    assert_eq!(response(requests, at(1), 3), Match::Unknown, "it was dropped");
    assert_eq!(begin(requests, 6), Err(Full));
}

#[test]
fn a_request_that_can_not_be_sent_is_dropped() {
    let requests = &mut requests();
    begin(requests, 1).unwrap();
    let index = requests.ready().unwrap().index;
    requests.drop(index);
    requests.drop(7);
    requests.sent(at(0), 0);
    assert!(requests.is_empty() && !requests.has_ready());
}

#[test]
fn limits_out_of_range_are_refused_and_leave_the_table_as_it_was() {
    let requests = &mut requests();
    begin(requests, 1).unwrap();
    let mut refused = |limits| requests.start(limits).unwrap_err().to_string();
    let hour = Duration::from_secs(3_600);
    assert_eq!(
        refused(RequestLimits { initial: Duration::from_millis(99), ..LIMITS }),
        "initial is 99000 us; it must be 100000 us to 3000000 us"
    );
    assert_eq!(
        refused(RequestLimits { max: Duration::ZERO, ..LIMITS }),
        "max is 0 us; it must be 100000 us to 4294967294 us"
    );
    assert!(refused(RequestLimits { max: 2 * hour, ..LIMITS }).starts_with("max is 4294967295 us"));
    assert_eq!(refused(RequestLimits { attempts: 0, ..LIMITS }), "attempts is 0; it must be 1 to 85");
    assert_eq!(refused(RequestLimits { attempts: 86, ..LIMITS }), "attempts is 86; it must be 1 to 85");
    assert_eq!((requests.len(), requests.timeout()), (1, LIMITS.initial));
    assert_eq!(requests.start(RequestLimits { max: hour, attempts: 85, ..LIMITS }), Ok(()));
}

#[test]
fn a_table_that_was_not_started_does_no_harm() {
    let mut requests = Requests::<u16, u8, Transaction, 1>::EMPTY;
    requests.begin(1, 1, None, transaction(1), None, Attempts::Known).unwrap();
    requests.sent(Instant::NEVER, 0);
    assert_eq!(
        requests.due(Instant::NEVER),
        Some(Due::Failed { owner: Some(1), expect: None, to: 1, acknowledged: false })
    );
    assert_eq!(requests.due(Instant::NEVER), None);
}

/// A request in a naive model of the rules, in milliseconds. Owner, transaction and expected node have the same number.
#[derive(Clone, Debug)]
struct Naive {
    number: u8,
    to: u16,
    timeout: u64,
    attempts: u8,
    /// Attempts begun, including those that were not sent because the owner is gone.
    begun: u8,
    to_send: bool,
    first_sent: u64,
    /// When the attempt times out.
    until: u64,
    retransmitted: bool,
    released: bool,
}

impl Naive {
    fn begin_attempt(&mut self, from: u64) {
        self.to_send = false;
        self.until = from + (self.timeout << self.begun).min(3_000);
        self.begun += 1;
    }

    fn owner(&self) -> Option<u8> {
        (!self.released).then_some(self.number)
    }
}

fn naive_due(model: &mut Vec<Naive>, now: u64) -> Option<Due<u16, u8>> {
    loop {
        let index = model.iter().position(|request| !request.to_send && request.until <= now)?;
        let request = &mut model[index];
        let (owner, expect, to) = (request.owner(), Some(id(request.number)), request.to);
        if request.begun >= request.attempts {
            model.remove(index);
            return Some(Due::Failed { owner, expect, to, acknowledged: false });
        }
        let Some(owner) = owner else {
            request.begin_attempt(request.until);
            continue;
        };
        request.to_send = true;
        if request.begun == 1 {
            return Some(Due::Slow { owner, expect });
        }
    }
}

proptest! {
    #[test]
    fn requests_agree_with_a_naive_model(
        steps in proptest::collection::vec((0_u8..9, any::<u8>(), 0_u64..800), 0..150),
    ) {
        let requests = &mut requests();
        let mut model: Vec<Naive> = Vec::new();
        let (mut now, mut last_number) = (0, 0_u8);
        for (step, dice, pause) in steps {
            now += pause;
            match step {
                0 | 1 => {
                    last_number = last_number.wrapping_add(1);
                    let new = Naive {
                        number: last_number,
                        to: u16::from(dice % 3),
                        timeout: 100 + u64::from(dice),
                        attempts: (dice % 3) + 1,
                        begun: 0,
                        to_send: true,
                        first_sent: 0,
                        until: 0,
                        retransmitted: false,
                        released: false,
                    };
                    let timeout = Some(Duration::from_millis(new.timeout));
                    let (owner, expect, attempts) = (new.number, Some(id(new.number)), times(new.attempts));
                    let begun = requests.begin(owner, new.to, expect, transaction(owner), timeout, attempts);
                    if model.len() == 4 && let Some(index) = model.iter().position(|request| request.released) {
                        model.remove(index);
                    }
                    prop_assert_eq!(begun.is_ok(), model.len() < 4);
                    if begun.is_ok() {
                        model.push(new);
                    }
                }
                2 | 3 => {
                    let request = model.iter_mut().find(|request| request.to_send);
                    let retransmit = request.as_ref().map(|request| request.begun != 0);
                    prop_assert_eq!(requests.ready().map(|ready| ready.retransmit), retransmit);
                    prop_assert_eq!(send(requests, at(now)), request.as_ref().map(|request| request.number));
                    if let Some(request) = request {
                        request.retransmitted = request.begun != 0;
                        request.first_sent = if request.retransmitted { request.first_sent } else { now };
                        request.begin_attempt(now);
                    }
                }
                4 if !model.is_empty() => {
                    let index = usize::from(dice) % model.len();
                    let request = model[index].clone();
                    let from = request.to + u16::from(dice % 5 == 0);
                    let sender = if dice % 7 == 0 { 0 } else { request.number };
                    let rtt = (!request.retransmitted).then(|| Duration::from_millis(now - request.first_sent));
                    let expected = match () {
                        () if request.begun == 0 => Match::Unknown,
                        () if from != request.to => Match::WrongAddress,
                        () if sender != request.number => {
                            Match::WrongId { owner: request.owner(), expected: id(request.number) }
                        }
                        () => Match::Response { owner: request.owner(), rtt },
                    };
                    prop_assert_eq!(requests.accept(at(now), from, &id(sender), transaction(request.number)), expected);
                    if !matches!(expected, Match::Unknown | Match::WrongAddress) {
                        model.remove(index);
                    }
                }
                5 => {
                    requests.unreachable(at(now), u16::from(dice % 3));
                    let to = u16::from(dice % 3);
                    for request in model.iter_mut().filter(|request| request.to == to && !request.to_send) {
                        request.until = request.until.min(now);
                    }
                }
                6 if dice % 4 == 0 => {
                    requests.release(|owner| owner % 2 == 0);
                    model.retain(|request| request.number % 2 != 0 || request.begun != 0);
                    for request in model.iter_mut().filter(|request| request.number % 2 == 0) {
                        request.released = true;
                        if request.to_send {
                            request.begin_attempt(request.until);
                        }
                    }
                }
                _ => loop {
                    let due = requests.due(at(now));
                    prop_assert_eq!(due, naive_due(&mut model, now));
                    if due.is_none() {
                        break;
                    }
                },
            }
            prop_assert_eq!(requests.len(), model.len());
            prop_assert_eq!(requests.free(), 4 - model.iter().filter(|request| !request.released).count());
            prop_assert_eq!(requests.has_ready(), model.iter().any(|request| request.to_send));
            let deadline = model.iter().filter(|request| !request.to_send).map(|request| request.until).min();
            prop_assert_eq!(requests.deadline(), deadline.map_or(Instant::NEVER, at));
        }
    }
}

#[test]
fn an_acknowledged_request_is_not_retransmitted_and_waits_for_the_second_response() {
    let requests = &mut requests();
    begin(requests, 1).unwrap();
    begin(requests, 2).unwrap();
    send(requests, at(0));
    send(requests, at(0));
    let acknowledge = |requests: &mut Requests<u16, u8, Transaction, 4>, now, from| {
        requests.acknowledge(now, from, &id(1), transaction(1), at(9_000))
    };
    assert_eq!(acknowledge(requests, at(50), 7), Match::WrongAddress);
    let first = Match::Response { owner: Some(1), rtt: Some(Duration::from_millis(50)) };
    assert_eq!((acknowledge(requests, at(50), 1), requests.owner(transaction(1)), requests.len()), (first, Some(1), 2));
    // Another request times out meanwhile.
    assert_eq!(requests.due(at(1_000)), slow(2));
    assert_eq!(
        (send(requests, at(1_000)), response(requests, at(1_010), 2)),
        (Some(2), Match::Response { owner: Some(2), rtt: None })
    );
    assert_eq!((requests.deadline(), requests.due(at(8_999))), (at(9_000), None));
    let again = Match::Response { owner: Some(1), rtt: None };
    assert_eq!(acknowledge(requests, at(3_000), 1), again, "no round trip is measured the second time");
    assert_eq!(response(requests, at(4_000), 1), again);
    assert!(requests.is_empty());

    begin(requests, 3).unwrap();
    send(requests, at(10_000));
    requests.acknowledge(at(10_010), 3, &id(3), transaction(3), at(12_000));
    let late = Due::Failed { owner: Some(3), expect: Some(id(3)), to: 3, acknowledged: true };
    assert_eq!((requests.due(at(11_999)), requests.due(at(12_000))), (None, Some(late)));
}
