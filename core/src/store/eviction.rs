//! Which version wins under a key, and which records are evicted from a full store: the rules that all stores share.

use core::cmp::Ordering;

use super::interface::{Put, Rank, StoreError};
use super::slot::Slot;
use super::stored_record::Metadata;
use crate::address::Prefix;
use crate::id::{Distance, Id};
use crate::record::Key;
use crate::time::Instant;

/// The most records that are evicted for one, expired ones apart, so that the work of one put is bounded.
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
    /// Greater the sooner it expired. 0 if it has not expired.
    overdue: u64,
    /// Whether the own node is not responsible for it.
    extra: bool,
    /// How much of the store its source takes, at each of three levels.
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
    let (mut load, mut left) = (load.plus(offer.load()), MOST_EVICTED);
    while !load.fits(capacity) {
        // The offered record doesn't count as expired.
        let (mut heaviest, mut index) = (weigh(Instant::ZERO, slots, capacity, owner, offer, offer), usize::MAX);
        for (other, slot) in slots.iter().enumerate() {
            let weight = weigh(now, slots, capacity, owner, offer, slot);
            if weight > heaviest {
                (heaviest, index) = (weight, other);
            }
        }
        let Some(slot) = slots.get_mut(index).filter(|_| left != 0) else {
            slots.iter_mut().for_each(|slot| slot.leaving = false);
            return Err(StoreError::Full);
        };
        slot.leaving = true;
        load = load.minus(slot.load());
        left -= usize::from(slot.metadata.expires > now);
    }
    Ok(())
}

/// The weight of a slot or of the offer. `None` if it can't be evicted.
#[inline(never)]
fn weigh<P>(
    now: Instant,
    slots: &[Slot<P>],
    capacity: Load,
    owner: &Owner,
    offer: &Slot<P>,
    slot: &Slot<P>,
) -> Option<Weight> {
    let Metadata { expires, responsible, source, .. } = slot.metadata;
    let mut weight = Weight { overdue: 0, extra: false, shares: [0; 3], distance: Distance::ZERO, key: slot.key };
    if expires <= now {
        weight.overdue = !expires.as_micros();
        return Some(weight).filter(|_| !slot.leaving);
    }
    if !slot.is_evictable() {
        return None;
    }
    for other in slots.iter().chain([offer]) {
        if other.is_evictable() && other.metadata.responsible == responsible {
            let share = other.load().share(capacity);
            for sum in weight.shares.iter_mut().take(levels_in_common(source, other.metadata.source)) {
                *sum = sum.saturating_add(share);
            }
        }
    }
    (weight.extra, weight.distance) = (!responsible, owner.distance(&slot.key));
    Some(weight)
}

/// At how many levels two sources have the same prefix, the widest first: the /8, /16 and /24 of IPv4, the /24, /32 and
/// /48 of IPv6. All records without a source have one.
fn levels_in_common(one: Option<Prefix>, other: Option<Prefix>) -> usize {
    let [one, other] = [one, other].map(|source| source.map_or(0, Prefix::number));
    let differ = u64::BITS - (one ^ other).leading_zeros();
    let differ = if is_long(one) { differ.saturating_sub(8) } else { differ };
    match differ {
        _ if one == other => 3,
        _ if one == 0 || other == 0 => 0,
        0..=8 => 2,
        9..=16 => 1,
        _ => 0,
    }
}

/// Whether a prefix is longer than the 32 bits of an IPv4 prefix, with its family.
pub(super) const fn is_long(number: u64) -> bool {
    number >> 32 != 0
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

    /// The part of a capacity that it takes: its bytes, and for each record the mean of the bytes that there are for
    /// one.
    pub(super) fn share(self, capacity: Self) -> usize {
        let mean = capacity.bytes.checked_div(capacity.records).unwrap_or(0);
        self.bytes.saturating_add(self.records.saturating_mul(mean))
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
