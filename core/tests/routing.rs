//! The tables of all three geometries under random calls: the body of the fuzz target `routing`, on stable Rust.

#[path = "fuzz/routing.rs"]
pub mod fuzz;

use core::time::Duration;
use std::collections::BTreeMap;

use kadlet::routing::{ContactState, Limits, Peer};
use kadlet::{Chord, Contact, Id, Instant, Kademlia, Pastry, Routing};
use proptest::prelude::*;

const NOW: Instant = Instant::from_secs(1_000);

/// The nodes respond to a node, which takes another identifier then. The contacts of its table are the same, but for a
/// node with that identifier, and so they are after it has taken the first one again.
fn rekeyed_keeps_contacts<R: Routing<Address = u16>>(ids: &[[u8; 3]], failing: usize, own: [u8; 3]) {
    let id = |bytes: &[u8; 3]| {
        let mut all = [0; Id::LEN];
        all[..3].copy_from_slice(bytes);
        Id::from_bytes(all)
    };
    let (before, own) = (Id::from_bytes([0x5A; Id::LEN]), id(&own));
    let mut table = R::EMPTY;
    table.start(NOW, before, &Limits::DEFAULT, 1).unwrap();
    for (number, bytes) in ids.iter().enumerate() {
        table.responded(NOW, Contact::new(id(bytes), number as u16), Some(Duration::from_millis(20)));
    }
    ids.iter().take(failing).for_each(|bytes| table.failed(NOW, &id(bytes)));
    let known = |table: &R| table.peers().map(|peer| (peer.contact.id, peer)).collect::<BTreeMap<Id, Peer<u16>>>();
    let mut expected = known(&table);
    expected.remove(&own);
    let later = NOW + Duration::from_secs(100);
    for taken in [own, before] {
        table.rekey(later, taken);
        assert_eq!(table.own(), taken);
        assert_eq!(table.get(&taken), None);
        assert_eq!(known(&table), expected);
        let verified = expected.values().filter(|peer| peer.state == ContactState::Verified).count();
        let mut named = [Contact::EMPTY; 64];
        assert_eq!(table.closest(&taken, &mut named), verified);
        assert!(table.next_maintenance() <= later || verified == 0, "the neighbourhood is checked at once");
        // Those that respond once more keep their places.
        for peer in expected.values().filter(|peer| peer.state == ContactState::Verified) {
            table.responded(later, peer.contact, None);
        }
        assert_eq!(known(&table).len(), expected.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_sequence_of_calls_breaks_the_table(data in proptest::collection::vec(any::<u8>(), 0..1_500)) {
        fuzz::run(&data);
    }

    #[test]
    fn a_table_keeps_its_contacts_when_the_node_takes_another_id(
        ids in proptest::collection::vec(any::<[u8; 3]>(), 0..60),
        failing in 0..8_usize,
        own in any::<[u8; 3]>(),
        takes_that_of_a_contact in any::<bool>(),
    ) {
        let own = if takes_that_of_a_contact { *ids.last().unwrap_or(&own) } else { own };
        rekeyed_keeps_contacts::<Kademlia<u16, 48>>(&ids, failing, own);
        rekeyed_keeps_contacts::<Chord<u16, 4, 48>>(&ids, failing, own);
        rekeyed_keeps_contacts::<Pastry<u16, 8, 4, 48>>(&ids, failing, own);
    }
}
