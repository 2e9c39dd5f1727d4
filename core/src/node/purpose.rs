//! The purposes of a node's own requests.

/// The purpose of a request: why it is sent, and where its response goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// An operation's lookup asks one of its contacts.
    Search {
        /// The operation's slot.
        slot: u8,
    },
    /// An operation stores its record at one of the nodes found.
    Store {
        /// The operation's slot.
        slot: u8,
    },
    /// An operation asks a node that refused its record for the record that the node claims to hold instead.
    Verify {
        /// The operation's slot.
        slot: u8,
    },
    /// A join asks a bootstrap address.
    Bootstrap {
        /// The operation's slot.
        slot: u8,
    },
    /// A user's ping.
    Ping {
        /// The operation's slot.
        slot: u8,
    },
    /// The table's maintenance asks one contact what is near the own identifier.
    Table,
    /// Checks that a node is there: a requester that the table would take, or a next hop that did not respond.
    Check,
    /// Asks a contact at which address it sees this node.
    Survey,
    /// Asks for a probe of the own address, or forwards that another node asks for one.
    Probe {
        /// Whether it is forwarded.
        passed: bool,
    },
    /// A relay request is forwarded.
    Relay {
        /// The place of the request in the table of those under way.
        relay: u8,
    },
}

impl Purpose {
    /// The slot of the operation that sends the request. `None` if it is not from an operation.
    pub(super) const fn slot(self) -> Option<u8> {
        match self {
            Self::Search { slot }
            | Self::Store { slot }
            | Self::Verify { slot }
            | Self::Bootstrap { slot }
            | Self::Ping { slot } => Some(slot),
            Self::Table | Self::Check | Self::Survey | Self::Probe { .. } | Self::Relay { .. } => None,
        }
    }
}
