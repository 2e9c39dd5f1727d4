//! SipHash-2-4 (Aumasson and Bernstein, 2012): what nobody can tell from random bytes who doesn't know the key.
//!
//! It is written out here because its rounds are a loop, in 0.5 KB of flash; those of crate `siphasher` are unrolled, in 1.5 KB.

/// The hash of some bytes under a key.
pub(crate) fn hash(key: &[u8; 16], bytes: &[u8]) -> u64 {
    let key = u128::from_le_bytes(*key);
    let (low, high) = (key as u64, (key >> 64) as u64);
    let mut state = [low ^ 0x736f_6d65_7073_6575, high ^ 0x646f_7261_6e64_6f6d, low ^ 0x6c79_6765_6e65_7261, high ^ 0x7465_6462_7974_6573];
    let (words, rest) = bytes.as_chunks::<8>();
    for bytes in words {
        take(&mut state, u64::from_le_bytes(*bytes));
    }
    let rest = rest.iter().rev().fold(0, |rest, byte| rest << 8 | u64::from(*byte));
    take(&mut state, rest | (bytes.len() as u64) << 56);
    state[2] ^= 0xff;
    rounds(&mut state, 4);
    state.iter().fold(0, |hash, word| hash ^ word)
}

fn take(state: &mut [u64; 4], word: u64) {
    state[3] ^= word;
    rounds(state, 2);
    state[0] ^= word;
}

#[inline(never)]
fn rounds(state: &mut [u64; 4], count: u32) {
    let [mut a, mut b, mut c, mut d] = *state;
    for _ in 0..count {
        a = a.wrapping_add(b);
        b = b.rotate_left(13) ^ a;
        a = a.rotate_left(32);
        c = c.wrapping_add(d);
        d = d.rotate_left(16) ^ c;
        a = a.wrapping_add(d);
        d = d.rotate_left(21) ^ a;
        c = c.wrapping_add(b);
        b = b.rotate_left(17) ^ c;
        c = c.rotate_left(32);
    }
    *state = [a, b, c, d];
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use siphasher::sip::SipHasher24;

    #[test]
    fn it_is_the_one_of_the_paper() {
        // Appendix A: the key 00 to 0f, the message 00 to 0e.
        let bytes: [u8; 16] = core::array::from_fn(|i| i as u8);
        assert_eq!(hash(&bytes, &bytes[..15]), 0xa129_ca61_49be_45e5);
    }

    proptest! {
        #[test]
        fn it_is_the_one_of_others(key: [u8; 16], bytes: std::vec::Vec<u8>) {
            prop_assert_eq!(hash(&key, &bytes), SipHasher24::new_with_key(&key).hash(&bytes));
        }
    }
}
