//! Who wins under a key, and who gives way in a full store: the rules that all stores share.

use core::cmp::Ordering;
use core::slice;

use super::slot::Slot;
use super::{Put, Rank, StoreError};
use crate::{Id, Instant, Prefix};

/// Whose a store is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owner {
    pub(super) id: Id,
    /// `None` until the store is started.
    pub(super) rank: Option<Rank>,
}

/// Room taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Load {
    pub(super) bytes: usize,
    pub(super) records: usize,
}

/// How much of a store each source holds, the newcomer counted, without what is pinned or leaving.
pub(super) trait Shares<P> {
    fn count(slots: &[Slot<P>], newcomer: &Slot<P>) -> Self;

    fn of(&self, slots: &[Slot<P>], newcomer: &Slot<P>, source: Option<Prefix>) -> Load;

    /// A slot that was counted is leaving.
    fn leave(&mut self, slot: &Slot<P>);
}

/// Decides on an offer. `held` is the slot of the record under its key, `load` the room taken now, `most` what there is.
///
/// [`Put::Renewed`] is done with that. Otherwise the caller takes the slots out that are marked as leaving, the one that is
/// replaced among them, and the offer has room. After an error, nothing has changed.
pub(super) fn decide<P, S: Shares<P>>(
    now: Instant,
    slots: &mut [Slot<P>],
    held: Option<usize>,
    load: Load,
    most: Load,
    owner: &Owner,
    offer: &Slot<P>,
) -> Result<Put, StoreError> {
    let rank = owner.rank.ok_or(StoreError::Full)?;
    let mut load = load.plus(offer.load());
    let mut put = Put::New;
    if let Some(held) = held.and_then(|slot| slots.get_mut(slot)) {
        // What has expired doesn't defend its place.
        if held.metadata.expires > now {
            let version = held.version(now);
            match offer.key.kind.contest(version, offer.version).offered {
                Ordering::Less => return Err(StoreError::Outdated(version)),
                Ordering::Equal => {
                    held.renew(version, offer);
                    return Ok(Put::Renewed);
                }
                Ordering::Greater => put = Put::Replaced,
            }
        }
        held.leaving = true;
        load = load.minus(held.load());
    }
    if load.fits(most) {
        return Ok(put);
    }
    for slot in slots.iter_mut().filter(|slot| !slot.leaving && slot.metadata.expires <= now) {
        slot.leaving = true;
        load = load.minus(slot.load());
    }
    let mut shares = S::count(slots, offer);
    while !load.fits(most) {
        let by_records = load.records > most.records;
        // Of the source with the largest share, the farthest. On a tie the newcomer loses, then the lower slot.
        let weight = |slot: &Slot<P>| {
            (shares.of(slots, offer, slot.metadata.source).order(by_records), rank(&slot.key.id, &owner.id))
        };
        let mut heaviest = if offer.may_leave() { weight(offer) } else { Default::default() };
        let mut loser = None;
        for (index, slot) in slots.iter().enumerate().filter(|(_, slot)| slot.may_leave()) {
            let weight = weight(slot);
            if weight > heaviest {
                (heaviest, loser) = (weight, Some(index));
            }
        }
        let Some(loser) = loser.and_then(|index| slots.get_mut(index)) else {
            slots.iter_mut().for_each(|slot| slot.leaving = false);
            return Err(StoreError::Full);
        };
        loser.leaving = true;
        load = load.minus(loser.load());
        shares.leave(loser);
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

    fn fits(self, most: Self) -> bool {
        self.bytes <= most.bytes && self.records <= most.records
    }

    /// By what is short first.
    fn order(self, by_records: bool) -> (usize, usize) {
        if by_records { (self.records, self.bytes) } else { (self.bytes, self.records) }
    }
}

impl<P> Slot<P> {
    fn load(&self) -> Load {
        Load { bytes: self.size(), records: 1 }
    }

    fn may_leave(&self) -> bool {
        !self.leaving && !self.metadata.pinned
    }
}

/// Shares counted anew each time: no memory, and right for the few slots of a small store.
pub(super) struct Recounted;

impl<P> Shares<P> for Recounted {
    fn count(_: &[Slot<P>], _: &Slot<P>) -> Self {
        Self
    }

    fn of(&self, slots: &[Slot<P>], newcomer: &Slot<P>, source: Option<Prefix>) -> Load {
        let mut share = Load::default();
        for slot in slots.iter().chain(slice::from_ref(newcomer)) {
            if slot.metadata.source == source && slot.may_leave() {
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
    fn count(slots: &[Slot<P>], newcomer: &Slot<P>) -> Self {
        let mut shares = alloc::collections::BTreeMap::<_, Load>::new();
        for slot in slots.iter().chain([newcomer]).filter(|slot| slot.may_leave()) {
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
