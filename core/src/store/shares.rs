//! How much of a store each source takes, and in what order its records are evicted: kept up to date, so that no put
//! looks at all records.
//!
//! Each prefix is a group, at three levels: /24, /16 and /8 for IPv4, /48, /40 and /32 for IPv6. A group knows its load
//! and the record that it would lose. The groups of one wider prefix are ordered by what they would lose, and so are
//! the records of a /24.

use alloc::collections::{BTreeMap, BTreeSet};

use super::eviction::{Load, Owner, number};
use super::slot::Slot;
use crate::address::Prefix;
use crate::id::{Distance, Id};
use crate::record::{Key, Kind};

/// The records of a store that can be evicted.
#[derive(Debug)]
pub(super) struct Shares {
    /// What each prefix takes, at each level.
    groups: [BTreeMap<Subnet, Taken>; LEVELS],
    /// The members of the groups of each level, the heaviest of a group last: records of a /24, or narrower groups by
    /// the record that they would lose. The members of the last level are all /8s.
    members: [BTreeSet<(Subnet, Weight)>; LEVELS + 1],
}

/// /24, /16 and /8.
const LEVELS: usize = 3;

/// A prefix at one level, in one number, which is quick to compare. Its records with responsibility and those without
/// are two groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Subnet(u64);

/// What decides which record is evicted: the one of the greatest weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Weight {
    /// How much its source takes, at the levels below the group whose member it is: 40 bits for each level, so that
    /// they compare as one number.
    shares: u128,
    distance: Distance,
    key: Key,
}

/// The bits of the share at one level.
const SHARE_BITS: usize = 40;

#[derive(Clone, Copy, Debug, Default)]
struct Taken {
    load: Load,
    /// The record that it would lose, as a member of the wider group.
    heaviest: Option<Weight>,
}

impl Subnet {
    /// A prefix at a level: 0 for a /24, 1 for a /16, 2 for a /8, 3 for all prefixes.
    fn new(extra: bool, level: usize, source: Option<Prefix>) -> Self {
        // The number of a prefix has 59 bits at most.
        let prefix = if level == LEVELS { 0 } else { number(source) >> (8 * level) };
        Self(u64::from(extra) << 63 | prefix & (u64::MAX >> 1))
    }
}

impl Shares {
    pub(super) const EMPTY: Self =
        Self { groups: [const { BTreeMap::new() }; LEVELS], members: [const { BTreeSet::new() }; LEVELS + 1] };

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
        let [.., widest] = &self.members;
        let of = |extra| heaviest_of(widest, Subnet::new(extra, LEVELS, None));
        Some(of(true).or_else(|| of(false))?.key)
    }

    /// What the records of a source take.
    pub(super) fn taken_by(&self, source: Prefix) -> Load {
        let [narrowest, ..] = &self.groups;
        let group = |extra| narrowest.get(&Subnet::new(extra, 0, Some(source)));
        [true, false].into_iter().filter_map(group).fold(Load::default(), |load, group| load.plus(group.load))
    }

    fn change<P>(&mut self, capacity: Load, owner: &Owner, slot: &Slot<P>, added: bool) {
        let subnet = |level| Subnet::new(!slot.metadata.responsible, level, slot.metadata.source);
        let record = Some(Weight { shares: 0, distance: owner.distance(&slot.key), key: slot.key });
        let [mut members, wider @ ..] = self.members.each_mut();
        let (mut gone, mut new) = if added { (None, record) } else { (record, None) };
        for ((level, groups), wider) in self.groups.iter_mut().enumerate().zip(wider) {
            replace(members, subnet(level), gone, new);
            let group = groups.entry(subnet(level)).or_default();
            group.load = if added { group.load.plus(slot.load()) } else { group.load.minus(slot.load()) };
            let share = (group.load.share(capacity) as u128).min((1 << SHARE_BITS) - 1) << (SHARE_BITS * level);
            // The record that this group would lose decides about the wider one.
            new = heaviest_of(members, subnet(level)).map(|new| Weight { shares: new.shares | share, ..new });
            gone = core::mem::replace(&mut group.heaviest, new);
            if new.is_none() {
                groups.remove(&subnet(level));
            }
            members = wider;
        }
        replace(members, subnet(LEVELS), gone, new);
    }
}

/// Replaces a member of a group.
fn replace(members: &mut BTreeSet<(Subnet, Weight)>, group: Subnet, gone: Option<Weight>, new: Option<Weight>) {
    if let Some(gone) = gone {
        members.remove(&(group, gone));
    }
    members.extend(new.map(|new| (group, new)));
}

fn heaviest_of(members: &BTreeSet<(Subnet, Weight)>, group: Subnet) -> Option<Weight> {
    let key = Key { kind: Kind::Signed, id: Id::from_bytes([0xFF; Id::LEN]) };
    let up_to = (group, Weight { shares: u128::MAX, distance: Distance::MAX, key });
    let (of, heaviest) = members.range(..=up_to).next_back()?;
    (*of == group).then_some(*heaviest)
}
