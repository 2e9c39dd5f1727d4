//! Whether the nodes that a lookup found stand closer together than chance puts them: a sign that somebody chose their
//! identifiers.

use crate::id::Distance;

/// The nodes found are suspicious if the k-th is nearer by this many bits than the density of the own neighbourhood
/// lets expect. By chance this happens once in some hundred thousand lookups at k = 8.
const CROWDED_BITS: u32 = 4;

/// Whether the k-th node found is suspiciously near: `farthest` is its distance to the target, `expected` the distance
/// that the own neighbourhood's density suggests. Without either, there is no suspicion.
#[must_use]
pub fn is_crowded(farthest: Option<Distance>, expected: Option<Distance>) -> bool {
    match (farthest, expected) {
        (Some(farthest), Some(expected)) => {
            farthest.leading_zeros() >= expected.leading_zeros().saturating_add(CROWDED_BITS)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Id;

    #[test]
    fn nodes_sixteen_times_nearer_than_expected_are_suspicious() {
        let distance = |first: u8| {
            let mut bytes = [0; 20];
            bytes[0] = first;
            Some(Id::ZERO.xor(&Id::from_bytes(bytes)))
        };
        assert!(is_crowded(distance(0x07), distance(0x7F)));
        assert!(!is_crowded(distance(0x0F), distance(0x7F)));
        assert!(!is_crowded(None, distance(0x7F)) && !is_crowded(distance(0x07), None));
    }
}
