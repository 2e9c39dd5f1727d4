//! Replication: when a publisher puts its record again, and when a holder makes sure that the other responsible nodes
//! hold it too.
//!
//! A record belongs to the k nodes responsible for its key. Its publisher puts it again every `republish`, or after a
//! third of its lifetime if that is sooner. Its holders replicate it: after each check of the neighbourhood, each
//! holder makes a [pass](Replication::begin_pass) over its store. The pass has one turn for each rank that a holder can
//! have. The most responsible holder replicates a record in the first turn, and each further holder 3 s later. So
//! usually one of them does the work, and tells the others. What another node tells is believed once. After that the
//! node replicates the record itself.
//!
//! A record is replicated if the nodes that should hold it have changed since it was last replicated, 30 s later at the
//! earliest; and otherwise after `republish`. While a holder has not replicated it itself, any change of its
//! neighbourhood counts. Each time that nothing was lacking, both waits are doubled. A holder that refused a record
//! because it doesn't take its kind or has no room is not offered it again.
//!
//! This does not defend against a node that says that it has stored a record, and does not keep it.
//!
//! Nothing here sends a datagram: [`Replication`] only determines which record is next.

use crate::contact::Contact;
use crate::id::Id;
use crate::naming::MAX_NAMED;
use crate::routing::Routing;
use crate::store::{Metadata, Store, StoredRecord};
use crate::time::{Instant, Micros};

/// A holder replicates a record this much later for each node that is more responsible for it.
const TURN: Micros = Micros::from_secs(3);

/// A record whose holders have changed is replicated no sooner than this many seconds after it was replicated last.
/// Twice that if nothing was lacking, and so on, [`MOST_PAUSES`] times at most.
const PAUSE: u32 = 30;
const MOST_PAUSES: u8 = 2;

/// The wait for a record with nothing lacking is doubled at most this often.
const MOST_CALM: u8 = 4;

/// How many refusals are remembered at most.
const REFUSALS: usize = 32;

/// When the next record expires, must be published again, or must be replicated.
#[derive(Debug)]
pub(crate) struct Replication {
    /// No record expires before this.
    expiry: Instant,
    /// No own record must be published before this.
    publish: Instant,
    pass: Pass,
    /// Digests of holders and records that were refused, each at the place that its last bits give.
    refusals: [u32; REFUSALS],
}

/// A pass over the store.
#[derive(Clone, Copy, Debug)]
struct Pass {
    /// When the turn of this rank begins. Never, if no pass is under way.
    due: Instant,
    rank: usize,
    /// The number of slots that are left in this turn.
    slot: usize,
}

/// The settings of replication.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Placement {
    /// How many nodes hold a record.
    pub(crate) k: usize,
    /// After this time a record is replicated even if the neighbourhood did not change.
    pub(crate) republish: Micros,
}

impl Replication {
    /// All zeros, to be cleared before use.
    pub(crate) const EMPTY: Self = Self {
        expiry: Instant::ZERO,
        publish: Instant::ZERO,
        pass: Pass { due: Instant::ZERO, rank: 0, slot: 0 },
        refusals: [0; REFUSALS],
    };

    /// Forgets everything: nothing is due.
    pub(crate) const fn clear(&mut self) {
        (self.expiry, self.publish, self.pass.due) = (Instant::NEVER, Instant::NEVER, Instant::NEVER);
        self.refusals = [0; REFUSALS];
    }

    /// A holder refused a record. Both are given by a digest that others can't choose.
    pub(crate) fn note_refusal(&mut self, refusal: u32) {
        if let Some(place) = self.refusals.get_mut(refusal as usize % REFUSALS) {
            *place = refusal;
        }
    }

    /// Whether a holder has refused a record, as far as is remembered.
    pub(crate) fn was_refused(&self, refusal: u32) -> bool {
        self.refusals.get(refusal as usize % REFUSALS) == Some(&refusal)
    }

    /// A record was stored that expires at `expires`.
    #[inline(never)]
    pub(crate) fn stored(&mut self, expires: Instant) {
        self.expiry = self.expiry.min(expires);
    }

    /// When the next record may expire.
    pub(crate) const fn expiry(&self) -> Instant {
        self.expiry
    }

