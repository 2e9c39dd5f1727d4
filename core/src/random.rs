//! Random numbers from the caller's seed: keyed SipHash-2-4 of a counter. And numbers that are only spread evenly.

use siphasher::sip::SipHasher24;

/// A stream of random numbers. The same seed gives the same stream, and without the seed the stream can't be predicted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Random {
    key: [u8; 16],
    counter: u64,
}

impl Random {
    /// No seed yet. All zeros.
    pub(crate) const EMPTY: Self = Self { key: [0; 16], counter: 0 };

    pub(crate) const fn new(key: [u8; 16]) -> Self {
        Self { key, counter: 0 }
    }

    /// 64 random bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.counter = self.counter.wrapping_add(1);
        keyed_hash(&self.key, &self.counter.to_le_bytes())
    }

    /// 128 random bits, as a key.
    pub(crate) fn key(&mut self) -> [u8; 16] {
        let mut key = [0; 16];
        key[..8].copy_from_slice(&self.next().to_be_bytes());
        key[8..].copy_from_slice(&self.next().to_be_bytes());
        key
    }
}

/// The SipHash-2-4 of these bytes.
#[inline(never)]
pub(crate) fn keyed_hash(key: &[u8; 16], bytes: &[u8]) -> u64 {
    SipHasher24::new_with_key(key).hash(bytes)
}

/// One step of SplitMix64 (Steele, Lea and Flood, 2014): spreads numbers evenly. It is not for secrets.
pub(crate) const fn mix(number: u64) -> u64 {
    let mixed = number.wrapping_add(GOLDEN);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

/// The step from one number of SplitMix64 to the next.
pub(crate) const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_stream_and_another_seed_another_stream() {
        let stream = |seed| {
            let mut random = Random::new([seed; 16]);
            [random.next(), random.next(), random.next()]
        };
        assert_eq!(stream(1), stream(1));
        assert_ne!(stream(1), stream(2));
        assert_ne!(stream(1)[0], stream(1)[1]);
    }
}
