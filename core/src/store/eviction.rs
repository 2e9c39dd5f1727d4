//! Which version wins under a key, and which records are evicted from a full store: the rules that all stores share.

use core::cmp::Ordering;

use super::interface::{Put, Rank, StoreError};
use super::slot::Slot;
use crate::address::Prefix;
use crate::id::{Distance, Id};
use crate::record::Key;
use crate::time::Instant;

/// The most records that are evicted for one, expired ones apart, so that the work of one put is bounded.
pub(super) const MOST_EVICTED: usize = 16;

/// The node whose store it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owner {
    pub(super) id: Id,
    /// `None` until the store is started.
    pub(super) rank: Option<Rank>,
}

/// How much room is taken, or can be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Load {
    pub(super) bytes: usize,
    pub(super) records: usize,
}

/// The prefixes of a source at three levels, the widest first: the /8, /16 and /24 of IPv4, the /24, /32 and /48 of
/// IPv6. All records without a source have one at each level.
pub(super) type Levels = [Option<u64>; 3];

/// What decides which record is evicted: the one of the greatest weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Weight {
    /// Whether the own node is not responsible for it.
    pub(super) extra: bool,
    /// How much of the store its source takes, at each level.
    pub(super) shares: [u64; 3],
    /// How far it is from the own node.
    pub(super) distance: Distance,
    /// Orders records at the same distance.
    pub(super) key: Key,
}

/// Decides which version wins, and renews the stored record if both are the same. `stored` is the slot of the record
/// under the key of the offered one, if there is any.
pub(super) fn contest<P>(now: Instant, stored: Option<&mut Slot<P>>, offer: &Slot<P>) -> Result<Put, StoreError> {
    // An expired record doesn't defend its place.
    let Some(stored) = stored.filter(|stored| stored.metadata.expires > now) else {
        return Ok(Put::New);
    };
    let version = stored.version(now);
    match offer.key.kind.contest(version, offer.version).offered {
        Ordering::Less => Err(StoreError::Outdated(version)),
        Ordering::Equal => {
            stored.renew(version, offer);
            Ok(Put::Renewed)
        }
        Ordering::Greater => Ok(Put::Replaced),
    }
}

/// Marks the slots that must be removed so that the offered record has room. `load` is the room that is taken now,
/// without the slots that are marked already. After an error, no slot is marked.
///
/// Looks at every pair of slots for each record that is evicted: this needs no memory, and suits the few slots of a
/// small store.
pub(super) fn make_room<P>(
    now: Instant,
    slots: &mut [Slot<P>],
    load: Load,
    capacity: Load,
    owner: &Owner,
    offer: &Slot<P>,
) -> Result<(), StoreError> {
    let mut load = load.plus(offer.load());
    let mut evicted = 0;
    while !load.fits(capacity) {
        let expired = slots.iter_mut().filter(|slot| !slot.leaving && slot.metadata.expires <= now);
        let mut leaving = expired.min_by_key(|slot| (slot.metadata.expires, slot.key));
        if leaving.is_none() && evicted < MOST_EVICTED {
            evicted += 1;
            let weight = |slot: &Slot<P>| slot.is_evictable().then(|| weigh(slots, capacity, owner, offer, slot));
            let heaviest = slots.iter().enumerate().filter_map(|(index, slot)| Some((weight(slot)?, index))).max();
            let index = heaviest.filter(|(heaviest, _)| weight(offer).is_none_or(|offer| offer < *heaviest));
            leaving = index.and_then(|(_, index)| slots.get_mut(index));
        }
        let Some(slot) = leaving else {
            slots.iter_mut().for_each(|slot| slot.leaving = false);
            return Err(StoreError::Full);
        };
        slot.leaving = true;
        load = load.minus(slot.load());
    }
    Ok(())
}

/// The weight of a slot or of the offer.
fn weigh<P>(slots: &[Slot<P>], capacity: Load, owner: &Owner, offer: &Slot<P>, slot: &Slot<P>) -> Weight {
    let (levels, extra) = (levels(slot.metadata.source), !slot.metadata.responsible);
    let mut loads = [Load::default(); 3];
    for other in slots.iter().chain([offer]).filter(|other| other.is_evictable()) {
        if other.metadata.responsible == slot.metadata.responsible {
            let same = self::levels(other.metadata.source).into_iter().zip(levels);
            for (load, _) in loads.iter_mut().zip(same).filter(|(_, (other, own))| other == own) {
                *load = load.plus(other.load());
            }
        }
    }
    let shares = loads.map(|load| load.share(capacity));
    Weight { extra, shares, distance: owner.distance(&slot.key), key: slot.key }
}

/// The prefixes of a source at each level.
pub(super) fn levels(source: Option<Prefix>) -> Levels {
    let number = source.map(Prefix::number);
    // The number of an IPv4 prefix has 32 bits.
    let widths = if number.is_some_and(|number| number >> 32 != 0) { [24, 16, 0] } else { [16, 8, 0] };
    widths.map(|width| number.map(|number| number >> width))
}

impl Owner {
    /// How far a record is from the node.
    pub(super) fn distance(&self, key: &Key) -> Distance {
        self.rank.map_or(Distance::ZERO, |rank| rank(&key.id, &self.id))
    }
}

impl Load {
    pub(super) fn plus(self, other: Self) -> Self {
        Self { bytes: self.bytes.saturating_add(other.bytes), records: self.records.saturating_add(other.records) }
    }

    pub(super) fn minus(self, other: Self) -> Self {
        Self { bytes: self.bytes.saturating_sub(other.bytes), records: self.records.saturating_sub(other.records) }
    }

    pub(super) fn fits(self, capacity: Self) -> bool {
        self.bytes <= capacity.bytes && self.records <= capacity.records
    }

    /// The part of the bytes and the part of the records that it takes of a capacity, added.
    pub(super) fn share(self, capacity: Self) -> u64 {
        let part = |taken: usize, other: usize| (taken as u64).saturating_mul(other as u64);
        part(self.bytes, capacity.records).saturating_add(part(self.records, capacity.bytes))
    }
}

impl<P> Slot<P> {
    pub(super) fn load(&self) -> Load {
        Load { bytes: self.size(), records: 1 }
    }

    pub(super) fn is_evictable(&self) -> bool {
        !self.leaving && !self.metadata.pinned
    }
}
