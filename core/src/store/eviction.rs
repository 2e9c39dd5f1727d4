//! Which version wins under a key, and which records are evicted from a full store: the rules that all stores share.

use core::cmp::Ordering;
use core::slice;

use super::interface::{Put, Rank, StoreError};
use super::slot::Slot;
use crate::address::Prefix;
use crate::id::Id;
use crate::time::Instant;

/// The node whose store it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owner {
    pub(super) id: Id,
    /// `None` until the store is started.
    pub(super) rank: Option<Rank>,
}

/// How much room is taken, or can be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Load {
    pub(super) bytes: usize,
    pub(super) records: usize,
}

/// How much of a store each source takes, with the offered record and without pinned and leaving ones.
pub(super) trait Shares<P> {
    fn count(slots: &[Slot<P>], offer: &Slot<P>) -> Self;

    fn of(&self, slots: &[Slot<P>], offer: &Slot<P>, source: Option<Prefix>) -> Load;

    /// A slot that was counted is leaving.
    fn leave(&mut self, slot: &Slot<P>);
}

/// Decides on an offered record. `stored` is the slot of the record under its key, `load` the room that is taken now,
/// `capacity` the room that there is.
///
/// After [`Put::Renewed`] all is done. Otherwise the caller removes the slots that are marked as leaving, a replaced
/// record's among them, and the offered record has room. After an error, nothing has changed.
pub(super) fn decide<P, S: Shares<P>>(
    now: Instant,
    slots: &mut [Slot<P>],
    stored: Option<usize>,
    load: Load,
    capacity: Load,
    owner: &Owner,
    offer: &Slot<P>,
) -> Result<Put, StoreError> {
    let rank = owner.rank.ok_or(StoreError::Full)?;
    let mut load = load.plus(offer.load());
    let mut put = Put::New;
    if let Some(stored) = stored.and_then(|slot| slots.get_mut(slot)) {
        // An expired record doesn't defend its place.
        if stored.metadata.expires > now {
            let version = stored.version(now);
            match offer.key.kind.contest(version, offer.version).offered {
                Ordering::Less => return Err(StoreError::Outdated(version)),
                Ordering::Equal => {
                    stored.renew(version, offer);
                    return Ok(Put::Renewed);
                }
                Ordering::Greater => put = Put::Replaced,
            }
        }
        stored.leaving = true;
        load = load.minus(stored.load());
    }
    if load.fits(capacity) {
        return Ok(put);
    }
    for slot in slots.iter_mut().filter(|slot| !slot.leaving && slot.metadata.expires <= now) {
        slot.leaving = true;
        load = load.minus(slot.load());
    }
    let mut shares = S::count(slots, offer);
    while !load.fits(capacity) {
        let by_records = load.records > capacity.records;
        // Of the source with the largest share, the farthest. On a tie the offered record loses, then the lower slot.
        let weight = |slot: &Slot<P>| {
            (shares.of(slots, offer, slot.metadata.source).order(by_records), rank(&slot.key.id, &owner.id))
        };
        let mut heaviest = if offer.is_evictable() { weight(offer) } else { Default::default() };
        let mut evicted = None;
        for (index, slot) in slots.iter().enumerate().filter(|(_, slot)| slot.is_evictable()) {
            let weight = weight(slot);
            if weight > heaviest {
                (heaviest, evicted) = (weight, Some(index));
            }
        }
        let Some(evicted) = evicted.and_then(|index| slots.get_mut(index)) else {
            slots.iter_mut().for_each(|slot| slot.leaving = false);
            return Err(StoreError::Full);
        };
        evicted.leaving = true;
        load = load.minus(evicted.load());
        shares.leave(evicted);
    }
    Ok(put)
}

impl Load {
    fn plus(self, other: Self) -> Self {
        Self { bytes: self.bytes.saturating_add(other.bytes), records: self.records.saturating_add(other.records) }
    }

    fn minus(self, other: Self) -> Self {
        Self { bytes: self.bytes.saturating_sub(other.bytes), records: self.records.saturating_sub(other.records) }
    }

    fn fits(self, capacity: Self) -> bool {
        self.bytes <= capacity.bytes && self.records <= capacity.records
    }

    /// The kind of room that is lacking comes first.
    fn order(self, by_records: bool) -> (usize, usize) {
        if by_records { (self.records, self.bytes) } else { (self.bytes, self.records) }
    }
}

impl<P> Slot<P> {
    fn load(&self) -> Load {
        Load { bytes: self.size(), records: 1 }
    }

    fn is_evictable(&self) -> bool {
        !self.leaving && !self.metadata.pinned
    }
}

/// Shares counted anew each time: no memory, and right for the few slots of a small store.
pub(super) struct Recounted;

impl<P> Shares<P> for Recounted {
    fn count(_: &[Slot<P>], _: &Slot<P>) -> Self {
        Self
    }

    fn of(&self, slots: &[Slot<P>], offer: &Slot<P>, source: Option<Prefix>) -> Load {
        let mut share = Load::default();
        for slot in slots.iter().chain(slice::from_ref(offer)) {
            if slot.metadata.source == source && slot.is_evictable() {
                share = share.plus(slot.load());
            }
        }
        share
    }

    fn leave(&mut self, _: &Slot<P>) {}
}

/// Shares counted once for each put that needs room, on the heap.
#[cfg(feature = "alloc")]
pub(super) struct Counted(alloc::collections::BTreeMap<Option<Prefix>, Load>);

#[cfg(feature = "alloc")]
impl<P> Shares<P> for Counted {
    fn count(slots: &[Slot<P>], offer: &Slot<P>) -> Self {
        let mut shares = alloc::collections::BTreeMap::<_, Load>::new();
        for slot in slots.iter().chain([offer]).filter(|slot| slot.is_evictable()) {
            let share = shares.entry(slot.metadata.source).or_default();
            *share = share.plus(slot.load());
        }
        Self(shares)
    }

    fn of(&self, _: &[Slot<P>], _: &Slot<P>, source: Option<Prefix>) -> Load {
        self.0.get(&source).copied().unwrap_or_default()
    }

    fn leave(&mut self, slot: &Slot<P>) {
        if let Some(share) = self.0.get_mut(&slot.metadata.source) {
            *share = share.minus(slot.load());
        }
    }
}
