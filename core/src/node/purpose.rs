//! Why the node sends a request.

/// Why a request is sent, and which part of the node its response is for.
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
    /// A join asks a bootstrap address.
    Bootstrap {
        /// The operation's slot.
        slot: u8,
    },
    /// The user's ping.
    Ping {
        /// The operation's slot.
        slot: u8,
    },
    /// The table's maintenance asks one contact what is near the own identifier.
    Table,
    /// Checks that a node is there: one that sent a request, and would be put into the table; or one to which a request could not be
    /// forwarded.
    Introduction,
    /// A relayed request is forwarded.
    Relay {
        /// Its place among the requests under way.
        relay: u8,
    },
}

impl Purpose {
    /// The slot of the operation that asks, if one does.
    pub(super) const fn slot(self) -> Option<u8> {
        match self {
            Self::Search { slot } | Self::Store { slot } | Self::Bootstrap { slot } | Self::Ping { slot } => Some(slot),
            Self::Table | Self::Introduction | Self::Relay { .. } => None,
        }
    }
}
