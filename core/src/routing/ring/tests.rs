use super::*;
use crate::routing::{Chord, Pastry};

fn deadlines_are_right<P: Plan, const NEAR: usize, const CONTACTS: usize>(mut table: Ring<P, u16, NEAR, CONTACTS>) {
    let contact = |number: u16| {
        Contact::new(Id::from_bytes(core::array::from_fn(|at| (usize::from(number) * 37 * (at + 1)) as u8)), number)
    };
    let mut now = Instant::from_secs(1_000);
    table.start(now, Id::ZERO, &Limits::DEFAULT, 7).unwrap();
    for step in 0..2_000 {
        now = now + Duration::from_millis(700);
        let peer = contact(step * 13 % 40 + 1);
        match step % 17 {
            0 => table.failed(now, &peer.id),
            _ => table.responded(now, peer, None),
        }
        let next = table.next_maintenance();
        table.circle_mut().reschedule();
        assert_eq!(table.next_maintenance(), next, "step {step}");
        table.maintenance(now);
    }
}

#[test]
fn after_a_response_the_next_deadline_is_the_first_of_all_contacts() {
    deadlines_are_right(Chord::<u16>::EMPTY);
    deadlines_are_right(Pastry::<u16>::EMPTY);
}
