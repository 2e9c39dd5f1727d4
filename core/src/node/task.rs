//! The tasks of operations, and all that depends on the task, in one table.

use crate::record::Kind;

/// The task of an operation.
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
    /// Joins again through the bootstrap addresses, because no contact responds.
    Rejoin,
    /// Looks up an identifier through one bootstrap address alone, to compare what is found through each.
    Compare,
    /// Looks up an identifier for which the table needs fresh contacts.
    Refresh,
    /// Looks up the own identifier, then begins a pass of replication.
    CheckNeighbourhood,
    /// Makes sure that the other responsible nodes hold a record.
    Replicate,
    /// Puts an own record again.
    Republish,
    /// The rest of a get whose result was taken: puts the record where it is missing or older.
    WriteBack,
}

/// The traits of a task: everything that the node does differently for it than for other tasks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Traits {
    /// Whether no user waits for it. Then it yields its slot to a user's command, comes after the user's operations,
    /// and has no result.
    pub(super) maintenance: bool,
    /// Whether it asks the bootstrap addresses, and ends only after the node that must know this one does.
    pub(super) joins: bool,
    /// Whether its requests make room for a ping back, by which the nodes that it asks check whether they can add this
    /// one to their tables.
    pub(super) wants_ping: bool,
    /// What it asks nodes for.
    pub(super) finds: Finds,
    /// Where it stores its record once the nodes are found.
    pub(super) stores: Stores,
    /// Where the record that it stores is kept.
    pub(super) record: RecordSource,
    /// How it ends if nodes responded and nothing was to be stored.
    pub(super) ending: Ending,
    /// What follows when it ends.
    pub(super) then: Then,
    /// How it is tried again after it yielded.
    pub(super) retry: Retry,
}

/// How an operation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Ending {
    Pong,
    Joined,
    Nodes,
    Value,
    NotFound,
    Stored,
    Conflict,
    NoResponse,
    TimedOut,
    Replaced,
    Refused,
    TooLarge,
}

/// What a task asks nodes for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finds {
    /// One node, to be pinged.
    Node,
    /// The nodes nearest to a target.
    Nodes,
    /// The newest version of a record, and the nodes nearest to its key.
    Record,
    /// The same if others can replace the record, to see whether they did. Only nodes if the record is immutable.
    ReplaceableRecord,
}

/// Where a task stores its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stores {
    Nowhere,
    /// At all nodes found. If it replicates a record, those that have it are only told.
    Everywhere,
    /// At the nodes found that lack the record or hold an older version.
    WhereMissing,
    /// The same, after the user got the result, and only if nodes can lag behind with this record.
    WhereMissingLater,
}

/// Where the record that a task stores is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RecordSource {
    /// In the own store, as an own publication. Its lifetime is rounded up, so that it is not held for less than asked.
    Published,
    /// In the own store, as a record of another publisher. The other nodes hold it no longer than this one, and its
    /// lifetime is never extended.
    Replicated,
    /// In the buffer of a get.
    Buffer,
}

/// What follows when a task ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    Nothing,
    /// The table is told of the lookup.
    LookedUp,
    /// The same, and the lookup shows how dense the network is, because its target is random.
    NoteDensity,
    /// The neighbourhood is checked soon.
    CheckSoon,
    /// What was found through a bootstrap address is compared with what was through others.
    Compared,
    /// A pass of replication begins.
    BeginReplication,
    /// The record in the own store is published from now on, kept, or withdrawn.
    SettlePut,
    /// The record counts as published. Publishing stops if another record won.
    SettlePublication,
    /// The record counts as replicated if all responsible nodes hold it.
    SettleReplication,
}

/// How a task is tried again after it yielded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Retry {
    /// Nothing is done: it becomes due again by itself.
    Nothing,
    CheckSoon,
    JoinSoon,
    CompareSoon,
    PublishSoon,
}

/// The traits of a user's find_node. Those of other tasks are given by how they differ.
const LOOKUP: Traits = Traits {
    maintenance: false,
    joins: false,
    wants_ping: false,
    finds: Finds::Nodes,
    stores: Stores::Nowhere,
    record: RecordSource::Replicated,
    ending: Ending::Nodes,
    then: Then::LookedUp,
    retry: Retry::Nothing,
};

const MAINTENANCE: Traits = Traits { maintenance: true, wants_ping: true, ..LOOKUP };

impl Task {
    /// The traits of the task.
    pub(super) const fn traits(self) -> &'static Traits {
        match self {
            Self::Ping => &Traits { finds: Finds::Node, then: Then::Nothing, ..LOOKUP },
            Self::Bootstrap => {
                &Traits { joins: true, wants_ping: true, ending: Ending::Joined, then: Then::CheckSoon, ..LOOKUP }
            }
            Self::FindNode => &LOOKUP,
            Self::Get => &Traits {
                finds: Finds::Record,
                stores: Stores::WhereMissingLater,
                record: RecordSource::Buffer,
                ending: Ending::NotFound,
                ..LOOKUP
            },
            Self::Put => {
                &Traits { stores: Stores::Everywhere, record: RecordSource::Published, then: Then::SettlePut, ..LOOKUP }
            }
            Self::Rejoin => &Traits { joins: true, then: Then::CheckSoon, retry: Retry::JoinSoon, ..MAINTENANCE },
            Self::Compare => {
                &Traits { then: Then::Compared, retry: Retry::CompareSoon, wants_ping: false, ..MAINTENANCE }
            }
            Self::Refresh => &Traits { then: Then::NoteDensity, ..MAINTENANCE },
            Self::CheckNeighbourhood => {
                &Traits { then: Then::BeginReplication, retry: Retry::CheckSoon, ..MAINTENANCE }
            }
            Self::Replicate => &Traits {
                finds: Finds::Record,
                stores: Stores::Everywhere,
                then: Then::SettleReplication,
                ..MAINTENANCE
            },
            Self::Republish => &Traits {
                finds: Finds::ReplaceableRecord,
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

    /// Whether no user waits for it.
    pub(super) const fn is_maintenance(self) -> bool {
        self.traits().maintenance
    }

    /// Whether it asks nodes for a record of this kind, not only for nodes.
    pub(super) fn finds_record(self, kind: Kind) -> bool {
        match self.traits().finds {
            Finds::Node | Finds::Nodes => false,
            Finds::Record => true,
            Finds::ReplaceableRecord => kind != Kind::Immutable,
        }
    }
}