    /// Removes the records that have expired.
    pub(crate) fn expire<S: Store>(&mut self, now: Instant, store: &mut S) {
        if self.expiry.is_due(now) {
            self.expiry = store.expire(now);
        }
    }

    /// An own record must be published again at `at`.
    #[inline(never)]
    pub(crate) fn publish_by(&mut self, at: Instant) {
        self.publish = self.publish.min(at);
    }

    /// No own record is published before `at`: no node is known to store it, or it yielded to a command.
    pub(crate) const fn publish_not_before(&mut self, at: Instant) {
        self.publish = at;
    }

    /// The neighbourhood was checked: begins a pass over the store.
    pub(crate) const fn begin_pass(&mut self, now: Instant) {
        self.pass = Pass { due: now, rank: 0, slot: usize::MAX };
    }

    /// When the next own record may have to be published, or another one replicated.
    pub(crate) fn due(&self) -> Instant {
        self.publish.min(self.pass.due)
    }

    /// The slot of the own record that must be published again first, if its time has come. Otherwise remembers when
    /// that is.
    pub(crate) fn next_published<S: Store>(&mut self, now: Instant, store: &S, republish: Micros) -> Option<usize> {
        if !self.publish.is_due(now) {
            return None;
        }
        let mut first = (Instant::NEVER, 0);
        for slot in 0..store.len() {
            if let Some(held) = store.get(slot).filter(|held| held.metadata.pinned) {
                first = first.min((published_again(&held, republish), slot));
            }
        }
        self.publish = first.0;
        self.publish.is_due(now).then_some(first.1)
    }

    /// Continues the pass over the store. Returns the slot of the next record that this node must replicate in this
    /// turn. Looks at no more than `steps` records, and counts `steps` down.
    pub(crate) fn next_replicated<S: Store, R: Routing>(
        &mut self,
        now: Instant,
        store: &S,
        table: &R,
        placement: &Placement,
        steps: &mut usize,
    ) -> Option<usize> {
        if !self.pass.due.is_due(now) {
            return None;
        }
        while let Some(left) = steps.checked_sub(1) {
            *steps = left;
            // From the last slot down: if a record is removed meanwhile, one that was looked at moves into its slot.
            let Some(slot) = self.pass.slot.min(store.len()).checked_sub(1) else {
                let due = if self.pass.rank < placement.k { now + TURN } else { Instant::NEVER };
                self.pass = Pass { rank: self.pass.rank + 1, slot: usize::MAX, due };
                return None;
            };
            self.pass.slot = slot;
            let Some(held) = store.get(slot) else { continue };
            let rank = table.rank_of_own(&held.key.id, placement.k);
            if rank <= self.pass.rank && is_due(now, &held, table, placement) {
                return Some(slot);
            }
        }
        None
    }
}

/// Whether a record of another publisher must be replicated: its holders have changed, or it was not replicated for a
/// long time.
fn is_due<R: Routing>(now: Instant, held: &StoredRecord<'_>, table: &R, placement: &Placement) -> bool {
    let Metadata { pinned, last_replicated, calm, holders, .. } = *held.metadata;
    let waited = now.micros_since(last_replicated).secs();
    let differ = || holders == 0 || holders_of(table, &held.key.id, placement.k) != holders;
    let changed = || last_replicated < table.changed() && differ();
    !pinned
        && (waited >> calm.min(MOST_CALM) >= placement.republish.secs()
            || (waited >> calm.min(MOST_PAUSES) >= PAUSE && changed()))
}

/// A digest of the k nodes that should hold a record, in whatever order. Never 0.
#[inline(never)]
pub(crate) fn holders_of<R: Routing>(table: &R, key: &Id, k: usize) -> u32 {
    let mut nearest = const { [Contact::EMPTY; MAX_NAMED] };
    let count = nearest.get_mut(..k).map_or(0, |nearest| table.closest(key, nearest));
    let ids = nearest.iter().take(count).map(|contact| contact.id);
    let digest = ids.fold(0_u32, |digest, id| {
        let [.., a, b, c, d] = *id.as_bytes();
        digest.wrapping_add(u32::from_be_bytes([a, b, c, d]))
    });
    digest | 1
}

