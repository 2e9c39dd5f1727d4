//! Whether the nodes that a lookup found are too close together to be there by chance. This is a sign that an attacker
//! chose their identifiers.
//!
//! This does not defend against an attacker that also has nodes next to the own node: the density is that of its own
//! neighbourhood.

use crate::id::Distance;

/// How many bits nearer than expected the k-th node must be. With k = 8, this happens by chance once in some hundred
/// thousand lookups.
const CROWDED_BITS: u32 = 4;

/// Whether the k-th node that a lookup found is suspiciously near: 16 times nearer than expected. `farthest` is its
/// distance to the target. `expected` is the distance that follows from the density of the own neighbourhood. False if
/// either is missing.
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
