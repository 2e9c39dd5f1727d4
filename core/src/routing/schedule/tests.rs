use super::*;
use crate::contact::Contact;

#[test]
fn it_draws_the_numbers_of_splitmix64s_authors() {
    let mut schedule = Schedule::EMPTY;
    assert_eq!(
        [(); 3].map(|()| schedule.draw()),
        [0xE220_A839_7B1D_CDAF, 0x6E78_9E6A_A1B9_65F4, 0x06C4_5D18_8009_454F]
    );
}

#[test]
fn departures_cut_the_waits_and_responses_after_a_silence_lengthen_them_again() {
    let limits = Limits::DEFAULT;
    let mut schedule = Schedule::EMPTY;
    schedule.start(&limits, 1);
    assert_eq!(schedule.quiet_wait().duration(), limits.quiet / 16, "a new node asks often");
    schedule.contact_survived(Instant::ZERO, Stamp::of(Instant::from_secs(60)));
    assert_eq!(
        schedule.quiet_wait().duration(),
        limits.quiet / 16,
        "the response of a contact that responded a moment ago tells nothing"
    );
    for _ in 0..60 {
        schedule.contact_survived(Instant::ZERO, Stamp::ZERO);
    }
    assert_eq!(schedule.quiet_wait().duration(), limits.quiet);
    let mut others = [TableEntry::new(Instant::ZERO, Contact::new(Id::ZERO, 7_u16))];
    others[0].note_response(Instant::ZERO, None);
    schedule.contact_departed(Instant::ZERO, &mut others);
    assert_eq!(schedule.quiet_wait().duration(), limits.quiet * 3 / 4);
    assert!(others[0].due.instant() <= Instant::ZERO + limits.quiet * 3 / 4, "the others are asked sooner");
    schedule.contact_departed(Instant::ZERO, &mut others);
    assert_eq!(
        schedule.refresh_wait().duration(),
        limits.refresh,
        "the wait for refreshes is whole until quiet contacts are asked twice as often"
    );
    schedule.contact_departed(Instant::ZERO, &mut others);
    assert!(schedule.refresh_wait().duration() < limits.refresh * 7 / 8);
    assert!(
        schedule.refresh.iter().all(|due| due.instant() <= Instant::ZERO + schedule.refresh_wait().duration()),
        "the table is refreshed sooner"
    );
    for _ in 0..20 {
        schedule.contact_departed(Instant::ZERO, &mut others);
    }
    assert_eq!(
        (schedule.quiet_wait().duration(), schedule.refresh_wait().duration()),
        (limits.quiet / 32, limits.refresh / 16)
    );
    for _ in 0..60 {
        schedule.contact_survived(Instant::ZERO, Stamp::ZERO);
    }
    assert_eq!(schedule.quiet_wait().duration(), limits.quiet);
}

#[test]
fn a_contact_that_comes_back_had_not_departed() {
    let mut schedule = Schedule::EMPTY;
    schedule.start(&Limits::DEFAULT, 1);
    let mut entry = TableEntry::new(Instant::ZERO, Contact::new(Id::ZERO, 7_u16));
    schedule.note_response(Instant::ZERO, &mut entry, None);
    let wait = schedule.quiet_wait();
    assert_eq!(wait.duration(), Limits::DEFAULT.quiet / 16, "its first response tells nothing");
    schedule.contact_departed(Instant::ZERO, &mut [entry]);
    assert!(schedule.quiet_wait() < wait);
    entry.note_failure(Instant::ZERO);
    schedule.note_response(Instant::ZERO, &mut entry, None);
    assert_eq!(schedule.quiet_wait(), wait);
}

/// How many checks begin in an hour in which the neighbourhood changes this often, in a table of this scale.
fn checks(scale: u16, seconds: u64) -> usize {
    let mut schedule = Schedule::EMPTY;
    schedule.start(&Limits::DEFAULT, 1);
    schedule.scale = scale;
    let mut checks = 0;
    for second in 0..3_600 {
        let now = Instant::from_secs(second);
        if second.is_multiple_of(seconds) {
            schedule.neighbourhood_changed(now);
        }
        checks += usize::from(schedule.begin_check(now, false));
    }
    checks
}

#[test]
fn neighbours_that_come_and_go_are_checked_less_and_less_often_unless_contacts_depart_everywhere() {
    let (calm, flapping, churn) = (checks(WHOLE_SCALE, 3_601), checks(WHOLE_SCALE, 4), checks(MIN_SCALE, 4));
    assert!(flapping <= 2 * calm, "{flapping} checks, {calm} in calm");
    assert!(churn >= 3_600 / 31, "{churn} checks under churn");
}

#[test]
fn the_wait_after_a_change_is_short_again_after_a_calm_time() {
    let mut schedule = Schedule::EMPTY;
    schedule.start(&Limits::DEFAULT, 1);
    schedule.scale = WHOLE_SCALE;
    schedule.neighbourhood_changed(Instant::ZERO);
    for _ in 0..20 {
        let now = schedule.check;
        schedule.neighbourhood_changed(now);
        assert!(schedule.begin_check(now, false));
    }
    assert_eq!(schedule.change_wait.duration(), Limits::DEFAULT.neighbourhood_max);
    for _ in 0..5 {
        let now = schedule.check;
        assert!(schedule.begin_check(now, false));
    }
    assert_eq!(schedule.change_wait.duration(), Limits::DEFAULT.neighbourhood_min);
}
