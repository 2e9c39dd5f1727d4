//! Ideal tables: a node's routing table, filled with given contacts as if the node had met them in the past.

use core::time::Duration;

use kadlet::routing::{Limits, Maintenance};
use kadlet::{Contact, Instant};

use crate::address::HostAddress;
use crate::overlay::{Overlay, RoundTrips};
use crate::random::Random;

/// The pauses, in seconds, after which a table in a calm network checks its neighbourhood. They grow to its maximum of
/// 15 minutes.
const CHECK_PAUSES: [u64; 6] = [0, 3, 30, 90, 270, 810];
/// How many responses after a silence make a table calm.
const RESPONSES_UNTIL_CALM: usize = 40;
/// A table of a ring looks for contacts for its empty cells every five seconds. This is more than it does in the
/// longest pause.
const MOST_MAINTENANCE: usize = 1_000;
/// Why a table takes its limits.
const CHECKED: &str = "the network's limits are in their ranges";

/// A table with these contacts, all verified. A `fresh` one is as new as its node, and has seen no churn or calm yet.
/// Any other has been in a calm network for hours.
pub(crate) fn ideal_table<R: Overlay>(
    fresh: bool,
    now: Instant,
    own: Contact<HostAddress>,
    contacts: &[Contact<HostAddress>],
    limits: &Limits,
    round_trip: &RoundTrips<'_>,
    random: &mut Random,
) -> R {
    if !fresh {
        return calm_table(now, own, contacts, limits, round_trip, random);
    }
    let mut table = R::EMPTY;
    table.start(now, own.id, limits, random.number()).expect(CHECKED);
    for contact in contacts {
        table.responded(now, *contact, Some(round_trip(own.address, contact.address)));
    }
    table
}

/// A table that has been in a calm network for hours: all contacts responded lately, and its maintenance is spread
/// evenly over the time to come. A table cuts each wait by up to an eighth at random, so maintenance is due evenly from
/// now on if its last was within seven eighths of the wait.
fn calm_table<R: Overlay>(
    now: Instant,
    own: Contact<HostAddress>,
    contacts: &[Contact<HostAddress>],
    limits: &Limits,
    round_trip: &RoundTrips<'_>,
    random: &mut Random,
) -> R {
    let round_trip = |contact: &Contact<HostAddress>| Some(round_trip(own.address, contact.address));
    let ago = |time: Duration| {
        Instant::from_micros(now.as_micros().saturating_sub(u64::try_from(time.as_micros()).unwrap_or(u64::MAX)))
    };
    let mut table = R::EMPTY;
    let calm = Duration::from_secs(CHECK_PAUSES.iter().sum()) + random.within(limits.neighbourhood_max * 7 / 8);
    let rounds = RESPONSES_UNTIL_CALM.div_ceil(contacts.len().max(1)) as u32;
    table.start(ago(calm + limits.quiet / 2 * rounds), own.id, limits, random.number()).expect(CHECKED);
    for round in (0..=rounds).rev() {
        for contact in contacts {
            table.responded(ago(calm + limits.quiet / 2 * round), *contact, round_trip(contact));
        }
    }
    for contact in contacts {
        table.looked_up(ago(random.within(limits.refresh * 7 / 8)), &contact.id);
    }
    let mut then = ago(calm);
    for pause in CHECK_PAUSES {
        let next = then + Duration::from_secs(pause);
        for _ in 0..MOST_MAINTENANCE {
            then = table.next_maintenance().max(then);
            if then >= next {
                break;
            }
            if let Some(Maintenance::Ask(contact)) = table.maintenance(then) {
                table.responded(then, contact, round_trip(&contact));
            }
        }
        then = next;
        if table.maintenance(then) == Some(Maintenance::Neighbourhood) {
            table.looked_up(then, &own.id);
        }
    }
    for contact in contacts {
        table.responded(ago(random.within(limits.quiet * 7 / 8)), *contact, round_trip(contact));
    }
    table
}

#[cfg(test)]
mod tests {
    use kadlet::routing::ContactState;
    use kadlet::{Kademlia, Routing};

    use super::*;

    #[test]
    fn a_calm_table_contains_its_ideal_contacts_and_has_no_maintenance_due_at_once() {
        type Table = Kademlia<HostAddress, 192>;

        let mut random = Random::new(3);
        let mut all: Vec<_> = (0..300).map(|host| Contact::new(random.id(), HostAddress::spread(host))).collect();
        all.sort_unstable_by_key(|contact| contact.id);
        let round_trip = |_, _| Duration::from_millis(100);
        let contacts = Table::ideal_contacts(&all, 17, 8, &round_trip, &mut random);
        assert!(contacts.is_sorted_by_key(|contact| contact.id.xor(&all[17].id)));
        let now = Instant::from_secs(12 * 3_600);
        let mut table: Table = ideal_table(false, now, all[17], &contacts, &Limits::DEFAULT, &round_trip, &mut random);
        assert_eq!(table.peers().map(|peer| peer.contact).collect::<Vec<_>>(), contacts);
        assert!(table.peers().all(|peer| peer.state == ContactState::Verified));
        assert!(table.maintenance(now).is_none_or(|maintenance| matches!(maintenance, Maintenance::Ask(_))));
        let mut nearest = all.clone();
        nearest.sort_unstable_by_key(|contact| contact.id.xor(&all[17].id));
        assert!(nearest[1..9].iter().all(|contact| contacts.contains(contact)));
    }
}
