//! Which version wins under a key, and which records are evicted from a full store: the rules that all stores share.
//!
//! The shares of address prefixes do not defend against an attacker with prefixes in many /8s.

use core::cmp::Ordering;

use super::interface::{Put, Rank, StoreError};
use super::slot::Slot;
use super::stored_record::Metadata;
use crate::address::Prefix;
use crate::id::{Distance, Id};
use crate::record::Key;
use crate::time::Instant;

/// The most records that are evicted for one, beside expired ones, so that the work of one put is bounded.
pub(super) const MOST_EVICTED: usize = 8;

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

/// What decides which record is evicted: the one of the greatest weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Weight {
    /// 0 if it can't be evicted, 1 if the own node is responsible for it, 2 if not.
    class: u8,
    /// How much of the store its source takes, at each of three levels: the /8, /16 and /24 of IPv4, the /32, /40 and
    /// /48 of IPv6.
    shares: [usize; 3],
    /// How far it is from the own node.
    distance: Distance,
    /// Orders records at the same distance.
    key: Key,
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

/// Marks the slots that must be removed so that the offered record has room, beside those that are marked already.
/// After an error, no slot is marked.
///
/// Looks at every pair of slots for each record that is evicted: this needs no memory, and suits the few slots of a
/// small store.
pub(super) fn make_room<P>(
    now: Instant,
    slots: &mut [Slot<P>],
    capacity: Load,
    owner: &Owner,
    offer: &Slot<P>,
) -> Result<(), StoreError> {
    for slot in &mut *slots {
        slot.leaving |= slot.metadata.expires <= now;
    }
    let mean = capacity.mean();
    for _ in 0..=MOST_EVICTED {
        let staying = slots.iter().filter(|slot| !slot.leaving);
        if staying.fold(offer.load(), |load, slot| load.plus(slot.load())).fits(capacity) {
            return Ok(());
        }
        let (mut heaviest, mut chosen) = (weigh(slots, mean, owner, offer, offer), slots.len());
        for (index, slot) in slots.iter().enumerate().filter(|(_, slot)| slot.is_evictable()) {
            let weight = weigh(slots, mean, owner, offer, slot);
            if weight > heaviest {
                (heaviest, chosen) = (weight, index);
            }
        }
        let Some(slot) = slots.get_mut(chosen) else { break };
        slot.leaving = true;
    }
    slots.iter_mut().for_each(|slot| slot.leaving = false);
    Err(StoreError::Full)
}

/// The weight of a slot or of the offer.
#[inline(never)]
fn weigh<P>(slots: &[Slot<P>], mean: usize, owner: &Owner, offer: &Slot<P>, slot: &Slot<P>) -> Weight {
    let Metadata { responsible, source, .. } = slot.metadata;
    let source = number(source);
    let mut shares = [0; 3];
    for other in slots.iter().chain([offer]) {
        // At each level, the prefix has eight bits less than at the one before.
        let difference = source ^ number(other.metadata.source);
        if difference >> 16 == 0 && other.is_evictable() && other.metadata.responsible == responsible {
            let share = other.size() + mean;
            shares[0] += share;
            shares[1] += if difference >> 8 == 0 { share } else { 0 };
            shares[2] += if difference == 0 { share } else { 0 };
        }
    }
    let class = u8::from(slot.is_evictable()) << u8::from(!responsible);
    Weight { class, shares, distance: owner.distance(&slot.key), key: slot.key }
}

/// The number of a source's prefix. All records without a source have one, which is that of no prefix at any level.
pub(super) fn number(source: Option<Prefix>) -> u64 {
    source.map_or(u64::MAX, Prefix::number)
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

    #[cfg(feature = "alloc")]
    pub(super) fn minus(self, other: Self) -> Self {
        Self { bytes: self.bytes.saturating_sub(other.bytes), records: self.records.saturating_sub(other.records) }
    }

    pub(super) fn fits(self, capacity: Self) -> bool {
        self.bytes <= capacity.bytes && self.records <= capacity.records
    }

    /// The part of a capacity that it takes: its bytes, and for each record the mean of the bytes that there are for
    /// one.
    #[cfg(feature = "alloc")]
    pub(super) fn share(self, capacity: Self) -> usize {
        self.bytes.saturating_add(self.records.saturating_mul(capacity.mean()))
    }

    /// The mean of the bytes that a capacity has for one record.
    fn mean(self) -> usize {
        self.bytes.checked_div(self.records).unwrap_or(0)
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
