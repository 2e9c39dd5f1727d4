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
