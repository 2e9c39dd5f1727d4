//! Whether a node is so far from a key that it can't be one of those responsible for it.
//!
//! This does not defend against records that an attacker stores at the nodes near their keys, nor against nodes next to
//! the own one that make the network seem dense.

use crate::id::Distance;

/// How many bits farther than expected of the k-th node the own node must be.
const FAR_BITS: u32 = 3;

/// Whether the own node is far outside the nodes responsible for a key: more than four times as far from it as the k-th
/// node should be, by the density of nodes. `own` is its distance to the key, `expected` that of the k-th node. False
/// if the density is not known.
#[must_use]
pub fn is_far(own: Distance, expected: Option<Distance>) -> bool {
    expected.is_some_and(|expected| own.leading_zeros().saturating_add(FAR_BITS) <= expected.leading_zeros())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Id;

    #[test]
    fn a_node_four_times_as_far_as_expected_of_the_k_th_is_far() {
        let distance = |first: u8| {
            let mut bytes = [0; 20];
            bytes[0] = first;
            Id::ZERO.xor(&Id::from_bytes(bytes))
        };
        assert!(is_far(distance(0x40), Some(distance(0x0F))));
        assert!(!is_far(distance(0x3F), Some(distance(0x0F))) && !is_far(distance(0xFF), None));
    }
}
