//! The one stream of random numbers in a network.

use core::time::Duration;

use kadlet::Id;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// A stream of random numbers: ChaCha with 8 rounds. Its algorithm is specified, so a seed gives the same numbers on
/// every machine, for good. Logarithms and powers come from `libm`, as those of the standard library differ between
/// machines.
///
/// ```
/// use kadlet_sim::Random;
///
/// let (mut one, mut other) = (Random::new(7), Random::new(7));
/// assert_eq!([one.below(6), one.below(6)], [other.below(6), other.below(6)]);
/// ```
#[derive(Clone, Debug)]
pub struct Random(ChaCha8Rng);

impl Random {
    /// The stream of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// A number, uniformly distributed.
    pub fn number(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number below `bound`, uniformly distributed except for one part in 2^32; 0 if `bound` is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.number()) * bound as u128) >> 64) as usize
    }

    /// A number from 0 to below 1, uniformly distributed.
    pub fn unit(&mut self) -> f64 {
        (self.number() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// True with this probability. Draws no number if the probability is 0.
    pub fn happens(&mut self, probability: f64) -> bool {
        probability > 0.0 && self.unit() < probability
    }

    /// A time below `bound`, uniformly distributed.
    pub fn within(&mut self, bound: Duration) -> Duration {
        bound.mul_f64(self.unit())
    }

    /// A time from the exponential distribution with this mean.
    pub fn exponential(&mut self, mean: Duration) -> Duration {
        mean.mul_f64(-libm::log(1.0 - self.unit()))
    }

    /// A time from the Weibull distribution with this scale and shape. At most a million times the scale.
    pub fn weibull(&mut self, scale: Duration, shape: f64) -> Duration {
        scale.mul_f64(libm::pow(-libm::log(1.0 - self.unit()), 1.0 / shape).min(1e6))
    }

    /// Random bytes.
    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.fill_bytes(&mut bytes);
        bytes
    }

    /// A random identifier.
    pub fn id(&mut self) -> Id {
        Id::from_bytes(self.bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_always_gives_the_same_stream() {
        let mut random = Random::new(1);
        let drawn = [
            random.number(),
            random.below(1_000) as u64,
            random.exponential(Duration::from_secs(60)).as_micros() as u64,
        ];
        assert_eq!(drawn, [7_424_550_030_962_593_201, 80, 54_463_676]);
    }

    #[test]
    fn a_weibull_distribution_of_shape_one_is_exponential() {
        let (mut a, mut b) = (Random::new(7), Random::new(7));
        let (a, b) = (a.exponential(Duration::from_secs(9)), b.weibull(Duration::from_secs(9), 1.0));
        assert!(a.abs_diff(b) < Duration::from_micros(1));
    }
}
