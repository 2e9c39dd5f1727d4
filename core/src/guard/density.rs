//! How far from its target the k-th node that a lookup finds should be. Nodes that are much closer together, or much
//! farther apart, are hardly there by chance: an attacker chose their identifiers, or hides the others.
//!
//! What is expected comes from lookups of random targets, which no attacker can choose. The nodes around the own
//! identifier can all be an attacker's.
//!
//! This does not defend where most lookups of random targets are hidden from honest nodes.

use crate::id::{Distance, Id};

/// How sparse the nodes near a target are: the logarithm of the distance of the k-th, in sixteenths of a bit.
pub type Sparseness = u16;

/// What is this much sparser is another network: nodes are less than 0.71 times as dense.
pub const SPARSER: Sparseness = 8;

/// The sparseness of nodes whose k-th is at this distance. As sparse as can be if there are fewer than k.
#[must_use]
pub fn sparseness(farthest: Option<Distance>) -> Sparseness {
    let Some(farthest) = farthest else {
        return Sparseness::MAX / 16;
    };
    let zeros = farthest.leading_zeros();
    let mut rest = farthest.as_bytes().iter().skip(zeros as usize / 8);
    let [high, low] = [rest.next(), rest.next()].map(|byte| byte.copied().unwrap_or(0));
    // From the first bit that is set. The four after it stand for the fraction.
    let first = u16::from_be_bytes([high, low]) << (zeros % 8);
    ((Id::BITS - zeros) as u16 * 16) | ((first >> 11) & 0xF)
}

/// How many lookups of random targets count.
const SAMPLES: usize = 8;
/// With fewer, nothing is known.
const LEAST: usize = 4;
/// The target of a sample shares fewer bits than this with the own identifier: an attacker next to the own node would
/// be in all lookups of targets near it.
const NEAR_BITS: u32 = 4;

/// The distances of the k-th node from the targets of the last lookups of random targets.
#[derive(Clone, Debug)]
pub struct Density {
    /// The first 32 bits of each, the last one first. Zeros are no samples.
    samples: [u32; SAMPLES],
}

/// How the nodes that a lookup found compare with what is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spacing {
    /// Nothing is expected: there were too few lookups of random targets.
    Unknown,
    /// As expected.
    Usual,
    /// They are closer together. With k = 8, this happens by chance in one of 20 lookups.
    Dense,
    /// They are farther apart. With k = 8, this happens by chance in one of 40 lookups.
    Sparse,
}

impl Density {
    /// Without samples.
    pub const EMPTY: Self = Self { samples: [0; SAMPLES] };

    /// A lookup of a random target found the k-th node at the distance `kth`. Counts only if the target is far from the
    /// own identifier.
    pub fn note(&mut self, own: &Id, target: &Id, kth: Distance) {
        if own.common_prefix_len(target) < NEAR_BITS {
            let mut newer = first_bits(kth);
            self.samples.iter_mut().for_each(|sample| core::mem::swap(sample, &mut newer));
        }
    }

    /// Compares the distances of the k-th and of the last node that a lookup found, which are the same unless it was
    /// widened. If the last one is far enough, all nodes together are not too close.
    #[must_use]
    pub fn spacing(&self, kth: Distance, last: Distance) -> Spacing {
        let Some(quartile) = self.lower_quartile() else {
            return Spacing::Unknown;
        };
        // The mean is about 1.4 times the lower quartile: these are 1.8 times and half of the mean.
        if 2 * u64::from(first_bits(kth)) > 5 * quartile {
            Spacing::Sparse
        } else if 4 * u64::from(first_bits(last)) < 3 * quartile {
            Spacing::Dense
        } else {
            Spacing::Usual
        }
    }

    /// The lower quartile of the samples. Nodes that hide others make samples larger, but seldom most of them.
    fn lower_quartile(&self) -> Option<u64> {
        let (mut count, mut least, mut second) = (0, u32::MAX, u32::MAX);
        for sample in self.samples.into_iter().filter(|sample| *sample != 0) {
            count += 1;
            second = second.min(sample.max(least));
            least = least.min(sample);
        }
        (count >= LEAST).then_some(if count == LEAST { least } else { second }.into())
    }
}

fn first_bits(distance: Distance) -> u32 {
    let [a, b, c, d, ..] = *distance.as_bytes();
    u32::from_be_bytes([a, b, c, d])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sparseness_is_the_logarithm_of_the_distance_in_sixteenths_of_a_bit() {
        let of = |first: [u8; 2], skipped: usize| {
            let mut bytes = [0; 20];
            bytes[skipped..skipped + 2].copy_from_slice(&first);
            sparseness(Some(Id::ZERO.xor(&Id::from_bytes(bytes))))
        };
        assert_eq!([of([0x80, 0], 0), of([0xFF, 0xFF], 0)], [160 * 16, 160 * 16 + 15]);
        assert_eq!([of([0x01, 0x80], 0), of([0x01, 0x80], 18), of([0, 1], 18)], [153 * 16 + 8, 9 * 16 + 8, 16]);
        assert_eq!(sparseness(Some(Id::ZERO.xor(&Id::ZERO))), 0);
        assert!(sparseness(None) > 160 * 16 + 15);
    }

    fn distance(first: u8) -> Distance {
        let mut bytes = [0; 20];
        bytes[0] = first;
        Id::ZERO.xor(&Id::from_bytes(bytes))
    }

    fn after(samples: &[u8]) -> Density {
        let mut density = Density::EMPTY;
        for sample in samples {
            density.note(&Id::ZERO, &Id::from_bytes([0xFF; 20]), distance(*sample));
        }
        density
    }

    fn spacing(density: &Density, kth: u8) -> Spacing {
        density.spacing(distance(kth), distance(kth))
    }

    #[test]
    fn nodes_are_compared_with_the_lower_quartile_of_lookups_of_random_targets() {
        let density = after(&[40, 200, 30, 20, 200, 50, 200, 30]);
        assert_eq!([75, 76].map(|kth| spacing(&density, kth)), [Spacing::Usual, Spacing::Sparse]);
        assert_eq!([22, 23].map(|kth| spacing(&density, kth)), [Spacing::Dense, Spacing::Usual]);
        assert_eq!(density.spacing(distance(5), distance(23)), Spacing::Usual, "the last one is far enough");
    }

    #[test]
    fn nothing_is_expected_after_fewer_than_four_lookups_far_from_the_own_identifier() {
        let mut density = after(&[30, 30, 30]);
        density.note(&Id::ZERO, &Id::from_bytes([0x0F; 20]), distance(30));
        assert_eq!(spacing(&density, 30), Spacing::Unknown);
        density.note(&Id::ZERO, &Id::from_bytes([0x10; 20]), distance(30));
        assert_eq!(spacing(&density, 30), Spacing::Usual);
    }

    #[test]
    fn only_the_last_eight_lookups_count() {
        let density = after(&[1, 1, 1, 1, 1, 1, 40, 40, 40, 40, 40, 40, 40, 40]);
        assert_eq!(spacing(&density, 20), Spacing::Dense);
    }
}
