//! Random numbers from the caller's seed: keyed SipHash-2-4 of a counter. And numbers that are only spread evenly.

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

/// The SipHash-2-4 of these bytes (Aumasson and Bernstein, 2012). It takes half the flash of the crate siphasher.
#[inline(never)]
pub(crate) fn keyed_hash(key: &[u8; 16], bytes: &[u8]) -> u64 {
    let key = u128::from_le_bytes(*key);
    let (k0, k1) = (key as u64, (key >> 64) as u64);
    let (mut a, mut b) = (k0 ^ 0x736F_6D65_7073_6575, k1 ^ 0x646F_7261_6E64_6F6D);
    let (mut c, mut d) = (k0 ^ 0x6C79_6765_6E65_7261, k1 ^ 0x7465_6462_7974_6573);
    for at in 0..bytes.len() / 8 + 2 {
        let (block, rounds) = if let Some(rest) = bytes.get(8 * at..) {
            let block = rest.first_chunk().copied().unwrap_or_else(|| {
                // The last block ends with the length.
                let mut last = [0, 0, 0, 0, 0, 0, 0, bytes.len() as u8];
                last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
                last
            });
            (u64::from_le_bytes(block), 2)
        } else {
            c ^= 0xFF;
            (0, 4)
        };
        d ^= block;
        for _ in 0..rounds {
            (a, c) = (a.wrapping_add(b), c.wrapping_add(d));
            (b, d) = (b.rotate_left(13) ^ a, d.rotate_left(16) ^ c);
            (a, c) = (a.rotate_left(32).wrapping_add(d), c.wrapping_add(b));
            (b, d) = (b.rotate_left(17) ^ c, d.rotate_left(21) ^ a);
            c = c.rotate_left(32);
        }
        a ^= block;
    }
    a ^ b ^ c ^ d
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
    use siphasher::sip::SipHasher24;

    #[test]
    fn the_keyed_hash_is_siphash_2_4() {
        let key = core::array::from_fn(|at| at as u8);
        let bytes: [u8; 300] = core::array::from_fn(|at| at as u8);
        // The example of the paper's appendix A.
        assert_eq!(keyed_hash(&key, &bytes[..15]), 0xA129_CA61_49BE_45E5);
        for len in 0..=bytes.len() {
            assert_eq!(keyed_hash(&key, &bytes[..len]), SipHasher24::new_with_key(&key).hash(&bytes[..len]));
        }
    }

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
