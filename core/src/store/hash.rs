//! (Stub.)
/// A store on the heap.
#[derive(Clone, Copy, Debug)]
pub struct HashStore;
