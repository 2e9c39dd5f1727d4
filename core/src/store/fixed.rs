//! (Stub.)
/// A store of fixed size.
#[derive(Clone, Copy, Debug)]
pub struct FixedStore;
