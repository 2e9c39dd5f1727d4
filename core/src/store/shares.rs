//! How much of a store each source takes, and in what order its records are evicted: kept up to date, so that no put
//! looks at all records.
//!
//! Each prefix is a group, at three levels: /24, /16 and /8 for IPv4. A group knows its load and the record that it
//! would lose. The groups of one wider prefix are ordered by what they would lose, and so are the records of a /24.

use alloc::collections::{BTreeMap, BTreeSet};

use super::eviction::{Load, Owner, is_long};
use super::slot::Slot;
use crate::address::Prefix;
use crate::id::{Distance, Id};
use crate::record::{Key, Kind};

/// The records of a store that can be evicted.
#[derive(Debug)]
pub(super) struct Shares {
    groups: BTreeMap<Subnet, Taken>,
    /// The members of each group, the heaviest last: records of a /24, or narrower groups by the record that they would
    /// lose.
    members: BTreeSet<(Subnet, Weight)>,
}

/// A prefix at one level, in one number, which is quick to compare. Its records with responsibility and those without
/// are two groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Subnet(u64);

/// What decides which record is evicted: the one of the greatest weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Weight {
    /// How much its source takes, at the levels below the group whose member it is.
    shares: [usize; 3],
    distance: Distance,
    key: Key,
}

#[derive(Clone, Copy, Debug, Default)]
struct Taken {
    load: Load,
    /// The record that it would lose, as a member of the wider group.
    heaviest: Option<Weight>,
}

impl Subnet {
    /// A prefix at a level: 0 for all prefixes, 1 for a /8, 2 for a /16, 3 for a /24.
    fn new(extra: bool, level: u8, source: Option<Prefix>) -> Self {
        let prefix = source.map_or(0, |source| {
            let [wide, widest] = if is_long(source.number()) { [16, 24] } else { [8, 16] };
            // The number of a prefix has 59 bits at most. 0 stands for no source.
            1 + match level {
                0 => 0,
                1 => source.number() >> widest,
                2 => source.number() >> wide,
                _ => source.number(),
            }
        });
        let prefix = if level == 0 { 0 } else { prefix };
        Self(u64::from(extra) << 63 | u64::from(level) << 61 | prefix & (u64::MAX >> 3))
    }
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
        let of = |extra| self.heaviest_of(Subnet::new(extra, 0, None));
        Some(of(true).or_else(|| of(false))?.key)
    }

    /// What the records of a source take.
    pub(super) fn taken_by(&self, source: Prefix) -> Load {
        let group = |extra| self.groups.get(&Subnet::new(extra, 3, Some(source)));
        [true, false].into_iter().filter_map(group).fold(Load::default(), |load, group| load.plus(group.load))
    }

    fn change<P>(&mut self, capacity: Load, owner: &Owner, slot: &Slot<P>, added: bool) {
        let (extra, source) = (!slot.metadata.responsible, slot.metadata.source);
        let record = Weight { shares: [0; 3], distance: owner.distance(&slot.key), key: slot.key };
        let mut member = Subnet::new(extra, 3, source);
        if added {
            self.members.insert((member, record));
        } else {
            self.members.remove(&(member, record));
        }
        // The record that the narrower group would lose decides about the wider one.
        for level in [2, 1, 0] {
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
            member = Subnet::new(extra, level, source);
            if let Some(before) = before {
                self.members.remove(&(member, before));
            }
            if let Some(heaviest) = heaviest {
                self.members.insert((member, heaviest));
            }
        }
    }

    fn heaviest_of(&self, group: Subnet) -> Option<Weight> {
        let key = Key { kind: Kind::Signed, id: Id::from_bytes([0xFF; Id::LEN]) };
        let up_to = (group, Weight { shares: [usize::MAX; 3], distance: Distance::MAX, key });
        let (of, heaviest) = self.members.range(..=up_to).next_back()?;
        (*of == group).then_some(*heaviest)
    }
}
