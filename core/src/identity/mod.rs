//! What a node knows of its own identity: its external address, the seat that its identifier is bound to, and whether
//! other nodes can reach it.

/// The state of a node's identity. All zeros before the start.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    /// Whether the table knows so few address prefixes that all seats of a prefix count.
    pub(crate) is_crowded: bool,
    /// Whether it was found out at all, and in which second the last time.
    pub(crate) counted: (bool, u32),
}

impl Identity {
    pub(crate) const EMPTY: Self = Self { is_crowded: false, counted: (false, 0) };
}