/// When an own record must be published again: after a third of its lifetime, or after `republish` if that is sooner.
/// At once if it was not published yet, as after a restart.
pub(crate) fn published_again(held: &StoredRecord<'_>, republish: Micros) -> Instant {
    let third = held.metadata.expires.micros_since(held.stored_at).secs() / 3;
    match held.metadata.last_replicated {
        Instant::ZERO => Instant::ZERO,
        published => published + Micros::from_secs(republish.secs().min(third).max(1).into()),
    }
}

/// The result of a put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PutOutcome {
    /// At least one node stored the record.
    Stored,
    /// A node holds another record that wins, and no majority of the nodes asked stored this one.
    Conflict,
    /// No node stored it.
    Refused,
}

/// The result of a put after `asked` nodes were asked to store the record and `stored` of them did. `conflict` is
/// whether any node holds another record that wins.
pub(crate) const fn put_outcome(asked: usize, stored: usize, conflict: bool) -> PutOutcome {
    if conflict && 2 * stored <= asked {
        PutOutcome::Conflict
    } else if stored == 0 {
        PutOutcome::Refused
    } else {
        PutOutcome::Stored
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Record;
    use crate::routing::{Kademlia, Limits};
    use crate::store::FixedStore;
    use core::time::Duration;
    use std::vec::Vec;

    type Values = FixedStore<8, 512>;

    const PLACEMENT: Placement = Placement { k: 8, republish: Micros::from_secs(3_600) };

    fn at(secs: u64) -> Instant {
        Instant::from_secs(secs)
    }

    fn store(records: &[(&[u8], bool, Instant)]) -> Values {
        let mut store = Values::EMPTY;
        store.start(Id::ZERO, |target, id| target.xor(id), [0; 16]);
        for (name, pinned, last_replicated) in records {
            let expires = at(1) + Duration::from_secs(24 * 3_600);
            let metadata = Metadata { pinned: *pinned, last_replicated: *last_replicated, ..Metadata::until(expires) };
            store.put(at(1), &Record::plain(name, b"value"), metadata).unwrap();
        }
        store
    }

    fn table(changed: Instant) -> Kademlia<u16, 16> {
        let mut table = Kademlia::EMPTY;
        table.start(Instant::ZERO, Id::ZERO, &Limits::DEFAULT, 1).unwrap();
        table.responded(changed, Contact::new(Id::from_bytes([0xFF; 20]), 1), None);
        table
    }

    fn pass(replication: &mut Replication, now: Instant, store: &Values, table: &Kademlia<u16, 16>) -> Vec<usize> {
        let mut steps = 64;
        core::iter::from_fn(|| replication.next_replicated(now, store, table, &PLACEMENT, &mut steps)).collect()
    }

    #[test]
    fn a_pass_finds_records_that_were_not_replicated_since_the_neighbourhood_changed() {
        let (changed, store) =
            (at(100), store(&[(b"before", false, at(50)), (b"after", false, at(150)), (b"own", true, at(50))]));
        let mut replication = Replication::EMPTY;
        replication.clear();
        assert!(pass(&mut replication, at(200), &store, &table(changed)).is_empty(), "no pass has begun");
        replication.begin_pass(at(200));
        let first = pass(&mut replication, at(200), &store, &table(changed));
        let second = pass(&mut replication, at(203), &store, &table(changed));
        let slot = store.find(&Record::plain(b"before", b"value").key()).unwrap();
        let found = [first, second].concat();
        assert!(found.contains(&slot) && found.iter().all(|other| *other == slot), "{found:?}, not only {slot}");
        assert_eq!(replication.due(), at(206), "the next rank's turn is 3 s later");
    }

    #[test]
    fn a_record_is_replicated_every_hour_even_if_nothing_changed() {
        let store = store(&[(b"before", false, at(50))]);
        let mut replication = Replication::EMPTY;
        let found = |replication: &mut Replication, now| {
            replication.begin_pass(now);
            let first = pass(replication, now, &store, &table(at(1)));
            [first, pass(replication, now + TURN, &store, &table(at(1)))].concat()
        };
        assert!(found(&mut replication, at(3_000)).is_empty());
        assert_eq!(
            found(&mut replication, at(50 + 3_600)).len(),
            2,
            "it is returned in both turns, until it is replicated"
        );
    }

    #[test]
    fn a_record_that_the_own_node_has_not_replicated_is_when_the_neighbourhood_changes() {
        let store = store(&[(b"before", false, at(50))]);
        let is_due = |changed| is_due(at(3_000), &store.get(0).unwrap(), &table(changed), &PLACEMENT);
        assert!(is_due(at(100)));
        assert!(!is_due(at(50)), "it has not changed since the record was stored");
    }

    /// Whether the store's record is due. Its holders are as they are now if `same`.
    fn is_due_at(now: Instant, calm: u8, same: bool) -> bool {
        let (table, mut store) = (table(at(100)), store(&[(b"before", false, at(50))]));
        let key = store.get(0).unwrap().key;
        let metadata = store.metadata_mut(0).unwrap();
        metadata.calm = calm;
        metadata.holders = holders_of(&table, &key.id, PLACEMENT.k) ^ u32::from(!same);
        is_due(now, &store.get(0).unwrap(), &table, &PLACEMENT)
    }

    #[test]
    fn a_record_whose_holders_are_the_same_is_not_replicated_when_the_neighbourhood_changes() {
        assert!(!is_due_at(at(3_000), 0, true));
        assert!(is_due_at(at(3_000), 0, false));
    }

    #[test]
    fn a_record_whose_holders_come_and_go_with_nothing_lacking_is_replicated_less_often() {
        for (calm, secs) in [(0, 30), (1, 60), (2, 120), (200, 120)] {
            assert!(!is_due_at(at(49 + secs), calm, false));
            assert!(is_due_at(at(50 + secs), calm, false));
        }
    }

    #[test]
    fn a_record_that_nothing_was_lacking_of_waits_twice_as_long_each_time() {
        for (calm, hours) in [(0, 1), (1, 2), (2, 4), (3, 8), (4, 16), (200, 16)] {
            assert!(!is_due_at(at(49 + 3_600 * hours), calm, true));
            assert!(is_due_at(at(50 + 3_600 * hours), calm, true));
        }
    }

    #[test]
    fn a_refusal_is_remembered_until_another_takes_its_place() {
        let mut replication = Replication::EMPTY;
        for refusal in 1..=100 {
            replication.note_refusal(refusal);
        }
        assert!((69..=100).all(|refusal| replication.was_refused(refusal)));
        assert!(!(1..69).any(|refusal| replication.was_refused(refusal)));
    }

    #[test]
    fn one_call_looks_at_a_bounded_number_of_records() {
        let store = store(&[(b"one", false, at(50)), (b"two", false, at(50)), (b"three", false, at(50))]);
        let mut replication = Replication::EMPTY;
        replication.clear();
        replication.begin_pass(at(9_000));
        let (mut steps, table) = (2, table(at(1)));
        while replication.next_replicated(at(9_003), &store, &table, &PLACEMENT, &mut steps).is_some() {}
        assert_eq!((steps, replication.due()), (0, at(9_000)), "the pass continues with the next call");
    }

    #[test]
    fn an_own_record_is_published_again_after_an_hour_or_a_third_of_its_lifetime() {
        let store = store(&[(b"own", true, at(1)), (b"other", false, at(1))]);
        let mut replication = Replication::EMPTY;
        replication.clear();
        replication.publish_by(at(2));
        assert_eq!(replication.next_published(at(2), &store, PLACEMENT.republish), None);
        assert_eq!(replication.due(), at(1 + 3_600));
        assert_eq!(replication.next_published(at(1 + 3_600), &store, PLACEMENT.republish), Some(0));
        let held = store.get(0).unwrap();
        assert_eq!(published_again(&held, Micros::from_secs(100_000)), at(1 + 8 * 3_600), "a third of 24 hours");
    }

    #[test]
    fn a_put_conflicts_unless_a_majority_stored_the_record() {
        assert_eq!(put_outcome(8, 4, true), PutOutcome::Conflict);
        assert_eq!(put_outcome(8, 5, true), PutOutcome::Stored);
        assert_eq!(put_outcome(8, 1, false), PutOutcome::Stored);
        assert_eq!(put_outcome(8, 0, false), PutOutcome::Refused);
        assert_eq!(put_outcome(0, 0, true), PutOutcome::Conflict);
    }
}
