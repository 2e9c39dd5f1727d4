//! Kademlia. (Stub.)
/// Kademlia's XOR metric.
#[derive(Clone, Copy, Debug)]
pub struct Xor;
/// Kademlia's table.
#[derive(Clone, Copy, Debug)]
pub struct Kademlia;
