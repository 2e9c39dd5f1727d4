//! What an operation works at, and all that depends on it: one table for every kind of operation.

use crate::record::Kind;

/// What an operation works at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Task {
    /// A user's ping of one address.
    Ping,
    /// A user's bootstrap.
    Bootstrap,
    /// A user's find_node.
    FindNode,
    /// A user's get.
    Get,
    /// A user's put.
    Put,
    /// Joins again through the bootstrap addresses, while nobody is known.
    Rejoin,
    /// Looks up an identifier for which the table wants fresh contacts.
    Refresh,
    /// Looks the own identifier up, then begins a pass of replication.
    CheckNeighbourhood,
    /// Sees that the co-holders of a record have it.
    Replicate,
    /// Puts an own record again.
    Republish,
    /// What is left of a get whose result was taken: puts the record where it was missing or older.
    WriteBack,
}

/// What a node does for a task in another way than for others.
#[derive(Clone, Copy, Debug)]
pub(super) struct Traits {
    /// Nobody waits for it: it yields its slot to a user's command, comes after the user's operations, and has no
    /// result.
    pub(super) maintenance: bool,
    /// It asks the bootstrap addresses, and ends only when the nodes that must know this one do.
    pub(super) joins: bool,
    /// What it asks nodes for.
    pub(super) finds: Finds,
    /// Where it stores its record once the nodes are found.
    pub(super) stores: Stores,
    /// Where the record that it stores is kept.
    pub(super) record: RecordSource,
    /// What follows when it ends.
    pub(super) then: Then,
    /// What is done so that it is not lost when it must yield.
    pub(super) retry: Retry,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finds {
    /// One node, to be pinged.
    Node,
    /// The nodes nearest to a target.
    Nodes,
    /// The newest version of a record, and the nodes nearest to its key.
    Record,
    /// The same for a record that others may replace, to see whether they did; of an immutable one the nodes alone.
    OthersRecord,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stores {
    Nowhere,
    /// At all nodes found.
    Everywhere,
    /// At those of the nodes found that lack the record or hold an older version.
    WhereMissing,
    /// The same, after the user has the result, and only if there is a record that can lag behind.
    WhereMissingLater,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RecordSource {
    /// The own store, for this node's own publication: rounded up, so that it is held no shorter than asked for.
    Published,
    /// The own store, for other publishers' records: held no longer than here, and never extended by this.
    Held,
    /// The buffer of a get.
    Buffer,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    Nothing,
    /// The table notes the lookup.
    LookedUp,
    /// The neighbourhood is checked soon.
    CheckSoon,
    /// A pass of replication begins.
    BeginReplication,
    /// The record here is published on, kept, or withdrawn.
    SettlePut,
    /// The record counts as published. Publishing stops if another record won.
    SettlePublication,
    /// The record counts as replicated if every co-holder has it.
    SettleReplication,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Retry {
    /// Its next time comes by itself.
    Nothing,
    CheckSoon,
    JoinSoon,
    PublishSoon,
}

/// A user's lookup of nodes, from which the others differ.
const LOOKUP: Traits = Traits {
    maintenance: false,
    joins: false,
    finds: Finds::Nodes,
    stores: Stores::Nowhere,
    record: RecordSource::Held,
    then: Then::LookedUp,
    retry: Retry::Nothing,
};

const MAINTENANCE: Traits = Traits { maintenance: true, ..LOOKUP };

impl Task {
    pub(super) const fn traits(self) -> &'static Traits {
        match self {
            Self::Ping => &Traits { finds: Finds::Node, then: Then::Nothing, ..LOOKUP },
            Self::Bootstrap => &Traits { joins: true, then: Then::CheckSoon, ..LOOKUP },
            Self::FindNode => &LOOKUP,
            Self::Get => &Traits {
                finds: Finds::Record,
                stores: Stores::WhereMissingLater,
                record: RecordSource::Buffer,
                ..LOOKUP
            },
            Self::Put => {
                &Traits { stores: Stores::Everywhere, record: RecordSource::Published, then: Then::SettlePut, ..LOOKUP }
            }
            Self::Rejoin => &Traits { joins: true, then: Then::CheckSoon, retry: Retry::JoinSoon, ..MAINTENANCE },
            Self::Refresh => &MAINTENANCE,
            Self::CheckNeighbourhood => {
                &Traits { then: Then::BeginReplication, retry: Retry::CheckSoon, ..MAINTENANCE }
            }
            Self::Replicate => &Traits {
                finds: Finds::Record,
                stores: Stores::WhereMissing,
                then: Then::SettleReplication,
                ..MAINTENANCE
            },
            Self::Republish => &Traits {
                finds: Finds::OthersRecord,
                stores: Stores::Everywhere,
                record: RecordSource::Published,
                then: Then::SettlePublication,
                retry: Retry::PublishSoon,
                ..MAINTENANCE
            },
            Self::WriteBack => &Traits {
                stores: Stores::WhereMissing,
                record: RecordSource::Buffer,
                then: Then::Nothing,
                ..MAINTENANCE
            },
        }
    }

    /// Whether nobody waits for it.
    pub(super) const fn is_maintenance(self) -> bool {
        self.traits().maintenance
    }

    /// Whether it asks nodes for a record of this kind, not only for nodes.
    pub(super) fn finds_record(self, kind: Kind) -> bool {
        match self.traits().finds {
            Finds::Node | Finds::Nodes => false,
            Finds::Record => true,
            Finds::OthersRecord => kind != Kind::Immutable,
        }
    }
}
