//! How much of a store each source takes, and in what order its records are evicted: kept up to date, so that no put
//! looks at all records.
//!
//! Each prefix is a group, at three levels: /24, /16 and /8 for IPv4. A group knows its load and the record that it
//! would lose. The groups of one wider prefix are ordered by what they would lose, and so are the records of a /24.

use alloc::collections::{BTreeMap, BTreeSet};

use super::eviction::{Load, Owner, Weight, is_long};
use super::slot::Slot;
use crate::address::Prefix;
use crate::id::Distance;
use crate::id::Id;
use crate::record::{Key, Kind};

/// The records of a store that can be evicted.
#[derive(Debug)]
pub(super) struct Shares {
    groups: BTreeMap<Subnet, Taken>,
    /// The members of each group, the heaviest last: records of a /24, or narrower groups by the record that they would
    /// lose.
    members: BTreeSet<(Subnet, Weight)>,
}

/// A prefix at one level. Its records with responsibility and those without are two groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Subnet {
    extra: bool,
    /// 0 for all prefixes, 1 for a /8, 2 for a /16, 3 for a /24.
    level: u8,
    prefix: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Taken {
    load: Load,
    /// The record that it would lose, as a member of the wider group.
    heaviest: Option<Weight>,
}

/// The prefixes of a source at each level, the widest first.
fn levels(source: Option<Prefix>) -> [Option<u64>; 3] {
    let number = source.map(Prefix::number);
    let widths = if number.is_some_and(is_long) { [24, 16, 0] } else { [16, 8, 0] };
    widths.map(|width| number.map(|number| number >> width))
}

impl Shares {
    pub(super) const EMPTY: Self = Self { groups: BTreeMap::new(), members: BTreeSet::new() };

    /// A record is stored.
    pub(super) fn add<P>(&mut self, capacity: Load, owner: &Owner, slot: &Slot<P>) {
        self.change(capacity, owner, slot, true);
    }

    /// A record that was added is removed.
    pub(super) fn remove<P>(&mut self, capacity: Load, owner: &Owner, slot: &Slot<P>) {
        self.change(capacity, owner, slot, false);
    }

    /// The record to be evicted next.
    pub(super) fn heaviest(&self) -> Option<Key> {
        let of = |extra| self.heaviest_of(Subnet { extra, level: 0, prefix: None });
        Some(of(true).or_else(|| of(false))?.key)
    }

    /// What the records of a source take.
    pub(super) fn taken_by(&self, source: Prefix) -> Load {
        let [.., prefix] = levels(Some(source));
        let group = |extra| self.groups.get(&Subnet { extra, level: 3, prefix });
        [true, false].into_iter().filter_map(group).fold(Load::default(), |load, group| load.plus(group.load))
    }

    fn change<P>(&mut self, capacity: Load, owner: &Owner, slot: &Slot<P>, added: bool) {
        let (extra, [widest, wide, narrow]) = (!slot.metadata.responsible, levels(slot.metadata.source));
        let record = Weight { overdue: 0, extra, shares: [0; 3], distance: owner.distance(&slot.key), key: slot.key };
        let mut member = Subnet { extra, level: 3, prefix: narrow };
        if added {
            self.members.insert((member, record));
        } else {
            self.members.remove(&(member, record));
        }
        // The record that the narrower group would lose decides about the wider one.
        for (level, prefix) in [(2, wide), (1, widest), (0, None)] {
            let heaviest = self.heaviest_of(member);
            let group = self.groups.entry(member).or_default();
            group.load = if added { group.load.plus(slot.load()) } else { group.load.minus(slot.load()) };
            let share = group.load.share(capacity);
            let heaviest = heaviest.map(|mut heaviest| {
                if let Some(own) = heaviest.shares.get_mut(usize::from(level)) {
                    *own = share;
                }
                heaviest
            });
            let before = core::mem::replace(&mut group.heaviest, heaviest);
            if heaviest.is_none() {
                self.groups.remove(&member);
            }
            member = Subnet { extra, level, prefix };
            if let Some(before) = before {
                self.members.remove(&(member, before));
            }
            if let Some(heaviest) = heaviest {
                self.members.insert((member, heaviest));
            }
        }
    }

    fn heaviest_of(&self, group: Subnet) -> Option<Weight> {
        let highest = Key { kind: Kind::Signed, id: Id::from_bytes([0xFF; Id::LEN]) };
        let (distance, shares) = (Distance::MAX, [usize::MAX; 3]);
        let up_to = (group, Weight { overdue: 0, extra: true, shares, distance, key: highest });
        let (of, heaviest) = self.members.range(..=up_to).next_back()?;
        (*of == group).then_some(*heaviest)
    }
}
